//! The first values of each key, over inputs that only grow.
//!
//! Nothing that a growing input has beaten can come back, so the operator keeps the winners and nothing
//! else: no arrangement of the input, and no history.
//!
//! Invariant: the state holds the winners as of the last time put out; values that do not beat them are
//! dropped as they arrive, whatever their time.

use std::collections::BTreeMap;

use differential_dataflow::consolidation::consolidate;
use timely::dataflow::Stream;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;

use super::reduce_total::retract;
use super::reduce_total::seek::{Bytes, Head};
use crate::arrange::by_key;
use crate::arrange::group::Direction;
use crate::arrange::hash::KeyMap;
use crate::layout::Packed;

/// Maintains the first `limit` rows of each key's values, in walking order.
///
/// `emit` is as for [`Seek`](super::Seek). A retraction in the input shows as [`Head::negative`] of its
/// key, from its time on for ever.
pub fn extrema_append_only<'scope, D, L>(
    input: Stream<'scope, u64, Packed<u64, i64>>,
    name: &str,
    direction: Direction,
    limit: u64,
    mut emit: L,
) -> Stream<'scope, u64, Vec<(D, u64, i64)>>
where
    D: Clone + Ord + 'static,
    L: FnMut(&[u8], &Head, &mut Vec<(D, i64)>) + 'static,
{
    input.unary_frontier(by_key(), name, move |_capability, _info| {
        let mut winners: KeyMap<Head> = KeyMap::default();
        // What may beat the winners, by time; and a capability for the least of those times.
        let mut pending: BTreeMap<u64, KeyMap<Head>> = BTreeMap::new();
        let mut held: Option<Capability<u64>> = None;
        let mut output_rows = Vec::new();
        move |(input, frontier), output| {
            input.for_each(|capability, updates| {
                if let Some(capability) = capability.retain_least(0)
                    && held
                        .as_ref()
                        .is_none_or(|held| capability.time() < held.time())
                {
                    held = Some(capability);
                }
                let mut current: Option<(u64, KeyMap<Head>)> = None;
                for index in 0..updates.len() {
                    let (key, val) = (updates.key(index), updates.val(index));
                    let (time, diff) = (*updates.time(index), *updates.diff(index));
                    let beaten = |head: &Head| is_beaten(head, direction, limit, val, diff);
                    if winners.get(key).is_some_and(beaten) {
                        continue;
                    }
                    let heads = match &mut current {
                        Some((other, heads)) if *other == time => heads,
                        _ => {
                            if let Some((time, heads)) = current.take() {
                                pending.insert(time, heads);
                            }
                            let heads = pending.remove(&time).unwrap_or_default();
                            &mut current.insert((time, heads)).1
                        }
                    };
                    match heads.get_mut(key) {
                        Some(head) => insert(head, direction, limit, val, diff),
                        None => {
                            let mut head = Head::default();
                            insert(&mut head, direction, limit, val, diff);
                            heads.insert(key.into(), head);
                        }
                    }
                }
                if let Some((time, heads)) = current {
                    pending.insert(time, heads);
                }
                updates.clear();
            });

            while let Some(entry) = pending.first_entry() {
                let time = *entry.key();
                if frontier.less_equal(&time) {
                    break;
                }
                let capability = held.as_ref().expect("held for the least pending time");
                let mut session = output.session(capability);
                let mut heads: Vec<_> = entry.remove().into_iter().collect();
                heads.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                for (key, head) in heads {
                    advance(
                        &mut winners,
                        key,
                        head,
                        direction,
                        limit,
                        &mut emit,
                        &mut output_rows,
                    );
                    consolidate(&mut output_rows);
                    session
                        .give_iterator(output_rows.drain(..).map(|(row, diff)| (row, time, diff)));
                }
            }
            held = match pending.first_key_value() {
                Some((time, _)) => held.as_ref().map(|held| held.delayed(time)),
                None => None,
            };
        }
    })
}

/// True if a value changes nothing, now or later.
fn is_beaten(head: &Head, direction: Direction, limit: u64, val: &[u8], diff: i64) -> bool {
    diff >= 0
        && rows(head) >= limit
        && head
            .rows
            .last()
            .is_none_or(|(last, _)| direction.compare(val, last).is_ge())
}

fn rows(head: &Head) -> u64 {
    head.rows
        .iter()
        .map(|(_, count)| count.unsigned_abs())
        .sum()
}

/// Adds so many rows of a value, and cuts off what lies beyond the limit.
fn insert(head: &mut Head, direction: Direction, limit: u64, val: &[u8], diff: i64) {
    if diff < 0 {
        head.negative
            .get_or_insert_with(|| (Bytes::from_slice(val), diff));
        return;
    }
    let place = head
        .rows
        .binary_search_by(|(other, _)| direction.compare(other, val));
    match place {
        Ok(index) => head.rows[index].1 = head.rows[index].1.saturating_add(diff),
        Err(index) => head.rows.insert(index, (Bytes::from_slice(val), diff)),
    }
    let mut left = i64::try_from(limit).unwrap_or(i64::MAX);
    head.rows.retain_mut(|(_, count)| {
        *count = (*count).min(left);
        left -= *count;
        *count > 0
    });
}

/// Merges the head of one time into the winners, and pushes how the key's rows change.
fn advance<D>(
    winners: &mut KeyMap<Head>,
    key: Box<[u8]>,
    head: Head,
    direction: Direction,
    limit: u64,
    emit: &mut impl FnMut(&[u8], &Head, &mut Vec<(D, i64)>),
    output: &mut Vec<(D, i64)>,
) {
    let old = winners.get(&key).cloned().unwrap_or_default();
    let mut new = old.clone();
    for (val, count) in &head.rows {
        insert(&mut new, direction, limit, val, *count);
    }
    new.negative = new.negative.or(head.negative);
    if new == old {
        return;
    }
    if old != Head::default() {
        retract(output, |output| emit(&key, &old, output));
    }
    emit(&key, &new, output);
    winners.insert(key, new);
}
