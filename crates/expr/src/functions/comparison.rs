//! Comparison operators, IS DISTINCT FROM, greatest and least (manual, section 9.2).

use super::Declarations;
use crate::compare::{compare, compare_times};
use crate::registry::{Eval, FunctionDesc};
use crate::scalar::CallTypes;
use crate::value::mismatch;
use everview_repr::{Datum, EvalError};
use std::cmp::Ordering;

/// Types that are compared with themselves.
const SAME: &[&str] = &[
    "int4",
    "int8",
    "text",
    "float8",
    "numeric",
    "bool",
    "int2",
    "float4",
    "bpchar",
    "name",
    "char",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "jsonb",
    "oid",
    "anyarray",
    "record",
];

/// Pairs of types that are compared by value.
const MIXED: &[&str] = &[
    "int2, int4",
    "int2, int8",
    "int4, int2",
    "int4, int8",
    "int8, int2",
    "int8, int4",
    "float4, float8",
    "float8, float4",
    "name, text",
    "text, name",
];

/// Pairs of types whose comparison can need the session's time zone.
const TIMES: &[&str] = &[
    "date, timestamp",
    "date, timestamptz",
    "timestamp, date",
    "timestamp, timestamptz",
    "timestamptz, date",
    "timestamptz, timestamp",
];

fn pair<'d>(args: &[Datum<'d>]) -> Result<(Datum<'d>, Datum<'d>), EvalError> {
    match args {
        [a, b, ..] => Ok((*a, *b)),
        _ => Err(mismatch()),
    }
}

/// SQL's equality of two values of one type.
pub(crate) fn equal(a: Datum<'_>, b: Datum<'_>) -> bool {
    match (a, b) {
        (Datum::Text(a), Datum::Text(b)) => a == b,
        (Datum::Bytea(a), Datum::Bytea(b)) => a == b,
        (a, b) => compare(a, b) == Ordering::Equal,
    }
}

macro_rules! operator {
    ($out:ident, $name:literal, $doc:literal, $test:expr) => {{
        let eval: Eval = |_, args, _| {
            let (a, b) = pair(args)?;
            let test: fn(Ordering) -> bool = $test;
            Ok(Datum::Bool(test(compare(a, b))))
        };
        let zoned: Eval = |types, args, _| {
            let (a, b) = pair(args)?;
            let test: fn(Ordering) -> bool = $test;
            Ok(Datum::Bool(test(compare_times(a, b, types)?)))
        };
        declare_operator($out, $name, $doc, eval, zoned);
    }};
}

fn declare_operator(
    out: &mut Declarations,
    name: &'static str,
    doc: &'static str,
    eval: Eval,
    zoned: Eval,
) {
    for ty in SAME {
        out.push(FunctionDesc::new(name, &format!("{ty}, {ty} -> bool"), doc, eval).infallible());
    }
    for types in MIXED {
        out.push(FunctionDesc::new(name, &format!("{types} -> bool"), doc, eval).infallible());
    }
    for types in TIMES {
        out.push(FunctionDesc::new(
            name,
            &format!("{types} -> bool"),
            doc,
            zoned,
        ));
    }
}

/// Equality has a shorter way than order.
fn declare_equality(out: &mut Declarations) {
    let equal_eval: Eval = |_, args, _| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(equal(a, b)))
    };
    let unequal_eval: Eval = |_, args, _| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(!equal(a, b)))
    };
    let equal_zoned: Eval = |types, args, _| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(compare_times(a, b, types)? == Ordering::Equal))
    };
    let unequal_zoned: Eval = |types, args, _| {
        let (a, b) = pair(args)?;
        Ok(Datum::Bool(compare_times(a, b, types)? != Ordering::Equal))
    };
    declare_operator(out, "=", "Equal.", equal_eval, equal_zoned);
    declare_operator(out, "<>", "Not equal.", unequal_eval, unequal_zoned);
}

fn distinct(types: &CallTypes, args: &[Datum<'_>]) -> Result<bool, EvalError> {
    let (a, b) = pair(args)?;
    Ok(match (a.is_null(), b.is_null()) {
        (false, false) if std::mem::discriminant(&a) == std::mem::discriminant(&b) => !equal(a, b),
        (false, false) => match (a, b) {
            (
                Datum::Date(_) | Datum::Timestamp(_) | Datum::TimestampTz(_),
                Datum::Date(_) | Datum::Timestamp(_) | Datum::TimestampTz(_),
            ) => compare_times(a, b, types)? != Ordering::Equal,
            _ => !equal(a, b),
        },
        (a, b) => a != b,
    })
}

fn declare_distinct(out: &mut Declarations) {
    let is: Eval = |types, args, _| Ok(Datum::Bool(distinct(types, args)?));
    let is_not: Eval = |types, args, _| Ok(Datum::Bool(!distinct(types, args)?));
    for (name, doc, eval) in [
        (
            "is_distinct",
            "IS DISTINCT FROM: not equal, where NULL equals NULL.",
            is,
        ),
        (
            "is_not_distinct",
            "IS NOT DISTINCT FROM: equal, where NULL equals NULL.",
            is_not,
        ),
    ] {
        let start = out.len();
        declare_operator(out, name, doc, eval, eval);
        for desc in &mut out[start..] {
            desc.strict = false;
        }
    }
}

/// The first of the extreme values; NULLs are passed over.
fn extreme<'a>(args: &[Datum<'a>], keep: Ordering) -> Datum<'a> {
    let values = args.iter().copied().filter(|d| !d.is_null());
    values
        .reduce(|best, d| if compare(d, best) == keep { d } else { best })
        .unwrap_or(Datum::Null)
}

fn count_nulls<'a>(args: &[Datum<'a>], nulls: bool) -> Datum<'a> {
    // A single VARIADIC array is counted by its elements by whoever expands it.
    Datum::Int32(args.iter().filter(|d| d.is_null() == nulls).count() as i32)
}

pub(super) fn declare(out: &mut Declarations) {
    declare_equality(out);
    operator!(out, "<", "Less than.", |o| o == Ordering::Less);
    operator!(out, "<=", "Less than or equal.", |o| o != Ordering::Greater);
    operator!(out, ">", "Greater than.", |o| o == Ordering::Greater);
    operator!(out, ">=", "Greater than or equal.", |o| o != Ordering::Less);
    declare_distinct(out);
    let list = "variadic anycompatible -> anycompatible";
    let greatest: Eval = |_, args, _| Ok(extreme(args, Ordering::Greater));
    let least: Eval = |_, args, _| Ok(extreme(args, Ordering::Less));
    out.push(
        FunctionDesc::new(
            "greatest",
            list,
            "The largest of the values that are not NULL.",
            greatest,
        )
        .lenient()
        .infallible(),
    );
    out.push(
        FunctionDesc::new(
            "least",
            list,
            "The smallest of the values that are not NULL.",
            least,
        )
        .lenient()
        .infallible(),
    );
    let nonnulls: Eval = |_, args, _| Ok(count_nulls(args, false));
    let nulls: Eval = |_, args, _| Ok(count_nulls(args, true));
    let any = "variadic any -> int4";
    out.push(
        FunctionDesc::new(
            "num_nonnulls",
            any,
            "How many arguments are not NULL.",
            nonnulls,
        )
        .lenient()
        .infallible(),
    );
    out.push(
        FunctionDesc::new("num_nulls", any, "How many arguments are NULL.", nulls)
            .lenient()
            .infallible(),
    );
}

/// Compares by a symbol, for quantified comparisons; `None` for an unknown symbol.
pub(super) fn test(symbol: &str, order: Ordering) -> Option<bool> {
    Some(match symbol {
        "=" => order == Ordering::Equal,
        "<>" => order != Ordering::Equal,
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        ">=" => order != Ordering::Less,
        _ => return None,
    })
}
