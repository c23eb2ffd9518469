//! sqllogictest files on PostgreSQL 15: what fails here is wrong in the file or in the runner.
//!
//! Invariant: only the label `postgresql` counts, so that a record that Everview answers
//! differently by design says so in the file (`onlyif everview`).

use std::io::Write;
use std::path::PathBuf;

use everview_slt::{Options, Wire};

use crate::postgres::Postgres;

/// Options of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Files or folders.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Run this many queries of each file instead of all.
    #[arg(long)]
    sample: Option<usize>,
    /// Seed of the sample.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A list of known failures.
    #[arg(long)]
    known: Option<PathBuf>,
}

/// Runs the files in mode select on a throwaway server; true if nothing failed.
///
/// # Errors
/// When there is no PostgreSQL, or a file cannot be read.
pub fn run(
    arguments: &Arguments,
    out: &mut impl Write,
) -> Result<bool, Box<dyn std::error::Error>> {
    let postgres = Postgres::start()?;
    let mut engine = Wire::connect(&postgres.url(), None)?;
    let options = Options {
        files: arguments.files.clone(),
        labels: vec!["postgresql".to_string()],
        sample: arguments.sample,
        seed: arguments.seed,
        known: arguments.known.clone(),
        ..Options::default()
    };
    Ok(everview_slt::run(&options, &mut engine, out)?.succeeded())
}
