//! Where a table's changes are in the log, by time.
//!
//! An append-only table has no rows in the store: its pieces are listed there, and read from the log. Of other tables
//! only the large commits of the recent past are listed, in memory, so that dataflows can follow a bulk load of any
//! size without looking for its rows in the store.

use crate::codec;
use crate::table::StoredTable;
use everview_dataflow::ChangeChunks;
use everview_log::{Commit, Position, Reader, SegmentId};
use everview_repr::{GlobalId, Row, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A table's changes in a piece.
type Changes = Vec<(Row, Timestamp, everview_repr::Diff)>;

/// Changes of one table in one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub timestamp: Timestamp,
    pub position: Position,
    /// A chunk's record, else a commit's.
    pub chunk: bool,
}

/// The pieces of a commit, by table, in their order.
pub(crate) fn of(commit: &Commit, position: Position) -> BTreeMap<GlobalId, Vec<Piece>> {
    let timestamp = Timestamp(commit.timestamp);
    let mut pieces: BTreeMap<GlobalId, Vec<Piece>> = BTreeMap::new();
    let chunks = commit
        .chunks
        .iter()
        .map(|c| (c.collection, c.position, true));
    let own = commit
        .payloads
        .iter()
        .map(|p| (p.collection, position, false));
    for (collection, position, chunk) in chunks.chain(own) {
        let piece = Piece {
            timestamp,
            position,
            chunk,
        };
        pieces
            .entry(GlobalId(collection as u32))
            .or_default()
            .push(piece);
    }
    pieces
}

/// A table's changes in these pieces, one piece at a time.
pub(crate) fn changes(
    log: Reader,
    table: Arc<StoredTable>,
    pieces: impl Iterator<Item = Result<Piece, String>> + Send + 'static,
) -> ChangeChunks {
    Box::new(pieces.map(move |piece| changes_in(&log, &table, piece?)))
}

fn changes_in(log: &Reader, table: &StoredTable, piece: Piece) -> Result<Changes, String> {
    let payloads = if piece.chunk {
        vec![
            log.read_chunk(piece.position)
                .map_err(|e| e.to_string())?
                .payload,
        ]
    } else {
        let commit = log.read_commit(piece.position).map_err(|e| e.to_string())?;
        commit.payloads
    };
    let own = payloads
        .into_iter()
        .filter(|p| p.collection == u64::from(table.id.0));
    let mut out = Vec::new();
    for payload in own {
        for change in codec::decode(&payload.bytes) {
            let (row, diff) = change?;
            out.push((table.widened(row), piece.timestamp, diff));
        }
    }
    Ok(out)
}

/// The store's collection of an append-only table's pieces.
pub(crate) fn collection(table: GlobalId) -> u64 {
    1 << 32 | u64::from(table.0)
}

/// The key of a commit's piece: ordered by time, then by place in the commit.
pub(crate) fn key(timestamp: Timestamp, number: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&timestamp.0.to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The value of a piece.
pub(crate) fn value(piece: &Piece) -> Vec<u8> {
    let mut out = Vec::with_capacity(21);
    push_position(&mut out, piece.position);
    out.push(u8::from(piece.chunk));
    out
}

/// The piece of an entry; none if it is not one.
pub(crate) fn read(key: &[u8], value: &[u8]) -> Option<Piece> {
    let (timestamp, _) = key.split_first_chunk::<8>()?;
    let mut rest = value;
    let position = take_position(&mut rest)?;
    Some(Piece {
        timestamp: Timestamp(u64::from_be_bytes(*timestamp)),
        position,
        chunk: *rest.first()? != 0,
    })
}

/// Appends a position.
pub(crate) fn push_position(out: &mut Vec<u8>, position: Position) {
    out.extend_from_slice(&position.segment.0.to_le_bytes());
    out.extend_from_slice(&position.offset.to_le_bytes());
    out.extend_from_slice(&position.length.to_le_bytes());
}

/// Takes a position off the front.
pub(crate) fn take_position(rest: &mut &[u8]) -> Option<Position> {
    let (segment, after) = rest.split_first_chunk::<8>()?;
    let (offset, after) = after.split_first_chunk::<8>()?;
    let (length, after) = after.split_first_chunk::<4>()?;
    *rest = after;
    Some(Position {
        segment: SegmentId(u64::from_le_bytes(*segment)),
        offset: u64::from_le_bytes(*offset),
        length: u32::from_le_bytes(*length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_comes_back_and_orders_by_time() {
        let piece = Piece {
            timestamp: Timestamp(u64::MAX - 1),
            position: Position {
                segment: SegmentId(7),
                offset: 1 << 40,
                length: 99,
            },
            chunk: true,
        };
        let found = read(&key(piece.timestamp, 3), &value(&piece));
        assert_eq!(found, Some(piece));
        assert!(key(Timestamp(255), 9) < key(Timestamp(256), 0));
        assert_eq!(read(b"short", b""), None);
    }
}
