//! What clients saw: transactions with their operations, their outcome and when they ran.

/// One transaction, as its client saw it.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Who ran it.
    pub client: usize,
    /// Microseconds from the start of the history to just before its first statement was sent.
    pub begun: u64,
    /// Microseconds to just after its outcome was known.
    pub ended: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did, in order.
    pub operations: Vec<Operation>,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// COMMIT was acknowledged.
    Committed,
    /// It was rolled back, or refused, or its connection broke before COMMIT was sent.
    Aborted,
    /// The connection broke after COMMIT was sent.
    Unknown,
}

/// One operation. Elements and values are never written twice in a history, so that each names its writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Appended an element to a list.
    Append {
        /// The list.
        list: u64,
        /// The element.
        element: u64,
    },
    /// Read a list.
    List {
        /// The list.
        list: u64,
        /// Its elements, in order.
        elements: Vec<u64>,
    },
    /// Replaced a register's value, having read the one before in the same transaction.
    Write {
        /// The register.
        register: u64,
        /// The value before, none if the register was not there.
        before: Option<u64>,
        /// The value.
        value: u64,
    },
    /// Read a register.
    Register {
        /// The register.
        register: u64,
        /// Its value, none if it was not there.
        value: Option<u64>,
    },
    /// Added an element to a set.
    Add {
        /// The set.
        set: u64,
        /// The element.
        element: u64,
    },
    /// Read a set.
    Set {
        /// The set.
        set: u64,
        /// Its elements, ascending.
        elements: Vec<u64>,
    },
}
