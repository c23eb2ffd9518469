//! Keys: bytes that compare as SQL compares.
//!
//! For one column order, comparing two keys' bytes compares the values as SQL does, and equal bytes are exactly
//! SQL's equality: 1.0 and 1.00 have one key. A column is a marker byte (value, NULL or error, placed as NULLS
//! FIRST or LAST asks) and the value's bytes, complemented for descending order. Every value's encoding is
//! self-delimiting, so that keys of several columns are concatenations and a prefix of columns is a prefix of
//! bytes. A key does not know its columns' types: whoever decodes it must.

#[cfg(test)]
mod tests;

use crate::array::Array;
use crate::datum::Datum;
use crate::row::{self, RowArena};
use crate::types::ScalarType;
use serde::{Deserialize, Serialize};

/// Encoded key columns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Key(pub Vec<u8>);

/// How one column sorts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ColumnOrder {
    /// Its position.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
    /// NULL after every value. Postgres's default is last when ascending, first when descending.
    pub nulls_last: bool,
}

impl ColumnOrder {
    /// Ascending, NULL last.
    pub fn ascending(column: usize) -> ColumnOrder {
        ColumnOrder {
            column,
            descending: false,
            nulls_last: true,
        }
    }
}

mod marker {
    pub const NULL_FIRST: u8 = 0;
    pub const VALUE: u8 = 1;
    pub const NULL_LAST: u8 = 2;
    pub const ERROR: u8 = 3;
}

/// Appends a value in ascending order, NULL last: the order of index keys and grouping.
pub fn push(out: &mut Vec<u8>, datum: Datum<'_>) {
    push_ordered(out, datum, false, true);
}

/// Appends a value in the given order.
pub fn push_ordered(out: &mut Vec<u8>, datum: Datum<'_>, descending: bool, nulls_last: bool) {
    match datum {
        Datum::Null if nulls_last => out.push(marker::NULL_LAST),
        Datum::Null => out.push(marker::NULL_FIRST),
        Datum::Error(error) => {
            out.push(marker::ERROR);
            push_terminated(out, error.bytes);
        }
        value => {
            out.push(marker::VALUE);
            let start = out.len();
            push_value(out, value);
            if descending {
                out.iter_mut().skip(start).for_each(|b| *b = !*b);
            }
        }
    }
}

/// The key of some datums, ascending with NULL last.
pub fn encode<'d>(datums: impl IntoIterator<Item = Datum<'d>>) -> Key {
    let mut out = Vec::new();
    datums.into_iter().for_each(|d| push(&mut out, d));
    Key(out)
}

/// Whether a key may hold an error: where this is false, it holds none.
pub fn may_hold_error(key: &[u8]) -> bool {
    memchr::memchr(marker::ERROR, key).is_some()
}

/// Appends the sort key of a row under an ORDER BY.
pub fn push_order_by(out: &mut Vec<u8>, datums: &[Datum<'_>], order: &[ColumnOrder]) {
    for o in order {
        push_ordered(out, datums[o.column], o.descending, o.nulls_last);
    }
}

fn push_value(out: &mut Vec<u8>, datum: Datum<'_>) {
    match datum {
        Datum::Null | Datum::Error(_) => unreachable!("a marker stands for these"),
        Datum::Bool(v) => out.push(u8::from(v)),
        Datum::Int16(v) => out.extend(((v as u16) ^ (1 << 15)).to_be_bytes()),
        Datum::Int32(v) | Datum::Date(v) => out.extend(((v as u32) ^ (1 << 31)).to_be_bytes()),
        Datum::Int64(v) | Datum::Time(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) => {
            out.extend(((v as u64) ^ (1 << 63)).to_be_bytes());
        }
        Datum::Oid(v) => out.extend(v.to_be_bytes()),
        Datum::Float32(v) => crate::float::push_key32(out, v),
        Datum::Float64(v) => crate::float::push_key64(out, v),
        Datum::Numeric(bytes) => crate::numeric::push_key(out, bytes),
        Datum::Text(v) => push_terminated(out, v.as_bytes()),
        Datum::BpChar(v) => push_terminated(out, v.trim_end_matches(' ').as_bytes()),
        Datum::Bytea(v) => push_terminated(out, v),
        Datum::Interval(v) => crate::interval::push_key(out, v),
        Datum::Uuid(v) => out.extend(v),
        Datum::Jsonb(v) => crate::json::push_key(out, v),
        Datum::Array(v) => push_array(out, v),
        Datum::Record(v) => {
            v.iter().for_each(|d| push(out, d));
            out.push(0);
        }
    }
}

/// Bytes with 0 written as 0 255, and 0 0 after them: order is kept and the end is seen.
pub(crate) fn push_terminated(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(0, rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(255);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

/// Elements first, then the number of dimensions, then their lengths, then their lower bounds, as Postgres's
/// array_cmp.
fn push_array(out: &mut Vec<u8>, array: Array<'_>) {
    array.elements().for_each(|e| push(out, e));
    out.push(0);
    let dimensions = array.dimensions();
    out.push(dimensions.len() as u8);
    dimensions
        .iter()
        .for_each(|d| out.extend(d.length.to_be_bytes()));
    dimensions
        .iter()
        .for_each(|d| out.extend(((d.lower as u32) ^ (1 << 31)).to_be_bytes()));
}

/// The datum at the front of a key made by [`push`], for types whose keys keep identity.
///
/// `None` where the bytes are not such a key, or the type loses identity
/// ([`ScalarType::key_loses_identity`]). What the datum borrows lives in the arena or the key.
pub fn decode<'a>(
    bytes: &mut &'a [u8],
    scalar: &ScalarType,
    arena: &'a RowArena,
) -> Option<Datum<'a>> {
    let (&mark, rest) = bytes.split_first()?;
    *bytes = rest;
    match mark {
        marker::NULL_LAST | marker::NULL_FIRST => return Some(Datum::Null),
        marker::ERROR => {
            let packed = take_terminated(bytes, arena)?;
            return Some(Datum::Error(crate::datum::ErrorRef { bytes: packed }));
        }
        marker::VALUE => {}
        _ => return None,
    }
    Some(match scalar {
        ScalarType::Bool => Datum::Bool(fixed::<1>(bytes)?[0] == 1),
        ScalarType::Int16 => Datum::Int16((u16::from_be_bytes(fixed(bytes)?) ^ (1 << 15)) as i16),
        ScalarType::Int32 => Datum::Int32(signed32(bytes)?),
        ScalarType::Date => Datum::Date(signed32(bytes)?),
        ScalarType::Int64 => Datum::Int64(signed64(bytes)?),
        ScalarType::Time => Datum::Time(signed64(bytes)?),
        ScalarType::Timestamp => Datum::Timestamp(signed64(bytes)?),
        ScalarType::TimestampTz => Datum::TimestampTz(signed64(bytes)?),
        ScalarType::Oid
        | ScalarType::RegClass
        | ScalarType::RegType
        | ScalarType::RegProc
        | ScalarType::RegNamespace => Datum::Oid(u32::from_be_bytes(fixed(bytes)?)),
        ScalarType::Uuid => Datum::Uuid(fixed(bytes)?),
        ScalarType::Text | ScalarType::Varchar | ScalarType::Name | ScalarType::InternalChar => {
            Datum::Text(std::str::from_utf8(take_terminated(bytes, arena)?).ok()?)
        }
        ScalarType::Bytea => Datum::Bytea(take_terminated(bytes, arena)?),
        ScalarType::Array(element) if !element.key_loses_identity() => {
            let mut elements = Vec::new();
            while *bytes.first()? != 0 {
                elements.push(decode(bytes, element, arena)?);
            }
            fixed::<1>(bytes)?;
            let n = usize::from(fixed::<1>(bytes)?[0]);
            let mut dimensions = Vec::with_capacity(n);
            for _ in 0..n {
                let length = u32::from_be_bytes(fixed(bytes)?);
                dimensions.push(crate::array::Dimension { length, lower: 0 });
            }
            for dimension in &mut dimensions {
                dimension.lower = signed32(bytes)?;
            }
            // As many elements as the dimensions hold; an array without dimensions is empty.
            let mut held = usize::from(n > 0);
            for dimension in &dimensions {
                held = held.checked_mul(dimension.length as usize)?;
            }
            if n > crate::array::MAX_DIMENSIONS || held != elements.len() {
                return None;
            }
            let packed = crate::array::build(&dimensions, elements);
            Datum::Array(Array::from_packed(arena.bytes(packed)))
        }
        ScalarType::Record(fields) => {
            let mut packed = Vec::new();
            for (_, field) in fields {
                row::push_datum(&mut packed, decode(bytes, field, arena)?);
            }
            fixed::<1>(bytes)?;
            Datum::Record(row::RowRef::from_packed(arena.bytes(packed)))
        }
        _ => return None,
    })
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn signed32(bytes: &mut &[u8]) -> Option<i32> {
    Some((u32::from_be_bytes(fixed(bytes)?) ^ (1 << 31)) as i32)
}

fn signed64(bytes: &mut &[u8]) -> Option<i64> {
    Some((u64::from_be_bytes(fixed(bytes)?) ^ (1 << 63)) as i64)
}

fn take_terminated<'a>(bytes: &mut &'a [u8], arena: &'a RowArena) -> Option<&'a [u8]> {
    let whole = *bytes;
    let mut from = 0;
    let mut escaped = false;
    loop {
        let at = from + memchr::memchr(0, whole.get(from..)?)?;
        match whole.get(at + 1)? {
            0 => {
                *bytes = &whole[at + 2..];
                let raw = &whole[..at];
                return Some(if escaped {
                    arena.bytes(unescape(raw))
                } else {
                    raw
                });
            }
            255 => escaped = true,
            _ => return None,
        }
        from = at + 2;
    }
}

fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut iter = raw.iter();
    while let Some(&b) = iter.next() {
        out.push(b);
        if b == 0 {
            iter.next();
        }
    }
    out
}
