//! A run: files in, a summary out.
//!
//! Invariant: `failed` is 0 exactly if every record that was run passed or is a known failure that
//! failed, and the list of known failures has no entry that passes. The same options on the same
//! files choose the same queries and places. The module knows no SQL.

mod report;

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::check::Mismatch;
use crate::classify::{Class, classify};
use crate::engine::Engine;
use crate::known::{self, Entry};
use crate::modes::{self, Counts, Gone, Mode, Pass, Settings, Verdict};
use crate::script::{self, Kind, Script, ScriptError};

/// What to run and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files, or folders whose `.test` and `.slt` files are taken, sorted, at any depth.
    pub files: Vec<PathBuf>,
    /// The mode; its name is a label too, so that `skipif view` works.
    pub mode: Mode,
    /// The labels that count as ours in `onlyif` and `skipif`.
    pub labels: Vec<String>,
    /// How many queries of each file to run; None for all. Statements always run.
    pub sample: Option<usize>,
    /// Seeds the sample and the places of restarts.
    pub seed: u64,
    /// The list of known failures, see [`known`].
    pub known: Option<PathBuf>,
    /// Views created together in mode view-first.
    pub batch: usize,
    /// Kills for each file in mode restart.
    pub restarts: usize,
    /// Whether to draw a progress bar on stderr where that is a terminal.
    pub progress: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            files: Vec::new(),
            mode: Mode::Select,
            labels: vec!["everview".to_string(), "postgresql".to_string()],
            sample: None,
            seed: 0,
            known: None,
            batch: 50,
            restarts: 3,
            progress: true,
        }
    }
}

/// What a run found.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Records that passed.
    pub passed: usize,
    /// Records that failed, and entries of the list of known failures that do not hold.
    pub failed: usize,
    /// Records that failed as the list says.
    pub known: usize,
    /// Records ruled out by their labels.
    pub skipped: usize,
    /// Queries that the sample left out.
    pub not_sampled: usize,
    /// Queries run plainly in a mode that wants a view.
    pub not_as_view: usize,
    /// Queries whose view was created after the data in mode view-first.
    pub after_data: usize,
    /// Kills and restarts.
    pub restarts: usize,
    /// The failures, in order.
    pub failures: Vec<Failure>,
    /// Objects that could not be dropped.
    pub left_behind: Vec<String>,
}

impl Summary {
    /// Whether nothing failed.
    pub fn succeeded(&self) -> bool {
        self.failed == 0
    }
}

/// A failed record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The script.
    pub file: String,
    /// The line of its directive.
    pub line: u32,
    /// Its SQL.
    pub sql: String,
    /// What was expected, and what came.
    pub mismatch: Mismatch,
}

/// Why a run could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A path that is not there.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// No file to run.
    #[error("there are no .test or .slt files in what was given")]
    NoFiles,
    /// A file that is no script.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// A list of known failures that is none.
    #[error("{path}: {message}")]
    Known {
        /// The list.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The engine stopped answering.
    #[error("{file} on {engine}: {source}")]
    Gone {
        /// The script at hand.
        file: String,
        /// The engine's name.
        engine: String,
        /// The last error.
        source: Gone,
    },
    /// The report cannot be written.
    #[error("cannot write the report: {0}")]
    Report(std::io::Error),
}

/// Runs the files on the engine, writes failures and the closing line `N passed, N failed` to
/// `out`, and returns what was found. All files are parsed before the first one runs.
///
/// # Errors
/// See [`RunError`]; a failing record is no error but a count in the summary.
pub fn run(
    options: &Options,
    engine: &mut dyn Engine,
    out: &mut dyn Write,
) -> Result<Summary, RunError> {
    let known = read_known(options)?;
    let mut labels = options.labels.clone();
    labels.push(options.mode.to_string());
    let scripts = expand(&options.files)?
        .iter()
        .map(|path| script::read(path, &labels))
        .collect::<Result<Vec<_>, _>>()?;
    let selections: Vec<Vec<bool>> = scripts
        .iter()
        .map(|script| {
            select(
                script,
                options.sample,
                &mut rng(options.seed, &script.name, 0),
            )
        })
        .collect();
    let total: usize = selections
        .iter()
        .flatten()
        .filter(|selected| **selected)
        .count();
    let bar = bar(options.progress, total);
    let mut summary = Summary::default();
    for (script, selected) in scripts.iter().zip(&selections) {
        bar.set_message(script.name.clone());
        let before = summary.failures.len();
        one(
            options,
            engine,
            script,
            selected,
            &known,
            &bar,
            &mut summary,
        )?;
        let fresh = &summary.failures[before..];
        let room = report::SHOWN.saturating_sub(before);
        bar.suspend(|| report::failures(out, &fresh[..fresh.len().min(room)]))
            .map_err(RunError::Report)?;
    }
    bar.finish_and_clear();
    report::summary(out, options, &summary).map_err(RunError::Report)?;
    Ok(summary)
}

/// Runs one script and adds what it gave.
fn one(
    options: &Options,
    engine: &mut dyn Engine,
    script: &Script,
    selected: &[bool],
    known: &[Entry],
    bar: &ProgressBar,
    summary: &mut Summary,
) -> Result<(), RunError> {
    let name = engine.name().to_string();
    let tick = || bar.inc(1);
    let settings = Settings {
        mode: options.mode,
        batch: options.batch,
        restarts: options.restarts,
    };
    let mut pass = Pass::new(engine, script, selected, &tick);
    modes::run(
        &mut pass,
        &settings,
        &mut rng(options.seed, &script.name, 1),
    )
    .map_err(|source| RunError::Gone {
        file: script.name.clone(),
        engine: name,
        source,
    })?;
    let (verdicts, counts) = (pass.verdicts, pass.counts);
    summary.skipped += script.skipped;
    summary.not_sampled += selected.iter().filter(|selected| !**selected).count();
    add_counts(summary, counts, &script.name);
    add_verdicts(summary, script, verdicts, known, options.mode);
    Ok(())
}

fn add_counts(summary: &mut Summary, counts: Counts, script: &str) {
    summary.not_as_view += counts.not_as_view;
    summary.after_data += counts.after_data;
    summary.restarts += counts.restarts;
    summary.left_behind.extend(
        counts
            .left_behind
            .into_iter()
            .map(|what| format!("{script}: {what}")),
    );
}

/// Splits the verdicts into passes, failures and known failures, and holds the list to account.
fn add_verdicts(
    summary: &mut Summary,
    script: &Script,
    verdicts: Vec<Verdict>,
    known: &[Entry],
    mode: Mode,
) {
    let listed: Vec<&Entry> = known
        .iter()
        .filter(|entry| entry.concerns(&script.name, mode))
        .collect();
    for (record, verdict) in script.records.iter().zip(verdicts) {
        let entry = listed.iter().find(|entry| entry.line == record.line);
        let mismatch = match (verdict, entry) {
            (None, _) => continue,
            (Some(Ok(())), None) => {
                summary.passed += 1;
                continue;
            }
            (Some(Err(_)), Some(_)) => {
                summary.known += 1;
                continue;
            }
            (Some(Err(mismatch)), None) => mismatch,
            (Some(Ok(())), Some(entry)) => Mismatch {
                expected: format!("a failure: {}", entry.reason),
                actual: "passes: remove it from the list".to_string(),
            },
        };
        summary.failed += 1;
        let sql = record.sql.clone();
        summary.failures.push(Failure {
            file: script.name.clone(),
            line: record.line,
            sql,
            mismatch,
        });
    }
    for entry in listed {
        if !script
            .records
            .iter()
            .any(|record| record.line == entry.line)
        {
            summary.failed += 1;
            let mismatch = Mismatch {
                expected: format!("a failure: {}", entry.reason),
                actual: "no such record runs: remove it from the list".to_string(),
            };
            let file = script.name.clone();
            summary.failures.push(Failure {
                file,
                line: entry.line,
                sql: String::new(),
                mismatch,
            });
        }
    }
}

/// Which records run: all statements, all queries that write, and a sample of those that read.
fn select(script: &Script, sample: Option<usize>, rng: &mut ChaCha8Rng) -> Vec<bool> {
    let mut selected = vec![true; script.records.len()];
    let Some(sample) = sample else {
        return selected;
    };
    let reading = |index: &usize| {
        let record = &script.records[*index];
        matches!(record.kind, Kind::Query(_)) && classify(&record.sql) == Class::Read
    };
    let queries: Vec<usize> = (0..selected.len()).filter(reading).collect();
    for index in &queries {
        selected[*index] = false;
    }
    for chosen in index::sample(rng, queries.len(), sample.min(queries.len())) {
        selected[queries[chosen]] = true;
    }
    selected
}

/// A generator of its own for each file name and purpose, so that a file's choice does not depend
/// on the other files or on where the folder lies.
fn rng(seed: u64, script: &str, purpose: u64) -> ChaCha8Rng {
    let file = Path::new(script)
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    // FNV-1a, 64 bits.
    let hash = file.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ hash);
    rng.set_stream(purpose);
    rng
}

fn read_known(options: &Options) -> Result<Vec<Entry>, RunError> {
    let Some(path) = &options.known else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(path).map_err(|source| RunError::Io {
        path: path.clone(),
        source,
    })?;
    known::parse(&text).map_err(|message| RunError::Known {
        path: path.clone(),
        message,
    })
}

fn bar(wanted: bool, total: usize) -> ProgressBar {
    let target = if wanted {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(total as u64), target);
    match ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The script files among the paths and below them.
fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, RunError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(below(path)?);
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        Err(RunError::NoFiles)
    } else {
        Ok(files)
    }
}

fn below(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let io = |source| RunError::Io {
        path: folder.to_path_buf(),
        source,
    };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        entries.push(entry.map_err(io)?.path());
    }
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(below(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "test" || extension == "slt")
        {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
