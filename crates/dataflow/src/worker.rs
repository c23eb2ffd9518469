//! One worker thread: its dataflows, and the loop that drives them.
//!
//! The worker takes in all commands that are there, lets timely run one round, and shows what is new; with
//! nothing to do it parks, until a command or another worker wakes it. Invariant: commands take effect in their
//! order, and nothing else decides what a dataflow reads.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};

use everview_repr::GlobalId;
use timely::dataflow::ProbeHandle;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::vec::Filter;
use timely::worker::Worker as Timely;

use crate::arrange::{ImportButton, import};
use crate::command::{Command, DataflowId, Installation, TableReader, Target, Wires};
use crate::export::index::{self, Exported};
use crate::export::subscribe::SubscribeError;
use crate::export::{peek, subscribe, tally};
use crate::ledger::Ledger;
use crate::render::context::{Context, Import};
use crate::render::streams::Collection;
use crate::source::{self, Feed, Shard};

/// Indexes that read their tables at the same time; others wait for their turn, in the order of their creation, which
/// is that of dependence. So memory in use while a server starts is that of a few.
const MOST_HYDRATING: usize = 4;

/// Runs a worker until it is shut down.
pub(crate) fn run(
    timely: &mut Timely,
    commands: Receiver<Command>,
    tables: Arc<dyn TableReader>,
    wires: Arc<Wires>,
) {
    let mut worker = Worker {
        shard: Shard {
            index: timely.index(),
            of: timely.peers(),
        },
        tables,
        wires,
        dataflows: BTreeMap::new(),
        exports: BTreeMap::new(),
        upper: 0,
        ledger: Ledger::new(timely),
        gone: Vec::new(),
    };
    loop {
        loop {
            match commands.try_recv() {
                Ok(Command::Shutdown) | Err(TryRecvError::Disconnected) => {
                    return worker.shut_down(timely);
                }
                Ok(command) => worker.handle(timely, command),
                Err(TryRecvError::Empty) => break,
            }
        }
        timely.step_or_park(None);
        worker.settle(timely);
    }
}

/// A worker's state.
struct Worker {
    shard: Shard,
    tables: Arc<dyn TableReader>,
    wires: Arc<Wires>,
    dataflows: BTreeMap<DataflowId, Dataflow>,
    /// The dataflow that exports an index.
    exports: BTreeMap<GlobalId, DataflowId>,
    /// All commits before this time have been taken in.
    upper: u64,
    /// What its operators hold.
    ledger: Ledger,
    /// The operators of dataflows that have ended since the last step.
    gone: Vec<Range<usize>>,
}

/// A dataflow on this worker.
struct Dataflow {
    installation: Arc<Installation>,
    /// What timely knows it by; absent once it is suspended.
    running: Option<usize>,
    /// The numbers of its operators; those from the second on arrange what its readers are shown.
    operators: (Range<usize>, usize),
    feeds: Vec<Rc<RefCell<Feed>>>,
    /// Its feeds are not open yet.
    waiting: bool,
    /// All workers were told to open them.
    called: bool,
    /// It is suspended, and its readers know.
    told: bool,
    exported: Option<Exported>,
    /// End imports when dropped.
    buttons: Vec<ImportButton<u64>>,
    probe: ProbeHandle<u64>,
}

impl Worker {
    fn handle(&mut self, timely: &mut Timely, command: Command) {
        match command {
            Command::Install(installation) => self.install(timely, installation),
            Command::Advance { changes, upper } => {
                let (lower, upper) = (self.upper, upper.0);
                for dataflow in self.dataflows.values() {
                    for feed in &dataflow.feeds {
                        feed.borrow_mut().advance(&changes, lower, upper);
                    }
                }
                self.upper = upper.max(lower);
            }
            Command::Open(id) => {
                let waiting = self.dataflows.get_mut(&id).filter(|d| d.waiting);
                if let Some(dataflow) = waiting {
                    dataflow.open(self.upper);
                }
            }
            Command::Drop(id) => self.drop_dataflow(timely, id),
            Command::AllowCompaction { index, since } => {
                if let Some(exported) = self.exported(index) {
                    exported
                        .outputs()
                        .for_each(|output| output.allow_compaction(since.0));
                }
            }
            Command::Shutdown => {}
        }
    }

    fn exported(&mut self, index: GlobalId) -> Option<&mut Exported> {
        let dataflow = self.exports.get(&index)?;
        self.dataflows.get_mut(dataflow)?.exported.as_mut()
    }

    fn install(&mut self, timely: &mut Timely, installation: Arc<Installation>) {
        let id = installation.id;
        let mut dataflow = Dataflow {
            feeds: Vec::new(),
            waiting: matches!(installation.target, Target::Index { .. }),
            called: false,
            told: false,
            running: None,
            operators: (0..0, 0),
            exported: None,
            buttons: Vec::new(),
            probe: ProbeHandle::new(),
            installation: Arc::clone(&installation),
        };
        if let Err(reason) = self.check_imports(&installation) {
            // Nothing runs that would wake this worker, so its readers are told now.
            installation.shared.health.suspend(reason);
            dataflow.suspend(timely, self.shard.index);
        } else {
            dataflow.running = Some(timely.next_dataflow_index());
            let first = timely.peek_identifier();
            let mut exporting = first;
            timely.dataflow_named::<u64, _, _>(&installation.name, |scope| {
                let health = Arc::clone(&installation.shared.health);
                let mut context =
                    Context::new(scope, health, self.shard.index, installation.as_of.0);
                self.add_inputs(&mut context, &mut dataflow);
                let result = context.render(&installation.plan.plan);
                let probe = &dataflow.probe;
                let result = Collection {
                    oks: result.oks.probe_with(probe),
                    errs: result.errs.probe_with(probe),
                };
                exporting = scope.worker().peek_identifier();
                dataflow.exported = self.export(&context, result, &installation);
            });
            dataflow.operators = (first..timely.peek_identifier(), exporting);
        }
        if let Target::Index { id: index, .. } = &installation.target {
            self.exports.insert(*index, id);
        }
        if !dataflow.waiting {
            dataflow.open(self.upper);
        }
        self.dataflows.insert(id, dataflow);
        self.admit();
    }

    /// Has the feeds of the next indexes opened, if not too many are hydrating. One worker decides, and tells all of them:
    /// where a feed goes over from what was there to what comes must be the same commit everywhere, since what was there
    /// is shared out among workers in another way than what comes.
    fn admit(&mut self) {
        if self.shard.index != 0 {
            return;
        }
        let mut hydrating = 0;
        for (id, dataflow) in &mut self.dataflows {
            let shared = Arc::clone(&dataflow.installation.shared);
            let is_index = matches!(dataflow.installation.target, Target::Index { .. });
            if !is_index || dataflow.feeds.is_empty() || shared.health.is_broken() {
                continue;
            }
            if !dataflow.called {
                dataflow.called = true;
                self.wires.send(&Command::Open(*id));
            }
            let upper = shared.uppers[0].load(Ordering::Relaxed);
            hydrating += usize::from(upper <= dataflow.installation.as_of.0);
            if hydrating >= MOST_HYDRATING {
                return;
            }
        }
    }

    /// Whether all indexes that a dataflow imports are there and show its `as_of`.
    fn check_imports(&mut self, installation: &Installation) -> Result<(), String> {
        let as_of = installation.as_of.0;
        for (index, arrangement) in installation.plan.imports.values().flatten() {
            let exported = self.exported(*index);
            let exported =
                exported.ok_or_else(|| format!("index {index} is not there to be read"))?;
            let found = exported.arrangements.iter().find(|(a, _)| a == arrangement);
            let (_, output) =
                found.ok_or_else(|| format!("index {index} is arranged differently"))?;
            let since = output.since().max(exported.errs.since());
            if as_of < since {
                return Err(format!("index {index} begins at {since}, after {as_of}"));
            }
        }
        Ok(())
    }

    fn add_inputs(&mut self, context: &mut Context<'_>, dataflow: &mut Dataflow) {
        let installation = Arc::clone(&dataflow.installation);
        let (as_of, until) = (
            installation.as_of.0,
            installation.until.map(|until| until.0),
        );
        for (table, width) in &installation.plan.sources {
            let feed = Feed::new((*table, *width), as_of, until, self.shard);
            // What reads elsewhere can read at its reader's pace.
            let feed = match &installation.target {
                Target::Subscribe(sink) if installation.tables.is_some() => {
                    feed.behind(sink.clone())
                }
                _ => feed,
            };
            let feed = Rc::new(RefCell::new(feed));
            dataflow.feeds.push(Rc::clone(&feed));
            let tables = installation.tables.as_ref().unwrap_or(&self.tables);
            let (tables, health) = (Arc::clone(tables), Arc::clone(&context.health));
            let read = Arc::clone(&installation.shared.read);
            let rows = source::render(context.scope, feed, tables, health, read);
            context.add_source(*table, rows);
        }
        for (relation, indexes) in &installation.plan.imports {
            let mut import = Vec::new();
            let mut errs = context.empty();
            for (n, (index, arrangement)) in indexes.iter().enumerate() {
                let Some(exported) = self.exported(*index) else {
                    continue;
                };
                let found = exported
                    .arrangements
                    .iter_mut()
                    .find(|(a, _)| a == arrangement);
                let Some((_, output)) = found else { continue };
                let name = format!("import {index}");
                let (rows, button) =
                    self::import(&mut output.trace, context.scope, &name, as_of, until);

                dataflow.buttons.push(button);
                let name = format!("import key errors {index}");
                let trace = &mut exported.key_errs.trace;
                let (found, button) = self::import(trace, context.scope, &name, as_of, until);
                dataflow.buttons.push(button);
                let key_errs = crate::render::read::read_errors(found, &name);
                import.push((arrangement.clone(), rows, key_errs));

                if n == 0 {
                    let name = format!("import errors {index}");
                    let trace = &mut exported.errs.trace;
                    let (found, button) = self::import(trace, context.scope, &name, as_of, until);
                    dataflow.buttons.push(button);
                    errs = crate::render::read::read_errors(found, &name);
                }
            }
            context.add_import(
                *relation,
                Import {
                    indexes: import,
                    errs,
                },
            );
        }
    }

    fn export(
        &self,
        context: &Context<'_>,
        result: Collection<'_>,
        installation: &Installation,
    ) -> Option<Exported> {
        let worker = self.shard.index;
        match &installation.target {
            Target::Index {
                arrangements,
                errors,
                key_errors,
                tally,
                ..
            } => {
                let Collection { mut oks, errs } = result;
                if let Some(tally) = tally {
                    oks = tally::render(oks, tally);
                }
                let result = Collection { oks, errs };
                let arrangements = arrangements
                    .iter()
                    .map(|(arrangement, shown)| (arrangement.clone(), Arc::clone(&shown[worker])));
                let errors = Arc::clone(&errors[worker]);
                let key_errors = Arc::clone(&key_errors[worker]);
                // `context` borrows the scope's lifetime, which `result` shares.
                Some(index::render(
                    context,
                    result,
                    arrangements.collect(),
                    errors,
                    key_errors,
                ))
            }
            Target::Subscribe(sink) => {
                let until = installation.until.map(|until| until.0);
                subscribe::render(result, worker, until, sink);
                None
            }
            Target::Peek(peek, None) => {
                peek::render(result, installation.as_of.0, peek);
                None
            }
            Target::Peek(peek, Some(tally)) => {
                let told = tally::render(result.oks, tally).filter(|_| false);
                let errors = Collection {
                    oks: told,
                    errs: result.errs,
                };
                peek::render(errors, u64::MAX, peek);
                None
            }
        }
    }

    /// After a round: shows what is new, and clears away what has ended or failed.
    fn settle(&mut self, timely: &mut Timely) {
        self.suspend_readers();
        // The step has told of all that they have dropped.
        for operators in self.gone.drain(..) {
            self.ledger.close(operators);
        }
        let worker = self.shard.index;
        let mut ended = Vec::new();
        for (id, dataflow) in &mut self.dataflows {
            let shared = &dataflow.installation.shared;
            if shared.health.is_broken() {
                if !dataflow.told {
                    dataflow.suspend(timely, worker);
                    self.gone.push(dataflow.operators.0.clone());
                }
                continue;
            }
            let upper = match &mut dataflow.exported {
                Some(exported) => exported.publish(),
                None => dataflow
                    .probe
                    .with_frontier(|frontier| frontier.first().copied()),
            };
            shared.uppers[worker].store(upper.unwrap_or(u64::MAX), Ordering::Release);
            let (operators, exporting) = &dataflow.operators;
            let held = self.ledger.held(operators.start..*exporting)
                + self.ledger.moving(*exporting..operators.end);
            shared.held[worker].store(held, Ordering::Relaxed);
            if upper.is_none() && matches!(dataflow.installation.target, Target::Peek(..)) {
                ended.push(*id);
            }
        }
        self.admit();
        for id in ended {
            // All its operators have ended or are about to; its sinks have answered.
            if let Some(dataflow) = self.dataflows.get(&id)
                && dataflow.is_over(timely)
            {
                self.gone.push(dataflow.operators.0.clone());
                self.dataflows.remove(&id);
            }
        }
    }

    /// What reads a suspended index cannot be right: it is suspended with it, before the index is taken apart.
    fn suspend_readers(&mut self) {
        // In order of creation, so that readers of readers follow in the same pass.
        let mut broken = BTreeMap::new();
        for dataflow in self.dataflows.values() {
            let Installation { plan, shared, .. } = &*dataflow.installation;
            let read = plan.imports.values().flatten();
            let cause = read.filter_map(|(index, _)| broken.get(index)).next();
            if let (Some(cause), false) = (cause, shared.health.is_broken()) {
                shared
                    .health
                    .suspend(format!("it reads {cause}, which is suspended"));
            }
            if let (true, Target::Index { id, .. }) =
                (shared.health.is_broken(), &dataflow.installation.target)
            {
                broken.insert(*id, dataflow.installation.name.clone());
            }
        }
    }

    fn drop_dataflow(&mut self, timely: &mut Timely, id: DataflowId) {
        if let Some(mut dataflow) = self.dataflows.remove(&id) {
            dataflow.end(timely);
            self.gone.push(dataflow.operators.0.clone());
            match &dataflow.installation.target {
                Target::Index { id: index, .. } => {
                    if self.exports.get(index) == Some(&id) {
                        self.exports.remove(index);
                    }
                }
                Target::Subscribe(sink) => sink.stop(SubscribeError::Stopped),
                // Its reader has gone away.
                Target::Peek(..) => {}
            }
        }
    }

    fn shut_down(&mut self, timely: &mut Timely) {
        let ids: Vec<_> = self.dataflows.keys().copied().collect();
        for id in ids {
            self.drop_dataflow(timely, id);
        }
    }
}

impl Dataflow {
    /// Lets its tables flow in, when all commits before `upper` have been taken in.
    fn open(&mut self, upper: u64) {
        self.waiting = false;
        for feed in &self.feeds {
            feed.borrow_mut().open(upper);
        }
    }

    /// Whether timely is through with it.
    fn is_over(&self, timely: &Timely) -> bool {
        self.running
            .is_none_or(|index| !timely.installed_dataflows().contains(&index))
    }

    /// Takes it apart. Readers of its index learn that it is gone.
    fn end(&mut self, timely: &mut Timely) {
        self.feeds.clear();
        self.exported = None;
        if let Some(index) = self.running.take() {
            timely.drop_dataflow(index);
        }
        self.buttons.clear();
    }

    /// Takes a dataflow apart that failed, and tells its readers.
    fn suspend(&mut self, timely: &mut Timely, worker: usize) {
        self.told = true;
        self.end(timely);
        self.installation.shared.held[worker].store(0, Ordering::Relaxed);
        let Some(error) = self.installation.shared.health.error() else {
            // It was abandoned: its readers are gone.
            return;
        };
        tracing::error!(
            dataflow = self.installation.name,
            reason = %error.message(),
            "a dataflow was suspended"
        );
        match &self.installation.target {
            // It may never have been rendered: then nothing else ends the wait of its readers.
            Target::Index {
                arrangements,
                errors,
                key_errors,
                ..
            } => {
                let rows = arrangements.iter().map(|(_, published)| published);
                for published in rows.chain([errors, key_errors]) {
                    published[worker].retire();
                }
            }
            Target::Subscribe(sink) => sink.stop(SubscribeError::Eval(error)),
            Target::Peek(peek, _) => peek.fail(error),
        }
    }
}
