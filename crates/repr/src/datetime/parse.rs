//! Parsing dates, times and timestamps from text.

use super::calendar::join_timestamp;
use super::decode::{Decoded, decode, decode_time, unix_epoch_day};
use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, EvalError, SqlState, TIMESTAMP_INFINITY,
    TIMESTAMP_NEG_INFINITY, UNIX_EPOCH_MICROS, check_date,
};
use crate::interval::{MICROS_PER_DAY, MICROS_PER_SECOND};

pub use super::decode::InputContext;

fn out_of_range(what: &str, text: &str) -> EvalError {
    EvalError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("{what} out of range: \"{text}\""),
    )
}

/// Parses a date. 22007 if it is none, 22008 out of range, 0A000 for `today` and the like without a clock.
pub fn parse_date(text: &str, context: &InputContext<'_>) -> Result<i32, EvalError> {
    match decode(text, context).map_err(|fault| fault.error("date", text))? {
        Decoded::Infinity => Ok(DATE_INFINITY),
        Decoded::NegInfinity => Ok(DATE_NEG_INFINITY),
        Decoded::Epoch => Ok(unix_epoch_day()),
        Decoded::Now => {
            let now = context.zone.to_local(context.now.unwrap_or_default())?;
            check_date(now.div_euclid(MICROS_PER_DAY))
        }
        Decoded::Moment { day, .. } => check_date(day).map_err(|_| out_of_range("date", text)),
    }
}

/// Parses a time: microseconds since midnight. 22007 if it is none, 22008 out of range.
pub fn parse_time(text: &str, context: &InputContext<'_>) -> Result<i64, EvalError> {
    let micros = decode_time(text, context).map_err(|fault| fault.error("time", text))?;
    if micros >= 0 {
        return Ok(micros);
    }
    let now = context.zone.to_local(context.now.unwrap_or_default())?;
    Ok(now.rem_euclid(MICROS_PER_DAY))
}

/// Parses a timestamp; a zone in the text is read and dropped. Errors as [`parse_date`].
pub fn parse_timestamp(text: &str, context: &InputContext<'_>) -> Result<i64, EvalError> {
    match decode(text, context).map_err(|fault| fault.error("timestamp", text))? {
        Decoded::Now => context.zone.to_local(context.now.unwrap_or_default()),
        Decoded::Moment { day, micros, .. } => {
            join_timestamp(day, micros).ok_or_else(|| out_of_range("timestamp", text))
        }
        other => Ok(special_timestamp(&other)),
    }
}

/// Parses a timestamptz; without a zone in the text it is in the session's. Errors as [`parse_date`].
pub fn parse_timestamptz(text: &str, context: &InputContext<'_>) -> Result<i64, EvalError> {
    match decode(text, context).map_err(|fault| fault.error("timestamp with time zone", text))? {
        Decoded::Now => Ok(context.now.unwrap_or_default()),
        Decoded::Moment { day, micros, zone } => {
            let beyond = || out_of_range("timestamp", text);
            let local = day
                .checked_mul(MICROS_PER_DAY)
                .and_then(|d| d.checked_add(micros))
                .ok_or_else(beyond)?;
            let east = zone.as_ref().unwrap_or(context.zone).offset_at_local(local);
            join_timestamp(day, micros - i64::from(east) * MICROS_PER_SECOND).ok_or_else(beyond)
        }
        other => Ok(special_timestamp(&other)),
    }
}

fn special_timestamp(special: &Decoded) -> i64 {
    match special {
        Decoded::Infinity => TIMESTAMP_INFINITY,
        Decoded::NegInfinity => TIMESTAMP_NEG_INFINITY,
        _ => -UNIX_EPOCH_MICROS,
    }
}

/// A timestamp, timestamptz or time rounded to `precision` digits of a second, half away from zero: what
/// `timestamp(p)` stores.
pub fn round_to_precision(micros: i64, precision: u32) -> i64 {
    if precision >= 6 || micros == i64::MAX || micros == i64::MIN {
        return micros;
    }
    let unit = 10i64.pow(6 - precision);
    let half = unit / 2 * micros.signum();
    micros.saturating_add(half) / unit * unit
}
