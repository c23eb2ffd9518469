//! INSERT: complete rows of the table, ON CONFLICT, RETURNING.

use crate::dml::{Target, is_default};
use crate::error::{At, PlanError};
use crate::hir::{HirRel, HirScalar};
use crate::lower::lower;
use crate::names::{self, Name, fold};
use crate::plan::{ConflictUpdate, InsertPlan, OnConflict};
use crate::planner::{ExprContext, Planner};
use crate::query::build::{is_values, map, project};
use crate::query::limit::to_plain_scalar;
use crate::query::values::rows_relation;
use crate::scope::{Env, Frame, Scope};
use everview_expr::ScalarExpr;
use everview_repr::{GlobalId, SqlState};
use sqlparser::ast::{
    self, Assignment, ConflictTarget, DoUpdate, Insert, OnConflictAction, OnInsert, Query, Spanned,
    TableObject, Values,
};

impl Planner<'_> {
    pub(crate) fn insert(&mut self, insert: &Insert) -> Result<InsertPlan, PlanError> {
        check_clauses(insert)?;
        let TableObject::TableName(name) = &insert.table else {
            return Err(PlanError::syntax("INSERT takes a table's name"));
        };
        let name = Name::new(name)?;
        let target = self.target(&name, "insert into")?;
        let alias = insert.table_alias.as_ref().map(|a| fold(&a.alias));
        let columns = self.insert_columns(insert, &target)?;
        let source = self.insert_source(insert, &target, &columns)?;
        let depends_on = self.depends_on.clone();
        let scope = target.scope(alias, self.schema_name(&target.object));
        let on_conflict = match &insert.on {
            None => None,
            Some(OnInsert::OnConflict(on)) => Some(self.on_conflict(on, &target, &scope)?),
            Some(_) => return Err(PlanError::syntax("syntax error at ON")),
        };
        let returning = match &insert.returning {
            Some(items) => Some(self.returning(items, &scope)?),
            None => None,
        };
        Ok(InsertPlan {
            table: target.object.id,
            source: lower(source),
            depends_on,
            on_conflict,
            returning,
        })
    }

    /// Positions of the columns named, all where none are.
    fn insert_columns(&self, insert: &Insert, target: &Target) -> Result<Vec<usize>, PlanError> {
        if insert.columns.is_empty() {
            return Ok((0..target.desc.arity()).collect());
        }
        let mut out = Vec::new();
        for column in &insert.columns {
            let name = Name::new(column)?;
            let at = target_column(target, &name.name).at(name.position)?;
            if out.contains(&at) {
                let message = format!("column \"{}\" specified more than once", name.name);
                return Err(PlanError::new(SqlState::DUPLICATE_COLUMN, message).at(name.position));
            }
            out.push(at);
        }
        Ok(out)
    }

    fn insert_source(
        &mut self,
        insert: &Insert,
        target: &Target,
        columns: &[usize],
    ) -> Result<HirRel, PlanError> {
        let Some(query) = &insert.source else {
            // DEFAULT VALUES
            let row = self.complete(target, vec![])?;
            return Ok(rows_relation(vec![row], nullable_types(target)));
        };
        match is_values(query) {
            Some(values) => self.insert_values(values, insert, target, columns),
            None => self.insert_query(query, insert, target, columns),
        }
    }

    fn insert_values(
        &mut self,
        values: &Values,
        insert: &Insert,
        target: &Target,
        columns: &[usize],
    ) -> Result<HirRel, PlanError> {
        if values.explicit_row || values.value_keyword {
            return Err(PlanError::syntax("syntax error at VALUES"));
        }
        let scope = Scope::default();
        let env = Env::EMPTY.with(Frame::Row(&scope));
        let cx = ExprContext::plain(&env, "VALUES");
        let width = values.rows.first().map_or(0, |r| r.content.len());
        if width < columns.len() && !insert.columns.is_empty() {
            return Err(too_few(insert, width));
        }
        let mut defaults: Vec<Option<HirScalar>> = vec![None; target.desc.arity()];
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let row = &row.content;
            if row.len() != width {
                return Err(
                    PlanError::syntax("VALUES lists must all be the same length")
                        .at(row.first().and_then(|e| names::start(e.span()))),
                );
            }
            if row.len() > columns.len() {
                return Err(
                    PlanError::syntax("INSERT has more expressions than target columns")
                        .at(row.get(columns.len()).and_then(|e| names::start(e.span()))),
                );
            }
            let mut complete: Vec<Option<HirScalar>> = vec![None; target.desc.arity()];
            for (expr, &at) in row.iter().zip(columns) {
                if is_default(expr) {
                    continue;
                }
                let value = self.expr(expr, &cx)?;
                let column = &target.table.columns[at];
                complete[at] = Some(self.assign(value, &column.name, &column.ty)?.expr);
            }
            let mut out = Vec::with_capacity(complete.len());
            for (at, value) in complete.into_iter().enumerate() {
                out.push(match (value, &defaults[at]) {
                    (Some(value), _) => value,
                    (None, Some(default)) => default.clone(),
                    (None, None) => {
                        let default = self.default_value(&target.table.columns[at])?;
                        defaults[at] = Some(default.clone());
                        default
                    }
                });
            }
            rows.push(out);
        }
        Ok(rows_relation(rows, nullable_types(target)))
    }

    fn insert_query(
        &mut self,
        query: &Query,
        insert: &Insert,
        target: &Target,
        columns: &[usize],
    ) -> Result<HirRel, PlanError> {
        let body = self.query_outputs(query, &Env::EMPTY)?;
        let count = body.outputs.len();
        if count > columns.len() {
            return Err(
                PlanError::syntax("INSERT has more expressions than target columns").at(body
                    .outputs
                    .get(columns.len())
                    .and_then(|o| o.value.position)),
            );
        }
        if count < columns.len() && !insert.columns.is_empty() {
            return Err(too_few(insert, count));
        }
        let mut given = Vec::new();
        for (output, &at) in body.outputs.into_iter().zip(columns) {
            let column = &target.table.columns[at];
            given.push((
                at,
                self.assign(output.value, &column.name, &column.ty)?.expr,
            ));
        }
        let row = self.complete(target, given)?;
        let (arity, width) = (body.arity, row.len());
        let outputs = (arity..arity + width).collect();
        Ok(project(map(body.rel, row), outputs, arity + width))
    }

    /// A row of all columns: those given, defaults for the rest.
    fn complete(
        &mut self,
        target: &Target,
        given: Vec<(usize, HirScalar)>,
    ) -> Result<Vec<HirScalar>, PlanError> {
        let mut row: Vec<Option<HirScalar>> = vec![None; target.desc.arity()];
        for (at, value) in given {
            row[at] = Some(value);
        }
        let mut out = Vec::new();
        for (value, column) in row.into_iter().zip(&target.table.columns) {
            out.push(match value {
                Some(value) => value,
                None => self.default_value(column)?,
            });
        }
        Ok(out)
    }

    fn on_conflict(
        &mut self,
        on: &ast::OnConflict,
        target: &Target,
        scope: &Scope,
    ) -> Result<OnConflict, PlanError> {
        let ast::OnConflict {
            conflict_target,
            action,
        } = on;
        let constraint = match conflict_target {
            None => None,
            Some(given) => Some(arbiter(self.catalog, given, target)?),
        };
        let update = match action {
            OnConflictAction::DoNothing => None,
            OnConflictAction::DoUpdate(_) if constraint.is_none() => {
                return Err(PlanError::syntax(
                    "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                )
                .with_hint("For example, ON CONFLICT (column_name)."));
            }
            OnConflictAction::DoUpdate(update) => {
                target.check_mutable("update")?;
                Some(self.conflict_update(update, target, scope)?)
            }
        };
        Ok(OnConflict { constraint, update })
    }

    fn conflict_update(
        &mut self,
        update: &DoUpdate,
        target: &Target,
        scope: &Scope,
    ) -> Result<ConflictUpdate, PlanError> {
        let DoUpdate {
            assignments,
            selection,
        } = update;
        let excluded = Scope {
            // Unqualified names mean the existing row.
            visible: vec![],
            ..target.scope(Some("excluded".to_string()), None)
        };
        let both = scope.clone().product(excluded);
        let new = self.assignments(assignments, target, &both, "UPDATE")?;
        let plain = |e: &HirScalar| {
            to_plain_scalar(e)
                .ok_or_else(|| PlanError::unsupported("a subquery in ON CONFLICT DO UPDATE"))
        };
        let mut row: Vec<ScalarExpr> = (0..target.desc.arity()).map(ScalarExpr::Column).collect();
        for (at, value) in new {
            row[at] = plain(&value)?;
        }
        let filter = match selection {
            None => None,
            Some(condition) => {
                let env = Env::EMPTY.with(Frame::Row(&both));
                let all = self.condition(condition, &ExprContext::plain(&env, "WHERE"))?;
                let mut all = all.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
                Some(if all.len() == 1 {
                    all.remove(0)
                } else {
                    ScalarExpr::And(all)
                })
            }
        };
        Ok(ConflictUpdate { row, filter })
    }

    /// SET's values over a row, by column.
    pub(crate) fn assignments(
        &mut self,
        assignments: &[Assignment],
        target: &Target,
        scope: &Scope,
        clause: &'static str,
    ) -> Result<Vec<(usize, HirScalar)>, PlanError> {
        let env = Env::EMPTY.with(Frame::Row(scope));
        self.assignments_in(assignments, target, &env, clause)
    }
}

/// More columns are named than values given.
fn too_few(insert: &Insert, count: usize) -> PlanError {
    let position = insert
        .columns
        .get(count)
        .and_then(|c| Name::new(c).ok())
        .and_then(|n| n.position);
    PlanError::syntax("INSERT has more target columns than expressions").at(position)
}

/// The position of a target's column.
pub(super) fn target_column(target: &Target, name: &str) -> Result<usize, PlanError> {
    target.desc.position(name).ok_or_else(|| {
        let message = format!(
            "column \"{name}\" of relation \"{}\" does not exist",
            target.object.name
        );
        PlanError::new(SqlState::UNDEFINED_COLUMN, message)
    })
}

/// The columns' types, where NULL can still be on its way to a NOT NULL column.
fn nullable_types(target: &Target) -> Vec<everview_repr::ColumnType> {
    target
        .desc
        .types()
        .into_iter()
        .map(|t| t.with_nullable(true))
        .collect()
}

/// The unique constraint that a conflict target means.
fn arbiter(
    catalog: &everview_catalog::Catalog,
    given: &ConflictTarget,
    target: &Target,
) -> Result<GlobalId, PlanError> {
    match given {
        ConflictTarget::OnConstraint(name) => {
            let name = Name::new(name)?;
            let found = target
                .table
                .constraints
                .iter()
                .find(|c| c.name == name.name);
            let Some(constraint) = found else {
                let message = format!(
                    "constraint \"{}\" for table \"{}\" does not exist",
                    name.name, target.object.name
                );
                return Err(PlanError::new(SqlState::UNDEFINED_OBJECT, message));
            };
            match constraint.unique_columns() {
                None => {
                    let message = "constraint in ON CONFLICT clause has no associated index";
                    Err(PlanError::new(SqlState::WRONG_OBJECT_TYPE, message))
                }
                Some(_) => Ok(constraint.id),
            }
        }
        ConflictTarget::Columns {
            predicate: Some(_), ..
        } => Err(PlanError::unsupported("a partial index in ON CONFLICT")),
        ConflictTarget::Columns {
            columns,
            predicate: None,
        } => {
            let mut key = Vec::new();
            for column in columns {
                let at = target.desc.position(&fold(column)).ok_or_else(|| {
                    let message = format!("column \"{}\" does not exist", fold(column));
                    PlanError::new(SqlState::UNDEFINED_COLUMN, message).at(names::at(column))
                })?;
                key.push(at);
            }
            key.sort_unstable();
            key.dedup();
            let matches = |c: &&everview_catalog::object::Constraint| {
                let mut unique = c.unique_columns().unwrap_or_default().to_vec();
                unique.sort_unstable();
                c.unique_columns().is_some() && unique == key
            };
            let constraint = target.table.constraints.iter().find(matches);
            let index = || {
                let indexes = catalog.unique_indexes(target.object.id).into_iter();
                let mut same = indexes.filter(|(_, columns)| {
                    let mut unique = columns.clone();
                    unique.sort_unstable();
                    unique == key
                });
                same.next().map(|(index, _)| index.id)
            };
            constraint.map(|c| c.id).or_else(index).ok_or_else(|| {
                let message =
                    "there is no unique or exclusion constraint matching the ON CONFLICT specification";
                PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
            })
        }
    }
}

/// Refuses what sqlparser reads and Postgres has not, or Everview has not.
fn check_clauses(insert: &Insert) -> Result<(), PlanError> {
    let Insert {
        insert_token,
        optimizer_hints,
        or,
        ignore,
        into,
        table: _,
        table_alias: _,
        columns: _,
        by_name,
        overwrite,
        source: _,
        assignments,
        partitioned,
        after_columns,
        overriding,
        has_table_keyword,
        on: _,
        returning: _,
        output,
        replace_into,
        priority,
        insert_alias,
        settings,
        format_clause,
        multi_table_insert_type,
        multi_table_into_clauses,
        multi_table_when_clauses,
        multi_table_else_clause,
    } = insert;
    let position = names::start(insert_token.0.span);
    if overriding.is_some() {
        return Err(PlanError::unsupported("OVERRIDING").at(position));
    }
    let foreign = !optimizer_hints.is_empty()
        || or.is_some()
        || *ignore
        || !*into
        || *by_name
        || *overwrite
        || !assignments.is_empty()
        || partitioned.is_some()
        || !after_columns.is_empty()
        || *has_table_keyword
        || output.is_some()
        || *replace_into
        || priority.is_some()
        || insert_alias.is_some()
        || settings.is_some()
        || format_clause.is_some()
        || multi_table_insert_type.is_some()
        || !multi_table_into_clauses.is_empty()
        || !multi_table_when_clauses.is_empty()
        || multi_table_else_clause.is_some();
    if foreign {
        Err(PlanError::syntax("syntax error in INSERT").at(position))
    } else {
        Ok(())
    }
}
