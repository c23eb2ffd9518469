//! A connection's state.
//!
//! A statement outside of a transaction runs in one of its own, which is tried again when it could not be
//! serialized (`execute`). Inside of one, an error fails the transaction until ROLLBACK (`transact`). `statements`
//! are those about the session itself; `run` those over data, each kind in a file of its own.

use crate::coordinator::{Activity, Coordinator, SessionEntry, Shared};
use crate::error::Error;
use crate::history::History;
use crate::outcome::{ClientNotice, StatementDesc, TransactionStatus};
use crate::read::Interrupt;
use crate::settings::Settings;
use crate::transaction::Transaction;
use everview_repr::text::Formatting;
use everview_repr::{ScalarType, SqlState};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

mod alter;
mod conversation;
mod copying;
mod cursors;
mod define;
mod execute;
mod explain;
mod outside;
mod plans;
mod producing;
mod reading;
mod rebase;
mod roles;
mod run;
mod statements;
mod subscribing;
mod time;
mod transact;
mod traveling;
mod verifying;
mod write;

pub(crate) use cursors::Cursor;
pub use plans::Statement;

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
    producer: Option<producing::Held>,
    transaction: Option<Transaction>,
    failed: bool,
    prepared: BTreeMap<String, Prepared>,
    /// Statements by their text, the latest.
    texts: Mutex<BTreeMap<String, Vec<Arc<Statement>>>>,
    cursors: BTreeMap<String, Cursor>,
    notices: Vec<ClientNotice>,
    past: Option<traveling::Past>,
    /// Kept for the next statement that reads the past.
    history: Option<(Instant, Arc<History>)>,
    statement_start: i64,
    /// Rows that the last COMMIT left out, because they had come meanwhile.
    left_out: u64,
    deadline: Option<Instant>,
    /// See [`crate::environment::SessionEnvironment`].
    owed_sleep: Arc<AtomicU64>,
}

/// A statement prepared by PREPARE.
#[derive(Clone, Debug)]
struct Prepared {
    statement: Arc<Statement>,
    types: Vec<ScalarType>,
}

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
            producer: None,
            transaction: None,
            failed: false,
            prepared: BTreeMap::new(),
            texts: Mutex::default(),
            cursors: BTreeMap::new(),
            notices: Vec::new(),
            past: None,
            history: None,
            statement_start: now,
            left_out: 0,
            deadline: None,
            owed_sleep: Arc::default(),
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

    /// What a statement takes and gives, with the parameter types that the client declared.
    pub async fn describe(
        &mut self,
        statement: &Statement,
        params: &[Option<ScalarType>],
    ) -> Result<StatementDesc, Error> {
        if self.failed && !ends_transaction(statement) {
            return Err(in_failed_transaction());
        }
        let planned = self.planned_in_time(statement, params, None).await;
        let planned = planned.inspect_err(|_| self.fail_transaction())?;
        let rows = self.result_desc(&planned.plan)?;
        Ok(StatementDesc {
            params: planned.params.clone(),
            rows: rows.map(Arc::new),
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

fn ends_transaction(statement: &Statement) -> bool {
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
