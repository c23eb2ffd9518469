//! jsonb values changed: concatenation, deletion, jsonb_set, jsonb_insert.

use super::{keep, owned, path};
use crate::functions::Declarations;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{FromDatum, OwnedJson, eval, mismatch};
use everview_repr::json::{self, Json};
use everview_repr::{Array, Datum, EvalError, RowArena, SqlState};

/// The steps of a path into a value. A NULL among them is 22004 where the steps before it lead to an array or
/// object; where they do not, it is not looked at, and any step will do.
fn steps<'p>(value: Json<'_>, array: Array<'p>) -> Result<Vec<&'p str>, EvalError> {
    if array.dimensions().len() > 1 {
        let message = "wrong number of array subscripts";
        return Err(EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
    }
    let Some(position) = array.elements().position(|e| e.is_null()) else {
        return path(array).ok_or_else(mismatch);
    };
    let steps: Vec<_> = array
        .elements()
        .map(|e| e.as_str().unwrap_or("0"))
        .collect();
    let before = value.path(steps[..position].iter().copied());
    if before.is_none_or(|v| v.is_scalar()) {
        return Ok(steps);
    }
    let message = format!("path element at position {} is null", position + 1);
    Err(EvalError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message))
}

fn delete_keys(value: Json<'_>, keys: Array<'_>) -> Result<OwnedJson, EvalError> {
    let keys: Vec<&str> = keys.elements().filter_map(|k| k.as_str()).collect();
    owned(json::delete_keys(value, &keys))
}

fn set(
    value: Json<'_>,
    at: Array<'_>,
    new: Json<'_>,
    create: bool,
) -> Result<OwnedJson, EvalError> {
    owned(json::set(value, &steps(value, at)?, new, create))
}

/// `jsonb_set_lax`: what a NULL new value means is an argument.
fn set_lax<'a>(args: &[Datum<'a>], arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let [value, at, new, rest @ ..] = args else {
        return Err(mismatch());
    };
    let create = rest.first().copied().unwrap_or(Datum::Bool(true));
    if value.is_null() || at.is_null() || create.is_null() {
        return Ok(Datum::Null);
    }
    let (target, at) = (Json::from_datum(*value)?, Array::from_datum(*at)?);
    let create = bool::from_datum(create)?;
    if !new.is_null() {
        return Ok(keep(
            set(target, at, Json::from_datum(*new)?, create)?.0,
            arena,
        ));
    }
    let bad = |message: &str| EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let treatment = rest.get(1).copied().unwrap_or(Datum::Text("use_json_null"));
    match treatment.as_str() {
        Some("use_json_null") => {
            let null = json::null();
            Ok(keep(set(target, at, Json::from_packed(&null), create)?.0, arena))
        }
        Some("delete_key") => Ok(keep(json::delete_path(target, &steps(target, at)?)?, arena)),
        Some("return_target") => Ok(*value),
        Some("raise_exception") => {
            Err(EvalError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "JSON value must not be null")
                .with_detail("Exception was raised because null_value_treatment is \"raise_exception\".")
                .with_hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed."))
        }
        _ => Err(bad("null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"")),
    }
}

pub(super) fn declare(out: &mut Declarations) {
    let mut push =
        |name, signature, doc, eval| out.push(FunctionDesc::new(name, signature, doc, eval));
    for name in ["||", "jsonb_concat"] {
        let doc = "Objects merged, or arrays joined.";
        push(
            name,
            "jsonb, jsonb -> jsonb",
            doc,
            eval!(|a: Json<'_>, b: Json<'_>| owned(json::concat(a, b))) as Eval,
        );
    }
    for name in ["-", "jsonb_delete"] {
        let doc = "Without a member, or without the elements equal to a string.";
        push(
            name,
            "jsonb, text -> jsonb",
            doc,
            eval!(|v: Json<'_>, k: &str| owned(json::delete_key(v, k))),
        );
        let doc = "Without some members, or without the elements equal to some strings.";
        push(
            name,
            "jsonb, text[] -> jsonb",
            doc,
            eval!(|v: Json<'_>, k: Array<'_>| delete_keys(v, k)),
        );
        let doc = "Without an element.";
        push(
            name,
            "jsonb, int4 -> jsonb",
            doc,
            eval!(|v: Json<'_>, n: i32| owned(json::delete_index(v, n))),
        );
    }
    for name in ["#-", "jsonb_delete_path"] {
        let doc = "Without what a path leads to.";
        push(
            name,
            "jsonb, text[] -> jsonb",
            doc,
            eval!(|v: Json<'_>, p: Array<'_>| owned(json::delete_path(v, &steps(v, p)?))),
        );
    }
    let doc = "With a new value where a path leads.";
    push(
        "jsonb_set",
        "jsonb, text[], jsonb -> jsonb",
        doc,
        eval!(|v: Json<'_>, p: Array<'_>, new: Json<'_>| set(v, p, new, true)),
    );
    let eval: Eval =
        eval!(|v: Json<'_>, p: Array<'_>, new: Json<'_>, create: bool| set(v, p, new, create));
    push(
        "jsonb_set",
        "jsonb, text[], jsonb, bool -> jsonb",
        doc,
        eval,
    );
    let doc = "With a new value before, or after, the element that a path leads to.";
    let eval: Eval = eval!(
        |v: Json<'_>, p: Array<'_>, new: Json<'_>| owned(json::insert(
            v,
            &steps(v, p)?,
            new,
            false
        ))
    );
    push("jsonb_insert", "jsonb, text[], jsonb -> jsonb", doc, eval);
    let eval: Eval = eval!(
        |v: Json<'_>, p: Array<'_>, new: Json<'_>, after: bool| owned(json::insert(
            v,
            &steps(v, p)?,
            new,
            after
        ))
    );
    push(
        "jsonb_insert",
        "jsonb, text[], jsonb, bool -> jsonb",
        doc,
        eval,
    );
    let doc = "Without the members that are null, at any depth.";
    push(
        "jsonb_strip_nulls",
        "jsonb -> jsonb",
        doc,
        eval!(|v: Json<'_>| owned(json::strip_nulls(v))),
    );
    let doc = "As jsonb_set, with a choice of what NULL means.";
    for signature in [
        "jsonb, text[], jsonb -> jsonb",
        "jsonb, text[], jsonb, bool -> jsonb",
        "jsonb, text[], jsonb, bool, text -> jsonb",
    ] {
        let eval: Eval = |_, args, arena| set_lax(args, arena);
        out.push(FunctionDesc::new("jsonb_set_lax", signature, doc, eval).lenient());
    }
}
