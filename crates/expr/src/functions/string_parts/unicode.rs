//! Unicode escapes.

use crate::functions::Declarations;
use crate::registry::FunctionDesc;
use crate::value::eval;
use everview_repr::{EvalError, SqlState};

fn invalid() -> EvalError {
    EvalError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
        .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
}

fn invalid_pair() -> EvalError {
    EvalError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair")
}

/// `\XXXX`, `\+XXXXXX`, `\uXXXX`, `\UXXXXXXXX` and `\\` replaced by what they stand for.
fn unistr(s: &str) -> Result<String, EvalError> {
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    let mut high: Option<u32> = None;
    while let Some(c) = rest.chars().next() {
        let (code, length) = match (c, rest.as_bytes().get(1)) {
            ('\\', Some(b'\\')) => ('\\' as u32, 2),
            ('\\', Some(b'u')) => (hex(rest, 2, 4)?, 6),
            ('\\', Some(b'U')) => (hex(rest, 2, 8)?, 10),
            ('\\', Some(b'+')) => (hex(rest, 2, 6)?, 8),
            ('\\', _) => (hex(rest, 1, 4)?, 5),
            (c, _) => {
                if high.is_some() {
                    return Err(invalid_pair());
                }
                out.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        rest = &rest[length..];
        match (high.take(), code) {
            (None, 0xd800..0xdc00) => high = Some(code),
            (None, 0xdc00..0xe000) => return Err(invalid_pair()),
            (None, code) => out.push(valid(code)?),
            (Some(first), 0xdc00..0xe000) => {
                out.push(valid(0x10000 + ((first - 0xd800) << 10) + (code - 0xdc00))?);
            }
            (Some(_), _) => return Err(invalid_pair()),
        }
    }
    if high.is_some() {
        Err(invalid_pair())
    } else {
        Ok(out)
    }
}

fn hex(s: &str, from: usize, digits: usize) -> Result<u32, EvalError> {
    let digits = s.as_bytes().get(from..from + digits).ok_or_else(invalid)?;
    digits.iter().try_fold(0u32, |code, d| {
        let digit = char::from(*d).to_digit(16).ok_or_else(invalid)?;
        Ok(code.wrapping_mul(16).wrapping_add(digit))
    })
}

fn valid(code: u32) -> Result<char, EvalError> {
    char::from_u32(code).filter(|c| *c != '\0').ok_or_else(|| {
        let message = format!("invalid Unicode code point: {code:04X}");
        EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
    })
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "Unicode escapes replaced by the characters that they stand for.";
    out.push(FunctionDesc::new(
        "unistr",
        "text -> text",
        doc,
        eval!(|s: &str| unistr(s)),
    ));
}
