//! Binary strings (manual, section 9.5), hashes, and encodings as text.

mod encoding;

use super::Declarations;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{Bytes, OwnedBytes, eval};
use everview_repr::{EvalError, SqlState};

fn concat(a: &[u8], b: &[u8]) -> OwnedBytes {
    OwnedBytes([a, b].concat())
}

/// Bytes from a position (from 1) on; as `substring` on text, by bytes.
fn substring(s: &[u8], start: i32, length: Option<i32>) -> Result<Bytes<'_>, EvalError> {
    let start = i64::from(start);
    let end = match length {
        Some(length) if length < 0 => {
            let message = "negative substring length not allowed";
            return Err(EvalError::new(SqlState::SUBSTRING_ERROR, message));
        }
        Some(length) => start + i64::from(length),
        None => i64::MAX,
    };
    let at = |position: i64| ((position - 1).max(0) as usize).min(s.len());
    let (from, to) = (at(start), at(end));
    Ok(Bytes(&s[from..to.max(from)]))
}

fn overlay(s: &[u8], new: &[u8], start: i32, count: Option<i32>) -> Result<OwnedBytes, EvalError> {
    if start <= 0 {
        let message = "negative substring length not allowed";
        return Err(EvalError::new(SqlState::SUBSTRING_ERROR, message));
    }
    let count = count.unwrap_or(new.len() as i32);
    let after = start
        .checked_add(count)
        .ok_or_else(|| EvalError::out_of_range("integer"))?;
    let head = substring(s, 1, Some(start - 1))?.0;
    let tail = substring(s, after, None)?.0;
    Ok(OwnedBytes([head, new, tail].concat()))
}

fn position(s: &[u8], part: &[u8]) -> i32 {
    if part.is_empty() {
        return 1;
    }
    s.windows(part.len())
        .position(|w| w == part)
        .map_or(0, |at| at as i32 + 1)
}

fn trim<'a>(s: &'a [u8], set: &[u8], start: bool, end: bool) -> Bytes<'a> {
    let mut s = s;
    while let [first, rest @ ..] = s
        && start
        && set.contains(first)
    {
        s = rest;
    }
    while let [rest @ .., last] = s
        && end
        && set.contains(last)
    {
        s = rest;
    }
    Bytes(s)
}

fn index(s: &[u8], n: i64, most: i64) -> Result<usize, EvalError> {
    if n < 0 || n > most {
        let message = format!("index {n} out of valid range, 0..{most}");
        return Err(EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
    }
    debug_assert!((n as usize) < s.len().saturating_mul(8).max(1));
    Ok(n as usize)
}

fn get_byte(s: &[u8], n: i32) -> Result<i32, EvalError> {
    let at = index(s, n.into(), s.len() as i64 - 1)?;
    Ok(s[at].into())
}

fn set_byte(s: &[u8], n: i32, value: i32) -> Result<OwnedBytes, EvalError> {
    let at = index(s, n.into(), s.len() as i64 - 1)?;
    let mut out = s.to_vec();
    out[at] = value as u8;
    Ok(OwnedBytes(out))
}

fn get_bit(s: &[u8], n: i64) -> Result<i32, EvalError> {
    let at = index(s, n, s.len() as i64 * 8 - 1)?;
    Ok((s[at / 8] >> (at % 8) & 1).into())
}

fn set_bit(s: &[u8], n: i64, value: i32) -> Result<OwnedBytes, EvalError> {
    let at = index(s, n, s.len() as i64 * 8 - 1)?;
    if value != 0 && value != 1 {
        return Err(EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "new bit must be 0 or 1",
        ));
    }
    let mut out = s.to_vec();
    out[at / 8] = out[at / 8] & !(1 << (at % 8)) | (value as u8) << (at % 8);
    Ok(OwnedBytes(out))
}

fn convert_from(s: &[u8], encoding: &str) -> Result<String, EvalError> {
    require_utf8(encoding)?;
    let invalid = |bytes: &[u8]| {
        let bytes: Vec<String> = bytes.iter().map(|b| format!("0x{b:02x}")).collect();
        let message = format!(
            "invalid byte sequence for encoding \"UTF8\": {}",
            bytes.join(" ")
        );
        EvalError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
    };
    let (valid, bad) = match std::str::from_utf8(s) {
        Ok(valid) => (valid.as_bytes(), None),
        Err(e) => {
            let (valid, rest) = s.split_at(e.valid_up_to());
            (valid, Some(&rest[..e.error_len().unwrap_or(rest.len())]))
        }
    };
    if valid.contains(&0) {
        return Err(invalid(&[0]));
    }
    match bad {
        Some(bad) => Err(invalid(bad)),
        None => Ok(String::from_utf8_lossy(valid).into_owned()),
    }
}

fn require_utf8(encoding: &str) -> Result<(), EvalError> {
    let folded: String = encoding
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if folded == "utf8" || folded == "unicode" {
        return Ok(());
    }
    let message = format!("conversion between encodings is not supported: \"{encoding}\"");
    Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
}

fn declare_parts(out: &mut Declarations) {
    let mut push =
        |name, signature, doc, eval| out.push(FunctionDesc::new(name, signature, doc, eval));
    for name in ["substring", "substr"] {
        let doc = "The bytes from a position on, from 1.";
        push(
            name,
            "bytea, int4 -> bytea",
            doc,
            eval!(|s: Bytes<'_>, from: i32| substring(s.0, from, None)),
        );
        let eval: Eval = eval!(|s: Bytes<'_>, from: i32, n: i32| substring(s.0, from, Some(n)));
        push(
            name,
            "bytea, int4, int4 -> bytea",
            "So many bytes from a position on, from 1.",
            eval,
        );
    }
    let doc = "Replaces the bytes from a position on.";
    let eval: Eval =
        eval!(|s: Bytes<'_>, new: Bytes<'_>, from: i32, n: i32| overlay(s.0, new.0, from, Some(n)));
    push("overlay", "bytea, bytea, int4, int4 -> bytea", doc, eval);
    let eval: Eval =
        eval!(|s: Bytes<'_>, new: Bytes<'_>, from: i32| overlay(s.0, new.0, from, None));
    push("overlay", "bytea, bytea, int4 -> bytea", doc, eval);
    push(
        "get_byte",
        "bytea, int4 -> int4",
        "The n-th byte, from 0.",
        eval!(|s: Bytes<'_>, n: i32| get_byte(s.0, n)),
    );
    push(
        "set_byte",
        "bytea, int4, int4 -> bytea",
        "With the n-th byte changed.",
        eval!(|s: Bytes<'_>, n: i32, v: i32| set_byte(s.0, n, v)),
    );
    push(
        "get_bit",
        "bytea, int8 -> int4",
        "The n-th bit, from 0.",
        eval!(|s: Bytes<'_>, n: i64| get_bit(s.0, n)),
    );
    push(
        "set_bit",
        "bytea, int8, int4 -> bytea",
        "With the n-th bit changed.",
        eval!(|s: Bytes<'_>, n: i64, v: i32| set_bit(s.0, n, v)),
    );
    push(
        "convert_from",
        "bytea, name -> text",
        "Bytes in an encoding (UTF8) as text.",
        eval!(|s: Bytes<'_>, e: &str| convert_from(s.0, e)),
    );
    push(
        "convert_to",
        "text, name -> bytea",
        "Text as bytes in an encoding (UTF8).",
        eval!(|s: &str, e: &str| require_utf8(e).map(|()| Bytes(s.as_bytes()))),
    );
    push(
        "length",
        "bytea, name -> int4",
        "Characters of bytes in an encoding (UTF8).",
        eval!(|s: Bytes<'_>, e: &str| convert_from(s.0, e).map(|s| s.chars().count() as i32)),
    );
}

pub(super) fn declare(out: &mut Declarations) {
    declare_parts(out);
    let mut push = |name, signature, doc, eval| {
        out.push(FunctionDesc::new(name, signature, doc, eval).infallible());
    };
    push(
        "||",
        "bytea, bytea -> bytea",
        "Concatenation.",
        eval!(|a: Bytes<'_>, b: Bytes<'_>| concat(a.0, b.0)),
    );
    push(
        "length",
        "bytea -> int4",
        "Bytes in a binary string.",
        eval!(|s: Bytes<'_>| s.0.len() as i32),
    );
    push(
        "bit_count",
        "bytea -> int8",
        "Bits that are set.",
        eval!(|s: Bytes<'_>| s.0.iter().map(|b| i64::from(b.count_ones())).sum::<i64>()),
    );
    push(
        "position",
        "bytea, bytea -> int4",
        "Where the second occurs in the first, from 1.",
        eval!(|s: Bytes<'_>, p: Bytes<'_>| position(s.0, p.0)),
    );
    let trims = "bytea, bytea -> bytea";
    push(
        "btrim",
        trims,
        "Without bytes of a set at both ends.",
        eval!(|s: Bytes<'_>, set: Bytes<'_>| trim(s.0, set.0, true, true)),
    );
    push(
        "ltrim",
        trims,
        "Without bytes of a set at the start.",
        eval!(|s: Bytes<'_>, set: Bytes<'_>| trim(s.0, set.0, true, false)),
    );
    push(
        "rtrim",
        trims,
        "Without bytes of a set at the end.",
        eval!(|s: Bytes<'_>, set: Bytes<'_>| trim(s.0, set.0, false, true)),
    );
    encoding::declare(out);
}
