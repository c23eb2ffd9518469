//! The SQL text of views, indexes and constraints.

use super::indexes::IndexView;
use super::names::{Names, quote};
use crate::object::{Constraint, ConstraintKind, IndexKey, Table, View};

/// `pg_get_viewdef`.
pub(crate) fn view(names: &Names<'_>, view: &View) -> String {
    format!(" {};", names.display(view.sql.trim()))
}

fn key(names: &Names<'_>, index: &IndexView<'_>, key: &IndexKey) -> String {
    match key {
        IndexKey::Column(_) => quote(&index.key_name(key)),
        IndexKey::Expression(sql) => format!("({})", names.display(sql)),
    }
}

/// `pg_get_indexdef(oid)`.
pub(crate) fn index(names: &Names<'_>, index: &IndexView<'_>) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let keys: Vec<_> = index.keys.iter().map(|k| key(names, index, k)).collect();
    format!(
        "CREATE {unique}INDEX {} ON {} USING btree ({})",
        quote(index.name),
        names.qualified(index.on),
        keys.join(", ")
    )
}

/// `pg_get_indexdef(oid, column, pretty)`: one key column, from 1.
pub(crate) fn index_column(
    names: &Names<'_>,
    index: &IndexView<'_>,
    column: usize,
) -> Option<String> {
    index
        .keys
        .get(column.checked_sub(1)?)
        .map(|k| key(names, index, k))
}

/// `pg_get_constraintdef`.
pub(crate) fn constraint(
    names: &Names<'_>,
    table: &Table,
    constraint: &Constraint,
    pretty: bool,
) -> String {
    let columns = |positions: &[usize]| {
        let columns = positions.iter().filter_map(|p| table.columns.get(*p));
        columns
            .map(|c| quote(&c.name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match &constraint.kind {
        ConstraintKind::PrimaryKey(positions) => format!("PRIMARY KEY ({})", columns(positions)),
        ConstraintKind::Unique(positions) => format!("UNIQUE ({})", columns(positions)),
        ConstraintKind::Check(sql) if pretty => format!("CHECK ({})", names.display(sql)),
        ConstraintKind::Check(sql) => format!("CHECK (({}))", names.display(sql)),
    }
}

/// The positions of the columns that a constraint is about, in key order; of a check those that its text names.
pub(crate) fn constraint_columns(table: &Table, constraint: &Constraint) -> Vec<usize> {
    let sql = match &constraint.kind {
        ConstraintKind::PrimaryKey(columns) | ConstraintKind::Unique(columns) => {
            return columns.clone();
        }
        ConstraintKind::Check(sql) => sql,
    };
    let words: Vec<_> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let named = |name: &str| {
        words.iter().any(|w| w.eq_ignore_ascii_case(name)) || sql.contains(&quote(name))
    };
    let columns = table.columns.iter().enumerate();
    columns
        .filter(|(_, c)| named(&c.name))
        .map(|(i, _)| i)
        .collect()
}
