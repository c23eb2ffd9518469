//! Operators over arrangements and packed streams.
//!
//! [`reduce_total`](mod@reduce_total) keeps a function of each key's values up to date without an
//! output of its own to look at; [`extrema`] does so for inputs that only grow, from state of its own;
//! [`join`](mod@join) matches two arrangements; [`half_join`](mod@half_join) looks a stream's updates up
//! in an arrangement, the step of which delta joins are made; [`consolidate`](mod@consolidate) sums equal
//! records of a stream. differential-dataflow's own operators for [`iteration`](iterate) run on the same
//! arrangements.
//!
//! Invariant: for every time, an operator's output up to it is a function of its input up to it. How
//! the input is cut into batches, when an operator yields, and how many workers there are, never show.

pub mod consolidate;
pub mod extrema;
pub mod fuel;
pub mod half_join;
pub mod iterate;
pub mod join;
pub mod reduce_total;

#[cfg(test)]
mod tests;

pub use consolidate::{consolidate, consolidate_in_place};
pub use extrema::extrema_append_only;
pub use half_join::{Comparison, half_join};
pub use iterate::{join_iterative, reduce_iterative};
pub use join::join;
pub use reduce_total::accumulate::Accumulate;
pub use reduce_total::seek::{Head, Seek};
pub use reduce_total::whole::Whole;
pub use reduce_total::{Reduction, reduce_total};
