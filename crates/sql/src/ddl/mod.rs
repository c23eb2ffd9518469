//! CREATE, DROP, ALTER and COMMENT to plans.
//!
//! Whether a name is taken already is the coordinator's to see, when it carries the plan out.

mod alter;
mod alter_table;
mod constraints;
mod drop;
mod index;
mod outside;
mod own_options;
mod table;
mod view;

use crate::error::PlanError;
use crate::names::{self, Name, fold};
use crate::parse::ObjectType;
use crate::plan::{Notice, Plan};
use crate::planner::Planner;
use everview_catalog::{Object, ObjectKind};
use everview_repr::SqlState;
use sqlparser::ast::Ident;
use std::sync::Arc;

impl Planner<'_> {
    pub(crate) fn create_schema(
        &mut self,
        name: Option<&Ident>,
        if_not_exists: bool,
    ) -> Result<Plan, PlanError> {
        let Some(ident) = name else {
            return Err(PlanError::syntax("syntax error in CREATE SCHEMA"));
        };
        let name = fold(ident);
        if name.starts_with("pg_") {
            let message = format!("unacceptable schema name \"{name}\"");
            return Err(PlanError::new(SqlState::RESERVED_NAME, message)
                .with_detail("The prefix \"pg_\" is reserved for system schemas.")
                .at(names::at(ident)));
        }
        Ok(Plan::CreateSchema {
            name,
            if_not_exists,
        })
    }

    /// The object of a kind and name; `None` where there is none.
    pub(crate) fn find(
        &self,
        kind: ObjectType,
        name: &Name,
    ) -> Result<Option<Arc<Object>>, PlanError> {
        if kind == ObjectType::Schema {
            if name.schema.is_some() {
                return Err(PlanError::syntax("syntax error at or near \".\"").at(name.position));
            }
            return Ok(self.catalog.schema(&name.name).cloned());
        }
        let Some(object) = names::lookup(self.catalog, self.search_path, name) else {
            return Ok(None);
        };
        let fits = match object.kind {
            ObjectKind::Table(_) | ObjectKind::SystemTable(_) => ObjectType::Table,
            ObjectKind::View(_) => ObjectType::View,
            ObjectKind::MaterializedView(_) => ObjectType::MaterializedView,
            ObjectKind::Index(_) => ObjectType::Index,
            ObjectKind::Schema => ObjectType::Schema,
            ObjectKind::Secret(_) => ObjectType::Secret,
            ObjectKind::Connection(_) => ObjectType::Connection,
            ObjectKind::Sink(_) => ObjectType::Sink,
        };
        if fits == kind {
            return Ok(Some(object.clone()));
        }
        Err(crate::statement::wrong_kind(&object.name, kind_name(kind))
            .at(None)
            .with_wrong_kind_hint(fits))
    }

    /// The same, or Postgres's error.
    pub(crate) fn find_existing(
        &self,
        kind: ObjectType,
        name: &Name,
    ) -> Result<Arc<Object>, PlanError> {
        self.find(kind, name)?.ok_or_else(|| missing(kind, name))
    }
}

impl PlanError {
    fn with_wrong_kind_hint(self, actual: ObjectType) -> PlanError {
        self.with_hint(match actual {
            ObjectType::Table => "Use DROP TABLE to remove a table.",
            ObjectType::View => "Use DROP VIEW to remove a view.",
            ObjectType::MaterializedView => {
                "Use DROP MATERIALIZED VIEW to remove a materialized view."
            }
            ObjectType::Index => "Use DROP INDEX to remove an index.",
            ObjectType::Schema => "Use DROP SCHEMA to remove a schema.",
            ObjectType::Secret => "Use DROP SECRET to remove a secret.",
            ObjectType::Connection => "Use DROP CONNECTION to remove a connection.",
            ObjectType::Sink => "Use DROP SINK to remove a sink.",
        })
    }
}

/// The kind as messages name it.
pub(crate) fn kind_name(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::Table => "table",
        ObjectType::View => "view",
        ObjectType::MaterializedView => "materialized view",
        ObjectType::Index => "index",
        ObjectType::Schema => "schema",
        ObjectType::Secret => "secret",
        ObjectType::Connection => "connection",
        ObjectType::Sink => "sink",
    }
}

/// `table "x" does not exist`.
pub(crate) fn missing(kind: ObjectType, name: &Name) -> PlanError {
    let code = match kind {
        ObjectType::Schema => SqlState::INVALID_SCHEMA_NAME,
        ObjectType::Index | ObjectType::Secret | ObjectType::Connection | ObjectType::Sink => {
            SqlState::UNDEFINED_OBJECT
        }
        _ => SqlState::UNDEFINED_TABLE,
    };
    PlanError::new(
        code,
        format!("{} \"{name}\" does not exist", kind_name(kind)),
    )
}

/// The NOTICE of IF EXISTS.
pub(crate) fn skipping(kind: ObjectType, name: &Name) -> Notice {
    notice(format!(
        "{} \"{name}\" does not exist, skipping",
        kind_name(kind)
    ))
}

/// A NOTICE.
pub(crate) fn notice(message: String) -> Notice {
    Notice {
        severity: "NOTICE",
        code: SqlState::new("00000"),
        message,
        detail: None,
    }
}

/// Refuses changes of the system's objects.
pub(crate) fn writable(object: &Object) -> Result<(), PlanError> {
    if object.id.is_system() && object.name != "public" {
        let message = format!("permission denied: \"{}\" is a system catalog", object.name);
        return Err(PlanError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
    }
    Ok(())
}

/// A name of the form `table_column_suffix` that is not taken, cut and numbered as Postgres does.
pub(crate) fn generated_name(
    table: &str,
    columns: &str,
    suffix: &str,
    taken: &dyn Fn(&str) -> bool,
) -> String {
    for n in 0u32.. {
        let suffix = if n == 0 {
            suffix.to_string()
        } else {
            format!("{suffix}{n}")
        };
        let name = truncated(table, columns, &suffix);
        if !taken(&name) {
            return name;
        }
    }
    table.to_string()
}

/// Joins the parts in 63 bytes, taking from the longer of the first two.
fn truncated(table: &str, columns: &str, suffix: &str) -> String {
    let parts = usize::from(!columns.is_empty()) + usize::from(!suffix.is_empty());
    let available = 63usize.saturating_sub(suffix.len() + parts);
    let (mut a, mut b) = (table.len(), columns.len());
    while a + b > available {
        if a > b { a -= 1 } else { b -= 1 }
    }
    let cut = |s: &str, mut n: usize| {
        while !s.is_char_boundary(n) {
            n -= 1;
        }
        s[..n].to_string()
    };
    let parts = [cut(table, a), cut(columns, b), suffix.to_string()];
    parts
        .into_iter()
        .filter(|p| !p.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}
