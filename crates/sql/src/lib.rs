//! From SQL text to plans.
//!
//! 1. [`parse`]: text to statements: sqlparser's AST, and our own statements around it.
//! 2. [`resolve`]: names to objects; relations in stored text become ids.
//! 3. [`query`]: a query's AST to the [`hir`]: typed, with subqueries still inside scalar expressions.
//! 4. [`lower`]: decorrelation: the hir to [`everview_expr::RelExpr`].
//! 5. [`plan`]: what a statement asks for, for the coordinator to carry out.
//!
//! The only crate that names sqlparser. It knows the catalog's snapshot, and no data, log or dataflow.

pub mod hir;
pub mod lower;
pub mod plan;
