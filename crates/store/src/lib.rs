//! Each table's current and recent rows on disk: a cache of the log.
//!
//! The store holds, for each collection, a sorted map from key to values with a history of diffs. It knows bytes and
//! timestamps; what a key or a value means is the caller's business. Everything in it can be had again from the log:
//! [`Store::open`] says up to which commit it is complete, and the caller replays the rest, which is everything when the
//! folder is missing or damaged.
//!
//! **Invariant.** What reads give at a time between [`Store::since`] and [`Store::complete_upto`] is the sum of all
//! changes applied up to that time, whatever was written, merged, flushed or compacted meanwhile.
//!
//! ```text
//! apply ─► sorted runs in memory ─► frozen when full ─► worker thread: merged with what is on disk, one ingestion ─► fjall
//!                  └───────────────────────┴─────────── reads merge all three, from one immutable view ──────┘
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`store`] | the store as callers see it: applying, reading, the view that readers share |
//! | [`scan`] | streaming reads in key order |
//! | `worker` | the background thread: flush, removal of dropped collections, compaction of history |
//! | `disk` | fjall behind a narrow interface: get, range, ingest; panics of it are errors here |
//! | `run`, `update` | sorted runs in memory; the bytes of keys and histories, and their consolidation |

mod disk;
pub mod error;
mod run;
pub mod scan;
pub mod store;
mod thread;
mod update;
mod worker;

pub use error::StoreError;
pub use scan::{Chunk, Scan};
pub use store::{Change, Complete, Options, Store};

#[cfg(test)]
mod tests;
