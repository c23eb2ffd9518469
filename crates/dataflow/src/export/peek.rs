//! One-off queries: the rows as of one time, gathered from all workers.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use differential_dataflow::consolidation::consolidate;
use everview_repr::datum::ErrorRef;
use everview_repr::{Datum, Diff, EvalError, Row, SqlState};
use parking_lot::Mutex;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use crate::render::reduce::negative;
use crate::render::scratch::row_error;
use crate::render::streams::{Collection, Rows, Update};

/// The most bytes of rows that a result may hold.
pub const MOST_BYTES: usize = 1 << 30;

/// Where the rows go: each with its multiplicity, which is positive, in no order.
pub type PeekSender = tokio::sync::oneshot::Sender<Result<Vec<(Row, Diff)>, EvalError>>;

/// What workers share of a peek.
pub struct Peek {
    state: Mutex<State>,
    bytes: AtomicUsize,
}

struct State {
    /// Gone once it is answered.
    sender: Option<PeekSender>,
    /// Workers that are not done.
    left: usize,
    rows: Vec<(Row, Diff)>,
    errors: Vec<(Row, Diff)>,
}

impl Peek {
    /// A peek that so many workers answer.
    pub fn new(sender: PeekSender, workers: usize) -> Peek {
        let state = State {
            sender: Some(sender),
            left: workers,
            rows: Vec::new(),
            errors: Vec::new(),
        };
        Peek {
            state: Mutex::new(state),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Answers with an error, unless it is answered.
    pub fn fail(&self, error: EvalError) {
        let mut state = self.state.lock();
        state.rows = Vec::new();
        if let Some(sender) = state.sender.take() {
            // A reader that has gone away misses nothing.
            let _ = sender.send(Err(error));
        }
    }

    /// Adds what one worker found; the last one answers.
    fn contribute(&self, rows: &mut Vec<(Row, Diff)>, errors: &mut Vec<(Row, Diff)>) {
        let mut state = self.state.lock();
        state.rows.append(rows);
        state.errors.append(errors);
        state.left -= 1;
        if state.left > 0 {
            return;
        }
        let rows = std::mem::take(&mut state.rows);
        let errors = std::mem::take(&mut state.errors);
        if let Some(sender) = state.sender.take() {
            drop(state);
            let _ = sender.send(answer(rows, errors));
        }
    }
}

/// The rows, or the least error among the errors and the rows' values.
fn answer(
    mut rows: Vec<(Row, Diff)>,
    mut errors: Vec<(Row, Diff)>,
) -> Result<Vec<(Row, Diff)>, EvalError> {
    consolidate(&mut rows);
    consolidate(&mut errors);
    let apart = errors
        .iter()
        .filter(|(_, count)| *count > 0)
        .flat_map(|(row, _)| row.iter());
    let within = rows.iter().flat_map(|(row, _)| row.iter());
    let error = apart.chain(within).filter_map(|datum| match datum {
        Datum::Error(error) => Some(error),
        _ => None,
    });
    if let Some(error) = error.min_by_key(|error| error.bytes()) {
        return Err(ErrorRef::to_error(error));
    }
    match rows.iter().any(|(_, count)| *count < 0) {
        true => Err(negative()),
        false => Ok(rows),
    }
}

/// What one worker has found.
#[derive(Default)]
struct Found {
    rows: Vec<(Row, Diff)>,
    errors: Vec<(Row, Diff)>,
    /// Rows from which on equal ones are summed up again.
    sum_at: usize,
    /// Streams that have ended.
    ended: usize,
}

/// Renders the gathering.
pub fn render(result: Collection<'_>, as_of: u64, peek: &Arc<Peek>) {
    let found = Rc::new(RefCell::new(Found {
        sum_at: 1 << 16,
        ..Found::default()
    }));
    gather(result.oks, "peek", as_of, &found, peek, |found| {
        &mut found.rows
    });
    gather(result.errs, "peek errors", as_of, &found, peek, |found| {
        &mut found.errors
    });
}

fn gather(
    rows: Rows<'_>,
    name: &str,
    as_of: u64,
    found: &Rc<RefCell<Found>>,
    peek: &Arc<Peek>,
    of: fn(&mut Found) -> &mut Vec<(Row, Diff)>,
) {
    let (found, peek) = (Rc::clone(found), Arc::clone(peek));
    let mut ended = false;
    rows.sink(Pipeline, name, move |(input, frontier)| {
        let mut found = found.borrow_mut();
        input.for_each(|_capability, updates: &mut Vec<Update>| {
            let mut bytes = 0;
            for (row, time, diff) in updates.drain(..) {
                if time <= as_of {
                    bytes += row.bytes().len() + 16;
                    of(&mut found).push((row, diff));
                }
            }
            let held = peek.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let sum_at = found.sum_at;
            let mine = of(&mut found);
            if mine.len() > sum_at || held > MOST_BYTES {
                let size = |rows: &[(Row, Diff)]| {
                    rows.iter()
                        .map(|(row, _)| row.bytes().len() + 16)
                        .sum::<usize>()
                };
                let before = size(mine);
                consolidate(mine);
                let freed = before - size(mine);
                let next = mine.len() * 2;
                found.sum_at = next.max(sum_at);
                let held = peek.bytes.fetch_sub(freed, Ordering::Relaxed) - freed;
                if held > MOST_BYTES {
                    of(&mut found).clear();
                    peek.fail(too_large());
                }
            }
        });
        if frontier.is_empty() && !ended {
            ended = true;
            found.ended += 1;
            if found.ended == 2 {
                let Found { rows, errors, .. } = &mut *found;
                consolidate(rows);
                consolidate(errors);
                peek.contribute(rows, errors);
            }
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
