//! Three counters: how much was delivered, how much was processed, and how much of it took effect.
//!
//! *Delivered* are rows that statements brought, repeated and rolled back ones too; *processed* are changes that passed
//! through, once when they are committed and again whenever a dataflow reads them from store or log; *effects* are
//! changes in the log. Effects are summed up from commits, and are the same after a restart or a lost store. The other
//! two are counts since the start; those by key (COUNT EFFECTS BY) are carried to the log by the table's next commit.
//!
//! This module knows no sessions and no SQL.

use crate::table::{Counted, StoredTable};
use everview_repr::{Datum, Diff, GlobalId, Row};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system collection of counts by key that a commit carries: table (oid), kind (smallint), then the key's columns;
/// the multiplicity is the count.
pub(crate) const CARRIED: GlobalId = GlobalId(9);

/// The store's collection of effects: the subject's key, whose multiplicity is their number.
pub(crate) const EFFECTS: u64 = 5 << 32;

/// A row was delivered.
pub(crate) const DELIVERED: i16 = 0;
/// A row was read again.
pub(crate) const READ_AGAIN: i16 = 1;

/// What is counted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Subject {
    Table(GlobalId),
    Producer(Arc<str>),
}

impl Subject {
    /// Its key in the store.
    pub fn key(&self) -> Vec<u8> {
        match self {
            Subject::Table(id) => [&[0][..], &id.0.to_be_bytes()].concat(),
            Subject::Producer(name) => [&[1][..], name.as_bytes()].concat(),
        }
    }

    /// The subject of such a key.
    pub fn from_key(key: &[u8]) -> Option<Subject> {
        match key.split_first()? {
            (0, id) => Some(Subject::Table(GlobalId(u32::from_be_bytes(
                id.try_into().ok()?,
            )))),
            (_, name) => Some(Subject::Producer(Arc::from(
                std::str::from_utf8(name).ok()?,
            ))),
        }
    }
}

/// The counts of one subject.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    delivered: AtomicU64,
    processed: AtomicU64,
    effects: AtomicU64,
}

/// Delivered, processed, effects.
pub(crate) type Counts = (u64, u64, u64);

/// All counts.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    subjects: RwLock<BTreeMap<Subject, Arc<Tally>>>,
    /// By table, kind and key: what no commit has carried yet.
    keys: Mutex<BTreeMap<(GlobalId, i16, Row), Diff>>,
}

impl Tallies {
    /// The counts of a subject, to be added to.
    fn tally(&self, subject: Subject) -> Arc<Tally> {
        if let Some(known) = self.subjects.read().get(&subject) {
            return known.clone();
        }
        self.subjects.write().entry(subject).or_default().clone()
    }

    /// A statement has brought so many rows.
    pub fn delivered(&self, subject: Subject, rows: u64) {
        let tally = self.tally(subject);
        tally.delivered.fetch_add(rows, Ordering::Relaxed);
    }

    /// A dataflow has read so many changes of a table again.
    pub fn read_again(&self, table: GlobalId, rows: u64) {
        let tally = self.tally(Subject::Table(table));
        tally.processed.fetch_add(rows, Ordering::Relaxed);
    }

    /// A commit has so many changes of a subject.
    pub fn committed(&self, subject: Subject, changes: u64) {
        let tally = self.tally(subject);
        tally.processed.fetch_add(changes, Ordering::Relaxed);
        tally.effects.fetch_add(changes, Ordering::Relaxed);
    }

    /// The effects from before the start.
    pub fn set_effects(&self, subject: Subject, effects: u64) {
        let tally = self.tally(subject);
        tally.effects.store(effects, Ordering::Relaxed);
    }

    /// Forgets a subject; gives its effects.
    pub fn forget(&self, subject: &Subject) -> u64 {
        let tally = self.subjects.write().remove(subject);
        tally.map_or(0, |tally| tally.effects.load(Ordering::Relaxed))
    }

    /// The counts of a subject.
    pub fn counts(&self, subject: &Subject) -> Counts {
        let tally = self.subjects.read().get(subject).cloned();
        tally.map_or((0, 0, 0), |tally| {
            let [delivered, processed, effects] =
                [&tally.delivered, &tally.processed, &tally.effects]
                    .map(|count| count.load(Ordering::Relaxed));
            (delivered, processed, effects)
        })
    }

    /// Counts rows by the key of their table.
    pub fn add_keys<'r>(
        &self,
        (table, counted): (GlobalId, &Counted),
        kind: i16,
        rows: impl Iterator<Item = (&'r Row, Diff)>,
    ) {
        let mut keys = self.keys.lock();
        for (row, times) in rows {
            *keys.entry((table, kind, counted.key_row(row))).or_default() += times;
        }
    }

    /// What is counted of a table by key and no commit has carried yet.
    pub fn pending(&self, table: GlobalId) -> Vec<(i16, Row, Diff)> {
        let keys = self.keys.lock();
        let own = keys.iter().filter(|((of, _, _), _)| *of == table);
        own.map(|((_, kind, key), count)| (*kind, key.clone(), *count))
            .collect()
    }

    /// Takes what a commit of these tables is to carry.
    pub fn take<'t>(&self, tables: impl Iterator<Item = &'t Arc<StoredTable>>) -> Vec<(Row, Diff)> {
        let mut taken = Vec::new();
        for table in tables.filter(|table| table.counted.is_some()) {
            let own = |(of, _, _): &(GlobalId, i16, Row)| *of == table.id;
            let mut keys = self.keys.lock();
            let (out, left) = std::mem::take(&mut *keys)
                .into_iter()
                .partition(|(key, _)| own(key));
            *keys = left;
            let out: BTreeMap<(GlobalId, i16, Row), Diff> = out;
            taken.extend(out.into_iter().map(|((table, kind, key), count)| {
                let head = [Datum::Oid(table.0), Datum::Int16(kind)].into_iter();
                (Row::pack(head.chain(key.iter())), count)
            }));
        }
        taken
    }

    /// Takes back what a commit that failed was to carry.
    pub fn give_back(&self, carried: Vec<(Row, Diff)>) {
        let mut keys = self.keys.lock();
        for (row, count) in carried {
            if let Some((table, kind, key)) = carried_key(&row) {
                *keys.entry((table, kind, key)).or_default() += count;
            }
        }
    }
}

/// The table, kind and key of a row of [`CARRIED`].
pub(crate) fn carried_key(row: &Row) -> Option<(GlobalId, i16, Row)> {
    let mut datums = row.iter();
    match (datums.next(), datums.next()) {
        (Some(Datum::Oid(table)), Some(Datum::Int16(kind))) => {
            Some((GlobalId(table), kind, Row::pack(datums)))
        }
        _ => None,
    }
}

/// The store's collection of what commits have carried for a table: kind and key; the multiplicity is the count.
pub(crate) fn carried_collection(table: GlobalId) -> u64 {
    4 << 32 | u64::from(table.0)
}

/// The key of a carried count in that collection.
pub(crate) fn carried_store_key(kind: i16, key: &Row) -> Vec<u8> {
    [&kind.to_be_bytes()[..], key.bytes()].concat()
}

/// The kind and key of such a key.
pub(crate) fn carried_from_store(key: &[u8]) -> Option<(i16, Row)> {
    let (kind, row) = key.split_first_chunk::<2>()?;
    Some((i16::from_be_bytes(*kind), Row::from_bytes(row).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_and_carried_keys_come_back() {
        for subject in [
            Subject::Table(GlobalId(20_000)),
            Subject::Producer(Arc::from("ingest")),
        ] {
            assert_eq!(Subject::from_key(&subject.key()), Some(subject));
        }
        let key = Row::pack([Datum::Text("BLR-8000"), Datum::Null]);
        let stored = carried_store_key(READ_AGAIN, &key);
        assert_eq!(carried_from_store(&stored), Some((READ_AGAIN, key.clone())));
        let tallies = Tallies::default();
        let head = [Datum::Oid(7), Datum::Int16(DELIVERED)].into_iter();
        tallies.give_back(vec![(Row::pack(head.chain(key.iter())), 2)]);
        assert_eq!(tallies.pending(GlobalId(7)), [(DELIVERED, key, 2)]);
    }
}
