//! What a run has done so far, kept in a file so that it goes on where it stopped.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The state of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Seeds every round.
    pub seed: u64,
    /// Rounds that are over.
    pub rounds: u64,
    /// Kills, by moment.
    pub kills: BTreeMap<String, u64>,
    /// Transactions that were acknowledged.
    pub acknowledged: u64,
    /// Transactions in doubt that were found whole.
    pub doubts_there: u64,
    /// Transactions in doubt that were not there.
    pub doubts_absent: u64,
    /// Transactions under way, without their commit sent.
    pub lost: u64,
    /// Transactions refused with 40001.
    pub conflicts: u64,
    /// Batches of producers acknowledged as new.
    #[serde(default)]
    pub batches: u64,
    /// Batches acknowledged as repeated ones.
    #[serde(default)]
    pub repeated: u64,
    /// Refusals of an old epoch.
    #[serde(default)]
    pub fenced: u64,
    /// Views compared.
    pub views: u64,
    /// States seen by subscribers and readers under load.
    pub states: u64,
    /// Restarts in milliseconds: the longest.
    pub longest_start: u64,
    /// What was wrong, with its round.
    pub faults: Vec<String>,
    /// Rounds with something wrong.
    pub failed: u64,
}

impl Tally {
    /// The state in the file, or a new one where there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, or holds another seed's run.
    pub fn open(file: Option<&Path>, seed: u64) -> io::Result<Tally> {
        let fresh = Tally {
            seed,
            ..Tally::default()
        };
        let text = match file.map(std::fs::read_to_string) {
            None => return Ok(fresh),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(fresh),
            Some(text) => text?,
        };
        let tally: Tally = serde_json::from_str(&text)?;
        if tally.seed == seed {
            return Ok(tally);
        }
        Err(io::Error::other(format!(
            "it holds a run of seed {}, not {seed}",
            tally.seed
        )))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// When that fails.
    pub fn save(&self, file: Option<&Path>) -> io::Result<()> {
        let Some(file) = file else {
            return Ok(());
        };
        let new = file.with_extension("new");
        std::fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&new, file)
    }

    /// Counts a kill.
    pub fn kill(&mut self, moment: &str) {
        *self.kills.entry(moment.to_string()).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills: Vec<String> = self
            .kills
            .iter()
            .map(|(moment, count)| format!("{count} {moment}"))
            .collect();
        writeln!(
            f,
            "kills: {} ({})",
            self.kills.values().sum::<u64>(),
            kills.join(", ")
        )?;
        writeln!(
            f,
            "transactions: {} acknowledged and whole, {} in doubt ({} whole, {} absent), {} without a commit and absent, \
             {} refused with 40001",
            self.acknowledged,
            self.doubts_there + self.doubts_absent,
            self.doubts_there,
            self.doubts_absent,
            self.lost,
            self.conflicts
        )?;
        writeln!(
            f,
            "batches of a contested producer: {} acknowledged, {} more as repeated, {} times fenced; each there once",
            self.batches, self.repeated, self.fenced
        )?;
        writeln!(
            f,
            "compared: {} views after restarts; {} states of subscribers and readers under load; longest start {} ms",
            self.views, self.states, self.longest_start
        )?;
        write!(
            f,
            "{} passed, {} failed",
            self.rounds - self.failed,
            self.failed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_where_it_stopped_and_not_with_another_seed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state");
        let mut tally = Tally::open(Some(&file), 7).unwrap();
        tally.rounds = 3;
        tally.kill("in a COPY");
        tally.save(Some(&file)).unwrap();
        assert_eq!(Tally::open(Some(&file), 7).unwrap(), tally);
        assert!(Tally::open(Some(&file), 8).is_err());
        assert_eq!(Tally::open(None, 8).unwrap().rounds, 0);
    }
}
