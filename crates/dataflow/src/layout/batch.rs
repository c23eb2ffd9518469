//! An immutable batch of updates, sorted, each key and each value written once.
//!
//! The trie has three levels: keys, the values of each key, the `(time, diff)` updates of each value.
//! An empty range of updates stands for one update equal to the one before it, as in
//! differential-dataflow's `Upds`: after a load, or once compacted, most updates share one time and
//! one diff, and then cost nothing.
//!
//! Invariant: keys ascend strictly; the values of a key ascend strictly; every key has a value and
//! every value an update; no diff is zero.

use differential_dataflow::batcher::merge::Sealer;
use differential_dataflow::consolidation::consolidate;
use differential_dataflow::trace::Builder;

use super::{Diff, Offsets, Packed, Slab, Time};

/// A sorted, consolidated, immutable set of updates.
#[derive(Debug)]
pub struct Batch<T, R> {
    keys: Slab,
    key_ends: Offsets,
    vals: Slab,
    val_ends: Offsets,
    times: Vec<T>,
    diffs: Vec<R>,
    updates: usize,
}

impl<T, R> Default for Batch<T, R> {
    fn default() -> Self {
        Batch {
            keys: Slab::default(),
            key_ends: Offsets::default(),
            vals: Slab::default(),
            val_ends: Offsets::default(),
            times: Vec::new(),
            diffs: Vec::new(),
            updates: 0,
        }
    }
}

impl<T, R> Batch<T, R> {
    /// The keys, ascending.
    #[inline]
    pub fn keys(&self) -> &Slab {
        &self.keys
    }

    /// The values of all keys, one key after the other, ascending within each.
    #[inline]
    pub fn vals(&self) -> &Slab {
        &self.vals
    }

    /// The positions in [`Batch::vals`] of the values of key number `key`.
    #[inline]
    pub fn val_range(&self, key: usize) -> (usize, usize) {
        self.key_ends.bounds(key)
    }

    #[inline]
    fn update_range(&self, val: usize) -> (usize, usize) {
        let (start, end) = self.val_ends.bounds(val);
        // An empty range repeats the update just before it.
        if start == end {
            (start - 1, end)
        } else {
            (start, end)
        }
    }

    /// The times and diffs of the value at position `val`, times ascending.
    #[inline]
    pub fn updates(&self, val: usize) -> impl Iterator<Item = (&T, &R)> {
        let (start, end) = self.update_range(val);
        self.times[start..end].iter().zip(&self.diffs[start..end])
    }

    /// The times that occur, in no order and not each of them once.
    #[inline]
    pub fn times(&self) -> &[T] {
        &self.times
    }

    /// The number of updates.
    #[inline]
    pub fn len(&self) -> usize {
        self.updates
    }

    /// True if there are no updates.
    pub fn is_empty(&self) -> bool {
        self.updates == 0
    }

    /// Bytes on the heap, without what a diff points to.
    pub fn heap_bytes(&self) -> usize {
        self.keys.heap_bytes()
            + self.key_ends.heap_bytes()
            + self.vals.heap_bytes()
            + self.val_ends.heap_bytes()
            + self.times.capacity() * size_of::<T>()
            + self.diffs.capacity() * size_of::<R>()
    }
}

/// Writes a [`Batch`] from updates in key and value order.
pub struct BatchBuilder<T, R> {
    batch: Batch<T, R>,
    /// Updates of the value being written.
    staged: Vec<(T, R)>,
    /// [`Builder::push`] has written a key and a value whose updates are staged.
    open: bool,
}

impl<T: Time, R: Diff> Default for BatchBuilder<T, R> {
    fn default() -> Self {
        BatchBuilder {
            batch: Batch::default(),
            staged: Vec::new(),
            open: false,
        }
    }
}

impl<T: Time, R: Diff> BatchBuilder<T, R> {
    /// A builder with room for so many bytes of keys and values, and so many updates.
    pub fn with_capacity(key_bytes: usize, val_bytes: usize) -> Self {
        let mut builder = Self::default();
        builder.batch.keys = Slab::with_byte_capacity(key_bytes);
        builder.batch.vals = Slab::with_byte_capacity(val_bytes);
        builder
    }

    /// A builder for the merge of two batches.
    pub fn for_merge(left: &Batch<T, R>, right: &Batch<T, R>) -> Self {
        Self::with_capacity(
            left.keys.byte_len() + right.keys.byte_len(),
            left.vals.byte_len() + right.vals.byte_len(),
        )
    }

    /// Stages an update of the value that [`BatchBuilder::end_val`] names next.
    #[inline]
    pub fn stage(&mut self, time: T, diff: R) {
        self.staged.push((time, diff));
    }

    /// Writes the staged updates under `val`, unless they cancel.
    #[inline]
    pub fn end_val(&mut self, val: &[u8]) {
        if self.staged.len() > 1 {
            consolidate(&mut self.staged);
        } else if self.staged.first().is_some_and(|(_, diff)| diff.is_zero()) {
            self.staged.clear();
        }
        if !self.staged.is_empty() {
            self.batch.vals.push(val);
            self.end_updates();
        }
    }

    /// Writes the staged updates, which are those of the last value written.
    #[inline]
    fn end_updates(&mut self) {
        let batch = &mut self.batch;
        batch.updates += self.staged.len();
        let repeats = self.staged.len() == 1
            && batch.times.last() == Some(&self.staged[0].0)
            && batch.diffs.last() == Some(&self.staged[0].1);
        if repeats {
            self.staged.clear();
        } else {
            for (time, diff) in self.staged.drain(..) {
                batch.times.push(time);
                batch.diffs.push(diff);
            }
        }
        batch.val_ends.push(batch.times.len());
    }

    /// Ends the key of the values written since the last call, unless there are none.
    #[inline]
    pub fn end_key(&mut self, key: &[u8]) {
        let batch = &mut self.batch;
        let previous = match batch.key_ends.len() {
            0 => 0,
            keys => batch.key_ends.end(keys - 1),
        };
        if batch.vals.len() > previous {
            batch.keys.push(key);
            batch.key_ends.push(batch.vals.len());
        }
    }

    /// The batch, absent if nothing was written. Spare memory is given back where it is much.
    pub fn finish(mut self) -> Option<Batch<T, R>> {
        let batch = &mut self.batch;
        if batch.updates == 0 {
            return None;
        }
        batch.keys.shrink();
        batch.key_ends.shrink();
        batch.vals.shrink();
        batch.val_ends.shrink();
        batch.times.shrink_to_fit();
        batch.diffs.shrink_to_fit();
        Some(self.batch)
    }

    /// Adds one update; updates come sorted and consolidated.
    #[inline]
    fn update(&mut self, key: &[u8], val: &[u8], time: T, diff: R) {
        let batch = &mut self.batch;
        if !self.open {
            self.open = true;
            batch.keys.push(key);
            batch.vals.push(val);
        } else if batch.keys.last() != Some(key) {
            self.end_updates();
            self.batch.key_ends.push(self.batch.vals.len());
            self.batch.keys.push(key);
            self.batch.vals.push(val);
        } else if batch.vals.last() != Some(val) {
            self.end_updates();
            self.batch.vals.push(val);
        }
        self.staged.push((time, diff));
    }
}

impl<T: Time, R: Diff> Builder for BatchBuilder<T, R> {
    type Input = Packed<T, R>;
    type Time = T;
    type Output = Batch<T, R>;

    fn push(&mut self, chunk: &mut Packed<T, R>) {
        for index in 0..chunk.len() {
            self.update(
                chunk.key(index),
                chunk.val(index),
                chunk.time(index).clone(),
                chunk.diff(index).clone(),
            );
        }
        chunk.clear();
    }

    fn done(mut self) -> Option<Batch<T, R>> {
        if self.open {
            self.end_updates();
            self.batch.key_ends.push(self.batch.vals.len());
        }
        self.finish()
    }
}

impl<T: Time, R: Diff> Sealer<Packed<T, R>> for BatchBuilder<T, R> {
    type Output = Batch<T, R>;

    fn seal(chain: &mut Vec<Packed<T, R>>) -> Option<Batch<T, R>> {
        let mut builder = Self::default();
        for mut chunk in chain.drain(..) {
            builder.push(&mut chunk);
        }
        builder.done()
    }
}
