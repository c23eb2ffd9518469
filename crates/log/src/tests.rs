//! Behaviours of the log as a whole.

mod crash;
mod damage;
mod disk;
mod roundtrip;
mod start;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::vfs::FaultFs;
use crate::{
    Commit, Entry, Fact, Log, LogError, Options, Payload, Reader, Record, Recovery, Start,
};

/// Where the tests' logs live in their [`FaultFs`].
fn dir() -> &'static Path {
    Path::new("/data")
}

/// Small segments, so that a few records cross several.
fn small() -> Options {
    Options {
        segment_size: 2048,
        chunk_sync: 600,
        zero_ahead: 512,
    }
}

fn commit(timestamp: u64, text: &str) -> Commit {
    Commit {
        timestamp,
        wall_clock: timestamp + 7,
        transaction: timestamp,
        facts: vec![Fact {
            tag: 7,
            bytes: Bytes::from_static(b"told"),
        }],
        payloads: vec![Payload {
            collection: 3,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }],
        chunks: Vec::new(),
    }
}

/// A transaction as the outside sees it: its timestamp and all its changes, chunks first.
type Seen = (u64, Vec<(u64, Vec<u8>)>);

fn seen(reader: &Reader, commit: &Commit) -> Result<Seen, LogError> {
    let payloads = reader
        .payloads(commit)
        .map(|payload| payload.map(|p| (p.collection, p.bytes.to_vec())));
    Ok((commit.timestamp, payloads.collect::<Result<_, _>>()?))
}

struct Opened {
    log: Log,
    recovery: Recovery,
    commits: Vec<Seen>,
    entries: Vec<Entry>,
}

fn open_with(fs: &FaultFs, options: Options) -> Result<Opened, LogError> {
    open_at(fs, options, None)
}

fn open_at(fs: &FaultFs, options: Options, start: Option<Start>) -> Result<Opened, LogError> {
    let mut commits = Vec::new();
    let mut entries = Vec::new();
    let (log, recovery) = Log::open(
        Arc::new(fs.clone()),
        dir(),
        options,
        start,
        &mut |reader, entry| {
            if let Record::Commit(commit) = &entry.record {
                commits.push(seen(reader, commit)?);
            }
            entries.push(entry);
            Ok(())
        },
    )?;
    Ok(Opened {
        log,
        recovery,
        commits,
        entries,
    })
}

fn open(fs: &FaultFs) -> Result<Opened, LogError> {
    open_with(fs, small())
}

/// Opens with what must go well.
fn reopen(fs: &FaultFs) -> Opened {
    fs.restart();
    open(fs).unwrap()
}

/// The newest segment's file.
fn last_segment(fs: &FaultFs) -> PathBuf {
    fs.paths()
        .into_iter()
        .rfind(|path| path.extension().is_some_and(|end| end == "log"))
        .unwrap()
}
