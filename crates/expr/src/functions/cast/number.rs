//! Casts among numbers, booleans, oids and jsonb scalars.

use crate::functions::arithmetic::{int2, int4, overflow, underflow};
use crate::value::mismatch;
use everview_repr::json::{Json, Value};
use everview_repr::numeric::Numeric;
use everview_repr::{Datum, EvalError, RowArena, ScalarType, SqlState};

/// Converts a number, boolean, oid or jsonb to a number, boolean or oid type.
pub(super) fn convert<'a>(
    datum: Datum<'a>,
    to: &ScalarType,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    match datum {
        Datum::Int16(v) => integer(v.into(), to, arena, false),
        Datum::Int32(v) => integer(v.into(), to, arena, false),
        Datum::Int64(v) => integer(v, to, arena, true),
        Datum::Float64(v) => float(v, to, arena),
        Datum::Float32(v) => match to {
            ScalarType::Numeric => Ok(arena.numeric(&Numeric::from_f32(v)?)),
            to => float(v.into(), to, arena),
        },
        Datum::Numeric(_) => numeric(&datum.as_numeric().ok_or_else(mismatch)?, to),
        Datum::Bool(v) => match to {
            ScalarType::Int32 => Ok(Datum::Int32(v.into())),
            _ => Err(mismatch()),
        },
        Datum::Oid(v) => match to {
            ScalarType::Int64 => Ok(Datum::Int64(v.into())),
            // Binary coercible: the bits stay.
            ScalarType::Int32 => Ok(Datum::Int32(v as i32)),
            _ => Ok(Datum::Oid(v)),
        },
        Datum::Jsonb(v) => json(v, to, arena),
        _ => Err(mismatch()),
    }
}

fn integer<'a>(
    v: i64,
    to: &ScalarType,
    arena: &'a RowArena,
    from_bigint: bool,
) -> Result<Datum<'a>, EvalError> {
    Ok(match to {
        ScalarType::Int16 => Datum::Int16(int2(v)?),
        ScalarType::Int32 => Datum::Int32(int4(v)?),
        ScalarType::Int64 => Datum::Int64(v),
        ScalarType::Float32 => Datum::Float32(v as f32),
        ScalarType::Float64 => Datum::Float64(v as f64),
        ScalarType::Numeric => arena.numeric(&Numeric::new(v.into(), 0).ok_or_else(mismatch)?),
        ScalarType::Bool => Datum::Bool(v != 0),
        // Narrower integers become oids bit by bit, a bigint by value.
        _ if from_bigint => {
            Datum::Oid(u32::try_from(v).map_err(|_| EvalError::out_of_range("OID"))?)
        }
        _ => Datum::Oid(v as i32 as u32),
    })
}

/// A float rounded to an integer below 2^63, ties to even; `None` out of range.
fn rounded(v: f64, low: f64, beyond: f64) -> Option<i64> {
    let v = libm::rint(v);
    (v >= low && v < beyond).then_some(v as i64)
}

fn float<'a>(v: f64, to: &ScalarType, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let out_of_range = |name| move || EvalError::out_of_range(name);
    Ok(match to {
        ScalarType::Int16 => {
            let v = rounded(v, -32768.0, 32768.0).ok_or_else(out_of_range("smallint"))?;
            Datum::Int16(v as i16)
        }
        ScalarType::Int32 => {
            let v = rounded(v, -2147483648.0, 2147483648.0).ok_or_else(out_of_range("integer"))?;
            Datum::Int32(v as i32)
        }
        ScalarType::Int64 => {
            let bound = 9_223_372_036_854_775_808.0;
            Datum::Int64(rounded(v, -bound, bound).ok_or_else(out_of_range("bigint"))?)
        }
        ScalarType::Float32 => {
            let narrow = v as f32;
            if narrow.is_infinite() && !v.is_infinite() {
                return Err(overflow());
            }
            if narrow == 0.0 && v != 0.0 {
                return Err(underflow());
            }
            Datum::Float32(narrow)
        }
        ScalarType::Float64 => Datum::Float64(v),
        ScalarType::Numeric => arena.numeric(&Numeric::from_f64(v)?),
        _ => return Err(mismatch()),
    })
}

fn numeric<'a>(v: &Numeric, to: &ScalarType) -> Result<Datum<'a>, EvalError> {
    Ok(match to {
        ScalarType::Int16 => Datum::Int16(v.to_i16()?),
        ScalarType::Int32 => Datum::Int32(v.to_i32()?),
        ScalarType::Int64 => Datum::Int64(v.to_i64()?),
        ScalarType::Float32 => Datum::Float32(v.to_f32()?),
        ScalarType::Float64 => Datum::Float64(v.to_f64()?),
        _ => return Err(mismatch()),
    })
}

fn json<'a>(v: Json<'a>, to: &ScalarType, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    match (v.value(), to) {
        (Value::Boolean(v), ScalarType::Bool) => Ok(Datum::Bool(v)),
        (Value::Number(bytes), ScalarType::Numeric) => Ok(Datum::Numeric(bytes)),
        (Value::Number(bytes), to) if *to != ScalarType::Bool => {
            convert(Datum::Numeric(bytes), to, arena)
        }
        _ => {
            let kind = match v.kind().name() {
                "number" => "numeric",
                kind => kind,
            };
            let message = format!("cannot cast jsonb {kind} to type {}", to.sql_name());
            Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
    }
}

/// `"char"` to integer: the byte, signed.
pub(super) fn code_of_char<'a>(s: &str) -> Result<Datum<'a>, EvalError> {
    Ok(Datum::Int32(i32::from(
        s.as_bytes().first().copied().unwrap_or(0) as i8,
    )))
}

/// Integer to `"char"`: a byte. Bytes above 127 are no text.
pub(super) fn char_of_code<'a>(v: i32, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    match v {
        0 => Ok(Datum::Text("")),
        1..=127 => Ok(Datum::Text(arena.string(char::from(v as u8).to_string()))),
        _ => Err(EvalError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "\"char\" out of range",
        )),
    }
}
