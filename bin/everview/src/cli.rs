//! The command line. Every option of the server has an environment variable too.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// An incremental view maintenance database that speaks Postgres.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub server: Server,
}

/// Commands beside serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a year of flights with materialized views over them, and show a session to try.
    Demo {
        /// Another demonstration.
        #[command(subcommand)]
        of: Option<Demo>,
    },
    /// Run sqllogictest files.
    Slt(Slt),
    /// Derive every view of a stopped server's folder again from its log, and compare.
    Verify(Verify),
}

/// What is demonstrated instead of views over flights.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Demo {
    /// Kill a server between five orders, send again, and show what was delivered, processed, and took effect.
    EffectOnce,
}

/// Options of `everview verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// What SHOW everview.log_head gave once: the log must still contain it
    #[arg(long, value_name = "HEAD")]
    pub head: Option<String>,
}

/// Options of the server.
#[derive(Clone, Debug, Args)]
pub struct Server {
    /// The folder of log and store [default: ./everview-data, of the demo ./everview-demo]
    #[arg(long, global = true, env = "EVERVIEW_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one
    #[arg(
        long,
        global = true,
        env = "EVERVIEW_LISTEN",
        default_value = "127.0.0.1:6875",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: SocketAddr,
    /// Dataflow worker threads [default: one a processor]
    #[arg(
        long,
        global = true,
        env = "EVERVIEW_WORKERS",
        default_value_t = processors(),
        hide_default_value = true,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub workers: u16,
    /// The form of log lines on stderr
    #[arg(
        long,
        global = true,
        env = "EVERVIEW_LOG_FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter as `everview_coord=debug,info`
    #[arg(
        long,
        global = true,
        env = "EVERVIEW_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log_level: String,
    /// Start without building the views
    #[arg(long, global = true, env = "EVERVIEW_NO_HYDRATE")]
    pub no_hydrate: bool,
    /// Memory beyond which queries and views are ended, as 512MB or 4GB [default: no limit]
    #[arg(
        long,
        global = true,
        env = "EVERVIEW_MEMORY_LIMIT",
        value_name = "SIZE",
        value_parser = size
    )]
    pub memory_limit: Option<u64>,
    /// How long a producer that is not used is remembered, as 30d, 12h, 10min or 5s
    #[arg(
        long,
        global = true,
        env = "EVERVIEW_PRODUCER_RETENTION",
        default_value = "30d",
        value_name = "TIME",
        value_parser = duration
    )]
    pub producer_retention: std::time::Duration,
    /// How much of the past stays in memory, as 60s, 15min or 2h; older times are read from the log
    #[arg(
        long,
        global = true,
        env = "EVERVIEW_HISTORY",
        default_value = "60s",
        value_name = "TIME",
        value_parser = duration
    )]
    pub history: std::time::Duration,
    /// How often the views' digests are written to the log, for VERIFY, as 60s or 500ms
    #[arg(
        long,
        global = true,
        env = "EVERVIEW_CHECKPOINT_INTERVAL",
        default_value = "60s",
        value_name = "TIME",
        value_parser = duration
    )]
    pub checkpoint_interval: std::time::Duration,
    /// Write the address that was taken to this file once connections are accepted
    #[arg(
        long,
        global = true,
        env = "EVERVIEW_ADDRESS_FILE",
        value_name = "FILE"
    )]
    pub address_file: Option<PathBuf>,
}

/// How many workers there are unless the user says it: the processors that this process may use.
fn processors() -> u16 {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(processors.min(256)).expect("at most 256")
}

/// Bytes, with Postgres's units of 1024: B, kB, MB, GB, TB.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" | "B" => 0,
        "kB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        unit => return Err(format!("{unit:?} is none of B, kB, MB, GB, TB")),
    };
    let number: u64 = (digits.trim().parse()).map_err(|e| format!("{digits:?}: {e}"))?;
    match number.checked_mul(1 << shift) {
        None | Some(0) => Err(format!("{text:?} is out of range")),
        Some(bytes) => Ok(bytes),
    }
}

/// A time with one of Postgres's units: ms, s, min, h, d.
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        unit => return Err(format!("{unit:?} is none of ms, s, min, h, d")),
    };
    let number: u64 = (digits.trim().parse()).map_err(|e| format!("{digits:?}: {e}"))?;
    match number.checked_mul(unit) {
        None | Some(0) => Err(format!("{text:?} is out of range")),
        Some(millis) => Ok(std::time::Duration::from_millis(millis)),
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Options of the sqllogictest runner.
#[derive(Debug, Args)]
pub struct Slt {
    /// Files, or folders with .test and .slt files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// select, view, view-first or restart
    #[arg(long, default_value = "select")]
    pub mode: everview_slt::Mode,
    /// How many queries of each file to run [default: all]
    #[arg(long, value_name = "N")]
    pub sample: Option<usize>,
    /// Seeds the sample and the places of restarts
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The list of known failures
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// A running server instead of one of our own, as postgres://everview@127.0.0.1:6875/everview
    #[arg(long)]
    pub url: Option<String>,
}
