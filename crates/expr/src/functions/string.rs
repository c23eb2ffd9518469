//! Strings as sequences of characters: length, case, padding, trimming, parts by position (manual, section 9.4).

use super::Declarations;
use crate::limit::{MAX_BYTES, requested};
use crate::registry::{Eval, FunctionDesc};
use crate::value::{BpChar, Bytes, eval};
use everview_repr::{Datum, EvalError, ScalarType, SqlState};

/// Case by Unicode's simple mappings: one character to one.
pub(super) fn upper(s: &str) -> String {
    s.chars().map(upper_char).collect()
}

/// As [`upper`].
pub(super) fn lower(s: &str) -> String {
    s.chars().map(lower_char).collect()
}

fn upper_char(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

pub(super) fn lower_char(c: char) -> char {
    // Only U+0130 has a lower case of two characters, of which the first is its simple one.
    c.to_lowercase().next().unwrap_or(c)
}

fn initcap(s: &str) -> String {
    let mut within = false;
    let capital = |c: char| {
        let mapped = if within { lower_char(c) } else { upper_char(c) };
        within = c.is_alphanumeric();
        mapped
    };
    s.chars().map(capital).collect()
}

/// Where the characters from `start` (from 1) on begin, and the bytes of at most `length` of them.
pub(super) fn substring(s: &str, start: i32, length: Option<i32>) -> Result<&str, EvalError> {
    let start = i64::from(start);
    let end = match length {
        Some(length) if length < 0 => {
            let message = "negative substring length not allowed";
            return Err(EvalError::new(SqlState::SUBSTRING_ERROR, message));
        }
        Some(length) => start + i64::from(length),
        None => i64::MAX,
    };
    let first = start.max(1);
    if end <= first {
        return Ok("");
    }
    let from = offset(s, (first - 1) as usize);
    let rest = &s[from..];
    let count = usize::try_from(end - first).unwrap_or(usize::MAX);
    Ok(&rest[..offset(rest, count)])
}

/// Bytes of the first `count` characters.
pub(super) fn offset(s: &str, count: usize) -> usize {
    if s.is_ascii() {
        return count.min(s.len());
    }
    s.char_indices().nth(count).map_or(s.len(), |(i, _)| i)
}

fn length(s: &str) -> i32 {
    s.chars().count() as i32
}

fn left(s: &str, n: i32) -> &str {
    let count = if n >= 0 {
        i64::from(n)
    } else {
        (i64::from(length(s)) + i64::from(n)).max(0)
    };
    &s[..offset(s, count as usize)]
}

fn right(s: &str, n: i32) -> &str {
    let all = i64::from(length(s));
    let skip = if n >= 0 {
        (all - i64::from(n)).max(0)
    } else {
        -i64::from(n)
    };
    &s[offset(s, skip as usize)..]
}

fn pad(s: &str, to: i32, fill: &str, left: bool) -> Result<String, EvalError> {
    let to = to.max(0) as usize;
    if to > MAX_BYTES / 4 {
        return Err(requested());
    }
    let have = s.chars().count();
    if have >= to || fill.is_empty() {
        return Ok(s[..offset(s, to)].to_string());
    }
    let padding: String = fill.chars().cycle().take(to - have).collect();
    Ok(if left {
        padding + s
    } else {
        s.to_string() + &padding
    })
}

fn trim<'a>(s: &'a str, set: &str, start: bool, end: bool) -> &'a str {
    let mut s = s;
    if start {
        s = s.trim_start_matches(|c| set.contains(c));
    }
    if end {
        s = s.trim_end_matches(|c| set.contains(c));
    }
    s
}

fn repeat(s: &str, n: i32) -> Result<String, EvalError> {
    let n = n.max(0) as usize;
    match s.len().checked_mul(n) {
        Some(bytes) if bytes <= MAX_BYTES => Ok(s.repeat(n)),
        _ => Err(requested()),
    }
}

fn overlay(s: &str, new: &str, start: i32, count: Option<i32>) -> Result<String, EvalError> {
    if start <= 0 {
        let message = "negative substring length not allowed";
        return Err(EvalError::new(SqlState::SUBSTRING_ERROR, message));
    }
    let count = count.unwrap_or_else(|| length(new));
    let after = start
        .checked_add(count)
        .ok_or_else(|| EvalError::out_of_range("integer"))?;
    let head = substring(s, 1, Some(start - 1))?;
    let tail = substring(s, after, None)?;
    Ok([head, new, tail].concat())
}

fn chr(code: i32) -> Result<String, EvalError> {
    let error = |message: String| Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    match code {
        i32::MIN..=-1 => Err(EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "character number must be positive",
        )),
        0 => error("null character not permitted".into()),
        0x0011_0000.. => error(format!(
            "requested character too large for encoding: {code}"
        )),
        _ => match char::from_u32(code as u32) {
            Some(c) => Ok(c.to_string()),
            None => error(format!(
                "requested character not valid for encoding: {code}"
            )),
        },
    }
}

fn declare_lengths(out: &mut Declarations) {
    for name in ["length", "char_length", "character_length"] {
        let doc = "Characters in a string.";
        out.push(
            FunctionDesc::new(name, "text -> int4", doc, eval!(|s: &str| length(s))).infallible(),
        );
        let eval: Eval = eval!(|s: BpChar<'_>| length(s.0.trim_end_matches(' ')));
        out.push(FunctionDesc::new(name, "bpchar -> int4", doc, eval).infallible());
    }
    let doc = "Bytes in a string.";
    let bytes: Eval = eval!(|s: &str| s.len() as i32);
    out.push(FunctionDesc::new("octet_length", "text -> int4", doc, bytes).infallible());
    out.push(FunctionDesc::new("octet_length", "bpchar -> int4", doc, bytes).infallible());
    let eval: Eval = eval!(|s: Bytes<'_>| s.0.len() as i32);
    out.push(FunctionDesc::new("octet_length", "bytea -> int4", doc, eval).infallible());
    let doc = "Bits in a string.";
    let eval: Eval = eval!(|s: &str| (s.len() as i32).wrapping_mul(8));
    out.push(FunctionDesc::new("bit_length", "text -> int4", doc, eval).infallible());
    let eval: Eval = eval!(|s: Bytes<'_>| (s.0.len() as i32).wrapping_mul(8));
    out.push(FunctionDesc::new("bit_length", "bytea -> int4", doc, eval).infallible());
}

fn declare_parts(out: &mut Declarations) {
    for name in ["substring", "substr"] {
        let doc = "The characters from a position on, from 1.";
        let eval: Eval = eval!(|s: &str, from: i32| substring(s, from, None));
        out.push(FunctionDesc::new(name, "text, int4 -> text", doc, eval).infallible());
        let doc = "So many characters from a position on, from 1.";
        let eval: Eval = eval!(|s: &str, from: i32, n: i32| substring(s, from, Some(n)));
        let desc = FunctionDesc::new(name, "text, int4, int4 -> text", doc, eval);
        out.push(desc.total_if(|args| matches!(args, [_, _, Some(Datum::Int32(0..))])));
    }
    let mut push =
        |name, signature, doc, eval| out.push(FunctionDesc::new(name, signature, doc, eval));
    push(
        "left",
        "text, int4 -> text",
        "The first n characters; negative: all but the last.",
        eval!(|s: &str, n: i32| left(s, n)),
    );
    push(
        "right",
        "text, int4 -> text",
        "The last n characters; negative: all but the first.",
        eval!(|s: &str, n: i32| right(s, n)),
    );
    let doc = "Replaces the characters from a position on.";
    let eval: Eval = eval!(|s: &str, new: &str, from: i32, n: i32| overlay(s, new, from, Some(n)));
    push("overlay", "text, text, int4, int4 -> text", doc, eval);
    let eval: Eval = eval!(|s: &str, new: &str, from: i32| overlay(s, new, from, None));
    push("overlay", "text, text, int4 -> text", doc, eval);
    for (name, doc, with, without) in [
        (
            "lpad",
            "Pads on the left to a length, or cuts.",
            eval!(|s: &str, n: i32, fill: &str| pad(s, n, fill, true)) as Eval,
            eval!(|s: &str, n: i32| pad(s, n, " ", true)) as Eval,
        ),
        (
            "rpad",
            "Pads on the right to a length, or cuts.",
            eval!(|s: &str, n: i32, fill: &str| pad(s, n, fill, false)),
            eval!(|s: &str, n: i32| pad(s, n, " ", false)),
        ),
    ] {
        push(name, "text, int4, text -> text", doc, with);
        push(name, "text, int4 -> text", doc, without);
    }
    push(
        "repeat",
        "text, int4 -> text",
        "The string so many times.",
        eval!(|s: &str, n: i32| repeat(s, n)),
    );
}

fn declare_trims(out: &mut Declarations) {
    for (name, doc, with, without) in [
        (
            "btrim",
            "Without characters of a set, or spaces, at both ends.",
            eval!(|s: &str, set: &str| trim(s, set, true, true)) as Eval,
            eval!(|s: &str| trim(s, " ", true, true)) as Eval,
        ),
        (
            "ltrim",
            "Without characters of a set, or spaces, at the start.",
            eval!(|s: &str, set: &str| trim(s, set, true, false)),
            eval!(|s: &str| trim(s, " ", true, false)),
        ),
        (
            "rtrim",
            "Without characters of a set, or spaces, at the end.",
            eval!(|s: &str, set: &str| trim(s, set, false, true)),
            eval!(|s: &str| trim(s, " ", false, true)),
        ),
    ] {
        out.push(FunctionDesc::new(name, "text, text -> text", doc, with).infallible());
        out.push(FunctionDesc::new(name, "text -> text", doc, without).infallible());
    }
}

fn declare_concatenation(out: &mut Declarations) {
    let eval: Eval = eval!(|a: &str, b: &str| [a, b].concat());
    out.push(FunctionDesc::new("||", "text, text -> text", "Concatenation.", eval).infallible());
    // The other operand is cast to text: a boolean is a word, the padding of char(n) goes.
    let eval: Eval = |types, args, arena| {
        let mut out = String::new();
        for (datum, ty) in args.iter().zip(&types.args) {
            let text = super::cast::convert(*datum, ty, &ScalarType::Text, types, arena)?;
            out.push_str(text.as_str().unwrap_or_default());
        }
        Ok(Datum::Text(arena.string(out)))
    };
    for signature in ["anynonarray, text -> text", "text, anynonarray -> text"] {
        out.push(FunctionDesc::new(
            "||",
            signature,
            "Concatenation with a value's text form.",
            eval,
        ));
    }
}

pub(super) fn declare(out: &mut Declarations) {
    declare_concatenation(out);
    declare_lengths(out);
    declare_parts(out);
    declare_trims(out);
    let mut push = |name, signature, doc, eval| {
        out.push(FunctionDesc::new(name, signature, doc, eval).infallible());
    };
    push(
        "upper",
        "text -> text",
        "In upper case.",
        eval!(|s: &str| upper(s)),
    );
    push(
        "lower",
        "text -> text",
        "In lower case.",
        eval!(|s: &str| lower(s)),
    );
    push(
        "initcap",
        "text -> text",
        "Each word's first letter in upper case, the rest in lower.",
        eval!(|s: &str| initcap(s)),
    );
    push(
        "reverse",
        "text -> text",
        "The characters from last to first.",
        eval!(|s: &str| s.chars().rev().collect::<String>()),
    );
    push(
        "ascii",
        "text -> int4",
        "The first character's code point; 0 for the empty string.",
        eval!(|s: &str| s.chars().next().map_or(0, |c| c as i32)),
    );
    out.push(FunctionDesc::new(
        "chr",
        "int4 -> text",
        "The character of a code point.",
        eval!(|n: i32| chr(n)),
    ));
}
