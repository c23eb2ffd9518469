//! Arithmetic on dates, times and timestamps, and what makes them from parts.

use super::calendar::{
    Civil, civil_from_days, civil_from_timestamp, days_from_civil, days_in_month, join_timestamp,
    split_timestamp,
};
use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, EvalError, SqlState, TIMESTAMP_INFINITY,
    TIMESTAMP_NEG_INFINITY, UNIX_EPOCH_MICROS, Zone, check_date, check_timestamp, date_is_finite,
    date_out_of_range, timestamp_is_finite, timestamp_out_of_range,
};
use crate::interval::{
    self, Interval, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
};

fn overflow(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

/// Moves a day by months, to the last day of the month where that month is shorter.
fn add_months(civil: Civil, months: i32) -> (i64, i64, i64) {
    let total = i64::from(civil.year) * 12 + i64::from(civil.month) - 1 + i64::from(months);
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let day = civil.day.min(days_in_month(year, month as i32));
    (year, month, i64::from(day))
}

/// `timestamp + interval`: months first, then days, then time. 22008 out of range.
pub fn timestamp_add(ts: i64, interval: &Interval) -> Result<i64, EvalError> {
    if !timestamp_is_finite(ts) {
        return Ok(ts);
    }
    let local = add_months_and_days(ts, interval)?;
    local
        .checked_add(interval.micros)
        .ok_or_else(timestamp_out_of_range)
        .and_then(check_timestamp)
}

fn add_months_and_days(ts: i64, interval: &Interval) -> Result<i64, EvalError> {
    let (mut days, micros) = split_timestamp(ts);
    if interval.months != 0 {
        let (year, month, day) = add_months(civil_from_days(days), interval.months);
        days = days_from_civil(year, month, day);
        join_timestamp(days, micros).ok_or_else(timestamp_out_of_range)?;
    }
    join_timestamp(days + i64::from(interval.days), micros).ok_or_else(timestamp_out_of_range)
}

/// `timestamptz + interval`: months and days as the zone's calendar has them. 22008 out of range.
pub fn timestamptz_add(ts: i64, interval: &Interval, zone: &Zone) -> Result<i64, EvalError> {
    if !timestamp_is_finite(ts) {
        return Ok(ts);
    }
    let mut moved = ts;
    // One step after the other: each ends at a local time that the zone maps back by itself.
    for step in [
        Interval::new(interval.months, 0, 0),
        Interval::new(0, interval.days, 0),
    ] {
        if step.months != 0 || step.days != 0 {
            moved = zone.to_utc(add_months_and_days(zone.to_local(moved)?, &step)?)?;
        }
    }
    moved
        .checked_add(interval.micros)
        .ok_or_else(timestamp_out_of_range)
        .and_then(check_timestamp)
}

/// `timestamp - interval`. 22008 out of range.
pub fn timestamp_sub(ts: i64, interval: &Interval) -> Result<i64, EvalError> {
    timestamp_add(ts, &interval.neg()?)
}

/// `timestamptz - interval`. 22008 out of range.
pub fn timestamptz_sub(ts: i64, interval: &Interval, zone: &Zone) -> Result<i64, EvalError> {
    timestamptz_add(ts, &interval.neg()?, zone)
}

/// `timestamp - timestamp`, alike for timestamptz: days and time. 22008 for infinities.
pub fn timestamp_diff(a: i64, b: i64) -> Result<Interval, EvalError> {
    if !timestamp_is_finite(a) || !timestamp_is_finite(b) {
        return Err(overflow("cannot subtract infinite timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(interval::out_of_range)?;
    Interval::new(0, 0, micros).justify_hours()
}

/// `age(a, b)` of timestamps: years, months, days and time by calendar fields. 22008 for infinities.
pub fn age(a: i64, b: i64) -> Result<Interval, EvalError> {
    if !timestamp_is_finite(a) || !timestamp_is_finite(b) {
        return Err(timestamp_out_of_range());
    }
    let negative = a < b;
    let (earlier, later) = if negative { (a, b) } else { (b, a) };
    let ((day_1, time_1), (day_2, time_2)) = (split_timestamp(later), split_timestamp(earlier));
    let (later, earlier) = (civil_from_days(day_1), civil_from_days(day_2));
    let mut micros = time_1 - time_2;
    let mut days = i64::from(later.day) - i64::from(earlier.day);
    let mut months = (i64::from(later.year) - i64::from(earlier.year)) * 12
        + i64::from(later.month)
        - i64::from(earlier.month);
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    // A borrowed month is the earlier one's.
    while days < 0 {
        days += i64::from(days_in_month(i64::from(earlier.year), earlier.month));
        months -= 1;
    }
    let age = Interval::new(months as i32, days as i32, micros);
    if negative { age.neg() } else { Ok(age) }
}

/// `age(a, b)` of timestamptz, by the calendar of a zone. 22008 for infinities.
pub fn age_timestamptz(a: i64, b: i64, zone: &Zone) -> Result<Interval, EvalError> {
    age(zone.to_local(a)?, zone.to_local(b)?)
}

/// `date + integer`. 22008 out of range.
pub fn date_add(date: i32, days: i32) -> Result<i32, EvalError> {
    if !date_is_finite(date) {
        return Ok(date);
    }
    check_date(i64::from(date) + i64::from(days))
}

/// `date - integer`. 22008 out of range.
pub fn date_sub(date: i32, days: i32) -> Result<i32, EvalError> {
    if !date_is_finite(date) {
        return Ok(date);
    }
    check_date(i64::from(date) - i64::from(days))
}

/// `date - date`, in days. 22008 for infinities.
pub fn date_diff(a: i32, b: i32) -> Result<i32, EvalError> {
    if !date_is_finite(a) || !date_is_finite(b) {
        return Err(overflow("cannot subtract infinite dates"));
    }
    i32::try_from(i64::from(a) - i64::from(b)).map_err(|_| date_out_of_range())
}

/// A date as the timestamp of its midnight. 22008 beyond the timestamps.
pub fn date_to_timestamp(date: i32) -> Result<i64, EvalError> {
    match date {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_NEG_INFINITY => Ok(TIMESTAMP_NEG_INFINITY),
        _ => join_timestamp(i64::from(date), 0)
            .ok_or_else(|| overflow("date out of range for timestamp")),
    }
}

/// A date as the timestamptz of its midnight in a zone. 22008 beyond the timestamps.
pub fn date_to_timestamptz(date: i32, zone: &Zone) -> Result<i64, EvalError> {
    zone.to_utc(date_to_timestamp(date)?)
        .map_err(|_| overflow("date out of range for timestamp"))
}

/// The date of a timestamp.
pub fn timestamp_to_date(ts: i64) -> i32 {
    match ts {
        TIMESTAMP_INFINITY => DATE_INFINITY,
        TIMESTAMP_NEG_INFINITY => DATE_NEG_INFINITY,
        _ => split_timestamp(ts).0 as i32,
    }
}

/// The date of a timestamptz in a zone.
pub fn timestamptz_to_date(ts: i64, zone: &Zone) -> Result<i32, EvalError> {
    Ok(timestamp_to_date(zone.to_local(ts)?))
}

/// The time of day of a timestamp; `None` for infinities.
pub fn timestamp_to_time(ts: i64) -> Option<i64> {
    timestamp_is_finite(ts).then(|| split_timestamp(ts).1)
}

/// `date + time`. 22008 out of range.
pub fn date_at_time(date: i32, micros: i64) -> Result<i64, EvalError> {
    let midnight = date_to_timestamp(date)?;
    if !timestamp_is_finite(midnight) {
        return Ok(midnight);
    }
    check_timestamp(midnight + micros)
}

/// `time + interval`: round the clock, by the interval's time alone.
pub fn time_add(micros: i64, interval: &Interval) -> i64 {
    (i128::from(micros) + i128::from(interval.micros)).rem_euclid(i128::from(MICROS_PER_DAY)) as i64
}

/// `time - interval`: round the clock, by the interval's time alone.
pub fn time_sub(micros: i64, interval: &Interval) -> i64 {
    (i128::from(micros) - i128::from(interval.micros)).rem_euclid(i128::from(MICROS_PER_DAY)) as i64
}

/// `time - time`.
pub fn time_diff(a: i64, b: i64) -> Interval {
    Interval::new(0, 0, a - b)
}

/// An interval's time as a time of day, round the clock.
pub fn interval_to_time(interval: &Interval) -> i64 {
    interval.micros.rem_euclid(MICROS_PER_DAY)
}

/// `make_date`; a negative year is BC. 22008 for no such date.
pub fn make_date(year: i32, month: i32, day: i32) -> Result<i32, EvalError> {
    // Postgres reports years before Christ as its calendar counts them.
    let shown = if year < 0 {
        year.saturating_add(1)
    } else {
        year
    };
    let beyond = |what: &str| overflow(format!("{what} out of range: {shown}-{month:02}-{day:02}"));
    let days = civil_days(year, month, day).ok_or_else(|| beyond("date field value"))?;
    check_date(days).map_err(|_| beyond("date"))
}

/// Days since 2000-01-01 of a year without zero (negative is BC), a month and a day.
fn civil_days(year: i32, month: i32, day: i32) -> Option<i64> {
    let astronomical = match year {
        0 => return None,
        y if y < 0 => i64::from(y) + 1,
        y => i64::from(y),
    };
    let valid =
        (1..=12).contains(&month) && (1..=days_in_month(astronomical, month)).contains(&day);
    valid.then(|| days_from_civil(astronomical, i64::from(month), i64::from(day)))
}

/// Microseconds since midnight of hour, minute and seconds; `None` for no such time.
fn clock_micros(hour: i32, minute: i32, seconds: f64) -> Option<i64> {
    if !(0..=24).contains(&hour) || !(0..=59).contains(&minute) || !(0.0..=60.0).contains(&seconds)
    {
        return None;
    }
    let micros = i64::from(hour) * MICROS_PER_HOUR
        + i64::from(minute) * MICROS_PER_MINUTE
        + libm::rint(seconds * MICROS_PER_SECOND as f64) as i64;
    (micros <= MICROS_PER_DAY).then_some(micros)
}

/// A double as C's `%02g` shows it, for messages.
fn seconds_text(seconds: f64) -> String {
    format!("{:0>2}", crate::float::format_g(seconds))
}

/// `make_time`. 22008 for no such time.
pub fn make_time(hour: i32, minute: i32, seconds: f64) -> Result<i64, EvalError> {
    clock_micros(hour, minute, seconds).ok_or_else(|| {
        overflow(format!(
            "time field value out of range: {hour}:{minute:02}:{}",
            seconds_text(seconds)
        ))
    })
}

/// `make_timestamp`; a negative year is BC. 22008 for no such timestamp.
pub fn make_timestamp(
    year: i32,
    month: i32,
    day: i32,
    hour: i32,
    minute: i32,
    seconds: f64,
) -> Result<i64, EvalError> {
    let days = civil_days(year, month, day).ok_or_else(|| {
        overflow(format!(
            "date field value out of range: {year}-{month:02}-{day:02}"
        ))
    })?;
    let micros = make_time(hour, minute, seconds)?;
    join_timestamp(days, micros).ok_or_else(|| {
        overflow(format!(
            "timestamp out of range: {year}-{month:02}-{day:02} {hour}:{minute:02}:{}",
            seconds_text(seconds)
        ))
    })
}

/// `make_timestamptz` in a zone.
pub fn make_timestamptz(
    (year, month, day): (i32, i32, i32),
    (hour, minute, seconds): (i32, i32, f64),
    zone: &Zone,
) -> Result<i64, EvalError> {
    zone.to_utc(make_timestamp(year, month, day, hour, minute, seconds)?)
}

/// `to_timestamp(double)`: seconds since Unix's epoch. 22008 out of range.
pub fn timestamptz_from_epoch(seconds: f64) -> Result<i64, EvalError> {
    if seconds.is_nan() {
        return Err(overflow("timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 {
            TIMESTAMP_INFINITY
        } else {
            TIMESTAMP_NEG_INFINITY
        });
    }
    let beyond = || {
        overflow(format!(
            "timestamp out of range: \"{}\"",
            crate::float::format_g(seconds)
        ))
    };
    let micros = libm::rint(seconds * MICROS_PER_SECOND as f64 - UNIX_EPOCH_MICROS as f64);
    if !(-9.3e18..9.223_372e18).contains(&micros) {
        return Err(beyond());
    }
    check_timestamp(micros as i64).map_err(|_| beyond())
}

/// `(start, end) OVERLAPS (start, end)`, for any ordered type; ends may come before starts, NULLs are `None`.
pub fn overlaps<T: Ord + Copy>(
    first: (Option<T>, Option<T>),
    second: (Option<T>, Option<T>),
) -> Option<bool> {
    // An interval known by one end only starts there; SQL orders the ends of one known by both.
    let ordered = |(start, end): (Option<T>, Option<T>)| match (start, end) {
        (None, None) => None,
        (Some(at), None) | (None, Some(at)) => Some((at, None)),
        (Some(a), Some(b)) => Some((a.min(b), Some(a.max(b)))),
    };
    let ((start_1, end_1), (start_2, end_2)) = (ordered(first)?, ordered(second)?);
    match start_1.cmp(&start_2) {
        std::cmp::Ordering::Greater => meets(start_1, end_1, end_2),
        std::cmp::Ordering::Less => meets(start_2, end_2, end_1),
        // Both begin at once: they overlap, unless an unknown end leaves that open.
        std::cmp::Ordering::Equal => (end_1.is_some() && end_2.is_some()).then_some(true),
    }
}

/// Whether what starts later starts before the other's end.
fn meets<T: Ord + Copy>(
    later_start: T,
    later_end: Option<T>,
    earlier_end: Option<T>,
) -> Option<bool> {
    let before = later_start < earlier_end?;
    if before {
        return Some(true);
    }
    later_end.map(|_| false)
}

/// A timestamp's calendar day and time of day.
pub fn civil_of_timestamp(ts: i64) -> (Civil, super::ClockTime) {
    civil_from_timestamp(ts)
}
