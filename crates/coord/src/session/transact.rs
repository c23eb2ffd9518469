//! Transactions: begun, committed through the sequencer, rolled back.

use super::Session;
use crate::error::Error;
use crate::producers::Action;
use crate::sequencer::{CommitOutcome, CommitRequest, Refused, Request};
use crate::transaction::Transaction;
use everview_catalog::ObjectKind;
use everview_dataflow::{DataflowDesc, Export};
use everview_repr::GlobalId;
use std::collections::BTreeMap;
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
            passwords: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            reads: Default::default(),
            writes: BTreeMap::new(),
            batch: None,
            explicit,
            again: false,
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
        self.settings.tell("everview.sequence", String::new());
        self.cursors.retain(|_, cursor| cursor.hold && committed);
    }

    /// Commits what the transaction wrote. It is over whatever comes of it.
    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        self.commit_or_rebase(true).await
    }

    /// As [`Session::commit`]; with `rebase`, rows that others have sent meanwhile are left out where that is what
    /// their table asks for, instead of failing.
    pub(super) async fn commit_or_rebase(&mut self, rebase: bool) -> Result<(), Error> {
        self.left_out = 0;
        let Some(mut transaction) = self.transaction.take() else {
            self.end_transaction(true);
            return Ok(());
        };
        // A batch takes its number, with rows or without.
        if !transaction.has_writes() && transaction.batch.is_none() {
            self.end_transaction(true);
            return Ok(());
        }
        let producers = self.stamp_of(&transaction);
        let batch = transaction.batch.take();
        let result = match rebase {
            true => self.commit_rebased(transaction, producers).await,
            false => self.send_commit(transaction, producers).await,
        };
        self.end_transaction(result.is_ok());
        let duplicate = match result? {
            CommitOutcome::Committed(timestamp) => {
                let timestamp = timestamp.0.to_string();
                self.settings
                    .tell("everview.last_commit_timestamp", timestamp);
                None
            }
            CommitOutcome::Duplicate(duplicate) => Some(duplicate),
        };
        if let Some(batch) = batch {
            self.report_batch(&batch, duplicate);
        }
        Ok(())
    }

    pub(super) async fn send_commit(
        &self,
        transaction: Transaction,
        producers: Option<Action>,
    ) -> Result<CommitOutcome, Error> {
        let sent = self.try_commit(transaction, producers).await;
        sent.map_err(|refused| refused.error)
    }

    /// As [`Session::send_commit`]; a refusal may give the writes back.
    pub(super) async fn try_commit(
        &self,
        transaction: Transaction,
        producers: Option<Action>,
    ) -> Result<CommitOutcome, Refused> {
        let installs = self.installs(&transaction)?;
        let mut tables = BTreeMap::new();
        let altered = transaction
            .catalog_changes
            .iter()
            .filter_map(|c| c.new.as_ref());
        let altered = altered.filter(|o| matches!(o.kind, ObjectKind::Table(_)));
        for id in transaction
            .writes
            .keys()
            .copied()
            .chain(altered.map(|o| o.id))
        {
            tables.insert(id, self.table(&transaction, id)?);
        }
        let (reply, answer) = tokio::sync::oneshot::channel();
        let request = CommitRequest {
            transaction: transaction.id,
            snapshot: transaction.snapshot,
            reads: transaction.reads,
            writes: transaction.writes,
            tables,
            catalog_changes: transaction.catalog_changes,
            passwords: transaction.passwords,
            acknowledged: transaction.acknowledged,
            base_version: transaction.base_version,
            installs,
            producers,
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
        let mut state = (**self.shared.catalog()).clone();
        let catalog = &transaction.catalog;
        let ids = crate::ddl::rebuilt(catalog, &transaction.catalog_changes);
        let mut installs = Vec::new();
        for available in Arc::make_mut(&mut state.indexes).values_mut() {
            available.retain(|(index, _)| !ids.contains(index) && catalog.get(*index).is_some());
        }
        for id in ids {
            let Some(desc) = crate::ddl::dataflow(&self.shared, &state, catalog, id)? else {
                continue;
            };
            // What is built later reads what is built before it.
            if let Export::Index { arrangements, .. } = &desc.export {
                let on = match catalog.get(id).map(|o| &o.kind) {
                    Some(ObjectKind::Index(index)) => index.on,
                    _ => id,
                };
                let available = Arc::make_mut(&mut state.indexes).entry(on).or_default();
                available.extend(arrangements.iter().map(|a| (id, a.clone())));
            }
            installs.push(desc);
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
