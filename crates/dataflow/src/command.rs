//! What workers are told: one ordered stream of commands, the same for each of them.
//!
//! Invariant: nothing but these commands and the tables that a [`TableReader`] shows decides what a worker
//! computes; so a worker on another machine would differ only in how they arrive.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::Thread;

use everview_optimize::physical::{Arrangement, DataflowPlan};
use everview_repr::{Diff, GlobalId, Row, Timestamp};
use parking_lot::Mutex;

use crate::arrange::publish::Published;
use crate::compute::Shared;
use crate::export::peek::{Peek, PeekSender};
use crate::export::subscribe::SubscribeSink;
use crate::export::tally::Tally;

/// The identity of an installed dataflow. It is given once and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DataflowId(pub u64);

/// Chunks of rows, each of bounded size.
pub type RowChunks = Box<dyn Iterator<Item = Result<Vec<(Row, Diff)>, String>> + Send>;
/// Chunks of changes, each of bounded size.
pub type ChangeChunks =
    Box<dyn Iterator<Item = Result<Vec<(Row, Timestamp, Diff)>, String>> + Send>;

/// Reads tables where commits are kept. Workers call it from their own threads.
///
/// Of `shards` readers, number `shard` takes its part: the parts are disjoint, and together everything.
pub trait TableReader: Send + Sync {
    /// The rows as of a time that has been advanced past.
    fn scan(&self, table: GlobalId, as_of: Timestamp, shard: usize, shards: usize) -> RowChunks;

    /// The changes after one time and up to another, that one included.
    fn changes(
        &self,
        table: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> ChangeChunks;

    /// How many columns the table's rows have by now, where that can grow: `None` where it cannot. Rows read before are
    /// not wider.
    fn width(&self, _table: GlobalId) -> Option<usize> {
        None
    }

    /// The rows as of a time, at that time, and the changes after it up to another, that one included; in no order.
    fn history(
        &self,
        table: GlobalId,
        as_of: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> ChangeChunks {
        let rows = self.scan(table, as_of, shard, shards);
        let dated = rows.map(move |chunk| {
            let chunk = chunk?.into_iter();
            Ok(chunk.map(|(row, diff)| (row, as_of, diff)).collect())
        });
        Box::new(dated.chain(self.changes(table, as_of, up_to, shard, shards)))
    }

    /// A time up to which the changes after another one are read at once, up to the last at most: the same for all
    /// readers and tables. So that a long past is gone through in steps, each of which is shown.
    fn step(&self, _after: Timestamp, up_to: Timestamp) -> Timestamp {
        up_to
    }

    /// About how many rows there are, for progress.
    fn estimate(&self, table: GlobalId) -> u64;
}

/// A collection's changes in one advance.
#[derive(Clone, Debug)]
pub enum Changes {
    /// Given here.
    Rows(Arc<Vec<(Row, Timestamp, Diff)>>),
    /// Too many to hold: to be read through [`TableReader::changes`].
    Stored {
        /// Changes after this time.
        after: Timestamp,
        /// Up to this one, included.
        up_to: Timestamp,
    },
}

/// A dataflow to install.
pub struct DataflowDesc {
    /// Its identity.
    pub id: DataflowId,
    /// Its name, for people.
    pub name: String,
    /// What it computes.
    pub plan: DataflowPlan,
    /// The time that it starts at: everything before shows as of it.
    pub as_of: Timestamp,
    /// The time that it ends at, not included.
    pub until: Option<Timestamp>,
    /// Where the result goes.
    pub export: Export,
}

/// Where a dataflow's result goes.
pub enum Export {
    /// To arrangements that others import and any thread reads.
    Index {
        /// The name under which it is found.
        id: GlobalId,
        /// How the rows are arranged; at least one.
        arrangements: Vec<Arrangement>,
        /// What is told of its contents, if anything.
        tally: Option<Arc<Tally>>,
    },
    /// To one reader, time by time.
    Subscribe(SubscribeSink),
    /// To one reader, once, as of the dataflow's `as_of`.
    Peek(PeekSender),
    /// To a tally alone. The sender gets an error of the result, as a peek does, or no rows, once the dataflow has come to
    /// its `until`.
    Tally(PeekSender, Arc<Tally>),
}

/// What a worker does next.
#[derive(Clone)]
pub(crate) enum Command {
    /// Build a dataflow.
    Install(Arc<Installation>),
    /// Take in commits; every later one is at `upper` or beyond.
    Advance {
        changes: Arc<Vec<(GlobalId, Changes)>>,
        upper: Timestamp,
    },
    /// Let an index read its tables.
    Open(DataflowId),
    /// Forget a dataflow.
    Drop(DataflowId),
    /// Let an index forget history before a time.
    AllowCompaction { index: GlobalId, since: Timestamp },
    /// Forget everything and end.
    Shutdown,
}

/// The way to all workers. Whoever sends, each worker gets the same commands in the same order.
#[derive(Default)]
pub(crate) struct Wires {
    /// Each worker's commands, and its thread to wake.
    workers: Mutex<Vec<(Sender<Command>, Thread)>>,
}

impl Wires {
    /// Reaches these workers from now on, or none any more.
    pub fn connect(&self, workers: Vec<(Sender<Command>, Thread)>) {
        *self.workers.lock() = workers;
    }

    pub fn send(&self, command: &Command) {
        let workers = self.workers.lock();
        for (sender, thread) in workers.iter() {
            // A worker that is gone has been shut down.
            if sender.send(command.clone()).is_ok()
                && !matches!(command, Command::AllowCompaction { .. })
            {
                thread.unpark();
            }
        }
    }

    /// Wakes them to look around.
    pub fn wake(&self) {
        let workers = self.workers.lock();
        workers.iter().for_each(|(_, thread)| thread.unpark());
    }
}

/// A dataflow to install, and what all workers share of it.
pub(crate) struct Installation {
    pub id: DataflowId,
    pub name: String,
    pub plan: DataflowPlan,
    pub as_of: Timestamp,
    pub until: Option<Timestamp>,
    pub target: Target,
    /// Where its tables are, if that is not where the worker's are.
    pub tables: Option<Arc<dyn TableReader>>,
    pub shared: Arc<Shared>,
}

/// The shared side of an [`Export`].
pub(crate) enum Target {
    Index {
        id: GlobalId,
        /// Arrangements with what each worker publishes of them.
        arrangements: Vec<(Arrangement, Vec<Arc<Published<i64>>>)>,
        errors: Vec<Arc<Published<i64>>>,
        key_errors: Vec<Arc<Published<i64>>>,
        tally: Option<Arc<Tally>>,
    },
    Subscribe(SubscribeSink),
    /// The rows too, unless a tally takes them.
    Peek(Arc<Peek>, Option<Arc<Tally>>),
}
