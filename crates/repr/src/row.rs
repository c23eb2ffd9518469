//! Rows: packed datums.
//!
//! Each datum is a tag byte and its payload; integers take the fewest of 0, 1, 2, 4 or 8 bytes, so that equal
//! datums have equal bytes and the bytes are an identity. A `Row` or `RowRef` holds only bytes that this
//! module packed or that [`Row::from_bytes`] checked, so reading cannot fail.

mod arena;
mod encoding;

#[cfg(test)]
mod tests;

pub use arena::RowArena;
pub(crate) use encoding::read_nested;
pub use encoding::{DecodeError, MAX_NESTING, push_datum, push_varint, read_checked, read_varint};

use crate::datum::Datum;
use encoding::{Scratch, check_nested, push_any, read_datum};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Bytes that a row keeps without an allocation.
const INLINE: usize = 24;

/// An owned row. Its order is that of its bytes: stable, and not SQL's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Row {
    bytes: SmallVec<[u8; INLINE]>,
}

/// A borrowed row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RowRef<'a> {
    bytes: &'a [u8],
}

impl Row {
    /// The row of these datums.
    pub fn pack<'d>(datums: impl IntoIterator<Item = Datum<'d>>) -> Row {
        let mut scratch = Scratch::new();
        for datum in datums {
            push_any(&mut scratch, datum);
        }
        Row {
            bytes: scratch.finish(),
        }
    }

    /// Checks bytes of unknown origin.
    pub fn from_bytes(bytes: &[u8]) -> Result<Row, DecodeError> {
        Ok(RowRef::from_bytes(bytes)?.to_row())
    }

    /// Borrows it.
    pub fn as_ref(&self) -> RowRef<'_> {
        RowRef { bytes: &self.bytes }
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its datums.
    pub fn iter(&self) -> DatumIter<'_> {
        DatumIter { bytes: &self.bytes }
    }

    /// Its datums, collected.
    pub fn unpack(&self) -> Vec<Datum<'_>> {
        self.iter().collect()
    }

    /// The first datum. Rows of one column are common as constants.
    pub fn first(&self) -> Datum<'_> {
        self.iter().next().unwrap_or(Datum::Null)
    }

    /// Bytes beyond the struct itself.
    pub fn heap_bytes(&self) -> usize {
        if self.bytes.spilled() {
            self.bytes.capacity()
        } else {
            0
        }
    }
}

impl<'a> RowRef<'a> {
    /// Wraps bytes that came from a [`Row`], such as those kept in an arrangement.
    pub fn from_packed(bytes: &'a [u8]) -> RowRef<'a> {
        RowRef { bytes }
    }

    /// Checks bytes of unknown origin.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<RowRef<'a>, DecodeError> {
        check_nested(bytes, MAX_NESTING)?;
        Ok(RowRef { bytes })
    }

    /// The packed bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Its datums.
    pub fn iter(self) -> DatumIter<'a> {
        DatumIter { bytes: self.bytes }
    }

    /// An owned copy.
    pub fn to_row(self) -> Row {
        Row {
            bytes: SmallVec::from_slice(self.bytes),
        }
    }
}

/// Walks a row's datums.
#[derive(Clone)]
pub struct DatumIter<'a> {
    bytes: &'a [u8],
}

impl<'a> DatumIter<'a> {
    /// The bytes of the datums not yet walked.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for DatumIter<'a> {
    type Item = Datum<'a>;

    #[inline]
    fn next(&mut self) -> Option<Datum<'a>> {
        if self.bytes.is_empty() {
            return None;
        }
        Some(read_datum::<false>(&mut self.bytes).expect("a row holds packed datums only"))
    }
}

/// Builds rows one after another in one reused buffer.
#[derive(Default)]
pub struct Packer {
    buffer: Vec<u8>,
}

impl Packer {
    /// Appends a datum to the row under way.
    pub fn push(&mut self, datum: Datum<'_>) {
        push_datum(&mut self.buffer, datum);
    }

    /// Appends all datums of a row.
    pub fn extend_row(&mut self, row: RowRef<'_>) {
        self.buffer.extend_from_slice(row.bytes);
    }

    /// Ends the row under way.
    pub fn finish(&mut self) -> Row {
        let row = Row {
            bytes: SmallVec::from_slice(&self.buffer),
        };
        self.buffer.clear();
        row
    }

    /// The row under way, borrowed.
    pub fn current(&self) -> RowRef<'_> {
        RowRef {
            bytes: &self.buffer,
        }
    }

    /// Forgets the row under way.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }
}

impl std::fmt::Debug for RowRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Row, D::Error> {
        let bytes: Vec<u8> = serde::Deserialize::deserialize(deserializer)?;
        Row::from_bytes(&bytes).map_err(serde::de::Error::custom)
    }
}
