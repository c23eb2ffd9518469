//! Records and fields of COPY's text and CSV formats, from bytes that come in pieces cut anywhere.
//!
//! The formats are PostgreSQL's (manual, COPY, "File Formats"). It knows no types and no table.

use crate::error::Error;
use everview_repr::SqlState;
use everview_sql::plan::CopyOptions;

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// Its bytes, escapes and quotes undone.
    pub bytes: &'a [u8],
    /// It is NULL.
    pub null: bool,
}

/// The longest record: as long as a value may be, with room for the others.
const MOST_RECORD_BYTES: usize = 1 << 30;

/// Takes bytes, gives records with their line numbers.
#[derive(Debug)]
pub(super) struct Splitter {
    options: CopyOptions,
    /// A record that has not ended yet.
    partial: Vec<u8>,
    /// How far `partial` was searched for its end, and whether that place is in quotes.
    searched: usize,
    quoted: bool,
    /// The byte before the place was an escape.
    escaped: bool,
    /// The line on which the record at hand starts.
    line: u64,
    lines_in_record: u64,
    /// The end-of-data marker was seen.
    ended: bool,
    fields: Vec<(usize, usize, bool)>,
    unescaped: Vec<u8>,
}

/// Receives each record.
pub(super) type Emit<'e> = dyn FnMut(&[Field<'_>], u64) -> Result<(), Error> + 'e;

impl Splitter {
    pub fn new(options: CopyOptions) -> Splitter {
        Splitter {
            options,
            partial: Vec::new(),
            searched: 0,
            quoted: false,
            escaped: false,
            line: 1,
            lines_in_record: 0,
            ended: false,
            fields: Vec::new(),
            unescaped: Vec::new(),
        }
    }

    /// Takes a piece.
    pub fn feed(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Result<(), Error> {
        if self.partial.is_empty() {
            // Whole records are read where they are; only the last one is kept.
            let used = self.records(bytes, emit)?;
            self.partial.extend_from_slice(&bytes[used..]);
        } else {
            let mut all = std::mem::take(&mut self.partial);
            all.extend_from_slice(bytes);
            let used = self.records(&all, emit)?;
            all.drain(..used);
            self.partial = all;
        }
        if self.partial.len() > MOST_RECORD_BYTES {
            return Err(self.malformed("a record is longer than 1 GiB"));
        }
        Ok(())
    }

    /// The stream has ended.
    pub fn finish(&mut self, emit: &mut Emit<'_>) -> Result<(), Error> {
        if self.quoted {
            return Err(self.malformed("unterminated CSV quoted field"));
        }
        if !self.partial.is_empty() {
            let last = std::mem::take(&mut self.partial);
            self.record(trim_return(&last), emit)?;
        }
        Ok(())
    }

    /// Emits the whole records at the front; gives the bytes used.
    fn records(&mut self, bytes: &[u8], emit: &mut Emit<'_>) -> Result<usize, Error> {
        let mut start = 0;
        let mut at = self.searched;
        while let Some(end) = self.record_end(bytes, &mut at) {
            self.record(trim_return(&bytes[start..end]), emit)?;
            start = end + 1;
        }
        self.searched = bytes.len() - start;
        Ok(start)
    }

    /// The next newline that ends a record, from `at`, which is moved past it.
    fn record_end(&mut self, bytes: &[u8], at: &mut usize) -> Option<usize> {
        if !self.options.csv {
            return self.text_record_end(bytes, at);
        }
        let (quote, escape) = (self.options.quote, self.options.escape);
        while *at < bytes.len() {
            if !self.quoted {
                let found = memchr::memchr2(b'\n', quote, &bytes[*at..]);
                let Some(found) = found else {
                    *at = bytes.len();
                    return None;
                };
                *at += found + 1;
                if bytes[*at - 1] == b'\n' {
                    return Some(*at - 1);
                }
                self.quoted = true;
                continue;
            }
            let byte = bytes[*at];
            *at += 1;
            if self.escaped {
                self.escaped = false;
            } else if byte == escape && escape != quote {
                self.escaped = true;
            } else if byte == quote {
                self.quoted = false;
            } else if byte == b'\n' {
                self.lines_in_record += 1;
            }
        }
        None
    }

    fn text_record_end(&mut self, bytes: &[u8], at: &mut usize) -> Option<usize> {
        while *at < bytes.len() {
            if std::mem::take(&mut self.escaped) {
                if bytes[*at] == b'\n' {
                    self.lines_in_record += 1;
                }
                *at += 1;
                continue;
            }
            let Some(found) = memchr::memchr2(b'\n', b'\\', &bytes[*at..]) else {
                *at = bytes.len();
                return None;
            };
            *at += found + 1;
            if bytes[*at - 1] == b'\n' {
                return Some(*at - 1);
            }
            self.escaped = true;
        }
        None
    }

    fn record(&mut self, record: &[u8], emit: &mut Emit<'_>) -> Result<(), Error> {
        let line = self.line;
        if self.ended || record == b"\\." {
            self.ended = true;
            return Ok(());
        }
        self.fields.clear();
        self.unescaped.clear();
        if self.options.csv {
            self.csv_fields(record)?
        } else {
            self.text_fields(record)
        }
        let unescaped = &self.unescaped;
        let fields: smallvec::SmallVec<[Field<'_>; 32]> = self
            .fields
            .iter()
            .map(|(from, to, null)| Field {
                bytes: &unescaped[*from..*to],
                null: *null,
            })
            .collect();
        // A table without columns has empty lines.
        emit(&fields, line)?;
        self.line += 1 + std::mem::take(&mut self.lines_in_record);
        Ok(())
    }

    /// The fields of a record in which nothing is escaped or quoted, as in most.
    fn plain_fields(&mut self, record: &[u8]) {
        let CopyOptions {
            delimiter,
            null,
            force_not_null,
            ..
        } = &self.options;
        self.unescaped.extend_from_slice(record);
        let ends = memchr::memchr_iter(*delimiter, record).chain([record.len()]);
        let mut start = 0;
        for end in ends {
            let column = self.fields.len();
            let null = &record[start..end] == null.as_bytes() && !force_not_null.contains(&column);
            self.fields.push((start, end, null));
            start = end + 1;
        }
    }

    fn text_fields(&mut self, record: &[u8]) {
        if memchr::memchr(b'\\', record).is_none() {
            return self.plain_fields(record);
        }
        let delimiter = self.options.delimiter;
        let mut rest = record;
        loop {
            let start = self.unescaped.len();
            let mut raw = 0;
            let mut more = false;
            while raw < rest.len() {
                let Some(found) = memchr::memchr2(delimiter, b'\\', &rest[raw..]) else {
                    self.unescaped.extend_from_slice(&rest[raw..]);
                    raw = rest.len();
                    break;
                };
                self.unescaped.extend_from_slice(&rest[raw..raw + found]);
                raw += found;
                if rest[raw] == delimiter {
                    more = true;
                    break;
                }
                raw += 1 + unescape(&rest[raw + 1..], &mut self.unescaped);
            }
            let null = &rest[..raw] == self.options.null.as_bytes();
            self.fields.push((start, self.unescaped.len(), null));
            if !more {
                return;
            }
            rest = &rest[raw + 1..];
        }
    }

    fn csv_fields(&mut self, record: &[u8]) -> Result<(), Error> {
        let CopyOptions {
            delimiter,
            quote,
            escape,
            ..
        } = self.options;
        if memchr::memchr(quote, record).is_none() {
            self.plain_fields(record);
            return Ok(());
        }
        let mut at = 0;
        loop {
            let start = self.unescaped.len();
            let mut was_quoted = false;
            let mut in_quotes = false;
            let mut more = false;
            while at < record.len() {
                let byte = record[at];
                at += 1;
                if in_quotes {
                    let next = record.get(at).copied();
                    if byte == escape && next.is_some_and(|n| n == quote || n == escape) {
                        self.unescaped.extend(next);
                        at += 1;
                    } else if byte == quote {
                        in_quotes = false;
                    } else {
                        self.unescaped.push(byte);
                    }
                } else if byte == delimiter {
                    more = true;
                    break;
                } else if byte == quote {
                    in_quotes = true;
                    was_quoted = true;
                } else {
                    self.unescaped.push(byte);
                }
            }
            if in_quotes {
                return Err(self.malformed("unterminated CSV quoted field"));
            }
            let column = self.fields.len();
            let is_null_text = &self.unescaped[start..] == self.options.null.as_bytes();
            let null = if was_quoted {
                is_null_text && self.options.force_null.contains(&column)
            } else {
                is_null_text && !self.options.force_not_null.contains(&column)
            };
            self.fields.push((start, self.unescaped.len(), null));
            if !more {
                return Ok(());
            }
        }
    }

    fn malformed(&self, message: &str) -> Error {
        Error {
            context: Some(format!("COPY, line {}", self.line)),
            ..Error::new(SqlState::BAD_COPY_FILE_FORMAT, message)
        }
    }
}

fn trim_return(record: &[u8]) -> &[u8] {
    record.strip_suffix(b"\r").unwrap_or(record)
}

/// Appends what the bytes after a backslash stand for; gives how many were used.
fn unescape(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(&byte) = rest.first() else {
        out.push(b'\\');
        return 0;
    };
    let plain = match byte {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'0'..=b'7' => {
            let digits = rest
                .iter()
                .take(3)
                .take_while(|b| (b'0'..=b'7').contains(b))
                .count();
            let value = rest[..digits]
                .iter()
                .fold(0u32, |v, d| v * 8 + u32::from(d - b'0'));
            out.push(value as u8);
            return digits;
        }
        b'x' if rest.get(1).is_some_and(u8::is_ascii_hexdigit) => {
            let digits = rest[1..]
                .iter()
                .take(2)
                .take_while(|b| b.is_ascii_hexdigit())
                .count();
            let text = std::str::from_utf8(&rest[1..1 + digits]).unwrap_or("0");
            out.push(u8::from_str_radix(text, 16).unwrap_or(0));
            return 1 + digits;
        }
        other => other,
    };
    out.push(plain);
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use everview_sql::plan::CopyHeader;

    fn options(csv: bool) -> CopyOptions {
        CopyOptions {
            csv,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { "" } else { "\\N" }.to_string(),
            header: CopyHeader::None,
            quote: b'"',
            escape: b'"',
            force_quote: vec![],
            force_not_null: vec![],
            force_null: vec![],
        }
    }

    fn split(csv: bool, input: &[u8], piece: usize) -> Vec<Vec<Option<String>>> {
        let mut splitter = Splitter::new(options(csv));
        let mut out = Vec::new();
        let mut emit = |fields: &[Field<'_>], _| {
            let text =
                |f: &Field<'_>| (!f.null).then(|| String::from_utf8_lossy(f.bytes).into_owned());
            out.push(fields.iter().map(text).collect::<Vec<_>>());
            Ok(())
        };
        for part in input.chunks(piece) {
            splitter.feed(part, &mut emit).expect("well formed");
        }
        splitter.finish(&mut emit).expect("well formed");
        out
    }

    #[test]
    fn records_are_the_same_however_the_stream_is_cut() {
        let text = b"a\\tb\tc\\\nd\t\\N\r\nx\t\ty\n\\.\nignored\n";
        let csv = b"a,\"b,\"\"c\nd\",\n,\"\",x\r\nlast,1,2";
        for piece in 1..40 {
            let rows = split(false, text, piece);
            let some = |s: &str| Some(s.to_string());
            assert_eq!(
                rows,
                [
                    vec![some("a\tb"), some("c\nd"), None],
                    vec![some("x"), some(""), some("y")]
                ]
            );
            let rows = split(true, csv, piece);
            assert_eq!(
                rows,
                [
                    vec![some("a"), some("b,\"c\nd"), None],
                    vec![None, some(""), some("x")],
                    vec![some("last"), some("1"), some("2")]
                ]
            );
        }
    }

    #[test]
    fn records_with_and_without_quotes_agree_on_what_is_null() {
        let nulls = |input: &[u8]| {
            let mut splitter = Splitter::new(CopyOptions {
                null: "NA".to_string(),
                force_not_null: vec![1],
                ..options(true)
            });
            let mut out = Vec::new();
            let mut emit = |fields: &[Field<'_>], _| {
                let field = |f: &Field<'_>| (f.bytes.to_vec(), f.null);
                out.extend(fields.iter().map(field));
                Ok(())
            };
            splitter.feed(input, &mut emit).expect("well formed");
            out
        };
        let plain = nulls(b"NA,NA,,x,NA\n");
        let null: Vec<bool> = plain.iter().map(|(_, null)| *null).collect();
        assert_eq!(null, [true, false, false, false, true]);
        // The quotes of the fourth field send the record the long way.
        assert_eq!(nulls(b"NA,NA,,\"x\",NA\n"), plain);
    }

    #[test]
    fn escapes_are_postgres_s() {
        let rows = split(false, b"\\101\\x42\\q\\\\\t\\.x\n", 7);
        assert_eq!(
            rows,
            [vec![Some("ABq\\".to_string()), Some(".x".to_string())]]
        );
    }
}
