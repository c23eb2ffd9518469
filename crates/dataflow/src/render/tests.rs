//! Rendered dataflows against answers from scratch, at every time, for 1, 2 and 4 workers; and how results leave.

mod behaviour;
mod generate;
mod oracle;
mod resources;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use everview_expr::{Id, RelExpr, ScalarExpr};
use everview_optimize::lowering::{Indexes, lower};
use everview_optimize::physical::{Arrangement, DataflowPlan};
use everview_repr::{GlobalId, RelationDesc, Timestamp};
use proptest::prelude::*;

use crate::{Changes, Compute, Contents, DataflowDesc, DataflowId, Export, Tally};
use generate::{Entropy, History};
use oracle::Answer;
use tables::Tables;

/// Readers in tests wait that long at most.
pub const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// The dataflow of an expression over tables.
pub fn plan(expr: &RelExpr) -> DataflowPlan {
    plan_over(expr, &Indexes::new())
}

/// The dataflow of an expression over tables and indexes.
pub fn plan_over(expr: &RelExpr, indexes: &Indexes) -> DataflowPlan {
    let reads = everview_optimize::lowering::global_reads(expr);
    let types = expr.ty().columns;
    let names = types
        .iter()
        .enumerate()
        .map(|(n, ty)| (format!("c{n}"), ty.clone()));
    DataflowPlan {
        sources: reads
            .iter()
            .filter(|id| !indexes.contains_key(id))
            .map(|id| (*id, 2))
            .collect(),
        imports: indexes
            .iter()
            .filter(|(id, _)| reads.contains(id))
            .map(|(id, indexes)| (*id, indexes.clone()))
            .collect(),
        plan: lower(expr, indexes).expect("a plan"),
        desc: RelationDesc::new(names),
    }
}

/// Rows arranged by their first column, or by nothing.
pub fn by_first_column(expr: &RelExpr) -> Arrangement {
    let types = expr.ty().columns;
    let key = if types.is_empty() {
        vec![]
    } else {
        vec![ScalarExpr::Column(0)]
    };
    Arrangement::new(key, &types)
}

/// An index of an expression.
pub fn index(id: u32, expr: &RelExpr, as_of: u64) -> DataflowDesc {
    DataflowDesc {
        id: DataflowId(u64::from(id)),
        name: format!("view {id}"),
        plan: plan(expr),
        as_of: Timestamp(as_of),
        until: None,
        export: Export::Index {
            id: GlobalId(id),
            arrangements: vec![by_first_column(expr)],
            tally: Some(Arc::new(Tally::new((as_of..64).map(Timestamp)))),
        },
    }
}

/// Commits a history's changes of some times, in one group.
pub fn advance(compute: &Compute, tables: &Tables, history: &History, times: std::ops::Range<u64>) {
    let mut changes = Vec::new();
    for (table, commits) in history.by_table() {
        let rows: Vec<_> = commits
            .iter()
            .filter(|(_, time, _)| times.contains(&time.0))
            .cloned()
            .collect();
        tables.add(table, &rows);
        // Now and then as a commit too large to hold.
        changes.push((
            table,
            match times.end % 3 {
                0 => Changes::Stored {
                    after: Timestamp(times.start).previous(),
                    up_to: Timestamp(times.end - 1),
                },
                _ => Changes::Rows(Arc::new(rows)),
            },
        ));
    }
    compute.advance(Arc::new(changes), Timestamp(times.end));
}

/// What an index shows as of a time.
pub fn shown(compute: &Compute, id: u32, time: u64) -> Answer {
    let reader = compute.reader(GlobalId(id)).expect("an index");
    let snapshot = reader
        .snapshot_blocking(Timestamp(time), PATIENCE)
        .expect("a time that is there");
    let mut answer = Answer::default();
    for (row, diff) in snapshot.scan() {
        *answer.rows.entry(row).or_default() += diff;
    }
    let errors = snapshot.errors();
    assert_eq!(snapshot.error().as_ref(), errors.first());
    answer
        .errors
        .extend(errors.iter().map(super::scratch::error_row));
    answer
}

/// What an index's tally says as of a time, once.
fn told(compute: &Compute, id: u32, time: u64) -> Contents {
    loop {
        let mut tallies = compute.tallies().into_iter();
        let (_, tally, upper) = tallies
            .find(|(index, _, _)| *index == GlobalId(id))
            .expect("a tally");
        // Readers see what is new a little before this is said.
        if upper > Timestamp(time) {
            return tally.take(Timestamp(time)).expect("an end");
        }
        std::thread::yield_now();
    }
}

/// A random case: a view, a view over it, how its tables change, and in what portions workers hear of it.
struct Case {
    view: RelExpr,
    over: RelExpr,
    history: History,
    start: u64,
    group: u64,
}

impl Case {
    fn new(bytes: Vec<u8>, history: History, start: u64, group: u64) -> Case {
        let mut entropy = Entropy::new(bytes);
        let view = generate::relation(&mut entropy, 3);
        entropy.over(RelExpr::Get {
            id: Id::Global(GlobalId(1)),
            ty: view.ty(),
        });
        let over = generate::relation(&mut entropy, 2);
        let start = start.min(history.end - 1);
        Case {
            view,
            over,
            history,
            start,
            group,
        }
    }

    /// What the views are at a time, from scratch.
    fn expected(&self, time: u64) -> [Answer; 2] {
        let mut tables = self.history.tables_at(time);
        let view = oracle::evaluate(&self.view, &tables);
        tables.insert(GlobalId(1), view.clone());
        [view, oracle::evaluate(&self.over, &tables)]
    }

    /// Workers' answers against those from scratch, at every time: of a view that starts late, of one that starts
    /// in the past and catches up, and of one over the first one's index.
    fn check(&self, workers: usize, expected: &[[Answer; 2]]) {
        let Case { history, start, .. } = self;
        let tables = Arc::new(Tables::default());
        let compute = Compute::start(workers, tables.clone()).expect("workers start");
        advance(&compute, &tables, history, 0..start + 1);
        compute.install(index(1, &self.view, *start));
        compute.install(index(2, &self.view, start / 2));
        let there = [(
            GlobalId(1),
            vec![(GlobalId(1), by_first_column(&self.view))],
        )];
        compute.install(DataflowDesc {
            plan: plan_over(&self.over, &there.into()),
            ..index(3, &self.over, *start)
        });
        let mut next = start + 1;
        while next < history.end {
            let end = (next + self.group).min(history.end);
            advance(&compute, &tables, history, next..end);
            next = end;
        }
        for time in start / 2..history.end {
            for (id, of) in [(1, 0), (2, 0), (3, 1)] {
                if id != 2 && time < *start {
                    continue;
                }
                let expected = &expected[time as usize][of];
                let found = shown(&compute, id, time);
                let context = || {
                    let status = compute.status(DataflowId(u64::from(id)));
                    let exprs = [&self.view, &self.over];
                    format!(
                        "view {id} at {time} of {}, {workers} workers: {status:?}\n{:#?}\n{history:?}",
                        history.end, exprs[of]
                    )
                };
                assert_eq!(found, *expected, "{}", context());
                assert_eq!(found.digests(), expected.digests(), "{}", context());
                assert_eq!(told(&compute, id, time), found.contents(), "{}", context());
            }
        }
        compute.shutdown();
    }
}

/// Cases of the property; `EVERVIEW_CASES` asks for more.
fn cases() -> u32 {
    let wanted = std::env::var("EVERVIEW_CASES").ok();
    wanted
        .and_then(|wanted| wanted.parse().ok())
        .unwrap_or(CASES)
}

/// What takes some twenty seconds in a debug build.
const CASES: u32 = 96;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn views_equal_answers_from_scratch_at_every_time(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        history in generate::history(),
        start in 0u64..8,
        group in 1u64..5,
    ) {
        let case = Case::new(bytes, history, start, group);
        let expected: Vec<_> = (0..case.history.end).map(|time| case.expected(time)).collect();
        for workers in [1, 2, 4] {
            case.check(workers, &expected);
        }
    }
}
