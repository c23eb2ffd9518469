//! The store as callers see it.
//!
//! **Invariant.** Readers take one immutable `View` and never wait for a writer. A view holds the runs that take
//! changes, those frozen for the worker, and the files as they were just after the last flush; a flushed run leaves the
//! view in the same step in which the files that contain it enter, so that no change is seen twice or not at all.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use everview_repr::Timestamp;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use crate::disk::{Disk, DiskView, Manifest};
use crate::error::StoreError;
use crate::run::Run;
use crate::scan::{Request, Scan, Times};
use crate::update::{put_key, resolve, split};
use crate::worker;

/// How the store is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes of changes in memory before they are written out. 64 MiB.
    pub memtable_bytes: usize,
    /// How many such amounts may wait for the disk before applying waits. 2.
    pub frozen_limit: usize,
    /// Bytes of blocks of files kept in memory. 64 MiB.
    pub cache_bytes: u64,
    /// Merges of runs up to this many bytes happen while applying. 4 MiB.
    pub inline_merge_bytes: usize,
    /// From this many bytes on, changes are written out as soon as no more come for half a second. 1 MiB.
    pub idle_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            memtable_bytes: 64 << 20,
            frozen_limit: 2,
            cache_bytes: 64 << 20,
            inline_merge_bytes: 4 << 20,
            idle_bytes: 1 << 20,
        }
    }
}

/// One change to a collection. A key may have several values; each has its own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The collection.
    pub collection: u64,
    /// The key. Rows that share one are read and rewritten together: few should.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// How many of it come (positive) or go (negative).
    pub diff: i64,
}

/// How far an opened store goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Complete {
    /// Every commit up to this time is in it; 0 for an empty store.
    pub upto: Timestamp,
    /// What the caller gave to [`Store::advance`] with that time.
    pub mark: Vec<u8>,
}

/// A cache of the log: rows by collection and key, with recent history. One thread applies, any number read.
pub struct Store {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    pub options: Options,
    pub disk: Disk,
    pub control: Mutex<Control>,
    /// The worker waits here for something to do.
    pub wake: Condvar,
    /// Callers wait here for the worker.
    pub progress: Condvar,
    /// Replaced under the lock of `control`, read without it.
    view: RwLock<Arc<View>>,
}

/// What readers see.
#[derive(Clone)]
pub(crate) struct View {
    /// Runs that take changes, the earliest first.
    pub active: Vec<Arc<Run>>,
    /// Runs on their way to disk, the earliest first.
    pub frozen: Vec<Arc<Frozen>>,
    pub disk: Arc<DiskView>,
    /// Collections that are gone. Ids are never used again.
    pub dropped: Arc<BTreeSet<u64>>,
    pub since: u64,
    pub complete: u64,
    /// What the caller gave with `complete`.
    pub mark: Arc<[u8]>,
}

/// Runs that will be written together.
pub(crate) struct Frozen {
    pub runs: Vec<Arc<Run>>,
    /// What will be complete once they are.
    pub complete: u64,
    pub mark: Arc<[u8]>,
    pub partial: bool,
}

/// What writers and the worker agree on.
pub(crate) struct Control {
    /// The newest timestamp that changes were applied at.
    pub applied: u64,
    pub active_bytes: usize,
    /// The manifest on disk.
    pub on_disk: Manifest,
    /// Dropped collections whose rows are still on disk.
    pub purge: Vec<u64>,
    /// Keys on disk with more history than their current value, about.
    pub stale: u64,
    /// Why the worker waits before it tries again.
    pub stalled: Option<StoreError>,
    /// Why nothing can be written any more.
    pub failed: Option<StoreError>,
    pub stop: bool,
}

impl Store {
    /// Opens the store in `dir`, or an empty one if there is none or it is damaged. The caller replays every commit
    /// after the timestamp that comes with it.
    pub fn open(
        dir: impl Into<PathBuf>,
        options: Options,
    ) -> Result<(Store, Complete), StoreError> {
        let (disk, mut manifest) = Disk::open(&dir.into(), options.cache_bytes)?;
        if manifest.partial {
            // A crash in the middle of a large transaction: what is there of it comes again.
            worker::cut(&disk, &mut manifest)?;
        }
        let view = View {
            active: Vec::new(),
            frozen: Vec::new(),
            disk: Arc::new(disk.view()),
            dropped: Arc::new(BTreeSet::new()),
            since: manifest.since,
            complete: manifest.complete,
            mark: manifest.mark.as_slice().into(),
        };
        let complete = Complete {
            upto: Timestamp(manifest.complete),
            mark: manifest.mark.clone(),
        };
        let control = Control {
            applied: manifest.complete,
            active_bytes: 0,
            on_disk: manifest,
            purge: Vec::new(),
            stale: 0,
            stalled: None,
            failed: None,
            stop: false,
        };
        let shared = Arc::new(Shared {
            options,
            disk,
            control: Mutex::new(control),
            wake: Condvar::new(),
            progress: Condvar::new(),
            view: RwLock::new(Arc::new(view)),
        });
        let worker = worker::start(shared.clone())
            .map_err(|error| StoreError::Io(format!("cannot start the store's thread: {error}")))?;
        Ok((
            Store {
                shared,
                worker: Some(worker),
            },
            complete,
        ))
    }

    /// Removes a store that is not open, so that the next open gives an empty one.
    pub fn remove(dir: &Path) -> Result<(), StoreError> {
        Disk::remove(dir)
    }

    /// Applies a whole commit, or some of the changes of a large one; more parts of the same time may follow.
    /// [`Store::advance`] ends it. Only reads at `time` or later see the parts.
    ///
    /// Waits only when the disk is behind by [`Options::frozen_limit`] flushes. While the disk takes nothing, four times
    /// [`Options::memtable_bytes`] gather in memory before it waits: ask [`Store::check_room`] before a commit is made
    /// durable.
    pub fn apply_part(&self, time: Timestamp, changes: &[Change<'_>]) -> Result<(), StoreError> {
        let run = Run::from_changes(time, changes);
        let mut control = self.shared.control.lock();
        let view = self.shared.view();
        if time.0 <= view.complete || time.0 < control.applied {
            let complete = Timestamp(view.complete.max(control.applied));
            return Err(StoreError::OutOfOrder {
                timestamp: time,
                complete,
            });
        }
        self.wait_for_room(&mut control)?;
        control.applied = time.0;
        if run.is_empty() {
            return Ok(());
        }
        let options = &self.shared.options;
        let mut view = View::clone(&self.shared.view());
        push_run(&mut view, run, options.inline_merge_bytes)?;
        control.active_bytes = view.active.iter().map(|run| run.size()).sum();
        self.shared.publish(&control, view);
        Ok(())
    }

    /// Says that every change up to `time` was applied. The next open gives back `mark` with the time that it reports.
    pub fn advance(&self, time: Timestamp, mark: &[u8]) {
        let mut control = self.shared.control.lock();
        let mut view = View::clone(&self.shared.view());
        if time.0 >= view.complete {
            view.complete = time.0;
            view.mark = mark.into();
        }
        control.applied = control.applied.max(time.0);
        self.shared.publish(&control, view);
        if control.active_bytes >= self.shared.options.memtable_bytes
            && self.shared.view().frozen.len() < self.shared.options.frozen_limit
        {
            self.shared.freeze(&mut control);
        }
        if control.active_bytes >= self.shared.options.idle_bytes {
            self.shared.wake.notify_all();
        }
    }

    /// Whether more may be applied: an error while memory is full and the disk takes nothing.
    pub fn check_room(&self) -> Result<(), StoreError> {
        let control = self.shared.control.lock();
        let full = control.active_bytes >= self.shared.options.memtable_bytes
            && self.shared.view().frozen.len() >= self.shared.options.frozen_limit;
        match (&control.failed, &control.stalled) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(error)) if full => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Freezes full runs, once there is room for them among those that wait for the disk.
    fn wait_for_room(&self, control: &mut MutexGuard<'_, Control>) -> Result<(), StoreError> {
        let bytes = self.shared.options.memtable_bytes;
        loop {
            if let Some(error) = &control.failed {
                return Err(error.clone());
            }
            let stalled = control.stalled.is_some();
            if control.active_bytes < if stalled { 4 * bytes } else { bytes } {
                return Ok(());
            }
            if self.shared.view().frozen.len() < self.shared.options.frozen_limit {
                self.shared.freeze(control);
                return Ok(());
            }
            self.shared.progress.wait(control);
        }
    }

    /// The values of `key` at `as_of`, each with its count, in order of value. Empty if there is none.
    pub fn get(
        &self,
        collection: u64,
        key: &[u8],
        as_of: Timestamp,
    ) -> Result<Vec<(Vec<u8>, i64)>, StoreError> {
        let view = self.readable(as_of)?;
        let mut found = Vec::new();
        if view.dropped.contains(&collection) {
            return Ok(found);
        }
        let mut stored = Vec::with_capacity(8 + key.len());
        put_key(collection, key, &mut stored);
        let on_disk = self.note(view.disk.get(&stored))?;
        let mut parts: Vec<&[u8]> = on_disk.as_deref().into_iter().collect();
        parts.extend(view.runs().filter_map(|run| run.get(&stored)));
        let joined;
        let history = match parts.as_slice() {
            [] => return Ok(found),
            [one] => one,
            more => {
                joined = more.concat();
                joined.as_slice()
            }
        };
        resolve(history, as_of.0, |carried, diff| {
            found.push((split(&stored, carried)?.1.to_vec(), diff));
            Ok(())
        })?;
        Ok(found)
    }

    /// The rows of a range of keys at `as_of`, streaming, in key order (keys above 32 KiB order by their first 32 KiB).
    /// Of `shards` scans with the same arguments each gives the keys of its own `shard`, by hash; 0 of 1 gives all.
    pub fn scan(
        &self,
        collection: u64,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        as_of: Timestamp,
        shard: usize,
        shards: usize,
    ) -> Result<Scan, StoreError> {
        self.walk(
            collection,
            range,
            as_of,
            Times::at(as_of.0),
            (shard, shards),
        )
    }

    /// The changes of a collection after `from` and up to `to`, streaming, by key; with `snapshot`, first of each key
    /// what there was at `from`, at that time. Needs `from` at or after [`Store::since`]. Passes over all keys. Shards are
    /// as in [`Store::scan`].
    pub fn history(
        &self,
        collection: u64,
        (from, to): (Timestamp, Timestamp),
        snapshot: bool,
        (shard, shards): (usize, usize),
    ) -> Result<Scan, StoreError> {
        let times = Times {
            snapshot: snapshot.then_some(from.0),
            after: from.0,
            up_to: to.0,
        };
        let range = (Bound::Unbounded, Bound::Unbounded);
        self.walk(collection, range, from, times, (shard, shards))
    }

    fn walk(
        &self,
        collection: u64,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        from: Timestamp,
        times: Times,
        shards: (usize, usize),
    ) -> Result<Scan, StoreError> {
        let view = self.readable(from)?;
        if view.dropped.contains(&collection) {
            return Ok(Scan::empty());
        }
        let runs: Vec<Arc<Run>> = view.runs().cloned().collect();
        let request = Request { collection, range };
        self.note(Scan::new(&runs, &view.disk, &request, times, shards))
    }

    /// Lets history before `since` be forgotten, as far as it is complete. Reads before it fail from now on.
    pub fn set_since(&self, since: Timestamp) {
        let control = self.shared.control.lock();
        let mut view = View::clone(&self.shared.view());
        view.since = view.since.max(since.0.min(view.complete));
        self.shared.publish(&control, view);
    }

    /// The earliest readable time.
    pub fn since(&self) -> Timestamp {
        Timestamp(self.shared.view().since)
    }

    /// Every change up to here was applied. It is on disk only after [`Store::flush`].
    pub fn complete_upto(&self) -> Timestamp {
        Timestamp(self.shared.view().complete)
    }

    /// Up to which commit the files are complete: what the next open will report if the process ended now.
    pub fn durable_upto(&self) -> Timestamp {
        Timestamp(self.shared.control.lock().on_disk.complete)
    }

    /// Removes a collection at all times. Its id may not be used again. To be called before [`Store::advance`] passes the
    /// commit that drops it; after a reopen that reports an earlier time, the replay has to drop it again.
    /// Fails only when the store takes no more writes.
    pub fn drop_collection(&self, collection: u64) -> Result<(), StoreError> {
        let mut control = self.shared.control.lock();
        if let Some(error) = &control.failed {
            return Err(error.clone());
        }
        let mut view = View::clone(&self.shared.view());
        if Arc::make_mut(&mut view.dropped).insert(collection) {
            control.purge.push(collection);
        }
        self.shared.publish(&control, view);
        self.shared.wake.notify_all();
        Ok(())
    }

    /// Writes out everything applied so far and waits for it.
    pub fn flush(&self) -> Result<(), StoreError> {
        let mut control = self.shared.control.lock();
        let view = self.shared.view();
        let target = view.complete;
        if !view.active.is_empty() || target > control.on_disk.complete {
            self.shared.freeze(&mut control);
        }
        while !self.shared.view().frozen.is_empty() || !control.purge.is_empty() {
            if let Some(error) = control.failed.as_ref().or(control.stalled.as_ref()) {
                return Err(error.clone());
            }
            self.shared.progress.wait(&mut control);
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn readable(&self, as_of: Timestamp) -> Result<Arc<View>, StoreError> {
        let view = self.shared.view();
        if as_of.0 < view.since {
            return Err(StoreError::Compacted {
                asked: as_of,
                since: Timestamp(view.since),
            });
        }
        Ok(view)
    }

    /// Damage that a read meets asks for a rebuild at the next open.
    fn note<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Damaged(_)) = &result {
            self.shared.disk.request_rebuild();
        }
        result
    }

    /// Asks the next open to start empty, for a caller whose scan gave [`StoreError::Damaged`].
    pub fn request_rebuild(&self) {
        self.shared.disk.request_rebuild();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.control.lock().stop = true;
        self.shared.wake.notify_all();
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
        {
            tracing::error!("the store's thread ended with a panic");
        }
    }
}

impl Shared {
    pub fn view(&self) -> Arc<View> {
        self.view.read().clone()
    }

    /// Hands what is in memory to the worker.
    pub fn freeze(&self, control: &mut MutexGuard<'_, Control>) {
        let mut view = View::clone(&self.view());
        let runs = std::mem::take(&mut view.active);
        view.frozen.push(Arc::new(Frozen {
            runs,
            complete: view.complete,
            mark: view.mark.clone(),
            partial: control.applied > view.complete,
        }));
        control.active_bytes = 0;
        self.publish(control, view);
        self.wake.notify_all();
    }

    /// Shows readers a new view. The guard proves that no one else is changing it.
    pub fn publish(&self, _control: &MutexGuard<'_, Control>, view: View) {
        *self.view.write() = Arc::new(view);
    }
}

impl View {
    /// Every run in memory, the earliest first.
    fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.frozen
            .iter()
            .flat_map(|frozen| &frozen.runs)
            .chain(&self.active)
    }
}

/// Adds a run and merges it with earlier ones of its size, as a binary counter carries: each change is copied a number of
/// times that is logarithmic in the runs' size.
fn push_run(view: &mut View, run: Run, limit: usize) -> Result<(), StoreError> {
    view.active.push(Arc::new(run));
    while let [.., earlier, last] = view.active.as_slice() {
        let sizes = (earlier.size(), last.size());
        if sizes.0 > 2 * sizes.1 || sizes.0 + sizes.1 > limit {
            break;
        }
        let merged = Run::merge(&[earlier.clone(), last.clone()], view.since, &view.dropped)?;
        view.active.truncate(view.active.len() - 2);
        view.active.push(Arc::new(merged));
    }
    Ok(())
}
