//! Arrays changed and searched: append, concatenate, remove, replace, positions (manual, section 9.19).

use super::Declarations;
use super::array::bad_subscript;
use super::comparison::equal;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{FromDatum, OwnedArray, eval, mismatch};
use everview_repr::array::{Dimension, build, build_vector};
use everview_repr::{Array, Datum, EvalError, RowArena, SqlState};

fn array<'a>(packed: Vec<u8>, arena: &'a RowArena) -> Datum<'a> {
    Datum::Array(Array::from_packed(arena.bytes(packed)))
}

/// With an element after the last, or before the first (whose subscript then keeps being the lower bound less one).
fn extend<'a>(
    values: Datum<'a>,
    element: Datum<'a>,
    back: bool,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let values = Option::<Array<'_>>::from_datum(values)?;
    let Some(values) = values.filter(|a| !a.is_empty()) else {
        return Ok(array(build_vector(&[element]), arena));
    };
    let dimensions = values.dimensions();
    let [d] = dimensions.as_slice() else {
        let message = "argument must be empty or one-dimensional array";
        return Err(EvalError::new(SqlState::DATA_EXCEPTION, message));
    };
    let overflow = || EvalError::out_of_range("integer");
    let lower = d.lower;
    if back {
        lower.checked_add(d.length as i32).ok_or_else(overflow)?;
    } else {
        lower.checked_sub(1).ok_or_else(overflow)?;
    }
    let d = Dimension {
        length: d.length + 1,
        lower,
    };
    let one = std::iter::once(element);
    Ok(array(
        if back {
            build(&[d], values.elements().chain(one))
        } else {
            build(&[d], one.chain(values.elements()))
        },
        arena,
    ))
}

/// `a || b` on arrays of the same number of dimensions, or of one less on either side.
fn concatenate<'a>(
    a: Datum<'a>,
    b: Datum<'a>,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let (Some(left), Some(right)) = (
        Option::<Array<'_>>::from_datum(a)?,
        Option::<Array<'_>>::from_datum(b)?,
    ) else {
        return Ok(if a.is_null() { b } else { a });
    };
    let (x, y) = (left.dimensions(), right.dimensions());
    if y.is_empty() {
        return Ok(a);
    }
    if x.is_empty() {
        return Ok(b);
    }
    let incompatible =
        |detail: &str| bad_subscript("cannot concatenate incompatible arrays").with_detail(detail);
    let shape = if x.len() == y.len() {
        if x[1..] != y[1..] {
            return Err(incompatible(
                "Arrays with differing element dimensions are not compatible for concatenation.",
            ));
        }
        let outer = Dimension {
            length: x[0].length + y[0].length,
            lower: x[0].lower,
        };
        [&[outer], &x[1..]].concat()
    } else if x.len() == y.len() + 1 && x[1..] == y[..] {
        [
            &[Dimension {
                length: x[0].length + 1,
                lower: x[0].lower,
            }],
            &x[1..],
        ]
        .concat()
    } else if y.len() == x.len() + 1 && y[1..] == x[..] {
        [
            &[Dimension {
                length: y[0].length + 1,
                lower: y[0].lower,
            }],
            &y[1..],
        ]
        .concat()
    } else if x.len().abs_diff(y.len()) == 1 {
        return Err(incompatible(
            "Arrays with differing dimensions are not compatible for concatenation.",
        ));
    } else {
        let detail = format!(
            "Arrays of {} and {} dimensions are not compatible for concatenation.",
            x.len(),
            y.len()
        );
        return Err(incompatible(&detail));
    };
    Ok(array(
        build(&shape, left.elements().chain(right.elements())),
        arena,
    ))
}

/// Equality under which NULL equals NULL.
fn same(a: Datum<'_>, b: Datum<'_>) -> bool {
    match (a.is_null(), b.is_null()) {
        (false, false) => equal(a, b),
        (a, b) => a && b,
    }
}

fn remove<'a>(args: &[Datum<'a>], arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let [values, element, ..] = args else {
        return Err(mismatch());
    };
    let Some(array_) = Option::<Array<'_>>::from_datum(*values)? else {
        return Ok(Datum::Null);
    };
    let dimensions = array_.dimensions();
    if dimensions.len() > 1 {
        let message = "removing elements from multidimensional arrays is not supported";
        return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let kept: Vec<_> = array_.elements().filter(|e| !same(*e, *element)).collect();
    if kept.len() == array_.len() {
        return Ok(*values);
    }
    let lower = dimensions.first().map_or(1, |d| d.lower);
    let shape = Dimension {
        length: kept.len() as u32,
        lower,
    };
    Ok(array(
        if kept.is_empty() {
            build(&[], [])
        } else {
            build(&[shape], kept)
        },
        arena,
    ))
}

fn replace<'a>(args: &[Datum<'a>], arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let [values, from, to, ..] = args else {
        return Err(mismatch());
    };
    let Some(values) = Option::<Array<'_>>::from_datum(*values)? else {
        return Ok(Datum::Null);
    };
    let elements = values
        .elements()
        .map(|e| if same(e, *from) { *to } else { e });
    Ok(array(build(&values.dimensions(), elements), arena))
}

fn one_dimension(values: Array<'_>) -> Result<i32, EvalError> {
    match values.dimensions().as_slice() {
        [] => Ok(1),
        [d] => Ok(d.lower),
        _ => {
            let message = "searching for elements in multidimensional arrays is not supported";
            Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
        }
    }
}

fn position<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, EvalError> {
    let [values, element, rest @ ..] = args else {
        return Err(mismatch());
    };
    let Some(values) = Option::<Array<'_>>::from_datum(*values)? else {
        return Ok(Datum::Null);
    };
    let lower = one_dimension(values)?;
    let from = match rest.first() {
        None => lower,
        Some(Datum::Int32(from)) => *from,
        Some(_) => {
            let message = "initial position must not be null";
            return Err(EvalError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        }
    };
    let skip = (i64::from(from) - i64::from(lower)).max(0) as usize;
    let at = values
        .elements()
        .enumerate()
        .skip(skip)
        .find(|(_, e)| same(*e, *element));
    Ok(at.map_or(Datum::Null, |(i, _)| {
        Datum::Int32(lower.wrapping_add(i as i32))
    }))
}

fn positions<'a>(args: &[Datum<'a>], arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let [values, element, ..] = args else {
        return Err(mismatch());
    };
    let Some(values) = Option::<Array<'_>>::from_datum(*values)? else {
        return Ok(Datum::Null);
    };
    let lower = one_dimension(values)?;
    let found = values
        .elements()
        .enumerate()
        .filter(|(_, e)| same(*e, *element));
    let found: Vec<_> = found
        .map(|(i, _)| Datum::Int32(lower.wrapping_add(i as i32)))
        .collect();
    Ok(array(build_vector(&found), arena))
}

fn trim(values: Array<'_>, n: i32) -> Result<OwnedArray, EvalError> {
    let dimensions = values.dimensions();
    let length = dimensions.first().map_or(0, |d| d.length as i32);
    if n < 0 || n > length {
        let message = format!("number of elements to trim must be between 0 and {length}");
        return Err(bad_subscript(message));
    }
    let kept = (length - n) as u32;
    if kept == 0 {
        return Ok(OwnedArray(build(&[], [])));
    }
    let inner: usize = dimensions[1..].iter().map(|d| d.length as usize).product();
    let mut shape = dimensions;
    shape[0].length = kept;
    shape.iter_mut().for_each(|d| d.lower = 1);
    Ok(OwnedArray(build(
        &shape,
        values.elements().take(kept as usize * inner),
    )))
}

fn declare_concatenation(out: &mut Declarations) {
    let append: Eval = |_, args, arena| match args {
        [values, element, ..] => extend(*values, *element, true, arena),
        _ => Err(mismatch()),
    };
    let prepend: Eval = |_, args, arena| match args {
        [element, values, ..] => extend(*values, *element, false, arena),
        _ => Err(mismatch()),
    };
    let concat: Eval = |_, args, arena| match args {
        [a, b, ..] => concatenate(*a, *b, arena),
        _ => Err(mismatch()),
    };
    let mut push = |name, signature, doc, eval| {
        out.push(FunctionDesc::new(name, signature, doc, eval).lenient());
    };
    let appended = "anycompatiblearray, anycompatible -> anycompatiblearray";
    let prepended = "anycompatible, anycompatiblearray -> anycompatiblearray";
    let joined = "anycompatiblearray, anycompatiblearray -> anycompatiblearray";
    push(
        "array_append",
        appended,
        "An element after the last.",
        append,
    );
    push(
        "array_prepend",
        prepended,
        "An element before the first.",
        prepend,
    );
    push("array_cat", joined, "Arrays one after the other.", concat);
    push("||", appended, "An element after the last.", append);
    push("||", prepended, "An element before the first.", prepend);
    push("||", joined, "Arrays one after the other.", concat);
}

pub(super) fn declare(out: &mut Declarations) {
    declare_concatenation(out);
    let mut push = |name, signature, doc, eval| {
        out.push(FunctionDesc::new(name, signature, doc, eval).lenient());
    };
    let changed = "anycompatiblearray, anycompatible -> anycompatiblearray";
    push(
        "array_remove",
        changed,
        "Without the elements equal to a value.",
        |_, args, arena| remove(args, arena),
    );
    let changed = "anycompatiblearray, anycompatible, anycompatible -> anycompatiblearray";
    push(
        "array_replace",
        changed,
        "Elements equal to one value replaced by another.",
        |_, args, arena| replace(args, arena),
    );
    let doc = "The subscript of the first element equal to a value.";
    push(
        "array_position",
        "anycompatiblearray, anycompatible -> int4",
        doc,
        |_, args, _| position(args),
    );
    push(
        "array_position",
        "anycompatiblearray, anycompatible, int4 -> int4",
        doc,
        |_, args, _| position(args),
    );
    let doc = "The subscripts of all elements equal to a value.";
    push(
        "array_positions",
        "anycompatiblearray, anycompatible -> int4[]",
        doc,
        |_, args, arena| positions(args, arena),
    );
    let doc = "Without the last n elements.";
    let eval: Eval = eval!(|a: Array<'_>, n: i32| trim(a, n));
    out.push(FunctionDesc::new(
        "trim_array",
        "anyarray, int4 -> anyarray",
        doc,
        eval,
    ));
}
