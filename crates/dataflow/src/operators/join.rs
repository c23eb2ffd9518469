//! Equijoins of two arrangements over totally ordered times, that yield within a key.
//!
//! The batches of each side are looked up in the trace of the other: those of the left see it up to and
//! including their own times, those of the right strictly before, so that two updates that meet do so
//! once, at the later of their times. It is a delta join of two inputs (see
//! [`half_join`](mod@super::half_join)) whose changes are the batches themselves: they are shared with
//! the traces, so that work that waits takes no memory of its own.
//!
//! An activation is bounded by [`Fuel`], spent by pairs looked at, whether they give output or not, and
//! with it what can be on its way to the operators behind, which get their turn before the next
//! activation. So one key that holds everything, as in a product, is worked off like any other: the
//! place where work stopped is a position in the batch, which never changes, and the last value matched
//! in the trace, whose batches do.
//!
//! Invariant: a batch is looked up once the other side is complete for all of its times, and the other
//! side keeps the times that it may see apart until it is done.

use std::collections::VecDeque;

use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::trace::{Span, TraceReader};
use timely::ContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{Operator, OutputBuilderSession, Session};
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::fuel::Fuel;
use super::half_join::{Comparison, matches};
use super::reduce_total::hold;
use crate::arrange::group::{Direction, Group, View};
use crate::layout::order::less;

/// A batch to look up, and how far that got.
struct Unit<B> {
    /// For times from the least in the batch on.
    capability: Capability<u64>,
    batch: B,
    /// The greatest time in the batch.
    last: u64,
    place: Place,
}

/// Where work on a batch goes on.
#[derive(Default)]
struct Place {
    /// The next key, value and update, as positions in the batch.
    key: usize,
    val: usize,
    update: usize,
    /// The last value in the other side that this update was matched with.
    matched: Option<Vec<u8>>,
}

impl<B: View<Time = u64, Diff = i64>> Unit<B> {
    /// Absent if there is nothing in the batch that is presented.
    fn new(batch: B, capability: Capability<u64>) -> Option<Self> {
        let times = batch.batch().times().iter().filter_map(|time| {
            let mut time = *time;
            batch.present(&mut time).then_some(time)
        });
        let last = times.max()?;
        Some(Unit {
            capability,
            batch,
            last,
            place: Place::default(),
        })
    }

    /// Looks updates up in `batches` until there are no more, which it returns, or no more fuel.
    fn work<O, CB>(
        &mut self,
        batches: &[O],
        comparison: Comparison,
        mut emit: impl FnMut(&[u8], &[u8], &[u8], u64, i64, &mut CB),
        session: &mut Session<'_, '_, u64, CB, Capability<u64>>,
        fuel: &mut Fuel,
    ) -> bool
    where
        O: View<Time = u64, Diff = i64>,
        CB: ContainerBuilder,
    {
        let (keys, place) = (self.batch.batch().keys(), &mut self.place);
        let mut positions = vec![0; batches.len()];
        while place.key < keys.len() {
            if fuel.is_empty() {
                return false;
            }
            fuel.burn(1);
            let key = keys.get(place.key);
            let group = Group::find(batches, &mut positions, key);
            if group.is_empty() {
                // On to the next key that the other side has.
                let Some(next) = least_key(batches, &positions) else {
                    return true;
                };
                *place = Place {
                    key: keys.gallop(place.key, keys.len(), |key| less(key, next)),
                    ..Place::default()
                };
                continue;
            }
            let emit = |val: &[u8], other: &[u8], time, diff, builder: &mut CB| {
                emit(key, val, other, time, diff, builder)
            };
            if !place.work_key(&self.batch, &group, comparison, emit, session, fuel) {
                return false;
            }
            place.key += 1;
        }
        true
    }
}

impl Place {
    /// Matches the updates of the current key with those of a group until there are no more, which it
    /// returns, or no more fuel.
    fn work_key<B, O, CB>(
        &mut self,
        batch: &B,
        group: &Group<'_, O>,
        comparison: Comparison,
        mut emit: impl FnMut(&[u8], &[u8], u64, i64, &mut CB),
        session: &mut Session<'_, '_, u64, CB, Capability<u64>>,
        fuel: &mut Fuel,
    ) -> bool
    where
        B: View<Time = u64, Diff = i64>,
        O: View<Time = u64, Diff = i64>,
        CB: ContainerBuilder,
    {
        let updates = batch.batch();
        let (start, end) = updates.val_range(self.key);
        self.val = self.val.max(start);
        while self.val < end {
            let val = updates.vals().get(self.val);
            for (time, diff) in updates.updates(self.val).skip(self.update) {
                let mut time = *time;
                if batch.present(&mut time) {
                    let horizon = comparison.horizon(time);
                    let mut walk = match self.matched.take() {
                        Some(last) => group.walk_beyond(Direction::Forward, horizon, &last),
                        None => group.walk(Direction::Forward, horizon),
                    };
                    self.matched = matches(&mut walk, fuel, |other, count| {
                        let product = diff.saturating_mul(count);
                        emit(val, other, time, product, session.builder());
                        session.extract_and_send();
                    });
                    if self.matched.is_some() {
                        return false;
                    }
                }
                self.update += 1;
            }
            self.val += 1;
            self.update = 0;
        }
        true
    }
}

/// The least of the keys at these positions.
fn least_key<'a, B: View>(batches: &'a [B], positions: &[usize]) -> Option<&'a [u8]> {
    let at = batches
        .iter()
        .zip(positions)
        .filter_map(|(view, position)| {
            let keys = view.batch().keys();
            (*position < keys.len()).then(|| keys.get(*position))
        });
    at.min()
}

/// The side of a join whose batches are looked up in the other's trace.
struct Side<B> {
    comparison: Comparison,
    /// In the order of their times.
    units: VecDeque<Unit<B>>,
}

impl<B: View<Time = u64, Diff = i64>> Side<B> {
    fn new(comparison: Comparison) -> Self {
        Side {
            comparison,
            units: VecDeque::new(),
        }
    }

    fn receive(&mut self, spans: &mut Vec<Span<u64, B>>, capability: Option<Capability<u64>>) {
        for batch in spans.drain(..).filter_map(|span| span.inner) {
            let capability = capability.clone();
            let capability = capability.expect("a batch of updates travels under a capability");
            self.units.extend(Unit::new(batch, capability));
        }
    }

    /// The time of the next batch, if the other side, at `frontier`, is complete for all of it.
    fn ready(&self, frontier: AntichainRef<u64>) -> Option<u64> {
        let unit = self.units.front()?;
        (!frontier.less_equal(&unit.last)).then(|| *unit.capability.time())
    }

    /// Works on the next batch.
    fn work<O, CB>(
        &mut self,
        batches: &[O],
        emit: impl FnMut(&[u8], &[u8], &[u8], u64, i64, &mut CB),
        output: &mut OutputBuilderSession<'_, u64, CB>,
        fuel: &mut Fuel,
    ) where
        O: View<Time = u64, Diff = i64>,
        CB: ContainerBuilder,
    {
        let Some(unit) = self.units.front_mut() else {
            return;
        };
        let capability = unit.capability.clone();
        let mut session = output.session_with_builder(&capability);
        if unit.work(batches, self.comparison, emit, &mut session, fuel) {
            self.units.pop_front();
        }
    }

    /// Lets the other side's trace forget what nothing here will ask about, with this side's input at
    /// `frontier`.
    fn hold<Tr: TraceReader<Time = u64>>(
        &self,
        other: &mut Option<Tr>,
        frontier: AntichainRef<u64>,
    ) {
        let pending = self.units.iter().map(|unit| *unit.capability.time()).min();
        hold(other, pending, frontier, self.comparison.margin());
    }
}

/// The batches of a trace that is held.
fn batches<Tr: TraceReader<Time = u64>>(trace: &mut Option<Tr>) -> Vec<Tr::Batch> {
    let trace = trace.as_mut().expect("a trace is held while it is asked");
    trace
        .batches_through(Antichain::new().borrow())
        .expect("the empty frontier is beyond every batch")
}

/// Joins two arrangements by key.
///
/// For each match, `logic` gets the key, both values, the time of the match and the product of the
/// diffs, and pushes into the output's builder at that time or later. Output is not consolidated.
pub fn join<'scope, Tr1, Tr2, CB, L>(
    left: Arranged<'scope, Tr1>,
    right: Arranged<'scope, Tr2>,
    name: &str,
    mut logic: L,
) -> Stream<'scope, u64, CB::Container>
where
    Tr1: TraceReader<Time = u64> + 'static,
    Tr2: TraceReader<Time = u64> + 'static,
    Tr1::Batch: View<Time = u64, Diff = i64>,
    Tr2::Batch: View<Time = u64, Diff = i64>,
    CB: ContainerBuilder,
    L: FnMut(&[u8], &[u8], &[u8], u64, i64, &mut CB) + 'static,
{
    let scope = left.stream.scope();
    let (mut left_trace, mut right_trace) = (Some(left.trace), Some(right.trace));
    let (left, right) = (left.stream, right.stream);
    left.binary_frontier(right, Pipeline, Pipeline, name, move |_capability, info| {
        let activator = scope.activator_for(info.address);
        let mut lefts = Side::<Tr1::Batch>::new(Comparison::UpTo);
        let mut rights = Side::<Tr2::Batch>::new(Comparison::Before);
        move |(left, left_frontier), (right, right_frontier), output| {
            left.for_each(|capability, spans| lefts.receive(spans, capability.retain_least(0)));
            right.for_each(|capability, spans| rights.receive(spans, capability.retain_least(0)));

            let mut fuel = Fuel::full();
            let (mut left_batches, mut right_batches) = (None, None);
            loop {
                let from_left = lefts.ready(right_frontier.frontier());
                let from_right = rights.ready(left_frontier.frontier());
                // Earlier times first, so that the frontier moves on.
                let Some(time) = from_left.into_iter().chain(from_right).min() else {
                    break;
                };
                if fuel.is_empty() {
                    activator.activate();
                    break;
                }
                if from_left == Some(time) {
                    let batches = right_batches.get_or_insert_with(|| batches(&mut right_trace));
                    lefts.work(batches, &mut logic, output, &mut fuel);
                } else {
                    let batches = left_batches.get_or_insert_with(|| batches(&mut left_trace));
                    let flipped =
                        |key: &[u8], right: &[u8], left: &[u8], time, diff, out: &mut CB| {
                            logic(key, left, right, time, diff, out)
                        };
                    rights.work(batches, flipped, output, &mut fuel);
                }
            }
            rights.hold(&mut left_trace, right_frontier.frontier());
            lefts.hold(&mut right_trace, left_frontier.frontier());
        }
    })
}
