//! Joins: linear, with an arrangement of each intermediate result, and delta, with none.
//!
//! Both yield by fuel, within a key too: what is put out in one turn of the worker is bounded, whatever the keys.
//!
//! The plan says which arrangements are looked into; an input that is a table, a binding or an index by itself
//! shares them with every other node of the dataflow that asks for the same.
//!
//! Errors. A row whose key fails is an error and has no partners. A condition that fails on the way does not stop a
//! row: it goes on with the error as a datum behind its columns, and is an error only if it reaches the end, where
//! no other condition has dropped it. So the paths of a delta join agree, whatever their order, and what errors
//! there are does not depend on the plan.

use std::sync::Arc;

use everview_expr::{MapFilterProject, ScalarExpr};
use everview_optimize::physical::{
    Arrangement, DeltaPath, DeltaStage, JoinInput, JoinPlan, JoinSource, LinearStage,
};
use everview_repr::{Datum, Packer, Row, RowArena, RowRef, key};
use timely::container::{CapacityContainerBuilder, PushInto};
use timely::dataflow::operators::Concatenate;

use super::context::{Context, shared_id};
use super::read::read_index;
use super::scratch::{Scratch, encode_key, encode_whole_key, read_back};
use super::streams::{Collection, Index, Outcome, Rows, Sink, arrange_rows, split, transform};
use crate::arrange::pack::pack;
use crate::health::Health;
use crate::operators::{Comparison, half_join, join};

/// What joins put out.
type Joined = CapacityContainerBuilder<Vec<(Outcome, u64, i64)>>;

/// An input with its arrangements.
struct Input<'s> {
    rows: Option<Rows<'s>>,
    indexes: Vec<(Arrangement, Index<'s>)>,
}

/// Renders a join.
pub fn render<'s>(
    context: &mut Context<'s>,
    inputs: &[JoinInput],
    plan: &JoinPlan,
) -> Collection<'s> {
    let name = context.name("join");
    let mut errs = Vec::new();
    let rendered: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(n, i)| input(context, i, &format!("{name} input {n}"), &mut errs))
        .collect();
    let oks = match plan {
        JoinPlan::Linear {
            source,
            initial,
            stages,
        } => linear(
            context, &rendered, *source, initial, stages, &name, &mut errs,
        ),
        JoinPlan::Delta { paths } => {
            let paths = paths
                .iter()
                .map(|path| delta(context, &rendered, path, &name, &mut errs));
            let paths: Vec<_> = paths.collect();
            context.scope.concatenate(paths)
        }
    };
    Collection {
        oks,
        errs: context.scope.concatenate(errs),
    }
}

fn input<'s>(
    context: &mut Context<'s>,
    input: &JoinInput,
    name: &str,
    errs: &mut Vec<Rows<'s>>,
) -> Input<'s> {
    let shared = match &input.source {
        JoinSource::Arranged(id) => Some(*id),
        JoinSource::Plan(plan) => shared_id(plan),
    };
    if let Some(id) = shared {
        let rows = match context.rows(id) {
            // An imported index is read back only where no arrangement of it is asked for.
            None if input.arrangements.is_empty() => Some(context.get(id).oks),
            rows => rows,
        };
        errs.push(context.get(id).errs);
        let indexes = input.arrangements.iter().map(|arrangement| {
            let (index, failed) = context.index(id, arrangement);
            errs.push(failed);
            (arrangement.clone(), index)
        });
        let indexes = indexes.collect();
        let read = Input { rows, indexes };
        if !input.compared.is_empty() {
            let rows = rows_of(context, &read, &format!("{name} read"));
            errs.push(failures(rows, &input.compared, name, &context.health));
        }
        return read;
    }
    let JoinSource::Plan(plan) = &input.source else {
        unreachable!("an arranged input is shared")
    };
    let collection = context.render(plan);
    errs.push(collection.errs);
    if !input.compared.is_empty() {
        let rows = collection.oks.clone();
        errs.push(failures(rows, &input.compared, name, &context.health));
    }
    let indexes = input
        .arrangements
        .iter()
        .enumerate()
        .map(|(n, arrangement)| {
            let name = format!("{name} {n}");
            let (index, failed) =
                arrange_rows(collection.oks.clone(), arrangement, &name, &context.health);
            errs.push(failed);
            (arrangement.clone(), index)
        });
    let indexes = indexes.collect();
    Input {
        rows: Some(collection.oks),
        indexes,
    }
}

/// The errors of the rows for which one of these expressions fails.
fn failures<'s>(
    rows: Rows<'s>,
    exprs: &[ScalarExpr],
    name: &str,
    health: &Arc<Health>,
) -> Rows<'s> {
    let exprs = exprs.to_vec();
    let mut scratch = Scratch::default();
    let mut key = Vec::new();
    let name = format!("{name} compared");
    let logic = move |row: Row, time, diff, sink: &mut Sink<'_>| {
        let context = (&exprs, &row);
        let errors = scratch.run(&context, |(exprs, row), datums, arena, _| {
            datums.extend(row.iter());
            encode_whole_key(&mut key, exprs, datums, arena)
        });
        for error in errors {
            sink.outcome(Err(error), time, diff);
        }
    };
    transform(rows, &name, health, logic).errs
}

/// The rows of an input: as they were rendered, else read from its first arrangement.
fn rows_of<'s>(context: &Context<'s>, input: &Input<'s>, name: &str) -> Rows<'s> {
    match (&input.rows, input.indexes.first()) {
        (Some(rows), _) => rows.clone(),
        (None, Some((arrangement, index))) => read_index(index.clone(), arrangement, name),
        (None, None) => timely::dataflow::operators::generic::operator::empty(context.scope),
    }
}

/// Evaluates what is applied to two rows side by side.
struct Closure {
    /// How the left row is arranged under the key; absent where it is whole in its value bytes.
    left: Option<Arrangement>,
    right: Arrangement,
    mfp: MapFilterProject,
    /// Nothing follows: what failed on the way is an error now.
    last: bool,
    scratch: Scratch,
    health: Arc<Health>,
}

impl Closure {
    fn call(&mut self, key: &[u8], left: &[u8], right: &[u8]) -> Option<Outcome> {
        let Closure {
            left: arranged,
            right: arrangement,
            mfp,
            last,
            scratch,
            health,
        } = self;
        let context = (arranged, arrangement, mfp, key, left, right);
        let evaluate = || {
            scratch.run(
                &context,
                |(arranged, arrangement, mfp, key, left, right), datums, arena, packer| {
                    let failed = match arranged {
                        Some(arranged) => {
                            let failed = read_back(arranged, key, left, datums, arena);
                            // Two imported indexes hold rows whose keys failed, under their errors.
                            if key::may_hold_error(key) && fails(&arranged.key, datums, arena) {
                                return None;
                            }
                            failed
                        }
                        None => {
                            datums.extend(RowRef::from_packed(left).iter());
                            let columns = mfp.input_arity - arrangement.columns.len();
                            datums.drain(columns..).next()
                        }
                    };
                    read_back(arrangement, key, right, datums, arena);
                    finish(mfp, failed, *last, datums, arena, packer)
                },
            )
        };
        health.run(evaluate)?
    }
}

/// Whether one of these expressions fails.
fn fails<'a>(exprs: &'a [ScalarExpr], datums: &[Datum<'a>], arena: &'a RowArena) -> bool {
    let mut values = exprs.iter().map(|expr| expr.eval(datums, arena));
    values.any(|value| matches!(value, Datum::Error(_)))
}

/// Applies conditions and projection to a row that may have failed before. One that fails goes on with its error
/// behind its columns, or is an error if this is the last step.
fn finish<'a>(
    mfp: &'a MapFilterProject,
    failed: Option<Datum<'a>>,
    last: bool,
    datums: &mut Vec<Datum<'a>>,
    arena: &'a RowArena,
    packer: &mut Packer,
) -> Option<Outcome> {
    let error = match mfp.evaluate_datums(datums, arena) {
        Ok(false) => return None,
        Ok(true) => failed,
        Err(error) => {
            let error = arena.error(&error);
            Some(failed.map_or(error, |failed| least(failed, error)))
        }
    };
    match error {
        Some(error) if last => return Some(Err(Row::pack([error]))),
        error => {
            let columns = mfp.projection.iter().map(|column| datums[*column]);
            columns.chain(error).for_each(|datum| packer.push(datum));
        }
    }
    Some(Ok(packer.finish()))
}

/// The lesser of two errors.
fn least<'a>(a: Datum<'a>, b: Datum<'a>) -> Datum<'a> {
    match (a, b) {
        (Datum::Error(a), Datum::Error(b)) => Datum::Error(a.min(b)),
        (a, _) => a,
    }
}

/// Applies to the rows of the first input what concerns it alone.
fn start<'s>(
    rows: Rows<'s>,
    initial: &MapFilterProject,
    name: &str,
    health: &Arc<Health>,
) -> Rows<'s> {
    if initial.is_identity() {
        return rows;
    }
    let mfp = initial.clone();
    let mut scratch = Scratch::default();
    let logic = move |row: Row, time, diff, sink: &mut Sink<'_>| {
        let made = scratch.run(&(&mfp, &row), |(mfp, row), datums, arena, packer| {
            datums.extend(row.iter());
            finish(mfp, None, false, datums, arena, packer)
        });
        if let Some(outcome) = made {
            sink.outcome(outcome, time, diff);
        }
    };
    transform(rows, &format!("{name} initial"), health, logic).oks
}

fn linear<'s>(
    context: &Context<'s>,
    inputs: &[Input<'s>],
    source: usize,
    initial: &MapFilterProject,
    stages: &[LinearStage],
    name: &str,
    errs: &mut Vec<Rows<'s>>,
) -> Rows<'s> {
    let health = &context.health;
    let mut rows = rows_of(context, &inputs[source], &format!("{name} read"));
    let mut reads_source = initial.is_identity();
    rows = start(rows, initial, name, health);
    for (n, stage) in stages.iter().enumerate() {
        let name = format!("{name} stage {n}");
        let there = inputs[source]
            .indexes
            .iter()
            .find(|(a, _)| reads_source && *a == stage.stream);
        let left = match there {
            Some((_, index)) => index.clone(),
            None => {
                let (left, failed) = arrange_rows(rows, &stage.stream, &name, health);
                errs.push(failed);
                left
            }
        };
        let (arrangement, right) = &inputs[stage.input].indexes[stage.arrangement];
        let mut closure = Closure {
            left: Some(stage.stream.clone()),
            right: arrangement.clone(),
            mfp: stage.closure.clone(),
            last: n + 1 == stages.len(),
            scratch: Scratch::default(),
            health: Arc::clone(health),
        };
        let joined = join::<_, _, Joined, _>(
            left,
            right.clone(),
            &name,
            move |key, left, right, time, diff, output: &mut Joined| {
                if let Some(outcome) = closure.call(key, left, right) {
                    output.push_into((outcome, time, diff));
                }
            },
        );
        let joined = split(joined, &format!("{name} results"), health);
        rows = joined.oks;
        errs.push(joined.errs);
        reads_source = false;
    }
    rows
}

fn delta<'s>(
    context: &Context<'s>,
    inputs: &[Input<'s>],
    path: &DeltaPath,
    name: &str,
    errs: &mut Vec<Rows<'s>>,
) -> Rows<'s> {
    let name = format!("{name} path {}", path.source);
    // Changes come from the arrangement, so that they are those that other paths see.
    let source = &inputs[path.source];
    let rows = match source.indexes.first() {
        Some((arrangement, index)) => {
            read_index(index.clone(), arrangement, &format!("{name} read"))
        }
        None => rows_of(context, source, &name),
    };
    let mut rows = start(rows, &path.initial, &name, &context.health);
    for (n, stage) in path.stages.iter().enumerate() {
        let name = format!("{name} stage {n}");
        let comparison = match stage.input < path.source {
            true => Comparison::UpTo,
            false => Comparison::Before,
        };
        let last = n + 1 == path.stages.len();
        let found = look_up(context, inputs, stage, rows, comparison, last, &name);
        rows = found.oks;
        errs.push(found.errs);
    }
    rows
}

fn look_up<'s>(
    context: &Context<'s>,
    inputs: &[Input<'s>],
    stage: &DeltaStage,
    rows: Rows<'s>,
    comparison: Comparison,
    last: bool,
    name: &str,
) -> Collection<'s> {
    let exprs = stage.key.clone();
    let health = Arc::clone(&context.health);
    let mut scratch = Scratch::default();
    let mut key = Vec::new();
    // A key that fails is one over its own input, whose arrangement by it tells.
    let (changes, _) = pack(
        rows,
        &format!("pack {name}"),
        move |row: Row, time, diff, packer: &mut crate::arrange::pack::Packer<'_, u64, i64, ()>| {
            health.run(|| {
                let context = (&exprs, &row);
                let encoded = scratch.run(&context, |(exprs, row), datums, arena, _| {
                    datums.extend(row.iter());
                    encode_key(&mut key, exprs, datums, arena)
                });
                if encoded.is_ok() {
                    packer.push(&key, row.bytes(), time, diff);
                }
            });
        },
    );
    let (arrangement, index) = &inputs[stage.input].indexes[stage.arrangement];
    let mut closure = Closure {
        left: None,
        right: arrangement.clone(),
        mfp: stage.closure.clone(),
        last,
        scratch: Scratch::default(),
        health: Arc::clone(&context.health),
    };
    let joined = half_join::<_, Joined, _>(
        changes,
        index.clone(),
        name,
        comparison,
        move |key, left, right, time, diff, output: &mut Joined| {
            if let Some(outcome) = closure.call(key, left, right) {
                output.push_into((outcome, time, diff));
            }
        },
    );
    split(joined, &format!("{name} results"), &context.health)
}
