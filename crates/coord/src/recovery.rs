//! From the files to a running state.
//!
//! The store says up to which commit it is complete, holds the catalog as of then, and a `Mark` of where that commit
//! is in the log. The log is read from that commit's segment on, and what the store lacks is applied to it. A store
//! that is missing, damaged, or of another log is built anew from the whole log.
//!
//! **Invariant.** The state is that of the log alone: the store spares reading and decides nothing.

use crate::codec;
use crate::coordinator::Options;
use crate::error::Error;
use crate::facts;
use crate::mark::Mark;
use crate::passwords::{PASSWORDS, Passwords};
use crate::producers::{PRODUCERS, Producers};
use crate::readers::{READERS, Readers};
use crate::table::StoredTable;
use crate::tables::{SUSPENDED, Tables, store_error};
use everview_catalog::catalog::{self, CATALOG_COLLECTION, Change};
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_log::{Commit, Entry, Log, Position, Reader, Record, vfs};
use everview_repr::{Datum, Diff, GlobalId, Row, SqlState, Timestamp};
use everview_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What recovery gives.
pub(crate) struct Recovered {
    pub log: Log,
    pub tables: Arc<Tables>,
    pub catalog: Catalog,
    /// The newest commit.
    pub last: Timestamp,
    /// No later commit may be at or below this: the newest commit or lease.
    pub floor: Timestamp,
    pub next_transaction: u64,
    /// Views and indexes that failed, and why.
    pub suspended: BTreeMap<GlobalId, String>,
    pub producers: Producers,
    pub passwords: Passwords,
    pub readers: Readers,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens log and store and brings the store up to the log's end.
pub(crate) fn recover(
    options: &Options,
    fs: &Arc<dyn vfs::FileSystem>,
) -> Result<Recovered, Error> {
    if let Some(recovered) = attempt(options, fs)? {
        return Ok(recovered);
    }
    tracing::warn!("the table store does not belong to this log; building it anew");
    Store::remove(&options.data_dir.join("store")).map_err(store_error)?;
    attempt(options, fs)?.ok_or_else(|| Error::internal("an empty store does not go with this log"))
}

/// None if the store is of no use.
fn attempt(options: &Options, fs: &Arc<dyn vfs::FileSystem>) -> Result<Option<Recovered>, Error> {
    let (store, complete) = Store::open(options.data_dir.join("store"), options.store)
        .map_err(|error| opening(error, &options.data_dir))?;
    let tables = Arc::new(Tables::new(store));
    let mut replay = Replay::new(tables.clone());
    if !complete.mark.is_empty() {
        let resumed = match Mark::decode(&complete.mark) {
            Some(mark) => replay.resume(complete.upto, mark),
            None => Err("its mark cannot be read".into()),
        };
        if let Err(error) = resumed {
            tracing::warn!(%error, "the table store cannot be used");
            return Ok(None);
        }
    }
    let start = replay.mark.map(|mark| mark.start());
    let opened = Log::open(
        fs.clone(),
        &options.data_dir.join("log"),
        options.log,
        start,
        &mut |reader, entry| replay.entry(reader, entry),
    );
    let (log, recovery) = opened?;
    if replay.mark.is_some() && !replay.met {
        return Ok(None);
    }
    tables.set_log(log.reader());
    if let Some(aside) = &recovery.set_aside {
        tracing::warn!(
            file = %aside.path.display(), offset = aside.offset, bytes = aside.bytes,
            reason = aside.reason, "the log's torn end was set aside"
        );
    }
    tracing::info!(
        segments = recovery.segments,
        commits = recovery.commits,
        applied = replay.applied,
        "the log was read"
    );
    let last = Timestamp(recovery.last_timestamp).max(Timestamp(1));
    if recovery.commits == 0 {
        tables.store().advance(last, &[]);
    }
    let mut suspended = BTreeMap::new();
    for row in tables.system_rows(SUSPENDED, last)? {
        if let [Datum::Oid(id), Datum::Text(reason)] = row.unpack().as_slice() {
            suspended.insert(GlobalId(*id), (*reason).to_string());
        }
    }
    let producers = Producers::load(&tables.system_rows(PRODUCERS, last)?)?;
    let passwords = Passwords::load(&tables.system_rows(PASSWORDS, last)?)?;
    let readers = Readers::load(&tables.system_rows(READERS, last)?)?;
    Ok(Some(Recovered {
        suspended,
        producers,
        passwords,
        readers,
        log,
        tables,
        catalog: replay.catalog,
        last,
        floor: last.max(Timestamp(recovery.lease)),
        next_transaction: recovery.last_transaction + 1,
    }))
}

fn opening(error: StoreError, dir: &Path) -> Error {
    match error {
        StoreError::Locked(_) => Error::new(
            SqlState::OBJECT_IN_USE,
            format!(
                "the data folder {} is in use by another process",
                dir.display()
            ),
        )
        .with_hint("Stop that process, or choose another folder."),
        other => store_error(other),
    }
}

struct Replay {
    tables: Arc<Tables>,
    catalog: Catalog,
    /// What the store has.
    complete: Timestamp,
    mark: Option<Mark>,
    /// The commit that the store is complete to was met where the mark says.
    met: bool,
    floor: u64,
    transaction: u64,
    /// Commits that the store lacked.
    applied: u64,
}

impl Replay {
    fn new(tables: Arc<Tables>) -> Replay {
        Replay {
            tables,
            catalog: Catalog::new(),
            complete: Timestamp::MIN,
            mark: None,
            met: false,
            floor: 0,
            transaction: 0,
            applied: 0,
        }
    }

    /// Takes over the catalog of a store that is complete to a commit.
    fn resume(&mut self, complete: Timestamp, mark: Mark) -> Result<(), Failure> {
        let mut changes = Vec::new();
        for row in self.tables.system_rows(CATALOG_COLLECTION, complete)? {
            let object = Arc::new(catalog::from_row(&row)?);
            changes.push(Change {
                old: None,
                new: Some(object),
            });
        }
        self.define(complete, &changes)?;
        self.catalog.reserve(mark.next_object);
        self.tables.load_counts(complete)?;
        self.complete = complete;
        self.floor = mark.floor;
        self.transaction = mark.transaction.saturating_sub(1);
        self.mark = Some(mark);
        Ok(())
    }

    fn entry(&mut self, reader: &Reader, entry: Entry) -> Result<(), Failure> {
        let commit = match entry.record {
            Record::Commit(commit) => commit,
            Record::Lease(bound) => {
                self.floor = self.floor.max(bound);
                return Ok(());
            }
            Record::Chunk(_) | Record::Checkpoint(_) | Record::Base(_) => return Ok(()),
        };
        let timestamp = Timestamp(commit.timestamp);
        if timestamp <= self.complete {
            self.met |= self
                .mark
                .is_some_and(|mark| timestamp == self.complete && mark.position == entry.position);
            return Ok(());
        }
        facts::check(&commit)?;
        self.tables.set_log(reader.clone());
        // DDL first: a transaction may fill a table that it creates.
        for payload in &commit.payloads {
            if payload.collection == u64::from(CATALOG_COLLECTION.0) {
                self.ddl(timestamp, &payload.bytes)?;
            }
        }
        self.apply(timestamp, &commit, entry.position)
    }

    fn apply(
        &mut self,
        timestamp: Timestamp,
        commit: &Commit,
        position: Position,
    ) -> Result<(), Failure> {
        let mut changes: BTreeMap<GlobalId, Vec<(Row, Diff)>> = BTreeMap::new();
        let mut tables = BTreeMap::new();
        let chunked = commit.chunks.iter().map(|c| c.collection);
        for collection in commit.payloads.iter().map(|p| p.collection).chain(chunked) {
            let id = GlobalId(collection as u32);
            if let Some(table) = self.tables.get(id) {
                tables.insert(id, table);
            }
        }
        for payload in &commit.payloads {
            let id = GlobalId(payload.collection as u32);
            if tables.get(&id).is_some_and(|table| table.has_rows()) {
                let rows: Result<Vec<_>, _> = codec::decode(&payload.bytes).collect();
                changes.entry(id).or_default().extend(rows?);
            }
        }
        self.tables
            .apply(timestamp, &changes, (commit, position), &tables)?;
        self.floor = self.floor.max(timestamp.0);
        self.transaction = self.transaction.max(commit.transaction);
        self.applied += 1;
        let mark = Mark {
            position,
            floor: self.floor,
            transaction: self.transaction + 1,
            next_object: self.catalog.next_id(),
        };
        self.tables.store().advance(timestamp, &mark.encode());
        Ok(())
    }

    fn ddl(&mut self, timestamp: Timestamp, bytes: &[u8]) -> Result<(), Failure> {
        self.define(timestamp, &catalog_changes(bytes)?)
    }

    fn define(&mut self, timestamp: Timestamp, changes: &[Change]) -> Result<(), Failure> {
        self.catalog = self.catalog.apply(changes);
        for change in changes {
            match (&change.old, &change.new) {
                (_, Some(new)) if matches!(new.kind, ObjectKind::Table(_)) => {
                    let table = Arc::new(StoredTable::new(&self.catalog, new)?);
                    self.tables.backfill(timestamp, &table)?;
                    self.tables.define(table)?;
                }
                (Some(old), None) if matches!(old.kind, ObjectKind::Table(_)) => {
                    self.tables.drop_table(old.id)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The changes of objects that a commit's changes of [`CATALOG_COLLECTION`] stand for, in order.
pub(crate) fn catalog_changes(bytes: &[u8]) -> Result<Vec<Change>, Failure> {
    let mut changes: BTreeMap<GlobalId, Change> = BTreeMap::new();
    let mut order = Vec::new();
    for change in codec::decode(bytes) {
        let (row, diff) = change?;
        let object: Arc<Object> = Arc::new(catalog::from_row(&row)?);
        let id = object.id;
        let entry = changes.entry(id).or_insert_with(|| {
            order.push(id);
            Change {
                old: None,
                new: None,
            }
        });
        if diff < 0 {
            entry.old = Some(object)
        } else {
            entry.new = Some(object)
        }
    }
    Ok(order.iter().filter_map(|id| changes.remove(id)).collect())
}
