//! The server that is measured, over a folder that goes with it, and what the operating system says of its process.
//!
//! Invariant: process and folder do not outlive the value.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::Failure;
use crate::everview::{Everview, Launch};

/// A running Everview.
pub struct Server {
    // Ends before the folder goes.
    process: Everview,
    launch: Launch,
    folder: TempDir,
}

impl Server {
    /// Starts one over an empty folder under the system's temporary one.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(program: Option<&Path>, workers: Option<u16>) -> Result<Server, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("everview-bench-")
            .tempdir()?;
        let mut launch = Launch::new(program, folder.path())?;
        launch.workers = workers;
        let process = launch.start().await?;
        Ok(Server {
            process,
            launch,
            folder,
        })
    }

    /// Kills it as kill -9 does.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill(self) -> Result<Stopped, Failure> {
        let Server {
            mut process,
            launch,
            folder,
        } = self;
        process.kill()?;
        Ok(Stopped { launch, folder })
    }

    /// How to connect.
    pub fn url(&self) -> String {
        self.process.url()
    }

    /// The folder that holds its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Bytes of memory that it holds now, and the most that it ever held.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn memory(&self) -> Result<(u64, u64), Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.process()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|text| text.split_whitespace().next()?.parse().ok());
            kilobytes
                .map(|n: u64| n * 1024)
                .ok_or_else(|| Failure::from(format!("no {name} of the process")))
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Seconds of processor time that it has used, to a hundredth.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn processor(&self) -> Result<f64, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.process()))?;
        // The command, in parentheses, may hold spaces; user and system time are the 12th and 13th after it.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let ticks: u64 = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Ok(ticks as f64 / 100.0)
    }
}

/// One that was killed: its folder is still there.
pub struct Stopped {
    launch: Launch,
    folder: TempDir,
}

impl Stopped {
    /// Starts it on the same data.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(self) -> Result<Server, Failure> {
        let process = self.launch.start().await?;
        Ok(Server {
            process,
            launch: self.launch,
            folder: self.folder,
        })
    }
}
