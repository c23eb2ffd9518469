//! What looks at a whole group or partition at each change: ordered aggregates and window functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use everview_expr::aggregate::OrderExpr;
use everview_expr::{AggregateExpr, ScalarExpr, WindowExpr};
use everview_repr::datum::ErrorRef;
use everview_repr::{Datum, Packer, Row, RowArena, RowRef, key};

use super::reduce::{ARGUMENTS, FAILED, arguments};
use super::scratch::{Scratch, encode_key};
use super::streams::{Collection, transform};
use crate::arrange::pack::pack;
use crate::arrange::{arrange, localize};
use crate::health::Health;
use crate::operators::{Whole, reduce_total};

/// The result of an aggregate over a group's rows, given in its order; `None` if there are none.
pub fn group_result(aggregate: &AggregateExpr, values: &[(&[u8], i64)]) -> Option<Row> {
    if values.iter().any(|(_, count)| *count < 0) {
        return Some(super::scratch::error_row(&super::reduce::negative()));
    }
    let mut group = Vec::new();
    let mut there = false;
    for (value, count) in values {
        let Ok(count) = u64::try_from(*count) else {
            continue;
        };
        there = true;
        match value.split_first() {
            // Errors sort first, the least of them before all.
            Some((&FAILED, error)) => {
                return Some(Row::pack([Datum::Error(ErrorRef::from_packed(error))]));
            }
            Some((&ARGUMENTS, rest)) => group.push((arguments(rest), count)),
            _ => {}
        }
    }
    if !there {
        return None;
    }
    if aggregate.distinct {
        keep_distinct(&mut group);
    }
    let arena = RowArena::new();
    let mut rows = group
        .into_iter()
        .map(|(args, count)| (args.iter().collect(), count));
    Some(Row::pack([aggregate.eval_group(&mut rows, &arena)]))
}

/// Of rows with equal arguments keeps the one of the least identity, once.
fn keep_distinct(group: &mut Vec<(RowRef<'_>, u64)>) {
    let keys: Vec<_> = group
        .iter()
        .map(|(args, _)| key::encode(args.iter()))
        .collect();
    let mut least: BTreeMap<_, RowRef<'_>> = BTreeMap::new();
    for (key, (args, _)) in keys.iter().zip(group.iter()) {
        let kept = least.entry(key).or_insert(*args);
        *kept = (*kept).min(*args);
    }
    let mut at = 0;
    group.retain_mut(|(args, count)| {
        let key = &keys[at];
        at += 1;
        *count = 1;
        // Taken out once met, so that repetitions go.
        least.get(key) == Some(args) && least.remove(key).is_some()
    });
}

/// Window functions over one partitioning. The partition's key arranges whole rows.
pub fn window<'s>(
    input: Collection<'s>,
    partition_by: &[ScalarExpr],
    functions: &[WindowExpr],
    name: &str,
    health: &Arc<Health>,
) -> Collection<'s> {
    let exprs = partition_by.to_vec();
    let guard = Arc::clone(health);
    let mut scratch = Scratch::default();
    let mut key = Vec::new();
    let (packed, failed) = pack(
        input.oks,
        &format!("{name} pack"),
        move |row: Row, time, diff, packer| {
            guard.run(|| {
                let context = (&exprs, &row);
                let encoded = scratch.run(&context, |(exprs, row), datums, arena, _| {
                    datums.extend(row.iter());
                    encode_key(&mut key, exprs, datums, arena)
                });
                match encoded {
                    Ok(()) => packer.push(&key, row.bytes(), time, diff),
                    Err(error) => packer.error(error, time, diff),
                }
            });
        },
    );
    let functions = functions.to_vec();
    let guard = Arc::clone(health);
    let emit = move |_key: &[u8],
                     values: &mut dyn Iterator<Item = (&[u8], i64)>,
                     output: &mut Vec<(Row, i64)>| {
        let values: Vec<(&[u8], i64)> = values.collect();
        if let Some(rows) = guard.run(|| partition_rows(&functions, &values)) {
            output.extend(rows.into_iter().map(|row| (row, 1)));
        }
    };
    let rows = reduce_total(localize(arrange(packed, name)), name, Whole::new(emit));
    let output = transform(
        rows,
        &format!("{name} results"),
        health,
        |row, time, diff, sink| {
            sink.ok(row, time, diff);
        },
    );
    output.with_errors(input.errs).with_errors(failed)
}

/// A partition's rows with the functions' values. Repetitions of a row follow each other in every order, so the
/// n-th of them takes the n-th value of each.
pub fn partition_rows(functions: &[WindowExpr], values: &[(&[u8], i64)]) -> Vec<Row> {
    let repeated = values.iter().flat_map(|(row, count)| {
        let count = usize::try_from(*count).unwrap_or(0);
        std::iter::repeat_n(RowRef::from_packed(row), count)
    });
    let rows: Vec<RowRef<'_>> = repeated.collect();
    let arena = RowArena::new();
    let mut columns: Vec<Vec<Datum<'_>>> = vec![Vec::new(); functions.len()];
    let mut orders: BTreeMap<&[OrderExpr], Vec<usize>> = BTreeMap::new();
    for (column, function) in functions.iter().enumerate() {
        let order = orders
            .entry(&function.order_by)
            .or_insert_with(|| sorted(&rows, &function.order_by, &arena));
        let ordered: Vec<_> = order.iter().map(|at| rows[*at]).collect();
        let computed = function.eval_partition(&ordered, &arena);
        let values = &mut columns[column];
        values.resize(rows.len(), Datum::Null);
        for (at, value) in order.iter().zip(computed) {
            values[*at] = value;
        }
    }
    let mut packer = Packer::default();
    let made = rows.iter().enumerate().map(|(at, row)| {
        packer.extend_row(*row);
        columns.iter().for_each(|values| packer.push(values[at]));
        packer.finish()
    });
    made.collect()
}

/// Positions of the rows in a window's order; ties by identity, then by position.
fn sorted<'a>(rows: &[RowRef<'a>], order_by: &'a [OrderExpr], arena: &'a RowArena) -> Vec<usize> {
    let mut keyed: Vec<(Vec<u8>, RowRef<'a>, usize)> = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let datums: Vec<_> = row.iter().collect();
        let mut sort_key = Vec::new();
        order_by
            .iter()
            .for_each(|order| order.push_key(&mut sort_key, &datums, arena));
        keyed.push((sort_key, *row, at));
    }
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, _, at)| at).collect()
}
