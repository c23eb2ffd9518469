//! The one entry for statements: alone in a transaction of its own, which is tried again when it could not be
//! serialized, or within one.

use super::plans::{Planned, Statement};
use super::{Session, ends_transaction, in_failed_transaction};
use crate::error::Error;
use crate::outcome::{Outcome, TransactionStatus};
use everview_repr::{Row, ScalarType};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often a single statement is tried again before its conflict is shown.
const MOST_RETRIES: u32 = 10_000;

/// Characters of a statement that pg_stat_activity shows.
const LONGEST_SHOWN: usize = 1024;

impl Session {
    /// Runs a statement. `params` is one row of the parameters' values, of these types.
    pub async fn execute(
        &mut self,
        statement: &Statement,
        params: Option<(&Row, &[ScalarType])>,
    ) -> Result<Outcome, Error> {
        self.start_statement(statement);
        let result = self.execute_inner(statement, params).await;
        if result.is_err() {
            self.fail_transaction();
        }
        self.note_activity(None);
        result
    }

    pub(super) fn start_statement(&mut self, statement: &Statement) {
        self.entry.canceled.store(false, Ordering::SeqCst);
        self.statement_start = crate::clock::wall_clock_timestamptz();
        self.deadline = self
            .settings
            .duration("statement_timeout")
            .map(|d| Instant::now() + d);
        if self.producer.is_some() {
            self.tell_producer();
        }
        self.note_activity(Some(statement.sql()));
    }

    pub(super) fn note_activity(&self, query: Option<&str>) {
        let now = crate::clock::wall_clock_timestamptz();
        let mut activity = self.entry.activity.lock();
        if let Some(query) = query {
            let application = self.settings.get("application_name").unwrap_or("");
            application.clone_into(&mut activity.application);
            let end = query
                .char_indices()
                .nth(LONGEST_SHOWN)
                .map_or(query.len(), |(at, _)| at);
            query[..end].clone_into(&mut activity.query);
            activity.query_start = Some(self.statement_start);
        }
        activity.state = match (query, self.status()) {
            (Some(_), _) => "active",
            (None, TransactionStatus::Idle) => "idle",
            (None, TransactionStatus::Active) => "idle in transaction",
            (None, TransactionStatus::Failed) => "idle in transaction (aborted)",
        };
        activity.transaction_start = self.transaction.as_ref().map(|t| t.started);
        activity.state_change = now;
    }

    pub(super) async fn execute_inner(
        &mut self,
        statement: &Statement,
        params: Option<(&Row, &[ScalarType])>,
    ) -> Result<Outcome, Error> {
        if self.failed && !ends_transaction(statement) {
            return Err(in_failed_transaction());
        }
        let declared: Vec<_> = params
            .map(|(_, types)| types.iter().cloned().map(Some).collect())
            .unwrap_or_default();
        let mut planned = self.planned_in_time(statement, &declared, params).await?;
        if let Some(outcome) = self.control(&planned.plan, params).await? {
            return Ok(outcome);
        }
        if let Some(transaction) = &mut self.transaction {
            if let Some(batch) = &mut transaction.batch
                && super::run::writes(&planned.plan)
            {
                batch.statement(statement.sql(), params.map(|(row, _)| row));
            }
            return self.run_in_transaction(&planned, params).await;
        }
        for attempt in 0.. {
            let mut transaction = self.new_transaction(false);
            transaction.again = attempt > 0;
            self.transaction = Some(transaction);
            let result = self.run_single(&planned, params).await;
            match result {
                Err(error) if error.is_retryable() && attempt < MOST_RETRIES => {
                    self.rollback();
                    self.check_interrupt()?;
                    if attempt > 8 {
                        tokio::time::sleep(Duration::from_micros(100 * u64::from(attempt.min(50))))
                            .await;
                    }
                    planned = self.planned_in_time(statement, &declared, params).await?;
                }
                Err(error) => {
                    self.rollback();
                    return Err(error);
                }
                Ok(outcome) => return Ok(outcome),
            }
        }
        Err(Error::serialization())
    }

    /// A statement in a transaction of its own: committed at once, unless it is a COPY that waits for its input.
    pub(super) async fn run_single(
        &mut self,
        planned: &Planned,
        params: Option<(&Row, &[ScalarType])>,
    ) -> Result<Outcome, Error> {
        let mut outcome = self.run_in_transaction(planned, params).await?;
        if let Outcome::CopyIn(copy) = &mut outcome {
            copy.single = true;
            return Ok(outcome);
        }
        // What could not be committed is run again as a whole.
        self.commit_or_rebase(false).await?;
        Ok(outcome)
    }
}
