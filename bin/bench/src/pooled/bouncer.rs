//! A throwaway PgBouncer in transaction mode, before a server.
//!
//! Invariant: the process does not outlive the value. Where PgBouncer is not installed, starting fails.

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::postgres;

/// Where Debian's package puts it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// How long it may take to accept connections.
const START: Duration = Duration::from_secs(20);

/// Connections of the pool: fewer than clients.
const CONNECTIONS: usize = 2;

/// A running PgBouncer.
pub struct PgBouncer {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts one before a server at an address.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub async fn start(server: SocketAddr) -> Result<PgBouncer, Box<dyn std::error::Error>> {
        if !std::path::Path::new(PROGRAM).exists() {
            let message = format!(
                "PgBouncer is needed and {PROGRAM} is missing: install the Debian package pgbouncer"
            );
            return Err(message.into());
        }
        let folder = tempfile::Builder::new()
            .prefix("everview-pgbouncer-")
            .tempdir()?;
        let address = super::free_address()?;
        let settings = folder.path().join("pgbouncer.ini");
        std::fs::write(&settings, configuration(server, address))?;
        let mut command = Command::new(PROGRAM);
        command.arg("-q").arg(&settings).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(folder.path().join("log"))?);
        // It refuses to run as root.
        if let Some((uid, gid)) = postgres::user()? {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid))?;
            command.gid(gid).uid(uid);
        }
        let bouncer = PgBouncer {
            process: command.spawn()?,
            address,
            _folder: folder,
        };
        bouncer.ready().await?;
        Ok(bouncer)
    }

    async fn ready(&self) -> io::Result<()> {
        let start = Instant::now();
        loop {
            match tokio::net::TcpStream::connect(self.address).await {
                Ok(_) => return Ok(()),
                Err(error) if start.elapsed() > START => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// How to connect through it.
    pub fn url(&self) -> String {
        format!("postgres://everview@{}/everview", self.address)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(server: SocketAddr, listen: SocketAddr) -> String {
    format!(
        "[databases]\n\
         everview = host={} port={} dbname=everview user=everview\n\
         [pgbouncer]\n\
         listen_addr = {}\n\
         listen_port = {}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = {CONNECTIONS}\n\
         server_login_retry = 0.1\n",
        server.ip(),
        server.port(),
        listen.ip(),
        listen.port()
    )
}
