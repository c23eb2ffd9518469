//! Arrays as rows.

use super::{
    Emit, ResolvedTableFunction, TableFunc, TableFunctionDesc, declaration, mismatch,
    table_functions,
};
use crate::registry::ParamType;
use crate::resolve::{self, ResolveError};
use crate::scalar::CallTypes;
use everview_repr::{Array, Datum, EvalError, Row, ScalarType};

/// `unnest` of several arrays, which only FROM can call. It is no identifier, so that nothing else can.
const SEVERAL: &str = "unnest variadic";

pub(super) fn declare() -> Vec<TableFunctionDesc> {
    let doc = "The subscripts of an array's dimension, backwards if the third argument says so.";
    vec![
        declaration(
            "unnest",
            "anyarray -> anyelement",
            "An array's elements.",
            unnest,
        ),
        TableFunctionDesc {
            name: SEVERAL,
            params: vec![ParamType::Any],
            variadic: true,
            returns: Vec::new(),
            strict: false,
            series: false,
            doc: "Elements of several arrays side by side, shorter ones filled up with NULL.",
            eval: unnest_several,
        },
        declaration(
            "generate_subscripts",
            "anyarray, int4 -> int4",
            doc,
            subscripts,
        ),
        declaration(
            "generate_subscripts",
            "anyarray, int4, bool -> int4",
            doc,
            subscripts,
        ),
        TableFunctionDesc {
            name: "_pg_expandarray",
            params: vec![ParamType::AnyArray],
            variadic: false,
            returns: vec![
                ("x", ParamType::AnyElement),
                ("n", ParamType::Exact(ScalarType::Int32)),
            ],
            strict: true,
            series: false,
            doc: "An array's elements and their positions from 1.",
            eval: expand,
        },
    ]
}

/// The resolution of `unnest` over more than one array: a column for each.
pub(super) fn resolve_several(args: &[ScalarType]) -> Result<ResolvedTableFunction, ResolveError> {
    let mut columns = Vec::new();
    for arg in args {
        let ScalarType::Array(element) = arg else {
            return Err(resolve::function_failure(
                resolve::Failure::NotFound,
                "unnest",
                args,
            ));
        };
        columns.push(("unnest".to_string(), (**element).clone()));
    }
    let position = table_functions().iter().position(|f| f.name == SEVERAL);
    let func = TableFunc(position.expect("declared above") as u32);
    Ok(ResolvedTableFunction {
        func,
        args: args.to_vec(),
        columns,
    })
}

fn array<'a>(args: &[Datum<'a>]) -> Result<Array<'a>, EvalError> {
    match args.first() {
        Some(Datum::Array(array)) => Ok(*array),
        _ => Err(mismatch()),
    }
}

fn unnest(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    for element in array(args)?.elements() {
        if !emit(Row::pack([element])) {
            break;
        }
    }
    Ok(())
}

fn unnest_several(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let mut arrays = Vec::new();
    for arg in args {
        arrays.push(match arg {
            Datum::Array(array) => Some(array.elements()),
            Datum::Null => None,
            _ => return Err(mismatch()),
        });
    }
    loop {
        let elements: Vec<Option<Datum<'_>>> = arrays
            .iter_mut()
            .map(|array| array.as_mut().and_then(Iterator::next))
            .collect();
        if elements.iter().all(Option::is_none) {
            return Ok(());
        }
        if !emit(Row::pack(
            elements.into_iter().map(|e| e.unwrap_or(Datum::Null)),
        )) {
            return Ok(());
        }
    }
}

fn subscripts(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    let (array, dimension) = match args {
        [Datum::Array(array), Datum::Int32(dimension), ..] => (array, *dimension),
        _ => return Err(mismatch()),
    };
    let dimensions = array.dimensions();
    let at = usize::try_from(dimension)
        .ok()
        .and_then(|d| d.checked_sub(1));
    let Some(dimension) = at.and_then(|at| dimensions.get(at)) else {
        return Ok(());
    };
    let lower = i64::from(dimension.lower);
    let upper = lower + i64::from(dimension.length) - 1;
    let reverse = matches!(args.get(2), Some(Datum::Bool(true)));
    for i in lower..=upper {
        let subscript = if reverse { upper - (i - lower) } else { i };
        if !emit(Row::pack([Datum::Int32(subscript as i32)])) {
            break;
        }
    }
    Ok(())
}

fn expand(_: &CallTypes, args: &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError> {
    for (element, n) in array(args)?.elements().zip(1..) {
        if !emit(Row::pack([element, Datum::Int32(n)])) {
            break;
        }
    }
    Ok(())
}
