use differential_dataflow::operators::iterate::Variable;
use differential_dataflow::{AsCollection, VecCollection};
use proptest::strategy::ValueTree;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::generic::Operator;
use timely::order::Product;

use super::*;
use crate::arrange::pack::pack;
use crate::arrange::{Imported, Local, arrange, localize};
use crate::operators::{Comparison, half_join, join};

type Row = (Vec<u8>, Vec<u8>, Vec<u8>);
type Rows3 = CapacityContainerBuilder<Vec<(Row, u64, i64)>>;

/// Updates of one input carry this first byte in their value; all others belong to the other.
fn is_left(val: &[u8]) -> bool {
    val.last().is_some_and(|byte| byte % 2 == 1)
}

fn side<'s>(
    updates: Stream<'s, u64, Packed<u64, i64>>,
    left: bool,
) -> Stream<'s, u64, Packed<u64, i64>> {
    updates.unary::<crate::layout::PackedBuilder<u64, i64>, _, _, _>(
        Pipeline,
        "side",
        move |_, _| {
            move |input, output| {
                input.for_each(|capability, packed: &mut Packed<u64, i64>| {
                    let mut session = output.session(&capability);
                    for i in 0..packed.len() {
                        if is_left(packed.val(i)) == left {
                            session.give((
                                packed.key(i),
                                packed.val(i),
                                *packed.time(i),
                                *packed.diff(i),
                            ));
                        }
                    }
                })
            }
        },
    )
}

fn oracle(script: &Script, time: u64) -> Rows<Row> {
    let mut rows = Rows::new();
    for (key, group) in contents(script, time) {
        for (left, a) in group.iter().filter(|(val, _)| is_left(val)) {
            for (right, b) in group.iter().filter(|(val, _)| !is_left(val)) {
                rows.insert((key.clone(), left.clone(), right.clone()), a * b);
            }
        }
    }
    rows
}

fn push(builder: &mut Rows3, row: Row, time: u64, diff: i64) {
    use timely::container::PushInto;
    builder.push_into((row, time, diff));
}

/// Far more pairs than fuel for one activation, and values that come and go within a round.
const ONE_KEY: Shape = Shape {
    keys: 1,
    values: 30,
    updates: 40,
    ..SMALL
};

fn check_delta_join(workers: usize, script: &Script) {
    let output = run(workers, script, |updates| {
        let (left, right) = (side(updates.clone(), true), side(updates, false));
        let arranged_left: Imported<'_, u64, i64> = localize(arrange(left.clone(), "left"));
        let arranged_right = arrange(right.clone(), "right");
        let from_left = half_join::<_, Rows3, _>(
            left,
            arranged_right,
            "left changes",
            Comparison::Before,
            |key, val, other, time, diff, builder| {
                push(
                    builder,
                    (key.to_vec(), val.to_vec(), other.to_vec()),
                    time,
                    diff,
                )
            },
        );
        let from_right = half_join::<_, Rows3, _>(
            right,
            arranged_left,
            "right changes",
            Comparison::UpTo,
            |key, val, other, time, diff, builder| {
                push(
                    builder,
                    (key.to_vec(), other.to_vec(), val.to_vec()),
                    time,
                    diff,
                )
            },
        );
        from_left.concat(from_right)
    });
    check(&output, 0..end(script), |time| oracle(script, time));
}

fn check_linear_join(workers: usize, script: &Script) {
    let output = run(workers, script, |updates| {
        let left = localize(arrange(side(updates.clone(), true), "left"));
        let right = arrange(side(updates, false), "right");
        join::<_, _, Rows3, _>(
            left,
            right,
            "join",
            |key, left, right, time, diff, builder| {
                push(
                    builder,
                    (key.to_vec(), left.to_vec(), right.to_vec()),
                    time,
                    diff,
                )
            },
        )
    });
    check(&output, 0..end(script), |time| oracle(script, time));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_delta_join_counts_each_meeting_once(seed in seed(SMALL), workers in prop_oneof![Just(1usize), Just(2), Just(4)]) {
        check_delta_join(workers, &script(SMALL, &seed));
    }

    #[test]
    fn a_linear_join_counts_each_meeting_once(seed in seed(SMALL), workers in prop_oneof![Just(1usize), Just(2), Just(4)]) {
        check_linear_join(workers, &script(SMALL, &seed));
    }

    #[test]
    fn a_linear_join_within_one_key_goes_on_where_it_stopped(seed in seed(ONE_KEY), workers in prop_oneof![Just(1usize), Just(2)]) {
        check_linear_join(workers, &script(ONE_KEY, &seed));
    }
}

type Inner = Product<u64, u64>;
type Pair = (Vec<u8>, Vec<u8>);

fn by_end<'s>(paths: VecCollection<'s, Inner, Pair, i64>) -> Local<'s, Inner, i64> {
    let (packed, _) =
        pack::<_, Inner, i64, (), _>(paths.inner, "pack", |(from, to), time, diff, packer| {
            packer.push(&to, &from, time, diff)
        });
    arrange(packed, "paths by their end")
}

/// Reachability over edges (key to value), by differential-dataflow's iteration on our arrangements.
#[test]
fn iteration_runs_on_the_same_arrangements() {
    use crate::operators::{join_iterative, reduce_iterative};

    let shape = Shape {
        values: 6,
        keys: 6,
        ..SMALL
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..10 {
        let raw = seed(shape)
            .new_tree(&mut runner)
            .expect("a script")
            .current();
        // Nodes are single bytes.
        let mut script = script(shape, &raw);
        for update in script.iter_mut().flat_map(|round| &mut round.updates) {
            update.0.truncate(1);
            update.1 = vec![update.1.last().copied().unwrap_or(0)];
        }
        let output = run(2, &script, |updates| {
            let edges = arrange(updates, "edges");
            let scope = edges.stream.scope();
            scope
                .iterative::<u64, _, _>(|inner| {
                    let edges = edges.enter(inner);
                    let unpack = |key: &[u8], val: &[u8]| (key.to_vec(), val.to_vec());
                    let first = edges.clone().as_collection(unpack);
                    let (variable, paths) = Variable::new(inner, Product::new(0, 1));
                    type Pairs = CapacityContainerBuilder<Vec<(Pair, Inner, i64)>>;
                    let longer = join_iterative::<_, _, Pairs, _>(
                        by_end(paths),
                        edges,
                        "extend",
                        |_, from, to, time, diff, builder| {
                            use timely::container::PushInto;
                            builder.push_into(((from.to_vec(), to.to_vec()), time, diff));
                        },
                    )
                    .as_collection();
                    let distinct = reduce_iterative(
                        by_end(longer.concat(first)),
                        "distinct",
                        |_, values, output| {
                            output.extend(values.iter().map(|(val, _)| (val.to_vec(), 1)))
                        },
                    )
                    .as_collection(|to, from| (from.to_vec(), to.to_vec()));
                    variable.set(distinct.clone());
                    distinct.leave(scope)
                })
                .inner
        });
        check(&output, 0..end(&script), |time| {
            let contents = contents(&script, time);
            let mut rows: Rows<(Vec<u8>, Vec<u8>)> = contents
                .iter()
                .flat_map(|(key, group)| group.keys().map(|val| ((key.clone(), val.clone()), 1)))
                .collect();
            loop {
                let known = rows.len();
                for (from, via) in rows.clone().into_keys() {
                    for to in contents
                        .get(&via)
                        .into_iter()
                        .flat_map(|group| group.keys())
                    {
                        rows.insert((from.clone(), to.clone()), 1);
                    }
                }
                if rows.len() == known {
                    return rows;
                }
            }
        });
    }
}
