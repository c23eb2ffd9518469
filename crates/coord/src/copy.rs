//! COPY: rows from and to text and CSV, streaming.
//!
//! Input goes through `decode` (bytes to text), `lines` (text to records), and on several threads (`readers`)
//! through `fields` and `rows`. It may be cut anywhere. Large loads are written `ahead` to the log in pieces, so that memory is bounded by a piece and the longest
//! record; where keys must be unique, by eight bytes a key beside.

use crate::coordinator::Shared;
use crate::dml;
use crate::error::Error;
use crate::table::StoredTable;
use crate::transaction::{Coming, Transaction};
use everview_repr::text::Formatting;
use everview_repr::{Datum, RelationDesc, Row};
use everview_sql::plan::{CopyHeader, CopyOptions};
use std::sync::Arc;

pub(crate) mod ahead;
mod decode;
mod fields;
mod format;
mod lines;
mod readers;
mod rows;
#[cfg(test)]
mod tests;

use decode::Decoder;
use fields::Fields;
use lines::Lines;
use readers::{Lined, Reader, Readers};
pub(crate) use rows::Columns;
use rows::{Rows, at};

/// Bytes of a piece written ahead to the log.
const PIECE_BYTES: usize = 1 << 20;

/// The header line of a COPY TO STDOUT, if its options ask for one.
pub fn header_line(desc: &RelationDesc, options: &CopyOptions) -> Result<Option<Vec<u8>>, Error> {
    let Some(mut line) = format::header(desc, options) else {
        return Ok(None);
    };
    decode::encode(options.encoding, &mut line)?;
    Ok(Some(line))
}

/// Writes a row's line, with its end, as COPY TO STDOUT sends it. An error value fails it.
pub fn write_line(
    line: &mut Vec<u8>,
    desc: &RelationDesc,
    row: &Row,
    options: &CopyOptions,
    formatting: &Formatting,
) -> Result<(), Error> {
    if let Some(error) = row.iter().find_map(|d| match d {
        Datum::Error(error) => Some(error.to_error()),
        _ => None,
    }) {
        return Err(error.into());
    }
    line.clear();
    format::push_row(line, desc, row, options, formatting);
    decode::encode(options.encoding, line)
}

/// COPY FROM STDIN under way.
#[derive(Debug)]
pub(crate) struct CopyState {
    pub table: Arc<StoredTable>,
    decoder: Decoder,
    lines: Lines,
    readers: Readers,
    /// What the first line is; none once it has been read.
    header: CopyHeader,
    count: u64,
    /// Rows that the table leaves out, because they were there before.
    dropped: u64,
    /// Rows not yet in the transaction or the log, with their lines.
    pending: Lined,
    pending_bytes: usize,
}

impl CopyState {
    pub fn new(
        table: Arc<StoredTable>,
        columns: Columns,
        options: CopyOptions,
        formatting: Formatting,
    ) -> CopyState {
        CopyState {
            decoder: Decoder::new(options.encoding),
            lines: Lines::new(&options),
            header: options.header,
            readers: Readers::new(Reader {
                table: table.name.clone(),
                rows: Rows::new(table.clone(), columns, formatting),
                fields: Fields::new(options),
            }),
            table,
            count: 0,
            dropped: 0,
            pending: Vec::new(),
            pending_bytes: 0,
        }
    }

    pub fn columns(&self) -> usize {
        self.readers.reader.rows.arity()
    }

    /// How many rows took effect.
    pub fn count(&self) -> u64 {
        self.count - self.dropped
    }

    /// Takes a piece of the stream.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.read(Some(bytes))
    }

    /// The stream has ended: the last record may lack its line end.
    pub fn end(&mut self) -> Result<(), Error> {
        self.read(None)?;
        // Without any line, the header is an empty one.
        let header = read_header(&mut self.header, "", &mut self.readers.reader);
        let located = |error| at(error, &self.table.name, self.lines.line(), Some(""));
        header.map(|_| ()).map_err(located)
    }

    /// An error of this COPY, with the line that it has come to unless it says more.
    pub fn located(&self, error: Error) -> Error {
        match error.context {
            Some(_) => error,
            None => at(error, &self.table.name, self.lines.line(), None),
        }
    }

    fn read(&mut self, bytes: Option<&[u8]>) -> Result<(), Error> {
        if self.lines.ended() {
            return Ok(());
        }
        let CopyState {
            decoder,
            lines,
            readers,
            header,
            pending,
            table,
            ..
        } = self;
        let before = pending.len();
        let mut take_record =
            |record: &str, line| match read_header(header, record, &mut readers.reader) {
                Ok(true) => Ok(()),
                Ok(false) => readers.push(record, line, pending),
                Err(error) => Err(at(error, &table.name, line, Some(record))),
            };
        let cut = match bytes {
            Some(bytes) => decoder.feed(bytes, &mut |text| lines.feed(text, &mut take_record)),
            None => decoder.end().and_then(|()| lines.end(&mut take_record)),
        };
        // What was cut before an error, or before the end, may hold an error that comes first.
        let all_cut = cut.is_err() || bytes.is_none() || lines.ended();
        let read = match all_cut {
            true => readers.finish(pending),
            false => Ok(()),
        };
        let fresh = &pending[before..];
        self.count += fresh.len() as u64;
        self.pending_bytes += fresh
            .iter()
            .map(|(row, _)| row.bytes().len() + 16)
            .sum::<usize>();
        read.and(cut).map_err(|error| self.located(error))
    }

    /// Whether enough is pending to be written ahead.
    pub fn is_full(&self) -> bool {
        self.pending_bytes >= PIECE_BYTES
    }

    /// Moves pending rows into the transaction: the first and last few as buffered writes, large amounts written
    /// ahead to the log.
    pub fn flush(
        &mut self,
        shared: &Shared,
        transaction: &mut Transaction,
        last: bool,
    ) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let delivered = rows.iter().map(|(row, _)| (row, 1));
        dml::delivered(shared, transaction, &self.table, delivered);
        // The rows of a batch that was committed before were only counted.
        if transaction.is_repeated() {
            return Ok(());
        }
        let started = transaction
            .writes
            .get(&self.table.id)
            .is_some_and(|w| !w.chunks.is_empty());
        if !last || started {
            self.dropped += ahead::write(shared, transaction, &self.table, rows)?;
            return Ok(());
        }
        for (row, line) in rows {
            let sent = dml::insert_row(shared, transaction, &self.table, row, Coming::Sent);
            let inserted = sent.map_err(|error| at(error, &self.table.name, line, None))?;
            self.dropped += u64::from(!inserted);
        }
        Ok(())
    }
}

/// Whether a record is the header, which is then as it must be.
fn read_header(header: &mut CopyHeader, record: &str, reader: &mut Reader) -> Result<bool, Error> {
    let Reader { fields, rows, .. } = reader;
    match std::mem::replace(header, CopyHeader::None) {
        CopyHeader::None => Ok(false),
        CopyHeader::Skip => Ok(true),
        CopyHeader::Match => {
            let null = fields.null().to_string();
            rows.match_header(&fields.split(record)?, &null)?;
            Ok(true)
        }
    }
}
