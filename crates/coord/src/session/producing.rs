//! Producers of a session and of its transactions: opened, let go of, and which batch a transaction is.
//!
//! A session holds a producer from `SET everview.producer` on; `everview.begin_batch` names one for its transaction
//! alone. What is a batch, and what a repeated one, the sequencer decides; a session that finds its batch repeated when
//! it begins spares itself the writes, which could only meet their own traces.

use super::Session;
use super::run::Params;
use crate::error::Error;
use crate::outcome::{ClientNotice, Outcome};
use crate::producers::{
    self, Action, Digest, Duplicate, First, KEPT, LONGEST_NAME, Numbered, Stamp,
};
use crate::sequencer::CommitOutcome;
use crate::transaction::{Batch, Transaction};
use everview_expr::ScalarExpr;
use everview_repr::{Datum, RelationDesc, Row, SqlState};
use everview_sql::plan::ProducerCall;
use std::sync::Arc;

/// The producer that a session holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    name: Arc<str>,
    epoch: i64,
}

impl Session {
    /// `SET everview.producer`: a new epoch, durable, or none is held any more.
    pub(super) async fn set_producer(
        &mut self,
        name: Option<&str>,
        local: bool,
    ) -> Result<(), Error> {
        if local {
            let message = "everview.producer cannot be set for one transaction";
            return Err(
                Error::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, message).with_hint(
                    "SELECT everview.begin_batch(name, epoch, sequence) in the transaction.",
                ),
            );
        }
        match name {
            Some(name) if !name.is_empty() => {
                let (name, epoch) = self.open_producer(name).await?;
                self.producer = Some(Held { name, epoch });
            }
            _ => self.release_producer()?,
        }
        self.tell_producer();
        Ok(())
    }

    /// Lets go of the session's producer; nothing of it changes.
    pub(super) fn release_producer(&mut self) -> Result<(), Error> {
        if self.producer.is_some() {
            self.refuse_once_written("everview.producer cannot be reset")?;
            self.producer = None;
            self.tell_producer();
        }
        Ok(())
    }

    /// Gives a producer a new epoch.
    async fn open_producer(&mut self, name: &str) -> Result<(Arc<str>, i64), Error> {
        check_name(name)?;
        self.refuse_once_written("a producer cannot be opened")?;
        let name: Arc<str> = Arc::from(name);
        let timestamp = self.act(Action::Open(name.clone())).await?;
        Ok((name, timestamp))
    }

    /// DROP PRODUCER.
    pub(super) async fn drop_producers(
        &mut self,
        names: &[String],
        if_exists: bool,
    ) -> Result<(), Error> {
        if self.transaction.is_some() {
            let message = "DROP PRODUCER cannot run inside a transaction block";
            return Err(Error::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        let missing: Vec<_> = {
            let durable = self.shared.producers.read();
            let missing = names.iter().filter(|n| durable.get(n).is_none());
            missing.cloned().collect()
        };
        for name in missing.iter().filter(|_| if_exists) {
            self.notice(ClientNotice {
                severity: "NOTICE",
                code: SqlState::SUCCESSFUL_COMPLETION,
                message: format!("producer \"{name}\" does not exist, skipping"),
                detail: None,
            });
        }
        let names = names.iter().map(|n| Arc::from(n.as_str())).collect();
        self.act(Action::Drop { names, if_exists }).await.map(drop)
    }

    /// Commits an action on producers by itself; gives its timestamp.
    async fn act(&mut self, action: Action) -> Result<i64, Error> {
        let transaction = self.new_transaction(false);
        let within = self.transaction.as_ref().unwrap_or(&transaction);
        if within.read_only {
            let message = "a read-only transaction cannot open or drop a producer";
            return Err(Error::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        match self.send_commit(transaction, Some(action)).await? {
            CommitOutcome::Committed(timestamp) => Ok(producers::micros(timestamp)),
            CommitOutcome::Duplicate(_) => Err(Error::internal("an action without a batch")),
        }
    }

    fn refuse_once_written(&self, what: &str) -> Result<(), Error> {
        let transaction = self.transaction.as_ref();
        if transaction.is_some_and(|t| t.has_writes() || t.batch.is_some()) {
            let message = format!("{what} in a transaction that has written or is a batch");
            return Err(Error::new(SqlState::ACTIVE_SQL_TRANSACTION, message)
                .with_hint("Do it before BEGIN, or as the first thing in the transaction."));
        }
        Ok(())
    }

    /// `SELECT everview.open_producer(...)` and `SELECT everview.begin_batch(...)`.
    pub(super) async fn call_producer(
        &mut self,
        call: &ProducerCall,
        desc: &RelationDesc,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        let value = match call {
            ProducerCall::Open { producer } => {
                let name = self.text(producer, params)?;
                Some(self.open_producer(&name).await?.1)
            }
            ProducerCall::Begin {
                producer,
                epoch,
                sequence,
            } => {
                let name = self.text(producer, params)?;
                let epoch = self.integer(epoch, params, "the epoch")?;
                let sequence = self.integer(sequence, params, "the sequence")?;
                let held = Held {
                    name: Arc::from(name),
                    epoch,
                };
                let duplicate = self.begin_batch(held, sequence)?;
                duplicate.map(|d| producers::micros(d.timestamp))
            }
        };
        Ok(Outcome::Rows {
            desc: Arc::new(desc.clone()),
            rows: vec![Row::pack([value.map_or(Datum::Null, Datum::Int64)])],
            tag: "SELECT 1".to_string(),
        })
    }

    fn text(&self, expr: &ScalarExpr, params: Params<'_>) -> Result<String, Error> {
        self.constant(expr, params, |datum| match datum.as_str() {
            Some(text) => Ok(text.to_string()),
            None => Err(null("the producer's name")),
        })
    }

    fn integer(&self, expr: &ScalarExpr, params: Params<'_>, what: &str) -> Result<i64, Error> {
        self.constant(expr, params, |datum| match datum {
            Datum::Int64(value) => Ok(value),
            _ => Err(null(what)),
        })
    }

    /// `SET LOCAL everview.sequence = n`.
    pub(super) fn set_sequence(&mut self, value: Option<&str>, local: bool) -> Result<(), Error> {
        if !local {
            let message = "everview.sequence belongs to one transaction";
            return Err(Error::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, message)
                .with_hint("SET LOCAL everview.sequence = n inside of a transaction block."));
        }
        self.check_block()?;
        let text = value.unwrap_or("DEFAULT");
        let sequence = text.trim().parse().map_err(|_| {
            let message = format!("invalid value for parameter \"everview.sequence\": \"{text}\"");
            Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
                .with_hint("It is a bigint from 1 on.")
        })?;
        let held = self.producer.clone().ok_or_else(|| {
            let message = "this session holds no producer";
            Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                .with_hint("SET everview.producer = 'name' first, outside of the transaction.")
        })?;
        self.begin_batch(held, sequence).map(drop)
    }

    fn check_block(&self) -> Result<(), Error> {
        if self.transaction.as_ref().is_some_and(|t| t.explicit) {
            return Ok(());
        }
        let message = "a batch can only be begun in a transaction block";
        Err(
            Error::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message).with_hint(
                "A statement by itself carries no sequence number: BEGIN, number, statements, COMMIT.",
            ),
        )
    }

    /// The transaction is to be this batch; what it repeats, if it does.
    fn begin_batch(&mut self, held: Held, sequence: i64) -> Result<Option<Duplicate>, Error> {
        self.check_block()?;
        check_name(&held.name)?;
        if sequence < 1 {
            let message = format!("{sequence} is no sequence number: they are bigints from 1 on");
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        self.refuse_once_written("a batch cannot be begun")?;
        if self.transaction()?.read_only {
            let message = "cannot begin a batch in a read-only transaction";
            return Err(Error::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        let stamp = stamp(&held.name, held.epoch, sequence);
        let known = self.shared.producers.read().get(&held.name).cloned();
        let duplicate = producers::judge(known.as_deref(), &stamp)?;
        let batch = Batch::new(held.name, held.epoch, sequence, duplicate);
        self.transaction()?.batch = Some(Box::new(batch));
        self.settings
            .tell("everview.sequence", sequence.to_string());
        self.tell_duplicate(duplicate);
        Ok(duplicate)
    }

    /// What a transaction's commit says of producers.
    pub(super) fn stamp_of(&self, transaction: &Transaction) -> Option<Action> {
        let stamp = match (&transaction.batch, &self.producer) {
            (Some(batch), _) => {
                let mut stamp = stamp(&batch.producer, batch.epoch, batch.sequence);
                if let Some(numbered) = &mut stamp.batch {
                    numbered.digest = Some(batch.digest());
                    numbered.strict = self.settings.is_on("everview.strict_sequence");
                    numbered.left_out = batch.duplicate.is_some();
                }
                stamp
            }
            (None, Some(held)) => Stamp {
                producer: held.name.clone(),
                epoch: held.epoch,
                batch: None,
            },
            (None, None) => return None,
        };
        Some(Action::Commit(stamp))
    }

    /// The batch that the transaction is.
    pub(super) fn batch(&mut self) -> Option<&mut Batch> {
        self.transaction.as_mut()?.batch.as_deref_mut()
    }

    /// Says how a batch came out: nothing changed, if it was a repeated one.
    pub(super) fn report_batch(&mut self, batch: &Batch, duplicate: Option<Duplicate>) {
        self.tell_duplicate(duplicate);
        self.tell_producer();
        let Some(Duplicate { timestamp, first }) = duplicate else {
            return;
        };
        let batch = format!(
            "batch {} of producer \"{}\"",
            batch.sequence, batch.producer
        );
        let committed = format!("{batch} is committed already");
        let (severity, message, detail) = match first {
            First::Committed => (
                "NOTICE",
                committed,
                format!("It was committed at {timestamp}; nothing has changed."),
            ),
            First::Forgotten => (
                "NOTICE",
                committed,
                format!(
                    "It was committed before {timestamp}; nothing has changed. It is none of the {KEPT} newest \
                     batches, so that its contents were not compared."
                ),
            ),
            First::Never => (
                "WARNING",
                format!("{batch} was passed over, and is not committed any more"),
                format!(
                    "A higher number was committed at {timestamp}; nothing has changed. Batches of a producer go one \
                     after the other; everview.strict_sequence refuses gaps."
                ),
            ),
        };
        self.notice(ClientNotice {
            severity,
            code: SqlState::DUPLICATE_BATCH,
            message,
            detail: Some(detail),
        });
    }

    fn tell_duplicate(&mut self, duplicate: Option<Duplicate>) {
        let text = duplicate.map_or_else(String::new, |d| d.timestamp.0.to_string());
        self.settings.tell("everview.duplicate_of", text);
    }

    /// Brings what settings tell of the session's producer up to date.
    pub(super) fn tell_producer(&mut self) {
        let (name, epoch, last) = match &self.producer {
            None => Default::default(),
            Some(held) => {
                let durable = self.shared.producers.read();
                let last = durable.get(&held.name).map(|p| p.last_sequence());
                let last = last.map_or_else(String::new, |last| last.to_string());
                (held.name.to_string(), held.epoch.to_string(), last)
            }
        };
        self.settings.tell("everview.producer", name);
        self.settings.tell("everview.producer_epoch", epoch);
        self.settings.tell("everview.last_sequence", last);
    }
}

fn stamp(producer: &Arc<str>, epoch: i64, sequence: i64) -> Stamp {
    Stamp {
        producer: producer.clone(),
        epoch,
        batch: Some(Numbered {
            sequence,
            digest: None::<Digest>,
            strict: false,
            left_out: false,
        }),
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains('\0') {
        let message = format!("invalid name of a producer: \"{name}\"");
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
            .with_hint(format!("A name has from 1 to {LONGEST_NAME} bytes.")));
    }
    Ok(())
}

fn null(what: &str) -> Error {
    Error::new(
        SqlState::NULL_VALUE_NOT_ALLOWED,
        format!("{what} must not be null"),
    )
}
