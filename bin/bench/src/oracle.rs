//! The oracle: the flights' views in Everview against PostgreSQL 15 over the same rows.
//!
//! Two rounds, one with the views created before the load and one with them created after it. In
//! each, every view is compared after the load and after each step of the history: the same
//! columns of the same types, and the same rows as often. Invariant: PostgreSQL computes each view
//! anew from its tables for every comparison (they are plain views there), so that it shares no
//! incremental path with what it judges.

mod flights;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::postgres::{Postgres, PostgresError};

/// Options of the oracle.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The Everview to judge, such as postgres://everview@127.0.0.1:6875/everview. It must not hold
    /// the flights' tables.
    #[arg(long, value_name = "URL")]
    everview_url: String,
    /// Drop the flights' tables there first, with all that depends on them.
    #[arg(long)]
    replace: bool,
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
    /// A server refused a statement.
    #[error("{server}: {what}: {}", database_message(.source))]
    Client {
        /// Which of the two.
        server: &'static str,
        /// What was tried.
        what: String,
        /// The cause.
        source: tokio_postgres::Error,
    },
    /// The embedded data cannot be read, or the report not written.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
}

fn database_message(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{}: {}", db.code().code(), db.message()),
        None => error.to_string(),
    }
}

/// Compares, prints each difference, the times and `N passed, N failed`; true if nothing failed.
///
/// # Errors
/// See [`OracleError`].
pub async fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, OracleError> {
    let postgres = Postgres::start()?;
    let maintenance = Server::connect("PostgreSQL", &postgres.url()).await?;
    let mut tally = Tally::default();
    for (database, views_first) in [("before_load", true), ("after_load", false)] {
        maintenance
            .run(&format!("CREATE DATABASE {database}"))
            .await?;
        let oracle = Server::connect("PostgreSQL", &postgres.url_of(database)).await?;
        let everview = Server::connect("Everview", &arguments.everview_url).await?;
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

/// Comparisons so far.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// One round over both servers.
struct Round<'a, W> {
    everview: Server,
    oracle: Server,
    refresh: bool,
    tally: &'a mut Tally,
    out: &'a mut W,
}

impl<W: Write> Round<'_, W> {
    async fn run(&mut self, views_first: bool) -> Result<(), OracleError> {
        let start = Instant::now();
        self.everview.run_all(flights::SCHEMA).await?;
        if views_first {
            self.everview.run_all(flights::VIEWS).await?;
        }
        flights::load(&self.everview).await?;
        if !views_first {
            self.everview.run_all(flights::VIEWS).await?;
        }
        let loaded = start.elapsed();
        self.oracle.run_all(flights::SCHEMA).await?;
        self.oracle.run_all(&flights::plain_views()).await?;
        flights::load(&self.oracle).await?;
        self.oracle.run("ANALYZE").await?;
        self.compare_columns().await?;
        self.compare("the load", loaded).await?;
        for step in flights::steps() {
            let start = Instant::now();
            self.everview.run_all(step.sql).await?;
            let taken = start.elapsed();
            self.oracle.run_all(step.sql).await?;
            self.compare(step.name, taken).await?;
        }
        Ok(())
    }

    /// Names and types of each view's columns.
    async fn compare_columns(&mut self) -> Result<(), OracleError> {
        for view in flights::view_names() {
            let (ours, theirs) = (
                self.everview.columns(view).await?,
                self.oracle.columns(view).await?,
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
            ours.push(self.everview.rows(view).await?);
        }
        let read = start.elapsed();
        for (view, ours) in flights::view_names().into_iter().zip(ours) {
            let theirs = self.oracle.rows(view).await?;
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

/// Rows as text, values separated by bars, and how often each occurs.
type Rows = BTreeMap<String, i64>;

/// How many rows a difference shows of each side.
const SHOWN: usize = 3;

fn difference(ours: &Rows, theirs: &Rows) -> Option<String> {
    let more = |left: &Rows, right: &Rows| {
        let times = |row: &String| right.get(row).copied().unwrap_or(0);
        let rows = left.iter().filter(|(row, count)| **count > times(row));
        rows.map(|(row, count)| format!("\n    {}x {row}", count - times(row)))
            .collect::<Vec<_>>()
    };
    let (wrong, missing) = (more(ours, theirs), more(theirs, ours));
    (!(wrong.is_empty() && missing.is_empty())).then(|| {
        let shown = |rows: &[String]| rows.iter().take(SHOWN).cloned().collect::<String>();
        format!(
            "{} rows wrong, {} rows missing\n  wrong:{}\n  missing:{}",
            wrong.len(),
            missing.len(),
            shown(&wrong),
            shown(&missing)
        )
    })
}

async fn drop_all(server: &Server) -> Result<(), OracleError> {
    for table in flights::TABLES {
        server
            .run(&format!("DROP TABLE IF EXISTS {table} CASCADE"))
            .await?;
    }
    Ok(())
}

/// A connection, with a name for errors.
struct Server {
    name: &'static str,
    client: Client,
}

impl Server {
    async fn connect(name: &'static str, url: &str) -> Result<Server, OracleError> {
        let (client, connection) = tokio_postgres::connect(url, NoTls)
            .await
            .map_err(|source| OracleError::Client {
                server: name,
                what: format!("connecting to {url}"),
                source,
            })?;
        // Its errors reach whoever uses the client.
        tokio::spawn(connection);
        Ok(Server { name, client })
    }

    fn error(&self, what: &str) -> impl Fn(tokio_postgres::Error) -> OracleError {
        let (server, what) = (self.name, what.to_string());
        move |source| OracleError::Client {
            server,
            what: what.clone(),
            source,
        }
    }

    async fn run(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, OracleError> {
        self.client.simple_query(sql).await.map_err(self.error(sql))
    }

    /// Statements one by one, each its own message.
    async fn run_all(&self, script: &str) -> Result<(), OracleError> {
        for statement in flights::statements(script) {
            self.run(statement).await?;
        }
        Ok(())
    }

    async fn rows(&self, view: &str) -> Result<Rows, OracleError> {
        let mut rows = Rows::new();
        for message in self.run(&format!("SELECT * FROM {view}")).await? {
            if let SimpleQueryMessage::Row(row) = message {
                let values: Vec<&str> = (0..row.len())
                    .map(|at| row.get(at).unwrap_or("NULL"))
                    .collect();
                *rows.entry(values.join(" | ")).or_default() += 1;
            }
        }
        Ok(rows)
    }

    async fn columns(&self, view: &str) -> Result<String, OracleError> {
        let sql = format!("SELECT * FROM {view}");
        let statement = self.client.prepare(&sql).await.map_err(self.error(&sql))?;
        let columns = statement
            .columns()
            .iter()
            .map(|column| format!("{} {}", column.name(), column.type_()));
        Ok(columns.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_counts_rows_with_their_multiplicity() {
        let rows = |pairs: &[(&str, i64)]| {
            pairs
                .iter()
                .map(|(row, count)| (row.to_string(), *count))
                .collect::<Rows>()
        };
        assert_eq!(difference(&rows(&[("a", 2)]), &rows(&[("a", 2)])), None);
        let text = difference(&rows(&[("a", 2), ("b", 1)]), &rows(&[("a", 1), ("c", 1)])).unwrap();
        assert!(text.starts_with("2 rows wrong, 1 rows missing"), "{text}");
        assert!(text.contains("1x a") && text.contains("1x b") && text.contains("1x c"));
    }
}
