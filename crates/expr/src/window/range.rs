//! RANGE frames: which rows lie within an offset of the current row's ORDER BY value.
//!
//! This follows PostgreSQL's `in_range` functions and the walk of `nodeWindowAgg.c`: both ends of the frame only
//! move forwards, NULLs are peers of NULLs alone, and a sum beyond the type's range counts as beyond every value.
//! Days and months of an interval offset are added in UTC for timestamptz.

use super::frame::{Partition, range};
use super::{Frame, FrameBound};
use crate::aggregate::OrderExpr;
use everview_repr::datetime::{self, Zone};
use everview_repr::numeric::Numeric;
use everview_repr::{Datum, EvalError, Interval, RowArena, ScalarType, SqlState, float};
use std::cmp::Ordering;
use std::ops::Range;

/// The type of a RANGE offset over an ORDER BY of this type, to which the offset is coerced; `None` where offsets
/// make no sense (0A000).
pub fn range_offset_type(order: &ScalarType) -> Option<ScalarType> {
    Some(match order {
        ScalarType::Int16 | ScalarType::Int32 | ScalarType::Int64 => ScalarType::Int64,
        ScalarType::Float32 | ScalarType::Float64 => ScalarType::Float64,
        ScalarType::Numeric => ScalarType::Numeric,
        ScalarType::Date
        | ScalarType::Time
        | ScalarType::Timestamp
        | ScalarType::TimestampTz
        | ScalarType::Interval => ScalarType::Interval,
        _ => return None,
    })
}

/// Each row's frame. The offsets are those of the frame's bounds, where they have one.
pub(super) fn frames<'a>(
    partition: &Partition<'a>,
    frame: &Frame,
    offsets: [Datum<'a>; 2],
    order_by: &'a [OrderExpr],
    arena: &'a RowArena,
) -> Result<Vec<Range<usize>>, EvalError> {
    let walk = Walk::new(partition, order_by, arena);
    let (mut start, mut end) = (0, 0);
    let mut out = Vec::with_capacity(partition.len());
    for row in 0..partition.len() {
        start = match &frame.start {
            FrameBound::UnboundedPreceding => 0,
            FrameBound::CurrentRow => partition.peers(row).start,
            FrameBound::UnboundedFollowing => partition.len(),
            FrameBound::Preceding(_) => walk.start(start, row, offsets[0], true)?,
            FrameBound::Following(_) => walk.start(start, row, offsets[0], false)?,
        };
        end = match &frame.end {
            FrameBound::UnboundedPreceding => 0,
            FrameBound::CurrentRow => partition.peers(row).end,
            FrameBound::UnboundedFollowing => partition.len(),
            FrameBound::Preceding(_) => walk.end(end, row, offsets[1], true)?,
            FrameBound::Following(_) => walk.end(end, row, offsets[1], false)?,
        };
        out.push(range(start, end));
    }
    Ok(out)
}

/// The ORDER BY values that frames with offsets walk over.
struct Walk<'a> {
    values: Vec<Datum<'a>>,
    descending: bool,
    nulls_last: bool,
    /// With offsets there is exactly one ORDER BY expression.
    columns: usize,
}

impl<'a> Walk<'a> {
    fn new(partition: &Partition<'a>, order_by: &'a [OrderExpr], arena: &'a RowArena) -> Walk<'a> {
        let Some(order) = order_by.first() else {
            return Walk {
                values: Vec::new(),
                descending: false,
                nulls_last: true,
                columns: 0,
            };
        };
        let values = (0..partition.len())
            .map(|i| order.expr.eval(partition.row(i), arena))
            .collect();
        let OrderExpr {
            descending,
            nulls_last,
            ..
        } = *order;
        Walk {
            values,
            descending,
            nulls_last,
            columns: order_by.len(),
        }
    }

    fn check(&self) -> Result<(), EvalError> {
        if self.columns == 1 {
            return Ok(());
        }
        Err(EvalError::new(
            SqlState::WINDOWING_ERROR,
            "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
        ))
    }

    /// The first row, from `head` on, that is not before the frame's start.
    fn start(
        &self,
        mut head: usize,
        row: usize,
        offset: Datum<'a>,
        preceding: bool,
    ) -> Result<usize, EvalError> {
        self.check()?;
        let base = self.values[row];
        let (subtract, less) = (preceding != self.descending, self.descending);
        while let Some(value) = self.values.get(head) {
            let within = match (value.is_null(), base.is_null()) {
                (false, false) => in_range(*value, base, offset, subtract, less)?,
                // One of them is NULL: NULLs stand on one side of everything else.
                (null, base_null) if self.nulls_last => null || !base_null,
                (null, base_null) => !null || base_null,
            };
            if within {
                break;
            }
            head += 1;
        }
        Ok(head)
    }

    /// The first row, from `tail` on, that is after the frame's end.
    fn end(
        &self,
        mut tail: usize,
        row: usize,
        offset: Datum<'a>,
        preceding: bool,
    ) -> Result<usize, EvalError> {
        self.check()?;
        let base = self.values[row];
        let (subtract, less) = (preceding != self.descending, !self.descending);
        while let Some(value) = self.values.get(tail) {
            let within = match (value.is_null(), base.is_null()) {
                (false, false) => in_range(*value, base, offset, subtract, less)?,
                (_, base_null) if self.nulls_last => base_null,
                (null, _) => null,
            };
            if !within {
                break;
            }
            tail += 1;
        }
        Ok(tail)
    }
}

fn negative_offset() -> EvalError {
    let message = "invalid preceding or following size in window function";
    EvalError::new(SqlState::new("22013"), message)
}

/// `value <= sum` (less) or `value >= sum`, where the sum is `base` minus (subtract) or plus `offset`.
fn in_range(
    value: Datum<'_>,
    base: Datum<'_>,
    offset: Datum<'_>,
    subtract: bool,
    less: bool,
) -> Result<bool, EvalError> {
    match (value, base, offset) {
        (_, _, Datum::Int64(_) | Datum::Int32(_) | Datum::Int16(_)) => {
            match (
                super::integer(value),
                super::integer(base),
                super::integer(offset),
            ) {
                (Ok(value), Ok(base), Ok(offset)) if offset >= 0 => {
                    // Wide enough for any sum: beyond a bigint it is beyond every value.
                    let offset = i128::from(if subtract { -offset } else { offset });
                    Ok(side(
                        i128::from(value).cmp(&(i128::from(base) + offset)),
                        less,
                    ))
                }
                (Ok(_), Ok(_), Ok(_)) => Err(negative_offset()),
                _ => Err(unsupported()),
            }
        }
        (Datum::Float64(value), Datum::Float64(base), Datum::Float64(offset)) => {
            float_in_range(value, base, offset, subtract, less)
        }
        (Datum::Float32(value), Datum::Float32(base), Datum::Float64(offset)) => {
            float_in_range(value.into(), base.into(), offset, subtract, less)
        }
        (Datum::Numeric(_), Datum::Numeric(_), Datum::Numeric(_)) => {
            match (value.as_numeric(), base.as_numeric(), offset.as_numeric()) {
                (Some(value), Some(base), Some(offset)) => {
                    numeric_in_range(&value, &base, &offset, subtract, less)
                }
                _ => Err(unsupported()),
            }
        }
        (value, base, Datum::Interval(offset)) => {
            interval_in_range(value, base, offset, subtract, less)
        }
        _ => Err(unsupported()),
    }
}

fn side(ordering: Ordering, less: bool) -> bool {
    if less {
        ordering.is_le()
    } else {
        ordering.is_ge()
    }
}

fn unsupported() -> EvalError {
    EvalError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        "RANGE with offset PRECEDING/FOLLOWING is not supported for these types",
    )
}

fn float_in_range(
    value: f64,
    base: f64,
    offset: f64,
    subtract: bool,
    less: bool,
) -> Result<bool, EvalError> {
    if offset.is_nan() || offset < 0.0 {
        return Err(negative_offset());
    }
    if value.is_nan() {
        return Ok(base.is_nan() || !less);
    }
    if base.is_nan() {
        return Ok(less);
    }
    // From an infinity away by infinity everything is within.
    let towards_zero = if subtract { base > 0.0 } else { base < 0.0 };
    if offset.is_infinite() && base.is_infinite() && towards_zero {
        return Ok(true);
    }
    let sum = if subtract {
        base - offset
    } else {
        base + offset
    };
    Ok(side(float::cmp64(value, sum), less))
}

fn numeric_in_range(
    value: &Numeric,
    base: &Numeric,
    offset: &Numeric,
    subtract: bool,
    less: bool,
) -> Result<bool, EvalError> {
    if offset.is_nan() || offset.is_negative() {
        return Err(negative_offset());
    }
    if value.is_nan() {
        return Ok(base.is_nan() || !less);
    }
    if base.is_nan() {
        return Ok(less);
    }
    let towards_zero = if subtract {
        base.signum() > 0
    } else {
        base.signum() < 0
    };
    if offset.is_infinite() && base.is_infinite() && towards_zero {
        return Ok(true);
    }
    let sum = if subtract {
        base.sub(offset)?
    } else {
        base.add(offset)?
    };
    Ok(side(value.cmp(&sum), less))
}

fn interval_in_range(
    value: Datum<'_>,
    base: Datum<'_>,
    offset: Interval,
    subtract: bool,
    less: bool,
) -> Result<bool, EvalError> {
    let negative = match base {
        // A time of day takes the offset's time only.
        Datum::Time(_) => offset.micros < 0,
        _ => offset.span() < 0,
    };
    if negative {
        return Err(negative_offset());
    }
    let shifted = if subtract { offset.neg()? } else { offset };
    Ok(match (value, base) {
        (Datum::Timestamp(value), Datum::Timestamp(base)) => {
            side(value.cmp(&datetime::timestamp_add(base, &shifted)?), less)
        }
        (Datum::TimestampTz(value), Datum::TimestampTz(base)) => side(
            value.cmp(&datetime::timestamptz_add(base, &shifted, &Zone::utc())?),
            less,
        ),
        (Datum::Date(value), Datum::Date(base)) => {
            let (value, base) = (
                datetime::date_to_timestamp(value)?,
                datetime::date_to_timestamp(base)?,
            );
            side(value.cmp(&datetime::timestamp_add(base, &shifted)?), less)
        }
        (Datum::Time(value), Datum::Time(base)) => side(
            i128::from(value).cmp(&(i128::from(base) + i128::from(shifted.micros))),
            less,
        ),
        (Datum::Interval(value), Datum::Interval(base)) => {
            side(value.span().cmp(&base.add(&shifted)?.span()), less)
        }
        _ => return Err(unsupported()),
    })
}
