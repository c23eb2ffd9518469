//! What a sink does not do: write to a table that does not fit, and show a password.

use std::io::Write;
use std::path::Path;

use super::Failure;
use super::schema::{PASSWORD, connection};
use crate::checks::Checks;
use crate::postgres::Postgres;
use crate::session::Session;

/// Tables that are there already: what they are, a sink into them, and what its error says.
const REFUSED: [(&str, &str, &str); 7] = [
    (
        "CREATE TABLE narrow (region text UNIQUE NULLS NOT DISTINCT, n bigint)",
        "FROM region INTO POSTGRES (CONNECTION pg, TABLE narrow, KEY (region))",
        "has no column total",
    ),
    (
        "CREATE TABLE other (id int PRIMARY KEY, region text, balance double precision)",
        "FROM account INTO POSTGRES (CONNECTION pg, TABLE other, KEY (id))",
        "of type double precision, and should be numeric(12,2)",
    ),
    (
        "CREATE TABLE keyless (id int, region text, balance numeric)",
        "FROM account INTO POSTGRES (CONNECTION pg, TABLE keyless, KEY (id))",
        "no unique index on (id)",
    ),
    (
        "CREATE TABLE filled (id int PRIMARY KEY, region text, balance numeric); INSERT INTO filled VALUES (1); GRANT ALL ON filled TO sinker",
        "FROM account INTO POSTGRES (CONNECTION pg, TABLE filled, KEY (id))",
        "is not empty",
    ),
    (
        "CREATE SCHEMA closed",
        "FROM account INTO POSTGRES (CONNECTION pg, TABLE closed.t, KEY (id))",
        "permission denied",
    ),
    (
        "",
        "FROM account INTO POSTGRES (CONNECTION pg, TABLE t, KEY (region))",
        "nothing says that no two rows",
    ),
    (
        "",
        "FROM account INTO POSTGRES (CONNECTION wrong, TABLE t, KEY (id))",
        "password authentication failed",
    ),
];

/// Sinks that are refused when they are made, and those that fail when they run.
pub async fn run<W: Write>(
    source: &Session,
    target: &Session,
    postgres: &Postgres,
    checks: &mut Checks<'_, W>,
) -> Result<(), Failure> {
    source
        .run(&connection(
            "wrong",
            postgres,
            "PASSWORD 'not-the-password'",
        ))
        .await?;
    for (there, sink, wanted) in REFUSED {
        target.run(there).await?;
        let fault = match source.run(&format!("CREATE SINK refused {sink}")).await {
            Ok(_) => Some("it was made".to_string()),
            Err(error) => {
                let text = error.to_string();
                let shows = text.contains("not-the-password") || text.contains(PASSWORD);
                (shows || !text.contains(wanted)).then_some(text)
            }
        };
        checks.check(&format!("a sink is refused: {wanted}"), fault)?;
    }
    source.run("DROP CONNECTION wrong").await?;
    let cascade = source.run("DROP MATERIALIZED VIEW region").await;
    let fault = cascade.is_ok().then(|| "it is gone".to_string());
    checks.check("a view under a sink is not dropped without CASCADE", fault)?;
    dropped(source, target, checks).await
}

/// DROP SINK leaves the table, and no trace of the sink.
async fn dropped<W: Write>(
    source: &Session,
    target: &Session,
    checks: &mut Checks<'_, W>,
) -> Result<(), Failure> {
    let there = "SELECT id, region, balance FROM brief";
    let make =
        "CREATE SINK brief FROM account INTO POSTGRES (CONNECTION pg, TABLE brief, KEY (id))";
    source.run(make).await?;
    let made = async {
        while target.run(there).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::LIMIT, made).await?;
    let fault = super::agreement(
        source,
        target,
        "SELECT id, region, balance FROM account",
        there,
    )
    .await?;
    checks.check("a sink begins with what its relation holds", fault)?;
    source.run("DROP SINK brief").await?;
    let left = "SELECT sink FROM everview_sinks WHERE target LIKE '%.brief'";
    let none = super::agreement(source, target, "SELECT 1 WHERE false", left).await?;
    checks.check("a sink that is dropped leaves nothing but its table", none)?;
    target.run("DROP TABLE brief").await?;
    Ok(())
}

/// Passwords are in none of the server's files, and not in what it printed.
pub fn nowhere<W: Write>(folder: &Path, checks: &mut Checks<'_, W>) -> Result<(), Failure> {
    let mut found = None;
    let mut read = 0u64;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.metadata()?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path())?;
            read += bytes.len() as u64;
            let has = |what: &str| bytes.windows(what.len()).any(|w| w == what.as_bytes());
            if has(PASSWORD) || has("not-the-password") {
                found = Some(entry.path().display().to_string());
            }
        }
    }
    let fault = found.or_else(|| (read == 0).then(|| "nothing was read".to_string()));
    checks.check("no file of the server has a password in clear", fault)?;
    Ok(())
}
