//! From commit to visible in a view, and durable commits a second.
//!
//! The log's own sync is measured in the same run: a write and an fdatasync of a file in the server's folder, into
//! bytes that were written before.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::client::{copy, number, run as execute, timed};
use super::data::{self, SYMBOLS, Ticks};
use super::figure::{Bound, Figure, quantile};
use super::{Bench, Failure};
use crate::session::Session;

/// Ticks in the table before the first commit that is timed.
const BEFORE: u64 = 1_000_000;

/// Commits timed of each size: rows, how often, bytes of the log's record, and the bound over the sync in milliseconds.
const STEPS: [(u64, usize, usize, f64); 2] = [(1, 500, 512, 2.0), (1000, 100, 64 << 10, 10.0)];

/// Measures the section.
///
/// # Errors
/// When a server does not start, or a commit is not seen.
pub async fn run(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let everview = bench.everview().await?;
    let client = Session::connect("Everview", &everview.url()).await?;
    let mut ticks = Ticks::new(bench.arguments.seed);
    let schema = format!(
        "CREATE TABLE ticks ({}); CREATE MATERIALIZED VIEW by_symbol AS {}",
        data::COLUMNS,
        data::VIEW
    );
    execute(&client, &schema).await?;
    copy(&client, "ticks", &ticks.csv(BEFORE)).await?;
    for (rows, times, bytes, most) in STEPS {
        let sync = sync(everview.folder(), bytes, times)?;
        let name = format!("the log's sync alone, {bytes} bytes, median");
        bench.report(Figure::new("commit", &name, sync, "ms"))?;
        let mut visible = steps(&client, &mut ticks, rows, times).await?;
        let plural = if rows == 1 { "row" } else { "rows" };
        let over = quantile(&mut visible, 0.5) - sync;
        let name = format!("{rows} {plural}: commit to visible, over the sync, median");
        let figure = Figure::new("commit", &name, over, "ms");
        bench.report(figure.must(Bound::AtMost(most)))?;
        let name = format!("{rows} {plural}: commit to visible, 99 of 100");
        let p99 = quantile(&mut visible, 0.99);
        bench.report(Figure::new("commit", &name, p99, "ms"))?;
    }
    let url = bench.postgres("commits").await?;
    for writers in [1, 16] {
        let theirs = rate(&url, writers, bench.arguments.seconds).await?;
        let ours = rate(&everview.url(), writers, bench.arguments.seconds).await?;
        let name = format!("durable commits of one row, {writers} writers");
        bench.report(Figure::new("commit", &name, ours, "/s").against(theirs))?;
    }
    Ok(())
}

/// Milliseconds of each commit of so many ticks until the view was read with them.
async fn steps(
    session: &Session,
    ticks: &mut Ticks,
    rows: u64,
    times: usize,
) -> Result<Vec<f64>, Failure> {
    let client = &session.client;
    let failed = session.error("a timed commit");
    let all = "SELECT sum(trades)::bigint FROM by_symbol";
    let read = "SELECT trades FROM by_symbol WHERE symbol = $1";
    let read = client.prepare(read).await.map_err(&failed)?;
    let insert = "INSERT INTO ticks VALUES ($1, '2024-01-02', $2, 1.25, 10)";
    let insert = client.prepare(insert).await.map_err(&failed)?;
    let before: i64 = client.query_one(all, &[]).await.map_err(&failed)?.get(0);
    let mut taken = Vec::with_capacity(times);
    for step in 0..times {
        let symbol = data::symbol(step as u32 % SYMBOLS);
        let csv = ticks.csv(if rows == 1 { 0 } else { rows });
        let ((), time) = timed(async {
            if rows == 1 {
                let id = (BEFORE * 100) as i64 + step as i64;
                let result = client.execute(&insert, &[&id, &symbol]).await;
                result.map_err(&failed)?;
            } else {
                copy(session, "ticks", &csv).await?;
            }
            client.query(&read, &[&symbol]).await.map_err(&failed)?;
            Ok(())
        })
        .await?;
        taken.push(time.as_secs_f64() * 1e3);
    }
    let after: i64 = client.query_one(all, &[]).await.map_err(&failed)?.get(0);
    if after - before != (rows as usize * times) as i64 {
        return Err("the view has not taken in every commit".into());
    }
    Ok(taken)
}

/// Median milliseconds of a write and its sync.
fn sync(folder: &Path, bytes: usize, times: usize) -> Result<f64, Failure> {
    let file = File::create(folder.join("sync"))?;
    let record = vec![1; bytes];
    file.write_all_at(&vec![0; bytes * times], 0)?;
    file.sync_all()?;
    let mut taken = Vec::with_capacity(times);
    for at in 0..times {
        let start = Instant::now();
        file.write_all_at(&record, (at * bytes) as u64)?;
        file.sync_data()?;
        taken.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(quantile(&mut taken, 0.5))
}

/// One-row commits a second of so many writers.
async fn rate(url: &str, writers: usize, seconds: u64) -> Result<f64, Failure> {
    let client = Session::connect("a server", url).await?;
    let schema = "DROP TABLE IF EXISTS entries; CREATE TABLE entries (id bigint PRIMARY KEY, amount bigint NOT NULL)";
    execute(&client, schema).await?;
    let start = Instant::now();
    let limit = Duration::from_secs(seconds);
    let writers: Vec<_> = (0..writers)
        .map(|writer| tokio::spawn(write(url.to_string(), writer as i64, start, limit)))
        .collect();
    let mut commits = 0;
    for writer in writers {
        commits += writer.await??;
    }
    let taken = start.elapsed().as_secs_f64();
    let counted = number(&client, "SELECT count(*) FROM entries").await?;
    if counted != commits as f64 {
        return Err(format!("{commits} rows were committed and {counted} are there").into());
    }
    Ok(commits as f64 / taken)
}

async fn write(url: String, writer: i64, start: Instant, limit: Duration) -> Result<u64, Failure> {
    let session = Session::connect("a server", &url).await?;
    let failed = session.error("a commit");
    let insert = "INSERT INTO entries VALUES ($1, $2)";
    let client = &session.client;
    let insert = client.prepare(insert).await.map_err(&failed)?;
    let mut commits = 0;
    while start.elapsed() < limit {
        let id = writer << 40 | commits as i64;
        let result = client.execute(&insert, &[&id, &writer]).await;
        result.map_err(&failed)?;
        commits += 1;
    }
    Ok(commits)
}
