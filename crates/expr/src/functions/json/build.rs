//! jsonb values from SQL values: to_jsonb, jsonb_build_object, jsonb_build_array, jsonb_object.

use super::keep;
use crate::functions::{Declarations, context};
use crate::registry::{Eval, FunctionDesc};
use crate::scalar::CallTypes;
use crate::value::{FromDatum, mismatch};
use everview_repr::json::{self, ArrayBuilder, Json, ObjectBuilder};
use everview_repr::{Array, Datum, EvalError, RowArena, ScalarType, SqlState};

fn bad(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn to_json(types: &CallTypes, ty: &ScalarType, datum: Datum<'_>) -> Result<Vec<u8>, EvalError> {
    match datum {
        // Names of catalog objects are not in their oids.
        Datum::Oid(_) => Ok(json::string(&context::to_text(types, ty, datum)?)),
        datum => json::from_datum(ty, datum, &*context::zone(types)?),
    }
}

fn typed<'t, 'd>(
    types: &'t CallTypes,
    args: &'t [Datum<'d>],
) -> impl Iterator<Item = (&'t ScalarType, Datum<'d>)> {
    types.args.iter().zip(args.iter().copied())
}

fn build_array<'a>(
    types: &CallTypes,
    args: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let mut builder = ArrayBuilder::new();
    for (ty, datum) in typed(types, args) {
        builder.push(Json::from_packed(&to_json(types, ty, datum)?));
    }
    Ok(keep(builder.finish()?, arena))
}

fn build_object<'a>(
    types: &CallTypes,
    args: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    if !args.len().is_multiple_of(2) {
        return Err(bad("argument list must have even number of elements")
            .with_hint("The arguments of jsonb_build_object() must consist of alternating keys and values."));
    }
    let mut builder = ObjectBuilder::new();
    let arguments: Vec<_> = typed(types, args).collect();
    for (i, pair) in arguments.chunks_exact(2).enumerate() {
        let [(key_type, key), (value_type, value)] = pair else {
            continue;
        };
        let key = object_key(types, key_type, *key, 2 * i + 1)?;
        builder.push(
            &key,
            Json::from_packed(&to_json(types, value_type, *value)?),
        );
    }
    Ok(keep(builder.finish()?, arena))
}

fn object_key(
    types: &CallTypes,
    ty: &ScalarType,
    key: Datum<'_>,
    position: usize,
) -> Result<String, EvalError> {
    match key {
        Datum::Null => Err(bad(format!("argument {position}: key must not be null"))),
        Datum::Array(_) | Datum::Record(_) | Datum::Jsonb(_) => Err(bad(
            "key value must be scalar, not array, composite, or json",
        )),
        Datum::Bool(v) => Ok(v.to_string()),
        // As in a value: with a T.
        Datum::Timestamp(_) | Datum::TimestampTz(_) => {
            let packed = to_json(types, ty, key)?;
            Ok(Json::from_packed(&packed).to_unquoted().unwrap_or_default())
        }
        key => context::to_text(types, ty, key),
    }
}

fn text_or_null(datum: Datum<'_>) -> Vec<u8> {
    datum.as_str().map_or_else(json::null, json::string)
}

fn null_key() -> EvalError {
    EvalError::new(
        SqlState::NULL_VALUE_NOT_ALLOWED,
        "null value not allowed for object key",
    )
}

/// `jsonb_object`: keys and values alternating in one array, in pairs, or in two arrays.
fn object_of_arrays<'a>(args: &[Datum<'a>], arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let subscripts = |message: &str| EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message);
    let mut builder = ObjectBuilder::new();
    let mut push = |key: Datum<'_>, value: Datum<'_>| -> Result<(), EvalError> {
        let key = key.as_str().ok_or_else(null_key)?;
        builder.push(key, Json::from_packed(&text_or_null(value)));
        Ok(())
    };
    match args {
        [keys, values] => {
            let (keys, values) = (Array::from_datum(*keys)?, Array::from_datum(*values)?);
            if keys.dimensions().len() > 1 || keys.dimensions().len() != values.dimensions().len() {
                return Err(subscripts("wrong number of array subscripts"));
            }
            if keys.len() != values.len() {
                return Err(subscripts("mismatched array dimensions"));
            }
            for (key, value) in keys.elements().zip(values.elements()) {
                push(key, value)?;
            }
        }
        [pairs] => {
            let pairs = Array::from_datum(*pairs)?;
            match pairs.dimensions().as_slice() {
                [] => {}
                [d] if d.length % 2 == 1 => {
                    return Err(subscripts("array must have even number of elements"));
                }
                [_] => {}
                [_, d] if d.length != 2 => return Err(subscripts("array must have two columns")),
                [_, _] => {}
                _ => return Err(subscripts("wrong number of array subscripts")),
            }
            let elements: Vec<_> = pairs.elements().collect();
            for pair in elements.chunks_exact(2) {
                push(pair[0], pair[1])?;
            }
        }
        _ => return Err(mismatch()),
    }
    Ok(keep(builder.finish()?, arena))
}

pub(super) fn declare(out: &mut Declarations) {
    let convert: Eval = |types, args, arena| match (args, types.args.as_slice()) {
        ([datum, ..], [ty, ..]) => Ok(keep(to_json(types, ty, *datum)?, arena)),
        _ => Err(mismatch()),
    };
    let doc = "Any value as jsonb.";
    out.push(FunctionDesc::new(
        "to_jsonb",
        "anyelement -> jsonb",
        doc,
        convert,
    ));
    let doc = "A jsonb array of the arguments.";
    out.push(
        FunctionDesc::new(
            "jsonb_build_array",
            "variadic any -> jsonb",
            doc,
            build_array,
        )
        .lenient(),
    );
    out.push(FunctionDesc::new("jsonb_build_array", "-> jsonb", doc, build_array).lenient());
    let doc = "A jsonb object of keys and values in turn.";
    out.push(
        FunctionDesc::new(
            "jsonb_build_object",
            "variadic any -> jsonb",
            doc,
            build_object,
        )
        .lenient(),
    );
    out.push(FunctionDesc::new("jsonb_build_object", "-> jsonb", doc, build_object).lenient());
    let doc = "A jsonb object of the strings in arrays.";
    let eval: Eval = |_, args, arena| object_of_arrays(args, arena);
    out.push(FunctionDesc::new(
        "jsonb_object",
        "text[] -> jsonb",
        doc,
        eval,
    ));
    out.push(FunctionDesc::new(
        "jsonb_object",
        "text[], text[] -> jsonb",
        doc,
        eval,
    ));
}
