//! Serving: logs, the coordinator, the listener, signals.

use crate::cli::{LogFormat, Server};
use everview_coord::{Coordinator, Options, Secret};
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Serves until SIGTERM or SIGINT.
pub fn run(options: &Server) -> Result<(), Box<dyn Error>> {
    let data_dir = options
        .data_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from("everview-data"));
    start_logs(options)?;
    runtime()?.block_on(async {
        let coordinator = open(options, &data_dir)?;
        check_address(options.listen, coordinator.has_password())?;
        let server = everview_pgwire::Server::bind(coordinator.clone(), options.listen).await;
        let server = server.map_err(|e| format!("cannot listen on {}: {e}", options.listen))?;
        let address = server.local_addr()?;
        say(&format!(
            "Everview is ready, its log in {}. Connect with:\n\n    {}\n",
            data_dir.display(),
            psql(address)
        ));
        announce(options, address)?;
        let sinks = everview_connect::start(coordinator);
        let served = server.run(stop()?).await;
        sinks.stop().await;
        served?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// The runtime of sessions; dataflow workers have threads of their own.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// Opens the data folder and recovers it.
pub fn open(options: &Server, data_dir: &Path) -> Result<Coordinator, Box<dyn Error>> {
    let options = Options {
        data_dir: data_dir.to_path_buf(),
        workers: usize::from(options.workers),
        no_hydrate: options.no_hydrate,
        memory_limit: options.memory_limit,
        producer_retention: micros(options.producer_retention),
        checkpoint_period: micros(options.checkpoint_interval),
        history: micros(options.history),
        secret_key: secret_key(),
        ..Options::default()
    };
    Ok(Coordinator::start(options)
        .map_err(|e| format!("cannot open {}: {e}", data_dir.display()))?)
}

/// What connections' secrets are encrypted under: from the environment alone, since others can see arguments.
fn secret_key() -> Option<Secret> {
    let given = std::env::var("EVERVIEW_SECRET_KEY").ok();
    given.filter(|key| !key.is_empty()).map(Secret::new)
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Refuses to listen where strangers could connect as long as no role has a password.
pub fn check_address(address: SocketAddr, has_password: bool) -> Result<(), String> {
    if has_password || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "refusing to listen on {address}: no role has a password, and nobody could connect from there. \
         Start with --listen 127.0.0.1:{}, run ALTER ROLE everview PASSWORD '...', and start again.",
        address.port()
    ))
}

/// Starts structured logs on stderr.
pub fn start_logs(options: &Server) -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_new(&options.log_level)
        .map_err(|e| format!("invalid log level {:?}: {e}", options.log_level))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}

/// Completes when the process is asked to stop.
pub fn stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

/// Writes the address file, whole or not at all.
pub fn announce(options: &Server, address: SocketAddr) -> std::io::Result<()> {
    let Some(file) = &options.address_file else {
        return Ok(());
    };
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, address.to_string())?;
    std::fs::rename(&fresh, file)
}

/// The command that connects.
pub fn psql(address: SocketAddr) -> String {
    format!(
        "psql -h {} -p {} -U everview everview",
        address.ip(),
        address.port()
    )
}

/// Prints to stdout; a closed one is nobody's loss.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_listens_beyond_loopback_only_with_a_password() {
        let may = |address: &str, has_password| {
            check_address(address.parse().expect("an address"), has_password).is_ok()
        };
        for loopback in [
            "127.0.0.1:6875",
            "127.3.2.1:0",
            "[::1]:6875",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(may(loopback, false) && may(loopback, true), "{loopback}");
        }
        for beyond in [
            "0.0.0.0:6875",
            "[::]:6875",
            "10.0.0.7:1",
            "[::ffff:10.0.0.7]:1",
        ] {
            assert!(!may(beyond, false) && may(beyond, true), "{beyond}");
        }
    }
}
