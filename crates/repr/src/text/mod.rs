//! Text forms of every type: Postgres's input and output functions.
//!
//! Output is what Postgres 15 prints with `DateStyle = ISO` and `extra_float_digits = 1`; input accepts what it
//! accepts and refuses the rest with its messages and SQLSTATEs. What a value's text depends on besides the value,
//! the session's time zone, is an argument. NULL has no text form: callers write it as their format asks.
//! It knows no catalog: oids and the reg* types are numbers here.

mod array;
mod record;
mod scalar;
mod typmod;

#[cfg(test)]
pub(crate) mod tests;

pub use scalar::{parse_bool, truncate_name};
pub use typmod::apply_typmod;

use crate::datetime::Zone;
use crate::datum::Datum;
use crate::error::EvalError;
use crate::row::{self, RowArena, RowRef};
use crate::types::{ColumnType, ScalarType, Typmod};
use std::fmt::Write;

/// The session settings that text forms depend on.
#[derive(Clone, Debug)]
pub struct Formatting {
    /// The zone in which a timestamptz is shown, and which is meant where its input names none.
    pub time_zone: Zone,
    /// The current time (timestamptz), for the inputs `now`, `today` and their kind; without it they are refused.
    pub now: Option<i64>,
}

impl Default for Formatting {
    fn default() -> Formatting {
        Formatting {
            time_zone: Zone::utc(),
            now: None,
        }
    }
}

/// The value of a text, in UTC. What it borrows lives in the arena.
pub fn parse<'a>(ty: &ScalarType, text: &str, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    parse_with(ty, text, &Formatting::default(), arena)
}

/// The value of a text under these settings. What it borrows lives in the arena.
pub fn parse_with<'a>(
    ty: &ScalarType,
    text: &str,
    formatting: &Formatting,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    if let Some(datum) = fixed(ty, text, formatting)? {
        return Ok(datum);
    }
    let mut out = Vec::with_capacity(text.len() + 4);
    parse_into_with(ty, text, formatting, &mut out)?;
    Ok(RowRef::from_packed(arena.bytes(out))
        .iter()
        .next()
        .unwrap_or(Datum::Null))
}

/// Appends the packed value of a text, read in UTC, to the bytes of a row under way.
///
/// On an error nothing is appended.
pub fn parse_into(ty: &ScalarType, text: &str, out: &mut Vec<u8>) -> Result<(), EvalError> {
    parse_into_with(ty, text, &Formatting::default(), out)
}

/// Appends the packed value of a text under these settings. On an error nothing is appended.
pub fn parse_into_with(
    ty: &ScalarType,
    text: &str,
    formatting: &Formatting,
    out: &mut Vec<u8>,
) -> Result<(), EvalError> {
    match ty {
        ScalarType::Text | ScalarType::Varchar | ScalarType::Unknown => {
            row::push_datum(out, Datum::Text(text));
        }
        ScalarType::Numeric => {
            push_numeric(out, &crate::numeric::Numeric::parse(text)?);
        }
        ScalarType::BpChar => row::push_datum(out, Datum::BpChar(text)),
        ScalarType::Name => row::push_datum(out, Datum::Text(truncate_name(text))),
        ScalarType::InternalChar => row::push_datum(out, Datum::Text(scalar::first_char(text))),
        ScalarType::Bytea => row::push_datum(out, Datum::Bytea(&scalar::parse_bytea(text)?)),
        ScalarType::Jsonb => {
            let packed = crate::json::parse(text)?;
            row::push_datum(out, Datum::Jsonb(crate::json::Json::from_packed(&packed)));
        }
        ScalarType::Array(element) => {
            let packed = array::parse(element, text, formatting)?;
            row::push_datum(out, Datum::Array(crate::array::Array::from_packed(&packed)));
        }
        ScalarType::Record(fields) => {
            let packed = record::parse(fields, text, formatting)?;
            row::push_datum(out, Datum::Record(RowRef::from_packed(&packed)));
        }
        fixed_size => {
            let datum = fixed(fixed_size, text, formatting)?.unwrap_or(Datum::Null);
            row::push_datum(out, datum);
        }
    }
    Ok(())
}

/// Appends the packed value of a text as a column of this type holds it. On an error nothing is appended.
pub fn parse_column_into(
    ty: &ColumnType,
    text: &str,
    formatting: &Formatting,
    out: &mut Vec<u8>,
) -> Result<(), EvalError> {
    match (&ty.scalar, ty.typmod.as_numeric()) {
        _ if ty.typmod == Typmod::NONE => parse_into_with(&ty.scalar, text, formatting, out),
        (ScalarType::Numeric, Some((precision, scale))) => {
            let value = crate::numeric::Numeric::parse(text)?
                .with_typmod(u32::from(precision), i32::from(scale))?;
            push_numeric(out, &value);
            Ok(())
        }
        _ => {
            let arena = RowArena::new();
            let value = parse_with(&ty.scalar, text, formatting, &arena)?;
            let fitted = apply_typmod(&ty.scalar, ty.typmod, value, false, &arena)?;
            row::push_datum(out, fitted);
            Ok(())
        }
    }
}

fn push_numeric(out: &mut Vec<u8>, value: &crate::numeric::Numeric) {
    let mut bytes = Vec::with_capacity(24);
    value.to_bytes(&mut bytes);
    row::push_datum(out, Datum::Numeric(&bytes));
}

/// The value of a text for the types that borrow nothing; `None` for the others.
fn fixed(
    ty: &ScalarType,
    text: &str,
    formatting: &Formatting,
) -> Result<Option<Datum<'static>>, EvalError> {
    use crate::datetime;
    let context = &datetime::InputContext {
        zone: &formatting.time_zone,
        now: formatting.now,
    };
    Ok(Some(match ty {
        ScalarType::Bool => Datum::Bool(parse_bool(text)?),
        ScalarType::Int16 => Datum::Int16(scalar::parse_int(text, "smallint")?),
        ScalarType::Int32 => Datum::Int32(scalar::parse_int(text, "integer")?),
        ScalarType::Int64 => Datum::Int64(scalar::parse_int(text, "bigint")?),
        ScalarType::Oid => Datum::Oid(scalar::parse_oid(text, "oid")?),
        ScalarType::RegClass => Datum::Oid(scalar::parse_oid(text, "regclass")?),
        ScalarType::RegType => Datum::Oid(scalar::parse_oid(text, "regtype")?),
        ScalarType::RegProc => Datum::Oid(scalar::parse_oid(text, "regproc")?),
        ScalarType::RegNamespace => Datum::Oid(scalar::parse_oid(text, "regnamespace")?),
        ScalarType::Float32 => Datum::Float32(crate::float::parse32(text)?),
        ScalarType::Float64 => Datum::Float64(crate::float::parse64(text)?),
        ScalarType::Uuid => Datum::Uuid(scalar::parse_uuid(text)?),
        ScalarType::Date => Datum::Date(datetime::parse_date(text, context)?),
        ScalarType::Time => Datum::Time(datetime::parse_time(text, context)?),
        ScalarType::Timestamp => Datum::Timestamp(datetime::parse_timestamp(text, context)?),
        ScalarType::TimestampTz => Datum::TimestampTz(datetime::parse_timestamptz(text, context)?),
        ScalarType::Interval => Datum::Interval(crate::Interval::parse(text)?),
        ScalarType::Void => Datum::Null,
        _ => return Ok(None),
    }))
}

/// Appends a value's text form, zoned times in UTC. NULL appends nothing.
pub fn format(ty: &ScalarType, datum: Datum<'_>, out: &mut String) {
    format_with(ty, datum, &Formatting::default(), out);
}

/// Appends a value's text form under these settings. NULL appends nothing.
pub fn format_with(ty: &ScalarType, datum: Datum<'_>, formatting: &Formatting, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write(ty, datum, formatting, out);
}

fn write(
    ty: &ScalarType,
    datum: Datum<'_>,
    formatting: &Formatting,
    out: &mut String,
) -> std::fmt::Result {
    use crate::datetime;
    match datum {
        Datum::Null => {}
        Datum::Bool(v) => out.push(if v { 't' } else { 'f' }),
        Datum::Int16(v) => scalar::write_int(out, v.into()),
        Datum::Int32(v) => scalar::write_int(out, v.into()),
        Datum::Int64(v) => scalar::write_int(out, v),
        Datum::Oid(v) => scalar::write_int(out, v.into()),
        Datum::Float32(v) => crate::float::push_text32(out, v),
        Datum::Float64(v) => crate::float::push_text64(out, v),
        Datum::Numeric(_) => {
            if let Some(v) = datum.as_numeric() {
                write!(out, "{v}")?;
            }
        }
        Datum::Text(v) | Datum::BpChar(v) => out.push_str(v),
        Datum::Bytea(v) => scalar::write_bytea(out, v),
        Datum::Date(v) => datetime::push_date(out, v),
        Datum::Time(v) => datetime::push_time(out, v),
        Datum::Timestamp(v) => datetime::push_timestamp(out, v),
        Datum::TimestampTz(v) => datetime::push_timestamptz(out, v, &formatting.time_zone),
        Datum::Interval(v) => write!(out, "{v}")?,
        Datum::Uuid(v) => scalar::write_uuid(out, &v),
        Datum::Jsonb(v) => write!(out, "{v}")?,
        Datum::Array(v) => array::write(ty, v, formatting, out)?,
        Datum::Record(v) => record::write(ty, v, formatting, out)?,
        Datum::Error(v) => write!(out, "{}", v.to_error())?,
    }
    Ok(())
}
