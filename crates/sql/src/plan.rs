//! What a statement asks for.
//!
//! A plan is complete: names are resolved, types are known, defaults and casts are applied. The coordinator
//! carries it out and decides nothing about SQL.

mod outside;

pub use outside::{CreateOutsidePlan, NewPassword, Outside};

use everview_catalog::object::{Constraint, IndexKey, Table, TableColumn, View};
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::{ColumnOrder, GlobalId, RelationDesc, ScalarType};
use std::collections::BTreeSet;

/// A planned statement.
#[derive(Clone, Debug)]
pub enum Plan {
    /// An empty query string.
    Empty,
    /// BEGIN / START TRANSACTION; the isolation level is always serializable.
    Begin {
        /// READ ONLY.
        read_only: bool,
    },
    /// COMMIT [AND CHAIN].
    Commit {
        /// Starts the next transaction at once.
        chain: bool,
    },
    /// ROLLBACK [AND CHAIN].
    Rollback {
        /// Starts the next transaction at once.
        chain: bool,
    },
    /// SET [SESSION | LOCAL] name = value; `None` is DEFAULT.
    Set {
        /// The setting, in lower case.
        name: String,
        /// Its text.
        value: Option<String>,
        /// Until the end of the transaction.
        local: bool,
    },
    /// RESET name; `None` is ALL.
    Reset(Option<String>),
    /// SHOW name; `None` is ALL.
    Show(Option<String>),
    /// DISCARD ALL and its parts.
    Discard(String),
    /// `SELECT everview.open_producer(...)`, `SELECT everview.begin_batch(...)`.
    Producer {
        /// What is asked.
        call: ProducerCall,
        /// The one column of its one row.
        desc: RelationDesc,
    },
    /// `SELECT everview.ack(...)`, `SELECT everview.drop_reader(...)`.
    Reader {
        /// What is asked.
        call: ReaderCall,
        /// The one column of its one row.
        desc: RelationDesc,
    },
    /// DROP PRODUCER.
    DropProducer {
        /// Their names.
        names: Vec<String>,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// ALTER ROLE.
    AlterRole(AlterRolePlan),
    /// A query.
    Select(SelectPlan),
    /// EXPLAIN.
    Explain(ExplainPlan),
    /// VERIFY.
    Verify(VerifyPlan),
    /// SUBSCRIBE.
    Subscribe(SubscribePlan),
    /// DECLARE name CURSOR FOR a query or SUBSCRIBE.
    Declare {
        /// The cursor's name.
        name: String,
        /// What it runs over.
        query: Box<Plan>,
        /// WITH HOLD.
        hold: bool,
    },
    /// FETCH from a cursor.
    Fetch {
        /// The cursor's name.
        name: String,
        /// How many rows; `None` is ALL.
        count: Option<i64>,
        /// WITH (timeout = ...): microseconds to wait for changes; `None` waits for ever.
        timeout: Option<u64>,
    },
    /// CLOSE a cursor; `None` is ALL.
    Close(Option<String>),
    /// PREPARE name (types) AS statement.
    Prepare {
        /// The statement's name.
        name: String,
        /// Its text.
        sql: String,
        /// Declared parameter types.
        types: Vec<ScalarType>,
    },
    /// EXECUTE name (arguments).
    Execute {
        /// The statement's name.
        name: String,
        /// Constant expressions.
        args: Vec<(ScalarExpr, ScalarType)>,
    },
    /// DEALLOCATE; `None` is ALL.
    Deallocate(Option<String>),
    /// INSERT.
    Insert(InsertPlan),
    /// UPDATE.
    Update(UpdatePlan),
    /// DELETE.
    Delete(DeletePlan),
    /// TRUNCATE tables.
    Truncate(Vec<GlobalId>),
    /// COPY.
    Copy(CopyPlan),
    /// CREATE SCHEMA.
    CreateSchema {
        /// Its name.
        name: String,
        /// IF NOT EXISTS.
        if_not_exists: bool,
    },
    /// CREATE TABLE.
    CreateTable(CreateTablePlan),
    /// CREATE [OR REPLACE] VIEW, CREATE MATERIALIZED VIEW.
    CreateView(CreateViewPlan),
    /// CREATE INDEX.
    CreateIndex(CreateIndexPlan),
    /// CREATE SECRET, CREATE CONNECTION, CREATE SINK.
    CreateOutside(CreateOutsidePlan),
    /// DROP of objects, already in an order that leaves no dependant behind.
    Drop {
        /// The kind in the command tag: `TABLE`.
        kind: &'static str,
        /// Every object to drop, dependants first.
        ids: Vec<GlobalId>,
        /// Notices: of missing objects, of what CASCADE drops.
        notices: Vec<Notice>,
    },
    /// ALTER ... RENAME TO.
    Rename {
        /// The kind in the command tag.
        kind: &'static str,
        /// The object; `None` when missing and IF EXISTS was given.
        id: Option<GlobalId>,
        /// The new name.
        to: String,
        /// Notices.
        notices: Vec<Notice>,
    },
    /// ALTER TABLE .. RENAME COLUMN.
    RenameColumn {
        /// The table or view.
        id: GlobalId,
        /// The column's position.
        column: usize,
        /// The new name.
        to: String,
    },
    /// ALTER TABLE: columns, constraints, defaults.
    AlterTable(AlterTablePlan),
    /// ALTER ... SET SCHEMA.
    SetSchema {
        /// The kind in the command tag.
        kind: &'static str,
        /// The object.
        id: GlobalId,
        /// The new schema.
        schema: GlobalId,
    },
    /// COMMENT ON.
    Comment {
        /// The object; the table of a column or constraint.
        id: GlobalId,
        /// A column by position.
        column: Option<usize>,
        /// A constraint, or the index behind it.
        constraint: Option<GlobalId>,
        /// The text; `None` removes it.
        text: Option<String>,
    },
    /// Accepted for compatibility, with nothing to do: its command tag. Used only where having no effect is the
    /// whole meaning here (LOCK TABLE, ANALYZE, VACUUM).
    Nothing(&'static str, Vec<Notice>),
}

/// What a transaction, or a session, asks of a producer: constant expressions of the types named.
#[derive(Clone, Debug)]
pub enum ProducerCall {
    /// A new epoch; gives it.
    Open {
        /// text
        producer: ScalarExpr,
    },
    /// The transaction is this batch; gives the timestamp of its commit if it is a repeated one, else NULL.
    Begin {
        /// text
        producer: ScalarExpr,
        /// bigint
        epoch: ScalarExpr,
        /// bigint
        sequence: ScalarExpr,
    },
}

/// What is said of a reader of changefeeds: constant expressions of the types named.
#[derive(Clone, Debug)]
pub enum ReaderCall {
    /// It has all changes up to a time.
    Acknowledge {
        /// text
        reader: ScalarExpr,
        /// numeric
        at: ScalarExpr,
    },
    /// It is forgotten.
    Drop {
        /// text
        reader: ScalarExpr,
    },
}

/// A message beside the result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// NOTICE or WARNING.
    pub severity: &'static str,
    /// Its SQLSTATE.
    pub code: everview_repr::SqlState,
    /// Its text.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
}

/// A query whose rows go to the client.
#[derive(Clone, Debug)]
pub struct SelectPlan {
    /// The rows before finishing.
    pub expr: RelExpr,
    /// ORDER BY, LIMIT and OFFSET of the outermost query.
    pub finishing: Finishing,
    /// The rows after finishing.
    pub desc: RelationDesc,
    /// Relations read.
    pub depends_on: BTreeSet<GlobalId>,
    /// AS OF a timestamp: a constant expression of type numeric, bigint, text or timestamptz.
    pub as_of: Option<ScalarExpr>,
}

/// What happens to a result on its way to the client.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Finishing {
    /// The order, over the columns of `expr`; ties are broken by all columns.
    pub order_by: Vec<ColumnOrder>,
    /// A constant expression of type bigint; NULL is no limit.
    pub limit: Option<ScalarExpr>,
    /// A constant expression of type bigint.
    pub offset: Option<ScalarExpr>,
    /// Columns of `expr` that the client sees.
    pub project: Vec<usize>,
}

/// The stages that EXPLAIN shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExplainStage {
    /// The hir.
    Raw,
    /// After decorrelation.
    Decorrelated,
    /// After the rules.
    Optimized,
    /// What is rendered; the default.
    Physical,
    /// How long the planning stages took: EXPLAIN (TIMING).
    Timing,
}

/// EXPLAIN [stage PLAN FOR] a query, a view, or a maintained view.
#[derive(Clone, Debug)]
pub struct ExplainPlan {
    /// Which stage.
    pub stage: ExplainStage,
    /// The hir, printed.
    pub raw: String,
    /// The query.
    pub select: SelectPlan,
    /// Plan as a maintained view and not as a one-off query.
    pub maintained: bool,
}

/// VERIFY: contents are derived again from the log, and compared.
#[derive(Clone, Debug)]
pub struct VerifyPlan {
    /// A table or a materialized view; `None` is ALL.
    pub object: Option<GlobalId>,
    /// AS OF.
    pub as_of: Option<ScalarExpr>,
}

impl VerifyPlan {
    /// The columns of its result: one row an object.
    pub fn desc() -> RelationDesc {
        RelationDesc::new([
            ("object", ScalarType::Text.not_null()),
            ("kind", ScalarType::Text.not_null()),
            ("as_of", ScalarType::Int64.not_null()),
            ("rows", ScalarType::Int64.nullable()),
            ("digest", ScalarType::Text.nullable()),
            ("checkpoints", ScalarType::Int64.nullable()),
            ("result", ScalarType::Text.not_null()),
        ])
    }
}

/// SUBSCRIBE to a relation or a query.
#[derive(Clone, Debug)]
pub struct SubscribePlan {
    /// The query.
    pub expr: RelExpr,
    /// Its columns, without `mz_timestamp`, `mz_progressed` and `mz_diff`.
    pub desc: RelationDesc,
    /// Relations read.
    pub depends_on: BTreeSet<GlobalId>,
    /// WITH (SNAPSHOT), true unless said otherwise.
    pub snapshot: bool,
    /// WITH (PROGRESS).
    pub progress: bool,
    /// AS OF.
    pub as_of: Option<ScalarExpr>,
    /// FROM READER: it begins after what the reader has acknowledged.
    pub reader: Option<String>,
    /// UP TO, exclusive.
    pub up_to: Option<ScalarExpr>,
}

/// INSERT: rows of the table, complete and cast.
#[derive(Clone, Debug)]
pub struct InsertPlan {
    /// The table.
    pub table: GlobalId,
    /// Rows of all columns in table order.
    pub source: RelExpr,
    /// Relations read by the source.
    pub depends_on: BTreeSet<GlobalId>,
    /// ON CONFLICT.
    pub on_conflict: Option<OnConflict>,
    /// RETURNING, over the table's row.
    pub returning: Option<Returning>,
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// The unique constraint that arbitrates; `None` (DO NOTHING only) is every one.
    pub constraint: Option<GlobalId>,
    /// DO UPDATE; `None` is DO NOTHING.
    pub update: Option<ConflictUpdate>,
}

/// DO UPDATE SET ... WHERE ...: over the existing row's columns, then the excluded row's.
#[derive(Clone, Debug)]
pub struct ConflictUpdate {
    /// The whole new row, in table order.
    pub row: Vec<ScalarExpr>,
    /// Update only when true.
    pub filter: Option<ScalarExpr>,
}

/// RETURNING.
#[derive(Clone, Debug)]
pub struct Returning {
    /// The expressions.
    pub exprs: Vec<ScalarExpr>,
    /// Their names and types.
    pub desc: RelationDesc,
}

/// UPDATE. One result row a changed row of the table, with its multiplicity.
#[derive(Clone, Debug)]
pub struct UpdatePlan {
    /// The table.
    pub table: GlobalId,
    /// The old row's columns, the new row's columns, then RETURNING's.
    pub source: RelExpr,
    /// Relations read, the table among them.
    pub depends_on: BTreeSet<GlobalId>,
    /// Names and types of RETURNING's columns.
    pub returning: Option<RelationDesc>,
}

/// DELETE. One result row a deleted row of the table, with its multiplicity.
#[derive(Clone, Debug)]
pub struct DeletePlan {
    /// The table.
    pub table: GlobalId,
    /// The old row's columns, then RETURNING's.
    pub source: RelExpr,
    /// Relations read, the table among them.
    pub depends_on: BTreeSet<GlobalId>,
    /// Names and types of RETURNING's columns.
    pub returning: Option<RelationDesc>,
}

/// COPY.
#[derive(Clone, Debug)]
pub enum CopyPlan {
    /// COPY table (columns) FROM STDIN.
    From {
        /// The table.
        table: GlobalId,
        /// Positions of the columns in the input, in input order.
        columns: Vec<usize>,
        /// For every column not in the input, its default; over no columns.
        defaults: Vec<(usize, ScalarExpr)>,
        /// WHERE, over the table's columns: rows of which it is not true are left out.
        filter: Option<ScalarExpr>,
        /// FREEZE: the transaction must have made or emptied the table.
        freeze: bool,
        /// The format.
        options: CopyOptions,
    },
    /// COPY table or (query) TO STDOUT.
    To {
        /// The rows.
        select: Box<SelectPlan>,
        /// The format.
        options: CopyOptions,
    },
    /// COPY (SUBSCRIBE ...) TO STDOUT.
    Subscribe {
        /// The changes.
        subscribe: Box<SubscribePlan>,
        /// The format.
        options: CopyOptions,
    },
}

/// COPY's options with their defaults filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyOptions {
    /// Text or CSV.
    pub csv: bool,
    /// The encoding of the client's side.
    pub encoding: CopyEncoding,
    /// One byte.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// The first line names the columns; `Match` checks them.
    pub header: CopyHeader,
    /// CSV: one byte.
    pub quote: u8,
    /// CSV: one byte.
    pub escape: u8,
    /// CSV out: columns always quoted.
    pub force_quote: Vec<usize>,
    /// CSV in: columns in which the null string, unquoted, is a string.
    pub force_not_null: Vec<usize>,
    /// CSV in: columns in which the null string, quoted, is NULL.
    pub force_null: Vec<usize>,
}

/// ENCODING.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyEncoding {
    /// UTF-8.
    Utf8,
    /// ISO 8859-1: a byte a character.
    Latin1,
}

/// HEADER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyHeader {
    /// No header.
    None,
    /// A header, ignored on input.
    Skip,
    /// A header that must name the columns.
    Match,
}

/// CREATE TABLE.
#[derive(Clone, Debug)]
pub struct CreateTablePlan {
    /// The schema.
    pub schema: GlobalId,
    /// The name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<TableColumn>,
    /// Its constraints; ids are given by the coordinator.
    pub constraints: Vec<Constraint>,
    /// APPEND ONLY.
    pub append_only: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// CREATE TABLE AS: rows to insert.
    pub source: Option<(RelExpr, BTreeSet<GlobalId>)>,
}

/// ALTER ROLE name PASSWORD.
#[derive(Clone, Debug)]
pub struct AlterRolePlan {
    /// Whose; the session's own user if none is named.
    pub role: Option<String>,
    /// The password, or a verifier; `None` is NULL.
    pub password: Option<Secret>,
}

/// Text that is not shown, neither to clients nor in logs.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("********")
    }
}

/// ALTER TABLE: the table as it is to be.
///
/// What its rows have to fulfil is what the new definition says and the old one did not.
#[derive(Clone, Debug)]
pub struct AlterTablePlan {
    /// The table.
    pub id: GlobalId,
    /// Its new definition; new constraints have no id yet.
    pub table: Table,
    /// For each column that is new, what rows have in it that are there already: over no columns.
    pub added: Vec<(usize, ScalarExpr)>,
    /// What the command tag names.
    pub kind: &'static str,
    /// Notices.
    pub notices: Vec<Notice>,
}

/// CREATE VIEW, CREATE MATERIALIZED VIEW.
#[derive(Clone, Debug)]
pub struct CreateViewPlan {
    /// The schema.
    pub schema: GlobalId,
    /// The name.
    pub name: String,
    /// The definition.
    pub view: View,
    /// Its plan.
    pub expr: RelExpr,
    /// MATERIALIZED.
    pub materialized: bool,
    /// OR REPLACE: the view to replace.
    pub replace: Option<GlobalId>,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
}

/// CREATE INDEX.
#[derive(Clone, Debug)]
pub struct CreateIndexPlan {
    /// The schema: that of the relation.
    pub schema: GlobalId,
    /// The name, generated as Postgres does when none was given.
    pub name: String,
    /// The relation.
    pub on: GlobalId,
    /// The key as stored.
    pub keys: Vec<IndexKey>,
    /// The key over the relation's columns.
    pub exprs: Vec<ScalarExpr>,
    /// UNIQUE.
    pub unique: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
}
