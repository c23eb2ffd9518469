//! Casts among dates, times, timestamps and intervals.

use crate::functions::context;
use crate::scalar::CallTypes;
use crate::value::mismatch;
use everview_repr::{Datum, EvalError, ScalarType, SqlState, datetime};

const DAY: i64 = 86_400_000_000;

/// Midnight at the start of a day as a local timestamp. 22008 beyond timestamps.
pub(crate) fn timestamp_of_date(date: i32) -> Result<i64, EvalError> {
    if date == datetime::DATE_INFINITY {
        return Ok(datetime::TIMESTAMP_INFINITY);
    }
    if date == datetime::DATE_NEG_INFINITY {
        return Ok(datetime::TIMESTAMP_NEG_INFINITY);
    }
    let micros = i64::from(date).checked_mul(DAY);
    micros
        .filter(|m| *m < datetime::TIMESTAMP_END)
        .ok_or_else(|| {
            let message = "date out of range for timestamp";
            EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
        })
}

/// The day of a local timestamp.
pub(crate) fn date_of_timestamp(micros: i64) -> i32 {
    match micros {
        datetime::TIMESTAMP_INFINITY => datetime::DATE_INFINITY,
        datetime::TIMESTAMP_NEG_INFINITY => datetime::DATE_NEG_INFINITY,
        micros => micros.div_euclid(DAY) as i32,
    }
}

/// Converts among the date and time types.
pub(super) fn convert<'a>(
    datum: Datum<'a>,
    to: &ScalarType,
    types: &CallTypes,
) -> Result<Datum<'a>, EvalError> {
    use ScalarType::*;
    let local = |utc| context::zone(types)?.time_zone.to_local(utc);
    let utc = |local| context::zone(types)?.time_zone.to_utc(local);
    Ok(match (datum, to) {
        (Datum::Date(v), Timestamp) => Datum::Timestamp(timestamp_of_date(v)?),
        (Datum::Date(v), TimestampTz) => Datum::TimestampTz(utc(timestamp_of_date(v)?)?),
        (Datum::Timestamp(v), TimestampTz) => Datum::TimestampTz(utc(v)?),
        (Datum::Timestamp(v), Date) => Datum::Date(date_of_timestamp(v)),
        (Datum::Timestamp(v), Time) => time_of_day(v),
        (Datum::TimestampTz(v), Timestamp) => Datum::Timestamp(local(v)?),
        (Datum::TimestampTz(v), Date) => Datum::Date(date_of_timestamp(local(v)?)),
        (Datum::TimestampTz(v), Time) if datetime::timestamp_is_finite(v) => time_of_day(local(v)?),
        (Datum::TimestampTz(v), Time) => time_of_day(v),
        (Datum::Time(v), Interval) => Datum::Interval(everview_repr::Interval::new(0, 0, v)),
        (Datum::Interval(v), Time) => Datum::Time(v.micros.rem_euclid(DAY)),
        _ => return Err(mismatch()),
    })
}

/// Infinities have no time of day.
fn time_of_day<'a>(micros: i64) -> Datum<'a> {
    if datetime::timestamp_is_finite(micros) {
        Datum::Time(micros.rem_euclid(DAY))
    } else {
        Datum::Null
    }
}
