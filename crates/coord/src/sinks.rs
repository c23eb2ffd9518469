//! What sinks are to do, for whoever runs them, and what they do, as whoever runs them tells.
//!
//! **Invariant.** A sink keeps no state here: how far it got is known to its target alone. What is kept of it is for
//! people to see, and lost with the process.
//!
//! This module knows no target: `connect` does.

use crate::clock;
use crate::coordinator::{Coordinator, Shared};
use crate::error::Error;
use async_trait::async_trait;
use everview_catalog::builtin::SinkState;
use everview_catalog::outside::{Connection, Password, Sink};
use everview_catalog::{Catalog, Object, ObjectKind, quote};
use everview_repr::{GlobalId, RelationDesc, SqlState, Timestamp};
use everview_sql::plan::Secret;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

/// A sink, complete.
#[derive(Clone, Debug)]
pub struct SinkDesc {
    /// Its id.
    pub id: GlobalId,
    /// Its name, with its schema.
    pub name: String,
    /// What no other sink has: copies of one log share it, and nothing else does. At most 32 characters.
    pub identity: String,
    /// The query whose changes it writes.
    pub query: String,
    /// Where to.
    pub target: SinkTarget,
    /// What comes in the query's columns.
    pub columns: RelationDesc,
    /// Positions of the columns by which rows are replaced; without a key every change is a row of its own.
    pub key: Option<Vec<usize>>,
}

/// A table of a PostgreSQL server.
#[derive(Clone, Debug)]
pub struct SinkTarget {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// Who connects.
    pub user: String,
    /// What proves it, or why it cannot be read.
    pub password: Result<Option<Secret>, Error>,
    /// The table's schema, where named.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
}

/// What a sink is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Stage {
    /// It has not reached its target yet.
    #[default]
    Starting,
    /// It follows.
    Running,
    /// Its target cannot be reached, or refused something.
    Retrying {
        /// Why.
        reason: String,
        /// timestamptz.
        next_attempt: i64,
    },
    /// Something is wrong that waiting does not heal; it looks again now and then.
    Failed {
        /// What.
        reason: String,
        /// timestamptz.
        next_attempt: i64,
    },
    /// Another process writes to its target; it has stopped.
    Fenced,
}

/// A sink as it shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SinkStatus {
    /// What it is doing.
    pub stage: Stage,
    /// The target has all commits up to here.
    pub progress: Option<Timestamp>,
    /// Rows that the target was told of since the start.
    pub rows_written: u64,
}

/// Looks at a target before a sink into it is made.
#[async_trait]
pub trait CheckSink: Send + Sync {
    /// Errors: what would keep the sink from writing.
    async fn check(&self, sink: &SinkDesc) -> Result<(), Error>;
}

/// What is known of sinks.
#[derive(Default)]
pub(crate) struct Sinks {
    statuses: Mutex<BTreeMap<GlobalId, SinkStatus>>,
    checker: OnceLock<Arc<dyn CheckSink>>,
}

impl Sinks {
    /// Errors: 55000 if nothing in this process runs sinks.
    pub async fn check(&self, sink: &SinkDesc) -> Result<(), Error> {
        match self.checker.get() {
            Some(checker) => checker.check(sink).await,
            None => {
                let code = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
                Err(Error::new(code, "this process runs no sinks"))
            }
        }
    }

    /// A sink as system tables show it; `now` is the newest commit.
    pub fn state(&self, id: GlobalId, now: Timestamp) -> SinkState {
        let status = self.statuses.lock().get(&id).cloned().unwrap_or_default();
        let (state, reason, next_attempt) = match status.stage {
            Stage::Starting => ("starting", None, None),
            Stage::Running => ("running", None, None),
            Stage::Retrying {
                reason,
                next_attempt,
            } => ("retrying", Some(reason), Some(next_attempt)),
            Stage::Failed {
                reason,
                next_attempt,
            } => ("failed", Some(reason), Some(next_attempt)),
            Stage::Fenced => {
                let reason = "another Everview process, started later over a copy of this log, writes to its target";
                ("fenced", Some(reason.to_string()), None)
            }
        };
        SinkState {
            state,
            reason,
            next_attempt,
            progress: status.progress.and_then(|t| i64::try_from(t.0).ok()),
            lag: status.progress.map(|t| now.0.saturating_sub(t.0)),
            rows_written: status.rows_written,
        }
    }
}

impl Shared {
    /// A sink with all that it takes to run it.
    pub(crate) fn sink_desc(
        &self,
        catalog: &Catalog,
        object: &Object,
        sink: &Sink,
    ) -> Result<SinkDesc, Error> {
        let lost = || Error::internal(format!("sink {} reads nothing", object.name));
        let from = catalog.get(sink.from).ok_or_else(lost)?;
        let schema = from
            .schema
            .and_then(|id| catalog.get(id))
            .ok_or_else(lost)?;
        // By position: its columns may have other names now, and there may be more of them.
        let desc = from.desc().ok_or_else(lost)?;
        let columns: Vec<_> = desc.names().take(sink.columns.arity()).map(quote).collect();
        let query = format!(
            "SELECT {} FROM {}.{}",
            columns.join(", "),
            quote(&schema.name),
            quote(&from.name)
        );
        let connection = match catalog.get(sink.connection).map(|o| &o.kind) {
            Some(ObjectKind::Connection(connection)) => connection,
            _ => {
                return Err(Error::internal(format!(
                    "sink {} has no connection",
                    object.name
                )));
            }
        };
        Ok(SinkDesc {
            id: object.id,
            name: catalog.full_name(object.id),
            identity: format!("{}-{}", object.id.0, object.created.0),
            query,
            target: SinkTarget {
                host: connection.host.clone(),
                port: connection.port,
                database: connection.database.clone(),
                user: connection.user.clone(),
                password: self.password_of(catalog, connection),
                schema: sink.schema.clone(),
                table: sink.table.clone(),
            },
            columns: sink.columns.clone(),
            key: sink.key.clone(),
        })
    }

    fn password_of(
        &self,
        catalog: &Catalog,
        connection: &Connection,
    ) -> Result<Option<Secret>, Error> {
        let sealed = match &connection.password {
            None => return Ok(None),
            Some(Password::Own(sealed)) => sealed,
            Some(Password::Secret(id)) => match catalog.get(*id).map(|o| &o.kind) {
                Some(ObjectKind::Secret(sealed)) => sealed,
                _ => return Err(Error::internal("a connection's secret is gone")),
            },
        };
        self.secrets.open(sealed).map(Some)
    }
}

impl Coordinator {
    /// From now on sinks can be made: this looks at their targets first.
    pub fn check_sinks_with(&self, checker: Arc<dyn CheckSink>) {
        // Whoever came first stays.
        let _ = self.shared.sinks.checker.set(checker);
    }

    /// The ids of all sinks, and the version of the catalog that has them.
    pub fn sinks(&self) -> (BTreeSet<GlobalId>, u64) {
        let state = self.shared.catalog();
        let objects = state.catalog.objects();
        let sinks = objects.filter(|o| matches!(o.kind, ObjectKind::Sink(_)));
        (sinks.map(|o| o.id).collect(), state.catalog.version())
    }

    /// A sink as it is defined now; none if it is gone.
    ///
    /// Errors: none but of a catalog that contradicts itself.
    pub fn sink(&self, id: GlobalId) -> Result<Option<SinkDesc>, Error> {
        let state = self.shared.catalog();
        match state.catalog.get(id).map(|o| (o, &o.kind)) {
            Some((object, ObjectKind::Sink(sink))) => self
                .shared
                .sink_desc(&state.catalog, object, sink)
                .map(Some),
            _ => Ok(None),
        }
    }

    /// The catalog's version: another one after every change.
    pub fn catalog_version(&self) -> u64 {
        self.shared.catalog().catalog.version()
    }

    /// The newest readable timestamp as it rises.
    pub fn watch_commits(&self) -> watch::Receiver<Timestamp> {
        self.shared.watch_shown()
    }

    /// Says what a sink is doing; it is shown until it is said again, or the sink is gone.
    pub fn tell_sink(&self, id: GlobalId, tell: impl FnOnce(&mut SinkStatus)) {
        tell(self.shared.sinks.statuses.lock().entry(id).or_default());
    }

    /// A sink is gone.
    pub fn forget_sink(&self, id: GlobalId) {
        self.shared.sinks.statuses.lock().remove(&id);
    }
}

/// timestamptz of a moment that many milliseconds from now.
pub fn in_millis(millis: u64) -> i64 {
    let micros = i64::try_from(millis.saturating_mul(1000)).unwrap_or(i64::MAX);
    clock::wall_clock_timestamptz().saturating_add(micros)
}
