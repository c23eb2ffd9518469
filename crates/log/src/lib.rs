//! The append-only log: the one place where Everview's truth lives.
//!
//! The log is a totally ordered sequence of records in numbered segments of one folder. It knows bytes: what a payload
//! means, which collections exist and what a timestamp stands for beyond its order is the callers' business.
//!
//! **Invariant.** A record that [`Log::append_commits`] has returned a position for is on disk, whole, and every later
//! open gives it back in the same order or stops with an error that names the file and the offset.
//!
//! | module | what it holds |
//! |---|---|
//! | [`vfs`] | the file system behind a trait; the real one, and a deterministic one that fails on request |
//! | [`record`] | the kinds of record, and their versioned bytes |
//! | [`frame`] | segment and frame headers, checksums and the hash chain |
//! | [`scan`] | reads every record in order and tells a torn tail from damage |
//! | [`log`] | opening (recovery) and appending (group commit) |
//! | [`reader`] | random access from any thread |
//!
//! # Crash assumptions
//!
//! A write that was not synced may be lost, whole, or torn at any byte, in any order with other such writes; a synced
//! one is durable. A renamed file is durable under its new name once its folder is synced. A sync that failed says
//! nothing about what is on disk, so it is never repeated as if it could succeed: the log refuses every later append.

pub mod error;
pub mod frame;
pub mod log;
pub mod reader;
pub mod record;
pub mod scan;
pub mod vfs;

pub use error::LogError;
pub use frame::ChainHash;
pub use log::{Head, Log, Options};
pub use reader::Reader;
pub use record::{Chunk, ChunkRef, Commit, Fact, Payload, Position, Record, SegmentId};
pub use scan::{Entry, Recovery, SetAside, Start, Visitor, verify};

#[cfg(test)]
mod tests;
