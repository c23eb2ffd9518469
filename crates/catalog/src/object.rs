//! What the catalog holds.
//!
//! SQL text in an object names relations by id, as the quoted identifier `"$16384"`, so that renaming
//! breaks nothing; whoever shows it to a user puts the current names back.

use crate::outside::{Connection, Password, Sealed, Sink};
use everview_repr::{ColumnType, GlobalId, RelationDesc, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A named thing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Object {
    /// Its identity, never reused.
    pub id: GlobalId,
    /// The schema it lives in; a schema lives in none.
    pub schema: Option<GlobalId>,
    /// Its name in that schema.
    pub name: String,
    /// The commit that created it.
    pub created: Timestamp,
    /// COMMENT ON it.
    pub comment: Option<String>,
    /// What it is.
    pub kind: ObjectKind,
}

/// The kinds of objects.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ObjectKind {
    /// A name space.
    Schema,
    /// Stored rows.
    Table(Table),
    /// A query by name.
    View(View),
    /// A query kept up to date.
    MaterializedView(View),
    /// An arrangement of a relation by a key.
    Index(Index),
    /// Text that is not shown.
    Secret(Sealed),
    /// How to reach another server.
    Connection(Connection),
    /// A relation whose changes go there.
    Sink(Sink),
    /// Rows computed from catalog and server when read; built in, never maintained over.
    SystemTable(RelationDesc),
}

/// A table.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<TableColumn>,
    /// Its constraints, in order of declaration.
    pub constraints: Vec<Constraint>,
    /// UPDATE, DELETE and TRUNCATE are refused.
    pub append_only: bool,
}

/// A table's column.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type; not nullable when NOT NULL or in the primary key.
    pub ty: ColumnType,
    /// DEFAULT, as SQL text.
    pub default: Option<String>,
    /// COMMENT ON COLUMN.
    pub comment: Option<String>,
    /// For a column that was added to the table: its value, packed, in rows that were written before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<u8>>,
}

/// A table's constraint.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Constraint {
    /// Its identity; for unique ones also that of the stored index.
    pub id: GlobalId,
    /// Its name, unique among the schema's relations when it is backed by an index.
    pub name: String,
    /// What it demands.
    pub kind: ConstraintKind,
    /// The commit that added it to its table, whose stored index holds nothing older; the least timestamp for one that
    /// was declared with the table, the greatest before that commit.
    #[serde(default)]
    pub since: Timestamp,
    /// COMMENT ON CONSTRAINT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The kinds of constraints.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ConstraintKind {
    /// Unique and not null: positions of the columns in key order.
    PrimaryKey(Vec<usize>),
    /// No two rows with equal non-null values: positions of the columns in key order.
    Unique(Vec<usize>),
    /// Not false: SQL text over the table's columns.
    Check(String),
    /// Of a row that comes with values that another has, NULLs being equal, nothing is written: positions of the
    /// columns in key order.
    Deduplicate {
        /// The columns.
        columns: Vec<usize>,
        /// For how many microseconds from its commit a key counts, whatever becomes of its row; none is for as long as
        /// the row is there.
        within: Option<u64>,
    },
    /// What was delivered, processed and took effect is counted by these columns.
    CountEffects(Vec<usize>),
}

/// The definition of a view or a materialized view.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct View {
    /// The query, with relations by id.
    pub sql: String,
    /// Its columns, renamed where a column list was given.
    pub desc: RelationDesc,
    /// The relations that it reads.
    pub depends_on: BTreeSet<GlobalId>,
    /// The session's time zone when it was created.
    pub time_zone: String,
    /// The version of functions, time zones and Unicode that its contents follow.
    pub semantics: u32,
    /// COMMENT ON COLUMN, by position.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub comments: BTreeMap<usize, String>,
}

/// The version of [`View::semantics`] that this build computes.
pub const SEMANTICS_VERSION: u32 = 1;

/// An index: an arrangement in memory that readers and other views share.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Index {
    /// The table, view or materialized view.
    pub on: GlobalId,
    /// Its columns in key order; expressions are SQL text over the relation's columns.
    pub keys: Vec<IndexKey>,
    /// No two rows of the table have equal keys without NULLs; all keys are columns then.
    #[serde(default)]
    pub unique: bool,
}

impl Index {
    /// The columns of a unique index, in key order.
    pub fn unique_columns(&self) -> Option<Vec<usize>> {
        let column = |key: &IndexKey| match key {
            IndexKey::Column(column) => Some(*column),
            IndexKey::Expression(_) => None,
        };
        self.unique
            .then(|| self.keys.iter().map(column).collect())?
    }
}

/// One column of an index key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum IndexKey {
    /// A column by position.
    Column(usize),
    /// An expression as SQL text.
    Expression(String),
}

impl Object {
    /// The description of the rows it yields; `None` for what is no relation, and for an index.
    pub fn desc(&self) -> Option<RelationDesc> {
        match &self.kind {
            ObjectKind::Table(table) => Some(table.desc(self.id)),
            ObjectKind::View(view) | ObjectKind::MaterializedView(view) => Some(view.desc.clone()),
            ObjectKind::SystemTable(desc) => Some(desc.clone()),
            ObjectKind::Schema
            | ObjectKind::Index(_)
            | ObjectKind::Secret(_)
            | ObjectKind::Connection(_)
            | ObjectKind::Sink(_) => None,
        }
    }

    /// The comment on a column, by its position.
    pub fn column_comment(&self, column: usize) -> Option<&str> {
        match &self.kind {
            ObjectKind::Table(table) => table.columns.get(column)?.comment.as_deref(),
            ObjectKind::View(view) | ObjectKind::MaterializedView(view) => {
                view.comments.get(&column).map(String::as_str)
            }
            _ => None,
        }
    }

    /// The objects it reads: dropping one of them needs CASCADE.
    pub fn depends_on(&self) -> BTreeSet<GlobalId> {
        match &self.kind {
            ObjectKind::View(view) | ObjectKind::MaterializedView(view) => view.depends_on.clone(),
            ObjectKind::Index(index) => [index.on].into(),
            ObjectKind::Sink(sink) => [sink.from, sink.connection].into(),
            ObjectKind::Connection(connection) => match connection.password {
                Some(Password::Secret(secret)) => [secret].into(),
                _ => BTreeSet::new(),
            },
            _ => BTreeSet::new(),
        }
    }

    /// What Postgres calls its kind in messages.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            ObjectKind::Schema => "schema",
            ObjectKind::Table(_) | ObjectKind::SystemTable(_) => "table",
            ObjectKind::View(_) => "view",
            ObjectKind::MaterializedView(_) => "materialized view",
            ObjectKind::Index(_) => "index",
            ObjectKind::Secret(_) => "secret",
            ObjectKind::Connection(_) => "connection",
            ObjectKind::Sink(_) => "sink",
        }
    }
}

impl Table {
    /// Its rows' description: unique keys without nullable columns are keys.
    pub fn desc(&self, id: GlobalId) -> RelationDesc {
        let mut desc =
            RelationDesc::new(self.columns.iter().map(|c| (c.name.clone(), c.ty.clone())));
        for (i, column) in desc.columns.iter_mut().enumerate() {
            column.origin = Some((id, i as u16 + 1));
        }
        for constraint in &self.constraints {
            if let Some(columns) = constraint.unique_columns()
                && columns.iter().all(|&c| !self.columns[c].ty.nullable)
            {
                let mut key = columns.to_vec();
                key.sort_unstable();
                desc.keys.push(key);
            }
        }
        desc
    }

    /// The columns of the primary key, in key order.
    pub fn primary_key(&self) -> Option<&Constraint> {
        self.constraints
            .iter()
            .find(|c| matches!(c.kind, ConstraintKind::PrimaryKey(_)))
    }
}

impl Constraint {
    /// Whether PostgreSQL has its like, so that pg_constraint can show it.
    pub fn is_standard(&self) -> bool {
        matches!(self.kind, ConstraintKind::Check(_)) || self.unique_columns().is_some()
    }

    /// The columns, in key order, that no two rows have alike.
    pub fn unique_columns(&self) -> Option<&[usize]> {
        match &self.kind {
            ConstraintKind::PrimaryKey(columns)
            | ConstraintKind::Unique(columns)
            | ConstraintKind::Deduplicate {
                columns,
                within: None,
            } => Some(columns),
            ConstraintKind::Deduplicate { .. }
            | ConstraintKind::Check(_)
            | ConstraintKind::CountEffects(_) => None,
        }
    }
}
