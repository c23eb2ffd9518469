//! Text of dates and times under `DateStyle = ISO`.

use std::fmt::Write;

use super::calendar::{Civil, ClockTime, civil_from_days, civil_from_timestamp};
use super::{DATE_INFINITY, DATE_NEG_INFINITY, TIMESTAMP_INFINITY, TIMESTAMP_NEG_INFINITY, Zone};
use crate::interval::{MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};

/// A date as text: `2013-01-05`, `0044-03-15 BC`, `infinity`.
pub fn format_date(date: i32) -> String {
    let mut out = String::with_capacity(10);
    push_date(&mut out, date);
    out
}

/// A time as text: `05:06:07.5`.
pub fn format_time(micros: i64) -> String {
    let mut out = String::with_capacity(15);
    push_time(&mut out, micros);
    out
}

/// A timestamp as text: `2013-01-05 05:06:07.5`.
pub fn format_timestamp(ts: i64) -> String {
    let mut out = String::with_capacity(26);
    push_timestamp(&mut out, ts);
    out
}

/// A timestamptz as text in a zone: `2013-01-05 05:06:07.5+01`.
pub fn format_timestamptz(ts: i64, zone: &Zone) -> String {
    let mut out = String::with_capacity(29);
    push_timestamptz(&mut out, ts, zone);
    out
}

/// Appends [`format_date`].
pub fn push_date(out: &mut String, date: i32) {
    match date {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_NEG_INFINITY => out.push_str("-infinity"),
        _ => {
            let civil = civil_from_days(i64::from(date));
            push_civil(out, civil);
            push_era(out, civil);
        }
    }
}

/// Appends [`format_time`].
pub fn push_time(out: &mut String, micros: i64) {
    push_two(out, micros / MICROS_PER_HOUR);
    out.push(':');
    push_two(out, micros % MICROS_PER_HOUR / MICROS_PER_MINUTE);
    out.push(':');
    let rest = micros % MICROS_PER_MINUTE;
    push_two(out, rest / MICROS_PER_SECOND);
    push_fraction(out, rest % MICROS_PER_SECOND);
}

/// Appends [`format_timestamp`].
pub fn push_timestamp(out: &mut String, ts: i64) {
    if push_infinity(out, ts) {
        return;
    }
    let (civil, clock) = civil_from_timestamp(ts);
    push_civil(out, civil);
    out.push(' ');
    push_time(out, clock.to_micros());
    push_era(out, civil);
}

/// Appends [`format_timestamptz`].
pub fn push_timestamptz(out: &mut String, ts: i64, zone: &Zone) {
    if push_infinity(out, ts) {
        return;
    }
    let east = zone.offset_at(ts);
    // Near the ends of the range the local time may be outside it; it is only shown.
    let (civil, clock) =
        civil_from_timestamp(ts.saturating_add(i64::from(east) * MICROS_PER_SECOND));
    push_civil(out, civil);
    out.push(' ');
    push_time(out, clock.to_micros());
    push_offset(out, east);
    push_era(out, civil);
}

/// `2013-01-05T05:06:07.5`, as JSON has timestamps; with an offset `hh:mm` for a timestamptz.
pub fn format_iso_8601(ts: i64, zone: Option<&Zone>) -> String {
    let mut out = String::with_capacity(32);
    if push_infinity(&mut out, ts) {
        return out;
    }
    let east = zone.map_or(0, |z| z.offset_at(ts));
    let (civil, clock) =
        civil_from_timestamp(ts.saturating_add(i64::from(east) * MICROS_PER_SECOND));
    push_civil(&mut out, civil);
    out.push('T');
    push_time(&mut out, clock.to_micros());
    if zone.is_some() {
        push_offset(&mut out, east);
        if east % 3600 == 0 {
            out.push_str(":00");
        }
    }
    push_era(&mut out, civil);
    out
}

/// An offset east of Greenwich: `+01`, `-03:30`, `+00:19:32`.
pub(crate) fn push_offset(out: &mut String, east: i32) {
    out.push(if east < 0 { '-' } else { '+' });
    let seconds = i64::from(east.unsigned_abs());
    push_two(out, seconds / 3600);
    if seconds % 3600 != 0 {
        out.push(':');
        push_two(out, seconds % 3600 / 60);
    }
    if seconds % 60 != 0 {
        out.push(':');
        push_two(out, seconds % 60);
    }
}

fn push_infinity(out: &mut String, ts: i64) -> bool {
    match ts {
        TIMESTAMP_INFINITY => out.push_str("infinity"),
        TIMESTAMP_NEG_INFINITY => out.push_str("-infinity"),
        _ => return false,
    }
    true
}

fn push_two(out: &mut String, value: i64) {
    if value >= 100 {
        let _infallible = write!(out, "{value}");
        return;
    }
    out.push(char::from(b'0' + (value / 10) as u8));
    out.push(char::from(b'0' + (value % 10) as u8));
}

/// Six digits without trailing zeros, after a point; nothing for zero.
pub(crate) fn push_fraction(out: &mut String, micros: i64) {
    if micros == 0 {
        return;
    }
    let _infallible = write!(out, ".{micros:06}");
    out.truncate(out.trim_end_matches('0').len());
}

fn push_civil(out: &mut String, civil: Civil) {
    let _infallible = write!(out, "{:04}-", shown_year(civil.year));
    push_two(out, i64::from(civil.month));
    out.push('-');
    push_two(out, i64::from(civil.day));
}

fn push_era(out: &mut String, civil: Civil) {
    if civil.year <= 0 {
        out.push_str(" BC");
    }
}

/// The year without its era: 1 BC is year 0.
pub(crate) fn shown_year(year: i32) -> i32 {
    if year > 0 { year } else { 1 - year }
}

impl std::fmt::Display for ClockTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&format_time(self.to_micros()))
    }
}
