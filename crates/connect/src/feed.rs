//! A relation's changes after a timestamp, in whole commits.
//!
//! **Invariant.** Batches follow each other without a gap and without overlap: a batch begins after the timestamp with
//! which the one before it ended.

use crate::target::{Batch, Update};
use everview_coord::sinks::SinkDesc;
use everview_coord::subscribe::Subscription;
use everview_coord::{Coordinator, Error, Outcome, Session, SessionOptions};
use everview_repr::{Diff, Row, SqlState, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;

/// A batch that has so many rows waits for no further ones. One commit is never cut.
const ENOUGH_ROWS: usize = 10_000;

/// The changes as they happen.
pub(crate) struct Feed {
    /// Shows what is followed, and for whom.
    session: Session,
    subscription: Subscription,
    /// What ended it, once what came before is taken.
    failed: Option<Error>,
    /// The last change's time and place.
    last: (Timestamp, u64),
}

impl Feed {
    /// What comes after a timestamp; with none, first all that there is.
    pub fn open<'a>(
        coordinator: &'a Coordinator,
        sink: &'a SinkDesc,
        after: Option<Timestamp>,
    ) -> BoxFuture<'a, Result<Feed, Error>> {
        Feed::begin(coordinator, sink, after).boxed()
    }

    async fn begin(
        coordinator: &Coordinator,
        sink: &SinkDesc,
        after: Option<Timestamp>,
    ) -> Result<Feed, Error> {
        let options = SessionOptions {
            user: "everview".to_string(),
            database: "everview".to_string(),
            peer: String::new(),
            settings: vec![(
                "application_name".to_string(),
                format!("sink {}", sink.name),
            )],
        };
        let mut session = Session::open(coordinator, options)?;
        let from = match after {
            None => String::new(),
            Some(after) => format!("WITH (SNAPSHOT = false) AS OF {}", after.0),
        };
        let statements = session.parse(&format!("SUBSCRIBE ({}) {from}", sink.query))?;
        let [statement] = statements.as_slice() else {
            return Err(Error::internal("a subscription is one statement"));
        };
        match session.execute(statement, None).await? {
            Outcome::Subscribe(subscription) => Ok(Feed {
                session,
                subscription: *subscription,
                failed: None,
                last: (Timestamp::MIN, 0),
            }),
            other => Err(Error::internal(format!("SUBSCRIBE gave {other:?}"))),
        }
    }

    /// The next commits, one at least, and those that are there already. Cancel-safe.
    pub async fn next(&mut self) -> Result<Batch, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut batch = tokio::select! {
            changes = self.subscription.next_changes() => {
                let changes = changes?.ok_or_else(ended)?;
                self.batch(changes.updates, changes.upper)
            }
            () = self.session.terminated() => {
                return Err(Error::new(SqlState::ADMIN_SHUTDOWN, "the sink's session was ended"));
            }
        };
        while batch.updates.len() < ENOUGH_ROWS {
            match self.subscription.next_changes().now_or_never() {
                None => break,
                Some(Ok(changes)) => {
                    let changes = changes.ok_or_else(ended)?;
                    let more = self.batch(changes.updates, changes.upper);
                    batch.updates.extend(more.updates);
                    batch.upto = more.upto;
                }
                Some(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(batch)
    }

    /// Changes of times that are closed, with their places.
    fn batch(&mut self, changes: Vec<(Row, Timestamp, Diff)>, upper: Timestamp) -> Batch {
        let mut updates = Vec::with_capacity(changes.len());
        for (row, time, diff) in changes {
            let position = match self.last {
                (last, position) if last == time => position + 1,
                _ => 0,
            };
            self.last = (time, position);
            updates.push(Update {
                time,
                position,
                diff,
                row,
            });
        }
        Batch {
            updates,
            upto: upper.previous(),
        }
    }
}

fn ended() -> Error {
    Error::internal("a subscription without end has ended")
}
