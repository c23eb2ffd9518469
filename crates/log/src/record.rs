//! The kinds of record and their bytes, format version 1.
//!
//! **Invariant.** Decoding what was encoded gives it back, and decoding anything else is an error, never a panic. All
//! integers are little-endian and of fixed width; byte strings carry their length first. Payloads, facts, checkpoints and
//! bases are opaque here: their first bytes are a version of their own.
//!
//! | kind | fields |
//! |---|---|
//! | 1 chunk | transaction u64, collection u64, bytes to the end |
//! | 2 commit | timestamp u64, wall clock u64, transaction u64, facts (u32 count of tag u16, u32 length, bytes), payloads (u32 count of collection u64, u32 length, bytes), chunks (u32 count of collection u64, segment u64, offset u64, length u32) |
//! | 3 lease | bound u64 |
//! | 4 checkpoint | bytes to the end |
//! | 5 base | bytes to the end |
//!
//! **What may be added later.** A commit carries any number of tagged [`Fact`]s, so that what is told beside its rows
//! (producers, offsets, counts) needs no new layout. A tag from [`REQUIRED`] on must be understood by whoever applies the
//! commit; any other may be passed over. A new kind of record, or a change of these layouts, raises [`crate::frame::FORMAT`].

use bytes::Bytes;

/// A segment's number; its file is named by it. Equal to the sequence number of the segment's first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

/// Where a record is. Positions order as the records do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment.
    pub segment: SegmentId,
    /// Offset of the record's prefix in the segment's file, in bytes.
    pub offset: u64,
    /// Bytes of the record, prefix included.
    pub length: u32,
}

/// The changes of one collection within one transaction, in the callers' encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The collection's id.
    pub collection: u64,
    /// The changes.
    pub bytes: Bytes,
}

/// Something told beside a commit's changes: a producer and its sequence number, offsets of a source, row counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is, by the callers' table of tags.
    pub tag: u16,
    /// What it says, in the callers' encoding.
    pub bytes: Bytes,
}

/// A fact whose tag is at or above this changes what a commit means: who does not know it must not go on.
pub const REQUIRED: u16 = 0x8000;

/// A part of a large transaction, written ahead of its commit. It has no effect until a commit names its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The transaction that will commit it. Ids are the caller's; they need be unique only among those in flight.
    pub transaction: u64,
    /// The changes.
    pub payload: Payload,
}

/// A commit's reference to a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkRef {
    /// The chunk's collection, so that an index of one table need not read the chunk.
    pub collection: u64,
    /// Where the chunk is.
    pub position: Position,
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// The commit's timestamp in microseconds, above every earlier commit and lease.
    pub timestamp: u64,
    /// What the wall clock said, in microseconds since 1970.
    pub wall_clock: u64,
    /// The transaction's id.
    pub transaction: u64,
    /// What is told beside the changes, in order.
    pub facts: Vec<Fact>,
    /// Changes that travel inside the commit, in order.
    pub payloads: Vec<Payload>,
    /// Changes that were written ahead; they come before `payloads`.
    pub chunks: Vec<ChunkRef>,
}

/// Any record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Part of a transaction.
    Chunk(Chunk),
    /// A transaction.
    Commit(Commit),
    /// No commit at or below this timestamp (microseconds) will follow.
    Lease(u64),
    /// Digests of views at a timestamp.
    Checkpoint(Bytes),
    /// The state that stands for all records before it, once history was cut.
    Base(Bytes),
}

const CHUNK: u8 = 1;
const COMMIT: u8 = 2;
const LEASE: u8 = 3;
const CHECKPOINT: u8 = 4;
const BASE: u8 = 5;

/// Appends a chunk record's body to `out`.
pub fn encode_chunk(transaction: u64, collection: u64, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(CHUNK);
    out.extend_from_slice(&transaction.to_le_bytes());
    out.extend_from_slice(&collection.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a commit record's body to `out`. Byte strings above 4 GiB are cut off by the frame limit before this.
pub fn encode_commit(commit: &Commit, out: &mut Vec<u8>) {
    out.push(COMMIT);
    out.extend_from_slice(&commit.timestamp.to_le_bytes());
    out.extend_from_slice(&commit.wall_clock.to_le_bytes());
    out.extend_from_slice(&commit.transaction.to_le_bytes());
    out.extend_from_slice(&(commit.facts.len() as u32).to_le_bytes());
    for fact in &commit.facts {
        out.extend_from_slice(&fact.tag.to_le_bytes());
        put_bytes(&fact.bytes, out);
    }
    out.extend_from_slice(&(commit.payloads.len() as u32).to_le_bytes());
    for payload in &commit.payloads {
        out.extend_from_slice(&payload.collection.to_le_bytes());
        put_bytes(&payload.bytes, out);
    }
    out.extend_from_slice(&(commit.chunks.len() as u32).to_le_bytes());
    for chunk in &commit.chunks {
        out.extend_from_slice(&chunk.collection.to_le_bytes());
        out.extend_from_slice(&chunk.position.segment.0.to_le_bytes());
        out.extend_from_slice(&chunk.position.offset.to_le_bytes());
        out.extend_from_slice(&chunk.position.length.to_le_bytes());
    }
}

/// Bytes that [`encode_commit`] will append.
pub fn commit_length(commit: &Commit) -> u64 {
    let payloads: u64 = commit
        .payloads
        .iter()
        .map(|payload| 12 + payload.bytes.len() as u64)
        .sum();
    let facts: u64 = commit
        .facts
        .iter()
        .map(|fact| 6 + fact.bytes.len() as u64)
        .sum();
    1 + 24 + 4 + facts + 4 + payloads + 4 + 28 * commit.chunks.len() as u64
}

/// Appends any record's body to `out`.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    match record {
        Record::Chunk(chunk) => encode_chunk(
            chunk.transaction,
            chunk.payload.collection,
            &chunk.payload.bytes,
            out,
        ),
        Record::Commit(commit) => encode_commit(commit, out),
        Record::Lease(bound) => {
            out.push(LEASE);
            out.extend_from_slice(&bound.to_le_bytes());
        }
        Record::Checkpoint(bytes) => {
            out.push(CHECKPOINT);
            out.extend_from_slice(bytes);
        }
        Record::Base(bytes) => {
            out.push(BASE);
            out.extend_from_slice(bytes);
        }
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Decodes a record's body. The byte strings in it share `body`'s memory. The error says what is wrong with the bytes.
pub fn decode(body: Bytes) -> Result<Record, String> {
    let mut fields = Fields { rest: body };
    let kind = fields.u8()?;
    let record = match kind {
        CHUNK => {
            let transaction = fields.u64()?;
            let collection = fields.u64()?;
            let bytes = fields.take_rest();
            Record::Chunk(Chunk {
                transaction,
                payload: Payload { collection, bytes },
            })
        }
        COMMIT => Record::Commit(decode_commit(&mut fields)?),
        LEASE => Record::Lease(fields.u64()?),
        CHECKPOINT => Record::Checkpoint(fields.take_rest()),
        BASE => Record::Base(fields.take_rest()),
        other => return Err(format!("a record of unknown kind {other}")),
    };
    match fields.rest.len() {
        0 => Ok(record),
        left => Err(format!("{left} bytes too many in a record of kind {kind}")),
    }
}

fn decode_commit(fields: &mut Fields) -> Result<Commit, String> {
    let timestamp = fields.u64()?;
    let wall_clock = fields.u64()?;
    let transaction = fields.u64()?;
    let count = fields.count(6)?;
    let mut facts = Vec::with_capacity(count);
    for _ in 0..count {
        let tag = fields.u16()?;
        facts.push(Fact {
            tag,
            bytes: fields.bytes()?,
        });
    }
    let count = fields.count(12)?;
    let mut payloads = Vec::with_capacity(count);
    for _ in 0..count {
        let collection = fields.u64()?;
        payloads.push(Payload {
            collection,
            bytes: fields.bytes()?,
        });
    }
    let count = fields.count(28)?;
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        let collection = fields.u64()?;
        let position = Position {
            segment: SegmentId(fields.u64()?),
            offset: fields.u64()?,
            length: fields.u32()?,
        };
        chunks.push(ChunkRef {
            collection,
            position,
        });
    }
    Ok(Commit {
        timestamp,
        wall_clock,
        transaction,
        facts,
        payloads,
        chunks,
    })
}

/// Takes fields off the front of a byte string, each with a bounds check.
struct Fields {
    rest: Bytes,
}

impl Fields {
    fn take(&mut self, count: usize) -> Result<Bytes, String> {
        if count > self.rest.len() {
            return Err(format!(
                "a record ends {} bytes early",
                count - self.rest.len()
            ));
        }
        Ok(self.rest.split_to(count))
    }

    fn take_rest(&mut self) -> Bytes {
        std::mem::take(&mut self.rest)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&taken);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, String> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<Bytes, String> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    /// A count of items of at least `least` bytes each: bounded by the bytes there are, so that damage allocates
    /// nothing.
    fn count(&mut self, least: usize) -> Result<usize, String> {
        let count = self.u32()? as usize;
        if count > self.rest.len() / least {
            return Err(format!("a record has no room for its {count} items"));
        }
        Ok(count)
    }
}
