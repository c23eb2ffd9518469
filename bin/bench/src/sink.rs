//! `bench sink`: views written to PostgreSQL 15 while either side is killed with -9.
//!
//! A table, a view of groups and a table of every type go to tables there, by key and change by change. A writer changes
//! the table at random; the target and the server are killed in turn. All the while an observer reads, in one snapshot of
//! the target, a sink's progress and its table, and holds the table against the view as of that progress. In the end
//! all targets equal their views.

mod observe;
mod refuse;
mod schema;
mod write;
mod zombie;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::checks::Checks;
use crate::everview::{Launch, free_address};
use crate::postgres::Postgres;
use crate::session::{Session, difference};
use schema::SINKS;

/// How long a target may take to be where its view is.
const LIMIT: Duration = Duration::from_secs(60);

/// How long the writer goes on after each kill.
const BETWEEN: Duration = Duration::from_millis(700);

/// Options of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Kills of each side
    #[arg(long, default_value_t = 6)]
    rounds: u32,
    /// What the writer's changes follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The server [default: everview beside this program]
    #[arg(long, value_name = "PROGRAM")]
    everview: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error>;

/// Runs the checks and prints `N passed, N failed`; true if nothing was wrong.
///
/// # Errors
/// When a server does not start.
pub async fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("everview-sink-")
        .tempdir()?;
    let launch = Launch {
        listen: free_address()?,
        // Shorter than some outages are: then sinks go on from the log.
        history: Some("1s"),
        ..Launch::new(arguments.everview.as_deref(), folder.path())?
    };
    let mut postgres = Postgres::start()?;
    let mut server = launch.start().await?;
    let target = Session::connect("PostgreSQL", &postgres.url()).await?;
    let source = Session::connect("Everview", &server.url()).await?;
    let mut checks = Checks::new(out);
    schema::create(&source, &target, &postgres).await?;
    refuse::run(&source, &target, &postgres, &mut checks).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write::run(server.url(), arguments.seed, stop.clone()));
    let observer = tokio::spawn(observe::run(server.url(), postgres.url(), stop.clone()));
    for round in 0..arguments.rounds {
        tokio::time::sleep(BETWEEN).await;
        postgres.kill()?;
        tokio::time::sleep(BETWEEN * (1 + round % 2 * 4)).await;
        postgres.restart()?;
        tokio::time::sleep(BETWEEN).await;
        server.kill()?;
        server = launch.start().await?;
    }
    tokio::time::sleep(BETWEEN).await;
    stop.store(true, Ordering::Relaxed);
    let written = writer.await?;
    let observed = observer.await?;
    let what = format!(
        "{written} commits under {} kills of each side",
        arguments.rounds
    );
    checks.check(
        &what,
        (written < 100).then(|| "too few to mean anything".to_string()),
    )?;
    checks.check(
        &format!(
            "{} states of targets are their views as of their progress",
            observed.agreed
        ),
        observed.fault.or_else(|| {
            let unseen = observed.unseen.unwrap_or_default();
            (observed.agreed < 20).then(|| format!("too few: {unseen}"))
        }),
    )?;

    let source = Session::connect("Everview", &server.url()).await?;
    let target = Session::connect("PostgreSQL", &postgres.url()).await?;
    for (sink, query, there) in SINKS {
        let fault = agreement(&source, &target, query, there).await?;
        checks.check(
            &format!("in the end the target of {sink} is its view"),
            fault,
        )?;
    }
    refuse::nowhere(folder.path(), &mut checks)?;
    drop(source);
    zombie::run(&launch, server, &target, &mut checks).await?;
    Ok(checks.end()?)
}

/// Waits until what is there equals what is here; else the difference.
pub async fn agreement(
    source: &Session,
    target: &Session,
    query: &str,
    there: &str,
) -> Result<Option<String>, Failure> {
    let start = Instant::now();
    loop {
        let (here, there) = (source.rows(query).await?, target.rows(there).await?);
        let fault = difference(&there, &here);
        if fault.is_none() || start.elapsed() > LIMIT {
            let states = source
                .rows("SELECT name, state, reason FROM everview.sinks")
                .await?;
            return Ok(fault.map(|fault| format!("{fault}\n  sinks: {states:?}")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
