//! INSERT, UPDATE, DELETE, TRUNCATE and COPY to plans.

pub(crate) mod copy;
mod insert;
mod update;

use crate::error::PlanError;
use crate::hir::HirScalar;
use crate::names::{self, Name};
use crate::plan::{Plan, Returning};
use crate::planner::{ExprContext, Planner};
use crate::query::build::null;
use crate::query::limit::to_plain_scalar;
use crate::scope::{Env, Frame, Scope};
use crate::typed::Typed;
use everview_catalog::object::{Table, TableColumn};
use everview_catalog::{Object, ObjectKind};
use everview_repr::{ColumnDesc, RelationDesc, SqlState};
use sqlparser::ast::{Expr, SelectItem};
use std::sync::Arc;

/// A table that a statement changes.
pub(crate) struct Target {
    pub object: Arc<Object>,
    pub table: Table,
    pub desc: RelationDesc,
}

impl Target {
    /// Its row's names.
    pub fn scope(&self, alias: Option<String>, schema: Option<String>) -> Scope {
        let columns = self
            .desc
            .columns
            .iter()
            .map(|c| (c.name.clone(), c.ty.clone(), c.origin))
            .collect();
        let (name, schema) = match alias {
            Some(alias) => (alias, None),
            None => (self.object.name.clone(), schema),
        };
        Scope::table(Some(name), schema, Some(self.object.id), columns)
    }

    /// Refuses to change rows of an append-only table.
    pub fn check_mutable(&self, what: &str) -> Result<(), PlanError> {
        if !self.table.append_only {
            return Ok(());
        }
        let message = format!("cannot {what} append-only table \"{}\"", self.object.name);
        Err(PlanError::new(SqlState::WRONG_OBJECT_TYPE, message))
    }
}

impl Planner<'_> {
    /// The table that a statement changes; `verb` as in `cannot insert into view`.
    pub(crate) fn target(&mut self, name: &Name, verb: &str) -> Result<Target, PlanError> {
        let object = names::resolve(self.catalog, self.search_path, name)?.clone();
        let wrong = |code, message: String| Err(PlanError::new(code, message));
        match &object.kind {
            ObjectKind::Table(table) => {
                let (table, desc) = (table.clone(), table.desc(object.id));
                super::ddl::writable(&object)?;
                Ok(Target {
                    object: object.clone(),
                    table,
                    desc,
                })
            }
            ObjectKind::View(_) => wrong(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("cannot {verb} view \"{}\"", object.name),
            ),
            ObjectKind::MaterializedView(_) => wrong(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot change materialized view \"{}\"", object.name),
            ),
            ObjectKind::SystemTable(_) => wrong(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied for table {}", object.name),
            ),
            _ => Err(crate::statement::wrong_kind(&object.name, "table")),
        }
    }

    /// The schema's name, for qualified column references.
    pub(crate) fn schema_name(&self, object: &Object) -> Option<String> {
        object
            .schema
            .and_then(|s| self.catalog.get(s))
            .map(|s| s.name.clone())
    }

    /// A column's DEFAULT, cast to its type; NULL without one.
    pub(crate) fn default_value(&mut self, column: &TableColumn) -> Result<HirScalar, PlanError> {
        let Some(text) = &column.default else {
            return Ok(null(&column.ty));
        };
        let scope = Scope::default();
        let env = Env::EMPTY.with(Frame::Row(&scope));
        let value = crate::parse::with_expr(text, |expr, _| {
            let value = self.expr(expr, &ExprContext::plain(&env, "DEFAULT expressions"))?;
            self.assign(value, &column.name, &column.ty)
        });
        Ok(value
            .map_err(|mut e| {
                e.position = None;
                e
            })?
            .expr)
    }

    /// RETURNING's values over a row, with their description.
    pub(crate) fn returning_values(
        &mut self,
        items: &[SelectItem],
        scope: &Scope,
    ) -> Result<(Vec<Typed>, RelationDesc), PlanError> {
        let env = Env::EMPTY.with(Frame::Row(scope));
        let outputs = self.select_items(items, scope, &ExprContext::plain(&env, "RETURNING"))?;
        let mut values = Vec::new();
        let mut desc = RelationDesc::default();
        for output in outputs {
            let value = self.resolve_unknown(output.value)?;
            desc.columns.push(ColumnDesc {
                name: output.name,
                ty: value.ty.clone(),
                origin: output.origin,
            });
            values.push(value);
        }
        Ok((values, desc))
    }

    /// RETURNING over the table's row only.
    pub(crate) fn returning(
        &mut self,
        items: &[SelectItem],
        scope: &Scope,
    ) -> Result<Returning, PlanError> {
        let (values, desc) = self.returning_values(items, scope)?;
        let exprs = values
            .into_iter()
            .map(|v| {
                to_plain_scalar(&v.expr).ok_or_else(|| {
                    PlanError::unsupported("a subquery in INSERT ... RETURNING").at(v.position)
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Returning { exprs, desc })
    }

    pub(crate) fn truncate(&mut self, names: &[Name]) -> Result<Plan, PlanError> {
        let mut ids = Vec::new();
        for name in names {
            let object =
                names::resolve(self.catalog, self.search_path, name).map_err(|mut e| {
                    e.position = None;
                    e
                })?;
            if !matches!(object.kind, ObjectKind::Table(_)) {
                return Err(crate::statement::wrong_kind(&object.name, "table"));
            }
            let target = self.target(name, "truncate")?;
            target.check_mutable("truncate")?;
            if !ids.contains(&target.object.id) {
                ids.push(target.object.id);
            }
        }
        Ok(Plan::Truncate(ids))
    }
}

/// Whether a value is the word DEFAULT.
pub(crate) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(i) if i.quote_style.is_none() && i.value.eq_ignore_ascii_case("default"))
}
