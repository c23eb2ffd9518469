//! A file system in memory that fails on request, for tests of what a crash leaves behind.
//!
//! **Invariant.** The same calls with the same seed and faults give the same results: nothing here is random but by the
//! seed. Each file keeps what is durable apart from what was only written; [`FaultFs::power_off`] throws away, tears or
//! keeps each unsynced write on its own, as a disk may. Every operation, reads included, has a number, at which a
//! fault can be planted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{File, FileLock, FileSystem, OpenMode};

/// What happens to the operation at a chosen number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails with an input/output error and does nothing.
    Error,
    /// A write puts half of its bytes in place and fails; any other operation takes effect and fails all the same.
    Torn,
    /// It fails because the disk is full, if it is one that needs room; other operations succeed.
    DiskFull,
    /// The process dies before it: it and every later operation fail, until [`FaultFs::restart`] or
    /// [`FaultFs::power_off`].
    KillBefore,
    /// The process dies after it: it takes effect, and its result is never seen.
    KillAfter,
}

/// What a power failure does to writes and names that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of them are lost.
    All,
    /// Each write is lost, kept or torn by the seed; of the names, a prefix of the changes is kept.
    Some,
    /// None is lost.
    None,
}

/// The kinds of operation, as [`FaultFs::trace`] tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// [`FileSystem::create_dir_all`].
    CreateDir,
    /// [`FileSystem::list`].
    List,
    /// [`FileSystem::open`] of a file that exists.
    Open,
    /// [`FileSystem::open`] that creates.
    Create,
    /// [`FileSystem::rename`].
    Rename,
    /// [`FileSystem::remove`].
    Remove,
    /// [`FileSystem::sync_dir`].
    SyncDir,
    /// [`FileSystem::lock`].
    Lock,
    /// [`File::read_at`].
    Read,
    /// [`File::write_all_at`].
    Write,
    /// [`File::sync_data`].
    SyncData,
    /// [`File::preallocate`].
    Preallocate,
    /// [`File::truncate`].
    Truncate,
    /// [`File::length`].
    Length,
}

impl Operation {
    /// Whether it changes files, names, or what of them is durable.
    pub fn changes(self) -> bool {
        use Operation::{
            Create, CreateDir, Preallocate, Remove, Rename, SyncData, SyncDir, Truncate, Write,
        };
        match self {
            CreateDir | Create | Rename | Remove | SyncDir | Write | SyncData | Preallocate
            | Truncate => true,
            Operation::List
            | Operation::Open
            | Operation::Lock
            | Operation::Read
            | Operation::Length => false,
        }
    }
}

/// The file system in memory. Clones share it.
#[derive(Clone)]
pub struct FaultFs {
    state: Arc<Mutex<State>>,
}

type FileId = u64;

#[derive(Clone, Default)]
struct Content {
    /// What reads see.
    current: Vec<u8>,
    /// What a power failure leaves for sure.
    durable: Vec<u8>,
    /// Changes to `durable` that `current` has and the disk need not have.
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Resize { length: u64 },
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, FileId),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Clone)]
struct State {
    files: BTreeMap<FileId, Content>,
    names: BTreeMap<PathBuf, FileId>,
    durable_names: BTreeMap<PathBuf, FileId>,
    pending_names: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    next_file: FileId,
    /// Handles of an earlier life of the process are dead.
    life: u64,
    killed: bool,
    faults: BTreeMap<u64, Fault>,
    /// By the number of the operation among those that change something.
    change_faults: BTreeMap<u64, Fault>,
    changes: u64,
    struck: Vec<(Operation, Fault)>,
    trace: Vec<Operation>,
    capacity: Option<u64>,
    random: u64,
}

impl FaultFs {
    /// An empty file system whose choices follow from `seed`.
    pub fn new(seed: u64) -> FaultFs {
        FaultFs {
            state: Arc::new(Mutex::new(State {
                files: BTreeMap::new(),
                names: BTreeMap::new(),
                durable_names: BTreeMap::new(),
                pending_names: Vec::new(),
                locks: BTreeSet::new(),
                next_file: 0,
                life: 0,
                killed: false,
                faults: BTreeMap::new(),
                change_faults: BTreeMap::new(),
                changes: 0,
                struck: Vec::new(),
                trace: Vec::new(),
                capacity: None,
                random: seed ^ 0x9e37_79b9_7f4a_7c15,
            })),
        }
    }

    /// Plants `fault` at the operation with number `at`, counted from 0 since the file system was made.
    pub fn inject(&self, at: u64, fault: Fault) {
        self.state.lock().faults.insert(at, fault);
    }

    /// Plants `fault` at the operation with number `at` among those that change something, counted from 0 since the
    /// file system was made: a number that readers on other threads do not move.
    pub fn inject_change(&self, at: u64, fault: Fault) {
        self.state.lock().change_faults.insert(at, fault);
    }

    /// Removes every planted fault.
    pub fn clear_faults(&self) {
        let mut state = self.state.lock();
        state.faults.clear();
        state.change_faults.clear();
    }

    /// How many operations that change something were tried so far.
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// The operations that met a fault, in order.
    pub fn struck(&self) -> Vec<(Operation, Fault)> {
        self.state.lock().struck.clone()
    }

    /// A file system of its own with everything that this one has now. Handles of this one are none of it.
    pub fn fork(&self) -> FaultFs {
        let mut state = self.state.lock().clone();
        state.restart();
        FaultFs {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// How many operations were tried so far: the number of the next one.
    pub fn operations(&self) -> u64 {
        self.state.lock().trace.len() as u64
    }

    /// The kind of every operation tried so far, in order.
    pub fn trace(&self) -> Vec<Operation> {
        self.state.lock().trace.clone()
    }

    /// The sum of all files' lengths may not grow beyond `bytes`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Bytes in all files.
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// Ends the process and starts it anew: open handles and locks are gone, all that was written is still there.
    pub fn restart(&self) {
        self.state.lock().restart();
    }

    /// Cuts the power and starts the machine anew: unsynced writes and names meet their `loss`.
    pub fn power_off(&self, loss: Loss) {
        let mut state = self.state.lock();
        state.lose(loss);
        state.restart();
    }

    /// The bytes of a file, as reads see them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let id = state.names.get(path)?;
        Some(state.files.get(id)?.current.clone())
    }

    /// Puts a durable file in place, as damage or an attacker would: no operation is counted.
    pub fn plant(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state.lock();
        let id = match state.names.get(path) {
            Some(&id) => id,
            None => state.new_file(path),
        };
        state.durable_names.insert(path.to_owned(), id);
        state.files.insert(
            id,
            Content {
                current: bytes.to_vec(),
                durable: bytes.to_vec(),
                pending: Vec::new(),
            },
        );
    }

    /// Every file's path, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state.lock().names.keys().cloned().collect()
    }

    /// Counts an operation, and runs it unless a fault says otherwise. `effect` is told how to act.
    fn run<T>(
        &self,
        life: Option<u64>,
        operation: Operation,
        effect: impl FnOnce(&mut State, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.state.lock();
        let number = state.trace.len() as u64;
        state.trace.push(operation);
        let mut fault = state.faults.remove(&number);
        if operation.changes() {
            let change = state.changes;
            state.changes += 1;
            fault = state.change_faults.remove(&change).or(fault);
        }
        if state.killed || life.is_some_and(|life| life != state.life) {
            return Err(io::Error::other("the process was killed"));
        }
        state.struck.extend(fault.map(|fault| (operation, fault)));
        match fault {
            None => effect(&mut state, Extent::Whole),
            Some(Fault::Error) => Err(io::Error::other("injected fault")),
            Some(Fault::Torn) => {
                let result = effect(&mut state, Extent::Half);
                drop(state);
                result.and(Err(io::Error::other(
                    "injected fault after part of the effect",
                )))
            }
            Some(Fault::DiskFull) => match operation {
                Operation::Write
                | Operation::Preallocate
                | Operation::Create
                | Operation::CreateDir => Err(io::ErrorKind::StorageFull.into()),
                _ => effect(&mut state, Extent::Whole),
            },
            Some(Fault::KillBefore) => {
                state.killed = true;
                Err(io::Error::other("the process was killed"))
            }
            Some(Fault::KillAfter) => {
                let result = effect(&mut state, Extent::Whole);
                state.killed = true;
                // The result may be a lock, whose end needs the state.
                drop(state);
                result.and(Err(io::Error::other("the process was killed")))
            }
        }
    }
}

/// How much of an operation takes effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Half,
}

impl State {
    fn new_file(&mut self, path: &Path) -> FileId {
        let id = self.next_file;
        self.next_file += 1;
        self.files.insert(id, Content::default());
        self.names.insert(path.to_owned(), id);
        id
    }

    fn used(&self) -> u64 {
        self.names
            .values()
            .filter_map(|id| self.files.get(id))
            .map(|file| file.current.len() as u64)
            .sum()
    }

    fn room_for(&self, more: u64) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if self.used() + more > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn restart(&mut self) {
        self.life += 1;
        self.killed = false;
        self.locks.clear();
    }

    /// xorshift64*: small, seeded, good enough to pick which writes survive.
    fn choose(&mut self, choices: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % choices
    }

    fn lose(&mut self, loss: Loss) {
        let changes = std::mem::take(&mut self.pending_names);
        let kept = match loss {
            Loss::All => 0,
            Loss::Some => self.choose(changes.len() as u64 + 1) as usize,
            Loss::None => changes.len(),
        };
        for change in &changes[..kept] {
            apply_name(&mut self.durable_names, change);
        }
        self.names = self.durable_names.clone();
        let ids: Vec<FileId> = self.files.keys().copied().collect();
        for id in ids {
            let Some(mut content) = self.files.remove(&id) else {
                continue;
            };
            for change in std::mem::take(&mut content.pending) {
                if let Some(survivor) = self.survive(change, loss) {
                    apply(&mut content.durable, &survivor);
                }
            }
            content.current = content.durable.clone();
            self.files.insert(id, content);
        }
    }

    fn survive(&mut self, change: Change, loss: Loss) -> Option<Change> {
        match loss {
            Loss::All => return None,
            Loss::None => return Some(change),
            Loss::Some => {}
        }
        match (self.choose(3), change) {
            (0, _) => None,
            (1, Change::Write { offset, mut bytes }) => {
                // Torn: either end may be the one that reached the disk.
                let cut = self.choose(bytes.len() as u64 + 1) as usize;
                if self.choose(2) == 0 {
                    bytes.truncate(cut);
                    Some(Change::Write { offset, bytes })
                } else {
                    Some(Change::Write {
                        offset: offset + cut as u64,
                        bytes: bytes.split_off(cut),
                    })
                }
            }
            (_, change) => Some(change),
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes: new } => {
            let end = *offset as usize + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*offset as usize..end].copy_from_slice(new);
        }
        Change::Resize { length } => bytes.resize(*length as usize, 0),
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, FileId>, change: &NameChange) {
    match change {
        NameChange::Link(path, id) => {
            names.insert(path.clone(), *id);
        }
        NameChange::Unlink(path) => {
            names.remove(path);
        }
        NameChange::Rename(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("no file {}", path.display()),
    )
}

impl FileSystem for FaultFs {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        self.run(None, Operation::CreateDir, |_, _| Ok(()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.run(None, Operation::List, |state, _| {
            let in_dir = state.names.keys().filter(|path| path.parent() == Some(dir));
            Ok(in_dir
                .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
                .collect())
        })
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let operation = if mode == OpenMode::Create {
            Operation::Create
        } else {
            Operation::Open
        };
        self.run(None, operation, |state, _| {
            if mode == OpenMode::Create {
                // A replaced file keeps its old bytes on disk until the new name is synced.
                let id = state.new_file(path);
                state
                    .pending_names
                    .push(NameChange::Link(path.to_owned(), id));
            }
            let id = *state.names.get(path).ok_or_else(|| not_found(path))?;
            let writable = mode != OpenMode::Read;
            Ok(Arc::new(FaultFile {
                fs: self.clone(),
                id,
                life: state.life,
                writable,
            }) as Arc<dyn File>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(None, Operation::Rename, |state, _| {
            if !state.names.contains_key(from) {
                return Err(not_found(from));
            }
            let change = NameChange::Rename(from.to_owned(), to.to_owned());
            apply_name(&mut state.names, &change);
            state.pending_names.push(change);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.run(None, Operation::Remove, |state, _| {
            state.names.remove(path).ok_or_else(|| not_found(path))?;
            state
                .pending_names
                .push(NameChange::Unlink(path.to_owned()));
            Ok(())
        })
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        // One journal for all folders, as on most file systems.
        self.run(None, Operation::SyncDir, |state, extent| {
            if extent == Extent::Whole {
                for change in std::mem::take(&mut state.pending_names) {
                    apply_name(&mut state.durable_names, &change);
                }
            }
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        self.run(None, Operation::Lock, |state, _| {
            if !state.locks.insert(path.to_owned()) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let lock = FaultLock {
                state: Arc::downgrade(&self.state),
                path: path.to_owned(),
                life: state.life,
            };
            Ok(Box::new(lock) as Box<dyn FileLock>)
        })
    }
}

struct FaultLock {
    state: Weak<Mutex<State>>,
    path: PathBuf,
    life: u64,
}

impl FileLock for FaultLock {}

impl Drop for FaultLock {
    fn drop(&mut self) {
        if let Some(state) = self.state.upgrade() {
            let mut state = state.lock();
            if state.life == self.life {
                state.locks.remove(&self.path);
            }
        }
    }
}

struct FaultFile {
    fs: FaultFs,
    id: FileId,
    life: u64,
    writable: bool,
}

impl FaultFile {
    fn run<T>(
        &self,
        operation: Operation,
        effect: impl FnOnce(&mut State, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        self.fs.run(Some(self.life), operation, effect)
    }

    fn content<'a>(&self, state: &'a mut State) -> io::Result<&'a mut Content> {
        state
            .files
            .get_mut(&self.id)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&self, state: &mut State, change: Change) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let content = self.content(state)?;
        let old = content.current.len() as u64;
        let new = match &change {
            Change::Write { offset, bytes } => old.max(offset + bytes.len() as u64),
            Change::Resize { length } => *length,
        };
        state.room_for(new.saturating_sub(old))?;
        let content = self.content(state)?;
        apply(&mut content.current, &change);
        content.pending.push(change);
        Ok(())
    }
}

impl File for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.run(Operation::Read, |state, _| {
            let content = self.content(state)?;
            let Some(rest) = content.current.get(offset as usize..) else {
                return Ok(0);
            };
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.run(Operation::Write, |state, extent| {
            let kept = if extent == Extent::Half {
                bytes.len() / 2
            } else {
                bytes.len()
            };
            self.change(
                state,
                Change::Write {
                    offset,
                    bytes: bytes[..kept].to_vec(),
                },
            )
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.run(Operation::SyncData, |state, extent| {
            if extent == Extent::Half {
                // As Linux does: the pages count as clean, and the disk never sees them.
                self.content(state)?.pending.clear();
                return Ok(());
            }
            let content = self.content(state)?;
            for change in std::mem::take(&mut content.pending) {
                apply(&mut content.durable, &change);
            }
            Ok(())
        })
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.run(Operation::Preallocate, |state, _| {
            let old = self.content(state)?.current.len() as u64;
            if length <= old {
                return Ok(());
            }
            self.change(state, Change::Resize { length })
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.run(Operation::Truncate, |state, _| {
            self.change(state, Change::Resize { length })
        })
    }

    fn length(&self) -> io::Result<u64> {
        self.run(Operation::Length, |state, _| {
            Ok(self.content(state)?.current.len() as u64)
        })
    }
}
