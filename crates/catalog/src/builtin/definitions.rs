//! The SQL text of views, indexes and constraints.

use super::indexes::IndexView;
use super::names::{Names, quote};
use crate::object::{Constraint, ConstraintKind, IndexKey, Object, ObjectKind, Table, View};
use everview_repr::{GlobalId, Interval, RelationDesc};

/// What stands before a default in `pg_attrdef.adbin`, with the column's number: an expression cannot begin so.
const DEFAULT: &str = "DEFAULT ";

/// `pg_get_viewdef`.
pub(crate) fn view(names: &Names<'_>, view: &View, pretty: bool) -> String {
    names
        .deparser
        .view(names.catalog, names.search_path, view, pretty)
}

fn key(names: &Names<'_>, index: &IndexView<'_>, key: &IndexKey, pretty: bool) -> String {
    let IndexKey::Expression(sql) = key else {
        return quote(&index.key_name(names.deparser, names.catalog, key));
    };
    let desc = index.on.desc().unwrap_or_default();
    let text = names
        .deparser
        .expression(names.catalog, &desc, None, sql, pretty);
    match names.deparser.index_column(names.catalog, &desc, sql) {
        Some((_, _, true)) => text,
        _ => format!("({text})"),
    }
}

/// `pg_get_indexdef(oid)`; pretty, its relation is qualified only where it must be.
pub(crate) fn index(names: &Names<'_>, index: &IndexView<'_>, pretty: bool) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let keys = index.keys.iter().map(|k| key(names, index, k, pretty));
    let keys: Vec<_> = keys.collect();
    let on = match names.shown(index.on.id) {
        Some(name) if pretty => name,
        _ => names.qualified(index.on),
    };
    format!(
        "CREATE {unique}INDEX {} ON {on} USING btree ({})",
        quote(index.name),
        keys.join(", ")
    )
}

/// `pg_get_indexdef(oid, column, pretty)`: one key column, from 1.
pub(crate) fn index_column(
    names: &Names<'_>,
    index: &IndexView<'_>,
    column: usize,
    pretty: bool,
) -> Option<String> {
    let part = index.keys.get(column.checked_sub(1)?)?;
    Some(key(names, index, part, pretty))
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
        ConstraintKind::Check(sql) => {
            let desc = table.desc(constraint.id);
            let text = names
                .deparser
                .expression(names.catalog, &desc, None, sql, pretty);
            format!("CHECK ({text})")
        }
        ConstraintKind::Deduplicate {
            columns: positions,
            within,
        } => {
            let within = within.map(|micros| Interval {
                micros: i64::try_from(micros).unwrap_or(i64::MAX),
                ..Interval::ZERO
            });
            let within = within.map_or_else(String::new, |within| format!(" WITHIN '{within}'"));
            format!("DEDUPLICATE BY ({}){within}", columns(positions))
        }
        ConstraintKind::CountEffects(positions) => {
            format!("COUNT EFFECTS BY ({})", columns(positions))
        }
    }
}

/// A default as `pg_attrdef.adbin` holds it, for [`stored_expression`].
pub(crate) fn stored_default(column: usize, sql: &str) -> String {
    format!("{DEFAULT}{} {sql}", column + 1)
}

/// `pg_get_expr`: a text of `adbin`, `conbin` or `indexprs` over the columns of a relation.
pub(crate) fn stored_expression(
    names: &Names<'_>,
    stored: &str,
    relation: GlobalId,
    pretty: bool,
) -> String {
    let object = names.catalog.get(relation);
    let default = stored.strip_prefix(DEFAULT).and_then(|rest| {
        let (number, sql) = rest.split_once(' ')?;
        let column: usize = number.parse().ok()?;
        match &object?.kind {
            ObjectKind::Table(table) => Some((&table.columns.get(column.checked_sub(1)?)?.ty, sql)),
            _ => None,
        }
    });
    let desc = object
        .and_then(|o: &std::sync::Arc<Object>| o.desc())
        .unwrap_or_default();
    let show = |desc: &RelationDesc, target, sql| {
        names
            .deparser
            .expression(names.catalog, desc, target, sql, pretty)
    };
    match default {
        Some((ty, sql)) => show(&RelationDesc::default(), Some(ty), sql),
        None => show(&desc, None, stored),
    }
}

/// The positions of the columns that a constraint is about, in key order; of a check those that its text names, as
/// `"$1"` for the first.
pub(crate) fn constraint_columns(table: &Table, constraint: &Constraint) -> Vec<usize> {
    match &constraint.kind {
        ConstraintKind::PrimaryKey(columns)
        | ConstraintKind::Unique(columns)
        | ConstraintKind::Deduplicate { columns, .. }
        | ConstraintKind::CountEffects(columns) => columns.clone(),
        ConstraintKind::Check(sql) => (0..table.columns.len())
            .filter(|i| sql.contains(&format!("\"${}\"", i + 1)))
            .collect(),
    }
}
