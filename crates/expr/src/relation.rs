//! The relational IR: few nodes, bag semantics with signed multiplicities.
//!
//! A node is a function from collections to collections. Errors that cannot be a column's value (of a filter,
//! of a join or group key) leave through an error collection beside the rows, which no node here mentions.
//! Equality of keys, groups and join columns is that of [`everview_repr::key`], under which NULL equals NULL:
//! SQL's `=` in a join adds an IS NOT NULL filter.

use crate::aggregate::AggregateExpr;
use crate::scalar::{CallTypes, ScalarExpr};
use crate::table_func::TableFunc;
use crate::window::WindowExpr;
use everview_repr::{ColumnOrder, ColumnType, Diff, EvalError, GlobalId, Row};
use std::sync::Arc;

mod build;
mod typing;
mod visit;

/// A name bound within one plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocalId(pub u32);

/// What a [`RelExpr::Get`] reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Id {
    /// A table, view or other durable collection.
    Global(GlobalId),
    /// A binding of a Let around it.
    Local(LocalId),
}

/// Column types and known keys of a relation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RelationType {
    /// The columns.
    pub columns: Vec<ColumnType>,
    /// Each a set of columns, ascending, in which no two rows agree.
    pub keys: Vec<Vec<usize>>,
    /// Rows are never retracted: an append-only table and what keeps that property.
    pub append_only: bool,
}

impl RelationType {
    /// Columns without keys.
    pub fn new(columns: Vec<ColumnType>) -> RelationType {
        RelationType {
            columns,
            keys: Vec::new(),
            append_only: false,
        }
    }
    /// How many columns.
    pub fn arity(&self) -> usize {
        self.columns.len()
    }
}

/// A relational expression.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RelExpr {
    /// Given rows with multiplicities, or an error that every read meets.
    Constant {
        /// The rows.
        rows: Result<Vec<(Row, Diff)>, EvalError>,
        /// Their type.
        ty: RelationType,
    },
    /// A collection by name.
    Get {
        /// Which.
        id: Id,
        /// Its type.
        ty: RelationType,
    },
    /// Binds a name in `body`.
    Let {
        /// The name.
        id: LocalId,
        /// What it stands for.
        value: Box<RelExpr>,
        /// Where it can be used.
        body: Box<RelExpr>,
    },
    /// Binds mutually recursive names: each value may use all of them.
    LetRec {
        /// Names, values, and the values' types.
        bindings: Vec<(LocalId, RelExpr, RelationType)>,
        /// Where they can be used.
        body: Box<RelExpr>,
    },
    /// Picks columns, which may repeat or go.
    Project {
        /// The input.
        input: Box<RelExpr>,
        /// Positions in the input, in output order.
        outputs: Vec<usize>,
    },
    /// Appends columns; later ones may use earlier ones.
    Map {
        /// The input.
        input: Box<RelExpr>,
        /// The new columns.
        scalars: Vec<ScalarExpr>,
    },
    /// Keeps rows for which every predicate is true.
    Filter {
        /// The input.
        input: Box<RelExpr>,
        /// All must hold.
        predicates: Vec<ScalarExpr>,
    },
    /// Appends to each row the columns of each row of a table function over it.
    FlatMap {
        /// The input.
        input: Box<RelExpr>,
        /// The function.
        func: TableFunc,
        /// Its arguments over the input row.
        args: Vec<ScalarExpr>,
        /// What the call was resolved to; `result` is unused.
        types: Arc<CallTypes>,
        /// The new columns' types, without the ordinal.
        columns: Vec<ColumnType>,
        /// WITH ORDINALITY: a last bigint column counts the rows of each call from 1.
        ordinality: bool,
    },
    /// The product of the inputs, restricted: in each class all expressions are equal (NULL equals NULL).
    Join {
        /// The inputs; their columns are concatenated.
        inputs: Vec<RelExpr>,
        /// Classes of expressions over the concatenated columns.
        equivalences: Vec<Vec<ScalarExpr>>,
    },
    /// One row a group: key columns, then aggregates. Without keys and rows there is no group: `sql` adds the
    /// default row. Without aggregates it is DISTINCT.
    Reduce {
        /// The input.
        input: Box<RelExpr>,
        /// The group's key over the input row.
        group_key: Vec<ScalarExpr>,
        /// The aggregates.
        aggregates: Vec<AggregateExpr>,
    },
    /// The rows from `offset` on, at most `limit`, of each group in order. The order ends in a tie-break by
    /// all columns' identity.
    TopK {
        /// The input.
        input: Box<RelExpr>,
        /// Columns that form the groups.
        group_key: Vec<usize>,
        /// The order within a group.
        order_key: Vec<ColumnOrder>,
        /// How many rows to keep; all when absent.
        limit: Option<u64>,
        /// How many to leave out first.
        offset: u64,
    },
    /// Appends one column for each window function.
    Window {
        /// The input.
        input: Box<RelExpr>,
        /// The functions.
        functions: Vec<WindowExpr>,
    },
    /// Keeps rows of positive multiplicity, with it.
    Threshold {
        /// The input.
        input: Box<RelExpr>,
    },
    /// Negates multiplicities.
    Negate {
        /// The input.
        input: Box<RelExpr>,
    },
    /// Adds multiplicities.
    Union {
        /// The inputs, at least one, of equal column types.
        inputs: Vec<RelExpr>,
    },
    /// The input, with a promise that it is arranged by each of these keys.
    ArrangeBy {
        /// The input.
        input: Box<RelExpr>,
        /// Keys over the input row.
        keys: Vec<Vec<ScalarExpr>>,
    },
}
