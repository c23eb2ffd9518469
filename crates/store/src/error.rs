//! What can go wrong with the store. Since the log has everything, the remedy is never worse than to build it anew.

use std::path::PathBuf;

use everview_repr::Timestamp;

/// An error of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another store of this one, has the folder open.
    #[error("the store {} is in use; stop the process that has it", .0.display())]
    Locked(PathBuf),
    /// Bytes on disk are wrong. The next open starts an empty store, to be filled from the log.
    #[error("the store is damaged: {0}; restart to build it again from the log")]
    Damaged(String),
    /// The disk is full. Nothing was applied, and the same call can be repeated; reading goes on.
    #[error("no space left for the store: {0}; free space and try again")]
    DiskFull(String),
    /// The operating system refused something.
    #[error("the store can not be used: {0}")]
    Io(String),
    /// A read or a change at a time whose history was compacted.
    #[error("time {asked} is before {since}, the earliest that the store still knows")]
    Compacted {
        /// The time asked for.
        asked: Timestamp,
        /// The earliest readable time.
        since: Timestamp,
    },
    /// Changes have to come in order of their timestamps.
    #[error("changes at {timestamp} come after {complete} was complete")]
    OutOfOrder {
        /// The changes' timestamp.
        timestamp: Timestamp,
        /// What was complete already.
        complete: Timestamp,
    },
}
