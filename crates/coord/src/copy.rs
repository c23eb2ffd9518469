//! COPY: rows from and to text and CSV, streaming.
//!
//! Input may be cut anywhere; memory is bounded by the longest record. Large loads of a transaction are written
//! ahead to the log in pieces.

use crate::codec;
use crate::coordinator::Shared;
use crate::error::Error;
use crate::table::StoredTable;
use crate::tables::AsOf;
use crate::transaction::{Transaction, key_hash, unique_keys};
use everview_log::ChunkRef;
use everview_repr::text::{Formatting, apply_typmod, parse_into_with};
use everview_repr::{ColumnType, Datum, RelationDesc, Row, RowArena, RowRef, SqlState, Typmod};
use everview_sql::plan::{CopyHeader, CopyOptions};
use std::sync::Arc;

pub(crate) mod format;
mod split;

use split::{Field, Splitter};

/// Bytes of a piece written ahead to the log.
const PIECE_BYTES: usize = 1 << 20;

/// The header line of a COPY TO STDOUT, if its options ask for one.
pub fn header_line(desc: &RelationDesc, options: &CopyOptions) -> Option<Vec<u8>> {
    format::header(desc, options)
}

/// Appends a row's line, with its end, as COPY TO STDOUT sends it. An error value fails it.
pub fn push_line(
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
    let types: Vec<_> = desc.columns.iter().map(|c| c.ty.scalar.clone()).collect();
    format::push_row(line, &types, row.iter(), options, formatting);
    Ok(())
}

/// COPY FROM STDIN under way.
#[derive(Debug)]
pub(crate) struct CopyState {
    pub table: Arc<StoredTable>,
    parser: RowParser,
    splitter: Splitter,
    header: CopyHeader,
    records: u64,
    rows: u64,
    /// Rows not yet in the transaction or the log.
    pending: Vec<Row>,
    pending_bytes: usize,
}

#[derive(Debug)]
struct RowParser {
    /// For each input field, the table's column.
    columns: Vec<usize>,
    /// Name and type of each table column.
    types: Vec<(String, ColumnType)>,
    /// The values of columns that are not in the input.
    defaults: Vec<(usize, everview_expr::ScalarExpr)>,
    /// Input fields are all columns in table order.
    in_order: bool,
    formatting: Formatting,
    relation: String,
    /// The row under way, and a value of it before its type modifier is applied.
    packed: Vec<u8>,
    unfitted: Vec<u8>,
}

impl CopyState {
    pub fn new(
        table: Arc<StoredTable>,
        columns: Vec<usize>,
        defaults: Vec<(usize, everview_expr::ScalarExpr)>,
        options: CopyOptions,
        formatting: Formatting,
    ) -> CopyState {
        let types = table
            .desc
            .columns
            .iter()
            .map(|c| (c.name.clone(), c.ty.clone()))
            .collect();
        let in_order = columns.iter().copied().eq(0..table.desc.arity());
        let relation = table.name.clone();
        let header = options.header;
        let parser = RowParser {
            columns,
            types,
            defaults,
            in_order,
            formatting,
            relation,
            packed: Vec::new(),
            unfitted: Vec::new(),
        };
        CopyState {
            table,
            parser,
            splitter: Splitter::new(options),
            header,
            records: 0,
            rows: 0,
            pending: Vec::new(),
            pending_bytes: 0,
        }
    }

    pub fn columns(&self) -> usize {
        self.parser.columns.len()
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes a piece of the stream.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let CopyState {
            splitter,
            parser,
            header,
            records,
            rows,
            pending,
            pending_bytes,
            ..
        } = self;
        splitter.feed(bytes, &mut |fields, line| {
            *records += 1;
            if *records == 1 && *header != CopyHeader::None {
                return parser.check_header(fields, *header, line);
            }
            let row = parser.row(fields, line)?;
            *pending_bytes += row.bytes().len() + 8;
            *rows += 1;
            pending.push(row);
            Ok(())
        })
    }

    /// The stream has ended: the last record may lack its newline.
    pub fn end(&mut self) -> Result<(), Error> {
        let CopyState {
            splitter,
            parser,
            header,
            records,
            rows,
            pending,
            pending_bytes,
            ..
        } = self;
        splitter.finish(&mut |fields, line| {
            *records += 1;
            if *records == 1 && *header != CopyHeader::None {
                return parser.check_header(fields, *header, line);
            }
            let row = parser.row(fields, line)?;
            *pending_bytes += row.bytes().len() + 8;
            *rows += 1;
            pending.push(row);
            Ok(())
        })
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
        // The rows of a batch that was committed before were only counted.
        if transaction.is_repeated() {
            return Ok(());
        }
        let started = transaction
            .writes
            .get(&self.table.id)
            .is_some_and(|w| !w.chunks.is_empty());
        if last && !started {
            let rows = rows.into_iter().map(|row| (row, 1)).collect();
            crate::dml::insert(shared, transaction, &self.table, rows, None, None)?;
            return Ok(());
        }
        write_ahead(shared, transaction, &self.table, rows)
    }
}

/// Writes rows ahead to the log as one piece of the transaction.
fn write_ahead(
    shared: &Shared,
    transaction: &mut Transaction,
    table: &Arc<StoredTable>,
    rows: Vec<Row>,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut bytes = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
    codec::start(&mut bytes);
    let below = AsOf {
        tables: &shared.tables,
        as_of: transaction.snapshot,
    };
    let id = transaction.id;
    let Transaction { writes, reads, .. } = transaction;
    let writes = writes.entry(table.id).or_default();
    for row in &rows {
        table.check(row)?;
        for (unique, key) in unique_keys(table, row) {
            let hash = key_hash(&key);
            let own = writes
                .keys
                .get(&unique.constraint)
                .and_then(|keys| keys.get(&key));
            let taken = match own {
                Some(row) => row.is_some(),
                None => writes.find(table, unique, &key, &below, reads)?.is_some(),
            };
            let fresh = writes
                .chunk_keys
                .entry(unique.constraint)
                .or_default()
                .insert(hash);
            if taken || !fresh {
                return Err(table.duplicate(unique, row));
            }
        }
        codec::push(&mut bytes, row.as_ref(), 1);
    }
    let collection = u64::from(table.id.0);
    let position = shared.log.append_chunk(id, collection, &bytes)?;
    writes.chunks.push(ChunkRef {
        collection,
        position,
    });
    writes.chunk_rows += rows.len() as u64;
    Ok(())
}

impl RowParser {
    fn check_header(
        &self,
        fields: &[Field<'_>],
        header: CopyHeader,
        line: u64,
    ) -> Result<(), Error> {
        if header != CopyHeader::Match {
            return Ok(());
        }
        let expected = self.columns.iter().map(|c| self.types[*c].0.as_bytes());
        let got = fields.iter().map(|f| f.bytes);
        if expected.eq(got) {
            return Ok(());
        }
        let message = "column names of the header line do not match those of the table";
        Err(self.at(
            Error::new(SqlState::BAD_COPY_FILE_FORMAT, message),
            line,
            None,
            None,
        ))
    }

    fn row(&mut self, fields: &[Field<'_>], line: u64) -> Result<Row, Error> {
        if fields.len() > self.columns.len() {
            let message = "extra data after last expected column";
            let error = Error::new(SqlState::BAD_COPY_FILE_FORMAT, message);
            return Err(self.at(error, line, None, None));
        }
        let mut packed = std::mem::take(&mut self.packed);
        let mut unfitted = std::mem::take(&mut self.unfitted);
        packed.clear();
        if self.in_order {
            for (i, column) in self.columns.iter().enumerate() {
                self.field(fields.get(i), *column, line, &mut packed, &mut unfitted)?;
            }
        } else {
            let mut parts: Vec<Vec<u8>> = vec![Vec::new(); self.types.len()];
            for (i, column) in self.columns.iter().enumerate() {
                let part = &mut parts[*column];
                self.field(fields.get(i), *column, line, part, &mut unfitted)?;
            }
            let arena = RowArena::new();
            for (column, default) in &self.defaults {
                let datum = default.eval(&[], &arena);
                if let Datum::Error(error) = datum {
                    return Err(self.at(error.to_error().into(), line, None, None));
                }
                everview_repr::row::push_datum(&mut parts[*column], datum);
            }
            parts.iter().for_each(|part| packed.extend_from_slice(part));
        }
        let row = RowRef::from_packed(&packed).to_row();
        (self.packed, self.unfitted) = (packed, unfitted);
        Ok(row)
    }

    fn field(
        &self,
        field: Option<&Field<'_>>,
        column: usize,
        line: u64,
        out: &mut Vec<u8>,
        unfitted: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (name, ty) = &self.types[column];
        let Some(field) = field else {
            let message = format!("missing data for column \"{name}\"");
            let error = Error::new(SqlState::BAD_COPY_FILE_FORMAT, message);
            return Err(self.at(error, line, None, None));
        };
        if field.null {
            everview_repr::row::push_datum(out, Datum::Null);
            return Ok(());
        }
        let text = std::str::from_utf8(field.bytes).map_err(|e| {
            let byte = field.bytes[e.valid_up_to()];
            let message = format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}");
            let error = Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message);
            self.at(error, line, Some(name), None)
        })?;
        if memchr::memchr(0, field.bytes).is_some() {
            let message = "invalid byte sequence for encoding \"UTF8\": 0x00";
            let error = Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message);
            return Err(self.at(error, line, Some(name), None));
        }
        let start = out.len();
        let parsed = parse_into_with(&ty.scalar, text, &self.formatting, out);
        parsed.map_err(|e| self.at(e.into(), line, Some(name), Some(text)))?;
        if ty.typmod != Typmod::NONE {
            let arena = RowArena::new();
            unfitted.clear();
            unfitted.extend(out.drain(start..));
            let first = RowRef::from_packed(unfitted).iter().next();
            let datum = first.unwrap_or(Datum::Null);
            let fitted = apply_typmod(&ty.scalar, ty.typmod, datum, false, &arena);
            let fitted = fitted.map_err(|e| self.at(e.into(), line, Some(name), Some(text)))?;
            everview_repr::row::push_datum(out, fitted);
        }
        Ok(())
    }

    fn at(&self, error: Error, line: u64, column: Option<&str>, value: Option<&str>) -> Error {
        let mut context = format!("COPY {}, line {line}", self.relation);
        if let Some(column) = column {
            context.push_str(&format!(", column {column}"));
        }
        if let Some(value) = value {
            let cut: String = value.chars().take(100).collect();
            let dots = if cut.len() < value.len() { "..." } else { "" };
            context.push_str(&format!(": \"{cut}{dots}\""));
        }
        Error {
            context: Some(context),
            ..error
        }
    }
}
