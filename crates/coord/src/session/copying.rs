//! COPY, both ways.

use super::run::Params;
use super::{Session, in_failed_transaction};
use crate::copy::{Columns, CopyState};
use crate::error::Error;
use crate::outcome::{CopyIn, CopyOutput, Outcome};
use crate::read::RowStream;
use crate::table::StoredTable;
use everview_catalog::catalog::Change;
use everview_repr::SqlState;
use everview_sql::plan::{CopyPlan, SelectPlan};

impl Session {
    pub(super) async fn copy(
        &mut self,
        plan: CopyPlan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        match plan {
            CopyPlan::From {
                table,
                columns: given,
                mut defaults,
                mut filter,
                freeze,
                options,
            } => {
                let table = self.writable(table)?;
                if freeze {
                    self.check_freeze(&table)?;
                }
                let exprs = defaults.iter_mut().map(|(_, e)| e).chain(&mut filter);
                self.bind_all(exprs, params);
                let formatting = self.input_formatting();
                let columns = Columns {
                    given,
                    defaults,
                    filter,
                };
                let state = CopyState::new(table, columns, options, formatting);
                Ok(Outcome::CopyIn(Box::new(CopyIn {
                    state,
                    single: false,
                })))
            }
            CopyPlan::To { select, options } => {
                if let Some(rows) = self.stream(&select, params)? {
                    let desc = select.desc;
                    return Ok(Outcome::CopyOut {
                        columns: desc.arity(),
                        output: CopyOutput::Stream(rows, desc, options),
                        tag: "COPY".to_string(),
                    });
                }
                let rows = self.select(&select, None, params).await?;
                let tag = format!("COPY {}", rows.len());
                let desc = select.desc;
                Ok(Outcome::CopyOut {
                    columns: desc.arity(),
                    output: CopyOutput::Rows(rows, desc, options),
                    tag,
                })
            }
            CopyPlan::Subscribe { subscribe, options } => {
                let subscription = Box::pin(self.subscribe(*subscribe, params)).await?;
                let columns = subscription.desc.arity();
                Ok(Outcome::CopyOut {
                    columns,
                    output: CopyOutput::Changes(Box::new(subscription), options),
                    tag: "COPY".to_string(),
                })
            }
        }
    }

    /// The rows of a query, as they are read, if it only looks through a table.
    fn stream(
        &mut self,
        select: &SelectPlan,
        params: Params<'_>,
    ) -> Result<Option<RowStream>, Error> {
        let finish = self.finish(select, params)?;
        let cut = finish.limit.is_some() || finish.offset > 0;
        if cut || !finish.order_by.is_empty() || select.as_of.is_some() {
            return Ok(None);
        }
        let snapshot = self.transaction()?.snapshot;
        let query = self.compiled_at(&select.expr, params, snapshot)?;
        let Some(scan) = query.scan() else {
            return Ok(None);
        };
        let transaction = self.transaction()?;
        let tables = query.tables.iter();
        tables.for_each(|table| transaction.reads.all(*table));
        let guard = transaction.guard.again();
        let tables = self.shared.tables.clone();
        Ok(Some(scan.stream(tables, guard, finish.project.to_vec())))
    }

    /// FREEZE changes nothing here, where no row ever has to be frozen; but what PostgreSQL refuses is refused.
    fn check_freeze(&mut self, table: &StoredTable) -> Result<(), Error> {
        let transaction = self.transaction()?;
        let created = |change: &Change| {
            change.old.is_none() && change.new.as_ref().is_some_and(|new| new.id == table.id)
        };
        if transaction.table(table.id).truncated || transaction.catalog_changes.iter().any(created)
        {
            return Ok(());
        }
        let message = "cannot perform COPY FREEZE because the table was not created or truncated in the current subtransaction";
        Err(Error::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            message,
        ))
    }

    /// Takes a piece of a COPY's input; it may end anywhere.
    pub fn feed_copy(&mut self, copy: &mut CopyIn, bytes: &[u8]) -> Result<(), Error> {
        self.check_interrupt().map_err(|e| copy.state.located(e))?;
        copy.state.feed(bytes)?;
        if let Some(batch) = self.batch() {
            batch.stream(bytes);
        }
        if copy.state.is_full() {
            let transaction = self
                .transaction
                .as_mut()
                .ok_or_else(in_failed_transaction)?;
            copy.state.flush(&self.shared, transaction, false)?;
        }
        Ok(())
    }

    /// Ends a COPY; its rows become part of the transaction. Gives the command tag.
    pub async fn finish_copy(&mut self, mut copy: Box<CopyIn>) -> Result<String, Error> {
        let result = self.finish_copy_inner(&mut copy).await;
        if result.is_err() {
            self.end_copy(copy.single);
        }
        result
    }

    pub(super) async fn finish_copy_inner(&mut self, copy: &mut CopyIn) -> Result<String, Error> {
        copy.state.end()?;
        if let Some(batch) = self.batch() {
            batch.end_stream();
        }
        let transaction = self
            .transaction
            .as_mut()
            .ok_or_else(in_failed_transaction)?;
        copy.state.flush(&self.shared, transaction, true)?;
        if copy.single {
            self.commit().await?;
        }
        self.note_activity(None);
        let left_out = if copy.single { self.left_out } else { 0 };
        Ok(format!(
            "COPY {}",
            copy.state.count().saturating_sub(left_out)
        ))
    }

    /// Gives a COPY up, after an error of [`Session::feed_copy`] or because the client says so.
    pub fn abandon_copy(&mut self, copy: Box<CopyIn>) {
        self.end_copy(copy.single);
    }

    pub(super) fn end_copy(&mut self, single: bool) {
        if single {
            self.rollback()
        } else {
            self.fail_transaction()
        }
        self.note_activity(None);
    }
}
