//! Bytes of an arranged row, what DROP gives back, and processor time at rest.

use std::time::Duration;

use super::client::{copy, number, run as execute};
use super::figure::Figure;
use super::server::Server;
use super::{Bench, Failure, data};
use crate::session::Session;

/// Rows arranged.
const ROWS: u64 = 1_000_000;

/// Measures the section.
///
/// # Errors
/// When a server does not start.
pub async fn run(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let everview = bench.everview().await?;
    let client = Session::connect("Everview", &everview.url()).await?;
    let schema = format!("CREATE TABLE ticks ({}, PRIMARY KEY (id))", data::COLUMNS);
    execute(&client, &schema).await?;
    let csv = data::Ticks::new(bench.arguments.seed).csv(ROWS);
    copy(&client, "ticks", &csv).await?;
    // The store writes its buffers out in its own time.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let text: usize = csv.iter().map(|piece| piece.len()).sum();
    let note = |name: &str, value, unit| Figure::new("memory", name, value, unit);
    bench.report(note("a row as CSV", text as f64 / ROWS as f64, "bytes"))?;
    // What reading the table leaves in caches is not the view's.
    number(&client, "SELECT sum(qty) FROM ticks").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let empty = everview.memory()?.0;
    execute(
        &client,
        "CREATE MATERIALIZED VIEW everything AS SELECT * FROM ticks",
    )
    .await?;
    let counted = number(&client, "SELECT count(*) FROM everything").await?;
    if counted != ROWS as f64 {
        return Err(format!("the view has {counted} rows").into());
    }
    let state = "SELECT bytes FROM everview.views WHERE name = 'everything'";
    let arranged = number(&client, state).await? / ROWS as f64;
    bench.report(note(
        "a row of a view, arranged, as the server counts",
        arranged,
        "bytes",
    ))?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let held = everview.memory()?.0;
    let resident = held.saturating_sub(empty) as f64 / ROWS as f64;
    bench.report(note(
        "a row of a view, by the process's memory",
        resident,
        "bytes",
    ))?;
    execute(&client, "DROP MATERIALIZED VIEW everything").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let back =
        held.saturating_sub(everview.memory()?.0) as f64 / held.saturating_sub(empty).max(1) as f64;
    bench.report(note("of that, given back by DROP", back * 100.0, "%"))?;
    let rest = processor(&everview, tokio::time::sleep(Duration::from_secs(5))).await?;
    bench.report(note("processor time at rest", rest * 100.0, "% of a core"))?;
    let view = format!("CREATE MATERIALIZED VIEW by_symbol AS {}", data::VIEW);
    execute(&client, &view).await?;
    number(&client, "SELECT count(*) FROM by_symbol").await?;
    let trickle = processor(&everview, async {
        for step in 0..50 {
            let insert = format!(
                "INSERT INTO ticks VALUES ({}, now(), 'SYM0001', 1, 1)",
                ROWS + step
            );
            // A failure shows as processor time of nothing; the next statement would fail too.
            let _ = execute(&client, &insert).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await?;
    bench.report(note(
        "processor time, ten commits a second",
        trickle * 100.0,
        "% of a core",
    ))?;
    let peak = everview.memory()?.1 as f64 / 1e6;
    bench.report(note("peak memory of the section", peak, "MB"))
}

/// The part of a core that the server used meanwhile.
async fn processor(everview: &Server, meanwhile: impl Future<Output = ()>) -> Result<f64, Failure> {
    let start = std::time::Instant::now();
    let before = everview.processor()?;
    meanwhile.await;
    Ok((everview.processor()? - before) / start.elapsed().as_secs_f64())
}
