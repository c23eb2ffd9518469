//! Reading through an index, on the session's own thread.

use super::access::{Access, Index};
use super::finish::{Finish, MOST_RESULT_BYTES, too_large};
use super::span::{Span, spans};
use super::{Interrupt, Served};
use crate::coordinator::Shared;
use crate::error::Error;
use crate::transaction::TableWrites;
use everview_catalog::{Catalog, ObjectKind};
use everview_dataflow::{ArrangedSnapshot, Direction, IndexReader};
use everview_repr::{ColumnType, Diff, EvalError, Packer, Row, RowArena, Timestamp};

/// Keys walked before others get their turn.
const AT_ONCE: usize = 4096;

/// An access whose index can be read at a time.
pub(crate) enum Source {
    Store,
    Arranged(IndexReader),
}

/// The index behind an access, if it shows the time or will.
pub(crate) fn open(
    shared: &Shared,
    catalog: &Catalog,
    access: &Access,
    as_of: Timestamp,
) -> Option<Source> {
    match &access.index {
        Index::Unique(_) => Some(Source::Store),
        Index::Arranged(id, _) => {
            let reader = usable(shared, catalog, *id, as_of)?;
            Some(Source::Arranged(reader))
        }
    }
}

/// An index's reader, if it shows a time or will. An index of a table that is still being built is left alone: the
/// table can be read without it.
pub(crate) fn usable(
    shared: &Shared,
    catalog: &Catalog,
    id: everview_repr::GlobalId,
    as_of: Timestamp,
) -> Option<IndexReader> {
    let reader = shared.compute.reader(id)?;
    let index = catalog
        .get(id)
        .is_some_and(|o| matches!(o.kind, ObjectKind::Index(_)));
    let there = !index || reader.is_hydrated();
    (there && reader.since() <= as_of).then_some(reader)
}

impl Access {
    /// The rows; `finish` says how many of them are looked at, and in which order.
    pub async fn read(
        &self,
        shared: &Shared,
        source: Source,
        as_of: Timestamp,
        finish: Option<(&Finish<'_>, &[ColumnType])>,
        interrupt: &impl Interrupt,
    ) -> Result<Option<(Vec<(Row, Diff)>, Served)>, Error> {
        let reader = match source {
            Source::Store => return self.find(shared, as_of, None),
            Source::Arranged(reader) => reader,
        };
        let Index::Arranged(_, position) = &self.index else {
            return Err(Error::internal("an arrangement was expected"));
        };
        let snapshot = reader.arranged(*position, as_of);
        let snapshot = interrupt.guard(snapshot).await?;
        let snapshot = snapshot.map_err(super::unreadable)?;
        if let Some(error) = snapshot.error() {
            return Err(error.into());
        }
        // A row whose key failed may have its place anywhere.
        let mut spans = match spans(self) {
            Some(spans) if !snapshot.has_key_errors() => spans,
            _ => vec![Span::all()],
        };
        let mut walk = Walk::new(self, &snapshot, finish);
        if walk.direction == Direction::Backward {
            spans.reverse();
        }
        for span in &spans {
            walk.span(span, interrupt).await?;
            if walk.is_over() {
                break;
            }
        }
        Ok(Some((walk.rows, Served::Tables)))
    }

    /// The rows of whole keys of a unique constraint, own writes over what is stored; `None` if the access is none of
    /// these, if a key's value failed, or if it cannot be told by its keys what was written.
    pub fn find(
        &self,
        shared: &Shared,
        as_of: Timestamp,
        own: Option<&TableWrites>,
    ) -> Result<Option<(Vec<(Row, Diff)>, Served)>, Error> {
        let Index::Unique(n) = self.index else {
            return Ok(None);
        };
        if own.is_some_and(|own| own.truncated || own.chunk_rows > 0) {
            return Ok(None);
        }
        let table = shared.tables.get(self.relation);
        let table = table.ok_or_else(|| Error::internal("no such table"))?;
        let unique = table.unique.get(n);
        let unique = unique.ok_or_else(|| Error::internal("no such unique key"))?;
        let Some(spans) = spans(self) else {
            return Ok(None);
        };
        let mut rows = Vec::new();
        let mut keys = Vec::with_capacity(spans.len());
        for span in spans {
            // Too many keys: left to whoever reads all rows.
            let Span::Key(key) = span else {
                return Ok(None);
            };
            let written = own.and_then(|own| own.keys.get(&unique.constraint)?.get(&key));
            let row = match written {
                Some(row) => row.clone(),
                None => shared.tables.find(&table, unique, &key, as_of)?,
            };
            if let Some(row) = row {
                let arena = RowArena::new();
                let mut datums = row.unpack();
                let row = self
                    .mfp
                    .evaluate(&mut datums, &arena, &mut Packer::default())?;
                rows.extend(row.map(|row| (row, 1)));
            }
            keys.push(key);
        }
        Ok(Some((rows, Served::Keys(unique.constraint, keys))))
    }
}

/// A walk over spans of keys.
struct Walk<'w> {
    access: &'w Access,
    snapshot: &'w ArrangedSnapshot,
    direction: Direction,
    /// Rows to find before the walk may end, if it goes in the order asked for.
    stop: Option<(&'w Finish<'w>, u64)>,
    /// What the last row needed is sorted by: its ties are read too.
    last: Option<Vec<u8>>,
    rows: Vec<(Row, Diff)>,
    bytes: usize,
    ended: Option<Result<(), Error>>,
}

impl<'w> Walk<'w> {
    fn new(
        access: &'w Access,
        snapshot: &'w ArrangedSnapshot,
        finish: Option<(&'w Finish<'w>, &[ColumnType])>,
    ) -> Walk<'w> {
        // A filter that can fail has to meet every row, whatever the limit.
        let total = !access.mfp.predicates.iter().any(|(_, p)| p.can_fail());
        let ordered = finish.filter(|_| total).and_then(|(finish, types)| {
            let direction = access.serves(finish.order_by, types)?;
            Some((direction, (finish, finish.needed()?)))
        });
        let ordered = ordered.filter(|_| !snapshot.has_key_errors());
        Walk {
            access,
            snapshot,
            direction: ordered.map_or(Direction::Forward, |(direction, _)| direction),
            stop: ordered.map(|(_, stop)| stop),
            last: None,
            rows: Vec::new(),
            bytes: 0,
            ended: None,
        }
    }

    fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    async fn span(&mut self, span: &Span, interrupt: &impl Interrupt) -> Result<(), Error> {
        let (mut low, mut high) = match span {
            Span::Key(key) => {
                let (snapshot, access) = (self.snapshot, self.access);
                snapshot.for_key(key, &access.mfp, |row, diff| self.take(row, diff));
                return self.result();
            }
            Span::Range(low, high) => (low.clone(), high.clone()),
        };
        loop {
            let mut next: Option<Vec<u8>> = None;
            let mut walked = 0;
            let (snapshot, access, direction) = (self.snapshot, self.access, self.direction);
            let bound = high.as_deref();
            snapshot.for_range(
                Some(&low),
                bound,
                direction,
                &access.mfp,
                |key, row, diff| {
                    walked += 1;
                    if walked < AT_ONCE {
                        // Nothing to remember yet.
                    } else if next.is_none() {
                        next = Some(key.to_vec());
                    } else if next.as_deref() != Some(key) {
                        return false;
                    }
                    row.is_none_or(|row| self.take(row, diff))
                },
            );
            self.result()?;
            let Some(key) = next.filter(|_| !self.is_over()) else {
                return Ok(());
            };
            match self.direction {
                // The least key behind it.
                Direction::Forward => low = [key.as_slice(), &[0]].concat(),
                Direction::Backward => high = Some(key),
            }
            interrupt.guard(tokio::task::yield_now()).await?;
        }
    }

    fn result(&mut self) -> Result<(), Error> {
        match self.ended.take() {
            Some(Ok(())) => self.ended = Some(Ok(())),
            Some(Err(error)) => return Err(error),
            None => {}
        }
        Ok(())
    }

    /// Takes a row; false when the walk is over.
    fn take(&mut self, row: Result<Row, EvalError>, diff: Diff) -> bool {
        match self.try_take(row, diff) {
            Ok(true) => true,
            Ok(false) => {
                self.ended = Some(Ok(()));
                false
            }
            Err(error) => {
                self.ended = Some(Err(error));
                false
            }
        }
    }

    fn try_take(&mut self, row: Result<Row, EvalError>, diff: Diff) -> Result<bool, Error> {
        let row = row?;
        if let Some((finish, left)) = &mut self.stop {
            if *left == 0 {
                let key = finish.sort_key(&row)?;
                if self.last.get_or_insert_with(|| key.clone()) != &key {
                    return Ok(false);
                }
            } else {
                *left = left.saturating_sub(diff.unsigned_abs());
                if *left == 0 {
                    self.last = Some(finish.sort_key(&row)?);
                }
            }
        }
        self.bytes += row.bytes().len() + 32;
        if self.bytes > MOST_RESULT_BYTES {
            return Err(too_large());
        }
        self.rows.push((row, diff));
        Ok(true)
    }
}
