//! A table of a PostgreSQL server as a target.
//!
//! How far a sink got is a row of the table `everview_sinks` beside the target, changed by the transaction that changes
//! the target. The row also has an epoch: opening takes a new one, and a transaction of whoever has an older one finds
//! another number than it expects, and is rolled back. Rows go there by COPY: what the relation holds at first into
//! the table itself, in one transaction; later changes likewise in append mode, and in upsert mode by way of a
//! temporary table, what each key comes to and not what it was between.
//!
//! **Invariant.** The table is the relation as of the progress in `everview_sinks`, for whoever looks in one snapshot.

mod copy;
mod layout;
mod progress;

use crate::target::{Batch, Target, TargetError, Update};
use async_trait::async_trait;
use copy::Lines;
use everview_coord::Error;
use everview_coord::sinks::{CheckSink, SinkDesc};
use everview_repr::{SqlState, Timestamp};
use layout::Layout;
use progress::Claim;
use std::time::Duration;
use tokio_postgres::config::Config;
use tokio_postgres::error::Error as PgError;
use tokio_postgres::{Client, NoTls};

/// How long a server may take to answer a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The settings that the text of values is read under, and what keeps a writer that hangs from holding locks for ever.
const SETTINGS: &str = "SET DateStyle = ISO; SET IntervalStyle = postgres; SET TimeZone = 'UTC'; \
    SET client_encoding = 'UTF8'; SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = warning";

/// The target of one sink.
pub struct Postgres {
    sink: SinkDesc,
    layout: Layout,
    /// The epoch that this process has taken.
    epoch: Option<i64>,
    session: Option<Session>,
}

/// A connection, and how far the target got when it was last heard of.
struct Session {
    client: Client,
    progress: Option<Timestamp>,
}

impl Postgres {
    /// The target of a sink; nothing is connected yet.
    pub fn new(sink: &SinkDesc) -> Postgres {
        Postgres {
            sink: sink.clone(),
            layout: Layout::of(sink),
            epoch: None,
            session: None,
        }
    }

    async fn transaction(
        &self,
        session: &Session,
        epoch: i64,
        updates: &[Update],
        upto: Timestamp,
    ) -> Result<u64, TargetError> {
        let client = &session.client;
        let claim = Claim {
            layout: &self.layout,
            sink: &self.sink.identity,
        };
        client.batch_execute("BEGIN").await.map_err(fault)?;
        let first = session.progress.is_none();
        if !first {
            // Before the rows: a writer that is fenced is told so before it waits for anybody.
            claim.advance(client, epoch, session.progress, upto).await?;
        }
        let rows = match (first, self.layout.is_upsert()) {
            _ if updates.is_empty() => 0,
            (false, true) => self.merge(client, updates).await?,
            _ => self.append(client, updates).await?,
        };
        if first {
            // After them: they take long, and a writer that comes later shall not wait for them.
            claim.advance(client, epoch, None, upto).await?;
        }
        client.batch_execute("COMMIT").await.map_err(fault)?;
        Ok(rows)
    }

    /// Rows that are new, into the table itself.
    async fn append(&self, client: &Client, updates: &[Update]) -> Result<u64, TargetError> {
        let mut lines = Lines::start(client, &self.layout.copy()).await?;
        for update in updates {
            match self.layout.is_upsert() {
                false => lines.change(&self.layout, update).await?,
                true => {
                    for _ in 0..update.diff {
                        lines.row(&self.layout, &update.row).await?;
                    }
                }
            }
        }
        lines.finish().await
    }

    /// What the keys come to, by way of the temporary table.
    async fn merge(&self, client: &Client, updates: &[Update]) -> Result<u64, TargetError> {
        let mut lines = Lines::start(client, layout::STAGE).await?;
        for (update, is_gone) in self.layout.settle(updates)? {
            lines.staged(&self.layout, &update.row, is_gone).await?;
        }
        let rows = lines.finish().await?;
        client
            .batch_execute(&self.layout.merge())
            .await
            .map_err(fault)?;
        Ok(rows)
    }
}

#[async_trait]
impl Target for Postgres {
    async fn open(&mut self, now: Timestamp) -> Result<Option<Timestamp>, TargetError> {
        self.session = None;
        let client = connect(&self.sink).await?;
        let claim = Claim {
            layout: &self.layout,
            sink: &self.sink.identity,
        };
        let (epoch, progress) = claim.take(&client, self.epoch, now).await?;
        if self.layout.is_upsert() {
            client
                .batch_execute(&self.layout.stage())
                .await
                .map_err(fault)?;
        }
        self.epoch = Some(epoch);
        self.session = Some(Session { client, progress });
        Ok(progress)
    }

    async fn write(&mut self, batch: &Batch) -> Result<u64, TargetError> {
        // Taken out: whatever fails, the connection goes, and with it what was not committed.
        let (Some(mut session), Some(epoch)) = (self.session.take(), self.epoch) else {
            return Err(TargetError::Away("the target is not open".to_string()));
        };
        let has = session.progress;
        let rows = match has {
            Some(has) if batch.upto <= has => 0,
            _ => {
                let is_new = |update: &Update| has.is_none_or(|has| update.time > has);
                let known = batch.updates.iter().take_while(|u| !is_new(u)).count();
                let (updates, upto) = (&batch.updates[known..], batch.upto);
                let rows = self.transaction(&session, epoch, updates, upto).await?;
                session.progress = Some(upto);
                rows
            }
        };
        self.session = Some(session);
        Ok(rows)
    }

    async fn forget(&mut self) -> Result<(), TargetError> {
        self.session = None;
        let Some(epoch) = self.epoch else {
            return Ok(());
        };
        let client = connect(&self.sink).await?;
        let claim = Claim {
            layout: &self.layout,
            sink: &self.sink.identity,
        };
        claim.forget(&client, epoch).await
    }
}

/// Connects, as a writer for a sink that others can tell.
async fn connect(sink: &SinkDesc) -> Result<Client, TargetError> {
    let target = &sink.target;
    let mut config = Config::new();
    config
        .host(&target.host)
        .port(target.port)
        .dbname(&target.database)
        .user(&target.user)
        .application_name(progress::application(&sink.identity))
        .connect_timeout(CONNECT);
    match &target.password {
        Ok(Some(password)) => drop(config.password(password.reveal())),
        Ok(None) => {}
        Err(error) => return Err(TargetError::Refused(error.message.clone())),
    }
    let (client, connection) = config.connect(NoTls).await.map_err(fault)?;
    tokio::spawn(async move {
        // Whoever uses the client is told of its errors.
        let _ = connection.await;
    });
    client.batch_execute(SETTINGS).await.map_err(fault)?;
    Ok(client)
}

/// What an error of the server or of the way there means.
fn fault(error: PgError) -> TargetError {
    let Some(db) = error.as_db_error() else {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        return TargetError::Away(text);
    };
    let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
    if let Some(detail) = db.detail() {
        text = format!("{text}: {detail}");
    }
    // Data, authorization, unknown databases, syntax, names, types and permissions: classes of Appendix A.
    let lasting = ["22", "23", "28", "3D", "3F", "42", "0A"];
    match db.code().code() {
        // Made twice at the same time, which the second sees as a violated key.
        "42P07" | "42710" => TargetError::Away(text),
        code if lasting.contains(&&code[..2]) => TargetError::Refused(text),
        _ => TargetError::Away(text),
    }
}

/// Looks at targets before sinks are made.
pub(crate) struct Checker;

#[async_trait]
impl CheckSink for Checker {
    async fn check(&self, sink: &SinkDesc) -> Result<(), Error> {
        let layout = Layout::of(sink);
        let result = async {
            layout.check_names()?;
            let client = connect(sink).await?;
            let claim = Claim {
                layout: &layout,
                sink: &sink.identity,
            };
            claim.check(&client).await
        };
        result.await.map_err(|error| match error {
            TargetError::Fenced => Error::internal("nobody fences who only looks"),
            TargetError::Away(reason) => {
                let message = format!("the sink's target cannot be reached: {reason}");
                Error::new(SqlState::CONNECTION_EXCEPTION, message)
            }
            TargetError::Refused(reason) => {
                let message = format!("the sink's target does not take it: {reason}");
                Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            }
        })
    }
}
