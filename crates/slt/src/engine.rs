//! What the runner drives: an engine that answers one SQL text at a time.
//!
//! Invariant: an engine never panics on what a script sends it; whatever goes wrong is an
//! [`EngineError`]. The module knows no protocol.

/// An SQL engine under test.
pub trait Engine {
    /// Runs one SQL text in the engine's one session and returns the outcome of its last statement.
    ///
    /// # Errors
    /// The server's error, or a lost connection with an SQLSTATE of class 08. The next call may
    /// connect again.
    fn run(&mut self, sql: &str) -> Result<Outcome, EngineError>;

    /// Kills the engine as `kill -9` would, starts it on the same data and connects again. Session
    /// state (settings, an open transaction) is gone afterwards.
    ///
    /// # Errors
    /// When the engine cannot be killed, does not come back, or has no way to be restarted.
    fn restart(&mut self) -> Result<(), EngineError>;

    /// A name for reports, such as `postgres://127.0.0.1:6875`.
    fn name(&self) -> &str;
}

/// What a successful SQL text gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A result set, possibly empty.
    Rows(Rows),
    /// A statement without a result set: the rows it affected, 0 where that has no meaning.
    Statement(u64),
}

/// A result set in the server's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Column names as the server reports them, left to right.
    pub columns: Vec<String>,
    /// Rows of as many values as there are columns, in Postgres's text form; None is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// An error that an engine reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sqlstate}: {message}")]
pub struct EngineError {
    /// Five characters; class 08 for a lost connection.
    pub sqlstate: String,
    /// The primary message, without prefix.
    pub message: String,
}

impl EngineError {
    /// An error from its two parts.
    pub fn new(sqlstate: impl Into<String>, message: impl Into<String>) -> Self {
        EngineError {
            sqlstate: sqlstate.into(),
            message: message.into(),
        }
    }

    /// Whether the connection, not the statement, failed.
    pub fn is_connection(&self) -> bool {
        self.sqlstate.starts_with("08")
    }
}
