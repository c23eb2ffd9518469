//! Sorted runs in memory, and their merge.
//!
//! **Invariant.** A run is immutable and strictly ascending by stored key, one entry a key. Of several runs the earlier
//! holds the earlier changes, so that joining the histories of one key in that order keeps them ordered by time.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use everview_repr::Timestamp;

use crate::error::StoreError;
use crate::store::Change;
use crate::update::{Left, collection_of, consolidate, put_key, put_update};

/// Entries in one byte slab.
#[derive(Debug, Default)]
pub(crate) struct Run {
    bytes: Vec<u8>,
    entries: Vec<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    key: u32,
    history: u32,
}

impl Run {
    /// The changes of one timestamp, sorted.
    pub fn from_changes(time: Timestamp, changes: &[Change<'_>]) -> Run {
        let order =
            |a: &Change<'_>, b: &Change<'_>| (a.collection, a.key).cmp(&(b.collection, b.key));
        let mut run = Run::default();
        let payload: usize = changes
            .iter()
            .map(|change| change.key.len() + change.value.len() + 20)
            .sum();
        run.bytes.reserve(payload);
        run.entries.reserve(changes.len());
        if changes.is_sorted_by(|a, b| order(a, b) != Ordering::Greater) {
            run.fill(time, changes.iter());
        } else {
            let mut sorted: Vec<&Change<'_>> = changes.iter().collect();
            sorted.sort_by(|a, b| order(a, b));
            run.fill(time, sorted.into_iter());
        }
        run
    }

    fn fill<'c>(&mut self, time: Timestamp, changes: impl Iterator<Item = &'c Change<'c>>) {
        let mut last: Option<(u64, &[u8])> = None;
        for change in changes.filter(|change| change.diff != 0) {
            if last != Some((change.collection, change.key)) {
                self.begin(|out| put_key(change.collection, change.key, out));
                last = Some((change.collection, change.key));
            }
            put_update(
                time.0,
                change.diff,
                change.key,
                change.value,
                &mut self.bytes,
            );
            self.end();
        }
        // Long keys order by prefix and hash, which the caller's order need not follow.
        if !self
            .entries
            .is_sorted_by(|a, b| key_of(&self.bytes, a) < key_of(&self.bytes, b))
        {
            let bytes = &self.bytes;
            self.entries
                .sort_by(|a, b| key_of(bytes, a).cmp(key_of(bytes, b)));
        }
    }

    fn begin(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        key(&mut self.bytes);
        self.entries.push(Place {
            start,
            key: (self.bytes.len() - start) as u32,
            history: 0,
        });
    }

    fn end(&mut self) {
        let length = self.bytes.len();
        if let Some(last) = self.entries.last_mut() {
            last.history = (length - last.start) as u32 - last.key;
        }
    }

    /// Joins runs, the earliest first, into one whose histories are consolidated up to `since`.
    pub fn merge(
        runs: &[Arc<Run>],
        since: u64,
        dropped: &BTreeSet<u64>,
    ) -> Result<Run, StoreError> {
        let mut merged = Run::default();
        merged
            .bytes
            .reserve(runs.iter().map(|run| run.bytes.len()).sum());
        merged
            .entries
            .reserve(runs.iter().map(|run| run.entries.len()).sum());
        let mut merge = Merge::new(runs, None);
        let mut entry = Entry::default();
        while merge.next(&mut entry) {
            if dropped.contains(&collection_of(&entry.key)) {
                continue;
            }
            merged.begin(|out| out.extend_from_slice(&entry.key));
            match consolidate(&entry.history, since, u64::MAX, &mut merged.bytes)? {
                Left::Nothing => merged.abandon(),
                Left::Current | Left::History => merged.end(),
            }
        }
        Ok(merged)
    }

    fn abandon(&mut self) {
        if let Some(last) = self.entries.pop() {
            self.bytes.truncate(last.start);
        }
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Place>()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn key(&self, at: usize) -> &[u8] {
        key_of(&self.bytes, &self.entries[at])
    }

    fn history(&self, at: usize) -> &[u8] {
        let place = &self.entries[at];
        let start = place.start + place.key as usize;
        &self.bytes[start..start + place.history as usize]
    }

    /// The first entry at or above `stored`.
    fn seek(&self, stored: &[u8]) -> usize {
        match self.entries.last() {
            // Keys often ascend from run to run: most runs are ruled out by their ends.
            Some(last) if key_of(&self.bytes, last) < stored => self.entries.len(),
            _ => self
                .entries
                .partition_point(|place| key_of(&self.bytes, place) < stored),
        }
    }

    /// The history of one stored key.
    pub fn get(&self, stored: &[u8]) -> Option<&[u8]> {
        if self.entries.is_empty() || stored < self.key(0) {
            return None;
        }
        let at = self.seek(stored);
        (at < self.entries.len() && self.key(at) == stored).then(|| self.history(at))
    }
}

fn key_of<'b>(bytes: &'b [u8], place: &Place) -> &'b [u8] {
    &bytes[place.start..place.start + place.key as usize]
}

/// One key and its joined history, in buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub key: Vec<u8>,
    pub history: Vec<u8>,
}

/// Several runs as one ascending sequence of keys.
pub(crate) struct Merge {
    /// Descending by key and then by age, so that the last one is next.
    cursors: Vec<Cursor>,
}

struct Cursor {
    run: Arc<Run>,
    at: usize,
    end: usize,
    /// The run's place among the runs: smaller is earlier.
    age: usize,
}

impl Cursor {
    fn order(&self, other: &Cursor) -> Ordering {
        self.run
            .key(self.at)
            .cmp(other.run.key(other.at))
            .then(self.age.cmp(&other.age))
    }
}

impl Merge {
    /// A merge of `runs`, the earliest first, within a range of stored keys from the first to before the second.
    pub fn new(runs: &[Arc<Run>], range: Option<(&[u8], &[u8])>) -> Merge {
        let mut merge = Merge {
            cursors: Vec::with_capacity(runs.len()),
        };
        for (age, run) in runs.iter().enumerate() {
            let (at, end) = match range {
                Some((start, end)) => (run.seek(start), run.seek(end)),
                None => (0, run.entries.len()),
            };
            if at < end {
                merge.insert(Cursor {
                    run: run.clone(),
                    at,
                    end,
                    age,
                });
            }
        }
        merge
    }

    fn insert(&mut self, cursor: Cursor) {
        let at = match self.cursors.last() {
            Some(last) if cursor.order(last) == Ordering::Less => self.cursors.len(),
            _ => self
                .cursors
                .partition_point(|other| other.order(&cursor) == Ordering::Greater),
        };
        self.cursors.insert(at, cursor);
    }

    /// Puts the next key and its history into `entry`; false at the end.
    pub fn next(&mut self, entry: &mut Entry) -> bool {
        entry.key.clear();
        entry.history.clear();
        let Some(first) = self.cursors.last() else {
            return false;
        };
        entry.key.extend_from_slice(first.run.key(first.at));
        while let Some(cursor) = self.cursors.last() {
            if cursor.run.key(cursor.at) != entry.key {
                break;
            }
            entry
                .history
                .extend_from_slice(cursor.run.history(cursor.at));
            self.advance();
        }
        true
    }

    fn advance(&mut self) {
        let Some(mut cursor) = self.cursors.pop() else {
            return;
        };
        cursor.at += 1;
        if cursor.at < cursor.end {
            self.insert(cursor);
        }
    }
}
