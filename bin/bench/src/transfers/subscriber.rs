//! Readers of changes: they keep the state that they were told of, and check it after every commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::{Fault, Run};
use crate::session::{Rows, Session, SessionError};

const FETCH: &str = "FETCH ALL changes WITH (timeout = '200ms')";

/// Balances as a subscriber knows them.
#[derive(Default)]
pub struct Balances {
    /// Of each account, with how often each balance is there: once, in every state.
    accounts: BTreeMap<String, BTreeMap<i64, i64>>,
    /// Up to which time all is taken in.
    at: Option<u64>,
    /// The commit that is being taken in.
    pending: Option<i64>,
    /// States that were checked.
    pub states: u64,
}

impl Balances {
    /// Follows the view until all is written; across crashes from where it was.
    pub async fn follow(mut self, run: Arc<Run>) -> Result<Balances, Fault> {
        loop {
            let Some(session) = run.connect().await else {
                continue;
            };
            match self.fetch(&session, &run).await {
                Ok(()) => return Ok(self),
                Err(_) if session.client.is_closed() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn fetch(&mut self, session: &Session, run: &Run) -> Result<(), SessionError> {
        let from = match self.at {
            Some(at) => format!("WITH (PROGRESS, SNAPSHOT = false) AS OF {at}"),
            None => "WITH (PROGRESS)".to_string(),
        };
        session
            .run(&format!(
                "BEGIN; DECLARE changes CURSOR FOR SUBSCRIBE TO balance {from}"
            ))
            .await?;
        while !run.is_over(self.at) {
            for change in &rows(session).await? {
                self.apply(change, run);
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: &SimpleQueryRow, run: &Run) {
        let number = |column| {
            change
                .get(column)
                .and_then(|text: &str| text.parse::<i64>().ok())
        };
        if let Some(complete) = progress(change) {
            self.check(run);
            self.at = Some(complete);
            return;
        }
        let (Some(diff), Some(account), Some(balance)) =
            (number("mz_diff"), change.get("account"), number("balance"))
        else {
            return run.violation(format!("a subscriber was told {change:?}"));
        };
        let time = number("mz_timestamp");
        if self.pending.is_some_and(|pending| Some(pending) != time) {
            self.check(run);
        }
        self.pending = time;
        let balances = self.accounts.entry(account.to_string()).or_default();
        let count = balances.entry(balance).or_default();
        *count += diff;
        if *count == 0 {
            balances.remove(&balance);
        }
    }

    /// The state after a commit.
    fn check(&mut self, run: &Run) {
        let Some(at) = self.pending.take() else {
            return;
        };
        self.states += 1;
        let once = |balances: &BTreeMap<i64, i64>| {
            balances.len() == 1 && balances.values().all(|n| *n == 1)
        };
        let total: i64 = self.accounts.values().flat_map(BTreeMap::keys).sum();
        if total != 0 || !self.accounts.values().all(once) {
            run.violation(format!("at {at} a subscriber saw {:?}", self.accounts));
        }
    }

    /// As the view shows them.
    pub fn rows(&self) -> Rows {
        let pairs = self.accounts.iter().flat_map(|(account, balances)| {
            balances
                .iter()
                .map(move |(balance, n)| (format!("{account} | {balance}"), *n))
        });
        pairs.collect()
    }
}

/// Follows the transfers that do not meet themselves: there are none at any time.
pub async fn no_nulls(run: Arc<Run>) -> Result<(), Fault> {
    loop {
        let Some(session) = run.connect().await else {
            continue;
        };
        match no_null(&session, &run).await {
            Ok(()) => return Ok(()),
            Err(_) if session.client.is_closed() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn no_null(session: &Session, run: &Run) -> Result<(), SessionError> {
    session
        .run(
            "BEGIN; DECLARE changes CURSOR FOR SUBSCRIBE TO (SELECT id FROM matched WHERE other IS NULL) WITH (PROGRESS)",
        )
        .await?;
    let mut at = None;
    while !run.is_over(at) {
        for change in &rows(session).await? {
            match progress(change) {
                Some(complete) => at = Some(complete),
                None => run.violation(format!("a transfer did not meet itself: {change:?}")),
            }
        }
    }
    Ok(())
}

/// Up to which time a message of progress says that all is there, if it is one.
fn progress(change: &SimpleQueryRow) -> Option<u64> {
    let time: u64 = change.get("mz_timestamp")?.parse().ok()?;
    (change.get("mz_progressed") == Some("t")).then(|| time.saturating_sub(1))
}

async fn rows(session: &Session) -> Result<Vec<SimpleQueryRow>, SessionError> {
    let answer = session.run(FETCH).await?.into_iter();
    let rows = answer.filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok(rows.collect())
}
