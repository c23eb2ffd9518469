//! Clients that only look, while others write: a subscriber and a reader.
//!
//! Invariant: whatever they see is a state between two transactions, and is durable: it is there after a kill.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use tokio_postgres::{Error, SimpleQueryMessage, SimpleQueryRow};

use super::model::{ACCOUNTS, OPENING};
use crate::session::{Rows, Session, SessionError};

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Client and number of every transfer.
    pub transfers: BTreeSet<String>,
    /// States and readings that were checked.
    pub states: u64,
    /// What should not have been seen.
    pub faults: Vec<String>,
}

/// A relation as its subscriber knows it.
#[derive(Debug, Default)]
struct Replica {
    rows: Rows,
    /// By timestamp: what is known of times that are not closed.
    pending: BTreeMap<u128, Vec<(String, i64)>>,
}

/// What a message of a subscription with progress says.
enum Message {
    /// A row came or went.
    Change(u128, String, i64),
    /// Everything before that time is known.
    Progress(u128),
}

impl Message {
    /// `mz_timestamp | mz_progressed | mz_diff | columns ...`.
    fn of(row: &SimpleQueryRow) -> Option<Message> {
        let time = row.get(0)?.parse().ok()?;
        if row.get(1)? == "t" {
            return Some(Message::Progress(time));
        }
        let values: Vec<&str> = (3..row.len())
            .map(|at| row.get(at).unwrap_or("NULL"))
            .collect();
        Some(Message::Change(
            time,
            values.join(" | "),
            row.get(2)?.parse().ok()?,
        ))
    }
}

impl Replica {
    /// Takes a message; gives the times that it closed, in order, for [`Replica::step`].
    fn take(&mut self, message: Message) -> Vec<u128> {
        match message {
            Message::Change(time, row, diff) => {
                self.pending.entry(time).or_default().push((row, diff));
                Vec::new()
            }
            Message::Progress(time) => self.pending.range(..time).map(|(time, _)| *time).collect(),
        }
    }

    /// Applies one closed time; gives the rows that it changes.
    fn step(&mut self, time: u128) -> Vec<String> {
        let changes = self.pending.remove(&time).unwrap_or_default();
        let changed = changes.into_iter().map(|(row, diff)| {
            let count = self.rows.entry(row.clone()).or_default();
            *count += diff;
            if *count == 0 {
                self.rows.remove(&row);
            }
            row
        });
        changed.collect()
    }
}

/// Subscribes to the accounts' view until the server is gone, and checks each state: money is neither made nor lost,
/// and each balance is what the transfers say.
pub async fn accounts(session: Session) -> Seen {
    watch(
        session,
        "SUBSCRIBE moved WITH (PROGRESS)",
        |rows, _, seen| {
            let fields = rows
                .iter()
                .map(|(row, count)| (row.split(" | ").collect::<Vec<_>>(), *count));
            let mut sum = 0;
            for (fields, count) in fields {
                let number = |at: usize| fields.get(at).and_then(|text| text.parse::<i64>().ok());
                match (number(1), number(2)) {
                    (Some(balance), Some(moved)) if count == 1 && balance == OPENING + moved => {
                        sum += balance
                    }
                    _ => seen
                        .faults
                        .push(format!("a subscriber saw {count}x {fields:?}")),
                }
            }
            if rows.len() != ACCOUNTS as usize || sum != i64::from(ACCOUNTS) * OPENING {
                seen.faults.push(format!(
                    "a subscriber saw {} accounts with {sum} in all",
                    rows.len()
                ));
            }
        },
    )
    .await
}

/// Subscribes to the transfers until the server is gone, and remembers each.
pub async fn transfers(session: Session) -> Seen {
    let sql = "SUBSCRIBE (SELECT client, seq FROM transfers) WITH (PROGRESS)";
    watch(session, sql, |rows, changed, seen| {
        for row in changed {
            if rows.get(row) != Some(&1) {
                let count = rows.get(row).copied().unwrap_or(0);
                seen.faults
                    .push(format!("a subscriber saw transfer {row} {count} times"));
            }
            seen.transfers.insert(row.clone());
        }
    })
    .await
}

/// Judges a state: its rows, and which of them changed last.
trait Check: Fn(&Rows, &[String], &mut Seen) {}
impl<F: Fn(&Rows, &[String], &mut Seen)> Check for F {}

async fn watch(session: Session, sql: &str, check: impl Check) -> Seen {
    let mut seen = Seen::default();
    if let Err(error) = follow(&session, sql, &mut seen, check).await
        && error.as_db_error().is_some()
    {
        seen.faults
            .push(format!("{sql} failed: {}", crate::session::message(&error)));
    }
    seen
}

async fn follow(
    session: &Session,
    sql: &str,
    seen: &mut Seen,
    check: impl Check,
) -> Result<(), Error> {
    let mut replica = Replica::default();
    let mut messages = std::pin::pin!(session.client.simple_query_raw(sql).await?);
    while let Some(message) = messages.try_next().await? {
        let SimpleQueryMessage::Row(row) = message else {
            continue;
        };
        let Some(message) = Message::of(&row) else {
            seen.faults.push(format!("{sql} sent {row:?}"));
            continue;
        };
        for time in replica.take(message) {
            let changed = replica.step(time);
            seen.states += 1;
            check(&replica.rows, &changed, seen);
        }
    }
    Ok(())
}

/// What a new subscription to a relation begins with.
///
/// # Errors
/// When the server refuses, or is gone.
pub async fn snapshot(url: &str, relation: &str) -> Result<Rows, SessionError> {
    // A connection of its own: closing it is how the subscription ends.
    let session = Session::connect("Everview", url).await?;
    let sql = format!("SUBSCRIBE {relation} WITH (PROGRESS)");
    let refused = session.error(&sql);
    let mut replica = Replica::default();
    let mut first = None;
    let messages = session
        .client
        .simple_query_raw(&sql)
        .await
        .map_err(&refused)?;
    let mut messages = std::pin::pin!(messages);
    while let Some(message) = messages.try_next().await.map_err(&refused)? {
        let SimpleQueryMessage::Row(row) = message else {
            continue;
        };
        let Some(message) = Message::of(&row) else {
            continue;
        };
        if let Message::Progress(time) = message {
            let start = *first.get_or_insert(time);
            for closed in replica.take(message) {
                replica.step(closed);
            }
            if time > start {
                break;
            }
        } else {
            replica.take(message);
        }
    }
    Ok(replica.rows)
}

/// Reads in transactions until the server is gone: what one transaction reads of tables and views fits together.
pub async fn reader(session: Session) -> Seen {
    let mut seen = Seen::default();
    loop {
        match read_once(&session).await {
            Ok(None) => seen.states += 1,
            Ok(Some(fault)) => seen.faults.push(fault),
            Err(error) => {
                if error.source.as_db_error().is_some() {
                    seen.faults.push(error.to_string());
                }
                return seen;
            }
        }
    }
}

async fn read_once(session: &Session) -> Result<Option<String>, SessionError> {
    const PAIRS: [(&str, &str); 3] = [
        (
            "SELECT count(*), sum(balance) FROM accounts",
            "SELECT * FROM totals",
        ),
        (
            "SELECT count(*) FROM orders",
            "SELECT coalesce(sum(orders), 0) FROM by_status",
        ),
        (
            "SELECT client, count(*) FROM transfers WHERE target = 3 GROUP BY client",
            "SELECT client, count(*) FROM (SELECT client, target + 0 AS target FROM transfers) t \
             WHERE target = 3 GROUP BY client",
        ),
    ];
    session.run("BEGIN READ ONLY").await?;
    for (left, right) in PAIRS {
        let (one, other) = (session.rows(left).await?, session.rows(right).await?);
        if one != other {
            session.run("COMMIT").await?;
            return Ok(Some(format!(
                "in one transaction {left} gave {one:?} and {right} gave {other:?}"
            )));
        }
    }
    session.run("COMMIT").await?;
    Ok(None)
}
