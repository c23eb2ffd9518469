//! The bytes of keys and of histories, in memory and on disk alike.
//!
//! A **stored key** is the collection's id, big-endian, and the caller's key: stored keys order by collection and then by
//! key. fjall's keys end at 64 KiB, so that of a key above [`LONG`] bytes the first `LONG` are kept with a hash of all of
//! it, and each value then carries the key in front; such keys order by their first `LONG` bytes only.
//!
//! A **history** is the list of a key's updates, oldest first: timestamp u64, diff (zigzag varint), length (varint),
//! value. Two histories of one key, the older first, are joined by putting one behind the other.
//!
//! **Invariant.** [`consolidate`] changes no sum at any time from `since` on.

use crate::error::StoreError;

/// Keys above this many bytes are stored by prefix and hash.
pub(crate) const LONG: usize = 32 << 10;

/// Bytes of a collection's id in front of each stored key.
pub(crate) const COLLECTION: usize = 8;

/// The stored key of `key`, appended to `out`.
pub(crate) fn put_key(collection: u64, key: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&collection.to_be_bytes());
    if key.len() <= LONG {
        out.extend_from_slice(key);
    } else {
        out.extend_from_slice(&key[..LONG]);
        out.extend_from_slice(blake3::hash(key).as_bytes());
    }
}

/// The least stored key at or above every stored key whose caller's key begins a range at `key`.
pub(crate) fn range_start(collection: u64, key: &[u8]) -> Vec<u8> {
    let mut out = collection.to_be_bytes().to_vec();
    out.extend_from_slice(&key[..key.len().min(LONG)]);
    out
}

/// A stored key above those of every caller's key up to `key`, or of the whole collection.
pub(crate) fn range_end(collection: u64, key: Option<&[u8]>) -> Vec<u8> {
    match key {
        // Hashes of long keys with this prefix are included: the caller's range is checked on the full key.
        Some(key) if key.len() > LONG => {
            let mut out = range_start(collection, key);
            out.extend_from_slice(&[0xff; 33]);
            out
        }
        Some(key) => {
            let mut out = range_start(collection, key);
            out.push(0);
            out
        }
        None => match collection.checked_add(1) {
            Some(next) => next.to_be_bytes().to_vec(),
            None => vec![0xff; COLLECTION + LONG + 33],
        },
    }
}

/// The collection of a stored key.
pub(crate) fn collection_of(stored: &[u8]) -> u64 {
    let mut id = [0; COLLECTION];
    let count = stored.len().min(COLLECTION);
    id[..count].copy_from_slice(&stored[..count]);
    u64::from_be_bytes(id)
}

/// One update of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Update<'a> {
    pub time: u64,
    pub diff: i64,
    /// The value as stored: for long keys the key is in front.
    pub value: &'a [u8],
}

/// Appends one update for `key` to a history.
pub(crate) fn put_update(time: u64, diff: i64, key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if key.len() <= LONG {
        put_raw(time, diff, value, out);
    } else {
        let mut carried = Vec::with_capacity(key.len() + value.len() + 4);
        put_varint(key.len() as u64, &mut carried);
        carried.extend_from_slice(key);
        carried.extend_from_slice(value);
        put_raw(time, diff, &carried, out);
    }
}

fn put_raw(time: u64, diff: i64, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&time.to_le_bytes());
    put_varint(((diff << 1) ^ (diff >> 63)) as u64, out);
    put_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// The caller's key and value of an update under `stored`.
pub(crate) fn split<'a>(
    stored: &'a [u8],
    value: &'a [u8],
) -> Result<(&'a [u8], &'a [u8]), StoreError> {
    let key = stored
        .get(COLLECTION..)
        .ok_or_else(|| damaged("a key without a collection"))?;
    if key.len() <= LONG {
        return Ok((key, value));
    }
    let mut rest = value;
    let length = take_varint(&mut rest).ok_or_else(|| damaged("a long key without its length"))?;
    let length = usize::try_from(length).map_err(|_| damaged("a long key without its end"))?;
    rest.split_at_checked(length)
        .ok_or_else(|| damaged("a long key without its end"))
}

fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Takes the first update off a history; none at its end.
pub(crate) fn take_update<'a>(history: &mut &'a [u8]) -> Result<Option<Update<'a>>, StoreError> {
    if history.is_empty() {
        return Ok(None);
    }
    read_update(history)
        .map(Some)
        .ok_or_else(|| damaged("a history that ends early"))
}

fn read_update<'a>(history: &mut &'a [u8]) -> Option<Update<'a>> {
    let (time, rest) = history.split_first_chunk::<8>()?;
    *history = rest;
    let zigzag = take_varint(history)?;
    let length = usize::try_from(take_varint(history)?).ok()?;
    let (value, rest) = history.split_at_checked(length)?;
    *history = rest;
    let diff = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
    Some(Update {
        time: u64::from_le_bytes(*time),
        diff,
        value,
    })
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

/// What [`consolidate`] has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing: the key is gone.
    Nothing,
    /// Values present, all since one time: nothing that a later `since` could shorten.
    Current,
    /// More than that.
    History,
}

/// Appends to `out` the shortest history that agrees with `history` at every time from `since` on and up to `until`;
/// later updates are left out.
pub(crate) fn consolidate(
    history: &[u8],
    since: u64,
    until: u64,
    out: &mut Vec<u8>,
) -> Result<Left, StoreError> {
    let mut rest = history;
    let Some(first) = take_update(&mut rest)? else {
        return Ok(Left::Nothing);
    };
    if rest.is_empty() && first.diff > 0 && first.time <= until {
        // By far the most frequent case.
        out.extend_from_slice(history);
        return Ok(Left::Current);
    }
    let mut updates = vec![first];
    while let Some(update) = take_update(&mut rest)? {
        updates.push(update);
    }
    updates.retain(|update| update.time <= until);
    // All that happened up to `since` may have happened at the last such time.
    let floor = updates
        .iter()
        .map(|update| update.time)
        .filter(|&time| time <= since)
        .max();
    for update in &mut updates {
        if let Some(floor) = floor.filter(|_| update.time <= since) {
            update.time = floor;
        }
    }
    updates.sort_by(|a, b| (a.time, a.value).cmp(&(b.time, b.value)));
    let mut times: Option<(u64, u64)> = None;
    let mut all_present = true;
    for same in updates.chunk_by(|a, b| a.time == b.time && a.value == b.value) {
        let diff = same
            .iter()
            .fold(0i64, |sum, update| sum.wrapping_add(update.diff));
        if diff != 0 {
            let time = same[0].time;
            put_raw(time, diff, same[0].value, out);
            times = Some(times.map_or((time, time), |(first, _)| (first, time)));
            all_present &= diff > 0;
        }
    }
    Ok(match times {
        None => Left::Nothing,
        Some((first, last)) if first == last && all_present => Left::Current,
        Some(_) => Left::History,
    })
}

/// Gives `emit` each value that `history` leaves at `as_of`, with its diff, in order of value.
pub(crate) fn resolve<'a>(
    history: &'a [u8],
    as_of: u64,
    mut emit: impl FnMut(&'a [u8], i64) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut rest = history;
    let Some(first) = take_update(&mut rest)? else {
        return Ok(());
    };
    if rest.is_empty() {
        return if first.time <= as_of && first.diff != 0 {
            emit(first.value, first.diff)
        } else {
            Ok(())
        };
    }
    let mut updates = Vec::new();
    let mut next = Some(first);
    while let Some(update) = next {
        if update.time <= as_of {
            updates.push((update.value, update.diff));
        }
        next = take_update(&mut rest)?;
    }
    updates.sort_by_key(|&(value, _)| value);
    for same in updates.chunk_by(|a, b| a.0 == b.0) {
        let diff = same
            .iter()
            .fold(0i64, |sum, &(_, diff)| sum.wrapping_add(diff));
        if diff != 0 {
            emit(same[0].0, diff)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(history: &[u8], as_of: u64) -> BTreeMap<Vec<u8>, i64> {
        let mut found = BTreeMap::new();
        resolve(history, as_of, |value, diff| {
            found.insert(value.to_vec(), diff);
            Ok(())
        })
        .unwrap();
        found
    }

    proptest! {
        #[test]
        fn consolidation_changes_nothing_from_since_on(
            updates in proptest::collection::vec((0u64..12, -2i64..3, 0u8..3), 0..20),
            since in 0u64..14,
        ) {
            let mut updates = updates;
            updates.sort_by_key(|update| update.0);
            let mut history = Vec::new();
            for (time, diff, value) in &updates {
                put_update(*time, *diff, b"k", &[*value], &mut history);
            }
            let mut short = Vec::new();
            let left = consolidate(&history, since, u64::MAX, &mut short).unwrap();
            prop_assert_eq!(left == Left::Nothing, short.is_empty());
            prop_assert!(short.len() <= history.len());
            for as_of in since..14 {
                prop_assert_eq!(at(&history, as_of), at(&short, as_of));
            }
        }

        #[test]
        fn any_bytes_are_a_history_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = consolidate(&bytes, 5, u64::MAX, &mut Vec::new());
            let _ = resolve(&bytes, 5, |value, _| split(&[0; 9], value).map(|_| ()));
            let _ = split(&[0; LONG + 100], &bytes);
        }
    }

    #[test]
    fn extreme_diffs_and_times_survive() {
        for diff in [1, -1, i64::MAX, i64::MIN, 63, -64] {
            let mut history = Vec::new();
            put_update(u64::MAX, diff, b"k", b"v", &mut history);
            let update = take_update(&mut &history[..]).unwrap().unwrap();
            assert_eq!(
                update,
                Update {
                    time: u64::MAX,
                    diff,
                    value: b"v"
                }
            );
        }
    }
}
