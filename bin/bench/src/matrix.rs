//! `bench matrix`: every write, sync, rename, cut and folder sync of a workload fails, tears, meets a full disk, or is the
//! last one before a kill or a power failure; what comes back is judged after each.
//!
//! Invariant: a point is a function of its number and the seed, so that a run is resumed by its number.

mod point;
mod server;
#[cfg(test)]
mod tests;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use everview_log::vfs::FaultFs;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use point::{AFTER, FAULTS, Undisturbed};
use server::Server;

/// Options of the command.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Disturb every so many-th operation
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    stride: u64,
    /// Which operations a stride takes, and which unsynced writes survive a power failure
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Keep the run in this file, and go on where it stopped
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// The workload fails without any fault.
    #[error("the undisturbed workload: {0}")]
    Workload(String),
    /// The operating system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> MatrixError {
    move |source| MatrixError::Io { what, source }
}

/// What a run has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    stride: u64,
    seed: u64,
    /// Points that are over.
    points: u64,
    /// Faults that struck, by kind and operation.
    struck: BTreeMap<String, u64>,
    /// Runs whose server took no more writes.
    stopped: u64,
    recoveries: u64,
    /// What was wrong.
    failures: Vec<String>,
}

impl Tally {
    fn open(arguments: &Arguments) -> std::io::Result<Tally> {
        let fresh = Tally {
            stride: arguments.stride,
            seed: arguments.seed,
            ..Tally::default()
        };
        let Some(file) = arguments.state.as_ref().filter(|file| file.exists()) else {
            return Ok(fresh);
        };
        let kept: Tally = serde_json::from_str(&std::fs::read_to_string(file)?)?;
        if (kept.stride, kept.seed) != (fresh.stride, fresh.seed) {
            return Err(std::io::Error::other(
                "it holds a run of another stride or seed",
            ));
        }
        Ok(kept)
    }

    fn keep(&self, file: Option<&Path>) -> std::io::Result<()> {
        let Some(file) = file else { return Ok(()) };
        let passing = file.with_extension("new");
        std::fs::write(&passing, serde_json::to_string_pretty(self)?)?;
        std::fs::rename(passing, file)
    }
}

/// Runs the points that are left, and prints what was struck, recoveries, and `N passed, N failed`; true if nothing was wrong.
///
/// # Errors
/// See [`MatrixError`]. A server that does not come back is a failure of the point and not an error.
pub fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, MatrixError> {
    let folder = tempfile::tempdir().map_err(io("make a folder"))?;
    let mut tally = Tally::open(arguments).map_err(io("read the state"))?;
    let taken = |number: u64| number % arguments.stride == arguments.seed % arguments.stride;
    let plan = undisturbed(folder.path(), taken).map_err(MatrixError::Workload)?;
    let all = plan.firsts.last().copied().unwrap_or_default();
    let points: Vec<u64> = (0..all).filter(|number| taken(*number)).collect();
    let bar = ProgressBar::new(points.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} operations, {eta} left") {
        bar.set_style(style);
    }
    for &at in points.iter().skip(tally.points as usize) {
        bar.set_position(tally.points);
        for fault in FAULTS {
            match point::run(&plan, at, fault, arguments.seed, folder.path()) {
                Ok(met) => {
                    let operation = met
                        .struck
                        .map_or("nothing".to_string(), |o| format!("{o:?}"));
                    *tally
                        .struck
                        .entry(format!("{fault:?} {operation}"))
                        .or_default() += 1;
                    tally.stopped += u64::from(met.stopped);
                    tally.recoveries += met.recoveries;
                }
                Err(what) => {
                    let what = format!("operation {at}, {fault:?}: {what}");
                    bar.suspend(|| writeln!(out, "FAILED: {what}"))
                        .map_err(io("report"))?;
                    tally.failures.push(what);
                }
            }
        }
        tally.points += 1;
        tally
            .keep(arguments.state.as_deref())
            .map_err(io("keep the state"))?;
    }
    bar.finish_and_clear();
    report(&tally, all, plan.steps.len(), out).map_err(io("report"))?;
    Ok(tally.failures.is_empty())
}

fn report(tally: &Tally, all: u64, steps: usize, out: &mut impl Write) -> std::io::Result<()> {
    for (what, count) in &tally.struck {
        writeln!(out, "{count:6}  {what}")?;
    }
    let runs = tally.points * FAULTS.len() as u64;
    let failed = tally.failures.len() as u64;
    writeln!(
        out,
        "{} of {all} operations of {steps} steps, {runs} runs, {} that stopped the writes, {} recoveries judged",
        tally.points, tally.stopped, tally.recoveries
    )?;
    writeln!(out, "{} passed, {failed} failed", runs - failed)
}

/// Runs the workload twice without faults: once to count operations, once to note what the points of `taken` need.
fn undisturbed(folder: &Path, taken: impl Fn(u64) -> bool) -> Result<Undisturbed, String> {
    let steps = workload::steps();
    let mut firsts = Vec::new();
    let mut needed = BTreeSet::new();
    let mut contents = BTreeMap::new();
    for noting in [false, true] {
        server::clear(folder).map_err(|error| error.to_string())?;
        let fs = FaultFs::new(0);
        let server = Server::start(folder, &fs).map_err(|error| error.message)?;
        let mut counts = vec![0];
        for number in 0..=steps.len() {
            if noting && needed.contains(&number) {
                contents.insert(number, server.contents()?);
            }
            counts.push(fs.changes());
            if let Some(step) = steps.get(number) {
                server
                    .run(step)
                    .map_err(|error| format!("{}: {}", step.sql, error.message))?;
            }
        }
        // The start counts as the first step's: the contents are empty before either.
        for (number, span) in counts.windows(2).enumerate() {
            if (span[0]..span[1]).any(&taken) {
                let step = number.saturating_sub(1);
                // One that comes a step earlier or later than planned is still judged.
                needed.extend(step.saturating_sub(1)..=step + 2 + 2 * AFTER);
            }
        }
        firsts = counts;
    }
    Ok(Undisturbed {
        steps,
        firsts,
        contents,
    })
}
