//! Applying type modifiers: lengths, scales and precisions.

use crate::array::Array;
use crate::datum::Datum;
use crate::error::{EvalError, SqlState};
use crate::row::RowArena;
use crate::types::{ScalarType, Typmod};

/// The value as a column of that modifier holds it.
///
/// varchar and char: a value that is too long is cut by an explicit cast; an assignment cuts blanks only and gives
/// 22001 otherwise; char is padded. numeric: rounded, 22003 if it does not fit. Times and intervals: rounded to
/// their digits of a second, intervals without the fields that are not kept. Arrays: each element.
pub fn apply_typmod<'a>(
    ty: &ScalarType,
    typmod: Typmod,
    datum: Datum<'a>,
    explicit_cast: bool,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    if typmod == Typmod::NONE {
        return Ok(datum);
    }
    match (ty, datum) {
        (ScalarType::Varchar, Datum::Text(text)) => match typmod.as_length() {
            Some(n) => Ok(Datum::Text(cut(
                text,
                n,
                explicit_cast,
                "character varying",
            )?)),
            None => Ok(datum),
        },
        (ScalarType::BpChar, Datum::BpChar(text)) => match typmod.as_length() {
            Some(n) => {
                let text = cut(text, n, explicit_cast, "character")?;
                Ok(Datum::BpChar(pad(text, n, arena)))
            }
            None => Ok(datum),
        },
        (ScalarType::Numeric, Datum::Numeric(_)) => {
            match (typmod.as_numeric(), datum.as_numeric()) {
                (Some((precision, scale)), Some(value)) => {
                    let value = value.with_typmod(u32::from(precision), i32::from(scale))?;
                    Ok(arena.numeric(&value))
                }
                _ => Ok(datum),
            }
        }
        (ScalarType::Interval, Datum::Interval(value)) => {
            let (fields, precision) = typmod.as_interval();
            Ok(Datum::Interval(
                value.with_typmod(fields, precision.map(u32::from))?,
            ))
        }
        (ScalarType::Array(element), Datum::Array(array)) => {
            let mut elements = Vec::with_capacity(array.len());
            for item in array.elements() {
                elements.push(apply_typmod(element, typmod, item, explicit_cast, arena)?);
            }
            let packed = crate::array::build(&array.dimensions(), elements);
            Ok(Datum::Array(Array::from_packed(arena.bytes(packed))))
        }
        _ => match typmod.as_precision() {
            Some(digits) => Ok(round_time(datum, digits)),
            None => Ok(datum),
        },
    }
}

fn round_time(datum: Datum<'_>, digits: u8) -> Datum<'_> {
    let round = |micros| crate::datetime::round_to_precision(micros, u32::from(digits));
    match datum {
        Datum::Time(v) => Datum::Time(round(v)),
        Datum::Timestamp(v) => Datum::Timestamp(round(v)),
        Datum::TimestampTz(v) => Datum::TimestampTz(round(v)),
        other => other,
    }
}

/// At most `n` characters of a text.
fn cut<'a>(text: &'a str, n: u32, explicit_cast: bool, name: &str) -> Result<&'a str, EvalError> {
    let n = n as usize;
    if text.len() <= n {
        return Ok(text);
    }
    let Some((end, _)) = text.char_indices().nth(n) else {
        return Ok(text);
    };
    if explicit_cast || text.as_bytes()[end..].iter().all(|b| *b == b' ') {
        return Ok(&text[..end]);
    }
    Err(EvalError::new(
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        format!("value too long for type {name}({n})"),
    ))
}

/// A text of `n` characters, blanks at its end.
fn pad<'a>(text: &'a str, n: u32, arena: &'a RowArena) -> &'a str {
    let missing = (n as usize).saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    let mut padded = String::with_capacity(text.len() + missing);
    padded.push_str(text);
    padded.extend(std::iter::repeat_n(' ', missing));
    arena.string(padded)
}
