//! The records of COPY's text and CSV formats, from text that comes in pieces cut anywhere.
//!
//! It follows PostgreSQL's CopyReadLineText: the first line end decides which all others must be, `\.` ends the data,
//! and a quoted field may hold line ends. A record comes out the same, with the same line number, however the text was
//! cut. It knows no fields.

use crate::error::Error;
use everview_repr::SqlState;
use everview_sql::plan::CopyOptions;

/// The longest record, as long as PostgreSQL's.
const MOST_RECORD_BYTES: usize = (1 << 30) - 1;

/// Takes text, gives records with their line numbers.
#[derive(Debug)]
pub(super) struct Lines {
    /// CSV's quote.
    quote: Option<u8>,
    /// CSV's escape, where it is not the quote.
    escape: Option<u8>,
    /// How lines end, once one has ended.
    ending: Option<Ending>,
    /// A record that has not ended yet, and how far it was searched for its end.
    partial: String,
    searched: usize,
    /// At that place: within quotes, after an escape in them.
    quoted: bool,
    escaped: bool,
    /// The line at hand, from 1; of a record of several lines it is the last.
    line: u64,
    /// The end-of-data marker was seen.
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Newline,
    Return,
    Both,
}

/// Receives each record, with its line.
pub(super) type Emit<'e> = dyn FnMut(&str, u64) -> Result<(), Error> + 'e;

enum Found {
    /// A record's end, and where the next begins.
    Record(usize, usize),
    /// The end-of-data marker; what is before it is a record, if anything.
    Marker(usize),
    /// Neither, as far as the text goes.
    Nothing,
}

impl Lines {
    pub fn new(options: &CopyOptions) -> Lines {
        let CopyOptions {
            csv, quote, escape, ..
        } = *options;
        Lines {
            quote: csv.then_some(quote),
            escape: (csv && escape != quote).then_some(escape),
            ending: None,
            partial: String::new(),
            searched: 0,
            quoted: false,
            escaped: false,
            line: 1,
            ended: false,
        }
    }

    /// The line that is being read, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Whether the end-of-data marker was seen: what follows is ignored.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Takes a piece; whether more is wanted.
    pub fn feed(&mut self, text: &str, emit: &mut Emit<'_>) -> Result<bool, Error> {
        if self.partial.is_empty() {
            // Whole records are read where they are; only the last one is kept.
            let used = self.records(text, false, emit)?;
            self.partial.push_str(&text[used..]);
        } else {
            let mut all = std::mem::take(&mut self.partial);
            all.push_str(text);
            let used = self.records(&all, false, emit)?;
            all.drain(..used);
            self.partial = all;
        }
        if self.partial.len() > MOST_RECORD_BYTES {
            let detail = format!("A record of COPY is longer than {MOST_RECORD_BYTES} bytes.");
            return Err(
                Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "out of memory").with_detail(detail),
            );
        }
        Ok(!self.ended)
    }

    /// The text has ended: the last record may lack its end.
    pub fn end(&mut self, emit: &mut Emit<'_>) -> Result<(), Error> {
        let rest = std::mem::take(&mut self.partial);
        let used = self.records(&rest, true, emit)?;
        if used < rest.len() && !self.ended {
            self.ended = true;
            emit(&rest[used..], self.line)?;
        }
        Ok(())
    }

    /// Emits the whole records at the front; gives the bytes used.
    fn records(&mut self, text: &str, last: bool, emit: &mut Emit<'_>) -> Result<usize, Error> {
        let mut start = 0;
        while !self.ended {
            match self.find(text.as_bytes(), start, last)? {
                Found::Record(end, next) => {
                    emit(&text[start..end], self.line)?;
                    self.line += 1;
                    start = next;
                    self.searched = next;
                }
                Found::Marker(end) => {
                    self.ended = true;
                    if end > start {
                        emit(&text[start..end], self.line)?;
                    }
                }
                Found::Nothing => {
                    self.searched -= start;
                    return Ok(start);
                }
            }
        }
        Ok(text.len())
    }

    /// The end of the record that begins at `start`, searched for from where the last search ended.
    fn find(&mut self, bytes: &[u8], start: usize, last: bool) -> Result<Found, Error> {
        while let Some(at) = self.special(bytes, start) {
            self.searched = at;
            let rest = &bytes[at..];
            if !last && rest.len() < decisive(rest) {
                return Ok(Found::Nothing);
            }
            self.searched = at + 1;
            self.turn(bytes[at]);
            match bytes[at] {
                b'\r' if !self.quoted => {
                    let length = self.carriage_return(rest.get(1) == Some(&b'\n'))?;
                    return Ok(Found::Record(at, at + length));
                }
                b'\n' if !self.quoted => {
                    if self.ending.is_some_and(|e| e != Ending::Newline) {
                        return Err(self.stray("newline", "n"));
                    }
                    self.ending = Some(Ending::Newline);
                    return Ok(Found::Record(at, at + 1));
                }
                b'\\'
                    if rest.get(1) == Some(&b'.')
                        && (self.quote.is_none() || at == start)
                        && self.is_marker(&rest[2..])? =>
                {
                    return Ok(Found::Marker(at));
                }
                // Whatever follows a backslash is data.
                b'\\' if self.quote.is_none() => self.searched = bytes.len().min(at + 2),
                _ => {}
            }
        }
        self.searched = bytes.len();
        Ok(Found::Nothing)
    }

    /// The next byte that may matter.
    fn special(&self, bytes: &[u8], start: usize) -> Option<usize> {
        let rest = bytes.get(self.searched..)?;
        let found = match self.quote {
            None => memchr::memchr3(b'\n', b'\r', b'\\', rest),
            Some(_) if self.searched == start && rest.first() == Some(&b'\\') => Some(0),
            Some(quote) if !self.quoted => memchr::memchr3(b'\n', b'\r', quote, rest),
            Some(_) if self.escaped => (!rest.is_empty()).then_some(0),
            Some(quote) => {
                let escape = self.escape.unwrap_or(quote);
                memchr::memchr3(quote, escape, self.counted(), rest)
            }
        };
        found.map(|at| self.searched + at)
    }

    /// The byte that is counted as a line within quotes.
    fn counted(&self) -> u8 {
        match self.ending {
            Some(Ending::Newline) => b'\n',
            _ => b'\r',
        }
    }

    /// Passes a byte in CSV: an escape counts in quotes only, and not after another.
    fn turn(&mut self, byte: u8) {
        if self.quoted && Some(byte) == self.escape {
            self.escaped = !self.escaped;
        }
        if Some(byte) == self.quote && !self.escaped {
            self.quoted = !self.quoted;
        }
        if Some(byte) != self.escape {
            self.escaped = false;
        }
        if self.quoted && byte == self.counted() {
            self.line += 1;
        }
    }

    /// A carriage return ends a line; gives the bytes of the line's end.
    fn carriage_return(&mut self, newline: bool) -> Result<usize, Error> {
        let ending = match (self.ending, newline) {
            (None | Some(Ending::Both), true) => Ending::Both,
            (None, false) | (Some(Ending::Return), _) => Ending::Return,
            (Some(Ending::Both), false) | (Some(Ending::Newline), _) => {
                return Err(self.stray("carriage return", "r"));
            }
        };
        self.ending = Some(ending);
        Ok(if ending == Ending::Both { 2 } else { 1 })
    }

    /// Whether what follows `\.` makes it the end-of-data marker. In CSV it may be data, in text it may not.
    fn is_marker(&self, after: &[u8]) -> Result<bool, Error> {
        let csv = self.quote.is_some();
        let not = |error: &str| match csv {
            true => Ok(false),
            false => Err(malformed(error)),
        };
        const CORRUPT: &str = "end-of-copy marker corrupt";
        const OTHER_ENDING: &str = "end-of-copy marker does not match previous newline style";
        let mut after = after.iter();
        let mut byte = after.next();
        if self.ending == Some(Ending::Both) {
            match byte {
                Some(b'\r') => byte = after.next(),
                Some(b'\n') => return not(OTHER_ENDING),
                _ => return not(CORRUPT),
            }
        }
        match (self.ending, byte) {
            (None, Some(b'\r' | b'\n'))
            | (Some(Ending::Newline | Ending::Both), Some(b'\n'))
            | (Some(Ending::Return), Some(b'\r')) => Ok(true),
            (_, Some(b'\r' | b'\n')) => Err(malformed(OTHER_ENDING)),
            _ => not(CORRUPT),
        }
    }

    /// The error for a line end that is not like the first.
    fn stray(&self, what: &str, letter: &str) -> Error {
        match self.quote {
            Some(_) => malformed(&format!("unquoted {what} found in data"))
                .with_hint(format!("Use quoted CSV field to represent {what}.")),
            None => malformed(&format!("literal {what} found in data"))
                .with_hint(format!("Use \"\\{letter}\" to represent {what}.")),
        }
    }
}

/// How many bytes must be there to tell what the first of them is.
fn decisive(bytes: &[u8]) -> usize {
    match bytes {
        [b'\\', b'.', b'\r', ..] => 4,
        [b'\\', b'.', ..] => 3,
        [b'\\' | b'\r', ..] => 2,
        _ => 1,
    }
}

/// An error of the format.
pub(super) fn malformed(message: &str) -> Error {
    Error::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}
