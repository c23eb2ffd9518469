//! Rows of a bulk load, written to the log ahead of their commit.
//!
//! A unique key of such a row is new: it is looked up in what the transaction has written, in what it has written ahead,
//! of which only hashes are kept, and in the store. A hash says where a key may be; the pieces in the log say whether it
//! is. A row whose key the transaction has touched otherwise stays in memory with those that touched it, so that the last
//! of them counts.

use super::PIECE_BYTES;
use super::rows::at;
use crate::codec;
use crate::coordinator::Shared;
use crate::error::Error;
use crate::lookup::AsOf;
use crate::table::{Repeats, StoredTable, UniqueKey};
use crate::transaction::{Coming, KeyHash, Lookup, TableWrites, Transaction, key_hash, keys_of};
use everview_log::ChunkRef;
use everview_repr::{GlobalId, Row, SqlState};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Keys by constraint.
type Keys = BTreeMap<GlobalId, HashSet<Vec<u8>>>;

fn has(keys: &Keys, unique: &UniqueKey, key: &[u8]) -> bool {
    let own = keys.get(&unique.constraint);
    own.is_some_and(|own| own.contains(key))
}

/// A key of a row.
struct RowKey<'t> {
    unique: &'t UniqueKey,
    key: Vec<u8>,
    hash: KeyHash,
}

/// Writes rows, each with its line, as one piece of the transaction; gives how many were left out because their table
/// drops rows that were there before.
///
/// Errors: 23505 for a key that is taken, 53200 for more keys than the memory limit leaves room for.
pub(crate) fn write(
    shared: &Shared,
    transaction: &mut Transaction,
    table: &Arc<StoredTable>,
    rows: Vec<(Row, u64)>,
) -> Result<u64, Error> {
    let mut bytes = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
    codec::start(&mut bytes);
    let below = AsOf::new(&shared.tables, transaction.snapshot);
    let id = transaction.id;
    let Transaction { writes, reads, .. } = transaction;
    let writes = writes.entry(table.id).or_default();
    let keyed: Vec<Vec<RowKey<'_>>> = rows.iter().map(|(row, _)| row_keys(table, row)).collect();
    let before = written_before(shared, table, writes, &keyed)?;
    let mut fresh = Keys::new();
    let mut hashes: BTreeMap<GlobalId, Vec<KeyHash>> = BTreeMap::new();
    let (mut count, mut dropped) = (0, 0);
    'rows: for ((row, line), keys) in rows.into_iter().zip(keyed) {
        let located = |error| at(error, &table.name, line, None);
        let mut touched = keys.iter().map(|k| is_touched(writes, k.unique, &k.key));
        let touched = touched.any(|touched| touched);
        for RowKey { unique, key, .. } in &keys {
            let here = has(&fresh, unique, key)
                || has(&before, unique, key) && !is_touched(writes, unique, key);
            // What is below is looked up with what was touched.
            if !here && (touched || !below.holds(table, unique, key).map_err(located)?) {
                continue;
            }
            if unique.repeats == Repeats::Refused {
                return Err(located(table.duplicate(unique, &row)));
            }
            // A key is forgotten by time alone, or by DELETE, which must not come in between then.
            if !here && !unique.is_window() && !table.append_only {
                reads.arrived(unique.constraint, key);
            }
            dropped += 1;
            continue 'rows;
        }
        if touched {
            let sent = writes.insert(table, row, Coming::Sent, &below, reads);
            dropped += u64::from(!sent.map_err(located)?);
            continue;
        }
        for RowKey { unique, key, hash } in keys {
            fresh.entry(unique.constraint).or_default().insert(key);
            hashes.entry(unique.constraint).or_default().push(hash);
        }
        codec::push(&mut bytes, row.as_ref(), 1);
        count += 1;
    }
    if count == 0 {
        return Ok(dropped);
    }
    for (constraint, own) in hashes {
        let keys = writes.chunk_keys.entry(constraint).or_default();
        keys.add(own.into_iter());
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
    Ok(dropped)
}

fn row_keys<'t>(table: &'t StoredTable, row: &Row) -> Vec<RowKey<'t>> {
    let keyed = |(unique, key): (&'t UniqueKey, Vec<u8>)| RowKey {
        unique,
        hash: key_hash(&key),
        key,
    };
    keys_of(table, row).into_iter().map(keyed).collect()
}

fn is_touched(writes: &TableWrites, unique: &UniqueKey, key: &[u8]) -> bool {
    let keys = writes.keys.get(&unique.constraint);
    keys.is_some_and(|keys| keys.contains_key(key))
}

/// The keys of rows that earlier pieces of the load have. Those pieces are read whose keys have their hashes, from the
/// one on where the last was found: a load that is in the input twice is read once more.
fn written_before(
    shared: &Shared,
    table: &StoredTable,
    writes: &mut TableWrites,
    rows: &[Vec<RowKey<'_>>],
) -> Result<Keys, Error> {
    let mut found = Keys::new();
    if writes.chunk_keys.values().all(|keys| keys.is_empty()) {
        return Ok(found);
    }
    let mut wanted = Keys::new();
    for RowKey { unique, key, hash } in rows.iter().flatten() {
        let ahead = writes.chunk_keys.get(&unique.constraint);
        if ahead.is_some_and(|keys| keys.may_hold(*hash)) {
            let own = wanted.entry(unique.constraint).or_default();
            own.insert(key.clone());
        }
    }
    let chunks = writes.chunks.len();
    let start = writes.found_in;
    for n in (0..chunks).map(|n| (start + n) % chunks) {
        if wanted.values().all(HashSet::is_empty) {
            break;
        }
        let chunk = std::slice::from_ref(&writes.chunks[n]);
        for (row, _) in shared.tables.written_ahead(chunk)? {
            for (unique, key) in keys_of(table, &table.widened(row)) {
                let own = wanted.get_mut(&unique.constraint);
                if own.is_some_and(|own| own.remove(&key)) {
                    writes.found_in = n;
                    found.entry(unique.constraint).or_default().insert(key);
                }
            }
        }
    }
    Ok(found)
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
