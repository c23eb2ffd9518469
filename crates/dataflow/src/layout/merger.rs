//! The merge of two batches, in bounded steps.
//!
//! Fuel is spent by value, not by key: a key with a million values is merged in as many steps as a
//! million keys, and nobody waits for it.

use differential_dataflow::trace::implementations::spine_fueled::{Merger, SpineBatch};
use timely::progress::frontier::{Antichain, AntichainRef};

use super::order::compare;
use super::{Batch, BatchBuilder, Diff, Time};

/// Which batch, or both, holds the key being merged.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Left,
    Right,
    Both,
}

/// A merge under way.
pub struct BatchMerger<T: Time, R: Diff> {
    since: Antichain<T>,
    builder: BatchBuilder<T, R>,
    /// Next key of each batch.
    keys: (usize, usize),
    /// Next value of each batch, within the key being merged.
    vals: (usize, usize),
    /// The key being merged, if one is.
    side: Option<Side>,
}

impl<T: Time, R: Diff> BatchMerger<T, R> {
    /// Chooses the next key, or returns false when both batches are used up.
    fn next_key(&mut self, left: &Batch<T, R>, right: &Batch<T, R>) -> bool {
        use std::cmp::Ordering::*;
        let more = (
            self.keys.0 < left.keys().len(),
            self.keys.1 < right.keys().len(),
        );
        let side = match more {
            (false, false) => return false,
            (true, false) => Side::Left,
            (false, true) => Side::Right,
            (true, true) => {
                match compare(left.keys().get(self.keys.0), right.keys().get(self.keys.1)) {
                    Less => Side::Left,
                    Greater => Side::Right,
                    Equal => Side::Both,
                }
            }
        };
        if side != Side::Right {
            self.vals.0 = left.val_range(self.keys.0).0;
        }
        if side != Side::Left {
            self.vals.1 = right.val_range(self.keys.1).0;
        }
        self.side = Some(side);
        true
    }

    /// Stages the updates of one value, advanced to `since`; returns how many there are.
    #[inline]
    fn stage(&mut self, source: &Batch<T, R>, val: usize) -> isize {
        let mut count = 0;
        for (time, diff) in source.updates(val) {
            let mut time = time.clone();
            time.advance_by(self.since.borrow());
            self.builder.stage(time, diff.clone());
            count += 1;
        }
        count
    }

    /// Merges values of the current key until it ends or `fuel` does; returns the effort.
    fn merge_vals(
        &mut self,
        left: &Batch<T, R>,
        right: &Batch<T, R>,
        side: Side,
        fuel: isize,
    ) -> isize {
        use std::cmp::Ordering::*;
        let left_end = if side == Side::Right {
            self.vals.0
        } else {
            left.val_range(self.keys.0).1
        };
        let right_end = if side == Side::Left {
            self.vals.1
        } else {
            right.val_range(self.keys.1).1
        };
        let mut effort = 0;
        while effort < fuel {
            let order = match (self.vals.0 < left_end, self.vals.1 < right_end) {
                (false, false) => {
                    self.end_key(left, right, side);
                    break;
                }
                (true, false) => Less,
                (false, true) => Greater,
                (true, true) => {
                    compare(left.vals().get(self.vals.0), right.vals().get(self.vals.1))
                }
            };
            let val = match order {
                Greater => right.vals().get(self.vals.1),
                _ => left.vals().get(self.vals.0),
            };
            if order != Greater {
                effort += self.stage(left, self.vals.0);
                self.vals.0 += 1;
            }
            if order != Less {
                effort += self.stage(right, self.vals.1);
                self.vals.1 += 1;
            }
            self.builder.end_val(val);
        }
        effort
    }

    fn end_key(&mut self, left: &Batch<T, R>, right: &Batch<T, R>, side: Side) {
        match side {
            Side::Right => self.builder.end_key(right.keys().get(self.keys.1)),
            _ => self.builder.end_key(left.keys().get(self.keys.0)),
        }
        if side != Side::Right {
            self.keys.0 += 1;
        }
        if side != Side::Left {
            self.keys.1 += 1;
        }
        self.side = None;
    }
}

impl<T: Time, R: Diff> Merger<Batch<T, R>> for BatchMerger<T, R> {
    fn new(left: &Batch<T, R>, right: &Batch<T, R>, since: AntichainRef<T>) -> Self {
        BatchMerger {
            since: since.to_owned(),
            builder: BatchBuilder::for_merge(left, right),
            keys: (0, 0),
            vals: (0, 0),
            side: None,
        }
    }

    fn work(&mut self, left: &Batch<T, R>, right: &Batch<T, R>, fuel: &mut isize) {
        let mut effort = 0;
        while effort < *fuel {
            if let Some(side) = self.side {
                effort += self.merge_vals(left, right, side, *fuel - effort);
            } else if !self.next_key(left, right) {
                break;
            }
        }
        *fuel -= effort;
    }

    fn done(self) -> Option<Batch<T, R>> {
        self.builder.finish()
    }
}

impl<T: Time, R: Diff> SpineBatch for Batch<T, R> {
    type Time = T;
    type Merger = BatchMerger<T, R>;

    fn len(&self) -> usize {
        Batch::len(self)
    }
}
