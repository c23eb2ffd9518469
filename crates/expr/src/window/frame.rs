//! A partition: its rows, its peers, and the frame of each row.

use super::{Frame, FrameBound, FrameUnits, range};
use crate::aggregate::OrderExpr;
use everview_repr::{Datum, EvalError, RowArena, RowRef, SqlState};
use std::ops::Range;

/// The rows of a partition in order, unpacked, in groups of peers.
pub(super) struct Partition<'a> {
    rows: Vec<Vec<Datum<'a>>>,
    /// For each row its group's number, from 0.
    group_of: Vec<usize>,
    /// Where each group starts, and the number of rows at the end.
    starts: Vec<usize>,
}

impl<'a> Partition<'a> {
    /// Rows are peers when they are equal in the window's ORDER BY; without one, all are.
    pub(super) fn new(
        rows: &[RowRef<'a>],
        order_by: &'a [OrderExpr],
        arena: &'a RowArena,
    ) -> Partition<'a> {
        let rows: Vec<Vec<Datum<'a>>> = rows.iter().map(|row| row.iter().collect()).collect();
        let (mut group_of, mut starts) = (Vec::with_capacity(rows.len()), Vec::new());
        let (mut key, mut previous) = (Vec::new(), Vec::new());
        for (i, row) in rows.iter().enumerate() {
            key.clear();
            order_by
                .iter()
                .for_each(|order| order.push_key(&mut key, row, arena));
            if i == 0 || key != previous {
                starts.push(i);
            }
            group_of.push(starts.len() - 1);
            std::mem::swap(&mut key, &mut previous);
        }
        starts.push(rows.len());
        Partition {
            rows,
            group_of,
            starts,
        }
    }

    /// How many rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A row's datums.
    pub(super) fn row(&self, i: usize) -> &[Datum<'a>] {
        &self.rows[i]
    }

    /// The number of a row's group of peers, from 0.
    pub(super) fn group(&self, i: usize) -> usize {
        self.group_of[i]
    }

    /// The rows that are a row's peers, itself among them.
    pub(super) fn peers(&self, i: usize) -> Range<usize> {
        let group = self.group_of[i];
        self.starts[group]..self.starts[group + 1]
    }

    /// Each row's frame; an error's datum where a bound's offset is none.
    pub(super) fn frames(
        &self,
        frame: &'a Frame,
        order_by: &'a [OrderExpr],
        arena: &'a RowArena,
    ) -> Result<Vec<Range<usize>>, Datum<'a>> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let offset = |bound: &'a FrameBound, which: &str| match bound {
            FrameBound::Preceding(expr) | FrameBound::Following(expr) => {
                // Offsets hold no columns: every row gives the same.
                match expr.eval(self.row(0), arena) {
                    Datum::Null => Err(arena.error(&null_offset(which))),
                    error @ Datum::Error(_) => Err(error),
                    value => Ok(value),
                }
            }
            _ => Ok(Datum::Int64(0)),
        };
        let offsets = [
            offset(&frame.start, "starting")?,
            offset(&frame.end, "ending")?,
        ];
        let ranges = match frame.units {
            FrameUnits::Range => range::frames(self, frame, offsets, order_by, arena),
            units => self.counted(units, frame, offsets),
        };
        ranges.map_err(|error| arena.error(&error))
    }

    /// Frames in units that are counted: rows or groups.
    fn counted(
        &self,
        units: FrameUnits,
        frame: &Frame,
        offsets: [Datum<'a>; 2],
    ) -> Result<Vec<Range<usize>>, EvalError> {
        let starting = count(offsets[0], "starting")?;
        let ending = count(offsets[1], "ending")?;
        let units = if units == FrameUnits::Rows {
            Units::Rows
        } else {
            Units::Groups
        };
        let frame_of = |i: usize| {
            // Positions in units: of the frame's first unit, and after its last one.
            let at = units.position(self, i);
            let all = units.count(self);
            let start = match frame.start {
                FrameBound::UnboundedPreceding => 0,
                FrameBound::Preceding(_) => at.saturating_sub(starting),
                FrameBound::CurrentRow => at,
                FrameBound::Following(_) => at.saturating_add(starting),
                FrameBound::UnboundedFollowing => all,
            };
            let end = match frame.end {
                FrameBound::UnboundedPreceding => 0,
                FrameBound::Preceding(_) => (at + 1).saturating_sub(ending),
                FrameBound::CurrentRow => at + 1,
                FrameBound::Following(_) => at.saturating_add(ending).saturating_add(1),
                FrameBound::UnboundedFollowing => all,
            };
            let row = |unit: usize| units.first_row(self, unit.min(all));
            range(row(start), row(end))
        };
        Ok((0..self.len()).map(frame_of).collect())
    }
}

/// What a counted frame counts.
#[derive(Clone, Copy)]
enum Units {
    Rows,
    Groups,
}

impl Units {
    fn position(self, partition: &Partition<'_>, row: usize) -> usize {
        match self {
            Units::Rows => row,
            Units::Groups => partition.group(row),
        }
    }

    fn count(self, partition: &Partition<'_>) -> usize {
        match self {
            Units::Rows => partition.len(),
            Units::Groups => partition.starts.len() - 1,
        }
    }

    fn first_row(self, partition: &Partition<'_>, unit: usize) -> usize {
        match self {
            Units::Rows => unit,
            Units::Groups => partition.starts[unit],
        }
    }
}

/// A range that is empty, and not backwards, where the end lies before the start.
pub(super) fn range(start: usize, end: usize) -> Range<usize> {
    start..end.max(start)
}

fn count(offset: Datum<'_>, which: &str) -> Result<usize, EvalError> {
    match super::integer(offset) {
        Ok(n) => usize::try_from(n).map_err(|_| {
            let message = format!("frame {which} offset must not be negative");
            EvalError::new(SqlState::new("22013"), message)
        }),
        Err(_) => Err(EvalError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("frame {which} offset must be of type bigint"),
        )),
    }
}

fn null_offset(which: &str) -> EvalError {
    EvalError::new(
        SqlState::NULL_VALUE_NOT_ALLOWED,
        format!("frame {which} offset must not be null"),
    )
}
