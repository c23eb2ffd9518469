//! `everview slt`: the sqllogictest runner against a server of its own, or a given one.
//!
//! The own server is this binary in a process of its own over a temporary folder, so that the restart mode's kill is
//! a kill -9.

use crate::cli::Slt;
use everview_slt::{Options, RestartHook, Wire};
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a server may take to accept connections.
const START: Duration = Duration::from_secs(120);

/// Runs the files; false if a record failed.
pub fn run(arguments: Slt, workers: u16) -> Result<bool, Box<dyn Error>> {
    let options = Options {
        files: arguments.files,
        mode: arguments.mode,
        sample: arguments.sample,
        seed: arguments.seed,
        known: arguments.known,
        ..Options::default()
    };
    let mut out = std::io::stdout();
    let summary = match arguments.url {
        Some(url) => {
            let mut engine = Wire::connect(&url, None)?;
            everview_slt::run(&options, &mut engine, &mut out)?
        }
        None => {
            let process = Process::start(workers)?;
            let url = format!("postgres://everview@{}/everview", process.address);
            let process = Arc::new(Mutex::new(process));
            let restarted = process.clone();
            let restart: RestartHook = Box::new(move || {
                let mut process = restarted.lock().unwrap_or_else(PoisonError::into_inner);
                process.restart().map_err(|e| e.to_string())
            });
            let mut engine = Wire::connect(&url, Some(restart))?;
            everview_slt::run(&options, &mut engine, &mut out)?
        }
    };
    Ok(summary.succeeded())
}

/// A server in a process of its own; killed when dropped, before its folder goes.
struct Process {
    child: Child,
    address: SocketAddr,
    workers: u16,
    folder: tempfile::TempDir,
}

impl Process {
    fn start(workers: u16) -> Result<Process, Box<dyn Error>> {
        let folder = tempfile::Builder::new().prefix("everview-slt-").tempdir()?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let child = spawn(&folder, any, workers)?;
        let mut process = Process {
            child,
            address: any,
            workers,
            folder,
        };
        process.address = process.wait()?;
        Ok(process)
    }

    /// Kills it as kill -9 does and starts it on the same data and port.
    fn restart(&mut self) -> Result<(), Box<dyn Error>> {
        self.child.kill()?;
        self.child.wait()?;
        std::fs::remove_file(address_file(&self.folder))?;
        self.child = spawn(&self.folder, self.address, self.workers)?;
        self.wait().map(drop)
    }

    /// Waits until it accepts connections; gives its address.
    fn wait(&mut self) -> Result<SocketAddr, Box<dyn Error>> {
        let start = Instant::now();
        while start.elapsed() < START {
            if let Ok(address) = std::fs::read_to_string(address_file(&self.folder)) {
                return Ok(address.parse()?);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended at its start with {status}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!(
            "the server accepted no connections within {} s",
            START.as_secs()
        )
        .into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("address")
}

fn spawn(folder: &tempfile::TempDir, listen: SocketAddr, workers: u16) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .args([
            "--listen",
            &listen.to_string(),
            "--workers",
            &workers.to_string(),
        ])
        .args(["--log-level", "warn"])
        .arg("--address-file")
        .arg(address_file(folder))
        .stdout(Stdio::null())
        .spawn()
}
