//! Table functions: each input row with each row of a function over it.
//!
//! One row may stand for any number, so that an activation is bounded by [`Fuel`] and stops within a call, which goes on
//! where it stopped.

use std::collections::VecDeque;
use std::sync::Arc;

use everview_expr::{CallTypes, MapFilterProject, ScalarExpr, TableFunc, table_func};
use everview_repr::{Datum, EvalError, Row};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::scratch::{Scratch, error_row};
use super::streams::{Builder, Collection, Update};
use crate::health::Health;
use crate::operators::fuel::Fuel;

/// A call of a table function.
pub struct Call {
    /// The function.
    pub func: TableFunc,
    /// Its arguments over the input row.
    pub args: Vec<ScalarExpr>,
    /// What it was resolved to.
    pub types: Arc<CallTypes>,
    /// A last column that counts.
    pub ordinality: bool,
    /// Applied to the input row and the function's columns.
    pub mfp: MapFilterProject,
}

/// Rows to call it for, and how far that got.
struct Pending {
    oks: Capability<u64>,
    errs: Capability<u64>,
    rows: std::vec::IntoIter<Update>,
    current: Option<(Update, table_func::Place)>,
}

/// A call, and memory for it.
struct Caller {
    call: Call,
    outer: Scratch,
    inner: Scratch,
}

impl Caller {
    /// Gives the rows for one input row until there are no more, which it returns, or `more` says so.
    fn work(
        &mut self,
        row: &Row,
        place: &mut table_func::Place,
        out: &mut dyn FnMut(Result<Row, EvalError>),
        mut more: impl FnMut() -> bool,
    ) -> bool {
        let Caller { call, outer, inner } = self;
        let mut stopped = false;
        let context = (&*call, row);
        let result = outer.run(&context, |(call, row), datums, arena, _| {
            datums.extend(row.iter());
            let args = call.args.iter().map(|arg| arg.eval(datums, arena));
            let args: Vec<_> = args.collect();
            table_func::resume(
                call.func,
                &call.types,
                &args,
                place,
                &mut |ordinal, found| {
                    let context = (call, row, &found);
                    let made = inner.run(&context, |(call, row, found), datums, arena, packer| {
                        datums.extend(row.iter());
                        datums.extend(found.iter());
                        if call.ordinality {
                            datums.push(Datum::Int64(ordinal as i64));
                        }
                        call.mfp.evaluate(datums, arena, packer)
                    });
                    if let Some(made) = made.transpose() {
                        out(made);
                    }
                    stopped = !more();
                    !stopped
                },
            )
        });
        if let Err(error) = result {
            out(Err(error));
            return true;
        }
        !stopped
    }
}

/// Renders a call for each row.
pub fn render<'s>(
    input: Collection<'s>,
    call: Call,
    name: &str,
    health: &Arc<Health>,
) -> Collection<'s> {
    let health = Arc::clone(health);
    let scope = input.oks.scope();
    let mut operator = OperatorBuilder::new(name.to_owned(), scope);
    let activator = scope.activator_for(operator.operator_info().address);
    let mut rows = operator.new_input(input.oks, Pipeline);
    let (oks, oks_stream) = operator.new_output();
    let (errs, errs_stream) = operator.new_output();
    let mut oks = OutputBuilder::<u64, Builder>::from(oks);
    let mut errs = OutputBuilder::<u64, Builder>::from(errs);
    operator.build(move |_capabilities| {
        let mut pending: VecDeque<Pending> = VecDeque::new();
        let mut caller = Caller {
            call,
            outer: Scratch::default(),
            inner: Scratch::default(),
        };
        move |_frontiers| {
            rows.for_each(|capability, rows| {
                let both = (capability.retain_least(0), capability.retain_least(1));
                if let (Some(oks), Some(errs)) = both {
                    pending.push_back(Pending {
                        oks,
                        errs,
                        rows: std::mem::take(rows).into_iter(),
                        current: None,
                    });
                }
            });
            let mut oks = oks.activate();
            let mut errs = errs.activate();
            let mut fuel = Fuel::full();
            while let Some(unit) = pending.front_mut() {
                if fuel.is_empty() {
                    activator.activate();
                    return;
                }
                fuel.burn(1);
                if unit.current.is_none() {
                    unit.current = unit
                        .rows
                        .next()
                        .map(|row| (row, table_func::Place::default()));
                }
                let Some(((row, time, diff), place)) = &mut unit.current else {
                    pending.pop_front();
                    continue;
                };
                let mut fine = oks.session_with_builder(&unit.oks);
                let mut failed = Vec::new();
                let done = health.run(|| {
                    let mut out = |made| match made {
                        Ok(made) => fine.give((made, *time, *diff)),
                        Err(error) => failed.push((error_row(&error), *time, *diff)),
                    };
                    let more = || {
                        fuel.burn(1);
                        !fuel.is_empty() && !health.is_broken()
                    };
                    caller.work(row, place, &mut out, more)
                });
                drop(fine);
                if !failed.is_empty() {
                    errs.session_with_builder(&unit.errs)
                        .give_iterator(failed.into_iter());
                }
                match done {
                    Some(true) => unit.current = None,
                    Some(false) => {}
                    None => pending.clear(),
                }
            }
        }
    });
    let output = Collection {
        oks: oks_stream,
        errs: errs_stream,
    };
    output.with_errors(input.errs)
}
