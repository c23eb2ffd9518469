//! CREATE VIEW and CREATE MATERIALIZED VIEW.

use crate::error::PlanError;
use crate::lower::lower;
use crate::names::{self, fold};
use crate::parse::CreateView;
use crate::plan::CreateViewPlan;
use crate::planner::Planner;
use crate::scope::Env;
use crate::stored::stored_text;
use everview_catalog::ObjectKind;
use everview_catalog::object::{SEMANTICS_VERSION, View};
use everview_repr::{RelationDesc, SqlState};
use std::collections::BTreeMap;

impl Planner<'_> {
    pub(crate) fn create_view(&mut self, create: &CreateView) -> Result<CreateViewPlan, PlanError> {
        let CreateView {
            name,
            columns,
            query,
            sql,
            start,
            materialized,
            or_replace,
            if_not_exists,
        } = create;
        let schema = names::creation_schema(self.catalog, self.search_path, name)?;
        if *materialized {
            self.maintained = Some("a maintained view");
        }
        let (rel, mut desc) = self.subquery(query, &Env::EMPTY)?;
        if !self.changes.is_empty() {
            return Err(PlanError::unsupported("everview.changes in a view"));
        }
        if !self.params.is_empty() {
            return Err(PlanError::new(
                SqlState::UNDEFINED_PARAMETER,
                "there is no parameter $1",
            ));
        }
        if columns.len() > desc.arity() {
            let position = columns.get(desc.arity()).and_then(names::at);
            let message = if *materialized {
                "too many column names were specified"
            } else {
                "CREATE VIEW specifies more column names than columns"
            };
            return Err(PlanError::syntax(message).at(position.filter(|_| *materialized)));
        }
        for (column, given) in desc.columns.iter_mut().zip(columns) {
            column.name = fold(given);
        }
        for column in &mut desc.columns {
            column.origin = None;
        }
        check_columns(&desc)?;
        let replace = match self.existing(schema, &name.name) {
            Some(old) if *or_replace => {
                let ObjectKind::View(view) = &old.kind else {
                    return Err(crate::statement::wrong_kind(&old.name, "view"));
                };
                check_replacement(&view.desc, &desc)?;
                if self
                    .catalog
                    .drop_order(old.id)
                    .iter()
                    .any(|id| self.depends_on.contains(id))
                {
                    let message = format!("view \"{}\" would read itself", old.name);
                    return Err(PlanError::new(SqlState::INVALID_OBJECT_DEFINITION, message));
                }
                self.refuse_under_sinks(old.id)?;
                Some(old.id)
            }
            _ => None,
        };
        let view = View {
            sql: stored_text(sql, *start, &self.mentions),
            desc,
            depends_on: self.depends_on.clone(),
            time_zone: self.time_zone.to_string(),
            semantics: SEMANTICS_VERSION,
            comments: BTreeMap::new(),
        };
        let expr = lower(rel);
        Ok(CreateViewPlan {
            schema,
            name: name.name.clone(),
            view,
            expr,
            materialized: *materialized,
            replace,
            if_not_exists: *if_not_exists,
        })
    }

    fn existing(
        &self,
        schema: everview_repr::GlobalId,
        name: &str,
    ) -> Option<std::sync::Arc<everview_catalog::Object>> {
        self.catalog.in_schema(schema, name).cloned()
    }
}

/// 42701 for two columns of one name.
pub(super) fn check_columns(desc: &RelationDesc) -> Result<(), PlanError> {
    let mut seen = std::collections::BTreeSet::new();
    for column in &desc.columns {
        if !seen.insert(&column.name) {
            let message = format!("column \"{}\" specified more than once", column.name);
            return Err(PlanError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        if matches!(
            column.ty.scalar,
            everview_repr::ScalarType::Record(_) | everview_repr::ScalarType::Void
        ) {
            let message = format!(
                "column \"{}\" has pseudo-type {}",
                column.name,
                column.ty.scalar.sql_name()
            );
            return Err(PlanError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
    }
    Ok(())
}

/// What OR REPLACE may change: columns can only be added at the end.
fn check_replacement(old: &RelationDesc, new: &RelationDesc) -> Result<(), PlanError> {
    let invalid = |message| Err(PlanError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    if new.arity() < old.arity() {
        return invalid("cannot drop columns from view".to_string());
    }
    for (old, new) in old.columns.iter().zip(&new.columns) {
        if old.name != new.name {
            return Err(PlanError::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!(
                    "cannot change name of view column \"{}\" to \"{}\"",
                    old.name, new.name
                ),
            )
            .with_hint(
                "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
            ));
        }
        if old.ty.scalar != new.ty.scalar || old.ty.typmod != new.ty.typmod {
            return invalid(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                old.name,
                old.ty.scalar.sql_name_with(old.ty.typmod),
                new.ty.scalar.sql_name_with(new.ty.typmod)
            ));
        }
    }
    Ok(())
}
