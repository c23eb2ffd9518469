//! What a dataflow being rendered knows: its inputs, its bindings, and the arrangements made so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use everview_expr::{Id, LocalId};
use everview_optimize::physical::{Arrangement, Plan};
use everview_repr::GlobalId;
use timely::dataflow::Scope;

use super::read::read_index;
use super::streams::{Collection, Index, Rows, arrange_rows};
use crate::health::Health;

/// A dataflow under construction.
pub struct Context<'s> {
    /// Where its operators go.
    pub scope: Scope<'s, u64>,
    /// Where its panics are caught.
    pub health: Arc<Health>,
    /// This worker, from 0.
    pub worker: usize,
    /// The time of everything that was there before.
    pub as_of: u64,
    sources: BTreeMap<GlobalId, Collection<'s>>,
    imports: BTreeMap<GlobalId, Import<'s>>,
    locals: BTreeMap<LocalId, Collection<'s>>,
    /// Arrangements that nodes share.
    arranged: Vec<Shared<'s>>,
    nodes: usize,
}

/// An arrangement of a table or binding, with the errors in its key.
type Shared<'s> = (Id, Arrangement, Index<'s>, Rows<'s>);

/// Indexes of another dataflow's rows, and its errors.
pub struct Import<'s> {
    /// The indexes, each with the errors in its keys.
    pub indexes: Vec<(Arrangement, Index<'s>, Rows<'s>)>,
    /// The errors.
    pub errs: Rows<'s>,
}

impl<'s> Context<'s> {
    /// A dataflow without inputs.
    pub fn new(scope: Scope<'s, u64>, health: Arc<Health>, worker: usize, as_of: u64) -> Self {
        Context {
            scope,
            health,
            worker,
            as_of,
            sources: BTreeMap::new(),
            imports: BTreeMap::new(),
            locals: BTreeMap::new(),
            arranged: Vec::new(),
            nodes: 0,
        }
    }

    /// Adds a table.
    pub fn add_source(&mut self, id: GlobalId, oks: Rows<'s>) {
        let errs = self.empty();
        self.sources.insert(id, Collection { oks, errs });
    }

    /// Adds what another dataflow exports.
    pub fn add_import(&mut self, id: GlobalId, import: Import<'s>) {
        self.imports.insert(id, import);
    }

    /// Binds a name.
    pub fn bind(&mut self, id: LocalId, collection: Collection<'s>) {
        self.locals.insert(id, collection);
    }

    /// Ends a binding.
    pub fn unbind(&mut self, id: LocalId) {
        self.locals.remove(&id);
        self.arranged.retain(|(other, ..)| *other != Id::Local(id));
    }

    /// No rows.
    pub fn empty(&self) -> Rows<'s> {
        timely::dataflow::operators::generic::operator::empty(self.scope)
    }

    /// A name for the operators of the next node.
    pub fn name(&mut self, kind: &str) -> String {
        self.nodes += 1;
        format!("{kind} {}", self.nodes)
    }

    /// The rows of a table or binding, unless they are only there as an index.
    pub fn rows(&self, id: Id) -> Option<Rows<'s>> {
        match id {
            Id::Local(id) => self.locals.get(&id),
            Id::Global(id) => self.sources.get(&id),
        }
        .map(|collection| collection.oks.clone())
    }

    /// A collection by name.
    pub fn get(&mut self, id: Id) -> Collection<'s> {
        match id {
            Id::Local(local) => self.locals.get(&local).cloned(),
            Id::Global(global) => match self.sources.get(&global) {
                Some(collection) => Some(collection.clone()),
                None => self.imports.get(&global).and_then(|import| {
                    let (arrangement, index, _) = import.indexes.first()?;
                    let oks = read_index(index.clone(), arrangement, &format!("read {global}"));
                    Some(Collection {
                        oks,
                        errs: import.errs.clone(),
                    })
                }),
            },
        }
        .unwrap_or_else(|| {
            self.health.suspend(format!(
                "internal error: the plan reads {id:?}, which it does not list"
            ));
            Collection {
                oks: self.empty(),
                errs: self.empty(),
            }
        })
    }

    /// An arrangement of a collection by name, shared by all who ask for the same, and the errors of its key. In an
    /// imported one, rows whose key failed are there, under their error.
    pub fn index(&mut self, id: Id, arrangement: &Arrangement) -> (Index<'s>, Rows<'s>) {
        if let Id::Global(global) = id
            && let Some(import) = self.imports.get(&global)
            && let Some((_, index, errs)) = import.indexes.iter().find(|(a, _, _)| a == arrangement)
        {
            return (index.clone(), errs.clone());
        }
        let made = self
            .arranged
            .iter()
            .find(|(of, a, ..)| *of == id && a == arrangement);
        if let Some((_, _, index, errs)) = made {
            return (index.clone(), errs.clone());
        }
        let rows = self.get(id).oks;
        let name = self.name(&format!("{id:?}"));
        let (index, errs) = arrange_rows(rows, arrangement, &name, &self.health);
        self.arranged
            .push((id, arrangement.clone(), index.clone(), errs.clone()));
        (index, errs)
    }
}

/// The collection that a plan only names.
pub fn shared_id(plan: &Plan) -> Option<Id> {
    match plan {
        Plan::Get { id, mfp } if mfp.is_identity() => Some(*id),
        _ => None,
    }
}
