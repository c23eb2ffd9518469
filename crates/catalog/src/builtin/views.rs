//! System views: SQL text over the system tables, in `data/views.sql`.
//!
//! A view's columns and their types are those of its relation ([`super::schema`]): what its text does not give is
//! NULL. The text is planned when it is first read, like any view's.

use super::schema::{EVERVIEW, INFORMATION_SCHEMA, PG_CATALOG, Relation};
use crate::object::{SEMANTICS_VERSION, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The columns that a view gives, and its query.
type Text = (Vec<&'static str>, &'static str);

/// By schema and name.
static VIEWS: LazyLock<BTreeMap<(u32, &'static str), Text>> = LazyLock::new(|| {
    let statements = include_str!("data/views.sql").split("CREATE VIEW ").skip(1);
    statements.filter_map(view_text).collect()
});

fn view_text(statement: &'static str) -> Option<((u32, &'static str), Text)> {
    let (name, rest) = statement.split_once('(')?;
    let (columns, rest) = rest.split_once(") AS\n")?;
    let (schema, name) = name.trim().split_once('.')?;
    let schema = match schema {
        "pg_catalog" => PG_CATALOG,
        "information_schema" => INFORMATION_SCHEMA,
        _ => EVERVIEW,
    };
    let columns = columns.split(',').map(str::trim).collect();
    Some(((schema.0, name), (columns, rest.rsplit_once(';')?.0)))
}

/// The definition of a relation that is a view here.
pub(super) fn view(relation: &Relation) -> Option<View> {
    let (columns, query) = VIEWS.get(&(relation.schema.0, relation.name))?;
    let outputs = relation.desc.columns.iter().map(|column| {
        let (name, ty) = (&column.name, column.ty.scalar.sql_name());
        match columns.contains(&name.as_str()) {
            true => format!("v.{name}::{ty} AS {name}"),
            false => format!("NULL::{ty} AS {name}"),
        }
    });
    let outputs: Vec<_> = outputs.collect();
    let (outputs, columns) = (outputs.join(", "), columns.join(", "));
    Some(View {
        sql: format!("SELECT {outputs} FROM (\n{query}\n) AS v({columns})"),
        desc: relation.desc.clone(),
        depends_on: BTreeSet::new(),
        time_zone: "UTC".to_string(),
        semantics: SEMANTICS_VERSION,
        comments: BTreeMap::new(),
    })
}
