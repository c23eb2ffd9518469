//! The fields of a record of COPY's text and CSV formats.
//!
//! They are PostgreSQL's CopyReadAttributesText and CopyReadAttributesCSV (manual, COPY, "File Formats"). A record
//! without quotes and escapes, as most are, is not copied. It knows no types and no table.

use super::decode::checked;
use super::lines::malformed;
use crate::error::Error;
use everview_sql::plan::CopyOptions;

/// Splits records; keeps its buffers from one to the next.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    options: CopyOptions,
    spans: Vec<Span>,
    unescaped: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    null: bool,
}

/// A record's fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'r> {
    text: &'r str,
    spans: &'r [Span],
}

impl<'r> Record<'r> {
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// It is an empty line: one empty field, or none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.len() == 1
    }

    /// A field, if there is one; none within for NULL.
    pub fn get(&self, field: usize) -> Option<Option<&'r str>> {
        let Span { start, end, null } = *self.spans.get(field)?;
        Some((!null).then(|| &self.text[start..end]))
    }
}

impl Fields {
    pub fn new(options: CopyOptions) -> Fields {
        Fields {
            options,
            spans: Vec::new(),
            unescaped: Vec::new(),
        }
    }

    /// The string that stands for NULL.
    pub fn null(&self) -> &str {
        &self.options.null
    }

    /// The fields of a record.
    ///
    /// Errors: 22P04 for a quote that is not closed, 22021 where escapes make no text.
    pub fn split<'r>(&'r mut self, record: &'r str) -> Result<Record<'r>, Error> {
        self.spans.clear();
        self.unescaped.clear();
        let special = if self.options.csv {
            self.options.quote
        } else {
            b'\\'
        };
        let bytes = record.as_bytes();
        if memchr::memchr(special, bytes).is_none() {
            self.plain(bytes);
            let spans = &self.spans;
            return Ok(Record {
                text: record,
                spans,
            });
        }
        match self.options.csv {
            true => self.csv(bytes)?,
            false => self.text(bytes)?,
        }
        let text = checked(&self.unescaped)?;
        let spans = &self.spans;
        Ok(Record { text, spans })
    }

    fn plain(&mut self, record: &[u8]) {
        let CopyOptions {
            delimiter,
            null,
            force_not_null,
            ..
        } = &self.options;
        let mut start = 0;
        for end in memchr::memchr_iter(*delimiter, record).chain([record.len()]) {
            let column = self.spans.len();
            let null = &record[start..end] == null.as_bytes() && !force_not_null.contains(&column);
            self.spans.push(Span { start, end, null });
            start = end + 1;
        }
    }

    fn text(&mut self, record: &[u8]) -> Result<(), Error> {
        let delimiter = self.options.delimiter;
        let mut rest = record;
        loop {
            let start = self.unescaped.len();
            let mut raw = 0;
            let mut more = false;
            loop {
                let Some(found) = memchr::memchr2(delimiter, b'\\', &rest[raw..]) else {
                    self.unescaped.extend_from_slice(&rest[raw..]);
                    raw = rest.len();
                    break;
                };
                self.unescaped.extend_from_slice(&rest[raw..raw + found]);
                raw += found;
                more = rest[raw] == delimiter;
                // A backslash at the very end stands for nothing.
                if more || raw + 1 == rest.len() {
                    break;
                }
                raw += 1 + unescape(&rest[raw + 1..], &mut self.unescaped);
            }
            let null = &rest[..raw] == self.options.null.as_bytes();
            if null {
                self.unescaped.truncate(start);
            }
            // Each by itself: the halves of a character in two fields make none.
            checked(&self.unescaped[start..])?;
            let end = self.unescaped.len();
            self.spans.push(Span { start, end, null });
            if !more {
                return Ok(());
            }
            rest = &rest[raw + 1..];
        }
    }

    fn csv(&mut self, record: &[u8]) -> Result<(), Error> {
        let CopyOptions {
            delimiter,
            quote,
            escape,
            ..
        } = self.options;
        let mut at = 0;
        loop {
            let start = self.unescaped.len();
            let mut was_quoted = false;
            let mut more = false;
            while let Some(found) = memchr::memchr2(delimiter, quote, &record[at..]) {
                self.unescaped.extend_from_slice(&record[at..at + found]);
                at += found + 1;
                more = record[at - 1] == delimiter;
                if more {
                    break;
                }
                was_quoted = true;
                at = quoted(record, at, quote, escape, &mut self.unescaped)?;
            }
            if !more {
                self.unescaped.extend_from_slice(&record[at..]);
            }
            let column = self.spans.len();
            let is_null = &self.unescaped[start..] == self.options.null.as_bytes();
            let null = is_null
                && match was_quoted {
                    true => self.options.force_null.contains(&column),
                    false => !self.options.force_not_null.contains(&column),
                };
            let end = self.unescaped.len();
            self.spans.push(Span { start, end, null });
            if !more {
                return Ok(());
            }
        }
    }
}

/// Appends what is in quotes from `at` on; gives the place after the closing quote.
fn quoted(
    record: &[u8],
    mut at: usize,
    quote: u8,
    escape: u8,
    out: &mut Vec<u8>,
) -> Result<usize, Error> {
    while let Some(found) = memchr::memchr2(quote, escape, &record[at..]) {
        out.extend_from_slice(&record[at..at + found]);
        at += found + 1;
        let byte = record[at - 1];
        let next = record.get(at).copied();
        if byte == escape && next.is_some_and(|n| n == quote || n == escape) {
            out.extend(next);
            at += 1;
        } else if byte == quote {
            return Ok(at);
        } else {
            out.push(byte);
        }
    }
    Err(malformed("unterminated CSV quoted field"))
}

/// Appends what the bytes after a backslash stand for; gives how many were used.
fn unescape(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let number = |digits: &[u8], radix: u32| {
        let value = |b: &u8| char::from(*b).to_digit(radix).unwrap_or(0);
        digits.iter().fold(0, |v, d| v * radix + value(d)) as u8
    };
    let leading = |bytes: &[u8], most: usize, radix: u32| {
        let is_digit = |b: &&u8| char::from(**b).is_digit(radix);
        bytes.iter().take(most).take_while(is_digit).count()
    };
    let plain = match *rest {
        [b'b', ..] => 8,
        [b'f', ..] => 12,
        [b'n', ..] => b'\n',
        [b'r', ..] => b'\r',
        [b't', ..] => b'\t',
        [b'v', ..] => 11,
        [b'0'..=b'7', ..] => {
            let digits = leading(rest, 3, 8);
            out.push(number(&rest[..digits], 8));
            return digits;
        }
        [b'x', ref hex @ ..] if leading(hex, 2, 16) > 0 => {
            let digits = leading(hex, 2, 16);
            out.push(number(&hex[..digits], 16));
            return 1 + digits;
        }
        [other, ..] => other,
        [] => return 0,
    };
    out.push(plain);
    1
}
