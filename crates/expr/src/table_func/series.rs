//! `generate_series`: from a start to a stop, both included, by a step.

use super::{Emit, TableFunctionDesc, declaration, mismatch};
use crate::scalar::CallTypes;
use everview_repr::datetime::{self, Zone};
use everview_repr::numeric::Numeric;
use everview_repr::{Datum, EvalError, Interval, Row, RowArena, SqlState};

pub(super) fn declare() -> Vec<TableFunctionDesc> {
    let name = "generate_series";
    let doc = "The numbers from the first to the second by the third (1 if not said).";
    let times = "The times from the first to the second by the third.";
    let all = vec![
        declaration(name, "int4, int4 -> int4", doc, integers),
        declaration(name, "int4, int4, int4 -> int4", doc, integers),
        declaration(name, "int8, int8 -> int8", doc, integers),
        declaration(name, "int8, int8, int8 -> int8", doc, integers),
        declaration(name, "numeric, numeric -> numeric", doc, numerics),
        declaration(name, "numeric, numeric, numeric -> numeric", doc, numerics),
        declaration(
            name,
            "timestamp, timestamp, interval -> timestamp",
            times,
            timestamps,
        ),
        declaration(
            name,
            "timestamptz, timestamptz, interval -> timestamptz",
            times,
            timestamps,
        ),
    ];
    let series = all.into_iter().map(|desc| TableFunctionDesc {
        series: true,
        ..desc
    });
    series.collect()
}

fn bad(message: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn zero_step() -> EvalError {
    bad("step size cannot equal zero")
}

/// A series of either width; a next value beyond the type's range ends it.
fn integers(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let narrow = matches!(args.first(), Some(Datum::Int32(_)));
    let value = |i: usize| match args.get(i) {
        Some(Datum::Int32(v)) => Ok(i64::from(*v)),
        Some(Datum::Int64(v)) => Ok(*v),
        _ => Err(mismatch()),
    };
    let (start, stop) = (value(0)?, value(1)?);
    let step = if args.len() > 2 { value(2)? } else { 1 };
    if step == 0 {
        return Err(zero_step());
    }
    let mut next = Some(start);
    while let Some(current) = next.filter(|c| if step > 0 { *c <= stop } else { *c >= stop }) {
        // The stop is of the type, so that what does not exceed it fits.
        let datum = if narrow {
            Datum::Int32(current as i32)
        } else {
            Datum::Int64(current)
        };
        if !emit(Row::pack([datum])) {
            break;
        }
        next = current.checked_add(step);
    }
    Ok(())
}

fn numerics(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let value = |i: usize, what: &str| {
        let value = args
            .get(i)
            .and_then(Datum::as_numeric)
            .ok_or_else(mismatch)?;
        match value {
            v if v.is_nan() => Err(bad(&format!("{what} cannot be NaN"))),
            v if v.is_infinite() => Err(bad(&format!("{what} cannot be infinity"))),
            v => Ok(v),
        }
    };
    let (start, stop) = (value(0, "start value")?, value(1, "stop value")?);
    let step = if args.len() > 2 {
        value(2, "step size")?
    } else {
        Numeric::ONE
    };
    if step.is_zero() {
        return Err(zero_step());
    }
    let mut current = start;
    let mut arena = RowArena::new();
    while if step.is_negative() {
        current >= stop
    } else {
        current <= stop
    } {
        if !emit(Row::pack([arena.numeric(&current)])) {
            break;
        }
        arena.clear();
        current = current.add(&step)?;
    }
    Ok(())
}

fn timestamps(types: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let (start, stop, step) = match args {
        [
            Datum::Timestamp(a),
            Datum::Timestamp(b),
            Datum::Interval(step),
        ]
        | [
            Datum::TimestampTz(a),
            Datum::TimestampTz(b),
            Datum::Interval(step),
        ] => (*a, *b, *step),
        _ => return Err(mismatch()),
    };
    let direction = step.span().cmp(&Interval::ZERO.span());
    if direction.is_eq() {
        return Err(zero_step());
    }
    let zone = match args.first() {
        Some(Datum::TimestampTz(_)) => Some(Zone::parse_setting(&types.time_zone)?),
        _ => None,
    };
    let mut current = start;
    while if direction.is_gt() {
        current <= stop
    } else {
        current >= stop
    } {
        let datum = match zone {
            Some(_) => Datum::TimestampTz(current),
            None => Datum::Timestamp(current),
        };
        if !emit(Row::pack([datum])) {
            break;
        }
        current = match &zone {
            Some(zone) => datetime::timestamptz_add(current, &step, zone)?,
            None => datetime::timestamp_add(current, &step)?,
        };
    }
    Ok(())
}
