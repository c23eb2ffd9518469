//! A connection's state, and the one entry for statements.
//!
//! A statement outside of a transaction runs in one of its own, which is tried again when it could not be
//! serialized. Inside of one, an error fails the transaction until ROLLBACK.

use crate::coordinator::{Activity, Coordinator, SessionEntry, Shared};
use crate::environment::SessionEnvironment;
use crate::error::Error;
use crate::outcome::{ClientNotice, CopyIn, Outcome, StatementDesc, TransactionStatus};
use crate::read::Interrupt;
use crate::sequencer::{CommitRequest, Request};
use crate::settings::Settings;
use crate::transaction::Transaction;
use everview_catalog::ObjectKind;
use everview_dataflow::DataflowDesc;
use everview_expr::Environment;
use everview_repr::text::Formatting;
use everview_repr::{GlobalId, Row, ScalarType, SqlState, Timestamp};
use everview_sql::plan::Plan;
use everview_sql::{Parsed, PlanContext, Planned};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

mod conversation;
mod cursors;
mod run;
mod statements;

pub(crate) use cursors::Cursor;

/// Who connects, and how.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// The user.
    pub user: String,
    /// The database; the user's name when empty.
    pub database: String,
    /// The peer's address.
    pub peer: String,
    /// Settings asked for at the start.
    pub settings: Vec<(String, String)>,
}

/// A session. Statements run one after another.
pub struct Session {
    /// Keeps the server running.
    _coordinator: Coordinator,
    shared: Arc<Shared>,
    entry: Arc<SessionEntry>,
    settings: Settings,
    transaction: Option<Transaction>,
    failed: bool,
    prepared: BTreeMap<String, Prepared>,
    cursors: BTreeMap<String, Cursor>,
    notices: Vec<ClientNotice>,
    statement_start: i64,
    deadline: Option<Instant>,
}

/// A statement prepared by PREPARE.
#[derive(Clone, Debug)]
struct Prepared {
    parsed: Arc<Parsed>,
    types: Vec<ScalarType>,
}

/// How often a single statement is tried again before its conflict is shown.
const MOST_RETRIES: u32 = 10_000;

/// Databases that there are.
pub const DATABASES: &[&str] = &["everview", "postgres"];

/// Users that there are.
pub const USERS: &[&str] = &["everview", "postgres"];

impl Session {
    /// Opens a session.
    ///
    /// Errors: 28000 for an unknown user, 3D000 for an unknown database, 57P03 while the server stops.
    pub fn open(coordinator: &Coordinator, options: SessionOptions) -> Result<Session, Error> {
        let shared = coordinator.shared.clone();
        if shared.is_stopping() {
            let message = "the database system is shutting down";
            return Err(Error::new(SqlState::CANNOT_CONNECT_NOW, message).fatal());
        }
        let SessionOptions {
            user,
            database,
            peer,
            settings: asked,
        } = options;
        if !USERS.contains(&user.as_str()) {
            let message = format!("role \"{user}\" does not exist");
            return Err(
                Error::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
                    .with_hint(format!("There are the roles {}.", USERS.join(" and ")))
                    .fatal(),
            );
        }
        let database = if database.is_empty() {
            user.clone()
        } else {
            database
        };
        if !DATABASES.contains(&database.as_str()) {
            let message = format!("database \"{database}\" does not exist");
            return Err(Error::new(SqlState::INVALID_CATALOG_NAME, message)
                .with_hint("Connect to the database \"everview\".")
                .fatal());
        }
        let mut settings = Settings::new(&user);
        for (name, value) in asked {
            settings.set_at_start(&name, &value).map_err(Error::fatal)?;
        }
        let now = crate::clock::wall_clock_timestamptz();
        let pid = shared.next_session();
        let entry = Arc::new(SessionEntry {
            pid,
            secret: secret(pid),
            user,
            database,
            peer,
            started: now,
            activity: Mutex::new(Activity {
                state: "idle",
                state_change: now,
                ..Default::default()
            }),
            cancel: tokio::sync::Notify::new(),
            canceled: AtomicBool::new(false),
            terminated: AtomicBool::new(false),
        });
        shared.sessions.lock().insert(pid, entry.clone());
        let session = Session {
            _coordinator: coordinator.clone(),
            shared,
            entry,
            settings,
            transaction: None,
            failed: false,
            prepared: BTreeMap::new(),
            cursors: BTreeMap::new(),
            notices: Vec::new(),
            statement_start: now,
            deadline: None,
        };
        session.note_activity(None);
        Ok(session)
    }

    /// The pid and secret that a cancel request must carry.
    pub fn backend_key(&self) -> (i32, i32) {
        (self.entry.pid, self.entry.secret)
    }

    /// Settings that a client is told of at its start.
    pub fn reported_settings(&self) -> Vec<(String, String)> {
        self.settings.reported()
    }

    /// Reported settings that have changed since the last call.
    pub fn take_setting_changes(&mut self) -> Vec<(String, String)> {
        self.settings.take_changes()
    }

    /// Notices since the last call.
    pub fn take_notices(&mut self) -> Vec<ClientNotice> {
        let floor = severity(self.settings.get("client_min_messages").unwrap_or("notice"));
        let mut notices = std::mem::take(&mut self.notices);
        notices.retain(|n| severity(n.severity) >= floor);
        notices
    }

    /// Where the session stands.
    pub fn status(&self) -> TransactionStatus {
        match (&self.transaction, self.failed) {
            (_, true) => TransactionStatus::Failed,
            (Some(t), false) if t.explicit => TransactionStatus::Active,
            _ => TransactionStatus::Idle,
        }
    }

    /// How values are shown.
    pub fn formatting(&self) -> Formatting {
        let zone = everview_repr::datetime::Zone::parse_setting(self.settings.time_zone());
        Formatting {
            time_zone: zone.unwrap_or_else(|_| everview_repr::datetime::Zone::utc()),
            now: None,
        }
    }

    /// How values are read: `now` and its kind mean the transaction's start.
    pub fn input_formatting(&self) -> Formatting {
        let started = self
            .transaction
            .as_ref()
            .map_or(self.statement_start, |t| t.started);
        Formatting {
            now: Some(started),
            ..self.formatting()
        }
    }

    /// Whether the session must end, because an administrator or a shutdown asks.
    pub fn is_terminated(&self) -> bool {
        self.entry.terminated.load(Ordering::SeqCst)
    }

    /// Waits until the session must end.
    pub async fn terminated(&self) {
        loop {
            let notified = self.entry.cancel.notified();
            if self.is_terminated() {
                return;
            }
            notified.await;
        }
    }

    /// A handle that tells when the session must end, without borrowing it.
    pub fn termination(&self) -> impl Future<Output = ()> + Send + 'static {
        let entry = self.entry.clone();
        async move {
            loop {
                let notified = entry.cancel.notified();
                if entry.terminated.load(Ordering::SeqCst) {
                    return;
                }
                notified.await;
            }
        }
    }

    /// The statements of a query string.
    pub fn parse(&self, sql: &str) -> Result<Vec<Parsed>, Error> {
        Ok(everview_sql::parse(sql)?)
    }

    /// What a statement takes and gives, with the parameter types that the client declared.
    pub fn describe(
        &mut self,
        statement: &Parsed,
        params: &[Option<ScalarType>],
    ) -> Result<StatementDesc, Error> {
        if self.failed && !ends_transaction(statement) {
            return Err(in_failed_transaction());
        }
        let planned = self.plan(statement, params);
        let planned = planned.inspect_err(|_| self.fail_transaction())?;
        let rows = self.result_desc(&planned.plan)?;
        Ok(StatementDesc {
            params: planned.param_types,
            rows: rows.map(Arc::new),
        })
    }

    /// Starts an implicit transaction for several statements of one string, unless one is under way.
    pub fn begin_implicit(&mut self) {
        if self.transaction.is_none() && !self.failed {
            self.transaction = Some(self.new_transaction(false));
        }
    }

    /// Commits the implicit transaction, if there is one and no BEGIN has made it explicit.
    pub async fn end_implicit(&mut self) -> Result<(), Error> {
        if self.transaction.as_ref().is_some_and(|t| !t.explicit) {
            return self.commit().await.map(drop);
        }
        Ok(())
    }

    /// Rolls the implicit transaction back, after an error in one of its statements.
    pub fn abort_implicit(&mut self) {
        if self.transaction.as_ref().is_some_and(|t| !t.explicit) {
            self.rollback();
        }
    }

    /// Runs a statement. `params` is one row of the parameters' values, of these types.
    pub async fn execute(
        &mut self,
        statement: &Parsed,
        params: Option<(&Row, &[ScalarType])>,
    ) -> Result<Outcome, Error> {
        self.start_statement(statement);
        let result = self.execute_inner(statement, params).await;
        if result.is_err() {
            self.fail_transaction();
        }
        self.note_activity(None);
        result
    }

    fn start_statement(&mut self, statement: &Parsed) {
        self.entry.canceled.store(false, Ordering::SeqCst);
        self.statement_start = crate::clock::wall_clock_timestamptz();
        self.deadline = self
            .settings
            .duration("statement_timeout")
            .map(|d| Instant::now() + d);
        self.note_activity(Some(&statement.sql));
    }

    fn note_activity(&self, query: Option<&str>) {
        let now = crate::clock::wall_clock_timestamptz();
        let mut activity = self.entry.activity.lock();
        activity.application = self
            .settings
            .get("application_name")
            .unwrap_or("")
            .to_string();
        if let Some(query) = query {
            activity.query = query.chars().take(1024).collect();
            activity.query_start = Some(self.statement_start);
        }
        activity.state = match (query, self.status()) {
            (Some(_), _) => "active",
            (None, TransactionStatus::Idle) => "idle",
            (None, TransactionStatus::Active) => "idle in transaction",
            (None, TransactionStatus::Failed) => "idle in transaction (aborted)",
        };
        activity.transaction_start = self.transaction.as_ref().map(|t| t.started);
        activity.state_change = now;
    }

    async fn execute_inner(
        &mut self,
        statement: &Parsed,
        params: Option<(&Row, &[ScalarType])>,
    ) -> Result<Outcome, Error> {
        if self.failed && !ends_transaction(statement) {
            return Err(in_failed_transaction());
        }
        let declared: Vec<_> = params
            .map(|(_, types)| types.iter().cloned().map(Some).collect())
            .unwrap_or_default();
        let planned = self.plan(statement, &declared)?;
        if let Some(outcome) = self.control(&planned.plan).await? {
            return Ok(outcome);
        }
        if self.transaction.is_some() {
            return self.run_in_transaction(planned.plan, params).await;
        }
        let mut plan = planned.plan;
        for attempt in 0.. {
            self.transaction = Some(self.new_transaction(false));
            let result = self.run_single(plan, params).await;
            match result {
                Err(error) if error.is_retryable() && attempt < MOST_RETRIES => {
                    self.rollback();
                    self.check_interrupt()?;
                    if attempt > 8 {
                        tokio::time::sleep(Duration::from_micros(100 * u64::from(attempt.min(50))))
                            .await;
                    }
                    plan = self.plan(statement, &declared)?.plan;
                }
                Err(error) => {
                    self.rollback();
                    return Err(error);
                }
                Ok(outcome) => return Ok(outcome),
            }
        }
        Err(Error::serialization())
    }

    /// A statement in a transaction of its own: committed at once, unless it is a COPY that waits for its input.
    async fn run_single(
        &mut self,
        plan: Plan,
        params: Option<(&Row, &[ScalarType])>,
    ) -> Result<Outcome, Error> {
        let mut outcome = self.run_in_transaction(plan, params).await?;
        if let Outcome::CopyIn(copy) = &mut outcome {
            copy.single = true;
            return Ok(outcome);
        }
        self.commit().await?;
        Ok(outcome)
    }

    /// Takes a piece of a COPY's input; it may end anywhere.
    pub fn feed_copy(&mut self, copy: &mut CopyIn, bytes: &[u8]) -> Result<(), Error> {
        self.check_interrupt()?;
        copy.state.feed(bytes)?;
        if copy.state.is_full() {
            let transaction = self
                .transaction
                .as_mut()
                .ok_or_else(in_failed_transaction)?;
            copy.state.flush(&self.shared, transaction, false)?;
        }
        Ok(())
    }

    /// Ends a COPY; its rows become part of the transaction. Gives the command tag.
    pub async fn finish_copy(&mut self, mut copy: Box<CopyIn>) -> Result<String, Error> {
        let result = self.finish_copy_inner(&mut copy).await;
        if result.is_err() {
            self.end_copy(copy.single);
        }
        result
    }

    async fn finish_copy_inner(&mut self, copy: &mut CopyIn) -> Result<String, Error> {
        copy.state.end()?;
        let transaction = self
            .transaction
            .as_mut()
            .ok_or_else(in_failed_transaction)?;
        copy.state.flush(&self.shared, transaction, true)?;
        if copy.single {
            self.commit().await?;
        }
        self.note_activity(None);
        Ok(format!("COPY {}", copy.state.rows()))
    }

    /// Gives a COPY up, after an error of [`Session::feed_copy`] or because the client says so.
    pub fn abandon_copy(&mut self, copy: Box<CopyIn>) {
        self.end_copy(copy.single);
    }

    fn end_copy(&mut self, single: bool) {
        if single {
            self.rollback()
        } else {
            self.fail_transaction()
        }
        self.note_activity(None);
    }

    fn new_transaction(&self, explicit: bool) -> Transaction {
        let guard = self.shared.snapshot();
        let state = self.shared.catalog();
        Transaction {
            id: self.shared.next_transaction(),
            snapshot: guard.timestamp(),
            guard,
            catalog: state.catalog.clone(),
            base_version: state.catalog.version(),
            catalog_changes: Vec::new(),
            reads: Default::default(),
            writes: BTreeMap::new(),
            explicit,
            read_only: self.settings.is_on("default_transaction_read_only"),
            started: self.statement_start,
        }
    }

    fn fail_transaction(&mut self) {
        if self.transaction.as_ref().is_some_and(|t| t.explicit) {
            if let Some(transaction) = self.transaction.take() {
                self.shared.log.abandon(transaction.id);
            }
            self.failed = true;
        }
    }

    fn rollback(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.shared.log.abandon(transaction.id);
        }
        self.end_transaction(false);
    }

    fn end_transaction(&mut self, committed: bool) {
        self.failed = false;
        self.settings.end_transaction(committed);
        self.cursors.retain(|_, cursor| cursor.hold && committed);
    }

    /// Commits what the transaction wrote. It is over whatever comes of it.
    async fn commit(&mut self) -> Result<(), Error> {
        let Some(transaction) = self.transaction.take() else {
            self.end_transaction(true);
            return Ok(());
        };
        if !transaction.has_writes() {
            self.end_transaction(true);
            return Ok(());
        }
        let result = self.send_commit(transaction).await;
        self.end_transaction(result.is_ok());
        let timestamp = result?;
        self.settings
            .tell("everview.last_commit_timestamp", timestamp.0.to_string());
        Ok(())
    }

    async fn send_commit(&self, transaction: Transaction) -> Result<Timestamp, Error> {
        let installs = self.installs(&transaction)?;
        let mut tables = BTreeMap::new();
        for id in transaction.writes.keys() {
            tables.insert(*id, self.table(&transaction, *id)?);
        }
        let (reply, answer) = tokio::sync::oneshot::channel();
        let request = CommitRequest {
            transaction: transaction.id,
            snapshot: transaction.snapshot,
            reads: transaction.reads,
            writes: transaction.writes,
            tables,
            catalog_changes: transaction.catalog_changes,
            base_version: transaction.base_version,
            installs,
            reply,
        };
        let guard = transaction.guard;
        let sent = self.shared.requests.send(Request::Commit(request));
        sent.map_err(|_| Error::shutting_down())?;
        // A commit under way is not cancelled: its outcome must be known.
        let result = answer.await.map_err(|_| Error::shutting_down())?;
        drop(guard);
        result
    }

    /// The dataflows that the transaction's DDL starts: of new views and indexes, and of what must follow a
    /// replaced view.
    fn installs(&self, transaction: &Transaction) -> Result<Vec<DataflowDesc>, Error> {
        let mut ids = BTreeSet::new();
        for change in &transaction.catalog_changes {
            let Some(new) = &change.new else { continue };
            match (&change.old, &new.kind) {
                (None, ObjectKind::MaterializedView(_) | ObjectKind::Index(_)) => {
                    ids.insert(new.id);
                }
                (Some(old), ObjectKind::View(_)) if old.kind != new.kind => {
                    ids.extend(transaction.catalog.drop_order(new.id));
                }
                _ => {}
            }
        }
        let state = self.shared.catalog();
        let present = ids
            .into_iter()
            .filter(|id| transaction.catalog.get(*id).is_some());
        let mut installs = Vec::new();
        for id in present {
            installs.extend(crate::ddl::dataflow(
                &self.shared,
                &state,
                &transaction.catalog,
                id,
            )?);
        }
        Ok(installs)
    }

    fn plan(&self, statement: &Parsed, params: &[Option<ScalarType>]) -> Result<Planned, Error> {
        let state = self.shared.catalog();
        let catalog = self
            .transaction
            .as_ref()
            .map_or(&state.catalog, |t| &t.catalog);
        let search_path = self.settings.search_path(&self.entry.user);
        let context = PlanContext {
            catalog,
            search_path: &search_path,
            time_zone: self.settings.time_zone(),
            params,
            environment: Some(self.environment(catalog)),
        };
        Ok(everview_sql::plan(statement, &context)?)
    }

    fn environment(&self, catalog: &everview_catalog::Catalog) -> Arc<dyn Environment> {
        let started = self
            .transaction
            .as_ref()
            .map_or(self.statement_start, |t| t.started);
        let snapshot = self
            .transaction
            .as_ref()
            .map_or_else(|| self.shared.now(), |t| t.snapshot);
        let settings = self
            .settings
            .all()
            .into_iter()
            .map(|(name, value, _)| (name, value));
        Arc::new(SessionEnvironment {
            shared: Arc::downgrade(&self.shared),
            catalog: catalog.clone(),
            user: self.entry.user.clone(),
            database: self.entry.database.clone(),
            pid: self.entry.pid,
            transaction_start: started,
            statement_start: self.statement_start,
            search_path: self.settings.search_path(&self.entry.user),
            settings: settings.collect(),
            read_timestamp: snapshot,
        })
    }

    fn check_interrupt(&self) -> Result<(), Error> {
        if self.is_terminated() {
            return Err(Error::shutting_down());
        }
        if self.entry.canceled.load(Ordering::SeqCst) {
            return Err(canceled("user request"));
        }
        if self.deadline.is_some_and(|d| Instant::now() >= d) {
            return Err(canceled("statement timeout"));
        }
        Ok(())
    }

    fn notice(&mut self, notice: ClientNotice) {
        self.notices.push(notice);
    }

    fn warn(&mut self, code: SqlState, message: &str) {
        let message = message.to_string();
        self.notice(ClientNotice {
            severity: "WARNING",
            code,
            message,
            detail: None,
        });
    }

    /// A table compiled for writing, as the transaction sees it.
    fn table(
        &self,
        transaction: &Transaction,
        id: GlobalId,
    ) -> Result<Arc<crate::table::StoredTable>, Error> {
        let state = self.shared.catalog();
        let own = transaction.catalog.get(id);
        let committed = state.catalog.get(id);
        if let (Some(own), Some(committed)) = (own, committed)
            && Arc::ptr_eq(own, committed)
            && let Some(table) = self.shared.tables.get(id)
        {
            return Ok(table);
        }
        let object = own.ok_or_else(|| Error::internal(format!("no table {id}")))?;
        Ok(Arc::new(crate::table::StoredTable::new(
            &transaction.catalog,
            object,
        )?))
    }
}

impl Interrupt for Session {
    async fn guard<T>(&self, future: impl Future<Output = T> + Send) -> Result<T, Error> {
        self.check_interrupt()?;
        let mut future = std::pin::pin!(future);
        loop {
            let notified = self.entry.cancel.notified();
            self.check_interrupt()?;
            let sleep = self.deadline.map(tokio::time::Instant::from_std);
            let timeout = async {
                match sleep {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                value = &mut future => return Ok(value),
                () = notified => {}
                () = timeout => {}
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.rollback();
        self.shared.sessions.lock().remove(&self.entry.pid);
    }
}

fn severity(name: &str) -> u8 {
    match name.to_ascii_uppercase().as_str() {
        "ERROR" => 5,
        "WARNING" => 4,
        "NOTICE" => 3,
        "LOG" => 2,
        _ => 1,
    }
}

/// A cancel key that another client cannot guess.
fn secret(pid: i32) -> i32 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(pid) as i32
}

fn ends_transaction(statement: &Parsed) -> bool {
    statement.ends_transaction()
}

fn in_failed_transaction() -> Error {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    Error::new(SqlState::IN_FAILED_SQL_TRANSACTION, message)
}

fn canceled(why: &str) -> Error {
    Error::new(
        SqlState::QUERY_CANCELED,
        format!("canceling statement due to {why}"),
    )
}
