//! Plans to operators.
//!
//! Each node becomes a handful of named operators, and gives rows and errors side by side:
//!
//! ```text
//!   rows  ----> [ node ] ----> rows
//!                  |  what decides about a row and fails: a filter, a key
//!                  v
//!   errors ---> [ union ] ---> errors
//! ```
//!
//! The plan holds every decision, so this is straight-line code. Invariant: each node's output up to a time is a
//! function of its input up to it, however the input is cut and however many workers there are.
//!
//! # What fails, and where it shows
//!
//! A row may hold error values; whoever computes with one gets that error. What cannot decide whether a row, or
//! which group, is there becomes an error row, and the row itself is left out:
//!
//! | node | an error value in a column | an error row |
//! |---|---|---|
//! | Constant | as given | an error instead of rows |
//! | Map | an expression that fails | |
//! | Filter | | no predicate is false or NULL, and one fails: the least of their errors |
//! | FlatMap | | an argument or the function fails |
//! | Join | | a compared expression over one input fails, whatever the other inputs hold; a condition over several inputs, as a predicate of a filter above |
//! | Reduce | an argument, filter, ORDER BY or result of an aggregate: the least error of the group | a group key fails |
//! | Reduce without aggregates (DISTINCT) | | a column of the row |
//! | TopK | columns that neither group nor order | a column that groups or orders |
//! | Window | an argument fails, for the rows that look at it; the ORDER BY or frame fails for some row, for all of its partition | a partition key fails |
//! | Threshold (EXCEPT, INTERSECT) | | a column of a row of any multiplicity but 0 |
//! | Project, Negate, Union, Let, Get, an index's key | passed on | passed on, never negated |
//!
//! Map, Filter and Project that follow each other are one step, with one conjunction of predicates, and so are they
//! with the Join, FlatMap or Reduce below them. Conditions of one input alone in a join belong to that input.
//! Errors are counted by the multiplicities of the rows that failed, which are not negative where membership is
//! decided, and are a set once they are exported. A linear join by a key over several inputs' columns evaluates it
//! once those inputs are joined.

pub mod context;
mod extrema;
mod flat_map;
mod join;
pub mod read;
pub mod reduce;
mod retained;
pub mod scratch;
pub mod streams;
mod sums;
mod whole;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use everview_expr::Id;
use everview_optimize::physical::Plan;
use timely::dataflow::operators::Concatenate;
use timely::dataflow::operators::vec::{Map, ToStream};

use crate::arrange::hash;
use crate::operators::consolidate;
use context::Context;
use scratch::error_row;
use streams::{Collection, Update, apply};

impl<'s> Context<'s> {
    /// Renders a node and all below it.
    pub fn render(&mut self, plan: &Plan) -> Collection<'s> {
        let health = Arc::clone(&self.health);
        match plan {
            Plan::Constant { rows } => self.constant(rows),
            Plan::Get { id, mfp } => {
                let input = self.get(*id);
                let name = match id {
                    Id::Global(id) => format!("get {id}"),
                    Id::Local(id) => format!("get l{}", id.0),
                };
                apply(input, mfp, &name, &health)
            }
            Plan::Let {
                id,
                value,
                arrangements,
                body,
            } => {
                let value = self.render(value);
                self.bind(*id, value);
                // Errors in their keys, and those of the value, are met by whoever reads them.
                for arrangement in arrangements {
                    self.index(Id::Local(*id), arrangement);
                }
                let body = self.render(body);
                self.unbind(*id);
                body
            }
            Plan::Mfp { input, mfp } => {
                let input = self.render(input);
                let name = self.name("map, filter, project");
                apply(input, mfp, &name, &health)
            }
            Plan::FlatMap {
                input,
                func,
                args,
                types,
                ordinality,
                mfp,
            } => {
                let input = self.render(input);
                let name = self.name("flat map");
                let call = flat_map::Call {
                    func: *func,
                    args: args.clone(),
                    types: types.clone(),
                    ordinality: *ordinality,
                    mfp: mfp.clone(),
                };
                flat_map::render(input, call, &name, &health)
            }
            Plan::Join { inputs, plan } => join::render(self, inputs, plan),
            Plan::Reduce { input, plan, mfp } => {
                let input = self.render(input);
                let name = self.name("reduce");
                reduce::render(self, input, plan, mfp, &name)
            }
            Plan::TopK { input, plan } => {
                let input = self.render(input);
                let name = self.name("top k");
                retained::top_k(input, plan, &name, &health)
            }
            Plan::Window {
                input,
                partition_by,
                functions,
            } => {
                let input = self.render(input);
                let name = self.name("window");
                whole::window(input, partition_by, functions, &name, &health)
            }
            Plan::Threshold { input, arrangement } => {
                let input = self.render(input);
                let name = self.name("threshold");
                retained::threshold(input, arrangement, &name, &health)
            }
            Plan::Negate { input } => {
                let input = self.render(input);
                let oks = input
                    .oks
                    .map(|(row, time, diff): Update| (row, time, -diff));
                Collection {
                    oks,
                    errs: input.errs,
                }
            }
            Plan::Union {
                inputs,
                consolidate: cancel,
            } => {
                let inputs: Vec<_> = inputs.iter().map(|input| self.render(input)).collect();
                let (oks, errs): (Vec<_>, Vec<_>) =
                    inputs.into_iter().map(|i| (i.oks, i.errs)).unzip();
                let mut oks = self.scope.concatenate(oks);
                if *cancel {
                    let name = self.name("consolidate");
                    oks = consolidate(oks, &name, |row: &everview_repr::Row| hash::of(row.bytes()));
                }
                Collection {
                    oks,
                    errs: self.scope.concatenate(errs),
                }
            }
        }
    }

    /// Given rows, from the first worker.
    fn constant(
        &mut self,
        rows: &Result<Vec<(everview_repr::Row, i64)>, everview_repr::EvalError>,
    ) -> Collection<'s> {
        let as_of = self.as_of;
        let here = self.worker == 0;
        let at = |(row, diff): (everview_repr::Row, i64)| (row, as_of, diff);
        let (oks, errs): (Vec<Update>, Vec<Update>) = match rows {
            _ if !here => (vec![], vec![]),
            Ok(rows) => (rows.iter().cloned().map(at).collect(), vec![]),
            Err(error) => (vec![], vec![(error_row(error), as_of, 1)]),
        };
        Collection {
            oks: oks.to_stream(self.scope),
            errs: errs.to_stream(self.scope),
        }
    }
}
