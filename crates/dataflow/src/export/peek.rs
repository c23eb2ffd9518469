//! One-off queries: the rows as of one time, gathered from all workers.
//!
//! Equal rows are summed up while they are gathered, in parts by their hash, so that no activation sorts more than
//! one part; the sum over all is left to the reader's thread. Invariant: a part holds at most twice its distinct rows,
//! but for the first few.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use differential_dataflow::consolidation::consolidate;
use everview_repr::{Datum, Diff, EvalError, Row, SqlState};
use parking_lot::Mutex;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::arrange::hash;
use crate::render::reduce::negative;
use crate::render::scratch::row_error;
use crate::render::streams::{Collection, Rows, Update};

/// The most bytes of distinct rows that a result may hold.
pub const MOST_BYTES: usize = 1 << 30;
/// Parts of what a worker gathers: of the largest result, some ten megabytes each.
const PARTS: usize = 256;
/// Rows of a part below which equal ones are not summed up.
const FIRST_SUM: usize = 1 << 8;

/// Where the rows go.
pub type PeekSender = tokio::sync::oneshot::Sender<Result<PeekRows, EvalError>>;

/// What all workers have found, in pieces.
#[derive(Default)]
pub struct PeekRows {
    rows: Vec<Vec<(Row, Diff)>>,
    errors: Vec<Vec<(Row, Diff)>>,
}

impl PeekRows {
    /// The rows, each once with its multiplicity, which is positive, in no order; or the least error among the errors
    /// and the rows' values. It takes its time: it is not for a worker's thread.
    pub fn sum(self) -> Result<Vec<(Row, Diff)>, EvalError> {
        let rows = self.sum_with_values()?;
        let values = rows.iter().flat_map(|(row, _)| row.iter());
        let errors = values.filter_map(|datum| match datum {
            Datum::Error(error) => Some(error),
            _ => None,
        });
        match errors.min_by_key(|error| error.bytes()) {
            Some(error) => Err(error.to_error()),
            None => Ok(rows),
        }
    }

    /// As [`PeekRows::sum`], with rows that hold errors as values as they are.
    pub fn sum_with_values(self) -> Result<Vec<(Row, Diff)>, EvalError> {
        let whole = |pieces: Vec<_>| pieces.into_iter().flatten().collect();
        answer(whole(self.rows), whole(self.errors))
    }
}

/// What workers share of a peek.
pub struct Peek {
    state: Mutex<State>,
    bytes: AtomicUsize,
}

struct State {
    /// Gone once it is answered.
    sender: Option<PeekSender>,
    /// Contributions still to come: rows and errors of each worker.
    left: usize,
    found: PeekRows,
}

impl Peek {
    /// A peek that so many workers answer.
    pub fn new(sender: PeekSender, workers: usize) -> Peek {
        let state = State {
            sender: Some(sender),
            left: 2 * workers,
            found: PeekRows::default(),
        };
        Peek {
            state: Mutex::new(state),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Answers with an error, unless it is answered.
    pub fn fail(&self, error: EvalError) {
        let mut state = self.state.lock();
        state.found = PeekRows::default();
        if let Some(sender) = state.sender.take() {
            // A reader that has gone away misses nothing.
            let _ = sender.send(Err(error));
        }
    }

    /// Adds what one worker found; the last one answers.
    fn contribute(&self, kind: Kind, gathered: Gathered) {
        let mut state = self.state.lock();
        let pieces = gathered.parts.into_iter().map(|part| part.rows);
        match kind {
            Kind::Rows => state.found.rows.extend(pieces),
            Kind::Errors => state.found.errors.extend(pieces),
        }
        state.left -= 1;
        if state.left > 0 {
            return;
        }
        let found = std::mem::take(&mut state.found);
        if let Some(sender) = state.sender.take() {
            // A reader that has gone away misses nothing.
            let _ = sender.send(Ok(found));
        }
    }
}

/// The rows, or the least error among the errors.
fn answer(
    mut rows: Vec<(Row, Diff)>,
    mut errors: Vec<(Row, Diff)>,
) -> Result<Vec<(Row, Diff)>, EvalError> {
    consolidate(&mut rows);
    consolidate(&mut errors);
    let there = errors.iter().filter(|(_, count)| *count > 0);
    if let Some(error) = least_error(there.map(|(row, _)| row)) {
        return Err(error);
    }
    match rows.iter().any(|(_, count)| *count < 0) {
        true => Err(negative()),
        false => Ok(rows),
    }
}

/// What is gathered.
#[derive(Clone, Copy)]
enum Kind {
    Rows,
    Errors,
}

/// Rows of one hash.
#[derive(Default)]
struct Part {
    rows: Vec<(Row, Diff)>,
    /// Rows from which on equal ones are summed up again.
    sum_at: usize,
}

impl Part {
    /// Adds a row; gives the bytes that go when equal ones are summed up.
    fn push(&mut self, row: Row, diff: Diff) -> usize {
        self.rows.push((row, diff));
        if self.rows.len() < self.sum_at.max(FIRST_SUM) {
            return 0;
        }
        let before: usize = self.rows.iter().map(|(row, _)| bytes(row)).sum();
        consolidate(&mut self.rows);
        self.sum_at = self.rows.len() * 2;
        before - self.rows.iter().map(|(row, _)| bytes(row)).sum::<usize>()
    }
}

/// About what a row takes.
fn bytes(row: &Row) -> usize {
    row.bytes().len() + 16
}

/// What one worker has found of rows, or of errors.
struct Gathered {
    parts: Vec<Part>,
}

impl Gathered {
    fn new() -> Gathered {
        let parts = (0..PARTS).map(|_| Part::default());
        Gathered {
            parts: parts.collect(),
        }
    }

    /// Adds a row; gives the bytes that go when equal ones are summed up.
    fn push(&mut self, row: Row, diff: Diff) -> usize {
        let part = hash::of(row.bytes()) as usize % PARTS;
        self.parts[part].push(row, diff)
    }
}

/// Renders the gathering.
pub fn render(result: Collection<'_>, as_of: u64, peek: &Arc<Peek>) {
    gather(result.oks, Kind::Rows, as_of, peek);
    gather(result.errs, Kind::Errors, as_of, peek);
}

fn gather(rows: Rows<'_>, kind: Kind, as_of: u64, peek: &Arc<Peek>) {
    let name = match kind {
        Kind::Rows => "peek",
        Kind::Errors => "peek errors",
    };
    let peek = Arc::clone(peek);
    let mut gathered = Some(Gathered::new());
    rows.sink(Pipeline, name, move |(input, frontier)| {
        let Some(found) = &mut gathered else { return };
        input.for_each(|_capability, updates: &mut Vec<Update>| {
            let (mut more, mut less) = (0, 0);
            for (row, time, diff) in updates.drain(..) {
                if time <= as_of {
                    more += bytes(&row);
                    less += found.push(row, diff);
                }
            }
            let held = peek.bytes.fetch_add(more, Ordering::Relaxed) + more;
            peek.bytes.fetch_sub(less, Ordering::Relaxed);
            // Half of it may be equal rows that are not summed up yet.
            if held.saturating_sub(less) > 2 * MOST_BYTES {
                *found = Gathered::new();
                peek.fail(too_large());
            }
        });
        if frontier.is_empty()
            && let Some(found) = gathered.take()
        {
            peek.contribute(kind, found);
        }
    });
}

fn too_large() -> EvalError {
    let message = format!("the result is larger than {} MiB", MOST_BYTES >> 20);
    EvalError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
        .with_hint("Ask for fewer rows with LIMIT or a filter.")
}

/// The least of some rows of errors.
pub fn least_error<'r>(rows: impl Iterator<Item = &'r Row>) -> Option<EvalError> {
    rows.min().map(|row| row_error(row.as_ref()))
}
