//! An Everview server in a process of its own: what is judged, and what is killed.
//!
//! Invariant: the process does not outlive the value; its data folder does. The module knows nothing of what the
//! server holds.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to accept connections.
const START: Duration = Duration::from_secs(180);

/// How often a starting server is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum EverviewError {
    /// The operating system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// It ended before it accepted connections.
    #[error("the server ended at its start with {status}: {log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It accepted no connections in time.
    #[error("the server accepted no connections within {} s: {log}", START.as_secs())]
    Slow {
        /// The end of its log.
        log: String,
    },
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// A folder of its own: data, address and log are in there.
    pub folder: PathBuf,
    /// Dataflow workers; one a processor when it is not said.
    pub workers: Option<u16>,
    /// Where it listens; port 0 is a free one.
    pub listen: SocketAddr,
    /// How long memory shows the past, as `--history` takes it; the server's own default if none is given.
    pub history: Option<&'static str>,
}

impl Launch {
    /// A server in that folder; the program is the given one, or `everview` beside this program.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn new(program: Option<&Path>, folder: &Path) -> Result<Launch, EverviewError> {
        let program = match program {
            Some(program) => program.to_path_buf(),
            None => std::env::current_exe()
                .map_err(io_error("find this program"))?
                .with_file_name("everview"),
        };
        std::fs::metadata(&program).map_err(io_error(&format!(
            "find the server at {} (cargo build -p everview, or --everview PROGRAM)",
            program.display()
        )))?;
        Ok(Launch {
            program,
            folder: folder.to_path_buf(),
            workers: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            history: None,
        })
    }

    /// Starts it without waiting until it accepts connections.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(&self) -> Result<Everview, EverviewError> {
        let address_file = self.folder.join("address");
        match std::fs::remove_file(&address_file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove the address file")(error));
            }
            _ => {}
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .map_err(io_error("open the server's log"))?;
        let workers = (self.workers).map(|workers| format!("--workers={workers}"));
        let child = Command::new(&self.program)
            .arg("--data-dir")
            .arg(self.folder.join("data"))
            .arg("--address-file")
            .arg(&address_file)
            .args(["--listen", &self.listen.to_string(), "--log-level", "warn"])
            .args(workers)
            .args(self.history.map(|history| format!("--history={history}")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(io_error(&format!("start {}", self.program.display())))?;
        Ok(Everview {
            child,
            address: None,
            address_file,
            log: self.log(),
        })
    }

    /// Starts it and waits until it accepts connections.
    ///
    /// # Errors
    /// See [`EverviewError`].
    pub async fn start(&self) -> Result<Everview, EverviewError> {
        let mut server = self.spawn()?;
        server.ready().await?;
        Ok(server)
    }

    /// Where it writes its log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

/// An address that was free a moment ago: for a server that must be found there again after a kill.
pub fn free_address() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// A server process; killed when dropped.
#[derive(Debug)]
pub struct Everview {
    child: Child,
    address: Option<SocketAddr>,
    address_file: PathBuf,
    log: PathBuf,
}

impl Everview {
    /// Waits until it accepts connections.
    ///
    /// # Errors
    /// When it ends first, or takes too long.
    pub async fn ready(&mut self) -> Result<(), EverviewError> {
        let start = Instant::now();
        while start.elapsed() < START {
            let written = std::fs::read_to_string(&self.address_file);
            if let Some(address) = written.ok().and_then(|text| text.parse().ok()) {
                self.address = Some(address);
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                return Err(EverviewError::Ended {
                    status,
                    log: end_of(&self.log),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(EverviewError::Slow {
            log: end_of(&self.log),
        })
    }

    /// How to connect, once it is ready.
    pub fn url(&self) -> String {
        let address = self
            .address
            .map_or_else(|| "nowhere".to_string(), |address| address.to_string());
        format!("postgres://everview@{address}/everview")
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, EverviewError> {
        self.child.try_wait().map_err(io_error("watch the server"))
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as kill -9 does, and waits until it is gone.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill(&mut self) -> Result<(), EverviewError> {
        self.child.kill().map_err(io_error("kill the server"))?;
        self.child
            .wait()
            .map(drop)
            .map_err(io_error("wait for the server's end"))
    }
}

impl Drop for Everview {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn io_error(what: &str) -> impl FnOnce(io::Error) -> EverviewError {
    let what = what.to_string();
    move |source| EverviewError::Io { what, source }
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
