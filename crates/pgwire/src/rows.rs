//! DataRow messages.

use crate::output::{Output, format_of};
use everview_coord::Error;
use everview_repr::text::{Formatting, format_with};
use everview_repr::{ColumnDesc, Datum, RelationDesc, Row, binary};
use tokio::io::AsyncWrite;

/// What a row's bytes depend on besides its values.
pub(crate) struct RowWriter<'a> {
    pub desc: &'a RelationDesc,
    pub formats: &'a [i16],
    pub formatting: &'a Formatting,
}

impl RowWriter<'_> {
    /// Appends a DataRow. An error value fails it and appends nothing.
    pub fn push<W: AsyncWrite + Unpin>(
        &self,
        row: &Row,
        output: &mut Output<W>,
        scratch: &mut String,
    ) -> Result<(), Error> {
        let start = output.buffer.len();
        let mut failed = None;
        output.message(b'D', |b| {
            b.extend((self.desc.columns.len() as u16).to_be_bytes());
            for (i, (column, datum)) in self.desc.columns.iter().zip(row.iter()).enumerate() {
                if let Datum::Error(error) = datum {
                    failed = Some(error.to_error());
                    return;
                }
                push_value(
                    b,
                    column,
                    datum,
                    format_of(self.formats, i),
                    self.formatting,
                    scratch,
                );
            }
        });
        match failed {
            None => Ok(()),
            Some(error) => {
                output.buffer.truncate(start);
                Err(error.into())
            }
        }
    }
}

fn push_value(
    b: &mut Vec<u8>,
    column: &ColumnDesc,
    datum: Datum<'_>,
    format: i16,
    formatting: &Formatting,
    scratch: &mut String,
) {
    let at = b.len();
    b.extend([0xff; 4]);
    match datum {
        Datum::Null => return,
        _ if format == 1 => binary::to_binary(&column.ty.scalar, datum, b),
        Datum::Text(text) | Datum::BpChar(text) => b.extend_from_slice(text.as_bytes()),
        datum => {
            scratch.clear();
            format_with(&column.ty.scalar, datum, formatting, scratch);
            b.extend_from_slice(scratch.as_bytes());
        }
    }
    let length = (b.len() - at - 4) as u32;
    b[at..at + 4].copy_from_slice(&length.to_be_bytes());
}
