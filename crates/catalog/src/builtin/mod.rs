//! Built-in objects: pg_catalog, information_schema and schema `everview`.
//!
//! Every system relation is a [`ObjectKind::SystemTable`] with the columns of PostgreSQL 15; its rows are a function of
//! a catalog snapshot, of the function registry and, for what the server does, of [`Runtime`]. A relation about
//! things that do not exist here (triggers, sequences, policies) is empty. Nothing here knows sessions or plans.

mod cells;
mod definitions;
pub mod functions;
mod indexes;
mod information;
mod names;
mod procedures;
mod relations;
mod schema;
mod server;

#[cfg(test)]
mod tests;

use crate::catalog::Catalog;
use crate::object::{Object, ObjectKind};
use everview_repr::{GlobalId, Row, Timestamp};
use schema::{EVERVIEW, INFORMATION_SCHEMA, PG_CATALOG, PUBLIC, RELATIONS};

/// What system tables show of the running server.
pub trait Runtime {
    /// Sessions, in any order.
    fn activity(&self) -> Vec<Activity>;
    /// Materialized views and indexes.
    fn views(&self) -> Vec<ViewState>;
    /// About how many rows a table has.
    fn table_rows(&self, table: GlobalId) -> u64;
    /// Names, values and descriptions of settings.
    fn settings(&self) -> Vec<(String, String, String)> {
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
    /// The client's address.
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
    /// Rows held.
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
        schema(PUBLIC, "public"),
        schema(INFORMATION_SCHEMA, "information_schema"),
        schema(EVERVIEW, "everview"),
    ];
    objects.extend(RELATIONS.values().map(|relation| {
        let kind = ObjectKind::SystemTable(relation.desc.clone());
        object(relation.id, Some(relation.schema), relation.name, kind)
    }));
    objects
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
        INFORMATION_SCHEMA => builder.information_schema(),
        _ => builder.everview(),
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
            "pg_tables" => self.pg_tables(),
            "pg_views" => self.pg_views(),
            "pg_matviews" => self.pg_matviews(),
            "pg_indexes" => self.pg_indexes(),
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
            "pg_roles" | "pg_authid" | "pg_user" | "pg_shadow" => self.roles(),
            "pg_settings" => self.pg_settings(),
            "pg_stat_activity" => self.pg_stat_activity(),
            "pg_stat_user_tables" | "pg_stat_all_tables" => self.pg_stat_tables(),
            "pg_stat_database" => self.pg_stat_database(),
            _ => Vec::new(),
        }
    }
}
