//! What the sections ask of a server, Everview and PostgreSQL alike.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, stream};

use super::Failure;
use crate::session::Session;

/// Runs statements, each in a message of its own.
///
/// # Errors
/// When the server refuses one.
pub async fn run(session: &Session, script: &str) -> Result<(), Failure> {
    for statement in script.split(';').filter(|text| !text.trim().is_empty()) {
        session.run(statement).await?;
    }
    Ok(())
}

/// Loads CSV by one COPY.
///
/// # Errors
/// When the server refuses it.
pub async fn copy(session: &Session, table: &str, csv: &[Bytes]) -> Result<(), Failure> {
    let sql = format!("COPY {table} FROM STDIN (FORMAT csv)");
    let sink = session.client.copy_in::<_, Bytes>(&sql).await;
    let mut sink = pin!(sink.map_err(session.error(&sql))?);
    let mut pieces = stream::iter(csv.iter().cloned().map(Ok));
    let sent = sink.send_all(&mut pieces).await;
    sent.map_err(session.error(&sql))?;
    sink.finish().await.map_err(session.error(&sql))?;
    Ok(())
}

/// The one value of a query, as a number.
///
/// # Errors
/// When the server refuses it, or it gives no number.
pub async fn number(session: &Session, sql: &str) -> Result<f64, Failure> {
    let rows = session.rows(sql).await?;
    let value = rows.keys().next().and_then(|text| text.parse().ok());
    value.ok_or_else(|| format!("{sql} gives no number").into())
}

/// How long a step takes.
///
/// # Errors
/// The step's.
pub async fn timed<T>(
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<(T, Duration), Failure> {
    let start = Instant::now();
    let value = step.await?;
    Ok((value, start.elapsed()))
}
