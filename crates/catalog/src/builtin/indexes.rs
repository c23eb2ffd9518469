//! Indexes as PostgreSQL shows them: those that users create, and those behind unique constraints.

use super::Deparser;
use crate::catalog::Catalog;
use crate::object::{ConstraintKind, IndexKey, Object, ObjectKind, Table};
use everview_repr::{ColumnDesc, GlobalId, ScalarType};

/// One index.
pub(crate) struct IndexView<'a> {
    pub id: GlobalId,
    pub name: &'a str,
    /// The relation that it is on.
    pub on: &'a Object,
    pub keys: Vec<IndexKey>,
    pub unique: bool,
    pub primary: bool,
}

/// The unique constraints of a table as indexes.
pub(crate) fn of_constraints<'a>(object: &'a Object, table: &'a Table) -> Vec<IndexView<'a>> {
    let unique = table
        .constraints
        .iter()
        .filter_map(|c| c.unique_columns().map(|keys| (c, keys)));
    unique
        .map(|(constraint, keys)| IndexView {
            id: constraint.id,
            name: &constraint.name,
            on: object,
            keys: keys.iter().map(|k| IndexKey::Column(*k)).collect(),
            unique: true,
            primary: matches!(constraint.kind, ConstraintKind::PrimaryKey(_)),
        })
        .collect()
}

/// All indexes, constraints' before users', each by id.
pub(crate) fn all(catalog: &Catalog) -> Vec<IndexView<'_>> {
    let mut indexes = Vec::new();
    for object in catalog.objects() {
        if let ObjectKind::Table(table) = &object.kind {
            indexes.extend(of_constraints(object, table));
        }
    }
    indexes.extend(
        catalog
            .objects()
            .filter_map(|object| created(catalog, object)),
    );
    indexes
}

fn created<'a>(catalog: &'a Catalog, object: &'a Object) -> Option<IndexView<'a>> {
    let ObjectKind::Index(index) = &object.kind else {
        return None;
    };
    let on = catalog.get(index.on)?;
    Some(IndexView {
        id: object.id,
        name: &object.name,
        on,
        keys: index.keys.clone(),
        unique: index.unique,
        primary: false,
    })
}

/// The index of an id.
pub(crate) fn get(catalog: &Catalog, id: GlobalId) -> Option<IndexView<'_>> {
    if let Some(object) = catalog.get(id) {
        return created(catalog, object);
    }
    all(catalog).into_iter().find(|i| i.id == id)
}

/// Whether a relation has one.
pub(crate) fn has(catalog: &Catalog, object: &Object) -> bool {
    let constraint = match &object.kind {
        ObjectKind::Table(table) => table
            .constraints
            .iter()
            .any(|c| c.unique_columns().is_some()),
        _ => false,
    };
    constraint
        || catalog.dependants(object.id).iter().any(|id| {
            catalog
                .get(*id)
                .is_some_and(|o| matches!(o.kind, ObjectKind::Index(_)))
        })
}

impl IndexView<'_> {
    /// The columns of its relation.
    pub fn columns(&self) -> Vec<ColumnDesc> {
        self.on.desc().map(|d| d.columns).unwrap_or_default()
    }

    /// Name, type and modifier of a key column, as `pg_attribute` shows it.
    pub fn key_column(
        &self,
        deparser: &dyn Deparser,
        catalog: &Catalog,
        key: &IndexKey,
    ) -> (String, ScalarType, i32) {
        match key {
            IndexKey::Column(c) => match self.columns().get(*c) {
                Some(c) => (c.name.clone(), c.ty.scalar.clone(), c.ty.typmod.0),
                None => (String::new(), ScalarType::Text, -1),
            },
            IndexKey::Expression(sql) => {
                let desc = self.on.desc().unwrap_or_default();
                match deparser.index_column(catalog, &desc, sql) {
                    Some((name, ty, _)) => (name, ty.scalar, ty.typmod.0),
                    None => ("expr".to_string(), ScalarType::Text, -1),
                }
            }
        }
    }

    /// The name alone.
    pub fn key_name(&self, deparser: &dyn Deparser, catalog: &Catalog, key: &IndexKey) -> String {
        self.key_column(deparser, catalog, key).0
    }

    /// `indkey`: attribute numbers, 0 for expressions.
    pub fn attribute_numbers(&self) -> Vec<i16> {
        let number = |key: &IndexKey| match key {
            IndexKey::Column(c) => *c as i16 + 1,
            IndexKey::Expression(_) => 0,
        };
        self.keys.iter().map(number).collect()
    }
}
