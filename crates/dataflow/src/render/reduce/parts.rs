//! The parts of a reduction: each packs rows under their group's key, and gives results by the reduction of its kind.

use std::sync::Arc;

use everview_expr::aggregate::{Accumulator, AggregateInput};
use everview_expr::{AggregateExpr, ScalarExpr};
use everview_optimize::physical::ReducePart;
use everview_repr::{Datum, Row, RowArena, RowRef, key, row};
use timely::dataflow::Stream;

use super::{ARGUMENTS, FAILED, Groups, Keyed, SKIPPED, negative};
use crate::arrange::group::Direction;
use crate::arrange::pack::{self, pack};
use crate::arrange::presum::{Presummer, presum};
use crate::arrange::{arrange, localize};
use crate::health::Health;
use crate::layout::{Diff, Packed};
use crate::operators::{Accumulate, Head, Seek, Whole, reduce_total};
use crate::render::extrema::Order;
use crate::render::scratch::{Scratch, encode_key, error_row};
use crate::render::streams::{Collection, Rows};
use crate::render::sums::{State, Summand, Sums};
use crate::render::whole;

/// What the parts of one reduction share.
pub struct Parts<'s, 'p> {
    rows: Rows<'s>,
    key: &'p [ScalarExpr],
    name: &'p str,
    health: &'p Arc<Health>,
    errs: Vec<Rows<'s>>,
}

impl<'s, 'p> Parts<'s, 'p> {
    /// Parts over this input, grouped by this key.
    pub fn new(
        input: Collection<'s>,
        key: &'p [ScalarExpr],
        name: &'p str,
        health: &'p Arc<Health>,
    ) -> Parts<'s, 'p> {
        Parts {
            rows: input.oks,
            key,
            name,
            health,
            errs: vec![input.errs],
        }
    }

    /// The errors of the input and of all parts.
    pub fn into_errors(self) -> Vec<Rows<'s>> {
        self.errs
    }

    /// Adds the pieces of a part: groups with some results each.
    pub fn render(&mut self, part: &ReducePart, pieces: &mut Vec<Groups<'s>>) {
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
        let emit = |key: &[u8], head: &Head, output: &mut Vec<((Keyed, u8), i64)>| {
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
        let logic = move |((key, args), kind): Distinct,
                          time: u64,
                          diff: i64,
                          packer: &mut pack::Packer<'_, u64, Sums, Row>| {
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
        let emit = move |key: &[u8], head: &Head, output: &mut Vec<(Keyed, i64)>| {
            let row = match (&head.negative, head.rows.first()) {
                (Some(_), _) => error_row(&negative()),
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
        let emit = |key: &[u8], head: &Head, output: &mut Vec<(Keyed, i64)>| {
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
