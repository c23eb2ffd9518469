//! How arranged updates lie in memory: byte strings in slabs, never one allocation a row.
//!
//! An update is `(key bytes, value bytes, time, diff)`. It travels between operators in a [`Packed`]
//! container, is sorted and merged in the same form by the [`batcher`], and comes to rest in a
//! [`Batch`], an immutable trie of keys, values and `(time, diff)` pairs, which [`SharedBatch`] makes
//! shareable between threads.
//!
//! Invariant: bytes compare as the values they encode. This module neither encodes nor decodes them;
//! it knows bytes, times and diffs, and no rows, plans or operators.

pub mod batch;
pub mod batcher;
pub mod cursor;
pub mod merger;
pub mod offsets;
pub mod order;
pub mod packed;
pub mod shared;
pub mod slab;

#[cfg(test)]
mod tests;

pub use batch::{Batch, BatchBuilder};
pub use batcher::{PackedBatcher, PackedSorter};
pub use offsets::Offsets;
pub use packed::{Packed, PackedBuilder, PackedRef};
pub use shared::SharedBatch;
pub use slab::Slab;

use differential_dataflow::difference::Semigroup;
use differential_dataflow::lattice::Lattice;
use timely::progress::Timestamp;

/// A logical time of an arrangement that other threads may read.
pub trait Time: Timestamp + Lattice + Sync {}
impl<T: Timestamp + Lattice + Sync> Time for T {}

/// What an update adds: a multiplicity, or an accumulator of several aggregates.
///
/// Accumulators must be canonical where it matters: two equal sums compare equal, and a sum that
/// cancels reports zero, or a key that has been retracted stays behind as a ghost.
pub trait Diff:
    Semigroup + Ord + std::fmt::Debug + Send + Sync + timely::ExchangeData + 'static
{
}
impl<R> Diff for R where
    R: Semigroup + Ord + std::fmt::Debug + Send + Sync + timely::ExchangeData + 'static
{
}
