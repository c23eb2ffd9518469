//! Aggregates over frames.
//!
//! Frames move forwards only, so that each row enters and leaves a running state once: accumulable aggregates add
//! and retract, extrema keep the rows that can still win (a monotonic queue), and only whole-group aggregates read
//! each frame anew. Rows with errors are counted beside it.

use super::frame::Partition;
use crate::aggregate::{Accumulator, AggregateExpr, AggregateInput, AggregateKind};
use everview_repr::datum::ErrorRef;
use everview_repr::{Datum, Row, RowArena, key};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// The aggregate's value for each row's frame.
pub(super) fn eval<'a>(
    aggregate: &'a AggregateExpr,
    partition: &Partition<'a>,
    frames: &[Range<usize>],
    arena: &'a RowArena,
) -> Vec<Datum<'a>> {
    let inputs: Vec<_> = (0..partition.len())
        .map(|i| aggregate.input(partition.row(i), arena))
        .collect();
    let mut state: Box<dyn Running<'a> + '_> = match aggregate.kind() {
        AggregateKind::Accumulable => Box::new(Sum {
            aggregate,
            state: Accumulator::default(),
        }),
        AggregateKind::Min => Box::new(Extremum {
            max: false,
            queue: VecDeque::new(),
        }),
        AggregateKind::Max => Box::new(Extremum {
            max: true,
            queue: VecDeque::new(),
        }),
        AggregateKind::WholeGroup => Box::new(Whole {
            aggregate,
            inputs: &inputs,
        }),
    };
    let mut errors = BTreeMap::<ErrorRef<'a>, usize>::new();
    let mut current = 0..0;
    let mut out: Vec<Datum<'a>> = Vec::with_capacity(frames.len());
    for (i, frame) in frames.iter().enumerate() {
        if let Some(last) = out.last().filter(|_| frame == &frames[i - 1]) {
            out.push(*last);
            continue;
        }
        debug_assert!(
            frame.start >= current.start && frame.end >= current.end,
            "frames move forwards"
        );
        // A frame that starts beyond the current one's end skips the rows between.
        let leaving = current.start..frame.start.min(current.end);
        let entering = current.end.max(frame.start)..frame.end;
        leaving.for_each(|row| match &inputs[row] {
            AggregateInput::Args(args) => state.leave(row, args),
            AggregateInput::Failed(error) => leave_error(&mut errors, *error),
            AggregateInput::Skipped => {}
        });
        entering.for_each(|row| match &inputs[row] {
            AggregateInput::Args(args) => state.enter(row, args),
            AggregateInput::Failed(error) => *errors.entry(*error).or_default() += 1,
            AggregateInput::Skipped => {}
        });
        current = frame.clone();
        out.push(match errors.keys().next() {
            Some(least) => Datum::Error(*least),
            None => state.value(frame.clone(), arena),
        });
    }
    out
}

fn leave_error<'a>(errors: &mut BTreeMap<ErrorRef<'a>, usize>, error: ErrorRef<'a>) {
    if let Some(count) = errors.get_mut(&error) {
        *count -= 1;
        if *count == 0 {
            errors.remove(&error);
        }
    }
}

/// A state over the rows of a frame that moves forwards. Arguments hold no errors.
trait Running<'a> {
    /// A row comes into the frame, after all that are in it.
    fn enter(&mut self, row: usize, args: &[Datum<'a>]);
    /// The frame's first row goes.
    fn leave(&mut self, row: usize, args: &[Datum<'a>]);
    /// The value over the frame.
    fn value(&self, frame: Range<usize>, arena: &'a RowArena) -> Datum<'a>;
}

struct Sum<'a> {
    aggregate: &'a AggregateExpr,
    state: Accumulator,
}

impl<'a> Running<'a> for Sum<'a> {
    fn enter(&mut self, _: usize, args: &[Datum<'a>]) {
        self.state.add(self.aggregate.func, args, 1);
    }

    fn leave(&mut self, _: usize, args: &[Datum<'a>]) {
        self.state.add(self.aggregate.func, args, -1);
    }

    fn value(&self, _: Range<usize>, arena: &'a RowArena) -> Datum<'a> {
        self.state.finish(self.aggregate.func, arena)
    }
}

/// The winner stands first; behind it rows that win once it has gone, each later and worse.
struct Extremum<'a> {
    max: bool,
    queue: VecDeque<(usize, Rank, Datum<'a>)>,
}

/// The least wins: the value in the aggregate's order, then its identity.
type Rank = (Vec<u8>, Row);

impl<'a> Running<'a> for Extremum<'a> {
    fn enter(&mut self, row: usize, args: &[Datum<'a>]) {
        let Some(&value) = args.first().filter(|v| !v.is_null()) else {
            return;
        };
        let mut sort_key = Vec::new();
        key::push_ordered(&mut sort_key, value, self.max, true);
        let rank = (sort_key, Row::pack([value]));
        while self
            .queue
            .back()
            .is_some_and(|(_, worse, _)| *worse >= rank)
        {
            self.queue.pop_back();
        }
        self.queue.push_back((row, rank, value));
    }

    fn leave(&mut self, row: usize, _: &[Datum<'a>]) {
        if self.queue.front().is_some_and(|(first, ..)| *first == row) {
            self.queue.pop_front();
        }
    }

    fn value(&self, _: Range<usize>, _: &'a RowArena) -> Datum<'a> {
        self.queue
            .front()
            .map_or(Datum::Null, |(_, _, value)| *value)
    }
}

struct Whole<'a, 'i> {
    aggregate: &'a AggregateExpr,
    inputs: &'i [AggregateInput<'a>],
}

impl<'a> Running<'a> for Whole<'a, '_> {
    fn enter(&mut self, _: usize, _: &[Datum<'a>]) {}

    fn leave(&mut self, _: usize, _: &[Datum<'a>]) {}

    fn value(&self, frame: Range<usize>, arena: &'a RowArena) -> Datum<'a> {
        let mut rows = self.inputs[frame].iter().filter_map(|input| match input {
            AggregateInput::Args(args) => Some((args.clone(), 1)),
            _ => None,
        });
        self.aggregate.eval_group(&mut rows, arena)
    }
}
