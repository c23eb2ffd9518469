//! One point of the matrix: the workload with a fault at one operation, and what is left after each way to end.
//!
//! Invariant: after every end the contents are those after the acknowledged steps, or after those and the one in
//! flight, whole; and the server goes on from there to the contents of an undisturbed run.

use std::collections::BTreeMap;
use std::path::Path;

use everview_log::vfs::{Fault, FaultFs, Loss, Operation};

use super::server::{Contents, Image, Server, clear};
use super::workload::{OBJECTS, Step};

/// The faults of every point.
pub const FAULTS: [Fault; 5] = [
    Fault::Error,
    Fault::Torn,
    Fault::DiskFull,
    Fault::KillBefore,
    Fault::KillAfter,
];

/// Steps done after a fault, and after a recovery.
pub const AFTER: usize = 2;

/// How the machine ends after the fault: killed, or without power.
const ENDS: [Option<Loss>; 3] = [None, Some(Loss::All), Some(Loss::Some)];

/// What an undisturbed run was like.
pub struct Undisturbed {
    /// The workload.
    pub steps: Vec<Step>,
    /// The number of the first operation of the start, of every step, and of what comes after.
    pub firsts: Vec<u64>,
    /// Contents after so many steps, where they are needed.
    pub contents: BTreeMap<usize, Contents>,
}

/// What a point came to.
#[derive(Debug)]
pub struct Met {
    /// What the fault met; none if the run had fewer operations.
    pub struck: Option<Operation>,
    /// Whether the server took no more writes after it.
    pub stopped: bool,
    /// Recoveries that were judged.
    pub recoveries: u64,
}

/// How far a run came.
pub struct Progress {
    /// Acknowledged steps.
    pub done: usize,
    /// Whether the next one may have taken effect.
    pub doubt: bool,
    /// Whether the server takes no more writes.
    pub stopped: bool,
}

/// Disturbs operation `at` with `fault`.
///
/// # Errors
/// What was wrong, in words.
pub fn run(
    plan: &Undisturbed,
    at: u64,
    fault: Fault,
    seed: u64,
    folder: &Path,
) -> Result<Met, String> {
    let broken = |error: std::io::Error| format!("the test's own folder: {error}");
    clear(folder).map_err(broken)?;
    let fs = FaultFs::new(seed ^ at);
    fs.inject_change(at, fault);
    let server = Server::start(folder, &fs);
    let progress = match &server {
        Ok(server) => disturbed(plan, &fs, server, fault)?,
        Err(_) => Progress {
            done: 0,
            doubt: false,
            stopped: false,
        },
    };
    // What a kill leaves: a clean stop would write more.
    let (disk, store) = (fs.fork(), Image::take(folder).map_err(broken)?);
    disk.clear_faults();
    drop(server);
    for end in ENDS {
        match end {
            None | Some(Loss::Some) => store.restore(folder).map_err(broken)?,
            Some(_) => clear(folder).map_err(broken)?,
        }
        recover(plan, &progress, &disk.fork(), end, (at, fault), folder)
            .map_err(|what| format!("after {end:?}: {what}"))?;
    }
    Ok(Met {
        struck: fs.struck().first().map(|(operation, _)| *operation),
        stopped: progress.stopped,
        recoveries: ENDS.len() as u64,
    })
}

/// Runs the workload to the fault and a little further.
fn disturbed(
    plan: &Undisturbed,
    fs: &FaultFs,
    server: &Server,
    fault: Fault,
) -> Result<Progress, String> {
    let mut left = AFTER;
    for (done, step) in plan.steps.iter().enumerate() {
        let met = !fs.struck().is_empty();
        if met && left == 0 {
            return Ok(progress(done, false));
        }
        left -= usize::from(met);
        let Err(error) = server.run(step) else {
            silent(fs, met)?;
            continue;
        };
        if matches!(fault, Fault::KillBefore | Fault::KillAfter) {
            return Ok(Progress {
                stopped: true,
                ..progress(done, true)
            });
        }
        let what = format!("the failed step {done}");
        same(plan, &[done], &server.contents()?, &what)?;
        if let Err(again) = server.run(step) {
            if fault == Fault::DiskFull {
                return Err(format!("with room again, step {done}: {}", again.message));
            }
            if !again.message.contains("takes no more writes since cannot") {
                return Err(format!("step {done} again: {}", again.message));
            }
            same(plan, &[done], &server.contents()?, "the refused step")?;
            return Ok(Progress {
                stopped: true,
                ..progress(done, true)
            });
        }
        if matches!(
            fs.struck()[..],
            [(Operation::SyncData | Operation::SyncDir, _), ..]
        ) && fault != Fault::DiskFull
        {
            return Err(format!(
                "step {done} was written after a failed sync: {}",
                error.message
            ));
        }
    }
    Ok(progress(plan.steps.len(), false))
}

fn progress(done: usize, doubt: bool) -> Progress {
    Progress {
        done,
        doubt,
        stopped: false,
    }
}

/// A step was acknowledged in which the fault struck: that is right for room given back, and for what needs no room.
fn silent(fs: &FaultFs, met_before: bool) -> Result<(), String> {
    match fs.struck().first() {
        Some((operation, Fault::Error | Fault::Torn))
            if !met_before && !matches!(operation, Operation::Truncate | Operation::Remove) =>
        {
            Err(format!(
                "a step was acknowledged although {operation:?} failed"
            ))
        }
        _ => Ok(()),
    }
}

/// Ends the machine, starts it again, and judges what is there.
pub fn recover(
    plan: &Undisturbed,
    progress: &Progress,
    fs: &FaultFs,
    end: Option<Loss>,
    (at, fault): (u64, Fault),
    folder: &Path,
) -> Result<(), String> {
    fail(fs, end);
    if end == Some(Loss::Some) {
        // Recovery meets the fault, too.
        fs.inject_change(fs.changes() + at % 8, fault);
        drop(Server::start(folder, fs));
        fs.clear_faults();
        fail(fs, end);
    }

    let server = Server::start(folder, fs)
        .map_err(|error| format!("it does not start: {}", error.message))?;
    let mut allowed = vec![progress.done];
    if progress.doubt {
        allowed.push(progress.done + 1);
    }
    let mut reached = same(plan, &allowed, &server.contents()?, "what came back")?;
    let in_flight = plan.steps.get(progress.done);
    if reached > progress.done && in_flight.is_some_and(|step| step.repeatable) {
        // The client does not know, and sends it again.
        reached = progress.done;
    }
    let last = plan.steps.len().min(progress.done + AFTER);
    for (number, step) in plan.steps.iter().enumerate().take(last).skip(reached) {
        server
            .run(step)
            .map_err(|error| format!("step {number} after it: {}", error.message))?;
    }
    let expected = [last.max(reached)];
    same(plan, &expected, &server.contents()?, "what came after")?;
    if end == Some(Loss::All) {
        let disk = fs.fork();
        drop(server);
        disk.power_off(Loss::All);
        let again = Server::start(folder, &disk)
            .map_err(|error| format!("it does not start once more: {}", error.message))?;
        same(
            plan,
            &expected,
            &again.contents()?,
            "a second power failure",
        )?;
    }
    Ok(())
}

fn fail(fs: &FaultFs, end: Option<Loss>) {
    match end {
        None => fs.restart(),
        Some(loss) => fs.power_off(loss),
    }
}

/// Which of the `allowed` numbers of steps the contents are those after.
fn same(
    plan: &Undisturbed,
    allowed: &[usize],
    found: &Contents,
    what: &str,
) -> Result<usize, String> {
    let mut differs = Vec::new();
    for &steps in allowed {
        match plan.contents.get(&steps) {
            Some(expected) if expected == found => return Ok(steps),
            Some(expected) => {
                let pairs = OBJECTS.iter().zip(expected.iter().zip(found));
                let names = pairs
                    .filter(|(_, (e, f))| e != f)
                    .map(|((name, _), _)| *name);
                differs.push(format!(
                    "after {steps} steps {}",
                    names.collect::<Vec<_>>().join(", ")
                ));
            }
            None => return Err(format!("the contents after {steps} steps are not known")),
        }
    }
    Err(format!("{what} differs: {}", differs.join("; ")))
}
