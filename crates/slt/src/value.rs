//! Values as SQLite's sqllogictest prints, sorts and hashes them.
//!
//! Invariant: equal text here is equal text in `sqllogictest.c`, so that its MD5 sums can be met:
//! I as `%d` of the value cut towards zero, R as `%.3f`, T byte by byte with `@` for whatever is
//! not printable ASCII, `NULL`, and `(empty)`. The module knows no SQL type: it works on
//! Postgres's text form and the letter that the file gives.

use md5::{Digest, Md5};
use sqllogictest::{DefaultColumnType, SortMode};

/// The letter of a result column, as the file gives it.
pub type Letter = DefaultColumnType;

/// One value under its letter; None is NULL.
pub fn format(letter: &Letter, value: Option<&str>) -> String {
    let Some(text) = value else {
        return "NULL".to_string();
    };
    match letter {
        Letter::Integer => integer(text),
        Letter::FloatingPoint => real(text),
        Letter::Text => printable(text),
        Letter::Any => verbatim(Some(text)),
    }
}

/// A value as it is, for files that give rows: `NULL` and `(empty)` aside.
pub fn verbatim(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_string(),
        Some("") => "(empty)".to_string(),
        Some(text) => text.to_string(),
    }
}

/// Cut towards zero; a boolean is 1 or 0; text counts by its leading number, 0 without one, as
/// SQLite converts it.
fn integer(text: &str) -> String {
    match text {
        "t" | "true" => return "1".to_string(),
        "f" | "false" => return "0".to_string(),
        _ => {}
    }
    let number = leading_number(text);
    if number.contains(['e', 'E']) {
        let value: f64 = number.parse().unwrap_or(0.0);
        return format!("{}", value as i64);
    }
    let whole = number.split('.').next().unwrap_or_default();
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole.strip_prefix('+').unwrap_or(whole)),
    };
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        "0".to_string()
    } else {
        format!("{sign}{digits}")
    }
}

/// Three decimals, rounded from the nearest double as C does.
fn real(text: &str) -> String {
    let value: f64 = match text {
        "t" | "true" => 1.0,
        "f" | "false" => 0.0,
        "NaN" | "Infinity" | "-Infinity" => return text.to_string(),
        _ => leading_number(text).parse().unwrap_or(0.0),
    };
    format!("{value:.3}")
}

/// Bytes outside of printable ASCII become `@`, one for each byte.
fn printable(text: &str) -> String {
    if text.is_empty() {
        return "(empty)".to_string();
    }
    text.bytes()
        .map(|byte| {
            if (b' '..=b'~').contains(&byte) {
                byte as char
            } else {
                '@'
            }
        })
        .collect()
}

/// The longest prefix that is a decimal number, exponent included; empty where there is none.
fn leading_number(text: &str) -> &str {
    let bytes = text.trim_start().as_bytes();
    let text = text.trim_start();
    let digits_from = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let start = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let mut end = digits_from(start);
    let mut digits = end - start;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits_from(end + 1);
        digits += fraction - end - 1;
        end = fraction;
    }
    if digits == 0 {
        return "";
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits_from(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    &text[..end]
}

/// Rows as one list of values, sorted as the mode says: rows by their values left to right, or
/// all values on their own, both by bytes.
pub fn flatten(mut rows: Vec<Vec<String>>, sort: SortMode) -> Vec<String> {
    if sort == SortMode::RowSort {
        rows.sort();
    }
    let mut values: Vec<String> = rows.into_iter().flatten().collect();
    if sort == SortMode::ValueSort {
        values.sort();
    }
    values
}

/// The MD5 sum of the values, each followed by a newline, in 32 lower-case hexadecimal digits.
pub fn hash(values: &[String]) -> String {
    let mut md5 = Md5::new();
    for value in values {
        md5.update(value.as_bytes());
        md5.update(b"\n");
    }
    md5.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests;
