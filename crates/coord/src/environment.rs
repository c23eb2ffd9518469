//! What stable functions are told about the session, and what system tables show of the server.

use crate::clock;
use crate::coordinator::Shared;
use crate::ddl::view_of;
use everview_catalog::builtin;
use everview_catalog::object::View;
use everview_catalog::{Catalog, ObjectKind};
use everview_dataflow::TableReader;
use everview_expr::Environment;
use everview_repr::datetime::{self, Zone};
use everview_repr::{
    ColumnType, Datum, EvalError, GlobalId, RelationDesc, Row, SqlState, Timestamp, array,
};
use everview_sql::deparse;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

mod counted;

/// A snapshot of a session.
#[derive(Debug)]
pub(crate) struct SessionEnvironment {
    pub shared: Weak<Shared>,
    pub catalog: Catalog,
    pub user: String,
    pub database: String,
    pub pid: i32,
    /// timestamptz of the transaction's start.
    pub transaction_start: i64,
    /// timestamptz of the statement's start.
    pub statement_start: i64,
    pub search_path: Vec<String>,
    pub settings: Vec<(String, String)>,
    pub read_timestamp: Timestamp,
    /// Microseconds that pg_sleep has been asked for: the session waits once its rows are there.
    pub owed_sleep: Arc<AtomicU64>,
}

fn text(value: &str) -> Row {
    Row::pack([Datum::Text(value)])
}

fn null() -> Row {
    Row::pack([Datum::Null])
}

fn text_array<'a>(values: impl IntoIterator<Item = &'a str>) -> Row {
    let datums: Vec<_> = values.into_iter().map(Datum::Text).collect();
    let packed = array::build_vector(&datums);
    Row::pack([Datum::Array(array::Array::from_packed(&packed))])
}

impl Environment for SessionEnvironment {
    fn call(&self, function: &str, args: &[Datum<'_>]) -> Result<Row, EvalError> {
        if let Some(result) =
            builtin::functions::call(&self.catalog, &self.search_path, &Sql, function, args)?
        {
            return Ok(result);
        }
        Ok(match function {
            "now" | "transaction_timestamp" => {
                Row::pack([Datum::TimestampTz(self.transaction_start)])
            }
            "current_timestamp" | "current_date" | "localtimestamp" | "localtime" | "age" => {
                self.started(function, args)?
            }
            "statement_timestamp" => Row::pack([Datum::TimestampTz(self.statement_start)]),
            "clock_timestamp" => {
                Row::pack([Datum::TimestampTz(crate::clock::wall_clock_timestamptz())])
            }
            "current_user" | "session_user" | "user" | "current_role" => text(&self.user),
            "current_database" | "current_catalog" => text(&self.database),
            "current_schema" => match self.schemas().first() {
                Some(schema) => text(schema),
                None => null(),
            },
            "current_schemas" => {
                let implicit = args.first().is_some_and(Datum::is_true);
                let schemas = self.schemas();
                let first = implicit.then_some("pg_catalog");
                let rest = schemas
                    .iter()
                    .map(String::as_str)
                    .filter(|s| Some(*s) != first);
                text_array(first.into_iter().chain(rest))
            }
            "version" => text(&version()),
            "pg_backend_pid" => Row::pack([Datum::Int32(self.pid)]),
            "current_query" => text(&self.query()),
            "pg_postmaster_start_time" | "pg_conf_load_time" => {
                let started = self.shared.upgrade().map_or(0, |s| s.started);
                Row::pack([Datum::TimestampTz(started)])
            }
            "pg_is_in_recovery" => Row::pack([Datum::Bool(false)]),
            "inet_server_addr" | "inet_client_addr" | "inet_server_port" | "inet_client_port" => {
                null()
            }
            "current_setting" => self.setting(args)?,
            "pg_relation_size"
            | "pg_table_size"
            | "pg_indexes_size"
            | "pg_total_relation_size"
            | "pg_database_size"
            | "pg_tablespace_size" => match self.shared.upgrade() {
                Some(shared) => size(&shared, &self.catalog, function, args),
                None => null(),
            },
            "pg_sleep" => {
                let seconds = match args.first() {
                    Some(Datum::Float64(seconds)) => seconds.max(0.0),
                    _ => 0.0,
                };
                let micros = (seconds * 1e6) as u64;
                self.owed_sleep.fetch_add(micros, Ordering::Relaxed);
                text("")
            }
            "pg_cancel_backend" | "pg_terminate_backend" => self.signal(function, args),
            "mz_now" | "everview_now" => {
                let micros = i64::try_from(self.read_timestamp.0).unwrap_or(i64::MAX);
                let mut bytes = Vec::new();
                everview_repr::numeric::Numeric::from(micros).to_bytes(&mut bytes);
                Row::pack([Datum::Numeric(&bytes)])
            }
            other => {
                let message = format!("function {other} is not supported");
                return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
        })
    }
}

impl SessionEnvironment {
    /// What the transaction's start is in the session's time zone.
    fn started(&self, function: &str, args: &[Datum<'_>]) -> Result<Row, EvalError> {
        const DAY: i64 = 86_400_000_000;
        let setting = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("timezone");
        let setting = self.settings.iter().find(setting);
        let zone = Zone::parse_setting(setting.map_or("UTC", |(_, value)| value))?;
        let start = self.transaction_start;
        let local = zone.to_local(start)?;
        let midnight = local.div_euclid(DAY) * DAY;
        let rounded = |micros: i64| match args.first() {
            Some(Datum::Int32(digits @ 0..=6)) => {
                let unit = 10_i64.pow(6 - *digits as u32);
                (micros + unit / 2).div_euclid(unit) * unit
            }
            _ => micros,
        };
        Ok(Row::pack([match (function, args.first()) {
            ("current_timestamp", _) => Datum::TimestampTz(rounded(start)),
            ("localtimestamp", _) => Datum::Timestamp(rounded(local)),
            ("localtime", _) => Datum::Time(rounded(local - midnight)),
            ("current_date", _) => Datum::Date(datetime::timestamptz_to_date(start, &zone)?),
            (_, Some(Datum::Timestamp(then))) => Datum::Interval(datetime::age(midnight, *then)?),
            (_, Some(Datum::TimestampTz(then))) => {
                let midnight = zone.to_utc(midnight)?;
                Datum::Interval(datetime::age_timestamptz(midnight, *then, &zone)?)
            }
            _ => Datum::Null,
        }]))
    }

    /// The text of the session's statement.
    fn query(&self) -> String {
        let sessions = self.shared.upgrade();
        let entry = sessions.and_then(|shared| shared.sessions.lock().get(&self.pid).cloned());
        entry.map_or_else(String::new, |entry| entry.activity.lock().query.clone())
    }

    fn schemas(&self) -> Vec<String> {
        let exists = |name: &&String| self.catalog.schema(name).is_some();
        self.search_path.iter().filter(exists).cloned().collect()
    }

    fn setting(&self, args: &[Datum<'_>]) -> Result<Row, EvalError> {
        let name = args.first().and_then(Datum::as_str).unwrap_or_default();
        let missing_ok = args.get(1).is_some_and(Datum::is_true);
        let found = self
            .settings
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        match found {
            Some((_, value)) => Ok(text(value)),
            None if missing_ok => Ok(null()),
            None => {
                let message = format!("unrecognized configuration parameter \"{name}\"");
                Err(EvalError::new(SqlState::UNDEFINED_OBJECT, message))
            }
        }
    }

    fn signal(&self, function: &str, args: &[Datum<'_>]) -> Row {
        let Some(Datum::Int32(pid)) = args.first() else {
            return null();
        };
        let entry = self
            .shared
            .upgrade()
            .and_then(|s| s.sessions.lock().get(pid).cloned());
        if let Some(entry) = &entry {
            if function == "pg_terminate_backend" {
                entry.terminate()
            } else {
                entry.cancel()
            }
        }
        Row::pack([Datum::Bool(entry.is_some())])
    }
}

/// Bytes of a relation or of the database. A table's are those of its packed rows, a maintained view's and an index's
/// those in memory; of the index behind a constraint, which is part of the store, nothing is known: NULL.
fn size(shared: &Shared, catalog: &Catalog, function: &str, args: &[Datum<'_>]) -> Row {
    let bytes = match (function, args.first()) {
        (_, None | Some(Datum::Null)) => None,
        ("pg_database_size" | "pg_tablespace_size", _) => folder_bytes(&shared.options.data_dir),
        (_, Some(Datum::Oid(oid))) => {
            let id = GlobalId(*oid);
            let own = relation_bytes(shared, catalog, id);
            let indexes = || {
                let indexes = catalog.dependants(id).into_iter();
                let indexes = indexes.filter_map(|id| catalog.get(id));
                let indexes = indexes.filter(|o| matches!(o.kind, ObjectKind::Index(_)));
                indexes
                    .filter_map(|o| relation_bytes(shared, catalog, o.id))
                    .sum::<u64>()
            };
            match function {
                "pg_indexes_size" => own.map(|_| indexes()),
                "pg_total_relation_size" => own.map(|own| own + indexes()),
                _ => own,
            }
        }
        _ => None,
    };
    let bytes = bytes.map(|b| i64::try_from(b).unwrap_or(i64::MAX));
    Row::pack([bytes.map_or(Datum::Null, Datum::Int64)])
}

fn relation_bytes(shared: &Shared, catalog: &Catalog, id: GlobalId) -> Option<u64> {
    match &catalog.get(id)?.kind {
        ObjectKind::Table(_) => {
            let mut bytes = 0u64;
            for chunk in shared.tables.scan(id, shared.now(), 0, 1) {
                let rows = chunk.ok()?.into_iter();
                bytes += rows
                    .map(|(row, diff)| row.bytes().len() as u64 * diff.unsigned_abs())
                    .sum::<u64>();
            }
            Some(bytes)
        }
        ObjectKind::MaterializedView(_) | ObjectKind::Index(_) => {
            let dataflow = shared.dataflow_of(id)?;
            Some(shared.compute.status(dataflow)?.bytes)
        }
        ObjectKind::View(_) | ObjectKind::SystemTable(_) => Some(0),
        _ => None,
    }
}

fn folder_bytes(path: &Path) -> Option<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path).ok()? {
        let entry = entry.ok()?;
        // A file may go while the folder is read.
        match entry.metadata() {
            Ok(found) if found.is_dir() => bytes += folder_bytes(&entry.path()).unwrap_or(0),
            Ok(found) => bytes += found.len(),
            Err(_) => {}
        }
    }
    Some(bytes)
}

/// What `version()` says.
pub(crate) fn version() -> String {
    format!(
        "PostgreSQL 15.0 compatible Everview {} on {}-{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}

/// How SQL text in the catalog is shown.
struct Sql;

impl builtin::Deparser for Sql {
    fn view(&self, catalog: &Catalog, search_path: &[String], view: &View, pretty: bool) -> String {
        deparse::view_definition(catalog, search_path, view, pretty)
    }

    fn expression(
        &self,
        catalog: &Catalog,
        desc: &RelationDesc,
        target: Option<&ColumnType>,
        sql: &str,
        pretty: bool,
    ) -> String {
        deparse::expression(catalog, desc, target, sql, pretty)
    }

    fn index_column(
        &self,
        catalog: &Catalog,
        desc: &RelationDesc,
        sql: &str,
    ) -> Option<(String, ColumnType, bool)> {
        let column = deparse::index_column(catalog, desc, sql)?;
        Some((column.name, column.ty, column.is_call))
    }
}

/// The server as system tables show it.
pub(crate) struct Runtime<'s>(pub &'s Shared);

impl builtin::Runtime for Runtime<'_> {
    fn deparser(&self) -> &dyn builtin::Deparser {
        &Sql
    }

    fn activity(&self) -> Vec<builtin::Activity> {
        let sessions = self.0.sessions.lock();
        sessions
            .values()
            .map(|entry| {
                let activity = entry.activity.lock().clone();
                builtin::Activity {
                    pid: entry.pid,
                    user: entry.user.clone(),
                    database: entry.database.clone(),
                    application: activity.application,
                    client: entry.peer.clone(),
                    backend_start: entry.started,
                    transaction_start: activity.transaction_start,
                    query_start: activity.query_start,
                    state_change: activity.state_change,
                    state: activity.state,
                    query: activity.query,
                }
            })
            .collect()
    }

    fn views(&self) -> Vec<builtin::ViewState> {
        let state = self.0.catalog();
        let maintained = state.catalog.objects().filter(|o| {
            matches!(o.kind, ObjectKind::Index(_))
                || (matches!(o.kind, ObjectKind::MaterializedView(_)) && view_of(o).is_some())
        });
        maintained
            .map(|object| self.view_state(object.id))
            .collect()
    }

    fn settings(&self) -> Vec<(String, String, String)> {
        let all = crate::settings::Settings::new("").all();
        all.into_iter()
            .map(|(name, value, doc)| (name, value, doc.to_string()))
            .collect()
    }

    fn has_password(&self, role: &str) -> bool {
        self.0.passwords.load().roles().any(|r| r == role)
    }

    fn producers(&self) -> Vec<builtin::ProducerState> {
        let retention = self.0.options.producer_retention;
        let producers = self.0.producers.read();
        let shown = producers.all().map(|p| builtin::ProducerState {
            name: p.name.to_string(),
            epoch: p.epoch,
            last_sequence: p.last_sequence(),
            last_commit: p
                .batches
                .last()
                .map(|b| crate::producers::micros(b.timestamp)),
            last_used: clock::to_timestamptz(p.used),
            expires: clock::to_timestamptz(p.used.saturating_add(retention)),
        });
        shown.collect()
    }

    fn sink(&self, id: GlobalId) -> builtin::SinkState {
        self.0.sinks.state(id, self.0.now())
    }

    fn remembered(&self, constraint: GlobalId) -> (u64, u64) {
        let size = self.0.tables.windows.size(constraint);
        (size.keys.max(0) as u64, size.bytes.max(0) as u64)
    }

    fn effects(&self) -> Vec<builtin::EffectCounts> {
        self.counts()
    }

    fn effects_by_key(&self) -> Vec<builtin::EffectCounts> {
        self.counts_by_key()
    }

    fn readers(&self) -> Vec<builtin::ReaderState> {
        let readers = self.0.readers.load();
        let now = self.0.now();
        let shown = readers.all().map(|(name, reader)| builtin::ReaderState {
            name: name.to_string(),
            acknowledged: crate::producers::micros(reader.acknowledged),
            lag: now.0.saturating_sub(reader.acknowledged.0),
            at: clock::to_timestamptz(reader.at),
        });
        shown.collect()
    }

    fn count_rows(&self, id: GlobalId) -> Option<u64> {
        let reader = self.0.index_reader(id).ok()?;
        let newest = reader.upper().0.checked_sub(1)?;
        let as_of = Timestamp(newest.min(self.0.now().0).max(reader.since().0));
        let snapshot = reader.snapshot_blocking(as_of, Some(Duration::from_millis(100)));
        Some(snapshot.ok()?.rows())
    }

    fn table_rows(&self, table: GlobalId) -> u64 {
        self.0.tables.estimate(table)
    }
}

impl Runtime<'_> {
    fn view_state(&self, id: GlobalId) -> builtin::ViewState {
        let status = self
            .0
            .dataflow_of(id)
            .and_then(|d| self.0.compute.status(d));
        let now = self.0.now();
        match status {
            None => builtin::ViewState {
                id,
                state: "suspended",
                reason: Some(
                    (self.0.suspended(id))
                        .unwrap_or_else(|| "it was not started on this server".to_string()),
                ),
                progress: 0.0,
                lag: None,
                rows: 0,
                bytes: 0,
            },
            Some(status) => builtin::ViewState {
                id,
                state: match (&status.suspended, status.hydrated) {
                    (Some(_), _) => "suspended",
                    (None, true) => "ready",
                    (None, false) => "hydrating",
                },
                reason: status.suspended,
                progress: status.progress,
                lag: (status.hydrated).then(|| now.next().0.saturating_sub(status.upper.0)),
                rows: status.rows,
                bytes: status.bytes,
            },
        }
    }
}
