//! From the relational IR to a physical plan.
//!
//! 1. [`rules`]: one rule a file, run in the order of one table.
//! 2. [`lowering`]: the relational IR to the physical plan.
//! 3. [`physical`]: the plan that the renderer obeys: every decision is in it.
//! 4. [`explain`]: both, as EXPLAIN prints them.
//!
//! Nothing here iterates over a hash map: plans are stable. It knows no SQL text, no catalog and no dataflow.

// The order in which a hash map gives its entries must not reach a plan.
#![warn(clippy::iter_over_hash_type)]

mod check;
pub mod explain;
pub mod lowering;
pub mod physical;
pub mod rules;

pub use rules::{BrokenPlan, optimize};
