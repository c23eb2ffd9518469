//! Casts (manual, section 4.2.9; `pg_cast`): one declaration for each pair of types.

mod number;
mod time;

use super::{Declarations, context};
use crate::casts::cast_context;
use crate::registry::{CAST, FunctionDesc, ParamType, Volatility};
use crate::scalar::CallTypes;
use crate::value::mismatch;
use everview_repr::{Array, Datum, EvalError, RowArena, ScalarType, array};

/// Converts a value to a type, without its modifier. NULL stays NULL.
pub(crate) fn convert<'a>(
    datum: Datum<'a>,
    from: &ScalarType,
    to: &ScalarType,
    types: &CallTypes,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    use ScalarType::*;
    if datum.is_null() || from == to {
        return Ok(datum);
    }
    match to {
        Text | Varchar | BpChar | Name | InternalChar => to_string(datum, from, to, types, arena),
        Array(to) => match datum {
            Datum::Array(values) => convert_array(values, from, to, types, arena),
            datum => parse(datum, &Array(to.clone()), types, arena),
        },
        Int16 | Int32 | Int64 | Float32 | Float64 | Numeric | Bool | Oid | RegClass | RegType
        | RegProc | RegNamespace => match datum {
            Datum::Text(s) if *from == InternalChar => number::code_of_char(s),
            Datum::Text(_) | Datum::BpChar(_) => parse(datum, to, types, arena),
            datum => number::convert(datum, to, arena),
        },
        Date | Time | Timestamp | TimestampTz | Interval => match datum {
            Datum::Text(_) | Datum::BpChar(_) => parse(datum, to, types, arena),
            datum => time::convert(datum, to, types),
        },
        Record(_) if matches!(datum, Datum::Record(_)) => Ok(datum),
        to => parse(datum, to, types, arena),
    }
}

/// Reads a string as a value of a type.
fn parse<'a>(
    datum: Datum<'a>,
    to: &ScalarType,
    types: &CallTypes,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    match datum {
        Datum::Text(s) | Datum::BpChar(s) => context::from_text(types, to, s, arena),
        _ => Err(mismatch()),
    }
}

/// Converts to a string type: char(n)'s padding goes, a boolean is a word.
fn to_string<'a>(
    datum: Datum<'a>,
    from: &ScalarType,
    to: &ScalarType,
    types: &CallTypes,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let text: &'a str = match datum {
        Datum::Text(s) => s,
        Datum::BpChar(s) => s.trim_end_matches(' '),
        Datum::Bool(v) if *to != ScalarType::Name => {
            if v {
                "true"
            } else {
                "false"
            }
        }
        Datum::Int32(v) if *to == ScalarType::InternalChar => {
            return number::char_of_code(v, arena);
        }
        datum => arena.string(context::to_text(types, from, datum)?),
    };
    Ok(match to {
        ScalarType::BpChar => Datum::BpChar(text),
        ScalarType::Name => Datum::Text(everview_repr::text::truncate_name(text)),
        ScalarType::InternalChar => {
            let first = text.chars().next().map_or(0, char::len_utf8);
            Datum::Text(&text[..first])
        }
        _ => Datum::Text(text),
    })
}

fn convert_array<'a>(
    values: Array<'a>,
    from: &ScalarType,
    to: &ScalarType,
    types: &CallTypes,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let ScalarType::Array(from) = from else {
        return Err(mismatch());
    };
    let mut elements = Vec::with_capacity(values.len());
    for value in values.elements() {
        elements.push(convert(value, from, to, types, arena)?);
    }
    let packed = array::build(&values.dimensions(), elements);
    Ok(Datum::Array(Array::from_packed(arena.bytes(packed))))
}

fn cast<'a>(
    types: &CallTypes,
    args: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let ([datum, ..], [from, ..]) = (args, types.args.as_slice()) else {
        return Err(mismatch());
    };
    convert(*datum, from, &types.result, types, arena)
}

/// Casts that every value survives.
fn is_total(from: &ScalarType, to: &ScalarType) -> bool {
    use ScalarType::*;
    match (from, to) {
        (RegClass | RegType | RegProc | RegNamespace, to) => matches!(to, Oid | Int64 | Int32),
        (Oid, to) => !matches!(to, Int16 | Numeric),
        (Record(_) | Array(_) | TimestampTz, _) => false,
        (_, Text | Varchar | BpChar | Name) => true,
        (Int16, to) => !matches!(to, Oid) && !is_catalog(to),
        (Int32, Int64 | Float32 | Float64 | Numeric | Bool | Oid) => true,
        (Int32, to) => is_catalog(to),
        (Int64, Float32 | Float64 | Numeric) => true,
        (Float32, Float64) => true,
        (Bool, Int32) | (Time, Interval) => true,
        _ => false,
    }
}

fn is_catalog(ty: &ScalarType) -> bool {
    use ScalarType::*;
    matches!(ty, RegClass | RegType | RegProc | RegNamespace)
}

fn declaration(from: ParamType, to: ParamType, infallible: bool, stable: bool) -> FunctionDesc {
    let never_null = to != ParamType::Exact(ScalarType::Time);
    FunctionDesc {
        name: CAST,
        params: vec![from],
        variadic: false,
        returns: to,
        strict: true,
        never_null,
        infallible,
        total_if: None,
        volatility: if stable {
            Volatility::Stable
        } else {
            Volatility::Immutable
        },
        doc: "CAST: the value as another type.",
        eval: cast,
    }
}

pub(super) fn declare(out: &mut Declarations) {
    let elements: Vec<_> = ScalarType::all()
        .into_iter()
        .filter(|t| !matches!(t, ScalarType::Array(_)))
        .collect();
    for from in &elements {
        for to in &elements {
            if from == to || cast_context(from, to).is_none() {
                continue;
            }
            let through_catalog =
                is_catalog(from) && to.is_stringlike() || is_catalog(to) && from.is_stringlike();
            let (from_param, to_param) =
                (ParamType::Exact(from.clone()), ParamType::Exact(to.clone()));
            out.push(declaration(
                from_param,
                to_param,
                is_total(from, to),
                through_catalog,
            ));
        }
    }
    let record = ParamType::Exact(ScalarType::Record(Vec::new()));
    for ty in elements.iter().filter(|t| {
        matches!(
            t,
            ScalarType::Text | ScalarType::Varchar | ScalarType::BpChar | ScalarType::Name
        )
    }) {
        let ty = ParamType::Exact(ty.clone());
        out.push(declaration(ty.clone(), ParamType::AnyArray, false, false));
        out.push(declaration(ParamType::AnyArray, ty.clone(), false, false));
        out.push(declaration(record.clone(), ty, false, false));
    }
    out.push(declaration(
        ParamType::AnyArray,
        ParamType::AnyArray,
        false,
        false,
    ));
    out.push(declaration(record.clone(), record, true, false));
}
