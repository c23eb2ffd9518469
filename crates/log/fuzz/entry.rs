//! What no bytes on disk may do to the log: one function for the fuzzer and for `cargo test`.
//!
//! Whatever a segment holds, opening gives an error or a prefix of what was written, and a log that was opened takes
//! the next commit and keeps it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use everview_log::vfs::FaultFs;
use everview_log::{Commit, Log, LogError, Options, Payload, Record, record, verify};

/// Segments of a folder.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// Takes any bytes as a record, as a segment, and as damage to a log.
pub fn run(data: &[u8]) {
    as_record(data);
    as_segment(data);
    as_damage(data);
}

fn as_record(data: &[u8]) {
    if let Ok(decoded) = record::decode(Bytes::copy_from_slice(data)) {
        let mut encoded = Vec::new();
        record::encode(&decoded, &mut encoded);
        assert_eq!(record::decode(encoded.into()), Ok(decoded));
    }
}

fn as_segment(data: &[u8]) {
    let (files, _) = sample();
    let (first, header) = &files[0];
    open(&[(first.clone(), data.to_vec())], None);
    // Behind a header that is right, so that frames are reached.
    let mut framed = header[..128.min(header.len())].to_vec();
    framed.extend_from_slice(data);
    open(&[(first.clone(), framed)], None);
}

/// Four bytes each: where, what to do, and with which byte.
fn as_damage(data: &[u8]) {
    let (files, commits) = sample();
    let mut files = files.clone();
    for edit in data.chunks_exact(4).take(16) {
        let place = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        let which = usize::from(edit[2] >> 4) % files.len();
        let bytes = &mut files[which].1;
        if bytes.is_empty() {
            continue;
        }
        let place = place % bytes.len();
        match edit[2] & 3 {
            0 => bytes[place] ^= edit[3],
            1 => bytes[place..].fill(edit[3]),
            2 => bytes.truncate(place),
            _ => {
                let end = (place + usize::from(edit[3])).min(bytes.len());
                bytes.copy_within(place..end, place / 2);
            }
        }
    }
    open(&files, Some(commits));
}

/// Opens these files twice, with a commit between; what is read must begin as `written` does.
fn open(files: &[(PathBuf, Vec<u8>)], written: Option<&[Commit]>) {
    let fs = FaultFs::new(7);
    files.iter().for_each(|(path, bytes)| fs.plant(path, bytes));
    // Looking changes nothing, so that its answer may be an error where opening repairs a tail.
    let _ = verify(Arc::new(fs.clone()), dir(), &mut |_, _| Ok(()));
    let Ok((log, commits, floor)) = read(&fs) else {
        return;
    };
    if let Some(written) = written {
        assert!(
            written.starts_with(&commits),
            "{commits:?} were never written"
        );
    }
    let next = commit(floor + 1, b"after");
    if log.append_commits(std::slice::from_ref(&next)).is_err() {
        return;
    }
    drop(log);
    let (_, again, _) = read(&fs).expect("a log that took a commit opens");
    assert_eq!(again.len(), commits.len() + 1);
    assert_eq!(again.last(), Some(&next));
}

/// An open log, its commits, and the timestamp that the next one must be above.
fn read(fs: &FaultFs) -> Result<(Log, Vec<Commit>, u64), LogError> {
    let mut commits = Vec::new();
    let (log, recovery) = Log::open(
        Arc::new(fs.clone()),
        dir(),
        options(),
        None,
        &mut |_, entry| {
            if let Record::Commit(commit) = entry.record {
                commits.push(commit);
            }
            Ok(())
        },
    )?;
    Ok((log, commits, recovery.last_timestamp.max(recovery.lease)))
}

/// A log of several small segments, and its commits.
fn sample() -> &'static (Files, Vec<Commit>) {
    static SAMPLE: OnceLock<(Files, Vec<Commit>)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let fs = FaultFs::new(7);
        let (log, ..) = read(&fs).expect("an empty folder opens");
        let commits: Vec<Commit> = (1..20u8)
            .map(|n| commit(u64::from(n), &vec![n; usize::from(n) * 20]))
            .collect();
        for group in commits.chunks(3) {
            log.append_commits(group).expect("there is room");
        }
        log.append_lease(500).expect("there is room");
        drop(log);
        let segments = fs.paths().into_iter().filter(|path| {
            path.extension().is_some_and(|kind| kind != "lock")
                && fs.contents(path).is_some_and(|c| !c.is_empty())
        });
        let files = segments
            .map(|path| (path.clone(), fs.contents(&path).unwrap_or_default()))
            .collect();
        (files, commits)
    })
}

fn commit(timestamp: u64, bytes: &[u8]) -> Commit {
    Commit {
        timestamp,
        transaction: timestamp,
        payloads: vec![Payload {
            collection: 3,
            bytes: Bytes::copy_from_slice(bytes),
        }],
        ..Commit::default()
    }
}

fn options() -> Options {
    Options {
        segment_size: 2048,
        chunk_sync: 600,
        zero_ahead: 512,
    }
}

fn dir() -> &'static Path {
    Path::new("/log")
}
