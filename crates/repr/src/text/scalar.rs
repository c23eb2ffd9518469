//! Text forms of the types whose values are numbers, codes or bytes.

use crate::error::{EvalError, SqlState};
use crate::numeric::is_space;

/// Bytes of a name.
const NAME_BYTES: usize = 63;

/// A boolean: an unambiguous prefix of true, false, yes, no, on, off in any case, or 1 or 0.
pub fn parse_bool(text: &str) -> Result<bool, EvalError> {
    let word = text.trim_matches(is_space);
    let prefix = |of: &str, least: usize| {
        word.len() >= least
            && word.len() <= of.len()
            && of.as_bytes()[..word.len()].eq_ignore_ascii_case(word.as_bytes())
    };
    if prefix("true", 1) || prefix("yes", 1) || prefix("on", 2) || word == "1" {
        Ok(true)
    } else if prefix("false", 1) || prefix("no", 1) || prefix("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(EvalError::invalid_input("boolean", text))
    }
}

/// A signed integer of some width.
pub(super) trait Int: Sized + std::str::FromStr + TryFrom<i64> {}
impl Int for i16 {}
impl Int for i32 {}
impl Int for i64 {}

/// An integer: white space around, a sign, decimal digits.
pub(super) fn parse_int<T: Int>(text: &str, type_name: &str) -> Result<T, EvalError> {
    // The standard parser's grammar is a subset of Postgres's, and it is fast.
    text.parse().or_else(|_| parse_int_slowly(text, type_name))
}

#[cold]
fn parse_int_slowly<T: Int>(text: &str, type_name: &str) -> Result<T, EvalError> {
    let start = text.trim_start_matches(is_space);
    let (negative, digits) = match start.as_bytes().first() {
        Some(b'-') => (true, &start[1..]),
        Some(b'+') => (false, &start[1..]),
        _ => (false, start),
    };
    let end = digits
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(digits.len());
    if end == 0 {
        return Err(EvalError::invalid_input(type_name, text));
    }
    // Out of range comes before trailing garbage, as in Postgres.
    let magnitude = digits[..end].bytes().try_fold(0i128, |v, b| {
        v.checked_mul(10)?.checked_add(i128::from(b - b'0'))
    });
    let value = magnitude
        .and_then(|v| i64::try_from(if negative { -v } else { v }).ok())
        .and_then(|v| T::try_from(v).ok())
        .ok_or_else(|| out_of_range(text, type_name))?;
    if digits[end..].chars().all(is_space) {
        Ok(value)
    } else {
        Err(EvalError::invalid_input(type_name, text))
    }
}

fn out_of_range(text: &str, type_name: &str) -> EvalError {
    EvalError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {type_name}"),
    )
}

/// An oid: an unsigned number of 32 bits, or a negative one of 32 bits that wraps.
pub(super) fn parse_oid(text: &str, type_name: &str) -> Result<u32, EvalError> {
    let value: i64 = match text.parse::<u32>() {
        Ok(value) => return Ok(value),
        Err(_) => parse_int_slowly(text, type_name)?,
    };
    u32::try_from(value)
        .or_else(|_| i32::try_from(value).map(|v| v as u32))
        .map_err(|_| out_of_range(text, type_name))
}

pub(super) fn write_int(out: &mut String, value: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

/// A name cut to 63 bytes, between characters.
pub fn truncate_name(text: &str) -> &str {
    match text.len() {
        0..=NAME_BYTES => text,
        _ => &text[..text.floor_char_boundary(NAME_BYTES)],
    }
}

/// What "char" keeps of a text.
pub(super) fn first_char(text: &str) -> &str {
    &text[..text.chars().next().map_or(0, char::len_utf8)]
}

/// bytea in its hex form (`\x00ff`) or its escape form (`a\000\\`).
pub(super) fn parse_bytea(text: &str) -> Result<Vec<u8>, EvalError> {
    match text.strip_prefix("\\x") {
        Some(hex) => parse_hex(hex),
        None => parse_escaped(text.as_bytes()),
    }
}

fn parse_hex(hex: &str) -> Result<Vec<u8>, EvalError> {
    let bad = |message: String| EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let digit = |c: char| {
        c.to_digit(16)
            .map(|d| d as u8)
            .ok_or_else(|| bad(format!("invalid hexadecimal digit: \"{c}\"")))
    };
    let mut out = Vec::with_capacity(hex.len() / 2);
    let mut chars = hex.chars();
    while let Some(c) = chars.next() {
        // Space between pairs, not within them.
        if matches!(c, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = digit(c)?;
        let low = chars
            .next()
            .ok_or_else(|| bad("invalid hexadecimal data: odd number of digits".to_string()))?;
        out.push(high << 4 | digit(low)?);
    }
    Ok(out)
}

fn parse_escaped(text: &[u8]) -> Result<Vec<u8>, EvalError> {
    let bad = || {
        let message = "invalid input syntax for type bytea";
        EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    };
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match *rest {
            [b'\\', ref after @ ..] => {
                out.push(b'\\');
                rest = after;
            }
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                ref after @ ..,
            ] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => return Err(bad()),
        }
    }
    Ok(out)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn push_hex(out: &mut String, byte: u8) {
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

pub(super) fn write_bytea(out: &mut String, bytes: &[u8]) {
    out.reserve(2 + 2 * bytes.len());
    out.push_str("\\x");
    bytes.iter().for_each(|b| push_hex(out, *b));
}

/// A uuid: 32 hexadecimal digits, hyphens allowed after every four, all of it in braces or not.
pub(super) fn parse_uuid(text: &str) -> Result<[u8; 16], EvalError> {
    uuid_digits(text).ok_or_else(|| EvalError::invalid_input("uuid", text))
}

fn uuid_digits(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    let mut rest = match text.first()? {
        b'{' => text[1..].strip_suffix(b"}")?,
        _ => text,
    };
    let mut out = [0; 16];
    for (i, byte) in out.iter_mut().enumerate() {
        let ([high, low], after) = rest.split_first_chunk::<2>()?;
        let digit = |b: u8| char::from(b).to_digit(16);
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
        rest = match after {
            [b'-', after @ ..] if i % 2 == 1 && i < 15 => after,
            _ => after,
        };
    }
    rest.is_empty().then_some(out)
}

pub(super) fn write_uuid(out: &mut String, bytes: &[u8; 16]) {
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        push_hex(out, *byte);
    }
}
