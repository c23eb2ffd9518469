//! Pattern matching (manual, section 9.7): LIKE, SIMILAR TO and POSIX regular expressions.

mod like;
mod regex;
mod replace;
mod similar;
mod translate;

use super::Declarations;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{Bytes, eval};
use everview_repr::{Datum, EvalError};

pub(super) use like::{ilike, like};

pub(crate) use regex::{compile, parts, split, split_global};

/// `s ~ pattern`.
pub(super) fn regex_matches(s: &str, pattern: &str) -> Result<bool, EvalError> {
    Ok(regex::compile(pattern, "")?.is_match(s))
}

/// `s ~* pattern`.
pub(super) fn regex_matches_insensitive(s: &str, pattern: &str) -> Result<bool, EvalError> {
    Ok(regex::compile(pattern, "i")?.is_match(s))
}

/// A pattern fails only where it ends within an escape.
fn is_whole_pattern(args: &[Option<Datum<'_>>]) -> bool {
    match args {
        [_, Some(Datum::Text(pattern))] => {
            let escapes = pattern.bytes().rev().take_while(|b| *b == b'\\');
            escapes.count() % 2 == 0
        }
        _ => false,
    }
}

fn declare_matching(out: &mut Declarations) {
    let mut push = |name: &'static str, doc, eval: Eval| {
        // Postgres declares these for name and char(n) as well; the latter keeps its padding.
        for left in ["text", "bpchar", "name"] {
            let desc = FunctionDesc::new(name, &format!("{left}, text -> bool"), doc, eval);
            out.push(match name {
                "~~" | "!~~" | "~~*" | "!~~*" => desc.total_if(is_whole_pattern),
                _ => desc,
            });
        }
    };
    push("~~", "LIKE.", eval!(|s: &str, p: &str| like(s, p)));
    push(
        "!~~",
        "NOT LIKE.",
        eval!(|s: &str, p: &str| like(s, p).map(|m| !m)),
    );
    push("~~*", "ILIKE.", eval!(|s: &str, p: &str| ilike(s, p)));
    push(
        "!~~*",
        "NOT ILIKE.",
        eval!(|s: &str, p: &str| ilike(s, p).map(|m| !m)),
    );
    push(
        "~",
        "Matches a regular expression.",
        eval!(|s: &str, p: &str| regex_matches(s, p)),
    );
    push(
        "!~",
        "Matches no part of a regular expression.",
        eval!(|s: &str, p: &str| regex_matches(s, p).map(|m| !m)),
    );
    push(
        "~*",
        "Matches a regular expression, in any case.",
        eval!(|s: &str, p: &str| regex_matches_insensitive(s, p)),
    );
    push(
        "!~*",
        "Does not match a regular expression, in any case.",
        eval!(|s: &str, p: &str| regex_matches_insensitive(s, p).map(|m| !m)),
    );
}

pub(super) fn declare(out: &mut Declarations) {
    declare_matching(out);
    let doc = "LIKE on bytes.";
    let eval: Eval = eval!(|s: Bytes<'_>, p: Bytes<'_>| like::like_bytes(s.0, p.0));
    out.push(FunctionDesc::new("~~", "bytea, bytea -> bool", doc, eval));
    let doc = "NOT LIKE on bytes.";
    let eval: Eval = eval!(|s: Bytes<'_>, p: Bytes<'_>| like::like_bytes(s.0, p.0).map(|m| !m));
    out.push(FunctionDesc::new("!~~", "bytea, bytea -> bool", doc, eval));
    let doc = "A LIKE pattern with another escape character, as one with a backslash.";
    let eval: Eval = eval!(|p: &str, escape: &str| like::change_escape(p, escape));
    out.push(FunctionDesc::new(
        "like_escape",
        "text, text -> text",
        doc,
        eval,
    ));
    similar::declare(out);
    regex::declare(out);
    replace::declare(out);
}
