//! What stable functions ask of the session and the catalog.
//!
//! A plan that is maintained holds no call that needs an environment; a one-off query carries the one it was
//! planned in, an immutable snapshot, so that every worker gives the same answer.

use everview_repr::{Datum, EvalError, Row};

/// A snapshot of session and catalog, asked by functions such as `current_user`, `now`, `pg_get_viewdef`.
pub trait Environment: Send + Sync + std::fmt::Debug {
    /// The result, a row of one datum, of the named function. Errors are the function's own.
    fn call(&self, function: &str, args: &[Datum<'_>]) -> Result<Row, EvalError>;
}
