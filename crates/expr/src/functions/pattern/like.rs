//! LIKE: `%` for any characters, `_` for one, `\` before a character for itself.
//!
//! A mismatch only ever goes back to the last `%`, so matching takes time at most text times pattern.

use crate::functions::string::{lower, lower_char};
use everview_repr::{EvalError, SqlState};

/// What a pattern is made of.
trait Unit: Copy + PartialEq {
    const ANY: Self;
    const ONE: Self;
    const ESCAPE: Self;
}

impl Unit for char {
    const ANY: char = '%';
    const ONE: char = '_';
    const ESCAPE: char = '\\';
}

impl Unit for u8 {
    const ANY: u8 = b'%';
    const ONE: u8 = b'_';
    const ESCAPE: u8 = b'\\';
}

fn ends_with_escape() -> EvalError {
    let message = "LIKE pattern must not end with escape character";
    EvalError::new(SqlState::INVALID_ESCAPE_SEQUENCE, message)
}

/// Matches the whole text, by iterators that can be copied and so gone back to.
fn matches<T: Unit, I: Iterator<Item = T> + Clone>(text: I, pattern: I) -> Result<bool, EvalError> {
    let (mut text, mut pattern) = (text, pattern);
    // Where to resume after a mismatch: the pattern after the last `%`, and the text it has not taken yet.
    let mut resume: Option<(I, I)> = None;
    loop {
        let before = text.clone();
        let matched = match pattern.next() {
            Some(p) if p == T::ANY => {
                if pattern.clone().next().is_none() {
                    return Ok(true);
                }
                resume = Some((pattern.clone(), before.clone()));
                text = before;
                continue;
            }
            Some(p) if p == T::ONE => text.next().is_some(),
            Some(p) => {
                let literal = if p == T::ESCAPE {
                    // An escape at the end is an error only where matching gets there.
                    match (pattern.next(), before.clone().next()) {
                        (Some(literal), _) => literal,
                        (None, None) => return Ok(false),
                        (None, Some(_)) => return Err(ends_with_escape()),
                    }
                } else {
                    p
                };
                text.next() == Some(literal)
            }
            None => {
                if text.clone().next().is_none() {
                    return Ok(true);
                }
                false
            }
        };
        if matched {
            continue;
        }
        let Some((after, from)) = &mut resume else {
            return Ok(false);
        };
        if from.next().is_none() {
            return Ok(false);
        }
        pattern = after.clone();
        text = from.clone();
    }
}

/// `s LIKE pattern`.
pub(in crate::functions) fn like(s: &str, pattern: &str) -> Result<bool, EvalError> {
    // Bytes serve unless `_` stands for a character of several.
    if s.is_ascii() || !pattern.contains('_') {
        return matches(s.bytes(), pattern.bytes());
    }
    matches(s.chars(), pattern.chars())
}

/// `s ILIKE pattern`.
pub(in crate::functions) fn ilike(s: &str, pattern: &str) -> Result<bool, EvalError> {
    if s.is_ascii() && pattern.is_ascii() {
        let low = |b: u8| b.to_ascii_lowercase();
        return matches(s.bytes().map(low), pattern.bytes().map(low));
    }
    if pattern.contains('_') {
        return matches(s.chars().map(lower_char), pattern.chars().map(lower_char));
    }
    like(&lower(s), &lower(pattern))
}

/// LIKE on bytes.
pub(super) fn like_bytes(s: &[u8], pattern: &[u8]) -> Result<bool, EvalError> {
    matches(s.iter().copied(), pattern.iter().copied())
}

/// The pattern with backslashes for its escape character; an empty one means that there is none.
pub(super) fn change_escape(pattern: &str, escape: &str) -> Result<String, EvalError> {
    let mut chars = escape.chars();
    let escape = chars.next();
    if chars.next().is_some() {
        return Err(
            EvalError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .with_hint("Escape string must be empty or one character."),
        );
    }
    if escape == Some('\\') {
        return Ok(pattern.to_string());
    }
    let mut out = String::with_capacity(pattern.len());
    let mut escaped = false;
    for c in pattern.chars() {
        if Some(c) == escape && !escaped {
            out.push('\\');
            escaped = true;
        } else if c == '\\' {
            if !escaped {
                out.push('\\');
            }
            out.push('\\');
            escaped = false;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    Ok(out)
}
