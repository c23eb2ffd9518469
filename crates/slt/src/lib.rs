//! The sqllogictest runner: `.test` and `.slt` files against any SQL engine, in four modes.
//!
//! A script is run as plain SELECTs, with every query as a materialized view created after the
//! data, with views created before the data, or with kills and restarts in the middle; the expected
//! results are the same in all of them.
//!
//! Invariant: a record that was not run the way its mode says is counted as such in the [`Summary`],
//! never as a plain pass.
//!
//! This crate does not know Everview: it drives the [`Engine`] trait, and of SQL it knows tokens,
//! statement keywords and the outermost ORDER BY.
//!
//! - [`engine`]: the trait that is driven, its outcomes and errors
//! - [`wire`]: an engine over the Postgres protocol
//! - [`script`]: a file as records, conditions and settings resolved
//! - [`value`]: values as sqllogictest prints, sorts and hashes them
//! - [`check`]: one result against its expectation
//! - [`tokens`], [`order`], [`classify`]: SQL text as far as the modes need it
//! - [`view`]: a query as a materialized view and its reading
//! - [`plan`]: which statements a batch of views replays, and in what order
//! - [`modes`]: the four ways through a script
//! - [`known`]: the list of known failures
//! - [`mod@run`]: files, sampling, progress, report

#![forbid(unsafe_code)]

pub mod check;
pub mod classify;
pub mod engine;
pub mod known;
pub mod modes;
pub mod order;
pub mod plan;
pub mod run;
pub mod script;
pub mod tokens;
pub mod value;
pub mod view;
pub mod wire;

pub use engine::{Engine, EngineError, Outcome};
pub use modes::Mode;
pub use run::{Options, RunError, Summary, run};
pub use wire::{RestartHook, Wire, restart_command};
