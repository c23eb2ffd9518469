//! What keeps some of a group's rows: top-k, and positive multiplicities.

use std::sync::Arc;

use everview_optimize::physical::{Arrangement, TopKPlan};
use everview_repr::{Datum, Row, RowRef, key};

use super::extrema::behind;
use super::reduce::negative;
use super::scratch::{Scratch, arranged_row, error_row};
use super::streams::{Collection, Outcome, pack_rows, split};
use crate::arrange::group::Direction;
use crate::arrange::pack::pack;
use crate::arrange::{arrange, localize};
use crate::health::Health;
use crate::operators::{Head, Seek, Whole, extrema_append_only, reduce_total};

/// Winners up to which an append-only top-k keeps them itself.
const MOST_KEPT: u64 = 1 << 10;

/// The first rows of each group. Value bytes: the order's key, then the row with its length behind it.
pub fn top_k<'s>(
    input: Collection<'s>,
    plan: &TopKPlan,
    name: &str,
    health: &Arc<Health>,
) -> Collection<'s> {
    let (group_key, order) = (plan.group_key.clone(), plan.order.clone());
    let guard = Arc::clone(health);
    let mut scratch = Scratch::default();
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let (packed, failed) = pack(
        input.oks,
        &format!("{name} pack"),
        move |row: Row, time, diff, packer| {
            guard.run(|| {
                let context = (&group_key, &order, &row);
                let failed = scratch.run(&context, |(group_key, order, row), datums, _, _| {
                    datums.extend(row.iter());
                    let columns = group_key.iter().copied();
                    let mut columns = columns.chain(order.iter().map(|order| order.column));
                    if let Some(error) = columns.find_map(|column| error_in([datums[column]])) {
                        return Some(error);
                    }
                    key.clear();
                    group_key
                        .iter()
                        .for_each(|column| key::push(&mut key, datums[*column]));
                    value.clear();
                    key::push_order_by(&mut value, datums, order);
                    value.extend_from_slice(row.bytes());
                    value.extend_from_slice(&(row.bytes().len() as u32).to_be_bytes());
                    None
                });
                match failed {
                    None => packer.push(&key, &value, time, diff),
                    Some(error) => packer.error(error, time, diff),
                }
            });
        },
    );
    let emit = |_key: &[u8], head: &Head, output: &mut Vec<(Outcome, i64)>| {
        if head.negative.is_some() {
            output.push((Err(error_row(&negative())), 1));
        }
        for (value, count) in &head.rows {
            output.push((Ok(RowRef::from_packed(behind(value).1).to_row()), *count));
        }
    };
    let few = plan
        .limit
        .filter(|limit| plan.append_only && plan.offset == 0 && *limit <= MOST_KEPT);
    let rows = match few {
        Some(limit) => extrema_append_only(packed, name, Direction::Forward, limit, emit),
        None => {
            let seek = Seek::new(Direction::Forward, plan.offset, plan.limit, emit);
            reduce_total(localize(arrange(packed, name)), name, seek)
        }
    };
    split(rows, &format!("{name} results"), health)
        .with_errors(input.errs)
        .with_errors(failed)
}

/// The first error among some datums, as the row of an error collection.
fn error_in<'d>(datums: impl IntoIterator<Item = Datum<'d>>) -> Option<Row> {
    let mut datums = datums.into_iter();
    datums.find_map(|datum| matches!(datum, Datum::Error(_)).then(|| Row::pack([datum])))
}

/// Positive multiplicities only. Rows that are equal but not identical cancel each other out, the greatest
/// identity first. A row that holds an error cannot be compared, and is one.
pub fn threshold<'s>(
    input: Collection<'s>,
    arrangement: &Arrangement,
    name: &str,
    health: &Arc<Health>,
) -> Collection<'s> {
    let (packed, _) = pack_rows(
        input.oks,
        arrangement,
        true,
        &format!("{name} pack"),
        health,
    );
    let arrangement = arrangement.clone();
    let mut scratch = Scratch::default();
    let emit = move |key: &[u8],
                     values: &mut dyn Iterator<Item = (&[u8], i64)>,
                     output: &mut Vec<(Outcome, i64)>| {
        let values: Vec<(&[u8], i64)> = values.collect();
        if let Some((value, _)) = values.first() {
            let row = arranged_row(&mut scratch, &arrangement, key, value);
            if let Some(error) = error_in(row.iter()) {
                output.push((Err(error), 1));
                return;
            }
        }
        let mut left: i64 = values.iter().map(|(_, count)| *count).sum();
        for (value, count) in values {
            let kept = count.min(left);
            if kept > 0 {
                left -= kept;
                output.push((
                    Ok(arranged_row(&mut scratch, &arrangement, key, value)),
                    kept,
                ));
            }
        }
    };
    let rows = reduce_total(localize(arrange(packed, name)), name, Whole::new(emit));
    split(rows, &format!("{name} results"), health).with_errors(input.errs)
}
