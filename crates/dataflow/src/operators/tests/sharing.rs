use timely::dataflow::operators::Probe;

use super::*;
use crate::arrange::group::Direction;
use crate::arrange::{allow_compaction, arrange, import};
use crate::operators::reduce_total::seek::Head;
use crate::operators::{Comparison, Seek, half_join, reduce_total};
use timely::container::{CapacityContainerBuilder, PushInto};

type Row = (Vec<u8>, Vec<u8>);

/// The least value of each key.
fn least(key: &[u8], head: &Head, output: &mut Vec<(Row, i64)>) {
    output.extend(
        head.rows
            .iter()
            .map(|(val, _)| ((key.to_vec(), val.to_vec()), 1)),
    );
}

/// Runs a script through one dataflow that arranges it; halfway, a second dataflow imports the
/// arrangement as of `since`, and computes the least values of each key, and a third joins it with
/// itself. The first keeps history only from `since` on.
fn run_imported(
    workers: usize,
    script: &Script,
    half: usize,
    since: u64,
) -> [Vec<(Row, u64, i64)>; 2] {
    let captured: [Captured<Row>; 2] = Default::default();
    let (into, script) = (captured.clone(), script.clone());
    timely::execute(timely::Config::process(workers), move |worker| {
        let (mut input, probe, mut trace) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, stream) = scope.new_input::<Packed<u64, i64>>();
            let arranged = arrange(stream, "index");
            let (probe, _) = arranged.stream.probe();
            (input, probe, arranged.trace)
        });
        let mut probes = vec![probe];
        let mut buttons = Vec::new();
        for (index, round) in script.iter().enumerate() {
            if index == half {
                allow_compaction(&mut trace, since);
                // Several steps, so that what can be merged and compacted is.
                for _ in 0..5 {
                    worker.step();
                }
                let (probe, button) = worker.dataflow::<u64, _, _>(|scope| {
                    let (index, button) = import(&mut trace, scope, "import", since, None);
                    let minima = Seek::new(Direction::Forward, 0, Some(1), least);
                    let rows = reduce_total(index, "least", minima);
                    (capture(rows, &into[0]).probe().0, button)
                });
                probes.push(probe);
                buttons.push(button);
                let (probe, button) = worker.dataflow::<u64, _, _>(|scope| {
                    let (index, button) = import(&mut trace, scope, "import", since, None);
                    let rows = crate::operators::join::<_, _, CapacityContainerBuilder<Vec<_>>, _>(
                        index.clone(),
                        index,
                        "pairs",
                        |_, a, b, time, diff, builder| {
                            builder.push_into(((a.to_vec(), b.to_vec()), time, diff))
                        },
                    );
                    (capture(rows, &into[1]).probe().0, button)
                });
                probes.push(probe);
                buttons.push(button);
            }
            let mut packed = share(&round.updates, worker.index(), worker.peers());
            input.send_batch(&mut packed);
            input.advance_to(round.advance);
            if round.settle {
                worker.step_or_park_while(None, || {
                    probes.iter().any(|probe| probe.less_than(&round.advance))
                });
            } else {
                worker.step();
            }
        }
    })
    .expect("workers start");
    captured.map(|rows| rows.lock().unwrap().clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_index_serves_later_dataflows(seed in seed(SMALL), half in 0usize..8, back in 0u64..4, workers in prop_oneof![Just(1usize), Just(2)]) {
        let script = script(SMALL, &seed);
        let half = half.min(script.len() - 1);
        let upper = if half == 0 { 0 } else { script[half - 1].advance };
        let since = upper.saturating_sub(back);
        let [minima, pairs] = run_imported(workers, &script, half, since);
        check(&minima, since..end(&script), |time| {
            let contents = contents(&script, time);
            let least = contents.into_iter().map(|(key, group)| ((key, group.into_keys().next().unwrap()), 1));
            least.collect()
        });
        check(&pairs, since..end(&script), |time| {
            let mut rows = Rows::new();
            for group in contents(&script, time).values() {
                for (a, m) in group {
                    for (b, n) in group {
                        *rows.entry((a.clone(), b.clone())).or_default() += m * n;
                    }
                }
            }
            rows
        });
    }
}

/// Two look-up joins in a row over imported arrangements, the second keyed by what the first found.
#[test]
fn look_ups_chain_through_imports() {
    let captured: Captured<Row> = Captured::default();
    let into = Arc::clone(&captured);
    timely::execute(timely::Config::process(2), move |worker| {
        let (mut input, mut trace) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, stream) = scope.new_input::<Packed<u64, i64>>();
            (input, arrange(stream, "edges").trace)
        });
        let (mut starts, probe) = worker.dataflow::<u64, _, _>(|scope| {
            let (starts, changes) = scope.new_input::<Packed<u64, i64>>();
            let (edges, _button) = import(&mut trace, scope, "import", 0, None);
            type Next = crate::layout::PackedBuilder<u64, i64>;
            let once = half_join::<_, Next, _>(
                changes,
                edges.clone(),
                "once",
                Comparison::UpTo,
                |from, _, to, time, diff, builder: &mut Next| {
                    builder.push_into((to, from, time, diff))
                },
            );
            let twice = half_join::<_, CapacityContainerBuilder<Vec<_>>, _>(
                once,
                edges,
                "twice",
                Comparison::UpTo,
                |_, from, to, time, diff, builder| {
                    builder.push_into(((from.to_vec(), to.to_vec()), time, diff))
                },
            );
            (starts, capture(twice, &into).probe().0)
        });
        if worker.index() == 0 {
            for i in 0..100u8 {
                let mut packed = Packed::default();
                packed.push(&[i], &[i + 1], u64::from(i), 1);
                input.send_batch(&mut packed);
            }
            let mut packed = Packed::default();
            (0..98u8).for_each(|i| packed.push(&[i], &[], u64::from(i) + 1, 1));
            starts.send_batch(&mut packed);
        }
        input.advance_to(200);
        starts.advance_to(200);
        worker.step_or_park_while(None, || probe.less_than(&200));
    })
    .expect("workers start");
    let mut rows = captured.lock().unwrap().clone();
    rows.sort();
    // From i, at time i + 1, both edges are there.
    let expected: Vec<_> = (0..98u8)
        .map(|i| ((vec![i], vec![i + 2]), u64::from(i) + 1, 1))
        .collect();
    assert_eq!(rows, expected);
}
