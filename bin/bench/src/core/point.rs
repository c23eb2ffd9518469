//! Point SELECTs by key, prepared, through PostgreSQL's own pgbench on both servers.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::client::{copy, run as execute};
use super::figure::{Bound, Figure};
use super::{Bench, Failure};
use crate::session::Session;

/// Keys to choose from.
const KEYS: u64 = 1_000_000;

/// Rows a second that are written meanwhile, in commits of so many.
const WRITTEN: u64 = 5000;
const AT_ONCE: u64 = 50;

/// Both servers take turns, so that a machine that is slower for a while is so for both; of each, the median counts.
const ROUNDS: u64 = 5;

const SCHEMA: &str =
    "CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL, owner text NOT NULL)";

/// Measures the section.
///
/// # Errors
/// When a server does not start, or pgbench fails.
pub async fn run(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let peer = bench.postgres("point").await?;
    let everview = bench.everview().await?;
    let ours = everview.url();
    for url in [&peer, &ours] {
        let client = Session::connect("a server", url).await?;
        execute(&client, SCHEMA).await?;
        let lines: String = (0..KEYS)
            .map(|id| format!("{id},{},owner {id}\n", id * 7))
            .collect();
        copy(&client, "accounts", &[lines.into()]).await?;
    }
    let client = Session::connect("a server", &peer).await?;
    execute(&client, "VACUUM ANALYZE accounts").await?;
    let client = Session::connect("a server", &ours).await?;
    let view = "CREATE MATERIALIZED VIEW balances AS SELECT id, balance, owner FROM accounts";
    execute(&client, view).await?;
    client
        .rows("SELECT balance FROM balances WHERE id = 1")
        .await?;
    for writing in [false, true] {
        for clients in [1, 8] {
            let seconds = (bench.arguments.seconds * 2).div_ceil(ROUNDS);
            let sides = [
                (&peer, "accounts"),
                (&ours, "balances"),
                (&ours, "accounts"),
            ];
            let mut rates = [const { Vec::new() }; 3];
            for _ in 0..ROUNDS {
                for (rates, (url, relation)) in rates.iter_mut().zip(sides) {
                    rates.push(measure(url, relation, clients, seconds, writing).await?);
                }
            }
            let [theirs, view, table] = rates.map(median);
            for (what, rate) in [("view", view), ("table", table)] {
                let while_written = if writing {
                    ", 5,000 rows/s written"
                } else {
                    ""
                };
                let name = format!("SELECT from a {what} by key, {clients} clients{while_written}");
                let figure = Figure::new("point", &name, rate, "/s").against(theirs);
                bench.report(figure.must(Bound::Peer))?;
            }
        }
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// SELECTs a second.
async fn measure(
    url: &str,
    relation: &str,
    clients: u32,
    seconds: u64,
    writing: bool,
) -> Result<f64, Failure> {
    if !writing {
        return pgbench(url, relation, clients, seconds).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(url.to_string(), stop.clone()));
    let rate = pgbench(url, relation, clients, seconds).await;
    stop.store(true, Ordering::Relaxed);
    let written = writer.await??;
    if written < 0.9 * WRITTEN as f64 {
        return Err(format!("only {written:.0} rows/s were written").into());
    }
    rate
}

/// Writes at the given rate until told to stop; gives the rate that came of it.
async fn write(url: String, stop: Arc<AtomicBool>) -> Result<f64, Failure> {
    // Keys of all calls are distinct.
    static NEXT: AtomicU64 = AtomicU64::new(KEYS);
    let client = Session::connect("a server", &url).await?;
    let start = Instant::now();
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let from = NEXT.fetch_add(AT_ONCE, Ordering::Relaxed);
        let rows: Vec<_> = (from..from + AT_ONCE)
            .map(|id| format!("({id}, 1, 'new')"))
            .collect();
        let insert = format!("INSERT INTO accounts VALUES {}", rows.join(", "));
        execute(&client, &insert).await?;
        written += AT_ONCE;
        let due = Duration::from_secs_f64(written as f64 / WRITTEN as f64);
        tokio::time::sleep(due.saturating_sub(start.elapsed())).await;
    }
    Ok(written as f64 / start.elapsed().as_secs_f64())
}

async fn pgbench(url: &str, relation: &str, clients: u32, seconds: u64) -> Result<f64, Failure> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("point.sql");
    let last = KEYS - 1;
    let text = format!(
        "\\set id random(0, {last})\nSELECT balance, owner FROM {relation} WHERE id = :id;\n"
    );
    fs::write(&script, text)?;
    let mut command = Command::new(Path::new(crate::postgres::PROGRAMS).join("pgbench"));
    command
        .args(["-n", "-M", "prepared", "-T", &seconds.to_string()])
        .args([
            "-c",
            &clients.to_string(),
            "-j",
            &clients.min(2).to_string(),
        ])
        .arg("-f")
        .arg(&script)
        .arg(url);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    match rate {
        Some(rate) if output.status.success() => Ok(rate),
        _ => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            Err(format!("pgbench failed: {errors}").into())
        }
    }
}
