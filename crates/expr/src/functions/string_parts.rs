//! Strings by their contents: searching, replacing, splitting, quoting, hashing (manual, section 9.4).

mod quote;
mod unicode;

pub use quote::{quote_ident, quote_literal};

use super::{Declarations, context};
use crate::limit::within;
use crate::registry::{Eval, FunctionDesc};
use crate::scalar::CallTypes;
use crate::value::{FromDatum, OwnedArray, eval, mismatch};
use everview_repr::{Array, Datum, EvalError, RowArena, ScalarType, SqlState, array};

/// The position of the first occurrence in characters from 1; 0 for none.
fn position(s: &str, part: &str) -> i32 {
    s.find(part)
        .map_or(0, |at| s[..at].chars().count() as i32 + 1)
}

fn replace(s: &str, from: &str, to: &str) -> Result<String, EvalError> {
    if from.is_empty() {
        return Ok(s.to_string());
    }
    if to.len() > from.len() {
        let growth = s
            .matches(from)
            .count()
            .saturating_mul(to.len() - from.len());
        within(s.len().saturating_add(growth))?;
    }
    Ok(s.replace(from, to))
}

fn split_part<'a>(s: &'a str, delimiter: &str, n: i32) -> Result<&'a str, EvalError> {
    if n == 0 {
        let message = "field position must not be zero";
        return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if s.is_empty() {
        return Ok("");
    }
    if delimiter.is_empty() {
        return Ok(if n == 1 || n == -1 { s } else { "" });
    }
    let index = n.unsigned_abs() as usize - 1;
    let part = if n > 0 {
        s.split(delimiter).nth(index)
    } else {
        rsplit_part(s, delimiter, index)
    };
    Ok(part.unwrap_or(""))
}

/// From the end, with the occurrences that a search from the start finds.
fn rsplit_part<'a>(s: &'a str, delimiter: &str, index: usize) -> Option<&'a str> {
    let parts: Vec<_> = s.split(delimiter).collect();
    parts.len().checked_sub(index + 1).map(|i| parts[i])
}

fn translate(s: &str, from: &str, to: &str) -> String {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let map = |c: char| match from.iter().position(|f| *f == c) {
        Some(i) => to.get(i).copied(),
        None => Some(c),
    };
    s.chars().filter_map(map).collect()
}

/// Elements of a string between delimiters; no delimiter splits into characters, an empty one not at all.
pub(crate) fn split<'s>(s: &'s str, delimiter: Option<&str>) -> Vec<&'s str> {
    match delimiter {
        _ if s.is_empty() => Vec::new(),
        None => s
            .char_indices()
            .map(|(i, c)| &s[i..i + c.len_utf8()])
            .collect(),
        Some("") => vec![s],
        Some(delimiter) => s.split(delimiter).collect(),
    }
}

fn string_to_array<'a>(args: &[Datum<'a>], arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let [s, delimiter, rest @ ..] = args else {
        return Err(mismatch());
    };
    let Some(s) = Option::<&str>::from_datum(*s)? else {
        return Ok(Datum::Null);
    };
    let delimiter = Option::<&str>::from_datum(*delimiter)?;
    let null = match rest.first() {
        Some(datum) => Option::<&str>::from_datum(*datum)?,
        None => None,
    };
    let datum = |part| {
        if Some(part) == null {
            Datum::Null
        } else {
            Datum::Text(part)
        }
    };
    let elements: Vec<_> = split(s, delimiter).into_iter().map(datum).collect();
    Ok(Datum::Array(Array::from_packed(
        arena.bytes(array::build_vector(&elements)),
    )))
}

/// Elements joined; NULL elements are left out, or stand as the given string.
fn array_to_string<'a>(
    types: &CallTypes,
    args: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let ([array, delimiter, rest @ ..], [ScalarType::Array(element), ..]) =
        (args, types.args.as_slice())
    else {
        return Err(mismatch());
    };
    let (Some(array), Some(delimiter)) = (
        Option::<Array<'_>>::from_datum(*array)?,
        Option::<&str>::from_datum(*delimiter)?,
    ) else {
        return Ok(Datum::Null);
    };
    let null = rest.first().and_then(Datum::as_str);
    let mut out = String::new();
    let mut first = true;
    for value in array.elements() {
        if value.is_null() && null.is_none() {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push_str(delimiter);
        }
        match null {
            Some(null) if value.is_null() => out.push_str(null),
            _ => context::push_text(types, element, value, &mut out)?,
        }
        within(out.len())?;
    }
    Ok(Datum::Text(arena.string(out)))
}

fn concat<'a>(
    types: &CallTypes,
    args: &[Datum<'a>],
    separator: &str,
    skip: usize,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let mut out = String::new();
    let mut first = true;
    for (datum, ty) in args
        .iter()
        .zip(&types.args)
        .skip(skip)
        .filter(|(d, _)| !d.is_null())
    {
        if !std::mem::take(&mut first) {
            out.push_str(separator);
        }
        context::push_text(types, ty, *datum, &mut out)?;
        within(out.len())?;
    }
    Ok(Datum::Text(arena.string(out)))
}

fn declare_lists(out: &mut Declarations) {
    let doc = "Splits at a delimiter; NULL splits into characters.";
    let eval: Eval = |_, args, arena| string_to_array(args, arena);
    out.push(FunctionDesc::new("string_to_array", "text, text -> text[]", doc, eval).lenient());
    let doc = "Splits at a delimiter; parts equal to the third are NULL.";
    out.push(
        FunctionDesc::new("string_to_array", "text, text, text -> text[]", doc, eval).lenient(),
    );
    let doc = "Elements joined by a delimiter; NULLs are left out, or shown as the third.";
    out.push(
        FunctionDesc::new(
            "array_to_string",
            "anyarray, text -> text",
            doc,
            array_to_string,
        )
        .lenient(),
    );
    out.push(
        FunctionDesc::new(
            "array_to_string",
            "anyarray, text, text -> text",
            doc,
            array_to_string,
        )
        .lenient(),
    );
    let eval: Eval = |types, args, arena| concat(types, args, "", 0, arena);
    let doc = "The text forms of all arguments that are not NULL, one after the other.";
    out.push(FunctionDesc::new("concat", "variadic any -> text", doc, eval).lenient());
    let eval: Eval = |types, args, arena| match args.first() {
        Some(Datum::Null) | None => Ok(Datum::Null),
        Some(separator) => concat(types, args, FromDatum::from_datum(*separator)?, 1, arena),
    };
    let doc = "The text forms of all arguments that are not NULL, joined by the first.";
    out.push(FunctionDesc::new("concat_ws", "text, variadic any -> text", doc, eval).lenient());
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "Every occurrence of the second replaced by the third.";
    let eval: Eval = eval!(|s: &str, a: &str, b: &str| replace(s, a, b));
    out.push(FunctionDesc::new(
        "replace",
        "text, text, text -> text",
        doc,
        eval,
    ));
    let mut push = |name, signature, doc, eval| {
        out.push(FunctionDesc::new(name, signature, doc, eval).infallible());
    };
    for name in ["strpos", "position"] {
        let doc = "Where the second occurs in the first, in characters from 1; 0 for nowhere.";
        push(
            name,
            "text, text -> int4",
            doc,
            eval!(|s: &str, part: &str| position(s, part)),
        );
    }
    let doc =
        "Each character of the second replaced by that at its place in the third, or dropped.";
    push(
        "translate",
        "text, text, text -> text",
        doc,
        eval!(|s: &str, a: &str, b: &str| translate(s, a, b)),
    );
    let starts = eval!(|s: &str, prefix: &str| s.starts_with(prefix)) as Eval;
    push(
        "starts_with",
        "text, text -> bool",
        "Whether the first starts with the second.",
        starts,
    );
    push(
        "^@",
        "text, text -> bool",
        "Whether the first starts with the second.",
        starts,
    );
    push(
        "to_hex",
        "int4 -> text",
        "In hexadecimal.",
        eval!(|n: i32| format!("{n:x}")),
    );
    push(
        "to_hex",
        "int8 -> text",
        "In hexadecimal.",
        eval!(|n: i64| format!("{n:x}")),
    );
    let doc = "The n-th part between delimiters, from the end if negative.";
    let eval: Eval = eval!(|s: &str, d: &str, n: i32| split_part(s, d, n));
    out.push(FunctionDesc::new(
        "split_part",
        "text, text, int4 -> text",
        doc,
        eval,
    ));
    declare_lists(out);
    quote::declare(out);
    unicode::declare(out);
}

/// An array of strings, owned.
pub(crate) fn text_array<'s>(parts: impl IntoIterator<Item = Option<&'s str>>) -> OwnedArray {
    let datums: Vec<_> = parts
        .into_iter()
        .map(|p| p.map_or(Datum::Null, Datum::Text))
        .collect();
    OwnedArray(array::build_vector(&datums))
}
