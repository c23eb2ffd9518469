//! Reading jsonb from text: RFC 8259, with Postgres's messages.

use super::build::{ArrayBuilder, ObjectBuilder, too_deep};
use super::{MAX_DEPTH, tag};
use crate::error::{EvalError, SqlState};
use crate::numeric::Numeric;
use std::borrow::Cow;

/// The packed value of a JSON text. Of equal keys the last one stays; numbers keep their scale.
///
/// Errors: 22P02 for what is not JSON, 22P05 for `\u0000`, 22003 for a number out of numeric's range, 54001 beyond
/// [`MAX_DEPTH`], 54000 beyond [`super::MAX_BYTES`].
pub fn parse(text: &str) -> Result<Vec<u8>, EvalError> {
    let mut out = Vec::with_capacity(text.len());
    parse_into(text, &mut out)?;
    Ok(out)
}

/// Appends the packed value of a JSON text.
pub fn parse_into(text: &str, out: &mut Vec<u8>) -> Result<(), EvalError> {
    let mut parser = Parser { text, at: 0 };
    let first = parser.next()?;
    parser.value(first, MAX_DEPTH, out)?;
    match parser.next()? {
        Token::End => Ok(()),
        other => Err(expected("end of input", other)),
    }
}

/// A token. Its text is kept for messages.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Token<'t> {
    /// `{ } [ ] : ,`
    Mark(&'t str),
    /// The characters between the quotes, escapes still in them.
    String {
        raw: &'t str,
        whole: &'t str,
    },
    Number(&'t str),
    /// `true`, `false` or `null`
    Word(&'t str),
    End,
}

fn invalid(detail: String) -> EvalError {
    EvalError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        "invalid input syntax for type json",
    )
    .with_detail(detail)
}

fn invalid_token(token: &str) -> EvalError {
    invalid(format!("Token \"{token}\" is invalid."))
}

fn expected(what: &str, found: Token<'_>) -> EvalError {
    let found = match found {
        Token::End => return invalid("The input string ended unexpectedly.".to_string()),
        Token::Mark(text) | Token::Number(text) | Token::Word(text) => text,
        Token::String { whole, .. } => whole,
    };
    invalid(format!("Expected {what}, but found \"{found}\"."))
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl<'t> Parser<'t> {
    /// Appends the value that starts with this token and gives its depth.
    fn value(
        &mut self,
        first: Token<'t>,
        levels: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, EvalError> {
        match first {
            Token::Mark("[") => {
                return self.array(levels.checked_sub(1).ok_or_else(too_deep)?, out);
            }
            Token::Mark("{") => {
                return self.object(levels.checked_sub(1).ok_or_else(too_deep)?, out);
            }
            Token::String { raw, .. } => {
                out.push(tag::STRING);
                out.extend_from_slice(unescape(raw)?.as_bytes());
            }
            Token::Number(text) => {
                out.push(tag::NUMBER);
                Numeric::parse(text)?.to_bytes(out);
            }
            Token::Word("null") => out.push(tag::NULL),
            Token::Word("true") => out.push(tag::TRUE),
            Token::Word(_) => out.push(tag::FALSE),
            other => return Err(expected("JSON value", other)),
        }
        Ok(0)
    }

    fn array(&mut self, levels: usize, out: &mut Vec<u8>) -> Result<usize, EvalError> {
        let mut builder = ArrayBuilder::new();
        let mut token = self.next()?;
        if token == Token::Mark("]") {
            return builder.finish_into(out);
        }
        loop {
            builder.push_with(|out| self.value(token, levels, out))?;
            match self.next()? {
                Token::Mark("]") => return builder.finish_into(out),
                Token::Mark(",") => token = self.next()?,
                other => return Err(expected("\",\" or \"]\"", other)),
            }
        }
    }

    fn object(&mut self, levels: usize, out: &mut Vec<u8>) -> Result<usize, EvalError> {
        let mut builder = ObjectBuilder::new();
        let mut token = self.next()?;
        if token == Token::Mark("}") {
            return builder.finish_into(out);
        }
        let mut or_end = " or \"}\"";
        loop {
            let Token::String { raw, .. } = token else {
                return Err(expected(&format!("string{or_end}"), token));
            };
            or_end = "";
            let key = unescape(raw)?;
            match self.next()? {
                Token::Mark(":") => {}
                other => return Err(expected("\":\"", other)),
            }
            let first = self.next()?;
            builder.push_with(&key, |out| self.value(first, levels, out))?;
            match self.next()? {
                Token::Mark("}") => return builder.finish_into(out),
                Token::Mark(",") => token = self.next()?,
                other => return Err(expected("\",\" or \"}\"", other)),
            }
        }
    }

    fn next(&mut self) -> Result<Token<'t>, EvalError> {
        let text = self.text;
        let rest = text[self.at..].trim_start_matches([' ', '\t', '\n', '\r']);
        self.at = text.len() - rest.len();
        let Some(&first) = rest.as_bytes().first() else {
            return Ok(Token::End);
        };
        let (token, length) = match first {
            b'{' | b'}' | b'[' | b']' | b':' | b',' => (Token::Mark(&rest[..1]), 1),
            b'"' => {
                let raw = scan_string(rest)?;
                let whole = &rest[..raw.len() + 2];
                (Token::String { raw, whole }, whole.len())
            }
            b'-' | b'0'..=b'9' => {
                let number = scan_number(rest)?;
                (Token::Number(number), number.len())
            }
            _ => {
                let length = rest.bytes().take_while(|b| is_word(*b)).count();
                let word = &rest[..length];
                match word {
                    "null" | "true" | "false" => (Token::Word(word), length),
                    "" => return Err(invalid_token(rest.get(..1).unwrap_or(rest))),
                    _ => return Err(invalid_token(word)),
                }
            }
        };
        self.at += length;
        Ok(token)
    }
}

/// The number at the front.
fn scan_number(text: &str) -> Result<&str, EvalError> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(bytes[0] == b'-');
    let mut good = true;
    match bytes.get(at) {
        Some(b'0') => at += 1,
        Some(b'1'..=b'9') => at += digits(at),
        _ => good = false,
    }
    if good && bytes.get(at) == Some(&b'.') {
        let n = digits(at + 1);
        at += 1 + n;
        good = n > 0;
    }
    if good && matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let n = digits(at);
        at += n;
        good = n > 0;
    }
    let garbage = bytes[at..].iter().take_while(|b| is_word(**b)).count();
    if good && garbage == 0 {
        Ok(&text[..at])
    } else {
        Err(invalid_token(&text[..at + garbage]))
    }
}

/// What is between the quote at the front and the one that closes it.
fn scan_string(text: &str) -> Result<&str, EvalError> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        match bytes.get(at) {
            None => return Err(invalid_token(text)),
            Some(b'"') => return Ok(&text[1..at]),
            Some(b'\\') => at += 2,
            Some(control @ 0..0x20) => {
                return Err(invalid(format!(
                    "Character with value 0x{control:02x} must be escaped."
                )));
            }
            Some(_) => at += 1,
        }
    }
}

/// The characters that a string's escapes stand for.
fn unescape(raw: &str) -> Result<Cow<'_, str>, EvalError> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let mut escape = rest[at + 1..].chars();
        let escaped = escape.next().ok_or_else(|| invalid_token(raw))?;
        rest = escape.as_str();
        match escaped {
            '"' | '\\' | '/' => out.push(escaped),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'u' => out.push(unicode_escape(&mut rest)?),
            other => {
                return Err(invalid(format!(
                    "Escape sequence \"\\{other}\" is invalid."
                )));
            }
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// The character of the hexadecimal digits after `\u`, and of a second escape where they are half a pair.
fn unicode_escape(rest: &mut &str) -> Result<char, EvalError> {
    let lonely = || invalid("Unicode low surrogate must follow a high surrogate.".to_string());
    let unit = hex4(rest)?;
    match unit {
        0 => Err(EvalError::new(
            SqlState::UNTRANSLATABLE_CHARACTER,
            "unsupported Unicode escape sequence",
        )
        .with_detail("\\u0000 cannot be converted to text.")),
        0xd800..0xdc00 => {
            *rest = rest.strip_prefix("\\u").ok_or_else(lonely)?;
            let low = hex4(rest)?;
            match low {
                0xd800..0xdc00 => Err(invalid(
                    "Unicode high surrogate must not follow a high surrogate.".to_string(),
                )),
                0xdc00..0xe000 => {
                    char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
                        .ok_or_else(lonely)
                }
                _ => Err(lonely()),
            }
        }
        _ => char::from_u32(unit).ok_or_else(lonely),
    }
}

fn hex4(rest: &mut &str) -> Result<u32, EvalError> {
    let digits = rest
        .get(..4)
        .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    let digits = digits.ok_or_else(|| {
        invalid("\"\\u\" must be followed by four hexadecimal digits.".to_string())
    })?;
    *rest = &rest[4..];
    u32::from_str_radix(digits, 16).map_err(|_| invalid_token(digits))
}
