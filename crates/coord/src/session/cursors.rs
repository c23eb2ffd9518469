//! Cursors: over a query's rows, read when it is declared, and over a subscription.

use super::Session;
use super::statements::no_cursor;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::read::Interrupt;
use crate::subscribe::Subscription;
use everview_repr::{RelationDesc, Row, SqlState};
use everview_sql::plan::Plan;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A cursor.
pub(crate) struct Cursor {
    source: Source,
    /// WITH HOLD: it outlives its transaction.
    pub hold: bool,
}

enum Source {
    Rows {
        desc: Arc<RelationDesc>,
        rows: VecDeque<Row>,
    },
    Changes(Box<Subscription>),
}

impl Cursor {
    pub fn desc(&self) -> &Arc<RelationDesc> {
        match &self.source {
            Source::Rows { desc, .. } => desc,
            Source::Changes(subscription) => subscription.desc(),
        }
    }
}

impl Session {
    /// The columns of a cursor that DECLARE made.
    pub fn cursor_desc(&self, name: &str) -> Option<Arc<RelationDesc>> {
        self.cursors.get(name).map(|c| c.desc().clone())
    }

    pub(super) async fn declare(
        &mut self,
        name: &str,
        query: Plan,
        hold: bool,
    ) -> Result<(), Error> {
        if self.cursors.contains_key(name) {
            let message = format!("cursor \"{name}\" already exists");
            return Err(Error::new(SqlState::DUPLICATE_CURSOR, message));
        }
        let outside = self.transaction.is_none();
        if outside && !hold {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        if outside {
            self.transaction = Some(self.new_transaction(false));
        }
        let source = match query {
            Plan::Select(select) => match self.select(&select, None, None).await {
                Ok(rows) => Ok(Source::Rows {
                    desc: Arc::new(select.desc),
                    rows: rows.into(),
                }),
                Err(error) => Err(error),
            },
            Plan::Subscribe(plan) => self
                .subscribe(plan, None)
                .await
                .map(|s| Source::Changes(Box::new(s))),
            _ => Err(Error::unsupported("a cursor over this statement")),
        };
        if outside {
            self.rollback();
        }
        self.cursors.insert(
            name.to_string(),
            Cursor {
                source: source?,
                hold,
            },
        );
        Ok(())
    }

    pub(super) async fn fetch(
        &mut self,
        name: &str,
        count: Option<i64>,
        timeout: Option<u64>,
    ) -> Result<Outcome, Error> {
        let most = match count {
            None => usize::MAX,
            Some(n) if n < 0 => return Err(Error::unsupported("FETCH BACKWARD")),
            Some(n) => usize::try_from(n).unwrap_or(usize::MAX),
        };
        // Out of the map while it waits, so that the session can be asked whether it was cancelled.
        let mut cursor = self.cursors.remove(name).ok_or_else(|| no_cursor(name))?;
        let desc = cursor.desc().clone();
        let rows = match &mut cursor.source {
            Source::Rows { rows, .. } => {
                let n = rows.len().min(most);
                Ok(rows.drain(..n).collect())
            }
            Source::Changes(subscription) => self.fetch_changes(subscription, most, timeout).await,
        };
        self.cursors.insert(name.to_string(), cursor);
        let rows: Vec<Row> = rows?;
        let tag = format!("FETCH {}", rows.len());
        Ok(Outcome::Rows { desc, rows, tag })
    }

    /// Rows that are there; if there are none, the next ones, for at most `timeout` microseconds.
    async fn fetch_changes(
        &self,
        subscription: &mut Subscription,
        most: usize,
        timeout: Option<u64>,
    ) -> Result<Vec<Row>, Error> {
        subscription.poll()?;
        let mut rows = subscription.take_ready(most);
        if !rows.is_empty() || subscription.is_finished() || most == 0 {
            return Ok(rows);
        }
        let wait = async {
            match timeout {
                None => subscription.next().await,
                Some(micros) => {
                    let limit = Duration::from_micros(micros);
                    match tokio::time::timeout(limit, subscription.next()).await {
                        Ok(next) => next,
                        Err(_) => Ok(None),
                    }
                }
            }
        };
        let mut next = self.guard(wait).await??.unwrap_or_default();
        if next.len() > most {
            let rest = next.split_off(most);
            subscription.give_back(rest);
        }
        rows.append(&mut next);
        Ok(rows)
    }

    pub(super) fn close(&mut self, name: Option<&str>) -> Result<(), Error> {
        match name {
            None => self.cursors.clear(),
            Some(name) => drop(self.cursors.remove(name).ok_or_else(|| no_cursor(name))?),
        }
        Ok(())
    }
}
