//! The server as clients meet it: the real binary on a free port over a temporary folder.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod binary;
mod client;
mod copy;
mod demonstration;
mod first_run;
mod inside;
mod limits;
mod passwords;
mod producers;
mod psql;
mod raw;
mod refusals;
mod restart;
mod subscribe;
mod verify;

use std::future::Future;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// No test may take longer.
const LIMIT: Duration = Duration::from_secs(120);

/// A server process; killed when dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Server {
    /// An empty one.
    pub fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let child = spawn(&folder, address);
        let mut server = Server {
            child,
            address,
            folder,
        };
        server.address = server.wait();
        server
    }

    /// Ends it as kill -9 does and starts it on the same data and port.
    pub fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::fs::remove_file(self.folder.path().join("address")).unwrap();
        self.child = spawn(&self.folder, self.address);
        self.wait();
    }

    /// Asks it to stop; whether it ended with success within ten seconds.
    pub fn stop(&mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    fn wait(&mut self) -> SocketAddr {
        let start = Instant::now();
        loop {
            if let Ok(address) = std::fs::read_to_string(self.folder.path().join("address")) {
                return address.parse().unwrap();
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {ended:?}");
            assert!(start.elapsed() < LIMIT, "the server does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The folder of its log and store.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Memory that its process holds, as the kernel counts it.
    pub fn resident_bytes(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().strip_suffix("kB").unwrap();
        kib.trim().parse::<u64>().unwrap() << 10
    }

    /// How to connect.
    pub fn url(&self) -> String {
        format!("postgres://everview@{}/everview", self.address)
    }

    /// A client whose connection is driven in the background.
    pub async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &tempfile::TempDir, address: SocketAddr) -> Child {
    Command::new(env!("CARGO_BIN_EXE_everview"))
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .arg("--address-file")
        .arg(folder.path().join("address"))
        .args(["--listen", &address.to_string(), "--log-level", "warn"])
        .args(["--checkpoint-interval", "100ms"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Runs a test's body within the time limit.
pub fn within_limit<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(LIMIT, body)
            .await
            .expect("the test's time limit")
    })
}

/// The SQLSTATE of an error.
pub fn code(error: &tokio_postgres::Error) -> String {
    error
        .code()
        .map(|c| c.code().to_string())
        .unwrap_or_else(|| format!("{error:?}"))
}
