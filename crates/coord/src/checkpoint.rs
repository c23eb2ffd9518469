//! Checkpoints: what every view contained at a time, as a number of rows and a digest, in the log.
//!
//! Now and then the sequencer ends a span of every view's tally at the newest commit; when the workers have taken in all up
//! to it, what the tally says goes to the log. VERIFY derives the same again, so that what went wrong is found between two
//! checkpoints, even when nothing of it is shown any more.
//!
//! **Invariant.** A checkpoint stands for a time up to which everything was committed: no later commit changes it.

use crate::codec;
use crate::coordinator::Shared;
use everview_catalog::ObjectKind;
use everview_dataflow::{Contents, Tally};
use everview_repr::digest::Digest;
use everview_repr::{Datum, GlobalId, Row, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between looks whether the workers have come to the end of a span.
const LOOK: Duration = Duration::from_millis(20);
/// How long the end of a server waits for them.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a view contained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Checkpoint {
    pub view: GlobalId,
    pub at: Timestamp,
    /// The version of the semantics by which it was computed.
    pub semantics: u32,
    pub contents: Contents,
}

/// A record's bytes.
pub(crate) fn encode(checkpoints: &[Checkpoint]) -> Vec<u8> {
    let rows = checkpoints.iter().map(|checkpoint| {
        Row::pack([
            Datum::Oid(checkpoint.view.0),
            Datum::Int64(checkpoint.at.0 as i64),
            Datum::Int64(i64::from(checkpoint.semantics)),
            Datum::Int64(checkpoint.contents.rows),
            Datum::Bytea(&checkpoint.contents.digest.to_bytes()),
        ])
    });
    let rows: Vec<Row> = rows.collect();
    codec::encode(rows.iter().map(|row| (row.as_ref(), 1)))
}

/// The checkpoints of a record.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Checkpoint>, String> {
    codec::decode(bytes)
        .map(|change| read(&change?.0))
        .collect()
}

fn read(row: &Row) -> Result<Checkpoint, String> {
    let bad = || "a checkpoint of another form".to_string();
    match row.unpack().as_slice() {
        [
            Datum::Oid(view),
            Datum::Int64(at),
            Datum::Int64(semantics),
            Datum::Int64(rows),
            Datum::Bytea(digest),
        ] => Ok(Checkpoint {
            view: GlobalId(*view),
            at: Timestamp(*at as u64),
            semantics: u32::try_from(*semantics).map_err(|_| bad())?,
            contents: Contents {
                rows: *rows,
                digest: Digest::from_bytes((*digest).try_into().map_err(|_| bad())?),
            },
        }),
        _ => Err(bad()),
    }
}

/// When checkpoints are made, and those under way.
pub(crate) struct Checkpoints {
    period: Duration,
    due: Instant,
    /// The commit at which the newest one was begun.
    begun: Timestamp,
    /// Views that have not come to it.
    waiting: Vec<(GlobalId, Arc<Tally>)>,
}

impl Checkpoints {
    /// So much time between them, the first one after some commit after `last`.
    pub fn new(period: Duration, last: Timestamp) -> Checkpoints {
        Checkpoints {
            period,
            due: Instant::now() + period,
            begun: last,
            waiting: Vec::new(),
        }
    }

    /// How long there is nothing to do; without end if not before the next commit.
    pub fn wait(&self, last: Timestamp) -> Option<Duration> {
        if !self.waiting.is_empty() {
            return Some(LOOK);
        }
        (last > self.begun).then(|| self.due.saturating_duration_since(Instant::now()))
    }

    /// Writes what is there to be written, and begins one at the newest commit if it is time.
    pub fn look(&mut self, shared: &Shared, last: Timestamp) {
        self.write(shared);
        if last > self.begun && Instant::now() >= self.due {
            self.begin(shared, last);
        }
    }

    /// The last one: at the newest commit, of all views that come to it soon.
    pub fn finish(&mut self, shared: &Shared, last: Timestamp) {
        if last > self.begun {
            self.begin(shared, last);
        }
        let give_up = Instant::now() + PATIENCE;
        self.write(shared);
        while !self.waiting.is_empty() && Instant::now() < give_up {
            std::thread::sleep(LOOK / 10);
            self.write(shared);
        }
    }

    fn begin(&mut self, shared: &Shared, last: Timestamp) {
        self.begun = last;
        self.due = Instant::now() + self.period;
        self.waiting.clear();
        for (view, tally, _) in shared.compute.tallies() {
            tally.end(last);
            self.waiting.push((view, tally));
        }
    }

    /// Writes down those that are complete. What cannot be written is left out: nothing but VERIFY misses it.
    fn write(&mut self, shared: &Shared) {
        if self.waiting.is_empty() {
            return;
        }
        let state = shared.catalog();
        let (at, running) = (self.begun, shared.compute.tallies());
        let mut complete = Vec::new();
        self.waiting.retain(|(view, tally)| {
            let upper = running
                .iter()
                .find(|(_, other, _)| Arc::ptr_eq(tally, other));
            let (Some((_, _, upper)), Some(object)) = (upper, state.catalog.get(*view)) else {
                return false;
            };
            let ObjectKind::MaterializedView(definition) = &object.kind else {
                return false;
            };
            if *upper <= at {
                return true;
            }
            complete.extend(tally.take(at).map(|contents| Checkpoint {
                view: *view,
                at,
                semantics: definition.semantics,
                contents,
            }));
            false
        });
        if complete.is_empty() {
            return;
        }
        if let Err(error) = shared.log.append_checkpoint(encode(&complete).into()) {
            tracing::warn!(%error, "a checkpoint was not written");
            self.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let mut contents = Contents::default();
        contents.add(&[(Row::pack([Datum::Text("x")]), 2)]);
        let checkpoint = |view| Checkpoint {
            view: GlobalId(view),
            at: Timestamp(1_700_000_000_000_000),
            semantics: 1,
            contents,
        };
        let both = [checkpoint(7), checkpoint(8)];
        assert_eq!(decode(&encode(&both)), Ok(both.to_vec()));
        assert!(decode(b"\x01nonsense").is_err());
        assert!(decode(b"").is_err());
    }
}
