//! `bench pooled`: producers through PgBouncer in transaction mode, where a client's transactions share connections
//! with everybody else's and settings leak from one to the other.
//!
//! Senders number batches with `everview.begin_batch` alone, send each twice, and again whenever they are unsure; the
//! server is killed with -9 while they do. In the end every batch is there once.

mod bouncer;
mod sender;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::checks::Checks;
use crate::everview::{Launch, free_address};
use crate::session::{Rows, Session, difference};
use bouncer::PgBouncer;
use sender::Sent;

/// Clients that send; the pool has fewer connections.
const SENDERS: usize = 6;

/// How long a sender may take in all.
const LIMIT: Duration = Duration::from_secs(120);

/// Options of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Batches of each of six senders
    #[arg(long, default_value_t = 40)]
    batches: i64,
    /// The server [default: everview beside this program]
    #[arg(long, value_name = "PROGRAM")]
    everview: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error>;

/// Runs the checks and prints `N passed, N failed`; true if nothing was wrong.
///
/// # Errors
/// When there is no server or no PgBouncer, or a sender does not come to its end.
pub async fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("everview-pooled-")
        .tempdir()?;
    let launch = Launch {
        listen: free_address()?,
        ..Launch::new(arguments.everview.as_deref(), folder.path())?
    };
    let mut server = launch.start().await?;
    let bouncer = PgBouncer::start(launch.listen).await?;
    let direct = Session::connect("Everview", &server.url()).await?;
    let table = "CREATE TABLE t (sender int, sequence bigint, n int)";
    direct.run(table).await?;
    let mut checks = Checks::new(out);
    let leak = leaks(&bouncer).await?;
    checks.check("settings leak from client to client", leak)?;

    let urls = (0..SENDERS).map(|_| bouncer.url());
    let senders: Vec<_> = (0..)
        .zip(urls)
        .map(|(id, url)| tokio::spawn(sender::run(id, url, arguments.batches)))
        .collect();
    let some = SENDERS as i64 * arguments.batches / 5;
    let under_way = tokio::time::timeout(LIMIT, there_are(&direct, some)).await;
    under_way.map_err(|_| "no batches are committed")??;
    server.kill()?;
    let server = launch.start().await?;
    let mut sent = Vec::new();
    for sender in senders {
        let ended = tokio::time::timeout(LIMIT, sender).await;
        let ended = ended.map_err(|_| "a sender takes too long")?;
        sent.push(ended?.map_err(|error| error.to_string())?);
    }
    let direct = Session::connect("Everview", &server.url()).await?;
    judge(&direct, arguments.batches, &sent, &mut checks).await?;
    let fault = zombie(&bouncer, &direct).await?;
    checks.check("a zombie is fenced", fault)?;
    Ok(checks.end()?)
}

/// Waits until so many rows are there.
async fn there_are(direct: &Session, rows: i64) -> Result<(), Failure> {
    let enough = format!("SELECT count(*) >= {rows} FROM t");
    while !direct.rows(&enough).await?.contains_key("t") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// One client's SET is another's setting: without that, the pool would not be in transaction mode.
async fn leaks(bouncer: &PgBouncer) -> Result<Option<String>, Failure> {
    let one = Session::connect("PgBouncer", &bouncer.url()).await?;
    one.run("SET everview.producer = 'leaked'").await?;
    let two = Session::connect("PgBouncer", &bouncer.url()).await?;
    let seen = two.rows("SHOW everview.producer").await?;
    let leaked = seen.contains_key("leaked");
    Ok((!leaked).then(|| format!("the other one sees {seen:?}")))
}

async fn judge<W: Write>(
    direct: &Session,
    batches: i64,
    sent: &[Sent],
    checks: &mut Checks<'_, W>,
) -> Result<(), Failure> {
    let there = direct.rows("SELECT sender, sequence, n FROM t").await?;
    let expected: Rows = (0..SENDERS)
        .flat_map(|sender| (1..=batches).map(move |n| (format!("{sender} | {n} | {n}"), 1)))
        .collect();
    checks.check("every batch is there once", difference(&there, &expected))?;
    let repeated: u64 = sent.iter().map(|s| s.repeated).sum();
    let least = batches as u64 * SENDERS as u64;
    let fault = (repeated < least).then(|| format!("{repeated} of at least {least}"));
    checks.check("every batch was told as repeated at least once", fault)?;
    let lost: u64 = sent.iter().map(|s| s.lost).sum();
    let fault = (lost == 0).then(|| "nobody lost a connection".to_string());
    checks.check("the kill came while batches were under way", fault)?;
    let shared = sent.iter().any(|s| s.backends.len() > 1);
    let all: BTreeSet<i32> = sent
        .iter()
        .flat_map(|s| s.backends.iter().copied())
        .collect();
    let fault = (!shared).then(|| format!("the backends {all:?} were never shared"));
    checks.check(
        "a sender's transactions ran over several connections",
        fault,
    )?;
    Ok(())
}

async fn zombie(bouncer: &PgBouncer, direct: &Session) -> Result<Option<String>, Failure> {
    let session = Session::connect("PgBouncer", &bouncer.url()).await?;
    let epoch = session
        .rows("SELECT everview.open_producer('contested')")
        .await?;
    let epoch = epoch.into_keys().next().unwrap_or_default();
    direct
        .run("SELECT everview.open_producer('contested')")
        .await?;
    let begin = format!("BEGIN; SELECT everview.begin_batch('contested', {epoch}, 1)");
    let fault = match session.run(&begin).await {
        Ok(_) => Some("its batch was begun".to_string()),
        Err(error) => {
            let text = error.to_string();
            (!text.contains("VE001")).then_some(text)
        }
    };
    session.run("ROLLBACK").await?;
    Ok(fault)
}
