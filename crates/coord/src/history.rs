//! The log's index: which commits there are, where each table's changes are, and what the catalog was at any time.
//!
//! One reading of the log, which checks all of it on the way, makes it; rows are then read from the log as they are
//! asked for. It gives tables as the log alone has them: nothing is asked of the store, so that dropped tables are there
//! too, and any time since the log began. Memory is bounded by the number of commits, not of rows.
//!
//! **Invariant.** Once it is complete, it has every commit that was applied: whoever is shown a commit finds it here.

use crate::checkpoint::{self, Checkpoint};
use crate::commits;
use crate::error::Error;
use crate::pieces::{self, Piece};
use crate::recovery::catalog_changes;
use crate::table::StoredTable;
use everview_catalog::catalog::{CATALOG_COLLECTION, Change};
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_dataflow::{ChangeChunks, RowChunks, TableReader};
use everview_log::{Commit, Head, Position, Reader, Record};
use everview_repr::{GlobalId, Timestamp};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Bytes of the log that are gone through in one step of following a past.
const STEP: u64 = 4 << 20;

/// About how many rows a piece has, for progress.
const ROWS_A_PIECE: u64 = 1 << 10;
/// The most checkpoints of a view that it is derived for.
const MOST_CHECKPOINTS: usize = 256;

/// The log, with an index to it.
pub(crate) struct History {
    log: Reader,
    index: RwLock<Index>,
    /// It goes back to the log's beginning.
    complete: AtomicBool,
}

#[derive(Default)]
struct Index {
    commits: Vec<Place>,
    pieces: BTreeMap<GlobalId, Vec<Piece>>,
    /// What each commit changes of the catalog, for those that do.
    definitions: Vec<(Timestamp, Vec<Change>)>,
    /// What was written down of views, in the order in which it was.
    checkpoints: BTreeMap<GlobalId, Vec<Checkpoint>>,
    /// The last definition of every table that there ever was.
    tables: BTreeMap<GlobalId, Arc<Object>>,
    /// Bytes of all that it knows of.
    bytes: u64,
}

/// A commit's record.
#[derive(Clone, Copy, Debug)]
struct Place {
    time: Timestamp,
    position: Position,
    /// Of the record and of its chunks.
    bytes: u64,
}

/// How much of the log something takes to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cost {
    pub commits: u64,
    pub bytes: u64,
}

impl Index {
    fn add(&mut self, commit: &Commit, position: Position) -> Result<(), Error> {
        let timestamp = Timestamp(commit.timestamp);
        let chunks = commit.chunks.iter().map(|c| u64::from(c.position.length));
        let bytes = u64::from(position.length) + chunks.sum::<u64>();
        self.bytes += bytes;
        self.commits.push(Place {
            time: timestamp,
            position,
            bytes,
        });
        for (table, pieces) in pieces::of(commit, position) {
            if !table.is_system() {
                self.pieces.entry(table).or_default().extend(pieces);
            }
        }
        for payload in &commit.payloads {
            if payload.collection != u64::from(CATALOG_COLLECTION.0) {
                continue;
            }
            let changes = catalog_changes(&payload.bytes).map_err(Error::internal)?;
            for new in changes.iter().filter_map(|change| change.new.as_ref()) {
                if matches!(new.kind, ObjectKind::Table(_)) {
                    self.tables.insert(new.id, new.clone());
                }
            }
            self.definitions.push((timestamp, changes));
        }
        Ok(())
    }

    /// Puts what came later behind.
    fn extend(&mut self, later: Index) {
        self.commits.extend(later.commits);
        for (table, pieces) in later.pieces {
            self.pieces.entry(table).or_default().extend(pieces);
        }
        self.definitions.extend(later.definitions);
        self.tables.extend(later.tables);
        self.bytes += later.bytes;
    }
}

impl History {
    /// Of nothing yet.
    pub fn of(log: Reader) -> History {
        History {
            log,
            index: RwLock::default(),
            complete: AtomicBool::new(false),
        }
    }

    /// Reads the log up to a commit's time, or one that has a commit after it, and puts it before what was added since.
    /// Takes long; ends early when `stop` is set.
    ///
    /// Errors: XX001 where the log is damaged, saying where.
    pub fn read(&self, up_to: Timestamp, stop: &AtomicBool) -> Result<(), Error> {
        let mut read = Index::default();
        self.log.commits(up_to.0, &mut |position, commit| {
            if stop.load(Ordering::Relaxed) {
                return Err("stopped".into());
            }
            Ok(read.add(&commit, position)?)
        })?;
        let mut index = self.index.write();
        read.extend(std::mem::take(&mut *index));
        *index = read;
        self.complete.store(true, Ordering::Release);
        Ok(())
    }

    /// Reads the log up to its head, checkpoints too, and gives the index to it.
    ///
    /// Errors: as of [`History::read`].
    pub fn whole(log: Reader, head: Head, stop: &AtomicBool) -> Result<History, Error> {
        let mut read = Index::default();
        log.entries(&mut |entry| {
            if stop.load(Ordering::Relaxed) {
                return Err("stopped".into());
            }
            match entry.record {
                Record::Commit(commit) => read.add(&commit, entry.position)?,
                Record::Checkpoint(bytes) => {
                    for checkpoint in checkpoint::decode(&bytes)? {
                        let of = read.checkpoints.entry(checkpoint.view).or_default();
                        of.push(checkpoint);
                    }
                }
                _ => {}
            }
            Ok(match entry.sequence < head.sequence {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        Ok(History {
            log,
            index: RwLock::new(read),
            complete: AtomicBool::new(true),
        })
    }

    /// Takes in the next commit.
    pub fn add(&self, commit: &Commit, position: Position) -> Result<(), Error> {
        self.index.write().add(commit, position)
    }

    /// Whether it goes back to the log's beginning.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Where the log is read.
    pub fn log(&self) -> &Reader {
        &self.log
    }

    /// All commits, and the bytes of their records.
    pub fn size(&self) -> Cost {
        let index = self.index.read();
        Cost {
            commits: index.commits.len() as u64,
            bytes: index.bytes,
        }
    }

    /// What reading these tables up to a time takes.
    pub fn cost(&self, tables: &BTreeSet<GlobalId>, up_to: Timestamp) -> Cost {
        let index = self.index.read();
        let mut cost = Cost::default();
        for table in tables {
            let pieces = index.pieces.get(table).into_iter().flatten();
            for piece in pieces.take_while(|piece| piece.timestamp <= up_to) {
                cost.commits += 1;
                cost.bytes += u64::from(piece.position.length);
            }
        }
        cost
    }

    /// The first commit's time; none while there is no commit.
    pub fn beginning(&self) -> Option<Timestamp> {
        self.index.read().commits.first().map(|first| first.time)
    }

    /// The commits up to a time, in order, with their places.
    pub fn commits(&self, up_to: Timestamp) -> Vec<(Timestamp, Position)> {
        let index = self.index.read();
        let end = index.commits.partition_point(|commit| commit.time <= up_to);
        let commits = index.commits[..end].iter();
        commits.map(|c| (c.time, c.position)).collect()
    }

    /// What was changed of the catalog up to a time, commit by commit.
    pub fn definitions(&self, up_to: Timestamp) -> Vec<(Timestamp, Vec<Change>)> {
        let index = self.index.read();
        let all = index.definitions.iter();
        all.take_while(|(time, _)| *time <= up_to)
            .cloned()
            .collect()
    }

    /// The catalog as of a time.
    pub fn catalog(&self, at: Timestamp) -> Catalog {
        let mut last: BTreeMap<GlobalId, Option<Arc<Object>>> = BTreeMap::new();
        for change in self
            .definitions(at)
            .into_iter()
            .flat_map(|(_, changes)| changes)
        {
            if let Some(object) = change.new.as_ref().or(change.old.as_ref()) {
                last.insert(object.id, change.new.clone());
            }
        }
        let there = last.into_values().flatten();
        let changes = there.map(|object| Change {
            old: None,
            new: Some(object),
        });
        Catalog::new().apply(&changes.collect::<Vec<_>>())
    }

    /// A table as it was defined last.
    fn table(&self, id: GlobalId) -> Result<Option<Arc<StoredTable>>, Error> {
        let object = self.index.read().tables.get(&id).cloned();
        // No other object is asked for: the rows of a table do not depend on any.
        let table = object.map(|object| StoredTable::new(&Catalog::new(), &object).map(Arc::new));
        table.transpose()
    }

    /// What a view contained up to a time, as far as it was written down by the semantics that it has: in order of time,
    /// and of many some [`MOST_CHECKPOINTS`], as far apart as the others.
    pub fn checkpoints(&self, view: &Object, up_to: Timestamp) -> Vec<Checkpoint> {
        let ObjectKind::MaterializedView(definition) = &view.kind else {
            return Vec::new();
        };
        let index = self.index.read();
        let all = index.checkpoints.get(&view.id).into_iter().flatten();
        let same = |c: &&Checkpoint| c.semantics == definition.semantics && c.at <= up_to;
        let mut all: Vec<Checkpoint> = all.filter(same).copied().collect();
        all.sort_by_key(|checkpoint| checkpoint.at);
        let step = all.len().div_ceil(MOST_CHECKPOINTS).max(1);
        // From the end: the newest one is always among them.
        let mut some: Vec<_> = all.into_iter().rev().step_by(step).collect();
        some.reverse();
        some
    }

    /// A table's changes after one time and up to another, all at their own times.
    fn between(
        &self,
        table: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        (shard, shards): (usize, usize),
    ) -> ChangeChunks {
        let known = match self.table(table) {
            Ok(Some(known)) => known,
            Ok(None) => return Box::new(std::iter::empty()),
            Err(error) => return Box::new(std::iter::once(Err(error.to_string()))),
        };
        let index = self.index.read();
        let all = index.pieces.get(&table).map_or(&[][..], Vec::as_slice);
        let from = all.partition_point(|piece| piece.timestamp <= after);
        let to = all.partition_point(|piece| piece.timestamp <= up_to);
        let between = all[from.min(to)..to].iter();
        let own: Vec<_> = between
            .skip(shard)
            .step_by(shards.max(1))
            .copied()
            .collect();
        pieces::changes(self.log.clone(), known, own.into_iter().map(Ok))
    }
}

impl TableReader for History {
    fn scan(&self, table: GlobalId, as_of: Timestamp, shard: usize, shards: usize) -> RowChunks {
        if commits::is(table) {
            return commits::rows(self, as_of, (shard, shards));
        }
        let changes = self.between(table, Timestamp::MIN, as_of, (shard, shards));
        Box::new(changes.map(|chunk| {
            let rows = chunk?.into_iter();
            Ok(rows.map(|(row, _, diff)| (row, diff)).collect())
        }))
    }

    fn changes(
        &self,
        table: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> ChangeChunks {
        self.between(table, after, up_to, (shard, shards))
    }

    fn width(&self, table: GlobalId) -> Option<usize> {
        let desc = self.index.read().tables.get(&table)?.desc();
        desc.map(|desc| desc.arity())
    }

    fn step(&self, after: Timestamp, up_to: Timestamp) -> Timestamp {
        let index = self.index.read();
        let first = index.commits.partition_point(|commit| commit.time <= after);
        let mut bytes = 0;
        for commit in &index.commits[first..] {
            bytes += commit.bytes;
            if bytes >= STEP || commit.time >= up_to {
                return commit.time.min(up_to);
            }
        }
        up_to
    }

    fn estimate(&self, table: GlobalId) -> u64 {
        let index = self.index.read();
        let pieces = index.pieces.get(&table).map_or(0, Vec::len);
        pieces as u64 * ROWS_A_PIECE
    }
}

/// What the write path tells those who read the past.
pub(crate) struct Past {
    state: Mutex<State>,
    /// Held by who reads the log, so that the others wait for what comes of it.
    pub reading: Arc<tokio::sync::Mutex<()>>,
}

struct State {
    /// The newest commit that was applied.
    applied: Timestamp,
    /// The newest change of the catalog, or the commit at which this process began.
    defined: Timestamp,
    /// The index that all readers share, while there are any.
    history: Weak<History>,
}

impl Past {
    /// Nothing is known of what came before a commit.
    pub fn since(commit: Timestamp) -> Past {
        Past {
            state: Mutex::new(State {
                applied: commit,
                defined: commit,
                history: Weak::new(),
            }),
            reading: Arc::default(),
        }
    }

    /// A commit is applied.
    pub fn note(&self, commit: &Commit, position: Position) -> Result<(), Error> {
        let mut state = self.state.lock();
        state.applied = Timestamp(commit.timestamp);
        let catalog = u64::from(CATALOG_COLLECTION.0);
        if commit.payloads.iter().any(|p| p.collection == catalog) {
            state.defined = state.applied;
        }
        match state.history.upgrade() {
            Some(history) => history.add(commit, position),
            None => Ok(()),
        }
    }

    /// Adds every commit from now on to an index; gives the newest one that it has to read by itself.
    pub fn follow(&self, history: &Arc<History>) -> Timestamp {
        let mut state = self.state.lock();
        state.history = Arc::downgrade(history);
        state.applied
    }

    /// The index, if there is one that is complete.
    pub fn history(&self) -> Option<Arc<History>> {
        let history = self.state.lock().history.upgrade();
        history.filter(|history| history.is_complete())
    }

    /// The catalog has not changed since this time.
    pub fn defined(&self) -> Timestamp {
        self.state.lock().defined
    }
}
