//! Internal consistency: whoever reads or subscribes sees the state after some commit, and never one in between.
//!
//! The bank of Jamie Brandon's "Internal consistency in streaming systems" (2021): transfers between accounts, views of
//! credits, debits, balances and their total, and a join of the transfers with themselves. A transfer moves money and makes
//! none, so that the total is 0 after every commit, and every transfer meets itself. Invariant: these are checked in every
//! state that a reader or a subscriber is shown while transfers are written, before and after the server is killed.

mod subscriber;
mod writer;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::everview::Launch;
use crate::session::{Rows, Session};
use subscriber::Balances;
use writer::Writer;

/// Options of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Transfers to write.
    #[arg(long, default_value_t = 1_000_000)]
    transfers: u64,
    /// Accounts that they go between.
    #[arg(long, default_value_t = 10)]
    accounts: u32,
    /// Dataflow workers of the server [default: its own, one a processor].
    #[arg(long)]
    workers: Option<u16>,
    /// Times that the server is killed with -9.
    #[arg(long, default_value_t = 1)]
    kills: u64,
    /// Seeds the transfers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The server's program, if it is not beside this one.
    #[arg(long, value_name = "PROGRAM")]
    everview: Option<PathBuf>,
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

const SCHEMA: &str = "
    CREATE TABLE transfers (id bigint, debtor int, creditor int, amount int) APPEND ONLY;
    CREATE MATERIALIZED VIEW accepted AS SELECT id, debtor, creditor, amount FROM transfers;
    CREATE MATERIALIZED VIEW credits AS SELECT creditor AS account, sum(amount) AS amount FROM accepted GROUP BY creditor;
    CREATE MATERIALIZED VIEW debits AS SELECT debtor AS account, sum(amount) AS amount FROM accepted GROUP BY debtor;
    CREATE MATERIALIZED VIEW balance AS
        SELECT coalesce(c.account, d.account) AS account, coalesce(c.amount, 0) - coalesce(d.amount, 0) AS balance
        FROM credits c FULL JOIN debits d ON c.account = d.account;
    CREATE MATERIALIZED VIEW total AS SELECT coalesce(sum(balance), 0) AS total FROM balance;
    CREATE MATERIALIZED VIEW matched AS SELECT a.id, b.id AS other FROM accepted a LEFT JOIN transfers b ON a.id = b.id";

/// All of it is 0 after every commit.
const ZEROS: &str =
    "SELECT (SELECT total FROM total), (SELECT coalesce(sum(balance), 0) FROM balance),
    (SELECT count(*) FROM accepted) - (SELECT count(*) FROM transfers),
    (SELECT count(*) FROM matched WHERE other IS NULL)";

/// Writers beside each other.
const WRITERS: u64 = 2;

/// What writers, readers and subscribers share.
struct Run {
    /// How to connect to the server that is there now.
    url: watch::Receiver<String>,
    committed: AtomicU64,
    /// The time by which all was written, once it is.
    end: AtomicU64,
    reads: AtomicU64,
    /// What was seen and should not have been.
    violations: parking_lot::Mutex<Vec<String>>,
}

impl Run {
    async fn connect(&self) -> Option<Session> {
        let url = self.url.borrow().clone();
        match Session::connect("Everview", &url).await {
            Ok(session) => Some(session),
            Err(_) => {
                // It was killed, and another one is about to come.
                tokio::time::sleep(Duration::from_millis(50)).await;
                None
            }
        }
    }

    /// Whether all is written, and taken in by whoever has come to a time.
    fn is_over(&self, at: Option<u64>) -> bool {
        at.is_some_and(|at| at >= self.end.load(Ordering::SeqCst))
    }

    fn violation(&self, what: String) {
        self.violations.lock().push(what);
    }
}

/// Writes, reads and checks; true if nothing was seen that no commit left.
///
/// # Errors
/// When the server does not start, or refuses a statement.
pub async fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, Fault> {
    let folder = tempfile::tempdir()?;
    let mut launch = Launch::new(arguments.everview.as_deref(), folder.path())?;
    launch.workers = arguments.workers;
    let mut server = launch.start().await?;
    let (address, url) = watch::channel(server.url());
    Session::connect("Everview", &server.url())
        .await?
        .run(SCHEMA)
        .await?;
    let run = Arc::new(Run {
        url,
        committed: AtomicU64::new(0),
        end: AtomicU64::new(u64::MAX),
        reads: AtomicU64::new(0),
        violations: parking_lot::Mutex::default(),
    });
    let writers = (0..WRITERS).map(|number| {
        let share =
            arguments.transfers / WRITERS + u64::from(number < arguments.transfers % WRITERS);
        let writer = Writer {
            number,
            share,
            accounts: arguments.accounts,
            seed: arguments.seed,
        };
        tokio::spawn(writer.run(run.clone()))
    });
    let writers: Vec<_> = writers.collect();
    let reader = tokio::spawn(read(run.clone()));
    let balances = tokio::spawn(Balances::default().follow(run.clone()));
    let nulls = tokio::spawn(subscriber::no_nulls(run.clone()));
    for kill in 1..=arguments.kills {
        let at = arguments.transfers * kill / (arguments.kills + 1);
        while run.committed.load(Ordering::Relaxed) < at && !writers.iter().all(|w| w.is_finished())
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill()?;
        server = launch.start().await?;
        address.send_replace(server.url());
    }
    for writer in writers {
        writer.await??;
    }
    let session = Session::connect("Everview", &server.url()).await?;
    let counted = session.rows("SELECT count(*) FROM transfers").await?;
    let end = session.rows("SHOW everview.last_read_timestamp").await?;
    let end = end.keys().next().and_then(|end| end.parse().ok());
    run.end
        .store(end.ok_or("no time was read at")?, Ordering::SeqCst);
    reader.await??;
    nulls.await??;
    let balances = balances.await??;
    if counted != Rows::from([(arguments.transfers.to_string(), 1)]) {
        run.violation(format!(
            "{} transfers were written, {counted:?} are there",
            arguments.transfers
        ));
    }
    let shown = session.rows("SELECT account, balance FROM balance").await?;
    if shown != balances.rows() {
        run.violation("the subscriber's balances are not those of the view".to_string());
    }
    if let Err(error) = session.run("VERIFY ALL").await {
        run.violation(error.to_string());
    }
    let violations = run.violations.lock();
    writeln!(
        out,
        "{} transfers among {} accounts, {} kills; {} states of a subscriber and {} of a reader checked, {} violations",
        arguments.transfers,
        arguments.accounts,
        arguments.kills,
        balances.states,
        run.reads.load(Ordering::Relaxed),
        violations.len(),
    )?;
    for violation in violations.iter().take(5) {
        writeln!(out, "  {violation}")?;
    }
    let passed = violations.is_empty() && balances.states > 0;
    writeln!(
        out,
        "{} passed, {} failed",
        u64::from(passed),
        u64::from(!passed)
    )?;
    Ok(passed)
}

/// Reads again and again until all is written, and once more.
async fn read(run: Arc<Run>) -> Result<(), Fault> {
    let zeros = Rows::from([("0 | 0 | 0 | 0".to_string(), 1)]);
    loop {
        let written = || run.end.load(Ordering::SeqCst) < u64::MAX;
        let last = written();
        let Some(session) = run.connect().await else {
            continue;
        };
        while let Ok(found) = session.rows(ZEROS).await {
            run.reads.fetch_add(1, Ordering::Relaxed);
            if found != zeros {
                run.violation(format!("a reader was shown {found:?}"));
            }
            if last {
                return Ok(());
            }
            if written() {
                break;
            }
        }
        if session.client.is_closed() {
            continue;
        }
        // A server that is there and refuses the query is a fault.
        session.rows(ZEROS).await.map(drop)?;
    }
}
