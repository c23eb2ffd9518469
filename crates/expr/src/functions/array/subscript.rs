//! Subscripts and slices: out of bounds is NULL, or the empty array for a slice.

use crate::functions::Declarations;
use crate::registry::FunctionDesc;
use crate::value::mismatch;
use everview_repr::array::{Dimension, build};
use everview_repr::{Array, Datum, EvalError, RowArena};

/// `a[i][j]..`: the element at one subscript a dimension.
fn get<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, EvalError> {
    let [Datum::Array(array), subscripts @ ..] = args else {
        return Err(mismatch());
    };
    let dimensions = array.dimensions();
    if dimensions.len() != subscripts.len() {
        return Ok(Datum::Null);
    }
    let mut index = 0usize;
    for (d, subscript) in dimensions.iter().zip(subscripts) {
        let Datum::Int32(subscript) = subscript else {
            return Err(mismatch());
        };
        let at = i64::from(*subscript) - i64::from(d.lower);
        if at < 0 || at >= i64::from(d.length) {
            return Ok(Datum::Null);
        }
        index = index * d.length as usize + at as usize;
    }
    Ok(array.elements().nth(index).unwrap_or(Datum::Null))
}

/// `a[i:j][k:l]..`: arguments are pairs of bounds, NULL where one is left out. Dimensions without a pair are taken
/// whole. Subscripts of the result start at 1.
fn slice<'a>(args: &[Datum<'a>], arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let [array, bounds @ ..] = args else {
        return Err(mismatch());
    };
    let Datum::Array(array) = array else {
        return Ok(Datum::Null);
    };
    let dimensions = array.dimensions();
    let empty = || Datum::Array(Array::from_packed(arena.bytes(build(&[], []))));
    if bounds.len() / 2 > dimensions.len() || dimensions.is_empty() {
        return Ok(empty());
    }
    let mut ranges = Vec::with_capacity(dimensions.len());
    for (i, d) in dimensions.iter().enumerate() {
        let first = i64::from(d.lower);
        let last = first + i64::from(d.length) - 1;
        let bound = |at: usize, default: i64| match bounds.get(at) {
            Some(Datum::Int32(v)) => i64::from(*v),
            _ => default,
        };
        let (low, high) = (
            bound(2 * i, first).max(first),
            bound(2 * i + 1, last).min(last),
        );
        if low > high {
            return Ok(empty());
        }
        ranges.push(((low - first) as usize, (high - first) as usize + 1));
    }
    let shape: Vec<_> = ranges
        .iter()
        .map(|(a, b)| Dimension {
            length: (b - a) as u32,
            lower: 1,
        })
        .collect();
    let inside = |mut index: usize| {
        for (d, (a, b)) in dimensions.iter().zip(&ranges).rev() {
            let at = index % d.length as usize;
            if at < *a || at >= *b {
                return false;
            }
            index /= d.length as usize;
        }
        true
    };
    let elements = array
        .elements()
        .enumerate()
        .filter(|(i, _)| inside(*i))
        .map(|(_, e)| e);
    Ok(Datum::Array(Array::from_packed(
        arena.bytes(build(&shape, elements)),
    )))
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "a[i]: the element at a subscript for each dimension.";
    let desc = FunctionDesc::new(
        "array_get",
        "anyarray, variadic int4 -> anyelement",
        doc,
        |_, args, _| get(args),
    );
    out.push(desc.nullable().infallible());
    let doc =
        "a[i:j]: the part between two subscripts for each dimension; NULL for a bound left out.";
    let desc = FunctionDesc::new(
        "array_slice",
        "anyarray, variadic int4 -> anyarray",
        doc,
        |_, args, arena| slice(args, arena),
    );
    out.push(desc.lenient().infallible());
}
