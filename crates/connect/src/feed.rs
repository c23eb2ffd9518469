//! A relation's changes after a timestamp, in whole commits.
//!
//! **Invariant.** Batches follow each other without a gap and without overlap: a batch begins after the timestamp with
//! which the one before it ended.

use crate::target::{Batch, Update};
use everview_coord::sinks::SinkDesc;
use everview_coord::subscribe::Subscription;
use everview_coord::{Coordinator, Error, Outcome, Session, SessionOptions};
use everview_repr::{Datum, Row, SqlState, Timestamp};
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
            None => "WITH (PROGRESS)".to_string(),
            Some(after) => format!("WITH (PROGRESS, SNAPSHOT = false) AS OF {}", after.0),
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
        let mut updates = Vec::new();
        let rows = tokio::select! {
            rows = self.subscription.next() => rows?,
            () = self.session.terminated() => {
                return Err(Error::new(SqlState::ADMIN_SHUTDOWN, "the sink's session was ended"));
            }
        };
        let mut upto = self.take(rows, &mut updates)?;
        while updates.len() < ENOUGH_ROWS {
            match self.subscription.next().now_or_never() {
                None => break,
                Some(Ok(rows)) => upto = self.take(rows, &mut updates)?.max(upto),
                Some(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(Batch { updates, upto })
    }

    /// Takes rows as SUBSCRIBE gives them, which end with one of progress; gives the last timestamp that is complete.
    fn take(
        &mut self,
        rows: Option<Vec<Row>>,
        updates: &mut Vec<Update>,
    ) -> Result<Timestamp, Error> {
        let rows = rows.ok_or_else(|| Error::internal("a subscription without end has ended"))?;
        let mut upto = Timestamp::MIN;
        for row in &rows {
            let mut datums = row.iter();
            let time = datums.next().and_then(|d| d.as_numeric()?.to_i64().ok());
            let time = time.and_then(|t| u64::try_from(t).ok()).map(Timestamp);
            match (time, datums.next(), datums.next()) {
                (Some(time), Some(Datum::Bool(true)), _) => upto = time.previous(),
                (Some(time), Some(Datum::Bool(false)), Some(Datum::Int64(diff))) => {
                    let position = match self.last {
                        (last, position) if last == time => position + 1,
                        _ => 0,
                    };
                    self.last = (time, position);
                    updates.push(Update {
                        time,
                        position,
                        diff,
                        row: Row::pack(datums),
                    });
                }
                _ => return Err(Error::internal("a subscription's row cannot be read")),
            }
        }
        Ok(upto)
    }
}
