//! Statements that read or change data or catalog, within a transaction.

use super::Session;
use super::write::finished;
use crate::dml;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::planning::{QueryContext, attach_scalar, base_tables, bind_scalar};
use crate::read::{self, Answer, Served};
use crate::transaction::Transaction;
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::{Datum, RelationDesc, Row, RowArena, ScalarType, SqlState, Timestamp};
use everview_sql::plan::{CopyPlan, Plan, SelectPlan};
use std::sync::Arc;

/// One row of parameters' values, and their types.
pub(super) type Params<'p> = Option<(&'p Row, &'p [ScalarType])>;

impl Session {
    pub(super) async fn run_in_transaction(
        &mut self,
        plan: Plan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        self.check_interrupt()?;
        if let Some(error) = self.shared.damaged() {
            return Err(error);
        }
        if writes(&plan) && self.transaction()?.read_only {
            let message = format!("cannot execute {} in a read-only transaction", verb(&plan));
            return Err(Error::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        match plan {
            Plan::Select(select) => {
                let rows = self.select(&select, params).await?;
                let tag = format!("SELECT {}", rows.len());
                Ok(Outcome::Rows {
                    desc: Arc::new(select.desc),
                    rows,
                    tag,
                })
            }
            Plan::Explain(explain) => self.explain(*Box::new(explain), params),
            Plan::Subscribe(plan) => {
                let subscription = self.subscribe(plan, params)?;
                Ok(Outcome::Subscribe(Box::new(subscription)))
            }
            Plan::Insert(plan) => self.insert(plan, params).await,
            Plan::Update(plan) => {
                let answer = self.read(plan.source, params).await?;
                let table = self.writable(plan.table)?;
                let shared = self.shared.clone();
                let changed = dml::update(&shared, self.transaction()?, &table, answer)?;
                Ok(finished("UPDATE", changed, plan.returning))
            }
            Plan::Delete(plan) => {
                let answer = self.read(plan.source, params).await?;
                let table = self.writable(plan.table)?;
                let changed = dml::delete(self.transaction()?, &table, answer)?;
                Ok(finished("DELETE", changed, plan.returning))
            }
            Plan::Truncate(ids) => self.truncate(ids).await,
            Plan::Copy(plan) => self.copy(plan, params).await,
            ddl => self.change_catalog(ddl, params).await,
        }
    }

    pub(super) fn transaction(&mut self) -> Result<&mut Transaction, Error> {
        self.transaction
            .as_mut()
            .ok_or_else(|| Error::internal("no transaction is under way"))
    }

    /// The rows of an expression at the transaction's snapshot, own writes included; remembers what was read.
    pub(super) async fn read(
        &mut self,
        expr: RelExpr,
        params: Params<'_>,
    ) -> Result<Vec<(Row, i64)>, Error> {
        let snapshot = self.transaction()?.snapshot;
        self.read_as_of(expr, params, snapshot).await
    }

    pub(super) async fn read_as_of(
        &mut self,
        expr: RelExpr,
        params: Params<'_>,
        as_of: Timestamp,
    ) -> Result<Vec<(Row, i64)>, Error> {
        let desc = RelationDesc::new(
            expr.ty()
                .columns
                .into_iter()
                .map(|ty| ("?column?".to_string(), ty)),
        );
        let Answer { rows, served } = {
            let state = self.shared.catalog();
            let transaction = self.transaction.as_ref();
            let catalog = transaction.map_or(&state.catalog, |t| &t.catalog);
            let context = QueryContext {
                shared: &self.shared,
                state: &state,
                catalog,
                transaction,
                environment: Some(self.environment(catalog)),
                params,
            };
            read::read(&context, expr, &desc, as_of, self).await?
        };
        self.settings
            .tell("everview.last_read_timestamp", as_of.0.to_string());
        let transaction = self.transaction()?;
        match served {
            Served::Constant => {}
            Served::Keys(constraint, keys) => {
                keys.iter()
                    .for_each(|key| transaction.reads.key(constraint, key));
            }
            Served::Relations(relations) => {
                for relation in relations {
                    for table in base_tables(&transaction.catalog, relation) {
                        transaction.reads.all(table);
                    }
                }
            }
        }
        Ok(rows)
    }

    pub(super) async fn select(
        &mut self,
        plan: &SelectPlan,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        let as_of = match &plan.as_of {
            None => self.transaction()?.snapshot,
            Some(expr) => self.as_of(expr, params)?,
        };
        let limit = self.row_count(plan.finishing.limit.as_ref(), params, "LIMIT")?;
        let offset = self.row_count(plan.finishing.offset.as_ref(), params, "OFFSET")?;
        let rows = self.read_as_of(plan.expr.clone(), params, as_of).await?;
        let finishing = &plan.finishing;
        read::finish(
            rows,
            &finishing.order_by,
            limit,
            offset.unwrap_or(0),
            &finishing.project,
        )
    }

    /// The value of a constant expression.
    pub(super) fn constant<T>(
        &self,
        expr: &ScalarExpr,
        params: Params<'_>,
        f: impl FnOnce(Datum<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut expr = expr.clone();
        if let Some((values, types)) = params {
            let datums = values.unpack();
            expr.visit_mut_post(&mut |e| bind_scalar(e, &datums, types));
        }
        let state = self.shared.catalog();
        let environment = self.environment(&state.catalog);
        expr.visit_mut_post(&mut |e| attach_scalar(e, &environment));
        let arena = RowArena::new();
        match expr.eval(&[], &arena) {
            Datum::Error(error) => Err(error.to_error().into()),
            datum => f(datum),
        }
    }

    pub(super) fn row_count(
        &self,
        expr: Option<&ScalarExpr>,
        params: Params<'_>,
        clause: &str,
    ) -> Result<Option<u64>, Error> {
        let Some(expr) = expr else { return Ok(None) };
        self.constant(expr, params, |datum| match datum {
            Datum::Null => Ok(None),
            Datum::Int64(n) => u64::try_from(n).map(Some).map_err(|_| {
                let code = if clause == "LIMIT" {
                    SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE
                } else {
                    SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE
                };
                Error::new(code, format!("{clause} must not be negative"))
            }),
            _ => Err(Error::internal(format!("{clause} is not a bigint"))),
        })
    }
}

fn writes(plan: &Plan) -> bool {
    !matches!(
        plan,
        Plan::Select(_)
            | Plan::Explain(_)
            | Plan::Subscribe(_)
            | Plan::Copy(CopyPlan::To { .. } | CopyPlan::Subscribe { .. })
    )
}

fn verb(plan: &Plan) -> &'static str {
    match plan {
        Plan::Insert(_) => "INSERT",
        Plan::Update(_) => "UPDATE",
        Plan::Delete(_) => "DELETE",
        Plan::Truncate(_) => "TRUNCATE TABLE",
        Plan::Copy(_) => "COPY FROM",
        Plan::CreateSchema { .. } => "CREATE SCHEMA",
        Plan::CreateTable(_) => "CREATE TABLE",
        Plan::CreateView(_) => "CREATE VIEW",
        Plan::CreateIndex(_) => "CREATE INDEX",
        Plan::Drop { .. } => "DROP",
        Plan::Comment { .. } => "COMMENT",
        _ => "ALTER",
    }
}
