//! Keys that DEDUPLICATE BY ... WITHIN remembers, by the time of the commits that wrote them.
//!
//! The time line is cut into buckets of a quarter of the interval, and a key is written into a collection of the store
//! that is its bucket's. To forget is to drop the collection of a bucket whose last key has grown too old: nothing is
//! searched for, and room comes back all at once. A key is looked for in at most six buckets, of which those that hold
//! nothing are known. Keys are kept whole: a hash would drop rows that were never there.
//!
//! **Invariant.** What is remembered at a commit is a function of the log up to it: keys come, and buckets go, by the
//! timestamps of commits alone. So it is the same after a restart, and after the store was lost.
//!
//! This module knows no sessions and no transactions.

use crate::error::Error;
use crate::table::{Repeats, Stored, UniqueKey};
use crate::tables::store_error;
use everview_repr::{Diff, GlobalId, Row, Timestamp};
use everview_store::Store;
use parking_lot::RwLock;
use std::collections::BTreeMap;

/// Buckets of an interval.
const PARTS: u64 = 4;

/// The shortest bucket, in microseconds: the store remembers the name of each that it has dropped.
const SHORTEST: u64 = 1_000_000;

/// The store's collection of buckets: when the bucket's last key is too old, the constraint, the bucket's number; how
/// many keys (value 0) and bytes (value 1) it holds is the multiplicity.
const BUCKETS: u64 = 3 << 32;

/// A change of one of the store's own collections.
pub(crate) type Change = (u64, Vec<u8>, Vec<u8>, Diff);

/// One bucket, the first to be forgotten first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Bucket {
    /// From this time on nothing in it counts.
    until: Timestamp,
    constraint: GlobalId,
    number: u64,
}

/// What is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub keys: i64,
    pub bytes: i64,
}

/// All buckets.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    buckets: RwLock<BTreeMap<Bucket, Size>>,
}

fn interval(window: &UniqueKey) -> u64 {
    match window.repeats {
        Repeats::DroppedWithin(micros) => micros,
        Repeats::Refused | Repeats::Dropped => 0,
    }
}

fn width(interval: u64) -> u64 {
    interval.div_ceil(PARTS).max(SHORTEST)
}

impl Bucket {
    /// The bucket of a time.
    fn of(window: &UniqueKey, time: Timestamp) -> Bucket {
        let interval = interval(window);
        let width = width(interval);
        let number = time.0 / width;
        let end = number.saturating_add(1).saturating_mul(width);
        Bucket {
            until: Timestamp(end.saturating_add(interval)),
            constraint: window.constraint,
            number,
        }
    }

    /// Its collection in the store: no other has the highest bit.
    fn collection(&self) -> u64 {
        1 << 63 | self.number << 32 | u64::from(self.constraint.0)
    }

    fn key(&self) -> Vec<u8> {
        let mut key = self.until.0.to_be_bytes().to_vec();
        key.extend_from_slice(&self.constraint.0.to_be_bytes());
        key.extend_from_slice(&self.number.to_be_bytes());
        key
    }

    fn from_key(key: &[u8]) -> Option<Bucket> {
        let (until, rest) = key.split_first_chunk::<8>()?;
        let (constraint, rest) = rest.split_first_chunk::<4>()?;
        Some(Bucket {
            until: Timestamp(u64::from_be_bytes(*until)),
            constraint: GlobalId(u32::from_be_bytes(*constraint)),
            number: u64::from_be_bytes(rest.try_into().ok()?),
        })
    }

    fn changes(&self, size: Size, sign: i64) -> impl Iterator<Item = Change> {
        let parts = [(0, size.keys), (1, size.bytes)].into_iter();
        let key = self.key();
        parts.map(move |(part, count)| (BUCKETS, key.clone(), vec![part], count * sign))
    }
}

/// What the store keeps of a row that comes in a commit: its key, and when.
pub(crate) fn stored(window: &UniqueKey, row: &Row, timestamp: Timestamp) -> Option<Stored> {
    Some(Stored {
        collection: Bucket::of(window, timestamp).collection(),
        key: window.key(&row.unpack())?,
        value: timestamp.0.to_be_bytes().to_vec(),
        diff: 1,
    })
}

impl Windows {
    /// Takes over what the store has of buckets: an entry of their collection.
    fn load_entry(&self, key: &[u8], value: &[u8], count: Diff) {
        let Some(bucket) = Bucket::from_key(key) else {
            return;
        };
        let mut buckets = self.buckets.write();
        let size = buckets.entry(bucket).or_default();
        match value {
            [0] => size.keys = count,
            _ => size.bytes = count,
        }
    }

    /// Takes over the buckets that the store has as of a time.
    pub fn load(&self, store: &Store, as_of: Timestamp) -> Result<(), Error> {
        let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        for chunk in store.scan(BUCKETS, all, as_of, 0, 1).map_err(store_error)? {
            let chunk = chunk.map_err(store_error)?;
            chunk.iter().for_each(|(k, v, d)| self.load_entry(k, v, d));
        }
        Ok(())
    }

    /// Forgets what is too old at a commit, gives its room back, and says so to the store.
    pub fn forget(&self, store: &Store, at: Timestamp) -> Result<Vec<Change>, Error> {
        let due = |buckets: &BTreeMap<Bucket, Size>| {
            let first = buckets.first_key_value();
            first.is_some_and(|(bucket, _)| bucket.until <= at)
        };
        if !due(&self.buckets.read()) {
            return Ok(Vec::new());
        }
        let mut changes = Vec::new();
        let mut buckets = self.buckets.write();
        while due(&buckets)
            && let Some((bucket, size)) = buckets.pop_first()
        {
            store
                .drop_collection(bucket.collection())
                .map_err(store_error)?;
            changes.extend(bucket.changes(size, -1));
        }
        Ok(changes)
    }

    /// Takes in a commit's part of a table: its stored changes, those of windows among them.
    pub fn note(&self, windows: &[UniqueKey], at: Timestamp, stored: &[Stored]) -> Vec<Change> {
        let mut changes = Vec::new();
        for window in windows {
            let bucket = Bucket::of(window, at);
            let collection = bucket.collection();
            let own = stored.iter().filter(|s| s.collection == collection);
            let size = own.fold(Size::default(), |size, s| Size {
                keys: size.keys + 1,
                bytes: size.bytes + (s.key.len() + s.value.len()) as i64,
            });
            if size.keys > 0 {
                let mut buckets = self.buckets.write();
                let known = buckets.entry(bucket).or_default();
                known.keys += size.keys;
                known.bytes += size.bytes;
                changes.extend(bucket.changes(size, 1));
            }
        }
        changes
    }

    /// Whether a key was written at or before `as_of`, and less than the interval before `now`.
    pub fn remembers(
        &self,
        store: &Store,
        window: &UniqueKey,
        key: &[u8],
        (as_of, now): (Timestamp, Timestamp),
    ) -> Result<bool, Error> {
        let interval = interval(window);
        let width = width(interval);
        let mut time = as_of;
        loop {
            let bucket = Bucket::of(window, time);
            if bucket.until <= now {
                return Ok(false);
            }
            if self.buckets.read().contains_key(&bucket) {
                let found = store
                    .get(bucket.collection(), key, as_of)
                    .map_err(store_error)?;
                let young = |value: &[u8]| {
                    let written = value.try_into().map(u64::from_be_bytes);
                    written.is_ok_and(|written| written.saturating_add(interval) > now.0)
                };
                if found.iter().any(|(value, diff)| *diff > 0 && young(value)) {
                    return Ok(true);
                }
            }
            match time.0.checked_sub(width) {
                Some(earlier) => time = Timestamp(earlier),
                None => return Ok(false),
            }
        }
    }

    /// Gives the room of constraints that are gone back.
    pub fn drop_constraint(&self, store: &Store, constraint: GlobalId) -> Result<(), Error> {
        let buckets = self.buckets.read();
        for bucket in buckets.keys().filter(|b| b.constraint == constraint) {
            store
                .drop_collection(bucket.collection())
                .map_err(store_error)?;
        }
        Ok(())
    }

    /// What is remembered for a constraint.
    pub fn size(&self, constraint: GlobalId) -> Size {
        let buckets = self.buckets.read();
        let own = buckets.iter().filter(|(b, _)| b.constraint == constraint);
        own.fold(Size::default(), |sum, (_, size)| Size {
            keys: sum.keys + size.keys,
            bytes: sum.bytes + size.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everview_repr::Datum;
    use everview_store::{Change as Applied, Options};
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;

    fn window(interval: u64) -> UniqueKey {
        UniqueKey {
            constraint: GlobalId(20_001),
            collection: GlobalId(20_001),
            name: "w".to_string(),
            columns: vec![0],
            primary: false,
            repeats: Repeats::DroppedWithin(interval),
            since: Timestamp::MIN,
        }
    }

    /// A store and its windows, written as commits are.
    struct Model {
        _dir: tempfile::TempDir,
        store: Store,
        windows: Windows,
    }

    impl Model {
        fn new() -> Model {
            let dir = tempfile::tempdir().expect("a folder");
            let (store, _) =
                Store::open(dir.path().join("store"), Options::default()).expect("a store");
            Model {
                _dir: dir,
                store,
                windows: Windows::default(),
            }
        }

        fn write(&self, window: &UniqueKey, key: i64, at: Timestamp) {
            let row = Row::pack([Datum::Int64(key)]);
            let stored: Vec<Stored> = stored(window, &row, at).into_iter().collect();
            let mut system = self.windows.forget(&self.store, at).expect("forgotten");
            system.extend(self.windows.note(std::slice::from_ref(window), at, &stored));
            let rows = stored.iter().map(|s| Applied {
                collection: s.collection,
                key: &s.key,
                value: &s.value,
                diff: s.diff,
            });
            let system = system.iter().map(|(collection, key, value, diff)| Applied {
                collection: *collection,
                key,
                value,
                diff: *diff,
            });
            let all: Vec<Applied<'_>> = rows.chain(system).collect();
            self.store.apply_part(at, &all).expect("applied");
            self.store.advance(at, &[]);
        }

        fn remembers(
            &self,
            window: &UniqueKey,
            key: i64,
            as_of: Timestamp,
            now: Timestamp,
        ) -> bool {
            let row = Row::pack([Datum::Int64(key)]);
            let key = window.key(&row.unpack()).expect("a key");
            let times = (as_of, now);
            let found = self.windows.remembers(&self.store, window, &key, times);
            found.expect("looked up")
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_key_is_remembered_exactly_for_the_interval(
            interval in 1..40 * SECOND,
            writes in prop::collection::vec((0..4i64, 1..9 * SECOND), 1..30),
        ) {
            let window = window(interval);
            let model = Model::new();
            let mut now = 1_700_000_000 * SECOND;
            let mut latest: BTreeMap<i64, u64> = BTreeMap::new();
            for (key, step) in writes {
                let before = Timestamp(now);
                now += step;
                for key in 0..4 {
                    let young = latest.get(&key).is_some_and(|at| at + interval > now);
                    prop_assert_eq!(model.remembers(&window, key, before, Timestamp(now)), young);
                }
                model.write(&window, key, Timestamp(now));
                latest.insert(key, now);
                let loaded = Windows::default();
                loaded.load(&model.store, Timestamp(now)).expect("loaded");
                prop_assert_eq!(&*loaded.buckets.read(), &*model.windows.buckets.read());
                // No more than the interval, a bucket and what is being filled.
                prop_assert!(loaded.buckets.read().len() as u64 <= interval / width(interval) + 2);
            }
        }
    }

    #[test]
    fn nulls_are_one_key_and_equal_values_are_too() {
        let window = window(SECOND);
        let key = |datum| window.key(&Row::pack([datum]).unpack());
        assert!(key(Datum::Null).is_some());
        assert_eq!(key(Datum::Float64(0.0)), key(Datum::Float64(-0.0)));
        assert_ne!(key(Datum::Null), key(Datum::Int64(0)));
    }
}
