//! COMMIT of rows that others may have sent meanwhile.
//!
//! A transaction that has only sent rows, and has looked at nothing but whether they were there already, can be written
//! anew over what was committed since its snapshot: it comes to what it would have been, had it begun later. Rows that
//! came in between are left out then, as DEDUPLICATE BY asks for, where the transaction would have failed otherwise.

use super::Session;
use crate::copy;
use crate::dml;
use crate::error::Error;
use crate::producers::Action;
use crate::sequencer::{CommitOutcome, Refused};
use crate::transaction::{Coming, TableWrites, Transaction};
use everview_repr::GlobalId;
use std::collections::BTreeMap;

/// How often a transaction is written anew before its conflict is shown.
const MOST_REBASES: usize = 100;

impl Session {
    /// Commits a transaction; writes it anew as long as it meets what others have sent, if it may be.
    pub(super) async fn commit_rebased(
        &mut self,
        mut transaction: Transaction,
        producers: Option<Action>,
    ) -> Result<CommitOutcome, Error> {
        for _ in 0..MOST_REBASES {
            if !self.may_rebase(&transaction) {
                break;
            }
            let version = transaction.base_version;
            match self.try_commit(transaction, producers.clone()).await {
                Ok(outcome) => return Ok(outcome),
                Err(Refused {
                    error,
                    writes: Some(writes),
                }) if error.is_retryable()
                    && self.shared.catalog().catalog.version() == version =>
                {
                    transaction = self.written_anew(writes)?;
                    if !transaction.has_writes() && producers.is_none() {
                        return Ok(CommitOutcome::Committed(transaction.snapshot));
                    }
                }
                Err(refused) => return Err(refused.error),
            }
        }
        self.send_commit(transaction, producers).await
    }

    /// Whether a transaction has only sent rows, some to tables that leave out what was there before.
    fn may_rebase(&self, transaction: &Transaction) -> bool {
        let written = transaction.writes.iter().filter(|(_, w)| !w.is_empty());
        let mut deduplicates = false;
        for (id, writes) in written {
            let table = self.table(transaction, *id);
            deduplicates |= table.is_ok_and(|table| table.deduplicates());
            if writes.truncated || writes.rows.values().any(|diff| *diff < 0) {
                return false;
            }
        }
        deduplicates
            && transaction.reads.is_blind()
            && transaction.catalog_changes.is_empty()
            && transaction.passwords.is_empty()
            && transaction.acknowledged.is_empty()
    }

    /// The same rows sent by a transaction that begins now.
    fn written_anew(
        &mut self,
        writes: BTreeMap<GlobalId, TableWrites>,
    ) -> Result<Transaction, Error> {
        let shared = self.shared.clone();
        let mut transaction = self.new_transaction(true);
        let written = self.send_anew(&shared, &mut transaction, writes);
        match written {
            Ok(left_out) => {
                self.left_out += left_out;
                Ok(transaction)
            }
            Err(error) => {
                shared.log.abandon(transaction.id);
                Err(error)
            }
        }
    }

    fn send_anew(
        &self,
        shared: &crate::coordinator::Shared,
        transaction: &mut Transaction,
        writes: BTreeMap<GlobalId, TableWrites>,
    ) -> Result<u64, Error> {
        let mut left_out = 0;
        for (id, writes) in writes {
            let table = self.table(transaction, id)?;
            for chunk in &writes.chunks {
                let rows = shared.tables.written_ahead(std::slice::from_ref(chunk))?;
                let rows = rows.into_iter().map(|(row, _)| (row, 0)).collect();
                let written = copy::ahead::write(shared, transaction, &table, rows);
                // The lines of the input are not known any more.
                left_out += written.map_err(|error| Error {
                    context: None,
                    ..error
                })?;
            }
            for (row, times) in writes.rows {
                for _ in 0..times.max(0) {
                    let sent = Coming::Sent;
                    let written = dml::insert_row(shared, transaction, &table, row.clone(), sent)?;
                    left_out += u64::from(!written);
                }
            }
        }
        Ok(left_out)
    }
}
