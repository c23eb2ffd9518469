//! The oracle: the flights' views in Everview against PostgreSQL 15 over the same rows.
//!
//! Two rounds, one with the views created before the load and one with them created after it. In
//! each, every view is compared after the load and after each step of the history: the same
//! columns of the same types, and the same rows as often. Invariant: PostgreSQL computes each view
//! anew from its tables for every comparison (they are plain views there), so that it shares no
//! incremental path with what it judges.

pub mod flights;
mod grammar;
mod random;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::everview::{EverviewError, Launch};
use crate::postgres::{Postgres, PostgresError};
use crate::session::{Session, SessionError, difference};

/// Options of the oracle.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The Everview to judge, such as postgres://everview@127.0.0.1:6875/everview, instead of one started for it. It
    /// must not hold the flights' tables.
    #[arg(long, value_name = "URL")]
    everview_url: Option<String>,
    /// The server to start [default: everview beside this program]
    #[arg(long, value_name = "PROGRAM", conflicts_with = "everview_url")]
    everview: Option<PathBuf>,
    /// Drop the flights' tables there first, with all that depends on them.
    #[arg(long)]
    replace: bool,
    /// Compare random views over random histories instead, this many cases
    #[arg(long, value_name = "CASES")]
    random: Option<u64>,
    /// The first case's seed; the others follow
    #[arg(long, default_value_t = 0, requires = "random")]
    seed: u64,
    /// Refresh the materialized views before reading them. Everview needs none; with it, another
    /// PostgreSQL passes, which checks the oracle itself.
    #[arg(long)]
    refresh: bool,
}

/// Why the comparison could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// There is no PostgreSQL to compare with.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// There is no Everview to judge.
    #[error(transparent)]
    Everview(#[from] EverviewError),
    /// A server refused a statement.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The embedded data cannot be read, or the report not written.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
}

/// Compares, prints each difference, the times and `N passed, N failed`; true if nothing failed.
///
/// # Errors
/// See [`OracleError`].
pub async fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, OracleError> {
    let postgres = Postgres::start()?;
    let folder = tempfile::Builder::new()
        .prefix("everview-oracle-")
        .tempdir()
        .map_err(|source| OracleError::Io {
            what: "create a folder",
            source,
        })?;
    let (url, _server) = match &arguments.everview_url {
        Some(url) => (url.clone(), None),
        None => {
            let server = Launch::new(arguments.everview.as_deref(), folder.path())?
                .start()
                .await?;
            (server.url(), Some(server))
        }
    };
    let maintenance = Session::connect("PostgreSQL", &postgres.url()).await?;
    if let Some(cases) = arguments.random {
        return random_cases(arguments.seed, cases, &url, &postgres.url(), out).await;
    }
    let mut tally = Tally::default();
    for (database, views_first) in [("before_load", true), ("after_load", false)] {
        maintenance
            .run(&format!("CREATE DATABASE {database}"))
            .await?;
        let oracle = Session::connect("PostgreSQL", &postgres.url_of(database)).await?;
        let everview = Session::connect("Everview", &url).await?;
        if arguments.replace {
            drop_all(&everview).await?;
        }
        let mut round = Round {
            everview,
            oracle,
            refresh: arguments.refresh,
            tally: &mut tally,
            out,
        };
        round.note(&format!(
            "views created {} the load",
            if views_first { "before" } else { "after" }
        ))?;
        round.run(views_first).await?;
        drop_all(&round.everview).await?;
    }
    writeln!(out, "{} passed, {} failed", tally.passed, tally.failed).map_err(report)?;
    Ok(tally.failed == 0)
}

/// Runs so many random cases, prints what differs and `N passed, N failed`.
async fn random_cases(
    seed: u64,
    cases: u64,
    everview: &str,
    postgres: &str,
    out: &mut impl Write,
) -> Result<bool, OracleError> {
    let everview = Session::connect("Everview", everview).await?;
    let postgres = Session::connect("PostgreSQL", postgres).await?;
    let mut count = random::Count::default();
    for seed in seed..seed.saturating_add(cases) {
        random::case(seed, &everview, &postgres, &mut count, out).await?;
    }
    let random::Count {
        agreed,
        failed,
        unsupported,
    } = count;
    writeln!(out, "{unsupported} views refused by name").map_err(report)?;
    writeln!(out, "{agreed} passed, {failed} failed").map_err(report)?;
    // Most is compared, or it shows nothing.
    Ok(failed == 0 && unsupported * 10 <= agreed)
}

/// Comparisons so far.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// One round over both servers.
struct Round<'a, W> {
    everview: Session,
    oracle: Session,
    refresh: bool,
    tally: &'a mut Tally,
    out: &'a mut W,
}

impl<W: Write> Round<'_, W> {
    async fn run(&mut self, views_first: bool) -> Result<(), OracleError> {
        let start = Instant::now();
        run_all(&self.everview, flights::SCHEMA).await?;
        if views_first {
            run_all(&self.everview, flights::VIEWS).await?;
        }
        flights::load(&self.everview).await?;
        if !views_first {
            run_all(&self.everview, flights::VIEWS).await?;
        }
        let loaded = start.elapsed();
        run_all(&self.oracle, flights::SCHEMA).await?;
        run_all(&self.oracle, &flights::plain_views()).await?;
        flights::load(&self.oracle).await?;
        self.oracle.run("ANALYZE").await?;
        self.compare_columns().await?;
        self.compare("the load", loaded).await?;
        for step in flights::steps() {
            let start = Instant::now();
            run_all(&self.everview, step.sql).await?;
            let taken = start.elapsed();
            run_all(&self.oracle, step.sql).await?;
            self.compare(step.name, taken).await?;
        }
        Ok(())
    }

    /// Names and types of each view's columns.
    async fn compare_columns(&mut self) -> Result<(), OracleError> {
        for view in flights::view_names() {
            let (ours, theirs) = (
                columns(&self.everview, view).await?,
                columns(&self.oracle, view).await?,
            );
            let difference = (ours != theirs).then(|| format!("columns are {ours}, not {theirs}"));
            self.judge("creation", view, difference)?;
        }
        Ok(())
    }

    /// The rows of each view.
    async fn compare(&mut self, after: &str, taken: Duration) -> Result<(), OracleError> {
        let start = Instant::now();
        for view in flights::view_names() {
            if self.refresh {
                self.everview
                    .run(&format!("REFRESH MATERIALIZED VIEW {view}"))
                    .await?;
            }
        }
        let mut ours = Vec::new();
        for view in flights::view_names() {
            ours.push(self.everview.rows(&format!("SELECT * FROM {view}")).await?);
        }
        let read = start.elapsed();
        for (view, ours) in flights::view_names().into_iter().zip(ours) {
            let theirs = self.oracle.rows(&format!("SELECT * FROM {view}")).await?;
            self.judge(after, view, difference(&ours, &theirs))?;
        }
        self.note(&format!(
            "  {after}: {:.3} s, all views read in {:.3} s",
            taken.as_secs_f64(),
            read.as_secs_f64()
        ))
    }

    fn judge(
        &mut self,
        after: &str,
        view: &str,
        difference: Option<String>,
    ) -> Result<(), OracleError> {
        match difference {
            None => self.tally.passed += 1,
            Some(difference) => {
                self.tally.failed += 1;
                self.note(&format!("FAILED after {after}: {view}: {difference}"))?;
            }
        }
        Ok(())
    }

    fn note(&mut self, line: &str) -> Result<(), OracleError> {
        writeln!(self.out, "{line}").map_err(report)
    }
}

fn report(source: std::io::Error) -> OracleError {
    OracleError::Io {
        what: "write the report",
        source,
    }
}

async fn drop_all(server: &Session) -> Result<(), OracleError> {
    for table in flights::TABLES {
        server
            .run(&format!("DROP TABLE IF EXISTS {table} CASCADE"))
            .await?;
    }
    Ok(())
}

/// Runs a script's statements, each in a message of its own.
///
/// # Errors
/// The first statement's that fails.
pub async fn run_all(session: &Session, script: &str) -> Result<(), SessionError> {
    for statement in flights::statements(script) {
        session.run(statement).await?;
    }
    Ok(())
}

/// Names and types of a view's columns.
async fn columns(session: &Session, view: &str) -> Result<String, SessionError> {
    let sql = format!("SELECT * FROM {view}");
    let statement = session
        .client
        .prepare(&sql)
        .await
        .map_err(session.error(&sql))?;
    let columns = statement
        .columns()
        .iter()
        .map(|column| format!("{} {}", column.name(), column.type_()));
    Ok(columns.collect::<Vec<_>>().join(", "))
}
