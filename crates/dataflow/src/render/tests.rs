//! Rendered dataflows against answers from scratch, at every time, for 1, 2 and 4 workers; and how results leave.

mod behaviour;
mod generate;
mod oracle;
mod tables;

use std::sync::Arc;
use std::time::Duration;

use everview_expr::{RelExpr, ScalarExpr};
use everview_optimize::lowering::lower;
use everview_optimize::physical::{Arrangement, DataflowPlan};
use everview_repr::{GlobalId, RelationDesc, Timestamp};
use proptest::prelude::*;

use crate::{Changes, Compute, DataflowDesc, DataflowId, Export};
use generate::{Entropy, History};
use oracle::Answer;
use tables::Tables;

/// Readers in tests wait that long at most.
pub const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// The dataflow of an expression over tables.
pub fn plan(expr: &RelExpr) -> DataflowPlan {
    let types = expr.ty().columns;
    let names = types
        .iter()
        .enumerate()
        .map(|(n, ty)| (format!("c{n}"), ty.clone()));
    DataflowPlan {
        sources: everview_optimize::lowering::global_reads(expr)
            .into_iter()
            .map(|id| (id, 2))
            .collect(),
        imports: Default::default(),
        plan: lower(expr, &Default::default()).expect("a plan"),
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
    answer.errors.extend(
        snapshot
            .error()
            .map(|error| super::scratch::error_row(&error)),
    );
    answer
}

fn check(expr: &RelExpr, history: &History, workers: usize, start: u64, group: u64) {
    let tables = Arc::new(Tables::default());
    let compute = Compute::start(workers, tables.clone()).expect("workers start");
    advance(&compute, &tables, history, 0..start + 1);
    // One that starts late, and one that starts in the past and catches up.
    compute.install(index(1, expr, start));
    compute.install(index(2, expr, start / 2));
    let mut next = start + 1;
    while next < history.end {
        let end = (next + group).min(history.end);
        advance(&compute, &tables, history, next..end);
        next = end;
    }
    for time in start / 2..history.end.max(start + 1) {
        let expected = oracle::evaluate(expr, &history.tables_at(time));
        for id in [1, 2] {
            if id == 1 && time < start {
                continue;
            }
            let found = shown(&compute, id, time);
            let context = || {
                let status = compute.status(DataflowId(u64::from(id)));
                format!(
                    "view {id} at {time} of {}, {workers} workers: {status:?}\n{expr:#?}\n{history:?}",
                    history.end
                )
            };
            // A fused filter drops a row whose other predicate failed, so errors may be fewer.
            if expected.errors.is_empty() {
                assert!(found.errors.is_empty(), "{found:?} {}", context());
                assert_eq!(found.rows, expected.rows, "{}", context());
            }
        }
    }
    compute.shutdown();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn views_equal_answers_from_scratch_at_every_time(
        bytes in prop::collection::vec(any::<u8>(), 0..160),
        history in generate::history(),
        workers in prop::sample::select(vec![1usize, 2, 4]),
        start in 0u64..8,
        group in 1u64..5,
    ) {
        let expr = generate::relation(&mut Entropy::new(bytes), 3);
        check(&expr, &history, workers, start.min(history.end - 1), group);
    }
}
