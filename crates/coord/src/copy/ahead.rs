//! Rows of a bulk load, written to the log ahead of their commit.
//!
//! A unique key of such a row is new: it is looked up in what the transaction has written, in what it has written ahead,
//! of which only hashes are kept, and in the store. A row whose key the transaction has touched otherwise stays in
//! memory with those that touched it, so that the last of them counts.

use super::PIECE_BYTES;
use super::rows::at;
use crate::codec;
use crate::coordinator::Shared;
use crate::error::Error;
use crate::table::{StoredTable, UniqueKey};
use crate::tables::AsOf;
use crate::transaction::{KeyHash, Lookup, TableWrites, Transaction, key_hash, unique_keys};
use everview_log::ChunkRef;
use everview_repr::{GlobalId, Row, SqlState};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The keys of a piece by constraint.
type Fresh = BTreeMap<GlobalId, HashSet<KeyHash>>;

/// Writes rows, each with its line, as one piece of the transaction.
///
/// Errors: 23505 for a key that is taken, 53200 for more keys than the memory limit leaves room for.
pub(super) fn write(
    shared: &Shared,
    transaction: &mut Transaction,
    table: &Arc<StoredTable>,
    rows: Vec<(Row, u64)>,
) -> Result<(), Error> {
    let mut bytes = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
    codec::start(&mut bytes);
    let below = AsOf {
        tables: &shared.tables,
        as_of: transaction.snapshot,
    };
    let id = transaction.id;
    let Transaction { writes, reads, .. } = transaction;
    let writes = writes.entry(table.id).or_default();
    let mut fresh = Fresh::new();
    let mut count = 0;
    for (row, line) in rows {
        let located = |error| at(error, &table.name, line, None);
        let keys = unique_keys(table, &row);
        let mut touched = false;
        for (unique, key) in &keys {
            touched |= is_touched(writes, unique, key);
            if is_taken(shared, table, writes, &mut fresh, unique, key).map_err(located)? {
                return Err(located(table.duplicate(unique, &row)));
            }
        }
        if touched {
            writes.insert(table, row, &below, reads).map_err(located)?;
            continue;
        }
        for (unique, key) in &keys {
            if below.row(table, unique, key)?.is_some() {
                return Err(located(table.duplicate(unique, &row)));
            }
        }
        codec::push(&mut bytes, row.as_ref(), 1);
        count += 1;
    }
    if count == 0 {
        return Ok(());
    }
    for (constraint, hashes) in fresh {
        let keys = writes.chunk_keys.entry(constraint).or_default();
        keys.add(hashes.into_iter());
        reads.ahead(constraint, keys.clone());
    }
    check_room(shared, writes)?;
    let collection = u64::from(table.id.0);
    let position = shared.log.append_chunk(id, collection, &bytes)?;
    writes.chunks.push(ChunkRef {
        collection,
        position,
    });
    writes.chunk_rows += count;
    Ok(())
}

fn is_touched(writes: &TableWrites, unique: &UniqueKey, key: &[u8]) -> bool {
    let keys = writes.keys.get(&unique.constraint);
    keys.is_some_and(|keys| keys.contains_key(key))
}

/// Whether this piece or an earlier one has the key; this piece has it from now on.
fn is_taken(
    shared: &Shared,
    table: &StoredTable,
    writes: &TableWrites,
    fresh: &mut Fresh,
    unique: &UniqueKey,
    key: &[u8],
) -> Result<bool, Error> {
    let hash = key_hash(key);
    if !fresh.entry(unique.constraint).or_default().insert(hash) {
        return Ok(true);
    }
    let keys = writes.chunk_keys.get(&unique.constraint);
    if !keys.is_some_and(|keys| keys.may_hold(hash)) || is_touched(writes, unique, key) {
        return Ok(false);
    }
    // As good as certain; but a hash of eight bytes is not the key.
    for chunk in &writes.chunks {
        let rows = shared.tables.written_ahead(std::slice::from_ref(chunk))?;
        let same = |row: Row| unique.key(&table.widened(row).unpack()).as_deref() == Some(key);
        if rows.into_iter().any(|(row, _)| same(row)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keys of loads may take half of what the server may hold.
fn check_room(shared: &Shared, writes: &TableWrites) -> Result<(), Error> {
    let held: usize = writes.chunk_keys.values().map(|keys| keys.bytes()).sum();
    match shared.options.memory_limit {
        Some(limit) if held as u64 > limit / 2 => {
            let message = format!(
                "out of memory: the unique keys of this load take {} MiB",
                held >> 20
            );
            let hint = "Load it in several transactions, or raise --memory-limit.";
            Err(Error::new(SqlState::OUT_OF_MEMORY, message).with_hint(hint))
        }
        _ => Ok(()),
    }
}
