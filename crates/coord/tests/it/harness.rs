//! A server in a temporary folder, and sessions that speak text.

use everview_coord::{Coordinator, Error, Options, Outcome, Session, SessionOptions};
use everview_repr::text::{Formatting, format_with};
use std::path::Path;

pub struct Server {
    pub runtime: tokio::runtime::Runtime,
    coordinator: Option<Coordinator>,
    options: Options,
    _dir: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Server {
        Server::with_workers(1)
    }

    pub fn with_workers(workers: usize) -> Server {
        Server::with_options(|options| options.workers = workers)
    }

    pub fn with_options(set: impl FnOnce(&mut Options)) -> Server {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut options = Options {
            data_dir: dir.path().to_path_buf(),
            ..Options::default()
        };
        set(&mut options);
        let coordinator = Some(Coordinator::start(options.clone()).expect("the server starts"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        Server {
            runtime,
            coordinator,
            options,
            _dir: dir,
        }
    }

    pub fn coordinator(&self) -> &Coordinator {
        self.coordinator.as_ref().expect("the server runs")
    }

    pub fn dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// Stops the server and starts it again over the same files.
    pub fn restart(&mut self) {
        self.coordinator = None;
        self.coordinator =
            Some(Coordinator::start(self.options.clone()).expect("the server starts again"));
    }

    /// Stops it, does something to its files, and starts it again.
    pub fn restart_after(&mut self, change: impl FnOnce(&Path)) {
        self.coordinator = None;
        change(&self.options.data_dir);
        self.restart();
    }

    pub fn connect(&self) -> Client<'_> {
        let options = SessionOptions {
            user: "everview".to_string(),
            database: "everview".to_string(),
            ..SessionOptions::default()
        };
        let session = Session::open(self.coordinator(), options).expect("a session opens");
        Client {
            server: self,
            session,
        }
    }

    /// Runs statements on a session of their own; gives the last one's rows.
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        self.connect().query(sql)
    }
}

pub struct Client<'s> {
    server: &'s Server,
    pub session: Session,
}

impl<'s> Client<'s> {
    /// Another session of the same server.
    pub fn another(&self) -> Client<'s> {
        self.server.connect()
    }

    /// The last statement's rows as text, NULL as `NULL`.
    pub fn try_query(&mut self, sql: &str) -> Result<Vec<Vec<String>>, Error> {
        let statements = self.session.parse(sql)?;
        let mut last = Vec::new();
        for statement in &statements {
            let run = self.session.execute(statement, None);
            let limit = std::time::Duration::from_secs(60);
            let outcome = self
                .server
                .runtime
                .block_on(async { tokio::time::timeout(limit, run).await });
            last = text(outcome.expect("a statement ends within a minute")?);
        }
        Ok(last)
    }

    pub fn query(&mut self, sql: &str) -> Vec<Vec<String>> {
        self.try_query(sql)
            .unwrap_or_else(|e| panic!("{sql}: {e:?}"))
    }

    /// The SQLSTATE and message of a statement that must fail.
    pub fn error(&mut self, sql: &str) -> (String, String) {
        match self.try_query(sql) {
            Ok(rows) => panic!("{sql} gave {rows:?}"),
            Err(error) => (error.code.to_string(), error.message),
        }
    }

    /// COPY FROM STDIN in pieces of that many bytes.
    pub fn copy(&mut self, sql: &str, data: &[u8], piece: usize) -> Result<String, Error> {
        let statement = self.session.parse(sql)?.remove(0);
        let runtime = &self.server.runtime;
        let outcome = runtime.block_on(self.session.execute(&statement, None))?;
        let Outcome::CopyIn(mut copy) = outcome else {
            panic!("{sql} is no COPY FROM STDIN")
        };
        for part in data.chunks(piece) {
            if let Err(error) = self.session.feed_copy(&mut copy, part) {
                self.session.abandon_copy(copy);
                return Err(error);
            }
        }
        runtime.block_on(self.session.finish_copy(copy))
    }
}

fn text(outcome: Outcome) -> Vec<Vec<String>> {
    match outcome {
        Outcome::Rows { desc, rows, .. } => {
            let show = |row: &everview_repr::Row| {
                let columns = desc.columns.iter().zip(row.iter());
                columns
                    .map(|(column, datum)| {
                        let mut out = String::new();
                        format_with(&column.ty.scalar, datum, &Formatting::default(), &mut out);
                        if datum.is_null() {
                            "NULL".to_string()
                        } else {
                            out
                        }
                    })
                    .collect()
            };
            rows.iter().map(show).collect()
        }
        Outcome::Done(tag) => vec![vec![tag]],
        Outcome::Empty => vec![],
        other => panic!("no rows: {other:?}"),
    }
}

/// Rows as they are written in tests.
pub fn rows(expected: &[&[&str]]) -> Vec<Vec<String>> {
    expected
        .iter()
        .map(|row| row.iter().map(|v| v.to_string()).collect())
        .collect()
}
