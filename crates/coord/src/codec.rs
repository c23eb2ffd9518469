//! A collection's changes as the log keeps them, version 1.
//!
//! A version byte, then for each change a zigzag varint multiplicity, a varint length, and the canonical row.
//! Decoding checks everything and never panics.

use everview_repr::row::{push_varint, read_varint};
use everview_repr::{Diff, Row, RowRef, canonical};

const VERSION: u8 = 1;

/// Starts a payload.
pub fn start(out: &mut Vec<u8>) {
    out.clear();
    out.push(VERSION);
}

/// Appends one change.
pub fn push(out: &mut Vec<u8>, row: RowRef<'_>, diff: Diff) {
    push_varint(out, ((diff << 1) ^ (diff >> 63)) as u64);
    push_varint(out, row.bytes().len() as u64);
    canonical::encode(row, out);
}

/// The payload of these changes.
pub fn encode<'r>(changes: impl IntoIterator<Item = (RowRef<'r>, Diff)>) -> Vec<u8> {
    let mut out = Vec::new();
    start(&mut out);
    changes
        .into_iter()
        .for_each(|(row, diff)| push(&mut out, row, diff));
    out
}

/// The changes of a payload, in order.
pub fn decode(bytes: &[u8]) -> impl Iterator<Item = Result<(Row, Diff), String>> {
    let mut rest = bytes.get(1..).unwrap_or_default();
    let mut error = match bytes.first() {
        Some(&VERSION) => None,
        Some(other) => Some(format!("unknown version {other} of a collection's changes")),
        None => Some("no version of a collection's changes".to_string()),
    };
    std::iter::from_fn(move || {
        if let Some(error) = error.take() {
            rest = &[];
            return Some(Err(error));
        }
        if rest.is_empty() {
            return None;
        }
        let change = read(&mut rest);
        if change.is_err() {
            rest = &[];
        }
        Some(change)
    })
}

fn read(rest: &mut &[u8]) -> Result<(Row, Diff), String> {
    let zigzag = read_varint(rest).map_err(|e| e.to_string())?;
    let diff = ((zigzag >> 1) as i64) ^ -((zigzag & 1) as i64);
    let length = read_varint(rest).map_err(|e| e.to_string())?;
    let length = usize::try_from(length).map_err(|_| "the row is too long".to_string())?;
    let (row, after) = rest.split_at_checked(length).ok_or("the row is cut off")?;
    *rest = after;
    let row = canonical::decode(canonical::VERSION, row).map_err(|e| e.to_string())?;
    Ok((row, diff))
}

#[cfg(test)]
mod tests {
    use super::*;
    use everview_repr::Datum;

    #[test]
    fn changes_come_back_in_order_with_their_multiplicities() {
        let rows: Vec<(Row, Diff)> = [1i64, -1, 7, i64::MAX, i64::MIN]
            .into_iter()
            .map(|d| (Row::pack([Datum::Int64(d), Datum::Text("x")]), d))
            .collect();
        let bytes = encode(rows.iter().map(|(r, d)| (r.as_ref(), *d)));
        let back: Result<Vec<_>, _> = decode(&bytes).collect();
        assert_eq!(back.expect("valid"), rows);
    }

    #[test]
    fn any_cut_is_an_error_or_fewer_changes_and_never_a_panic() {
        let row = Row::pack([Datum::Int64(5), Datum::Text("hello")]);
        let bytes = encode([(row.as_ref(), 1), (row.as_ref(), -2)]);
        for end in 0..bytes.len() {
            let decoded: Vec<_> = decode(&bytes[..end]).collect();
            assert!(decoded.len() < 2 || decoded.iter().any(Result::is_err));
        }
    }
}
