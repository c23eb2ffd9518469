//! Where tables' rows are: in the store, or, for append-only tables, in the log itself.
//!
//! The one place that turns rows into stored changes and back. Readers on any thread see a table as of any
//! timestamp that the store still holds; commits are applied by the sequencer alone, in order.

use crate::codec;
use crate::error::Error;
use crate::table::{Stored, StoredTable, UniqueKey};
use crate::transaction::Lookup;
use everview_dataflow::TableReader;
use everview_log::{Commit, Position, Reader};
use everview_repr::{Diff, GlobalId, Row, Timestamp};
use everview_store::{Change, Store};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Rows decoded at once.
const CHUNK_ROWS: usize = 4096;

/// Rows of a table with multiplicities, in bounded pieces.
type RowChunks = Box<dyn Iterator<Item = Result<Vec<(Row, Diff)>, String>> + Send>;
/// The same with the time of each change.
type ChangeChunks = Box<dyn Iterator<Item = Result<Vec<(Row, Timestamp, Diff)>, String>> + Send>;

/// Rows of all tables.
pub struct Tables {
    store: Store,
    log: RwLock<Option<Reader>>,
    known: RwLock<BTreeMap<GlobalId, Arc<StoredTable>>>,
    /// Where an append-only table's rows are, by time.
    appended: RwLock<BTreeMap<GlobalId, Vec<Appended>>>,
    /// Rows of each table as far as this process has applied them: for progress, not for answers.
    counts: RwLock<BTreeMap<GlobalId, i64>>,
}

/// A piece of an append-only table in the log.
#[derive(Clone, Copy)]
struct Appended {
    timestamp: Timestamp,
    position: Position,
    chunk: bool,
}

impl Tables {
    /// Over a store; the log's reader comes once the log is open.
    pub fn new(store: Store) -> Tables {
        Tables {
            store,
            log: RwLock::new(None),
            known: RwLock::default(),
            appended: RwLock::default(),
            counts: RwLock::default(),
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

    /// Makes a table known, or its new definition.
    pub fn define(&self, table: Arc<StoredTable>) {
        self.known.write().insert(table.id, table);
    }

    /// A table by id.
    pub fn get(&self, id: GlobalId) -> Option<Arc<StoredTable>> {
        self.known.read().get(&id).cloned()
    }

    /// Forgets a dropped table and gives its rows' room back.
    pub fn drop_table(&self, id: GlobalId) -> Result<(), Error> {
        let table = self.known.write().remove(&id);
        self.appended.write().remove(&id);
        if let Some(table) = table {
            let constraints = table.unique.iter().map(|k| k.collection);
            for collection in constraints
                .chain([id])
                .collect::<std::collections::BTreeSet<_>>()
            {
                self.store
                    .drop_collection(u64::from(collection.0))
                    .map_err(store_error)?;
            }
        }
        Ok(())
    }

    /// Remembers where a commit's append-only rows are.
    pub fn note_commit(
        &self,
        commit: &Commit,
        position: Position,
        timestamp: Timestamp,
        append_only: impl Fn(GlobalId) -> bool,
    ) {
        let mut appended = self.appended.write();
        for chunk in &commit.chunks {
            let id = GlobalId(chunk.collection as u32);
            if append_only(id) {
                let piece = Appended {
                    timestamp,
                    position: chunk.position,
                    chunk: true,
                };
                appended.entry(id).or_default().push(piece);
            }
        }
        for payload in &commit.payloads {
            let id = GlobalId(payload.collection as u32);
            if append_only(id) {
                let piece = Appended {
                    timestamp,
                    position,
                    chunk: false,
                };
                appended.entry(id).or_default().push(piece);
            }
        }
    }

    /// Applies a durable commit to the store: its rows, then what it wrote ahead.
    pub fn apply(
        &self,
        timestamp: Timestamp,
        changes: &BTreeMap<GlobalId, Vec<(Row, Diff)>>,
        commit: &Commit,
        tables: &BTreeMap<GlobalId, Arc<StoredTable>>,
    ) -> Result<(), Error> {
        let mut all = Vec::new();
        for (id, rows) in changes {
            if let Some(table) = tables.get(id) {
                let net: i64 = rows.iter().map(|(_, diff)| diff).sum();
                *self.counts.write().entry(*id).or_insert(0) += net;
                for (row, diff) in rows {
                    all.extend(table.stored(row, *diff));
                }
            }
        }
        for chunk in &commit.chunks {
            let id = GlobalId(chunk.collection as u32);
            let Some(table) = tables.get(&id) else {
                continue;
            };
            if table.append_only && table.unique.is_empty() {
                continue;
            }
            for (row, diff) in self.read_chunk(chunk.position)? {
                all.extend(table.stored(&row, diff));
                if all.len() >= 64 * CHUNK_ROWS {
                    self.apply_stored(timestamp, &std::mem::take(&mut all))?;
                }
            }
        }
        self.apply_stored(timestamp, &all)?;
        self.store.advance(timestamp);
        Ok(())
    }

    fn apply_stored(&self, timestamp: Timestamp, changes: &[Stored]) -> Result<(), Error> {
        let borrowed: Vec<Change<'_>> = changes
            .iter()
            .map(|s| Change {
                collection: u64::from(s.collection.0),
                key: &s.key,
                value: &s.value,
                diff: s.diff,
            })
            .collect();
        if borrowed.is_empty() {
            return Ok(());
        }
        self.store
            .apply_part(timestamp, &borrowed)
            .map_err(store_error)
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
        let found = self
            .store
            .get(u64::from(unique.collection.0), key, as_of)
            .map_err(store_error)?;
        match found.iter().find(|(_, diff)| *diff > 0) {
            Some((value, _)) => {
                let row = Row::from_bytes(value);
                row.map(Some)
                    .map_err(|e| Error::internal(format!("table {}: {e}", table.name)))
            }
            None => Ok(None),
        }
    }

    /// How often a row is in a table without a primary key.
    pub fn multiplicity(
        &self,
        table: &StoredTable,
        row: &Row,
        as_of: Timestamp,
    ) -> Result<Diff, Error> {
        let found = self
            .store
            .get(u64::from(table.id.0), row.bytes(), as_of)
            .map_err(store_error)?;
        Ok(found.iter().map(|(_, diff)| *diff).sum())
    }

    /// The pieces of an append-only table with times in the range, that one of some readers takes.
    fn pieces(
        &self,
        id: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> Vec<Appended> {
        let appended = self.appended.read();
        let all = appended.get(&id).map(Vec::as_slice).unwrap_or_default();
        let from = all.partition_point(|p| p.timestamp <= after);
        let to = all.partition_point(|p| p.timestamp <= up_to);
        all[from.min(to)..to]
            .iter()
            .copied()
            .skip(shard)
            .step_by(shards.max(1))
            .collect()
    }

    /// The changes of those pieces, one piece at a time.
    fn read_pieces(&self, id: GlobalId, pieces: Vec<Appended>) -> ChangeChunks {
        let reader = self.reader();
        Box::new(pieces.into_iter().map(move |piece| {
            let reader = reader.as_ref().map_err(|e| e.to_string())?;
            let bytes: Vec<_> = if piece.chunk {
                vec![
                    reader
                        .read_chunk(piece.position)
                        .map_err(|e| e.to_string())?
                        .payload
                        .bytes,
                ]
            } else {
                let commit = reader
                    .read_commit(piece.position)
                    .map_err(|e| e.to_string())?;
                let own = commit
                    .payloads
                    .into_iter()
                    .filter(|p| p.collection == u64::from(id.0));
                own.map(|p| p.bytes).collect()
            };
            let mut out = Vec::new();
            for bytes in bytes {
                for change in codec::decode(&bytes) {
                    let (row, diff) = change?;
                    out.push((row, piece.timestamp, diff));
                }
            }
            Ok(out)
        }))
    }
}

impl TableReader for Tables {
    fn scan(&self, table: GlobalId, as_of: Timestamp, shard: usize, shards: usize) -> RowChunks {
        let Some(known) = self.get(table) else {
            return Box::new(std::iter::empty());
        };
        if known.append_only {
            let pieces = self.pieces(table, Timestamp::MIN, as_of, shard, shards);
            let changes = self.read_pieces(table, pieces);
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
            return self.read_pieces(table, pieces);
        }
        match self.store.changes(u64::from(table.0), after, up_to) {
            Err(error) => Box::new(std::iter::once(Err(error.to_string()))),
            Ok(changes) => {
                let own = changes.into_iter().skip(shard).step_by(shards.max(1));
                let rows = own.map(move |change| {
                    let row = known
                        .row_of(&change.key, &change.value)
                        .map_err(|e| e.to_string())?;
                    Ok((row, change.time, change.diff))
                });
                let rows: Result<Vec<_>, String> = rows.collect();
                Box::new(std::iter::once(rows))
            }
        }
    }

    fn estimate(&self, table: GlobalId) -> u64 {
        self.counts
            .read()
            .get(&table)
            .map_or(0, |n| (*n).max(0) as u64)
    }
}

/// Look-ups below a transaction's writes.
pub struct AsOf<'t> {
    /// The tables.
    pub tables: &'t Tables,
    /// The snapshot.
    pub as_of: Timestamp,
}

impl Lookup for AsOf<'_> {
    fn row(
        &self,
        table: &StoredTable,
        unique: &UniqueKey,
        key: &[u8],
    ) -> Result<Option<Row>, Error> {
        self.tables.find(table, unique, key, self.as_of)
    }
}

pub(crate) fn store_error(error: everview_store::StoreError) -> Error {
    Error::new(everview_repr::SqlState::IO_ERROR, format!("the table store failed: {error}"))
        .with_hint("Stop the server, delete the store folder in the data directory, and start again: it is rebuilt from the log.")
}
