//! The bytes of one datum: writing, reading, and checking what is of unknown origin.

use super::RowRef;
use crate::array::Array;
use crate::datum::{Datum, ErrorRef};
use crate::interval::Interval;
use crate::json::Json;

/// What is wrong with bytes that should be a row.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// They end within a datum.
    #[error("the row ends within a value")]
    Truncated,
    /// A tag that this version does not know.
    #[error("unknown value tag {0}")]
    UnknownTag(u8),
    /// A payload that is not what its tag promises.
    #[error("malformed {0}")]
    Malformed(&'static str),
}

pub(super) mod tag {
    pub const NULL: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    /// Integers: the base tag plus the width class (0, 1, 2, 4, 8 bytes).
    pub const INT16: u8 = 4;
    pub const INT32: u8 = 8;
    pub const INT64: u8 = 12;
    pub const DATE: u8 = 20;
    pub const TIME: u8 = 24;
    pub const TIMESTAMP: u8 = 30;
    pub const TIMESTAMPTZ: u8 = 36;
    pub const OID: u8 = 42;
    pub const FLOAT32: u8 = 48;
    pub const FLOAT64: u8 = 49;
    pub const INTERVAL: u8 = 50;
    pub const UUID: u8 = 51;
    /// Byte strings: the tag, a varint length, the bytes.
    pub const NUMERIC: u8 = 52;
    pub const TEXT: u8 = 53;
    pub const BPCHAR: u8 = 54;
    pub const BYTEA: u8 = 55;
    pub const JSONB: u8 = 56;
    pub const ARRAY: u8 = 57;
    pub const RECORD: u8 = 58;
    pub const ERROR: u8 = 59;
    /// Text of fewer than 64 bytes: the length is in the tag.
    pub const SHORT_TEXT: u8 = 64;
    pub const TEXT_BYTES: usize = 64;
    /// Numeric of fewer than 32 bytes: the length is in the tag.
    pub const SHORT_NUMERIC: u8 = SHORT_TEXT + TEXT_BYTES as u8;
    pub const NUMERIC_BYTES: usize = 32;
    pub const END: u8 = SHORT_NUMERIC + NUMERIC_BYTES as u8;
}

/// Where packed bytes go.
pub(super) trait Bytes {
    fn push_byte(&mut self, byte: u8);
    fn push_bytes(&mut self, bytes: &[u8]);
    /// Appends the first `n` of these bytes: a copy of constant size is cheaper than one of `n`.
    fn push_front<const N: usize>(&mut self, bytes: [u8; N], n: usize);
}

impl Bytes for Vec<u8> {
    #[inline]
    fn push_byte(&mut self, byte: u8) {
        self.push(byte);
    }
    #[inline]
    fn push_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
    #[inline]
    fn push_front<const N: usize>(&mut self, bytes: [u8; N], n: usize) {
        let start = self.len();
        self.extend_from_slice(&bytes);
        self.truncate(start + n);
    }
}

/// Bytes that a row under way has on the stack before it needs an allocation.
const SCRATCH: usize = 128;

/// A row under way.
pub(super) struct Scratch {
    inline: [u8; SCRATCH],
    used: usize,
    /// Everything, once it has outgrown the stack.
    spilled: Vec<u8>,
}

impl Scratch {
    #[inline]
    pub(super) fn new() -> Scratch {
        Scratch {
            inline: [0; SCRATCH],
            used: 0,
            spilled: Vec::new(),
        }
    }

    /// The bytes, as a row keeps them: `N` of them without an allocation.
    #[inline]
    pub(super) fn finish<const N: usize>(self) -> smallvec::SmallVec<[u8; N]> {
        match self.inline.first_chunk::<N>() {
            _ if !self.spilled.is_empty() => smallvec::SmallVec::from_vec(self.spilled),
            Some(front) if self.used <= N => {
                smallvec::SmallVec::from_buf_and_len(*front, self.used)
            }
            _ => smallvec::SmallVec::from_slice(&self.inline[..self.used]),
        }
    }

    #[cold]
    fn spill(&mut self, more: &[u8]) {
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.inline[..self.used]);
            self.used = SCRATCH;
        }
        self.spilled.extend_from_slice(more);
    }
}

impl Bytes for Scratch {
    #[inline]
    fn push_byte(&mut self, byte: u8) {
        self.push_bytes(&[byte]);
    }
    #[inline]
    fn push_bytes(&mut self, bytes: &[u8]) {
        match self.inline.get_mut(self.used..self.used + bytes.len()) {
            Some(free) if self.spilled.is_empty() => {
                free.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            _ => self.spill(bytes),
        }
    }
    #[inline]
    fn push_front<const N: usize>(&mut self, bytes: [u8; N], n: usize) {
        match self.inline[self.used.min(SCRATCH)..].first_chunk_mut::<N>() {
            Some(free) if self.spilled.is_empty() => {
                *free = bytes;
                self.used += n;
            }
            _ => self.spill(&bytes[..n]),
        }
    }
}

/// Bytes of each width class.
const WIDTHS: [usize; 5] = [0, 1, 2, 4, 8];

/// The class of the least width that holds a value.
#[inline]
fn width_class(value: i64) -> u8 {
    /// By the number of significant bits, sign included.
    const CLASSES: [u8; 65] = {
        let mut classes = [4; 65];
        let mut bits = 0;
        while bits <= 32 {
            classes[bits] = match bits {
                0..=8 => 1,
                9..=16 => 2,
                _ => 3,
            };
            bits += 1;
        }
        classes
    };
    let magnitude = value ^ (value >> 63);
    let class = CLASSES[65 - magnitude.leading_zeros() as usize];
    if value == 0 { 0 } else { class }
}

#[inline]
fn push_int<B: Bytes>(out: &mut B, base: u8, value: i64) {
    let class = width_class(value);
    let mut bytes = [0; 9];
    bytes[0] = base + class;
    bytes[1..].copy_from_slice(&value.to_le_bytes());
    out.push_front(bytes, 1 + WIDTHS[usize::from(class)]);
}

/// Appends an unsigned LEB128 integer.
pub fn push_varint(out: &mut Vec<u8>, value: u64) {
    push_varint_any(out, value);
}

fn push_varint_any<B: Bytes>(out: &mut B, mut value: u64) {
    while value >= 0x80 {
        out.push_byte(value as u8 | 0x80);
        value >>= 7;
    }
    out.push_byte(value as u8);
}

/// Takes an unsigned LEB128 integer off the front; only the shortest form is accepted.
pub fn read_varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return Err(DecodeError::Malformed("length"));
        }
        value |= part << shift;
        if byte < 0x80 {
            let shortest = byte != 0 || shift == 0;
            return if shortest {
                Ok(value)
            } else {
                Err(DecodeError::Malformed("length"))
            };
        }
    }
    Err(DecodeError::Malformed("length"))
}

pub(super) fn push_block<B: Bytes>(out: &mut B, tag: u8, bytes: &[u8]) {
    out.push_byte(tag);
    push_varint_any(out, bytes.len() as u64);
    out.push_bytes(bytes);
}

/// Appends one datum to packed bytes.
pub fn push_datum(out: &mut Vec<u8>, datum: Datum<'_>) {
    push_any(out, datum);
}

#[inline]
pub(super) fn push_any<B: Bytes>(out: &mut B, datum: Datum<'_>) {
    match datum {
        Datum::Null => out.push_byte(tag::NULL),
        Datum::Bool(false) => out.push_byte(tag::FALSE),
        Datum::Bool(true) => out.push_byte(tag::TRUE),
        Datum::Int16(v) => push_int(out, tag::INT16, v.into()),
        Datum::Int32(v) => push_int(out, tag::INT32, v.into()),
        Datum::Int64(v) => push_int(out, tag::INT64, v),
        Datum::Date(v) => push_int(out, tag::DATE, v.into()),
        Datum::Time(v) => push_int(out, tag::TIME, v),
        Datum::Timestamp(v) => push_int(out, tag::TIMESTAMP, v),
        Datum::TimestampTz(v) => push_int(out, tag::TIMESTAMPTZ, v),
        Datum::Oid(v) => push_int(out, tag::OID, v.into()),
        Datum::Float32(v) => {
            out.push_byte(tag::FLOAT32);
            out.push_bytes(&v.to_bits().to_le_bytes());
        }
        Datum::Float64(v) => {
            out.push_byte(tag::FLOAT64);
            out.push_bytes(&v.to_bits().to_le_bytes());
        }
        Datum::Interval(v) => {
            out.push_byte(tag::INTERVAL);
            out.push_bytes(&v.months.to_le_bytes());
            out.push_bytes(&v.days.to_le_bytes());
            out.push_bytes(&v.micros.to_le_bytes());
        }
        Datum::Uuid(v) => {
            out.push_byte(tag::UUID);
            out.push_bytes(&v);
        }
        Datum::Numeric(v) if v.len() < tag::NUMERIC_BYTES => {
            out.push_byte(tag::SHORT_NUMERIC + v.len() as u8);
            out.push_bytes(v);
        }
        Datum::Numeric(v) => push_block(out, tag::NUMERIC, v),
        Datum::Text(v) if v.len() < tag::TEXT_BYTES => {
            out.push_byte(tag::SHORT_TEXT + v.len() as u8);
            out.push_bytes(v.as_bytes());
        }
        Datum::Text(v) => push_block(out, tag::TEXT, v.as_bytes()),
        Datum::BpChar(v) => push_block(out, tag::BPCHAR, v.as_bytes()),
        Datum::Bytea(v) => push_block(out, tag::BYTEA, v),
        Datum::Jsonb(v) => push_block(out, tag::JSONB, v.bytes()),
        Datum::Array(v) => push_block(out, tag::ARRAY, v.bytes()),
        Datum::Record(v) => push_block(out, tag::RECORD, v.bytes),
        Datum::Error(v) => push_block(out, tag::ERROR, v.bytes),
    }
}

#[inline]
fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8], DecodeError> {
    let (head, rest) = bytes.split_at_checked(n).ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(head)
}

#[inline]
fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (head, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or(DecodeError::Truncated)?;
    *bytes = rest;
    Ok(*head)
}

/// An integer of a width class; checked to be the least one, if asked. Where eight bytes are there, one load and a
/// shift serve every width.
#[inline]
fn read_int<const CHECK: bool>(bytes: &mut &[u8], class: u8) -> Result<i64, DecodeError> {
    const UNUSED: [u32; 5] = [0, 56, 48, 32, 0];
    let class = usize::from(class.min(4));
    let width = WIDTHS[class];
    let head = match bytes.first_chunk::<8>() {
        Some(head) => *head,
        None => {
            let mut head = [0; 8];
            let there = bytes.get(..width).ok_or(DecodeError::Truncated)?;
            head[..width].copy_from_slice(there);
            head
        }
    };
    *bytes = &bytes[width..];
    if class == 0 {
        return Ok(0);
    }
    let value = i64::from_le_bytes(head) << UNUSED[class] >> UNUSED[class];
    if CHECK && usize::from(width_class(value)) != class {
        return Err(DecodeError::Malformed("value width"));
    }
    Ok(value)
}

fn read_text<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(take(bytes, n)?).map_err(|_| DecodeError::Malformed("text"))
}

fn read_block<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let n = read_varint(bytes)?;
    let n = usize::try_from(n).map_err(|_| DecodeError::Truncated)?;
    take(bytes, n)
}

/// A byte string whose tag is for those of `least` bytes or more.
fn read_long<'a, const CHECK: bool>(
    bytes: &mut &'a [u8],
    least: usize,
) -> Result<&'a [u8], DecodeError> {
    match read_block(bytes)? {
        short if CHECK && short.len() < least => Err(DecodeError::Malformed("value width")),
        block => Ok(block),
    }
}

/// Takes one datum off the front. Nested values are not looked into; that the form is the shortest is checked if
/// asked.
#[inline]
pub(super) fn read_datum<'a, const CHECK: bool>(
    bytes: &mut &'a [u8],
) -> Result<Datum<'a>, DecodeError> {
    let tag = take_array::<1>(bytes)?[0];
    let narrow = |v: i64| i32::try_from(v).map_err(|_| DecodeError::Malformed("integer"));
    Ok(match tag {
        tag::SHORT_TEXT..tag::SHORT_NUMERIC => {
            Datum::Text(read_text(bytes, usize::from(tag - tag::SHORT_TEXT))?)
        }
        tag::SHORT_NUMERIC..tag::END => {
            Datum::Numeric(take(bytes, usize::from(tag - tag::SHORT_NUMERIC))?)
        }
        tag::NULL => Datum::Null,
        tag::FALSE => Datum::Bool(false),
        tag::TRUE => Datum::Bool(true),
        tag::INT64..=16 => Datum::Int64(read_int::<CHECK>(bytes, tag - tag::INT64)?),
        tag::INT32..=11 => Datum::Int32(narrow(read_int::<CHECK>(bytes, tag - tag::INT32)?)?),
        tag::INT16..=6 => {
            let v = read_int::<CHECK>(bytes, tag - tag::INT16)?;
            Datum::Int16(i16::try_from(v).map_err(|_| DecodeError::Malformed("integer"))?)
        }
        tag::DATE..=23 => Datum::Date(narrow(read_int::<CHECK>(bytes, tag - tag::DATE)?)?),
        tag::TIME..=28 => Datum::Time(read_int::<CHECK>(bytes, tag - tag::TIME)?),
        tag::TIMESTAMP..=34 => Datum::Timestamp(read_int::<CHECK>(bytes, tag - tag::TIMESTAMP)?),
        tag::TIMESTAMPTZ..=40 => {
            Datum::TimestampTz(read_int::<CHECK>(bytes, tag - tag::TIMESTAMPTZ)?)
        }
        tag::OID..=46 => {
            let v = read_int::<CHECK>(bytes, tag - tag::OID)?;
            Datum::Oid(u32::try_from(v).map_err(|_| DecodeError::Malformed("oid"))?)
        }
        tag::FLOAT32 => Datum::Float32(f32::from_bits(u32::from_le_bytes(take_array(bytes)?))),
        tag::FLOAT64 => Datum::Float64(f64::from_bits(u64::from_le_bytes(take_array(bytes)?))),
        tag::INTERVAL => Datum::Interval(Interval {
            months: i32::from_le_bytes(take_array(bytes)?),
            days: i32::from_le_bytes(take_array(bytes)?),
            micros: i64::from_le_bytes(take_array(bytes)?),
        }),
        tag::UUID => Datum::Uuid(take_array(bytes)?),
        tag::NUMERIC => Datum::Numeric(read_long::<CHECK>(bytes, tag::NUMERIC_BYTES)?),
        tag::TEXT => {
            let block = read_long::<CHECK>(bytes, tag::TEXT_BYTES)?;
            Datum::Text(std::str::from_utf8(block).map_err(|_| DecodeError::Malformed("text"))?)
        }
        tag::BPCHAR => {
            let block = read_block(bytes)?;
            Datum::BpChar(std::str::from_utf8(block).map_err(|_| DecodeError::Malformed("text"))?)
        }
        tag::BYTEA => Datum::Bytea(read_block(bytes)?),
        tag::JSONB => Datum::Jsonb(Json::from_packed(read_block(bytes)?)),
        tag::ARRAY => Datum::Array(Array::from_packed(read_block(bytes)?)),
        tag::RECORD => Datum::Record(RowRef {
            bytes: read_block(bytes)?,
        }),
        tag::ERROR => Datum::Error(ErrorRef {
            bytes: read_block(bytes)?,
        }),
        unknown => return Err(DecodeError::UnknownTag(unknown)),
    })
}

/// Records and arrays within one another that are read from bytes of unknown origin.
pub const MAX_NESTING: usize = 100;

/// Takes one datum of unknown origin off the front: nested values and minimal widths are checked too.
pub fn read_checked<'a>(bytes: &mut &'a [u8]) -> Result<Datum<'a>, DecodeError> {
    read_nested(bytes, MAX_NESTING)
}

/// Takes one datum off the front in which at most `levels` records and arrays nest.
pub(crate) fn read_nested<'a>(
    bytes: &mut &'a [u8],
    levels: usize,
) -> Result<Datum<'a>, DecodeError> {
    let datum = read_datum::<true>(bytes)?;
    let inner = || {
        levels
            .checked_sub(1)
            .ok_or(DecodeError::Malformed("nesting"))
    };
    match datum {
        Datum::Array(a) => drop(Array::validate_nested(a.bytes(), inner()?)?),
        Datum::Record(r) => check_nested(r.bytes, inner()?)?,
        Datum::Jsonb(j) => drop(Json::validate(j.bytes())?),
        Datum::Numeric(n) => {
            crate::numeric::Numeric::from_bytes(n).ok_or(DecodeError::Malformed("numeric"))?;
        }
        _ => {}
    }
    Ok(datum)
}

/// Checks a whole packed row in which at most `levels` records and arrays nest.
pub(super) fn check_nested(mut bytes: &[u8], levels: usize) -> Result<(), DecodeError> {
    while !bytes.is_empty() {
        read_nested(&mut bytes, levels)?;
    }
    Ok(())
}
