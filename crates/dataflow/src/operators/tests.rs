//! Operators against answers computed from scratch, at every time, over families of shapes.
//!
//! A script says which updates each round brings, how far the frontier then moves, and whether the
//! dataflow gets to run before the next round. Output up to each time must equal the oracle's answer as
//! of that time, whatever the number of workers.

mod look_up;
mod reductions;
mod sharing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use timely::dataflow::Stream;
use timely::dataflow::operators::{Input as _, Inspect, Probe};

use crate::layout::Packed;

/// Key, value, time, diff.
pub type Update = (Vec<u8>, Vec<u8>, u64, i64);
/// Multiplicities of values, by key.
pub type Contents = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, i64>>;
/// An answer's rows.
pub type Rows<D> = BTreeMap<D, i64>;

/// One round of a script.
#[derive(Clone, Debug)]
pub struct Round {
    pub updates: Vec<Update>,
    /// The frontier moves on to here.
    pub advance: u64,
    /// The dataflow runs until it has caught up before the next round.
    pub settle: bool,
}

pub type Script = Vec<Round>;

/// The contents as of `time`.
pub fn contents(script: &Script, time: u64) -> Contents {
    let mut contents = Contents::new();
    for (key, val, at, diff) in script.iter().flat_map(|round| &round.updates) {
        if *at <= time {
            *contents
                .entry(key.clone())
                .or_default()
                .entry(val.clone())
                .or_default() += diff;
        }
    }
    for group in contents.values_mut() {
        group.retain(|_, diff| *diff != 0);
    }
    contents.retain(|_, group| !group.is_empty());
    contents
}

pub fn end(script: &Script) -> u64 {
    script.last().map_or(0, |round| round.advance)
}

/// What a family of scripts looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub keys: u8,
    pub values: u16,
    /// Rounds, and updates in each.
    pub rounds: usize,
    pub updates: usize,
    /// Times that a round may span.
    pub times: u64,
    /// Only ever add.
    pub append: bool,
    /// Multiplicities may become negative.
    pub negative: bool,
}

pub const SMALL: Shape = Shape {
    keys: 3,
    values: 12,
    rounds: 8,
    updates: 12,
    times: 3,
    append: false,
    negative: false,
};

/// Raw choices, from which [`script`] makes a script of the shape.
pub type Seed = Vec<(Vec<(u8, u16, u64, bool)>, bool, u64)>;

pub fn seed(shape: Shape) -> impl Strategy<Value = Seed> {
    let update = (
        0..shape.keys,
        0..shape.values,
        0..shape.times,
        any::<bool>(),
    );
    let round = (
        prop::collection::vec(update, 0..=shape.updates),
        any::<bool>(),
        0..=shape.times,
    );
    prop::collection::vec(round, 1..=shape.rounds)
}

/// A script from raw choices: removals take away what is there, unless negatives are wanted.
pub fn script(shape: Shape, seed: &Seed) -> Script {
    let mut now = 0;
    let mut script = Script::new();
    for (choices, settle, advance) in seed {
        let mut updates: Vec<Update> = choices
            .iter()
            .map(|(key, val, time, remove)| {
                // Keys and values of differing lengths, one a prefix of another now and then.
                let key = vec![*key; 1 + usize::from(*key % 2)];
                let val = if val % 5 == 0 {
                    vec![]
                } else {
                    val.to_be_bytes().to_vec()
                };
                (
                    key,
                    val,
                    now + time,
                    if *remove && !shape.append { -1 } else { 1 },
                )
            })
            .collect();
        updates.sort_by_key(|update| update.2);
        if !shape.negative {
            drop_removals_of_nothing(&script, &mut updates);
        }
        now += (*advance).max(1);
        let late = updates.iter().map(|update| update.2 + 1).max().unwrap_or(0);
        let advance = if *settle { now.max(late) } else { now };
        now = advance;
        script.push(Round {
            updates,
            advance,
            settle: *settle,
        });
    }
    let last = script
        .iter()
        .flat_map(|r| &r.updates)
        .map(|u| u.2 + 1)
        .max()
        .unwrap_or(0);
    script.push(Round {
        updates: vec![],
        advance: now.max(last) + 1,
        settle: true,
    });
    script
}

/// Drops the removals that would make some multiplicity negative at some time.
fn drop_removals_of_nothing(script: &Script, updates: &mut Vec<Update>) {
    let mut history: Vec<Update> = script.iter().flat_map(|r| r.updates.clone()).collect();
    updates.retain(|update| {
        history.push(update.clone());
        let mut own: Vec<(u64, i64)> = history
            .iter()
            .filter(|other| other.0 == update.0 && other.1 == update.1)
            .map(|other| (other.2, other.3))
            .collect();
        own.sort();
        let mut count = 0;
        let fine = own.chunk_by(|a, b| a.0 == b.0).all(|at| {
            count += at.iter().map(|(_, diff)| diff).sum::<i64>();
            count >= 0
        });
        if !fine {
            history.pop();
        }
        fine
    });
}

/// Output updates, as they come.
pub type Captured<D> = Arc<Mutex<Vec<(D, u64, i64)>>>;

pub fn capture<'scope, D: Clone + Send + 'static>(
    stream: Stream<'scope, u64, Vec<(D, u64, i64)>>,
    into: &Captured<D>,
) -> Stream<'scope, u64, Vec<(D, u64, i64)>> {
    let into = Arc::clone(into);
    stream.inspect(move |update| into.lock().unwrap().push(update.clone()))
}

/// The part of a round's updates that one worker brings in.
pub fn share(updates: &[Update], worker: usize, workers: usize) -> Packed<u64, i64> {
    let mut packed = Packed::default();
    for (key, val, time, diff) in updates.iter().skip(worker).step_by(workers) {
        packed.push(key, val, *time, *diff);
    }
    packed
}

/// Runs a script through a dataflow of one input, and returns all output updates.
pub fn run<D, F>(workers: usize, script: &Script, build: F) -> Vec<(D, u64, i64)>
where
    D: Clone + Send + 'static,
    F: for<'s> Fn(Stream<'s, u64, Packed<u64, i64>>) -> Stream<'s, u64, Vec<(D, u64, i64)>>
        + Send
        + Sync
        + 'static,
{
    let captured: Captured<D> = Captured::default();
    let (into, script) = (Arc::clone(&captured), script.clone());
    timely::execute(timely::Config::process(workers), move |worker| {
        let (mut input, probe) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, stream) = scope.new_input::<Packed<u64, i64>>();
            let (probe, _) = capture(build(stream), &into).probe();
            (input, probe)
        });
        for round in &script {
            let mut packed = share(&round.updates, worker.index(), worker.peers());
            input.send_batch(&mut packed);
            input.advance_to(round.advance);
            if round.settle {
                worker.step_or_park_while(None, || probe.less_than(&round.advance));
            } else {
                worker.step();
            }
        }
    })
    .expect("workers start");
    Arc::into_inner(captured)
        .expect("workers ended")
        .into_inner()
        .unwrap()
}

/// Asserts that output up to each time from `since` on equals the oracle's answer as of that time, and
/// that no time, and no row at one time, is put out without need.
pub fn check<D: Clone + Ord + std::fmt::Debug>(
    output: &[(D, u64, i64)],
    times: std::ops::Range<u64>,
    oracle: impl Fn(u64) -> Rows<D>,
) {
    for time in times {
        let mut rows = Rows::new();
        for (row, at, diff) in output {
            if *at <= time {
                *rows.entry(row.clone()).or_default() += diff;
            }
        }
        rows.retain(|_, diff| *diff != 0);
        assert_eq!(rows, oracle(time), "as of {time}");
    }
}
