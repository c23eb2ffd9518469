//! The background thread: writes frozen runs out, removes dropped collections, shortens histories.
//!
//! **Invariant.** This thread alone writes to disk, one ingestion at a time, and a view changes only after its ingestion
//! is whole. Each key's history on disk is complete in itself: a flush reads it, adds to it and writes it back
//! consolidated, so that a point read on disk is one look-up, which Bloom filters spare when there is nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::MutexGuard;

use crate::disk::{Disk, DiskRange, DiskView, Ingest, Manifest};
use crate::error::StoreError;
use crate::run::{Entry, Merge};
use crate::store::{Control, Frozen, Shared, View};
use crate::update::{Left, collection_of, consolidate, range_end, range_start};

/// How long to wait before a write that found no room is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How long nothing must have been applied before what is in memory is written out.
const IDLE: Duration = Duration::from_millis(500);

/// Fewer keys with history than this are never worth a pass over all of them.
const SWEEP_FLOOR: u64 = 64 << 10;

pub(crate) fn start(shared: Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    crate::thread::start("store", move || run(&shared))
}

/// Waits to be woken; freezes what lies in memory once nothing more comes, so that a restart has less to replay.
fn wait_for_work(shared: &Shared, control: &mut MutexGuard<'_, Control>) {
    if control.active_bytes < shared.options.idle_bytes {
        return shared.wake.wait(control);
    }
    let applied = control.applied;
    let waited = shared.wake.wait_for(control, IDLE);
    let whole = shared.view().complete >= control.applied;
    if waited.timed_out() && applied == control.applied && whole && !control.stop {
        shared.freeze(control);
    }
}

enum Job {
    Flush(Arc<Frozen>),
    Purge(Vec<u64>),
    Sweep,
}

fn run(shared: &Shared) {
    let mut control = shared.control.lock();
    loop {
        if control.stop {
            return;
        }
        let Some(job) = next_job(shared, &control) else {
            wait_for_work(shared, &mut control);
            continue;
        };
        let view = shared.view();
        let on_disk = control.on_disk.clone();
        let done = MutexGuard::unlocked(&mut control, || perform(shared, &job, &view, on_disk));
        match done {
            Ok(done) => {
                control.stalled = None;
                finish(shared, &mut control, job, done);
            }
            Err(error @ (StoreError::DiskFull(_) | StoreError::Io(_))) => {
                tracing::warn!(%error, "the store can not be written; trying again");
                control.stalled = Some(error);
                shared.progress.notify_all();
                shared.wake.wait_for(&mut control, RETRY);
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "the store takes no more writes");
                shared.disk.request_rebuild();
                control.failed = Some(error);
                shared.progress.notify_all();
                return;
            }
        }
        shared.progress.notify_all();
    }
}

fn next_job(shared: &Shared, control: &Control) -> Option<Job> {
    let view = shared.view();
    // First, so that no flush makes the drop's own commit complete on disk while the rows are still there.
    if !control.purge.is_empty() {
        return Some(Job::Purge(control.purge.clone()));
    }
    if let Some(frozen) = view.frozen.first() {
        return Some(Job::Flush(frozen.clone()));
    }
    // Each pass must be paid for by as much writing as it costs reading.
    let due = control.stale > SWEEP_FLOOR && control.stale * 4 > shared.disk.approximate_keys();
    (due && view.since > control.on_disk.since).then_some(Job::Sweep)
}

/// What a job has done to the files.
struct Done {
    manifest: Manifest,
    /// Keys written that keep history; for a sweep, all that are left.
    stale: u64,
}

fn perform(shared: &Shared, job: &Job, view: &View, on_disk: Manifest) -> Result<Done, StoreError> {
    let since = view.since.max(on_disk.since);
    let mut manifest = Manifest {
        since,
        ..on_disk.clone()
    };
    let mut stale = 0;
    match job {
        Job::Flush(frozen) => {
            manifest.complete = frozen.complete.max(on_disk.complete);
            manifest.partial = frozen.partial;
            manifest.mark = frozen.mark.to_vec();
            shared.disk.ingest(&manifest, |ingest| {
                stale = flush(frozen, &view.disk, since, &view.dropped, ingest)?;
                Ok(())
            })?;
        }
        Job::Purge(collections) => purge(&shared.disk, &view.disk, collections, &on_disk)?,
        Job::Sweep => stale = sweep(&shared.disk, &view.disk, u64::MAX, &manifest)?,
    }
    Ok(Done { manifest, stale })
}

fn finish(shared: &Shared, control: &mut MutexGuard<'_, Control>, job: Job, done: Done) {
    let mut view = View::clone(&shared.view());
    view.disk = Arc::new(shared.disk.view());
    match job {
        Job::Flush(_) => {
            view.frozen.remove(0);
            control.stale += done.stale;
            control.on_disk = done.manifest;
        }
        Job::Purge(collections) => control.purge.retain(|id| !collections.contains(id)),
        Job::Sweep => {
            control.stale = done.stale;
            control.on_disk = done.manifest;
        }
    }
    shared.publish(control, view);
}

/// Adds frozen runs to what is on disk. Gives the number of keys written that keep history.
fn flush(
    frozen: &Frozen,
    disk: &DiskView,
    since: u64,
    dropped: &BTreeSet<u64>,
    ingest: &mut Ingest<'_>,
) -> Result<u64, StoreError> {
    let mut merge = Merge::new(&frozen.runs, None);
    let mut entry = Entry::default();
    let mut existing = Lookup::new(disk);
    let (mut joined, mut written) = (Vec::new(), Vec::new());
    let mut stale = 0;
    while merge.next(&mut entry) {
        if dropped.contains(&collection_of(&entry.key)) {
            continue;
        }
        let before = existing.find(&entry.key)?;
        let history = match &before {
            None => &entry.history,
            Some(before) => {
                joined.clear();
                joined.extend_from_slice(before);
                joined.extend_from_slice(&entry.history);
                &joined
            }
        };
        written.clear();
        match consolidate(history, since, u64::MAX, &mut written)? {
            Left::Nothing if before.is_none() => {}
            Left::Nothing => ingest.remove(&entry.key)?,
            left => {
                stale += u64::from(left == Left::History);
                ingest.put(&entry.key, &written)?;
            }
        }
    }
    Ok(stale)
}

/// Finds ascending keys on disk: a pass beside them where they are dense, point look-ups where they are not. Keys in a
/// gap of the disk's, as all of an ascending load are, cost nothing.
struct Lookup<'a> {
    disk: &'a DiskView,
    pass: Option<DiskRange>,
    /// Where the pass is; none at its end.
    current: Option<(fjall::UserKey, fjall::UserValue)>,
    /// Point look-ups since the pass fell behind.
    behind: u32,
}

/// Steps of the pass before a point look-up is cheaper.
const STEPS: u32 = 3;
/// Point look-ups before it is worth finding the pass's place anew, to see whether there is a gap.
const PATIENCE: u32 = 64;

impl<'a> Lookup<'a> {
    fn new(disk: &'a DiskView) -> Lookup<'a> {
        Lookup {
            disk,
            pass: None,
            current: None,
            behind: 0,
        }
    }

    fn find(&mut self, stored: &[u8]) -> Result<Option<fjall::UserValue>, StoreError> {
        if self.pass.is_none() || self.behind >= PATIENCE {
            self.behind = 0;
            self.pass = Some(self.disk.range(stored, &range_end(u64::MAX, None))?);
            self.step()?;
        }
        for _ in 0..STEPS {
            match &self.current {
                Some((key, _)) if key.as_ref() < stored => self.step()?,
                Some((key, value)) if key.as_ref() == stored => {
                    let value = value.clone();
                    self.step()?;
                    return Ok(Some(value));
                }
                _ => return Ok(None),
            }
        }
        match &self.current {
            Some((key, _)) if key.as_ref() <= stored => {
                self.behind += 1;
                self.disk.get(stored)
            }
            _ => Ok(None),
        }
    }

    fn step(&mut self) -> Result<(), StoreError> {
        self.current = match &mut self.pass {
            Some(pass) => pass.next().transpose()?,
            None => None,
        };
        Ok(())
    }
}

/// Removes collections' rows from disk.
fn purge(
    disk: &Disk,
    view: &DiskView,
    collections: &[u64],
    on_disk: &Manifest,
) -> Result<(), StoreError> {
    let sorted: BTreeSet<u64> = collections.iter().copied().collect();
    disk.ingest(on_disk, |ingest| {
        for &collection in &sorted {
            for row in view.range(&range_start(collection, &[]), &range_end(collection, None))? {
                ingest.remove(&row?.0)?;
            }
        }
        Ok(())
    })
}

/// Passes over everything on disk, shortens what can be shortened, and leaves out updates after `until`. Gives the
/// number of keys that keep history.
fn sweep(disk: &Disk, view: &DiskView, until: u64, manifest: &Manifest) -> Result<u64, StoreError> {
    let mut stale = 0;
    let mut short = Vec::new();
    disk.ingest(manifest, |ingest| {
        for row in view.range(&range_start(0, &[]), &range_end(u64::MAX, None))? {
            let (stored, history) = row?;
            short.clear();
            match consolidate(&history, manifest.since, until, &mut short)? {
                Left::Nothing => ingest.remove(&stored)?,
                left => {
                    stale += u64::from(left == Left::History);
                    if short != *history {
                        ingest.put(&stored, &short)?;
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok(stale)
}

/// Removes every update after the manifest's time: the beginning of a transaction whose end was not written.
pub(crate) fn cut(disk: &Disk, manifest: &mut Manifest) -> Result<(), StoreError> {
    manifest.partial = false;
    sweep(disk, &disk.view(), manifest.complete, manifest)?;
    Ok(())
}
