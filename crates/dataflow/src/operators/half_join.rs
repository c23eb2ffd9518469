//! A stream looked up in an arrangement: the step of which delta joins are made.
//!
//! A delta join answers each change of one input by looking it up in the arrangements of all others,
//! one after the other. So that two changes that meet are counted once, a change sees the other input
//! either up to and including its own time or strictly before it, as the order of the inputs says
//! (McSherry, "Worst-case optimal dataflow joins", and the `half_join` of differential-dogs3).
//!
//! Times are totally ordered here, so that a match happens at the time of the change looked up; inside
//! [`iteration`](super::iterate), differential-dataflow's own join is used.
//!
//! Invariant: a change is looked up once the arrangement is complete for the times that it may see,
//! and the arrangement keeps those times apart until then. Look-ups go in key order.

use std::collections::VecDeque;

use differential_dataflow::batcher::{Batcher, Extract};
use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::trace::TraceReader;
use timely::ContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{Operator, Session};
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::fuel::Fuel;
use super::reduce_total::hold;
use crate::arrange::by_key;
use crate::arrange::group::{Direction, Group, Horizon, View, Walk};
use crate::layout::Packed;
use crate::layout::batcher::ChainBatcher;
use crate::ledger;

/// Which times of the arrangement a change sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Those strictly before its own.
    Before,
    /// Those up to and including its own.
    UpTo,
}

impl Comparison {
    pub(super) fn horizon(self, time: u64) -> Horizon {
        match self {
            Comparison::Before => Horizon::Before(time),
            Comparison::UpTo => Horizon::At(time),
        }
    }

    /// The times of changes that see only times not beyond `frontier`, as a frontier of those that do
    /// not.
    fn ready(self, frontier: AntichainRef<u64>) -> Antichain<u64> {
        let margin = match self {
            Comparison::Before => 1,
            Comparison::UpTo => 0,
        };
        frontier
            .iter()
            .map(|time| time.saturating_add(margin))
            .collect()
    }

    /// How far before a change's time the arrangement must keep times apart.
    pub(super) fn margin(self) -> u64 {
        match self {
            Comparison::Before => 1,
            Comparison::UpTo => 0,
        }
    }
}

/// Changes being looked up, and how far that got.
struct Job {
    capability: Capability<u64>,
    /// In key order.
    chain: VecDeque<Packed<u64, i64>>,
    /// The next change of the first chunk.
    position: usize,
    /// The last match of that change already put out.
    matched: Option<Vec<u8>>,
}

/// Looks each change of `changes` up, by key, among the values of `arrangement` that it sees.
///
/// For each match, `logic` gets the key, the change's value, the arrangement's value, the time of the
/// change, and the product of the diffs, and pushes into the output's builder at that time or later.
/// Pushing into a [`PackedBuilder`](crate::layout::PackedBuilder) makes the changes of the next
/// look-up.
pub fn half_join<'scope, Tr, CB, L>(
    changes: Stream<'scope, u64, Packed<u64, i64>>,
    arrangement: Arranged<'scope, Tr>,
    name: &str,
    comparison: Comparison,
    mut logic: L,
) -> Stream<'scope, u64, CB::Container>
where
    Tr: TraceReader<Time = u64> + 'static,
    Tr::Batch: View<Time = u64, Diff = i64>,
    CB: ContainerBuilder,
    L: FnMut(&[u8], &[u8], &[u8], u64, i64, &mut CB) + 'static,
{
    let scope = changes.scope();
    let mut trace = Some(arrangement.trace);
    let arrived = arrangement.stream;
    changes.binary_frontier(
        arrived,
        by_key(),
        Pipeline,
        name,
        move |_capability, info| {
            let activator = scope.activator_for(info.address);
            let mut stash: ChainBatcher<u64, i64> =
                ChainBatcher::new(ledger::logger(scope), info.global_id);
            // For the least time in the stash.
            let mut held: Option<Capability<u64>> = None;
            let mut jobs: VecDeque<Job> = VecDeque::new();
            move |(changes, changes_frontier), (arrived, arrived_frontier), output| {
                changes.for_each(|capability, container| {
                    if let Some(capability) = capability.retain_least(0)
                        && held
                            .as_ref()
                            .is_none_or(|held| capability.time() < held.time())
                    {
                        held = Some(capability);
                    }
                    stash.insert(container);
                });
                // Batches are read from the trace; only their frontier matters here.
                arrived.for_each(|_capability, spans| spans.clear());

                let ready = comparison.ready(arrived_frontier.frontier());
                if let Some(capability) = held.take_if(|held| !ready.less_equal(held.time())) {
                    let (chain, retained) = stash.extract(ready.borrow());
                    held = retained.first().map(|time| capability.delayed(time));
                    let chain: VecDeque<_> = chain.unwrap_or_default().into();
                    if !chain.is_empty() {
                        jobs.push_back(Job {
                            capability,
                            chain,
                            position: 0,
                            matched: None,
                        });
                    }
                }

                let mut fuel = Fuel::full();
                if let (Some(trace), Some(_)) = (trace.as_mut(), jobs.front()) {
                    let batches = trace
                        .batches_through(Antichain::new().borrow())
                        .expect("the empty frontier is beyond every batch");
                    while let Some(job) = jobs.front_mut() {
                        if fuel.is_empty() {
                            activator.activate();
                            break;
                        }
                        let capability = job.capability.clone();
                        let mut session = output.session_with_builder(&capability);
                        if work(
                            job,
                            &batches,
                            comparison,
                            &mut logic,
                            &mut session,
                            &mut fuel,
                        ) {
                            jobs.pop_front();
                        }
                    }
                }

                let waiting = jobs.iter().map(|job| &job.capability).chain(&held);
                let pending = waiting.map(|capability| *capability.time()).min();
                hold(
                    &mut trace,
                    pending,
                    changes_frontier.frontier(),
                    comparison.margin(),
                );
            }
        },
    )
}

/// Looks changes of a job up until it is done, which it returns, or out of fuel.
fn work<B, CB, L>(
    job: &mut Job,
    batches: &[B],
    comparison: Comparison,
    logic: &mut L,
    session: &mut Session<'_, '_, u64, CB, Capability<u64>>,
    fuel: &mut Fuel,
) -> bool
where
    B: View<Time = u64, Diff = i64>,
    CB: ContainerBuilder,
    L: FnMut(&[u8], &[u8], &[u8], u64, i64, &mut CB),
{
    let mut positions = vec![0; batches.len()];
    while let Some(chunk) = job.chain.front() {
        let mut group: Option<(usize, Group<'_, B>)> = None;
        while job.position < chunk.len() {
            if fuel.is_empty() {
                return false;
            }
            let index = job.position;
            let key = chunk.key(index);
            let found = match group.take() {
                Some((of, found)) if chunk.key(of) == key => found,
                _ => Group::find(batches, &mut positions, key),
            };
            let (time, diff) = (*chunk.time(index), *chunk.diff(index));
            let horizon = comparison.horizon(time);
            let mut walk = match job.matched.take() {
                Some(last) => found.walk_beyond(Direction::Forward, horizon, &last),
                None => found.walk(Direction::Forward, horizon),
            };
            fuel.burn(1);
            job.matched = matches(&mut walk, fuel, |other, count| {
                let product = diff.saturating_mul(count);
                let val = chunk.val(index);
                logic(key, val, other, time, product, session.builder());
                session.extract_and_send();
            });
            if job.matched.is_some() {
                return false;
            }
            group = Some((index, found));
            job.position += 1;
        }
        job.chain.pop_front();
        job.position = 0;
    }
    true
}

/// Gives a change's matches until there are no more, or no more fuel; then the value to go on behind.
pub(super) fn matches<B: View<Time = u64>>(
    walk: &mut Walk<'_, B>,
    fuel: &mut Fuel,
    mut emit: impl FnMut(&[u8], B::Diff),
) -> Option<Vec<u8>> {
    while let Some((val, count)) = walk.step() {
        if let Some(count) = count {
            emit(val, count);
        }
        fuel.burn(1);
        if fuel.is_empty() {
            return Some(val.to_vec());
        }
    }
    None
}
