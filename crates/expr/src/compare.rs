//! Comparing two datums as SQL does, without encoding keys.
//!
//! The order is that of [`everview_repr::key`]: NULL after every value, errors last, NaN above every number and
//! equal to itself, padding of char(n) without weight. Integers and floats of different widths compare by value.

use crate::functions::context;
use crate::scalar::CallTypes;
use everview_repr::numeric::Numeric;
use everview_repr::{Array, Datum, EvalError, json, key};
use std::cmp::Ordering;

/// SQL's order of two values of one type.
pub fn compare(a: Datum<'_>, b: Datum<'_>) -> Ordering {
    use Datum::*;
    match (a, b) {
        (Int64(a), Int64(b)) => a.cmp(&b),
        (Int32(a), Int32(b)) | (Date(a), Date(b)) => a.cmp(&b),
        (Int16(a), Int16(b)) => a.cmp(&b),
        (Text(a), Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Float64(a), Float64(b)) => compare_floats(a, b),
        (Float32(a), Float32(b)) => compare_floats(a.into(), b.into()),
        (Numeric(a), Numeric(b)) => compare_numerics(a, b),
        (Timestamp(a), Timestamp(b)) | (TimestampTz(a), TimestampTz(b)) | (Time(a), Time(b)) => {
            a.cmp(&b)
        }
        (Bool(a), Bool(b)) => a.cmp(&b),
        (Oid(a), Oid(b)) => a.cmp(&b),
        (BpChar(a), BpChar(b)) => trimmed(a).cmp(trimmed(b)),
        (Bytea(a), Bytea(b)) => a.cmp(b),
        (Uuid(a), Uuid(b)) => a.cmp(&b),
        (Interval(a), Interval(b)) => span(a).cmp(&span(b)),
        (Jsonb(a), Jsonb(b)) => json::compare(a, b),
        (Array(a), Array(b)) => compare_arrays(a, b),
        (Record(a), Record(b)) => compare_all(a.iter(), b.iter()),
        _ => compare_mixed(a, b),
    }
}

fn compare_mixed(a: Datum<'_>, b: Datum<'_>) -> Ordering {
    if let (Some(a), Some(b)) = (integer(a), integer(b)) {
        return a.cmp(&b);
    }
    match (a, b) {
        (Datum::Float32(a), Datum::Float64(b)) => compare_floats(a.into(), b),
        (Datum::Float64(a), Datum::Float32(b)) => compare_floats(a, b.into()),
        _ => key::encode([a]).cmp(&key::encode([b])),
    }
}

fn integer(datum: Datum<'_>) -> Option<i64> {
    match datum {
        Datum::Int16(v) => Some(v.into()),
        Datum::Int32(v) => Some(v.into()),
        Datum::Int64(v) => Some(v),
        _ => None,
    }
}

fn trimmed(s: &str) -> &[u8] {
    s.trim_end_matches(' ').as_bytes()
}

/// Postgres's order of floats: NaN is equal to itself and above everything, zeros are equal.
pub(crate) fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn compare_numerics(a: &[u8], b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (Numeric::from_bytes(a), Numeric::from_bytes(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// An interval's length with months of 30 days of 24 hours.
fn span(v: everview_repr::Interval) -> i128 {
    let days = i128::from(v.months) * 30 + i128::from(v.days);
    days * 86_400_000_000 + i128::from(v.micros)
}

/// Elements first, then dimensions, as Postgres's `array_cmp`.
fn compare_arrays(a: Array<'_>, b: Array<'_>) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    compare_all(a.elements(), b.elements()).then_with(|| {
        let (a, b) = (a.dimensions(), b.dimensions());
        let pair = |d: &everview_repr::array::Dimension| (d.length, d.lower);
        a.len()
            .cmp(&b.len())
            .then_with(|| a.iter().map(pair).cmp(b.iter().map(pair)))
    })
}

fn compare_all<'d>(
    mut a: impl Iterator<Item = Datum<'d>>,
    mut b: impl Iterator<Item = Datum<'d>>,
) -> Ordering {
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) => match compare(a, b) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
}

/// The order of dates and timestamps of different types. Local times are those of the call's time zone; a date
/// beyond the range of timestamps sorts by its day.
pub(crate) fn compare_times(
    a: Datum<'_>,
    b: Datum<'_>,
    types: &CallTypes,
) -> Result<Ordering, EvalError> {
    let zoned = matches!(a, Datum::TimestampTz(_)) || matches!(b, Datum::TimestampTz(_));
    let instant = |local: i64| -> Result<i128, EvalError> {
        // A local time out of the instants' range sorts where it would be.
        Ok(if zoned {
            context::zone(types)?
                .time_zone
                .to_utc(local)
                .unwrap_or(local)
                .into()
        } else {
            local.into()
        })
    };
    let micros = |d: Datum<'_>| -> Result<i128, EvalError> {
        match d {
            Datum::TimestampTz(v) => Ok(v.into()),
            Datum::Timestamp(v) => instant(v),
            Datum::Date(i32::MAX) => Ok(i64::MAX.into()),
            Datum::Date(i32::MIN) => Ok(i64::MIN.into()),
            // Still below infinity when it is beyond every timestamp.
            Datum::Date(days) => match i64::from(days).checked_mul(86_400_000_000) {
                Some(local) => instant(local),
                None => Ok(i128::from(i64::MAX) - 1),
            },
            _ => Err(crate::value::mismatch()),
        }
    };
    Ok(micros(a)?.cmp(&micros(b)?))
}
