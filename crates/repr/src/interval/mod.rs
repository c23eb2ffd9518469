//! `interval`: months, days and microseconds, as PostgreSQL 15 keeps and compares them.
//!
//! The three fields are identity; SQL's equality and order see one span, with months of 30 days and days of 24
//! hours, so that `1 mon = 30 days = 720:00:00`. Keys follow the span. Equality, order and hash of [`Interval`] are
//! SQL's; [`Interval::identical`] compares the fields.
//!
//! It knows no calendar: what a month after a date is, [`crate::datetime`] says.

mod arithmetic;
mod parse;
#[cfg(test)]
mod tests;
mod text;

use std::cmp::Ordering;

use crate::error::{EvalError, SqlState};

pub use parse::IntervalFields;

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
/// Microseconds in an hour.
pub const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
/// Microseconds in a day of 24 hours.
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// Days in a month, where an interval must be one span.
pub const DAYS_PER_MONTH: i64 = 30;

/// A span of months, days and microseconds.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// Months; years are twelve.
    pub months: i32,
    /// Days, which are not always 24 hours.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// 22008, as Postgres words an interval beyond its fields.
pub(crate) fn out_of_range() -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

impl Interval {
    /// No time at all.
    pub const ZERO: Interval = Interval {
        months: 0,
        days: 0,
        micros: 0,
    };

    /// The three fields.
    pub const fn new(months: i32, days: i32, micros: i64) -> Interval {
        Interval {
            months,
            days,
            micros,
        }
    }

    /// Whether the fields are the same: `1 mon` and `30 days` are equal but not identical.
    pub fn identical(&self, other: &Interval) -> bool {
        (self.months, self.days, self.micros) == (other.months, other.days, other.micros)
    }

    /// The whole span in microseconds, with months of 30 days and days of 24 hours.
    pub fn span(&self) -> i128 {
        let days = i64::from(self.months) * DAYS_PER_MONTH + i64::from(self.days);
        i128::from(days) * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }
}

/// Bytes that hold any span: 73 bits and a sign.
const KEY_BYTES: usize = 10;

/// Appends the ordered key of an interval's span: ten bytes.
pub fn push_key(out: &mut Vec<u8>, value: Interval) {
    let ordered = value.span() + (1i128 << (8 * KEY_BYTES - 1));
    out.extend_from_slice(&ordered.to_be_bytes()[16 - KEY_BYTES..]);
}

impl PartialEq for Interval {
    fn eq(&self, other: &Interval) -> bool {
        self.span() == other.span()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Interval) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Interval) -> Ordering {
        self.span().cmp(&other.span())
    }
}

impl std::hash::Hash for Interval {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.span().hash(state);
    }
}

/// `hh:mm[:ss[.fraction]]` as hours, minutes and microseconds; `Err(true)` if malformed, `Err(false)` out of range.
pub(crate) fn split_time(text: &str) -> Result<(i64, i64, i64), bool> {
    parse::split_time(text, false).map_err(|fault| matches!(fault, parse::Fault::Format))
}

pub(crate) use parse::parse_fraction;
