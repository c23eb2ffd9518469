//! The statements, and which words begin which.

use super::input::Input;
use super::outside::{CreateConnection, CreateSecret, CreateSink};
use crate::error::PlanError;
use crate::names::Name;
use sqlparser::ast::{self, Expr, Ident, Query};

/// A statement's syntax.
#[derive(Clone, Debug)]
pub(crate) enum Statement {
    /// A query, AS OF a time.
    Query {
        query: Box<Query>,
        as_of: Option<Box<Expr>>,
    },
    Insert(Box<ast::Insert>),
    Update(Box<ast::Update>),
    Delete(Box<ast::Delete>),
    CreateTable {
        table: Box<ast::CreateTable>,
        likes: Vec<super::Like>,
        append_only: bool,
        with_data: bool,
        options: super::OwnOptions,
    },
    CreateSchema {
        name: Option<Ident>,
        if_not_exists: bool,
    },
    CreateView(CreateView),
    CreateIndex(CreateIndex),
    CreateSecret(CreateSecret),
    CreateConnection(CreateConnection),
    CreateSink(CreateSink),
    Drop(Drop),
    DropProducer {
        names: Vec<Ident>,
        if_exists: bool,
    },
    Alter(Alter),
    AlterRole(crate::plan::AlterRolePlan),
    Comment {
        kind: CommentKind,
        name: Name,
        column: Option<Ident>,
        text: Option<String>,
    },
    Truncate {
        names: Vec<Name>,
    },
    Subscribe(Box<Subscribe>),
    Explain(Explain),
    Verify {
        /// None is ALL.
        object: Option<(ObjectType, Name)>,
        as_of: Option<Box<Expr>>,
    },
    Declare {
        name: Ident,
        statement: Box<Statement>,
        hold: bool,
    },
    Fetch {
        name: Ident,
        count: Option<i64>,
        timeout: Option<String>,
    },
    Close(Option<Ident>),
    Copy(Box<Copy>),
    Begin {
        read_only: bool,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    Reset(Option<String>),
    Show(Option<String>),
    Discard(String),
    Prepare {
        name: Ident,
        types: Vec<ast::DataType>,
        sql: String,
    },
    Execute {
        name: Ident,
        args: Vec<Expr>,
    },
    Deallocate(Option<Ident>),
    /// Accepted and without effect: the command tag.
    Nothing {
        tag: &'static str,
        names: Vec<Name>,
    },
}

/// CREATE [OR REPLACE] [MATERIALIZED] VIEW.
#[derive(Clone, Debug)]
pub(crate) struct CreateView {
    pub name: Name,
    pub columns: Vec<Ident>,
    pub query: Box<Query>,
    /// The query's text.
    pub sql: String,
    /// Where that text starts: characters from 1.
    pub start: usize,
    pub materialized: bool,
    pub or_replace: bool,
    pub if_not_exists: bool,
}

/// CREATE INDEX.
#[derive(Clone, Debug)]
pub(crate) struct CreateIndex {
    pub name: Option<Name>,
    pub if_not_exists: bool,
    pub on: Name,
    /// The keys with their text and where it starts.
    pub keys: Vec<(Expr, String, usize)>,
    pub unique: bool,
}

/// What a DROP, ALTER or COMMENT is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ObjectType {
    Table,
    View,
    MaterializedView,
    Index,
    Schema,
    Secret,
    Connection,
    Sink,
}

/// DROP.
#[derive(Clone, Debug)]
pub(crate) struct Drop {
    pub kind: ObjectType,
    pub names: Vec<Name>,
    pub if_exists: bool,
    pub cascade: bool,
}

/// ALTER.
#[derive(Clone, Debug)]
pub(crate) struct Alter {
    pub kind: ObjectType,
    pub name: Name,
    pub if_exists: bool,
    pub action: AlterAction,
}

/// What ALTER does.
#[derive(Clone, Debug)]
pub(crate) enum AlterAction {
    Rename(Ident),
    RenameColumn { from: Ident, to: Ident },
    RenameConstraint { from: Ident, to: Ident },
    SetSchema(Ident),
    Table(Vec<TableAction>),
}

/// One of ALTER TABLE's actions on columns and constraints.
#[derive(Clone, Debug)]
pub(crate) enum TableAction {
    AddColumn {
        column: Box<ast::ColumnDef>,
        if_not_exists: bool,
    },
    AddConstraint(Box<ast::TableConstraint>),
    DropConstraint {
        name: Ident,
        if_exists: bool,
    },
    /// SET DEFAULT, or DROP DEFAULT.
    Default {
        column: Ident,
        value: Option<Box<Expr>>,
    },
    /// SET NOT NULL, or DROP NOT NULL.
    NotNull {
        column: Ident,
        set: bool,
    },
}

/// What COMMENT is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CommentKind {
    Object(ObjectType),
    Column,
    Constraint,
}

/// SUBSCRIBE.
#[derive(Clone, Debug)]
pub(crate) struct Subscribe {
    pub target: SubscribeTarget,
    pub snapshot: bool,
    pub progress: bool,
    pub as_of: Option<Box<Expr>>,
    pub reader: Option<String>,
    pub up_to: Option<Box<Expr>>,
}

/// What SUBSCRIBE follows.
#[derive(Clone, Debug)]
pub(crate) enum SubscribeTarget {
    Name(Name),
    Query(Box<Query>),
}

/// EXPLAIN.
#[derive(Clone, Debug)]
pub(crate) struct Explain {
    pub stage: crate::plan::ExplainStage,
    pub target: ExplainTarget,
}

/// What EXPLAIN explains.
#[derive(Clone, Debug)]
pub(crate) enum ExplainTarget {
    Query {
        query: Box<Query>,
        as_of: Option<Box<Expr>>,
    },
    View {
        name: Name,
        materialized: bool,
    },
}

/// COPY.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub source: CopySource,
    pub to: bool,
    pub options: Vec<CopyOption>,
    pub filter: Option<Box<Expr>>,
}

/// What COPY copies.
#[derive(Clone, Debug)]
pub(crate) enum CopySource {
    Table {
        name: Name,
        columns: Vec<Ident>,
    },
    Query {
        query: Box<Query>,
        as_of: Option<Box<Expr>>,
    },
    Subscribe(Box<Subscribe>),
}

/// An option of COPY: its name in lower case, its value and place.
#[derive(Clone, Debug)]
pub(crate) struct CopyOption {
    pub name: String,
    pub value: CopyValue,
    pub position: Option<usize>,
}

/// An option's value.
#[derive(Clone, Debug)]
pub(crate) enum CopyValue {
    None,
    Text(String),
    Columns(Vec<Ident>),
    Star,
}

/// Reads one statement.
pub(super) fn statement<'t>(input: &mut Input<'t>) -> Result<Statement, PlanError> {
    if *input.peek(0) == sqlparser::tokenizer::Token::LParen {
        return input.select();
    }
    const QUERIES: [&str; 3] = ["select", "with", "values"];
    if QUERIES.iter().any(|w| input.is(0, w)) {
        return input.select();
    }
    if input.is(0, "insert") || input.is(0, "update") || input.is(0, "delete") {
        return input.data_change();
    }
    type Read<'t> = fn(&mut Input<'t>) -> Result<Statement, PlanError>;
    let words: &[(&str, Read<'t>)] = &[
        ("create", Input::create),
        ("drop", Input::drop_statement),
        ("alter", Input::alter),
        ("comment", Input::comment),
        ("truncate", Input::truncate),
        ("subscribe", Input::subscribe_statement),
        ("tail", Input::subscribe_statement),
        ("explain", Input::explain),
        ("verify", Input::verify),
        ("declare", Input::declare),
        ("fetch", Input::fetch),
        ("close", Input::close),
        ("copy", Input::copy),
        ("begin", Input::begin),
        ("start", Input::begin),
        ("commit", Input::commit),
        ("end", Input::commit),
        ("rollback", Input::rollback),
        ("abort", Input::rollback),
        ("set", Input::set),
        ("reset", Input::reset),
        ("show", Input::show),
        ("discard", Input::discard),
        ("prepare", Input::prepare),
        ("execute", Input::execute),
        ("deallocate", Input::deallocate),
        ("lock", Input::nothing),
        ("analyze", Input::nothing),
        ("analyse", Input::nothing),
        ("vacuum", Input::nothing),
    ];
    for (word, read) in words {
        if input.is(0, word) {
            return read(input);
        }
    }
    for word in [
        "grant",
        "revoke",
        "merge",
        "refresh",
        "reindex",
        "cluster",
        "listen",
        "notify",
        "unlisten",
        "call",
        "do",
        "savepoint",
        "release",
        "import",
        "security",
        "reassign",
        "load",
        "checkpoint",
        "move",
    ] {
        if input.is(0, word) {
            let error = PlanError::unsupported(word.to_uppercase()).at(input.position());
            return Err(if word == "refresh" {
                error.with_hint(
                    "Materialized views are always up to date: there is nothing to refresh.",
                )
            } else {
                error
            });
        }
    }
    Err(input.unexpected())
}
