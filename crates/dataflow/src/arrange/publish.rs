//! Arrangements shown to other threads.
//!
//! After each step a worker [`publish`](Published::publish)es the list of its batches with their
//! `since` and `upper`. A reader takes the list, which is immutable, and reads it as of any time in
//! `since..upper` without asking anybody; if the time is not reached yet it waits. Holding a list
//! keeps its batches: the memory of those that were merged away comes back when it is dropped.
//!
//! Invariant: a list with `upper` beyond a time, and `since` not beyond it, holds every update up to
//! that time, distinguished from later ones; lists follow each other with `upper` never falling.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use differential_dataflow::trace::TraceReader;
use parking_lot::{Condvar, Mutex};

use super::Trace;
use super::group::{Direction, Group, Horizon, Keys};
use super::hash;
use crate::layout::{Diff, SharedBatch};

/// Why a reader got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The time lies before what the arrangement still distinguishes.
    Compacted {
        /// The time asked for.
        as_of: u64,
        /// The least time that can be read.
        since: u64,
    },
    /// The arrangement did not reach the time while the reader was willing to wait.
    TimedOut {
        /// The time asked for.
        as_of: u64,
        /// Where the arrangement was: times below it are complete.
        upper: u64,
    },
    /// The arrangement was dropped.
    Dropped,
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::Compacted { as_of, since } => {
                write!(
                    f,
                    "cannot read as of {as_of}: history before {since} is gone"
                )
            }
            ReadError::TimedOut { as_of, upper } => {
                write!(f, "timed out waiting for {as_of}: complete up to {upper}")
            }
            ReadError::Dropped => write!(f, "the arrangement was dropped"),
        }
    }
}

impl std::error::Error for ReadError {}

/// One worker's batches at one moment.
#[derive(Debug)]
pub struct BatchList<R> {
    batches: Vec<SharedBatch<u64, R>>,
    since: u64,
    /// Absent once no further update can come.
    upper: Option<u64>,
}

impl<R> BatchList<R> {
    /// The batches, from the oldest.
    pub fn batches(&self) -> &[SharedBatch<u64, R>] {
        &self.batches
    }
    /// The least time that can be read.
    pub fn since(&self) -> u64 {
        self.since
    }
    /// Times below this are complete; absent when all are.
    pub fn upper(&self) -> Option<u64> {
        self.upper
    }
    fn reaches(&self, as_of: u64) -> bool {
        self.upper.is_none_or(|upper| as_of < upper)
    }
}

/// What an arrangement takes, for system views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Batches.
    pub batches: usize,
    /// Updates: rows, once history is compacted and batches are merged.
    pub updates: usize,
    /// Bytes on the heap.
    pub bytes: usize,
}

impl std::ops::Add for Size {
    type Output = Size;
    fn add(self, other: Size) -> Size {
        Size {
            batches: self.batches + other.batches,
            updates: self.updates + other.updates,
            bytes: self.bytes + other.bytes,
        }
    }
}

struct State<R> {
    list: Arc<BatchList<R>>,
    /// Threads waiting on the condition.
    sleepers: usize,
    /// Tasks waiting, each with the time it waits for.
    tasks: Vec<(u64, Waker)>,
    dropped: bool,
}

/// One worker's published batches of one arrangement.
pub struct Published<R> {
    state: Mutex<State<R>>,
    advanced: Condvar,
}

impl<R: Diff> Default for Published<R> {
    fn default() -> Self {
        let list = BatchList {
            batches: Vec::new(),
            since: 0,
            upper: Some(0),
        };
        Published {
            state: Mutex::new(State {
                list: Arc::new(list),
                sleepers: 0,
                tasks: Vec::new(),
                dropped: false,
            }),
            advanced: Condvar::new(),
        }
    }
}

impl<R: Diff> Published<R> {
    /// An arrangement of which nothing is published yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Publishes what `trace` holds now; readable from what this handle's logical compaction allows.
    ///
    /// Returns the new `upper`, absent if no further update can come.
    pub fn publish(&self, trace: &mut Trace<u64, R>) -> Option<u64> {
        let mut batches = Vec::new();
        let mut upper = Some(0);
        trace.map_spans(|span| {
            upper = span.upper().as_option().copied();
            batches.extend(span.inner.iter().cloned());
        });
        // A handle that holds nothing back can read nothing but the end of time.
        let since = trace
            .get_logical_compaction()
            .first()
            .copied()
            .unwrap_or(u64::MAX);
        self.show(BatchList {
            batches,
            since,
            upper,
        });
        upper
    }

    fn show(&self, list: BatchList<R>) {
        let list = Arc::new(list);
        let mut woken = Vec::new();
        // The old list may be the last holder of large batches: free them outside the lock.
        let _old = {
            let mut state = self.state.lock();
            let old = std::mem::replace(&mut state.list, Arc::clone(&list));
            let mut index = 0;
            while index < state.tasks.len() {
                if list.reaches(state.tasks[index].0) {
                    woken.push(state.tasks.swap_remove(index).1);
                } else {
                    index += 1;
                }
            }
            if state.sleepers > 0 {
                self.advanced.notify_all();
            }
            old
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Ends publication: readers get [`ReadError::Dropped`], and the batches are let go.
    pub fn retire(&self) {
        let tasks = {
            let mut state = self.state.lock();
            state.dropped = true;
            state.list = Arc::new(BatchList {
                batches: Vec::new(),
                since: u64::MAX,
                upper: Some(0),
            });
            self.advanced.notify_all();
            std::mem::take(&mut state.tasks)
        };
        tasks.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// The list published last.
    pub fn latest(&self) -> Arc<BatchList<R>> {
        Arc::clone(&self.state.lock().list)
    }

    /// What the list published last takes.
    pub fn size(&self) -> Size {
        let list = self.latest();
        let sizes = list.batches.iter().map(|batch| Size {
            batches: 1,
            updates: batch.len(),
            bytes: batch.heap_bytes(),
        });
        sizes.fold(Size::default(), std::ops::Add::add)
    }

    /// Waits until the list reaches `as_of`, for as long as `deadline` allows.
    fn wait(&self, as_of: u64, deadline: Option<Instant>) -> Result<Arc<BatchList<R>>, ReadError> {
        let mut state = self.state.lock();
        loop {
            if let Some(ready) = ready(&state, as_of) {
                return ready;
            }
            let upper = state.list.upper.unwrap_or(u64::MAX);
            state.sleepers += 1;
            let timed_out = match deadline {
                Some(deadline) => self.advanced.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.advanced.wait(&mut state);
                    false
                }
            };
            state.sleepers -= 1;
            if timed_out && ready(&state, as_of).is_none() {
                return Err(ReadError::TimedOut { as_of, upper });
            }
        }
    }

    /// The list if it reaches `as_of`; registers the task otherwise.
    fn poll(
        &self,
        as_of: u64,
        context: &mut Context<'_>,
    ) -> Poll<Result<Arc<BatchList<R>>, ReadError>> {
        let mut state = self.state.lock();
        if let Some(ready) = ready(&state, as_of) {
            return Poll::Ready(ready);
        }
        let waker = context.waker();
        if !state
            .tasks
            .iter()
            .any(|(time, other)| *time == as_of && other.will_wake(waker))
        {
            state.tasks.push((as_of, waker.clone()));
        }
        Poll::Pending
    }
}

fn ready<R>(state: &State<R>, as_of: u64) -> Option<Result<Arc<BatchList<R>>, ReadError>> {
    if state.dropped {
        return Some(Err(ReadError::Dropped));
    }
    if !state.list.reaches(as_of) {
        return None;
    }
    let since = state.list.since;
    Some(if as_of < since {
        Err(ReadError::Compacted { as_of, since })
    } else {
        Ok(Arc::clone(&state.list))
    })
}

/// Reads one arrangement from any thread: one [`Published`] a worker, in the order of workers.
pub struct SharedReader<R> {
    workers: Vec<Arc<Published<R>>>,
}

impl<R> Clone for SharedReader<R> {
    fn clone(&self) -> Self {
        SharedReader {
            workers: self.workers.clone(),
        }
    }
}

/// A row of an answer: key bytes, value bytes, and how often it is there.
pub type ReadRow<R> = (Vec<u8>, Vec<u8>, R);

impl<R: Diff> SharedReader<R> {
    /// A reader of what these workers publish.
    pub fn new(workers: Vec<Arc<Published<R>>>) -> Self {
        SharedReader { workers }
    }

    /// The values of `key` as of `as_of`, in order, with their diffs. Waits for `timeout` at most, or
    /// for ever.
    pub fn lookup(
        &self,
        key: &[u8],
        as_of: u64,
        timeout: Option<Duration>,
    ) -> Result<Vec<(Vec<u8>, R)>, ReadError> {
        let worker = &self.workers[hash::worker(key, self.workers.len())];
        let list = worker.wait(as_of, deadline(timeout))?;
        let group = Group::look_up(&list.batches, key);
        let values = group.walk(Direction::Forward, Horizon::At(as_of));
        Ok(values.map(|(val, diff)| (val.to_vec(), diff)).collect())
    }

    /// All workers' lists as of one time. Waits for `timeout` at most, or for ever.
    pub fn snapshot(
        &self,
        as_of: u64,
        timeout: Option<Duration>,
    ) -> Result<ReadSnapshot<R>, ReadError> {
        let deadline = deadline(timeout);
        let lists = self
            .workers
            .iter()
            .map(|worker| worker.wait(as_of, deadline));
        Ok(ReadSnapshot {
            lists: lists.collect::<Result<_, _>>()?,
            as_of,
        })
    }

    /// Like [`SharedReader::snapshot`], for tasks: resolves once every worker reaches the time.
    /// Dropping the future gives up waiting.
    pub fn snapshot_async(&self, as_of: u64) -> SnapshotFuture<R> {
        SnapshotFuture {
            reader: self.clone(),
            as_of,
        }
    }

    /// The rows with keys from `low`, inclusive, to `high`, exclusive, in key order or its reverse,
    /// `limit` of them at most. See [`ReadSnapshot::range`].
    pub fn range(
        &self,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        direction: Direction,
        as_of: u64,
        limit: Option<usize>,
        timeout: Option<Duration>,
    ) -> Result<Vec<ReadRow<R>>, ReadError> {
        Ok(self
            .snapshot(as_of, timeout)?
            .range(low, high, direction, limit))
    }

    /// All rows in key order.
    pub fn scan(
        &self,
        as_of: u64,
        timeout: Option<Duration>,
    ) -> Result<Vec<ReadRow<R>>, ReadError> {
        self.range(None, None, Direction::Forward, as_of, None, timeout)
    }

    /// Times below this are complete on every worker; absent when all times are.
    pub fn upper(&self) -> Option<u64> {
        self.workers
            .iter()
            .filter_map(|worker| worker.latest().upper)
            .min()
    }

    /// The least time that every worker can still be read at.
    pub fn since(&self) -> u64 {
        self.workers
            .iter()
            .map(|worker| worker.latest().since)
            .max()
            .unwrap_or(0)
    }

    /// What the arrangement takes on all workers.
    pub fn size(&self) -> Size {
        self.workers
            .iter()
            .map(|worker| worker.size())
            .fold(Size::default(), std::ops::Add::add)
    }
}

fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// Resolves to a [`ReadSnapshot`] once every worker reaches its time.
pub struct SnapshotFuture<R> {
    reader: SharedReader<R>,
    as_of: u64,
}

impl<R: Diff> Future for SnapshotFuture<R> {
    type Output = Result<ReadSnapshot<R>, ReadError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut lists = Vec::with_capacity(self.reader.workers.len());
        for worker in &self.reader.workers {
            match worker.poll(self.as_of, context) {
                Poll::Ready(list) => lists.push(list?),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(ReadSnapshot {
            lists,
            as_of: self.as_of,
        }))
    }
}

/// An arrangement as of one time, on all workers. It stays readable for as long as it is held.
pub struct ReadSnapshot<R> {
    lists: Vec<Arc<BatchList<R>>>,
    as_of: u64,
}

impl<R: Diff> ReadSnapshot<R> {
    /// The time it shows.
    pub fn as_of(&self) -> u64 {
        self.as_of
    }

    /// Calls `logic` with each value of `key`, in order, and its diff.
    pub fn for_key(&self, key: &[u8], mut logic: impl FnMut(&[u8], R)) {
        let list = &self.lists[hash::worker(key, self.lists.len())];
        let group = Group::look_up(&list.batches, key);
        for (val, diff) in group.walk(Direction::Forward, Horizon::At(self.as_of)) {
            logic(val, diff);
        }
    }

    /// Calls `logic` with each row whose key lies in `low..high`, in key and value order or, walked
    /// backwards, in exactly its reverse, until `logic` returns false.
    pub fn for_range(
        &self,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        direction: Direction,
        mut logic: impl FnMut(&[u8], &[u8], R) -> bool,
    ) {
        let walk = |list| Keys::new(BatchList::batches(list), low, high, direction);
        let mut workers: Vec<_> = self.lists.iter().map(|list| walk(list)).collect();
        // Each key lives on one worker: the next key overall is the next of one of them.
        loop {
            let heads = workers
                .iter()
                .enumerate()
                .filter_map(|(i, keys)| Some((keys.peek()?, i)));
            let Some((_, next)) = heads.min_by(|a, b| direction.compare(a.0, b.0)) else {
                return;
            };
            let Some((key, group)) = workers[next].next() else {
                return;
            };
            for (val, diff) in group.walk(direction, Horizon::At(self.as_of)) {
                if !logic(key, val, diff) {
                    return;
                }
            }
        }
    }

    /// The rows whose keys lie in `low..high`, `limit` of them at most.
    pub fn range(
        &self,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        direction: Direction,
        limit: Option<usize>,
    ) -> Vec<ReadRow<R>> {
        let mut rows = Vec::new();
        if limit == Some(0) {
            return rows;
        }
        self.for_range(low, high, direction, |key, val, diff| {
            rows.push((key.to_vec(), val.to_vec(), diff));
            limit.is_none_or(|limit| rows.len() < limit)
        });
        rows
    }

    /// The rows whose keys begin with `prefix`.
    pub fn prefix(
        &self,
        prefix: &[u8],
        direction: Direction,
        limit: Option<usize>,
    ) -> Vec<ReadRow<R>> {
        let high = prefix_end(prefix);
        self.range(Some(prefix), high.as_deref(), direction, limit)
    }
}

/// The least byte string beyond all that begin with `prefix`, absent if there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
