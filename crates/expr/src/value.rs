//! Datums as Rust values: how a declaration's closure names its arguments and gives its result.
//!
//! A datum of another type than the declared one is a planner's mistake: it gives XX000, never a panic.

use everview_repr::json::Json;
use everview_repr::numeric::Numeric;
use everview_repr::{Array, Datum, EvalError, Interval, RowArena, RowRef, SqlState};

/// A date: days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(pub i32);
/// A time of day: microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub i64);
/// A timestamp: microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ts(pub i64);
/// A timestamp with time zone: microseconds, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TsTz(pub i64);
/// char(n) with its padding.
pub(crate) struct BpChar<'a>(pub &'a str);
/// bytea, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);
/// bytea, computed.
pub(crate) struct OwnedBytes(pub Vec<u8>);
/// A jsonb value's packed bytes, computed.
pub(crate) struct OwnedJson(pub Vec<u8>);
/// An array's packed bytes, computed.
pub(crate) struct OwnedArray(pub Vec<u8>);

/// An argument.
pub(crate) trait FromDatum<'a>: Sized {
    /// The value, or XX000 when the datum is of another type.
    fn from_datum(datum: Datum<'a>) -> Result<Self, EvalError>;
}

/// A result.
pub(crate) trait IntoDatum<'a> {
    /// The datum; what it borrows is kept in the arena.
    fn into_datum(self, arena: &'a RowArena) -> Result<Datum<'a>, EvalError>;
}

/// XX000: the call's arguments are not those of its declaration.
pub(crate) fn mismatch() -> EvalError {
    EvalError::new(
        SqlState::INTERNAL_ERROR,
        "function called with arguments of other types",
    )
}

macro_rules! plain {
    ($($ty:ty, $pattern:pat => $value:expr, $name:ident => $datum:expr;)*) => {$(
        impl<'a> FromDatum<'a> for $ty {
            fn from_datum(datum: Datum<'a>) -> Result<Self, EvalError> {
                match datum {
                    $pattern => Ok($value),
                    _ => Err(mismatch()),
                }
            }
        }
        impl<'a> IntoDatum<'a> for $ty {
            fn into_datum(self, _: &'a RowArena) -> Result<Datum<'a>, EvalError> {
                let $name = self;
                Ok($datum)
            }
        }
    )*};
}

plain! {
    bool, Datum::Bool(v) => v, v => Datum::Bool(v);
    i16, Datum::Int16(v) => v, v => Datum::Int16(v);
    i32, Datum::Int32(v) => v, v => Datum::Int32(v);
    i64, Datum::Int64(v) => v, v => Datum::Int64(v);
    f32, Datum::Float32(v) => v, v => Datum::Float32(v);
    f64, Datum::Float64(v) => v, v => Datum::Float64(v);
    Date, Datum::Date(v) => Date(v), v => Datum::Date(v.0);
    Time, Datum::Time(v) => Time(v), v => Datum::Time(v.0);
    Ts, Datum::Timestamp(v) => Ts(v), v => Datum::Timestamp(v.0);
    TsTz, Datum::TimestampTz(v) => TsTz(v), v => Datum::TimestampTz(v.0);
    Interval, Datum::Interval(v) => v, v => Datum::Interval(v);
    BpChar<'a>, Datum::BpChar(v) => BpChar(v), v => Datum::BpChar(v.0);
    Bytes<'a>, Datum::Bytea(v) => Bytes(v), v => Datum::Bytea(v.0);
    Json<'a>, Datum::Jsonb(v) => v, v => Datum::Jsonb(v);
    Array<'a>, Datum::Array(v) => v, v => Datum::Array(v);
    RowRef<'a>, Datum::Record(v) => v, v => Datum::Record(v);
}

impl<'a> FromDatum<'a> for &'a str {
    fn from_datum(datum: Datum<'a>) -> Result<Self, EvalError> {
        datum.as_str().ok_or_else(mismatch)
    }
}

impl<'a> FromDatum<'a> for Numeric {
    fn from_datum(datum: Datum<'a>) -> Result<Self, EvalError> {
        datum.as_numeric().ok_or_else(mismatch)
    }
}

impl<'a> FromDatum<'a> for Datum<'a> {
    fn from_datum(datum: Datum<'a>) -> Result<Self, EvalError> {
        Ok(datum)
    }
}

impl<'a, T: FromDatum<'a>> FromDatum<'a> for Option<T> {
    fn from_datum(datum: Datum<'a>) -> Result<Self, EvalError> {
        if datum.is_null() {
            Ok(None)
        } else {
            T::from_datum(datum).map(Some)
        }
    }
}

impl<'a> IntoDatum<'a> for &'a str {
    fn into_datum(self, _: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        Ok(Datum::Text(self))
    }
}

impl<'a> IntoDatum<'a> for String {
    fn into_datum(self, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        Ok(Datum::Text(arena.string(self)))
    }
}

impl<'a> IntoDatum<'a> for Numeric {
    fn into_datum(self, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        Ok(arena.numeric(&self))
    }
}

impl<'a> IntoDatum<'a> for OwnedBytes {
    fn into_datum(self, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        Ok(Datum::Bytea(arena.bytes(self.0)))
    }
}

impl<'a> IntoDatum<'a> for OwnedJson {
    fn into_datum(self, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        Ok(Datum::Jsonb(Json::from_packed(arena.bytes(self.0))))
    }
}

impl<'a> IntoDatum<'a> for OwnedArray {
    fn into_datum(self, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        Ok(Datum::Array(Array::from_packed(arena.bytes(self.0))))
    }
}

impl<'a> IntoDatum<'a> for Datum<'a> {
    fn into_datum(self, _: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        Ok(self)
    }
}

impl<'a, T: IntoDatum<'a>> IntoDatum<'a> for Option<T> {
    fn into_datum(self, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        self.map_or(Ok(Datum::Null), |v| v.into_datum(arena))
    }
}

impl<'a, T: IntoDatum<'a>> IntoDatum<'a> for Result<T, EvalError> {
    fn into_datum(self, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
        self?.into_datum(arena)
    }
}

/// The computation of a declaration, from a closure over typed arguments.
///
/// `eval!(|a: i32, b: i32| a.checked_add(b).ok_or_else(overflow))`; with `types, arena;` in front it sees the
/// call's types and the arena as well. `?` works on [`EvalError`].
macro_rules! eval {
    (|$($x:ident : $t:ty),+ $(,)?| $body:expr) => {
        $crate::value::eval!(_types, _arena; |$($x: $t),+| $body)
    };
    ($types:ident, $arena:ident; |$($x:ident : $t:ty),+ $(,)?| $body:expr) => {
        |$types, args, $arena| {
            let [$($x,)+ ..] = args else { return Err($crate::value::mismatch()) };
            $(let $x: $t = $crate::value::FromDatum::from_datum(*$x)?;)+
            let result = $body;
            $crate::value::IntoDatum::into_datum(result, $arena)
        }
    };
}
pub(crate) use eval;
