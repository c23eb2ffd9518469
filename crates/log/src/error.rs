//! What can go wrong with the log, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the log. An append that fails with [`LogError::DiskFull`], [`LogError::TooLarge`],
/// [`LogError::OutOfOrder`] or [`LogError::UnknownChunk`] has written nothing, and others may follow; after any other
/// failure every later append gives [`LogError::Poisoned`], until the log is opened again.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process holds the folder.
    #[error(
        "the data folder {} is in use by another process; stop that process, or choose another folder", dir.display()
    )]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// No room for the next bytes. Nothing was written; the same append can be tried again once there is room.
    #[error("no space left on the disk of {}: {bytes} more bytes are needed; free space and try again", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
        /// Bytes asked for.
        bytes: u64,
    },
    /// An earlier write or sync failed, so that what is on disk is unknown. Every later append fails with this.
    #[error(
        "the log takes no more writes since {cause}; reading goes on; check the disk, then restart"
    )]
    Poisoned {
        /// The first failure, in words.
        cause: String,
    },
    /// Bytes on disk are not what was written there, and no torn write explains it.
    #[error("the log is damaged: {}, offset {offset}: {what}; {remedy}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset in bytes of the frame, record or header that is wrong.
        offset: u64,
        /// What is wrong.
        what: String,
        /// What can be done.
        remedy: &'static str,
    },
    /// The segment was written by a version whose format this one does not know.
    #[error(
        "{} has log format {found}, and this version reads up to {supported}; use the newer version that wrote it",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The format number in the file.
        found: u32,
        /// The newest format known here.
        supported: u32,
    },
    /// More bytes in one append than a frame may hold. Nothing was written.
    #[error(
        "an append of {bytes} bytes is above the limit of {limit}; write large transactions as chunks"
    )]
    TooLarge {
        /// Bytes of the append.
        bytes: u64,
        /// Most bytes that one append may have.
        limit: u64,
    },
    /// A commit whose timestamp is not above every earlier commit and lease. Nothing was written.
    #[error("a commit at {timestamp} is not above {floor}, the newest commit or lease in the log")]
    OutOfOrder {
        /// The commit's timestamp, in microseconds.
        timestamp: u64,
        /// What it has to be above.
        floor: u64,
    },
    /// A commit names a chunk that this log does not hold for it. Nothing was written.
    #[error("{what}; the log has taken nothing of this group")]
    UnknownChunk {
        /// Which chunk.
        what: String,
    },
    /// The operating system refused an operation.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// The visitor that recovery streams records to refused one.
    #[error("replaying the log stopped: {0}")]
    Visitor(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What to do about damage: there is one remedy, and it is stated in every such error.
pub(crate) const RESTORE: &str = "the records before it are intact; restore this folder from a backup, or copy the file from a healthy replica";

impl LogError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> LogError {
        LogError::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }

    /// As [`LogError::io`], but a full disk is told apart.
    pub(crate) fn write(
        what: &'static str,
        path: &Path,
        bytes: u64,
        source: io::Error,
    ) -> LogError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LogError::DiskFull {
                path: path.to_owned(),
                bytes,
            },
            _ => LogError::io(what, path, source),
        }
    }

    pub(crate) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> LogError {
        LogError::Damaged {
            path: path.to_owned(),
            offset,
            what: what.into(),
            remedy: RESTORE,
        }
    }
}
