//! Behaviours of the store as a whole.

mod bulk;
mod damage;
mod model;
mod reading;
mod room;

use std::ops::Bound;
use std::path::Path;

use everview_repr::Timestamp;

use crate::{Change, Options, Store, StoreError};

/// So little memory that a few rows are frozen and flushed.
fn tiny() -> Options {
    Options {
        memtable_bytes: 400,
        frozen_limit: 2,
        cache_bytes: 1 << 20,
        inline_merge_bytes: 300,
        idle_bytes: usize::MAX,
    }
}

fn open(dir: &Path, options: Options) -> (Store, Timestamp) {
    let (store, complete) = Store::open(dir.join("store"), options).unwrap();
    (store, complete.upto)
}

fn put<'a>(collection: u64, key: &'a [u8], value: &'a [u8]) -> Change<'a> {
    Change {
        collection,
        key,
        value,
        diff: 1,
    }
}

fn take<'a>(collection: u64, key: &'a [u8], value: &'a [u8]) -> Change<'a> {
    Change {
        collection,
        key,
        value,
        diff: -1,
    }
}

const ALL: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Unbounded);

/// Applies a whole commit.
fn apply(store: &Store, time: u64, changes: &[Change<'_>]) -> Result<(), StoreError> {
    store.apply_part(Timestamp(time), changes)?;
    store.advance(Timestamp(time), b"");
    Ok(())
}

type Row = (Vec<u8>, Vec<u8>, i64);

fn rows(store: &Store, collection: u64, as_of: u64) -> Result<Vec<Row>, StoreError> {
    let mut found = Vec::new();
    for chunk in store.scan(collection, ALL, Timestamp(as_of), 0, 1)? {
        found.extend(
            chunk?
                .iter()
                .map(|(key, value, diff)| (key.to_vec(), value.to_vec(), diff)),
        );
    }
    Ok(found)
}
