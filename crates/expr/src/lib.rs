//! Expressions: scalar, aggregate, window and table functions in one registry, and the relational IR.
//!
//! * [`scalar::ScalarExpr`] and its evaluation; an error of evaluation is a value ([`everview_repr::Datum::Error`]).
//! * [`registry`]: every function, declared once: name, signature, strictness, volatility, one line of docs.
//! * [`resolve`] and [`casts`]: which function a call means, and which type becomes which.
//! * [`aggregate`], [`window`], [`table_func`]: what a relational node computes over many rows.
//! * [`relation::RelExpr`]: the relational IR that `sql` lowers to and `optimize` rewrites.
//! * [`mfp`]: map, filter and project, fused.
//!
//! It knows no SQL text, no catalog and no dataflow.

// The order in which a hash map gives its entries must not reach a plan.
#![warn(clippy::iter_over_hash_type)]

pub mod aggregate;
mod aggregates;
pub mod casts;
pub mod compare;
pub mod environment;
mod functions;
mod limit;
pub mod mfp;
pub mod registry;
pub mod relation;
pub mod resolve;
pub mod scalar;
mod signature;
pub mod table_func;
mod value;
pub mod window;

pub use aggregate::AggregateExpr;
pub use casts::{CastContext, Category, cast_context, cast_func};
pub use compare::compare;
pub use environment::Environment;
pub use functions::{quote_ident, quote_literal};
pub use mfp::MapFilterProject;
pub use relation::{Id, LocalId, RelExpr, RelationType};
pub use scalar::{CallTypes, Func, ScalarExpr};
pub use table_func::TableFunc;
pub use window::WindowExpr;
