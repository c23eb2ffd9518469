//! The canonical encoding of rows: what the log keeps and digests hash.
//!
//! Version 1 is the packed bytes of a [`Row`]: one byte form a value, so equal rows have equal bytes for ever. A
//! test pins the bytes of every type. A change of the packed form needs a new version here, with the old one kept
//! readable. Whoever stores canonical bytes stores the version beside them, once a file or a segment.

#[cfg(test)]
mod tests;

use crate::row::{DecodeError, Row, RowRef};

/// The version that [`encode`] writes.
pub const VERSION: u8 = 1;

/// Why stored bytes are no row.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CanonicalError {
    /// A version that this build does not read.
    #[error(
        "canonical row encoding version {0} is not supported; this build reads version {VERSION}"
    )]
    UnknownVersion(u8),
    /// Bytes that are not of that version.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// Appends a row's canonical bytes, in [`VERSION`].
pub fn encode(row: RowRef<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(row.bytes());
}

/// The canonical bytes of a row, in [`VERSION`], borrowed.
pub fn bytes(row: RowRef<'_>) -> &[u8] {
    row.bytes()
}

/// The row of canonical bytes, checked to the last nested value.
pub fn decode(version: u8, bytes: &[u8]) -> Result<Row, CanonicalError> {
    match version {
        VERSION => Ok(Row::from_bytes(bytes)?),
        other => Err(CanonicalError::UnknownVersion(other)),
    }
}

/// Checks canonical bytes and borrows them as a row.
pub fn check(version: u8, bytes: &[u8]) -> Result<RowRef<'_>, CanonicalError> {
    match version {
        VERSION => Ok(RowRef::from_bytes(bytes)?),
        other => Err(CanonicalError::UnknownVersion(other)),
    }
}
