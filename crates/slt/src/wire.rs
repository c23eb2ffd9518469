//! An engine over the Postgres wire protocol: the simple query protocol, values as text.
//!
//! Invariant: one session at a time. A lost connection fails the statement that met it and is
//! opened again by the next one, so that one crash does not fail a whole script.
//!
//! The module knows neither what it talks to nor how that is restarted: the restart is a hook.

use std::process::Command;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::engine::{Engine, EngineError, Outcome, Rows};

/// Kills the server and starts it again on the same data; returns once it has been started (it
/// need not accept connections yet). The error is a message for the report.
pub type RestartHook = Box<dyn FnMut() -> Result<(), String> + Send>;

/// How long a server may take to accept connections after a restart.
const RECONNECT: Duration = Duration::from_secs(120);

/// How long one statement may run before its connection is given up.
const STATEMENT: Duration = Duration::from_secs(300);

/// A restart hook that runs a shell command and expects it to exit with 0.
pub fn restart_command(command: String) -> RestartHook {
    Box::new(move || {
        let status = Command::new("sh")
            .arg("-c")
            .arg(&command)
            .status()
            .map_err(|error| format!("cannot run {command:?}: {error}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{command:?} ended with {status}"))
        }
    })
}

/// A connection to a server that speaks Postgres.
pub struct Wire {
    url: String,
    name: String,
    runtime: Runtime,
    client: Option<Client>,
    restart: Option<RestartHook>,
    statement_timeout: Duration,
}

impl Wire {
    /// Connects to a connection string (`postgres://...` or `host=... port=...`), without TLS.
    ///
    /// # Errors
    /// When no runtime can be had, the string is malformed or the server refuses.
    pub fn connect(url: &str, restart: Option<RestartHook>) -> Result<Wire, EngineError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                EngineError::new("58030", format!("cannot start a runtime: {error}"))
            })?;
        let config: tokio_postgres::Config = url.parse().map_err(client_error)?;
        let mut wire = Wire {
            url: url.to_string(),
            name: display_name(&config),
            runtime,
            client: None,
            restart,
            statement_timeout: STATEMENT,
        };
        wire.open()?;
        Ok(wire)
    }

    /// Gives up a statement, and its connection, after this long instead of 300 s.
    #[must_use]
    pub fn with_statement_timeout(mut self, timeout: Duration) -> Wire {
        self.statement_timeout = timeout;
        self
    }

    /// The open connection, opened anew where there is none.
    fn open(&mut self) -> Result<&Client, EngineError> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            let url = self.url.clone();
            let client = self.runtime.block_on(async move {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
                tokio::spawn(connection);
                Ok::<_, tokio_postgres::Error>(client)
            });
            self.client = Some(client.map_err(client_error)?);
        }
        self.client
            .as_ref()
            .ok_or_else(|| EngineError::new("08003", "there is no connection"))
    }
}

impl Engine for Wire {
    fn run(&mut self, sql: &str) -> Result<Outcome, EngineError> {
        let timeout = self.statement_timeout;
        self.open()?;
        let Some(client) = self.client.as_ref() else {
            return Err(EngineError::new("08003", "there is no connection"));
        };
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(timeout, client.simple_query(sql)).await });
        match answer {
            Ok(Ok(messages)) => Ok(outcome(messages)),
            Ok(Err(error)) => Err(client_error(error)),
            Err(_) => {
                self.client = None;
                Err(EngineError::new(
                    "08006",
                    format!("no answer within {} s", timeout.as_secs()),
                ))
            }
        }
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        let Some(hook) = self.restart.as_mut() else {
            return Err(EngineError::new(
                "0A000",
                "no restart command was given for this server",
            ));
        };
        hook().map_err(|message| EngineError::new("58000", message))?;
        self.client = None;
        let deadline = Instant::now() + RECONNECT;
        loop {
            match self.open() {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// The messages of one text as the outcome of its last statement.
fn outcome(messages: Vec<SimpleQueryMessage>) -> Outcome {
    let mut current: Option<Rows> = None;
    let mut last = Outcome::Statement(0);
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                let columns = columns
                    .iter()
                    .map(|column| column.name().to_string())
                    .collect();
                current = Some(Rows {
                    columns,
                    rows: Vec::new(),
                });
            }
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len())
                    .map(|i| row.get(i).map(str::to_string))
                    .collect();
                current.get_or_insert_default().rows.push(values);
            }
            SimpleQueryMessage::CommandComplete(count) => {
                last = match current.take() {
                    Some(rows) => Outcome::Rows(rows),
                    None => Outcome::Statement(count),
                };
            }
            _ => {}
        }
    }
    last
}

/// The server's own error where there is one; otherwise the connection failed.
fn client_error(error: tokio_postgres::Error) -> EngineError {
    match error.as_db_error() {
        Some(db) => EngineError::new(db.code().code(), db.message()),
        None => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            EngineError::new("08006", format!("{error}{}", cause.unwrap_or_default()))
        }
    }
}

/// Host and port, without user and password.
fn display_name(config: &tokio_postgres::Config) -> String {
    use tokio_postgres::config::Host;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_string(),
    };
    format!(
        "postgres://{host}:{}",
        config.get_ports().first().copied().unwrap_or(5432)
    )
}
