//! The high-level IR: typed and resolved, with subqueries inside scalar expressions.
//!
//! A column reference counts scopes outwards: level 0 is the row at hand, level 1 the row of the query around,
//! and so on. The right side of a join, a subquery and a table function's arguments open a scope.

pub(crate) mod explain;

use everview_expr::aggregate::AggregateFunc;
use everview_expr::window::{Frame, WindowFunc};
use everview_expr::{CallTypes, Func, Id, LocalId, RelationType, TableFunc};
use everview_repr::{ColumnOrder, ColumnType, Diff, Row, ScalarType};
use std::sync::Arc;

/// A column of the row at hand or of a row around it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ColumnRef {
    /// Scopes outwards; 0 is the row at hand.
    pub level: usize,
    /// Position in that row.
    pub column: usize,
}

/// A scalar expression that may hold subqueries.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HirScalar {
    /// A column.
    Column(ColumnRef),
    /// A constant: a row of one datum.
    Literal(Row, ColumnType),
    /// A statement's parameter, counted from 1.
    Parameter(usize, ScalarType),
    /// A call, as in [`everview_expr::ScalarExpr::Call`].
    Call {
        /// The function.
        func: Func,
        /// Coerced arguments.
        args: Vec<HirScalar>,
        /// What it was resolved to.
        types: Arc<CallTypes>,
    },
    /// Conjunction.
    And(Vec<HirScalar>),
    /// Disjunction.
    Or(Vec<HirScalar>),
    /// Negation.
    Not(Box<HirScalar>),
    /// IS NULL.
    IsNull(Box<HirScalar>),
    /// CASE.
    If {
        /// A boolean.
        condition: Box<HirScalar>,
        /// When true.
        then: Box<HirScalar>,
        /// Otherwise.
        els: Box<HirScalar>,
    },
    /// COALESCE.
    Coalesce(Vec<HirScalar>),
    /// Whether the subquery has a row.
    Exists(Box<HirRel>),
    /// The one value of a one-column subquery, NULL without a row, an error (21000) with several.
    Scalar(Box<HirRel>),
    /// Whether the predicate is true for some row of the subquery: `x IN (..)`, `x < ANY (..)`. The predicate's
    /// level 0 is the subquery's row, its level 1 the row at hand. NULL when it is true for none and NULL for
    /// some. ALL is the negation of ANY of the negated predicate.
    Any {
        /// The subquery.
        input: Box<HirRel>,
        /// The comparison.
        predicate: Box<HirScalar>,
    },
}

/// An aggregate's call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HirAggregate {
    /// The aggregate.
    pub func: AggregateFunc,
    /// Arguments over the input row.
    pub args: Vec<HirScalar>,
    /// Types of the arguments.
    pub arg_types: Vec<ScalarType>,
    /// The result's type.
    pub result: ColumnType,
    /// DISTINCT.
    pub distinct: bool,
    /// FILTER (WHERE ...).
    pub filter: Option<HirScalar>,
    /// ORDER BY within the call.
    pub order_by: Vec<HirOrder>,
}

/// A sort by an expression.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HirOrder {
    /// What to sort by.
    pub expr: HirScalar,
    /// Largest first.
    pub descending: bool,
    /// NULL after every value.
    pub nulls_last: bool,
}

/// A window function's call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HirWindow {
    /// The function; an aggregate's arguments are column references into the input.
    pub func: WindowFunc,
    /// Arguments over the input row.
    pub args: Vec<HirScalar>,
    /// PARTITION BY.
    pub partition_by: Vec<HirScalar>,
    /// ORDER BY.
    pub order_by: Vec<HirOrder>,
    /// The frame.
    pub frame: Frame,
    /// The result's type.
    pub result: ColumnType,
}

/// How a join treats rows without a partner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum JoinKind {
    /// They go.
    Inner,
    /// Left ones stay, with NULLs.
    Left,
    /// Right ones stay, with NULLs.
    Right,
    /// Both stay.
    Full,
}

/// A relational expression.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HirRel {
    /// Given rows.
    Constant {
        /// Rows with multiplicities.
        rows: Vec<(Row, Diff)>,
        /// Their type.
        ty: RelationType,
    },
    /// A relation, or a WITH query's name.
    Get {
        /// Which.
        id: Id,
        /// Its type.
        ty: RelationType,
    },
    /// WITH: the value is uncorrelated or refers outwards as the body does.
    Let {
        /// The name.
        id: LocalId,
        /// What it stands for.
        value: Box<HirRel>,
        /// Where it is used.
        body: Box<HirRel>,
    },
    /// WITH MUTUALLY RECURSIVE.
    LetRec {
        /// Names, values and types.
        bindings: Vec<(LocalId, HirRel, RelationType)>,
        /// Where they are used.
        body: Box<HirRel>,
    },
    /// Picks columns.
    Project {
        /// The input.
        input: Box<HirRel>,
        /// Positions.
        outputs: Vec<usize>,
    },
    /// Appends columns.
    Map {
        /// The input.
        input: Box<HirRel>,
        /// The new columns; each sees the input and the ones before it at level 0.
        scalars: Vec<HirScalar>,
    },
    /// Keeps rows.
    Filter {
        /// The input.
        input: Box<HirRel>,
        /// All must be true.
        predicates: Vec<HirScalar>,
    },
    /// A table function as a relation of its own: its arguments see only rows around it (level 1 and up).
    TableFunction {
        /// The function.
        func: TableFunc,
        /// Its arguments.
        args: Vec<HirScalar>,
        /// What the call was resolved to.
        types: Arc<CallTypes>,
        /// Its columns, without ordinality.
        columns: Vec<ColumnType>,
        /// WITH ORDINALITY: a last bigint column.
        ordinality: bool,
    },
    /// A join. The right side sees the left row at level 1 (LATERAL); `on` sees both, concatenated, at level 0.
    Join {
        /// The left side.
        left: Box<HirRel>,
        /// The right side.
        right: Box<HirRel>,
        /// The condition.
        on: Vec<HirScalar>,
        /// The kind; RIGHT and FULL have an uncorrelated right side.
        kind: JoinKind,
    },
    /// Grouping: key columns, then aggregates. Without keys there is exactly one row.
    Reduce {
        /// The input.
        input: Box<HirRel>,
        /// Columns of the input.
        group_key: Vec<usize>,
        /// The aggregates.
        aggregates: Vec<HirAggregate>,
    },
    /// Distinct rows.
    Distinct {
        /// The input.
        input: Box<HirRel>,
    },
    /// ORDER BY with LIMIT, DISTINCT ON. The order ends in a tie-break by all columns.
    TopK {
        /// The input.
        input: Box<HirRel>,
        /// Columns that form groups.
        group_key: Vec<usize>,
        /// The order.
        order_key: Vec<ColumnOrder>,
        /// How many to keep.
        limit: Option<u64>,
        /// How many to leave out.
        offset: u64,
    },
    /// Appends window functions' columns.
    Window {
        /// The input.
        input: Box<HirRel>,
        /// The functions.
        functions: Vec<HirWindow>,
    },
    /// Keeps positive multiplicities.
    Threshold {
        /// The input.
        input: Box<HirRel>,
    },
    /// Negates multiplicities.
    Negate {
        /// The input.
        input: Box<HirRel>,
    },
    /// Adds multiplicities.
    Union {
        /// The inputs, at least one.
        inputs: Vec<HirRel>,
    },
}
