//! How a table flows into a dataflow: a snapshot, what happened since, and then commit by commit.
//!
//! A [`Feed`] queues what is still to be read; the operator reads one bounded chunk an activation, so that other
//! operators, dataflows and commands get their turn between, and memory does not grow with the table.
//!
//! Invariant: every row goes out once, on one worker, at its own time or, in the snapshot, at `as_of`; the
//! frontier follows what was read to the end.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use everview_repr::{Diff, GlobalId, Row, Timestamp};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::operator::source;
use timely::scheduling::Activator;

use crate::command::{ChangeChunks, Changes, TableReader};
use crate::export::subscribe::SubscribeSink;
use crate::health::Health;
use crate::render::streams::{Rows, Update};

/// Rows of given changes taken in by one activation.
const GIVEN_ROWS: usize = 1 << 14;

/// Which part of the tables a worker reads.
#[derive(Clone, Copy, Debug)]
pub struct Shard {
    /// The worker.
    pub index: usize,
    /// Of how many.
    pub of: usize,
}

/// Rows of given changes that wait in a feed; beyond, they are read again from where commits are kept.
const MOST_HELD: usize = 1 << 17;

/// Something to be read, in order.
enum Item {
    /// The snapshot, and changes up to a time.
    History {
        up_to: Timestamp,
    },
    Stored {
        after: Timestamp,
        up_to: Timestamp,
    },
    Given {
        rows: Arc<Vec<(Row, Timestamp, Diff)>>,
        next: usize,
        end: usize,
    },
    /// All before this time has been read.
    Upper(u64),
}

/// One table's way into one dataflow, on one worker.
pub struct Feed {
    table: GlobalId,
    /// The columns that the dataflow was planned for; those added to the table since are left out.
    width: usize,
    as_of: u64,
    until: Option<u64>,
    shard: Shard,
    queue: VecDeque<Item>,
    reading: Option<ChangeChunks>,
    /// Nothing is read, and nothing kept to be read, before it is open.
    open: bool,
    /// Rows of given changes in the queue.
    held: usize,
    activator: Option<Activator>,
    /// Whose reader nothing more is read for while it has enough to take.
    gate: Option<SubscribeSink>,
}

impl Feed {
    /// A feed that is not open yet.
    pub fn new(
        (table, width): (GlobalId, usize),
        as_of: u64,
        until: Option<u64>,
        shard: Shard,
    ) -> Feed {
        Feed {
            table,
            width,
            as_of,
            until,
            shard,
            queue: VecDeque::new(),
            reading: None,
            open: false,
            held: 0,
            activator: None,
            gate: None,
        }
    }

    /// The same for a subscription that is never ended because its reader is slow: it waits for the reader.
    pub fn behind(self, gate: SubscribeSink) -> Feed {
        Feed {
            gate: Some(gate),
            ..self
        }
    }

    /// Which part of its tables it asks for.
    ///
    /// Behind a gate it is all of them, of which it keeps its own rows by their hash: how far each worker has read when
    /// it lets go of what it was given differs, and a row must be one worker's however it comes.
    fn asked(&self) -> Shard {
        match self.gate {
            Some(_) => Shard { index: 0, of: 1 },
            None => self.shard,
        }
    }

    /// Leaves out what another worker keeps.
    fn keep_own(&self, out: &mut Vec<Update>) {
        let Shard { index, of } = self.shard;
        if self.gate.is_some() && of > 1 {
            out.retain(|(row, _, _)| {
                let mut hasher = std::hash::DefaultHasher::new();
                row.bytes().hash(&mut hasher);
                hasher.finish() % of as u64 == index as u64
            });
        }
    }

    /// Whether the reader has enough to take.
    fn is_shut(&self) -> bool {
        let data = |item: &Item| !matches!(item, Item::Upper(_));
        let gate = self.gate.as_ref();
        self.queue.front().is_some_and(data) && gate.is_some_and(SubscribeSink::is_full)
    }

    /// Begins to read, when all before `upper` has been advanced past.
    pub fn open(&mut self, upper: u64) {
        self.open = true;
        if self.as_of < upper {
            let last = self.until.unwrap_or(u64::MAX).min(upper) - 1;
            self.queue.push_back(Item::History {
                up_to: Timestamp(last.max(self.as_of)),
            });
            self.queue.push_back(Item::Upper(upper));
        }
        if let Some(activator) = &self.activator {
            activator.activate();
        }
    }

    /// Takes in an advance. Times up to `as_of` are part of the snapshot, which is read once they are complete.
    pub fn advance(&mut self, changes: &[(GlobalId, Changes)], lower: u64, upper: u64) {
        if !self.open || self.until.is_some_and(|until| until <= lower) {
            return;
        }
        if upper <= self.as_of {
            return;
        }
        if lower <= self.as_of {
            self.queue.push_back(Item::History {
                up_to: Timestamp(self.as_of),
            });
        }
        for (_, changes) in changes.iter().filter(|(table, _)| *table == self.table) {
            self.queue.push_back(match changes {
                Changes::Stored { after, up_to } => {
                    let after = (*after).max(Timestamp(self.as_of));
                    Item::Stored {
                        after,
                        up_to: *up_to,
                    }
                }
                Changes::Rows(rows) => {
                    let Shard { index, of } = self.asked();
                    let (next, end) = (rows.len() * index / of, rows.len() * (index + 1) / of);
                    self.held += end - next;
                    Item::Given {
                        rows: Arc::clone(rows),
                        next,
                        end,
                    }
                }
            });
        }
        match self.queue.back_mut() {
            Some(Item::Upper(last)) => *last = upper,
            _ => self.queue.push_back(Item::Upper(upper)),
        }
        // With several workers, each has its part of what is given, and reads another part again: only what asks for all
        // and keeps its own can do so by itself.
        if self.held > MOST_HELD && self.asked().of == 1 {
            self.let_go(upper);
        }
        if let Some(activator) = &self.activator {
            activator.activate();
        }
    }

    /// Forgets what was given beyond what is read now, to be read again: so memory does not grow while a feed is behind.
    fn let_go(&mut self, upper: u64) {
        let is_upper = |item: &Item| match item {
            Item::Upper(upper) => Some(*upper),
            _ => None,
        };
        let first = self.queue.iter().enumerate();
        let first = first
            .filter_map(|(n, item)| Some((n, is_upper(item)?)))
            .next();
        let Some((n, reached)) = first.filter(|(_, reached)| *reached < upper) else {
            return;
        };
        self.queue.truncate(n + 1);
        let given = self.queue.iter().map(|item| match item {
            Item::Given { next, end, .. } => end - next,
            _ => 0,
        });
        self.held = given.sum();
        self.queue.push_back(Item::Stored {
            after: Timestamp((reached - 1).max(self.as_of)),
            up_to: Timestamp(upper - 1),
        });
        self.queue.push_back(Item::Upper(upper));
    }

    /// Whether a row of the future of `as_of` belongs here.
    fn takes(&self, time: u64) -> bool {
        time > self.as_of && self.until.is_none_or(|until| time < until)
    }

    /// Reads one chunk into `out`; returns how far all is read, if that moved.
    fn read(
        &mut self,
        reader: &dyn TableReader,
        out: &mut Vec<Update>,
    ) -> Result<Option<u64>, String> {
        let moved = self.read_wide(reader, out)?;
        // Asked after the read, so that no row is wider than the answer.
        if reader
            .width(self.table)
            .is_some_and(|width| width > self.width)
        {
            for (row, _, _) in out.iter_mut() {
                *row = Row::pack(row.iter().take(self.width));
            }
        }
        self.keep_own(out);
        Ok(moved)
    }

    fn read_wide(
        &mut self,
        reader: &dyn TableReader,
        out: &mut Vec<Update>,
    ) -> Result<Option<u64>, String> {
        if let Some(reading) = &mut self.reading {
            match reading.next() {
                Some(chunk) => {
                    let rows = chunk?
                        .into_iter()
                        .map(|(row, time, diff)| (row, time.0, diff));
                    out.extend(
                        rows.filter(|(_, time, _)| *time <= self.as_of || self.takes(*time)),
                    );
                }
                None => self.reading = None,
            }
            return Ok(None);
        }
        if self.is_shut() {
            return Ok(None);
        }
        self.split(reader);
        let Shard { index, of } = self.asked();
        match self.queue.pop_front() {
            Some(Item::History { up_to }) => {
                let as_of = Timestamp(self.as_of);
                self.reading = Some(reader.history(self.table, as_of, up_to, index, of));
            }
            Some(Item::Stored { after, up_to }) if after < up_to => {
                let chunks = reader.changes(self.table, after, up_to, index, of);
                self.reading = Some(chunks);
            }
            Some(Item::Given { rows, next, end }) => {
                let stop = end.min(next + GIVEN_ROWS);
                self.held -= stop - next;
                let taken = rows[next..stop]
                    .iter()
                    .filter(|(_, time, _)| self.takes(time.0));
                out.extend(taken.map(|(row, time, diff)| (row.clone(), time.0, *diff)));
                if stop < end {
                    self.queue.push_front(Item::Given {
                        rows,
                        next: stop,
                        end,
                    });
                }
            }
            Some(Item::Upper(upper)) => return Ok(Some(upper)),
            Some(Item::Stored { .. }) | None => {}
        }
        Ok(None)
    }

    /// Leaves in front of the queue what is read at once, and the rest for later.
    fn split(&mut self, reader: &dyn TableReader) {
        let as_of = Timestamp(self.as_of);
        let (after, up_to, first) = match self.queue.front() {
            Some(Item::History { up_to }) if *up_to > as_of => (as_of, *up_to, true),
            Some(Item::Stored { after, up_to }) if after < up_to => (*after, *up_to, false),
            _ => return,
        };
        let step = reader.step(after, up_to);
        if step >= up_to {
            return;
        }
        let step = if first { as_of } else { step };
        self.queue.pop_front();
        self.queue.push_front(Item::Stored { after: step, up_to });
        self.queue.push_front(Item::Upper(step.next().0));
        self.queue.push_front(match first {
            true => Item::History { up_to: step },
            false => Item::Stored { after, up_to: step },
        });
    }

    fn is_idle(&self) -> bool {
        self.reading.is_none() && (self.queue.is_empty() || self.is_shut())
    }
}

/// The operator that a feed drives. `read` counts the rows that it put out.
pub fn render<'s>(
    scope: Scope<'s, u64>,
    feed: Rc<RefCell<Feed>>,
    reader: Arc<dyn TableReader>,
    health: Arc<Health>,
    read: Arc<AtomicU64>,
) -> Rows<'s> {
    let name = format!("table {}", feed.borrow().table);
    source::<_, CapacityContainerBuilder<Vec<Update>>, _, _>(
        scope,
        &name,
        move |mut capability, info| {
            if let Some(gate) = &feed.borrow().gate {
                gate.opens(scope.worker().sync_activator_for(info.address.to_vec()));
            }
            feed.borrow_mut().activator = Some(scope.activator_for(info.address));
            let (as_of, until) = (feed.borrow().as_of, feed.borrow().until);
            capability.downgrade(&as_of);
            let mut capability = Some(capability);
            let mut chunk = Vec::new();
            move |output| {
                let Some(held) = &mut capability else { return };
                let mut feed = feed.borrow_mut();
                // One chunk of rows, whatever is read without giving any.
                while chunk.is_empty() && !feed.is_idle() && !health.is_broken() {
                    let result = health.run(|| feed.read(&*reader, &mut chunk));
                    match result {
                        Some(Ok(Some(upper))) if until.is_some_and(|until| until <= upper) => {
                            capability = None;
                            feed.queue.clear();
                            return;
                        }
                        Some(Ok(Some(upper))) => held.downgrade(&upper.max(as_of)),
                        Some(Ok(None)) => {}
                        Some(Err(error)) => {
                            health.suspend(format!("table {}: {error}", feed.table))
                        }
                        None => {}
                    }
                }
                read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                output
                    .session_with_builder(held)
                    .give_iterator(chunk.drain(..));
                if !feed.is_idle()
                    && let Some(activator) = &feed.activator
                {
                    activator.activate();
                }
            }
        },
    )
}
