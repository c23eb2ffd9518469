//! fjall behind a narrow interface: get, range, ingest. Sorted runs of our own can take its place.
//!
//! **Invariant.** Everything is written through batch ingestion: one ascending pass that takes effect as a whole or not at
//! all, with the manifest (what the store is complete up to) as its first entry. So no entry needs to be idempotent: a
//! crash leaves the old entries with the old manifest, or the new with the new. fjall asserts and expects in many places
//! where bytes on disk are wrong; its panics become [`StoreError::Damaged`] here and nowhere else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, Readable, Snapshot, UserKey, UserValue};

use crate::error::StoreError;

/// The manifest's key: shorter than any stored key, and below all of them.
const MANIFEST: &[u8] = &[0; 4];

/// Raised when keys, histories or manifest change; an older store is built anew.
const FORMAT: u32 = 2;

/// Up to where the store on disk is complete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Manifest {
    /// Every change up to this time is here.
    pub complete: u64,
    /// Changes after `complete` may be here too: a flush came in the middle of a large transaction.
    pub partial: bool,
    /// The earliest readable time.
    pub since: u64,
    /// What the caller wants back with `complete`.
    pub mark: Vec<u8>,
}

impl Manifest {
    fn encode(&self) -> Vec<u8> {
        let mut out = FORMAT.to_le_bytes().to_vec();
        out.extend_from_slice(&self.complete.to_le_bytes());
        out.extend_from_slice(&self.since.to_le_bytes());
        out.push(u8::from(self.partial));
        out.extend_from_slice(&self.mark);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Manifest> {
        let (format, rest) = bytes.split_first_chunk::<4>()?;
        let (complete, rest) = rest.split_first_chunk::<8>()?;
        let (since, rest) = rest.split_first_chunk::<8>()?;
        let (partial, mark) = rest.split_first()?;
        if u32::from_le_bytes(*format) != FORMAT {
            return None;
        }
        let (complete, since) = (u64::from_le_bytes(*complete), u64::from_le_bytes(*since));
        Some(Manifest {
            complete,
            partial: *partial != 0,
            since,
            mark: mark.to_vec(),
        })
    }
}

/// The store's files.
pub(crate) struct Disk {
    path: PathBuf,
    database: Database,
    keyspace: Keyspace,
}

/// The files as they were at one moment.
#[derive(Clone)]
pub(crate) struct DiskView {
    keyspace: Keyspace,
    snapshot: Snapshot,
}

/// A file beside the store's folder that asks for a new one.
fn rebuild_marker(path: &Path) -> PathBuf {
    path.with_extension("rebuild")
}

impl Disk {
    /// Opens the files in `path`. When they are missing, damaged, or of another format, it starts empty ones.
    pub fn open(path: &Path, cache_bytes: u64) -> Result<(Disk, Manifest), StoreError> {
        if rebuild_marker(path).exists() {
            Disk::remove(path)?;
        }
        match Disk::open_existing(path, cache_bytes) {
            Ok((disk, Some(manifest))) => return Ok((disk, manifest)),
            Ok((disk, None)) if disk.is_empty() => return Ok((disk, Manifest::default())),
            Ok((disk, None)) => {
                tracing::warn!(path = %path.display(), "the store's manifest is missing; building it anew");
                drop(disk);
            }
            Err(StoreError::Damaged(what)) => {
                tracing::warn!(path = %path.display(), what, "the store is damaged; building it anew");
            }
            Err(error) => return Err(error),
        }
        Disk::remove(path)?;
        let (disk, manifest) = Disk::open_existing(path, cache_bytes)?;
        Ok((disk, manifest.unwrap_or_default()))
    }

    /// Removes the files of a store that is not open.
    pub fn remove(path: &Path) -> Result<(), StoreError> {
        match std::fs::remove_dir_all(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(from_io(&error, path)),
        }
        match std::fs::remove_file(rebuild_marker(path)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(from_io(&error, path))
            }
            _ => Ok(()),
        }
    }

    fn open_existing(
        path: &Path,
        cache_bytes: u64,
    ) -> Result<(Disk, Option<Manifest>), StoreError> {
        guarded(path, || {
            let database = Database::builder(path)
                .cache_size(cache_bytes)
                .worker_threads(1)
                .open()?;
            let keyspace = database.keyspace("rows", || {
                KeyspaceCreateOptions::default().max_memtable_size(1 << 20)
            })?;
            // Through a snapshot, as everything else is read: after the loss of its journal fjall's snapshots are older
            // than its files, and show nothing.
            let manifest = database.snapshot().get(&keyspace, MANIFEST)?;
            let disk = Disk {
                path: path.to_owned(),
                database,
                keyspace,
            };
            Ok((disk, manifest.and_then(|bytes| Manifest::decode(&bytes))))
        })
    }

    fn is_empty(&self) -> bool {
        guarded(&self.path, || self.keyspace.is_empty()).unwrap_or(false)
    }

    /// The files as they are now.
    pub fn view(&self) -> DiskView {
        DiskView {
            keyspace: self.keyspace.clone(),
            snapshot: self.database.snapshot(),
        }
    }

    /// About how many keys there are.
    pub fn approximate_keys(&self) -> u64 {
        self.keyspace.approximate_len() as u64
    }

    /// Writes what `fill` puts, in strictly ascending order of stored key, and the manifest, as one step.
    pub fn ingest(
        &self,
        manifest: &Manifest,
        fill: impl FnOnce(&mut Ingest<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let path = &self.path;
        let mut session = guarded(path, || {
            let mut session = self.keyspace.start_ingestion()?;
            session.write(MANIFEST, manifest.encode())?;
            Ok(session)
        })?;
        // The session's type has no public name, hence the closure.
        fill(&mut Ingest {
            write: &mut |stored, history| {
                guarded(path, || match history {
                    Some(history) => session.write(UserKey::from(stored), UserValue::from(history)),
                    None => session.write_tombstone(UserKey::from(stored)),
                })
            },
        })?;
        guarded(path, || session.finish())
    }

    /// Asks the next open for an empty store.
    pub fn request_rebuild(&self) {
        let marker = rebuild_marker(&self.path);
        if let Err(error) = std::fs::write(&marker, b"") {
            tracing::error!(path = %marker.display(), %error, "cannot mark the store for being built anew");
        }
    }
}

/// Writes a history, or removes a key.
type Write<'a> = dyn FnMut(&[u8], Option<&[u8]>) -> Result<(), StoreError> + 'a;

/// An ingestion under way.
pub(crate) struct Ingest<'a> {
    write: &'a mut Write<'a>,
}

impl Ingest<'_> {
    /// The history of a key, in place of the one before.
    pub fn put(&mut self, stored: &[u8], history: &[u8]) -> Result<(), StoreError> {
        (self.write)(stored, Some(history))
    }

    /// Removes a key.
    pub fn remove(&mut self, stored: &[u8]) -> Result<(), StoreError> {
        (self.write)(stored, None)
    }
}

impl DiskView {
    /// The history of one stored key.
    pub fn get(&self, stored: &[u8]) -> Result<Option<UserValue>, StoreError> {
        guarded(self.keyspace.path(), || {
            self.snapshot.get(&self.keyspace, stored)
        })
    }

    /// Stored keys from `start` to before `end`, ascending, with their histories.
    pub fn range(&self, start: &[u8], end: &[u8]) -> Result<DiskRange, StoreError> {
        let path = self.keyspace.path();
        let iter = guarded(path, || Ok(self.snapshot.range(&self.keyspace, start..end)))?;
        Ok(DiskRange {
            iter,
            path: path.to_owned(),
        })
    }
}

/// An ascending pass over stored keys.
pub(crate) struct DiskRange {
    iter: fjall::Iter,
    path: PathBuf,
}

impl Iterator for DiskRange {
    type Item = Result<(UserKey, UserValue), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        guarded(&self.path, || {
            self.iter.next().map(|guard| guard.into_inner()).transpose()
        })
        .transpose()
    }
}

/// Runs a call into fjall: its errors and panics become ours.
fn guarded<T>(path: &Path, call: impl FnOnce() -> fjall::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(from_fjall(&error, path)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(StoreError::Damaged(format!("{}: {text}", path.display())))
        }
    }
}

fn from_fjall(error: &fjall::Error, path: &Path) -> StoreError {
    match error {
        fjall::Error::Locked => StoreError::Locked(path.to_owned()),
        fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => from_io(io, path),
        other => StoreError::Damaged(format!("{}: {other}", path.display())),
    }
}

fn from_io(error: &std::io::Error, path: &Path) -> StoreError {
    use std::io::ErrorKind;
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::DiskFull(text),
        // What a file that was cut, emptied or removed looks like to its reader; and a missing version file makes fjall
        // start anew over what is there.
        ErrorKind::AlreadyExists
        | ErrorKind::UnexpectedEof
        | ErrorKind::InvalidData
        | ErrorKind::InvalidInput
        | ErrorKind::NotFound => StoreError::Damaged(text),
        _ => StoreError::Io(text),
    }
}
