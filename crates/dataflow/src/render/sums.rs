//! Aggregates whose state is a sum: the diff of an arrangement of groups.
//!
//! Most are commutative groups, exact under retraction. Over rows that are never retracted, least and greatest are
//! sums too: of two, the one that comes first.

use differential_dataflow::difference::{IsZero, Semigroup};
use everview_expr::AggregateExpr;
use everview_expr::aggregate::{Accumulator, AggregateKind};
use everview_repr::{Datum, Packer, RowArena, RowRef};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::extrema::Order;

/// How many rows a group has, and the state of each of its aggregates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Sums {
    /// Rows, by multiplicity.
    pub rows: i64,
    /// One for each aggregate; none is all zero.
    pub states: SmallVec<[State; 1]>,
}

/// The state of one aggregate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum State {
    /// Of one that takes rows away again.
    Sum(Accumulator),
    /// The value bytes that come first; empty before the first.
    Least(SmallVec<[u8; 24]>),
}

impl State {
    fn is_zero(&self) -> bool {
        match self {
            State::Sum(sum) => sum.is_zero(),
            State::Least(least) => least.is_empty(),
        }
    }

    fn merge(&mut self, other: &State) {
        match (self, other) {
            (State::Sum(mine), State::Sum(theirs)) => mine.merge(theirs),
            (State::Least(mine), State::Least(theirs)) => keep_least(mine, theirs),
            _ => debug_assert!(false, "states of different aggregates"),
        }
    }
}

fn keep_least(least: &mut SmallVec<[u8; 24]>, other: &[u8]) {
    if least.is_empty() || !other.is_empty() && other < least.as_slice() {
        least.clear();
        least.extend_from_slice(other);
    }
}

impl Sums {
    /// Adds a row of the group `diff` times. `bytes` is memory to use again.
    pub fn add<'a>(
        &mut self,
        summands: &'a [Summand],
        datums: &[Datum<'a>],
        diff: i64,
        arena: &'a RowArena,
        bytes: &mut Vec<u8>,
    ) {
        self.rows = self.rows.wrapping_add(diff);
        if self.states.is_empty() {
            self.states.extend(summands.iter().map(Summand::zero));
        }
        for (summand, state) in summands.iter().zip(&mut self.states) {
            summand.add(state, datums, diff, arena, bytes);
        }
    }
}

impl IsZero for Sums {
    fn is_zero(&self) -> bool {
        self.rows == 0 && self.states.iter().all(State::is_zero)
    }
}

impl Semigroup for Sums {
    fn plus_equals(&mut self, other: &Sums) {
        self.rows = self.rows.wrapping_add(other.rows);
        if self.states.is_empty() {
            self.states.clone_from(&other.states);
            return;
        }
        for (mine, theirs) in self.states.iter_mut().zip(&other.states) {
            mine.merge(theirs);
        }
    }
}

/// What rows add to the state of one aggregate, and what its state says.
#[derive(Clone, Debug)]
pub enum Summand {
    /// The state takes rows away again.
    Sum(AggregateExpr),
    /// Least or greatest, in this order, over rows that are never retracted.
    Least(AggregateExpr, Order),
}

impl Summand {
    /// How this aggregate is summed.
    pub fn of(aggregate: &AggregateExpr) -> Summand {
        match aggregate.kind() {
            AggregateKind::Min | AggregateKind::Max => {
                Summand::Least(aggregate.clone(), Order::forward(aggregate))
            }
            _ => Summand::Sum(aggregate.clone()),
        }
    }

    fn zero(&self) -> State {
        match self {
            Summand::Sum(_) => State::Sum(Accumulator::default()),
            Summand::Least(..) => State::Least(SmallVec::new()),
        }
    }

    fn add<'a>(
        &'a self,
        state: &mut State,
        datums: &[Datum<'a>],
        diff: i64,
        arena: &'a RowArena,
        bytes: &mut Vec<u8>,
    ) {
        match (self, state) {
            (Summand::Sum(aggregate), State::Sum(sum)) => {
                aggregate.accumulate(sum, datums, diff, arena)
            }
            (Summand::Least(aggregate, order), State::Least(least)) => {
                bytes.clear();
                order.encode(bytes, aggregate.input(datums, arena));
                keep_least(least, bytes);
            }
            _ => debug_assert!(false, "states of different aggregates"),
        }
    }

    /// Packs what the state of a group with rows says.
    pub fn finish(&self, state: &State, arena: &RowArena, packer: &mut Packer) {
        match (self, state) {
            (Summand::Sum(aggregate), State::Sum(sum)) => {
                packer.push(sum.finish(aggregate.func, arena))
            }
            (Summand::Least(_, order), State::Least(least)) => {
                packer.extend_row(RowRef::from_packed(order.decode(least).bytes()))
            }
            _ => debug_assert!(false, "states of different aggregates"),
        }
    }
}
