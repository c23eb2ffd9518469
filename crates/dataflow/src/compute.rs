//! The handle to the workers: any thread tells them what to do and reads what they show.
//!
//! Invariant: every worker gets the same commands in the same order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock, Weak};

use everview_repr::{EvalError, GlobalId, Timestamp};
use parking_lot::Mutex;
use timely::{CommunicationConfig, Config, WorkerConfig};

use crate::arrange::publish::{Published, SharedReader};
use crate::command::{
    Changes, Command, DataflowDesc, DataflowId, Export, Installation, TableReader, Target, Wires,
};
use crate::export::peek::Peek;
use crate::export::reader::IndexReader;
use crate::export::tally::Tally;
use crate::health::{FailureHook, Health};
use crate::worker;

/// What workers and readers share of a dataflow.
pub struct Shared {
    /// Whether it can be trusted.
    pub health: Arc<Health>,
    /// For each worker, the time up to which its output is complete.
    pub uppers: Vec<AtomicU64>,
    /// For each worker, bytes that its operators hold, without what its readers are shown.
    pub held: Vec<AtomicU64>,
    /// Rows read from tables.
    pub read: Arc<AtomicU64>,
    /// About how many there were to read.
    estimate: u64,
    as_of: u64,
}

impl Shared {
    /// Times below this are complete.
    fn upper(&self) -> Timestamp {
        let uppers = self.uppers.iter();
        Timestamp(
            uppers
                .map(|upper| upper.load(Ordering::Acquire))
                .min()
                .unwrap_or(0),
        )
    }

    /// Bytes that its operators hold, without what its readers are shown.
    fn held(&self) -> u64 {
        let workers = self.held.iter();
        workers.map(|held| held.load(Ordering::Relaxed)).sum()
    }
}

/// How a dataflow is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// It has taken in everything that was there when it began.
    pub hydrated: bool,
    /// How much of that it has read, from 0 to 1.
    pub progress: f64,
    /// Changes of tables that it has read.
    pub read: u64,
    /// Rows of its result, if it is an index.
    pub rows: u64,
    /// Bytes that its index and its operators take.
    pub bytes: u64,
    /// Times below this are complete.
    pub upper: Timestamp,
    /// Why it is not kept up to date, if it is not.
    pub suspended: Option<String>,
}

/// A dataflow as the handle knows it.
struct Entry {
    shared: Arc<Shared>,
    index: Option<Index>,
    /// It reads tables elsewhere than the others.
    own_tables: bool,
}

/// What an index shows.
struct Index {
    id: GlobalId,
    reader: IndexReader,
    tally: Option<Arc<Tally>>,
}

impl Entry {
    /// Bytes that its index and its operators take.
    fn bytes(&self) -> u64 {
        let shown = self.index.as_ref();
        shown.map_or(0, |index| index.reader.size().bytes as u64) + self.shared.held()
    }
}

/// The workers.
pub struct Compute {
    wires: Arc<Wires>,
    count: usize,
    reader: Arc<dyn TableReader>,
    guards: Mutex<Option<timely::communication::WorkerGuards<()>>>,
    entries: Mutex<BTreeMap<DataflowId, Entry>>,
    /// One-off queries under way.
    peeks: Mutex<Vec<Weak<Shared>>>,
    on_failure: OnceLock<FailureListener>,
}

/// Told of every index that fails by its own fault, and why. Called by workers: it must not wait.
pub type FailureListener = Arc<dyn Fn(GlobalId, &str) + Send + Sync>;

impl Compute {
    /// Starts so many worker threads.
    pub fn start(workers: usize, reader: Arc<dyn TableReader>) -> std::io::Result<Compute> {
        let count = workers.max(1);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| channel()).unzip();
        let receivers: Vec<_> = receivers.into_iter().map(Some).collect();
        let receivers: Mutex<Vec<Option<Receiver<Command>>>> = Mutex::new(receivers);
        let communication = match count {
            1 => CommunicationConfig::Thread,
            count => CommunicationConfig::Process(count),
        };
        let config = Config {
            communication,
            worker: WorkerConfig::default().idle_spin(std::time::Duration::ZERO),
        };
        let tables = Arc::clone(&reader);
        let wires = Arc::new(Wires::default());
        let all = Arc::clone(&wires);
        let guards = timely::execute(config, move |worker| {
            let receiver = receivers.lock()[worker.index()].take();
            if let Some(receiver) = receiver {
                worker::run(worker, receiver, Arc::clone(&tables), Arc::clone(&all));
            }
        })
        .map_err(std::io::Error::other)?;
        let threads = guards.guards().iter().map(|guard| guard.thread().clone());
        wires.connect(senders.into_iter().zip(threads).collect());
        Ok(Compute {
            wires,
            count,
            reader,
            guards: Mutex::new(Some(guards)),
            entries: Mutex::default(),
            peeks: Mutex::default(),
            on_failure: OnceLock::new(),
        })
    }

    /// How many worker threads there are.
    pub fn workers(&self) -> usize {
        self.count
    }

    fn send(&self, command: &Command) {
        self.wires.send(command);
    }

    /// Builds a dataflow. Its `as_of` must not lie before what tables and indexes can still show.
    ///
    /// A dataflow that cannot be built is suspended, and readers are told.
    pub fn install(&self, desc: DataflowDesc) {
        self.install_with(desc, None);
    }

    /// As [`Compute::install`], with tables as another reader has them. What it still asks of them is its own matter:
    /// it does not count as [`Compute::behind`]. Later commits come to it as to any other dataflow.
    pub fn install_over(&self, desc: DataflowDesc, tables: Arc<dyn TableReader>) {
        self.install_with(desc, Some(tables));
    }

    fn install_with(&self, desc: DataflowDesc, tables: Option<Arc<dyn TableReader>>) {
        let DataflowDesc {
            id,
            name,
            plan,
            as_of,
            until,
            export,
        } = desc;
        let reader = tables.as_ref().unwrap_or(&self.reader);
        let estimate = plan.sources.keys().map(|table| reader.estimate(*table));
        let estimate = estimate.sum();
        let shared = Arc::new(Shared {
            health: Arc::new(Health::new(self.failure_hook(&export))),
            uppers: (0..self.count).map(|_| AtomicU64::new(0)).collect(),
            held: (0..self.count).map(|_| AtomicU64::new(0)).collect(),
            read: Arc::default(),
            estimate,
            as_of: as_of.0,
        });
        let (target, index) = self.target(export);
        if matches!(target, Target::Peek(..)) {
            let mut peeks = self.peeks.lock();
            peeks.retain(|peek| peek.strong_count() > 0);
            peeks.push(Arc::downgrade(&shared));
        } else {
            let entry = Entry {
                shared: Arc::clone(&shared),
                index,
                own_tables: tables.is_some(),
            };
            self.entries.lock().insert(id, entry);
        }
        let installation = Installation {
            id,
            name,
            plan,
            as_of,
            until,
            target,
            tables,
            shared,
        };
        self.send(&Command::Install(Arc::new(installation)));
    }

    /// The shared side of an export.
    fn target(&self, export: Export) -> (Target, Option<Index>) {
        let peek = |sender| Arc::new(Peek::new(sender, self.count));
        match export {
            Export::Peek(sender) => (Target::Peek(peek(sender), None), None),
            Export::Tally(sender, tally) => (Target::Peek(peek(sender), Some(tally)), None),
            Export::Subscribe(sink) => {
                sink.expect_workers(self.count);
                (Target::Subscribe(sink), None)
            }
            Export::Index {
                id,
                arrangements,
                tally,
            } => {
                let published = || {
                    (0..self.count)
                        .map(|_| Published::new())
                        .collect::<Vec<_>>()
                };
                let arrangements: Vec<_> = arrangements
                    .into_iter()
                    .map(|arrangement| (arrangement, published()))
                    .collect();
                let errors = published();
                let key_errors = published();
                let readers = arrangements.iter().map(|(arrangement, published)| {
                    (arrangement.clone(), SharedReader::new(published.clone()))
                });
                let reader = IndexReader::new(
                    readers.collect(),
                    SharedReader::new(errors.clone()),
                    SharedReader::new(key_errors.clone()),
                );
                (
                    Target::Index {
                        id,
                        arrangements,
                        errors,
                        key_errors,
                        tally: tally.clone(),
                    },
                    Some(Index { id, reader, tally }),
                )
            }
        }
    }

    /// Sets who is told of indexes that fail by their own fault; the first one stays.
    pub fn on_failure(&self, listener: FailureListener) {
        // A second listener would take the first one's place unseen.
        let _ = self.on_failure.set(listener);
    }

    fn failure_hook(&self, export: &Export) -> Option<FailureHook> {
        let (listener, Export::Index { id, .. }) = (self.on_failure.get()?.clone(), export) else {
            return None;
        };
        let id = *id;
        Some(Box::new(move |reason| listener(id, reason)))
    }

    /// Ends whatever takes most memory with an error: the one-off query that holds or has read most, else the index that
    /// takes most with its operators, shown or not, if that is at least so many bytes. True if something is ended, or
    /// was and has not given back yet what it held.
    pub fn shed(&self, error: &EvalError, least: u64) -> bool {
        let peeks: Vec<Arc<Shared>> = self.peeks.lock().iter().filter_map(Weak::upgrade).collect();
        let live = |shared: &&Arc<Shared>| !shared.health.is_broken();
        if !peeks.iter().all(|peek| live(&peek)) {
            return true;
        }
        let query = peeks
            .iter()
            .filter(live)
            .max_by_key(|shared| (shared.held(), shared.read.load(Ordering::Relaxed)));
        let victim = query.cloned().or_else(|| {
            let entries = self.entries.lock();
            let indexes = entries.values().filter(|entry| live(&&entry.shared));
            let largest = indexes
                .filter(|entry| entry.index.is_some() && entry.bytes() >= least)
                .max_by_key(|entry| entry.bytes());
            largest.map(|entry| Arc::clone(&entry.shared))
        });
        if let Some(victim) = &victim {
            victim.health.fail(error.clone());
            self.wires.wake();
        }
        victim.is_some()
    }

    /// The least time that a dataflow may still ask its tables for: later ones have been taken in by all.
    pub fn behind(&self) -> Option<Timestamp> {
        let entries = self.entries.lock();
        let live = entries
            .values()
            .filter(|e| !e.own_tables && !e.shared.health.is_broken());
        let taken_in = live.map(|entry| {
            let upper = entry.shared.upper();
            upper.previous().max(Timestamp(entry.shared.as_of))
        });
        taken_in.min()
    }

    /// Takes in commits, each with its own time: all times lie before `upper`, and not before the last `upper`.
    /// From now on, tables show everything before `upper`.
    pub fn advance(&self, changes: Arc<Vec<(GlobalId, Changes)>>, upper: Timestamp) {
        self.send(&Command::Advance { changes, upper });
    }

    /// Forgets a dataflow, and gives back everything about it. Its readers are told.
    ///
    /// A query, which nothing else reads, evaluates nothing from now on: its worker may be in the midst of a product
    /// that takes hours, and looks at commands only afterwards.
    pub fn drop_dataflow(&self, id: DataflowId) {
        let dropped = self.entries.lock().remove(&id);
        if let Some(entry) = dropped.filter(|entry| entry.index.is_none()) {
            entry.shared.health.abandon();
        }
        self.send(&Command::Drop(id));
    }

    /// Lets an index forget history before `since`.
    pub fn allow_compaction(&self, index: GlobalId, since: Timestamp) {
        self.send(&Command::AllowCompaction { index, since });
    }

    /// Reads an installed index; `None` if there is none, or it is suspended.
    pub fn reader(&self, index: GlobalId) -> Option<IndexReader> {
        let entries = self.entries.lock();
        // The newest dataflow that exports it.
        let mut found = entries
            .values()
            .rev()
            .filter(|entry| !entry.shared.health.is_broken());
        found.find_map(|entry| match &entry.index {
            Some(Index { id, reader, .. }) if *id == index => Some(reader.clone()),
            _ => None,
        })
    }

    /// The tallies of all indexes that have one and can be trusted, and up to which time each is complete.
    pub fn tallies(&self) -> Vec<(GlobalId, Arc<Tally>, Timestamp)> {
        let entries = self.entries.lock();
        let live = entries.values().filter(|e| !e.shared.health.is_broken());
        let told = live.filter_map(|entry| {
            let index = entry.index.as_ref()?;
            Some((
                index.id,
                Arc::clone(index.tally.as_ref()?),
                entry.shared.upper(),
            ))
        });
        told.collect()
    }

    /// How a dataflow is doing; `None` if it is not installed.
    pub fn status(&self, id: DataflowId) -> Option<Status> {
        let (shared, index, bytes) = {
            let entries = self.entries.lock();
            let entry = entries.get(&id)?;
            (
                Arc::clone(&entry.shared),
                entry.index.as_ref().map(|index| index.reader.clone()),
                entry.bytes(),
            )
        };
        let upper = shared.upper();
        let hydrated = upper.0 > shared.as_of;
        let read = shared.read.load(Ordering::Relaxed);
        Some(Status {
            hydrated,
            progress: if hydrated {
                1.0
            } else {
                (read as f64 / shared.estimate.max(1) as f64).min(1.0)
            },
            read,
            rows: index.as_ref().map_or(0, IndexReader::rows),
            bytes,
            upper,
            suspended: shared.health.reason(),
        })
    }

    /// Forgets all dataflows, and waits for the workers to end.
    pub fn shutdown(&self) {
        self.send(&Command::Shutdown);
        self.wires.connect(Vec::new());
        let guards = self.guards.lock().take();
        for result in guards
            .map(timely::communication::WorkerGuards::join)
            .into_iter()
            .flatten()
        {
            if let Err(error) = result {
                tracing::error!(error, "a worker thread failed");
            }
        }
        self.entries.lock().clear();
    }
}

impl Drop for Compute {
    fn drop(&mut self) {
        self.shutdown();
    }
}
