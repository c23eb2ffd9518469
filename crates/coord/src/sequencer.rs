//! The write path: one thread orders all commits.
//!
//! For each group of requests that is waiting: tell repeated batches of producers and refuse old epochs (`producers`),
//! validate what each read against everything committed since, give timestamps, append the group to the log with one
//! sync, then apply it to the store, the catalog and the workers, and only then say so. While a sync is under way later
//! requests gather into the next group.
//!
//! **Invariant.** Nothing leaves this thread before it is durable, and whatever leaves it does so in timestamp
//! order: store, workers and the newest readable timestamp never show a gap.

use crate::checkpoint::Checkpoints;
use crate::clock;
use crate::coordinator::Shared;
use crate::error::Error;
use crate::mark::Mark;
use crate::passwords::{Altered, Passwords};
use crate::producers::{Action, Duplicate, Moment, Pending};
use crate::readers::{Acknowledged, Readers};
use crate::table::StoredTable;
use crate::tables::{SUSPENDED, store_error};
use crate::transaction::{ReadSet, TableWrites, WriteSummary};
use everview_catalog::catalog::Change;
use everview_catalog::{Object, ObjectKind};
use everview_dataflow::{Changes, DataflowDesc};
use everview_log::{Commit, LogError, Position};
use everview_repr::{Datum, Diff, GlobalId, Row, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;
use tokio::sync::oneshot;

mod record;

use record::{payload, record};

/// What the sequencer is asked.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every request is a commit"
)]
pub(crate) enum Request {
    /// Commit a transaction.
    Commit(CommitRequest),
    /// Write down that a view or index has failed, so that it stays suspended.
    Suspend { object: GlobalId, reason: String },
    /// Write nothing more and end.
    Stop,
}

/// A transaction at COMMIT.
pub(crate) struct CommitRequest {
    pub transaction: u64,
    pub snapshot: Timestamp,
    pub reads: ReadSet,
    pub writes: BTreeMap<GlobalId, TableWrites>,
    /// The written tables as the transaction knew them.
    pub tables: BTreeMap<GlobalId, Arc<StoredTable>>,
    pub catalog_changes: Vec<Change>,
    /// What it does to passwords.
    pub passwords: Altered,
    /// How far it says that readers are.
    pub acknowledged: Acknowledged,
    pub base_version: u64,
    /// Dataflows to start once it is durable; their `as_of` is filled in here.
    pub installs: Vec<DataflowDesc>,
    /// What it does to producers, and whose it is.
    pub producers: Option<Action>,
    pub reply: Reply,
}

/// Where the outcome goes.
pub(crate) type Reply = oneshot::Sender<Result<CommitOutcome, Refused>>;

/// Why a transaction was not committed; with its writes, if it met what others have written, so that they can be
/// written again over that.
#[derive(Debug)]
pub(crate) struct Refused {
    pub error: Error,
    pub writes: Option<BTreeMap<GlobalId, TableWrites>>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused {
            error,
            writes: None,
        }
    }
}

/// How a commit came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CommitOutcome {
    /// It is durable.
    Committed(Timestamp),
    /// It was before: a repeated batch of a producer, and nothing has changed.
    Duplicate(Duplicate),
}

/// A request that was given its timestamp.
struct Sequenced {
    timestamp: Timestamp,
    request: CommitRequest,
    changes: BTreeMap<GlobalId, Vec<(Row, Diff)>>,
    catalog_changes: Vec<Change>,
    producer_changes: Vec<(Row, Diff)>,
    password_changes: Vec<(Row, Diff)>,
    reader_changes: Vec<(Row, Diff)>,
    /// What its tables count by key.
    carried: Vec<(Row, Diff)>,
}

/// Requests that go to the log together.
#[derive(Default)]
struct Group {
    sequenced: Vec<Sequenced>,
    /// Repeated batches. What they repeat may be in this very group, so that they wait for it.
    duplicates: Vec<(Reply, Duplicate)>,
    /// What the group makes of producers.
    producers: Pending,
    /// What the group makes of passwords, if it changes any.
    passwords: Option<Passwords>,
    /// How far the group takes readers, if it acknowledges anything.
    readers: Option<Readers>,
}

pub(crate) struct Sequencer {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    /// The newest timestamp given.
    last: Timestamp,
    /// The highest lease, in microseconds: no commit is at or below it.
    floor: u64,
    /// What recent commits wrote, oldest first.
    recent: VecDeque<(Timestamp, WriteSummary)>,
    /// Commits at or below this are no longer in `recent`.
    forgotten: Timestamp,
    checkpoints: Checkpoints,
}

/// Starts the thread.
pub(crate) fn start(
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    last: Timestamp,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let period = Duration::from_micros(shared.options.checkpoint_period);
    let sequencer = Sequencer {
        checkpoints: Checkpoints::new(period, last),
        shared,
        requests,
        last,
        floor: last.0,
        recent: VecDeque::new(),
        forgotten: last,
    };
    crate::thread::start("sequencer", move || sequencer.run())
}

/// The most requests in one group.
const MOST_IN_GROUP: usize = 1024;

impl Sequencer {
    fn run(mut self) {
        loop {
            let mut next = match self.next() {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut group = Vec::new();
            let mut suspensions = Vec::new();
            let mut stop = false;
            while let Some(request) = next {
                match request {
                    Request::Commit(commit) => group.push(commit),
                    Request::Suspend { object, reason } => suspensions.push((object, reason)),
                    Request::Stop => stop = true,
                }
                let more = !stop && group.len() < MOST_IN_GROUP;
                next = if more {
                    self.requests.try_recv().ok()
                } else {
                    None
                };
            }
            self.commit_group(group);
            for (object, reason) in suspensions {
                self.suspend(object, &reason);
            }
            if stop {
                return self.checkpoints.finish(&self.shared, self.last);
            }
            self.checkpoints.look(&self.shared, self.last);
        }
    }

    /// The next request, or that it is time to see to checkpoints.
    fn next(&self) -> Result<Request, RecvTimeoutError> {
        match self.checkpoints.wait(self.last) {
            Some(wait) => self.requests.recv_timeout(wait),
            None => Ok(self.requests.recv()?),
        }
    }

    fn commit_group(&mut self, requests: Vec<CommitRequest>) {
        let mut group = Group::default();
        // Only one change of the catalog a group: the next one must be planned over it.
        let mut catalog_changed = false;
        for request in requests {
            match self.judge(&request, catalog_changed, &group.producers) {
                Ok(None) => {
                    catalog_changed |= !request.catalog_changes.is_empty();
                    let sequenced = self.sequence(request, &mut group);
                    group.sequenced.push(sequenced);
                }
                Ok(Some(duplicate)) => {
                    self.shared.log.abandon(request.transaction);
                    group.duplicates.push((request.reply, duplicate));
                }
                Err(error) => {
                    self.shared.log.abandon(request.transaction);
                    let writes = error.is_retryable().then_some(request.writes);
                    // A session that is gone needs no answer.
                    let _ = request.reply.send(Err(Refused { error, writes }));
                }
            }
        }
        if group.sequenced.is_empty() {
            return group.answer_duplicates();
        }
        if let Err(error) = self.shared.tables.store().check_room() {
            return self.fail(group, &store_error(error));
        }
        let records: Vec<Commit> = group.sequenced.iter().map(record).collect();
        match self.shared.log.append_commits(&records) {
            Ok(positions) => self.publish(group, &records, &positions),
            Err(error) => self.fail(group, &log_error(&error)),
        }
        self.forget();
    }

    /// Whether a request may be committed after those before it in its group: none, or that it is a repeated batch.
    fn judge(
        &self,
        request: &CommitRequest,
        catalog_changed: bool,
        pending: &Pending,
    ) -> Result<Option<Duplicate>, Error> {
        if let Some(action) = &request.producers {
            let durable = self.shared.producers.read();
            // First: what a repeated batch has read may well have changed, by its own first commit.
            if let Some(duplicate) = pending.judge(&durable, action)? {
                return Ok(Some(duplicate));
            }
        }
        self.validate(request, catalog_changed).map(|()| None)
    }

    /// A commit of its own. If the log does not take it, the failure lasts until the next start.
    fn suspend(&mut self, object: GlobalId, reason: &str) {
        self.shared.set_suspended(object, reason);
        let row = Row::pack([Datum::Oid(object.0), Datum::Text(reason)]);
        let timestamp = clock::next(self.last, clock::wall_clock());
        let commit = Commit {
            timestamp: timestamp.0,
            wall_clock: clock::wall_clock(),
            transaction: self.shared.next_transaction(),
            payloads: payload(SUSPENDED, &[(row, 1)]).into_iter().collect(),
            ..Commit::default()
        };
        let position = match self
            .shared
            .log
            .append_commits(std::slice::from_ref(&commit))
        {
            Ok(positions) => positions[0],
            Err(error) => {
                tracing::error!(%error, %object, "a suspension was not written down");
                return;
            }
        };
        self.last = timestamp;
        let none = BTreeMap::new();
        let tables = &self.shared.tables;
        if let Err(error) = tables.apply(timestamp, &none, (&commit, position), &BTreeMap::new()) {
            tracing::error!(%error, "the table store did not take a commit");
            self.shared.set_damaged(error);
            tables.store().request_rebuild();
        }
        self.advance_store(timestamp, position);
        self.shared
            .compute
            .advance(Arc::default(), timestamp.next());
        self.shared.show(timestamp);
    }

    /// The store has all of a commit: says so, and where the log goes on.
    fn advance_store(&self, timestamp: Timestamp, position: Position) {
        let mark = Mark {
            position,
            floor: self.floor.max(timestamp.0),
            transaction: self.shared.next_transaction_id(),
            next_object: self.shared.catalog().catalog.next_id(),
        };
        self.shared
            .tables
            .store()
            .advance(timestamp, &mark.encode());
    }

    /// Nothing of the group is in the log: its timestamps stay unused, and nothing was shown.
    fn fail(&mut self, group: Group, error: &Error) {
        tracing::error!(%error, commits = group.sequenced.len(), "a group of commits was not taken");
        for (reply, _) in group.duplicates {
            let _ = reply.send(Err(error.clone().into()));
        }
        for sequenced in group.sequenced {
            self.shared.log.abandon(sequenced.request.transaction);
            self.shared.tables.tallies.give_back(sequenced.carried);
            let _ = sequenced.request.reply.send(Err(error.clone().into()));
            self.recent.retain(|(t, _)| *t != sequenced.timestamp);
        }
    }

    fn validate(&self, request: &CommitRequest, catalog_changed: bool) -> Result<(), Error> {
        let state = self.shared.catalog();
        let stale = catalog_changed || state.catalog.version() != request.base_version;
        if stale {
            let same = |table: &GlobalId| {
                let now = state.catalog.get(*table);
                let then = request.tables.get(table);
                // A table's definition is one object for as long as it does not change.
                !catalog_changed
                    && now.is_some_and(|o| then.is_some_and(|t| self.shared.is_current(o, t)))
            };
            let written = request.writes.iter().filter(|(_, w)| !w.is_empty());
            if !request.catalog_changes.is_empty() || !written.map(|(id, _)| id).all(same) {
                return Err(Error::serialization());
            }
        }
        if request.reads.is_empty() {
            return Ok(());
        }
        if request.snapshot < self.forgotten {
            return Err(Error::serialization());
        }
        let newer = self
            .recent
            .iter()
            .rev()
            .take_while(|(t, _)| *t > request.snapshot);
        for (_, summary) in newer {
            if summary.conflicts_with(&request.reads) {
                return Err(Error::serialization());
            }
        }
        Ok(())
    }

    fn sequence(&mut self, request: CommitRequest, group: &mut Group) -> Sequenced {
        let wall = clock::wall_clock();
        let timestamp = clock::next(self.last, wall);
        self.last = timestamp;
        let producer_changes = match &request.producers {
            Some(action) => {
                let at = Moment {
                    timestamp,
                    wall,
                    retention: self.shared.options.producer_retention,
                };
                let durable = self.shared.producers.read();
                group.producers.act(&durable, action, at)
            }
            None => Vec::new(),
        };
        let password_changes = match request.passwords.is_empty() {
            true => Vec::new(),
            false => {
                let durable = || (**self.shared.passwords.load()).clone();
                let passwords = group.passwords.get_or_insert_with(durable);
                passwords.apply(&request.passwords)
            }
        };
        let reader_changes = match request.acknowledged.is_empty() {
            true => Vec::new(),
            false => {
                let durable = || (**self.shared.readers.load()).clone();
                let readers = group.readers.get_or_insert_with(durable);
                readers.apply(&request.acknowledged, wall)
            }
        };
        self.recent
            .push_back((timestamp, WriteSummary::of(&request.writes)));
        let changes = request
            .writes
            .iter()
            .filter(|(_, w)| !w.rows.is_empty())
            .map(|(id, w)| (*id, w.rows.iter().map(|(r, d)| (r.clone(), *d)).collect()))
            .collect();
        let dated = |mut change: Change| {
            match (&change.old, &mut change.new) {
                (None, Some(new)) => {
                    Arc::make_mut(new).created = timestamp;
                    new_constraints(new, timestamp);
                }
                (Some(_), Some(new)) => new_constraints(new, timestamp),
                (_, None) => {}
            }
            change
        };
        let catalog_changes = request.catalog_changes.iter().cloned().map(dated).collect();
        let written = request.writes.iter().filter(|(_, w)| !w.is_empty());
        let written = written.filter_map(|(id, _)| request.tables.get(id));
        let carried = self.shared.tables.tallies.take(written);
        Sequenced {
            timestamp,
            request,
            changes,
            catalog_changes,
            producer_changes,
            password_changes,
            reader_changes,
            carried,
        }
    }

    /// The group is durable: apply it, in order, and show it.
    fn publish(&mut self, mut group: Group, records: &[Commit], positions: &[Position]) {
        let mut advance: BTreeMap<GlobalId, Vec<(Row, Timestamp, Diff)>> = BTreeMap::new();
        let mut bulk = Vec::new();
        let mut installs = Vec::new();
        let mut drops = Vec::new();
        let mut replies = Vec::new();
        let sequenced = std::mem::take(&mut group.sequenced).into_iter();
        for ((sequenced, record), position) in sequenced.zip(records).zip(positions) {
            let Sequenced {
                timestamp,
                request,
                changes,
                catalog_changes,
                producer_changes: _,
                password_changes: _,
                reader_changes: _,
                carried: _,
            } = sequenced;
            let tables = &request.tables;
            let store = &self.shared.tables;
            let added = tables
                .values()
                .try_for_each(|t| store.backfill(timestamp, t));
            let applied =
                added.and_then(|()| store.apply(timestamp, &changes, (record, *position), tables));
            if let Err(error) = applied {
                // The log has the commit; the store is a cache that is rebuilt from it at the next start.
                tracing::error!(%error, "the table store did not take a commit");
                self.shared.set_damaged(error);
                store.store().request_rebuild();
            }
            let chunked: BTreeSet<_> = record
                .chunks
                .iter()
                .map(|c| GlobalId(c.collection as u32))
                .collect();
            for (id, rows) in changes {
                // A large commit is read from the log, and all of a table's changes with it.
                if chunked.contains(&id) {
                    continue;
                }
                let rows = rows.into_iter().map(|(row, diff)| (row, timestamp, diff));
                advance.entry(id).or_default().extend(rows);
            }
            bulk.extend(chunked.into_iter().map(|id| (id, timestamp)));
            if !catalog_changes.is_empty() {
                drops.extend(self.shared.apply_catalog(&catalog_changes));
            }
            // After the catalog: a dropped table's room is given back first.
            self.advance_store(timestamp, *position);
            installs.extend(request.installs);
            replies.push((request.reply, timestamp));
        }
        let upper = self.last.next();
        let mut changes: Vec<(GlobalId, Changes)> = Vec::new();
        for (id, rows) in advance {
            changes.push((id, Changes::Rows(Arc::new(rows))));
        }
        for (id, timestamp) in bulk {
            let after = timestamp.previous();
            changes.push((
                id,
                Changes::Stored {
                    after,
                    up_to: timestamp,
                },
            ));
        }
        self.shared.compute.advance(Arc::new(changes), upper);
        for desc in installs {
            self.shared.install(DataflowDesc {
                as_of: self.last,
                ..desc
            });
        }
        for id in drops {
            self.shared.drop_dataflow_of(id);
        }
        // Whoever sees what a batch has written sees that it was committed.
        if !group.producers.is_empty() {
            let pending = std::mem::take(&mut group.producers);
            self.shared.producers.write().apply(pending);
        }
        if let Some(passwords) = group.passwords.take() {
            self.shared.passwords.store(Arc::new(passwords));
        }
        if let Some(readers) = group.readers.take() {
            self.shared.readers.store(Arc::new(readers));
        }
        self.shared.show(self.last);
        for (reply, timestamp) in replies {
            let _ = reply.send(Ok(CommitOutcome::Committed(timestamp)));
        }
        group.answer_duplicates();
    }

    /// Forgets commits that no transaction under way can conflict with.
    fn forget(&mut self) {
        let oldest = self.shared.oldest_snapshot();
        while let Some((timestamp, _)) = self.recent.front()
            && *timestamp <= oldest
        {
            self.forgotten = *timestamp;
            self.recent.pop_front();
        }
    }
}

impl Group {
    fn answer_duplicates(self) {
        for (reply, duplicate) in self.duplicates {
            let _ = reply.send(Ok(CommitOutcome::Duplicate(duplicate)));
        }
    }
}

/// Constraints that a commit adds to a table hold from that commit on.
fn new_constraints(object: &mut Arc<Object>, timestamp: Timestamp) {
    let is_new = |object: &Object| {
        matches!(&object.kind, ObjectKind::Table(table)
            if table.constraints.iter().any(|c| c.since == Timestamp::MAX))
    };
    if is_new(object)
        && let ObjectKind::Table(table) = &mut Arc::make_mut(object).kind
    {
        for constraint in table
            .constraints
            .iter_mut()
            .filter(|c| c.since == Timestamp::MAX)
        {
            constraint.since = timestamp;
        }
    }
}

fn log_error(error: &LogError) -> Error {
    use everview_repr::SqlState;
    let code = match error {
        LogError::DiskFull { .. } => SqlState::DISK_FULL,
        _ => SqlState::IO_ERROR,
    };
    Error::new(code, error.to_string())
}

/// Where sessions send commits.
pub(crate) type Requests = Sender<Request>;
