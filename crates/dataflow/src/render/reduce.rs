//! Groups: each part of the plan gives some results for every group; several are joined by key.
//!
//! Between the parts and the end, a group is its key bytes and the packed row of its results so far. It stays
//! on the worker that owns the key.

use std::sync::Arc;

use everview_expr::aggregate::{Accumulator, AggregateInput};
use everview_expr::{AggregateExpr, MapFilterProject, ScalarExpr};
use everview_optimize::physical::{ReducePart, ReducePlan};
use everview_repr::{Datum, EvalError, Packer, Row, RowArena, RowRef, SqlState, key, row};
use timely::dataflow::Stream;
use timely::dataflow::operators::Concatenate;

use super::context::Context;
use super::extrema::{Order, behind};
use super::scratch::{Scratch, encode_key};
use super::streams::{Collection, Rows, transform};
use super::sums::{State, Summand, Sums};
use super::whole;
use crate::arrange::group::Direction;
use crate::arrange::pack::pack;
use crate::arrange::presum::{Presummer, presum};
use crate::arrange::{arrange, arrange_in_place, localize};
use crate::health::Health;
use crate::layout::{Diff, Packed};
use crate::operators::{Accumulate, Seek, Whole, reduce_total};

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
    let mut parts = Parts {
        rows: input.oks,
        key: &plan.key,
        name,
        health: &context.health,
        errs: vec![input.errs],
    };
    let mut pieces = Vec::new();
    // Where each part's results begin among those of all.
    let mut starts = Vec::with_capacity(plan.parts.len());
    let mut width = 0;
    for part in &plan.parts {
        starts.push(width);
        width += part_width(part);
        parts.render(part, &mut pieces);
    }
    let Parts { errs, .. } = parts;
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

/// What the parts of one reduction share.
struct Parts<'s, 'p> {
    rows: Rows<'s>,
    key: &'p [ScalarExpr],
    name: &'p str,
    health: &'p Arc<Health>,
    errs: Vec<Rows<'s>>,
}

impl<'s> Parts<'s, '_> {
    fn render(&mut self, part: &ReducePart, pieces: &mut Vec<Groups<'s>>) {
        match part {
            ReducePart::Distinct => pieces.push(self.distinct()),
            ReducePart::Accumulable(aggregates) => pieces.push(self.accumulable(aggregates)),
            ReducePart::AccumulableDistinct(aggregates) => {
                pieces.push(self.accumulable_distinct(aggregates));
            }
            ReducePart::Extrema { aggregates } => {
                pieces.extend(aggregates.iter().map(|aggregate| self.extremum(aggregate)));
            }
            ReducePart::First(exprs) => pieces.push(self.first(exprs)),
            ReducePart::WholeGroup(aggregates) => {
                pieces.extend(
                    aggregates
                        .iter()
                        .map(|aggregate| self.whole_group(aggregate)),
                );
            }
        }
    }

    /// Packs each row under its group's key; `logic` appends to key and value, and gives the diff.
    fn pack<C: 'static, R: Diff>(
        &mut self,
        context: C,
        name: &str,
        mut logic: impl for<'e> FnMut(
            &'e C,
            &[Datum<'e>],
            &'e RowArena,
            &mut Vec<u8>,
            &mut Vec<u8>,
            i64,
        ) -> R
        + 'static,
    ) -> Stream<'s, u64, Packed<u64, R>> {
        let exprs = self.key.to_vec();
        let health = Arc::clone(self.health);
        let mut scratch = Scratch::default();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let name = format!("{} pack {name}", self.name);
        let (packed, errs) = pack(
            self.rows.clone(),
            &name,
            move |row: Row, time, diff, packer| {
                health.run(|| {
                    let context = (&context, &exprs, &row);
                    let packed =
                        scratch.run(&context, |(context, exprs, row), datums, arena, _| {
                            datums.extend(row.iter());
                            value.clear();
                            encode_key(&mut key, exprs, datums, arena)?;
                            Ok(logic(context, datums, arena, &mut key, &mut value, diff))
                        });
                    match packed {
                        Ok(change) => packer.push(&key, &value, time, change),
                        Err(error) => packer.error(error, time, diff),
                    }
                });
            },
        );
        self.errs.push(errs);
        packed
    }

    fn distinct(&mut self) -> Groups<'s> {
        let packed = self.pack((), "distinct", |(), _, _, _, _, diff| diff);
        let name = format!("{} distinct", self.name);
        let index = localize(arrange(packed, &name));
        reduce_total(
            index,
            &name,
            Accumulate::new(|key: &[u8], rows: &i64, output: &mut Vec<(Keyed, i64)>| {
                if *rows > 0 {
                    output.push(((key.to_vec(), Row::default()), 1));
                }
            }),
        )
    }

    fn accumulable(&mut self, aggregates: &[AggregateExpr]) -> Groups<'s> {
        let summands: Vec<Summand> = aggregates.iter().map(Summand::of).collect();
        let context = (self.key.to_vec(), summands.clone());
        let health = Arc::clone(self.health);
        let mut scratch = Scratch::default();
        let (mut key, mut bytes) = (Vec::new(), Vec::new());
        let logic = move |row: Row, diff, sums: &mut Presummer<'_, Sums>| {
            let summed = health.run(|| {
                let context = (&context, &row);
                scratch.run(&context, |((exprs, summands), row), datums, arena, _| {
                    datums.extend(row.iter());
                    encode_key(&mut key, exprs, datums, arena)?;
                    sums.add(&key, |sum| {
                        sum.add(summands, datums, diff, arena, &mut bytes)
                    });
                    Ok(())
                })
            });
            summed.unwrap_or(Ok(()))
        };
        let name = format!("{} sum accumulable", self.name);
        let (packed, errs) = presum(self.rows.clone(), &name, logic);
        self.errs.push(errs);
        self.finish(packed, summands, "accumulable")
    }

    /// The results of groups from their sums.
    fn finish(
        &self,
        packed: Stream<'s, u64, Packed<u64, Sums>>,
        summands: Vec<Summand>,
        name: &str,
    ) -> Groups<'s> {
        let name = format!("{} {name}", self.name);
        let health = Arc::clone(self.health);
        let mut scratch = Scratch::default();
        let emit = move |key: &[u8], sums: &Sums, output: &mut Vec<(Keyed, i64)>| {
            if sums.rows == 0 {
                return;
            }
            let row = health.run(|| {
                let context = (&summands, sums);
                scratch.run(&context, |(summands, sums), _, arena, packer| {
                    for (summand, state) in summands.iter().zip(&sums.states) {
                        match sums.rows {
                            1.. => summand.finish(state, arena, packer),
                            _ => packer.push(arena.error(&negative())),
                        }
                    }
                    packer.finish()
                })
            });
            output.extend(row.map(|row| ((key.to_vec(), row), 1)));
        };
        reduce_total(
            localize(arrange(packed, &name)),
            &name,
            Accumulate::new(emit),
        )
    }

    /// First the distinct arguments of each group, by group and arguments; then their sums.
    fn accumulable_distinct(&mut self, aggregates: &[AggregateExpr]) -> Groups<'s> {
        let Some(first) = aggregates.first() else {
            return self.distinct();
        };
        let packed = self.pack(
            first.clone(),
            "distinct arguments",
            |aggregate, datums, arena, key, value, diff| {
                let group = key.len() as u32;
                match aggregate.input(datums, arena) {
                    AggregateInput::Skipped => key.push(SKIPPED),
                    AggregateInput::Args(args) => {
                        key.push(ARGUMENTS);
                        args.iter().for_each(|arg| key::push(key, *arg));
                        args.iter().for_each(|arg| row::push_datum(value, *arg));
                    }
                    AggregateInput::Failed(error) => {
                        key.push(FAILED);
                        key.extend_from_slice(error.bytes());
                        row::push_datum(value, Datum::Error(error));
                    }
                }
                key.extend_from_slice(&group.to_be_bytes());
                diff
            },
        );
        let name = format!("{} distinct arguments", self.name);
        let emit =
            |key: &[u8], head: &crate::operators::Head, output: &mut Vec<((Keyed, u8), i64)>| {
                if let (Some((args, _)), Some((rest, group))) =
                    (head.rows.first(), key.split_last_chunk::<4>())
                {
                    let group = u32::from_be_bytes(*group) as usize;
                    let args = RowRef::from_packed(args).to_row();
                    output.push((((rest[..group].to_vec(), args), rest[group]), 1));
                }
            };
        let distinct = reduce_total(
            localize(arrange(packed, &name)),
            &name,
            Seek::new(Direction::Forward, 0, Some(1), emit),
        );
        let members = aggregates.to_vec();
        let health = Arc::clone(self.health);
        type Distinct = (Keyed, u8);
        let logic =
            move |((key, args), kind): Distinct,
                  time: u64,
                  diff: i64,
                  packer: &mut crate::arrange::pack::Packer<'_, u64, Sums, Row>| {
                health.run(|| {
                    let args = args.unpack();
                    let states = members.iter().map(|aggregate| {
                        let mut sum = Accumulator::default();
                        match (kind, args.first()) {
                            (SKIPPED, _) => {}
                            (FAILED, Some(Datum::Error(error))) => sum.add_error(*error, diff),
                            _ => sum.add(aggregate.func, &args, diff),
                        }
                        State::Sum(sum)
                    });
                    let sums = Sums {
                        rows: diff,
                        states: states.collect(),
                    };
                    packer.push(&key, &[], time, sums);
                });
            };
        let (packed, errs) = pack(distinct, &format!("{name} pack"), logic);
        self.errs.push(errs);
        let summands = aggregates.iter().cloned().map(Summand::Sum).collect();
        self.finish(packed, summands, "accumulable distinct")
    }

    fn extremum(&mut self, aggregate: &AggregateExpr) -> Groups<'s> {
        let order = Order::of(aggregate);
        let direction = order.direction;
        let context = (aggregate.clone(), order.clone());
        let packed = self.pack(
            context,
            "extremum",
            |(aggregate, order), datums, arena, _, value, diff| {
                order.encode(value, aggregate.input(datums, arena));
                diff
            },
        );
        let emit =
            move |key: &[u8], head: &crate::operators::Head, output: &mut Vec<(Keyed, i64)>| {
                let row = match (&head.negative, head.rows.first()) {
                    (Some(_), _) => super::scratch::error_row(&negative()),
                    (None, Some((value, _))) => order.decode(value),
                    (None, None) => return,
                };
                output.push(((key.to_vec(), row), 1));
            };
        let name = format!("{} extremum", self.name);
        reduce_total(
            localize(arrange(packed, &name)),
            &name,
            Seek::new(direction, 0, Some(1), emit),
        )
    }

    fn first(&mut self, exprs: &[ScalarExpr]) -> Groups<'s> {
        let packed = self.pack(
            exprs.to_vec(),
            "first",
            |exprs, datums, arena, _, value, diff| {
                exprs
                    .iter()
                    .for_each(|expr| row::push_datum(value, expr.eval(datums, arena)));
                diff
            },
        );
        let name = format!("{} first", self.name);
        let emit = |key: &[u8], head: &crate::operators::Head, output: &mut Vec<(Keyed, i64)>| {
            if let Some((value, _)) = head.rows.first() {
                output.push(((key.to_vec(), RowRef::from_packed(value).to_row()), 1));
            }
        };
        let seek = Seek::new(Direction::Forward, 0, Some(1), emit);
        reduce_total(localize(arrange(packed, &name)), &name, seek)
    }

    /// Value bytes: what kind of row it is, its sort key, and its arguments with their length behind them.
    fn whole_group(&mut self, aggregate: &AggregateExpr) -> Groups<'s> {
        let packed = self.pack(
            aggregate.clone(),
            "group",
            |aggregate, datums, arena, _, value, diff| {
                match aggregate.input(datums, arena) {
                    AggregateInput::Failed(error) => {
                        value.push(FAILED);
                        value.extend_from_slice(error.bytes());
                    }
                    AggregateInput::Args(args) => {
                        value.push(ARGUMENTS);
                        aggregate.sort_key(value, datums, &args, arena);
                        let start = value.len();
                        args.iter().for_each(|arg| row::push_datum(value, *arg));
                        let length = (value.len() - start) as u32;
                        value.extend_from_slice(&length.to_be_bytes());
                    }
                    AggregateInput::Skipped => value.push(SKIPPED),
                }
                diff
            },
        );
        let name = format!("{} whole group", self.name);
        let aggregate = aggregate.clone();
        let health = Arc::clone(self.health);
        let emit = move |key: &[u8],
                         values: &mut dyn Iterator<Item = (&[u8], i64)>,
                         output: &mut Vec<(Keyed, i64)>| {
            let values: Vec<(&[u8], i64)> = values.collect();
            let row = health.run(|| whole::group_result(&aggregate, &values));
            if let Some(Some(row)) = row {
                output.push(((key.to_vec(), row), 1));
            }
        };
        reduce_total(localize(arrange(packed, &name)), &name, Whole::new(emit))
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
        let logic =
            move |(key, row): Keyed,
                  time: u64,
                  diff: i64,
                  packer: &mut crate::arrange::pack::Packer<'_, u64, i64, ()>| {
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
