//! Text form of arrays: `{1,2}`, `{{a,"b c"},{NULL,""}}`, `[0:1]={1,2}`.

use super::Formatting;
use crate::array::{Array, Dimension, MAX_DIMENSIONS};
use crate::error::{EvalError, SqlState};
use crate::numeric::is_space;
use crate::row;
use crate::types::ScalarType;

/// The packed array of a text.
pub(super) fn parse(
    element: &ScalarType,
    text: &str,
    formatting: &Formatting,
) -> Result<Vec<u8>, EvalError> {
    let mut reader = Reader {
        text,
        rest: text,
        lengths: Vec::new(),
        leaf: None,
        elements: Vec::new(),
    };
    let declared = reader.declared_dimensions()?;
    reader.contents(declared.is_empty())?;
    let dimensions = reader.dimensions(declared)?;
    let mut out = Vec::with_capacity(text.len());
    row::push_varint(&mut out, dimensions.len() as u64);
    for d in &dimensions {
        row::push_varint(&mut out, u64::from(d.length));
        row::push_varint(&mut out, u64::from(d.lower as u32));
    }
    for item in &reader.elements {
        match item {
            Some(item) => super::parse_into_with(element, item, formatting, &mut out)?,
            None => row::push_datum(&mut out, crate::Datum::Null),
        }
    }
    Ok(out)
}

/// Reads the structure first and the elements' values afterwards, so that a malformed literal is reported as such.
struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
    /// Items of the first sub-array at each depth, once it has ended.
    lengths: Vec<Option<u32>>,
    /// The depth at which elements are.
    leaf: Option<usize>,
    /// The elements' own text; `None` for NULL.
    elements: Vec<Option<String>>,
}

impl<'t> Reader<'t> {
    fn malformed(&self, detail: &str) -> EvalError {
        let message = format!("malformed array literal: \"{}\"", self.text);
        EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, message).with_detail(detail)
    }

    fn unexpected(&self, c: char) -> EvalError {
        self.malformed(&format!("Unexpected \"{c}\" character."))
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn peek(&self) -> Result<char, EvalError> {
        self.rest
            .chars()
            .next()
            .ok_or_else(|| self.malformed("Unexpected end of input."))
    }

    fn take(&mut self) -> Result<char, EvalError> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Ok(c)
    }

    /// `[lower:upper]` or `[upper]` for each dimension, and `=`; none of it for most arrays.
    fn declared_dimensions(&mut self) -> Result<Vec<Dimension>, EvalError> {
        let mut dimensions = Vec::new();
        loop {
            self.skip_space();
            let Some(after) = self.rest.strip_prefix('[') else {
                break;
            };
            if dimensions.len() == MAX_DIMENSIONS {
                return Err(too_many_dimensions(MAX_DIMENSIONS + 1));
            }
            self.rest = after;
            let missing = "\"[\" must introduce explicitly-specified array dimensions.";
            let mut upper = self.bound(missing)?;
            let mut lower = 1;
            if let Some(after) = self.rest.strip_prefix(':') {
                self.rest = after;
                lower = upper;
                upper = self.bound("Missing array dimension value.")?;
            }
            self.rest = self
                .rest
                .strip_prefix(']')
                .ok_or_else(|| self.malformed("Missing \"]\" after array dimensions."))?;
            dimensions.push(dimension(lower, upper)?);
        }
        if !dimensions.is_empty() {
            self.rest = self
                .rest
                .strip_prefix('=')
                .ok_or_else(|| self.malformed("Missing \"=\" after array dimensions."))?;
            self.skip_space();
        }
        Ok(dimensions)
    }

    fn bound(&mut self, missing: &str) -> Result<i32, EvalError> {
        let is_part = |b: u8| b.is_ascii_digit() || b == b'-' || b == b'+';
        let length = self.rest.bytes().take_while(|b| is_part(*b)).count();
        let (number, after) = self.rest.split_at(length);
        if number.is_empty() {
            return Err(self.malformed(missing));
        }
        self.rest = after;
        number.parse().map_err(|_| {
            let message = format!("array bound is not an integer: {number}");
            EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
        })
    }

    /// Everything from the first brace on.
    fn contents(&mut self, first_part: bool) -> Result<(), EvalError> {
        if !self.rest.starts_with('{') {
            return Err(self.malformed(if first_part {
                "Array value must start with \"{\" or dimension information."
            } else {
                "Array contents must start with \"{\"."
            }));
        }
        self.rest = &self.rest[1..];
        self.items(0)?;
        if self.rest.chars().all(is_space) {
            Ok(())
        } else {
            Err(self.malformed("Junk after closing right brace."))
        }
    }

    /// What stands between one pair of braces, the closing one included.
    fn items(&mut self, depth: usize) -> Result<(), EvalError> {
        if depth == MAX_DIMENSIONS {
            return Err(too_many_dimensions(depth + 1));
        }
        if self.lengths.len() == depth {
            self.lengths.push(None);
        }
        self.skip_space();
        if depth == 0 && self.rest.starts_with('}') {
            self.rest = &self.rest[1..];
            self.lengths.clear();
            return Ok(());
        }
        let mut count = 0u32;
        loop {
            self.skip_space();
            match self.peek()? {
                '{' if self.leaf.is_some_and(|leaf| leaf <= depth) => {
                    return Err(self.unexpected('{'));
                }
                '{' => {
                    self.rest = &self.rest[1..];
                    self.items(depth + 1)?;
                }
                c @ ('}' | ',') => return Err(self.unexpected(c)),
                _ if *self.leaf.get_or_insert(depth) != depth => {
                    return Err(self.malformed("Unexpected array element."));
                }
                _ => self.element()?,
            }
            count += 1;
            self.skip_space();
            match self.take()? {
                ',' => {}
                '}' => break,
                '{' => return Err(self.unexpected('{')),
                _ => return Err(self.malformed("Unexpected array element.")),
            }
        }
        let expected = *self.lengths[depth].get_or_insert(count);
        if count == expected {
            Ok(())
        } else {
            Err(self.malformed(
                "Multidimensional arrays must have sub-arrays with matching dimensions.",
            ))
        }
    }

    fn element(&mut self) -> Result<(), EvalError> {
        let element = if self.rest.starts_with('"') {
            self.rest = &self.rest[1..];
            Some(self.quoted()?)
        } else {
            self.unquoted()?
        };
        self.elements.push(element);
        Ok(())
    }

    fn quoted(&mut self) -> Result<String, EvalError> {
        let mut out = String::new();
        loop {
            match self.take()? {
                '"' => return Ok(out),
                '\\' => out.push(self.take()?),
                c => out.push(c),
            }
        }
    }

    /// An element up to its delimiter. White space at its end goes, unless it was escaped.
    fn unquoted(&mut self) -> Result<Option<String>, EvalError> {
        let start = self.rest;
        let mut out = String::new();
        let mut kept = 0;
        loop {
            match self.peek()? {
                ',' | '}' => break,
                '{' => return Err(self.unexpected('{')),
                '"' => return Err(self.malformed("Unexpected array element.")),
                '\\' => {
                    self.take()?;
                    out.push(self.take()?);
                    kept = out.len();
                }
                c => {
                    self.take()?;
                    out.push(c);
                    if !is_space(c) {
                        kept = out.len();
                    }
                }
            }
        }
        out.truncate(kept);
        let escaped = start[..start.len() - self.rest.len()].contains('\\');
        let null = !escaped && out.eq_ignore_ascii_case("null");
        Ok(if null { None } else { Some(out) })
    }

    /// The dimensions found, with the lower bounds declared.
    fn dimensions(&self, declared: Vec<Dimension>) -> Result<Vec<Dimension>, EvalError> {
        let found: Vec<u32> = self.lengths.iter().map(|l| l.unwrap_or(0)).collect();
        if declared.is_empty() {
            return Ok(found
                .into_iter()
                .map(|length| Dimension { length, lower: 1 })
                .collect());
        }
        if declared.iter().map(|d| d.length).eq(found) {
            Ok(declared)
        } else {
            Err(self.malformed("Specified array dimensions do not match array contents."))
        }
    }
}

fn too_many_dimensions(n: usize) -> EvalError {
    EvalError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("number of array dimensions ({n}) exceeds the maximum allowed ({MAX_DIMENSIONS})"),
    )
}

fn dimension(lower: i32, upper: i32) -> Result<Dimension, EvalError> {
    if upper < lower {
        return Err(EvalError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            "upper bound cannot be less than lower bound",
        ));
    }
    // The subscript after the last one must exist as well.
    let length = (i64::from(upper) - i64::from(lower) + 1) as u32;
    if upper == i32::MAX || length > i32::MAX as u32 {
        return Err(EvalError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "array size exceeds the maximum allowed (134217727)",
        ));
    }
    Ok(Dimension { length, lower })
}

/// Appends an array's text form.
pub(super) fn write(
    ty: &ScalarType,
    array: Array<'_>,
    formatting: &Formatting,
    out: &mut String,
) -> std::fmt::Result {
    use std::fmt::Write;
    let element = match ty {
        ScalarType::Array(element) => element.as_ref(),
        _ => &ScalarType::Text,
    };
    let dimensions = array.dimensions();
    if dimensions.is_empty() {
        return out.write_str("{}");
    }
    if dimensions.iter().any(|d| d.lower != 1) {
        for d in &dimensions {
            let upper = i64::from(d.lower) + i64::from(d.length) - 1;
            write!(out, "[{}:{upper}]", d.lower)?;
        }
        out.push('=');
    }
    let lengths: Vec<usize> = dimensions.iter().map(|d| d.length as usize).collect();
    let mut item = String::new();
    for (i, datum) in array.elements().enumerate() {
        separate(&lengths, i, out);
        if datum.is_null() {
            out.push_str("NULL");
            continue;
        }
        item.clear();
        super::write(element, datum, formatting, &mut item)?;
        push_item(out, &item);
    }
    (0..lengths.len()).for_each(|_| out.push('}'));
    Ok(())
}

/// The braces and the comma before the element at a position.
fn separate(lengths: &[usize], position: usize, out: &mut String) {
    // The sub-arrays that start here: one a dimension from the inside out, while the position divides by their size.
    let mut size = 1;
    let mut opening = 0;
    for length in lengths.iter().rev() {
        size *= length;
        if size == 0 || !position.is_multiple_of(size) {
            break;
        }
        opening += 1;
    }
    if position > 0 {
        (0..opening).for_each(|_| out.push('}'));
        out.push(',');
    }
    (0..opening).for_each(|_| out.push('{'));
}

fn push_item(out: &mut String, item: &str) {
    let special = |c: char| matches!(c, '"' | '\\' | '{' | '}' | ',') || is_space(c);
    let quoted = item.is_empty() || item.eq_ignore_ascii_case("null") || item.contains(special);
    if !quoted {
        out.push_str(item);
        return;
    }
    out.push('"');
    for c in item.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}
