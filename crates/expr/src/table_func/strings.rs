//! Strings taken apart.

use super::{Emit, TableFunctionDesc, declaration, mismatch};
use crate::scalar::CallTypes;
use everview_repr::{Array, Datum, EvalError, Row, array};

pub(super) fn declare() -> Vec<TableFunctionDesc> {
    let table = "The parts of a string between delimiters; those equal to the third argument are NULL.";
    let split = "The parts of a string between matches of a regular expression.";
    let matches = "The captured groups of the first match of a regular expression, or with flag g of all.";
    let lax = |desc: TableFunctionDesc| TableFunctionDesc { strict: false, ..desc };
    vec![
        lax(declaration("string_to_table", "text, text -> text", table, string_to_table)),
        lax(declaration("string_to_table", "text, text, text -> text", table, string_to_table)),
        declaration("regexp_split_to_table", "text, text -> text", split, regexp_split),
        declaration("regexp_split_to_table", "text, text, text -> text", split, regexp_split),
        declaration("regexp_matches", "text, text -> text[]", matches, regexp_matches),
        declaration("regexp_matches", "text, text, text -> text[]", matches, regexp_matches),
    ]
}

fn string<'a>(args: &[Datum<'a>], i: usize) -> Result<Option<&'a str>, EvalError> {
    match args.get(i) {
        None | Some(Datum::Null) => Ok(None),
        Some(datum) => datum.as_str().map(Some).ok_or_else(mismatch),
    }
}

/// A NULL delimiter parts the characters, an empty one nothing; an empty string has no parts.
fn string_to_table(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let Some(text) = string(args, 0)?.filter(|t| !t.is_empty()) else { return Ok(()) };
    let null = string(args, 2)?;
    let mut part = |part: &str| {
        let is_null = null == Some(part);
        emit(Row::pack([if is_null { Datum::Null } else { Datum::Text(part) }]))
    };
    match string(args, 1)? {
        None => {
            let mut buffer = [0; 4];
            let _ = text.chars().all(|c| part(c.encode_utf8(&mut buffer)));
        }
        Some("") => drop(part(text)),
        Some(delimiter) => drop(text.split(delimiter).all(part)),
    }
    Ok(())
}

/// A regular expression and whether flag g is among its flags.
fn pattern(args: &[Datum<'_>], global: bool) -> Result<(std::sync::Arc<regex::Regex>, bool), EvalError> {
    let (Some(pattern), flags) = (string(args, 1)?, string(args, 2)?.unwrap_or("")) else {
        return Err(mismatch());
    };
    if !global && flags.contains('g') {
        let message = "regexp_split_to_table() does not support the \"global\" option";
        return Err(EvalError::new(everview_repr::SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let rest: String = flags.chars().filter(|c| *c != 'g').collect();
    Ok((crate::pattern::compile(pattern, &rest)?, flags.contains('g')))
}

/// Calls `f` on each match from left to right until it says false. Postgres looks on from the end of a match, and
/// one character later after an empty one.
fn each_match<'t>(
    regex: &regex::Regex,
    text: &'t str,
    mut f: impl FnMut(&regex::Captures<'t>) -> bool,
) {
    let mut from = 0;
    while let Some(captures) = regex.captures_at(text, from) {
        let Some(whole) = captures.get(0) else { return };
        if !f(&captures) {
            return;
        }
        from = whole.end();
        if whole.is_empty() {
            match text[from..].chars().next() {
                Some(c) => from += c.len_utf8(),
                None => return,
            }
        }
    }
}

fn regexp_matches(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let text = string(args, 0)?.ok_or_else(mismatch)?;
    let (regex, global) = pattern(args, true)?;
    each_match(&regex, text, |captures| {
        let first = usize::from(captures.len() > 1);
        let groups = (first..captures.len()).map(|i| captures.get(i));
        let groups: Vec<_> = groups.map(|g| g.map_or(Datum::Null, |g| Datum::Text(g.as_str()))).collect();
        let packed = array::build_vector(&groups);
        emit(Row::pack([Datum::Array(Array::from_packed(&packed))])) && global
    });
    Ok(())
}

/// Empty matches at either end of the string, or right after another match, part nothing.
fn regexp_split(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let text = string(args, 0)?.ok_or_else(mismatch)?;
    let (regex, _) = pattern(args, false)?;
    let (mut from, mut previous_end, mut more) = (0, 0, true);
    each_match(&regex, text, |captures| {
        let Some(whole) = captures.get(0) else { return false };
        if whole.start() < text.len() && whole.end() > previous_end {
            more = emit(Row::pack([Datum::Text(&text[from..whole.start()])]));
            from = whole.end();
        }
        previous_end = whole.end();
        more
    });
    if more {
        emit(Row::pack([Datum::Text(&text[from..])]));
    }
    Ok(())
}
