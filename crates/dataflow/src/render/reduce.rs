//! Groups: each part of the plan gives some results for every group; several are joined by key.
//!
//! Between the parts and the end, a group is its key bytes and the packed row of its results so far. It stays
//! on the worker that owns the key.

mod parts;

use everview_expr::MapFilterProject;
use everview_optimize::physical::{ReducePart, ReducePlan};
use everview_repr::{Datum, EvalError, Packer, Row, RowRef, SqlState, key};
use timely::dataflow::Stream;
use timely::dataflow::operators::Concatenate;

use super::context::Context;
use super::extrema::behind;
use super::scratch::Scratch;
use super::streams::{Collection, transform};
use crate::arrange::pack::{self, pack};
use crate::arrange::{arrange_in_place, localize};
use crate::operators::{Whole, reduce_total};
use parts::Parts;

/// A group: its key bytes and results.
pub type Keyed = (Vec<u8>, Row);
/// Groups over time.
pub type Groups<'s> = Stream<'s, u64, Vec<(Keyed, u64, i64)>>;

/// Renders a reduction.
pub fn render<'s>(
    context: &Context<'s>,
    input: Collection<'s>,
    plan: &ReducePlan,
    mfp: &MapFilterProject,
    name: &str,
) -> Collection<'s> {
    let mut parts = Parts::new(input, &plan.key, name, &context.health);
    let mut pieces = Vec::new();
    // Where each part's results begin among those of all.
    let mut starts = Vec::with_capacity(plan.parts.len());
    let mut width = 0;
    for part in &plan.parts {
        starts.push(width);
        width += part_width(part);
        parts.render(part, &mut pieces);
    }
    let errs = parts.into_errors();
    let groups = combine(context, pieces, name);
    let layout = Layout {
        decoded: if plan.decode_key {
            plan.key_types.clone()
        } else {
            vec![]
        },
        columns: columns(plan, &starts),
        mfp: mfp.clone(),
    };
    let mut scratch = Scratch::default();
    let name = format!("{name} results");
    let output = transform(
        groups,
        &name,
        &context.health,
        move |group: Keyed, time, diff, sink| match layout.row(&mut scratch, &group) {
            Ok(Some(row)) => sink.ok(row, time, diff),
            Ok(None) => {}
            Err(error) => sink.err(&error, time, diff),
        },
    );
    output.with_errors(context.scope.concatenate(errs))
}

/// How many results a part gives.
fn part_width(part: &ReducePart) -> usize {
    match part {
        ReducePart::Distinct => 0,
        ReducePart::Accumulable(aggregates)
        | ReducePart::AccumulableDistinct(aggregates)
        | ReducePart::Extrema { aggregates }
        | ReducePart::WholeGroup(aggregates) => aggregates.len(),
        ReducePart::First(exprs) => exprs.len(),
    }
}

/// The columns of the result among the results of all parts: first the key's, unless they are decoded.
fn columns(plan: &ReducePlan, starts: &[usize]) -> Vec<usize> {
    let first = match (plan.decode_key, starts.last()) {
        (false, Some(start)) => *start..*start + plan.key.len(),
        _ => 0..0,
    };
    first
        .chain(plan.results.iter().map(|(part, at)| starts[*part] + at))
        .collect()
}

/// How a group becomes a row.
struct Layout {
    /// Types of the key's columns, if they are decoded from it.
    decoded: Vec<everview_repr::ScalarType>,
    columns: Vec<usize>,
    mfp: MapFilterProject,
}

impl Layout {
    fn row(&self, scratch: &mut Scratch, group: &Keyed) -> Result<Option<Row>, EvalError> {
        let context = (self, group);
        scratch.run(
            &context,
            |(layout, (key, results)), datums, arena, packer| {
                let mut key = key.as_slice();
                for ty in &layout.decoded {
                    let datum = key::decode(&mut key, ty, arena);
                    datums.push(datum.expect("a key of these types that keeps identity"));
                }
                let results: smallvec::SmallVec<[Datum<'_>; 8]> = results.iter().collect();
                datums.extend(layout.columns.iter().map(|column| results[*column]));
                layout.mfp.evaluate(datums, arena, packer)
            },
        )
    }
}

/// Kinds of rows of an aggregate, in the order that they are looked at.
pub const FAILED: u8 = 0;
/// It has arguments.
pub const ARGUMENTS: u8 = 1;
/// Its filter is not true.
pub const SKIPPED: u8 = 2;

/// More was retracted from a group than was there: a broken input.
pub fn negative() -> EvalError {
    EvalError::new(
        SqlState::INTERNAL_ERROR,
        "a row was retracted that was not there",
    )
}

/// Joins what the pieces of a reduction give for each group. The value bytes are the piece and its results.
fn combine<'s>(context: &Context<'s>, mut pieces: Vec<Groups<'s>>, name: &str) -> Groups<'s> {
    let count = pieces.len();
    if count == 1 {
        return pieces.remove(0);
    }
    let packed = pieces.into_iter().enumerate().map(|(piece, groups)| {
        let mut value = Vec::new();
        let logic = move |(key, row): Keyed,
                          time: u64,
                          diff: i64,
                          packer: &mut pack::Packer<'_, u64, i64, ()>| {
            value.clear();
            value.extend_from_slice(&(piece as u16).to_be_bytes());
            value.extend_from_slice(row.bytes());
            packer.push(&key, &value, time, diff);
        };
        pack(groups, &format!("{name} pack part {piece}"), logic).0
    });
    let packed = context.scope.concatenate(packed.collect::<Vec<_>>());
    let name = format!("{name} parts");
    let mut packer = Packer::default();
    let emit = move |key: &[u8],
                     values: &mut dyn Iterator<Item = (&[u8], i64)>,
                     output: &mut Vec<(Keyed, i64)>| {
        let mut found = 0;
        packer.clear();
        for (value, _) in values {
            if let Some((piece, row)) = value.split_first_chunk::<2>()
                && usize::from(u16::from_be_bytes(*piece)) == found
            {
                packer.extend_row(RowRef::from_packed(row));
                found += 1;
            }
        }
        // Every group has every piece, unless its rows are negative, which has no answer.
        if found == count {
            output.push(((key.to_vec(), packer.finish()), 1));
        }
    };
    reduce_total(
        localize(arrange_in_place(packed, &name)),
        &name,
        Whole::new(emit),
    )
}

/// Splits whole-group value bytes into sort key and arguments.
pub fn arguments(value: &[u8]) -> RowRef<'_> {
    RowRef::from_packed(behind(value).1)
}
