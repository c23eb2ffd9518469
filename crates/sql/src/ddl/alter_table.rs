//! ALTER TABLE on columns and constraints: the new definition of the table, action by action.
//!
//! The rows that are there already are checked by the coordinator against what the new definition adds to the old one.

use crate::ddl::constraints::Constraints;
use crate::ddl::notice;
use crate::error::PlanError;
use crate::names::fold;
use crate::parse::TableAction;
use crate::plan::{AlterTablePlan, Notice, Plan};
use crate::planner::Planner;
use crate::query::limit::to_plain_scalar;
use everview_catalog::object::{Constraint, ConstraintKind, Table};
use everview_catalog::{Object, ObjectKind};
use everview_expr::ScalarExpr;
use everview_expr::registry::{self, Volatility};
use everview_repr::{GlobalId, SqlState, Timestamp};
use sqlparser::ast::{ColumnDef, ColumnOptionDef, Ident, TableConstraint};

/// A table between its actions.
struct Altered<'o> {
    object: &'o Object,
    schema: GlobalId,
    table: Table,
    added: Vec<(usize, ScalarExpr)>,
    notices: Vec<Notice>,
}

impl Planner<'_> {
    pub(super) fn alter_table(
        &mut self,
        object: &Object,
        actions: &[TableAction],
    ) -> Result<Plan, PlanError> {
        let mut altered = Altered::of(object, action_name(actions.first()))?;
        for action in actions {
            match action {
                TableAction::AddColumn {
                    column,
                    if_not_exists,
                } => self.add_column(&mut altered, column, *if_not_exists)?,
                TableAction::AddConstraint(constraint) => {
                    let name = constraint_name(constraint);
                    altered.check_new_constraint(name)?;
                    altered.constrain(|constraints, table| {
                        constraints.table(self, &mut table.columns, constraint)
                    })?;
                }
                TableAction::DropConstraint { name, if_exists } => {
                    altered.drop_constraint(&fold(name), *if_exists)?;
                }
                TableAction::Default { column, value } => {
                    let at = altered.column(column)?;
                    let (name, ty) = (
                        altered.table.columns[at].name.clone(),
                        altered.table.columns[at].ty.clone(),
                    );
                    let text = value.as_ref().map(|v| self.default_text(v, &name, &ty));
                    altered.table.columns[at].default = text.transpose()?;
                }
                TableAction::NotNull { column, set } => altered.not_null(column, *set)?,
            }
        }
        Ok(altered.plan("TABLE"))
    }

    /// ADD COLUMN: at the end, with the constraints in its definition.
    fn add_column(
        &mut self,
        altered: &mut Altered<'_>,
        definition: &ColumnDef,
        if_not_exists: bool,
    ) -> Result<(), PlanError> {
        let name = fold(&definition.name);
        if altered.table.columns.iter().any(|c| c.name == name) {
            let relation = &altered.object.name;
            let message = format!("column \"{name}\" of relation \"{relation}\" already exists");
            if !if_not_exists {
                return Err(PlanError::new(SqlState::DUPLICATE_COLUMN, message));
            }
            altered.notices.push(Notice {
                code: SqlState::DUPLICATE_COLUMN,
                ..notice(format!("{message}, skipping"))
            });
            return Ok(());
        }
        let column = self.table_column(definition)?;
        let value = self.default_value(&column)?;
        let value = to_plain_scalar(&value)
            .ok_or_else(|| PlanError::unsupported("a subquery in DEFAULT"))?;
        let mut volatile = false;
        value.visit(&mut |e| {
            volatile |= matches!(e, ScalarExpr::Call { func, .. }
                if registry::get(*func).volatility == Volatility::Volatile);
        });
        if volatile {
            return Err(PlanError::unsupported("ADD COLUMN with a volatile DEFAULT")
                .with_hint("Add the column, then set its default, then update the rows."));
        }
        let at = altered.table.columns.len();
        altered.table.columns.push(column);
        altered.added.push((at, value));
        altered.constrain(|constraints, table| {
            for ColumnOptionDef {
                name: given,
                option,
            } in &definition.options
            {
                constraints.column(self, &mut table.columns, &name, given.as_ref(), option)?;
            }
            Ok(())
        })
    }

    /// ALTER TABLE ... RENAME CONSTRAINT, ALTER INDEX ... RENAME of the index behind one.
    pub(super) fn rename_constraint(
        &mut self,
        object: &Object,
        from: &str,
        to: &Ident,
        kind: &'static str,
    ) -> Result<Plan, PlanError> {
        let mut altered = Altered::of(object, "RENAME CONSTRAINT")?;
        let at = altered.constraint(from)?;
        let new = fold(to);
        if altered.table.constraints[at].unique_columns().is_some() {
            let names = Constraints::new(altered.schema, object.name.clone())
                .with(altered.table.constraints.clone());
            names.relation_name(self, Some(to), "", "")?;
        } else {
            altered.check_new_constraint(Some(to))?;
        }
        altered.table.constraints[at].name = new;
        Ok(altered.plan(kind))
    }
}

impl<'o> Altered<'o> {
    fn of(object: &'o Object, action: &str) -> Result<Altered<'o>, PlanError> {
        let (ObjectKind::Table(table), Some(schema)) = (&object.kind, object.schema) else {
            let message = format!(
                "ALTER action {action} cannot be performed on relation \"{}\"",
                object.name
            );
            let kind = match object.kind {
                ObjectKind::MaterializedView(_) => "materialized views",
                ObjectKind::Index(_) => "indexes",
                _ => "views",
            };
            return Err(PlanError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .with_detail(format!("This operation is not supported for {kind}.")));
        };
        Ok(Altered {
            object,
            schema,
            table: table.clone(),
            added: vec![],
            notices: vec![],
        })
    }

    fn plan(self, kind: &'static str) -> Plan {
        Plan::AlterTable(AlterTablePlan {
            id: self.object.id,
            table: self.table,
            added: self.added,
            kind,
            notices: self.notices,
        })
    }

    /// Adds constraints, which hold from the commit on.
    fn constrain(
        &mut self,
        add: impl FnOnce(&mut Constraints, &mut Table) -> Result<(), PlanError>,
    ) -> Result<(), PlanError> {
        let found = std::mem::take(&mut self.table.constraints);
        let before = found.len();
        let mut constraints = Constraints::new(self.schema, self.object.name.clone()).with(found);
        add(&mut constraints, &mut self.table)?;
        self.table.constraints = constraints.finish();
        for constraint in &mut self.table.constraints[before..] {
            constraint.since = Timestamp::MAX;
        }
        Ok(())
    }

    fn column(&self, column: &Ident) -> Result<usize, PlanError> {
        let name = fold(column);
        let at = self.table.columns.iter().position(|c| c.name == name);
        at.ok_or_else(|| {
            let message = format!(
                "column \"{name}\" of relation \"{}\" does not exist",
                self.object.name
            );
            PlanError::new(SqlState::UNDEFINED_COLUMN, message)
        })
    }

    fn constraint(&self, name: &str) -> Result<usize, PlanError> {
        let at = self.table.constraints.iter().position(|c| c.name == name);
        at.ok_or_else(|| PlanError::new(SqlState::UNDEFINED_OBJECT, self.no_constraint(name)))
    }

    fn no_constraint(&self, name: &str) -> String {
        let relation = &self.object.name;
        format!("constraint \"{name}\" of relation \"{relation}\" does not exist")
    }

    fn check_new_constraint(&self, name: Option<&Ident>) -> Result<(), PlanError> {
        let Some(name) = name.map(fold) else {
            return Ok(());
        };
        if self.constraint(&name).is_err() {
            return Ok(());
        }
        let relation = &self.object.name;
        let message = format!("constraint \"{name}\" for relation \"{relation}\" already exists");
        Err(PlanError::new(SqlState::DUPLICATE_OBJECT, message))
    }

    fn drop_constraint(&mut self, name: &str, if_exists: bool) -> Result<(), PlanError> {
        let at = match self.constraint(name) {
            Ok(at) => at,
            Err(_) if if_exists => {
                self.notices
                    .push(notice(format!("{}, skipping", self.no_constraint(name))));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if is_storage_key(&self.table, &self.table.constraints[at]) {
            return Err(PlanError::unsupported(format!(
                "dropping the primary key that table \"{}\" was created with",
                self.object.name
            ))
            .with_hint(
                "Its rows are stored by that key: create the table anew with CREATE TABLE AS.",
            ));
        }
        self.table.constraints.remove(at);
        Ok(())
    }

    fn not_null(&mut self, column: &Ident, set: bool) -> Result<(), PlanError> {
        let at = self.column(column)?;
        let primary = self.table.primary_key().and_then(|k| k.unique_columns());
        if !set && primary.is_some_and(|key| key.contains(&at)) {
            let message = format!("column \"{}\" is in a primary key", fold(column));
            return Err(PlanError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        self.table.columns[at].ty.nullable = !set;
        Ok(())
    }
}

/// Whether a table's rows are stored by this constraint's key.
fn is_storage_key(table: &Table, constraint: &Constraint) -> bool {
    !table.append_only
        && constraint.since == Timestamp::MIN
        && matches!(constraint.kind, ConstraintKind::PrimaryKey(_))
}

fn constraint_name(constraint: &TableConstraint) -> Option<&Ident> {
    match constraint {
        TableConstraint::PrimaryKey(c) => c.name.as_ref(),
        TableConstraint::Unique(c) => c.name.as_ref(),
        TableConstraint::Check(c) => c.name.as_ref(),
        _ => None,
    }
}

/// What PostgreSQL calls an action in messages.
fn action_name(action: Option<&TableAction>) -> &'static str {
    match action {
        Some(TableAction::AddColumn { .. }) | None => "ADD COLUMN",
        Some(TableAction::AddConstraint(_)) => "ADD CONSTRAINT",
        Some(TableAction::DropConstraint { .. }) => "DROP CONSTRAINT",
        Some(TableAction::Default { .. }) => "ALTER COLUMN ... SET DEFAULT",
        Some(TableAction::NotNull { set: true, .. }) => "ALTER COLUMN ... SET NOT NULL",
        Some(TableAction::NotNull { set: false, .. }) => "ALTER COLUMN ... DROP NOT NULL",
    }
}
