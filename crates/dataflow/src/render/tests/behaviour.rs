//! How results leave a dataflow, and what is left of one that goes.

#![allow(clippy::disallowed_methods, reason = "a test starts its own threads")]

use std::sync::Arc;

use everview_expr::{Id, RelExpr, ScalarExpr, resolve};
use everview_optimize::physical::{DataflowPlan, Plan};
use everview_repr::{Datum, Diff, EvalError, GlobalId, Row, ScalarType, Timestamp};

use super::generate::{History, TABLES, get};
use super::tables::Tables;
use super::{PATIENCE, advance, index, plan, shown};
use crate::export::subscribe::bounded_subscription;
use crate::{
    ChangeChunks, Compute, DataflowDesc, DataflowId, Export, ReadError, RowChunks, SubscribeError,
    SubscribeReceiver, TableReader,
};

fn pair(a: i32, b: &str) -> Row {
    Row::pack([Datum::Int32(a), Datum::Text(b)])
}

pub fn start(workers: usize) -> (Compute, Arc<Tables>) {
    let tables = Arc::new(Tables::default());
    (
        Compute::start(workers, tables.clone()).expect("workers start"),
        tables,
    )
}

/// Commits changes of the first table, each at its own time.
pub fn commit(compute: &Compute, tables: &Tables, changes: &[(Row, u64, Diff)], upper: u64) {
    let changes: Vec<_> = changes
        .iter()
        .map(|(row, time, diff)| (TABLES[0], row.clone(), Timestamp(*time), *diff))
        .collect();
    let lower = changes.first().map_or(0, |change| change.2.0);
    advance(
        compute,
        tables,
        &History {
            changes,
            end: upper,
        },
        lower..upper,
    );
}

pub fn peek(
    compute: &Compute,
    id: u64,
    plan: DataflowPlan,
    as_of: u64,
) -> Result<Vec<(Row, Diff)>, EvalError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    compute.install(DataflowDesc {
        id: DataflowId(id),
        name: format!("peek {id}"),
        plan,
        as_of: Timestamp(as_of),
        until: Some(Timestamp(as_of + 1)),
        export: Export::Peek(sender),
    });
    receiver.blocking_recv().expect("an answer")?.sum()
}

pub fn wait<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = poll() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("waited in vain for {what}")
}

#[test]
fn a_peek_gathers_all_workers_rows_as_of_its_time() {
    for workers in [1, 2, 4] {
        let (compute, tables) = start(workers);
        let rows: Vec<_> = (0..100)
            .map(|n| (pair(n % 10, "a"), 1 + n as u64, 1))
            .collect();
        commit(&compute, &tables, &rows, 200);
        for as_of in [0, 1, 50, 199] {
            let mut found = peek(&compute, as_of, plan(&get(TABLES[0])), as_of).expect("rows");
            found.sort();
            let total: i64 = found.iter().map(|(_, count)| count).sum();
            assert_eq!(total, as_of.min(100) as i64);
            assert!(found.len() <= 10, "summed up");
        }
    }
}

#[test]
fn a_peek_sums_up_equal_rows_while_they_come() {
    let (compute, tables) = start(2);
    let rows: Vec<_> = (0..5000)
        .map(|n| (pair(n % 3, "a"), 1 + n as u64, 1))
        .collect();
    commit(&compute, &tables, &rows, 5001);
    let mut found = peek(&compute, 1, plan(&get(TABLES[0])), 5000).expect("rows");
    found.sort();
    let expected = [(0, 1667), (1, 1667), (2, 1666)].map(|(n, count)| (pair(n, "a"), count));
    assert_eq!(found, expected);
}

fn quotients() -> RelExpr {
    let types = vec![ScalarType::Int32; 2];
    let divide = resolve::resolve_operator("/", &types).expect("division");
    let call = ScalarExpr::Call {
        func: divide.func,
        args: vec![
            ScalarExpr::literal(Datum::Int32(6), ScalarType::Int32),
            ScalarExpr::Column(0),
        ],
        types: Arc::new(everview_expr::CallTypes {
            args: types,
            result: ScalarType::Int32,
            typmod: everview_repr::Typmod::NONE,
            time_zone: "UTC".into(),
            environment: None,
        }),
    };
    get(TABLES[0]).map(vec![call])
}

#[test]
fn an_error_in_a_value_or_a_filter_fails_reads_until_its_row_is_deleted() {
    let (compute, tables) = start(2);
    let valued = quotients();
    let filtered = quotients().filter(vec![ScalarExpr::IsNull(Box::new(ScalarExpr::Column(2)))]);
    commit(&compute, &tables, &[(pair(1, "a"), 1, 1)], 2);
    compute.install(index(1, &filtered, 1));
    commit(&compute, &tables, &[(pair(0, "b"), 2, 1)], 3);
    commit(&compute, &tables, &[(pair(0, "b"), 3, -1)], 4);
    for (time, fails) in [(1, false), (2, true), (3, false)] {
        assert_eq!(!shown(&compute, 1, time).errors.is_empty(), fails);
        for (n, expr) in [&valued, &filtered].into_iter().enumerate() {
            let found = peek(&compute, 10 + 10 * time + n as u64, plan(expr), time);
            assert_eq!(found.is_err(), fails, "{found:?}");
            if let Err(error) = found {
                assert_eq!(error.message(), "division by zero");
            }
        }
    }
}

#[test]
fn an_index_is_imported_as_of_past_and_present_times() {
    for workers in [1, 2] {
        let (compute, tables) = start(workers);
        let rows: Vec<_> = (1..=20).map(|n| (pair(n as i32 % 4, "a"), n, 1)).collect();
        commit(&compute, &tables, &rows[..10], 11);
        let base = get(TABLES[0]);
        compute.install(index(1, &base, 5));
        let arrangement = super::by_first_column(&base);
        let over = |id: u64, as_of| DataflowDesc {
            id: DataflowId(id),
            name: format!("over {id}"),
            plan: DataflowPlan {
                sources: Default::default(),
                imports: [(GlobalId(1), vec![(GlobalId(1), arrangement.clone())])].into(),
                plan: Plan::Get {
                    id: Id::Global(GlobalId(1)),
                    mfp: everview_expr::MapFilterProject::identity(2),
                },
                desc: plan(&base).desc,
            },
            as_of: Timestamp(as_of),
            until: None,
            export: Export::Index {
                id: GlobalId(id as u32),
                arrangements: vec![arrangement.clone()],
                tally: None,
            },
        };
        compute.install(over(2, 7));
        commit(&compute, &tables, &rows[10..], 21);
        compute.install(over(3, 15));
        for time in 15..21 {
            let total = |id| shown(&compute, id, time).rows.values().sum::<i64>();
            assert_eq!([total(1), total(2), total(3)], [time as i64; 3]);
        }
        compute.allow_compaction(GlobalId(1), Timestamp(18));
        compute.install(over(4, 16));
        let status = wait("a refusal", || {
            compute
                .status(DataflowId(4))
                .filter(|s| s.suspended.is_some())
        });
        assert!(
            status
                .suspended
                .is_some_and(|reason| reason.contains("begins at 18"))
        );
        assert!(compute.reader(GlobalId(4)).is_none());
    }
}

#[test]
fn a_dropped_index_gives_everything_back_and_tells_its_readers() {
    let (compute, tables) = start(2);
    let rows: Vec<_> = (0..1000).map(|n| (pair(n, "a"), 1, 1)).collect();
    commit(&compute, &tables, &rows, 2);
    compute.install(index(1, &get(TABLES[0]), 1));
    assert_eq!(shown(&compute, 1, 1).rows.len(), 1000);
    let reader = compute.reader(GlobalId(1)).expect("an index");
    assert!(reader.size().updates >= 1000);
    let status = compute.status(DataflowId(1)).expect("a status");
    assert_eq!((status.rows, status.suspended.is_none()), (1000, true));
    assert!(status.bytes > 5_000);
    wait("hydration", || {
        compute
            .status(DataflowId(1))
            .filter(|s| s.hydrated && s.progress == 1.0)
    });
    let waiting = {
        let reader = reader.clone();
        std::thread::Builder::new()
            .spawn(move || reader.snapshot_blocking(Timestamp(50), PATIENCE).err())
            .expect("a thread")
    };
    compute.drop_dataflow(DataflowId(1));
    assert_eq!(waiting.join().expect("a reader"), Some(ReadError::Dropped));
    wait("memory", || (reader.size().updates == 0).then_some(()));
    assert!(compute.reader(GlobalId(1)).is_none());
    assert!(compute.status(DataflowId(1)).is_none());
}

fn subscribe(
    compute: &Compute,
    id: u64,
    as_of: u64,
    until: Option<u64>,
    most: usize,
) -> SubscribeReceiver {
    let (sink, receiver) = bounded_subscription(Timestamp(as_of), most);
    compute.install(DataflowDesc {
        id: DataflowId(id),
        name: format!("subscribe {id}"),
        plan: plan(&get(TABLES[0])),
        as_of: Timestamp(as_of),
        until: until.map(Timestamp),
        export: Export::Subscribe(sink),
    });
    receiver
}

fn next(receiver: &mut SubscribeReceiver) -> Result<Option<crate::SubscribeBatch>, SubscribeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(receiver.next())
}

#[test]
fn a_subscription_gives_each_time_once_consolidated_and_in_order() {
    for workers in [1, 2, 4] {
        let (compute, tables) = start(workers);
        commit(
            &compute,
            &tables,
            &[(pair(1, "a"), 1, 1), (pair(2, "b"), 2, 1)],
            3,
        );
        let mut receiver = subscribe(&compute, 1, 2, Some(7), 1 << 20);
        for time in 3..10 {
            let rows: Vec<_> = (0..8)
                .flat_map(|n| [(pair(n, "x"), time, 1), (pair(n / 2, "x"), time, -1)])
                .collect();
            commit(&compute, &tables, &rows, time + 1);
        }
        let mut updates = Vec::new();
        let mut upper = Timestamp(2);
        while let Some(batch) = next(&mut receiver).expect("a batch") {
            assert!(batch.upper > upper);
            assert!(
                batch
                    .updates
                    .iter()
                    .all(|(_, time, _)| upper <= *time && *time < batch.upper)
            );
            upper = batch.upper;
            updates.extend(batch.updates);
        }
        assert_eq!(upper, Timestamp::MAX);
        assert!(
            updates
                .iter()
                .all(|(_, time, diff)| *diff != 0 && time.0 < 7)
        );
        let sorted = updates.is_sorted_by(|a, b| (a.1, &a.0) < (b.1, &b.0));
        assert!(sorted, "{updates:?}");
        assert_eq!(updates.iter().filter(|(_, time, _)| time.0 == 2).count(), 2);
        let changed: i64 = updates
            .iter()
            .filter(|(_, time, _)| time.0 == 5)
            .map(|(_, _, diff)| diff.abs())
            .sum();
        assert_eq!(changed, 8);
    }
}

#[test]
fn a_slow_subscriber_is_cut_off_and_told_where_to_resume() {
    let (compute, tables) = start(2);
    commit(&compute, &tables, &[(pair(1, "a"), 1, 1)], 2);
    let mut receiver = subscribe(&compute, 1, 1, None, 200);
    let batch = next(&mut receiver).expect("a batch").expect("the snapshot");
    assert_eq!(batch.upper, Timestamp(2));
    for time in 2..50 {
        commit(
            &compute,
            &tables,
            &[(pair(7, "a long one"), time, 1)],
            time + 1,
        );
    }
    let error = wait("the cut", || receiver.try_next().err());
    assert!(matches!(error, SubscribeError::TooSlow { .. }), "{error}");
}

/// Tables whose past is gone through time by time.
struct Stepped(Arc<Tables>);

impl TableReader for Stepped {
    fn scan(&self, table: GlobalId, as_of: Timestamp, shard: usize, shards: usize) -> RowChunks {
        self.0.scan(table, as_of, shard, shards)
    }

    fn changes(
        &self,
        table: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> ChangeChunks {
        self.0.changes(table, after, up_to, shard, shards)
    }

    fn estimate(&self, table: GlobalId) -> u64 {
        self.0.estimate(table)
    }

    fn step(&self, after: Timestamp, up_to: Timestamp) -> Timestamp {
        up_to.min(after.next())
    }
}

#[test]
fn a_subscription_over_tables_of_its_own_goes_in_steps_at_its_readers_pace_and_misses_nothing() {
    for workers in [1, 2] {
        let (compute, tables) = start(workers);
        let past: Vec<_> = (1..300)
            .map(|time| (pair(time as i32, "a row of the past"), time, 1))
            .collect();
        commit(&compute, &tables, &past, 300);
        let (sink, mut receiver) = bounded_subscription(Timestamp(10), 2_000);
        let desc = DataflowDesc {
            id: DataflowId(1),
            name: "from the past".to_string(),
            plan: plan(&get(TABLES[0])),
            as_of: Timestamp(10),
            until: None,
            export: Export::Subscribe(sink),
        };
        compute.install_over(desc, Arc::new(Stepped(tables.clone())));
        // More than is held for a dataflow that does not get on.
        for time in 300..304 {
            let live: Vec<_> = (0..50_000).map(|n| (pair(n, "live"), time, 1)).collect();
            commit(&compute, &tables, &live, time + 1);
        }
        let (mut batches, mut rows, mut upper) = (0, 0, Timestamp(10));
        while upper < Timestamp(304) {
            let batch = next(&mut receiver)
                .expect("it is waited for")
                .expect("more");
            let mut times = batch.updates.iter().map(|(_, time, _)| *time);
            assert!(times.all(|time| upper <= time && time < batch.upper));
            upper = batch.upper;
            batches += 1;
            rows += batch.updates.iter().map(|(_, _, diff)| diff).sum::<i64>();
        }
        assert_eq!(rows, 299 + 4 * 50_000);
        // With several, one may get ahead of the other.
        assert!(batches > 10 || workers > 1, "{batches}");
        assert_eq!(
            compute.behind(),
            None,
            "it asks the others' tables for nothing"
        );
    }
}

#[test]
fn a_subscription_to_an_error_ends_with_it_and_a_dropped_one_stops() {
    let (compute, tables) = start(1);
    commit(&compute, &tables, &[(pair(1, "a"), 1, 1)], 2);
    let (sink, mut receiver) = bounded_subscription(Timestamp(1), 1 << 20);
    compute.install(DataflowDesc {
        id: DataflowId(1),
        name: "quotients".into(),
        plan: plan(&quotients()),
        as_of: Timestamp(1),
        until: None,
        export: Export::Subscribe(sink),
    });
    assert_eq!(
        next(&mut receiver).map(|b| b.map(|b| b.updates.len())),
        Ok(Some(1))
    );
    commit(&compute, &tables, &[(pair(0, "a"), 2, 1)], 3);
    assert!(matches!(next(&mut receiver), Err(SubscribeError::Eval(_))));
    let mut other = subscribe(&compute, 2, 2, None, 1 << 20);
    assert!(next(&mut other).is_ok());
    compute.drop_dataflow(DataflowId(2));
    assert_eq!(next(&mut other), Err(SubscribeError::Stopped));
}

#[test]
fn a_dataflow_that_panics_is_suspended_and_others_go_on() {
    let (compute, tables) = start(2);
    commit(&compute, &tables, &[(pair(1, "a"), 1, 1)], 2);
    // A column that is not there.
    let mut broken = plan(&get(TABLES[0]));
    broken.plan = Plan::Mfp {
        input: Box::new(broken.plan),
        mfp: everview_expr::MapFilterProject::identity(2).map([ScalarExpr::Column(0)]),
    };
    if let Plan::Mfp { mfp, .. } = &mut broken.plan {
        mfp.expressions[0] = ScalarExpr::Column(9);
    }
    compute.install(index(1, &get(TABLES[0]), 1));
    compute.install(DataflowDesc {
        plan: broken.clone(),
        ..index(2, &get(TABLES[0]), 1)
    });
    assert!(peek(&compute, 9, broken, 1).is_err());
    let status = wait("suspension", || {
        compute
            .status(DataflowId(2))
            .filter(|s| s.suspended.is_some())
    });
    assert!(
        status
            .suspended
            .is_some_and(|reason| reason.contains("could not be evaluated"))
    );
    commit(&compute, &tables, &[(pair(2, "a"), 2, 1)], 3);
    assert_eq!(shown(&compute, 1, 2).rows.len(), 2);
}

#[test]
fn views_that_begin_while_commits_come_take_in_each_change_once() {
    /// More than read their tables at the same time.
    const VIEWS: u32 = 24;
    for workers in [1, 2, 4] {
        let (compute, tables) = start(workers);
        let mut upper = 1;
        let mut total = 0;
        let mut step = |count: u64| {
            let rows: Vec<_> = (0..count)
                .map(|n| (pair((total + n) as i32, "x"), upper + n, 1))
                .collect();
            commit(&compute, &tables, &rows, upper + count);
            total += count;
            upper += count;
            upper
        };
        step(200);
        let expr = get(TABLES[0]);
        let mut last = 0;
        for id in 1..=VIEWS {
            let as_of = step(3) - 1;
            compute.install(index(id, &expr, as_of));
            last = step(5);
        }
        for id in 1..=VIEWS {
            let reader = compute.reader(GlobalId(id)).expect("an index");
            let snapshot = reader.snapshot_blocking(Timestamp(last - 1), PATIENCE);
            let snapshot = snapshot.expect("a time that is there");
            let diffs: Vec<Diff> = snapshot.scan().into_iter().map(|(_, diff)| diff).collect();
            assert!(
                diffs.iter().all(|diff| *diff == 1),
                "view {id}, {workers} workers"
            );
            assert_eq!(diffs.len() as u64, last - 1, "view {id}, {workers} workers");
        }
        compute.shutdown();
    }
}
