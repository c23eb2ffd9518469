//! What sessions, the sequencer and the workers share, and how it starts and stops.

use crate::error::Error;
use crate::passwords::Passwords;
use crate::planning::ViewCache;
use crate::producers::Producers;
use crate::readers::Readers;
use crate::secrets::Secrets;
use crate::sequencer::{self, Request, Requests};
use crate::sinks::Sinks;
use crate::table::StoredTable;
use crate::tables::Tables;
use arc_swap::ArcSwap;
use everview_catalog::catalog::Change;
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_dataflow::{Compute, DataflowDesc, DataflowId, Export, IndexReader};
use everview_log::{Log, vfs};
use everview_optimize::lowering::Indexes;
use everview_repr::{GlobalId, SqlState, Timestamp};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use tokio::sync::watch;

/// How a server is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of log and store.
    pub data_dir: PathBuf,
    /// Dataflow worker threads.
    pub workers: usize,
    /// Microseconds of history that views and tables keep readable.
    pub history: u64,
    /// Microseconds after which a producer that was not used may be forgotten.
    pub producer_retention: u64,
    /// Microseconds between two checkpoints of the views' digests.
    pub checkpoint_period: u64,
    /// Build no views at start.
    pub no_hydrate: bool,
    /// Under what connections' secrets are encrypted; without it, a file of the data folder.
    pub secret_key: Option<everview_sql::plan::Secret>,
    /// Bytes of memory beyond which queries and views are ended; none is no limit.
    pub memory_limit: Option<u64>,
    /// How the log is kept.
    pub log: everview_log::Options,
    /// How the store is kept.
    pub store: everview_store::Options,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            data_dir: PathBuf::from("everview-data"),
            workers: 1,
            history: 60_000_000,
            producer_retention: 30 * 86_400_000_000,
            checkpoint_period: 60_000_000,
            no_hydrate: false,
            secret_key: None,
            memory_limit: None,
            log: everview_log::Options::default(),
            store: everview_store::Options::default(),
        }
    }
}

/// The catalog and what was derived from it.
#[derive(Clone, Debug)]
pub(crate) struct CatalogState {
    pub catalog: Catalog,
    /// Arrangements that can be read or imported, by relation.
    pub indexes: Arc<Indexes>,
}

/// A running server. Cheap to clone; the last one dropped stops it.
#[derive(Clone)]
pub struct Coordinator {
    pub(crate) shared: Arc<Shared>,
    _running: Arc<Running>,
}

struct Running {
    shared: Arc<Shared>,
    sequencer: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Ends with it.
    memory: Mutex<Option<crate::memory::Watch>>,
}

pub(crate) struct Shared {
    pub options: Options,
    pub log: Arc<Log>,
    pub tables: Arc<Tables>,
    pub compute: Compute,
    pub requests: Requests,
    pub views: ViewCache,
    state: ArcSwap<CatalogState>,
    shown: watch::Sender<Timestamp>,
    snapshots: Mutex<BTreeMap<Timestamp, usize>>,
    next_transaction: AtomicU64,
    next_dataflow: AtomicU64,
    /// The dataflow that maintains an object.
    dataflows: Mutex<BTreeMap<GlobalId, DataflowId>>,
    /// Views and indexes that failed, and why: they are not maintained until they are dropped and created again.
    suspended: RwLock<BTreeMap<GlobalId, String>>,
    /// Written by the sequencer alone.
    pub producers: RwLock<Producers>,
    /// Written by the sequencer alone.
    pub passwords: ArcSwap<Passwords>,
    /// Written by the sequencer alone.
    pub readers: ArcSwap<Readers>,
    pub secrets: Secrets,
    pub sinks: Sinks,
    damaged: RwLock<Option<Error>>,
    stopping: AtomicBool,
    pub sessions: Mutex<BTreeMap<i32, Arc<SessionEntry>>>,
    next_session: AtomicI32,
    pub started: i64,
}

/// What others may know and do about a session.
#[derive(Debug)]
pub(crate) struct SessionEntry {
    pub pid: i32,
    pub secret: i32,
    pub user: String,
    pub database: String,
    pub peer: String,
    pub started: i64,
    pub activity: Mutex<Activity>,
    pub cancel: tokio::sync::Notify,
    pub canceled: AtomicBool,
    pub terminated: AtomicBool,
}

/// What a session is doing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity {
    pub application: String,
    pub query: String,
    pub state: &'static str,
    pub query_start: Option<i64>,
    pub transaction_start: Option<i64>,
    pub state_change: i64,
}

/// Keeps a timestamp readable while it lives.
#[derive(Debug)]
pub struct SnapshotGuard {
    shared: std::sync::Weak<Shared>,
    timestamp: Timestamp,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl SnapshotGuard {
    /// Another one that keeps the same readable.
    pub fn again(&self) -> SnapshotGuard {
        if let Some(shared) = self.shared.upgrade() {
            *shared.snapshots.lock().entry(self.timestamp).or_insert(0) += 1;
        }
        SnapshotGuard {
            shared: self.shared.clone(),
            timestamp: self.timestamp,
        }
    }
}

impl Drop for SnapshotGuard {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            let mut snapshots = shared.snapshots.lock();
            if let Some(count) = snapshots.get_mut(&self.timestamp) {
                *count -= 1;
                if *count == 0 {
                    snapshots.remove(&self.timestamp);
                }
            }
        }
    }
}

impl Coordinator {
    /// Opens the data directory, recovers it, and starts workers and sequencer. Views hydrate in the background.
    pub fn start(options: Options) -> Result<Coordinator, Error> {
        Coordinator::start_on(options, Arc::new(vfs::RealFs))
    }

    /// As [`Coordinator::start`], with the log on a given file system.
    pub fn start_on(options: Options, fs: Arc<dyn vfs::FileSystem>) -> Result<Coordinator, Error> {
        let recovered = crate::recovery::recover(&options, &fs)?;
        let compute = Compute::start(options.workers, recovered.tables.clone())
            .map_err(|e| Error::internal(format!("cannot start the workers: {e}")))?;
        let (requests, receiver) = std::sync::mpsc::channel();
        let state = CatalogState {
            catalog: recovered.catalog,
            indexes: Arc::default(),
        };
        let shared = Arc::new(Shared {
            secrets: Secrets::new(&options.data_dir, options.secret_key.clone()),
            sinks: Sinks::default(),
            options,
            log: Arc::new(recovered.log),
            tables: recovered.tables,
            compute,
            requests,
            views: ViewCache::default(),
            state: ArcSwap::from_pointee(state),
            shown: watch::Sender::new(recovered.last),
            snapshots: Mutex::default(),
            next_transaction: AtomicU64::new(recovered.next_transaction),
            next_dataflow: AtomicU64::new(1),
            dataflows: Mutex::default(),
            suspended: RwLock::new(recovered.suspended),
            producers: RwLock::new(recovered.producers),
            passwords: ArcSwap::from_pointee(recovered.passwords),
            readers: ArcSwap::from_pointee(recovered.readers),
            damaged: RwLock::new(None),
            stopping: AtomicBool::new(false),
            sessions: Mutex::default(),
            next_session: AtomicI32::new(1),
            started: crate::clock::wall_clock_timestamptz(),
        });
        let failures = Mutex::new(shared.requests.clone());
        shared.compute.on_failure(Arc::new(move |object, reason| {
            let reason = reason.to_string();
            // A sequencer that has ended takes nothing down any more.
            let _ = failures.lock().send(Request::Suspend { object, reason });
        }));
        shared
            .compute
            .advance(Arc::new(vec![]), recovered.last.next());
        if !shared.options.no_hydrate {
            // As of the past, so that its readers can go on where they were.
            let past = recovered.last.0.saturating_sub(shared.options.history);
            let as_of = shared.tables.store().since().max(Timestamp(past));
            crate::ddl::install_all(&shared, as_of);
        }
        let thread = sequencer::start(shared.clone(), receiver, recovered.floor)
            .map_err(|e| Error::internal(format!("cannot start the sequencer: {e}")))?;
        let watch = shared.options.memory_limit.map(|limit| {
            crate::memory::watch(&shared, limit)
                .map_err(|e| Error::internal(format!("cannot watch memory: {e}")))
        });
        let running = Running {
            memory: Mutex::new(watch.transpose()?),
            shared: shared.clone(),
            sequencer: Mutex::new(Some(thread)),
        };
        Ok(Coordinator {
            shared,
            _running: Arc::new(running),
        })
    }

    /// Ends a running statement, as a cancel request asks; false if pid and secret do not fit.
    pub fn cancel(&self, pid: i32, secret: i32) -> bool {
        let sessions = self.shared.sessions.lock();
        match sessions.get(&pid) {
            Some(entry) if entry.secret == secret => {
                entry.cancel();
                true
            }
            _ => false,
        }
    }

    /// Whether the log, all of which is read, once had the head that `SHOW everview.log_head` gave. Nothing may be
    /// written meanwhile.
    pub fn log_contains(&self, head: &str) -> Result<bool, Error> {
        let head = head
            .parse()
            .map_err(|e: String| Error::new(everview_repr::SqlState::INVALID_PARAMETER_VALUE, e))?;
        Ok(self.shared.log.reader().contains(head)?)
    }

    /// Tells every session to end. New ones are refused.
    pub fn begin_shutdown(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for entry in self.shared.sessions.lock().values() {
            entry.terminate();
        }
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.lock().len()
    }

    /// The newest readable timestamp.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.memory.lock().take();
        let _ = self.shared.requests.send(Request::Stop);
        if let Some(thread) = self.sequencer.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the sequencer had panicked");
        }
        self.shared.compute.shutdown();
        // A courtesy to the next start: what is not written is replayed.
        if let Err(error) = self.shared.tables.store().flush() {
            tracing::warn!(%error, "the table store was not written out");
        }
    }
}

impl SessionEntry {
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::SeqCst);
        self.cancel.notify_waiters();
    }

    pub fn terminate(&self) {
        self.terminated.store(true, Ordering::SeqCst);
        self.cancel.notify_waiters();
    }
}

impl Shared {
    /// The newest acknowledged timestamp: what reads see.
    pub fn now(&self) -> Timestamp {
        *self.shown.borrow()
    }

    /// The newest acknowledged timestamp as it rises.
    pub fn watch_shown(&self) -> watch::Receiver<Timestamp> {
        self.shown.subscribe()
    }

    pub fn show(&self, timestamp: Timestamp) {
        self.shown.send_replace(timestamp);
        let keep = Timestamp(timestamp.0.saturating_sub(self.options.history));
        let behind = self.compute.behind().unwrap_or(timestamp);
        let since = keep.min(self.oldest_snapshot()).min(behind);
        for id in self.dataflows.lock().keys() {
            self.compute.allow_compaction(*id, since);
        }
        self.tables.set_since(since);
    }

    pub fn catalog(&self) -> arc_swap::Guard<Arc<CatalogState>> {
        self.state.load()
    }

    /// Registers a reader at the newest timestamp.
    pub fn snapshot(self: &Arc<Self>) -> SnapshotGuard {
        let mut snapshots = self.snapshots.lock();
        let timestamp = self.now();
        *snapshots.entry(timestamp).or_insert(0) += 1;
        SnapshotGuard {
            shared: Arc::downgrade(self),
            timestamp,
        }
    }

    /// The oldest timestamp that a transaction reads at, or the newest timestamp.
    pub fn oldest_snapshot(&self) -> Timestamp {
        let snapshots = self.snapshots.lock();
        snapshots
            .keys()
            .next()
            .copied()
            .unwrap_or_else(|| self.now())
    }

    pub fn next_transaction(&self) -> u64 {
        self.next_transaction.fetch_add(1, Ordering::Relaxed)
    }

    /// The first id that no transaction has had.
    pub fn next_transaction_id(&self) -> u64 {
        self.next_transaction.load(Ordering::Relaxed)
    }

    pub fn next_dataflow(&self) -> DataflowId {
        DataflowId(self.next_dataflow.fetch_add(1, Ordering::Relaxed))
    }

    pub fn next_session(&self) -> i32 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Why reads from the store can no longer be trusted.
    pub fn damaged(&self) -> Option<Error> {
        self.damaged.read().clone()
    }

    pub fn set_damaged(&self, error: Error) {
        self.damaged.write().get_or_insert(error);
    }

    /// Whether a compiled table stands for the object as it is now.
    pub fn is_current(&self, object: &Object, table: &StoredTable) -> bool {
        let current = self.tables.get(object.id);
        current.is_some_and(|c| std::ptr::eq(&*c, table))
    }

    /// Applies durable DDL; gives the objects whose dataflows are to be dropped.
    pub fn apply_catalog(&self, changes: &[Change]) -> Vec<GlobalId> {
        let before = self.state.load();
        let catalog = before.catalog.apply(changes);
        let mut indexes = (*before.indexes).clone();
        let mut dropped = Vec::new();
        for change in changes {
            match (&change.old, &change.new) {
                (_, Some(new)) if matches!(new.kind, ObjectKind::Table(_)) => {
                    let table = StoredTable::new(&catalog, new);
                    match table.and_then(|table| self.tables.define(Arc::new(table))) {
                        Ok(()) => {}
                        Err(error) => {
                            tracing::error!(%error, id = %new.id, "a table cannot be read")
                        }
                    }
                }
                (Some(old), None) => {
                    dropped.push(old.id);
                    indexes.remove(&old.id);
                    for available in indexes.values_mut() {
                        available.retain(|(index, _)| *index != old.id);
                    }
                    if matches!(old.kind, ObjectKind::Table(_))
                        && let Err(error) = self.tables.drop_table(old.id)
                    {
                        tracing::error!(%error, id = %old.id, "a dropped table's room is not given back yet");
                    }
                }
                _ => {}
            }
        }
        self.state.store(Arc::new(CatalogState {
            catalog,
            indexes: Arc::new(indexes),
        }));
        dropped
    }

    /// Why a view or index is suspended, if it is.
    pub fn suspended(&self, id: GlobalId) -> Option<String> {
        self.suspended.read().get(&id).cloned()
    }

    pub fn set_suspended(&self, id: GlobalId, reason: &str) {
        self.suspended
            .write()
            .entry(id)
            .or_insert_with(|| reason.to_string());
    }

    /// Starts a dataflow; an index's arrangements become known to planning.
    pub fn install(&self, desc: DataflowDesc) {
        if let Export::Index { id, .. } = &desc.export
            && self.suspended(*id).is_some()
        {
            return;
        }
        let mut replaced = None;
        if let Export::Index {
            id, arrangements, ..
        } = &desc.export
        {
            replaced = self.dataflows.lock().insert(*id, desc.id);
            let state = self.state.load();
            let on = match state.catalog.get(*id).map(|o| &o.kind) {
                Some(ObjectKind::Index(index)) => index.on,
                _ => *id,
            };
            let mut indexes = (*state.indexes).clone();
            let available = indexes.entry(on).or_default();
            available.retain(|(index, _)| index != id);
            available.extend(arrangements.iter().map(|a| (*id, a.clone())));
            let next = CatalogState {
                catalog: state.catalog.clone(),
                indexes: Arc::new(indexes),
            };
            self.state.store(Arc::new(next));
        }
        self.compute.install(desc);
        // What read the replaced one is replaced after it, or reads on until it is.
        if let Some(replaced) = replaced {
            self.compute.drop_dataflow(replaced);
        }
    }

    pub fn drop_dataflow_of(&self, id: GlobalId) {
        if let Some(dataflow) = self.dataflows.lock().remove(&id) {
            self.compute.drop_dataflow(dataflow);
        }
    }

    /// The dataflow that maintains an object.
    pub fn dataflow_of(&self, id: GlobalId) -> Option<DataflowId> {
        self.dataflows.lock().get(&id).copied()
    }

    /// The published arrangements of an index or materialized view.
    pub fn index_reader(&self, id: GlobalId) -> Result<IndexReader, Error> {
        self.compute.reader(id).ok_or_else(|| {
            let name = self.catalog().catalog.full_name(id);
            let own = self.dataflow_of(id).and_then(|d| self.compute.status(d));
            let reason = self.suspended(id).or_else(|| own.and_then(|s| s.suspended));
            let code = SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE;
            match reason {
                Some(reason) => Error::new(code, format!("{name} is suspended: {reason}"))
                    .with_hint("Drop it, and create it again once the cause is gone."),
                None => Error::new(code, format!("{name} is not maintained on this server"))
                    .with_hint("The server runs with --no-hydrate; start it without."),
            }
        })
    }
}

impl SnapshotGuard {
    /// The timestamp kept.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}
