//! The `everview` command: the server, its demonstration, and the sqllogictest runner.
//!
//! It starts things and prints; what they do is in the crates.

mod allocator;
mod cli;
mod demo;
mod serve;
mod slt;
mod verify;

use clap::Parser;
use cli::{Arguments, Command, Demo};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // There is nowhere left to report a closed stderr to.
            let _ = writeln!(std::io::stderr(), "everview: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; false if it ran to its end and found something wrong.
fn run(arguments: Arguments) -> Result<bool, Box<dyn std::error::Error>> {
    let Arguments { command, server } = arguments;
    match command {
        None => serve::run(&server).map(|()| true),
        Some(Command::Demo { of: None }) => demo::run(server).map(|()| true),
        Some(Command::Demo {
            of: Some(Demo::EffectOnce),
        }) => demo::effect_once::run(server.workers),
        Some(Command::Verify(arguments)) => verify::run(server, &arguments),
        Some(Command::Slt(arguments)) => slt::run(arguments, server.workers),
    }
}
