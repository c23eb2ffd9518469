//! A compact list of non-decreasing positions: the ends of consecutive ranges.
//!
//! Entry `i` is where range `i` ends and range `i + 1` begins; the first range begins at zero. Ends
//! that grow by a fixed stride, and a run of equal ends behind them, take no memory at all: rows of
//! one size, one value a key and one update a value are the common case. Other ends take four bytes
//! until a position passes `u32::MAX`, and eight from there on.

/// The ends of consecutive ranges, starting from zero.
#[derive(Clone, Debug, Default)]
pub struct Offsets {
    /// Distance between the first `steps` ends.
    stride: usize,
    /// How many ends follow the stride.
    steps: usize,
    /// How many ends, after those, equal the last of them.
    repeats: usize,
    /// Ends that follow neither rule and fit four bytes.
    small: Vec<u32>,
    /// Ends from the first one on that does not fit.
    large: Vec<u64>,
}

impl Offsets {
    /// Appends an end, which must not lie before the last one.
    #[inline]
    pub fn push(&mut self, end: usize) {
        if self.small.is_empty() && self.large.is_empty() {
            if self.steps == 0 {
                self.stride = end;
                self.steps = 1;
                return;
            }
            if self.repeats == 0 && end == self.stride * (self.steps + 1) {
                self.steps += 1;
                return;
            }
            if end == self.stride * self.steps {
                self.repeats += 1;
                return;
            }
        }
        match u32::try_from(end) {
            Ok(small) if self.large.is_empty() => self.small.push(small),
            _ => self.large.push(end as u64),
        }
    }

    /// The end of range `index`.
    #[inline]
    pub fn end(&self, index: usize) -> usize {
        if index < self.steps {
            return self.stride * (index + 1);
        }
        let index = index - self.steps;
        if index < self.repeats {
            return self.stride * self.steps;
        }
        let index = index - self.repeats;
        match self.small.get(index) {
            Some(end) => *end as usize,
            None => self.large[index - self.small.len()] as usize,
        }
    }

    /// The start and the end of range `index`.
    #[inline]
    pub fn bounds(&self, index: usize) -> (usize, usize) {
        let start = if index == 0 { 0 } else { self.end(index - 1) };
        (start, self.end(index))
    }

    /// The number of ranges.
    #[inline]
    pub fn len(&self) -> usize {
        self.steps + self.repeats + self.small.len() + self.large.len()
    }

    /// True if there are no ranges.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// Forgets all ranges, and keeps the memory.
    pub fn clear(&mut self) {
        self.stride = 0;
        self.steps = 0;
        self.repeats = 0;
        self.small.clear();
        self.large.clear();
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.small.capacity() * 4 + self.large.capacity() * 8
    }

    /// Gives spare memory back.
    pub fn shrink(&mut self) {
        self.small.shrink_to_fit();
        self.large.shrink_to_fit();
    }
}
