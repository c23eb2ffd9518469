//! SIMILAR TO: SQL's regular expressions, turned into POSIX ones as Postgres does (`similar_escape_internal`).

use super::regex;
use crate::functions::Declarations;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{eval, mismatch};
use everview_repr::{Datum, EvalError, SqlState};

/// The regular expression that an SQL pattern stands for. `escape` is empty for none, a backslash by default.
fn to_regex(pattern: &str, escape: Option<&str>) -> Result<String, EvalError> {
    let escape = match escape {
        None => Some('\\'),
        Some(escape) => {
            let mut chars = escape.chars();
            let first = chars.next();
            if chars.next().is_some() {
                return Err(EvalError::new(
                    SqlState::INVALID_ESCAPE_SEQUENCE,
                    "invalid escape string",
                )
                .with_hint("Escape string must be empty or one character."));
            }
            first
        }
    };
    let mut out = String::from("^(?:");
    let (mut after_escape, mut in_class, mut separators) = (false, false, 0);
    for c in pattern.chars() {
        if after_escape {
            if c == '"' && !in_class {
                separators += 1;
                match separators {
                    1 => out.push_str("){1,1}?("),
                    2 => out.push_str("){1,1}(?:"),
                    _ => {
                        let message = "SQL regular expression may not contain more than two escape-double-quote separators";
                        return Err(EvalError::new(SqlState::new("2200C"), message));
                    }
                }
            } else {
                out.push('\\');
                out.push(c);
            }
            after_escape = false;
        } else if Some(c) == escape {
            after_escape = true;
        } else if in_class {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            in_class = c != ']';
        } else {
            match c {
                '[' => {
                    out.push('[');
                    in_class = true;
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                c => out.push(c),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "The regular expression of a SIMILAR TO pattern.";
    let eval: Eval = eval!(|p: &str| to_regex(p, None));
    out.push(FunctionDesc::new(
        "similar_to_escape",
        "text -> text",
        doc,
        eval,
    ));
    let eval: Eval = eval!(|p: &str, escape: &str| to_regex(p, Some(escape)));
    out.push(FunctionDesc::new(
        "similar_to_escape",
        "text, text -> text",
        doc,
        eval,
    ));
    let doc = "The part of a string between the separators of a SIMILAR TO pattern with this escape character.";
    let eval: crate::registry::Eval = |_, args, _| match args {
        [Datum::Text(s), pattern, escape, ..] => {
            let (Some(pattern), Some(escape)) = (pattern.as_str(), escape.as_str()) else {
                return Err(mismatch());
            };
            let regex = regex::compile(&to_regex(pattern, Some(escape))?, "")?;
            Ok(regex.first_part(s).map_or(Datum::Null, Datum::Text))
        }
        _ => Err(mismatch()),
    };
    out.push(FunctionDesc::new("substring", "text, text, text -> text", doc, eval).nullable());
}
