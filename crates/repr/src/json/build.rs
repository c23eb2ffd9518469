//! Building packed jsonb from parts.

use super::{Json, MAX_BYTES, MAX_DEPTH, compare_keys, tag};
use crate::array::Array;
use crate::datetime::format_iso_8601;
use crate::datum::Datum;
use crate::error::{EvalError, SqlState};
use crate::text::Formatting;
use crate::types::ScalarType;
use std::ops::Range;

/// The bytes of `null`.
pub fn null() -> Vec<u8> {
    vec![tag::NULL]
}

/// The bytes of `true` or `false`.
pub fn boolean(value: bool) -> Vec<u8> {
    vec![if value { tag::TRUE } else { tag::FALSE }]
}

/// The bytes of a string.
pub fn string(value: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 1);
    out.push(tag::STRING);
    out.extend_from_slice(value.as_bytes());
    out
}

/// The bytes of a number, given those of a finite numeric.
pub fn number(numeric: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(numeric.len() + 1);
    out.push(tag::NUMBER);
    out.extend_from_slice(numeric);
    out
}

/// Bytes of an offset for this much data.
pub(super) fn width_for(data: usize) -> usize {
    match data {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}

pub(super) fn too_deep() -> EvalError {
    EvalError::new(
        SqlState::STATEMENT_TOO_COMPLEX,
        "stack depth limit exceeded",
    )
    .with_detail(format!(
        "A jsonb value is nested at most {MAX_DEPTH} levels deep."
    ))
}

fn too_large(kind: &str) -> EvalError {
    EvalError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("total size of jsonb {kind} elements exceeds the maximum of {MAX_BYTES} bytes"),
    )
}

/// Appends a container's header.
fn push_header(
    out: &mut Vec<u8>,
    kind: u8,
    depth: usize,
    count: usize,
    lengths: impl Iterator<Item = usize> + Clone,
) -> Result<(), EvalError> {
    let data: usize = lengths.clone().sum();
    if data > MAX_BYTES {
        return Err(too_large(if kind == tag::ARRAY {
            "array"
        } else {
            "object"
        }));
    }
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    let width = width_for(data);
    out.push(kind | ((width as u8 / 2) << 4));
    out.push(depth as u8);
    let mut push = |v: usize| out.extend_from_slice(&(v as u32).to_le_bytes()[..width]);
    push(count);
    let mut end = 0;
    for length in lengths {
        end += length;
        push(end);
    }
    Ok(())
}

/// Builds an array element by element.
#[derive(Clone, Default, Debug)]
pub struct ArrayBuilder {
    data: Vec<u8>,
    ends: Vec<usize>,
    deepest: usize,
}

impl ArrayBuilder {
    /// An empty array.
    pub fn new() -> ArrayBuilder {
        ArrayBuilder::default()
    }

    /// Appends an element.
    pub fn push(&mut self, value: Json<'_>) {
        self.push_with(|out| {
            out.extend_from_slice(value.bytes());
            Ok(value.depth())
        })
        .expect("copying cannot fail");
    }

    /// Appends an element that `write` appends to the bytes; `write` returns its depth.
    pub(super) fn push_with(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<usize, EvalError>,
    ) -> Result<(), EvalError> {
        let depth = write(&mut self.data)?;
        self.deepest = self.deepest.max(depth);
        self.ends.push(self.data.len());
        Ok(())
    }

    /// The packed array; refused beyond [`MAX_DEPTH`] and [`MAX_BYTES`].
    pub fn finish(&self) -> Result<Vec<u8>, EvalError> {
        let mut out = Vec::new();
        self.finish_into(&mut out)?;
        Ok(out)
    }

    /// Appends the packed array and gives its depth.
    pub(super) fn finish_into(&self, out: &mut Vec<u8>) -> Result<usize, EvalError> {
        let lengths = (0..self.ends.len()).map(|i| {
            let start = if i == 0 { 0 } else { self.ends[i - 1] };
            self.ends[i] - start
        });
        push_header(out, tag::ARRAY, self.deepest + 1, self.ends.len(), lengths)?;
        out.extend_from_slice(&self.data);
        Ok(self.deepest + 1)
    }
}

/// Builds an object member by member, in any order; of equal keys the last one stays.
#[derive(Clone, Default, Debug)]
pub struct ObjectBuilder {
    keys: Vec<u8>,
    values: Vec<u8>,
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    key: Range<usize>,
    value: Range<usize>,
    depth: usize,
}

impl ObjectBuilder {
    /// An empty object.
    pub fn new() -> ObjectBuilder {
        ObjectBuilder::default()
    }

    /// Adds a member.
    pub fn push(&mut self, key: &str, value: Json<'_>) {
        self.push_with(key, |out| {
            out.extend_from_slice(value.bytes());
            Ok(value.depth())
        })
        .expect("copying cannot fail");
    }

    /// Adds a member whose value `write` appends to the bytes; `write` returns its depth.
    pub(super) fn push_with(
        &mut self,
        key: &str,
        write: impl FnOnce(&mut Vec<u8>) -> Result<usize, EvalError>,
    ) -> Result<(), EvalError> {
        let (key_start, value_start) = (self.keys.len(), self.values.len());
        self.keys.extend_from_slice(key.as_bytes());
        let depth = write(&mut self.values)?;
        self.members.push(Member {
            key: key_start..self.keys.len(),
            value: value_start..self.values.len(),
            depth,
        });
        Ok(())
    }

    /// The packed object; refused beyond [`MAX_DEPTH`] and [`MAX_BYTES`].
    pub fn finish(&mut self) -> Result<Vec<u8>, EvalError> {
        let mut out = Vec::new();
        self.finish_into(&mut out)?;
        Ok(out)
    }

    /// Appends the packed object and gives its depth.
    pub(super) fn finish_into(&mut self, out: &mut Vec<u8>) -> Result<usize, EvalError> {
        let (keys, values) = (&self.keys, &self.values);
        let members = &mut self.members;
        members.sort_by(|a, b| compare_keys(&keys[a.key.clone()], &keys[b.key.clone()]));
        // The sort is stable and `dedup_by` keeps the first of a run: give it the last one's value.
        members.dedup_by(|later, kept| {
            let same = keys[later.key.clone()] == keys[kept.key.clone()];
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        let deepest = members.iter().map(|m| m.depth).max().unwrap_or(0);
        let lengths = members
            .iter()
            .map(|m| m.key.len())
            .chain(members.iter().map(|m| m.value.len()));
        push_header(out, tag::OBJECT, deepest + 1, members.len(), lengths)?;
        members
            .iter()
            .for_each(|m| out.extend_from_slice(&keys[m.key.clone()]));
        members
            .iter()
            .for_each(|m| out.extend_from_slice(&values[m.value.clone()]));
        Ok(deepest + 1)
    }
}

/// `to_jsonb`: numbers, booleans, nulls, arrays and records keep their structure, dates and times become ISO 8601
/// with a `T` (zoned times in the session's zone), everything else its text form in a string.
pub fn from_datum(
    ty: &ScalarType,
    datum: Datum<'_>,
    formatting: &Formatting,
) -> Result<Vec<u8>, EvalError> {
    let mut out = Vec::new();
    push_from_datum(ty, datum, formatting, &mut out)?;
    Ok(out)
}

fn push_from_datum(
    ty: &ScalarType,
    datum: Datum<'_>,
    formatting: &Formatting,
    out: &mut Vec<u8>,
) -> Result<usize, EvalError> {
    match (ty, datum) {
        (_, Datum::Null) => out.push(tag::NULL),
        (_, Datum::Bool(value)) => out.push(if value { tag::TRUE } else { tag::FALSE }),
        (_, Datum::Jsonb(value)) => {
            out.extend_from_slice(value.bytes());
            return Ok(value.depth());
        }
        (ScalarType::Array(element), Datum::Array(array)) => {
            return push_from_array(element, array, formatting, out);
        }
        (ScalarType::Record(fields), Datum::Record(row)) => {
            let mut builder = ObjectBuilder::new();
            for ((name, field), value) in fields.iter().zip(row.iter()) {
                builder.push_with(name, |out| push_from_datum(field, value, formatting, out))?;
            }
            return builder.finish_into(out);
        }
        (_, Datum::Timestamp(value)) => push_string(out, &format_iso_8601(value, None)),
        (_, Datum::TimestampTz(value)) => {
            push_string(out, &format_iso_8601(value, Some(&formatting.time_zone)));
        }
        _ => {
            let mut text = String::new();
            crate::text::format_with(ty, datum, formatting, &mut text);
            match number_of(datum, &text) {
                Some(numeric) => {
                    out.push(tag::NUMBER);
                    numeric.to_bytes(out);
                }
                None => push_string(out, &text),
            }
        }
    }
    Ok(0)
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(tag::STRING);
    out.extend_from_slice(text.as_bytes());
}

/// The value as a JSON number, where it is a finite number.
fn number_of(datum: Datum<'_>, text: &str) -> Option<crate::numeric::Numeric> {
    use Datum::*;
    let is_number = matches!(
        datum,
        Int16(_) | Int32(_) | Int64(_) | Float32(_) | Float64(_) | Numeric(_)
    );
    let numeric = is_number.then(|| crate::numeric::Numeric::parse(text).ok())??;
    numeric.is_finite().then_some(numeric)
}

fn push_from_array(
    element: &ScalarType,
    array: Array<'_>,
    formatting: &Formatting,
    out: &mut Vec<u8>,
) -> Result<usize, EvalError> {
    let dimensions = array.dimensions();
    let mut elements = array.elements();
    if dimensions.is_empty() {
        return ArrayBuilder::new().finish_into(out);
    }
    let lengths: Vec<usize> = dimensions.iter().map(|d| d.length as usize).collect();
    push_nested(element, &lengths, &mut elements, formatting, out)
}

fn push_nested<'d>(
    element: &ScalarType,
    lengths: &[usize],
    elements: &mut impl Iterator<Item = Datum<'d>>,
    formatting: &Formatting,
    out: &mut Vec<u8>,
) -> Result<usize, EvalError> {
    let Some((&length, inner)) = lengths.split_first() else {
        let element_value = elements.next().unwrap_or(Datum::Null);
        return push_from_datum(element, element_value, formatting, out);
    };
    let mut builder = ArrayBuilder::new();
    for _ in 0..length {
        builder.push_with(|out| push_nested(element, inner, elements, formatting, out))?;
    }
    builder.finish_into(out)
}
