//! Reductions that a sum of diffs answers: count, sum, average, and whether there is anything at all.
//!
//! The arrangement has the group as its key, no values, and in its diff one accumulator for every
//! aggregate, the count of rows among them. DISTINCT and set operations use the plain count.

use super::{Change, KeyGroup, Reduction};
use crate::arrange::group::{Horizon, View, add, is_zero};
use crate::layout::Diff;
use crate::operators::fuel::Fuel;

/// Answers from the sum of a key's diffs.
///
/// `emit` gives the rows of a key from its sum, which is not zero. It must be a function of the two.
pub struct Accumulate<R, L> {
    emit: L,
    total: Option<R>,
}

impl<R, L> Accumulate<R, L> {
    /// Answers with what `emit` makes of key and sum.
    pub fn new<D>(emit: L) -> Self
    where
        L: FnMut(&[u8], &R, &mut Vec<(D, i64)>),
    {
        Accumulate { emit, total: None }
    }
}

impl<D, R, L> Reduction<D> for Accumulate<R, L>
where
    R: Diff,
    L: FnMut(&[u8], &R, &mut Vec<(D, i64)>) + 'static,
{
    type Diff = R;

    fn open<B: View<Time = u64, Diff = R>>(
        &mut self,
        _key: &[u8],
        group: &mut KeyGroup<'_, '_, B>,
        time: u64,
        fuel: &mut Fuel,
    ) {
        let group = group.get();
        fuel.burn(group.len());
        self.total = group.total(Horizon::Before(time));
    }

    fn step<B: View<Time = u64, Diff = R>>(
        &mut self,
        key: &[u8],
        _group: &mut KeyGroup<'_, '_, B>,
        _time: u64,
        changes: &[Change<'_, R>],
        output: &mut Vec<(D, i64)>,
        _fuel: &mut Fuel,
    ) {
        if let Some(total) = &self.total {
            super::retract(output, |output| (self.emit)(key, total, output));
        }
        for change in changes {
            add(&mut self.total, &change.diff);
        }
        if self.total.as_ref().is_some_and(is_zero) {
            self.total = None;
        }
        if let Some(total) = &self.total {
            (self.emit)(key, total, output);
        }
    }

    fn close(&mut self, _key: &[u8]) {
        self.total = None;
    }
}
