//! From SQL text to plans.
//!
//! 1. [`parse`]: text to statements: sqlparser's AST, and our own statements around it.
//! 2. `names`, `scope`: names to objects and columns; [`stored`]: relations in stored text become ids.
//! 3. `query`, `scalar`: a query's AST to the [`hir`]: typed, with subqueries still inside scalar expressions.
//! 4. [`lower`]: decorrelation: the hir to [`everview_expr::RelExpr`].
//! 5. [`mod@plan`]: what a statement asks for, for the coordinator to carry out; `statement`, `ddl` and `dml` make it.
//!
//! The only crate that names sqlparser. It knows the catalog's snapshot, and no data, log or dataflow.

// The order in which a hash map gives its entries must not reach a plan.
#![warn(clippy::iter_over_hash_type)]

mod ddl;
pub mod deparse;
mod dml;
pub mod error;
mod functions;
pub mod hir;
pub mod lower;
mod names;
mod parse;
pub mod plan;
mod planner;
mod producers;
mod query;
mod scalar;
mod scope;
mod statement;
pub mod stored;
mod travel;
mod typed;
mod types;

#[cfg(test)]
mod tests;

pub use error::PlanError;
pub use names::{Name, quote};
pub use parse::{Parsed, parse};
pub use planner::PlanContext;
pub use statement::{Planned, plan, result_desc};
pub use stored::{display_definition, display_expression, plan_scalar_text, plan_view_text};
pub use travel::{ChangesCall, plan_as_of};
