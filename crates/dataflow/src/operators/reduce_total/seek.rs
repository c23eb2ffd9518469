//! Order-seeking reductions: min, max, top-k, first and last, DISTINCT ON.
//!
//! The answer is the first rows of a group in the order of its value bytes, or in the reverse. It is
//! found by seeking the first values that are there, not by reading the group, so that a step costs
//! what it changes.
//!
//! While a key is open, a `Window` holds the group's head: every value up to a bound. Changes within
//! the bound are merged into it, those beyond are ignored, and when it no longer holds the answer it
//! is filled from the bound on, by twice as much each time. That keeps a batch with many times, or
//! with many values at the head, linear. A window whose filling crossed many dead values is kept when
//! its key is closed: otherwise, deleting the least value again and again would walk all those
//! deleted before. The windows kept are bounded, and only cost time when they are lost.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::{Change, KeyGroup, Reduction};
use crate::arrange::group::{Direction, Horizon, View};
use crate::arrange::hash::KeyMap;
use crate::operators::fuel::Fuel;

/// Value bytes, inline when short.
pub type Bytes = SmallVec<[u8; 24]>;

/// Values crossed by one filling from which on its window is worth keeping.
const EXPENSIVE: usize = 64;
/// Live values that an expensive filling takes, and that a window keeps.
const HEAD: usize = 32;
/// The most that one filling doubles up to.
const FILL_LIMIT: usize = 4096;
/// Values in each of the two generations of windows kept.
const KEPT_VALUES: usize = 1 << 16;

/// The first rows of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Values in walking order, with how many rows of each belong to the answer: all of them, but for
    /// what OFFSET and LIMIT cut off the first and the last.
    pub rows: Vec<(Bytes, i64)>,
    /// A value before the end of the answer whose multiplicity is negative, which means that the input
    /// is wrong.
    pub negative: Option<(Bytes, i64)>,
}

impl Head {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.negative.is_none()
    }
}

/// The head of a group, as of the time last opened or stepped to.
#[derive(Debug, Default)]
struct Window {
    /// In walking order, all values up to the bound whose diffs do not cancel.
    entries: Vec<(Bytes, i64)>,
    /// The last value covered; absent if none is.
    bound: Option<Bytes>,
    /// True if all values are covered.
    complete: bool,
}

impl Window {
    /// True if the window knows about `val`.
    fn covers(&self, direction: Direction, val: &[u8]) -> bool {
        self.complete
            || self
                .bound
                .as_ref()
                .is_some_and(|bound| direction.compare(val, bound).is_le())
    }

    /// Merges one covered change.
    fn apply(&mut self, direction: Direction, val: &[u8], diff: i64) {
        let place = self
            .entries
            .binary_search_by(|(other, _)| direction.compare(other, val));
        match place {
            Ok(index) => {
                self.entries[index].1 += diff;
                if self.entries[index].1 == 0 {
                    self.entries.remove(index);
                }
            }
            Err(index) => self.entries.insert(index, (Bytes::from_slice(val), diff)),
        }
    }

    /// Merges covered changes, given in walking order, in one pass.
    fn merge<'a>(&mut self, direction: Direction, changes: impl Iterator<Item = (&'a [u8], i64)>) {
        let mut changes = changes.peekable();
        let mut merged = Vec::with_capacity(self.entries.len());
        for (val, count) in self.entries.drain(..) {
            while let Some((other, diff)) =
                changes.next_if(|(other, _)| direction.compare(other, &val).is_lt())
            {
                merged.push((Bytes::from_slice(other), diff));
            }
            let same = changes.next_if(|(other, _)| *other == val.as_slice());
            let count = count + same.map_or(0, |(_, diff)| diff);
            if count != 0 {
                merged.push((val, count));
            }
        }
        merged.extend(changes.map(|(val, diff)| (Bytes::from_slice(val), diff)));
        self.entries = merged;
    }

    /// Forgets all but the first `len` values.
    fn truncate(&mut self, len: usize) {
        if len < self.entries.len() {
            self.entries.truncate(len);
            self.bound = self.entries.last().map(|(val, _)| val.clone());
            self.complete = false;
        }
    }
}

/// Windows kept between activations, in two generations: when the younger is full, the older goes.
#[derive(Debug, Default)]
struct Kept {
    young: KeyMap<Window>,
    old: KeyMap<Window>,
    values: usize,
}

impl Kept {
    fn take(&mut self, key: &[u8]) -> Option<Window> {
        if let Some(window) = self.young.remove(key) {
            self.values -= window.entries.len() + 1;
            return Some(window);
        }
        self.old.remove(key)
    }

    fn keep(&mut self, key: &[u8], window: Window) {
        if self.values >= KEPT_VALUES {
            self.old = std::mem::take(&mut self.young);
            self.values = 0;
        }
        self.values += window.entries.len() + 1;
        self.young.insert(key.into(), window);
    }
}

/// Answers with the first rows of a group.
///
/// `emit` gives the rows of a key from its [`Head`], which is not empty. It must be a function of the
/// two.
pub struct Seek<L> {
    direction: Direction,
    offset: u64,
    /// Rows to look at: offset and limit together.
    need: u64,
    emit: L,
    window: Window,
    kept: Kept,
    head: Head,
    /// Entries of the window that the head depends on; all values if the head is not full.
    answered: usize,
    full: bool,
    /// Live values that the next filling takes at least.
    fill: usize,
    /// The window came from those kept, or was expensive to fill.
    worth_keeping: bool,
}

impl<L> Seek<L> {
    /// Answers with `limit` rows, or all, from row number `offset` on, in walking order.
    pub fn new<D>(direction: Direction, offset: u64, limit: Option<u64>, emit: L) -> Self
    where
        L: FnMut(&[u8], &Head, &mut Vec<(D, i64)>),
    {
        Seek {
            direction,
            offset,
            need: limit.map_or(u64::MAX, |limit| offset.saturating_add(limit)),
            emit,
            window: Window::default(),
            kept: Kept::default(),
            head: Head::default(),
            answered: 0,
            full: false,
            fill: 0,
            worth_keeping: false,
        }
    }

    /// Values that a window keeps at least, whatever is cut off it.
    fn keep_len(&self) -> usize {
        usize::try_from(self.need)
            .unwrap_or(usize::MAX)
            .clamp(HEAD, usize::MAX / 4)
    }

    /// Reads the head off the window; returns how many rows are missing.
    fn read_head(&mut self) -> u64 {
        self.head.rows.clear();
        self.head.negative = None;
        self.answered = 0;
        let mut taken = 0u64;
        for (val, count) in &self.window.entries {
            if taken >= self.need {
                break;
            }
            self.answered += 1;
            let Ok(count) = u64::try_from(*count) else {
                if self.head.negative.is_none() {
                    self.head.negative = Some((val.clone(), *count));
                }
                continue;
            };
            let end = taken.saturating_add(count).min(self.need);
            let start = taken.max(self.offset);
            if start < end {
                let rows = i64::try_from(end - start).unwrap_or(i64::MAX);
                self.head.rows.push((val.clone(), rows));
            }
            taken = end;
        }
        self.full = taken >= self.need;
        self.need - taken
    }

    /// Brings the head up to date, filling the window as far as that takes.
    fn settle<B: View<Time = u64, Diff = i64>>(
        &mut self,
        group: &mut KeyGroup<'_, '_, B>,
        horizon: Horizon,
        fuel: &mut Fuel,
    ) {
        loop {
            let missing = self.read_head();
            if missing == 0 || self.window.complete {
                return;
            }
            self.refill(group, horizon, missing, fuel);
        }
    }

    /// Extends the window by values that make up at least `missing` rows.
    fn refill<B: View<Time = u64, Diff = i64>>(
        &mut self,
        group: &mut KeyGroup<'_, '_, B>,
        horizon: Horizon,
        missing: u64,
        fuel: &mut Fuel,
    ) {
        let mut want = self.fill.max(1);
        self.fill = (self.fill * 2).clamp(HEAD / 2, FILL_LIMIT);
        let group = group.get();
        let mut walk = match &self.window.bound {
            Some(bound) => group.walk_beyond(self.direction, horizon, bound),
            None => group.walk(self.direction, horizon),
        };
        let (mut rows, mut live) = (0u64, 0);
        let mut last = None;
        while rows < missing || live < want {
            let Some((val, sum)) = walk.step() else {
                self.window.complete = true;
                break;
            };
            last = Some(val);
            if let Some(count) = sum {
                self.window.entries.push((Bytes::from_slice(val), count));
                if let Ok(count) = u64::try_from(count) {
                    rows = rows.saturating_add(count);
                    live += 1;
                }
            }
            if walk.crossed() > EXPENSIVE {
                self.worth_keeping = true;
                want = want.max(HEAD);
            }
        }
        if let Some(last) = last {
            self.window.bound = Some(Bytes::from_slice(last));
        }
        fuel.burn(walk.crossed());
    }

    /// Merges changes into the window; returns whether the head may differ.
    fn apply(&mut self, changes: &[Change<'_, i64>]) -> bool {
        let direction = self.direction;
        // The head depends on its own values, and on all that come before its last.
        let last = self.answered.checked_sub(1).filter(|_| self.full);
        let touches = |window: &Window, val: &[u8]| match last {
            Some(last) => direction.compare(val, &window.entries[last].0) != Ordering::Greater,
            None => true,
        };
        // In walking order, the covered changes come first.
        let covered = match direction {
            Direction::Forward => {
                let end =
                    changes.partition_point(|change| self.window.covers(direction, change.val));
                &changes[..end]
            }
            Direction::Backward => {
                let start =
                    changes.partition_point(|change| !self.window.covers(direction, change.val));
                &changes[start..]
            }
        };
        let Some(first) = (match direction {
            Direction::Forward => covered.first(),
            Direction::Backward => covered.last(),
        }) else {
            return false;
        };
        let touched = touches(&self.window, first.val);
        if covered.len() < 8 {
            for change in covered {
                self.window.apply(direction, change.val, change.diff);
            }
        } else {
            let changes = covered.iter().map(|change| (change.val, change.diff));
            match direction {
                Direction::Forward => self.window.merge(direction, changes),
                Direction::Backward => self.window.merge(direction, changes.rev()),
            }
        }
        let keep = self.keep_len().max(self.fill).max(self.answered);
        if self.window.entries.len() > 2 * keep {
            self.window.truncate(keep);
        }
        touched
    }
}

impl<D, L> Reduction<D> for Seek<L>
where
    L: FnMut(&[u8], &Head, &mut Vec<(D, i64)>) + 'static,
{
    type Diff = i64;

    fn open<B: View<Time = u64, Diff = i64>>(
        &mut self,
        key: &[u8],
        group: &mut KeyGroup<'_, '_, B>,
        time: u64,
        fuel: &mut Fuel,
    ) {
        let kept = self.kept.take(key);
        self.worth_keeping = kept.is_some();
        self.window = kept.unwrap_or_default();
        self.fill = 0;
        self.settle(group, Horizon::Before(time), fuel);
    }

    fn step<B: View<Time = u64, Diff = i64>>(
        &mut self,
        key: &[u8],
        group: &mut KeyGroup<'_, '_, B>,
        time: u64,
        changes: &[Change<'_, i64>],
        output: &mut Vec<(D, i64)>,
        fuel: &mut Fuel,
    ) {
        if !self.apply(changes) {
            return;
        }
        let old = std::mem::take(&mut self.head);
        self.settle(group, Horizon::At(time), fuel);
        if old == self.head {
            return;
        }
        if !old.is_empty() {
            super::retract(output, |output| (self.emit)(key, &old, output));
        }
        if !self.head.is_empty() {
            (self.emit)(key, &self.head, output);
        }
    }

    fn close(&mut self, key: &[u8]) {
        let mut window = std::mem::take(&mut self.window);
        let keep = self.keep_len();
        if self.worth_keeping && keep <= KEPT_VALUES / HEAD {
            window.truncate(keep);
            self.kept.keep(key, window);
        }
    }
}
