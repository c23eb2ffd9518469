//! Reading the log in order, all of it or from some segment on: what recovery and verification share.
//!
//! **Invariant.** Records reach the visitor in sequence, each after its checksum and its place in the hash chain were
//! checked, and a commit only after every chunk that it names was seen, or read where it lies before the start. Memory is
//! bounded by the largest frame. Nothing is changed on disk here.
//!
//! **Starting late.** Each segment's header holds the chain hash before it, so that reading can begin at any segment.
//! What lies before is then only counted: a missing segment is noticed, a changed byte is [`verify`]'s to find.
//!
//! **Torn tail or damage.** The first frame that can not be read ends the scan. It is damage if it lies in a segment
//! that is not the last, or if a later frame's header says that it was synced (see [`crate::frame`]). Otherwise no record
//! from it on is known to have been acknowledged or synced: a torn write explains it, and it is a torn tail. That the
//! last synced frame, if damaged later, looks the same can not be helped; so its bytes are kept, never dropped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::LogError;
use crate::frame::{
    self, ALIGNMENT, ChainHash, FRAME_HEADER, FRAME_LIMIT, FrameHeader, RECORD_PREFIX, RawRecord,
    SEGMENT_HEADER, SegmentHeader,
};
use crate::log::Head;
use crate::reader::{Reader, segment_of};
use crate::record::{Commit, Position, Record, SegmentId, decode};
use crate::vfs::{File, FileSystem};

/// One record as the scan meets it. Chunks do not come by themselves: [`Reader::payloads`] reads those of a commit.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Counts records from 1, over all segments.
    pub sequence: u64,
    /// Where the record is.
    pub position: Position,
    /// The chain hash after it.
    pub chain: ChainHash,
    /// The record: a commit, a lease, a checkpoint or a base. Its byte strings share a read buffer of about 1 MiB:
    /// copy what is kept for long.
    pub record: Record,
}

/// Receives records in order. An error stops the scan with [`LogError::Visitor`].
pub type Visitor<'a> =
    dyn FnMut(&Reader, Entry) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + 'a;

/// Where to begin reading, and what is known of everything before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The first segment to read. If the log does not have it, all of the log is read.
    pub segment: SegmentId,
    /// The highest lease so far, in microseconds.
    pub lease: u64,
    /// The highest transaction id so far.
    pub transaction: u64,
}

/// What was found in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments read.
    pub segments: u64,
    /// Records of all kinds read.
    pub records: u64,
    /// Commits among them.
    pub commits: u64,
    /// Chunks that a commit named.
    pub chunks: u64,
    /// Chunks that no commit named: their transactions never committed, and they have no effect.
    pub orphan_chunks: u64,
    /// The newest commit's timestamp, in microseconds; 0 if there is none in what was read.
    pub last_timestamp: u64,
    /// The highest lease, in microseconds; 0 if there is none.
    pub lease: u64,
    /// The highest transaction id seen.
    pub last_transaction: u64,
    /// A torn tail, if there is one.
    pub set_aside: Option<SetAside>,
}

/// Bytes after the last whole frame: a write that a crash tore, or damage to the last frame, which looks the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The segment's file.
    pub path: PathBuf,
    /// Offset of the first byte.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Why they are not a frame.
    pub reason: String,
    /// Where recovery has put them; none when the log was only verified.
    pub saved_as: Option<PathBuf>,
}

/// Reads and checks the log in `dir` without changing anything: every checksum, the hash chain, and every commit's
/// chunks. A torn tail is reported, not repaired. Gives what was found and the newest chain hash.
pub fn verify(
    fs: Arc<dyn FileSystem>,
    dir: &Path,
    visitor: &mut Visitor<'_>,
) -> Result<(Recovery, ChainHash), LogError> {
    let reader = Reader::new(fs.clone(), dir);
    let scan = scan(&*fs, dir, &reader, None, None, visitor)?;
    Ok((scan.recovery, scan.chain))
}

/// The state after the last whole record.
pub(crate) struct Scan {
    pub recovery: Recovery,
    /// Sequence number of the next record.
    pub sequence: u64,
    pub chain: ChainHash,
    /// The last segment, if there is any.
    pub tail: Option<Tail>,
    /// The head that was looked for was met.
    pub met: bool,
}

/// The last segment, as found.
pub(crate) struct Tail {
    pub id: SegmentId,
    pub header: SegmentHeader,
    /// Where the next frame goes.
    pub end: u64,
    /// Frames from here to `end` may never have been synced.
    pub durable: u64,
    /// The file's length.
    pub length: u64,
}

/// Reads the segments of `dir` in order, from `start` on if that is there, and looks for a head.
pub(crate) fn scan(
    fs: &dyn FileSystem,
    dir: &Path,
    reader: &Reader,
    start: Option<Start>,
    wanted: Option<Head>,
    visitor: &mut Visitor<'_>,
) -> Result<Scan, LogError> {
    let names = fs
        .list(dir)
        .map_err(|error| LogError::io("list", dir, error))?;
    let segments: Vec<SegmentId> = names.iter().filter_map(|name| segment_of(name)).collect();
    let mut scanner = Scanner {
        reader,
        visitor,
        scan: Scan {
            recovery: Recovery::default(),
            sequence: 1,
            chain: ChainHash::genesis(),
            tail: None,
            met: false,
        },
        wanted,
        chunks: BTreeMap::new(),
        first: None,
        number: 0,
        needs_base: false,
    };
    let place = start.and_then(|start| segments.binary_search(&start.segment).ok());
    if let (Some(start), Some(before)) = (start, place.filter(|before| *before > 0)) {
        scanner.start_at(start, segments[0], before)?;
    }
    for &segment in &segments[place.unwrap_or(0)..] {
        scanner.segment(segment, Some(&segment) == segments.last())?;
    }
    let mut scan = scanner.scan;
    scan.recovery.orphan_chunks = scanner.chunks.len() as u64;
    if let (Some(start), true) = (start, scanner.first.is_some()) {
        // Commits of the first segment may be older than the lease.
        scan.recovery.lease = scan.recovery.lease.max(start.lease);
    }
    Ok(scan)
}

struct Scanner<'a, 'v> {
    reader: &'a Reader,
    visitor: &'a mut Visitor<'v>,
    scan: Scan,
    wanted: Option<Head>,
    /// Chunks that no commit has named yet, by position: transaction and collection.
    chunks: BTreeMap<Position, (u64, u64)>,
    /// The first segment that is read, if others lie before it.
    first: Option<SegmentId>,
    /// Number of the last segment.
    number: u64,
    /// The first segment was not a log's first: its first record has to be a base.
    needs_base: bool,
}

/// Why a frame could not be read: where in the file, and what is wrong.
type Unreadable = (u64, String);

impl Scanner<'_, '_> {
    /// Passes over so many segments, of which `oldest` is the first; none may be missing.
    fn start_at(&mut self, start: Start, oldest: SegmentId, before: usize) -> Result<(), LogError> {
        let header = |id| -> Result<SegmentHeader, LogError> {
            let path = self.reader.path(id);
            let mut bytes = [0; SEGMENT_HEADER];
            let read = self.reader.file(id)?.read_at(&mut bytes, 0);
            let read = read.map_err(|error| LogError::io("read", &path, error))?;
            SegmentHeader::decode(&bytes[..read], &path)
        };
        let (oldest, first) = (header(oldest)?, header(start.segment)?);
        if oldest.number + before as u64 != first.number {
            let what = format!(
                "of the segments numbered {} to {} only {before} are there",
                oldest.number,
                first.number.saturating_sub(1)
            );
            return Err(LogError::damaged(&self.reader.path(start.segment), 0, what));
        }
        self.first = Some(start.segment);
        self.number = first.number - 1;
        self.scan.sequence = first.first_sequence;
        self.scan.chain = first.chain;
        self.scan.recovery.last_transaction = start.transaction;
        Ok(())
    }

    fn segment(&mut self, id: SegmentId, last: bool) -> Result<(), LogError> {
        let path = self.reader.path(id);
        let file = self.reader.file(id)?;
        let length = file
            .length()
            .map_err(|error| LogError::io("read", &path, error))?;
        let mut window = Window::new(file, path, length);
        let header = SegmentHeader::decode(&window.get(0, SEGMENT_HEADER)?, &window.path)?;
        self.check_follows(id, &header, &window.path)?;
        self.number = header.number;
        self.scan.recovery.segments += 1;
        let seed = header.seed();
        let mut tail = Tail {
            id,
            header,
            end: SEGMENT_HEADER as u64,
            durable: SEGMENT_HEADER as u64,
            length,
        };
        // Where frames that are not yet proved durable begin: sequence and offset.
        let mut unproved: Vec<(u64, u64)> = Vec::new();
        loop {
            let (frame, records) = match self.read_frame(&mut window, seed, tail.end)? {
                Ok(frame) => frame,
                Err(unreadable) => {
                    self.end_of_segment(&mut window, &tail, unreadable, last)?;
                    break;
                }
            };
            unproved.retain(|&(sequence, _)| sequence >= frame.durable);
            unproved.push((frame.first_sequence, tail.end));
            self.visit_frame(id, tail.end, &records, &window.path)?;
            tail.end += FRAME_HEADER as u64 + u64::from(frame.body);
        }
        tail.durable = unproved.first().map_or(tail.end, |&(_, offset)| offset);
        self.scan.tail = Some(tail);
        Ok(())
    }

    /// The segment must carry on where the one before it ended.
    fn check_follows(
        &mut self,
        id: SegmentId,
        header: &SegmentHeader,
        path: &Path,
    ) -> Result<(), LogError> {
        if header.first_sequence != id.0 {
            let what = format!(
                "the segment's name and its header, which says {}, differ",
                header.first_sequence
            );
            return Err(LogError::damaged(path, 0, what));
        }
        if self.scan.tail.is_none() && self.first.is_none() && header.number > 1 {
            // History was cut: the header's own word is the beginning, and a base must follow.
            self.needs_base = true;
            self.scan.sequence = header.first_sequence;
            self.scan.chain = header.chain;
            return Ok(());
        }
        if header.number != self.number + 1 {
            let what = format!(
                "segment number {} comes after number {}: one is missing",
                header.number, self.number
            );
            return Err(LogError::damaged(path, 0, what));
        }
        if header.first_sequence != self.scan.sequence {
            let (path, offset) = match &self.scan.tail {
                Some(tail) => (self.reader.path(tail.id), tail.end),
                None => (path.to_owned(), 0),
            };
            let what = format!(
                "records {} to {} are missing at its end",
                self.scan.sequence,
                header.first_sequence.saturating_sub(1)
            );
            return Err(LogError::damaged(&path, offset, what));
        }
        if header.chain != self.scan.chain {
            return Err(LogError::damaged(
                path,
                0,
                "the hash chain does not match the segment before",
            ));
        }
        Ok(())
    }

    /// The frame at `offset`, checked in itself and against the chain. The outer error is final; the inner one may be
    /// the end of the log.
    fn read_frame(
        &self,
        window: &mut Window,
        seed: u32,
        offset: u64,
    ) -> Result<Result<(FrameHeader, Vec<RawRecord>), Unreadable>, LogError> {
        let frame = match FrameHeader::decode(&window.get(offset, FRAME_HEADER)?, seed, offset) {
            Ok(frame) => frame,
            Err(what) => return Ok(Err((offset, what.to_owned()))),
        };
        let body_at = offset + FRAME_HEADER as u64;
        let body_length = u64::from(frame.body);
        if frame.records == 0
            || body_length > FRAME_LIMIT
            || !(frame.body as usize).is_multiple_of(ALIGNMENT)
        {
            return Err(LogError::damaged(
                &window.path,
                offset,
                "a frame header holds impossible values",
            ));
        }
        if body_at + body_length > window.length {
            return Ok(Err((offset, "the file ends within a frame".to_owned())));
        }
        let body = window.get(body_at, frame.body as usize)?;
        let records = match frame::split(&frame, &body) {
            Ok(records) => records,
            Err((at, what)) => return Ok(Err((body_at + at as u64, what))),
        };
        // From here on the checksums are right, so that no torn write explains what is wrong.
        if frame.first_sequence != self.scan.sequence {
            let what = format!(
                "record {} where {} should be",
                frame.first_sequence, self.scan.sequence
            );
            return Err(LogError::damaged(&window.path, offset, what));
        }
        if frame::chain_over(self.scan.chain, &records) != frame.chain {
            let what = format!(
                "the hash chain is broken in records {} to {}: they were changed, and their checksums with them",
                frame.first_sequence,
                frame.first_sequence + u64::from(frame.records) - 1
            );
            return Err(LogError::damaged(&window.path, offset, what));
        }
        Ok(Ok((frame, records)))
    }

    fn visit_frame(
        &mut self,
        id: SegmentId,
        offset: u64,
        records: &[RawRecord],
        path: &Path,
    ) -> Result<(), LogError> {
        for raw in records {
            let at = offset + (FRAME_HEADER + raw.at) as u64;
            let position = Position {
                segment: id,
                offset: at,
                length: (RECORD_PREFIX + raw.body.len()) as u32,
            };
            let record =
                decode(raw.body.clone()).map_err(|what| LogError::damaged(path, at, what))?;
            if std::mem::take(&mut self.needs_base) && !matches!(record, Record::Base(_)) {
                let what =
                    "the log begins here, and not with a base record: earlier segments are missing";
                return Err(LogError::damaged(path, at, what));
            }
            let sequence = self.scan.sequence;
            self.scan.chain = self.scan.chain.after(&raw.body);
            self.scan.sequence += 1;
            let chain = self.scan.chain;
            self.scan.met |= self.wanted == Some(Head { sequence, chain });
            self.account(&record, position)
                .map_err(|what| LogError::damaged(path, at, what))?;
            if !matches!(record, Record::Chunk(_)) {
                let entry = Entry {
                    sequence,
                    position,
                    chain,
                    record,
                };
                (self.visitor)(self.reader, entry).map_err(LogError::Visitor)?;
            }
        }
        Ok(())
    }

    fn account(&mut self, record: &Record, position: Position) -> Result<(), String> {
        let found = &mut self.scan.recovery;
        found.records += 1;
        match record {
            Record::Chunk(chunk) => {
                found.last_transaction = found.last_transaction.max(chunk.transaction);
                self.chunks
                    .insert(position, (chunk.transaction, chunk.payload.collection));
            }
            Record::Commit(commit) => {
                let floor = found.last_timestamp.max(found.lease);
                if commit.timestamp <= floor {
                    return Err(format!("a commit at {} after {floor}", commit.timestamp));
                }
                found.last_timestamp = commit.timestamp;
                found.last_transaction = found.last_transaction.max(commit.transaction);
                found.commits += 1;
                found.chunks += commit.chunks.len() as u64;
                self.find_earlier_chunks(commit)?;
                take_chunks(&mut self.chunks, commit)?;
            }
            Record::Lease(bound) => found.lease = found.lease.max(*bound),
            Record::Checkpoint(_) | Record::Base(_) => {}
        }
        Ok(())
    }

    /// Reads the chunks of a commit that were written before the first segment that was read.
    fn find_earlier_chunks(&mut self, commit: &Commit) -> Result<(), String> {
        let Some(first) = self.first else {
            return Ok(());
        };
        for chunk in commit.chunks.iter().map(|chunk| chunk.position) {
            if chunk.segment < first {
                let read = self.reader.read_chunk(chunk).map_err(|e| e.to_string())?;
                let owner = (read.transaction, read.payload.collection);
                self.chunks.insert(chunk, owner);
            }
        }
        Ok(())
    }

    /// Decides what the first unreadable place of a segment is: its end, a torn tail, or damage.
    fn end_of_segment(
        &mut self,
        window: &mut Window,
        tail: &Tail,
        (at, what): Unreadable,
        last: bool,
    ) -> Result<(), LogError> {
        let used = window.last_nonzero(tail.end)?;
        if used <= tail.end {
            return Ok(());
        }
        if !last {
            return Err(LogError::damaged(
                &window.path,
                at,
                format!("{what}, with a later segment after it"),
            ));
        }
        if let Some(later) =
            window.proof_of_durability(tail.end, tail.header.seed(), self.scan.sequence)?
        {
            let what =
                format!("{what}; a later frame, at offset {later}, shows that it was whole once");
            return Err(LogError::damaged(&window.path, at, what));
        }
        self.scan.recovery.set_aside = Some(SetAside {
            path: window.path.clone(),
            offset: tail.end,
            bytes: used - tail.end,
            reason: what,
            saved_as: None,
        });
        Ok(())
    }
}

/// Takes the chunks that `commit` names out of those that wait for a commit. The error says which is not there.
pub(crate) fn take_chunks(
    waiting: &mut BTreeMap<Position, (u64, u64)>,
    commit: &Commit,
) -> Result<(), String> {
    for chunk in &commit.chunks {
        match waiting.remove(&chunk.position) {
            Some(owner) if owner == (commit.transaction, chunk.collection) => {}
            _ => {
                return Err(format!(
                    "commit {} names a chunk of collection {} in segment {} at {} that is not one of its own",
                    commit.timestamp,
                    chunk.collection,
                    chunk.position.segment.0,
                    chunk.position.offset
                ));
            }
        }
    }
    Ok(())
}

/// A segment's bytes, through a buffer that moves along.
struct Window {
    file: Arc<dyn File>,
    path: PathBuf,
    length: u64,
    start: u64,
    buffer: Bytes,
}

/// Bytes read at a time.
const WINDOW: usize = 1 << 20;

impl Window {
    fn new(file: Arc<dyn File>, path: PathBuf, length: u64) -> Window {
        Window {
            file,
            path,
            length,
            start: 0,
            buffer: Bytes::new(),
        }
    }

    /// `count` bytes from `offset` on, or as many as there are.
    fn get(&mut self, offset: u64, count: usize) -> Result<Bytes, LogError> {
        let count =
            count.min(usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX));
        let end = offset + count as u64;
        if offset < self.start || end > self.start + self.buffer.len() as u64 {
            let wanted = count
                .max(WINDOW)
                .min((self.length - offset.min(self.length)) as usize);
            let mut buffer = vec![0; wanted];
            let read = self
                .file
                .read_at(&mut buffer, offset)
                .map_err(|error| LogError::io("read", &self.path, error))?;
            buffer.truncate(read);
            self.buffer = Bytes::from(buffer);
            self.start = offset;
        }
        let from = ((offset - self.start) as usize).min(self.buffer.len());
        let to = (from + count).min(self.buffer.len());
        Ok(self.buffer.slice(from..to))
    }

    /// One past the last byte from `offset` on that is not zero, or `offset`.
    fn last_nonzero(&mut self, offset: u64) -> Result<u64, LogError> {
        let mut used = offset;
        let mut at = offset;
        while at < self.length {
            let bytes = self.get(at, WINDOW)?;
            if bytes.is_empty() {
                break;
            }
            if let Some(last) = bytes.iter().rposition(|&byte| byte != 0) {
                used = at + last as u64 + 1;
            }
            at += bytes.len() as u64;
        }
        Ok(used)
    }

    /// The offset of a frame header after `offset` which says that record `sequence` was synced before it.
    fn proof_of_durability(
        &mut self,
        offset: u64,
        seed: u32,
        sequence: u64,
    ) -> Result<Option<u64>, LogError> {
        let mut at = offset + ALIGNMENT as u64;
        while at < self.length {
            let bytes = self.get(at, WINDOW)?;
            if bytes.is_empty() {
                break;
            }
            for step in (0..bytes.len()).step_by(ALIGNMENT) {
                let place = at + step as u64;
                if !frame::may_begin(&bytes[step..]) {
                    continue;
                }
                let header = FrameHeader::decode(&self.get(place, FRAME_HEADER)?, seed, place);
                if header.is_ok_and(|header| header.durable > sequence) {
                    return Ok(Some(place));
                }
            }
            // Whole steps only, so that places stay aligned.
            at += (bytes.len() as u64).next_multiple_of(ALIGNMENT as u64);
        }
        Ok(None)
    }
}
