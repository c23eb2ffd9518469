//! Ticks by one COPY into a table with a view of count, sums, minimum and maximum by symbol.
//!
//! The clock runs from the COPY's first byte until the view was read whole; PostgreSQL's runs over COPY and REFRESH.

use std::time::Duration;

use bytes::Bytes;

use super::client::{copy, run as execute, timed};
use super::figure::{Bound, Figure};
use super::{Bench, Failure, data};
use crate::session::{Rows, Session};

/// How a table is made: a name, what follows the columns, a key, and whether PostgreSQL's rate binds us.
const TABLES: [(&str, &str, &str, bool); 3] = [
    ("append-only table", " APPEND ONLY", "", true),
    ("table without a key", "", "", false),
    ("table with a primary key", "", ", PRIMARY KEY (id)", false),
];

/// Measures the section.
///
/// # Errors
/// When a server does not start or answers otherwise than PostgreSQL.
pub async fn run(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let csv = bench.ticks();
    let url = bench.postgres("ticks").await?;
    let (plain, expected) = postgres(&url, "", &csv).await?;
    let url = bench.postgres("ticks_keyed").await?;
    let (keyed, _) = postgres(&url, ", PRIMARY KEY (id)", &csv).await?;
    let million = bench.arguments.rows as f64 / 1e6;
    for (name, after, key, bound) in TABLES {
        let everview = bench.everview().await?;
        let client = Session::connect("Everview", &everview.url()).await?;
        let schema = format!(
            "CREATE TABLE ticks ({}{key}){after}; CREATE MATERIALIZED VIEW by_symbol AS {}",
            data::COLUMNS,
            data::VIEW
        );
        execute(&client, &schema).await?;
        let ((), copied) = timed(copy(&client, "ticks", &csv)).await?;
        let (found, read) =
            timed(async { Ok(client.rows("SELECT * FROM by_symbol").await?) }).await?;
        if found != expected {
            return Err(format!("the view over the {name} is not PostgreSQL's").into());
        }
        let rate = million / (copied + read).as_secs_f64();
        let theirs = million / if key.is_empty() { plain } else { keyed }.as_secs_f64();
        let figure = Figure::new(
            "ticks",
            &format!("{name}: COPY, and the view read"),
            rate,
            "M/s",
        );
        let figure = figure.against(theirs);
        bench.report(if bound {
            figure.must(Bound::Peer)
        } else {
            figure
        })?;
        let detail = format!("{name}: COPY alone");
        let rate = million / copied.as_secs_f64();
        bench.report(Figure::new("ticks", &detail, rate, "M/s"))?;
        let peak = everview.memory()?.1 as f64 / 1e6;
        let detail = format!("{name}: peak memory");
        bench.report(Figure::new("ticks", &detail, peak, "MB"))?;
    }
    Ok(())
}

/// The time of COPY and REFRESH, and the view's rows.
async fn postgres(url: &str, key: &str, csv: &[Bytes]) -> Result<(Duration, Rows), Failure> {
    let client = Session::connect("PostgreSQL", url).await?;
    let schema = format!(
        "CREATE TABLE ticks ({}{key}); CREATE MATERIALIZED VIEW by_symbol AS {}",
        data::COLUMNS,
        data::VIEW
    );
    execute(&client, &schema).await?;
    timed(async {
        copy(&client, "ticks", csv).await?;
        execute(&client, "REFRESH MATERIALIZED VIEW by_symbol").await?;
        Ok(client.rows("SELECT * FROM by_symbol").await?)
    })
    .await
    .map(|(rows, taken)| (taken, rows))
}
