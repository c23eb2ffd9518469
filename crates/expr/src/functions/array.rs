//! Arrays: construction, subscripts, dimensions, containment (manual, sections 8.15 and 9.19).

mod subscript;

use super::Declarations;
use super::comparison::equal;
use crate::registry::{Eval, FunctionDesc};
use crate::scalar::CallTypes;
use crate::value::{OwnedArray, eval, mismatch};
use everview_repr::array::{Dimension, MAX_DIMENSIONS, build, build_vector};
use everview_repr::{Array, Datum, EvalError, RowArena, ScalarType, SqlState};

/// 2202E.
pub(super) fn bad_subscript(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}

/// `ARRAY[..]`: a vector of elements, or arrays of equal dimensions one dimension higher.
fn construct<'a>(
    types: &CallTypes,
    args: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let nested = types
        .args
        .first()
        .is_some_and(|t| matches!(t, ScalarType::Array(_)));
    let packed = if nested {
        stack(args)?
    } else {
        build_vector(args)
    };
    Ok(Datum::Array(Array::from_packed(arena.bytes(packed))))
}

/// Arrays put one above the other; NULL and empty ones go only with their like.
fn stack(args: &[Datum<'_>]) -> Result<Vec<u8>, EvalError> {
    let mismatched = || {
        bad_subscript(
            "multidimensional arrays must have array expressions with matching dimensions",
        )
    };
    let mut inner: Option<Vec<Dimension>> = None;
    let mut elements = Vec::new();
    let mut empty = 0;
    for arg in args {
        let Datum::Array(array) = arg else {
            empty += 1;
            continue;
        };
        let dimensions = array.dimensions();
        if dimensions.is_empty() {
            empty += 1;
            continue;
        }
        match &inner {
            None => inner = Some(dimensions),
            Some(before) if *before == dimensions => {}
            Some(_) => return Err(mismatched()),
        }
        elements.extend(array.elements());
    }
    let Some(inner) = inner else {
        return Ok(build(&[], []));
    };
    if empty > 0 {
        return Err(mismatched());
    }
    if inner.len() >= MAX_DIMENSIONS {
        return Err(too_many_dimensions(inner.len() + 1));
    }
    let outer = Dimension {
        length: args.len() as u32,
        lower: 1,
    };
    let dimensions: Vec<_> = [outer].into_iter().chain(inner).collect();
    Ok(build(&dimensions, elements))
}

/// 54000.
fn too_many_dimensions(count: usize) -> EvalError {
    let message = format!(
        "number of array dimensions ({count}) exceeds the maximum allowed ({MAX_DIMENSIONS})"
    );
    EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

fn dimension(array: Array<'_>, n: i32) -> Option<Dimension> {
    let index = usize::try_from(n).ok()?.checked_sub(1)?;
    array.dimensions().get(index).copied()
}

fn upper(d: Dimension) -> i32 {
    d.lower.wrapping_add(d.length as i32).wrapping_sub(1)
}

fn dims(array: Array<'_>) -> Option<String> {
    let dimensions = array.dimensions();
    let one = |d: &Dimension| format!("[{}:{}]", d.lower, upper(*d));
    (!dimensions.is_empty()).then(|| dimensions.iter().map(one).collect())
}

/// Every element of `b` occurs in `a`; NULL occurs nowhere.
fn contains(a: Array<'_>, b: Array<'_>) -> bool {
    b.elements()
        .all(|x| !x.is_null() && a.elements().any(|y| !y.is_null() && equal(x, y)))
}

fn overlaps(a: Array<'_>, b: Array<'_>) -> bool {
    a.elements()
        .any(|x| !x.is_null() && b.elements().any(|y| !y.is_null() && equal(x, y)))
}

fn fill(
    value: Datum<'_>,
    lengths: Array<'_>,
    lowers: Option<Array<'_>>,
) -> Result<OwnedArray, EvalError> {
    let null = || {
        EvalError::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "dimension values cannot be null",
        )
    };
    let number = |d: Datum<'_>| match d {
        Datum::Int32(v) => Ok(v),
        _ => Err(null()),
    };
    let wrong = || bad_subscript("wrong number of array subscripts");
    let lengths: Vec<i32> = lengths.elements().map(number).collect::<Result<_, _>>()?;
    let lowers: Vec<i32> = match lowers {
        Some(lowers) => lowers.elements().map(number).collect::<Result<_, _>>()?,
        None => vec![1; lengths.len()],
    };
    if lowers.len() != lengths.len() {
        return Err(
            wrong().with_detail("Low bound array has different size than dimensions array.")
        );
    }
    if lengths.len() > MAX_DIMENSIONS {
        return Err(too_many_dimensions(lengths.len()));
    }
    let mut count = 1usize;
    let mut dimensions = Vec::new();
    for (length, lower) in lengths.iter().zip(lowers) {
        let limit = 128 * 1024 * 1024;
        let length = u32::try_from(*length).map_err(|_| too_large())?;
        count = count
            .checked_mul(length as usize)
            .filter(|n| *n <= limit)
            .ok_or_else(too_large)?;
        if lower.checked_add(length as i32).is_none() {
            return Err(bad_subscript(format!(
                "array lower bound is too large: {lower}"
            )));
        }
        dimensions.push(Dimension { length, lower });
    }
    if count == 0 || dimensions.is_empty() {
        return Ok(OwnedArray(build(&[], [])));
    }
    // The result is bounded as a value is.
    let mut one = Vec::new();
    everview_repr::row::push_datum(&mut one, value);
    if one.len().saturating_mul(count) > crate::limit::MAX_BYTES {
        return Err(too_large());
    }
    Ok(OwnedArray(build(
        &dimensions,
        std::iter::repeat_n(value, count),
    )))
}

fn too_large() -> EvalError {
    let message = "array size exceeds the maximum allowed (134217727)";
    EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

fn declare_dimensions(out: &mut Declarations) {
    let mut push = |name, signature, doc, eval| {
        out.push(
            FunctionDesc::new(name, signature, doc, eval)
                .infallible()
                .nullable(),
        );
    };
    let n = "anyarray, int4 -> int4";
    push(
        "array_length",
        n,
        "Elements along a dimension.",
        eval!(|a: Array<'_>, n: i32| dimension(a, n).map(|d| d.length as i32)),
    );
    push(
        "array_lower",
        n,
        "The first subscript of a dimension.",
        eval!(|a: Array<'_>, n: i32| dimension(a, n).map(|d| d.lower)),
    );
    push(
        "array_upper",
        n,
        "The last subscript of a dimension.",
        eval!(|a: Array<'_>, n: i32| dimension(a, n).map(upper)),
    );
    push(
        "array_ndims",
        "anyarray -> int4",
        "How many dimensions.",
        eval!(|a: Array<'_>| Some(a.dimensions().len() as i32).filter(|n| *n > 0)),
    );
    push(
        "array_dims",
        "anyarray -> text",
        "The dimensions as text.",
        eval!(|a: Array<'_>| dims(a)),
    );
    push(
        "cardinality",
        "anyarray -> int4",
        "Elements in all dimensions.",
        eval!(|a: Array<'_>| a.len() as i32),
    );
}

fn declare_containment(out: &mut Declarations) {
    let mut push = |name, doc, eval| {
        out.push(FunctionDesc::new(name, "anyarray, anyarray -> bool", doc, eval).infallible());
    };
    push(
        "@>",
        "Whether every element of the second occurs in the first.",
        eval!(|a: Array<'_>, b: Array<'_>| contains(a, b)) as Eval,
    );
    push(
        "<@",
        "Whether every element of the first occurs in the second.",
        eval!(|a: Array<'_>, b: Array<'_>| contains(b, a)),
    );
    push(
        "&&",
        "Whether the arrays have an element in common.",
        eval!(|a: Array<'_>, b: Array<'_>| overlaps(a, b)),
    );
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "ARRAY[..]: an array of the elements.";
    out.push(
        FunctionDesc::new(
            "array",
            "variadic anycompatible -> anycompatiblearray",
            doc,
            construct,
        )
        .lenient(),
    );
    let empty: Eval = |_, _, arena| {
        Ok(Datum::Array(Array::from_packed(
            arena.bytes(build(&[], [])),
        )))
    };
    out.push(
        FunctionDesc::new(
            "array_empty",
            "anyelement -> anyarray",
            "The empty array of a value's type.",
            empty,
        )
        .lenient(),
    );
    declare_dimensions(out);
    declare_containment(out);
    let doc = "An array filled with a value.";
    let eval: Eval = |_, args, arena| match args {
        [value, Datum::Array(lengths), rest @ ..] => {
            let lowers = match rest {
                [] => None,
                [Datum::Array(lowers), ..] => Some(*lowers),
                _ => {
                    return Err(EvalError::new(
                        SqlState::NULL_VALUE_NOT_ALLOWED,
                        "dimension array or low bound array cannot be null",
                    ));
                }
            };
            Ok(Datum::Array(Array::from_packed(
                arena.bytes(fill(*value, *lengths, lowers)?.0),
            )))
        }
        [_, Datum::Null, ..] => Err(EvalError::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "dimension array or low bound array cannot be null",
        )),
        _ => Err(mismatch()),
    };
    out.push(
        FunctionDesc::new("array_fill", "anyelement, int4[] -> anyarray", doc, eval).lenient(),
    );
    out.push(
        FunctionDesc::new(
            "array_fill",
            "anyelement, int4[], int4[] -> anyarray",
            doc,
            eval,
        )
        .lenient(),
    );
    subscript::declare(out);
}
