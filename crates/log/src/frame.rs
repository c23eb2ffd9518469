//! Segment headers and frames: what makes bytes on disk trustworthy.
//!
//! A **frame** is one write: one or more records behind one header. Its last record's chain hash is in the header, so
//! that a group of commits costs 32 bytes of hash; the hash after any record in between can be computed from the frame.
//!
//! ```text
//! segment   magic 8 | format u32 | header length u32 | number u64 | first sequence u64 | chain before 32 | zero 60 |
//!           crc32c u32                                                                               (128 bytes)
//! frame     magic u32 | body length u32 | first sequence u64 | records u32 | zero u32 | durable u64 | chain 32 |
//!           crc32c u32 | zero u32                                                                     (72 bytes)
//! body      (length u32 | crc32c u32 | record body)*, zeroes up to a multiple of 8
//! ```
//!
//! **Invariants.** `chain(n) = blake3(chain(n - 1) ‖ body of record n)`, across segments, so that the newest hash stands
//! for the whole log. Every byte of a frame is under a checksum or must be zero. A frame's checksum is seeded with its
//! segment and offset, so that bytes of another place, or a user's copy of them, are not a frame here. `durable` is the
//! sequence number below which every record was synced before the frame was written: a whole frame therefore proves
//! that a broken one before it, if below `durable`, is damage and no torn write.

use std::path::Path;

use bytes::Bytes;

use crate::error::LogError;

/// The newest segment format that this version reads and writes.
pub const FORMAT: u32 = 1;

/// Bytes of a segment's header.
pub const SEGMENT_HEADER: usize = 128;

/// Bytes of a frame's header.
pub const FRAME_HEADER: usize = 72;

/// Bytes before each record's body.
pub const RECORD_PREFIX: usize = 8;

/// Frames begin at multiples of this many bytes.
pub const ALIGNMENT: usize = 8;

/// The most bytes that one frame's body may have: 1 GiB.
pub const FRAME_LIMIT: u64 = 1 << 30;

const SEGMENT_MAGIC: [u8; 8] = *b"EVERVLOG";
const FRAME_MAGIC: [u8; 4] = *b"EvFr";

/// The hash that stands for every record up to a place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// The hash before the first record of a log.
    pub fn genesis() -> ChainHash {
        ChainHash(*blake3::hash(b"everview log, format 1").as_bytes())
    }

    /// The hash after a record with `body`.
    #[must_use]
    pub fn after(&self, body: &[u8]) -> ChainHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(body);
        ChainHash(*hasher.finalize().as_bytes())
    }
}

impl std::fmt::Display for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// 1 for a log's first segment, then counting up without gaps.
    pub number: u64,
    /// Sequence number of its first record.
    pub first_sequence: u64,
    /// The chain hash before its first record.
    pub chain: ChainHash,
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut out = [0; SEGMENT_HEADER];
        out[0..8].copy_from_slice(&SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        out[12..16].copy_from_slice(&(SEGMENT_HEADER as u32).to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        out[32..64].copy_from_slice(&self.chain.0);
        let crc = crc32c::crc32c(&out[..124]);
        out[124..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header; `path` is for the error.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<SegmentHeader, LogError> {
        if bytes.len() < SEGMENT_HEADER || bytes[0..8] != SEGMENT_MAGIC {
            return Err(LogError::damaged(
                path,
                0,
                "the segment's header is not there",
            ));
        }
        let format = u32_at(bytes, 8);
        if crc32c::crc32c(&bytes[..124]) != u32_at(bytes, 124) {
            return Err(LogError::damaged(
                path,
                0,
                "the segment header's checksum is wrong",
            ));
        }
        if format != FORMAT {
            return Err(LogError::Version {
                path: path.to_owned(),
                found: format,
                supported: FORMAT,
            });
        }
        let mut chain = [0; 32];
        chain.copy_from_slice(&bytes[32..64]);
        Ok(SegmentHeader {
            number: u64_at(bytes, 16),
            first_sequence: u64_at(bytes, 24),
            chain: ChainHash(chain),
        })
    }

    /// What the checksums of frames in this segment start from.
    pub fn seed(&self) -> u32 {
        let seed = crc32c::crc32c(&self.chain.0);
        crc32c::crc32c_append(seed, &self.first_sequence.to_le_bytes())
    }
}

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes after the header, padding included.
    pub body: u32,
    /// Sequence number of its first record.
    pub first_sequence: u64,
    /// Records in it, at least one.
    pub records: u32,
    /// Every record below this sequence number was synced before the frame was written.
    pub durable: u64,
    /// The chain hash after its last record.
    pub chain: ChainHash,
}

impl FrameHeader {
    /// The header's bytes, for a frame at `offset` of the segment with `seed`.
    pub fn encode(&self, seed: u32, offset: u64) -> [u8; FRAME_HEADER] {
        let mut out = [0; FRAME_HEADER];
        out[0..4].copy_from_slice(&FRAME_MAGIC);
        out[4..8].copy_from_slice(&self.body.to_le_bytes());
        out[8..16].copy_from_slice(&self.first_sequence.to_le_bytes());
        out[16..20].copy_from_slice(&self.records.to_le_bytes());
        out[24..32].copy_from_slice(&self.durable.to_le_bytes());
        out[32..64].copy_from_slice(&self.chain.0);
        let crc = header_crc(&out, seed, offset);
        out[64..68].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header; the error says what is wrong.
    pub fn decode(bytes: &[u8], seed: u32, offset: u64) -> Result<FrameHeader, &'static str> {
        if bytes.len() < FRAME_HEADER {
            return Err("the file ends within a frame's header");
        }
        if bytes[0..4] != FRAME_MAGIC {
            return Err("there is no frame where one should begin");
        }
        if header_crc(bytes, seed, offset) != u32_at(bytes, 64) || u32_at(bytes, 68) != 0 {
            return Err("a frame header's checksum is wrong");
        }
        let mut chain = [0; 32];
        chain.copy_from_slice(&bytes[32..64]);
        Ok(FrameHeader {
            body: u32_at(bytes, 4),
            first_sequence: u64_at(bytes, 8),
            records: u32_at(bytes, 16),
            durable: u64_at(bytes, 24),
            chain: ChainHash(chain),
        })
    }
}

/// Whether a frame could begin with these bytes: a cheap test before [`FrameHeader::decode`].
pub fn may_begin(bytes: &[u8]) -> bool {
    bytes.starts_with(&FRAME_MAGIC)
}

fn header_crc(header: &[u8], seed: u32, offset: u64) -> u32 {
    let seed = crc32c::crc32c_append(seed, &offset.to_le_bytes());
    crc32c::crc32c_append(seed, &header[..64])
}

/// Builds one frame in a buffer that is used again and again.
#[derive(Debug)]
pub struct FrameBuilder {
    buffer: Vec<u8>,
    records: u32,
    chain: ChainHash,
}

/// A buffer above this many bytes is given back after use.
const KEEP_BUFFER: usize = 8 << 20;

impl FrameBuilder {
    /// An empty builder; call [`FrameBuilder::begin`] before the first record.
    pub fn new() -> FrameBuilder {
        FrameBuilder {
            buffer: Vec::new(),
            records: 0,
            chain: ChainHash::genesis(),
        }
    }

    /// Starts a frame whose records follow those that `chain` stands for.
    pub fn begin(&mut self, chain: ChainHash) {
        if self.buffer.capacity() > KEEP_BUFFER {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
        self.buffer.resize(FRAME_HEADER, 0);
        self.records = 0;
        self.chain = chain;
    }

    /// Adds a record whose body `encode` appends. Gives its place relative to the frame's start, and its length.
    pub fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> (u64, u32) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; RECORD_PREFIX]);
        encode(&mut self.buffer);
        let (head, body) = self.buffer[start..].split_at_mut(RECORD_PREFIX);
        head[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        self.chain = self.chain.after(body);
        self.records += 1;
        (start as u64, (self.buffer.len() - start) as u32)
    }

    /// Bytes that the frame will have.
    pub fn length(&self) -> u64 {
        self.buffer.len().next_multiple_of(ALIGNMENT) as u64
    }

    /// Records in it so far.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// The chain hash after its last record.
    pub fn chain(&self) -> ChainHash {
        self.chain
    }

    /// The frame's bytes, for its place. Can be called again for another place.
    pub fn finish(&mut self, first_sequence: u64, durable: u64, seed: u32, offset: u64) -> &[u8] {
        self.buffer.resize(self.length() as usize, 0);
        let body = (self.buffer.len() - FRAME_HEADER) as u32;
        let header = FrameHeader {
            body,
            first_sequence,
            records: self.records,
            durable,
            chain: self.chain,
        };
        self.buffer[..FRAME_HEADER].copy_from_slice(&header.encode(seed, offset));
        &self.buffer
    }
}

impl Default for FrameBuilder {
    fn default() -> FrameBuilder {
        FrameBuilder::new()
    }
}

/// One record's place within a frame's body and its checked bytes.
pub struct RawRecord {
    /// Offset of its prefix within the frame's body.
    pub at: usize,
    /// Its body.
    pub body: Bytes,
}

/// Splits a frame's body into its records and checks each one's checksum, the count and the padding. The error says
/// what is wrong, and how far into the body.
pub fn split(header: &FrameHeader, body: &Bytes) -> Result<Vec<RawRecord>, (usize, String)> {
    if header.records as usize > body.len() / RECORD_PREFIX {
        return Err((
            0,
            format!("a frame has no room for its {} records", header.records),
        ));
    }
    let mut records = Vec::with_capacity(header.records as usize);
    let mut at = 0;
    for _ in 0..header.records {
        let record = check_record(&body[at..]).map_err(|what| (at, what))?;
        let start = at + RECORD_PREFIX;
        records.push(RawRecord {
            at,
            body: body.slice(start..start + record),
        });
        at = start + record;
    }
    if body.len() - at >= ALIGNMENT || body[at..].iter().any(|&byte| byte != 0) {
        return Err((at, "bytes after a frame's last record".to_owned()));
    }
    Ok(records)
}

/// Checks the record that `bytes` begin with, and gives its body's length.
pub fn check_record(bytes: &[u8]) -> Result<usize, String> {
    if bytes.len() < RECORD_PREFIX {
        return Err("a frame ends within a record".to_owned());
    }
    let length = u32_at(bytes, 0) as usize;
    let Some(body) = bytes[RECORD_PREFIX..].get(..length) else {
        return Err(format!("a record of {length} bytes passes its frame's end"));
    };
    if crc32c::crc32c(body) != u32_at(bytes, 4) {
        return Err("a record's checksum is wrong".to_owned());
    }
    Ok(length)
}

/// The chain hash after `records`, which follow `chain`.
pub fn chain_over(chain: ChainHash, records: &[RawRecord]) -> ChainHash {
    records
        .iter()
        .fold(chain, |chain, record| chain.after(&record.body))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(array)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(array)
}
