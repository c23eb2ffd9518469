//! Strings taken apart.

use super::{Emit, TableFunctionDesc, declaration, mismatch};
use crate::functions::pattern;
use crate::scalar::CallTypes;
use everview_repr::{Array, Datum, EvalError, Row, SqlState};

pub(super) fn declare() -> Vec<TableFunctionDesc> {
    let table =
        "The parts of a string between delimiters; those equal to the third argument are NULL.";
    let split = "The parts of a string between matches of a regular expression.";
    let matches =
        "The captured groups of the first match of a regular expression, or with flag g of all.";
    let lax = |desc: TableFunctionDesc| TableFunctionDesc {
        strict: false,
        ..desc
    };
    vec![
        lax(declaration(
            "string_to_table",
            "text, text -> text",
            table,
            string_to_table,
        )),
        lax(declaration(
            "string_to_table",
            "text, text, text -> text",
            table,
            string_to_table,
        )),
        declaration(
            "regexp_split_to_table",
            "text, text -> text",
            split,
            regexp_split,
        ),
        declaration(
            "regexp_split_to_table",
            "text, text, text -> text",
            split,
            regexp_split,
        ),
        declaration(
            "regexp_matches",
            "text, text -> text[]",
            matches,
            regexp_matches,
        ),
        declaration(
            "regexp_matches",
            "text, text, text -> text[]",
            matches,
            regexp_matches,
        ),
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
    let Some(text) = string(args, 0)?.filter(|t| !t.is_empty()) else {
        return Ok(());
    };
    let null = string(args, 2)?;
    let mut part = |part: &str| {
        let is_null = null == Some(part);
        emit(Row::pack([if is_null {
            Datum::Null
        } else {
            Datum::Text(part)
        }]))
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

/// Subject, pattern and flags.
fn subject<'a>(args: &[Datum<'a>]) -> Result<(&'a str, &'a str, &'a str), EvalError> {
    match (string(args, 0)?, string(args, 1)?) {
        (Some(subject), Some(pattern)) => Ok((subject, pattern, string(args, 2)?.unwrap_or(""))),
        _ => Err(mismatch()),
    }
}

fn regexp_matches(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let (subject, pattern, flags) = subject(args)?;
    let (flags, global) = pattern::split_global(flags);
    let regex = pattern::compile(pattern, &flags)?;
    for found in regex.find_all(subject, 0) {
        let groups = pattern::parts(subject, &found).0;
        if !emit(Row::pack([Datum::Array(Array::from_packed(&groups))])) || !global {
            break;
        }
    }
    Ok(())
}

fn regexp_split(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let (subject, pattern, flags) = subject(args)?;
    if flags.contains('g') {
        let message = "regexp_split_to_table() does not support the \"global\" option";
        return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let regex = pattern::compile(pattern, flags)?;
    for piece in pattern::split(subject, &regex) {
        if !emit(Row::pack([Datum::Text(piece)])) {
            break;
        }
    }
    Ok(())
}
