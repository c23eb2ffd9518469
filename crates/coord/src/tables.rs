//! Where tables' rows are: in the store, or, for append-only tables, in the log itself (see `pieces`).
//!
//! The one place that turns rows into stored changes and back. Readers on any thread see a table as of any
//! timestamp that the store still holds; commits are applied by the sequencer alone, in order.

use crate::codec;
use crate::commits;
use crate::effects::{self, EFFECTS, READ_AGAIN, Subject, Tallies};
use crate::error::Error;
use crate::history::Past;
use crate::pieces::{self, Piece};
use crate::table::{StoredTable, UniqueKey};
use crate::windows::Windows;
use everview_dataflow::{ChangeChunks, RowChunks, TableReader};
use everview_log::{Position, Reader};
use everview_repr::{Diff, GlobalId, Row, SqlState, Timestamp};
use everview_store::Store;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

mod applying;

/// Rows decoded at once.
const CHUNK_ROWS: usize = 4096;

/// Where changes are in the log, in order.
type Pieces = Box<dyn Iterator<Item = Result<Piece, String>> + Send>;

/// Rows of all tables.
pub struct Tables {
    store: Store,
    log: RwLock<Option<Reader>>,
    known: RwLock<BTreeMap<GlobalId, Arc<StoredTable>>>,
    /// Where recent large commits of stored tables are.
    bulk: RwLock<BTreeMap<(Timestamp, GlobalId), Vec<Piece>>>,
    /// Who reads the past.
    pub(crate) past: Past,
    /// Rows of each table: for progress, not for answers.
    counts: RwLock<BTreeMap<GlobalId, i64>>,
    /// Keys remembered for a time.
    pub(crate) windows: Windows,
    /// What was delivered, processed, and took effect.
    pub(crate) tallies: Arc<Tallies>,
}

/// The store's collection of row counts: a table's id is the key, and the count its multiplicity.
const COUNTS: u64 = 2 << 32;

/// The system collection of suspended views and indexes: object (oid), reason (text).
pub const SUSPENDED: GlobalId = GlobalId(2);

impl Tables {
    /// Over a store; the log's reader comes once the log is open.
    pub fn new(store: Store) -> Tables {
        let complete = store.complete_upto();
        Tables {
            past: Past::since(complete),
            store,
            log: RwLock::new(None),
            known: RwLock::default(),
            bulk: RwLock::default(),
            counts: RwLock::default(),
            windows: Windows::default(),
            tallies: Arc::default(),
        }
    }

    /// Gives the log's reader.
    pub fn set_log(&self, reader: Reader) {
        *self.log.write() = Some(reader);
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes a table known, or its new definition, and gives the room of unique keys back that it has lost.
    pub fn define(&self, table: Arc<StoredTable>) -> Result<(), Error> {
        let before = self.known.write().insert(table.id, table.clone());
        for unique in before.iter().flat_map(|b| &b.unique) {
            let kept = |k: &UniqueKey| k.collection == unique.collection;
            if unique.collection != table.id && !table.unique.iter().any(kept) {
                self.store
                    .drop_collection(u64::from(unique.collection.0))
                    .map_err(store_error)?;
            }
        }
        if let Some(counted) = before.as_ref().and_then(|b| b.counted.as_ref())
            && table.counted.is_none()
        {
            let collections = [
                u64::from(counted.constraint.0),
                effects::carried_collection(table.id),
            ];
            for collection in collections {
                self.store
                    .drop_collection(collection)
                    .map_err(store_error)?;
            }
        }
        let windows = before.iter().flat_map(|b| &b.windows);
        for window in windows.map(|w| w.constraint) {
            if !table.windows.iter().any(|w| w.constraint == window) {
                self.windows.drop_constraint(&self.store, window)?;
            }
        }
        Ok(())
    }

    /// Fills the stored indexes that a new definition adds with the rows from before the commit that adds them.
    pub fn backfill(&self, at: Timestamp, table: &StoredTable) -> Result<(), Error> {
        let Some(before) = self.get(table.id) else {
            return Ok(());
        };
        if std::ptr::eq(&*before, table) {
            return Ok(());
        }
        let known = |u: &&UniqueKey| before.unique.iter().any(|b| b.collection == u.collection);
        let added: Vec<&UniqueKey> = table.unique.iter().filter(|u| !known(u)).collect();
        if added.is_empty() {
            return Ok(());
        }
        for chunk in self.scan(table.id, at.previous(), 0, 1) {
            let mut stored = Vec::new();
            for (row, diff) in chunk.map_err(Error::internal)? {
                let row = table.widened(row);
                let keys = added.iter();
                stored.extend(keys.filter_map(|u| table.stored_under(u, &row, diff)));
            }
            self.apply_stored(at, &stored, &[])?;
        }
        Ok(())
    }

    /// A table by id.
    pub fn get(&self, id: GlobalId) -> Option<Arc<StoredTable>> {
        self.known.read().get(&id).cloned()
    }

    /// Forgets a dropped table and gives its rows' room back.
    pub fn drop_table(&self, id: GlobalId) -> Result<(), Error> {
        let table = self.known.write().remove(&id);
        if let Some(table) = table {
            let constraints = table.unique.iter().map(|k| u64::from(k.collection.0));
            let counted = table.counted.iter().map(|c| u64::from(c.constraint.0));
            for window in &table.windows {
                self.windows
                    .drop_constraint(&self.store, window.constraint)?;
            }
            for collection in constraints
                .chain(counted)
                .chain([u64::from(id.0), pieces::collection(id)])
                .chain([effects::carried_collection(id)])
                .collect::<std::collections::BTreeSet<_>>()
            {
                self.store
                    .drop_collection(collection)
                    .map_err(store_error)?;
            }
        }
        Ok(())
    }

    /// Lets history before a time go.
    pub fn set_since(&self, since: Timestamp) {
        self.store.set_since(since);
        let mut bulk = self.bulk.write();
        while let Some(((timestamp, _), _)) = bulk.first_key_value()
            && *timestamp < since
        {
            bulk.pop_first();
        }
    }

    /// The rows of a collection of the system as of a time.
    pub fn system_rows(&self, collection: GlobalId, as_of: Timestamp) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        self.each_system(u64::from(collection.0), as_of, |_, value, _| {
            rows.push(Row::from_bytes(value).map_err(|e| Error::internal(e.to_string()))?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Takes over as of a time what is known beside rows: counts, and keys remembered for a time.
    pub fn load_counts(&self, as_of: Timestamp) -> Result<(), Error> {
        let mut counts = self.counts.write();
        self.each_system(COUNTS, as_of, |key, _, count| {
            if let Some(id) = key.first_chunk::<4>() {
                counts.insert(GlobalId(u32::from_be_bytes(*id)), count);
            }
            Ok(())
        })?;
        self.each_system(EFFECTS, as_of, |key, _, count| {
            if let Some(subject) = Subject::from_key(key) {
                self.tallies.set_effects(subject, count.max(0) as u64);
            }
            Ok(())
        })?;
        self.windows.load(&self.store, as_of)
    }

    /// Whether a key was written at or before the first time, and counts at the second.
    pub(crate) fn remembers(
        &self,
        window: &UniqueKey,
        key: &[u8],
        times: (Timestamp, Timestamp),
    ) -> Result<bool, Error> {
        self.windows.remembers(&self.store, window, key, times)
    }

    /// What the store has of a collection at a time: key, value and multiplicity.
    pub(crate) fn each_system(
        &self,
        collection: u64,
        as_of: Timestamp,
        mut each: impl FnMut(&[u8], &[u8], Diff) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        for chunk in self
            .store
            .scan(collection, all, as_of, 0, 1)
            .map_err(store_error)?
        {
            let chunk = chunk.map_err(store_error)?;
            chunk.iter().try_for_each(|(k, v, d)| each(k, v, d))?;
        }
        Ok(())
    }

    fn read_chunk(&self, position: Position) -> Result<Vec<(Row, Diff)>, Error> {
        let chunk = self.reader()?.read_chunk(position)?;
        codec::decode(&chunk.payload.bytes)
            .collect::<Result<_, _>>()
            .map_err(Error::internal)
    }

    /// The rows of pieces that a transaction wrote ahead.
    pub fn written_ahead(
        &self,
        chunks: &[everview_log::ChunkRef],
    ) -> Result<Vec<(Row, Diff)>, Error> {
        let mut rows = Vec::new();
        for chunk in chunks {
            rows.extend(self.read_chunk(chunk.position)?);
        }
        Ok(rows)
    }

    /// The row under a key by a scan, for a time that the key's own collection does not reach back to.
    fn find_by_scan(
        &self,
        table: &StoredTable,
        unique: &UniqueKey,
        key: &[u8],
        as_of: Timestamp,
    ) -> Result<Option<Row>, Error> {
        for chunk in self.scan(table.id, as_of, 0, 1) {
            for (row, diff) in chunk.map_err(Error::internal)? {
                let row = table.widened(row);
                if diff > 0 && unique.key(&row.unpack()).as_deref() == Some(key) {
                    return Ok(Some(row));
                }
            }
        }
        Ok(None)
    }

    /// Changes of a table whose rows are in the store.
    fn stored_history(
        &self,
        table: Arc<StoredTable>,
        times: (Timestamp, Timestamp),
        snapshot: bool,
        shards: (usize, usize),
    ) -> ChangeChunks {
        let id = u64::from(table.id.0);
        match self.store.history(id, times, snapshot, shards) {
            Err(error) => Box::new(std::iter::once(Err(error.to_string()))),
            Ok(scan) => Box::new(scan.map(move |chunk| {
                let chunk = chunk.map_err(|e| e.to_string())?;
                let rows = chunk.changes().map(|(key, value, time, diff)| {
                    let row = table.row_of(key, value).map_err(|e| e.to_string())?;
                    Ok((row, time, diff))
                });
                rows.collect()
            })),
        }
    }

    fn reader(&self) -> Result<Reader, Error> {
        self.log
            .read()
            .clone()
            .ok_or_else(|| Error::internal("the log is not open yet"))
    }

    /// The row under a unique key as of a time.
    pub fn find(
        &self,
        table: &StoredTable,
        unique: &UniqueKey,
        key: &[u8],
        as_of: Timestamp,
    ) -> Result<Option<Row>, Error> {
        if as_of < unique.since {
            return self.find_by_scan(table, unique, key, as_of);
        }
        let found = self
            .store
            .get(u64::from(unique.collection.0), key, as_of)
            .map_err(store_error)?;
        match found.iter().find(|(_, diff)| *diff > 0) {
            Some((value, _)) => {
                let row = Row::from_bytes(value);
                row.map(|row| Some(table.widened(row)))
                    .map_err(|e| Error::internal(format!("table {}: {e}", table.name)))
            }
            None => Ok(None),
        }
    }

    /// The pieces of an append-only table with times in the range, that one of some readers takes.
    fn pieces(
        &self,
        id: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> Pieces {
        let (from, to) = (pieces::key(after.next(), 0), pieces::key(up_to, u32::MAX));
        let range = (Bound::Included(&from[..]), Bound::Included(&to[..]));
        if after >= up_to {
            return Box::new(std::iter::empty());
        }
        // A piece never goes away: as of the end of time, all are there.
        let scan = self
            .store
            .scan(pieces::collection(id), range, Timestamp::MAX, 0, 1);
        let chunks = match scan {
            Ok(scan) => scan,
            Err(error) => return Box::new(std::iter::once(Err(error.to_string()))),
        };
        let read = |(key, value, _): (&[u8], &[u8], Diff)| {
            pieces::read(key, value).ok_or_else(|| "a piece cannot be read".to_string())
        };
        let all = chunks.flat_map(move |chunk| match chunk {
            Ok(chunk) => chunk.iter().map(read).collect::<Vec<_>>(),
            Err(error) => vec![Err(error.to_string())],
        });
        Box::new(all.skip(shard).step_by(shards.max(1)))
    }

    /// The changes of those pieces, one piece at a time.
    fn read_pieces(&self, table: Arc<StoredTable>, pieces: Pieces) -> ChangeChunks {
        match self.reader() {
            Ok(log) => pieces::changes(log, table, pieces),
            Err(error) => Box::new(std::iter::once(Err(error.to_string()))),
        }
    }
}

impl TableReader for Tables {
    fn scan(&self, table: GlobalId, as_of: Timestamp, shard: usize, shards: usize) -> RowChunks {
        let Some(known) = self.get(table) else {
            return Box::new(std::iter::empty());
        };
        if known.append_only {
            let pieces = self.pieces(table, Timestamp::MIN, as_of, shard, shards);
            let changes = self.read_pieces(known, pieces);
            return Box::new(changes.map(|chunk| {
                Ok(chunk?
                    .into_iter()
                    .map(|(row, _, diff)| (row, diff))
                    .collect())
            }));
        }
        match self.store.scan(
            u64::from(table.0),
            (Bound::Unbounded, Bound::Unbounded),
            as_of,
            shard,
            shards,
        ) {
            Err(error) => Box::new(std::iter::once(Err(error.to_string()))),
            Ok(scan) => Box::new(scan.map(move |chunk| {
                let chunk = chunk.map_err(|e| e.to_string())?;
                let rows = chunk.iter().map(|(key, value, diff)| {
                    known
                        .row_of(key, value)
                        .map(|row| (row, diff))
                        .map_err(|e| e.to_string())
                });
                rows.collect()
            })),
        }
    }

    fn changes(
        &self,
        table: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> ChangeChunks {
        let Some(known) = self.get(table) else {
            return Box::new(std::iter::empty());
        };
        if known.append_only {
            let pieces = self.pieces(table, after, up_to, shard, shards);
            return self.read_pieces(known, pieces);
        }
        let bulk = self.bulk.read().get(&(up_to, table)).cloned();
        if let Some(pieces) = bulk.filter(|_| after == up_to.previous()) {
            let own = pieces.into_iter().skip(shard).step_by(shards.max(1));
            return self.read_pieces(known, Box::new(own.map(Ok)));
        }
        self.stored_history(known, (after, up_to), false, (shard, shards))
    }

    fn history(
        &self,
        table: GlobalId,
        as_of: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> ChangeChunks {
        if commits::is(table) {
            return match self.past.history() {
                Some(history) => history.history(table, as_of, up_to, shard, shards),
                None => Box::new(std::iter::once(Err("the log was not read".to_string()))),
            };
        }
        let Some(known) = self.get(table) else {
            return Box::new(std::iter::empty());
        };
        let changes: ChangeChunks = if known.append_only {
            let pieces = self.pieces(table, Timestamp::MIN, up_to, shard, shards);
            let changes = self.read_pieces(known.clone(), pieces);
            Box::new(changes.map(move |chunk| {
                let mut chunk = chunk?;
                for (_, time, _) in &mut chunk {
                    *time = (*time).max(as_of);
                }
                Ok(chunk)
            }))
        } else {
            self.stored_history(known.clone(), (as_of, up_to), true, (shard, shards))
        };
        let tallies = self.tallies.clone();
        Box::new(changes.inspect(move |chunk| {
            let Ok(chunk) = chunk else { return };
            tallies.read_again(table, chunk.len() as u64);
            if let Some(counted) = &known.counted {
                let rows = chunk.iter().map(|(row, _, diff)| (row, diff.abs()));
                tallies.add_keys((table, counted), READ_AGAIN, rows);
            }
        }))
    }

    fn width(&self, table: GlobalId) -> Option<usize> {
        self.get(table).map(|t| t.desc.arity())
    }

    fn estimate(&self, table: GlobalId) -> u64 {
        self.counts
            .read()
            .get(&table)
            .map_or(0, |n| (*n).max(0) as u64)
    }
}

pub(crate) fn store_error(error: everview_store::StoreError) -> Error {
    let full = matches!(error, everview_store::StoreError::DiskFull(_));
    let message = format!("the table store failed: {error}");
    if full {
        return Error::new(SqlState::DISK_FULL, message)
            .with_hint("Free space on the disk of the data directory, and try again.");
    }
    Error::new(SqlState::IO_ERROR, message)
        .with_hint("Stop the server, delete the store folder in the data directory, and start again: it is rebuilt from the log.")
}
