//! Every function against PostgreSQL 15: each line of the tables is a call and what Postgres says to it.
//!
//! A line is `name | type value | type value => type:value`, or `=> !SQLSTATE message`. Literals of type `unknown`
//! have no type yet; `NULL` is NULL; `\n`, `\t` and `\p` stand for a newline, a tab and a bar. The session's time
//! zone is America/New_York. Resolution is part of what is compared.

mod laws;

use super::context;
use crate::registry::{self, CAST};
use crate::resolve::{ResolveError, Resolved, resolve_function, resolve_operator};
use crate::scalar::CallTypes;
use crate::{cast_func, signature};
use everview_repr::{Datum, EvalError, RowArena, ScalarType, Typmod};

fn call_types(args: Vec<ScalarType>, result: ScalarType) -> CallTypes {
    CallTypes {
        args,
        result,
        typmod: Typmod::NONE,
        time_zone: "America/New_York".into(),
        environment: None,
    }
}

fn coerce<'a>(
    datum: Datum<'a>,
    from: &ScalarType,
    to: &ScalarType,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    if crate::cast_context(from, to) == Some(crate::CastContext::Implicit) && datum.is_null() {
        return Ok(datum);
    }
    let types = call_types(vec![from.clone()], to.clone());
    match cast_func(from, to) {
        None if *from == ScalarType::Unknown => Ok(datum),
        Some(cast) => match registry::call(cast, &types, &[datum], arena) {
            Datum::Error(error) => Err(error.to_error()),
            datum => Ok(datum),
        },
        None if from == to => Ok(datum),
        None => Err(crate::casts::cannot_cast(from, to)),
    }
}

fn argument<'a>(text: &str, arena: &'a RowArena) -> (Datum<'a>, ScalarType) {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let (ty, value) = text.split_once(' ').unwrap_or((text, ""));
    let ty = signature::scalar_type(ty).unwrap_or_else(|| panic!("type {ty:?}"));
    let value = value
        .replace("\\n", "\n")
        .replace("\\p", "|")
        .replace("\\t", "\t");
    if value == "NULL" {
        return (Datum::Null, ty);
    }
    let text = Datum::Text(arena.string(value));
    if ty == ScalarType::Unknown {
        return (text, ty);
    }
    let datum =
        coerce(text, &ScalarType::Text, &ty, arena).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    (datum, ty)
}

fn resolve(name: &str, types: &[ScalarType]) -> Result<Resolved, ResolveError> {
    let word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let quantified = name.starts_with("any") || name.starts_with("all");
    let operator = quantified && !name[3..].starts_with(|c: char| c.is_ascii_alphabetic());
    if word && !operator && name != "is_distinct" {
        resolve_function(name, types)
    } else {
        resolve_operator(name, types)
    }
}

/// What a call comes to, in the words of the tables.
fn outcome(call: &str) -> String {
    let arena = RowArena::new();
    let mut parts = call.split(" |");
    let name = parts
        .next()
        .unwrap_or_default()
        .trim_end()
        .replace("\\p", "|");
    let arguments: Vec<_> = parts.map(|p| argument(p, &arena)).collect();
    let types: Vec<_> = arguments.iter().map(|(_, ty)| ty.clone()).collect();
    let result = match name.strip_prefix("cast ") {
        Some(target) => {
            let target = signature::scalar_type(target).unwrap_or_else(|| panic!("{target}"));
            coerce(arguments[0].0, &types[0], &target, &arena).map(|d| (d, target))
        }
        None => resolve(&name, &types)
            .map_err(EvalError::from)
            .and_then(|resolved| {
                let mut args = Vec::new();
                for ((datum, from), to) in arguments.iter().zip(&resolved.args) {
                    args.push(coerce(*datum, from, to, &arena)?);
                }
                let types = call_types(resolved.args, resolved.result.clone());
                // What is kept by the arena outlives this block.
                let types = Box::leak(Box::new(types));
                match registry::call(resolved.func, types, &args, &arena) {
                    Datum::Error(error) => Err(error.to_error()),
                    datum => Ok((datum, resolved.result)),
                }
            }),
    };
    let text = result.and_then(|(datum, ty)| {
        let types = call_types(vec![], ty.clone());
        let text = if datum.is_null() {
            "NULL".into()
        } else {
            context::to_text(&types, &ty, datum)?
        };
        Ok(format!("{}:{text}", ty.sql_name()))
    });
    let text = match text {
        Ok(text) => text,
        Err(error) => format!("!{} {}", error.code(), error.message()),
    };
    text.replace('\n', "\\n").replace('\t', "\\t")
}

/// Whether two doubles differ by the last digits only: Postgres takes its transcendental functions from the machine.
fn nearly(found: &str, expected: &str) -> bool {
    let value = |s: &str| {
        s.strip_prefix("double precision:")
            .and_then(|v| v.parse::<f64>().ok())
    };
    match (value(found), value(expected)) {
        (Some(a), Some(b)) => (a - b).abs() <= 4.0 * f64::EPSILON * b.abs(),
        _ => false,
    }
}

fn check(table: &str) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in table.lines().filter(|l| !l.is_empty()) {
        let (call, expected) = line.split_once(" => ").expect("a call and a result");
        count += 1;
        let found = outcome(call);
        if found != expected && !nearly(&found, expected) {
            wrong.push(format!("{call}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count > 0);
    assert!(!registry::by_name(CAST).is_empty());
}

macro_rules! tables {
    ($($name:ident: $file:literal;)*) => {$(
        #[test]
        fn $name() {
            check(include_str!(concat!("tests/", $file)));
        }
    )*};
}

tables! {
    arithmetic_is_postgres: "arithmetic.txt";
    comparison_is_postgres: "comparison.txt";
    cast_is_postgres: "cast.txt";
    string_is_postgres: "string.txt";
    pattern_is_postgres: "pattern.txt";
    math_is_postgres: "math.txt";
    datetime_is_postgres: "datetime.txt";
    array_is_postgres: "array.txt";
    json_is_postgres: "json.txt";
    bytea_is_postgres: "bytea.txt";
}
