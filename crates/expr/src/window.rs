//! Window functions over a partition in order.
//!
//! Invariant: a value depends on the partition's rows and their order only; peers and frames come from the
//! window's own ORDER BY, and the tie-break that the order ends in only orders peers. Frames never shrink at
//! either end from one row to the next, which is what makes running aggregates linear.
//!
//! It knows neither how partitions are found nor how they are maintained.

mod declare;
mod frame;
mod range;
mod running;
#[cfg(test)]
mod tests;

pub use declare::{ResolvedWindow, WindowFunctionDesc, resolve_window, window_functions};
pub use range::range_offset_type;

use crate::aggregate::{AggregateExpr, OrderExpr};
use crate::scalar::ScalarExpr;
use everview_repr::{ColumnType, Datum, EvalError, RowArena, RowRef, SqlState};
use frame::Partition;

/// What a window function computes for each row of its partition.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum WindowFunc {
    /// 1, 2, 3, ... in order.
    RowNumber,
    /// The row number of the row's first peer.
    Rank,
    /// The number of distinct peers groups up to the row's.
    DenseRank,
    /// (rank - 1) / (rows - 1); 0 in a partition of one row.
    PercentRank,
    /// Rows up to the last peer / rows.
    CumeDist,
    /// The bucket, of as many equal ones as the argument says.
    Ntile,
    /// The value at an offset back, else a default: args are value, offset, default.
    Lag,
    /// The value at an offset ahead, else a default: args are value, offset, default.
    Lead,
    /// The value at the frame's first row.
    FirstValue,
    /// The value at the frame's last row.
    LastValue,
    /// The value at the frame's n-th row.
    NthValue,
    /// An aggregate over the frame. Its arguments and filter are its own; DISTINCT and ORDER BY are not used.
    Aggregate(Box<AggregateExpr>),
}

/// One end of a frame.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FrameBound {
    /// The partition's first row.
    UnboundedPreceding,
    /// That many rows, peers groups or units before.
    Preceding(ScalarExpr),
    /// The row itself; in RANGE and GROUPS, its peers.
    CurrentRow,
    /// That many rows, peer groups or units after.
    Following(ScalarExpr),
    /// The partition's last row.
    UnboundedFollowing,
}

/// What a frame counts in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FrameUnits {
    /// Rows.
    Rows,
    /// Values of the one ORDER BY expression.
    Range,
    /// Groups of peers.
    Groups,
}

/// A window frame.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Frame {
    /// What it counts in.
    pub units: FrameUnits,
    /// Its first row.
    pub start: FrameBound,
    /// Its last row.
    pub end: FrameBound,
}

impl Frame {
    /// Whether one of its bounds is a number of units away.
    pub fn has_offsets(&self) -> bool {
        let counted =
            |b: &FrameBound| matches!(b, FrameBound::Preceding(_) | FrameBound::Following(_));
        counted(&self.start) || counted(&self.end)
    }
}

/// A call of a window function.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WindowExpr {
    /// The function.
    pub func: WindowFunc,
    /// Its arguments over the input row.
    pub args: Vec<ScalarExpr>,
    /// Rows equal in these form a partition.
    pub partition_by: Vec<ScalarExpr>,
    /// How a partition is ordered; the tie-break is not among them. Peers are equal in these.
    pub order_by: Vec<OrderExpr>,
    /// Its frame.
    pub frame: Frame,
    /// Its type.
    pub result: ColumnType,
}

impl WindowExpr {
    /// The values for the rows of one partition, given in order, one result for each row. A row that occurs
    /// several times is given several times. An error in the window's ORDER BY is the value for every row.
    pub fn eval_partition<'a>(
        &'a self,
        rows: &[RowRef<'a>],
        arena: &'a RowArena,
    ) -> Vec<Datum<'a>> {
        let partition = Partition::new(rows, &self.order_by, arena);
        let values = match self.order_error(&partition, arena) {
            Some(error) => Err(error),
            None => self.eval(&partition, arena),
        };
        values.unwrap_or_else(|error| vec![error; rows.len()])
    }

    /// The least error in what the partition is ordered by: a row without a place leaves none of the others theirs.
    fn order_error<'a>(
        &'a self,
        partition: &Partition<'a>,
        arena: &'a RowArena,
    ) -> Option<Datum<'a>> {
        let keys = (0..partition.len()).flat_map(|i| {
            let order = self.order_by.iter();
            order.map(move |order| order.expr.eval(partition.row(i), arena))
        });
        let errors = keys.filter_map(|key| match key {
            Datum::Error(error) => Some(error),
            _ => None,
        });
        errors.min().map(Datum::Error)
    }

    /// The values, or the error that every row has.
    fn eval<'a>(
        &'a self,
        partition: &Partition<'a>,
        arena: &'a RowArena,
    ) -> Result<Vec<Datum<'a>>, Datum<'a>> {
        if self.frame.has_offsets() {
            // A bad offset is an error even of functions that look at no frame.
            partition.frames(&self.frame, &self.order_by, arena)?;
        }
        let n = partition.len();
        let rows = 0..n;
        let rank = |i: usize| partition.peers(i).start as i64;
        let fraction = |a: i64, b: usize| Datum::Float64(a as f64 / b as f64);
        Ok(match &self.func {
            WindowFunc::RowNumber => rows.map(|i| Datum::Int64(i as i64 + 1)).collect(),
            WindowFunc::Rank => rows.map(|i| Datum::Int64(rank(i) + 1)).collect(),
            WindowFunc::DenseRank => rows
                .map(|i| Datum::Int64(partition.group(i) as i64 + 1))
                .collect(),
            WindowFunc::PercentRank if n <= 1 => vec![Datum::Float64(0.0); n],
            WindowFunc::PercentRank => rows.map(|i| fraction(rank(i), n - 1)).collect(),
            WindowFunc::CumeDist => rows
                .map(|i| fraction(partition.peers(i).end as i64, n))
                .collect(),
            WindowFunc::Ntile => self.ntile(partition, arena),
            WindowFunc::Lag => rows
                .map(|i| self.shifted(partition, i, -1, arena))
                .collect(),
            WindowFunc::Lead => rows.map(|i| self.shifted(partition, i, 1, arena)).collect(),
            WindowFunc::FirstValue | WindowFunc::LastValue | WindowFunc::NthValue => {
                let frames = partition.frames(&self.frame, &self.order_by, arena)?;
                let values = frames.into_iter().enumerate();
                values
                    .map(|(i, frame)| self.value_in(partition, i, frame, arena))
                    .collect()
            }
            WindowFunc::Aggregate(aggregate) => {
                let frames = partition.frames(&self.frame, &self.order_by, arena)?;
                running::eval(aggregate, partition, &frames, arena)
            }
        })
    }

    /// The argument at a position, evaluated over a row; NULL where it is left out.
    fn arg<'a>(
        &'a self,
        position: usize,
        partition: &Partition<'a>,
        row: usize,
        arena: &'a RowArena,
    ) -> Datum<'a> {
        self.args
            .get(position)
            .map_or(Datum::Null, |arg| arg.eval(partition.row(row), arena))
    }

    /// As Postgres, the number of buckets is that of the first row where it is not NULL.
    fn ntile<'a>(&'a self, partition: &Partition<'a>, arena: &'a RowArena) -> Vec<Datum<'a>> {
        let n = partition.len();
        let mut out = Vec::with_capacity(n);
        let buckets = loop {
            match out.len() {
                i if i == n => return out,
                i => match self.arg(0, partition, i, arena) {
                    Datum::Null => out.push(Datum::Null),
                    value => break value,
                },
            }
        };
        let first = out.len();
        let buckets = match integer(buckets) {
            Ok(buckets) if buckets > 0 => buckets as usize,
            Ok(_) => {
                let error = invalid(
                    SqlState::new("22014"),
                    "argument of ntile must be greater than zero",
                );
                out.resize(n, arena.error(&error));
                return out;
            }
            Err(other) => {
                out.resize(n, other);
                return out;
            }
        };
        let (size, larger) = (n / buckets, n % buckets);
        let boundary = larger * (size + 1);
        out.extend((first..n).map(|i| {
            let i = i - first;
            let bucket = if i < boundary {
                i / (size + 1)
            } else {
                larger + (i - boundary) / size.max(1)
            };
            Datum::Int32(bucket as i32 + 1)
        }));
        out
    }

    /// `lag` (direction -1) and `lead` (1).
    fn shifted<'a>(
        &'a self,
        partition: &Partition<'a>,
        row: usize,
        direction: i64,
        arena: &'a RowArena,
    ) -> Datum<'a> {
        let offset = match self.args.get(1) {
            None => 1,
            Some(_) => match integer(self.arg(1, partition, row, arena)) {
                Ok(offset) => offset,
                Err(other) => return other,
            },
        };
        let target = offset
            .checked_mul(direction)
            .and_then(|by| by.checked_add(row as i64));
        match target
            .and_then(|t| usize::try_from(t).ok())
            .filter(|t| *t < partition.len())
        {
            Some(target) => self.arg(0, partition, target, arena),
            None => self.arg(2, partition, row, arena),
        }
    }

    /// `first_value`, `last_value` and `nth_value`.
    fn value_in<'a>(
        &'a self,
        partition: &Partition<'a>,
        row: usize,
        frame: std::ops::Range<usize>,
        arena: &'a RowArena,
    ) -> Datum<'a> {
        let target = match self.func {
            WindowFunc::FirstValue => Some(frame.start),
            WindowFunc::LastValue => frame.end.checked_sub(1),
            _ => match integer(self.arg(1, partition, row, arena)) {
                Ok(nth) if nth > 0 => frame.start.checked_add(nth as usize - 1),
                Ok(_) => {
                    let message = "argument of nth_value must be greater than zero";
                    return arena.error(&invalid(SqlState::new("22016"), message));
                }
                Err(other) => return other,
            },
        };
        match target.filter(|t| frame.contains(t)) {
            Some(target) => self.arg(0, partition, target, arena),
            None => Datum::Null,
        }
    }
}

/// An integer; anything else (NULL, an error) is the result.
fn integer(datum: Datum<'_>) -> Result<i64, Datum<'_>> {
    match datum {
        Datum::Int16(v) => Ok(v.into()),
        Datum::Int32(v) => Ok(v.into()),
        Datum::Int64(v) => Ok(v),
        other => Err(other),
    }
}

fn invalid(code: SqlState, message: &str) -> EvalError {
    EvalError::new(code, message)
}
