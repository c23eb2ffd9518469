//! Arrays: dimensions and elements in packed bytes.
//!
//! Layout: a varint of the number of dimensions (0 for the empty array), for each its length and lower bound
//! as varints, then the elements in row-major order, packed as in a row. The element type is the column's.

use crate::datum::Datum;
use crate::row::{self, DecodeError};

/// A borrowed array.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Array<'a> {
    bytes: &'a [u8],
}

/// One dimension: how many elements, and the subscript of the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dimension {
    /// Elements along this dimension.
    pub length: u32,
    /// The subscript of the first element; 1 unless said otherwise.
    pub lower: i32,
}

impl Dimension {
    /// The subscript of the last element; `None` where it is no integer.
    pub fn upper(&self) -> Option<i32> {
        i32::try_from(i64::from(self.lower) + i64::from(self.length) - 1).ok()
    }
}

/// The most dimensions an array can have, as in Postgres.
pub const MAX_DIMENSIONS: usize = 6;

impl<'a> Array<'a> {
    /// Wraps bytes that [`build`] made or that [`Array::validate`] accepted.
    pub fn from_packed(bytes: &'a [u8]) -> Array<'a> {
        Array { bytes }
    }

    /// Checks bytes of unknown origin, elements included.
    pub fn validate(bytes: &'a [u8]) -> Result<Array<'a>, DecodeError> {
        Array::validate_nested(bytes, row::MAX_NESTING)
    }

    /// The same, where at most `levels` records and arrays nest within.
    pub(crate) fn validate_nested(
        bytes: &'a [u8],
        levels: usize,
    ) -> Result<Array<'a>, DecodeError> {
        let array = Array { bytes };
        let (dimensions, mut rest) = array.split()?;
        if dimensions
            .iter()
            .any(|d| d.length == 0 || d.upper().is_none())
        {
            return Err(DecodeError::Malformed("array dimensions"));
        }
        let expected =
            element_count(&dimensions).ok_or(DecodeError::Malformed("array dimensions"))?;
        for _ in 0..expected {
            row::read_nested(&mut rest, levels)?;
        }
        if rest.is_empty() {
            Ok(array)
        } else {
            Err(DecodeError::Malformed("array length"))
        }
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its dimensions; none for the empty array.
    pub fn dimensions(&self) -> Vec<Dimension> {
        self.split()
            .map(|(dimensions, _)| dimensions)
            .unwrap_or_default()
    }

    /// Its elements, in row-major order.
    pub fn elements(&self) -> impl Iterator<Item = Datum<'a>> + Clone + use<'a> {
        let rest = self.split().map(|(_, rest)| rest).unwrap_or_default();
        row::RowRef::from_packed(rest).iter()
    }

    /// How many elements.
    pub fn len(&self) -> usize {
        let dimensions = self.dimensions();
        if dimensions.is_empty() {
            0
        } else {
            element_count(&dimensions).unwrap_or(0)
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn split(&self) -> Result<(Vec<Dimension>, &'a [u8]), DecodeError> {
        let mut rest = self.bytes;
        let n = row::read_varint(&mut rest)?;
        if n as usize > MAX_DIMENSIONS {
            return Err(DecodeError::Malformed("array dimensions"));
        }
        let mut dimensions = Vec::with_capacity(n as usize);
        for _ in 0..n {
            let length = row::read_varint(&mut rest)?;
            let lower = row::read_varint(&mut rest)?;
            let length =
                u32::try_from(length).map_err(|_| DecodeError::Malformed("array length"))?;
            let lower = u32::try_from(lower).map_err(|_| DecodeError::Malformed("array bound"))?;
            dimensions.push(Dimension {
                length,
                lower: lower as i32,
            });
        }
        Ok((dimensions, rest))
    }
}

/// Packs an array. The product of the dimensions' lengths is the number of elements.
pub fn build<'d>(
    dimensions: &[Dimension],
    elements: impl IntoIterator<Item = Datum<'d>>,
) -> Vec<u8> {
    let mut out = Vec::new();
    // Without elements there is one form only: the empty array.
    let empty = element_count(dimensions) == Some(0);
    let dimensions = if empty { &[] } else { dimensions };
    row::push_varint(&mut out, dimensions.len() as u64);
    for d in dimensions {
        row::push_varint(&mut out, u64::from(d.length));
        row::push_varint(&mut out, u64::from(d.lower as u32));
    }
    for element in elements {
        row::push_datum(&mut out, element);
    }
    out
}

/// Packs a one-dimensional array with subscripts from 1.
pub fn build_vector<'d>(elements: &[Datum<'d>]) -> Vec<u8> {
    if elements.is_empty() {
        return build(&[], []);
    }
    let length = elements.len() as u32;
    build(&[Dimension { length, lower: 1 }], elements.iter().copied())
}

/// Elements of an array with these dimensions; 0 for none, `None` on overflow.
fn element_count(dimensions: &[Dimension]) -> Option<usize> {
    if dimensions.is_empty() {
        return Some(0);
    }
    dimensions
        .iter()
        .try_fold(1usize, |n, d| n.checked_mul(d.length as usize))
}
