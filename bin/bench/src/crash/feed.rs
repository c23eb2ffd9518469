//! Two processes that take themselves for the only one: they feed one table under one producer's name.
//!
//! Each opens the producer, which fences the other, goes on after the last number committed, or some before it, sends
//! now and then a batch twice, and opens the producer again when it finds itself fenced. What a batch holds follows
//! from its number alone, so that either may send it.
//!
//! Invariant: the rows of every number up to the last one are there, once; no number that was acknowledged is above it.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::SinkExt;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc::UnboundedSender;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

use super::client::Signal;
use crate::session::{Session, SessionError, message};

/// The producer that they share.
const PRODUCER: &str = "feed";

/// How many there are.
pub const FEEDERS: usize = 2;

/// Tables and view of the feed: rows without a key, so that a second effect shows, and with one, so that a repeated
/// batch meets its own.
pub const SCHEMA: [&str; 3] = [
    "CREATE TABLE fed (sequence bigint NOT NULL, n int NOT NULL)",
    "CREATE TABLE fed_keys (sequence bigint PRIMARY KEY)",
    "CREATE MATERIALIZED VIEW fed_rows AS SELECT sequence, count(*) AS n, sum(n) AS total FROM fed GROUP BY sequence",
];

/// What a feeder was told.
#[derive(Clone, Default, Debug)]
pub struct Account {
    /// The highest number acknowledged.
    pub last: i64,
    /// Batches acknowledged as new.
    pub committed: u64,
    /// Batches acknowledged as repeated ones.
    pub repeated: u64,
    /// How often it found itself fenced.
    pub fenced: u64,
    /// What nobody may be answered.
    pub faults: Vec<String>,
}

/// Why a feeder cannot go on.
enum Stop {
    Gone,
    Fenced,
    Fault(String),
}

/// Feeds until the server is gone.
pub async fn run(url: String, mut rng: ChaCha8Rng, signals: UnboundedSender<Signal>) -> Account {
    let mut account = Account::default();
    // Its server may be gone already.
    let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await else {
        return account;
    };
    tokio::spawn(connection);
    loop {
        match feed(&client, &mut rng, &signals, &mut account).await {
            Stop::Gone => return account,
            Stop::Fenced => account.fenced += 1,
            Stop::Fault(fault) => {
                account.faults.push(format!("a feeder: {fault}"));
                return account;
            }
        }
        // The other one gets some way, too.
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..300))).await;
    }
}

/// Opens the producer and sends batches until that stops.
async fn feed(
    client: &Client,
    rng: &mut ChaCha8Rng,
    signals: &UnboundedSender<Signal>,
    account: &mut Account,
) -> Stop {
    let last = match open(client).await {
        Ok(last) => last,
        Err(stop) => return stop,
    };
    // Those that it is unsure of: it has forgotten what it sent, and how that came out.
    let mut sequence = (last + 1 - rng.random_range(0..4)).max(1);
    loop {
        match send(client, sequence, signals).await {
            Ok(repeated) => {
                account.last = account.last.max(sequence);
                account.repeated += u64::from(repeated);
                account.committed += u64::from(!repeated);
                sequence += i64::from(rng.random_bool(0.9));
            }
            Err(error) => {
                let stop = stop(&error);
                match (&stop, client.batch_execute("ROLLBACK").await) {
                    (Stop::Fault(_), Ok(())) if is(&error, "40001") => {}
                    _ => return stop,
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn open(client: &Client) -> Result<i64, Stop> {
    let open = format!("SET everview.producer = '{PRODUCER}'; SET everview.strict_sequence = on");
    client.batch_execute(&open).await.map_err(|e| stop(&e))?;
    let last = show(client, "everview.last_sequence").await;
    let last = last.map_err(|e| stop(&e))?;
    last.parse()
        .map_err(|_| Stop::Fault(format!("the last sequence is {last:?}")))
}

async fn show(client: &Client, setting: &str) -> Result<String, Error> {
    let messages = client.simple_query(&format!("SHOW {setting}")).await?;
    let value = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(value.unwrap_or_default().to_string())
}

/// Rows of a batch.
fn rows(sequence: i64) -> i64 {
    match sequence % 60 {
        // Large enough to be written ahead of its commit.
        7 => 60_000,
        n if n % 3 == 0 => 300,
        _ => 3,
    }
}

/// Sends a batch; whether it was a repeated one.
async fn send(
    client: &Client,
    sequence: i64,
    signals: &UnboundedSender<Signal>,
) -> Result<bool, Error> {
    let begin = format!("BEGIN; SET LOCAL everview.sequence = {sequence}");
    client.batch_execute(&begin).await?;
    let key = format!("INSERT INTO fed_keys VALUES ({sequence})");
    client.batch_execute(&key).await?;
    let rows = rows(sequence);
    if rows > 3 {
        let sink = client.copy_in::<_, Bytes>("COPY fed FROM STDIN").await?;
        let mut sink = pin!(sink);
        let text: String = (1..=rows).map(|n| format!("{sequence}\t{n}\n")).collect();
        // Cut anew each time.
        let size = 1_000 + (sequence as usize * 7_919) % 50_000;
        for piece in text.as_bytes().chunks(size) {
            sink.send(Bytes::copy_from_slice(piece)).await?;
        }
        sink.finish().await?;
    } else {
        let insert =
            format!("INSERT INTO fed SELECT {sequence}, n FROM generate_series(1, {rows}) n");
        client.batch_execute(&insert).await?;
    }
    // Nobody listens once the server has been killed.
    let _ = signals.send(Signal::Commit);
    client.batch_execute("COMMIT").await?;
    Ok(!show(client, "everview.duplicate_of").await?.is_empty())
}

fn is(error: &Error, code: &str) -> bool {
    error.code().is_some_and(|c| c.code() == code)
}

fn stop(error: &Error) -> Stop {
    match error.as_db_error() {
        None => Stop::Gone,
        Some(_) if is(error, "VE001") => Stop::Fenced,
        Some(_) => Stop::Fault(message(error)),
    }
}

/// Holds the tables and the view against the numbers, and those against what feeders were told.
///
/// # Errors
/// When the server refuses, or is gone.
pub async fn judge(
    session: &Session,
    acknowledged: i64,
    faults: &mut Vec<String>,
) -> Result<(), SessionError> {
    let query = format!("SELECT last_sequence FROM everview.producers WHERE name = '{PRODUCER}'");
    let producers = session.rows(&query).await?;
    let last = producers.keys().next().and_then(|last| last.parse().ok());
    let last: i64 = last.unwrap_or(0);
    if last < acknowledged {
        faults.push(format!(
            "the feed's last number is {last}, and {acknowledged} was acknowledged"
        ));
    }
    let expected = (1..=last).map(|sequence| {
        let n = rows(sequence);
        (format!("{sequence} | {n} | {}", n * (n + 1) / 2), 1)
    });
    let expected = expected.collect();
    for query in [
        "SELECT sequence, count(*), sum(n) FROM fed GROUP BY sequence",
        "SELECT sequence, n, total FROM fed_rows",
    ] {
        let there = session.rows(query).await?;
        if let Some(difference) = crate::session::difference(&there, &expected) {
            faults.push(format!("{query}: {difference}"));
        }
    }
    let keys = session.rows("SELECT sequence FROM fed_keys").await?;
    let expected = (1..=last)
        .map(|sequence| (sequence.to_string(), 1))
        .collect();
    if let Some(difference) = crate::session::difference(&keys, &expected) {
        faults.push(format!("the feed's keys: {difference}"));
    }
    Ok(())
}
