//! The outermost ORDER BY, LIMIT and OFFSET, applied to an answer.

use crate::error::Error;
use everview_repr::{ColumnOrder, Datum, Diff, Row, SqlState, key};

/// The most bytes of a result that is held for a client.
pub(crate) const MOST_RESULT_BYTES: usize = 1 << 30;

/// What is asked of a result.
#[derive(Clone, Debug)]
pub(crate) struct Finish<'p> {
    pub order_by: &'p [ColumnOrder],
    pub limit: Option<u64>,
    pub offset: u64,
    pub project: &'p [usize],
}

impl Finish<'_> {
    /// How many rows are looked at, if not all.
    pub fn needed(&self) -> Option<u64> {
        Some(self.limit?.saturating_add(self.offset))
    }

    /// Sorts, cuts and projects. Ties are in the order of identity, so that the same rows come in the same order
    /// every time.
    ///
    /// Errors: an error value in a row that is given, or in a column that orders.
    pub fn apply(&self, rows: Vec<(Row, Diff)>) -> Result<Vec<Row>, Error> {
        let mut sorted = Vec::with_capacity(rows.len());
        for (row, diff) in rows {
            sorted.push((self.sort_key(&row)?, row, diff.unsigned_abs()));
        }
        if sorted.len() > 1 {
            sorted.sort_unstable();
        }
        let identity = sorted
            .first()
            .is_none_or(|(_, row, _)| self.project.iter().copied().eq(0..row.iter().count()));
        let mut out = Vec::with_capacity(sorted.len());
        let (mut skip, mut left) = (self.offset, self.limit.unwrap_or(u64::MAX));
        let mut bytes = 0usize;
        for (_, row, count) in sorted {
            let skipped = skip.min(count);
            skip -= skipped;
            let taken = (count - skipped).min(left);
            left -= taken;
            if taken == 0 {
                continue;
            }
            let row = if identity {
                row
            } else {
                let datums = row.unpack();
                Row::pack(self.project.iter().map(|c| datums[*c]))
            };
            fails(&row)?;
            bytes += usize::try_from(taken)
                .unwrap_or(usize::MAX)
                .saturating_mul(row.bytes().len() + 16);
            if bytes > MOST_RESULT_BYTES {
                return Err(too_large());
            }
            out.extend(std::iter::repeat_n(
                row,
                usize::try_from(taken).unwrap_or(usize::MAX),
            ));
        }
        Ok(out)
    }

    /// What a row is sorted by.
    pub fn sort_key(&self, row: &Row) -> Result<Vec<u8>, Error> {
        let mut sort_key = Vec::new();
        if !self.order_by.is_empty() {
            let datums = row.unpack();
            for order in self.order_by {
                if let Datum::Error(error) = datums[order.column] {
                    return Err(error.to_error().into());
                }
            }
            key::push_order_by(&mut sort_key, &datums, self.order_by);
        }
        Ok(sort_key)
    }
}

/// An error value in a row fails the read.
pub(crate) fn fails(row: &Row) -> Result<(), Error> {
    let error = row.iter().find_map(|datum| match datum {
        Datum::Error(error) => Some(error.to_error()),
        _ => None,
    });
    error.map_or(Ok(()), |error| Err(error.into()))
}

pub(crate) fn too_large() -> Error {
    let message = format!("the result is larger than {} MiB", MOST_RESULT_BYTES >> 20);
    Error::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
        .with_hint("Ask for fewer rows with LIMIT or a filter, or use COPY ... TO STDOUT.")
}
