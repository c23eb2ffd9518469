//! The Postgres protocol, version 3, in front of the coordinator's sessions.
//!
//! * [`server`]: the listener, its limits, and how it stops.
//! * `startup`: from a fresh connection to a session: encryption requests, cancel requests, parameters; `scram`: its
//!   password.
//! * `connection`: a session's loop; `simple`, `extended` and `copy` are its three kinds of conversation.
//! * `frame`, `message`: bytes to messages, bounded and checked; `output`, `rows`: messages to bytes.
//! * `params`: a Bind's parameters to a row.
//!
//! The codec is the crate's own: text that is not UTF-8 is refused instead of replaced, a length is believed only as
//! its bytes arrive, and a row is written to the socket's buffer without a copy between.
//!
//! It knows no SQL and no catalog: a session takes statements and gives outcomes.

mod connection;
mod copy;
mod extended;
mod frame;
mod message;
mod output;
mod params;
mod rows;
mod scram;
pub mod server;
mod simple;
mod startup;

pub use server::{Limits, Server};
