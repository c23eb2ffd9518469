//! Joins: linear, with an arrangement of each intermediate result, and delta, with none.
//!
//! The plan says which arrangements are looked into; an input that is a table, a binding or an index by itself
//! shares them with every other node of the dataflow that asks for the same.

use std::sync::Arc;

use everview_expr::MapFilterProject;
use everview_optimize::physical::{
    Arrangement, DeltaPath, DeltaStage, JoinInput, JoinPlan, JoinSource, LinearStage,
};
use everview_repr::Row;
use timely::container::{CapacityContainerBuilder, PushInto};
use timely::dataflow::operators::Concatenate;

use super::context::{Context, shared_id};
use super::read::read_index;
use super::scratch::{Scratch, encode_key, error_row, read_back};
use super::streams::{Collection, Index, Outcome, Rows, apply, arrange_rows, split};
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
            errs.extend(failed);
            (arrangement.clone(), index)
        });
        let indexes = indexes.collect();
        return Input { rows, indexes };
    }
    let JoinSource::Plan(plan) = &input.source else {
        unreachable!("an arranged input is shared")
    };
    let collection = context.render(plan);
    errs.push(collection.errs);
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

/// The rows of an input: as they were rendered, else read from its first arrangement.
fn rows_of<'s>(context: &Context<'s>, input: &Input<'s>, name: &str) -> Rows<'s> {
    match (&input.rows, input.indexes.first()) {
        (Some(rows), _) => rows.clone(),
        (None, Some((arrangement, index))) => read_index(index.clone(), arrangement, name),
        (None, None) => timely::dataflow::operators::generic::operator::empty(context.scope),
    }
}

/// Evaluates what is applied to two arranged rows side by side.
struct Closure {
    left: Option<Arrangement>,
    right: Arrangement,
    mfp: MapFilterProject,
    scratch: Scratch,
    health: Arc<Health>,
}

impl Closure {
    /// The left row is arranged under the same key, or whole in its value bytes.
    fn call(&mut self, key: &[u8], left: &[u8], right: &[u8]) -> Option<Outcome> {
        let Closure {
            left: arranged,
            right: arrangement,
            mfp,
            scratch,
            health,
        } = self;
        let context = (arranged, arrangement, mfp, key, left, right);
        let evaluate = || {
            scratch.run(
                &context,
                |(arranged, arrangement, mfp, key, left, right), datums, arena, packer| {
                    match arranged {
                        Some(arranged) => read_back(arranged, key, left, datums, arena),
                        None => datums.extend(everview_repr::RowRef::from_packed(left).iter()),
                    }
                    read_back(arrangement, key, right, datums, arena);
                    mfp.evaluate(datums, arena, packer)
                },
            )
        };
        match health.run(evaluate)? {
            Ok(row) => row.map(Ok),
            Err(error) => Some(Err(error_row(&error))),
        }
    }
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
    let started = Collection {
        oks: rows,
        errs: context.empty(),
    };
    let started = apply(started, initial, &format!("{name} initial"), health);
    rows = started.oks;
    errs.push(started.errs);
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
    let started = Collection {
        oks: rows,
        errs: context.empty(),
    };
    let started = apply(
        started,
        &path.initial,
        &format!("{name} initial"),
        &context.health,
    );
    errs.push(started.errs);
    let mut rows = started.oks;
    for (n, stage) in path.stages.iter().enumerate() {
        let name = format!("{name} stage {n}");
        rows = look_up(context, inputs, path.source, stage, rows, &name, errs);
    }
    rows
}

fn look_up<'s>(
    context: &Context<'s>,
    inputs: &[Input<'s>],
    source: usize,
    stage: &DeltaStage,
    rows: Rows<'s>,
    name: &str,
    errs: &mut Vec<Rows<'s>>,
) -> Rows<'s> {
    let exprs = stage.key.clone();
    let health = Arc::clone(&context.health);
    let mut scratch = Scratch::default();
    let mut key = Vec::new();
    let (changes, failed) = pack(
        rows,
        &format!("pack {name}"),
        move |row: Row, time, diff, packer| {
            health.run(|| {
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
    errs.push(failed);
    let comparison = if stage.input < source {
        Comparison::UpTo
    } else {
        Comparison::Before
    };
    let (arrangement, index) = &inputs[stage.input].indexes[stage.arrangement];
    let mut closure = Closure {
        left: None,
        right: arrangement.clone(),
        mfp: stage.closure.clone(),
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
    let joined = split(joined, &format!("{name} results"), &context.health);
    errs.push(joined.errs);
    joined.oks
}
