//! What PostgreSQL 15 answers to scripts of COPY, for tests to hold Everview against.
//!
//! `bench copy bin/everview/tests/server/copy/cases.txt` prints the text of `expected.txt` beside it.

mod script;

use crate::postgres::Postgres;
use std::io::Write;
use std::path::PathBuf;

/// Options of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The script.
    script: PathBuf,
    /// The server to ask, instead of a throwaway PostgreSQL 15.
    #[arg(long)]
    url: Option<String>,
    /// What the answer should be; it is compared instead of printed.
    #[arg(long)]
    expected: Option<PathBuf>,
}

/// Prints the answer, or compares it: true if it is as expected.
///
/// # Errors
/// When there is no server, or a file cannot be read.
pub async fn run(
    arguments: &Arguments,
    out: &mut impl Write,
) -> Result<bool, Box<dyn std::error::Error>> {
    let script = std::fs::read_to_string(&arguments.script)?;
    let postgres = match arguments.url {
        Some(_) => None,
        None => Some(Postgres::start()?),
    };
    let own = postgres.as_ref().map(Postgres::url);
    let url = arguments.url.clone().or(own).unwrap_or_default();
    let answers = script::answers(&url, &script).await?;
    let Some(expected) = &arguments.expected else {
        write!(out, "{answers}")?;
        return Ok(true);
    };
    let expected = std::fs::read_to_string(expected)?;
    let differ = expected
        .lines()
        .zip(answers.lines())
        .position(|(e, a)| e != a);
    match differ {
        None if expected == answers => {}
        None => writeln!(out, "one is longer than the other")?,
        Some(line) => writeln!(out, "line {} differs", line + 1)?,
    }
    Ok(expected == answers)
}
