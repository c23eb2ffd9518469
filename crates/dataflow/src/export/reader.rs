//! Reading a published index from any thread, as rows.
//!
//! A [`IndexSnapshot`] is the index as of one time. It is immutable, asks no worker, and stays readable for as
//! long as it is held.

use std::time::Duration;

use everview_optimize::physical::Arrangement;
use everview_repr::{Diff, EvalError, Row, RowRef, Timestamp};

use crate::arrange::group::Direction;
use crate::arrange::publish::{ReadError, ReadSnapshot, SharedReader, Size};
use crate::render::scratch::{Scratch, arranged_row, row_error};

/// Reads an exported index.
#[derive(Clone)]
pub struct IndexReader {
    arrangements: Vec<(Arrangement, SharedReader<i64>)>,
    errs: SharedReader<i64>,
}

/// An index as of one time.
pub struct IndexSnapshot {
    arrangements: Vec<(Arrangement, ReadSnapshot<i64>)>,
    errs: ReadSnapshot<i64>,
}

impl IndexReader {
    pub(crate) fn new(
        arrangements: Vec<(Arrangement, SharedReader<i64>)>,
        errs: SharedReader<i64>,
    ) -> IndexReader {
        IndexReader { arrangements, errs }
    }

    /// How the rows are arranged; others refer to them by position.
    pub fn arrangements(&self) -> impl Iterator<Item = &Arrangement> {
        self.arrangements.iter().map(|(arrangement, _)| arrangement)
    }

    /// The index as of a time, once it is reached.
    pub async fn snapshot(&self, as_of: Timestamp) -> Result<IndexSnapshot, ReadError> {
        let mut arrangements = Vec::with_capacity(self.arrangements.len());
        for (arrangement, reader) in &self.arrangements {
            arrangements.push((arrangement.clone(), reader.snapshot_async(as_of.0).await?));
        }
        let errs = self.errs.snapshot_async(as_of.0).await?;
        Ok(IndexSnapshot { arrangements, errs })
    }

    /// The index as of a time; the thread waits for `timeout` at most, or for ever.
    pub fn snapshot_blocking(
        &self,
        as_of: Timestamp,
        timeout: Option<Duration>,
    ) -> Result<IndexSnapshot, ReadError> {
        let mut arrangements = Vec::with_capacity(self.arrangements.len());
        for (arrangement, reader) in &self.arrangements {
            arrangements.push((arrangement.clone(), reader.snapshot(as_of.0, timeout)?));
        }
        let errs = self.errs.snapshot(as_of.0, timeout)?;
        Ok(IndexSnapshot { arrangements, errs })
    }

    /// Times below this are complete.
    pub fn upper(&self) -> Timestamp {
        let readers = self
            .arrangements
            .iter()
            .map(|(_, reader)| reader)
            .chain([&self.errs]);
        Timestamp(
            readers
                .filter_map(SharedReader::upper)
                .min()
                .unwrap_or(u64::MAX),
        )
    }

    /// The least time that can be read.
    pub fn since(&self) -> Timestamp {
        let readers = self
            .arrangements
            .iter()
            .map(|(_, reader)| reader)
            .chain([&self.errs]);
        Timestamp(readers.map(SharedReader::since).max().unwrap_or(0))
    }

    /// What all its arrangements take.
    pub fn size(&self) -> Size {
        let readers = self
            .arrangements
            .iter()
            .map(|(_, reader)| reader)
            .chain([&self.errs]);
        readers
            .map(SharedReader::size)
            .fold(Size::default(), std::ops::Add::add)
    }

    /// Updates in its first arrangement: rows, once history is compacted.
    pub fn rows(&self) -> u64 {
        self.arrangements
            .first()
            .map_or(0, |(_, reader)| reader.size().updates as u64)
    }
}

impl IndexSnapshot {
    /// The least error, by its packed bytes, if there is any: then the collection cannot be read.
    pub fn error(&self) -> Option<EvalError> {
        let mut least = None;
        self.errs
            .for_range(None, None, Direction::Forward, |key, _, count| {
                if count > 0 {
                    least = Some(row_error(RowRef::from_packed(key)));
                }
                least.is_none()
            });
        least
    }

    /// The rows under a key, the encoding of all of an arrangement's key expressions, by identity.
    pub fn lookup(&self, arrangement: usize, key: &[u8]) -> Vec<(Row, Diff)> {
        let (arrangement, rows) = &self.arrangements[arrangement];
        let mut scratch = Scratch::default();
        let mut found = Vec::new();
        rows.for_key(key, |value, diff| {
            found.push((arranged_row(&mut scratch, arrangement, key, value), diff));
        });
        found
    }

    /// Calls `logic` with the rows whose keys lie in `low..high`, in the order of keys or against it, until it
    /// returns false. Absent bounds do not bound.
    pub fn for_range(
        &self,
        arrangement: usize,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        direction: Direction,
        mut logic: impl FnMut(Row, Diff) -> bool,
    ) {
        let (arrangement, rows) = &self.arrangements[arrangement];
        let mut scratch = Scratch::default();
        rows.for_range(low, high, direction, |key, value, diff| {
            logic(arranged_row(&mut scratch, arrangement, key, value), diff)
        });
    }

    /// The rows whose keys lie in `low..high`, `limit` entries at most.
    pub fn range(
        &self,
        arrangement: usize,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        direction: Direction,
        limit: Option<usize>,
    ) -> Vec<(Row, Diff)> {
        let mut found = Vec::new();
        if limit == Some(0) {
            return found;
        }
        self.for_range(arrangement, low, high, direction, |row, diff| {
            found.push((row, diff));
            limit.is_none_or(|limit| found.len() < limit)
        });
        found
    }

    /// The rows whose keys begin with these bytes: the encoding of the first key expressions.
    pub fn prefix(&self, arrangement: usize, prefix: &[u8]) -> Vec<(Row, Diff)> {
        let high = crate::arrange::publish::prefix_end(prefix);
        self.range(
            arrangement,
            Some(prefix),
            high.as_deref(),
            Direction::Forward,
            None,
        )
    }

    /// All rows, in the order of the first arrangement's keys.
    pub fn scan(&self) -> Vec<(Row, Diff)> {
        self.range(0, None, None, Direction::Forward, None)
    }
}
