//! The one error that a client sees, and how every other becomes it.

use everview_repr::{EvalError, SqlState};

/// What a client is told: Postgres's error fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// SQLSTATE.
    pub code: SqlState,
    /// The primary message: what was wrong, with the value.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Character in the statement, from 1.
    pub position: Option<usize>,
    /// Where in what was read: `COPY t, line 3, column x: "..."`.
    pub context: Option<String>,
    /// The object concerned, for programs.
    pub object: ErrorObject,
    /// The session ends with it.
    pub fatal: bool,
}

/// The object that an error is about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ErrorObject {
    /// Its schema.
    pub schema: Option<String>,
    /// Its table.
    pub table: Option<String>,
    /// Its column.
    pub column: Option<String>,
    /// Its constraint.
    pub constraint: Option<String>,
}

impl Error {
    /// An error with code and message.
    pub fn new(code: SqlState, message: impl Into<String>) -> Error {
        Error {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            object: ErrorObject::default(),
            fatal: false,
        }
    }

    /// With DETAIL.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.detail = Some(detail.into());
        self
    }

    /// With HINT.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }

    /// With the object it is about.
    pub fn about(mut self, object: ErrorObject) -> Error {
        self.object = object;
        self
    }

    /// Ending the session.
    pub fn fatal(mut self) -> Error {
        self.fatal = true;
        self
    }

    /// A feature that is not there: 0A000, by its name.
    pub fn unsupported(what: impl std::fmt::Display) -> Error {
        Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("{what} is not supported"),
        )
    }

    /// Something that cannot happen did: XX000.
    pub fn internal(what: impl std::fmt::Display) -> Error {
        Error::new(SqlState::INTERNAL_ERROR, format!("internal error: {what}"))
    }

    /// The commit would not be serializable: 40001.
    pub fn serialization() -> Error {
        Error::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not serialize access due to a concurrent change",
        )
        .with_hint("The transaction might succeed if retried.")
    }

    /// The server is stopping, or a part of it did.
    pub fn shutting_down() -> Error {
        let message = "terminating connection due to administrator command";
        Error::new(SqlState::ADMIN_SHUTDOWN, message).fatal()
    }

    /// Whether trying the whole transaction again can succeed.
    pub fn is_retryable(&self) -> bool {
        self.code == SqlState::SERIALIZATION_FAILURE
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Error {}

impl From<EvalError> for Error {
    fn from(e: EvalError) -> Error {
        Error {
            detail: e.detail().map(str::to_string),
            hint: e.hint().map(str::to_string),
            ..Error::new(e.code(), e.message())
        }
    }
}

impl From<everview_optimize::lowering::LoweringError> for Error {
    fn from(e: everview_optimize::lowering::LoweringError) -> Error {
        Error::new(SqlState::FEATURE_NOT_SUPPORTED, e.to_string())
    }
}

impl From<everview_optimize::BrokenPlan> for Error {
    fn from(e: everview_optimize::BrokenPlan) -> Error {
        Error::internal(e.to_string())
    }
}

impl From<everview_log::LogError> for Error {
    fn from(e: everview_log::LogError) -> Error {
        use everview_log::LogError;
        let code = match &e {
            LogError::DiskFull { .. } => SqlState::DISK_FULL,
            LogError::Damaged { .. } => SqlState::DATA_CORRUPTED,
            _ => SqlState::IO_ERROR,
        };
        Error::new(code, e.to_string())
    }
}

impl From<everview_sql::PlanError> for Error {
    fn from(e: everview_sql::PlanError) -> Error {
        Error {
            detail: e.detail,
            hint: e.hint,
            position: e.position,
            ..Error::new(e.code, e.message)
        }
    }
}
