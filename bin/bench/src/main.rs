//! Benchmarks and checks against peers: one subcommand each.

mod checks;
mod copy;
mod core;
mod crash;
mod everview;
mod histories;
mod matrix;
mod oracle;
mod pipeline;
mod pooled;
mod postgres;
mod session;
mod sink;
mod slt;
mod transfers;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Benchmarks and checks of Everview against its peers.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure loading, committing, reading and restarting, beside PostgreSQL 15.
    Core(core::Arguments),
    /// Print what PostgreSQL 15 answers to a script of COPY.
    Copy(copy::Arguments),
    /// Kill a server with -9 again and again while clients write, and judge what is left.
    Crash(crash::Arguments),
    /// Record what concurrent clients see, with kills between, and check that it is strictly serializable.
    Histories(histories::Arguments),
    /// Fail, tear, fill and kill at every operation of the log's file system, and judge every recovery.
    Matrix(matrix::Arguments),
    /// Compare the flights' views with what PostgreSQL 15 computes from the same rows.
    Oracle(oracle::Arguments),
    /// Send batches of producers through PgBouncer in transaction mode, kill the server, and count.
    Pooled(pooled::Arguments),
    /// Write views to PostgreSQL 15 through sinks while both sides are killed, and compare.
    Sink(sink::Arguments),
    /// Run sqllogictest files on PostgreSQL 15, to check the files and the runner.
    Slt(slt::Arguments),
    /// Send a day's ticks through producers into views and PostgreSQL, kill every part of it, and count.
    Ticks(pipeline::Arguments),
    /// Write transfers between accounts while others read, and check that no state in between is ever seen.
    Transfers(transfers::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // There is nowhere left to report a closed stderr to.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; false if it ran to its end and found something wrong.
fn run(command: Command) -> Result<bool, Box<dyn std::error::Error>> {
    match command {
        Command::Core(arguments) => {
            let result = runtime()?.block_on(core::run(&arguments, &mut io::stdout()));
            result.map_err(|error| -> Box<dyn std::error::Error> { error })
        }
        Command::Copy(arguments) => runtime()?.block_on(copy::run(&arguments, &mut io::stdout())),
        Command::Crash(arguments) => {
            Ok(runtime()?.block_on(crash::run(&arguments, &mut io::stdout()))?)
        }
        Command::Histories(arguments) => {
            runtime()?.block_on(histories::run(&arguments, &mut io::stdout()))
        }
        Command::Matrix(arguments) => Ok(matrix::run(&arguments, &mut io::stdout())?),
        Command::Oracle(arguments) => {
            Ok(runtime()?.block_on(oracle::run(&arguments, &mut io::stdout()))?)
        }
        Command::Pooled(arguments) => {
            runtime()?.block_on(pooled::run(&arguments, &mut io::stdout()))
        }
        Command::Sink(arguments) => runtime()?.block_on(sink::run(&arguments, &mut io::stdout())),
        Command::Slt(arguments) => slt::run(&arguments, &mut io::stdout()),
        Command::Ticks(arguments) => {
            let result = runtime()?.block_on(pipeline::run(&arguments, &mut io::stdout()));
            result.map_err(|error| -> Box<dyn std::error::Error> { error })
        }
        Command::Transfers(arguments) => {
            let result = runtime()?.block_on(transfers::run(&arguments, &mut io::stdout()));
            result.map_err(|error| -> Box<dyn std::error::Error> { error })
        }
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}
