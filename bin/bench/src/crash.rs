//! `bench crash`: a server killed with -9 at random moments while clients write, and judged after each restart.
//!
//! Each round: four clients write through transactions, two feeders fight for one producer and resend what they are
//! unsure of, two subscribers and a reader look on, the server is killed at the moment of the round's plan, perhaps again while it recovers and while its views hydrate, and started for good.
//! Then every row, every view and what every onlooker saw is compared with what the clients were told.
//!
//! Invariant: a round's plan and its clients' choices are a function of seed and round, so that a run is resumed by
//! its number. Rows last for [`LIFETIME`] rounds, then an empty server takes over.

mod client;
mod feed;
mod kill;
mod model;
mod observe;
mod schema;
mod tally;
mod watch;
mod write;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use crate::everview::{Everview, EverviewError, Launch};
use crate::session::{Session, SessionError};
use client::Writer;
use kill::Plan;
use tally::Tally;

/// Clients that write.
const CLIENTS: usize = 4;

/// Rounds on one data folder.
const LIFETIME: u64 = 20;

/// How long judging a restarted server, or the end of its clients, may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Options of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many rounds in all
    #[arg(long, default_value_t = 50)]
    rounds: u64,
    /// Seeds plans and transactions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Keep the run in this file, and go on where it stopped
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The server to kill [default: everview beside this program]
    #[arg(long, value_name = "PROGRAM")]
    everview: Option<PathBuf>,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum CrashError {
    /// There is no server.
    #[error(transparent)]
    Everview(#[from] EverviewError),
    /// A server refused what it must not.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The operating system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// Something took longer than it may.
    #[error("{0} took longer than {limit} s", limit = LIMIT.as_secs())]
    Slow(&'static str),
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> CrashError {
    move |source| CrashError::Io { what, source }
}

/// Runs the rounds that are left, prints counts and `N passed, N failed`; true if nothing was wrong.
///
/// # Errors
/// See [`CrashError`]. A server that does not come back is a fault of the round and not an error.
pub async fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, CrashError> {
    let file = arguments.state.as_deref();
    let mut tally = Tally::open(file, arguments.seed).map_err(io("read the state"))?;
    let mut life: Option<Life> = None;
    while tally.rounds < arguments.rounds {
        let round = tally.rounds;
        let mut rng = ChaCha8Rng::seed_from_u64(arguments.seed);
        rng.set_stream(round + 1);
        let mut current = match life.take() {
            Some(life) if life.rounds < LIFETIME => life,
            _ => Life::begin(arguments).await?,
        };
        let start = Instant::now();
        let plan = Plan::new(&mut rng);
        let mut faults = Vec::new();
        if let Err(error) = current
            .round(&plan, &mut rng, &mut tally, &mut faults)
            .await
        {
            faults.push(error.to_string());
        }
        current.panics(&mut faults)?;
        tally.rounds += 1;
        let (seconds, moment) = (start.elapsed().as_secs_f64(), plan.moment());
        writeln!(out, "round {round}: killed {moment}, {seconds:.1} s").map_err(io("report"))?;
        if faults.is_empty() {
            life = Some(current);
        } else {
            let folder = current.keep();
            tally.failed += 1;
            for fault in faults {
                let fault = format!("round {round} ({plan:?}, {}): {fault}", folder.display());
                writeln!(out, "FAILED {fault}").map_err(io("report"))?;
                tally.faults.push(fault);
            }
        }
        tally.save(file).map_err(io("write the state"))?;
    }
    drop(life);
    for fault in &tally.faults {
        writeln!(out, "FAILED {fault}").map_err(io("report"))?;
    }
    writeln!(out, "{tally}").map_err(io("report"))?;
    Ok(tally.failed == 0)
}

/// A data folder, its server, and the clients that know what is in it.
struct Life {
    server: Everview,
    launch: Launch,
    folder: TempDir,
    writers: Vec<Writer>,
    /// The highest number that a feeder was acknowledged.
    fed: i64,
    rounds: u64,
    /// How long its last start took.
    start: Duration,
}

impl Life {
    async fn begin(arguments: &Arguments) -> Result<Life, CrashError> {
        let folder = tempfile::Builder::new()
            .prefix("everview-crash-")
            .tempdir()
            .map_err(io("create a folder"))?;
        let launch = Launch::new(arguments.everview.as_deref(), folder.path())?;
        let start = Instant::now();
        let server = launch.start().await?;
        let start = start.elapsed();
        let session = Session::connect("Everview", &server.url()).await?;
        for statement in schema::tables() {
            session.run(&statement).await?;
        }
        for statement in feed::SCHEMA {
            session.run(statement).await?;
        }
        for view in schema::VIEWS {
            let sql = format!("CREATE MATERIALIZED VIEW {} AS {}", view.name, view.sql);
            session.run(&sql).await?;
        }
        Ok(Life {
            server,
            launch,
            folder,
            writers: (0..CLIENTS).map(Writer::new).collect(),
            fed: 0,
            rounds: 0,
            start,
        })
    }

    async fn round(
        &mut self,
        plan: &Plan,
        rng: &mut ChaCha8Rng,
        tally: &mut Tally,
        faults: &mut Vec<String>,
    ) -> Result<(), CrashError> {
        self.rounds += 1;
        let seen = self.write_until_killed(plan, rng, tally, faults).await?;
        self.restart(plan, tally).await?;
        tokio::time::timeout(LIMIT, self.judge(&seen, tally, faults))
            .await
            .map_err(|_| CrashError::Slow("judging the restarted server"))?
    }

    /// Starts everyone, kills the server, and waits for everyone's account of it.
    async fn write_until_killed(
        &mut self,
        plan: &Plan,
        rng: &mut ChaCha8Rng,
        tally: &mut Tally,
        faults: &mut Vec<String>,
    ) -> Result<watch::Seen, CrashError> {
        let url = self.server.url();
        let accounts = watch::accounts(Session::connect("Everview", &url).await?);
        let transfers = watch::transfers(Session::connect("Everview", &url).await?);
        let reader = watch::reader(Session::connect("Everview", &url).await?);
        let lookers = [
            tokio::spawn(accounts),
            tokio::spawn(transfers),
            tokio::spawn(reader),
        ];
        let (sender, mut signals) = tokio::sync::mpsc::unbounded_channel();
        let clients: Vec<_> = self
            .writers
            .drain(..)
            .map(|writer| {
                let first = plan.first().filter(|_| writer.id == 0);
                let rng = ChaCha8Rng::from_rng(rng);
                tokio::spawn(writer.run(url.clone(), rng, sender.clone(), first))
            })
            .collect();
        let feeders: Vec<_> = (0..feed::FEEDERS)
            .map(|_| {
                let rng = ChaCha8Rng::from_rng(rng);
                tokio::spawn(feed::run(url.clone(), rng, sender.clone()))
            })
            .collect();
        drop(sender);
        plan.moment_comes(&mut signals).await;
        if let Some(status) = self.server.ended()? {
            faults.push(format!("the server ended by itself: {status}"));
        }
        self.server.kill()?;
        tally.kill(plan.moment());
        for client in clients {
            let writer = within(client, "a client's end").await?;
            faults.extend(writer.faults.iter().cloned());
            self.writers.push(writer);
        }
        for feeder in feeders {
            let account = within(feeder, "a feeder's end").await?;
            self.fed = self.fed.max(account.last);
            tally.batches += account.committed;
            tally.repeated += account.repeated;
            tally.fenced += account.fenced;
            faults.extend(account.faults);
        }
        let mut seen = watch::Seen::default();
        for looker in lookers {
            let one = within(looker, "an onlooker's end").await?;
            seen.states += one.states;
            seen.transfers.extend(one.transfers);
            faults.extend(one.faults);
        }
        Ok(seen)
    }

    /// Starts the server again, killing it on its way as the plan says.
    async fn restart(&mut self, plan: &Plan, tally: &mut Tally) -> Result<(), CrashError> {
        self.launch.workers = Some(plan.workers);
        for share in &plan.in_recovery {
            let mut server = self.launch.spawn()?;
            tokio::time::sleep(self.start.mul_f64(*share)).await;
            if let Some(status) = server.ended()? {
                return Err(CrashError::Io {
                    what: "restart the server",
                    source: std::io::Error::other(format!("it ended by itself: {status}")),
                });
            }
            server.kill()?;
            tally.kill("in recovery");
        }
        if let Some(after) = plan.in_hydration {
            let mut server = self.launch.start().await?;
            tokio::time::sleep(after).await;
            server.kill()?;
            tally.kill("in hydration");
        }
        let start = Instant::now();
        self.server = self.launch.start().await?;
        self.start = start.elapsed();
        tally.longest_start = tally.longest_start.max(self.start.as_millis() as u64);
        Ok(())
    }

    async fn judge(
        &mut self,
        seen: &watch::Seen,
        tally: &mut Tally,
        faults: &mut Vec<String>,
    ) -> Result<(), CrashError> {
        let url = self.server.url();
        let session = Session::connect("Everview", &url).await?;
        let observed = observe::observe(&session, CLIENTS).await?;
        faults.extend(observed.faults);
        let doubts = observe::settle(&observed.state, &mut self.writers, faults);
        tally.doubts_there += doubts.there;
        tally.doubts_absent += doubts.absent;
        for writer in &mut self.writers {
            let count = std::mem::take(&mut writer.count);
            tally.acknowledged += count.acknowledged;
            tally.conflicts += count.conflicts;
            tally.lost += count.lost;
        }
        tally.states += seen.states;
        for (client, model) in observed.state.clients.iter().enumerate() {
            let own = seen
                .transfers
                .range(format!("{client} | ")..format!("{client} |~"));
            for transfer in own {
                let seq = transfer
                    .rsplit(" | ")
                    .next()
                    .and_then(|seq| seq.parse().ok());
                if seq.is_none_or(|seq| !model.transfers.contains_key(&seq)) {
                    faults.push(format!(
                        "a subscriber saw transfer {transfer}, which is not there"
                    ));
                }
            }
        }
        feed::judge(&session, self.fed, faults).await?;
        tally.views += observe::compare_views(&session, &url, &observed.state, faults).await?;
        Ok(())
    }

    /// Panics that the server's log tells of.
    fn panics(&self, faults: &mut Vec<String>) -> Result<(), CrashError> {
        let log =
            std::fs::read_to_string(self.launch.log()).map_err(io("read the server's log"))?;
        let panics = log.lines().filter(|line| line.contains("panicked"));
        faults.extend(panics.map(|line| format!("the server's log: {line}")));
        Ok(())
    }

    /// Stops, and keeps the folder for whoever looks into it.
    fn keep(self) -> PathBuf {
        let Life { server, folder, .. } = self;
        drop(server);
        folder.keep()
    }
}

async fn within<T>(task: tokio::task::JoinHandle<T>, what: &'static str) -> Result<T, CrashError> {
    let ended = tokio::time::timeout(LIMIT, task)
        .await
        .map_err(|_| CrashError::Slow(what))?;
    ended.map_err(|source| CrashError::Io {
        what: "join a task",
        source: std::io::Error::other(source),
    })
}
