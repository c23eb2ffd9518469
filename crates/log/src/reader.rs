//! Random access to records, from any thread, while the log grows.
//!
//! **Invariant.** Whatever a reader returns has passed its record's checksum. It knows positions only: which of them are
//! committed is the caller's knowledge, gathered from recovery and from [`crate::Log`]'s answers.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::error::LogError;
use crate::frame::{RECORD_PREFIX, check_record};
use crate::log::Head;
use crate::record::{Chunk, Commit, Payload, Position, Record, SegmentId, decode};
use crate::scan::{self, Entry};
use crate::vfs::{File, FileSystem, OpenMode};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Reads records at positions. Cheap to clone; clones share the open files.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

struct Shared {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    files: Mutex<BTreeMap<SegmentId, Arc<dyn File>>>,
}

/// Files kept open; more are opened again when they are asked for.
const OPEN_FILES: usize = 256;

impl Reader {
    /// A reader of the log in `dir`. Opens nothing yet.
    pub fn new(fs: Arc<dyn FileSystem>, dir: &Path) -> Reader {
        let files = Mutex::new(BTreeMap::new());
        Reader {
            shared: Arc::new(Shared {
                fs,
                dir: dir.to_owned(),
                files,
            }),
        }
    }

    /// The record at `position`: one read of the file.
    pub fn read(&self, position: Position) -> Result<Record, LogError> {
        let body = self.read_body(position)?;
        decode(body)
            .map_err(|what| LogError::damaged(&self.path(position.segment), position.offset, what))
    }

    /// The chunk at `position`, which must be a chunk's.
    pub fn read_chunk(&self, position: Position) -> Result<Chunk, LogError> {
        match self.read(position)? {
            Record::Chunk(chunk) => Ok(chunk),
            _ => Err(LogError::damaged(
                &self.path(position.segment),
                position.offset,
                "no chunk where one should be",
            )),
        }
    }

    /// The commit at `position`, which must be a commit's.
    pub fn read_commit(&self, position: Position) -> Result<Commit, LogError> {
        match self.read(position)? {
            Record::Commit(commit) => Ok(commit),
            _ => Err(LogError::damaged(
                &self.path(position.segment),
                position.offset,
                "no commit where one should be",
            )),
        }
    }

    /// All changes of `commit` in their order, one payload at a time: first its chunks, read as the iterator gets to
    /// them, then its own payloads.
    pub fn payloads<'a>(
        &'a self,
        commit: &'a Commit,
    ) -> impl Iterator<Item = Result<Payload, LogError>> + 'a {
        let chunks = commit
            .chunks
            .iter()
            .map(|chunk| Ok(self.read_chunk(chunk.position)?.payload));
        chunks.chain(commit.payloads.iter().cloned().map(Ok))
    }

    /// Visits every commit up to `up_to`, in order, from the log's beginning, and checks all that was written before it:
    /// checksums, hash chain, chunks. There must be a commit at `up_to` or later, so that a log that grows meanwhile is read
    /// no further than what is durable.
    pub fn commits(
        &self,
        up_to: u64,
        visitor: &mut dyn FnMut(Position, Commit) -> Result<(), Failure>,
    ) -> Result<(), LogError> {
        self.entries(&mut |entry| {
            let Record::Commit(commit) = entry.record else {
                return Ok(ControlFlow::Continue(()));
            };
            let timestamp = commit.timestamp;
            if timestamp <= up_to {
                visitor(entry.position, commit)?;
            }
            Ok(match timestamp < up_to {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })
    }

    /// Visits every record but chunks, in order, from the log's beginning until the visitor breaks off, and checks all that
    /// was written before it: checksums, hash chain, chunks. A log that grows meanwhile must be broken off at a record that is
    /// known to be durable.
    pub fn entries(
        &self,
        visitor: &mut dyn FnMut(Entry) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), LogError> {
        let Shared { fs, dir, .. } = &*self.shared;
        let mut broken_off = false;
        let scanned = scan::scan(&**fs, dir, self, None, None, &mut |_, entry| {
            match visitor(entry)? {
                ControlFlow::Continue(()) => Ok(()),
                // The scan ends with an error that nobody sees.
                ControlFlow::Break(()) => {
                    broken_off = true;
                    Err("broken off".into())
                }
            }
        });
        match scanned {
            Err(LogError::Visitor(_)) if broken_off => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Whether the log, all of which is read and checked, once had this head: then nothing up to it has changed. It must
    /// not grow meanwhile.
    pub fn contains(&self, head: Head) -> Result<bool, LogError> {
        let Shared { fs, dir, .. } = &*self.shared;
        let scan = scan::scan(&**fs, dir, self, None, Some(head), &mut |_, _| Ok(()))?;
        Ok(scan.met)
    }

    fn read_body(&self, position: Position) -> Result<Bytes, LogError> {
        let file = self.file(position.segment)?;
        let path = || self.path(position.segment);
        // A position that is not ours must not make us reserve more than the file has.
        let length = file
            .length()
            .map_err(|error| LogError::io("read", &path(), error))?;
        let end = position.offset.checked_add(u64::from(position.length));
        if end.is_none_or(|end| end > length) || (position.length as usize) < RECORD_PREFIX {
            return Err(LogError::damaged(
                &path(),
                position.offset,
                "a record should be here, and the file ends",
            ));
        }
        let mut buffer = vec![0; position.length as usize];
        let count = file
            .read_at(&mut buffer, position.offset)
            .map_err(|error| LogError::io("read", &path(), error))?;
        let body = check_record(&buffer[..count])
            .map_err(|what| LogError::damaged(&path(), position.offset, what))?;
        Ok(Bytes::from(buffer).slice(RECORD_PREFIX..RECORD_PREFIX + body))
    }

    /// The file of a segment, open for reading.
    pub(crate) fn file(&self, segment: SegmentId) -> Result<Arc<dyn File>, LogError> {
        let mut files = self.shared.files.lock();
        if let Some(file) = files.get(&segment) {
            return Ok(file.clone());
        }
        let path = self.path(segment);
        let file = self
            .shared
            .fs
            .open(&path, OpenMode::Read)
            .map_err(|error| LogError::io("open", &path, error))?;
        if files.len() >= OPEN_FILES {
            // Old segments are read rarely, and the newest always stays.
            files.pop_first();
        }
        files.insert(segment, file.clone());
        Ok(file)
    }

    pub(crate) fn path(&self, segment: SegmentId) -> PathBuf {
        segment_path(&self.shared.dir, segment)
    }
}

/// The file of a segment of the log in `dir`.
pub(crate) fn segment_path(dir: &Path, segment: SegmentId) -> PathBuf {
    dir.join(format!("{:020}.log", segment.0))
}

/// The segment that a file name stands for, if it is one's.
pub(crate) fn segment_of(name: &str) -> Option<SegmentId> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(SegmentId)
}
