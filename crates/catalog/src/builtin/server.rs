//! What the server does: sessions, roles, databases, settings, and schema `everview`.

use super::Builder;
use super::cells::{Cell, cells};
use super::relations::{OWNER, OWNER_NAME, count, kind, table_rows};
use everview_repr::{Interval, Row};

/// Databases that can be connected to, which are one and the same, with their numbers.
const DATABASES: &[(u32, &str)] = &[(5, "postgres"), (16383, OWNER_NAME)];
/// Roles that can connect; all are superusers.
const ROLES: &[(u32, &str)] = &[(OWNER, OWNER_NAME), (11, "postgres")];

/// The name of a role.
pub(crate) fn role_name(oid: u32) -> Option<&'static str> {
    ROLES
        .iter()
        .find(|(id, _)| *id == oid)
        .map(|(_, name)| *name)
}

fn role_oid(name: &str) -> u32 {
    ROLES
        .iter()
        .find(|(_, n)| *n == name)
        .map_or(0, |(id, _)| *id)
}

fn database_oid(name: &str) -> u32 {
    DATABASES
        .iter()
        .find(|(_, n)| *n == name)
        .map_or(0, |(id, _)| *id)
}

impl Builder<'_> {
    pub(super) fn pg_database(&self) -> Vec<Row> {
        DATABASES
            .iter()
            .map(|(oid, name)| {
                self.row(cells! {
                    "oid" => *oid, "datname" => *name, "datdba" => OWNER, "encoding" => 6, "datlocprovider" => "c",
                    "datallowconn" => true, "datconnlimit" => -1, "dattablespace" => 1663u32, "datcollate" => "C",
                    "datctype" => "C",
                })
            })
            .collect()
    }

    pub(super) fn pg_authid(&self) -> Vec<Row> {
        let role = |(oid, name): &(u32, &str)| {
            self.row(cells! {
                "oid" => *oid, "rolname" => *name, "rolsuper" => true, "rolinherit" => true,
                "rolcreaterole" => true, "rolcreatedb" => true, "rolcanlogin" => true, "rolreplication" => true,
                "rolbypassrls" => true, "rolconnlimit" => -1,
                "rolpassword" => self.runtime.has_password(name).then_some("********"),
            })
        };
        ROLES.iter().map(role).collect()
    }

    pub(super) fn pg_settings(&self) -> Vec<Row> {
        let settings = self.runtime.settings();
        settings
            .iter()
            .map(|(name, value, doc)| {
                self.row(cells! {
                    "name" => name, "setting" => value, "category" => "Everview", "short_desc" => doc,
                    "context" => "user", "vartype" => "string", "source" => "session", "boot_val" => value,
                    "reset_val" => value, "pending_restart" => false,
                })
            })
            .collect()
    }

    pub(super) fn pg_stat_activity(&self) -> Vec<Row> {
        let sessions = self.runtime.activity();
        sessions
            .iter()
            .map(|s| {
                let time = |t: Option<i64>| t.map_or(Cell::Null, Cell::Time);
                let (address, port) = match s.client.rsplit_once(':') {
                    Some((address, port)) => (address, port.parse::<i32>().ok()),
                    None => (s.client.as_str(), None),
                };
                let waits = s.state != "active";
                let mut cells = cells! {
                    "datid" => database_oid(&s.database), "datname" => &s.database, "pid" => s.pid,
                    "usesysid" => role_oid(&s.user), "usename" => &s.user, "application_name" => &s.application,
                    "client_addr" => address, "client_port" => port, "state" => s.state, "query" => &s.query,
                    "wait_event_type" => waits.then_some("Client"), "wait_event" => waits.then_some("ClientRead"),
                    "backend_type" => "client backend",
                };
                cells.push(("backend_start", Cell::Time(s.backend_start)));
                cells.push(("xact_start", time(s.transaction_start)));
                cells.push(("query_start", time(s.query_start)));
                cells.push(("state_change", Cell::Time(s.state_change)));
                self.row(cells)
            })
            .collect()
    }

    pub(super) fn pg_stat_tables(&self) -> Vec<Row> {
        self.tables()
            .map(|(object, _)| {
                self.row(cells! {
                    "relid" => object.id.0, "schemaname" => self.schema_name(object), "relname" => &object.name,
                    "n_live_tup" => table_rows(self.runtime, object.id),
                })
            })
            .collect()
    }

    pub(super) fn pg_stat_database(&self) -> Vec<Row> {
        let sessions = self.runtime.activity();
        DATABASES
            .iter()
            .map(|(oid, name)| {
                let connected = sessions.iter().filter(|s| s.database == *name).count();
                self.row(cells! { "datid" => *oid, "datname" => *name, "numbackends" => connected as i32 })
            })
            .collect()
    }

    pub(super) fn everview(&self) -> Vec<Row> {
        match self.relation.name {
            "tables" => self.everview_tables(),
            "effects" => self.everview_effects(),
            "effects_by_key" => self.everview_effects_by_key(),
            "views" => self.everview_views(),
            "sessions" => self.everview_sessions(),
            "producers" => self.everview_producers(),
            "readers" => self.everview_readers(),
            "connections" => self.everview_connections(),
            "sinks" => self.everview_sinks(),
            _ => Vec::new(),
        }
    }

    fn everview_views(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for state in self.runtime.views() {
            let Some(object) = self.catalog.get(state.id) else {
                continue;
            };
            let lag = state.lag.map(|micros| Interval {
                months: 0,
                days: 0,
                micros: count(micros),
            });
            let mut cells = cells! {
                "id" => object.id.0, "schema" => self.schema_name(object), "name" => &object.name,
                "kind" => if kind(object) == Some("i") { "index" } else { "materialized view" },
                "state" => state.state, "progress" => state.progress, "reason" => state.reason,
                "rows" => self.runtime.count_rows(state.id).map(count), "bytes" => count(state.bytes),
            };
            cells.push(("lag", lag.map_or(Cell::Null, Cell::Interval)));
            rows.push(self.row(cells));
        }
        rows
    }

    fn everview_producers(&self) -> Vec<Row> {
        let producers = self.runtime.producers();
        producers
            .iter()
            .map(|p| {
                let mut cells = cells! {
                    "name" => &p.name, "epoch" => p.epoch, "last_sequence" => p.last_sequence,
                    "last_commit_timestamp" => p.last_commit,
                };
                cells.push(("last_used", Cell::Time(p.last_used)));
                cells.push(("expires", Cell::Time(p.expires)));
                self.row(cells)
            })
            .collect()
    }

    fn everview_readers(&self) -> Vec<Row> {
        let readers = self.runtime.readers();
        readers
            .iter()
            .map(|r| {
                let lag = Interval {
                    months: 0,
                    days: 0,
                    micros: count(r.lag),
                };
                let mut cells = cells! { "name" => &r.name, "acknowledged" => r.acknowledged };
                cells.push(("lag", Cell::Interval(lag)));
                cells.push(("acknowledged_at", Cell::Time(r.at)));
                self.row(cells)
            })
            .collect()
    }

    fn everview_sessions(&self) -> Vec<Row> {
        let sessions = self.runtime.activity();
        sessions
            .iter()
            .map(|s| {
                let mut cells = cells! {
                    "pid" => s.pid, "user_name" => &s.user, "database" => &s.database,
                    "application_name" => &s.application, "client" => &s.client, "state" => s.state,
                    "query" => &s.query,
                };
                cells.push(("started", Cell::Time(s.backend_start)));
                cells.push(("query_start", s.query_start.map_or(Cell::Null, Cell::Time)));
                self.row(cells)
            })
            .collect()
    }
}
