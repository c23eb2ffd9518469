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
use crate::read::{DropDataflow, Interrupt};
use everview_dataflow::{
    ChangeChunks, Changes, Compute, Contents, DataflowDesc, DataflowId, Export, RowChunks,
    TableReader, Tally,
};
use everview_optimize::physical::DataflowPlan;
use everview_repr::{GlobalId, SqlState, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(test)]
mod tests;

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
    let (log, head) = (shared.log.reader(), shared.log.head());
    let read = move |stop: &AtomicBool| History::whole(log, head, stop);
    aside(interrupt, read).await.map(Arc::new)
}

/// A table's contents as of a time, as a reader has them.
pub(crate) async fn table(
    reader: Arc<dyn TableReader>,
    table: GlobalId,
    as_of: Timestamp,
    interrupt: &impl Interrupt,
) -> Result<Contents, Error> {
    let read = move |stop: &AtomicBool| {
        let mut contents = Contents::default();
        for chunk in reader.scan(table, as_of, 0, 1) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            contents.add(&chunk.map_err(|e| Error::new(SqlState::DATA_CORRUPTED, e))?);
        }
        Ok(contents)
    };
    aside(interrupt, read).await
}

/// A table's changes as if all up to a time had happened at it: what was in between is not asked for.
struct Steps(Arc<History>);

impl TableReader for Steps {
    fn scan(&self, table: GlobalId, as_of: Timestamp, shard: usize, shards: usize) -> RowChunks {
        self.0.scan(table, as_of, shard, shards)
    }

    fn changes(
        &self,
        table: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> ChangeChunks {
        let changes = self.0.changes(table, after, up_to, shard, shards);
        Box::new(changes.map(move |chunk| {
            let rows = chunk?.into_iter();
            Ok(rows.map(|(row, _, diff)| (row, up_to, diff)).collect())
        }))
    }

    fn width(&self, table: GlobalId) -> Option<usize> {
        self.0.width(table)
    }

    fn estimate(&self, table: GlobalId) -> u64 {
        self.0.estimate(table)
    }
}

/// What a plan over tables contains as of each of some times, which rise: derived from the log by workers of its own. They
/// go from one time to the next, and keep none of the result's rows.
pub(crate) async fn derive(
    history: &Arc<History>,
    plan: DataflowPlan,
    times: &[Timestamp],
    workers: usize,
    interrupt: &impl Interrupt,
) -> Result<Vec<Contents>, Error> {
    let reader: Arc<dyn TableReader> = Arc::new(Steps(history.clone()));
    let compute = Compute::start(workers, reader).map_err(|e| Error::internal(e.to_string()))?;
    let tables: Vec<GlobalId> = plan.sources.keys().copied().collect();
    let id = DataflowId(1);
    if let Some(first) = times.first() {
        compute.advance(Arc::default(), first.next());
    }
    let found = tallied(&compute, id, "verification", plan, times);
    for step in times.windows(2) {
        let (after, up_to) = (step[0], step[1]);
        let changes = tables
            .iter()
            .map(|table| (*table, Changes::Stored { after, up_to }));
        compute.advance(Arc::new(changes.collect()), up_to.next());
    }
    let found = interrupt.guard(found).await;
    compute.drop_dataflow(id);
    // The workers end by themselves; nobody waits for them here.
    crate::thread::start("verified", move || drop(compute))
        .map_err(|e| Error::internal(e.to_string()))?;
    found?
}

/// What a plan over what is shown contains, by the server's own workers.
pub(crate) async fn shown(
    shared: &Shared,
    plan: DataflowPlan,
    as_of: Timestamp,
    interrupt: &impl Interrupt,
) -> Result<Contents, Error> {
    let id = shared.next_dataflow();
    let found = tallied(&shared.compute, id, "what is shown", plan, &[as_of]);
    let _dropped = DropDataflow { shared, id };
    let found = interrupt.guard(found).await??;
    found
        .first()
        .copied()
        .ok_or_else(|| Error::internal("nothing was counted"))
}

/// Starts a dataflow that tells what it contains as of some times; the least error that it holds as of the last one is an
/// error.
fn tallied(
    compute: &Compute,
    id: DataflowId,
    name: &str,
    plan: DataflowPlan,
    times: &[Timestamp],
) -> impl Future<Output = Result<Vec<Contents>, Error>> + use<> {
    let tally = Arc::new(Tally::new(times.iter().copied()));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    if let (Some(first), Some(last)) = (times.first(), times.last()) {
        compute.install(DataflowDesc {
            id,
            name: name.to_string(),
            plan,
            as_of: *first,
            until: Some(last.next()),
            export: Export::Tally(sender, tally.clone()),
        });
    }
    let times = times.to_vec();
    async move {
        let found = receiver.await.map_err(|_| Error::shutting_down())??;
        found.sum()?;
        let contents = times.into_iter().map(|time| tally.take(time));
        let contents: Option<Vec<_>> = contents.collect();
        contents.ok_or_else(|| Error::internal("a time that nothing was counted for"))
    }
}
