//! The lexer of date, time and interval input: one string to fields with a guess at what each is.
//!
//! It is Postgres's `ParseDateTime`: fields are told apart by their first character and what separates their
//! parts, and punctuation between fields is dropped.

use super::keywords;

/// What a field looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Digits with colons.
    Time,
    /// Digits or letters with `-`, `/` or `.` between.
    Date,
    /// Digits, perhaps with a point.
    Number,
    /// Letters.
    Word,
    /// A sign and digits: a zone, or a signed number.
    Signed,
    /// A sign and letters.
    Special,
}

/// A field and its text, letters in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// The most fields that a date, time or interval may have.
const MAX_FIELDS: usize = 25;
/// The longest input looked at, in bytes, as Postgres's work buffer.
const MAX_LENGTH: usize = 4096;

/// Splits input into fields; `None` if a character fits nowhere.
pub(crate) fn lex(text: &str) -> Option<Vec<Field>> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let mut lexer = Lexer {
        rest: text.as_bytes(),
    };
    let mut fields = Vec::new();
    while let Some(first) = lexer.peek() {
        if crate::numeric::is_space(char::from(first)) {
            lexer.skip();
            continue;
        }
        let field = match first {
            b'0'..=b'9' => lexer.digits_first(),
            b'.' => {
                let mut text = String::new();
                lexer.take(&mut text);
                lexer.take_while(&mut text, |b| b.is_ascii_digit());
                Field {
                    kind: Kind::Number,
                    text,
                }
            }
            b'a'..=b'z' | b'A'..=b'Z' => lexer.letters_first(),
            b'+' | b'-' => lexer.sign_first()?,
            _ if first.is_ascii_punctuation() => {
                lexer.skip();
                continue;
            }
            _ => return None,
        };
        fields.push(field);
        if fields.len() > MAX_FIELDS {
            return None;
        }
    }
    Some(fields)
}

struct Lexer<'a> {
    rest: &'a [u8],
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn skip(&mut self) {
        self.rest = &self.rest[1..];
    }

    fn peek_is(&self, test: impl Fn(u8) -> bool) -> bool {
        self.peek().is_some_and(test)
    }

    fn take(&mut self, text: &mut String) {
        if let Some(byte) = self.peek() {
            text.push(char::from(byte.to_ascii_lowercase()));
            self.skip();
        }
    }

    fn take_while(&mut self, text: &mut String, test: impl Fn(u8) -> bool) {
        while self.peek_is(&test) {
            self.take(text);
        }
    }

    /// A time, a date or a number.
    fn digits_first(&mut self) -> Field {
        let mut text = String::new();
        self.take_while(&mut text, |b| b.is_ascii_digit());
        let kind = match self.peek() {
            Some(b':') => {
                self.take(&mut text);
                self.take_while(&mut text, |b| b.is_ascii_digit() || b == b':' || b == b'.');
                Kind::Time
            }
            Some(delimiter @ (b'-' | b'/' | b'.')) => self.date_after(&mut text, delimiter),
            _ => Kind::Number,
        };
        Field { kind, text }
    }

    fn date_after(&mut self, text: &mut String, delimiter: u8) -> Kind {
        self.take(text);
        if !self.peek_is(|b| b.is_ascii_digit()) {
            self.take_while(text, |b| b.is_ascii_alphanumeric() || b == delimiter);
            return Kind::Date;
        }
        self.take_while(text, |b| b.is_ascii_digit());
        // Three parts with one delimiter are a date; two with a point are a number.
        if self.peek() != Some(delimiter) {
            return if delimiter == b'.' {
                Kind::Number
            } else {
                Kind::Date
            };
        }
        self.take(text);
        self.take_while(text, |b| b.is_ascii_digit() || b == delimiter);
        Kind::Date
    }

    /// A word, or a date or zone name that begins with one.
    fn letters_first(&mut self) -> Field {
        let mut text = String::new();
        self.take_while(&mut text, |b| b.is_ascii_alphabetic());
        let more = match self.peek() {
            Some(b'-' | b'/' | b'.') => true,
            Some(b'+' | b'0'..=b'9') => keywords::word(&text).is_none(),
            _ => false,
        };
        if !more {
            return Field {
                kind: Kind::Word,
                text,
            };
        }
        self.take_while(&mut text, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
        });
        Field {
            kind: Kind::Date,
            text,
        }
    }

    fn sign_first(&mut self) -> Option<Field> {
        let mut text = String::new();
        self.take(&mut text);
        while self.peek_is(|b| crate::numeric::is_space(char::from(b))) {
            self.skip();
        }
        let kind = match self.peek()? {
            b'0'..=b'9' => {
                self.take_while(&mut text, |b| {
                    b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-')
                });
                Kind::Signed
            }
            b if b.is_ascii_alphabetic() => {
                self.take_while(&mut text, |b| b.is_ascii_alphabetic());
                Kind::Special
            }
            _ => return None,
        };
        Some(Field { kind, text })
    }
}
