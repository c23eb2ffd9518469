//! From the relational IR to a physical plan.
//!
//! 1. [`rules`]: one rule a file, run in the order of one table, with a type check between them.
//! 2. [`physical`]: the plan that the renderer obeys: every decision is in it.
//! 3. [`lowering`]: the relational IR to the physical plan.
//!
//! Nothing here iterates over a hash map: plans are stable. It knows no SQL text, no catalog and no dataflow.

pub mod lowering;
pub mod physical;
