//! COPY, both ways.

use super::run::Params;
use super::{Session, in_failed_transaction};
use crate::copy::{CopyState, format};
use crate::error::Error;
use crate::outcome::{CopyIn, CopyOutput, Outcome};
use everview_repr::{RelationDesc, Row};
use everview_sql::plan::{CopyOptions, CopyPlan};

impl Session {
    pub(super) async fn copy(
        &mut self,
        plan: CopyPlan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        match plan {
            CopyPlan::From {
                table,
                columns,
                mut defaults,
                options,
            } => {
                let table = self.writable(table)?;
                self.bind_all(defaults.iter_mut().map(|(_, e)| e), params);
                let formatting = self.input_formatting();
                let state = CopyState::new(table, columns, defaults, options, formatting);
                Ok(Outcome::CopyIn(Box::new(CopyIn {
                    state,
                    single: false,
                })))
            }
            CopyPlan::To { select, options } => {
                let rows = self.select(&select, None, params).await?;
                let lines = self.copy_lines(&select.desc, &rows, &options);
                let tag = format!("COPY {}", rows.len());
                let columns = select.desc.arity();
                Ok(Outcome::CopyOut {
                    columns,
                    lines: CopyOutput::Lines(lines),
                    tag,
                })
            }
            CopyPlan::Subscribe { subscribe, options } => {
                let subscription = self.subscribe(*subscribe, params)?;
                let columns = subscription.desc.arity();
                let lines = CopyOutput::Changes(Box::new(subscription), options);
                Ok(Outcome::CopyOut {
                    columns,
                    lines,
                    tag: "COPY".to_string(),
                })
            }
        }
    }

    /// Rows as lines of COPY's formats.
    pub fn copy_lines(
        &self,
        desc: &RelationDesc,
        rows: &[Row],
        options: &CopyOptions,
    ) -> Vec<Vec<u8>> {
        let types: Vec<_> = desc.columns.iter().map(|c| c.ty.scalar.clone()).collect();
        let formatting = self.formatting();
        let mut lines: Vec<Vec<u8>> = format::header(desc, options).into_iter().collect();
        for row in rows {
            let mut line = Vec::new();
            format::push_row(&mut line, &types, row.iter(), options, &formatting);
            lines.push(line);
        }
        lines
    }

    /// Takes a piece of a COPY's input; it may end anywhere.
    pub fn feed_copy(&mut self, copy: &mut CopyIn, bytes: &[u8]) -> Result<(), Error> {
        self.check_interrupt()?;
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
        Ok(format!("COPY {}", copy.state.rows()))
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
