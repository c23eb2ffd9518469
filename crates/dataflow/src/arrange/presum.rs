//! From records to key bytes and diffs, where equal keys are summed before they travel.
//!
//! A bulk load of many records with few keys then moves, sorts and merges keys instead of records, as the combiners of
//! MapReduce do (Dean and Ghemawat, 2004). Few records leave at once, so that a small commit waits for nothing.
//!
//! Invariant: what leaves sums to what came in, at the same times; the table holds one time, under a capability for it.

use std::collections::hash_map::Entry;

use timely::container::{CapacityContainerBuilder, ContainerBuilder, PushInto};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::hash::KeyMap;
use crate::layout::{Diff, Packed, PackedBuilder};

/// Keys in a table: with their sums they stay in the second-level cache.
const MOST_KEYS: usize = 1 << 12;
/// Records from which on a table is held for more of its time to come.
const WORTH_HOLDING: usize = 1 << 10;
/// Records that go through one by one after a full table had not two records for a key.
const PASSED: usize = 1 << 16;

/// Where [`presum`]'s closure puts what it makes of a record.
pub struct Presummer<'a, R> {
    table: &'a mut Table<R>,
    updates: &'a mut PackedBuilder<u64, R>,
}

impl<R: Diff + Default> Presummer<'_, R> {
    /// Lets `add` add to the sum of a key. It may be that of other records of the same time, or nothing yet.
    pub fn add(&mut self, key: &[u8], add: impl FnOnce(&mut R)) {
        self.table.records += 1;
        if self.table.passing > 0 {
            self.table.passing -= 1;
            let mut sum = R::default();
            add(&mut sum);
            let time = self.table.time;
            self.updates.push_into((key, &[][..], time, sum));
            return;
        }
        match self.table.sums.get_mut(key) {
            Some(sum) => add(sum),
            None => match self.table.sums.entry(key.into()) {
                Entry::Occupied(mut entry) => add(entry.get_mut()),
                Entry::Vacant(entry) => add(entry.insert(R::default())),
            },
        }
    }
}

struct Table<R> {
    time: u64,
    sums: KeyMap<R>,
    /// Records summed in the table, and gone through beside it, since it was last empty.
    records: usize,
    /// Records still to go through one by one.
    passing: usize,
}

impl<R: Diff> Table<R> {
    /// Whether all must leave before a record of this time comes in.
    fn must_empty(&self, time: u64) -> bool {
        !self.sums.is_empty() && (self.time != time || self.sums.len() >= MOST_KEYS)
    }

    fn empty(&mut self, updates: &mut PackedBuilder<u64, R>) {
        if self.sums.len() >= MOST_KEYS && self.records < 2 * self.sums.len() {
            self.passing = PASSED;
        }
        self.records = 0;
        for (key, sum) in self.sums.drain() {
            updates.push_into((&*key, &[][..], self.time, sum));
        }
    }
}

/// Sums records by key. `logic` is called once for each record, and adds to the sums of keys or gives an error. The
/// updates have no values.
pub fn presum<'scope, D, R, E, L>(
    records: Stream<'scope, u64, Vec<(D, u64, i64)>>,
    name: &str,
    mut logic: L,
) -> (
    Stream<'scope, u64, Packed<u64, R>>,
    Stream<'scope, u64, Vec<(E, u64, i64)>>,
)
where
    D: 'static,
    E: 'static,
    R: Diff + Default,
    L: FnMut(D, i64, &mut Presummer<'_, R>) -> Result<(), E> + 'static,
{
    let mut operator = OperatorBuilder::new(name.to_owned(), records.scope());
    let mut input = operator.new_input(records, Pipeline);
    let (updates, updates_stream) = operator.new_output();
    let (errors, errors_stream) = operator.new_output();
    let mut updates = OutputBuilder::<u64, PackedBuilder<u64, R>>::from(updates);
    let mut errors =
        OutputBuilder::<u64, CapacityContainerBuilder<Vec<(E, u64, i64)>>>::from(errors);

    operator.build(move |_capabilities| {
        let mut failed: CapacityContainerBuilder<Vec<(E, u64, i64)>> = Default::default();
        let mut table = Table {
            time: 0,
            sums: KeyMap::default(),
            records: 0,
            passing: 0,
        };
        // For the table's time, as long as the table is held.
        let mut held: Option<Capability<u64>> = None;
        move |frontiers| {
            let mut updates = updates.activate();
            let mut errors = errors.activate();
            input.for_each_stamp(|capability, data| {
                let Some(least) = capability.retain_least(0) else {
                    return;
                };
                let least = match held.take() {
                    Some(held) if held.time() < least.time() => held,
                    _ => least,
                };
                let mut session = updates.session_with_builder(&least);
                for (record, time, diff) in data.flat_map(|records| records.drain(..)) {
                    if table.must_empty(time) {
                        table.empty(session.builder());
                    }
                    table.time = time;
                    let mut presummer = Presummer {
                        table: &mut table,
                        updates: session.builder(),
                    };
                    if let Err(error) = logic(record, diff, &mut presummer) {
                        failed.push_into((error, time, diff));
                    }
                    session.extract_and_send();
                }
                if table.records < WORTH_HOLDING {
                    table.empty(session.builder());
                }
                drop(session);
                if !table.sums.is_empty() {
                    held = Some(least.delayed(&table.time));
                }
                while let Some(container) = failed.finish() {
                    let failing = capability.retain_stamp(1);
                    errors
                        .session_with_builder(&failing)
                        .give_container(container);
                }
            });
            if let Some(complete) = held.take_if(|held| !frontiers[0].less_equal(held.time())) {
                table.empty(updates.session_with_builder(&complete).builder());
            }
        }
    });
    (updates_stream, errors_stream)
}
