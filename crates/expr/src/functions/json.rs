//! jsonb operators and functions (manual, section 9.16).

mod build;
mod edit;

use super::Declarations;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{FromDatum, OwnedJson, eval, mismatch};
use everview_repr::json::{self, Json};
use everview_repr::{Array, Datum, EvalError, RowArena, SqlState};

/// The strings of a text array; a NULL among them leads nowhere.
fn path(array: Array<'_>) -> Option<Vec<&str>> {
    array.elements().map(|e| e.as_str()).collect()
}

fn at_path<'a>(value: Json<'a>, steps: Array<'_>) -> Option<Json<'a>> {
    value.path(path(steps)?)
}

/// `jsonb_extract_path(value, VARIADIC steps)`.
fn extract<'a>(args: &[Datum<'a>]) -> Result<Option<Json<'a>>, EvalError> {
    let [value, steps @ ..] = args else {
        return Err(mismatch());
    };
    let value = Json::from_datum(*value)?;
    let steps: Option<Vec<&str>> = steps.iter().map(Datum::as_str).collect();
    Ok(steps.and_then(|steps| value.path(steps)))
}

/// Keys of a top-level object, or strings of a top-level array.
fn exists_any(value: Json<'_>, keys: Array<'_>) -> bool {
    keys.elements()
        .filter_map(|k| k.as_str())
        .any(|k| json::exists(value, k))
}

fn exists_all(value: Json<'_>, keys: Array<'_>) -> bool {
    keys.elements()
        .filter_map(|k| k.as_str())
        .all(|k| json::exists(value, k))
}

fn array_length(value: Json<'_>) -> Result<i32, EvalError> {
    let bad = |message| Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    match value.as_array() {
        Some(array) => Ok(array.len() as i32),
        None if value.is_scalar() => bad("cannot get array length of a scalar"),
        None => bad("cannot get array length of a non-array"),
    }
}

/// A subscript as Postgres reads it off a jsonb value: integers count array elements, text names members.
fn subscript<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, EvalError> {
    let [value, steps @ ..] = args else {
        return Err(mismatch());
    };
    let mut at = Json::from_datum(*value)?;
    for step in steps {
        let next = match step {
            Datum::Int32(index) => at.element(*index).filter(|_| !at.is_scalar()),
            step => at.path([<&str>::from_datum(*step)?]),
        };
        match next {
            Some(next) => at = next,
            None => return Ok(Datum::Null),
        }
    }
    Ok(Datum::Jsonb(at))
}

/// The subscripts of `jsonb_object_field` and its kin: `->`, `->>`, `#>`, `#>>` and the functions behind them.
fn declare_access(out: &mut Declarations) {
    let mut push = |name, signature, doc, eval| {
        out.push(
            FunctionDesc::new(name, signature, doc, eval)
                .infallible()
                .nullable(),
        );
    };
    let doc = "A member by key.";
    for name in ["->", "jsonb_object_field"] {
        push(
            name,
            "jsonb, text -> jsonb",
            doc,
            eval!(|v: Json<'_>, key: &str| v.get(key)) as Eval,
        );
    }
    let doc = "An element by position, negative from the end.";
    for name in ["->", "jsonb_array_element"] {
        push(
            name,
            "jsonb, int4 -> jsonb",
            doc,
            eval!(|v: Json<'_>, n: i32| v.element(n)),
        );
    }
    let doc = "A member by key, as text.";
    for name in ["->>", "jsonb_object_field_text"] {
        push(
            name,
            "jsonb, text -> text",
            doc,
            eval!(|v: Json<'_>, key: &str| v.get(key).and_then(|v| v.to_unquoted())),
        );
    }
    let doc = "An element by position, as text.";
    for name in ["->>", "jsonb_array_element_text"] {
        push(
            name,
            "jsonb, int4 -> text",
            doc,
            eval!(|v: Json<'_>, n: i32| { v.element(n).and_then(|v| v.to_unquoted()) }),
        );
    }
    push(
        "#>",
        "jsonb, text[] -> jsonb",
        "What a path leads to.",
        eval!(|v: Json<'_>, p: Array<'_>| at_path(v, p)),
    );
    push(
        "#>>",
        "jsonb, text[] -> text",
        "What a path leads to, as text.",
        eval!(|v: Json<'_>, p: Array<'_>| { at_path(v, p).and_then(|v| v.to_unquoted()) }),
    );
    let doc = "What a path leads to.";
    push(
        "jsonb_extract_path",
        "jsonb, variadic text -> jsonb",
        doc,
        |_, args, _| Ok(extract(args)?.map_or(Datum::Null, Datum::Jsonb)),
    );
    let doc = "What a path leads to, as text.";
    push(
        "jsonb_extract_path_text",
        "jsonb, variadic text -> text",
        doc,
        |_, args, arena| {
            let text = extract(args)?.and_then(|v| v.to_unquoted());
            Ok(text.map_or(Datum::Null, |text| Datum::Text(arena.string(text))))
        },
    );
    let doc = "v[key]..: members and elements by subscripts.";
    push(
        "jsonb_get",
        "jsonb, variadic text -> jsonb",
        doc,
        |_, args, _| subscript(args),
    );
    push("jsonb_get", "jsonb, int4 -> jsonb", doc, |_, args, _| {
        subscript(args)
    });
}

fn declare_tests(out: &mut Declarations) {
    let mut push = |name, signature, doc, eval| {
        out.push(FunctionDesc::new(name, signature, doc, eval).infallible());
    };
    push(
        "@>",
        "jsonb, jsonb -> bool",
        "Whether the first contains the second.",
        eval!(|a: Json<'_>, b: Json<'_>| json::contains(a, b)),
    );
    push(
        "<@",
        "jsonb, jsonb -> bool",
        "Whether the second contains the first.",
        eval!(|a: Json<'_>, b: Json<'_>| json::contains(b, a)),
    );
    let doc = "Whether a string is a key, or an element, at the top.";
    let one: Eval = eval!(|v: Json<'_>, key: &str| json::exists(v, key));
    push("?", "jsonb, text -> bool", doc, one);
    push("jsonb_exists", "jsonb, text -> bool", doc, one);
    let doc = "Whether any of some strings is a key, or an element, at the top.";
    let any: Eval = eval!(|v: Json<'_>, keys: Array<'_>| exists_any(v, keys));
    push("?|", "jsonb, text[] -> bool", doc, any);
    push("jsonb_exists_any", "jsonb, text[] -> bool", doc, any);
    let doc = "Whether all of some strings are keys, or elements, at the top.";
    let all: Eval = eval!(|v: Json<'_>, keys: Array<'_>| exists_all(v, keys));
    push("?&", "jsonb, text[] -> bool", doc, all);
    push("jsonb_exists_all", "jsonb, text[] -> bool", doc, all);
    push(
        "jsonb_typeof",
        "jsonb -> text",
        "The kind of a value.",
        eval!(|v: Json<'_>| v.kind().name()),
    );
    push(
        "jsonb_pretty",
        "jsonb -> text",
        "The text form, indented.",
        eval!(|v: Json<'_>| v.pretty()),
    );
    let eval: Eval = eval!(|v: Json<'_>| array_length(v));
    out.push(FunctionDesc::new(
        "jsonb_array_length",
        "jsonb -> int4",
        "Elements of an array.",
        eval,
    ));
}

pub(super) fn declare(out: &mut Declarations) {
    declare_access(out);
    declare_tests(out);
    edit::declare(out);
    build::declare(out);
}

/// Keeps a computed value.
fn keep<'a>(packed: Vec<u8>, arena: &'a RowArena) -> Datum<'a> {
    Datum::Jsonb(Json::from_packed(arena.bytes(packed)))
}

/// A computed value or its error.
fn owned(result: Result<Vec<u8>, EvalError>) -> Result<OwnedJson, EvalError> {
    result.map(OwnedJson)
}
