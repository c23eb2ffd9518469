//! Streams of rows, and the operators that turn one row into others.
//!
//! Every rendered node is a [`Collection`]: rows, and beside them the errors that no column can hold. An error
//! is a row of one error datum.

use std::sync::Arc;

use everview_expr::MapFilterProject;
use everview_optimize::physical::Arrangement;
use everview_repr::{EvalError, Row};
use timely::container::{CapacityContainerBuilder, ContainerBuilder, PushInto};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::scratch::{Scratch, arrange_row, error_row};
use crate::arrange::pack::pack;
use crate::arrange::{Imported, arrange, localize};
use crate::health::Health;
use crate::layout::Packed;

/// A row or an error, its time, and its multiplicity.
pub type Update = (Row, u64, i64);
/// Rows over time.
pub type Rows<'s> = Stream<'s, u64, Vec<Update>>;
/// An arrangement of rows, imported or not.
pub type Index<'s> = Imported<'s, u64, i64>;
/// Rows, some of which are rows of errors.
pub type Outcome = Result<Row, Row>;
pub(super) type Builder = CapacityContainerBuilder<Vec<Update>>;

/// Rows and errors of one node.
#[derive(Clone)]
pub struct Collection<'s> {
    /// The rows.
    pub oks: Rows<'s>,
    /// The errors.
    pub errs: Rows<'s>,
}

impl<'s> Collection<'s> {
    /// With more errors.
    pub fn with_errors(self, errs: Rows<'s>) -> Collection<'s> {
        Collection {
            oks: self.oks,
            errs: self.errs.concat(errs),
        }
    }
}

/// Where [`transform`]'s closure puts what it makes of a row.
pub struct Sink<'a> {
    oks: &'a mut Builder,
    errs: &'a mut Builder,
}

impl Sink<'_> {
    /// A row.
    pub fn ok(&mut self, row: Row, time: u64, diff: i64) {
        self.oks.push_into((row, time, diff));
    }
    /// An error.
    pub fn err(&mut self, error: &EvalError, time: u64, diff: i64) {
        self.errs.push_into((error_row(error), time, diff));
    }
    /// A row or an error.
    pub fn outcome(&mut self, outcome: Outcome, time: u64, diff: i64) {
        match outcome {
            Ok(row) => self.oks.push_into((row, time, diff)),
            Err(error) => self.errs.push_into((error, time, diff)),
        }
    }
}

/// Turns each record into any number of rows and errors, at its own time.
pub fn transform<'s, D: 'static, L>(
    input: Stream<'s, u64, Vec<(D, u64, i64)>>,
    name: &str,
    health: &Arc<Health>,
    mut logic: L,
) -> Collection<'s>
where
    L: FnMut(D, u64, i64, &mut Sink<'_>) + 'static,
{
    let health = Arc::clone(health);
    let mut operator = OperatorBuilder::new(name.to_owned(), input.scope());
    let mut input = operator.new_input(input, Pipeline);
    let (oks, oks_stream) = operator.new_output();
    let (errs, errs_stream) = operator.new_output();
    let mut oks = OutputBuilder::<u64, Builder>::from(oks);
    let mut errs = OutputBuilder::<u64, Builder>::from(errs);
    operator.build(move |_capabilities| {
        let mut failed = Builder::default();
        move |_frontiers| {
            let mut oks = oks.activate();
            let mut errs = errs.activate();
            input.for_each_stamp(|capability, data| {
                let fine = capability.retain_stamp(0);
                let mut session = oks.session_with_builder(&fine);
                for records in data {
                    for (record, time, diff) in records.drain(..) {
                        let mut sink = Sink {
                            oks: session.builder(),
                            errs: &mut failed,
                        };
                        health.run(|| logic(record, time, diff, &mut sink));
                        session.extract_and_send();
                    }
                }
                drop(session);
                while let Some(container) = failed.finish() {
                    let failing = capability.retain_stamp(1);
                    errs.session_with_builder(&failing)
                        .give_container(container);
                }
            });
        }
    });
    Collection {
        oks: oks_stream,
        errs: errs_stream,
    }
}

/// Parts rows from errors.
pub fn split<'s>(
    input: Stream<'s, u64, Vec<(Outcome, u64, i64)>>,
    name: &str,
    health: &Arc<Health>,
) -> Collection<'s> {
    transform(input, name, health, |outcome, time, diff, sink| {
        sink.outcome(outcome, time, diff)
    })
}

/// Map, filter and project.
pub fn apply<'s>(
    input: Collection<'s>,
    mfp: &MapFilterProject,
    name: &str,
    health: &Arc<Health>,
) -> Collection<'s> {
    if mfp.is_identity() {
        return input;
    }
    let mfp = mfp.clone();
    let mut scratch = Scratch::default();
    let output = transform(
        input.oks,
        name,
        health,
        move |row: Row, time, diff, sink| match scratch.apply(&mfp, &row) {
            Ok(Some(row)) => sink.ok(row, time, diff),
            Ok(None) => {}
            Err(error) => sink.err(&error, time, diff),
        },
    );
    output.with_errors(input.errs)
}

/// Packs rows as an arrangement wants them, and gives the errors in keys. Rows whose key is an error are left
/// out, or kept under it.
pub fn pack_rows<'s>(
    rows: Rows<'s>,
    arrangement: &Arrangement,
    keep_failed: bool,
    name: &str,
    health: &Arc<Health>,
) -> (Stream<'s, u64, Packed<u64, i64>>, Rows<'s>) {
    let arrangement = arrangement.clone();
    let health = Arc::clone(health);
    let mut scratch = Scratch::default();
    let (mut key, mut value) = (Vec::new(), Vec::new());
    pack(rows, name, move |row: Row, time, diff, packer| {
        health.run(|| {
            let row = row.as_ref();
            let errors = arrange_row(&mut scratch, &arrangement, row, &mut key, &mut value);
            if keep_failed || errors.is_empty() {
                packer.push(&key, &value, time, diff);
            }
            for error in errors {
                packer.error(error, time, diff);
            }
        });
    })
}

/// Arranges rows; rows whose key is an error become errors.
pub fn arrange_rows<'s>(
    rows: Rows<'s>,
    arrangement: &Arrangement,
    name: &str,
    health: &Arc<Health>,
) -> (Index<'s>, Rows<'s>) {
    let (packed, errs) = pack_rows(rows, arrangement, false, &format!("pack {name}"), health);
    (localize(arrange(packed, &format!("arrange {name}"))), errs)
}
