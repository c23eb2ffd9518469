//! Reductions that look at every value of the group: string_agg, array_agg, and whatever nothing
//! better is known for.
//!
//! Each time at which a group changes costs a pass over it.

use super::{Change, KeyGroup, Reduction};
use crate::arrange::group::{Direction, Horizon, View};
use crate::operators::fuel::Fuel;

/// Answers from all values of a key.
///
/// `emit` gives the rows of a key from its values, in order, with their multiplicities, none of them
/// zero. A negative multiplicity means that the input is wrong, and `emit` should say so in a row. It
/// is not called for a key without values.
pub struct Whole<D, L> {
    emit: L,
    /// The rows as of the time last opened or stepped to.
    rows: Vec<(D, i64)>,
}

impl<D, L> Whole<D, L>
where
    L: FnMut(&[u8], &mut dyn Iterator<Item = (&[u8], i64)>, &mut Vec<(D, i64)>) + 'static,
{
    /// Answers with what `emit` makes of key and values.
    pub fn new(emit: L) -> Self {
        Whole {
            emit,
            rows: Vec::new(),
        }
    }

    fn answer<B: View<Time = u64, Diff = i64>>(
        &mut self,
        key: &[u8],
        group: &mut KeyGroup<'_, '_, B>,
        horizon: Horizon,
        fuel: &mut Fuel,
    ) {
        let group = group.get();
        fuel.burn(group.len());
        self.rows.clear();
        let mut values = group.walk(Direction::Forward, horizon).peekable();
        if values.peek().is_some() {
            (self.emit)(key, &mut values, &mut self.rows);
        }
    }
}

impl<D, L> Reduction<D> for Whole<D, L>
where
    D: Clone + 'static,
    L: FnMut(&[u8], &mut dyn Iterator<Item = (&[u8], i64)>, &mut Vec<(D, i64)>) + 'static,
{
    type Diff = i64;

    fn open<B: View<Time = u64, Diff = i64>>(
        &mut self,
        key: &[u8],
        group: &mut KeyGroup<'_, '_, B>,
        time: u64,
        fuel: &mut Fuel,
    ) {
        self.answer(key, group, Horizon::Before(time), fuel);
    }

    fn step<B: View<Time = u64, Diff = i64>>(
        &mut self,
        key: &[u8],
        group: &mut KeyGroup<'_, '_, B>,
        time: u64,
        _changes: &[Change<'_, i64>],
        output: &mut Vec<(D, i64)>,
        fuel: &mut Fuel,
    ) {
        output.extend(self.rows.drain(..).map(|(row, diff)| (row, -diff)));
        self.answer(key, group, Horizon::At(time), fuel);
        output.extend(self.rows.iter().cloned());
    }

    fn close(&mut self, _key: &[u8]) {
        self.rows.clear();
    }
}
