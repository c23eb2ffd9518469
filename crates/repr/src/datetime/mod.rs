//! `date`, `time`, `timestamp` and `timestamptz` as PostgreSQL 15 has them, under `DateStyle = ISO, MDY`.
//!
//! Values are plain integers: a date counts days since 2000-01-01 (Postgres's epoch), a time microseconds since
//! midnight (24:00:00 included), a timestamp microseconds since 2000-01-01 00:00:00, a timestamptz the same in UTC.
//! The least and greatest integers are `-infinity` and `infinity`. The calendar is the proleptic Gregorian one.
//!
//! Invariant: a finite value is within Postgres's range (4713 BC to 5874897 for dates, to 294276 for timestamps);
//! whatever would leave it is 22008. Time zones come from the database that is compiled in, never from the machine.
//!
//! It does not know what time it is: `now` and `today` need a clock that the caller passes.

mod abbreviations;
mod arithmetic;
pub(crate) mod calendar;
mod decode;
mod extract;
pub(crate) mod fields;
mod format;
mod iso;
pub(crate) mod keywords;
mod parse;
mod template;
#[cfg(test)]
mod tests;
mod truncate;
mod zone;

use crate::error::{EvalError, SqlState};

pub use arithmetic::*;
pub use calendar::{Civil, ClockTime, civil_from_days, days_from_civil};
pub use extract::*;
pub use format::*;
pub use parse::*;
pub use template::{
    to_char_interval, to_char_timestamp, to_char_timestamptz, to_date, to_timestamp,
};
pub use truncate::*;
pub use zone::Zone;

/// `-infinity` as a date.
pub const DATE_NEG_INFINITY: i32 = i32::MIN;
/// `infinity` as a date.
pub const DATE_INFINITY: i32 = i32::MAX;
/// `-infinity` as a timestamp.
pub const TIMESTAMP_NEG_INFINITY: i64 = i64::MIN;
/// `infinity` as a timestamp.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;
/// The first date: 4713-11-24 BC, Julian day 0.
pub const DATE_MIN: i32 = -2_451_545;
/// The last date: 5874897-12-31.
pub const DATE_MAX: i32 = 2_145_031_948;
/// The first timestamp: 4713-11-24 00:00:00 BC.
pub const TIMESTAMP_MIN: i64 = -211_813_488_000_000_000;
/// One past the last timestamp: 294277-01-01 00:00:00.
pub const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;
/// Days from 1970-01-01, Unix's epoch, to 2000-01-01.
pub const UNIX_EPOCH_DAYS: i32 = 10_957;
/// Microseconds from Unix's epoch to 2000-01-01.
pub const UNIX_EPOCH_MICROS: i64 = 946_684_800_000_000;

fn timestamp_out_of_range() -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

fn date_out_of_range() -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}

/// Whether a timestamp is finite.
pub fn timestamp_is_finite(ts: i64) -> bool {
    ts != TIMESTAMP_INFINITY && ts != TIMESTAMP_NEG_INFINITY
}

/// Whether a date is finite.
pub fn date_is_finite(date: i32) -> bool {
    date != DATE_INFINITY && date != DATE_NEG_INFINITY
}

/// The timestamp, if it is within the range; 22008 else.
fn check_timestamp(ts: i64) -> Result<i64, EvalError> {
    if (TIMESTAMP_MIN..TIMESTAMP_END).contains(&ts) {
        Ok(ts)
    } else {
        Err(timestamp_out_of_range())
    }
}

/// The date, if it is within the range; 22008 else.
fn check_date(date: i64) -> Result<i32, EvalError> {
    match i32::try_from(date) {
        Ok(date) if (DATE_MIN..=DATE_MAX).contains(&date) => Ok(date),
        _ => Err(date_out_of_range()),
    }
}
