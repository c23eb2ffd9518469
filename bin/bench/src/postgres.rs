//! A throwaway PostgreSQL 15: the oracle and a peer.
//!
//! Invariant: a server that was started is stopped and its folder removed when the value is
//! dropped. Where PostgreSQL is not installed, starting fails; nothing is ever skipped for want of
//! it. The module knows nothing of Everview.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where Debian's package puts the programs.
pub const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The user that runs the server when we are root, which PostgreSQL refuses to run as.
const USER: &str = "postgres";

/// How long the server may take to accept connections.
const START: Duration = Duration::from_secs(60);

/// Another process may take the free port before the server does.
const ATTEMPTS: usize = 3;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// A program of the package is missing.
    #[error("PostgreSQL 15 is needed and {0} is missing: install the Debian package postgresql-15")]
    Missing(PathBuf),
    /// There is no user to run it as.
    #[error(
        "the server cannot run as root and there is no user {USER}: install the Debian package postgresql-15"
    )]
    NoUser,
    /// The operating system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A program failed.
    #[error("{what} failed: {output}")]
    Failed {
        /// The program.
        what: &'static str,
        /// The end of what it printed.
        output: String,
    },
}

/// A running server with an empty database `postgres` and the superuser `postgres`, who needs no
/// password. Locale C, encoding UTF8, all settings PostgreSQL's own unless given.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    port: u16,
    user: Option<(u32, u32)>,
    folder: TempDir,
}

impl Postgres {
    /// Starts a server on a free loopback port, in a new folder under the system's temporary one,
    /// and waits until it accepts connections.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn start() -> Result<Postgres, PostgresError> {
        let user = user()?;
        let folder = tempfile::Builder::new()
            .prefix("everview-postgres-")
            .tempdir()
            .map_err(io("create a folder for PostgreSQL"))?;
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid))
                .map_err(io("hand the folder over"))?;
        }
        init(folder.path(), user)?;
        let mut attempt = 1;
        loop {
            match free_port().and_then(|port| Ok((serve(folder.path(), user, port)?, port))) {
                Ok((server, port)) => {
                    return Ok(Postgres {
                        server,
                        port,
                        user,
                        folder,
                    });
                }
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Ends it as kill -9 does.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill(&mut self) -> Result<(), PostgresError> {
        self.server.kill().map_err(io("kill postgres"))?;
        self.server
            .wait()
            .map(drop)
            .map_err(io("wait for postgres"))
    }

    /// Starts it again after a kill, over the same data and on the same port.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub fn restart(&mut self) -> Result<(), PostgresError> {
        let deadline = Instant::now() + START;
        loop {
            // Its children may hold on to its memory for a moment.
            match serve(self.folder.path(), self.user, self.port) {
                Ok(server) => {
                    self.server = server;
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// From now on a role has to prove its password; the server must be told to read its files again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn require_password(&self, role: &str) -> Result<(), PostgresError> {
        let path = self.folder.path().join("data/pg_hba.conf");
        let rules = std::fs::read_to_string(&path).map_err(io("read pg_hba.conf"))?;
        let rules = format!("host all {role} 127.0.0.1/32 scram-sha-256\n{rules}");
        std::fs::write(&path, rules).map_err(io("write pg_hba.conf"))
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The connection string of a database of it.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The connection string of its database `postgres`.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let stopped = program("pg_ctl", self.user).and_then(|mut stop| {
            stop.args(["stop", "-w", "-m", "immediate", "-D"])
                .arg(self.folder.path().join("data"));
            stop.stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .map_err(io("run pg_ctl"))
        });
        if !stopped.is_ok_and(|status| status.success()) {
            // It may have ended by itself; otherwise this ends it, and its children follow.
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

fn io(what: &'static str) -> impl Fn(io::Error) -> PostgresError {
    move |source| PostgresError::Io { what, source }
}

/// The user and group to run as, if we are root.
pub fn user() -> Result<Option<(u32, u32)>, PostgresError> {
    let own = std::fs::metadata("/proc/self")
        .map_err(io("read /proc/self"))?
        .uid();
    if own != 0 {
        return Ok(None);
    }
    let accounts = std::fs::read_to_string("/etc/passwd").map_err(io("read /etc/passwd"))?;
    let fields = accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let ids = fields
        .filter(|fields| fields.first() == Some(&USER))
        .find_map(|fields| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)));
    ids.map(Some).ok_or(PostgresError::NoUser)
}

/// A program of the package, to be run as that user.
fn program(name: &str, user: Option<(u32, u32)>) -> Result<Command, PostgresError> {
    let path = Path::new(PROGRAMS).join(name);
    if !path.exists() {
        return Err(PostgresError::Missing(path));
    }
    let mut command = Command::new(path);
    // The server refuses a folder that it may not enter, such as root's own.
    command.current_dir("/").stdin(Stdio::null());
    if let Some((uid, gid)) = user {
        command.gid(gid).uid(uid);
    }
    Ok(command)
}

fn init(folder: &Path, user: Option<(u32, u32)>) -> Result<(), PostgresError> {
    let mut initdb = program("initdb", user)?;
    initdb.args([
        "-A",
        "trust",
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
        "-D",
    ]);
    let output = initdb
        .arg(folder.join("data"))
        .output()
        .map_err(io("run initdb"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(PostgresError::Failed {
        what: "initdb",
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, PostgresError> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    Ok(address.map_err(io("find a free port"))?.port())
}

/// Starts the server once.
fn serve(folder: &Path, user: Option<(u32, u32)>, port: u16) -> Result<Child, PostgresError> {
    let log_path = folder.join("log");
    let log = File::create(&log_path).map_err(io("create the server's log"))?;
    let mut command = program("postgres", user)?;
    command
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args(["-p", &port.to_string()]);
    command.args(["-c", "listen_addresses=127.0.0.1"]);
    command.stdout(Stdio::null()).stderr(log);
    let mut server = command.spawn().map_err(io("start postgres"))?;
    match wait(&mut server, port, user) {
        Ok(true) => Ok(server),
        outcome => {
            let _ = server.kill();
            let _ = server.wait();
            outcome?;
            let output = std::fs::read_to_string(&log_path).unwrap_or_default();
            let lines: Vec<&str> = output.lines().collect();
            let end = lines[lines.len().saturating_sub(5)..].join("\n");
            Err(PostgresError::Failed {
                what: "postgres",
                output: end,
            })
        }
    }
}

/// Whether the server came to accept connections before it ended or the time was up.
fn wait(server: &mut Child, port: u16, user: Option<(u32, u32)>) -> Result<bool, PostgresError> {
    let deadline = Instant::now() + START;
    while Instant::now() < deadline {
        if server.try_wait().map_err(io("watch postgres"))?.is_some() {
            return Ok(false);
        }
        let mut ready = program("pg_isready", user)?;
        ready.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        if ready.status().map_err(io("run pg_isready"))?.success() {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs PostgreSQL 15; .ci/run runs it"]
    fn a_server_answers_and_leaves_nothing_behind() {
        let postgres = Postgres::start().unwrap();
        let folder = postgres.folder.path().to_path_buf();
        let port = postgres.port;
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(postgres.url().ends_with(&format!(":{port}/postgres")));
        drop(postgres);
        assert!(!folder.exists());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
