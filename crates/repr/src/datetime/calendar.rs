//! The proleptic Gregorian calendar: days to dates and back, times of day, ISO weeks.
//!
//! Years are astronomical here: 1 BC is 0, 2 BC is -1.

use super::{TIMESTAMP_END, TIMESTAMP_MIN};
use crate::interval::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};

/// A day of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Civil {
    /// Astronomical: 0 is 1 BC.
    pub year: i32,
    /// 1 to 12.
    pub month: i32,
    /// 1 to 31.
    pub day: i32,
}

/// A time of day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ClockTime {
    /// 0 to 24.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
    /// 0 to 999,999.
    pub micros: i64,
}

/// Days from 0000-03-01 to 2000-01-01.
const EPOCH: i64 = 730_425;
/// Days in 400 years.
const ERA: i64 = 146_097;

/// Days since 2000-01-01 of a date; the month is 1 to 12, the day may exceed its month.
/// (H. Hinnant, "chrono-compatible low-level date algorithms".)
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH
}

/// The date that is so many days after 2000-01-01.
pub fn civil_from_days(days: i64) -> Civil {
    let days = days + EPOCH;
    let era = days.div_euclid(ERA);
    let day_of_era = days.rem_euclid(ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    Civil {
        year: year as i32,
        month: month as i32,
        day: day as i32,
    }
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(year: i64, month: i32) -> i32 {
    match month {
        2 => 28 + i32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A timestamp's day, in days since 2000-01-01, and its microseconds since midnight.
pub(crate) fn split_timestamp(ts: i64) -> (i64, i64) {
    (ts.div_euclid(MICROS_PER_DAY), ts.rem_euclid(MICROS_PER_DAY))
}

/// A timestamp as calendar day and time of day.
pub(crate) fn civil_from_timestamp(ts: i64) -> (Civil, ClockTime) {
    let (days, micros) = split_timestamp(ts);
    (civil_from_days(days), ClockTime::from_micros(micros))
}

/// The timestamp of a day and microseconds since its midnight; `None` out of range.
pub(crate) fn join_timestamp(days: i64, micros: i64) -> Option<i64> {
    let ts = days.checked_mul(MICROS_PER_DAY)?.checked_add(micros)?;
    (TIMESTAMP_MIN..TIMESTAMP_END).contains(&ts).then_some(ts)
}

impl ClockTime {
    /// Microseconds since midnight taken apart.
    pub fn from_micros(micros: i64) -> ClockTime {
        ClockTime {
            hour: micros / MICROS_PER_HOUR,
            minute: micros % MICROS_PER_HOUR / MICROS_PER_MINUTE,
            second: micros % MICROS_PER_MINUTE / MICROS_PER_SECOND,
            micros: micros % MICROS_PER_SECOND,
        }
    }

    /// Microseconds since midnight.
    pub fn to_micros(self) -> i64 {
        self.hour * MICROS_PER_HOUR
            + self.minute * MICROS_PER_MINUTE
            + self.second * MICROS_PER_SECOND
            + self.micros
    }
}

impl Civil {
    /// Days since 2000-01-01.
    pub fn days(self) -> i64 {
        days_from_civil(
            i64::from(self.year),
            i64::from(self.month),
            i64::from(self.day),
        )
    }

    /// The day of the week, 0 for Sunday.
    pub fn weekday(self) -> i64 {
        weekday(self.days())
    }

    /// The day of the year, from 1.
    pub fn day_of_year(self) -> i64 {
        self.days() - days_from_civil(i64::from(self.year), 1, 1) + 1
    }

    /// The ISO 8601 year (astronomical) and week.
    pub fn iso_week(self) -> (i64, i64) {
        let days = self.days();
        let mut year = i64::from(self.year);
        if days >= iso_year_start(year + 1) {
            year += 1;
        } else if days < iso_year_start(year) {
            year -= 1;
        }
        (year, (days - iso_year_start(year)) / 7 + 1)
    }
}

/// The day of the week of a day since 2000-01-01, which was a Saturday; 0 for Sunday.
pub(crate) fn weekday(days: i64) -> i64 {
    (days + 6).rem_euclid(7)
}

/// The Monday on which an ISO year starts: that of the week with January 4th.
pub(crate) fn iso_year_start(year: i64) -> i64 {
    let fourth = days_from_civil(year, 1, 4);
    fourth - (weekday(fourth) + 6) % 7
}

/// The day since 2000-01-01 of an ISO year and week, Monday.
pub(crate) fn iso_week_start(year: i64, week: i64) -> i64 {
    iso_year_start(year) + (week - 1) * 7
}
