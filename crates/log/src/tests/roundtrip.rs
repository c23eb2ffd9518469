//! What goes in comes out.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::record::{ChunkRef, Position, SegmentId, decode, encode};
use crate::vfs::RealFs;
use crate::{Chunk, verify};

#[test]
fn an_empty_folder_becomes_an_empty_log() {
    let fs = FaultFs::new(1);
    let first = open(&fs).unwrap();
    assert_eq!(first.recovery, Recovery::default());
    assert_eq!(first.log.head().sequence, 0);
    drop(first);
    assert_eq!(reopen(&fs).commits, vec![]);
}

#[test]
fn records_come_back_in_order_over_several_segments() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    let mut positions = Vec::new();
    for group in 0..30u64 {
        let commits: Vec<Commit> = (1..4)
            .map(|member| commit(group * 10 + member, &format!("row {group} {member}")))
            .collect();
        positions.extend(opened.log.append_commits(&commits).unwrap());
    }
    opened.log.append_lease(1_000).unwrap();
    opened
        .log
        .append_checkpoint(Bytes::from_static(b"digests"))
        .unwrap();
    let head = opened.log.head();
    drop(opened);

    let again = reopen(&fs);
    assert_eq!(again.recovery.commits, 90);
    assert_eq!(again.recovery.lease, 1_000);
    assert_eq!(again.recovery.last_timestamp, 293);
    assert!(again.recovery.segments > 3);
    assert_eq!(again.log.head(), head);
    let expected: Vec<Position> = positions;
    let found: Vec<Position> = again
        .entries
        .iter()
        .take(90)
        .map(|entry| entry.position)
        .collect();
    assert_eq!(found, expected);
    assert!(found.is_sorted());
    for entry in &again.entries {
        assert_eq!(
            again.log.reader().read(entry.position).unwrap(),
            entry.record
        );
    }
    assert_eq!(again.entries[90].record, Record::Lease(1_000));
    assert_eq!(
        again.entries[91].record,
        Record::Checkpoint(Bytes::from_static(b"digests"))
    );
}

#[test]
fn a_large_transaction_is_its_chunks_and_then_its_own_payloads() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    let mut big = commit(5, "inline");
    for part in 0..20u64 {
        let bytes = vec![part as u8; 300];
        let position = opened.log.append_chunk(5, part % 2, &bytes).unwrap();
        big.chunks.push(ChunkRef {
            collection: part % 2,
            position,
        });
        // Others commit in between.
        opened
            .log
            .append_commits(&[commit(part + 100, "other")])
            .unwrap_or_default();
    }
    big.timestamp = 1_000;
    opened.log.append_commits(&[big.clone()]).unwrap();
    drop(opened);

    let again = reopen(&fs);
    let (timestamp, changes) = again.commits.last().unwrap();
    assert_eq!(*timestamp, 1_000);
    assert_eq!(changes.len(), 21);
    assert_eq!(changes[7], (1, vec![7; 300]));
    assert_eq!(changes[20], (3, b"inline".to_vec()));
    assert_eq!(
        (again.recovery.chunks, again.recovery.orphan_chunks),
        (20, 0)
    );
}

#[test]
fn chunks_without_a_commit_are_dropped() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    let position = opened.log.append_chunk(5, 1, b"never committed").unwrap();
    opened.log.append_commits(&[commit(10, "other")]).unwrap();
    drop(opened);
    let again = reopen(&fs);
    assert_eq!(again.commits.len(), 1);
    assert_eq!(again.recovery.orphan_chunks, 1);
    // A later life can not commit it either.
    let mut late = commit(20, "late");
    late.transaction = 5;
    late.chunks.push(ChunkRef {
        collection: 1,
        position,
    });
    assert!(matches!(
        again.log.append_commits(&[late]),
        Err(LogError::UnknownChunk { .. })
    ));
}

#[test]
fn a_commit_takes_only_its_own_chunks() {
    let fs = FaultFs::new(1);
    let log = open(&fs).unwrap().log;
    let position = log.append_chunk(5, 1, b"mine").unwrap();
    let mut other = commit(10, "other");
    other.chunks.push(ChunkRef {
        collection: 1,
        position,
    });
    assert!(matches!(
        log.append_commits(&[other.clone()]),
        Err(LogError::UnknownChunk { .. })
    ));
    other.transaction = 5;
    log.append_commits(&[other.clone()]).unwrap();
    other.timestamp = 11;
    assert!(matches!(
        log.append_commits(&[other]),
        Err(LogError::UnknownChunk { .. })
    ));
    let abandoned = log.append_chunk(6, 1, b"rolled back").unwrap();
    log.abandon(6);
    let mut late = commit(12, "late");
    late.transaction = 6;
    late.chunks.push(ChunkRef {
        collection: 1,
        position: abandoned,
    });
    assert!(matches!(
        log.append_commits(&[late]),
        Err(LogError::UnknownChunk { .. })
    ));
}

#[test]
fn commits_at_or_below_the_newest_commit_or_lease_are_refused() {
    let fs = FaultFs::new(1);
    let log = open(&fs).unwrap().log;
    log.append_commits(&[commit(10, "a")]).unwrap();
    assert!(matches!(
        log.append_commits(&[commit(10, "b")]),
        Err(LogError::OutOfOrder { floor: 10, .. })
    ));
    assert!(matches!(
        log.append_commits(&[commit(12, "b"), commit(11, "c")]),
        Err(LogError::OutOfOrder { .. })
    ));
    log.append_lease(50).unwrap();
    drop(log);
    let log = reopen(&fs).log;
    assert!(matches!(
        log.append_commits(&[commit(50, "b")]),
        Err(LogError::OutOfOrder { floor: 50, .. })
    ));
    log.append_commits(&[commit(51, "b")]).unwrap();
}

#[test]
fn a_record_larger_than_a_segment_gets_a_segment_of_its_size() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    let long = "x".repeat(10_000);
    opened.log.append_commits(&[commit(1, &long)]).unwrap();
    opened.log.append_commits(&[commit(2, "short")]).unwrap();
    opened.log.append_commits(&[commit(3, &long)]).unwrap();
    drop(opened);
    let again = reopen(&fs);
    let lengths: Vec<usize> = again
        .commits
        .iter()
        .map(|(_, changes)| changes[0].1.len())
        .collect();
    assert_eq!(lengths, [10_000, 5, 10_000]);
}

#[test]
fn an_append_above_the_limit_is_refused_and_writes_nothing() {
    let fs = FaultFs::new(1);
    let log = open(&fs).unwrap().log;
    let huge = Bytes::from(vec![0; (1 << 20) + 1]);
    let payloads = (0..1024)
        .map(|collection| Payload {
            collection,
            bytes: huge.clone(),
        })
        .collect();
    let refused = log.append_commits(&[Commit {
        timestamp: 1,
        payloads,
        ..Commit::default()
    }]);
    assert!(matches!(refused, Err(LogError::TooLarge { .. })));
    assert_eq!(log.head().sequence, 0);
}

#[test]
fn the_real_file_system_keeps_what_it_was_given_and_locks_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("data");
    let fs = Arc::new(RealFs);
    let options = Options {
        segment_size: 64 << 10,
        ..Options::default()
    };
    let (log, _) = Log::open(fs.clone(), &path, options, None, &mut |_, _| Ok(())).unwrap();
    let second = Log::open(fs.clone(), &path, options, None, &mut |_, _| Ok(())).map(drop);
    let message = second.unwrap_err().to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    for timestamp in 1..200 {
        log.append_commits(&[commit(timestamp, &"y".repeat(1_000))])
            .unwrap();
    }
    let head = log.head();
    drop(log);
    let (log, recovery) = Log::open(fs.clone(), &path, options, None, &mut |_, _| Ok(())).unwrap();
    assert_eq!((recovery.commits, recovery.set_aside), (199, None));
    assert_eq!(log.head(), head);
    let (verified, chain) = verify(fs, &path, &mut |_, _| Ok(())).unwrap();
    assert_eq!((verified.commits, chain), (199, head.chain));
}

#[test]
fn a_base_begins_a_segment_before_which_the_log_can_be_cut() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    opened.log.append_commits(&[commit(1, "old")]).unwrap();
    let base = opened
        .log
        .append_base(Bytes::from_static(b"state"))
        .unwrap();
    opened.log.append_commits(&[commit(2, "new")]).unwrap();
    let head = opened.log.head();
    drop(opened);
    use crate::vfs::FileSystem;
    let first = fs
        .paths()
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with("01.log"))
        .unwrap();
    fs.remove(&first).unwrap();
    let again = reopen(&fs);
    assert_eq!(again.entries[0].position, base);
    assert_eq!(
        again.entries[0].record,
        Record::Base(Bytes::from_static(b"state"))
    );
    assert_eq!(again.commits.len(), 1);
    assert_eq!(again.log.head(), head);
}

fn any_bytes() -> BoxedStrategy<Bytes> {
    proptest::collection::vec(any::<u8>(), 0..40)
        .prop_map(Bytes::from)
        .boxed()
}

fn any_record() -> impl Strategy<Value = Record> {
    let position =
        (any::<u64>(), any::<u64>(), any::<u32>()).prop_map(|(segment, offset, length)| Position {
            segment: SegmentId(segment),
            offset,
            length,
        });
    let chunk_ref = (any::<u64>(), position).prop_map(|(collection, position)| ChunkRef {
        collection,
        position,
    });
    let payload = (any::<u64>(), any_bytes())
        .prop_map(|(collection, bytes)| Payload { collection, bytes })
        .boxed();
    let fact = (any::<u16>(), any_bytes()).prop_map(|(tag, bytes)| crate::Fact { tag, bytes });
    let commit = (
        any::<(u64, u64, u64)>(),
        proptest::collection::vec(fact, 0..3),
        proptest::collection::vec(payload.clone(), 0..4),
        proptest::collection::vec(chunk_ref, 0..4),
    )
        .prop_map(
            |((timestamp, wall_clock, transaction), facts, payloads, chunks)| Commit {
                timestamp,
                wall_clock,
                transaction,
                facts,
                payloads,
                chunks,
            },
        );
    prop_oneof![
        (any::<u64>(), payload).prop_map(|(transaction, payload)| Record::Chunk(Chunk {
            transaction,
            payload
        })),
        commit.prop_map(Record::Commit),
        any::<u64>().prop_map(Record::Lease),
        any_bytes().prop_map(Record::Checkpoint),
        any_bytes().prop_map(Record::Base),
    ]
}

proptest! {
    #[test]
    fn a_record_survives_its_encoding(record in any_record()) {
        let mut body = Vec::new();
        encode(&record, &mut body);
        if let Record::Commit(commit) = &record {
            prop_assert_eq!(crate::record::commit_length(commit), body.len() as u64);
        }
        prop_assert_eq!(decode(Bytes::from(body)).unwrap(), record);
    }

    #[test]
    fn any_bytes_decode_or_fail(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(Bytes::from(body));
    }

    #[test]
    fn a_changed_record_decodes_or_fails(record in any_record(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut body = Vec::new();
        encode(&record, &mut body);
        let at = at.index(body.len());
        body[at] = to;
        let _ = decode(Bytes::from(body));
    }
}
