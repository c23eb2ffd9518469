//! The four ways through a script, and what they share.
//!
//! Invariant: a record has one verdict; where a mode runs it several times, one failure is enough
//! to fail it. Whatever a script created is dropped when it is left, so that the next one starts
//! from the same database. The module prints nothing and reads no files.

pub mod restart;
pub mod view_first;

use std::fmt;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;

use crate::check::{self, Labels, Mismatch, Order};
use crate::classify::{Class, Object, classify};
use crate::engine::{Engine, EngineError, Outcome};
use crate::script::{Kind, Query, Record, Script};
use crate::view::{Form, View, form};

/// How a script is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every query as it is.
    Select,
    /// Every query as a materialized view, created after the data.
    View,
    /// Every query as a materialized view, created before the data.
    ViewFirst,
    /// Every query as it is, with kills and restarts at seeded places; the queries after such a
    /// place are views that are created before it and read after it.
    Restart,
}

impl Mode {
    /// All modes.
    pub const ALL: [Mode; 4] = [Mode::Select, Mode::View, Mode::ViewFirst, Mode::Restart];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Select => "select",
            Mode::View => "view",
            Mode::ViewFirst => "view-first",
            Mode::Restart => "restart",
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        let known = Mode::ALL.into_iter().find(|mode| mode.to_string() == text);
        known.ok_or_else(|| format!("{text:?} is no mode: select, view, view-first or restart"))
    }
}

/// The engine stopped answering, so the rest of a run means nothing.
#[derive(Debug, thiserror::Error)]
#[error("the server is gone: {0}")]
pub struct Gone(pub EngineError);

/// How many statements in a row may meet a lost connection before the run ends.
const LOST_IN_A_ROW: usize = 10;

/// What a pass counted beside verdicts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Queries run plainly in a mode that wants a view.
    pub not_as_view: usize,
    /// Queries whose view was created after the data in a mode that wants it before.
    pub after_data: usize,
    /// Kills and restarts.
    pub restarts: usize,
    /// Objects that could not be dropped when the script was left.
    pub left_behind: Vec<String>,
}

/// A verdict: None for a record that was not run.
pub type Verdict = Option<Result<(), Mismatch>>;

/// What steers a mode.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The mode.
    pub mode: Mode,
    /// Views created together in mode view-first.
    pub batch: usize,
    /// Kills for each script in mode restart.
    pub restarts: usize,
}

/// Runs a script. `selected` says for each record whether it runs.
///
/// # Errors
/// When the engine is gone.
pub fn run(pass: &mut Pass<'_>, settings: &Settings, rng: &mut ChaCha8Rng) -> Result<(), Gone> {
    match settings.mode {
        Mode::Select => pass.each(|pass, index| pass.plain(index)),
        Mode::View => pass.each(|pass, index| pass.as_view(index)),
        Mode::ViewFirst => view_first::run(pass, settings.batch),
        Mode::Restart => restart::run(pass, settings.restarts, rng),
    }?;
    pass.clean();
    pass.check_alive()
}

/// One way through one script.
pub struct Pass<'a> {
    engine: &'a mut dyn Engine,
    script: &'a Script,
    selected: &'a [bool],
    progress: &'a dyn Fn(),
    labels: Labels,
    /// One for each record.
    pub verdicts: Vec<Verdict>,
    /// What was counted on the way.
    pub counts: Counts,
    objects: Vec<Object>,
    settings: Vec<usize>,
    in_transaction: bool,
    lost: Option<(usize, EngineError)>,
}

impl<'a> Pass<'a> {
    /// A pass about to start. `progress` is called once for each record that gets a verdict.
    pub fn new(
        engine: &'a mut dyn Engine,
        script: &'a Script,
        selected: &'a [bool],
        progress: &'a dyn Fn(),
    ) -> Self {
        Pass {
            engine,
            script,
            selected,
            progress,
            labels: Labels::new(),
            verdicts: vec![None; script.records.len()],
            counts: Counts::default(),
            objects: Vec::new(),
            settings: Vec::new(),
            in_transaction: false,
            lost: None,
        }
    }

    /// Goes through the selected records in order; queries as given.
    fn each(&mut self, query: impl Fn(&mut Self, usize)) -> Result<(), Gone> {
        for index in 0..self.script.records.len() {
            if !self.selected[index] {
                continue;
            }
            match self.record(index).kind {
                Kind::Statement(_) => self.plain(index),
                Kind::Query(_) => query(self, index),
            }
            self.check_alive()?;
        }
        Ok(())
    }

    fn record(&self, index: usize) -> &'a Record {
        &self.script.records[index]
    }

    /// The query of a record that is one.
    fn query(&self, index: usize) -> Option<&'a Query> {
        match &self.record(index).kind {
            Kind::Query(query) => Some(query),
            Kind::Statement(_) => None,
        }
    }

    /// The view that a record can be run as; None for statements and plain forms.
    fn view_of(&self, index: usize) -> Option<View> {
        match form(&self.record(index).sql, self.query(index)?) {
            Form::View(view) => Some(view),
            Form::Plain(_) => None,
        }
    }

    fn send(&mut self, sql: &str) -> Result<Outcome, EngineError> {
        let outcome = self.engine.run(sql);
        self.lost = match &outcome {
            Err(error) if error.is_connection() => {
                let before = self.lost.take().map_or(0, |(count, _)| count);
                Some((before + 1, error.clone()))
            }
            _ => None,
        };
        outcome
    }

    fn check_alive(&self) -> Result<(), Gone> {
        match &self.lost {
            Some((count, error)) if *count >= LOST_IN_A_ROW => Err(Gone(error.clone())),
            _ => Ok(()),
        }
    }

    /// Runs a record as it is and judges it.
    fn plain(&mut self, index: usize) {
        let record = self.record(index);
        let outcome = self.send(&record.sql);
        if outcome.is_ok() {
            self.note(index, &record.sql);
        }
        let verdict = match &record.kind {
            Kind::Statement(expected) => check::statement(expected, &outcome),
            Kind::Query(query) => check::query(query, &outcome, Order::Kept, &mut self.labels),
        };
        self.judge(index, verdict);
    }

    /// Runs a query as a view created now, read once and dropped.
    fn as_view(&mut self, index: usize) {
        let name = "slt_view";
        let Some(view) = self.view_of(index) else {
            self.counts.not_as_view += 1;
            return self.plain(index);
        };
        let mut outcome = self.send(&view.create(name));
        if outcome.is_ok() {
            outcome = self.send(&view.read(name));
            self.drop_view(name);
        }
        self.judge_view(index, &view, &outcome);
    }

    fn drop_view(&mut self, name: &str) {
        if let Err(error) = self.send(&View::drop(name)) {
            self.counts
                .left_behind
                .push(format!("materialized view {name}: {error}"));
        }
    }

    /// Judges what reading a query's view gave; where the query's column names did not serve, the
    /// query runs plainly instead.
    fn judge_view(&mut self, index: usize, view: &View, outcome: &Result<Outcome, EngineError>) {
        if let Err(error) = outcome
            && view.names_do_not_serve(&error.sqlstate)
        {
            self.counts.not_as_view += 1;
            return self.plain(index);
        }
        if let Some(query) = self.query(index) {
            let verdict = check::query(query, outcome, view.order, &mut self.labels);
            self.judge(index, verdict);
        }
    }

    fn judge(&mut self, index: usize, verdict: Result<(), Mismatch>) {
        match &mut self.verdicts[index] {
            slot @ None => {
                *slot = Some(verdict);
                (self.progress)();
            }
            Some(Err(_)) => {}
            slot => *slot = Some(verdict),
        }
    }

    /// Remembers what a successful statement left behind.
    fn note(&mut self, index: usize, sql: &str) {
        match classify(sql) {
            Class::Create(object) | Class::CreateAs(object) => self.objects.push(object),
            Class::Set => self.settings.push(index),
            Class::Begin => self.in_transaction = true,
            Class::End => self.in_transaction = false,
            _ => {}
        }
    }

    /// Ends an open transaction, drops what the script created, newest first, and takes settings
    /// back.
    fn clean(&mut self) {
        if std::mem::take(&mut self.in_transaction) {
            self.send_or_report("ROLLBACK", "an open transaction");
        }
        for object in std::mem::take(&mut self.objects).into_iter().rev() {
            let what = format!("{} {}", object.kind.to_lowercase(), object.name);
            self.send_or_report(
                &format!("DROP {} IF EXISTS {} CASCADE", object.kind, object.name),
                &what,
            );
        }
        if !std::mem::take(&mut self.settings).is_empty() {
            self.send_or_report("RESET ALL", "settings");
        }
    }

    fn send_or_report(&mut self, sql: &str, what: &str) {
        if let Err(error) = self.send(sql) {
            self.counts.left_behind.push(format!("{what}: {error}"));
        }
    }
}
