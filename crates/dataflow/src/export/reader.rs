//! Reading a published index from any thread, as rows.
//!
//! A [`IndexSnapshot`] is the index as of one time. It is immutable, asks no worker, and stays readable for as
//! long as it is held.

use std::sync::Arc;
use std::time::Duration;

use everview_optimize::physical::Arrangement;
use everview_repr::{Diff, EvalError, Row, RowRef, Timestamp};

use crate::arrange::group::Direction;
use crate::arrange::publish::{ReadError, ReadSnapshot, SharedReader, Size};
use crate::render::scratch::{Scratch, arranged_row, read_back, row_error};
use everview_expr::MapFilterProject;

/// Reads an exported index.
#[derive(Clone)]
pub struct IndexReader {
    arrangements: Arc<[(Arrangement, SharedReader<i64>)]>,
    errs: SharedReader<i64>,
    key_errs: SharedReader<i64>,
}

/// One arrangement of an index as of one time, for reading ranges of keys through map, filter and project.
pub struct ArrangedSnapshot {
    arrangements: Arc<[(Arrangement, SharedReader<i64>)]>,
    position: usize,
    rows: ReadSnapshot<i64>,
    errs: ReadSnapshot<i64>,
    key_errs: ReadSnapshot<i64>,
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
        key_errs: SharedReader<i64>,
    ) -> IndexReader {
        IndexReader {
            arrangements: arrangements.into(),
            errs,
            key_errs,
        }
    }

    /// How the rows are arranged; others refer to them by position.
    pub fn arrangements(&self) -> impl Iterator<Item = &Arrangement> {
        self.arrangements.iter().map(|(arrangement, _)| arrangement)
    }

    /// One arrangement as of a time, once it is reached.
    pub async fn arranged(
        &self,
        arrangement: usize,
        as_of: Timestamp,
    ) -> Result<ArrangedSnapshot, ReadError> {
        let (_, rows) = &self.arrangements[arrangement];
        Ok(ArrangedSnapshot {
            arrangements: Arc::clone(&self.arrangements),
            position: arrangement,
            rows: rows.snapshot_async(as_of.0).await?,
            errs: self.errs.snapshot_async(as_of.0).await?,
            key_errs: self.key_errs.snapshot_async(as_of.0).await?,
        })
    }

    /// Whether it has taken in everything that was there when it began.
    pub fn is_hydrated(&self) -> bool {
        self.upper() > self.since()
    }

    /// The index as of a time, once it is reached.
    pub async fn snapshot(&self, as_of: Timestamp) -> Result<IndexSnapshot, ReadError> {
        let mut arrangements = Vec::with_capacity(self.arrangements.len());
        for (arrangement, reader) in self.arrangements.iter() {
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
        for (arrangement, reader) in self.arrangements.iter() {
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

impl ArrangedSnapshot {
    /// The least error of the collection, if there is any: then it cannot be read.
    pub fn error(&self) -> Option<EvalError> {
        least_error(&self.errs)
    }

    /// Whether the keys of some rows are errors: then ranges of keys may miss rows that a filter fails on.
    pub fn has_key_errors(&self) -> bool {
        least_error(&self.key_errs).is_some()
    }

    /// Calls `logic` with the rows of one key, through `mfp`, until it returns false.
    pub fn for_key(
        &self,
        key: &[u8],
        mfp: &MapFilterProject,
        mut logic: impl FnMut(Result<Row, EvalError>, Diff) -> bool,
    ) {
        let mut scratch = Scratch::default();
        let mut go_on = true;
        self.rows.for_key(key, |value, diff| {
            if go_on && let Some(row) = self.row(&mut scratch, key, value, mfp) {
                go_on = logic(row, diff);
            }
        });
    }

    /// Calls `logic` with each key in `low..high`, in order or against it, and with its row through `mfp` if that
    /// passes, until it returns false. Absent bounds do not bound.
    pub fn for_range(
        &self,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        direction: Direction,
        mfp: &MapFilterProject,
        mut logic: impl FnMut(&[u8], Option<Result<Row, EvalError>>, Diff) -> bool,
    ) {
        let mut scratch = Scratch::default();
        self.rows
            .for_range(low, high, direction, |key, value, diff| {
                logic(key, self.row(&mut scratch, key, value, mfp), diff)
            });
    }

    fn row(
        &self,
        scratch: &mut Scratch,
        key: &[u8],
        value: &[u8],
        mfp: &MapFilterProject,
    ) -> Option<Result<Row, EvalError>> {
        let arrangement = &self.arrangements[self.position].0;
        let context = (key, value, mfp, arrangement);
        scratch.run(
            &context,
            |(key, value, mfp, arrangement), datums, arena, packer| {
                read_back(arrangement, key, value, datums, arena);
                mfp.evaluate(datums, arena, packer).transpose()
            },
        )
    }
}

fn least_error(errs: &ReadSnapshot<i64>) -> Option<EvalError> {
    let mut least = None;
    errs.for_range(None, None, Direction::Forward, |key, _, count| {
        if count > 0 {
            least = Some(row_error(RowRef::from_packed(key)));
        }
        least.is_none()
    });
    least
}

impl IndexSnapshot {
    /// The least error, by its packed bytes, if there is any: then the collection cannot be read.
    pub fn error(&self) -> Option<EvalError> {
        least_error(&self.errs)
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        let mut rows: Diff = 0;
        if let Some((_, first)) = self.arrangements.first() {
            first.for_range(None, None, Direction::Forward, |_, _, count| {
                rows += count;
                true
            });
        }
        rows.max(0).unsigned_abs()
    }

    /// All errors, each once, by their packed bytes.
    pub fn errors(&self) -> Vec<EvalError> {
        let mut errors = Vec::new();
        self.errs
            .for_range(None, None, Direction::Forward, |key, _, count| {
                if count > 0 {
                    errors.push(row_error(RowRef::from_packed(key)));
                }
                true
            });
        errors
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
