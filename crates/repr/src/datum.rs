//! One SQL value.
//!
//! A datum borrows what does not fit into two words. Its derived equality is identity: 1.0 and 1.00, or
//! 0.0 and -0.0, are different datums. SQL's equality and order are those of [`crate::key`].

use crate::array::Array;
use crate::error::EvalError;
use crate::interval::Interval;
use crate::json::Json;
use crate::numeric::Numeric;

/// A borrowed SQL value.
///
/// Types that share a representation share a variant: text, varchar, name and "char" are [`Datum::Text`];
/// oid and the reg* types are [`Datum::Oid`].
#[derive(Clone, Copy, Debug)]
pub enum Datum<'a> {
    /// The absent value.
    Null,
    /// boolean
    Bool(bool),
    /// smallint
    Int16(i16),
    /// integer
    Int32(i32),
    /// bigint
    Int64(i64),
    /// real
    Float32(f32),
    /// double precision
    Float64(f64),
    /// numeric, in the bytes of [`Numeric::to_bytes`]
    Numeric(&'a [u8]),
    /// text, varchar, name, "char"
    Text(&'a str),
    /// char(n), with its padding
    BpChar(&'a str),
    /// bytea
    Bytea(&'a [u8]),
    /// date: days, as [`crate::datetime`] counts them
    Date(i32),
    /// time: microseconds since midnight
    Time(i64),
    /// timestamp: microseconds, as [`crate::datetime`] counts them
    Timestamp(i64),
    /// timestamptz: microseconds in UTC, as [`crate::datetime`] counts them
    TimestampTz(i64),
    /// interval
    Interval(Interval),
    /// uuid
    Uuid([u8; 16]),
    /// jsonb
    Jsonb(Json<'a>),
    /// oid and the reg* types
    Oid(u32),
    /// An array of any element type
    Array(Array<'a>),
    /// A composite: its fields as a packed row
    Record(crate::row::RowRef<'a>),
    /// The error that this value's expression ended with
    Error(ErrorRef<'a>),
}

/// A packed [`EvalError`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ErrorRef<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> ErrorRef<'a> {
    /// Wraps bytes that [`ErrorRef::pack`] made.
    pub fn from_packed(bytes: &'a [u8]) -> ErrorRef<'a> {
        ErrorRef { bytes }
    }

    /// The packed bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The error, owned.
    pub fn to_error(self) -> EvalError {
        let mut parts = self.bytes.splitn(5, |b| *b == 0);
        let mut next = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let code = next();
        let message = next();
        let code = code
            .as_bytes()
            .try_into()
            .map_or(crate::SqlState::INTERNAL_ERROR, crate::SqlState);
        let mut error = EvalError::new(code, message);
        let (detail, hint) = (next(), next());
        if !detail.is_empty() {
            error = error.with_detail(detail);
        }
        if !hint.is_empty() {
            error = error.with_hint(hint);
        }
        error
    }

    /// Packs an error: its four parts, parted by NUL, which no SQL text contains.
    pub fn pack(error: &EvalError) -> Vec<u8> {
        let code = error.code();
        let parts = [
            code.as_str(),
            error.message(),
            error.detail().unwrap_or(""),
            error.hint().unwrap_or(""),
        ];
        parts.map(|p| p.replace('\0', "")).join("\0").into_bytes()
    }
}

impl<'a> Datum<'a> {
    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// Whether this is true and not NULL.
    pub fn is_true(&self) -> bool {
        matches!(self, Datum::Bool(true))
    }

    /// The numeric, decoded. `None` for any other variant.
    pub fn as_numeric(&self) -> Option<Numeric> {
        match self {
            Datum::Numeric(bytes) => Numeric::from_bytes(bytes),
            _ => None,
        }
    }

    /// The string of a text or char(n) value; padding included.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Datum::Text(s) | Datum::BpChar(s) => Some(s),
            _ => None,
        }
    }
}

/// Identity, not SQL's equality: two datums are equal when they pack to the same bytes.
impl PartialEq for Datum<'_> {
    fn eq(&self, other: &Self) -> bool {
        use Datum::*;
        match (self, other) {
            (Null, Null) => true,
            (Bool(a), Bool(b)) => a == b,
            (Int16(a), Int16(b)) => a == b,
            (Int32(a), Int32(b)) => a == b,
            (Int64(a), Int64(b)) => a == b,
            (Float32(a), Float32(b)) => a.to_bits() == b.to_bits(),
            (Float64(a), Float64(b)) => a.to_bits() == b.to_bits(),
            (Numeric(a), Numeric(b)) => a == b,
            (Text(a), Text(b)) | (BpChar(a), BpChar(b)) => a == b,
            (Bytea(a), Bytea(b)) => a == b,
            (Date(a), Date(b)) => a == b,
            (Time(a), Time(b)) => a == b,
            (Timestamp(a), Timestamp(b)) | (TimestampTz(a), TimestampTz(b)) => a == b,
            (Interval(a), Interval(b)) => a.identical(b),
            (Uuid(a), Uuid(b)) => a == b,
            (Jsonb(a), Jsonb(b)) => a.bytes() == b.bytes(),
            (Oid(a), Oid(b)) => a == b,
            (Array(a), Array(b)) => a.bytes() == b.bytes(),
            (Record(a), Record(b)) => a == b,
            (Error(a), Error(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Datum<'_> {}
