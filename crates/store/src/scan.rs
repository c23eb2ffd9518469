//! Streaming reads in key order over one immutable view.
//!
//! **Invariant.** A scan sees the view it began with, whatever is applied, flushed or compacted while it runs; it holds no
//! lock, and at most one chunk of rows in memory besides the runs that the view shares.

use std::ops::Bound;
use std::sync::Arc;

use crate::disk::{DiskRange, DiskView};
use crate::error::StoreError;
use crate::run::{Entry, Merge, Run};
use crate::update::{range_end, range_start, resolve, split, take_update};
use everview_repr::Timestamp;

/// About how many bytes a [`Chunk`] has.
const CHUNK_BYTES: usize = 256 << 10;

/// Rows of a scan, in key order, in one byte slab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    bytes: Vec<u8>,
    rows: Vec<(u32, u32, u64, i64)>,
}

impl Chunk {
    /// Each row's key, value and diff. A key with several values comes once for each.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], i64)> {
        self.changes()
            .map(|(key, value, _, diff)| (key, value, diff))
    }

    /// Each change's key, value, time and diff.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], &[u8], Timestamp, i64)> {
        let mut at = 0;
        self.rows.iter().map(move |&(key, value, time, diff)| {
            let (start, middle) = (at, at + key as usize);
            at = middle + value as usize;
            let (key, value) = (&self.bytes[start..middle], &self.bytes[middle..at]);
            (key, value, Timestamp(time), diff)
        })
    }

    /// Rows in it.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn push(&mut self, key: &[u8], value: &[u8], time: u64, diff: i64) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.rows
            .push((key.len() as u32, value.len() as u32, time, diff));
    }
}

/// What a scan is to give.
pub(crate) struct Request<'a> {
    pub collection: u64,
    pub range: (Bound<&'a [u8]>, Bound<&'a [u8]>),
}

/// Which part of each key's history is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// What there was at this time.
    pub snapshot: Option<u64>,
    /// Changes after this time,
    pub after: u64,
    /// and up to this one.
    pub up_to: u64,
}

impl Times {
    /// What there is at a time.
    pub fn at(time: u64) -> Times {
        Times {
            snapshot: Some(time),
            after: time,
            up_to: time,
        }
    }
}

/// Every key of a range with its joined history, from memory and disk.
pub(crate) struct Walk {
    memory: Merge,
    disk: Option<DiskRange>,
    from_memory: Option<Entry>,
    from_disk: Option<(fjall::UserKey, fjall::UserValue)>,
    spare: Entry,
}

impl Walk {
    pub fn new(
        runs: &[Arc<Run>],
        disk: &DiskView,
        request: &Request<'_>,
    ) -> Result<Walk, StoreError> {
        let collection = request.collection;
        let start = match request.range.0 {
            Bound::Unbounded => range_start(collection, &[]),
            Bound::Included(key) | Bound::Excluded(key) => range_start(collection, key),
        };
        let end = match request.range.1 {
            Bound::Unbounded => range_end(collection, None),
            Bound::Included(key) | Bound::Excluded(key) => range_end(collection, Some(key)),
        };
        if start >= end {
            let nothing = Merge::new(&[], None);
            return Ok(Walk {
                memory: nothing,
                disk: None,
                from_memory: None,
                from_disk: None,
                spare: Entry::default(),
            });
        }
        let mut walk = Walk {
            memory: Merge::new(runs, Some((&start, &end))),
            disk: Some(disk.range(&start, &end)?),
            from_memory: None,
            from_disk: None,
            spare: Entry::default(),
        };
        walk.fill_memory(Entry::default());
        walk.fill_disk()?;
        Ok(walk)
    }

    fn fill_memory(&mut self, mut entry: Entry) {
        if self.memory.next(&mut entry) {
            self.from_memory = Some(entry);
        } else {
            self.spare = entry;
        }
    }

    fn fill_disk(&mut self) -> Result<(), StoreError> {
        self.from_disk = match &mut self.disk {
            Some(disk) => disk.next().transpose()?,
            None => None,
        };
        Ok(())
    }

    /// Gives `visit` the next stored key and its history; false at the end.
    pub fn next(
        &mut self,
        visit: impl FnOnce(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        use std::cmp::Ordering;
        let order = match (&self.from_memory, &self.from_disk) {
            (None, None) => return Ok(false),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(entry), Some((key, _))) => entry.key.as_slice().cmp(key),
        };
        match order {
            Ordering::Greater => {
                if let Some((key, history)) = self.from_disk.take() {
                    visit(&key, &history)?;
                }
                self.fill_disk()?;
            }
            Ordering::Less => {
                if let Some(entry) = self.from_memory.take() {
                    visit(&entry.key, &entry.history)?;
                    self.fill_memory(entry);
                }
            }
            Ordering::Equal => {
                if let (Some(mut entry), Some((_, history))) =
                    (self.from_memory.take(), self.from_disk.take())
                {
                    let mut joined = std::mem::take(&mut self.spare.history);
                    joined.clear();
                    joined.extend_from_slice(&history);
                    joined.extend_from_slice(&entry.history);
                    visit(&entry.key, &joined)?;
                    self.spare.history = std::mem::replace(&mut entry.history, joined);
                    self.fill_memory(entry);
                }
                self.fill_disk()?;
            }
        }
        Ok(true)
    }
}

/// Iterates over a collection's rows at one time, or its changes, a chunk at a time.
pub struct Scan {
    walk: Option<Walk>,
    range: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    times: Times,
    shard: usize,
    shards: usize,
}

impl Scan {
    pub(crate) fn new(
        runs: &[Arc<Run>],
        disk: &DiskView,
        request: &Request<'_>,
        times: Times,
        (shard, shards): (usize, usize),
    ) -> Result<Scan, StoreError> {
        let owned = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
        Ok(Scan {
            walk: Some(Walk::new(runs, disk, request)?),
            range: (owned(request.range.0), owned(request.range.1)),
            times,
            shard,
            shards: shards.max(1),
        })
    }

    /// A scan of nothing.
    pub(crate) fn empty() -> Scan {
        Scan {
            walk: None,
            range: (Bound::Unbounded, Bound::Unbounded),
            times: Times::at(0),
            shard: 0,
            shards: 1,
        }
    }

    fn fill(&mut self, walk: &mut Walk, chunk: &mut Chunk) -> Result<bool, StoreError> {
        while chunk.bytes.len() < CHUNK_BYTES {
            let more = walk.next(|stored, history| {
                if self.shards > 1 && shard_of(stored) % self.shards as u64 != self.shard as u64 {
                    return Ok(());
                }
                let mut push = |carried, time, diff| {
                    let (key, value) = split(stored, carried)?;
                    if in_range(&self.range, key) {
                        chunk.push(key, value, time, diff);
                    }
                    Ok(())
                };
                if let Some(as_of) = self.times.snapshot {
                    resolve(history, as_of, |carried, diff| push(carried, as_of, diff))?;
                }
                let (mut rest, times) = (history, self.times);
                while times.after < times.up_to
                    && let Some(update) = take_update(&mut rest)?
                {
                    if update.time > times.after && update.time <= times.up_to {
                        push(update.value, update.time, update.diff)?;
                    }
                }
                Ok(())
            })?;
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Iterator for Scan {
    type Item = Result<Chunk, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut walk = self.walk.take()?;
        let mut chunk = Chunk::default();
        match self.fill(&mut walk, &mut chunk) {
            Ok(true) => self.walk = Some(walk),
            Ok(false) if chunk.is_empty() => return None,
            Ok(false) => {}
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(chunk))
    }
}

fn in_range(range: &(Bound<Vec<u8>>, Bound<Vec<u8>>), key: &[u8]) -> bool {
    let above = match &range.0 {
        Bound::Unbounded => true,
        Bound::Included(start) => key >= start.as_slice(),
        Bound::Excluded(start) => key > start.as_slice(),
    };
    let below = match &range.1 {
        Bound::Unbounded => true,
        Bound::Included(end) => key <= end.as_slice(),
        Bound::Excluded(end) => key < end.as_slice(),
    };
    above && below
}

/// FNV-1a with a final mix: the same on every machine, so that shards are.
fn shard_of(stored: &[u8]) -> u64 {
    let hash = stored.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}
