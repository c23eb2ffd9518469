//! From a planned statement to a dataflow: views inlined, own writes added, rules run, arrangements chosen.

use crate::commits;
use crate::coordinator::{CatalogState, Shared};
use crate::error::Error;
use crate::transaction::Transaction;
use everview_catalog::object::View;
use everview_catalog::{Catalog, ObjectKind, builtin};
use everview_expr::{Environment, Id, LocalId, RelExpr, RelationType, ScalarExpr};
use everview_optimize::lowering::{self, Indexes};
use everview_optimize::physical::DataflowPlan;
use everview_repr::{GlobalId, RelationDesc, Row};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) mod settle;

pub(crate) use settle::{Params, Settle};

/// Compiled definitions of views, by id: those of one committed catalog, and the system's.
#[derive(Default)]
pub(crate) struct ViewCache {
    compiled: Mutex<(Catalog, BTreeMap<GlobalId, Arc<RelExpr>>)>,
}

impl ViewCache {
    /// The plan of a view's definition. In a transaction that has changed its catalog it is made anew every time.
    pub fn get(
        &self,
        committed: &Catalog,
        catalog: &Catalog,
        id: GlobalId,
        view: &View,
    ) -> Result<Arc<RelExpr>, Error> {
        let kept = |known: &Catalog| id.is_system() || (known.is(catalog) && known.is(committed));
        {
            let known = self.compiled.lock();
            if let (true, Some(compiled)) = (kept(&known.0), known.1.get(&id)) {
                return Ok(compiled.clone());
            }
        }
        let compiled = Arc::new(everview_sql::plan_view_text(catalog, view)?);
        let mut known = self.compiled.lock();
        if catalog.is(committed) && known.0.version() <= committed.version() {
            known.0 = committed.clone();
            known.1.retain(|id, _| id.is_system());
        }
        if kept(&known.0) {
            known.1.insert(id, compiled.clone());
        }
        Ok(compiled)
    }
}

/// Makes the session as stable functions see it: most statements never ask.
pub(crate) type MakeEnvironment<'a> = &'a (dyn Fn() -> Arc<dyn Environment> + Send + Sync);

/// What a query is planned in.
pub(crate) struct QueryContext<'a> {
    pub shared: &'a Shared,
    pub state: &'a CatalogState,
    /// The session's catalog: the committed one, or a transaction's own.
    pub catalog: &'a Catalog,
    pub transaction: Option<&'a Transaction>,
    /// Makes what stable functions ask; none where they are refused.
    pub environment: Option<MakeEnvironment<'a>>,
    pub params: Params<'a>,
}

/// An optimized query.
pub(crate) struct Optimized {
    pub expr: RelExpr,
    /// Tables and materialized views behind it, views looked through.
    pub reads: BTreeSet<GlobalId>,
}

impl QueryContext<'_> {
    /// Inlines, binds and optimizes.
    pub fn optimize(&self, expr: RelExpr) -> Result<Optimized, Error> {
        let (mut expr, _) = self.resolve(expr)?;
        Settle::new(self.params, self.environment).relation(&mut expr);
        self.optimize_resolved(expr)
    }

    /// Runs the rules.
    pub fn optimize_resolved(&self, expr: RelExpr) -> Result<Optimized, Error> {
        let reads = lowering::global_reads(&expr);
        let expr = everview_optimize::optimize(expr)?;
        Ok(Optimized { expr, reads })
    }

    /// The physical plan of an optimized query.
    pub fn physical(&self, expr: &RelExpr, desc: RelationDesc) -> Result<DataflowPlan, Error> {
        self.physical_over(expr, desc, &self.state.indexes)
    }

    /// The physical plan of an optimized query that may read these indexes.
    pub fn physical_over(
        &self,
        expr: &RelExpr,
        desc: RelationDesc,
        indexes: &Indexes,
    ) -> Result<DataflowPlan, Error> {
        let plan = lowering::lower(expr, indexes)?;
        let mut sources = BTreeMap::new();
        let mut imports = BTreeMap::new();
        for id in lowering::global_reads(expr) {
            match indexes.get(&id).filter(|available| !available.is_empty()) {
                Some(available) => drop(imports.insert(id, available.clone())),
                None => {
                    let object = self.catalog.get(id);
                    let is_table = object.is_some_and(|o| matches!(o.kind, ObjectKind::Table(_)));
                    if !is_table && !commits::is(id) {
                        // A view that is not maintained here gives the error that says why.
                        self.shared.index_reader(id)?;
                        // One that is has been built anew since the reader's snapshot.
                        return Err(Error::serialization());
                    }
                    let arity = object.and_then(|o| o.desc()).map_or(0, |d| d.arity());
                    sources.insert(id, arity);
                }
            }
        }
        Ok(DataflowPlan {
            sources,
            imports,
            plan,
            desc,
        })
    }

    /// The physical plan of a query over tables alone: all views are replaced by their definitions, the maintained
    /// among them.
    pub fn over_tables(&self, expr: RelExpr, desc: RelationDesc) -> Result<DataflowPlan, Error> {
        let inlined = |id| match self.definition(id)? {
            Some(definition) => Ok(Some(definition)),
            None => self.replacement(id),
        };
        let (mut expr, _) = self.resolve_by(expr, &inlined)?;
        Settle::new(self.params, self.environment).relation(&mut expr);
        let optimized = self.optimize_resolved(expr)?;
        self.physical_over(&optimized.expr, desc, &Indexes::new())
    }

    /// Replaces views by bindings of their definitions, system tables by their rows, and written tables by what the
    /// transaction sees of them. Also whether rows of this moment or transaction are in it now.
    pub fn resolve(&self, expr: RelExpr) -> Result<(RelExpr, bool), Error> {
        self.resolve_by(expr, &|id| self.replacement(id))
    }

    fn resolve_by(
        &self,
        expr: RelExpr,
        replacement: &Replacement<'_>,
    ) -> Result<(RelExpr, bool), Error> {
        let mut next = 1 + max_local(&expr);
        let mut bound: BTreeMap<GlobalId, (LocalId, RelationType)> = BTreeMap::new();
        let mut bindings: Vec<(LocalId, RelExpr)> = Vec::new();
        let body = resolve_in(expr, replacement, &mut bound, &mut bindings, &mut next)?;
        let own = bound.keys().any(|id| {
            let object = self.catalog.get(*id).map(|o| &o.kind);
            matches!(
                object,
                Some(ObjectKind::SystemTable(_) | ObjectKind::Table(_))
            )
        });
        // Earlier bindings are used by later ones.
        let expr = bindings
            .into_iter()
            .rev()
            .fold(body, |body, (id, value)| RelExpr::Let {
                id,
                value: Box::new(value),
                body: Box::new(body),
            });
        Ok((expr, own))
    }

    /// The query of a view, maintained or not.
    fn definition(&self, id: GlobalId) -> Result<Option<RelExpr>, Error> {
        match self.catalog.get(id).map(|object| &object.kind) {
            Some(ObjectKind::View(view) | ObjectKind::MaterializedView(view)) => {
                let views = &self.shared.views;
                let expr = views.get(&self.state.catalog, self.catalog, id, view)?;
                Ok(Some((*expr).clone()))
            }
            _ => Ok(None),
        }
    }

    /// What stands for a relation that is not read as it is.
    fn replacement(&self, id: GlobalId) -> Result<Option<RelExpr>, Error> {
        let object = self
            .catalog
            .get(id)
            .ok_or_else(|| Error::internal(format!("relation {id} is not in the catalog")))?;
        match &object.kind {
            ObjectKind::View(_) => self.definition(id),
            ObjectKind::MaterializedView(_) => {
                let own = self
                    .transaction
                    .is_some_and(|t| self.sees_own_writes(t, id));
                if own { self.definition(id) } else { Ok(None) }
            }
            ObjectKind::SystemTable(_) if commits::is(id) => Ok(None),
            ObjectKind::SystemTable(desc) => {
                let rows =
                    builtin::rows(id, self.catalog, &crate::environment::Runtime(self.shared));
                let rows = rows.into_iter().map(|row| (row, 1)).collect();
                let ty = RelationType {
                    columns: desc.types(),
                    keys: vec![],
                    append_only: false,
                };
                Ok(Some(RelExpr::Constant { rows: Ok(rows), ty }))
            }
            ObjectKind::Table(table) => {
                let Some(transaction) = self.transaction else {
                    return Ok(None);
                };
                let desc = table.desc(id);
                let committed = self.state.catalog.get(id).and_then(|o| o.desc());
                let stored = committed.as_ref().map_or(desc.arity(), |c| c.arity());
                if stored > desc.arity() {
                    // Another transaction has added a column since this one began.
                    return Err(Error::serialization());
                }
                let writes = transaction.writes.get(&id).filter(|w| !w.is_empty());
                if committed.is_some() && writes.is_none() && stored == desc.arity() {
                    return Ok(None);
                }
                let ty = RelationType {
                    columns: desc.types(),
                    keys: vec![],
                    append_only: false,
                };
                let mut rows = Vec::new();
                if let Some(writes) = writes {
                    rows.extend(writes.rows.iter().map(|(r, d)| (r.clone(), *d)));
                    let stored = crate::table::StoredTable::new(self.catalog, object)?;
                    let ahead = self.shared.tables.written_ahead(&writes.chunks)?;
                    rows.extend(ahead.into_iter().map(|(r, d)| (stored.widened(r), d)));
                }
                let own = RelExpr::Constant {
                    rows: Ok(rows),
                    ty: ty.clone(),
                };
                let Some(committed) = committed else {
                    return Ok(Some(own));
                };
                let mut added = Vec::new();
                for column in &table.columns[stored..] {
                    let value = Row::from_bytes(column.missing.as_deref().unwrap_or_default());
                    let value = value.map_err(|e| Error::internal(e.to_string()))?;
                    added.push(ScalarExpr::Literal(
                        value,
                        column.ty.clone().with_nullable(true),
                    ));
                }
                let base = RelExpr::Get {
                    id: Id::Global(id),
                    ty: RelationType::new(committed.types()),
                };
                Ok(Some(base.map(added).union(own)))
            }
            _ => Err(Error::internal(format!("object {id} is not a relation"))),
        }
    }

    /// Whether a maintained view must be computed anew for a transaction: it is not committed yet, or the
    /// transaction wrote something that it reads.
    fn sees_own_writes(&self, transaction: &Transaction, view: GlobalId) -> bool {
        if self.state.catalog.get(view).is_none() {
            return true;
        }
        let written = transaction.written();
        if written.is_empty() {
            return false;
        }
        base_tables(self.catalog, view)
            .iter()
            .any(|t| written.contains(t))
    }
}

/// What stands for a relation, if anything does.
type Replacement<'r> = dyn Fn(GlobalId) -> Result<Option<RelExpr>, Error> + 'r;

fn resolve_in(
    mut expr: RelExpr,
    replacement: &Replacement<'_>,
    bound: &mut BTreeMap<GlobalId, (LocalId, RelationType)>,
    bindings: &mut Vec<(LocalId, RelExpr)>,
    next: &mut u32,
) -> Result<RelExpr, Error> {
    for id in lowering::global_reads(&expr) {
        if bound.contains_key(&id) {
            continue;
        }
        let Some(mut value) = replacement(id)? else {
            continue;
        };
        let offset = *next;
        *next += 1 + max_local(&value);
        shift_locals(&mut value, offset);
        let value = if lowering::global_reads(&value).contains(&id) {
            value
        } else {
            resolve_in(value, replacement, bound, bindings, next)?
        };
        let local = LocalId(*next);
        *next += 1;
        bound.insert(id, (local, value.ty()));
        bindings.push((local, value));
    }
    expr.visit_mut_post(&mut |e| {
        if let RelExpr::Get {
            id: Id::Global(id), ..
        } = e
            && let Some((local, ty)) = bound.get(id)
        {
            *e = RelExpr::local(*local, ty.clone());
        }
    });
    Ok(expr)
}

/// The tables that a relation reads in the end; itself, if it is one.
pub(crate) fn base_tables(catalog: &Catalog, id: GlobalId) -> BTreeSet<GlobalId> {
    let mut seen = BTreeSet::new();
    let mut pending = vec![id];
    let mut tables = BTreeSet::new();
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some(object) = catalog.get(id) {
            match object.kind {
                ObjectKind::Table(_) => drop(tables.insert(id)),
                _ => pending.extend(object.depends_on()),
            }
        }
    }
    tables
}

fn max_local(expr: &RelExpr) -> u32 {
    let mut max = 0;
    expr.visit(&mut |e| match e {
        RelExpr::Let { id, .. } => max = max.max(id.0),
        RelExpr::LetRec { bindings, .. } => {
            max = bindings.iter().map(|(id, _, _)| id.0).fold(max, u32::max);
        }
        _ => {}
    });
    max
}

fn shift_locals(expr: &mut RelExpr, offset: u32) {
    expr.visit_mut_post(&mut |e| match e {
        RelExpr::Let { id, .. } => id.0 += offset,
        RelExpr::LetRec { bindings, .. } => {
            bindings.iter_mut().for_each(|(id, _, _)| id.0 += offset)
        }
        RelExpr::Get {
            id: Id::Local(id), ..
        } => id.0 += offset,
        _ => {}
    });
}
