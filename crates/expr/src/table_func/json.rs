//! JSON arrays and objects as rows.

use super::{Emit, TableEval, TableFunctionDesc, declaration, mismatch};
use crate::registry::ParamType;
use crate::scalar::CallTypes;
use everview_repr::json::{Json, JsonArray, JsonObject};
use everview_repr::{Datum, EvalError, Row, ScalarType, SqlState};

pub(super) fn declare() -> Vec<TableFunctionDesc> {
    use ScalarType::{Jsonb, Text};
    let keys = "The keys of an object, in the order in which jsonb keeps them.";
    vec![
        columns(
            "jsonb_array_elements",
            &[("value", Jsonb)],
            "An array's elements.",
            elements,
        ),
        columns(
            "jsonb_array_elements_text",
            &[("value", Text)],
            "An array's elements as text.",
            elements_text,
        ),
        columns(
            "jsonb_each",
            &[("key", Text), ("value", Jsonb)],
            "An object's members.",
            each,
        ),
        columns(
            "jsonb_each_text",
            &[("key", Text), ("value", Text)],
            "An object's members, values as text.",
            each_text,
        ),
        declaration("jsonb_object_keys", "jsonb -> text", keys, object_keys),
    ]
}

fn columns(
    name: &'static str,
    columns: &[(&'static str, ScalarType)],
    doc: &'static str,
    eval: TableEval,
) -> TableFunctionDesc {
    TableFunctionDesc {
        name,
        params: vec![ParamType::Exact(ScalarType::Jsonb)],
        variadic: false,
        returns: columns
            .iter()
            .map(|(name, ty)| (*name, ParamType::Exact(ty.clone())))
            .collect(),
        strict: true,
        series: false,
        doc,
        eval,
    }
}

fn json<'a>(args: &[Datum<'a>]) -> Result<Json<'a>, EvalError> {
    match args {
        [Datum::Jsonb(json)] => Ok(*json),
        _ => Err(mismatch()),
    }
}

fn invalid(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn as_array<'a>(args: &[Datum<'a>]) -> Result<JsonArray<'a>, EvalError> {
    let json = json(args)?;
    json.as_array().ok_or_else(|| {
        let kind = if json.is_scalar() {
            "a scalar"
        } else {
            "an object"
        };
        invalid(format!("cannot extract elements from {kind}"))
    })
}

fn as_object<'a>(args: &[Datum<'a>], function: &str) -> Result<JsonObject<'a>, EvalError> {
    let object = json(args)?.as_object();
    object.ok_or_else(|| invalid(format!("cannot call {function} on a non-object")))
}

/// As `->>` shows it; a JSON null is NULL.
fn text_row(key: Option<&str>, value: Json<'_>) -> Row {
    let text = value.to_unquoted();
    let value = text.as_deref().map_or(Datum::Null, Datum::Text);
    Row::pack(key.map(Datum::Text).into_iter().chain([value]))
}

fn elements(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    for element in as_array(args)?.iter() {
        if !emit(Row::pack([Datum::Jsonb(element)])) {
            break;
        }
    }
    Ok(())
}

fn elements_text(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    for element in as_array(args)?.iter() {
        if !emit(text_row(None, element)) {
            break;
        }
    }
    Ok(())
}

fn each(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    for (key, value) in as_object(args, "jsonb_each")?.iter() {
        if !emit(Row::pack([Datum::Text(key), Datum::Jsonb(value)])) {
            break;
        }
    }
    Ok(())
}

fn each_text(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    for (key, value) in as_object(args, "jsonb_each_text")?.iter() {
        if !emit(text_row(Some(key), value)) {
            break;
        }
    }
    Ok(())
}

fn object_keys(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let json = json(args)?;
    let Some(object) = json.as_object() else {
        let kind = if json.is_scalar() {
            "a scalar"
        } else {
            "an array"
        };
        return Err(invalid(format!("cannot call jsonb_object_keys on {kind}")));
    };
    for key in object.keys() {
        if !emit(Row::pack([Datum::Text(key)])) {
            break;
        }
    }
    Ok(())
}
