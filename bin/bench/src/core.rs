//! The core benchmark: what loading, committing, reading and restarting cost, beside PostgreSQL in the same run.
//!
//! Each section starts servers of its own and can be run alone. Invariant: a rate is only printed once the answer
//! behind it was compared with PostgreSQL's, or with what is known of the data.

pub mod client;
mod commit;
pub mod data;
mod figure;
mod load;
mod memory;
mod point;
mod restart;
mod server;
mod ticks;

use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::postgres::Postgres;
use crate::session::Session;
use data::Ticks;
use figure::Figure;
use server::Server;

/// Why a section could not be measured.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Options of the benchmark.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What to measure; all of it when none is named.
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// The server's program, built with --release [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    everview: Option<PathBuf>,
    /// How many ticks are loaded.
    #[arg(long, default_value_t = 5_000_000)]
    rows: u64,
    /// Dataflow worker threads of the server [default: its own, one a processor].
    #[arg(long)]
    workers: Option<u16>,
    /// Seeds the generated data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds for each rate.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// The flights with their views.
    Load,
    /// Ticks by COPY into a table with an aggregating view.
    Ticks,
    /// From commit to visible in a view; durable commits a second.
    Commit,
    /// Point SELECTs, prepared.
    Point,
    /// From kill -9 to the first answer.
    Restart,
    /// Bytes a row, memory given back, processor time at rest.
    Memory,
}

/// Measures and prints; false if a figure misses its bound.
///
/// # Errors
/// When a server does not start or answers wrongly.
pub async fn run(arguments: &Arguments, out: &mut (impl Write + Send)) -> Result<bool, Failure> {
    let sections = match arguments.sections.as_slice() {
        [] => Section::value_variants(),
        some => some,
    };
    let mut bench = Bench {
        arguments,
        postgres: None,
        figures: Vec::new(),
        out,
    };
    for section in sections {
        bench.heading(*section)?;
        match section {
            Section::Load => load::run(&mut bench).await?,
            Section::Ticks => ticks::run(&mut bench).await?,
            Section::Commit => commit::run(&mut bench).await?,
            Section::Point => point::run(&mut bench).await?,
            Section::Restart => restart::run(&mut bench).await?,
            Section::Memory => memory::run(&mut bench).await?,
        }
    }
    bench.end()
}

/// A run under way.
struct Bench<'a> {
    arguments: &'a Arguments,
    postgres: Option<Postgres>,
    figures: Vec<Figure>,
    out: &'a mut (dyn Write + Send),
}

impl Bench<'_> {
    fn heading(&mut self, section: Section) -> Result<(), Failure> {
        let name = section.to_possible_value();
        let name = name.as_ref().map_or("", |value| value.get_name());
        Ok(writeln!(self.out, "{name}")?)
    }

    /// Prints a figure and keeps it.
    fn report(&mut self, figure: Figure) -> Result<(), Failure> {
        writeln!(self.out, "{figure}")?;
        self.out.flush()?;
        self.figures.push(figure);
        Ok(())
    }

    /// A fresh Everview.
    async fn everview(&self) -> Result<Server, Failure> {
        Server::start(self.arguments.everview.as_deref(), self.arguments.workers).await
    }

    /// PostgreSQL, with a fresh database of that name; gives its URL.
    async fn postgres(&mut self, database: &str) -> Result<String, Failure> {
        let postgres = match self.postgres.take() {
            Some(running) => running,
            None => Postgres::start()?,
        };
        let maintenance = Session::connect("PostgreSQL", &postgres.url()).await?;
        client::run(
            &maintenance,
            &format!("DROP DATABASE IF EXISTS {database}; CREATE DATABASE {database}"),
        )
        .await?;
        let url = postgres.url_of(database);
        self.postgres = Some(postgres);
        Ok(url)
    }

    /// The ticks to load, as CSV.
    fn ticks(&self) -> Vec<Bytes> {
        Ticks::new(self.arguments.seed).csv(self.arguments.rows)
    }

    fn end(self) -> Result<bool, Failure> {
        let figures: Vec<Value> = self.figures.iter().map(Figure::json).collect();
        let summary = json!({
            "benchmark": "core",
            "seed": self.arguments.seed,
            "rows": self.arguments.rows,
            "workers": self.arguments.workers,
            "commit": commit_of_the_code(),
            "machine": machine(),
            "figures": figures,
        });
        writeln!(self.out, "{summary}")?;
        Ok(self.figures.iter().all(|f| f.holds() != Some(false)))
    }
}

/// The commit checked out where the benchmark is run, if that is a checkout.
fn commit_of_the_code() -> Option<String> {
    let describe = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output()
        .ok()?;
    let text = String::from_utf8(describe.stdout).ok()?;
    Some(text.trim().to_string()).filter(|text| !text.is_empty())
}

fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(Path::new("/proc").join(file)).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".to_string(), |(_, value)| value.trim().to_string())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (model, memory) = (field("cpuinfo", "model name"), field("meminfo", "MemTotal"));
    format!("{model}, {cores} cores, {memory}")
}
