//! The form in which programs write dates and timestamps, read without a look at its fields: `2024-01-31`,
//! `2024-01-31 12:30:05`, `2024-01-31T12:30:05.123456`. Anything else is for the general decoder.

use super::calendar::{days_from_civil, days_in_month};
use crate::interval::{MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};

/// The day (since 2000-01-01) and the microseconds since its midnight.
pub(super) fn decode(text: &[u8]) -> Option<(i64, i64)> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        number(&date[..4])?,
        number(&date[5..7])?,
        number(&date[8..])?,
    );
    if year == 0
        || !(1..=12).contains(&month)
        || day == 0
        || day > i64::from(days_in_month(year, month as i32))
    {
        return None;
    }
    let day = days_from_civil(year, month, day);
    let micros = match rest.split_first() {
        None => 0,
        Some((b' ' | b'T', time)) => time_of_day(time)?,
        Some(_) => return None,
    };
    Some((day, micros))
}

fn time_of_day(text: &[u8]) -> Option<i64> {
    let (time, rest) = text.split_first_chunk::<8>()?;
    if time[2] != b':' || time[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (
        number(&time[..2])?,
        number(&time[3..5])?,
        number(&time[6..])?,
    );
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = match rest.split_first() {
        None => 0,
        Some((b'.', digits @ [_, ..])) if digits.len() <= 6 => {
            number(digits)? * 10i64.pow(6 - digits.len() as u32)
        }
        Some(_) => return None,
    };
    Some(
        hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + fraction,
    )
}

/// The value of decimal digits.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| match digit {
        b'0'..=b'9' => Some(value * 10 + i64::from(digit - b'0')),
        _ => None,
    })
}
