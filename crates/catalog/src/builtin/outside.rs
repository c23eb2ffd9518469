//! Connections and sinks, in schema `everview`. No secret is shown, encrypted or not.

use super::Builder;
use super::cells::{Cell, cells};
use super::relations::count;
use crate::object::ObjectKind;
use everview_repr::{GlobalId, Interval, Row};

/// What a sink is doing.
#[derive(Clone, Debug)]
pub struct SinkState {
    /// `starting`, `running`, `retrying`, `failed` or `fenced`.
    pub state: &'static str,
    /// What stands in its way.
    pub reason: Option<String>,
    /// timestamptz at which it tries again.
    pub next_attempt: Option<i64>,
    /// The target has every commit up to this timestamp.
    pub progress: Option<i64>,
    /// Microseconds between that and the newest commit.
    pub lag: Option<u64>,
    /// Rows that the target was told of since the server started.
    pub rows_written: u64,
}

impl Builder<'_> {
    pub(super) fn everview_connections(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for object in self.catalog.objects() {
            if let ObjectKind::Connection(connection) = &object.kind {
                let password = connection.password.as_ref().map(|_| "********");
                rows.push(self.row(cells! {
                    "id" => object.id.0, "schema" => self.schema_name(object), "name" => &object.name,
                    "kind" => "postgres", "host" => &connection.host, "port" => i32::from(connection.port),
                    "database" => &connection.database, "user_name" => &connection.user, "password" => password,
                }));
            }
        }
        rows
    }

    pub(super) fn everview_sinks(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for object in self.catalog.objects() {
            let ObjectKind::Sink(sink) = &object.kind else {
                continue;
            };
            let state = self.runtime.sink(object.id);
            let named = |id: GlobalId| self.catalog.full_name(id);
            let target = match &sink.schema {
                Some(schema) => format!("{schema}.{}", sink.table),
                None => sink.table.clone(),
            };
            let mut cells = cells! {
                "id" => object.id.0, "schema" => self.schema_name(object), "name" => &object.name,
                "object" => named(sink.from), "connection" => named(sink.connection), "target" => target,
                "mode" => if sink.key.is_some() { "upsert" } else { "append" },
                "state" => state.state, "reason" => state.reason, "progress" => state.progress,
                "rows_written" => count(state.rows_written),
            };
            let lag = state.lag.map(|micros| Interval {
                months: 0,
                days: 0,
                micros: count(micros),
            });
            cells.push(("lag", lag.map_or(Cell::Null, Cell::Interval)));
            cells.push((
                "next_attempt",
                state.next_attempt.map_or(Cell::Null, Cell::Time),
            ));
            rows.push(self.row(cells));
        }
        rows
    }
}
