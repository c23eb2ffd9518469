//! Postgres's binary wire formats, both ways.
//!
//! All integers are big-endian. Dates and timestamps count from 2000-01-01. Arrays and records carry their
//! elements' oids. It does not know lengths on the wire: a value's bytes arrive whole, without the length word, and
//! NULL has none.

mod decimal;

#[cfg(test)]
mod tests;

use crate::array::{Array, Dimension, MAX_DIMENSIONS};
use crate::datum::Datum;
use crate::error::{EvalError, SqlState};
use crate::interval::Interval;
use crate::json::Json;
use crate::row::{self, RowArena, RowRef};
use crate::types::ScalarType;

/// The version byte of jsonb's binary format.
const JSONB_VERSION: u8 = 1;

/// Records within records that are read.
const MAX_DEPTH: usize = 64;

/// Appends a value's binary form. NULL appends nothing.
pub fn to_binary(ty: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) {
    match datum {
        Datum::Null => {}
        Datum::Bool(v) => out.push(u8::from(v)),
        Datum::Int16(v) => out.extend(v.to_be_bytes()),
        Datum::Int32(v) => out.extend(v.to_be_bytes()),
        Datum::Int64(v) => out.extend(v.to_be_bytes()),
        Datum::Float32(v) => out.extend(v.to_bits().to_be_bytes()),
        Datum::Float64(v) => out.extend(v.to_bits().to_be_bytes()),
        Datum::Numeric(_) => {
            if let Some(value) = datum.as_numeric() {
                decimal::to_binary(&value, out);
            }
        }
        Datum::Text(v) | Datum::BpChar(v) => out.extend_from_slice(v.as_bytes()),
        Datum::Bytea(v) => out.extend_from_slice(v),
        Datum::Date(v) => out.extend(v.to_be_bytes()),
        Datum::Time(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) => out.extend(v.to_be_bytes()),
        Datum::Interval(v) => {
            out.extend(v.micros.to_be_bytes());
            out.extend(v.days.to_be_bytes());
            out.extend(v.months.to_be_bytes());
        }
        Datum::Uuid(v) => out.extend_from_slice(&v),
        Datum::Jsonb(v) => {
            out.push(JSONB_VERSION);
            out.extend_from_slice(v.to_string().as_bytes());
        }
        Datum::Oid(v) => out.extend(v.to_be_bytes()),
        Datum::Array(v) => array_to_binary(ty, v, out),
        Datum::Record(v) => record_to_binary(ty, v, out),
        Datum::Error(_) => {}
    }
}

/// Appends a value with its length word: -1 and nothing for NULL.
fn push_item(ty: &ScalarType, datum: Datum<'_>, out: &mut Vec<u8>) {
    if datum.is_null() {
        return out.extend((-1i32).to_be_bytes());
    }
    let at = out.len();
    out.extend([0; 4]);
    to_binary(ty, datum, out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn array_to_binary(ty: &ScalarType, array: Array<'_>, out: &mut Vec<u8>) {
    let element = match ty {
        ScalarType::Array(element) => element.as_ref(),
        _ => &ScalarType::Text,
    };
    let dimensions = array.dimensions();
    let has_null = array.elements().any(|e| e.is_null());
    out.extend((dimensions.len() as u32).to_be_bytes());
    out.extend(u32::from(has_null).to_be_bytes());
    out.extend(element.oid().to_be_bytes());
    for d in &dimensions {
        out.extend(d.length.to_be_bytes());
        out.extend(d.lower.to_be_bytes());
    }
    array.elements().for_each(|e| push_item(element, e, out));
}

fn record_to_binary(ty: &ScalarType, record: RowRef<'_>, out: &mut Vec<u8>) {
    let fields: &[(String, ScalarType)] = match ty {
        ScalarType::Record(fields) => fields,
        _ => &[],
    };
    out.extend((record.iter().count() as u32).to_be_bytes());
    for (i, datum) in record.iter().enumerate() {
        let field = fields.get(i).map_or(&ScalarType::Text, |(_, ty)| ty);
        out.extend(field.oid().to_be_bytes());
        push_item(field, datum, out);
    }
}

/// The value of a binary form. What it borrows lives in the arena.
///
/// Errors: 22P03 where the bytes are not of that format, 22021 for text that is not UTF-8, 22P02 for JSON that
/// does not parse, 22008 for dates and timestamps out of range.
pub fn from_binary<'a>(
    ty: &ScalarType,
    bytes: &[u8],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let mut out = Vec::with_capacity(bytes.len() + 4);
    from_binary_into(ty, bytes, &mut out)?;
    Ok(RowRef::from_packed(arena.bytes(out))
        .iter()
        .next()
        .unwrap_or(Datum::Null))
}

/// Appends the packed value of a binary form to the bytes of a row under way.
pub fn from_binary_into(ty: &ScalarType, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EvalError> {
    read_value(ty, bytes, MAX_DEPTH, out)
}

fn malformed() -> EvalError {
    EvalError::new(
        SqlState::INVALID_BINARY_REPRESENTATION,
        "incorrect binary data format",
    )
}

pub(super) fn insufficient() -> EvalError {
    EvalError::new(
        SqlState::INVALID_BINARY_REPRESENTATION,
        "insufficient data left in message",
    )
}

fn read_value(
    ty: &ScalarType,
    bytes: &[u8],
    levels: usize,
    out: &mut Vec<u8>,
) -> Result<(), EvalError> {
    let datum = match ty {
        ScalarType::Bool => Datum::Bool(whole::<1>(bytes)?[0] != 0),
        ScalarType::Int16 => Datum::Int16(i16::from_be_bytes(whole(bytes)?)),
        ScalarType::Int32 => Datum::Int32(i32::from_be_bytes(whole(bytes)?)),
        ScalarType::Int64 => Datum::Int64(i64::from_be_bytes(whole(bytes)?)),
        ScalarType::Float32 => Datum::Float32(f32::from_be_bytes(whole(bytes)?)),
        ScalarType::Float64 => Datum::Float64(f64::from_be_bytes(whole(bytes)?)),
        ScalarType::Oid
        | ScalarType::RegClass
        | ScalarType::RegType
        | ScalarType::RegProc
        | ScalarType::RegNamespace => Datum::Oid(u32::from_be_bytes(whole(bytes)?)),
        ScalarType::Uuid => Datum::Uuid(whole(bytes)?),
        ScalarType::Date | ScalarType::Time | ScalarType::Timestamp | ScalarType::TimestampTz => {
            read_time(ty, bytes)?
        }
        ScalarType::Interval => {
            let bytes = whole::<16>(bytes)?;
            let mut rest = &bytes[..];
            let micros = i64::from_be_bytes(take(&mut rest)?);
            let days = i32::from_be_bytes(take(&mut rest)?);
            let months = i32::from_be_bytes(take(&mut rest)?);
            Datum::Interval(Interval {
                months,
                days,
                micros,
            })
        }
        ScalarType::Text | ScalarType::Varchar | ScalarType::Unknown => Datum::Text(text(bytes)?),
        ScalarType::Name => Datum::Text(crate::text::truncate_name(text(bytes)?)),
        ScalarType::InternalChar => match text(bytes)? {
            one if one.chars().count() <= 1 => Datum::Text(one),
            _ => return Err(malformed()),
        },
        ScalarType::BpChar => Datum::BpChar(text(bytes)?),
        ScalarType::Bytea => Datum::Bytea(bytes),
        ScalarType::Void => Datum::Null,
        ScalarType::Numeric => {
            let mut packed = Vec::new();
            decimal::from_binary(bytes)?.to_bytes(&mut packed);
            row::push_datum(out, Datum::Numeric(&packed));
            return Ok(());
        }
        ScalarType::Jsonb => {
            let packed = read_json(bytes)?;
            row::push_datum(out, Datum::Jsonb(Json::from_packed(&packed)));
            return Ok(());
        }
        ScalarType::Array(element) => {
            let packed = read_array(element, bytes, levels)?;
            row::push_datum(out, Datum::Array(Array::from_packed(&packed)));
            return Ok(());
        }
        ScalarType::Record(fields) => {
            let packed = read_record(fields, bytes, levels)?;
            row::push_datum(out, Datum::Record(RowRef::from_packed(&packed)));
            return Ok(());
        }
    };
    row::push_datum(out, datum);
    Ok(())
}

/// Bytes of exactly this length.
fn whole<const N: usize>(bytes: &[u8]) -> Result<[u8; N], EvalError> {
    bytes.try_into().map_err(|_| {
        if bytes.len() < N {
            insufficient()
        } else {
            malformed()
        }
    })
}

/// Takes bytes off the front.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], EvalError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or_else(insufficient)?;
    *rest = tail;
    Ok(*head)
}

fn text(bytes: &[u8]) -> Result<&str, EvalError> {
    let bad = |at: usize, length: usize| {
        let shown: Vec<String> = bytes[at..]
            .iter()
            .take(length)
            .map(|b| format!("0x{b:02x}"))
            .collect();
        EvalError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!(
                "invalid byte sequence for encoding \"UTF8\": {}",
                shown.join(" ")
            ),
        )
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|e| bad(e.valid_up_to(), e.error_len().unwrap_or(usize::MAX)))?;
    match memchr::memchr(0, bytes) {
        Some(at) => Err(bad(at, 1)),
        None => Ok(text),
    }
}

fn read_time(ty: &ScalarType, bytes: &[u8]) -> Result<Datum<'static>, EvalError> {
    use crate::datetime;
    let out_of_range = |what: &str| {
        EvalError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("{what} out of range"),
        )
    };
    if *ty == ScalarType::Date {
        let days = i32::from_be_bytes(whole(bytes)?);
        let good = !datetime::date_is_finite(days)
            || (datetime::DATE_MIN..=datetime::DATE_MAX).contains(&days);
        return if good {
            Ok(Datum::Date(days))
        } else {
            Err(out_of_range("date"))
        };
    }
    let micros = i64::from_be_bytes(whole(bytes)?);
    if *ty == ScalarType::Time {
        let good = (0..=86_400_000_000).contains(&micros);
        return if good {
            Ok(Datum::Time(micros))
        } else {
            Err(out_of_range("time"))
        };
    }
    let good = !datetime::timestamp_is_finite(micros)
        || (datetime::TIMESTAMP_MIN..datetime::TIMESTAMP_END).contains(&micros);
    match ty {
        _ if !good => Err(out_of_range("timestamp")),
        ScalarType::Timestamp => Ok(Datum::Timestamp(micros)),
        _ => Ok(Datum::TimestampTz(micros)),
    }
}

fn read_json(bytes: &[u8]) -> Result<Vec<u8>, EvalError> {
    let (&version, document) = bytes.split_first().ok_or_else(insufficient)?;
    if version != JSONB_VERSION {
        return Err(EvalError::new(
            SqlState::INVALID_BINARY_REPRESENTATION,
            format!("unsupported jsonb version number {version}"),
        ));
    }
    crate::json::parse(text(document)?)
}

/// Takes an element's bytes off the front; `None` for NULL.
fn take_item<'b>(rest: &mut &'b [u8]) -> Result<Option<&'b [u8]>, EvalError> {
    let length = i32::from_be_bytes(take(rest)?);
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| insufficient())?;
    let (item, tail) = rest.split_at_checked(length).ok_or_else(insufficient)?;
    *rest = tail;
    Ok(Some(item))
}

fn push_taken(
    ty: &ScalarType,
    item: Option<&[u8]>,
    levels: usize,
    out: &mut Vec<u8>,
) -> Result<(), EvalError> {
    match item {
        Some(item) => read_value(ty, item, levels.checked_sub(1).ok_or_else(malformed)?, out),
        None => {
            row::push_datum(out, Datum::Null);
            Ok(())
        }
    }
}

fn read_array(element: &ScalarType, bytes: &[u8], levels: usize) -> Result<Vec<u8>, EvalError> {
    let mut rest = bytes;
    let dimensions = read_dimensions(element, &mut rest)?;
    let mut out = Vec::with_capacity(bytes.len());
    row::push_varint(&mut out, dimensions.len() as u64);
    let mut count = u64::from(!dimensions.is_empty());
    for d in &dimensions {
        row::push_varint(&mut out, u64::from(d.length));
        row::push_varint(&mut out, u64::from(d.lower as u32));
        count = count.saturating_mul(u64::from(d.length));
    }
    // Every element takes a length word.
    if count.saturating_mul(4) > rest.len() as u64 {
        return Err(insufficient());
    }
    for _ in 0..count {
        push_taken(element, take_item(&mut rest)?, levels, &mut out)?;
    }
    if !rest.is_empty() {
        return Err(malformed());
    }
    // An array with an empty dimension is the empty array.
    Ok(if count == 0 {
        crate::array::build(&[], [])
    } else {
        out
    })
}

fn read_dimensions(element: &ScalarType, rest: &mut &[u8]) -> Result<Vec<Dimension>, EvalError> {
    let invalid =
        |message: String| EvalError::new(SqlState::INVALID_BINARY_REPRESENTATION, message);
    let n = i32::from_be_bytes(take(rest)?);
    let flags = i32::from_be_bytes(take(rest)?);
    let oid = u32::from_be_bytes(take(rest)?);
    let n =
        usize::try_from(n).map_err(|_| invalid(format!("invalid number of dimensions: {n}")))?;
    if n > MAX_DIMENSIONS {
        return Err(EvalError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "number of array dimensions ({n}) exceeds the maximum allowed ({MAX_DIMENSIONS})"
            ),
        ));
    }
    if flags != 0 && flags != 1 {
        return Err(invalid("invalid array flags".to_string()));
    }
    if oid != element.oid() {
        return Err(EvalError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {oid} instead of expected {}",
                element.oid()
            ),
        ));
    }
    let mut dimensions = Vec::with_capacity(n);
    for _ in 0..n {
        let length = i32::from_be_bytes(take(rest)?);
        let lower = i32::from_be_bytes(take(rest)?);
        let length = u32::try_from(length).map_err(|_| malformed())?;
        if i64::from(lower) + i64::from(length) > i64::from(i32::MAX) {
            return Err(invalid("array lower bound is too large".to_string()));
        }
        dimensions.push(Dimension { length, lower });
    }
    Ok(dimensions)
}

fn read_record(
    fields: &[(String, ScalarType)],
    bytes: &[u8],
    levels: usize,
) -> Result<Vec<u8>, EvalError> {
    let mismatch = |message: String| EvalError::new(SqlState::DATATYPE_MISMATCH, message);
    let mut rest = bytes;
    let n = i32::from_be_bytes(take(&mut rest)?);
    if usize::try_from(n) != Ok(fields.len()) {
        return Err(mismatch(format!(
            "wrong number of columns: {n}, expected {}",
            fields.len()
        )));
    }
    let mut out = Vec::with_capacity(bytes.len());
    for (i, (_, field)) in fields.iter().enumerate() {
        let oid = u32::from_be_bytes(take(&mut rest)?);
        if oid != field.oid() {
            return Err(mismatch(format!(
                "binary data has type {oid} instead of expected {} in record column {}",
                field.oid(),
                i + 1
            )));
        }
        push_taken(field, take_item(&mut rest)?, levels, &mut out)?;
    }
    if rest.is_empty() {
        Ok(out)
    } else {
        Err(malformed())
    }
}
