//! From the files to a running state: the log is read once, in order; the store gets what it lacks.

use crate::codec;
use crate::coordinator::Options;
use crate::error::Error;
use crate::table::StoredTable;
use crate::tables::{Tables, store_error};
use everview_catalog::catalog::{self, CATALOG_COLLECTION, Change};
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_log::{Commit, Entry, Log, Reader, Record, vfs};
use everview_repr::{Diff, GlobalId, Row, Timestamp};
use everview_store::Store;
use std::collections::BTreeMap;
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
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens log and store and brings the store up to the log's end.
pub(crate) fn recover(options: &Options) -> Result<Recovered, Error> {
    let fs: Arc<dyn vfs::FileSystem> = Arc::new(vfs::RealFs);
    let log_dir = options.data_dir.join("log");
    let store_dir = options.data_dir.join("store");
    let (store, complete) =
        Store::open(&store_dir, everview_store::Options::default()).map_err(store_error)?;
    let tables = Arc::new(Tables::new(store));
    let mut replay = Replay {
        tables: tables.clone(),
        catalog: Catalog::new(),
        complete,
    };
    let opened = Log::open(
        fs,
        &log_dir,
        everview_log::Options::default(),
        None,
        &mut |reader, entry| replay.entry(reader, entry),
    );
    let (log, recovery) = opened?;
    tables.set_log(log.reader());
    if let Some(aside) = &recovery.set_aside {
        tracing::warn!(
            file = %aside.path.display(), offset = aside.offset, bytes = aside.bytes,
            reason = aside.reason, "the log's torn end was set aside"
        );
    }
    let last = Timestamp(recovery.last_timestamp).max(Timestamp(1));
    tables.store().advance(last);
    Ok(Recovered {
        log,
        tables,
        catalog: replay.catalog,
        last,
        floor: last.max(Timestamp(recovery.lease)),
        next_transaction: recovery.last_transaction + 1,
    })
}

struct Replay {
    tables: Arc<Tables>,
    catalog: Catalog,
    complete: Timestamp,
}

impl Replay {
    fn entry(&mut self, reader: &Reader, entry: Entry) -> Result<(), Failure> {
        let Record::Commit(commit) = entry.record else {
            return Ok(());
        };
        let timestamp = Timestamp(commit.timestamp);
        self.tables.set_log(reader.clone());
        // DDL first: a transaction may fill a table that it creates.
        let ddl = commit
            .payloads
            .iter()
            .filter(|p| p.collection == u64::from(CATALOG_COLLECTION.0));
        for payload in ddl {
            self.ddl(&payload.bytes)?;
        }
        let known = self.tables.clone();
        self.tables
            .note_commit(&commit, entry.position, timestamp, |id| {
                known.get(id).is_some_and(|t| t.append_only)
            });
        if timestamp > self.complete {
            self.apply(timestamp, &commit)?;
        }
        Ok(())
    }

    fn apply(&self, timestamp: Timestamp, commit: &Commit) -> Result<(), Failure> {
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
            if tables.contains_key(&id) {
                let rows: Result<Vec<_>, _> = codec::decode(&payload.bytes).collect();
                changes.entry(id).or_default().extend(rows?);
            }
        }
        self.tables.apply(timestamp, &changes, commit, &tables)?;
        Ok(())
    }

    fn ddl(&mut self, bytes: &[u8]) -> Result<(), Failure> {
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
        let changes: Vec<Change> = order.iter().filter_map(|id| changes.remove(id)).collect();
        self.catalog = self.catalog.apply(&changes);
        for change in &changes {
            match (&change.old, &change.new) {
                (_, Some(new)) if matches!(new.kind, ObjectKind::Table(_)) => {
                    self.tables
                        .define(Arc::new(StoredTable::new(&self.catalog, new)?));
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
