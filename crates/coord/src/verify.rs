//! VERIFY: what is shown, against what the log says.
//!
//! A materialized view is derived again by workers of its own, from tables that are read from the log and not from the
//! store, without any other view's arrangement; a table's rows in the store are compared with its changes in the log. What
//! is compared are order-free digests of the rows ([`everview_repr::digest`]), and how many there are.
//!
//! This module knows no sessions: what it is given and gives are plans, rows and digests.

use crate::coordinator::Shared;
use crate::error::Error;
use crate::history::History;
use crate::read::Interrupt;
use everview_dataflow::{Compute, DataflowDesc, DataflowId, Export, TableReader};
use everview_optimize::physical::DataflowPlan;
use everview_repr::digest::{Digest, DigestKey};
use everview_repr::{Diff, GlobalId, Row, SqlState, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(test)]
mod tests;

/// A collection's contents, as far as they are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Contents {
    /// Rows, by multiplicity.
    pub rows: Diff,
    pub digest: Digest,
}

impl Contents {
    /// Of these rows.
    pub fn of(rows: &[(Row, Diff)]) -> Contents {
        let mut contents = Contents::default();
        contents.add(&DigestKey::default(), rows);
        contents
    }

    fn add(&mut self, key: &DigestKey, rows: &[(Row, Diff)]) {
        let mut hashes = Vec::with_capacity(rows.len());
        key.hash_many(rows.iter().map(|(row, _)| row.as_ref()), &mut hashes);
        for (hash, (_, diff)) in hashes.into_iter().zip(rows) {
            self.digest.update_hash(hash, *diff);
            self.rows += diff;
        }
    }
}

/// Stops what was begun on another thread when it is not waited for any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs something long on a thread for it; `work` looks at the flag now and then, and ends when it is set.
pub(crate) async fn aside<T: Send + 'static>(
    interrupt: &impl Interrupt,
    work: impl FnOnce(&AtomicBool) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let stop = StopOnDrop(Arc::default());
    let flag = stop.0.clone();
    let done = interrupt
        .guard(tokio::task::spawn_blocking(move || work(&flag)))
        .await?;
    done.map_err(|error| Error::internal(error.to_string()))?
}

/// Reads all of the log, whether others have read it before or not.
pub(crate) async fn history(
    shared: &Arc<Shared>,
    interrupt: &impl Interrupt,
) -> Result<Arc<History>, Error> {
    let history = Arc::new(History::of(shared.log.reader()));
    let (read, up_to) = (history.clone(), shared.now());
    aside(interrupt, move |stop| read.read(up_to, stop)).await?;
    Ok(history)
}

/// A table's contents as of a time, as a reader has them.
pub(crate) async fn table(
    reader: Arc<dyn TableReader>,
    table: GlobalId,
    as_of: Timestamp,
    interrupt: &impl Interrupt,
) -> Result<Contents, Error> {
    let read = move |stop: &AtomicBool| {
        let key = DigestKey::default();
        let mut contents = Contents::default();
        for chunk in reader.scan(table, as_of, 0, 1) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            contents.add(
                &key,
                &chunk.map_err(|e| Error::new(SqlState::DATA_CORRUPTED, e))?,
            );
        }
        Ok(contents)
    };
    aside(interrupt, read).await
}

/// The rows of a plan over tables, errors in them as values, derived from the log by workers of its own.
pub(crate) async fn derive(
    history: &Arc<History>,
    plan: DataflowPlan,
    as_of: Timestamp,
    workers: usize,
    interrupt: &impl Interrupt,
) -> Result<Vec<(Row, Diff)>, Error> {
    let reader: Arc<dyn TableReader> = history.clone();
    let compute = Compute::start(workers, reader).map_err(|e| Error::internal(e.to_string()))?;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let id = DataflowId(1);
    compute.advance(Arc::default(), as_of.next());
    compute.install(DataflowDesc {
        id,
        name: "verification".to_string(),
        plan,
        as_of,
        until: Some(as_of.next()),
        export: Export::Peek(sender),
    });
    let found = interrupt.guard(receiver).await;
    compute.drop_dataflow(id);
    // The workers end by themselves; nobody waits for them here.
    std::thread::Builder::new()
        .name("verified".to_string())
        .spawn(move || drop(compute))
        .map_err(|e| Error::internal(e.to_string()))?;
    let found = found?.map_err(|_| Error::shutting_down())??;
    Ok(found.sum_with_values()?)
}
