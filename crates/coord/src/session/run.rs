//! Statements that read or change data or catalog, within a transaction.

use super::Session;
use super::plans::Planned;
use super::write::finished;
use crate::dml;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::planning::QueryContext;
use crate::read::finish::{self, Finish};
use crate::read::{Answer, Interrupt, Served};
use crate::transaction::Transaction;
use crate::travel;
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::{Datum, Diff, Row, RowArena, SqlState, Timestamp};
use everview_sql::plan::{CopyPlan, Plan, SelectPlan};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) use crate::planning::Params;

impl Session {
    pub(super) async fn run_in_transaction(
        &mut self,
        planned: &Planned,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        self.check_interrupt()?;
        if let Some(error) = self.shared.damaged() {
            return Err(error);
        }
        let plan = &planned.plan;
        if writes(plan) && self.transaction()?.read_only {
            let message = format!("cannot execute {} in a read-only transaction", verb(plan));
            return Err(Error::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        match plan {
            Plan::Select(select) => {
                let rows = self.select(select, Some(planned), params).await?;
                let tag = format!("SELECT {}", rows.len());
                Ok(Outcome::Rows {
                    desc: planned.desc(&select.desc),
                    rows,
                    tag,
                })
            }
            Plan::Explain(explain) => self.explain(explain.clone(), params),
            Plan::Verify(plan) => self.verify(plan, params).await,
            Plan::Reader { call, desc } => self.call_reader(call, desc, params),
            Plan::Subscribe(plan) => {
                let subscription = Box::pin(self.subscribe(plan.clone(), params)).await?;
                Ok(Outcome::Subscribe(Box::new(subscription)))
            }
            Plan::Insert(plan) => self.insert(plan, planned, params).await,
            Plan::Update(plan) => {
                let answer = self.read_whole(&plan.source, Some(planned), params).await?;
                let table = self.writable(plan.table)?;
                let shared = self.shared.clone();
                let changed = dml::update(&shared, self.transaction()?, &table, answer)?;
                Ok(finished("UPDATE", changed, plan.returning.clone()))
            }
            Plan::Delete(plan) => {
                let answer = self.read_whole(&plan.source, Some(planned), params).await?;
                let table = self.writable(plan.table)?;
                let shared = self.shared.clone();
                let changed = dml::delete(&shared, self.transaction()?, &table, answer)?;
                Ok(finished("DELETE", changed, plan.returning.clone()))
            }
            Plan::Truncate(ids) => self.truncate(ids.clone()).await,
            Plan::Copy(plan) => self.copy(plan.clone(), params).await,
            ddl if self.transaction()?.batch.is_some() => {
                let what = format!(
                    "{} in a transaction that carries a sequence number",
                    verb(ddl)
                );
                Err(Error::unsupported(what).with_hint("Run it before the batch, by itself."))
            }
            ddl => self.change_catalog(ddl.clone(), params).await,
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
    ) -> Result<Vec<(Row, Diff)>, Error> {
        self.read_whole(&expr, None, params).await
    }

    /// As [`Session::read`], for the query in a planned statement.
    pub(super) async fn read_whole(
        &mut self,
        expr: &RelExpr,
        planned: Option<&Planned>,
        params: Params<'_>,
    ) -> Result<Vec<(Row, Diff)>, Error> {
        let snapshot = self.transaction()?.snapshot;
        let rows = self
            .read_as_of(expr, planned, params, snapshot, None)
            .await?;
        rows.iter().try_for_each(|(row, _)| finish::fails(row))?;
        Ok(rows)
    }

    pub(super) async fn read_as_of(
        &mut self,
        expr: &RelExpr,
        planned: Option<&Planned>,
        params: Params<'_>,
        as_of: Timestamp,
        finish: Option<&Finish<'_>>,
    ) -> Result<Vec<(Row, Diff)>, Error> {
        let (Answer { rows, served }, query) = {
            let state = Arc::clone(&self.shared.catalog());
            let transaction = self.transaction.as_ref();
            let catalog = transaction.map_or(&state.catalog, |t| &t.catalog);
            let environment = || self.environment(catalog);
            let context = QueryContext {
                shared: &self.shared,
                state: &state,
                catalog,
                transaction,
                environment: Some(&environment),
                params,
            };
            match self.by_own_keys(planned, expr, &context, &state, as_of)? {
                Some(found) => found,
                None => {
                    let query = self.compiled(planned, expr, &context, &state, as_of)?;
                    let _log = match query.reads_log() {
                        true => Some(Box::pin(travel::history(&self.shared, self)).await?),
                        false => None,
                    };
                    (context.read(&query, as_of, finish, self).await?, query)
                }
            }
        };
        let owed = self.owed_sleep.swap(0, Ordering::Relaxed);
        if owed > 0 {
            let sleep = tokio::time::sleep(Duration::from_micros(owed));
            self.guard(sleep).await?;
        }
        self.settings
            .tell("everview.last_read_timestamp", as_of.0.to_string());
        let transaction = self.transaction()?;
        match served {
            Served::Constant => {}
            Served::Keys(constraint, keys) => {
                keys.iter()
                    .for_each(|key| transaction.reads.key(constraint, key));
            }
            Served::Tables => query
                .tables
                .iter()
                .for_each(|table| transaction.reads.all(*table)),
        }
        Ok(rows)
    }

    pub(super) async fn select(
        &mut self,
        plan: &SelectPlan,
        planned: Option<&Planned>,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        let finish = self.finish(plan, params)?;
        let past = self.past.clone().filter(|_| plan.as_of.is_some());
        let as_of = match &past {
            None => self.transaction()?.snapshot,
            Some(past) => past.as_of,
        };
        let rows = match past {
            Some(past) if !self.remembers(&past, &plan.depends_on)? => {
                Box::pin(self.select_past(plan, params, &past)).await?
            }
            _ => {
                self.read_as_of(&plan.expr, planned, params, as_of, Some(&finish))
                    .await?
            }
        };
        finish.apply(rows)
    }

    /// What is asked of a query's answer.
    pub(super) fn finish<'p>(
        &self,
        plan: &'p SelectPlan,
        params: Params<'_>,
    ) -> Result<Finish<'p>, Error> {
        let finishing = &plan.finishing;
        let offset = self.row_count(finishing.offset.as_ref(), params, "OFFSET")?;
        Ok(Finish {
            order_by: &finishing.order_by,
            limit: self.row_count(finishing.limit.as_ref(), params, "LIMIT")?,
            offset: offset.unwrap_or(0),
            project: &finishing.project,
        })
    }

    /// The value of a constant expression.
    pub(super) fn constant<T>(
        &self,
        expr: &ScalarExpr,
        params: Params<'_>,
        f: impl FnOnce(Datum<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut expr = expr.clone();
        if !matches!(expr, ScalarExpr::Literal(..)) {
            self.bind_all([&mut expr].into_iter(), params);
        }
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

pub(super) fn writes(plan: &Plan) -> bool {
    !matches!(
        plan,
        Plan::Select(_)
            | Plan::Explain(_)
            | Plan::Verify(_)
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
        Plan::CreateOutside(_) => "CREATE",
        Plan::Drop { .. } => "DROP",
        Plan::Comment { .. } => "COMMENT",
        Plan::AlterRole(_) => "ALTER ROLE",
        Plan::Reader { .. } => "an acknowledgement",
        _ => "ALTER",
    }
}
