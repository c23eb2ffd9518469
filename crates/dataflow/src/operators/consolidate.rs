//! Sums equal records of a stream, and drops those that cancel.
//!
//! A record and time leaves at most once, when no more of that time can come. Negations and unions
//! leave pairs that cancel; what is costly to process is better consolidated first.

use differential_dataflow::batcher::merge::chunker::ContainerChunker;
use differential_dataflow::batcher::merge::vec::VecMerger;
use differential_dataflow::batcher::merge::{MergeBatcher, Sealer};
use differential_dataflow::batcher::{Batcher, Extract};
use timely::ExchangeData;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::{Exchange, ParallelizationContract, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use timely::order::TotalOrder;

use crate::layout::Time;

/// Records, times and multiplicities.
type Updates<D, T> = Vec<(D, T, i64)>;
type Consolidator<D, T> =
    MergeBatcher<ContainerChunker<Updates<D, T>>, VecMerger<D, T, i64>, Containers>;

/// Seals nothing: the sorted containers are the result.
struct Containers;

impl<D, T> Sealer<Updates<D, T>> for Containers {
    type Output = Vec<Updates<D, T>>;

    fn seal(chain: &mut Vec<Updates<D, T>>) -> Option<Self::Output> {
        (!chain.is_empty()).then(|| std::mem::take(chain))
    }
}

/// Consolidates across workers; `hash` chooses the worker, equal for equal records.
pub fn consolidate<'scope, D, T>(
    input: Stream<'scope, T, Updates<D, T>>,
    name: &str,
    mut hash: impl FnMut(&D) -> u64 + 'static,
) -> Stream<'scope, T, Updates<D, T>>
where
    D: ExchangeData + Clone + Ord,
    T: Time + TotalOrder,
{
    consolidate_by(
        input,
        Exchange::new(move |(record, _, _): &(D, T, i64)| hash(record)),
        name,
    )
}

/// Consolidates on each worker by itself.
pub fn consolidate_in_place<'scope, D, T>(
    input: Stream<'scope, T, Updates<D, T>>,
    name: &str,
) -> Stream<'scope, T, Updates<D, T>>
where
    D: Clone + Ord + 'static,
    T: Time + TotalOrder,
{
    consolidate_by(input, Pipeline, name)
}

fn consolidate_by<'scope, D, T, P>(
    input: Stream<'scope, T, Updates<D, T>>,
    pact: P,
    name: &str,
) -> Stream<'scope, T, Updates<D, T>>
where
    D: Clone + Ord + 'static,
    T: Time + TotalOrder,
    P: ParallelizationContract<T, Updates<D, T>>,
{
    input.unary_frontier(pact, name, move |_capability, info| {
        let mut batcher: Consolidator<D, T> = MergeBatcher::new(None, info.global_id);
        // For the least time in the batcher.
        let mut held: Option<Capability<T>> = None;
        move |(input, frontier), output| {
            input.for_each(|capability, updates| {
                if let Some(capability) = capability.retain_least(0)
                    && held
                        .as_ref()
                        .is_none_or(|held| capability.time() < held.time())
                {
                    held = Some(capability);
                }
                batcher.insert(updates);
            });
            if let Some(capability) = held.take_if(|held| !frontier.less_equal(held.time())) {
                let (chain, retained) = batcher.extract(frontier.frontier());
                held = retained.first().map(|time| capability.delayed(time));
                let mut session = output.session(&capability);
                for mut container in chain.unwrap_or_default() {
                    session.give_container(&mut container);
                }
            }
        }
    })
}
