//! Subscriptions: each closed time's changes, from all workers together, to one reader.
//!
//! Workers never wait for the reader. What it has not taken is held up to a bound; beyond, the subscription is
//! cut off, and says from where to resume.
//!
//! Invariant: batches cover times without gap or overlap; within a batch, updates are consolidated, in the order
//! of times and then of rows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use differential_dataflow::consolidation::consolidate_updates;
use everview_repr::{Datum, Diff, EvalError, Row, Timestamp};
use parking_lot::Mutex;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::scheduling::SyncActivator;
use tokio::sync::Notify;

use super::peek::least_error;
use crate::render::streams::{Collection, Rows, Update};

/// Bytes that wait for a reader before it is cut off. One batch always passes.
const MOST_WAITING: usize = 64 << 20;

/// Changes of a range of times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeBatch {
    /// Consolidated, by time and row.
    pub updates: Vec<(Row, Timestamp, Diff)>,
    /// All changes before this time have been given; [`Timestamp::MAX`] when there will be none.
    pub upper: Timestamp,
}

/// Why a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscribeError {
    /// The collection holds an error.
    Eval(EvalError),
    /// The reader fell too far behind. It has all changes up to this time.
    TooSlow {
        /// The last time that was given whole.
        resume: Timestamp,
    },
    /// The dataflow was dropped.
    Stopped,
}

impl std::fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SubscribeError::Eval(error) => write!(f, "{}", error.message()),
            SubscribeError::TooSlow { resume } => {
                write!(
                    f,
                    "the reader is too slow; it has all changes up to {resume}"
                )
            }
            SubscribeError::Stopped => write!(f, "the subscription was stopped"),
        }
    }
}

impl std::error::Error for SubscribeError {}

/// The workers' end of a subscription.
#[derive(Clone)]
pub struct SubscribeSink(Arc<Channel>);

/// The reader's end of a subscription.
pub struct SubscribeReceiver(Arc<Channel>);

struct Channel {
    state: Mutex<State>,
    arrived: Notify,
    /// Sources that wait while the reader has enough to take. With any, the reader is waited for and not cut off.
    sources: Mutex<Vec<SyncActivator>>,
}

struct State {
    /// Each worker's frontier, for rows and for errors.
    frontiers: Vec<[u64; 2]>,
    /// Updates at times not closed yet.
    open: Vec<Update>,
    open_errors: Vec<Update>,
    /// Errors as of the last closed time.
    errors: BTreeMap<Row, Diff>,
    /// Times below are closed.
    closed: u64,
    waiting: VecDeque<SubscribeBatch>,
    waiting_bytes: usize,
    /// What the reader has taken goes up to here.
    taken: Timestamp,
    end: Option<SubscribeError>,
    finished: bool,
    most_waiting: usize,
    /// The sources wait for the reader.
    patient: bool,
}

/// A subscription that starts at a time.
pub fn subscription(as_of: Timestamp) -> (SubscribeSink, SubscribeReceiver) {
    bounded_subscription(as_of, MOST_WAITING)
}

/// A subscription whose reader may leave so many bytes waiting.
pub fn bounded_subscription(
    as_of: Timestamp,
    most_waiting: usize,
) -> (SubscribeSink, SubscribeReceiver) {
    let state = State {
        frontiers: Vec::new(),
        open: Vec::new(),
        open_errors: Vec::new(),
        errors: BTreeMap::new(),
        closed: as_of.0,
        waiting: VecDeque::new(),
        waiting_bytes: 0,
        taken: as_of,
        end: None,
        finished: false,
        most_waiting,
        patient: false,
    };
    let channel = Arc::new(Channel {
        state: Mutex::new(state),
        arrived: Notify::new(),
        sources: Mutex::default(),
    });
    (
        SubscribeSink(Arc::clone(&channel)),
        SubscribeReceiver(channel),
    )
}

impl State {
    /// A quarter of what may wait is enough for a reader.
    fn is_full(&self) -> bool {
        self.end.is_none() && self.waiting_bytes > self.most_waiting / 4
    }

    /// The next batch, if there is one.
    fn take(&mut self) -> Result<Option<SubscribeBatch>, SubscribeError> {
        if let Some(batch) = self.waiting.pop_front() {
            self.waiting_bytes -= bytes(&batch.updates);
            self.taken = batch.upper;
            return Ok(Some(batch));
        }
        match &self.end {
            Some(error) => Err(error.clone()),
            None => Ok(None),
        }
    }

    /// Closes times that all workers have passed; returns whether there is something to take.
    fn close(&mut self) -> bool {
        let frontier = self.frontiers.iter().flatten().copied().min().unwrap_or(0);
        if self.end.is_some() || self.finished || frontier <= self.closed {
            return false;
        }
        self.closed = frontier;
        self.finished = frontier == u64::MAX;
        for (row, _, diff) in self
            .open_errors
            .extract_if(.., |(_, time, _)| *time < frontier)
        {
            *self.errors.entry(row).or_default() += diff;
        }
        self.errors.retain(|_, count| *count != 0);
        let present = self
            .errors
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(row, _)| row);
        if let Some(error) = least_error(present) {
            self.stop(SubscribeError::Eval(error));
            return true;
        }
        let mut closed: Vec<_> = self
            .open
            .extract_if(.., |(_, time, _)| *time < frontier)
            .collect();
        consolidate_updates(&mut closed);
        closed.sort_unstable_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        let failed = closed
            .iter()
            .filter(|(_, _, diff)| *diff > 0)
            .flat_map(|(row, _, _)| row.iter());
        let failed = failed.filter_map(|datum| match datum {
            Datum::Error(error) => Some(error),
            _ => None,
        });
        if let Some(error) = failed.min_by_key(|error| error.bytes()) {
            let error = error.to_error();
            self.stop(SubscribeError::Eval(error));
            return true;
        }
        self.push(
            closed
                .into_iter()
                .map(|(row, time, diff)| (row, Timestamp(time), diff))
                .collect(),
        );
        true
    }

    fn push(&mut self, updates: Vec<(Row, Timestamp, Diff)>) {
        let upper = Timestamp(self.closed);
        let bytes = bytes(&updates);
        let full = self.waiting_bytes + bytes > self.most_waiting;
        if full && !self.waiting.is_empty() && !self.patient {
            let resume = self.taken.previous();
            self.waiting.clear();
            self.waiting_bytes = 0;
            self.stop(SubscribeError::TooSlow { resume });
            return;
        }
        self.waiting_bytes += bytes;
        match self.waiting.back_mut() {
            Some(batch) if updates.is_empty() || batch.updates.is_empty() => {
                batch.updates.extend(updates);
                batch.upper = upper;
            }
            _ => self.waiting.push_back(SubscribeBatch { updates, upper }),
        }
    }

    fn stop(&mut self, end: SubscribeError) {
        if !self.finished || self.end.is_none() {
            self.end.get_or_insert(end);
        }
        self.open = Vec::new();
        self.open_errors = Vec::new();
    }
}

fn bytes(updates: &[(Row, Timestamp, Diff)]) -> usize {
    updates
        .iter()
        .map(|(row, _, _)| row.bytes().len() + 32)
        .sum()
}

impl Channel {
    /// The next batch if there is one, and whether there will be none; sources that wait go on.
    fn take(&self) -> Result<(Option<SubscribeBatch>, bool), SubscribeError> {
        let mut state = self.state.lock();
        let was_full = state.is_full();
        let batch = state.take()?;
        let (opened, finished) = (was_full && !state.is_full(), state.finished);
        drop(state);
        if opened {
            // A source that is gone needs no waking.
            self.sources
                .lock()
                .retain(|source| source.activate().is_ok());
        }
        Ok((batch, finished))
    }
}

impl SubscribeReceiver {
    /// The next batch if one is there.
    pub fn try_next(&mut self) -> Result<Option<SubscribeBatch>, SubscribeError> {
        Ok(self.0.take()?.0)
    }

    /// Waits for the next batch; `None` once all times have been given. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<SubscribeBatch>, SubscribeError> {
        loop {
            let arrived = self.0.arrived.notified();
            match self.0.take()? {
                (Some(batch), _) => return Ok(Some(batch)),
                (None, true) => return Ok(None),
                (None, false) => {}
            }
            arrived.await;
        }
    }
}

impl SubscribeSink {
    /// Whether the reader has enough to take, so that what can wait should.
    pub(crate) fn is_full(&self) -> bool {
        self.0.state.lock().is_full()
    }

    /// Wakes a source whenever there is room again.
    pub(crate) fn opens(&self, source: SyncActivator) {
        self.0.state.lock().patient = true;
        self.0.sources.lock().push(source);
    }

    /// Before it is installed: how many workers there are.
    pub(crate) fn expect_workers(&self, workers: usize) {
        self.0.state.lock().frontiers = vec![[0; 2]; workers];
    }

    /// Ends the subscription, unless it has ended.
    pub(crate) fn stop(&self, end: SubscribeError) {
        let mut state = self.0.state.lock();
        if !state.finished {
            state.stop(end);
        }
        drop(state);
        self.0.arrived.notify_one();
    }

    fn receive(&self, worker: usize, stream: usize, frontier: u64, updates: &mut Vec<Update>) {
        let mut state = self.0.state.lock();
        if state.end.is_none() {
            match stream {
                0 => state.open.append(updates),
                _ => state.open_errors.append(updates),
            }
        }
        updates.clear();
        state.frontiers[worker][stream] = frontier;
        let ready = state.close();
        drop(state);
        if ready {
            self.0.arrived.notify_one();
        }
    }
}

/// Renders one worker's side. Times from `until` on are left out.
pub fn render(result: Collection<'_>, worker: usize, until: Option<u64>, sink: &SubscribeSink) {
    send(result.oks, "subscribe", worker, 0, until, sink);
    send(result.errs, "subscribe errors", worker, 1, until, sink);
}

fn send(
    rows: Rows<'_>,
    name: &str,
    worker: usize,
    stream: usize,
    until: Option<u64>,
    sink: &SubscribeSink,
) {
    let sink = sink.clone();
    let mut updates = Vec::new();
    let mut last = 0;
    rows.sink(Pipeline, name, move |(input, frontier)| {
        input.for_each(|_capability, batch: &mut Vec<Update>| {
            updates.extend(
                batch
                    .drain(..)
                    .filter(|(_, time, _)| until.is_none_or(|until| *time < until)),
            );
        });
        let frontier = frontier.frontier().first().copied();
        let frontier = frontier.filter(|frontier| until.is_none_or(|until| *frontier < until));
        let frontier = frontier.unwrap_or(u64::MAX);
        if frontier != last || !updates.is_empty() {
            last = frontier;
            sink.receive(worker, stream, frontier, &mut updates);
        }
    });
}
