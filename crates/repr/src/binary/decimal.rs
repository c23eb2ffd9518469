//! numeric's binary form: base 10000 digits, a weight, a sign and a display scale.

use super::{insufficient, take};
use crate::error::{EvalError, SqlState};
use crate::numeric::Numeric;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEG_INFINITY: u16 = 0xF000;
/// Decimal digits of a base 10000 digit.
const GROUP: usize = 4;
const MAX_SCALE: u16 = 0x3fff;

/// Appends a numeric's binary form.
pub(super) fn to_binary(value: &Numeric, out: &mut Vec<u8>) {
    let mut push = |v: u16| out.extend(v.to_be_bytes());
    if !value.is_finite() {
        let sign = match (value.is_nan(), value.is_negative()) {
            (true, _) => NAN,
            (false, true) => NEG_INFINITY,
            (false, false) => INFINITY,
        };
        // PostgreSQL 15 sends the infinities with this scale, and reads any.
        let scale = if value.is_nan() { 0 } else { 32 };
        [0, 0, sign, scale].into_iter().for_each(push);
        return;
    }
    let text = value.to_string();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let (integer, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let integer = integer.trim_start_matches('0');
    let mut weight = integer.len().div_ceil(GROUP) as i64 - 1;
    let mut digits = groups(integer, fraction);
    let leading = digits.iter().take_while(|d| **d == 0).count();
    digits.drain(..leading);
    weight -= leading as i64;
    while digits.last() == Some(&0) {
        digits.pop();
    }
    if digits.is_empty() {
        weight = 0;
    }
    push(digits.len() as u16);
    push(weight as i16 as u16);
    push(if negative { NEGATIVE } else { POSITIVE });
    push(fraction.len() as u16);
    digits.into_iter().for_each(push);
}

/// Decimal digits gathered in fours, aligned at the point.
fn groups(integer: &str, fraction: &str) -> Vec<u16> {
    let value = |group: &[u8]| group.iter().fold(0u16, |v, b| v * 10 + u16::from(b - b'0'));
    let (first, rest) = integer.as_bytes().split_at(integer.len() % GROUP);
    let mut out = Vec::new();
    if !first.is_empty() {
        out.push(value(first));
    }
    out.extend(rest.chunks(GROUP).map(value));
    for group in fraction.as_bytes().chunks(GROUP) {
        out.push(value(group) * 10u16.pow((GROUP - group.len()) as u32));
    }
    out
}

fn invalid(what: &str) -> EvalError {
    EvalError::new(
        SqlState::INVALID_BINARY_REPRESENTATION,
        format!("invalid {what} in external \"numeric\" value"),
    )
}

/// The numeric of a binary form. Digits beyond its display scale are cut, as Postgres does.
pub(super) fn from_binary(bytes: &[u8]) -> Result<Numeric, EvalError> {
    let mut rest = bytes;
    let count = u16::from_be_bytes(take(&mut rest)?);
    let weight = i64::from(i16::from_be_bytes(take(&mut rest)?));
    let sign = u16::from_be_bytes(take(&mut rest)?);
    let scale = u16::from_be_bytes(take(&mut rest)?);
    if !matches!(sign, POSITIVE | NEGATIVE | NAN | INFINITY | NEG_INFINITY) {
        return Err(invalid("sign"));
    }
    if scale > MAX_SCALE {
        return Err(invalid("scale"));
    }
    let mut digits = Vec::with_capacity(usize::from(count).min(rest.len()));
    for _ in 0..count {
        let digit = u16::from_be_bytes(take(&mut rest)?);
        if digit > 9999 {
            return Err(invalid("digit"));
        }
        digits.push(digit);
    }
    if !rest.is_empty() {
        return Err(if rest.len() < 2 {
            insufficient()
        } else {
            invalid("length")
        });
    }
    match sign {
        NAN => Numeric::parse("NaN"),
        INFINITY => Numeric::parse("Infinity"),
        NEG_INFINITY => Numeric::parse("-Infinity"),
        _ => Numeric::parse(&decimal_text(
            &digits,
            weight,
            sign == NEGATIVE,
            scale.into(),
        )),
    }
}

fn decimal_text(digits: &[u16], weight: i64, negative: bool, scale: usize) -> String {
    use std::fmt::Write;
    let mut text = String::from(if negative { "-" } else { "" });
    let digit = |power: i64| {
        usize::try_from(weight - power)
            .ok()
            .and_then(|i| digits.get(i))
            .copied()
            .unwrap_or(0)
    };
    text.push('0');
    for power in (0..=weight).rev() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:04}", digit(power));
    }
    text.push('.');
    let point = text.len();
    for power in 1..=scale.div_ceil(GROUP) as i64 {
        let _ = write!(text, "{:04}", digit(-power));
    }
    text.truncate(if scale == 0 { point - 1 } else { point + scale });
    text
}
