//! The coordinator through its sessions: SQL in, text out, over real files and restarts.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod harness;

mod copying;
mod counting;
mod deduplication;
mod edges;
mod errors;
mod ops;
mod passwords;
mod producers;
mod readers;
mod reads;
mod recovery;
mod sinks;
mod statements;
mod transactions;
mod travel;
mod verify;
mod views;
