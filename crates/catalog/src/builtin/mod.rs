//! Built-in objects: pg_catalog, information_schema and schema `everview`.
//!
//! System relations have the columns of PostgreSQL 15. A system table's rows are made from a catalog snapshot, from the
//! function registry and, for what the server does, from [`Runtime`]; a system view is SQL text over them (`views`).
//! A relation about things that do not exist here (triggers, sequences, policies) is empty. Nothing here knows
//! sessions, SQL or plans.

mod cells;
mod definitions;
mod effects;
pub mod functions;
mod indexes;
mod names;
mod outside;
mod procedures;
mod relations;
mod schema;
mod server;
mod views;

#[cfg(test)]
mod tests;

pub use effects::EffectCounts;
pub use outside::SinkState;

use crate::catalog::Catalog;
use crate::object::{Object, ObjectKind, View};
use everview_repr::{ColumnType, GlobalId, RelationDesc, Row, Timestamp};
use schema::{EVERVIEW, INFORMATION_SCHEMA, PG_CATALOG, PUBLIC, RELATIONS};

/// How SQL text that the catalog keeps is shown: the catalog itself knows no SQL.
pub trait Deparser {
    /// A view's query with current names; `pretty` leaves out needless parentheses.
    fn view(&self, catalog: &Catalog, search_path: &[String], view: &View, pretty: bool) -> String;
    /// An expression over a relation's columns; with a type, as a value for a column of it.
    fn expression(
        &self,
        catalog: &Catalog,
        desc: &RelationDesc,
        target: Option<&ColumnType>,
        sql: &str,
        pretty: bool,
    ) -> String;
    /// An index's expression: its name and type as a column, and whether it is a call.
    fn index_column(
        &self,
        catalog: &Catalog,
        desc: &RelationDesc,
        sql: &str,
    ) -> Option<(String, ColumnType, bool)>;
}

/// What system tables show of the running server.
pub trait Runtime {
    /// How stored SQL is shown.
    fn deparser(&self) -> &dyn Deparser;
    /// Sessions, in any order.
    fn activity(&self) -> Vec<Activity>;
    /// Materialized views and indexes.
    fn views(&self) -> Vec<ViewState>;
    /// How many rows a maintained view or index holds, counted; none while it cannot be read.
    fn count_rows(&self, id: GlobalId) -> Option<u64>;
    /// About how many rows a table has.
    fn table_rows(&self, table: GlobalId) -> u64;
    /// Names, values and descriptions of settings.
    fn settings(&self) -> Vec<(String, String, String)> {
        Vec::new()
    }
    /// Whether a role has a password.
    fn has_password(&self, _role: &str) -> bool {
        false
    }
    /// Keys and bytes that are remembered for a DEDUPLICATE BY ... WITHIN.
    fn remembered(&self, _constraint: GlobalId) -> (u64, u64) {
        (0, 0)
    }
    /// What was delivered, processed and took effect, by object.
    fn effects(&self) -> Vec<EffectCounts> {
        Vec::new()
    }
    /// The same by key, of tables that count by one.
    fn effects_by_key(&self) -> Vec<EffectCounts> {
        Vec::new()
    }
    /// Producers, by name.
    fn producers(&self) -> Vec<ProducerState> {
        Vec::new()
    }
    /// What a sink is doing.
    fn sink(&self, _id: GlobalId) -> SinkState {
        SinkState {
            state: "starting",
            reason: None,
            next_attempt: None,
            progress: None,
            lag: None,
            rows_written: 0,
        }
    }
    /// Readers of changefeeds, by name.
    fn readers(&self) -> Vec<ReaderState> {
        Vec::new()
    }
    /// The database that information_schema names.
    fn database(&self) -> String {
        "everview".to_string()
    }
}

/// A session.
#[derive(Clone, Debug)]
pub struct Activity {
    /// Its number.
    pub pid: i32,
    /// Who connected.
    pub user: String,
    /// The database connected to.
    pub database: String,
    /// `application_name`.
    pub application: String,
    /// The client's address and port, `127.0.0.1:50000`.
    pub client: String,
    /// timestamptz of the connection.
    pub backend_start: i64,
    /// timestamptz of the transaction's start.
    pub transaction_start: Option<i64>,
    /// timestamptz of the last statement's start.
    pub query_start: Option<i64>,
    /// timestamptz since when it is in this state.
    pub state_change: i64,
    /// `active`, `idle`, `idle in transaction`.
    pub state: &'static str,
    /// The last statement.
    pub query: String,
}

/// A producer.
#[derive(Clone, Debug)]
pub struct ProducerState {
    /// Its name.
    pub name: String,
    /// Its epoch: the timestamp of the commit that opened it.
    pub epoch: i64,
    /// The highest sequence number committed; 0 at first.
    pub last_sequence: i64,
    /// The timestamp of the commit of that batch.
    pub last_commit: Option<i64>,
    /// timestamptz of its last use, to the hour for commits without a number.
    pub last_used: i64,
    /// timestamptz from which it may be forgotten.
    pub expires: i64,
}

/// A reader of changefeeds.
#[derive(Clone, Debug)]
pub struct ReaderState {
    /// Its name.
    pub name: String,
    /// The timestamp up to which it has taken all changes.
    pub acknowledged: i64,
    /// Microseconds from there to the newest commit.
    pub lag: u64,
    /// timestamptz of the acknowledgement.
    pub at: i64,
}

/// A materialized view or an index as it is maintained.
#[derive(Clone, Debug)]
pub struct ViewState {
    /// Its id.
    pub id: GlobalId,
    /// `hydrating`, `ready` or `suspended`.
    pub state: &'static str,
    /// Why it is suspended.
    pub reason: Option<String>,
    /// How much of its inputs is in, from 0 to 1.
    pub progress: f64,
    /// Microseconds behind the newest commit.
    pub lag: Option<u64>,
    /// Updates held: rows, and what of their history is not compacted yet.
    pub rows: u64,
    /// Bytes held.
    pub bytes: u64,
}

/// Built-in schemas and system tables; all ids below [`GlobalId::FIRST_USER`].
pub fn objects() -> Vec<Object> {
    let object = |id, schema, name: &str, kind| Object {
        id,
        schema,
        name: name.to_string(),
        created: Timestamp::MIN,
        comment: None,
        kind,
    };
    let schema = |id, name: &str| object(id, None, name, ObjectKind::Schema);
    let mut objects = vec![
        schema(PG_CATALOG, "pg_catalog"),
        Object {
            comment: Some("standard public schema".to_string()),
            ..schema(PUBLIC, "public")
        },
        schema(INFORMATION_SCHEMA, "information_schema"),
        schema(EVERVIEW, "everview"),
    ];
    objects.extend(RELATIONS.values().map(|relation| {
        let kind = match views::view(relation) {
            Some(view) => ObjectKind::View(view),
            None => ObjectKind::SystemTable(relation.desc.clone()),
        };
        object(relation.id, Some(relation.schema), relation.name, kind)
    }));
    objects
}

/// The system table `everview.commits`, whose rows are in the log and not made here.
pub fn commits() -> Option<GlobalId> {
    let mut relations = RELATIONS.values();
    let found = relations.find(|r| r.schema == EVERVIEW && r.name == "commits");
    found.map(|relation| relation.id)
}

/// The rows of a system table; none for any other id.
pub fn rows(id: GlobalId, catalog: &Catalog, runtime: &dyn Runtime) -> Vec<Row> {
    let Some(relation) = RELATIONS.get(&id) else {
        return Vec::new();
    };
    let builder = Builder {
        catalog,
        runtime,
        relation,
    };
    match relation.schema {
        PG_CATALOG => builder.pg_catalog(),
        EVERVIEW => builder.everview(),
        _ => Vec::new(),
    }
}

/// What the rows of one relation are computed from.
struct Builder<'a> {
    catalog: &'a Catalog,
    runtime: &'a dyn Runtime,
    relation: &'static schema::Relation,
}

impl Builder<'_> {
    fn row(&self, cells: Vec<(&str, cells::Cell)>) -> Row {
        cells::row(&self.relation.desc, cells)
    }

    fn copied(&self, lines: &str) -> Vec<Row> {
        cells::copied(&self.relation.desc, lines)
    }

    fn pg_catalog(&self) -> Vec<Row> {
        match self.relation.name {
            "pg_namespace" => self.pg_namespace(),
            "pg_class" => self.pg_class(),
            "pg_attribute" => self.pg_attribute(),
            "pg_attrdef" => self.pg_attrdef(),
            "pg_index" => self.pg_index(),
            "pg_constraint" => self.pg_constraint(),
            "pg_description" => self.pg_description(),
            "pg_depend" => self.pg_depend(),
            "pg_rewrite" => self.pg_rewrite(),
            "pg_type" => self.copied(include_str!("data/pg_type.tsv")),
            "pg_am" => self.copied(include_str!("data/pg_am.tsv")),
            "pg_language" => self.copied(include_str!("data/pg_language.tsv")),
            "pg_collation" => self.copied(include_str!("data/pg_collation.tsv")),
            "pg_tablespace" => self.copied(include_str!("data/pg_tablespace.tsv")),
            "pg_opclass" => self.copied(include_str!("data/pg_opclass.tsv")),
            "pg_opfamily" => self.copied(include_str!("data/pg_opfamily.tsv")),
            "pg_cast" => self.copied(include_str!("data/pg_cast.tsv")),
            "pg_proc" => procedures::pg_proc(),
            "pg_aggregate" => procedures::pg_aggregate(),
            "pg_operator" => procedures::pg_operator(),
            "pg_database" => self.pg_database(),
            "pg_authid" => self.pg_authid(),
            "pg_settings" => self.pg_settings(),
            "pg_stat_activity" => self.pg_stat_activity(),
            "pg_stat_all_tables" => self.pg_stat_tables(),
            "pg_stat_database" => self.pg_stat_database(),
            _ => Vec::new(),
        }
    }
}
