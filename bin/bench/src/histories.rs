//! Strict serializability, checked over recorded histories.
//!
//! Clients run random transactions over lists, registers and sets while the server is killed now and then; what they
//! saw is checked for a serial order that agrees with real time. Clients are producers: what was in doubt is settled by
//! their last number, and zombies are fenced. Invariant: the checker knows nothing of how the server works, only what its
//! clients saw.

mod check;
mod graph;
mod history;
#[cfg(test)]
mod tests;
mod workload;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::everview::{Everview, Launch};
use crate::session::Session;
use history::{Outcome, Transaction};
use workload::{Plan, Worker};

/// Options of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Histories to record and check, each over a server and folder of its own.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// Seconds of each.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Clients.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// Times that the server is killed with -9 in each.
    #[arg(long, default_value_t = 2)]
    kills: u64,
    /// Seed of the first; the next ones count up.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The server's program, if it is not beside this one.
    #[arg(long, value_name = "PROGRAM")]
    everview: Option<PathBuf>,
}

type Fault = Box<dyn std::error::Error>;

/// Records and checks; true if every history was strictly serializable.
///
/// # Errors
/// When the server does not start, or refuses the schema.
pub async fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, Fault> {
    let (mut passed, mut failed) = (0, 0);
    for round in 0..arguments.rounds {
        let seed = arguments.seed + round;
        let history = record(arguments, seed).await?;
        let verdict = check::check(&history);
        let count = |outcome| history.iter().filter(|t| t.outcome == outcome).count();
        writeln!(
            out,
            "seed {seed}: {} committed, {} rolled back, {} in doubt; {} took effect, {} edges, {} anomalies",
            count(Outcome::Committed),
            count(Outcome::Aborted),
            count(Outcome::Unknown),
            verdict.transactions,
            verdict.edges,
            verdict.anomalies.len(),
        )?;
        for anomaly in verdict.anomalies.iter().take(5) {
            writeln!(out, "  {}: {}", anomaly.name, anomaly.detail)?;
        }
        match verdict.anomalies.is_empty() {
            true => passed += 1,
            false => failed += 1,
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}

/// One history, ended by two transactions that read everything: from the tables and from the views.
async fn record(arguments: &Arguments, seed: u64) -> Result<Vec<Transaction>, Fault> {
    let folder = tempfile::tempdir()?;
    let launch = Launch::new(arguments.everview.as_deref(), folder.path())?;
    let mut server = launch.start().await?;
    Session::connect("Everview", &server.url())
        .await?
        .run(workload::SCHEMA)
        .await?;
    let start = Instant::now();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut workers: Vec<Worker> = (0..arguments.clients)
        .map(|client| {
            Worker::new(Plan {
                client,
                clients: arguments.clients,
                seed,
                start,
            })
        })
        .collect();
    let mut history = Vec::new();
    let part = Duration::from_secs(arguments.seconds) / (arguments.kills as u32 + 1);
    for kill in 0..=arguments.kills {
        let length = part.mul_f64(random.random_range(0.5..1.5));
        let last = kill == arguments.kills;
        let (back, seen) = run_part(workers, &mut server, length, !last).await?;
        workers = back;
        history.extend(seen);
        if !last {
            server = launch.start().await?;
        }
    }
    history.extend(workers.into_iter().filter_map(Worker::into_doubt));
    let session = Session::connect("Everview", &server.url()).await?;
    for suffix in ["", "_view"] {
        session.run("BEGIN").await?;
        history.push(workload::read_all(&session.client, start, suffix).await?);
        session.run("COMMIT").await?;
    }
    Ok(history)
}

/// Lets the workers run for a time, and ends their connections by killing the server or by asking them to stop.
async fn run_part(
    workers: Vec<Worker>,
    server: &mut Everview,
    length: Duration,
    kill: bool,
) -> Result<(Vec<Worker>, Vec<Transaction>), Fault> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = Vec::new();
    for mut worker in workers {
        let (url, stop) = (server.url(), stop.clone());
        running.push(tokio::spawn(async move {
            let seen = worker.run(&url, || stop.load(Ordering::Relaxed)).await;
            (worker, seen)
        }));
    }
    tokio::time::sleep(length).await;
    if kill {
        server.kill()?;
    }
    stop.store(true, Ordering::Relaxed);
    let (mut workers, mut history) = (Vec::new(), Vec::new());
    for task in running {
        let (worker, seen) = task.await?;
        workers.push(worker);
        history.extend(seen);
    }
    Ok((workers, history))
}
