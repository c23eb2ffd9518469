//! Memory for what datums borrow.

use super::{Row, RowRef};
use crate::datum::{Datum, ErrorRef};

/// Keeps what datums borrow while an expression is evaluated. Cleared between rows; its memory is kept.
#[derive(Default)]
pub struct RowArena {
    bump: bumpalo::Bump,
}

/// Bytes of an arena that [`RowArena::clear`] keeps at most.
const ARENA_KEPT: usize = 1 << 20;

impl RowArena {
    /// An empty arena.
    pub fn new() -> RowArena {
        RowArena::default()
    }

    /// Keeps bytes as long as the arena is borrowed.
    pub fn bytes(&self, bytes: Vec<u8>) -> &[u8] {
        self.bump.alloc_slice_copy(&bytes)
    }

    /// Keeps a copy of bytes as long as the arena is borrowed.
    pub fn copy(&self, bytes: &[u8]) -> &[u8] {
        self.bump.alloc_slice_copy(bytes)
    }

    /// Keeps a copy of a string as long as the arena is borrowed.
    pub fn copy_str(&self, string: &str) -> &str {
        self.bump.alloc_str(string)
    }

    /// Keeps a string as long as the arena is borrowed.
    pub fn string(&self, string: String) -> &str {
        self.bump.alloc_str(&string)
    }

    /// Keeps a row as long as the arena is borrowed.
    pub fn row(&self, row: Row) -> RowRef<'_> {
        RowRef {
            bytes: self.copy(&row.bytes),
        }
    }

    /// A numeric as a datum.
    pub fn numeric(&self, value: &crate::numeric::Numeric) -> Datum<'_> {
        let mut bytes = Vec::with_capacity(32);
        value.to_bytes(&mut bytes);
        Datum::Numeric(self.copy(&bytes))
    }

    /// An error as a datum.
    pub fn error(&self, error: &crate::error::EvalError) -> Datum<'_> {
        Datum::Error(ErrorRef {
            bytes: self.bytes(ErrorRef::pack(error)),
        })
    }

    /// Forgets everything kept.
    pub fn clear(&mut self) {
        if self.bump.allocated_bytes() > ARENA_KEPT {
            self.bump = bumpalo::Bump::new();
        } else {
            self.bump.reset();
        }
    }
}
