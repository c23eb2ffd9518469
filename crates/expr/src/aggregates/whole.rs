//! Aggregates that read their whole group in order.
//!
//! They are functions of the sequence of argument rows. Results are bounded by what one value may hold; beyond
//! that they are an error.

use crate::limit;
use everview_repr::array::{self, Array, Dimension};
use everview_repr::json::{self, Json};
use everview_repr::text::{self, Formatting};
use everview_repr::{Datum, EvalError, RowArena, ScalarType, SqlState};

/// A whole-group aggregate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whole {
    StringAgg,
    ArrayAgg,
    ArrayAggArrays,
    JsonbAgg,
    JsonbObjectAgg,
    SingleValue,
}

/// Argument rows and how often each occurs.
pub(crate) type Rows<'a> = [(Vec<Datum<'a>>, u64)];

impl Whole {
    /// The value over argument rows in order, none of which holds an error; none for NULL.
    pub(crate) fn eval<'a>(
        self,
        types: &[ScalarType],
        rows: &Rows<'a>,
        arena: &'a RowArena,
    ) -> Result<Option<Datum<'a>>, EvalError> {
        if rows.is_empty() {
            return Ok(None);
        }
        match self {
            Whole::StringAgg => string_agg(rows, arena),
            Whole::ArrayAgg => array_agg(rows, arena).map(Some),
            Whole::ArrayAggArrays => array_agg_arrays(rows, arena).map(Some),
            Whole::JsonbAgg => jsonb_agg(types, rows, arena).map(Some),
            Whole::JsonbObjectAgg => jsonb_object_agg(types, rows, arena).map(Some),
            Whole::SingleValue => single_value(rows).map(Some),
        }
    }
}

/// The one value there is.
fn single_value<'a>(rows: &Rows<'a>) -> Result<Datum<'a>, EvalError> {
    match rows {
        [(args, 1)] => Ok(args[0]),
        _ => Err(EvalError::new(
            SqlState::CARDINALITY_VIOLATION,
            "more than one row returned by a subquery used as an expression",
        )),
    }
}

/// Rows one by one, as often as each occurs.
fn repeated<'r, 'a>(rows: &'r Rows<'a>) -> impl Iterator<Item = &'r [Datum<'a>]> {
    rows.iter()
        .flat_map(|(args, n)| std::iter::repeat_n(args.as_slice(), *n as usize))
}

/// 54000 if so many repetitions of the rows' sizes are too large for one value.
fn check_size(rows: &Rows<'_>, size: impl Fn(&[Datum<'_>]) -> usize) -> Result<(), EvalError> {
    let mut total = 0u64;
    for (args, n) in rows {
        // Even an empty element takes a byte, which bounds the repetitions too.
        total = total.saturating_add((size(args).max(1) as u64).saturating_mul(*n));
    }
    if total > limit::MAX_BYTES as u64 {
        Err(limit::gathered())
    } else {
        Ok(())
    }
}

fn string_bytes<'a>(datum: &Datum<'a>) -> &'a [u8] {
    match datum {
        Datum::Text(s) | Datum::BpChar(s) => s.as_bytes(),
        Datum::Bytea(bytes) => bytes,
        _ => &[],
    }
}

/// Each value that is not NULL, all but the first after their own delimiter.
fn string_agg<'a>(rows: &Rows<'a>, arena: &'a RowArena) -> Result<Option<Datum<'a>>, EvalError> {
    check_size(rows, |args| {
        args.iter().map(|d| string_bytes(d).len()).sum()
    })?;
    let mut out = Vec::new();
    let mut binary = None;
    for args in repeated(rows) {
        let [value, delimiter] = args else { continue };
        if value.is_null() {
            continue;
        }
        if binary.is_some() {
            out.extend_from_slice(string_bytes(delimiter));
        }
        binary = Some(matches!(value, Datum::Bytea(_)));
        out.extend_from_slice(string_bytes(value));
    }
    Ok(binary.map(|binary| {
        let bytes = arena.bytes(out);
        if binary {
            Datum::Bytea(bytes)
        } else {
            Datum::Text(std::str::from_utf8(bytes).expect("strings joined by strings"))
        }
    }))
}

fn first<'a>(args: &[Datum<'a>]) -> Datum<'a> {
    args.first().copied().unwrap_or(Datum::Null)
}

fn array_agg<'a>(rows: &Rows<'a>, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    check_size(rows, |args| limit::bytes(&first(args)))?;
    let length = rows.iter().map(|(_, n)| n).sum::<u64>();
    let length = u32::try_from(length).map_err(|_| limit::gathered())?;
    let packed = array::build(&[Dimension { length, lower: 1 }], repeated(rows).map(first));
    Ok(Datum::Array(Array::from_packed(arena.bytes(packed))))
}

fn array_agg_arrays<'a>(rows: &Rows<'a>, arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    check_size(rows, |args| limit::bytes(&first(args)))?;
    let bad = |message: &str| EvalError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message);
    let mut inner: Option<Vec<Dimension>> = None;
    for (args, _) in rows {
        let Datum::Array(array) = first(args) else {
            let message = "cannot accumulate null arrays";
            return Err(EvalError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        };
        let dimensions = array.dimensions();
        match &inner {
            None if dimensions.is_empty() => return Err(bad("cannot accumulate empty arrays")),
            Some(inner) if *inner != dimensions => {
                return Err(bad("cannot accumulate arrays of different dimensionality"));
            }
            _ => {}
        }
        inner = Some(dimensions);
    }
    let length = rows.iter().map(|(_, n)| n).sum::<u64>();
    let length = u32::try_from(length).map_err(|_| limit::gathered())?;
    let mut dimensions = vec![Dimension { length, lower: 1 }];
    dimensions.extend(inner.unwrap_or_default());
    if dimensions.len() > array::MAX_DIMENSIONS {
        let (n, most) = (dimensions.len(), array::MAX_DIMENSIONS);
        let message =
            format!("number of array dimensions ({n}) exceeds the maximum allowed ({most})");
        return Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    let elements = repeated(rows).flat_map(|args| match first(args) {
        Datum::Array(array) => array.elements(),
        _ => Array::from_packed(&[0]).elements(),
    });
    let packed = array::build(&dimensions, elements);
    Ok(Datum::Array(Array::from_packed(arena.bytes(packed))))
}

fn jsonb_agg<'a>(
    types: &[ScalarType],
    rows: &Rows<'a>,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    check_size(rows, |args| limit::bytes(&first(args)))?;
    let ty = types.first().unwrap_or(&ScalarType::Text);
    let mut array = json::ArrayBuilder::new();
    for (args, n) in rows {
        let element = json::from_datum(ty, first(args), &Formatting::default())?;
        for _ in 0..*n {
            array.push(Json::from_packed(&element));
        }
    }
    Ok(Datum::Jsonb(Json::from_packed(
        arena.bytes(array.finish()?),
    )))
}

fn jsonb_object_agg<'a>(
    types: &[ScalarType],
    rows: &Rows<'a>,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let [key_type, value_type] = types else {
        return Err(EvalError::new(
            SqlState::INTERNAL_ERROR,
            "jsonb_object_agg takes a key and a value",
        ));
    };
    let mut object = json::ObjectBuilder::new();
    for (args, _) in rows {
        let [key, value] = args[..] else { continue };
        let value = json::from_datum(value_type, value, &Formatting::default())?;
        object.push(&object_key(key_type, key)?, Json::from_packed(&value));
    }
    Ok(Datum::Jsonb(Json::from_packed(
        arena.bytes(object.finish()?),
    )))
}

/// A scalar as a JSON object's key: its text form, of dates and times the ISO 8601 one.
fn object_key(ty: &ScalarType, key: Datum<'_>) -> Result<String, EvalError> {
    let invalid = |message: &str| Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    match key {
        Datum::Null => invalid("field name must not be null"),
        Datum::Array(_) | Datum::Record(_) | Datum::Jsonb(_) => {
            invalid("key value must be scalar, not array, composite, or json")
        }
        Datum::Date(_) | Datum::Timestamp(_) | Datum::TimestampTz(_) => {
            let packed = json::from_datum(ty, key, &Formatting::default())?;
            Ok(Json::from_packed(&packed).to_unquoted().unwrap_or_default())
        }
        Datum::Bool(value) => Ok(value.to_string()),
        _ => {
            let mut out = String::new();
            text::format(ty, key, &mut out);
            Ok(out)
        }
    }
}
