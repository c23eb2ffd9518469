//! What is wrong with a statement, as Postgres would report it.

use everview_repr::{EvalError, SqlState};

/// An error of parsing or planning.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// The SQLSTATE.
    pub code: SqlState,
    /// The primary message.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// Where in the query string: characters, counted from 1.
    pub position: Option<usize>,
}

impl PlanError {
    /// An error with its code and primary message.
    pub fn new(code: SqlState, message: impl Into<String>) -> PlanError {
        PlanError {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
        }
    }

    /// 0A000 for something by name: `NAME is not supported`.
    pub fn unsupported(name: impl AsRef<str>) -> PlanError {
        let message = format!("{} is not supported", name.as_ref());
        PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
    }

    /// 42601 with this message.
    pub fn syntax(message: impl Into<String>) -> PlanError {
        PlanError::new(SqlState::SYNTAX_ERROR, message)
    }

    /// The same with a DETAIL.
    pub fn with_detail(mut self, detail: impl Into<String>) -> PlanError {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a HINT.
    pub fn with_hint(mut self, hint: impl Into<String>) -> PlanError {
        self.hint = Some(hint.into());
        self
    }

    /// The same at a position, unless it has one already.
    pub fn at(mut self, position: Option<usize>) -> PlanError {
        self.position = self.position.or(position);
        self
    }
}

impl From<EvalError> for PlanError {
    fn from(error: EvalError) -> PlanError {
        PlanError {
            code: error.code(),
            message: error.message().to_string(),
            detail: error.detail().map(str::to_string),
            hint: error.hint().map(str::to_string),
            position: None,
        }
    }
}

/// Gives a result's error a position.
pub(crate) trait At<T> {
    /// The same result; an error without a position gets this one.
    fn at(self, position: Option<usize>) -> Result<T, PlanError>;
}

impl<T, E: Into<PlanError>> At<T> for Result<T, E> {
    fn at(self, position: Option<usize>) -> Result<T, PlanError> {
        self.map_err(|e| e.into().at(position))
    }
}
