//! What a dataflow takes, and gives back: records in arrangements, and turns of its worker.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::logging::{DifferentialEvent, DifferentialEventBuilder};
use everview_expr::{RelExpr, ScalarExpr, resolve};
use everview_optimize::physical::{JoinPlan, Plan};
use everview_repr::{Datum, Row, ScalarType, Timestamp};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::{Input as _, Inspect, Probe};
use timely::worker::Worker;

use super::generate::{TABLES, call_types, get};
use super::{behaviour, index, plan};
use crate::DataflowId;
use crate::health::Health;
use crate::ledger::Ledger;
use crate::render::context::Context;
use crate::render::streams::Update;

/// Updates in the arrangements of a worker: batches that came, less those merged away or dropped.
fn held(worker: &Worker) -> Rc<Cell<i64>> {
    let held = Rc::new(Cell::new(0));
    let count = Rc::clone(&held);
    let change = move |event: &DifferentialEvent| match event {
        DifferentialEvent::Batch(batch) => batch.length as i64,
        DifferentialEvent::Merge(merge) => merge.complete.map_or(0, |complete| {
            complete as i64 - (merge.length1 + merge.length2) as i64
        }),
        DifferentialEvent::Drop(dropped) => -(dropped.length as i64),
        _ => 0,
    };
    let mut registry = worker.log_register().expect("a log");
    registry.insert::<DifferentialEventBuilder, _>("differential/arrange", move |_, events| {
        for (_, event) in events.iter().flatten() {
            count.set(count.get() + change(event));
        }
    });
    held
}

/// A dataflow of an expression over the first table, and how many updates it has put out.
struct Running {
    number: usize,
    input: timely::dataflow::InputHandle<u64, CapacityContainerBuilder<Vec<Update>>>,
    probe: ProbeHandle<u64>,
    given: Rc<Cell<usize>>,
}

fn run(worker: &mut Worker, expr: &RelExpr) -> Running {
    let number = worker.next_dataflow_index();
    let probe = ProbeHandle::new();
    let given = Rc::new(Cell::new(0));
    let count = Rc::clone(&given);
    let input = worker.dataflow(|scope| {
        let (input, rows) = scope.new_input();
        let mut context = Context::new(scope, Arc::new(Health::default()), 0, 0);
        context.add_source(TABLES[0], rows);
        let result = context.render(&plan(expr).plan);
        result
            .oks
            .inspect(move |_| count.set(count.get() + 1))
            .probe_with(&probe);
        input
    });
    Running {
        number,
        input,
        probe,
        given,
    }
}

/// Each row with each pair of rows of the same text.
fn triples() -> RelExpr {
    let table = get(TABLES[0]);
    let texts = [1, 3, 5].map(ScalarExpr::Column).to_vec();
    RelExpr::Join {
        inputs: vec![table.clone(), table.clone(), table],
        equivalences: vec![texts],
    }
}

fn rows(count: i32) -> Vec<Update> {
    let row = |n| (Row::pack([Datum::Int32(n), Datum::Text("a")]), 0, 1);
    (0..count).map(row).collect()
}

#[test]
fn a_dropped_dataflow_gives_its_arrangements_back() {
    timely::execute_directly(|worker| {
        let held = held(worker);
        let expr = triples().distinct();
        let mut other = run(worker, &get(TABLES[0]).distinct());
        other.input.send_batch(&mut rows(5));
        other.input.advance_to(1);
        while other.probe.less_than(&1) {
            worker.step();
        }
        let before = held.get();
        assert!(before >= 5, "{before}");
        let mut running = run(worker, &expr);
        running.input.send_batch(&mut rows(12));
        running.input.advance_to(1);
        while running.probe.less_than(&1) {
            worker.step();
        }
        assert!(held.get() >= before + 12 + 12 * 12 * 12, "{}", held.get());
        let number = running.number;
        drop(running);
        worker.drop_dataflow(number);
        worker.step();
        worker.step();
        assert_eq!(held.get(), before, "what another dataflow holds is left");
    });
}

/// Each row with each other and itself: a linear join whose only key holds everything.
fn pairs() -> RelExpr {
    let table = get(TABLES[0]);
    let pairs = RelExpr::Join {
        inputs: vec![table.clone(), table],
        equivalences: vec![],
    };
    let Plan::Join { plan, .. } = plan(&pairs).plan else {
        panic!("a join")
    };
    assert!(matches!(plan, JoinPlan::Linear { .. }));
    pairs
}

/// Hydrates a join of `count` rows to `expected`, and asks another dataflow again and again meanwhile; one step of
/// the worker puts out so many rows of the join at most.
fn hydrates_step_by_step(expr: &RelExpr, count: i32, expected: usize, most: usize) {
    let expr = expr.clone();
    timely::execute_directly(move |worker| {
        let mut large = run(worker, &expr);
        let mut small = run(worker, &get(TABLES[0]));
        large.input.send_batch(&mut rows(count));
        large.input.advance_to(1);
        let mut turns = 0;
        while large.probe.less_than(&1) {
            // The other dataflow has its answer within a few steps, whatever this one still has to do.
            small.input.send((Row::default(), turns, 1));
            turns += 1;
            small.input.advance_to(turns);
            let mut steps = 0;
            while small.probe.less_than(&turns) {
                let before = large.given.get();
                worker.step();
                steps += 1;
                let given = large.given.get() - before;
                assert!(given <= most, "{given} rows in one step");
            }
            assert!(steps <= 3, "{steps} steps");
        }
        assert_eq!(large.given.get(), expected);
        assert!(turns > 100, "{turns} turns");
    });
}

#[test]
fn a_delta_join_yields_to_other_dataflows() {
    // Each of three paths has its own fuel, and may put out again what it had under way.
    hydrates_step_by_step(&triples(), 20, 20 * 20 * 20, 50);
}

#[test]
fn a_product_yields_to_other_dataflows() {
    let most = crate::operators::fuel::PER_ACTIVATION as usize;
    hydrates_step_by_step(&pairs(), 100, 100 * 100, most);
}

#[test]
fn a_product_of_which_nothing_is_left_yields_too() {
    // All texts are equal. No row comes out, so it is steps that tell.
    let less = resolve::resolve_operator("<", &[ScalarType::Text, ScalarType::Text]);
    let less = ScalarExpr::Call {
        func: less.expect("an order of texts").func,
        args: [1, 3].map(ScalarExpr::Column).to_vec(),
        types: call_types(vec![ScalarType::Text; 2], ScalarType::Bool),
    };
    let never = pairs().filter(vec![less]);
    timely::execute_directly(move |worker| {
        let mut large = run(worker, &never);
        large.input.send_batch(&mut rows(100));
        large.input.advance_to(1);
        let mut steps = 0;
        while large.probe.less_than(&1) {
            worker.step();
            steps += 1;
        }
        assert_eq!(large.given.get(), 0);
        assert!(steps > 100 * 100 / 10, "{steps} steps");
    });
}

#[test]
fn a_product_dropped_half_way_gives_everything_back() {
    timely::execute_directly(|worker| {
        let ledger = Ledger::new(worker);
        let mut running = run(worker, &pairs().distinct());
        running.input.send_batch(&mut rows(200));
        running.input.advance_to(1);
        // A batcher sorts 16,384 rows at a time, and tells of them then.
        for _ in 0..3000 {
            worker.step();
        }
        assert!(running.probe.less_than(&1), "it is under way");
        let all = 0..usize::MAX;
        let moving = ledger.moving(all.clone()) as usize;
        assert!(moving > 16384 * 8, "{moving} bytes");
        assert!(ledger.held(all.clone()) as usize >= moving + 200 * 8);
        let number = running.number;
        drop(running);
        worker.drop_dataflow(number);
        worker.step();
        worker.step();
        assert_eq!(ledger.held(all), 0);
    });
}

#[test]
fn what_takes_most_memory_is_shed_though_it_shows_nothing_yet() {
    let (compute, tables) = behaviour::start(1);
    let changes: Vec<_> = rows(5000)
        .into_iter()
        .map(|(row, _, diff)| (row, 1, diff))
        .collect();
    behaviour::commit(&compute, &tables, &changes, 2);
    let status = |id| compute.status(DataflowId(id)).expect("a status");
    compute.install(index(1, &get(TABLES[0]), 1));
    behaviour::wait("the small one", || status(1).hydrated.then_some(()));
    let small = status(1).bytes;
    compute.install(index(2, &pairs(), 1));
    behaviour::wait("the large one", || (status(2).bytes > small).then_some(()));
    assert!(!status(2).hydrated);
    let error = everview_repr::EvalError::new(everview_repr::SqlState::OUT_OF_MEMORY, "too much");
    assert!(compute.shed(&error, 0));
    assert_eq!(status(2).suspended.as_deref(), Some("too much"));
    behaviour::wait("its memory", || (status(2).bytes == 0).then_some(()));
    assert_eq!((status(1).suspended, status(1).bytes), (None, small));
}

#[test]
fn a_worker_answers_while_a_large_view_hydrates() {
    let (compute, tables) = behaviour::start(1);
    let changes: Vec<_> = rows(24)
        .into_iter()
        .map(|(row, _, diff)| (row, 1, diff))
        .collect();
    behaviour::commit(&compute, &tables, &changes, 2);
    compute.install(index(1, &triples(), 1));
    let hydrated = || {
        compute
            .status(DataflowId(1))
            .is_some_and(|status| status.hydrated)
    };
    for id in 10..13 {
        let found = behaviour::peek(&compute, id, plan(&get(TABLES[0])), 1).expect("rows");
        assert_eq!(found.len(), 24);
        assert!(!hydrated(), "it answers before, not after");
    }
    let shown = super::shown(&compute, 1, 1);
    assert_eq!(shown.rows.len(), 24 * 24 * 24);
    assert_eq!(
        compute.reader(super::GlobalId(1)).map(|r| r.upper()),
        Some(Timestamp(2))
    );
}
