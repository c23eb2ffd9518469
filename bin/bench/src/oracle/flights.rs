//! The flights: schema, views, history and data, all part of the program.
//!
//! Invariant: both servers get the same text and the same bytes.

use std::io::Read;
use std::pin::pin;

use bytes::Bytes;
use flate2::read::GzDecoder;
use futures::SinkExt;

use super::{OracleError, Session};

/// The tables.
pub const SCHEMA: &str = include_str!("../../../../sql-tests/nycflights13/schema.sql");

/// The materialized views.
pub const VIEWS: &str = include_str!("../../../../sql-tests/nycflights13/views.sql");

const STEPS: &str = include_str!("../../../../sql-tests/nycflights13/steps.sql");

/// The names of the tables.
pub const TABLES: [&str; 6] = [
    "airlines",
    "airports",
    "planes",
    "weather",
    "flights",
    "flights_aside",
];

/// The tables that are loaded, with their CSV files, compressed.
const DATA: [(&str, &[u8]); 5] = [
    (
        "airlines",
        include_bytes!("../../../everview/demo/nycflights13/airlines.csv.gz"),
    ),
    (
        "airports",
        include_bytes!("../../../everview/demo/nycflights13/airports.csv.gz"),
    ),
    (
        "planes",
        include_bytes!("../../../everview/demo/nycflights13/planes.csv.gz"),
    ),
    (
        "weather",
        include_bytes!("../../../everview/demo/nycflights13/weather.csv.gz"),
    ),
    (
        "flights",
        include_bytes!("../../../everview/demo/nycflights13/flights.csv.gz"),
    ),
];

/// What goes over the wire at once.
const CHUNK: usize = 1 << 16;

/// A step of the history.
pub struct Step {
    /// What happens.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

/// The steps after the load, in order.
pub fn steps() -> Vec<Step> {
    let parts = STEPS.split("-- step: ").skip(1);
    parts
        .filter_map(|part| part.split_once('\n'))
        .map(|(name, sql)| Step {
            name: name.trim(),
            sql,
        })
        .collect()
}

/// The names of the views, in order.
pub fn view_names() -> Vec<&'static str> {
    let after = VIEWS.split("CREATE MATERIALIZED VIEW ").skip(1);
    after
        .filter_map(|text| text.split_whitespace().next())
        .collect()
}

/// The views as plain ones, computed at each reading.
pub fn plain_views() -> String {
    VIEWS.replace("CREATE MATERIALIZED VIEW", "CREATE VIEW")
}

/// The statements of a script of ours: each ends with a semicolon at the end of a line.
pub fn statements(script: &str) -> impl Iterator<Item = &str> {
    script
        .split(";\n")
        .map(str::trim)
        .filter(|statement| !is_only_comments(statement))
}

fn is_only_comments(text: &str) -> bool {
    text.lines()
        .all(|line| line.trim().is_empty() || line.starts_with("--"))
}

/// Loads all tables, in one COPY each.
pub async fn load(server: &Session) -> Result<(), OracleError> {
    for (table, compressed) in DATA {
        let sql = format!("COPY {table} FROM STDIN (FORMAT csv, HEADER, NULL 'NA')");
        let sink = server
            .client
            .copy_in::<_, Bytes>(&sql)
            .await
            .map_err(server.error(&sql))?;
        let mut sink = pin!(sink);
        let mut decoder = GzDecoder::new(compressed);
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = decoder.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
            if read.map_err(|source| OracleError::Io {
                what: "decompress the flights",
                source,
            })? == 0
            {
                break;
            }
            sink.send(Bytes::from(chunk))
                .await
                .map_err(server.error(&sql))?;
        }
        sink.finish().await.map_err(server.error(&sql))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_fall_into_views_steps_and_statements() {
        assert!(view_names().len() >= 8);
        assert_eq!(statements(VIEWS).count(), view_names().len());
        assert_eq!(statements(SCHEMA).count(), TABLES.len());
        assert!(steps().len() >= 4);
        assert!(steps().iter().all(|step| statements(step.sql).count() >= 1));
    }
}
