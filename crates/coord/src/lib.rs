//! The coordinator: one sequencer, its clock, and the sessions that speak to it.
//!
//! * [`coordinator`]: start and recovery; what everybody shares.
//! * [`sequencer`]: the write path: validation, timestamps, group commit.
//! * [`transaction`]: what a session buffers until COMMIT: writes, reads, DDL.
//! * [`passwords`]: what is kept of roles' passwords.
//! * [`sinks`]: what sinks are to do, and what they do; `secrets`: what they connect with.
//! * `producers`: whose batch a commit is, and whether it is a repeated one.
//! * [`read`]: the read path: planning, look-ups, one-off dataflows.
//! * [`subscribe`]: SUBSCRIBE and cursors over it.
//! * [`ddl`]: statements that change the catalog.
//! * [`session`]: a connection's state and the one entry for statements.
//!
//! It knows no protocol: a front end hands it statements and gets outcomes.

mod changefeed;
mod checkpoint;
pub mod clock;
pub mod codec;
mod commits;
pub mod coordinator;
pub mod copy;
pub mod ddl;
pub mod dml;
mod effects;
pub mod environment;
pub mod error;
mod facts;
mod history;
mod keys;
mod lookup;
mod mark;
mod memory;
pub mod outcome;
pub mod passwords;
mod pieces;
pub mod planning;
mod producers;
pub mod read;
mod readers;
pub mod recovery;
mod secrets;
pub mod sequencer;
pub mod session;
pub mod settings;
pub mod sinks;
pub mod subscribe;
pub mod table;
pub mod tables;
mod thread;
pub mod transaction;
mod travel;
mod verify;
mod windows;

pub use coordinator::{Coordinator, Options};
pub use error::Error;
pub use everview_sql::plan::Secret;
pub use outcome::{CopyIn, Outcome, StatementDesc, TransactionStatus};
pub use session::{Session, SessionOptions, Statement};
