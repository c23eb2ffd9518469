//! Keyed reductions over totally ordered times, without an output arrangement.
//!
//! Where times are totally ordered, the change of a reduction's result at time t is the answer as of t
//! minus the answer as of just before t, and the input's arrangement can tell both. So the operator
//! keeps nothing: for each key that changed, and each time at which it did, it asks its
//! [`Reduction`] for the difference, and holds the input's compaction back to just before the least
//! time that it may still have to ask about.
//!
//! Three reductions are plugged in: [`accumulate`] reads the answer off a sum of diffs, [`seek`] takes
//! the first values of an ordered group, and [`whole`] looks at all of it.
//!
//! Traps, each met in a prototype. The trace is read whole and filtered by time, so it may merge
//! freely (physical compaction at the empty frontier), but its times must stay distinct from just
//! before the pending ones on (logical compaction). A capability for a batch is kept until its last
//! key is done. Batches of an import all lie at one time, so they are gathered until that time is
//! complete. Within a key, work is resumed at a time, by opening the key again as of just before it.

pub mod accumulate;
pub mod seek;
pub mod whole;

use std::collections::VecDeque;

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::difference::IsZero;
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::trace::TraceReader;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{Operator, Session};
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::fuel::Fuel;
use crate::arrange::group::{Direction, Group, Keys, View};
use crate::layout::Diff;

/// One change of a key: a value, when, and by how much.
#[derive(Clone, Debug)]
pub struct Change<'a, R> {
    /// When.
    pub time: u64,
    /// The value's bytes.
    pub val: &'a [u8],
    /// By how much.
    pub diff: R,
}

/// A key's values in the input's trace, looked up when first asked for.
pub struct KeyGroup<'a, 'p, B> {
    batches: &'a [B],
    positions: &'p mut [usize],
    key: &'a [u8],
    found: Option<Group<'a, B>>,
}

impl<'a, B: View<Time = u64>> KeyGroup<'a, '_, B> {
    /// The values, of all times: the reader filters them.
    pub fn get(&mut self) -> &Group<'a, B> {
        let KeyGroup {
            batches,
            positions,
            key,
            found,
        } = self;
        found.get_or_insert_with(|| Group::find(batches, positions, key))
    }
}

/// A function of a key's values, asked only how it changes.
///
/// A key is opened as of just before a time, stepped through times in ascending order, and closed.
/// It may be opened again at any time that follows all it was stepped through.
pub trait Reduction<D>: 'static {
    /// The diff of the input.
    type Diff: Diff;

    /// Begins a key as of just before `time`.
    fn open<B: View<Time = u64, Diff = Self::Diff>>(
        &mut self,
        key: &[u8],
        group: &mut KeyGroup<'_, '_, B>,
        time: u64,
        fuel: &mut Fuel,
    );

    /// Moves the key on to `time`, at which `changes` happen to its values, in the order of values and
    /// one for each. Pushes the answer as of `time` minus the answer before, consolidated or not.
    fn step<B: View<Time = u64, Diff = Self::Diff>>(
        &mut self,
        key: &[u8],
        group: &mut KeyGroup<'_, '_, B>,
        time: u64,
        changes: &[Change<'_, Self::Diff>],
        output: &mut Vec<(D, i64)>,
        fuel: &mut Fuel,
    );

    /// Ends the key.
    fn close(&mut self, key: &[u8]);
}

/// Batches to work through, and how far that got.
struct Unit<B> {
    /// For times from the least in the batches on.
    capability: Capability<u64>,
    batches: Vec<B>,
    /// The end of the last batch's interval.
    upper: Antichain<u64>,
    /// The key, and the time within it, to go on at.
    resume: Option<(Vec<u8>, u64)>,
}

impl<B: View<Time = u64>> Unit<B> {
    /// True if all batches that hold updates at this unit's times have arrived. Updates of an import
    /// are advanced to its beginning, which may lie beyond the interval of the batch they came in.
    fn is_complete(&self, frontier: AntichainRef<u64>) -> bool {
        let mut floor = 0;
        if let Some(batch) = self.batches.first() {
            batch.present(&mut floor);
        }
        !self.upper.less_equal(&floor) || !frontier.less_equal(&floor)
    }
}

/// The output of an activation.
type Output<'a, 'b, D> =
    Session<'a, 'b, u64, CapacityContainerBuilder<Vec<(D, u64, i64)>>, Capability<u64>>;

/// Maintains `reduction` of every key of `input`.
///
/// The output changes only at times at which the input does, is consolidated for each key and time,
/// and stays on the worker that owns the key. An imported input must come from
/// [`import`](crate::arrange::import), which presents a consistent beginning.
pub fn reduce_total<'scope, Tr, D, S>(
    input: Arranged<'scope, Tr>,
    name: &str,
    mut reduction: S,
) -> Stream<'scope, u64, Vec<(D, u64, i64)>>
where
    Tr: TraceReader<Time = u64> + 'static,
    Tr::Batch: View<Time = u64, Diff = S::Diff>,
    D: Clone + Ord + 'static,
    S: Reduction<D>,
{
    let scope = input.stream.scope();
    let mut trace = Some(input.trace);
    input
        .stream
        .unary_frontier(Pipeline, name, move |_capability, info| {
            let activator = scope.activator_for(info.address);
            let mut units: VecDeque<Unit<Tr::Batch>> = VecDeque::new();
            let mut worker = Worker { output: Vec::new() };
            move |(input, frontier), output| {
                input.for_each(|capability, spans| {
                    for span in spans.drain(..) {
                        let Some(batch) = span.inner else { continue };
                        let capability = capability
                            .retain_least(0)
                            .expect("a batch of updates travels under a capability");
                        receive(&mut units, batch, span.desc.upper().clone(), capability);
                    }
                });

                let mut fuel = Fuel::full();
                if let (Some(trace), Some(_)) = (trace.as_mut(), units.front()) {
                    let batches = trace
                        .batches_through(Antichain::new().borrow())
                        .expect("the empty frontier is beyond every batch");
                    while let Some(unit) = units.front_mut() {
                        if !unit.is_complete(frontier.frontier()) {
                            break;
                        }
                        if fuel.is_empty() {
                            activator.activate();
                            break;
                        }
                        let capability = unit.capability.clone();
                        let mut session = output.session_with_builder(&capability);
                        let done =
                            worker.work(&mut reduction, unit, &batches, &mut session, &mut fuel);
                        if done {
                            units.pop_front();
                        }
                    }
                }

                let pending = units.iter().map(|unit| *unit.capability.time()).min();
                hold(&mut trace, pending, frontier.frontier(), 1);
            }
        })
}

/// Queues a batch, together with the last unit if that has not begun.
fn receive<B>(
    units: &mut VecDeque<Unit<B>>,
    batch: B,
    upper: Antichain<u64>,
    capability: Capability<u64>,
) {
    match units.back_mut() {
        Some(unit) if unit.resume.is_none() => {
            if capability.time() < unit.capability.time() {
                unit.capability = capability;
            }
            unit.batches.push(batch);
            unit.upper = upper;
        }
        _ => units.push_back(Unit {
            capability,
            batches: vec![batch],
            upper,
            resume: None,
        }),
    }
}

/// Holds a trace's times apart from `margin` before the least time that may be asked about on; lets
/// go of the trace once there is no such time.
pub(super) fn hold<Tr: TraceReader<Time = u64>>(
    trace: &mut Option<Tr>,
    pending: Option<u64>,
    frontier: AntichainRef<u64>,
    margin: u64,
) {
    let least = pending.into_iter().chain(frontier.iter().copied()).min();
    let (Some(least), Some(reader)) = (least, trace.as_mut()) else {
        *trace = None;
        return;
    };
    reader.set_logical_compaction(AntichainRef::new(&[least.saturating_sub(margin)]));
    reader.set_physical_compaction(AntichainRef::new(&[]));
}

/// Buffers of the work on units.
struct Worker<D> {
    output: Vec<(D, i64)>,
}

impl<D: Clone + Ord + 'static> Worker<D> {
    /// Works on a unit until it is done, which it returns, or out of fuel.
    fn work<S, B>(
        &mut self,
        reduction: &mut S,
        unit: &mut Unit<B>,
        batches: &[B],
        session: &mut Output<'_, '_, D>,
        fuel: &mut Fuel,
    ) -> bool
    where
        S: Reduction<D>,
        B: View<Time = u64, Diff = S::Diff>,
    {
        let resume = unit.resume.take();
        let (low, start) = match &resume {
            Some((key, time)) => (Some(&key[..]), *time),
            None => (None, 0),
        };
        let mut positions = vec![0; batches.len()];
        let mut keys = Keys::new(&unit.batches, low, None, Direction::Forward);
        let mut changes = Vec::new();
        while let Some((key, arrived)) = keys.next() {
            let start = if low == Some(key) { start } else { 0 };
            collect(&arrived, start, &mut changes);
            let mut group = KeyGroup {
                batches,
                positions: &mut positions,
                key,
                found: None,
            };
            let stopped = self.work_key(reduction, key, &mut group, &changes, session, fuel);
            let next = match stopped {
                Some(time) => Some((key.to_vec(), time)),
                None if fuel.is_empty() => keys.peek().map(|key| (key.to_vec(), 0)),
                None => continue,
            };
            unit.resume = next;
            return unit.resume.is_none();
        }
        true
    }

    /// Steps one key through its changes; returns the time to go on at, if fuel ran out before the
    /// last.
    fn work_key<S, B>(
        &mut self,
        reduction: &mut S,
        key: &[u8],
        group: &mut KeyGroup<'_, '_, B>,
        changes: &[Change<'_, S::Diff>],
        session: &mut Output<'_, '_, D>,
        fuel: &mut Fuel,
    ) -> Option<u64>
    where
        S: Reduction<D>,
        B: View<Time = u64, Diff = S::Diff>,
    {
        let first = changes.first()?.time;
        reduction.open(key, group, first, fuel);
        let mut stopped = None;
        for changes in changes.chunk_by(|a, b| a.time == b.time) {
            let time = changes[0].time;
            if time != first && fuel.is_empty() {
                stopped = Some(time);
                break;
            }
            fuel.burn(changes.len());
            reduction.step(key, group, time, changes, &mut self.output, fuel);
            consolidate(&mut self.output);
            fuel.burn(self.output.len());
            session.give_iterator(
                self.output
                    .drain(..)
                    .map(|(datum, diff)| (datum, time, diff)),
            );
        }
        reduction.close(key);
        stopped
    }
}

/// Collects a key's changes from time `start` on, in the order of times and then of values, one for
/// each.
fn collect<'a, B: View<Time = u64>>(
    arrived: &Group<'a, B>,
    start: u64,
    changes: &mut Vec<Change<'a, B::Diff>>,
) {
    changes.clear();
    arrived.updates(|val, time, diff| {
        if time >= start {
            changes.push(Change {
                time,
                val,
                diff: diff.clone(),
            });
        }
    });
    let order = |a: &Change<'a, B::Diff>, b: &Change<'a, B::Diff>| {
        a.time.cmp(&b.time).then_with(|| a.val.cmp(b.val))
    };
    if changes.is_sorted_by(|a, b| order(a, b).is_lt()) {
        return;
    }
    changes.sort_by(order);
    changes.dedup_by(|next, kept| {
        let same = order(next, kept).is_eq();
        if same {
            differential_dataflow::difference::Semigroup::plus_equals(&mut kept.diff, &next.diff);
        }
        same
    });
    changes.retain(|change| !change.diff.is_zero());
}

/// Pushes what `emit` gives with its sign turned.
pub(super) fn retract<D>(output: &mut Vec<(D, i64)>, emit: impl FnOnce(&mut Vec<(D, i64)>)) {
    let start = output.len();
    emit(output);
    for (_, diff) in &mut output[start..] {
        *diff = -*diff;
    }
}
