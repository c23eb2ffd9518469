use super::*;
use crate::arrange::group::Direction;
use crate::arrange::{arrange, localize};
use crate::operators::reduce_total::seek::Head;
use crate::operators::{
    Accumulate, Seek, Whole, consolidate, consolidate_in_place, extrema_append_only, reduce_total,
};

type Key = Vec<u8>;
type Values = Vec<(Vec<u8>, i64)>;
/// A key with its head: rows, and the negative value before their end.
type HeadRow = (Key, Values, Option<(Vec<u8>, i64)>);

fn head_row(key: &[u8], head: &Head, output: &mut Vec<(HeadRow, i64)>) {
    let rows = head
        .rows
        .iter()
        .map(|(val, count)| (val.to_vec(), *count))
        .collect();
    let negative = head
        .negative
        .as_ref()
        .map(|(val, count)| (val.to_vec(), *count));
    output.push(((key.to_vec(), rows, negative), 1));
}

/// The head of a group, computed from its contents row by row.
fn head_of(
    key: &Key,
    group: &BTreeMap<Vec<u8>, i64>,
    direction: Direction,
    offset: u64,
    limit: Option<u64>,
) -> Option<HeadRow> {
    let mut values: Values = group
        .iter()
        .map(|(val, count)| (val.clone(), *count))
        .collect();
    if direction == Direction::Backward {
        values.reverse();
    }
    let need = limit.map_or(u64::MAX, |limit| limit + offset);
    let (mut seen, mut negative) = (0, None);
    let mut rows = Values::new();
    for (val, count) in values {
        if seen >= need {
            break;
        }
        if count < 0 {
            negative = negative.or(Some((val, count)));
            continue;
        }
        let mut taken = 0;
        for _ in 0..count {
            if seen >= offset && seen < need {
                taken += 1;
            }
            seen = (seen + 1).min(need);
        }
        if taken > 0 {
            rows.push((val, taken));
        }
    }
    (!rows.is_empty() || negative.is_some()).then(|| (key.clone(), rows, negative))
}

fn heads(
    contents: Contents,
    direction: Direction,
    offset: u64,
    limit: Option<u64>,
) -> Rows<HeadRow> {
    let heads = contents
        .iter()
        .filter_map(|(key, group)| head_of(key, group, direction, offset, limit));
    heads.map(|head| (head, 1)).collect()
}

fn check_seek(
    workers: usize,
    script: &Script,
    direction: Direction,
    offset: u64,
    limit: Option<u64>,
) {
    let output = run(workers, script, move |updates| {
        let arranged = arrange(updates, "input");
        reduce_total(
            arranged,
            "seek",
            Seek::new(direction, offset, limit, head_row),
        )
    });
    check(&output, 0..end(script), |time| {
        heads(contents(script, time), direction, offset, limit)
    });
}

fn check_accumulate(workers: usize, script: &Script) {
    // Values dropped: the sum of a key's diffs is its number of rows.
    let keys_only: Script = script
        .iter()
        .map(|round| {
            let updates = round.updates.iter();
            Round {
                updates: updates
                    .map(|(key, _, time, diff)| (key.clone(), vec![], *time, *diff))
                    .collect(),
                ..round.clone()
            }
        })
        .collect();
    let output = run(workers, &keys_only, |updates| {
        let arranged = localize(arrange(updates, "input"));
        let emit = |key: &[u8], total: &i64, output: &mut Vec<((Key, i64), i64)>| {
            output.push(((key.to_vec(), *total), 1))
        };
        reduce_total(arranged, "count", Accumulate::new(emit))
    });
    check(&output, 0..end(script), |time| {
        let contents = contents(&keys_only, time);
        contents
            .into_iter()
            .map(|(key, group)| ((key, group.values().sum()), 1))
            .collect()
    });
}

fn check_whole(workers: usize, script: &Script) {
    let output = run(workers, script, |updates| {
        let arranged = arrange(updates, "input");
        let emit = |key: &[u8],
                    values: &mut dyn Iterator<Item = (&[u8], i64)>,
                    output: &mut Vec<((Key, Values), i64)>| {
            output.push((
                (key.to_vec(), values.map(|(v, c)| (v.to_vec(), c)).collect()),
                1,
            ))
        };
        reduce_total(arranged, "whole", Whole::new(emit))
    });
    check(&output, 0..end(script), |time| {
        let contents = contents(script, time);
        contents
            .into_iter()
            .map(|(key, group)| ((key, group.into_iter().collect()), 1))
            .collect()
    });
}

fn check_consolidate(workers: usize, script: &Script) {
    let output = run(workers, script, |updates| {
        use timely::dataflow::channels::pact::Pipeline;
        use timely::dataflow::operators::generic::Operator;
        let rows = updates.unary(Pipeline, "rows", |_, _| {
            move |input, output| {
                input.for_each(|capability, packed: &mut Packed<u64, i64>| {
                    let mut session = output.session(&capability);
                    for i in 0..packed.len() {
                        let row = (packed.key(i).to_vec(), packed.val(i).to_vec());
                        session.give((row, *packed.time(i), *packed.diff(i)));
                    }
                })
            }
        });
        let everywhere = consolidate(rows, "all", |(key, _): &(Key, Vec<u8>)| key.len() as u64);
        consolidate_in_place(everywhere, "own")
    });
    let mut updates = BTreeMap::new();
    for (key, val, time, diff) in script.iter().flat_map(|round| &round.updates) {
        *updates
            .entry(((key.clone(), val.clone()), *time))
            .or_insert(0) += diff;
    }
    updates.retain(|_, diff| *diff != 0);
    let mut sorted = output;
    sorted.sort();
    let expected: Vec<_> = updates
        .into_iter()
        .map(|((row, time), diff)| (row, time, diff))
        .collect();
    assert_eq!(sorted, expected, "each record and time once");
}

fn direction(backward: bool) -> Direction {
    if backward {
        Direction::Backward
    } else {
        Direction::Forward
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn min_and_max_follow_every_change(seed in seed(SMALL), backward: bool) {
        check_seek(1, &script(SMALL, &seed), direction(backward), 0, Some(1));
    }

    #[test]
    fn top_k_follows_every_change(seed in seed(Shape { keys: 2, updates: 30, ..SMALL }), backward: bool, offset in 0u64..3, limit in 0u64..5, bounded: bool) {
        check_seek(1, &script(SMALL, &seed), direction(backward), offset, bounded.then_some(limit));
    }

    #[test]
    fn negative_multiplicities_are_told_and_heal(seed in seed(SMALL), backward: bool, limit in 1u64..4) {
        check_seek(1, &script(Shape { negative: true, ..SMALL }, &seed), direction(backward), 0, Some(limit));
    }

    #[test]
    fn answers_do_not_depend_on_workers(seed in seed(Shape { keys: 6, ..SMALL }), workers in prop_oneof![Just(2usize), Just(4)]) {
        let script = script(SMALL, &seed);
        check_seek(workers, &script, Direction::Backward, 1, Some(2));
        check_accumulate(workers, &script);
        check_whole(workers, &script);
        check_consolidate(workers, &script);
    }

    #[test]
    fn sums_follow_every_change(seed in seed(SMALL)) {
        check_accumulate(1, &script(SMALL, &seed));
    }

    #[test]
    fn whole_groups_follow_every_change(seed in seed(SMALL)) {
        check_whole(1, &script(SMALL, &seed));
    }

    #[test]
    fn consolidation_leaves_each_record_and_time_once(seed in seed(SMALL)) {
        check_consolidate(1, &script(SMALL, &seed));
    }

    #[test]
    fn long_groups_follow_every_change(seed in seed(Shape { keys: 1, values: 400, rounds: 6, updates: 300, times: 8, ..SMALL }), backward: bool, limit in 1u64..4) {
        let shape = Shape { negative: true, ..SMALL };
        check_seek(1, &script(shape, &seed), direction(backward), 0, Some(limit));
    }

    #[test]
    fn growing_extrema_keep_only_winners(seed in seed(SMALL), backward: bool, limit in 1u64..4, workers in prop_oneof![Just(1usize), Just(2)]) {
        let script = script(Shape { append: true, ..SMALL }, &seed);
        let direction = direction(backward);
        let output = run(workers, &script, move |updates| {
            extrema_append_only(updates, "extrema", direction, limit, head_row)
        });
        check(&output, 0..end(&script), |time| heads(contents(&script, time), direction, 0, Some(limit)));
    }
}

/// A queue: each round adds values at the end and removes the first, so that dead values pile up
/// before the answer until they merge away.
#[test]
fn deleting_the_least_again_and_again_stays_right() {
    let val = |i: u64| i.to_be_bytes().to_vec();
    let mut script = Script::new();
    for i in 0..400u64 {
        let mut updates = vec![(vec![1], val(i), i, 1)];
        if i >= 100 {
            updates.push((vec![1], val(i - 100), i, -1));
        }
        script.push(Round {
            updates,
            advance: i + 1,
            settle: i % 3 == 0,
        });
    }
    script.push(Round {
        updates: vec![],
        advance: 401,
        settle: true,
    });
    check_seek(1, &script, Direction::Forward, 0, Some(1));
    check_seek(1, &script, Direction::Backward, 0, Some(2));
}

/// Each time of one batch brings a new least value: were the head read afresh at each, it would walk
/// all the values of later times.
#[test]
fn a_batch_of_many_times_is_not_quadratic() {
    let count = 20_000u64;
    let updates: Vec<Update> = (0..count)
        .map(|i| (vec![1], (count - i).to_be_bytes().to_vec(), i, 1))
        .collect();
    let script = vec![Round {
        updates,
        advance: count,
        settle: true,
    }];
    let output = run(1, &script, |updates| {
        reduce_total(
            arrange(updates, "input"),
            "min",
            Seek::new(Direction::Forward, 0, Some(1), head_row),
        )
    });
    assert_eq!(output.len() as u64, 2 * count - 1);
}
