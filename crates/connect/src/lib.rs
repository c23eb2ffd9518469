//! Sinks: changes of relations, written to where they are wanted, each commit's once.
//!
//! * [`target`]: what a place to write to has to do; one file for each kind.
//! * [`postgres`]: a table of a PostgreSQL server.
//! * `feed`: a relation's changes after a timestamp, in whole commits.
//! * [`runner`]: one task a sink: ask the target how far it got, follow from there, try again.
//!
//! **Invariant.** A sink has no state of its own: its target keeps how far it got, in the same transaction as the rows.
//! So there is no moment at which one of them is there and the other is not.
//!
//! It knows commits and changefeeds, and neither the log nor dataflows.

mod feed;
pub mod postgres;
pub mod runner;
pub mod target;

pub use runner::{Runner, start};
