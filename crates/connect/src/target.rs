//! Where changes are written.
//!
//! A target is told of whole commits, in order, and remembers up to which one. It is the only one who knows: after a
//! crash of either side it is asked, and told what follows. That needs of it one atomic step that takes rows and
//! progress together: a transaction, a fenced transactional id, a conditional put of a deterministic name.
//!
//! **Invariant.** Of several processes that write to one target for one sink, the one that opened it last is heard, and
//! the others find themselves [`TargetError::Fenced`].

use async_trait::async_trait;
use everview_repr::{Diff, Row, Timestamp};

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update {
    /// The commit's timestamp.
    pub time: Timestamp,
    /// The change's place among those of its commit, from 0: the same whenever it is derived.
    pub position: u64,
    /// How many copies of the row come, or go.
    pub diff: Diff,
    /// The row.
    pub row: Row,
}

/// The changes of whole commits: all that there are after a timestamp, up to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// By time and position.
    pub updates: Vec<Update>,
    /// The last timestamp.
    pub upto: Timestamp,
}

/// Why a target took nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TargetError {
    /// It was opened by another process since.
    Fenced,
    /// It is away, or too busy: later it may take the same.
    Away(String),
    /// It will refuse the same as long as nobody changes something.
    Refused(String),
}

/// A place to write to, on behalf of one sink.
#[async_trait]
pub trait Target: Send {
    /// Connects, shuts out whoever opened it before, and says up to which timestamp it has everything; none if it was
    /// never written to. `now` is the newest commit: a target that is ahead of it has been written from another history.
    ///
    /// Opened again by the same process, it does not shut out who came in between: then it is fenced.
    async fn open(&mut self, now: Timestamp) -> Result<Option<Timestamp>, TargetError>;

    /// Takes the changes that follow those it has, and their timestamp, or nothing of them. Commits that it has are
    /// passed over: told again, they change nothing. The first batch is what the relation holds. Gives how many rows it was told of.
    async fn write(&mut self, batch: &Batch) -> Result<u64, TargetError>;

    /// The sink is gone: forgets how far it got. What was written stays.
    async fn forget(&mut self) -> Result<(), TargetError>;
}
