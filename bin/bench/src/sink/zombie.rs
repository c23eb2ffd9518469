//! Two servers over copies of one log: the one that starts last writes, the other is fenced.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Failure, LIMIT, agreement};
use crate::checks::Checks;
use crate::everview::{Everview, Launch, free_address};
use crate::session::Session;

const QUERY: &str = "SELECT id, region, balance FROM account";

/// Stops a server, copies its folder, and starts both.
pub async fn run<W: Write>(
    launch: &Launch,
    mut server: Everview,
    target: &Session,
    checks: &mut Checks<'_, W>,
) -> Result<(), Failure> {
    server.kill()?;
    let other = tempfile::Builder::new()
        .prefix("everview-zombie-")
        .tempdir()?;
    copy(&launch.folder.join("data"), &other.path().join("data"))?;
    let old = launch.start().await?;
    let zombie = Session::connect("the older Everview", &old.url()).await?;
    state(&zombie, "running").await?;
    let successor = Launch {
        folder: other.path().to_path_buf(),
        listen: free_address()?,
        ..launch.clone()
    };
    let new = successor.start().await?;
    let successor = Session::connect("the newer Everview", &new.url()).await?;
    state(&successor, "running").await?;

    zombie
        .run("INSERT INTO account VALUES (1000001, 'zombie', 1)")
        .await?;
    let fault = state(&zombie, "fenced").await.err().map(|e| e.to_string());
    checks.check(
        "micro_batch_ids: an older process is fenced by its next commit",
        fault,
    )?;
    successor
        .run("INSERT INTO account VALUES (1000002, 'successor', 1)")
        .await?;
    let fault = agreement(&successor, target, QUERY, QUERY).await?;
    checks.check("the target follows the newer one alone", fault)?;
    Ok(())
}

/// Waits until the sink by_id is in a state.
async fn state(session: &Session, wanted: &str) -> Result<(), Failure> {
    let query = "SELECT state, reason FROM everview.sinks WHERE name = 'by_id'";
    let start = Instant::now();
    loop {
        let seen = session.rows(query).await?;
        if seen.keys().any(|row| row.starts_with(wanted)) {
            return Ok(());
        }
        if start.elapsed() > LIMIT {
            return Err(format!("the sink is {seen:?} and not {wanted}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.metadata()?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => drop(std::fs::copy(entry.path(), &to)?),
        }
    }
    Ok(())
}
