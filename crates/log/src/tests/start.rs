//! Opening a log at a later segment: what is before is passed over, and nothing else changes.

use super::*;
use crate::vfs::Operation;
use crate::{ChunkRef, SegmentId};

/// A log of many segments; gives its folder, all commits, and the segments' ids.
fn long() -> (FaultFs, Vec<Seen>, Vec<SegmentId>) {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    for timestamp in 1..=30 {
        opened
            .log
            .append_commits(&[commit(timestamp, "a row of some length")])
            .unwrap();
    }
    opened.log.append_lease(35).unwrap();
    // Later commits have to be above the lease.
    let refused = opened.log.append_commits(&[commit(35, "x")]);
    assert!(matches!(refused, Err(LogError::OutOfOrder { .. })));
    for timestamp in 36..200 {
        opened
            .log
            .append_commits(&[commit(timestamp, "a row of some length")])
            .unwrap();
    }
    drop(opened);
    let again = reopen(&fs);
    let mut segments: Vec<_> = again.entries.iter().map(|e| e.position.segment).collect();
    segments.dedup();
    assert!(segments.len() > 5);
    (fs, again.commits, segments)
}

fn start(segment: SegmentId) -> Option<Start> {
    Some(Start {
        segment,
        lease: 0,
        transaction: 0,
    })
}

#[test]
fn a_log_opened_at_any_segment_shows_the_rest_and_takes_more() {
    let (fs, commits, segments) = long();
    for &segment in &segments {
        fs.restart();
        let opened = open_at(&fs, small(), start(segment)).unwrap();
        let first = opened.commits[0].0;
        let expected: Vec<_> = commits.iter().filter(|c| c.0 >= first).cloned().collect();
        assert_eq!(opened.commits, expected);
        assert_eq!(
            opened.entries[0].position.segment, segment,
            "from there on, no earlier"
        );
    }
    fs.restart();
    let opened = open_at(&fs, small(), start(segments[segments.len() - 1])).unwrap();
    opened.log.append_commits(&[commit(500, "more")]).unwrap();
    drop(opened);
    // The whole of it is one chain.
    let whole = reopen(&fs);
    assert_eq!(whole.commits.len(), commits.len() + 1);
}

#[test]
fn what_lies_before_is_not_read() {
    let (fs, ..) = long();
    fs.restart();
    let before = fs.operations();
    open(&fs).unwrap();
    let whole = fs.operations() - before;
    let (fs, _, segments) = long();
    fs.restart();
    let before = fs.operations() as usize;
    open_at(&fs, small(), start(segments[segments.len() - 1])).unwrap();
    let reads = fs.trace()[before..]
        .iter()
        .filter(|o| **o == Operation::Read)
        .count();
    assert!(
        (reads as u64) < whole / 3 && reads < 12,
        "{reads} reads of {whole} operations"
    );
}

#[test]
fn a_missing_earlier_segment_is_noticed() {
    let (fs, _, segments) = long();
    let name = dir().join(format!("{:020}.log", segments[2].0));
    use crate::vfs::FileSystem;
    fs.restart();
    fs.remove(&name).unwrap();
    let error = open_at(&fs, small(), start(segments[4]))
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("only 3 are there"), "{error}");
}

#[test]
fn a_start_that_the_log_does_not_have_reads_all_of_it() {
    let (fs, commits, _) = long();
    fs.restart();
    let opened = open_at(&fs, small(), start(SegmentId(7_777_777))).unwrap();
    assert_eq!(opened.commits, commits);
}

#[test]
fn a_commit_after_the_start_finds_its_chunks_before_it() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    let position = opened.log.append_chunk(9, 4, &[5; 700]).unwrap();
    for timestamp in 1..50 {
        opened
            .log
            .append_commits(&[commit(timestamp, "a row of some length")])
            .unwrap();
    }
    let mut large = commit(100, "end");
    large.transaction = 9;
    large.chunks = vec![ChunkRef {
        collection: 4,
        position,
    }];
    let place = opened.log.append_commits(&[large]).unwrap()[0];
    drop(opened);
    fs.restart();
    assert!(place.segment > position.segment);
    let again = open_at(&fs, small(), start(place.segment)).unwrap();
    let last = again.commits.last().unwrap();
    assert_eq!(last.1[0], (4, vec![5; 700]));
    assert_eq!(again.recovery.orphan_chunks, 0);
}

#[test]
fn what_was_known_of_the_past_counts() {
    let (fs, _, segments) = long();
    fs.restart();
    let known = Some(Start {
        segment: segments[segments.len() - 1],
        lease: 1000,
        transaction: 777,
    });
    let opened = open_at(&fs, small(), known).unwrap();
    assert_eq!(opened.recovery.lease, 1000);
    assert_eq!(opened.recovery.last_transaction, 777);
    let refused = opened
        .log
        .append_commits(&[commit(1000, "below the lease")]);
    assert!(matches!(refused, Err(LogError::OutOfOrder { .. })));
    opened.log.append_commits(&[commit(1001, "above")]).unwrap();
}
