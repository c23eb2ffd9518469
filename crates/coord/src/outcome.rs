//! What statements come to, for a front end to send.

use crate::error::Error;
use crate::subscribe::Subscription;
use everview_repr::{RelationDesc, Row, ScalarType, SqlState};
use everview_sql::plan::{CopyOptions, Notice};
use std::sync::Arc;

/// The result of one statement.
#[derive(Debug)]
pub enum Outcome {
    /// An empty query string.
    Empty,
    /// Done; the command tag, as `INSERT 0 1`.
    Done(String),
    /// Rows in order, then the tag.
    Rows {
        /// Their columns.
        desc: Arc<RelationDesc>,
        /// All of them.
        rows: Vec<Row>,
        /// The tag, as `SELECT 3`.
        tag: String,
    },
    /// COPY FROM STDIN: the front end feeds what the client sends and then finishes or fails it.
    CopyIn(Box<CopyIn>),
    /// COPY TO STDOUT.
    CopyOut {
        /// How many columns.
        columns: usize,
        /// What is sent.
        output: CopyOutput,
        /// The tag; of what comes as it is read, the count is still to come.
        tag: String,
    },
    /// SUBSCRIBE as a statement: rows until the client cancels or the subscription ends.
    Subscribe(Box<Subscription>),
}

/// What COPY TO STDOUT sends.
#[derive(Debug)]
pub enum CopyOutput {
    /// These rows, in this format.
    Rows(Vec<Row>, RelationDesc, CopyOptions),
    /// Rows as they are read, in this format.
    Stream(crate::read::RowStream, RelationDesc, CopyOptions),
    /// Changes as they happen, in this format.
    Changes(Box<Subscription>, CopyOptions),
}

/// COPY FROM STDIN under way, for [`crate::Session::feed_copy`] and its kind.
#[derive(Debug)]
pub struct CopyIn {
    pub(crate) state: crate::copy::CopyState,
    pub(crate) single: bool,
}

impl CopyIn {
    /// How many columns the client sends.
    pub fn columns(&self) -> usize {
        self.state.columns()
    }

    /// The error that the client gave it up for a reason.
    pub fn given_up(&self, reason: &str) -> Error {
        let message = format!("COPY from stdin failed: {reason}");
        self.state
            .located(Error::new(SqlState::QUERY_CANCELED, message))
    }
}

/// What a prepared statement takes and gives.
#[derive(Clone, Debug)]
pub struct StatementDesc {
    /// Types of `$1`, `$2`, ...
    pub params: Vec<ScalarType>,
    /// Its columns, if it returns rows.
    pub rows: Option<Arc<RelationDesc>>,
}

/// Where a session stands, as ReadyForQuery says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransactionStatus {
    /// No transaction.
    Idle,
    /// In a transaction.
    Active,
    /// In a transaction that failed: only ROLLBACK does anything.
    Failed,
}

/// A message to the client beside results.
pub type ClientNotice = Notice;
