//! From kill -9 to the first answer.

use std::time::Instant;

use super::client::{copy, run as execute};
use super::figure::Figure;
use super::{Bench, Failure, data};
use crate::session::Session;

/// Measures the section.
///
/// # Errors
/// When a server does not start, or answers otherwise than before.
pub async fn run(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let csv = bench.ticks();
    for (name, after, key) in [
        ("append-only", " APPEND ONLY", ""),
        ("keyed", "", ", PRIMARY KEY (id)"),
    ] {
        let everview = bench.everview().await?;
        let client = Session::connect("Everview", &everview.url()).await?;
        let schema = format!(
            "CREATE TABLE ticks ({}{key}){after}; CREATE MATERIALIZED VIEW by_symbol AS {}",
            data::COLUMNS,
            data::VIEW
        );
        execute(&client, &schema).await?;
        copy(&client, "ticks", &csv).await?;
        let before = client.rows("SELECT * FROM by_symbol").await?;
        drop(client);
        let stopped = everview.kill()?;
        let start = Instant::now();
        let everview = stopped.start().await?;
        let accepting = start.elapsed().as_secs_f64();
        let client = Session::connect("Everview", &everview.url()).await?;
        client.rows("SELECT 1").await?;
        let after = client.rows("SELECT * FROM by_symbol").await?;
        let answered = start.elapsed().as_secs_f64();
        if after != before {
            return Err(
                format!("the view over the {name} table is another after a restart").into(),
            );
        }
        let million = bench.arguments.rows as f64 / 1e6;
        let what = format!("{million} M rows, {name}: restart to connections");
        bench.report(Figure::new("restart", &what, accepting, "s"))?;
        let what = format!("{million} M rows, {name}: restart to the view's answer");
        bench.report(Figure::new("restart", &what, answered, "s"))?;
    }
    Ok(())
}
