//! Transactions: begun, committed through the sequencer, rolled back.

use super::Session;
use crate::error::Error;
use crate::sequencer::{CommitRequest, Request};
use crate::transaction::Transaction;
use everview_catalog::ObjectKind;
use everview_dataflow::DataflowDesc;
use everview_repr::{GlobalId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Session {
    /// Starts an implicit transaction for several statements of one string, unless one is under way.
    pub fn begin_implicit(&mut self) {
        if self.transaction.is_none() && !self.failed {
            self.transaction = Some(self.new_transaction(false));
        }
    }

    /// Commits the implicit transaction, if there is one and no BEGIN has made it explicit.
    pub async fn end_implicit(&mut self) -> Result<(), Error> {
        if self.transaction.as_ref().is_some_and(|t| !t.explicit) {
            return self.commit().await.map(drop);
        }
        Ok(())
    }

    /// Rolls the implicit transaction back, after an error in one of its statements.
    pub fn abort_implicit(&mut self) {
        if self.transaction.as_ref().is_some_and(|t| !t.explicit) {
            self.rollback();
        }
    }

    pub(super) fn new_transaction(&self, explicit: bool) -> Transaction {
        let guard = self.shared.snapshot();
        let state = self.shared.catalog();
        Transaction {
            id: self.shared.next_transaction(),
            snapshot: guard.timestamp(),
            guard,
            catalog: state.catalog.clone(),
            base_version: state.catalog.version(),
            catalog_changes: Vec::new(),
            reads: Default::default(),
            writes: BTreeMap::new(),
            explicit,
            read_only: self.settings.is_on("default_transaction_read_only"),
            started: self.statement_start,
        }
    }

    pub(super) fn fail_transaction(&mut self) {
        if self.transaction.as_ref().is_some_and(|t| t.explicit) {
            if let Some(transaction) = self.transaction.take() {
                self.shared.log.abandon(transaction.id);
            }
            self.failed = true;
        }
    }

    pub(super) fn rollback(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.shared.log.abandon(transaction.id);
        }
        self.end_transaction(false);
    }

    pub(super) fn end_transaction(&mut self, committed: bool) {
        self.failed = false;
        self.settings.end_transaction(committed);
        self.cursors.retain(|_, cursor| cursor.hold && committed);
    }

    /// Commits what the transaction wrote. It is over whatever comes of it.
    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        let Some(transaction) = self.transaction.take() else {
            self.end_transaction(true);
            return Ok(());
        };
        if !transaction.has_writes() {
            self.end_transaction(true);
            return Ok(());
        }
        let result = self.send_commit(transaction).await;
        self.end_transaction(result.is_ok());
        let timestamp = result?;
        self.settings
            .tell("everview.last_commit_timestamp", timestamp.0.to_string());
        Ok(())
    }

    pub(super) async fn send_commit(&self, transaction: Transaction) -> Result<Timestamp, Error> {
        let installs = self.installs(&transaction)?;
        let mut tables = BTreeMap::new();
        for id in transaction.writes.keys() {
            tables.insert(*id, self.table(&transaction, *id)?);
        }
        let (reply, answer) = tokio::sync::oneshot::channel();
        let request = CommitRequest {
            transaction: transaction.id,
            snapshot: transaction.snapshot,
            reads: transaction.reads,
            writes: transaction.writes,
            tables,
            catalog_changes: transaction.catalog_changes,
            base_version: transaction.base_version,
            installs,
            reply,
        };
        let guard = transaction.guard;
        let sent = self.shared.requests.send(Request::Commit(request));
        sent.map_err(|_| Error::shutting_down())?;
        // A commit under way is not cancelled: its outcome must be known.
        let result = answer.await.map_err(|_| Error::shutting_down())?;
        drop(guard);
        result
    }

    /// The dataflows that the transaction's DDL starts: of new views and indexes, and of what must follow a
    /// replaced view.
    pub(super) fn installs(&self, transaction: &Transaction) -> Result<Vec<DataflowDesc>, Error> {
        let mut ids = BTreeSet::new();
        for change in &transaction.catalog_changes {
            let Some(new) = &change.new else { continue };
            match (&change.old, &new.kind) {
                (None, ObjectKind::MaterializedView(_) | ObjectKind::Index(_)) => {
                    ids.insert(new.id);
                }
                (Some(old), ObjectKind::View(_)) if old.kind != new.kind => {
                    ids.extend(transaction.catalog.drop_order(new.id));
                }
                _ => {}
            }
        }
        let state = self.shared.catalog();
        let present = ids
            .into_iter()
            .filter(|id| transaction.catalog.get(*id).is_some());
        let mut installs = Vec::new();
        for id in present {
            installs.extend(crate::ddl::dataflow(
                &self.shared,
                &state,
                &transaction.catalog,
                id,
            )?);
        }
        Ok(installs)
    }

    /// A table compiled for writing, as the transaction sees it.
    pub(super) fn table(
        &self,
        transaction: &Transaction,
        id: GlobalId,
    ) -> Result<Arc<crate::table::StoredTable>, Error> {
        let state = self.shared.catalog();
        let own = transaction.catalog.get(id);
        let committed = state.catalog.get(id);
        if let (Some(own), Some(committed)) = (own, committed)
            && Arc::ptr_eq(own, committed)
            && let Some(table) = self.shared.tables.get(id)
        {
            return Ok(table);
        }
        let object = own.ok_or_else(|| Error::internal(format!("no table {id}")))?;
        Ok(Arc::new(crate::table::StoredTable::new(
            &transaction.catalog,
            object,
        )?))
    }
}
