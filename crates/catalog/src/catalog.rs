//! A snapshot of all objects.
//!
//! Snapshots are immutable and cheap to clone. A change is a set of object definitions, old and new; the same
//! changes are rows of [`CATALOG_COLLECTION`] in the log, from which the catalog is rebuilt at start.

use crate::object::{Object, ObjectKind};
use everview_repr::{Datum, GlobalId, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The system collection with one row an object: its id (oid) and its definition (text, JSON).
pub const CATALOG_COLLECTION: GlobalId = GlobalId(1);

/// All objects, user's and built-in.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    objects: Arc<BTreeMap<GlobalId, Arc<Object>>>,
    names: Arc<BTreeMap<(Option<GlobalId>, String), GlobalId>>,
    /// Objects that read an object.
    dependants: Arc<BTreeMap<GlobalId, BTreeSet<GlobalId>>>,
    next_id: u32,
    version: u64,
}

/// One object's change: created (`old` none), dropped (`new` none) or altered.
#[derive(Clone, Debug)]
pub struct Change {
    /// The definition before.
    pub old: Option<Arc<Object>>,
    /// The definition after.
    pub new: Option<Arc<Object>>,
}

/// What can be wrong with stored definitions.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A row of the catalog's collection that cannot be read.
    #[error("the catalog row of object {id} cannot be read: {why}")]
    Malformed {
        /// The object's id, or 0.
        id: u32,
        /// The reason.
        why: String,
    },
}

impl Catalog {
    /// The catalog of an empty database: built-in schemas, system tables and views, and schema `public`.
    pub fn new() -> Catalog {
        let mut catalog = Catalog {
            next_id: GlobalId::FIRST_USER.0,
            ..Catalog::default()
        };
        for object in crate::builtin::objects() {
            catalog.put(Arc::new(object));
        }
        catalog
    }

    /// Whether both are one snapshot.
    pub fn is(&self, other: &Catalog) -> bool {
        Arc::ptr_eq(&self.objects, &other.objects)
    }

    /// The unique indexes that CREATE UNIQUE INDEX made on a table, by id, with their columns in key order.
    pub fn unique_indexes(&self, table: GlobalId) -> Vec<(&Arc<Object>, Vec<usize>)> {
        let on = self.dependants.get(&table).into_iter().flatten();
        let unique = |object: &'_ Arc<Object>| match &object.kind {
            ObjectKind::Index(index) if index.on == table => index.unique_columns(),
            _ => None,
        };
        on.filter_map(|id| self.get(*id))
            .filter_map(|object| Some((object, unique(object)?)))
            .collect()
    }

    /// Changes with every applied set of changes.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The id that the next created object gets; `apply` moves it past every id seen.
    pub fn next_id(&self) -> GlobalId {
        GlobalId(self.next_id)
    }

    /// Keeps ids below `next` from being given again, though nothing here has them any more.
    pub fn reserve(&mut self, next: GlobalId) {
        self.next_id = self.next_id.max(next.0);
    }

    /// An object by id.
    pub fn get(&self, id: GlobalId) -> Option<&Arc<Object>> {
        self.objects.get(&id)
    }

    /// All objects, by id.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// A schema by name.
    pub fn schema(&self, name: &str) -> Option<&Arc<Object>> {
        self.names
            .get(&(None, name.to_string()))
            .and_then(|id| self.get(*id))
    }

    /// A relation or index by schema and name.
    pub fn in_schema(&self, schema: GlobalId, name: &str) -> Option<&Arc<Object>> {
        self.names
            .get(&(Some(schema), name.to_string()))
            .and_then(|id| self.get(*id))
    }

    /// The objects that read this one directly, by id; of a schema, the objects in it.
    pub fn dependants(&self, id: GlobalId) -> BTreeSet<GlobalId> {
        self.dependants.get(&id).cloned().unwrap_or_default()
    }

    /// This object and everything that depends on it, dependants before what they read.
    pub fn drop_order(&self, id: GlobalId) -> Vec<GlobalId> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        self.push_dependants_first(id, &mut seen, &mut order);
        order
    }

    fn push_dependants_first(
        &self,
        id: GlobalId,
        seen: &mut BTreeSet<GlobalId>,
        order: &mut Vec<GlobalId>,
    ) {
        if seen.insert(id) {
            for dependant in self.dependants(id) {
                self.push_dependants_first(dependant, seen, order);
            }
            order.push(id);
        }
    }

    /// The name as a user would qualify it: `schema.name`.
    pub fn full_name(&self, id: GlobalId) -> String {
        match self.get(id) {
            None => format!("{id}"),
            Some(object) => match object.schema.and_then(|s| self.get(s)) {
                Some(schema) => format!("{}.{}", schema.name, object.name),
                None => object.name.clone(),
            },
        }
    }

    /// The snapshot after these changes.
    pub fn apply(&self, changes: &[Change]) -> Catalog {
        let mut next = self.clone();
        next.version += 1;
        for change in changes {
            if let Some(old) = &change.old {
                next.remove(old);
            }
        }
        for change in changes {
            if let Some(new) = &change.new {
                next.put(new.clone());
            }
        }
        next
    }

    fn put(&mut self, object: Arc<Object>) {
        let id = object.id;
        Arc::make_mut(&mut self.names).insert((object.schema, object.name.clone()), id);
        let dependants = Arc::make_mut(&mut self.dependants);
        for read in object.depends_on().into_iter().chain(object.schema) {
            dependants.entry(read).or_default().insert(id);
        }
        let mut used = id.0;
        if let ObjectKind::Table(table) = &object.kind {
            used = table
                .constraints
                .iter()
                .map(|c| c.id.0)
                .fold(used, u32::max);
        }
        self.next_id = self.next_id.max(used.saturating_add(1));
        Arc::make_mut(&mut self.objects).insert(id, object);
    }

    fn remove(&mut self, object: &Object) {
        let key = (object.schema, object.name.clone());
        if self.names.get(&key) == Some(&object.id) {
            Arc::make_mut(&mut self.names).remove(&key);
        }
        let dependants = Arc::make_mut(&mut self.dependants);
        for read in object.depends_on().into_iter().chain(object.schema) {
            if let Some(set) = dependants.get_mut(&read) {
                set.remove(&object.id);
            }
        }
        Arc::make_mut(&mut self.objects).remove(&object.id);
    }
}

/// The row of [`CATALOG_COLLECTION`] that stands for an object.
pub fn to_row(object: &Object) -> Row {
    let text =
        serde_json::to_string(object).expect("an object has no map with other keys than strings");
    Row::pack([Datum::Oid(object.id.0), Datum::Text(&text)])
}

/// The object that a row of [`CATALOG_COLLECTION`] stands for.
pub fn from_row(row: &Row) -> Result<Object, CatalogError> {
    match row.unpack().as_slice() {
        [Datum::Oid(id), Datum::Text(text)] => {
            serde_json::from_str(text).map_err(|e| CatalogError::Malformed {
                id: *id,
                why: e.to_string(),
            })
        }
        _ => Err(CatalogError::Malformed {
            id: 0,
            why: "not an oid and a text".to_string(),
        }),
    }
}
