//! Reading one key's values in order, across the batches of a trace, as of a time.
//!
//! A trace is a handful of sorted batches. A key's values lie in one range of each; walking them in
//! order is a merge of those ranges, from either end, that sums the diffs admitted by a time filter.
//! Cursors of differential-dataflow go forwards only and move all at once, so this reads the batches'
//! columns directly.
//!
//! Invariant: a walk yields each distinct value once, in order, whose admitted diffs do not cancel;
//! values whose diffs do are counted, because they cost as much.

use differential_dataflow::difference::Semigroup;
use differential_dataflow::trace::wrappers::frontier::BatchFrontier;
use smallvec::SmallVec;

use crate::layout::order::{compare, less};
use crate::layout::{Batch, Diff, SharedBatch, Time};

/// A batch with the times it presents.
pub trait View {
    /// The time of its updates.
    type Time: Time;
    /// The diff of its updates.
    type Diff: Diff;

    /// The updates themselves.
    fn batch(&self) -> &Batch<Self::Time, Self::Diff>;

    /// Turns a time in the batch into the time presented, and says whether it is presented at all.
    fn present(&self, time: &mut Self::Time) -> bool;
}

impl<T: Time, R: Diff> View for SharedBatch<T, R> {
    type Time = T;
    type Diff = R;

    #[inline]
    fn batch(&self) -> &Batch<T, R> {
        self
    }
    #[inline]
    fn present(&self, _time: &mut T) -> bool {
        true
    }
}

impl<T: Time, R: Diff> View for BatchFrontier<SharedBatch<T, R>, T> {
    type Time = T;
    type Diff = R;

    #[inline]
    fn batch(&self) -> &Batch<T, R> {
        self.inner()
    }
    #[inline]
    fn present(&self, time: &mut T) -> bool {
        self.advance_time(time)
    }
}

/// The times that an accumulation takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Horizon {
    /// Times strictly before this one.
    Before(u64),
    /// Times up to and including this one.
    At(u64),
}

impl Horizon {
    /// True if an update at `time` counts.
    #[inline]
    pub fn admits(self, time: u64) -> bool {
        match self {
            Horizon::Before(bound) => time < bound,
            Horizon::At(bound) => time <= bound,
        }
    }
}

/// Which way values are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the least value up.
    Forward,
    /// From the greatest value down.
    Backward,
}

impl Direction {
    /// Compares two values in walking order.
    #[inline]
    pub fn compare(self, a: &[u8], b: &[u8]) -> std::cmp::Ordering {
        match self {
            Direction::Forward => compare(a, b),
            Direction::Backward => compare(b, a),
        }
    }
}

/// The values of one key in one batch.
#[derive(Debug)]
struct Part<'a, B> {
    view: &'a B,
    /// Values not yet walked, as positions in the batch.
    low: usize,
    high: usize,
}

impl<B> Clone for Part<'_, B> {
    fn clone(&self) -> Self {
        Part {
            view: self.view,
            low: self.low,
            high: self.high,
        }
    }
}

/// The values of one key in all batches of a trace.
#[derive(Debug)]
pub struct Group<'a, B> {
    parts: SmallVec<[Part<'a, B>; 8]>,
}

impl<B> Clone for Group<'_, B> {
    fn clone(&self) -> Self {
        Group {
            parts: self.parts.clone(),
        }
    }
}

impl<'a, B: View<Time = u64>> Group<'a, B> {
    /// Finds `key` in `batches`. `positions` holds, for each batch, a key position not beyond the
    /// key's, and is moved forward to it: ascending look-ups pass the same positions again.
    pub fn find(batches: &'a [B], positions: &mut [usize], key: &[u8]) -> Self {
        let mut parts = SmallVec::new();
        for (view, position) in batches.iter().zip(positions) {
            let batch = view.batch();
            let keys = batch.keys();
            *position = keys.gallop(*position, keys.len(), |other| less(other, key));
            if *position < keys.len() && keys.get(*position) == key {
                let (low, high) = batch.val_range(*position);
                parts.push(Part { view, low, high });
            }
        }
        Group { parts }
    }

    /// Finds `key` in `batches` by bisection, for a single look-up.
    pub fn look_up(batches: &'a [B], key: &[u8]) -> Self {
        let mut parts = SmallVec::new();
        for view in batches {
            let batch = view.batch();
            let keys = batch.keys();
            let position = keys.bisect(0, keys.len(), |other| less(other, key));
            if position < keys.len() && keys.get(position) == key {
                let (low, high) = batch.val_range(position);
                parts.push(Part { view, low, high });
            }
        }
        Group { parts }
    }

    /// A group with no values.
    pub fn empty() -> Self {
        Group {
            parts: SmallVec::new(),
        }
    }

    /// Adds the values of key number `key` of a batch.
    pub fn add(&mut self, view: &'a B, key: usize) {
        let (low, high) = view.batch().val_range(key);
        self.parts.push(Part { view, low, high });
    }

    /// True if no batch holds the key.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The number of values, counted once a batch.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.high - part.low).sum()
    }

    /// Calls `logic` with every update of the key, as presented, batch by batch.
    pub fn updates(&self, mut logic: impl FnMut(&'a [u8], u64, &'a B::Diff)) {
        for part in &self.parts {
            let batch = part.view.batch();
            for val in part.low..part.high {
                for (time, diff) in batch.updates(val) {
                    let mut time = *time;
                    if part.view.present(&mut time) {
                        logic(batch.vals().get(val), time, diff);
                    }
                }
            }
        }
    }

    /// The sum of all diffs that `horizon` admits, over all values.
    pub fn total(&self, horizon: Horizon) -> Option<B::Diff> {
        let mut total: Option<B::Diff> = None;
        self.updates(|_, time, diff| {
            if horizon.admits(time) {
                add(&mut total, diff);
            }
        });
        total.filter(|total| !is_zero(total))
    }

    /// Walks the values in order.
    pub fn walk(&self, direction: Direction, horizon: Horizon) -> Walk<'a, B> {
        Walk {
            parts: self.parts.clone(),
            direction,
            horizon,
            crossed: 0,
        }
    }

    /// Walks the values that follow `bound` in walking order.
    pub fn walk_beyond(&self, direction: Direction, horizon: Horizon, bound: &[u8]) -> Walk<'a, B> {
        let mut walk = self.walk(direction, horizon);
        for part in &mut walk.parts {
            let vals = part.view.batch().vals();
            match direction {
                Direction::Forward => {
                    part.low = vals.bisect(part.low, part.high, |val| !less(bound, val));
                }
                Direction::Backward => {
                    part.high = vals.bisect(part.low, part.high, |val| less(val, bound));
                }
            }
        }
        walk
    }
}

/// Adds a diff to a sum that may not have begun.
#[inline]
pub(crate) fn add<R: Semigroup>(sum: &mut Option<R>, diff: &R) {
    match sum {
        Some(sum) => sum.plus_equals(diff),
        None => *sum = Some(diff.clone()),
    }
}

/// Disambiguates the test for zero of a diff.
#[inline]
pub(crate) fn is_zero<R: Semigroup>(diff: &R) -> bool {
    diff.is_zero()
}

/// A walk over the values of a group, in order.
#[derive(Debug)]
pub struct Walk<'a, B> {
    parts: SmallVec<[Part<'a, B>; 8]>,
    direction: Direction,
    horizon: Horizon,
    crossed: usize,
}

impl<'a, B: View<Time = u64>> Walk<'a, B> {
    /// Values walked so far, in all batches, those whose diffs cancel included.
    pub fn crossed(&self) -> usize {
        self.crossed
    }

    /// The next value in walking order, with the sum of its admitted diffs unless they cancel.
    #[inline]
    pub fn step(&mut self) -> Option<(&'a [u8], Option<B::Diff>)> {
        let next = self.peek()?;
        let mut sum = None;
        for part in &mut self.parts {
            if part.low >= part.high {
                continue;
            }
            let position = match self.direction {
                Direction::Forward => part.low,
                Direction::Backward => part.high - 1,
            };
            let batch = part.view.batch();
            if batch.vals().get(position) != next {
                continue;
            }
            for (time, diff) in batch.updates(position) {
                let mut time = *time;
                if part.view.present(&mut time) && self.horizon.admits(time) {
                    add(&mut sum, diff);
                }
            }
            match self.direction {
                Direction::Forward => part.low += 1,
                Direction::Backward => part.high -= 1,
            }
            self.crossed += 1;
        }
        Some((next, sum.filter(|sum| !is_zero(sum))))
    }

    /// The value that comes next.
    #[inline]
    fn peek(&self) -> Option<&'a [u8]> {
        let mut next: Option<&'a [u8]> = None;
        for part in &self.parts {
            if part.low < part.high {
                let position = match self.direction {
                    Direction::Forward => part.low,
                    Direction::Backward => part.high - 1,
                };
                let val = part.view.batch().vals().get(position);
                if next.is_none_or(|next| self.direction.compare(val, next).is_lt()) {
                    next = Some(val);
                }
            }
        }
        next
    }
}

impl<'a, B: View<Time = u64>> Iterator for Walk<'a, B> {
    type Item = (&'a [u8], B::Diff);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let (val, Some(sum)) = self.step()? {
                return Some((val, sum));
            }
        }
    }
}

/// A walk over the keys of several batches, in order, that gives each key's group.
#[derive(Debug)]
pub struct Keys<'a, B> {
    /// Each batch, and the keys of it not yet walked.
    ranges: Vec<(&'a B, usize, usize)>,
    direction: Direction,
}

impl<'a, B: View<Time = u64>> Keys<'a, B> {
    /// Walks the keys from `low`, inclusive, to `high`, exclusive; absent bounds do not bound.
    pub fn new(
        batches: &'a [B],
        low: Option<&[u8]>,
        high: Option<&[u8]>,
        direction: Direction,
    ) -> Self {
        let ranges = batches.iter().map(|view| {
            let keys = view.batch().keys();
            let start = low.map_or(0, |low| keys.bisect(0, keys.len(), |key| less(key, low)));
            let end = high.map_or(keys.len(), |high| {
                keys.bisect(0, keys.len(), |key| less(key, high))
            });
            (view, start, end.max(start))
        });
        Keys {
            ranges: ranges.collect(),
            direction,
        }
    }

    /// The key that comes next.
    #[inline]
    pub fn peek(&self) -> Option<&'a [u8]> {
        let mut next: Option<&'a [u8]> = None;
        for (view, start, end) in &self.ranges {
            if start < end {
                let position = match self.direction {
                    Direction::Forward => *start,
                    Direction::Backward => *end - 1,
                };
                let key = view.batch().keys().get(position);
                if next.is_none_or(|next| self.direction.compare(key, next).is_lt()) {
                    next = Some(key);
                }
            }
        }
        next
    }
}

impl<'a, B: View<Time = u64>> Iterator for Keys<'a, B> {
    type Item = (&'a [u8], Group<'a, B>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = self.peek()?;
        let mut group = Group::empty();
        for (view, start, end) in self.ranges.iter_mut() {
            let view: &'a B = view;
            if *start >= *end {
                continue;
            }
            let position = match self.direction {
                Direction::Forward => *start,
                Direction::Backward => *end - 1,
            };
            if view.batch().keys().get(position) == key {
                group.add(view, position);
                match self.direction {
                    Direction::Forward => *start += 1,
                    Direction::Backward => *end -= 1,
                }
            }
        }
        Some((key, group))
    }
}
