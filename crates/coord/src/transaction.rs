//! What a session buffers until COMMIT.
//!
//! A transaction reads at one timestamp, sees its own writes, and remembers what it read: key by key where a key
//! served the read, else whole collections. The sequencer lets it commit only if nothing it read has changed since.

use crate::error::Error;
use crate::keys::KeySet;
use crate::passwords::Altered;
use crate::producers::{Digest, Duplicate};
use crate::readers::Acknowledged;
use crate::table::{Repeats, StoredTable, UniqueKey};
use everview_catalog::Catalog;
use everview_catalog::catalog::Change;
use everview_log::ChunkRef;
use everview_repr::{Diff, GlobalId, Row, Timestamp, canonical};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod conflicts;

pub use conflicts::{ReadSet, WriteSummary};

/// A key's hash, for conflict checks: a collision costs a retry and nothing else.
pub type KeyHash = u128;

/// The hash of a key.
pub fn key_hash(key: &[u8]) -> KeyHash {
    let hash = blake3::hash(key);
    u128::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// The changes of one table.
#[derive(Clone, Debug, Default)]
pub struct TableWrites {
    /// Net multiplicities of rows.
    pub rows: BTreeMap<Row, Diff>,
    /// Rows already written ahead to the log, all inserted.
    pub chunks: Vec<ChunkRef>,
    /// How many rows the chunks hold.
    pub chunk_rows: u64,
    /// By constraint, the row under each key touched: the last one written, none when deleted.
    pub keys: BTreeMap<GlobalId, BTreeMap<Vec<u8>, Option<Row>>>,
    /// By constraint, the keys of rows in chunks.
    pub chunk_keys: BTreeMap<GlobalId, KeySet>,
    /// The chunk in which a repeated key was found last.
    pub found_in: usize,
    /// The transaction has emptied the table.
    pub truncated: bool,
}

/// A transaction's batch: its producer and number, and what the client has sent for it.
///
/// What the digest is over never changes: a batch may be repeated to a newer version.
#[derive(Debug)]
pub(crate) struct Batch {
    pub producer: Arc<str>,
    pub epoch: i64,
    pub sequence: i64,
    /// It was committed before: what the transaction writes is left out.
    pub duplicate: Option<Duplicate>,
    sent: blake3::Hasher,
    /// Bytes of the COPY stream under way.
    streamed: u64,
}

impl Batch {
    /// A batch that nothing was sent for.
    pub fn new(
        producer: Arc<str>,
        epoch: i64,
        sequence: i64,
        duplicate: Option<Duplicate>,
    ) -> Batch {
        Batch {
            producer,
            epoch,
            sequence,
            duplicate,
            sent: blake3::Hasher::new(),
            streamed: 0,
        }
    }

    /// A statement that writes, with its parameters' values in their canonical form.
    pub fn statement(&mut self, sql: &str, params: Option<&Row>) {
        let mut values = Vec::new();
        if let Some(row) = params {
            canonical::encode(row.as_ref(), &mut values);
        }
        for part in [sql.as_bytes(), &values] {
            self.sent.update(&(part.len() as u64).to_le_bytes());
            self.sent.update(part);
        }
    }

    /// A piece of a COPY stream: where pieces end makes no difference.
    pub fn stream(&mut self, bytes: &[u8]) {
        self.sent.update(bytes);
        self.streamed += bytes.len() as u64;
    }

    /// The end of a COPY stream.
    pub fn end_stream(&mut self) {
        let length = std::mem::take(&mut self.streamed);
        self.sent.update(&length.to_le_bytes());
    }

    /// The digest of all that was sent.
    pub fn digest(&self) -> Digest {
        let hash = self.sent.finalize();
        *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
    }
}

/// A transaction under way.
#[derive(Debug)]
pub struct Transaction {
    /// Its id in the log, for chunks written ahead.
    pub id: u64,
    /// The timestamp that it reads at.
    pub snapshot: Timestamp,
    /// Keeps the snapshot readable.
    pub guard: crate::coordinator::SnapshotGuard,
    /// The catalog, its own DDL included.
    pub catalog: Catalog,
    /// The version of the catalog that it started from.
    pub base_version: u64,
    /// Its own DDL.
    pub catalog_changes: Vec<Change>,
    /// What it does to passwords.
    pub(crate) passwords: Altered,
    /// How far it says that readers are.
    pub(crate) acknowledged: Acknowledged,
    /// What it read.
    pub reads: ReadSet,
    /// What it wrote.
    pub writes: BTreeMap<GlobalId, TableWrites>,
    /// The batch of a producer that it is.
    pub(crate) batch: Option<Box<Batch>>,
    /// Begun by BEGIN, or by several statements in one string.
    pub explicit: bool,
    /// It is another attempt: what it brings was delivered before.
    pub again: bool,
    /// Only reads are allowed.
    pub read_only: bool,
    /// The wall clock at its start, as timestamptz counts.
    pub started: i64,
}

impl Transaction {
    /// Whether COMMIT has anything to write.
    pub fn has_writes(&self) -> bool {
        !self.catalog_changes.is_empty()
            || !self.passwords.is_empty()
            || !self.acknowledged.is_empty()
            || self.writes.values().any(|w| !w.is_empty())
    }

    /// Whether it is a batch that was committed before.
    pub(crate) fn is_repeated(&self) -> bool {
        let batch = self.batch.as_ref();
        batch.is_some_and(|batch| batch.duplicate.is_some())
    }

    /// The tables that it has written.
    pub fn written(&self) -> BTreeSet<GlobalId> {
        self.writes
            .iter()
            .filter(|(_, w)| !w.is_empty())
            .map(|(id, _)| *id)
            .collect()
    }

    /// The changes of a table.
    pub fn table(&mut self, id: GlobalId) -> &mut TableWrites {
        self.writes.entry(id).or_default()
    }

    /// Applies one DDL change to what the transaction itself sees. What COMMIT writes is one change an object: from
    /// what was there before the transaction to what it leaves.
    pub fn change_catalog(&mut self, changes: Vec<Change>) {
        self.catalog = self.catalog.apply(&changes);
        for change in changes {
            let id = |c: &Change| c.old.as_ref().or(c.new.as_ref()).map(|o| o.id);
            let earlier = self
                .catalog_changes
                .iter_mut()
                .find(|c| id(c) == id(&change));
            match earlier {
                Some(earlier) => earlier.new = change.new,
                None => self.catalog_changes.push(change),
            }
        }
        self.catalog_changes
            .retain(|c| c.old.is_some() || c.new.is_some());
    }

    /// Gives the rows written so far the columns that their table has now.
    pub fn widen(&mut self, table: &StoredTable) {
        let Some(writes) = self.writes.get_mut(&table.id) else {
            return;
        };
        let rows = std::mem::take(&mut writes.rows).into_iter();
        writes.rows = rows.map(|(row, diff)| (table.widened(row), diff)).collect();
        for row in writes
            .keys
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .flatten()
        {
            *row = table.widened(std::mem::take(row));
        }
    }
}

impl Transaction {
    /// Remembers the rows written so far under the unique keys that their table has got since; `ahead` are those that
    /// are in the log already.
    pub fn index(&mut self, table: &StoredTable, ahead: &[(Row, Diff)]) {
        let Some(writes) = self.writes.get_mut(&table.id) else {
            return;
        };
        for unique in &table.unique {
            let id = unique.constraint;
            if writes.keys.contains_key(&id) || writes.chunk_keys.contains_key(&id) {
                continue;
            }
            let mut keys = BTreeMap::new();
            for (row, diff) in &writes.rows {
                match unique.key(&row.unpack()) {
                    Some(key) if *diff > 0 => drop(keys.insert(key, Some(row.clone()))),
                    Some(key) => drop(keys.entry(key).or_insert(None)),
                    None => {}
                }
            }
            let hash = |(row, _): &(Row, Diff)| {
                let row = table.widened(row.clone());
                unique.key(&row.unpack()).map(|key| key_hash(&key))
            };
            let hashes = KeySet::of(ahead.iter().filter_map(hash));
            writes.keys.insert(id, keys);
            if !hashes.is_empty() {
                writes.chunk_keys.insert(id, hashes);
            }
        }
    }
}

/// How a unique key is looked up below a transaction's own writes.
pub trait Lookup {
    /// The row under a key at the transaction's snapshot.
    fn row(
        &self,
        table: &StoredTable,
        unique: &UniqueKey,
        key: &[u8],
    ) -> Result<Option<Row>, Error>;

    /// Whether a key is taken at the transaction's snapshot.
    fn holds(&self, table: &StoredTable, unique: &UniqueKey, key: &[u8]) -> Result<bool, Error>;

    /// Whether rows written ahead have a key.
    fn is_ahead(
        &self,
        table: &StoredTable,
        unique: &UniqueKey,
        key: &[u8],
        chunks: &[ChunkRef],
    ) -> Result<bool, Error>;
}

/// How a row comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coming {
    /// By INSERT or COPY: it is left out if its key is taken and the table says so.
    Sent,
    /// As the new version of a row that goes.
    Replacing,
}

impl TableWrites {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.chunks.is_empty()
    }

    fn add(&mut self, row: Row, diff: Diff) {
        match self.rows.entry(row) {
            std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(diff)),
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                *entry.get_mut() += diff;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }

    /// The row under a key, own writes first.
    pub fn find(
        &self,
        table: &StoredTable,
        unique: &UniqueKey,
        key: &[u8],
        below: &dyn Lookup,
        reads: &mut ReadSet,
    ) -> Result<Option<Row>, Error> {
        if let Some(row) = self
            .keys
            .get(&unique.constraint)
            .and_then(|keys| keys.get(key))
        {
            return Ok(row.clone());
        }
        reads.key(unique.constraint, key);
        below.row(table, unique, key)
    }

    /// Whether a key is taken, own writes first.
    fn is_taken(
        &self,
        table: &StoredTable,
        (unique, key): (&UniqueKey, &[u8]),
        coming: Coming,
        below: &dyn Lookup,
        reads: &mut ReadSet,
    ) -> Result<bool, Error> {
        let own = self.keys.get(&unique.constraint);
        if let Some(row) = own.and_then(|keys| keys.get(key)) {
            return Ok(row.is_some());
        }
        let ahead = self.chunk_keys.get(&unique.constraint);
        if ahead.is_some_and(|keys| keys.may_hold(key_hash(key)))
            && below.is_ahead(table, unique, key, &self.chunks)?
        {
            return Ok(true);
        }
        match coming {
            Coming::Sent => reads.arrived(unique.constraint, key),
            Coming::Replacing => reads.key(unique.constraint, key),
        }
        below.holds(table, unique, key)
    }

    /// Inserts a checked row; false if it is left out, because its table drops rows that were there before.
    ///
    /// Errors: 23505 when a unique key is taken.
    pub fn insert(
        &mut self,
        table: &StoredTable,
        row: Row,
        coming: Coming,
        below: &dyn Lookup,
        reads: &mut ReadSet,
    ) -> Result<bool, Error> {
        let keys = keys_of(table, &row);
        for (unique, key) in &keys {
            // A window remembers what was sent: a new version is not.
            if unique.is_window() && coming == Coming::Replacing
                || !self.is_taken(table, (unique, key), coming, below, reads)?
            {
                continue;
            }
            return match (coming, unique.repeats) {
                (Coming::Replacing, _) | (_, Repeats::Refused) => {
                    Err(table.duplicate(unique, &row))
                }
                (Coming::Sent, _) => Ok(false),
            };
        }
        for (unique, key) in keys {
            self.keys
                .entry(unique.constraint)
                .or_default()
                .insert(key, Some(row.clone()));
        }
        self.add(row, 1);
        Ok(true)
    }

    /// Whether a row that comes is left out for a key that ON CONFLICT does not name.
    pub fn is_repeated(
        &self,
        table: &StoredTable,
        row: &Row,
        named: impl Fn(&UniqueKey) -> bool,
        below: &dyn Lookup,
        reads: &mut ReadSet,
    ) -> Result<bool, Error> {
        for (unique, key) in keys_of(table, row) {
            if unique.repeats != Repeats::Refused
                && !named(unique)
                && self.is_taken(table, (unique, &key), Coming::Sent, below, reads)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes one row that is there.
    pub fn delete(&mut self, table: &StoredTable, row: Row) {
        for (unique, key) in unique_keys(table, &row) {
            self.keys
                .entry(unique.constraint)
                .or_default()
                .insert(key, None);
        }
        self.add(row, -1);
    }
}

/// The keys of a row: those that drop it for a time, then the unique ones.
pub fn keys_of<'t>(table: &'t StoredTable, row: &Row) -> Vec<(&'t UniqueKey, Vec<u8>)> {
    let mut keys = Vec::new();
    if !table.windows.is_empty() {
        let datums = row.unpack();
        let windows = table.windows.iter();
        keys.extend(windows.filter_map(|w| Some((w, w.key(&datums)?))));
    }
    keys.extend(unique_keys(table, row));
    keys
}

/// The unique keys of a row that are not NULL where NULLs are distinct.
pub fn unique_keys<'t>(table: &'t StoredTable, row: &Row) -> Vec<(&'t UniqueKey, Vec<u8>)> {
    if table.unique.is_empty() {
        return Vec::new();
    }
    let datums = row.unpack();
    table
        .unique
        .iter()
        .filter_map(|u| Some((u, u.key(&datums)?)))
        .collect()
}
