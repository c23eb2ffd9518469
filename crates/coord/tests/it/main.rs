//! The coordinator through its sessions: SQL in, text out, over real files and restarts.

mod harness;

mod edges;
mod recovery;
mod statements;
mod transactions;
mod views;
