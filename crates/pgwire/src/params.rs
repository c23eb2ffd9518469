//! A Bind's parameters as a row.

use crate::message::{malformed, utf8};
use crate::output::format_of;
use bytes::Bytes;
use everview_coord::{Error, Session};
use everview_repr::row::push_datum;
use everview_repr::text::{Formatting, parse_into_with};
use everview_repr::{Datum, Packer, Row, RowRef, ScalarType, binary};

/// The row of the parameters' values, of these types; `None` when there are none.
///
/// Errors: 08P01 for a wrong number, and whatever is wrong with a value.
pub(crate) fn decode(
    session: &Session,
    formatting: &Formatting,
    name: &str,
    types: &[ScalarType],
    formats: &[i16],
    values: &[Option<Bytes>],
) -> Result<Option<Row>, Error> {
    if values.len() != types.len() {
        return Err(malformed(format!(
            "bind message supplies {} parameters, but prepared statement \"{name}\" requires {}",
            values.len(),
            types.len()
        )));
    }
    if types.is_empty() {
        return Ok(None);
    }
    let mut packed = Vec::with_capacity(64);
    for (i, (ty, value)) in types.iter().zip(values).enumerate() {
        let Some(bytes) = value else {
            push_datum(&mut packed, Datum::Null);
            continue;
        };
        let read = match format_of(formats, i) {
            1 => binary::from_binary_into(ty, bytes, &mut packed).map_err(Error::from),
            _ => text(session, formatting, ty, bytes, &mut packed),
        };
        read.map_err(|error| Error {
            context: Some(format!("portal parameter ${}", i + 1)),
            ..error
        })?;
    }
    let mut row = Packer::default();
    row.extend_row(RowRef::from_packed(&packed));
    Ok(Some(row.finish()))
}

fn text(
    session: &Session,
    formatting: &Formatting,
    ty: &ScalarType,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let text = utf8(bytes)?;
    let at_the_start = match ty {
        ScalarType::Date | ScalarType::Time | ScalarType::Timestamp | ScalarType::TimestampTz => {
            Some(session.input_formatting())
        }
        _ => None,
    };
    Ok(parse_into_with(
        ty,
        text,
        at_the_start.as_ref().unwrap_or(formatting),
        out,
    )?)
}
