//! Byte strings end to end in one allocation.
//!
//! Reading gives `&[u8]`, which is `Copy + Ord`; ordered slabs are searched by galloping, so that
//! sorted look-ups cost the logarithm of the distance they move.

use differential_dataflow::trace::implementations::BatchContainer;

use super::Offsets;

/// A list of byte strings.
#[derive(Clone, Debug, Default)]
pub struct Slab {
    bytes: Vec<u8>,
    ends: Offsets,
}

impl Slab {
    /// A slab with room for `bytes` bytes in all.
    pub fn with_byte_capacity(bytes: usize) -> Self {
        Slab {
            bytes: Vec::with_capacity(bytes),
            ends: Offsets::default(),
        }
    }

    /// Appends one byte string.
    #[inline]
    pub fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.ends.push(self.bytes.len());
    }

    /// The byte string at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let (start, end) = self.ends.bounds(index);
        &self.bytes[start..end]
    }

    /// The last byte string.
    #[inline]
    pub fn last(&self) -> Option<&[u8]> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// The number of byte strings.
    #[inline]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all strings together.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets all strings, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.heap_bytes()
    }

    /// Gives spare memory back.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink();
    }

    /// The first position in `start..end` whose string fails `before`, which must hold for a prefix
    /// of that range. The cost is logarithmic in the distance from `start`.
    #[inline]
    pub fn gallop(&self, start: usize, end: usize, before: impl Fn(&[u8]) -> bool) -> usize {
        if start >= end || !before(self.get(start)) {
            return start;
        }
        let mut low = start;
        let mut step = 1;
        while low + step < end && before(self.get(low + step)) {
            low += step;
            step <<= 1;
        }
        // `low` satisfies `before`; `low + step` does not, or lies outside.
        let mut high = (low + step).min(end);
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if before(self.get(middle)) {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// The first position in `start..end` whose string fails `before`, by bisection.
    pub fn bisect(&self, start: usize, end: usize, before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (start, end);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

impl BatchContainer for Slab {
    type Owned = Vec<u8>;
    type ReadItem<'a> = &'a [u8];

    #[inline]
    fn into_owned(item: &[u8]) -> Vec<u8> {
        item.to_vec()
    }
    #[inline]
    fn clone_onto(item: &[u8], other: &mut Vec<u8>) {
        other.clear();
        other.extend_from_slice(item);
    }
    fn push_ref(&mut self, item: &[u8]) {
        self.push(item)
    }
    fn push_own(&mut self, item: &Vec<u8>) {
        self.push(item)
    }
    fn clear(&mut self) {
        Slab::clear(self)
    }
    fn with_capacity(_size: usize) -> Self {
        Slab::default()
    }
    fn merge_capacity(left: &Self, right: &Self) -> Self {
        Slab::with_byte_capacity(left.byte_len() + right.byte_len())
    }
    #[inline]
    fn reborrow<'b, 'a: 'b>(item: &'a [u8]) -> &'b [u8] {
        item
    }
    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.get(index)
    }
    #[inline]
    fn len(&self) -> usize {
        Slab::len(self)
    }
}
