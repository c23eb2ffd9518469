//! The physical plan: what is rendered, with every decision made.
//!
//! Rows flow between nodes as packed rows; where a node needs an order or an index, an [`Arrangement`] says how
//! rows are keyed and what their values hold. Rendering reads this plan and chooses nothing.

use everview_expr::aggregate::AggregateExpr;
use everview_expr::{CallTypes, Id, LocalId, MapFilterProject, ScalarExpr, TableFunc, WindowExpr};
use everview_repr::{
    ColumnOrder, ColumnType, Diff, EvalError, GlobalId, RelationDesc, Row, ScalarType,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An index of a collection: rows by key.
///
/// The key is the [`everview_repr::key`] encoding of the key expressions. The value is the packed row of
/// `value`, columns of the row that the key does not give back; equal keys order their values by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Arrangement {
    /// The key over the row.
    pub key: Vec<ScalarExpr>,
    /// The key's types, for decoding.
    pub key_types: Vec<ScalarType>,
    /// The columns kept in the value.
    pub value: Vec<usize>,
    /// Where each column of the row comes from when it is read back.
    pub columns: Vec<ColumnSource>,
}

/// Where a column of an arranged row is found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ColumnSource {
    /// Decoded from the key at this position.
    Key(usize),
    /// In the value at this position.
    Value(usize),
}

impl Arrangement {
    /// The arrangement of rows of these types by these keys: columns that the key gives back exactly are left
    /// out of the value.
    pub fn new(key: Vec<ScalarExpr>, types: &[ColumnType]) -> Arrangement {
        let key_types: Vec<ScalarType> = key.iter().map(|k| k.ty(types).scalar).collect();
        // A key is decoded from its front: nothing behind a type that loses identity can be reached.
        let decodable = key_types
            .iter()
            .take_while(|t| !t.key_loses_identity())
            .count();
        let mut value = Vec::new();
        let columns = (0..types.len()).map(|column| {
            let in_key = key.iter().position(|k| *k == ScalarExpr::Column(column));
            match in_key {
                Some(at) if at < decodable => ColumnSource::Key(at),
                _ => {
                    value.push(column);
                    ColumnSource::Value(value.len() - 1)
                }
            }
        });
        let columns = columns.collect();
        Arrangement {
            key,
            key_types,
            value,
            columns,
        }
    }
}

/// A node of the plan.
#[derive(Clone, PartialEq, Debug)]
pub enum Plan {
    /// Given rows, or an error for every reader.
    Constant {
        /// The rows.
        rows: Result<Vec<(Row, Diff)>, EvalError>,
    },
    /// A table, an imported collection or a binding.
    Get {
        /// Which.
        id: Id,
        /// Applied to its rows.
        mfp: MapFilterProject,
    },
    /// Binds a name.
    Let {
        /// The name.
        id: LocalId,
        /// What it stands for.
        value: Box<Plan>,
        /// Arrangements of it that the body shares.
        arrangements: Vec<Arrangement>,
        /// Where it is used.
        body: Box<Plan>,
    },
    /// Map, filter and project.
    Mfp {
        /// The input.
        input: Box<Plan>,
        /// What is applied.
        mfp: MapFilterProject,
    },
    /// A table function for each row.
    FlatMap {
        /// The input.
        input: Box<Plan>,
        /// The function.
        func: TableFunc,
        /// Its arguments over the input row.
        args: Vec<ScalarExpr>,
        /// What the call was resolved to.
        types: Arc<CallTypes>,
        /// A last column that counts.
        ordinality: bool,
        /// Applied to the input row and the function's columns.
        mfp: MapFilterProject,
    },
    /// A join.
    Join {
        /// The inputs.
        inputs: Vec<JoinInput>,
        /// How.
        plan: JoinPlan,
    },
    /// Groups.
    Reduce {
        /// The input.
        input: Box<Plan>,
        /// How.
        plan: ReducePlan,
        /// Applied to the key's columns and the results, in the order of the relational node.
        mfp: MapFilterProject,
    },
    /// The first rows of each group.
    TopK {
        /// The input.
        input: Box<Plan>,
        /// How.
        plan: TopKPlan,
    },
    /// Window functions of one partitioning.
    Window {
        /// The input.
        input: Box<Plan>,
        /// The partition's key.
        partition_by: Vec<ScalarExpr>,
        /// The functions, all over that partition.
        functions: Vec<WindowExpr>,
    },
    /// Positive multiplicities only.
    Threshold {
        /// The input.
        input: Box<Plan>,
        /// Rows by all columns.
        arrangement: Arrangement,
    },
    /// Negated multiplicities.
    Negate {
        /// The input.
        input: Box<Plan>,
    },
    /// Added multiplicities.
    Union {
        /// The inputs.
        inputs: Vec<Plan>,
        /// Cancel out what cancels: set where an input negates.
        consolidate: bool,
    },
}

/// An input of a join.
#[derive(Clone, PartialEq, Debug)]
pub struct JoinInput {
    /// Where the rows come from.
    pub source: JoinSource,
    /// The arrangements of it that the join looks into; the plan refers to them by position.
    pub arrangements: Vec<Arrangement>,
    /// What else the join compares of its rows, alone, and no arrangement has in its key. As with keys, a row for
    /// which one fails is an error whatever the other inputs hold.
    pub compared: Vec<ScalarExpr>,
}

/// Where a join input's rows come from.
#[derive(Clone, PartialEq, Debug)]
pub enum JoinSource {
    /// Rendered for this join; the join arranges it.
    Plan(Plan),
    /// A binding or imported index whose arrangements are there already and are shared.
    Arranged(Id),
}

/// How a join is computed.
#[derive(Clone, PartialEq, Debug)]
pub enum JoinPlan {
    /// From one input through the others, with an arrangement of each intermediate result.
    Linear {
        /// The input to start from.
        source: usize,
        /// Applied to the rows of the first input.
        initial: MapFilterProject,
        /// The other inputs, in order.
        stages: Vec<LinearStage>,
    },
    /// A path of look-ups for the changes of each input; nothing intermediate is kept.
    Delta {
        /// One for each input.
        paths: Vec<DeltaPath>,
    },
}

/// One binary join of a linear plan.
#[derive(Clone, PartialEq, Debug)]
pub struct LinearStage {
    /// The input joined here.
    pub input: usize,
    /// Which of its arrangements.
    pub arrangement: usize,
    /// How the rows so far are arranged.
    pub stream: Arrangement,
    /// Applied to the columns so far and those of the input.
    pub closure: MapFilterProject,
}

/// The look-ups for the changes of one input.
#[derive(Clone, PartialEq, Debug)]
pub struct DeltaPath {
    /// The input whose changes these are. They are read from its first arrangement.
    pub source: usize,
    /// Applied to its rows.
    pub initial: MapFilterProject,
    /// The look-ups, in order.
    pub stages: Vec<DeltaStage>,
}

/// One look-up of a delta path.
#[derive(Clone, PartialEq, Debug)]
pub struct DeltaStage {
    /// The input looked into. Times before the change's are seen; its own time too if the input comes before
    /// the source.
    pub input: usize,
    /// Which of its arrangements.
    pub arrangement: usize,
    /// The key over the columns so far.
    pub key: Vec<ScalarExpr>,
    /// Applied to the columns so far and those of the input.
    pub closure: MapFilterProject,
}

/// How groups are reduced.
#[derive(Clone, PartialEq, Debug)]
pub struct ReducePlan {
    /// The group's key over the input row.
    pub key: Vec<ScalarExpr>,
    /// Its types.
    pub key_types: Vec<ScalarType>,
    /// Whether the key's columns are decoded from the key; otherwise the last part is [`ReducePart::First`] of
    /// the key's expressions.
    pub decode_key: bool,
    /// Parts, each giving some results for every group; several are joined by key.
    pub parts: Vec<ReducePart>,
    /// For each aggregate of the relational node in order, its part and its position in it.
    pub results: Vec<(usize, usize)>,
}

/// A part of a reduction.
#[derive(Clone, PartialEq, Debug)]
pub enum ReducePart {
    /// Only that the group is there.
    Distinct,
    /// Aggregates in the diff of an arrangement of keys; least and greatest among them where the input never retracts.
    Accumulable(Vec<AggregateExpr>),
    /// Aggregates in the diff of an arrangement of keys, over the distinct rows of their arguments. They are equal
    /// in arguments and filter.
    AccumulableDistinct(Vec<AggregateExpr>),
    /// Least and greatest of one argument, sought in an arrangement ordered by it. One result for each entry.
    Extrema {
        /// The aggregates, equal in argument and filter.
        aggregates: Vec<AggregateExpr>,
    },
    /// The least, by identity, of the packed rows of these expressions.
    First(Vec<ScalarExpr>),
    /// Aggregates over the whole group, read again at each change.
    WholeGroup(Vec<AggregateExpr>),
}

/// The first rows of each group.
#[derive(Clone, PartialEq, Debug)]
pub struct TopKPlan {
    /// The group's columns.
    pub group_key: Vec<usize>,
    /// The order; ties are broken by the row's identity.
    pub order: Vec<ColumnOrder>,
    /// How many rows to keep.
    pub limit: Option<u64>,
    /// How many to leave out first.
    pub offset: u64,
    /// The input never retracts.
    pub append_only: bool,
}

/// A dataflow to build.
#[derive(Clone, PartialEq, Debug)]
pub struct DataflowPlan {
    /// Tables and other fed collections that it reads, with the number of columns.
    pub sources: BTreeMap<GlobalId, usize>,
    /// Arrangements of other dataflows that it reads: by relation, the exporting index and how it is arranged.
    pub imports: BTreeMap<GlobalId, Vec<(GlobalId, Arrangement)>>,
    /// What is computed.
    pub plan: Plan,
    /// The result's columns.
    pub desc: RelationDesc,
}
