//! A client that writes until its server is gone, and knows of each transaction what it was told.
//!
//! Invariant: the model holds what was acknowledged and nothing else; at most one transaction is in doubt, the one
//! whose commit was sent and not answered.

use std::pin::pin;

use bytes::Bytes;
use futures::SinkExt;
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc::UnboundedSender;
use tokio_postgres::{Client, Error, NoTls};

use super::model::{Model, Write};
use super::write::{Form, Kind, Step, choose, copy_text, steps};
use crate::session::message;

/// Rows of a COPY sent at once.
const CHUNK: i32 = 5_000;

/// What a client is about to do, for whoever waits to kill the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A commit is being sent.
    Commit,
    /// Rows of a COPY are being sent.
    Copy,
    /// The last rows of a COPY are being sent.
    CopyEnd,
    /// A statement of DDL is being sent.
    Ddl,
}

/// What a client was told of its transactions.
#[derive(Clone, Copy, Default, Debug)]
pub struct Count {
    /// Committed.
    pub acknowledged: u64,
    /// Refused with 40001, to be tried again.
    pub conflicts: u64,
    /// Begun, and lost with the server before the commit was sent.
    pub lost: u64,
}

/// A client.
#[derive(Debug)]
pub struct Writer {
    /// Its number.
    pub id: usize,
    /// What was acknowledged.
    pub model: Model,
    /// Sent, and not answered.
    pub in_doubt: Option<Write>,
    /// What it was told.
    pub count: Count,
    /// What no transaction here may be answered with.
    pub faults: Vec<String>,
    /// The next number of a row.
    seq: i64,
}

/// How a transaction ended.
enum End {
    Acknowledged,
    Conflict,
    Refused(String),
    Lost,
    InDoubt,
}

impl Writer {
    /// A client without rows.
    pub fn new(id: usize) -> Writer {
        Writer {
            id,
            model: Model::default(),
            in_doubt: None,
            count: Count::default(),
            faults: Vec::new(),
            seq: 1,
        }
    }

    /// Writes until the server is gone; the first transaction may be given.
    pub async fn run(
        mut self,
        url: String,
        mut rng: ChaCha8Rng,
        signals: UnboundedSender<Signal>,
        mut first: Option<Kind>,
    ) -> Writer {
        // Its server may be gone already.
        let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await else {
            return self;
        };
        tokio::spawn(connection);
        let tell = |signal| {
            // Nobody listens once the server has been killed.
            let _ = signals.send(signal);
        };
        loop {
            let seq = self.seq;
            self.seq += 1;
            let (write, form) = choose(&mut rng, self.id, seq, &self.model, first.take());
            match transact(&client, &steps(self.id, &write), form, &tell).await {
                End::Acknowledged => {
                    write.apply(&mut self.model);
                    self.count.acknowledged += 1;
                }
                End::Conflict => self.count.conflicts += 1,
                End::Refused(error) => {
                    self.faults.push(format!(
                        "client {}: {write:?} was refused: {error}",
                        self.id
                    ));
                    return self;
                }
                End::Lost => {
                    self.count.lost += 1;
                    return self;
                }
                End::InDoubt => {
                    self.in_doubt = Some(write);
                    return self;
                }
            }
        }
    }
}

/// Runs a transaction; `tell` is called before the server is.
async fn transact(client: &Client, steps: &[Step], form: Form, tell: &impl Fn(Signal)) -> End {
    if form == Form::OneMessage {
        return match steps {
            [copying @ Step::Copy { .. }] => match copy(client, copying, tell).await {
                Ok(()) => End::Acknowledged,
                Err((error, sent)) => ended(&error, sent),
            },
            _ => {
                let statements = steps.iter().filter_map(|step| match step {
                    Step::Sql(sql) => Some(sql.as_str()),
                    Step::Copy { .. } => None,
                });
                let text = statements.collect::<Vec<_>>().join("; ");
                tell(Signal::Commit);
                match client.batch_execute(&text).await {
                    Ok(()) => End::Acknowledged,
                    Err(error) => ended(&error, true),
                }
            }
        };
    }
    if let Err(error) = block(client, steps, tell).await {
        let end = ended(&error, false);
        // What fails here fails the next transaction's BEGIN too.
        let _ = client.batch_execute("ROLLBACK").await;
        return end;
    }
    tell(Signal::Commit);
    match client.batch_execute("COMMIT").await {
        Ok(()) => End::Acknowledged,
        Err(error) => ended(&error, true),
    }
}

/// Everything but the COMMIT.
async fn block(client: &Client, steps: &[Step], tell: &impl Fn(Signal)) -> Result<(), Error> {
    client.batch_execute("BEGIN").await?;
    for step in steps {
        match step {
            Step::Sql(sql) => {
                if sql.starts_with("CREATE") || sql.starts_with("DROP") {
                    tell(Signal::Ddl);
                }
                client.batch_execute(sql).await?;
            }
            Step::Copy { .. } => copy(client, step, tell).await.map_err(|(error, _)| error)?,
        }
    }
    Ok(())
}

/// What an error means; `sent` says whether the server may have seen the commit.
fn ended(error: &Error, sent: bool) -> End {
    match error.as_db_error() {
        Some(db) if db.code().code() == "40001" => End::Conflict,
        Some(_) => End::Refused(message(error)),
        None if sent => End::InDoubt,
        None => End::Lost,
    }
}

/// COPY; with an error, whether the end of the rows was sent.
async fn copy(client: &Client, step: &Step, tell: &impl Fn(Signal)) -> Result<(), (Error, bool)> {
    let Step::Copy {
        table,
        client: owner,
        batch,
        rows,
    } = step
    else {
        return Ok(());
    };
    let before = |error| (error, false);
    let sink = client
        .copy_in::<_, Bytes>(&format!("COPY {table} FROM STDIN"))
        .await
        .map_err(before)?;
    let mut sink = pin!(sink);
    tell(Signal::Copy);
    let mut n = 0;
    while n < *rows {
        let end = (n + CHUNK).min(*rows);
        let text = copy_text(*owner, *batch, n..end);
        sink.send(Bytes::from(text)).await.map_err(before)?;
        n = end;
    }
    tell(Signal::CopyEnd);
    sink.finish().await.map_err(|error| (error, true))?;
    Ok(())
}
