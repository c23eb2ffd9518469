//! A session's loop: messages in, outcomes out.
//!
//! Invariant: a message is answered before the next is looked at; while a statement runs the socket is watched, so
//! that a client that has gone ends its session.

use crate::extended::{Portal, Prepared};
use crate::frame::Input;
use crate::message::{Message, Target, malformed};
use crate::output::Output;
use crate::rows::RowWriter;
use everview_coord::outcome::TransactionStatus;
use everview_coord::subscribe::Subscription;
use everview_coord::{Error, Outcome, Session, Statement};
use everview_repr::text::Formatting;
use everview_repr::{RelationDesc, Row, ScalarType};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Why a step was not finished.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one a connection")]
pub(crate) enum Failure {
    /// The client is not there any more.
    Gone,
    /// What to tell it; a fatal error ends the session.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Failure {
        Failure::Gone
    }
}

pub(crate) type Attempt<T> = Result<T, Failure>;

/// A session and its socket.
pub(crate) struct Connection {
    pub session: Session,
    pub input: Input<OwnedReadHalf>,
    pub output: Output<OwnedWriteHalf>,
    pub formatting: Formatting,
    pub statements: BTreeMap<String, Arc<Prepared>>,
    pub portals: BTreeMap<String, Portal>,
    /// After an error of the extended protocol: everything up to Sync is skipped.
    pub skipping: bool,
    /// A transaction of several Executes is under way and ends at Sync.
    pub implicit: bool,
    pub scratch: String,
    termination: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Connection {
    pub fn new(
        session: Session,
        input: Input<OwnedReadHalf>,
        output: Output<OwnedWriteHalf>,
    ) -> Connection {
        Connection {
            termination: Box::pin(session.termination()),
            formatting: session.formatting(),
            session,
            input,
            output,
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            skipping: false,
            implicit: false,
            scratch: String::new(),
        }
    }

    /// Ends the session and gives the socket back.
    pub fn into_parts(self) -> (Input<OwnedReadHalf>, Output<OwnedWriteHalf>) {
        (self.input, self.output)
    }

    /// Serves until the session ends; tells why it did.
    pub async fn serve(&mut self) -> Failure {
        crate::startup::greet(&mut self.session, &mut self.output);
        if let Err(failure) = self.flush().await {
            return failure;
        }
        loop {
            if let Err(failure) = self.step().await {
                return failure;
            }
        }
    }

    async fn step(&mut self) -> Attempt<()> {
        let (tag, message) = self.next().await?;
        if self.skipping && !matches!(tag, b'S' | b'X') {
            return Ok(());
        }
        let message = match message {
            Ok(message) => message,
            Err(error) if tag == b'Q' => {
                self.report(error)?;
                return self.ready().await;
            }
            Err(error) => return self.report_and_skip(error),
        };
        let done = match message {
            Message::Query(sql) => return self.query(&sql).await,
            Message::Sync => return self.sync().await,
            Message::Terminate => return Err(Failure::Gone),
            Message::Flush => return self.flush().await,
            // Left over from a COPY that has failed.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => return Ok(()),
            Message::Parse { name, sql, types } => self.parse(name, &sql, &types).await,
            Message::Bind(bind) => self.bind(bind),
            Message::Describe(target) => self.describe(&target),
            Message::Execute { portal, most } => self.execute_portal(portal, most).await,
            Message::Close(target) => self.close(&target),
        };
        match done {
            Err(Failure::Error(error)) => self.report_and_skip(error),
            other => other,
        }
    }

    /// The next message and its type. A message that cannot be told from the stream is fatal.
    pub async fn next(&mut self) -> Attempt<(u8, Result<Message, Error>)> {
        loop {
            let taken = self
                .input
                .take()
                .map_err(|e| malformed(e.to_string()).fatal())?;
            if let Some(frame) = taken {
                return Ok((frame.tag, Message::decode(frame.tag, frame.body)));
            }
            let idle = self.session.idle_limit();
            let limit = async {
                match &idle {
                    Some((limit, _)) => tokio::time::sleep(*limit).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut self.termination => return Err(Error::shutting_down().into()),
                more = self.input.fill() => if !more? {
                    return Err(Failure::Gone);
                },
                () = limit => return Err(idle.map_or(Failure::Gone, |(_, error)| error.into())),
            }
        }
    }

    /// Writes what was gathered, unless the session must end.
    pub async fn flush(&mut self) -> Attempt<()> {
        tokio::select! {
            biased;
            written = self.output.flush() => Ok(written?),
            // The message under way is cut: nothing can be told any more.
            () = &mut self.termination => Err(Failure::Gone),
        }
    }

    pub async fn flush_if_large(&mut self) -> Attempt<()> {
        if self.output.buffer.len() >= crate::output::GATHERED {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Notices, changed settings, ReadyForQuery.
    pub async fn ready(&mut self) -> Attempt<()> {
        self.notices();
        let changes = self.session.take_setting_changes();
        if !changes.is_empty() {
            self.formatting = self.session.formatting();
        }
        changes
            .iter()
            .for_each(|(name, value)| self.output.parameter_status(name, value));
        self.output.ready(self.session.status());
        self.flush().await
    }

    pub fn notices(&mut self) {
        self.session
            .take_notices()
            .iter()
            .for_each(|notice| self.output.notice(notice));
    }

    /// Tells of an error, which fails the transaction; a fatal one is passed on.
    pub fn report(&mut self, error: Error) -> Attempt<()> {
        self.session.fail();
        self.session.abort_implicit();
        self.implicit = false;
        self.notices();
        if error.fatal {
            return Err(error.into());
        }
        self.output.error(&error);
        Ok(())
    }

    fn report_and_skip(&mut self, error: Error) -> Attempt<()> {
        self.skipping = true;
        self.report(error)
    }

    /// Runs a statement while watching the socket.
    pub async fn execute(
        &mut self,
        statement: &Statement,
        params: Option<(&Row, &[ScalarType])>,
    ) -> Attempt<Outcome> {
        let outcome = self.session.execute(statement, params);
        let outcome = watched(&mut self.input, outcome).await??;
        if let Outcome::Done(_) = outcome {
            // SET TIME ZONE counts for the statements after it, also in the same string.
            self.formatting = self.session.formatting();
        }
        Ok(outcome)
    }

    /// The next changes of a subscription.
    pub async fn changes(&mut self, subscription: &mut Subscription) -> Attempt<Option<Vec<Row>>> {
        let next = self.session.guarded(subscription.next());
        Ok(watched(&mut self.input, next).await???)
    }

    /// Sends what a statement came to, but for its tag, which is given back; `None` for an empty statement.
    pub async fn send(
        &mut self,
        outcome: Outcome,
        describe: bool,
        formats: &[i16],
    ) -> Attempt<Option<String>> {
        match outcome {
            Outcome::Empty => {
                self.output.bare(b'I');
                Ok(None)
            }
            Outcome::Done(tag) => Ok(Some(tag)),
            Outcome::Rows { desc, rows, tag } => {
                if describe {
                    self.output.row_description(&desc, formats);
                }
                for row in rows {
                    self.row(&desc, formats, &row)?;
                    self.flush_if_large().await?;
                }
                Ok(Some(tag))
            }
            Outcome::CopyIn(copy) => Ok(Some(self.copy_in(copy).await?)),
            Outcome::CopyOut {
                columns,
                output,
                tag,
            } => Ok(Some(self.copy_out(columns, output, tag).await?)),
            Outcome::Subscribe(mut subscription) => {
                if describe {
                    self.output.row_description(subscription.desc(), formats);
                }
                Ok(Some(self.stream(&mut subscription, formats).await?))
            }
        }
    }

    /// Sends changes as they happen until the subscription ends.
    async fn stream(
        &mut self,
        subscription: &mut Subscription,
        formats: &[i16],
    ) -> Attempt<String> {
        let desc = subscription.desc().clone();
        let mut sent = 0u64;
        self.flush().await?;
        while let Some(rows) = self.changes(subscription).await? {
            for row in &rows {
                self.row(&desc, formats, row)?;
                self.flush_if_large().await?;
            }
            sent += rows.len() as u64;
            self.flush().await?;
        }
        Ok(format!("SUBSCRIBE {sent}"))
    }

    pub fn row(&mut self, desc: &RelationDesc, formats: &[i16], row: &Row) -> Result<(), Error> {
        let writer = RowWriter {
            desc,
            formats,
            formatting: &self.formatting,
        };
        writer.push(row, &mut self.output, &mut self.scratch)
    }

    fn close(&mut self, target: &Target) -> Attempt<()> {
        match target {
            Target::Statement(name) => drop(self.statements.remove(name)),
            Target::Portal(name) => drop(self.portals.remove(name)),
        }
        self.output.bare(b'3');
        Ok(())
    }

    async fn sync(&mut self) -> Attempt<()> {
        self.skipping = false;
        if std::mem::take(&mut self.implicit)
            && let Err(error) = self.session.end_implicit().await
        {
            self.report(error)?;
        }
        if self.session.status() == TransactionStatus::Idle {
            self.portals.clear();
        }
        self.ready().await
    }
}

/// Awaits a future while watching whether the client is still there.
pub(crate) async fn watched<T>(
    input: &mut Input<OwnedReadHalf>,
    future: impl Future<Output = T>,
) -> Attempt<T> {
    tokio::select! {
        biased;
        value = future => Ok(value),
        () = input.vanished() => Err(Failure::Gone),
    }
}
