//! Quoting for SQL, and identifiers taken apart.

use super::text_array;
use crate::functions::{Declarations, context};
use crate::registry::{Eval, FunctionDesc};
use crate::value::eval;
use everview_repr::{Datum, EvalError, SqlState};

/// Words that cannot be identifiers everywhere: PostgreSQL 15's keywords but the unreserved ones, sorted.
const KEYWORDS: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit \
boolean both case cast char character check coalesce collate collation column concurrently constraint create cross \
current_catalog current_date current_role current_schema current_time current_timestamp current_user dec decimal \
default deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full \
grant greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull \
join lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull \
null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real \
references returning right row select session_user setof similar smallint some substring symmetric table tablesample \
then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where \
window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize \
xmltable ";

fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&format!(" {word} "))
}

/// An identifier as SQL text: in double quotes where it needs them.
pub fn quote_ident(name: &str) -> String {
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let rest = |c: char| first(c) || c.is_ascii_digit();
    let safe = name.starts_with(first) && name.chars().all(rest) && !is_keyword(name);
    if safe {
        name.to_string()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// A string as an SQL literal, in E'' syntax where it has a backslash.
pub fn quote_literal(s: &str) -> String {
    let prefix = if s.contains('\\') { "E" } else { "" };
    format!("{prefix}'{}'", s.replace('\'', "''").replace('\\', "\\\\"))
}

fn invalid(name: &str, detail: Option<String>) -> EvalError {
    let message = format!("string is not a valid identifier: \"{name}\"");
    let error = EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    match detail {
        Some(detail) => error.with_detail(detail),
        None => error,
    }
}

fn parse_ident(name: &str, strict: bool) -> Result<Vec<String>, EvalError> {
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
    let mut parts = Vec::new();
    let mut rest = name.trim_start_matches(space);
    let mut after_dot = false;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (part, tail) = quoted_part(quoted)
                .ok_or_else(|| invalid(name, Some("String has unclosed double quotes.".into())))?;
            if part.is_empty() {
                return Err(invalid(
                    name,
                    Some("Quoted identifier must not be empty.".into()),
                ));
            }
            parts.push(part);
            rest = tail;
        } else if rest.starts_with(|c: char| c.is_alphabetic() || c == '_' || !c.is_ascii()) {
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()))
                .unwrap_or(rest.len());
            parts.push(rest[..end].to_ascii_lowercase());
            rest = &rest[end..];
        } else if rest.starts_with('.') {
            return Err(invalid(
                name,
                Some("No valid identifier before \".\".".into()),
            ));
        } else if after_dot {
            return Err(invalid(
                name,
                Some("No valid identifier after \".\".".into()),
            ));
        } else {
            return Err(invalid(name, None));
        }
        rest = rest.trim_start_matches(space);
        match rest.strip_prefix('.') {
            Some(tail) => {
                after_dot = true;
                rest = tail.trim_start_matches(space);
            }
            None if rest.is_empty() || !strict => return Ok(parts),
            None => return Err(invalid(name, None)),
        }
    }
}

/// A quoted identifier after its opening quote, and what follows the closing one.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        if c != '"' {
            part.push(c);
        } else if chars.next_if(|(_, c)| *c == '"').is_some() {
            part.push('"');
        } else {
            return Some((part, &text[i + 1..]));
        }
    }
    None
}

fn parts(name: &str, strict: bool) -> Result<crate::value::OwnedArray, EvalError> {
    let parts = parse_ident(name, strict)?;
    Ok(text_array(parts.iter().map(|p| Some(p.as_str()))))
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "As an SQL identifier, quoted where it must be.";
    let eval: Eval = eval!(|s: &str| quote_ident(s));
    out.push(FunctionDesc::new("quote_ident", "text -> text", doc, eval).infallible());
    let doc = "As an SQL string literal.";
    let eval: Eval = eval!(|s: &str| quote_literal(s));
    out.push(FunctionDesc::new("quote_literal", "text -> text", doc, eval).infallible());
    let of_value: Eval = |types, args, arena| {
        let (Some(datum), Some(ty)) = (args.first(), types.args.first()) else {
            return Err(crate::value::mismatch());
        };
        if datum.is_null() {
            return Ok(Datum::Text("NULL"));
        }
        Ok(Datum::Text(arena.string(quote_literal(&context::to_text(
            types, ty, *datum,
        )?))))
    };
    out.push(FunctionDesc::new(
        "quote_literal",
        "anyelement -> text",
        doc,
        of_value,
    ));
    let doc = "As an SQL string literal, or NULL.";
    out.push(FunctionDesc::new("quote_nullable", "text -> text", doc, of_value).lenient());
    out.push(FunctionDesc::new("quote_nullable", "anyelement -> text", doc, of_value).lenient());
    let doc = "A qualified identifier taken apart.";
    out.push(FunctionDesc::new(
        "parse_ident",
        "text -> text[]",
        doc,
        eval!(|s: &str| parts(s, true)),
    ));
    let eval: Eval = eval!(|s: &str, strict: bool| parts(s, strict));
    out.push(FunctionDesc::new(
        "parse_ident",
        "text, bool -> text[]",
        doc,
        eval,
    ));
}
