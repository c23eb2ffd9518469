//! One task for each sink of the catalog.
//!
//! A task asks the target how far it got, follows the relation's changes from there, and writes them. Whatever goes
//! wrong, it starts over by asking: an outage lasts as long as it lasts.
//!
//! **Invariant.** A sink that was fenced writes nothing more in this process.

use crate::feed::Feed;
use crate::postgres::{Checker, Postgres};
use crate::target::{Batch, Target, TargetError};
use everview_coord::sinks::{SinkDesc, Stage, in_millis};
use everview_coord::{Coordinator, Error};
use everview_repr::{GlobalId, SqlState};
use futures::FutureExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long to wait after the first failure; twice as long after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Commits that do not change the relation are told to the target this often.
const PROGRESS: Duration = Duration::from_secs(1);

/// How long a target of a sink that is gone may take to forget it.
const FORGET: Duration = Duration::from_secs(10);

/// What runs sinks, until it is stopped.
pub struct Runner(JoinHandle<()>);

/// Runs the catalog's sinks, and those that come.
pub fn start(coordinator: Coordinator) -> Runner {
    coordinator.check_sinks_with(Arc::new(Checker));
    Runner(tokio::spawn(manage(coordinator)))
}

impl Runner {
    /// Stops them. What a target was being told is rolled back there.
    pub async fn stop(self) {
        self.0.abort();
        // It only tells that it was aborted.
        let _ = self.0.await;
    }
}

/// A sink's task; it ends with its handle.
struct Running {
    task: JoinHandle<()>,
    gone: Option<oneshot::Sender<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Told that its sink is gone, it ends by itself.
        if self.gone.is_some() {
            self.task.abort();
        }
    }
}

/// After every change of the catalog, starts tasks for sinks that came and ends those of sinks that are gone.
async fn manage(coordinator: Coordinator) {
    let mut commits = coordinator.watch_commits();
    let mut running: BTreeMap<GlobalId, Running> = BTreeMap::new();
    loop {
        let (sinks, version) = coordinator.sinks();
        for (_, mut task) in running.extract_if(.., |id, _| !sinks.contains(id)) {
            // A task that has ended needs not be told.
            let _ = task.gone.take().map(|gone| gone.send(()));
        }
        for id in sinks {
            running.entry(id).or_insert_with(|| {
                let (gone, told) = oneshot::channel();
                Running {
                    task: tokio::spawn(run(coordinator.clone(), id, told).boxed()),
                    gone: Some(gone),
                }
            });
        }
        while coordinator.catalog_version() == version {
            if commits.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Runs a sink until it is gone or fenced.
async fn run(coordinator: Coordinator, id: GlobalId, gone: oneshot::Receiver<()>) {
    let mut target: Option<Box<dyn Target>> = None;
    let is_gone = tokio::select! {
        () = keep_following(&coordinator, id, &mut target) => false,
        Ok(()) = gone => true,
    };
    if is_gone {
        if let Some(mut target) = target {
            match timeout(FORGET, target.forget()).await {
                Ok(Ok(())) => {}
                left => {
                    tracing::warn!(%id, ?left, "the target still has a row about a sink that is gone")
                }
            }
        }
        coordinator.forget_sink(id);
    }
}

/// Returns when the sink is gone or fenced.
async fn keep_following(
    coordinator: &Coordinator,
    id: GlobalId,
    target: &mut Option<Box<dyn Target>>,
) {
    let mut wait = FIRST_WAIT;
    let mut told = String::new();
    loop {
        let result = match coordinator.sink(id) {
            Ok(None) => return,
            Ok(Some(sink)) => match &sink.target.password {
                // The key may be put back while the server runs.
                Err(error) => Err(Stop::Feed(error.clone())),
                Ok(_) => {
                    let target = target.get_or_insert_with(|| Box::new(Postgres::new(&sink)));
                    follow(coordinator, &sink, target.as_mut(), &mut wait).await
                }
            },
            Err(error) => Err(Stop::Feed(error)),
        };
        let stage = match result {
            Ok(never) => match never {},
            Err(stop) => stop.stage(wait),
        };
        let fenced = stage == Stage::Fenced;
        let why = match &stage {
            Stage::Retrying { reason, .. } | Stage::Failed { reason, .. } => reason.clone(),
            _ => "another process writes to its target".to_string(),
        };
        // An outage is told of once and not for as long as it lasts.
        if why != told {
            tracing::warn!(sink = %id, reason = why, "a sink has stopped");
            told = why;
        }
        coordinator.tell_sink(id, |status| status.stage = stage);
        if fenced {
            return;
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Why following ended.
enum Stop {
    Target(TargetError),
    Feed(Error),
}

impl From<TargetError> for Stop {
    fn from(error: TargetError) -> Stop {
        Stop::Target(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Feed(error)
    }
}

impl Stop {
    fn stage(self, wait: Duration) -> Stage {
        let next_attempt = in_millis(wait.as_millis() as u64);
        let retrying = |reason| Stage::Retrying {
            reason,
            next_attempt,
        };
        let failed = |reason| Stage::Failed {
            reason,
            next_attempt,
        };
        match self {
            Stop::Target(TargetError::Fenced) => Stage::Fenced,
            Stop::Target(TargetError::Away(reason)) => retrying(reason),
            Stop::Target(TargetError::Refused(reason)) => failed(reason),
            // It reads too slowly, or was ended by somebody, and goes on from where the target is.
            Stop::Feed(error)
                if error.code == SqlState::CONFIGURATION_LIMIT_EXCEEDED
                    || error.code == SqlState::ADMIN_SHUTDOWN =>
            {
                retrying(error.message)
            }
            Stop::Feed(error) => failed(error.message),
        }
    }
}

/// Never returned.
enum Never {}

async fn follow(
    coordinator: &Coordinator,
    sink: &SinkDesc,
    target: &mut dyn Target,
    wait: &mut Duration,
) -> Result<Never, Stop> {
    let mut progress = target.open(coordinator.now()).await?;
    let mut feed = Feed::open(coordinator, sink, progress).await?;
    coordinator.tell_sink(sink.id, |status| {
        status.stage = Stage::Running;
        status.progress = progress;
    });
    let mut told = Instant::now();
    let mut idle: Option<Batch> = None;
    loop {
        let batch = match &idle {
            None => feed.next().await?,
            Some(_) => match timeout_at(told + PROGRESS, feed.next()).await {
                Ok(batch) => batch?,
                Err(_) => idle.take().expect("it was there above"),
            },
        };
        if progress.is_some_and(|progress| batch.upto <= progress) {
            continue;
        }
        if progress.is_some() && batch.updates.is_empty() && told.elapsed() < PROGRESS {
            idle = Some(batch);
            continue;
        }
        idle = None;
        let rows = target.write(&batch).await?;
        told = Instant::now();
        progress = Some(batch.upto);
        *wait = FIRST_WAIT;
        coordinator.tell_sink(sink.id, |status| {
            status.progress = progress;
            status.rows_written += rows;
        });
    }
}
