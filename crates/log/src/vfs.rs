//! The file system as the log sees it: few operations, each of which a test can make fail.
//!
//! **Invariant.** No other module of this crate touches `std::fs`. What an operation promises is stated on the trait,
//! and both implementations keep it. This module knows nothing of segments or records.

mod fault;
mod real;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use fault::{Fault, FaultFs, Loss, Operation};
pub use real::RealFs;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    Write,
    /// For reading and writing; created empty, replacing a file of that name.
    Create,
}

/// Files and folders. Every method may fail with any error of the operating system.
pub trait FileSystem: Send + Sync + 'static {
    /// Creates `dir` and what is missing above it. Does nothing if it is there.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// The names of the files in `dir`, in ascending order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Opens a file. A created file is durable under its name only after [`FileSystem::sync_dir`].
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Renames a file within its folder, replacing a file of that name. Durable after [`FileSystem::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after [`FileSystem::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock file `path`, creating it, against every other process; [`io::ErrorKind::WouldBlock`] if one has
    /// it. Dropping the lock, or the end of the process, releases it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>>;
}

/// An open file. All positions are absolute, so that threads can share one.
pub trait File: Send + Sync {
    /// Reads into `buffer` from `offset` on; fewer bytes than asked for only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes what was written, and the length, durable. After an error nothing is known of what is on disk.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves room so that the file has at least `length` bytes, the new ones zero, and so that writing below
    /// `length` can not run out of space. [`io::ErrorKind::StorageFull`] if there is no room.
    fn preallocate(&self, length: u64) -> io::Result<()>;

    /// Cuts or extends (with zeroes) the file to `length` bytes.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
}

/// A lock that is held until it is dropped.
pub trait FileLock: Send + Sync {}
