//! Rows of a table from the fields of COPY FROM, checked.
//!
//! An error says where it is, as PostgreSQL's CopyFromErrorCallback does: the value of a column, else the line.

use super::fields::Record;
use super::lines::malformed;
use crate::error::Error;
use crate::table::StoredTable;
use everview_expr::ScalarExpr;
use everview_repr::text::{Formatting, parse_column_into};
use everview_repr::{ColumnType, Datum, Row, RowArena, RowRef};
use std::sync::Arc;

/// Bytes of a value or line that an error shows.
const MOST_SHOWN: usize = 100;

/// What of a table is in the input, and what is not.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// For each input field, the table's column.
    pub given: Vec<usize>,
    /// The values of columns that are not in the input.
    pub defaults: Vec<(usize, ScalarExpr)>,
    /// Rows of which this is not true are left out.
    pub filter: Option<ScalarExpr>,
}

#[derive(Clone, Debug)]
pub(super) struct Rows {
    table: Arc<StoredTable>,
    columns: Columns,
    /// Name and type of each table column.
    types: Vec<(String, ColumnType)>,
    /// Input fields are all columns in table order.
    in_order: bool,
    formatting: Formatting,
    /// The row under way.
    packed: Vec<u8>,
}

impl Rows {
    pub fn new(table: Arc<StoredTable>, columns: Columns, formatting: Formatting) -> Rows {
        let of = |c: &everview_repr::ColumnDesc| (c.name.clone(), c.ty.clone());
        Rows {
            types: table.desc.columns.iter().map(of).collect(),
            in_order: columns.given.iter().copied().eq(0..table.desc.arity()),
            table,
            columns,
            formatting,
            packed: Vec::new(),
        }
    }

    /// How many fields a record has.
    pub fn arity(&self) -> usize {
        self.columns.given.len()
    }

    /// Checks that a header names the columns.
    pub fn match_header(&self, header: &Record<'_>, null: &str) -> Result<(), Error> {
        if header.len() != self.arity() {
            return Err(malformed(&format!(
                "wrong number of fields in header line: got {}, expected {}",
                header.len(),
                self.arity()
            )));
        }
        for (i, column) in self.columns.given.iter().enumerate() {
            let expected = &self.types[*column].0;
            let got = match header.get(i).flatten() {
                Some(name) if name == expected => continue,
                Some(name) => format!("got \"{name}\""),
                None => format!("got null value (\"{null}\")"),
            };
            return Err(malformed(&format!(
                "column name mismatch in header line field {}: {got}, expected \"{expected}\"",
                i + 1
            )));
        }
        Ok(())
    }

    /// The row of a record; none if the filter leaves it out.
    pub fn row(&mut self, record: &Record<'_>) -> Result<Option<Row>, Error> {
        let nothing = self.arity() == 0 && record.is_empty();
        if record.len() > self.arity() && !nothing {
            return Err(malformed("extra data after last expected column"));
        }
        let mut packed = std::mem::take(&mut self.packed);
        packed.clear();
        let done = match self.in_order {
            true => self.values(record, &mut packed),
            false => self.values_and_defaults(record, &mut packed),
        };
        let row = RowRef::from_packed(&packed).to_row();
        self.packed = packed;
        done?;
        if !self.is_wanted(&row)? {
            return Ok(None);
        }
        self.table.check(&row)?;
        Ok(Some(row))
    }

    fn values(&self, record: &Record<'_>, packed: &mut Vec<u8>) -> Result<(), Error> {
        for (i, column) in self.columns.given.iter().enumerate() {
            self.value(record.get(i), *column, packed)?;
        }
        Ok(())
    }

    fn values_and_defaults(&self, record: &Record<'_>, packed: &mut Vec<u8>) -> Result<(), Error> {
        let mut parts: Vec<Vec<u8>> = vec![Vec::new(); self.types.len()];
        for (i, column) in self.columns.given.iter().enumerate() {
            self.value(record.get(i), *column, &mut parts[*column])?;
        }
        let arena = RowArena::new();
        for (column, default) in &self.columns.defaults {
            let datum = default.eval(&[], &arena);
            if let Datum::Error(error) = datum {
                return Err(error.to_error().into());
            }
            everview_repr::row::push_datum(&mut parts[*column], datum);
        }
        parts.iter().for_each(|part| packed.extend_from_slice(part));
        Ok(())
    }

    /// Appends a column's value from its field, if there is one: none within is NULL.
    fn value(
        &self,
        field: Option<Option<&str>>,
        column: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (name, ty) = &self.types[column];
        let Some(field) = field else {
            return Err(malformed(&format!("missing data for column \"{name}\"")));
        };
        let Some(text) = field else {
            everview_repr::row::push_datum(out, Datum::Null);
            return Ok(());
        };
        let parsed = parse_column_into(ty, text, &self.formatting, out);
        parsed.map_err(|e| of_column(e.into(), name, text))
    }

    fn is_wanted(&self, row: &Row) -> Result<bool, Error> {
        let Some(filter) = &self.columns.filter else {
            return Ok(true);
        };
        match filter.eval(&row.unpack(), &RowArena::new()) {
            Datum::Error(error) => Err(error.to_error().into()),
            datum => Ok(datum == Datum::Bool(true)),
        }
    }
}

/// The error of a value: its context wants the table and line before it.
fn of_column(error: Error, name: &str, value: &str) -> Error {
    let context = Some(format!(", column {name}: \"{}\"", shown(value)));
    Error { context, ..error }
}

/// The error with where it is: table and line, and the column's value, or else the record if it is there.
pub(super) fn at(error: Error, table: &str, line: u64, record: Option<&str>) -> Error {
    let record = || {
        record
            .map(|r| format!(": \"{}\"", shown(r)))
            .unwrap_or_default()
    };
    let rest = error.context.unwrap_or_else(record);
    let context = Some(format!("COPY {table}, line {line}{rest}"));
    Error { context, ..error }
}

fn shown(text: &str) -> String {
    if text.len() <= MOST_SHOWN {
        return text.to_string();
    }
    let end = (0..=MOST_SHOWN)
        .rev()
        .find(|end| text.is_char_boundary(*end));
    format!("{}...", &text[..end.unwrap_or(0)])
}
