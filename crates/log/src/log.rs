//! The open log: recovery on opening, group commit when appending.
//!
//! **Invariant.** The writer's state (end, sequence, chain) moves only after the bytes that it describes were written, and
//! for commits and leases only after they were synced. An append that fails for lack of room leaves state and disk as
//! they were; one that fails in any other way after touching a segment poisons the log. One mutex orders all appends;
//! readers never take it.
//!
//! **Room ahead.** A segment is preallocated whole before it gets its name, so that a full disk shows before a record
//! is written. Small frames go into bytes that were zeroed ahead: a sync after writing into written blocks changes no
//! extents of the file and takes half the time (measured: 0.10 against 0.23 ms).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::LogError;
use crate::frame::{
    ChainHash, FRAME_HEADER, FRAME_LIMIT, FrameBuilder, RECORD_PREFIX, SEGMENT_HEADER,
    SegmentHeader,
};
use crate::reader::{Reader, segment_path};
use crate::record::{self, Commit, Position, Record, SegmentId};
use crate::scan::{Recovery, Scan, SetAside, Start, Tail, Visitor, scan, take_chunks};
use crate::vfs::{File, FileLock, FileSystem, OpenMode};

/// How the log is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes of a segment; a larger frame gets a segment of its own size. 64 MiB.
    pub segment_size: u64,
    /// Chunks are synced on their own once this many bytes of them wait, so that a commit's sync stays short. 8 MiB.
    pub chunk_sync: u64,
    /// Bytes zeroed ahead of small frames. 1 MiB; 0 turns it off.
    pub zero_ahead: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_size: 64 << 20,
            chunk_sync: 8 << 20,
            zero_ahead: 1 << 20,
        }
    }
}

/// The newest record's sequence number and chain hash: what to keep elsewhere to prove later that no history was
/// rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Records in the log, from the first ever.
    pub sequence: u64,
    /// The hash over all of them.
    pub chain: ChainHash,
}

impl std::fmt::Display for Head {
    /// The sequence number, a colon, the hash in hexadecimal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.sequence, self.chain)
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Head, String> {
        let malformed = || format!("{text:?} is not a number, a colon and 64 hexadecimal digits");
        let (sequence, hex) = text.split_once(':').ok_or_else(malformed)?;
        let mut chain = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(malformed());
        }
        for (at, byte) in chain.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).map_err(|_| malformed())?;
        }
        Ok(Head {
            sequence: sequence.parse().map_err(|_| malformed())?,
            chain: ChainHash(chain),
        })
    }
}

/// The log of one folder, open for appending. Share it by reference or `Arc`: every method takes `&self`.
pub struct Log {
    writer: Mutex<Writer>,
    reader: Reader,
    dir: PathBuf,
    // Released when the log is dropped, or by the end of the process.
    _lock: Box<dyn FileLock>,
}

struct Writer {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    options: Options,
    segment: Segment,
    /// Sequence number of the next record.
    sequence: u64,
    chain: ChainHash,
    /// Every record below is synced.
    durable: u64,
    /// Bytes written since the last sync.
    unsynced: u64,
    /// The newest commit's timestamp or lease, whichever is higher.
    floor: u64,
    /// Chunks that wait for their commit, by position: transaction and collection.
    chunks: BTreeMap<Position, (u64, u64)>,
    frame: FrameBuilder,
    /// Why no more may be written.
    poison: Option<String>,
}

struct Segment {
    id: SegmentId,
    number: u64,
    seed: u32,
    path: PathBuf,
    file: Arc<dyn File>,
    /// Where the next frame goes.
    end: u64,
    /// Preallocated bytes.
    size: u64,
    /// Bytes below are written, with frames or zeroes.
    zeroed: u64,
}

/// A segment's file before it is whole and gets its name.
const UNFINISHED: &str = "segment.unfinished";

impl Log {
    /// Opens the log in `dir`, creating folder and log if they are not there. Every commit, lease, checkpoint and base,
    /// from `start` on if it is given and there, goes to `visitor` in order; a torn tail is moved to a `damaged-...` file
    /// beside and reported.
    ///
    /// Errors: [`LogError::Locked`] if another process has it; [`LogError::Damaged`] for damage before the tail;
    /// [`LogError::DiskFull`] if there is no room for a segment or for saving a torn tail; nothing is lost by any.
    pub fn open(
        fs: Arc<dyn FileSystem>,
        dir: &Path,
        options: Options,
        start: Option<Start>,
        visitor: &mut Visitor<'_>,
    ) -> Result<(Log, Recovery), LogError> {
        fs.create_dir_all(dir)
            .map_err(|error| LogError::write("create", dir, 0, error))?;
        let lock = take_lock(&*fs, dir)?;
        let reader = Reader::new(fs.clone(), dir);
        let mut found = scan(&*fs, dir, &reader, start, None, visitor)?;
        let segment = match &found.tail {
            Some(tail) => repair_tail(&*fs, dir, &reader, tail, &mut found.recovery)?,
            None => create_segment(&*fs, dir, options.segment_size, first_header())?,
        };
        let recovery = found.recovery.clone();
        let writer = Mutex::new(Writer::new(fs, dir, options, segment, &found));
        let log = Log {
            writer,
            reader,
            dir: dir.to_owned(),
            _lock: lock,
        };
        Ok((log, recovery))
    }

    /// Appends a part of a large transaction; it is durable once a commit that names it is. Id and collection come
    /// back with the position in [`crate::ChunkRef`]s.
    pub fn append_chunk(
        &self,
        transaction: u64,
        collection: u64,
        bytes: &[u8],
    ) -> Result<Position, LogError> {
        self.writer
            .lock()
            .append_chunk(transaction, collection, bytes)
    }

    /// Forgets the chunks of a transaction that was rolled back. They stay in the log without effect.
    pub fn abandon(&self, transaction: u64) {
        self.writer
            .lock()
            .chunks
            .retain(|_, &mut (owner, _)| owner != transaction);
    }

    /// Appends a group of transactions, in ascending order of timestamp, with one write and one sync. When it returns,
    /// all of them are durable; after an error none was acknowledged, and after [`LogError::DiskFull`],
    /// [`LogError::TooLarge`] and [`LogError::OutOfOrder`] none of them is in the log.
    pub fn append_commits(&self, commits: &[Commit]) -> Result<Vec<Position>, LogError> {
        self.writer.lock().append_commits(commits)
    }

    /// Appends a durable promise that no commit at or below `bound` (microseconds) will follow; later commits are held
    /// to it.
    pub fn append_lease(&self, bound: u64) -> Result<Position, LogError> {
        let mut writer = self.writer.lock();
        let position = writer.append_record(&Record::Lease(bound))?;
        writer.floor = writer.floor.max(bound);
        Ok(position)
    }

    /// Appends a checkpoint of digests, synced.
    pub fn append_checkpoint(&self, bytes: bytes::Bytes) -> Result<Position, LogError> {
        self.writer.lock().append_record(&Record::Checkpoint(bytes))
    }

    /// Appends a base, synced, as the first record of a new segment, so that the segments before it can be removed.
    pub fn append_base(&self, bytes: bytes::Bytes) -> Result<Position, LogError> {
        let mut writer = self.writer.lock();
        writer.check_usable()?;
        writer.sync()?;
        writer.roll(0)?;
        writer.append_record(&Record::Base(bytes))
    }

    /// A reader that goes on working while the log grows, and after it was poisoned.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// The newest record's sequence number and chain hash.
    pub fn head(&self) -> Head {
        let writer = self.writer.lock();
        Head {
            sequence: writer.sequence - 1,
            chain: writer.chain,
        }
    }

    /// What the next commit's timestamp has to be above: the newest commit or lease, in microseconds.
    pub fn floor(&self) -> u64 {
        self.writer.lock().floor
    }

    /// Why the log takes no more writes, if it does not.
    pub fn poisoned(&self) -> Option<String> {
        self.writer.lock().poison.clone()
    }

    /// The log's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Writer {
    fn new(
        fs: Arc<dyn FileSystem>,
        dir: &Path,
        options: Options,
        segment: Segment,
        found: &Scan,
    ) -> Writer {
        Writer {
            fs,
            dir: dir.to_owned(),
            options,
            segment,
            sequence: found.sequence,
            chain: found.chain,
            durable: found.sequence,
            unsynced: 0,
            floor: found.recovery.last_timestamp.max(found.recovery.lease),
            // Transactions of an earlier life can not commit any more.
            chunks: BTreeMap::new(),
            frame: FrameBuilder::new(),
            poison: None,
        }
    }

    fn append_chunk(
        &mut self,
        transaction: u64,
        collection: u64,
        bytes: &[u8],
    ) -> Result<Position, LogError> {
        self.check_usable()?;
        check_size((RECORD_PREFIX + 17 + bytes.len()) as u64)?;
        self.frame.begin(self.chain);
        let (at, length) = self
            .frame
            .push(|out| record::encode_chunk(transaction, collection, bytes, out));
        let start = self.write_frame()?;
        let position = Position {
            segment: self.segment.id,
            offset: start + at,
            length,
        };
        self.chunks.insert(position, (transaction, collection));
        if self.unsynced >= self.options.chunk_sync {
            self.sync()?;
        }
        Ok(position)
    }

    fn append_commits(&mut self, commits: &[Commit]) -> Result<Vec<Position>, LogError> {
        self.check_usable()?;
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        self.check_order(commits)?;
        check_size(
            commits
                .iter()
                .map(|commit| RECORD_PREFIX as u64 + record::commit_length(commit))
                .sum(),
        )?;
        self.check_chunks(commits)?;
        self.frame.begin(self.chain);
        let mut places = Vec::with_capacity(commits.len());
        for commit in commits {
            places.push(self.frame.push(|out| record::encode_commit(commit, out)));
        }
        let start = self.write_frame()?;
        self.sync()?;
        for commit in commits {
            self.floor = commit.timestamp;
            for chunk in &commit.chunks {
                self.chunks.remove(&chunk.position);
            }
        }
        let segment = self.segment.id;
        Ok(places
            .into_iter()
            .map(|(at, length)| Position {
                segment,
                offset: start + at,
                length,
            })
            .collect())
    }

    fn append_record(&mut self, record: &Record) -> Result<Position, LogError> {
        self.check_usable()?;
        if let Record::Checkpoint(bytes) | Record::Base(bytes) = record {
            check_size((RECORD_PREFIX + 1 + bytes.len()) as u64)?;
        }
        self.frame.begin(self.chain);
        let (at, length) = self.frame.push(|out| record::encode(record, out));
        let start = self.write_frame()?;
        self.sync()?;
        Ok(Position {
            segment: self.segment.id,
            offset: start + at,
            length,
        })
    }

    fn check_usable(&self) -> Result<(), LogError> {
        match &self.poison {
            Some(cause) => Err(LogError::Poisoned {
                cause: cause.clone(),
            }),
            None => Ok(()),
        }
    }

    fn check_order(&self, commits: &[Commit]) -> Result<(), LogError> {
        let mut floor = self.floor;
        for commit in commits {
            if commit.timestamp <= floor {
                return Err(LogError::OutOfOrder {
                    timestamp: commit.timestamp,
                    floor,
                });
            }
            floor = commit.timestamp;
        }
        Ok(())
    }

    /// A commit that names a chunk which is not its own would make the log unreadable for ever.
    fn check_chunks(&self, commits: &[Commit]) -> Result<(), LogError> {
        let named = commits.iter().flat_map(|commit| &commit.chunks);
        let mut waiting: BTreeMap<Position, (u64, u64)> = named
            .filter_map(|chunk| {
                self.chunks
                    .get(&chunk.position)
                    .map(|&owner| (chunk.position, owner))
            })
            .collect();
        for commit in commits {
            take_chunks(&mut waiting, commit).map_err(|what| LogError::UnknownChunk { what })?;
        }
        Ok(())
    }

    /// Writes the frame that was built, and moves on behind it. Gives its offset. Nothing is synced.
    fn write_frame(&mut self) -> Result<u64, LogError> {
        let length = self.frame.length();
        if self.segment.end + length > self.segment.size {
            self.sync()?;
            self.roll(length)?;
        }
        self.zero_ahead(length)?;
        let offset = self.segment.end;
        let bytes = self
            .frame
            .finish(self.sequence, self.durable, self.segment.seed, offset);
        if let Err(error) = self.segment.file.write_all_at(bytes, offset) {
            return Err(self.write_failed(length, error));
        }
        self.segment.end += length;
        self.segment.zeroed = self.segment.zeroed.max(self.segment.end);
        self.sequence += u64::from(self.frame.records());
        self.chain = self.frame.chain();
        self.unsynced += length;
        Ok(offset)
    }

    /// A write that ran out of space (some file systems reserve nothing) is tried again at the same place, so that the
    /// part of it that is there does no harm. Any other failure is final.
    fn write_failed(&mut self, bytes: u64, error: std::io::Error) -> LogError {
        let error = LogError::write("write to", &self.segment.path, bytes, error);
        if !matches!(error, LogError::DiskFull { .. }) {
            self.poison = Some(error.to_string());
        }
        error
    }

    fn zero_ahead(&mut self, length: u64) -> Result<(), LogError> {
        let ahead = self.options.zero_ahead;
        // A frame of that size gains nothing: its own writing costs more than the extents.
        if length * 4 >= ahead || self.segment.end + length <= self.segment.zeroed {
            return Ok(());
        }
        let from = self.segment.zeroed;
        let to = (self.segment.end + ahead).min(self.segment.size);
        let zeroes = vec![0; (to - from) as usize];
        if let Err(error) = self.segment.file.write_all_at(&zeroes, from) {
            return Err(self.write_failed(to - from, error));
        }
        self.segment.zeroed = to;
        Ok(())
    }

    /// Makes everything written so far durable. A failure is final: what is on disk is unknown, and the system may
    /// report a second try as a success although the first one's pages are gone.
    fn sync(&mut self) -> Result<(), LogError> {
        if self.durable == self.sequence {
            return Ok(());
        }
        if let Err(error) = self.segment.file.sync_data() {
            let error = LogError::io("sync", &self.segment.path, error);
            self.poison = Some(error.to_string());
            return Err(error);
        }
        self.durable = self.sequence;
        self.unsynced = 0;
        Ok(())
    }

    /// Goes on in a new segment with room for `length` bytes. What was written before must be synced.
    fn roll(&mut self, length: u64) -> Result<(), LogError> {
        let size = self
            .options
            .segment_size
            .max(SEGMENT_HEADER as u64 + length);
        let header = SegmentHeader {
            number: self.segment.number + 1,
            first_sequence: self.sequence,
            chain: self.chain,
        };
        if self.sequence == self.segment.id.0 {
            // Nothing was written to this one yet: its number and name stay, and its size grows.
            return self.grow(size);
        }
        let next = match create_segment(&*self.fs, &self.dir, size, header) {
            Ok(next) => next,
            Err(error) => {
                if !matches!(error, LogError::DiskFull { .. }) {
                    self.poison = Some(error.to_string());
                }
                return Err(error);
            }
        };
        // Give back what the old segment did not use. It is a courtesy to the disk: recovery does not need it.
        if let Err(error) = self.segment.file.truncate(self.segment.end) {
            tracing::warn!(path = %self.segment.path.display(), %error, "cannot give back a segment's unused bytes");
        }
        self.segment = next;
        Ok(())
    }

    fn grow(&mut self, size: u64) -> Result<(), LogError> {
        if size > self.segment.size {
            if let Err(error) = self.segment.file.preallocate(size) {
                return Err(LogError::write(
                    "enlarge",
                    &self.segment.path,
                    size - self.segment.size,
                    error,
                ));
            }
            self.segment.size = size;
        }
        Ok(())
    }
}

fn check_size(bytes: u64) -> Result<(), LogError> {
    let limit = FRAME_LIMIT - FRAME_HEADER as u64;
    if bytes > limit {
        Err(LogError::TooLarge { bytes, limit })
    } else {
        Ok(())
    }
}

fn take_lock(fs: &dyn FileSystem, dir: &Path) -> Result<Box<dyn FileLock>, LogError> {
    let path = dir.join("lock");
    fs.lock(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => LogError::Locked {
            dir: dir.to_owned(),
        },
        _ => LogError::write("lock", &path, 0, error),
    })
}

fn first_header() -> SegmentHeader {
    SegmentHeader {
        number: 1,
        first_sequence: 1,
        chain: ChainHash::genesis(),
    }
}

/// Makes a segment under a passing name, whole and synced, and then gives it its own: a segment's file is never seen
/// without its header.
fn create_segment(
    fs: &dyn FileSystem,
    dir: &Path,
    size: u64,
    header: SegmentHeader,
) -> Result<Segment, LogError> {
    let unfinished = dir.join(UNFINISHED);
    let id = SegmentId(header.first_sequence);
    let path = segment_path(dir, id);
    let file = fill_segment(fs, &unfinished, size, &header).inspect_err(|_| {
        // If this fails too, the next segment replaces the file.
        if let Err(error) = fs.remove(&unfinished) {
            tracing::debug!(%error, "an unfinished segment stays until the next one");
        }
    })?;
    fs.rename(&unfinished, &path)
        .map_err(|error| LogError::io("rename", &unfinished, error))?;
    fs.sync_dir(dir)
        .map_err(|error| LogError::io("sync", dir, error))?;
    let (number, seed) = (header.number, header.seed());
    let end = SEGMENT_HEADER as u64;
    Ok(Segment {
        id,
        number,
        seed,
        path,
        file,
        end,
        size,
        zeroed: end,
    })
}

fn fill_segment(
    fs: &dyn FileSystem,
    path: &Path,
    size: u64,
    header: &SegmentHeader,
) -> Result<Arc<dyn File>, LogError> {
    let file = fs
        .open(path, OpenMode::Create)
        .map_err(|error| LogError::write("create", path, size, error))?;
    file.preallocate(size)
        .map_err(|error| LogError::write("preallocate", path, size, error))?;
    file.write_all_at(&header.encode(), 0)
        .map_err(|error| LogError::write("write to", path, size, error))?;
    file.sync_data()
        .map_err(|error| LogError::write("sync", path, size, error))?;
    Ok(file)
}

/// Opens the last segment for writing: saves and clears a torn tail, and makes durable what may not be.
fn repair_tail(
    fs: &dyn FileSystem,
    dir: &Path,
    reader: &Reader,
    tail: &Tail,
    recovery: &mut Recovery,
) -> Result<Segment, LogError> {
    let path = reader.path(tail.id);
    let file = fs
        .open(&path, OpenMode::Write)
        .map_err(|error| LogError::io("open", &path, error))?;
    if let Some(torn) = &mut recovery.set_aside {
        torn.saved_as = Some(save_tail(fs, dir, &*file, tail, torn)?);
        file.truncate(tail.end)
            .map_err(|error| LogError::io("cut", &path, error))?;
    }
    rewrite(&*file, &path, tail.durable, tail.end)?;
    let size = tail.length.max(tail.end);
    file.preallocate(size)
        .map_err(|error| LogError::write("preallocate", &path, size - tail.end, error))?;
    file.sync_data()
        .map_err(|error| LogError::io("sync", &path, error))?;
    // A name that was given just before a crash may not be durable yet.
    fs.sync_dir(dir)
        .map_err(|error| LogError::io("sync", dir, error))?;
    Ok(Segment {
        id: tail.id,
        number: tail.header.number,
        seed: tail.header.seed(),
        path,
        file,
        end: tail.end,
        size,
        zeroed: tail.end,
    })
}

/// Writes the last frames once more. After a failed sync the system may hold pages that it takes for clean although
/// the disk never saw them: a sync alone would not write those.
fn rewrite(file: &dyn File, path: &Path, from: u64, to: u64) -> Result<(), LogError> {
    let mut buffer = vec![0; (to - from).min(1 << 20) as usize];
    let mut at = from;
    while at < to {
        let count = buffer.len().min((to - at) as usize);
        let read = file
            .read_at(&mut buffer[..count], at)
            .map_err(|error| LogError::io("read", path, error))?;
        if read == 0 {
            return Err(LogError::damaged(
                path,
                at,
                "the file became shorter while it was read",
            ));
        }
        file.write_all_at(&buffer[..read], at)
            .map_err(|error| LogError::write("write to", path, read as u64, error))?;
        at += read as u64;
    }
    Ok(())
}

/// Copies a torn tail to a file of its own, synced, and gives the file's path.
fn save_tail(
    fs: &dyn FileSystem,
    dir: &Path,
    file: &dyn File,
    tail: &Tail,
    torn: &SetAside,
) -> Result<PathBuf, LogError> {
    let names = fs
        .list(dir)
        .map_err(|error| LogError::io("list", dir, error))?;
    let stem = format!("damaged-{:020}-{}", tail.id.0, torn.offset);
    // An earlier tear at the same place keeps its file.
    let name = (0u32..)
        .map(|count| format!("{stem}-{count}.bin"))
        .find(|name| !names.contains(name));
    let path = dir.join(name.unwrap_or(stem));
    let save = fs
        .open(&path, OpenMode::Create)
        .map_err(|error| LogError::write("create", &path, torn.bytes, error))?;
    let mut buffer = vec![0; torn.bytes.min(1 << 20) as usize];
    let mut done = 0;
    while done < torn.bytes {
        let count = buffer.len().min((torn.bytes - done) as usize);
        let read = file
            .read_at(&mut buffer[..count], torn.offset + done)
            .map_err(|error| LogError::io("read", &torn.path, error))?;
        if read == 0 {
            break;
        }
        save.write_all_at(&buffer[..read], done)
            .map_err(|error| LogError::write("write to", &path, torn.bytes, error))?;
        done += read as u64;
    }
    save.sync_data()
        .map_err(|error| LogError::write("sync", &path, torn.bytes, error))?;
    fs.sync_dir(dir)
        .map_err(|error| LogError::io("sync", dir, error))?;
    tracing::warn!(segment = %torn.path.display(), offset = torn.offset, bytes = torn.bytes,
        saved_as = %path.display(), "the log's last write was torn; its bytes were set aside");
    Ok(path)
}
