//! Indexes: arrangements of a result that other dataflows import and other threads read.
//!
//! Errors are exported beside the rows as a set, arranged by their packed row, with no values.

use std::sync::Arc;

use everview_optimize::physical::Arrangement;
use everview_repr::Row;
use timely::dataflow::operators::Concatenate;
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use differential_dataflow::trace::TraceReader;

use crate::arrange::pack::{Packer, pack};
use crate::arrange::publish::Published;
use crate::arrange::{Trace, allow_compaction, arrange, arrange_in_place, localize};

use crate::operators::{Accumulate, reduce_total};
use crate::render::context::Context;
use crate::render::streams::{Collection, Rows, pack_rows};

/// One worker's side of an exported index.
pub struct Exported {
    /// The rows, by arrangement.
    pub arrangements: Vec<(Arrangement, Output)>,
    /// The errors.
    pub errs: Output,
    /// Errors in the keys of rows, which are there all the same: for those who look rows up by their keys.
    pub key_errs: Output,
}

/// An arrangement that is kept and shown.
pub struct Output {
    /// Keeps it.
    pub trace: Trace<u64, i64>,
    published: Arc<Published<i64>>,
    /// Where it was when it was last shown.
    shown: Antichain<u64>,
    since: u64,
}

impl Output {
    fn new(mut trace: Trace<u64, i64>, published: Arc<Published<i64>>, since: u64) -> Output {
        trace.set_logical_compaction(AntichainRef::new(&[since]));
        Output {
            trace,
            published,
            shown: Antichain::from_elem(0),
            since,
        }
    }

    /// Shows what is new. Returns how far it is, absent when it is complete for ever.
    pub fn publish(&mut self) -> Option<u64> {
        let mut upper = Antichain::new();
        self.trace.read_upper(&mut upper);
        if upper != self.shown {
            allow_compaction(&mut self.trace, self.since);
            self.published.publish(&mut self.trace);
            self.shown = upper;
        }
        self.shown.as_option().copied()
    }

    /// Lets history before a time go, with the next change.
    pub fn allow_compaction(&mut self, since: u64) {
        if since > self.since {
            self.since = since;
            self.trace
                .set_logical_compaction(AntichainRef::new(&[since]));
        }
    }

    /// The least time that can be imported.
    pub fn since(&self) -> u64 {
        self.since
    }
}

impl Exported {
    /// All outputs.
    pub fn outputs(&mut self) -> impl Iterator<Item = &mut Output> {
        let apart = [&mut self.errs, &mut self.key_errs];
        self.arrangements
            .iter_mut()
            .map(|(_, output)| output)
            .chain(apart)
    }

    /// Shows what is new. Returns how far all of it is.
    pub fn publish(&mut self) -> Option<u64> {
        self.outputs().filter_map(Output::publish).min()
    }
}

impl Drop for Exported {
    fn drop(&mut self) {
        self.outputs().for_each(|output| output.published.retire());
    }
}

/// Renders an index; each arrangement comes with what this worker shows of it.
pub fn render<'s>(
    context: &Context<'s>,
    result: Collection<'s>,
    arrangements: Vec<(Arrangement, Arc<Published<i64>>)>,
    errors: Arc<Published<i64>>,
    key_errors: Arc<Published<i64>>,
) -> Exported {
    let since = context.as_of;
    let mut key_errs = Vec::new();

    let arrangements = arrangements
        .into_iter()
        .enumerate()
        .map(|(n, (arrangement, published))| {
            let name = format!("index {n}");
            let oks = result.oks.clone();
            let (packed, failed) = pack_rows(
                oks,
                &arrangement,
                true,
                &format!("pack {name}"),
                &context.health,
            );
            key_errs.push(failed);
            let output = Output::new(arrange(packed, &name).trace, published, since);
            (arrangement, output)
        });
    let arrangements = arrangements.collect();

    let errs = Output::new(distinct_errors(result.errs), errors, since);
    let key_errs = distinct_errors(context.scope.concatenate(key_errs));
    let key_errs = Output::new(key_errs, key_errors, since);
    Exported {
        arrangements,
        errs,
        key_errs,
    }
}

/// Errors as a set.
fn distinct_errors(errs: Rows<'_>) -> Trace<u64, i64> {
    let by_row = |row: Row, time: u64, diff: i64, packer: &mut Packer<'_, u64, i64, ()>| {
        packer.push(row.bytes(), &[], time, diff);
    };
    let counted = arrange(pack(errs, "pack errors", by_row).0, "errors");
    let emit = |key: &[u8], count: &i64, output: &mut Vec<(Row, i64)>| {
        if *count > 0 {
            output.push((everview_repr::RowRef::from_packed(key).to_row(), 1));
        }
    };
    let distinct = reduce_total(localize(counted), "distinct errors", Accumulate::new(emit));
    arrange_in_place(
        pack(distinct, "pack distinct errors", by_row).0,
        "error index",
    )
    .trace
}
