//! Producers: durable names under which batches are numbered, so that each takes effect once (KIP-98 for any client).
//!
//! A producer has an *epoch* and the numbers and digests of its newest batches. Opening it gives a new epoch and
//! fences whoever holds an older one. A transaction that commits as batch n either is new, and its rows and the
//! producer's new state are in one commit, or n is not above the newest number: then it is a repeated one, and nothing
//! changes. An epoch is the timestamp of the commit that opened it, so that none is ever given twice, not even to a
//! name that was dropped and came back.
//!
//! **Invariant.** The state of a producer is a function of the log: it is one row of a system collection, changed by
//! the commits that carry its batches. The sequencer alone decides ([`judge`]), one commit after the other.
//!
//! This module knows no sessions and no log.

use crate::error::Error;
use everview_repr::{Datum, Diff, GlobalId, Row, SqlState, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// The system collection of producers: name (text), epoch, last used (microseconds since 1970), then for each batch
/// kept, oldest first: its number, the timestamp of its commit (bigint), its digest (bytea).
pub(crate) const PRODUCERS: GlobalId = GlobalId(3);

/// How many of its newest batches a producer remembers.
pub(crate) const KEPT: usize = 8;

/// The longest name, in bytes: that of any identifier.
pub(crate) const LONGEST_NAME: usize = 63;

/// A commit without a number notes that its producer is in use when this share of the retention has passed since.
const USE_NOTED: u64 = 16;

/// The most producers that there may be.
const MOST: usize = 100_000;

/// The most unused producers that one commit removes.
const MOST_EXPIRED: usize = 1_000;

/// What a batch was made of: the first half of BLAKE3 over what the client sent.
pub(crate) type Digest = [u8; 16];

/// A batch that was committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Committed {
    pub sequence: i64,
    pub timestamp: Timestamp,
    pub digest: Digest,
}

/// A producer's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Producer {
    pub name: Arc<str>,
    pub epoch: i64,
    /// Wall clock of the last commit that noted it.
    pub used: u64,
    /// The newest batches, at most [`KEPT`], by rising number.
    pub batches: Vec<Committed>,
}

/// What a commit does to producers.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// A new epoch: the commit's timestamp.
    Open(Arc<str>),
    /// The names go, and all that is known of them; those that are not there are passed over if asked.
    Drop {
        names: Vec<Arc<str>>,
        if_exists: bool,
    },
    /// The commit is a producer's.
    Commit(Stamp),
}

/// Whose commit it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub producer: Arc<str>,
    pub epoch: i64,
    /// Which batch, if it has a number.
    pub batch: Option<Numbered>,
}

/// A batch that is to be committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Numbered {
    pub sequence: i64,
    /// None while it is not known yet.
    pub digest: Option<Digest>,
    /// The number must follow the last one.
    pub strict: bool,
    /// Its changes were left out, because it was seen to be a repeated one.
    pub left_out: bool,
}

/// When a commit is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub timestamp: Timestamp,
    /// The commit's wall clock.
    pub wall: u64,
    /// How long a producer that is not used is kept, in microseconds.
    pub retention: u64,
}

/// A batch whose number is not above the last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Duplicate {
    /// When the first batch kept with its number or a higher one was committed.
    pub timestamp: Timestamp,
    pub first: First,
}

/// What is known of the first time that a batch was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum First {
    /// It was committed, with the same contents as far as they are known.
    Committed,
    /// It is too old to be remembered.
    Forgotten,
    /// It never was: a higher number went before it.
    Never,
}

impl Producer {
    /// The highest number committed; 0 at first.
    pub fn last_sequence(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.sequence)
    }

    /// The first batch kept with this number or a higher one, and what that says of the number.
    fn repeated(&self, sequence: i64) -> Option<(&Committed, First)> {
        let at = self.batches.iter().position(|b| b.sequence >= sequence)?;
        let known = &self.batches[at];
        let first = match known.sequence == sequence {
            true => First::Committed,
            false if at == 0 && self.batches.len() == KEPT => First::Forgotten,
            false => First::Never,
        };
        Some((known, first))
    }

    fn to_row(&self) -> Row {
        let used = i64::try_from(self.used).unwrap_or(i64::MAX);
        let mut datums = vec![
            Datum::Text(&self.name),
            Datum::Int64(self.epoch),
            Datum::Int64(used),
        ];
        for batch in &self.batches {
            datums.push(Datum::Int64(batch.sequence));
            datums.push(Datum::Int64(micros(batch.timestamp)));
            datums.push(Datum::Bytea(&batch.digest));
        }
        Row::pack(datums)
    }

    fn from_row(row: &Row) -> Option<Producer> {
        let datums = row.unpack();
        let [
            Datum::Text(name),
            Datum::Int64(epoch),
            Datum::Int64(used),
            batches @ ..,
        ] = datums.as_slice()
        else {
            return None;
        };
        let batches = batches.chunks(3).map(|batch| match batch {
            [
                Datum::Int64(sequence),
                Datum::Int64(timestamp),
                Datum::Bytea(digest),
            ] => Some(Committed {
                sequence: *sequence,
                timestamp: Timestamp(u64::try_from(*timestamp).ok()?),
                digest: Digest::try_from(*digest).ok()?,
            }),
            _ => None,
        });
        Some(Producer {
            name: Arc::from(*name),
            epoch: *epoch,
            used: u64::try_from(*used).ok()?,
            batches: batches.collect::<Option<_>>()?,
        })
    }
}

/// Whose state a row is, and which of its batches was committed at a time.
pub(crate) fn batch_at(row: &Row, at: Timestamp) -> Option<(String, Option<i64>)> {
    let producer = Producer::from_row(row)?;
    let batch = producer.batches.iter().find(|b| b.timestamp == at);
    Some((producer.name.to_string(), batch.map(|b| b.sequence)))
}

/// Whether a commit may carry this stamp: none if it is a new one, or how a repeated one was committed.
///
/// Errors: 42704 without the producer, VE001 for an older epoch, VE002 for other contents under a number, VE003 for a
/// gap where none may be.
pub(crate) fn judge(
    producer: Option<&Producer>,
    stamp: &Stamp,
) -> Result<Option<Duplicate>, Error> {
    let name = &stamp.producer;
    let producer = producer.ok_or_else(|| unknown(name))?;
    if stamp.epoch < producer.epoch {
        return Err(fenced(name));
    }
    if stamp.epoch > producer.epoch {
        let message = format!(
            "epoch {} of producer \"{name}\" was never given",
            stamp.epoch
        );
        return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let Some(batch) = &stamp.batch else {
        return Ok(None);
    };
    let sequence = batch.sequence;
    if let Some((known, first)) = producer.repeated(sequence) {
        let differs = batch.digest.is_some_and(|digest| digest != known.digest);
        if first == First::Committed && differs {
            return Err(other_contents(name, known));
        }
        let timestamp = known.timestamp;
        return Ok(Some(Duplicate { timestamp, first }));
    }
    if batch.left_out {
        // It was there when the transaction asked, and its producer is not what it was.
        return Err(Error::serialization());
    }
    let last = producer.last_sequence();
    if batch.strict && sequence - 1 != last {
        let message =
            format!("batch {sequence} of producer \"{name}\" leaves a gap: the last one is {last}");
        return Err(
            Error::new(SqlState::SEQUENCE_GAP, message).with_hint(format!(
                "Send batch {} first, or SET everview.strict_sequence = off.",
                last.saturating_add(1)
            )),
        );
    }
    Ok(None)
}

fn unknown(name: &str) -> Error {
    let message = format!("producer \"{name}\" does not exist");
    Error::new(SqlState::UNDEFINED_OBJECT, message).with_hint(
        "It was never opened, was dropped, or was not used for longer than producers are kept. \
         SET everview.producer, or SELECT everview.open_producer(...), opens it.",
    )
}

fn fenced(name: &str) -> Error {
    let message = format!("producer \"{name}\" has a newer epoch: this one is fenced off");
    Error::new(SqlState::PRODUCER_FENCED, message).with_hint(
        "Another process has taken the name. Stop, or take it back: SET everview.producer again.",
    )
}

fn other_contents(name: &str, known: &Committed) -> Error {
    let Committed {
        sequence,
        timestamp,
        ..
    } = known;
    let message =
        format!("batch {sequence} of producer \"{name}\" was committed with other contents");
    Error::new(SqlState::BATCH_DIFFERS, message)
        .with_detail(format!("It was committed at {timestamp}."))
        .with_hint("Repeat a batch with the same statements and data; new rows take a new number.")
}

fn too_many() -> Error {
    let message = format!("there are {MOST} producers already");
    Error::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
        .with_hint("DROP PRODUCER removes one; everview.producers lists them.")
}

/// A timestamp as SQL has it: bigint microseconds.
pub(crate) fn micros(timestamp: Timestamp) -> i64 {
    i64::try_from(timestamp.0).unwrap_or(i64::MAX)
}

/// All producers that are durable.
#[derive(Default, Debug)]
pub(crate) struct Producers {
    by_name: BTreeMap<Arc<str>, Arc<Producer>>,
    by_use: BTreeSet<(u64, Arc<str>)>,
}

impl Producers {
    /// From the rows of [`PRODUCERS`].
    pub fn load(rows: &[Row]) -> Result<Producers, Error> {
        let mut producers = Producers::default();
        for row in rows {
            let producer = Producer::from_row(row)
                .ok_or_else(|| Error::internal("a producer's row cannot be read"))?;
            producers.set(&producer.name.clone(), Some(Arc::new(producer)));
        }
        Ok(producers)
    }

    /// A producer by name.
    pub fn get(&self, name: &str) -> Option<&Arc<Producer>> {
        self.by_name.get(name)
    }

    /// All, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Producer>> {
        self.by_name.values()
    }

    fn set(&mut self, name: &Arc<str>, producer: Option<Arc<Producer>>) {
        if let Some(before) = self.by_name.remove(name) {
            self.by_use.remove(&(before.used, before.name.clone()));
        }
        if let Some(producer) = producer {
            self.by_use.insert((producer.used, producer.name.clone()));
            self.by_name.insert(producer.name.clone(), producer);
        }
    }

    /// Takes over what has become durable.
    pub fn apply(&mut self, pending: Pending) {
        for (name, producer) in pending.changed {
            self.set(&name, producer);
        }
    }
}

/// What a group of commits makes of producers, as long as it is not durable.
#[derive(Default, Debug)]
pub(crate) struct Pending {
    changed: BTreeMap<Arc<str>, Option<Arc<Producer>>>,
}

impl Pending {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    fn get(&self, durable: &Producers, name: &str) -> Option<Arc<Producer>> {
        match self.changed.get(name) {
            Some(changed) => changed.clone(),
            None => durable.get(name).cloned(),
        }
    }

    /// Whether an action may be committed after those before it: none, or that its commit is a repeated one.
    pub fn judge(&self, durable: &Producers, action: &Action) -> Result<Option<Duplicate>, Error> {
        match action {
            Action::Commit(stamp) => judge(self.get(durable, &stamp.producer).as_deref(), stamp),
            Action::Drop {
                names,
                if_exists: false,
            } => {
                let missing = names.iter().find(|n| self.get(durable, n).is_none());
                missing.map_or(Ok(None), |name| Err(unknown(name)))
            }
            Action::Open(name) => {
                let more = durable.by_name.len() + self.changed.len();
                match more < MOST || self.get(durable, name).is_some() {
                    true => Ok(None),
                    false => Err(too_many()),
                }
            }
            Action::Drop { .. } => Ok(None),
        }
    }

    /// The changes of [`PRODUCERS`] that a judged action makes in its commit. Opening one also removes those that were
    /// not used for longer than the retention.
    pub fn act(&mut self, durable: &Producers, action: &Action, at: Moment) -> Vec<(Row, Diff)> {
        let mut changes = Vec::new();
        match action {
            Action::Open(name) => {
                let expired = at.wall.saturating_sub(at.retention);
                let unused = durable.by_use.range(..(expired, Arc::from("")));
                let unused = unused.map(|(_, unused)| unused.clone()).take(MOST_EXPIRED);
                for unused in unused.filter(|unused| unused != name) {
                    if !self.changed.contains_key(&unused) {
                        self.change(durable, &unused, |_| None, &mut changes);
                    }
                }
                let open = |before: Option<&Producer>| {
                    Some(Producer {
                        name: name.clone(),
                        epoch: micros(at.timestamp),
                        used: at.wall,
                        batches: before.map_or_else(Vec::new, |b| b.batches.clone()),
                    })
                };
                self.change(durable, name, open, &mut changes);
            }
            Action::Drop { names, .. } => {
                for name in names {
                    self.change(durable, name, |_| None, &mut changes);
                }
            }
            Action::Commit(stamp) => {
                let advance = |before: Option<&Producer>| before.map(|b| advanced(b, stamp, at));
                self.change(durable, &stamp.producer, advance, &mut changes);
            }
        }
        changes
    }

    fn change(
        &mut self,
        durable: &Producers,
        name: &Arc<str>,
        f: impl FnOnce(Option<&Producer>) -> Option<Producer>,
        changes: &mut Vec<(Row, Diff)>,
    ) {
        let before = self.get(durable, name);
        let after = f(before.as_deref()).map(Arc::new);
        if before == after {
            return;
        }
        changes.extend(before.map(|b| (b.to_row(), -1)));
        changes.extend(after.as_ref().map(|a| (a.to_row(), 1)));
        self.changed.insert(name.clone(), after);
    }
}

/// A producer after a commit of its own.
fn advanced(before: &Producer, stamp: &Stamp, at: Moment) -> Producer {
    let mut after = before.clone();
    match &stamp.batch {
        Some(batch) => {
            after.used = at.wall;
            after.batches.push(Committed {
                sequence: batch.sequence,
                timestamp: at.timestamp,
                digest: batch.digest.unwrap_or_default(),
            });
            let forgotten = after.batches.len().saturating_sub(KEPT);
            after.batches.drain(..forgotten);
        }
        None if at.wall.saturating_sub(before.used) >= at.retention / USE_NOTED => {
            after.used = at.wall;
        }
        None => {}
    }
    after
}
