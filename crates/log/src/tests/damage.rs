//! Torn tails are repaired and kept; damage anywhere else stops the start and is named.

use proptest::prelude::*;

use super::*;
use crate::frame::{ChainHash, SEGMENT_HEADER, SegmentHeader};
use crate::record::ChunkRef;
use crate::verify;

/// A log of one segment and `commits` frames; gives the offset where each frame ends.
fn one_segment(fs: &FaultFs, commits: u64) -> Vec<u64> {
    let options = Options {
        segment_size: 16 << 10,
        ..small()
    };
    let opened = open_with(fs, options).unwrap();
    let mut ends = vec![SEGMENT_HEADER as u64];
    for timestamp in 1..=commits {
        let position = opened
            .log
            .append_commits(&[commit(timestamp, &format!("row {timestamp}"))])
            .unwrap()[0];
        let end = position.offset + u64::from(position.length);
        ends.push(end.next_multiple_of(8));
    }
    ends
}

#[test]
fn a_last_frame_torn_at_any_byte_is_set_aside_and_its_bytes_are_kept() {
    let fs = FaultFs::new(1);
    let ends = one_segment(&fs, 3);
    let path = last_segment(&fs);
    let whole = fs.contents(&path).unwrap();
    let (start, end) = (ends[2] as usize, ends[3] as usize);
    for cut in start + 1..end {
        let mut torn = whole.clone();
        torn[cut..].fill(0);
        if torn == whole {
            // What is missing was zero: nothing is torn.
            continue;
        }
        let fs = FaultFs::new(1);
        fs.plant(&path, &torn);
        let opened = open(&fs).unwrap();
        assert_eq!(opened.commits.len(), 2, "cut at {cut}");
        let aside = opened.recovery.set_aside.unwrap();
        assert_eq!(aside.offset, start as u64);
        let saved = fs.contents(&aside.saved_as.unwrap()).unwrap();
        assert_eq!(saved, torn[start..start + aside.bytes as usize]);
        // The log goes on where it was cut, and the next start is clean.
        opened.log.append_commits(&[commit(9, "after")]).unwrap();
        drop(opened.log);
        let again = reopen(&fs);
        assert_eq!((again.commits.len(), again.recovery.set_aside), (3, None));
    }
}

#[test]
fn a_last_frame_of_which_only_a_later_part_reached_the_disk_is_set_aside() {
    let fs = FaultFs::new(1);
    let ends = one_segment(&fs, 3);
    let path = last_segment(&fs);
    let whole = fs.contents(&path).unwrap();
    let (start, end) = (ends[2] as usize, ends[3] as usize);
    for cut in start + 1..end - 8 {
        let mut torn = whole.clone();
        torn[start..cut].fill(0);
        if torn[start..].iter().all(|&byte| byte == 0) {
            // Nothing of it is left.
            continue;
        }
        let fs = FaultFs::new(1);
        fs.plant(&path, &torn);
        let opened = open(&fs).unwrap();
        assert_eq!(
            (opened.commits.len(), opened.recovery.set_aside.is_some()),
            (2, true),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_file_that_ends_within_its_last_frame_is_a_torn_tail() {
    let fs = FaultFs::new(1);
    let ends = one_segment(&fs, 3);
    let path = last_segment(&fs);
    let whole = fs.contents(&path).unwrap();
    for cut in ends[2] as usize + 1..ends[3] as usize - 8 {
        let fs = FaultFs::new(1);
        fs.plant(&path, &whole[..cut]);
        let opened = open(&fs).unwrap();
        assert_eq!(opened.commits.len(), 2, "cut at {cut}");
        opened.log.append_commits(&[commit(9, "after")]).unwrap();
    }
}

#[test]
fn a_flipped_bit_at_any_byte_before_the_tail_is_found_and_named() {
    let fs = FaultFs::new(1);
    let ends = one_segment(&fs, 3);
    let path = last_segment(&fs);
    let whole = fs.contents(&path).unwrap();
    for at in 0..ends[2] as usize {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        let fs = FaultFs::new(1);
        fs.plant(&path, &flipped);
        let error = open(&fs).map(|_| ()).unwrap_err();
        let LogError::Damaged {
            path: named,
            offset,
            remedy,
            ..
        } = &error
        else {
            panic!("byte {at}: {error}")
        };
        assert_eq!(named, &path);
        assert!(remedy.contains("restore"));
        // Within the frame, or the header, that holds the byte.
        let frame = ends.iter().rposition(|&end| end <= at as u64);
        let (from, to) = frame.map_or((0, ends[0]), |frame| (ends[frame], ends[frame + 1]));
        assert!(
            (from..to).contains(offset),
            "byte {at} reported at {offset}"
        );
        assert_eq!(
            fs.contents(&path).unwrap(),
            flipped,
            "a start that stops changes nothing"
        );
    }
}

#[test]
fn a_flipped_bit_in_an_earlier_segment_is_never_a_torn_tail() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    for timestamp in 1..40 {
        opened
            .log
            .append_commits(&[commit(timestamp, "some row")])
            .unwrap();
    }
    drop(opened);
    let first = fs
        .paths()
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with("01.log"))
        .unwrap();
    let whole = fs.contents(&first).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs.restart();
        fs.plant(&first, &flipped);
        match open(&fs).map(|_| ()) {
            Err(LogError::Damaged { path, .. }) => assert_eq!(path, first, "byte {at}"),
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn a_missing_segment_or_a_missing_end_is_named() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    for timestamp in 1..60 {
        opened
            .log
            .append_commits(&[commit(timestamp, "some row")])
            .unwrap();
    }
    drop(opened);
    let logs: Vec<PathBuf> = fs
        .paths()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    assert!(logs.len() >= 3);
    use crate::vfs::FileSystem;
    let second = fs.contents(&logs[1]).unwrap();
    fs.plant(&logs[1], &second[..SEGMENT_HEADER]);
    fs.restart();
    let error = open(&fs).map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, LogError::Damaged { path, .. } if *path == logs[1]),
        "{error}"
    );
    fs.remove(&logs[1]).unwrap();
    fs.restart();
    let error = open(&fs).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    fs.remove(&logs[0]).unwrap();
    fs.restart();
    let error = open(&fs).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn a_record_changed_together_with_its_checksum_breaks_the_chain() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    let position = opened.log.append_commits(&[commit(1, "pay 100")]).unwrap()[0];
    opened.log.append_commits(&[commit(2, "other")]).unwrap();
    drop(opened);
    let path = last_segment(&fs);
    let mut bytes = fs.contents(&path).unwrap();
    let record = position.offset as usize..position.offset as usize + position.length as usize;
    let amount = record.start
        + bytes[record.clone()]
            .windows(3)
            .position(|window| window == b"100")
            .unwrap();
    bytes[amount] = b'9';
    let crc = crc32c::crc32c(&bytes[record.start + 8..record.end]);
    bytes[record.start + 4..record.start + 8].copy_from_slice(&crc.to_le_bytes());
    fs.plant(&path, &bytes);
    let error = verify(Arc::new(fs.clone()), dir(), &mut |_, _| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("chain is broken in records 1 to 1"),
        "{error}"
    );
}

#[test]
fn a_frame_of_another_place_is_not_taken_for_one() {
    // A row whose value is a copy of the log itself, with a torn tail after it.
    let fs = FaultFs::new(1);
    let options = Options {
        segment_size: 64 << 10,
        ..small()
    };
    let opened = open_with(&fs, options).unwrap();
    for timestamp in 1..5 {
        opened
            .log
            .append_commits(&[commit(timestamp, "row")])
            .unwrap();
    }
    let path = last_segment(&fs);
    let copy = fs.contents(&path).unwrap();
    let mut nested = commit(5, "");
    nested.payloads[0].bytes = Bytes::copy_from_slice(&copy[..2000]);
    let position = opened.log.append_commits(&[nested]).unwrap()[0];
    drop(opened);
    let mut torn = fs.contents(&path).unwrap();
    torn[position.offset as usize + 5] ^= 1;
    fs.plant(&path, &torn);
    let again = reopen(&fs);
    assert_eq!(again.commits.len(), 4);
    assert!(again.recovery.set_aside.is_some());
}

#[test]
fn unsynced_chunks_lost_in_any_order_are_a_torn_tail() {
    let fs = FaultFs::new(1);
    let options = Options {
        segment_size: 16 << 10,
        chunk_sync: 1 << 20,
        zero_ahead: 0,
    };
    let opened = open_with(&fs, options).unwrap();
    opened.log.append_commits(&[commit(1, "row")]).unwrap();
    let first = opened.log.append_chunk(7, 1, &[1; 100]).unwrap();
    opened.log.append_chunk(7, 1, &[2; 100]).unwrap();
    drop(opened);
    let path = last_segment(&fs);
    let mut bytes = fs.contents(&path).unwrap();
    bytes[first.offset as usize + 20] ^= 1;
    fs.plant(&path, &bytes);
    let again = reopen(&fs);
    assert_eq!(again.commits.len(), 1);
    assert!(again.recovery.set_aside.unwrap().bytes > 200);
}

#[test]
fn a_synced_chunk_that_broke_later_is_damage() {
    let fs = FaultFs::new(1);
    let options = Options {
        segment_size: 16 << 10,
        chunk_sync: 1 << 20,
        zero_ahead: 0,
    };
    let opened = open_with(&fs, options).unwrap();
    let position = opened.log.append_chunk(7, 1, &[1; 100]).unwrap();
    let mut owner = commit(1, "row");
    owner.transaction = 7;
    owner.chunks.push(ChunkRef {
        collection: 1,
        position,
    });
    opened.log.append_commits(&[owner]).unwrap();
    opened.log.append_lease(5).unwrap();
    drop(opened);
    let path = last_segment(&fs);
    let mut bytes = fs.contents(&path).unwrap();
    bytes[position.offset as usize + 20] ^= 1;
    fs.plant(&path, &bytes);
    fs.restart();
    assert!(matches!(
        open(&fs).map(|_| ()),
        Err(LogError::Damaged { .. })
    ));
}

#[test]
fn a_newer_format_is_told_apart_from_damage() {
    let fs = FaultFs::new(1);
    one_segment(&fs, 1);
    let path = last_segment(&fs);
    let mut bytes = fs.contents(&path).unwrap();
    bytes[8] = 9;
    let crc = crc32c::crc32c(&bytes[..124]);
    bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    fs.plant(&path, &bytes);
    fs.restart();
    assert!(matches!(
        open(&fs).map(|_| ()),
        Err(LogError::Version { found: 9, .. })
    ));
}

#[test]
fn a_position_that_is_not_one_is_an_error() {
    let fs = FaultFs::new(1);
    one_segment(&fs, 3);
    let opened = reopen(&fs);
    let good = opened.entries[0].position;
    for (offset, length) in [
        (good.offset + 1, good.length),
        (u64::MAX, 9),
        (0, u32::MAX),
        (0, 0),
        (good.offset, 3),
    ] {
        let wrong = crate::Position {
            offset,
            length,
            ..good
        };
        assert!(
            matches!(
                opened.log.reader().read(wrong),
                Err(LogError::Damaged { .. })
            ),
            "{wrong:?}"
        );
    }
    let elsewhere = crate::Position {
        segment: crate::SegmentId(99),
        ..good
    };
    assert!(matches!(
        opened.log.reader().read(elsewhere),
        Err(LogError::Io { .. })
    ));
}

proptest! {
    #[test]
    fn any_bytes_as_a_segment_open_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let fs = FaultFs::new(1);
        fs.plant(&crate::reader::segment_path(dir(), crate::SegmentId(1)), &bytes);
        let _ = open(&fs);
    }

    #[test]
    fn any_bytes_after_a_good_header_open_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let fs = FaultFs::new(1);
        let header = SegmentHeader { number: 1, first_sequence: 1, chain: ChainHash::genesis() };
        let all = [&header.encode()[..], &bytes].concat();
        fs.plant(&crate::reader::segment_path(dir(), crate::SegmentId(1)), &all);
        let opened = open(&fs).unwrap();
        prop_assert_eq!(opened.recovery.records, 0);
    }

    #[test]
    fn any_few_changed_bytes_open_or_fail(changes in proptest::collection::vec((0usize..2000, any::<u8>()), 1..6)) {
        let fs = FaultFs::new(1);
        one_segment(&fs, 8);
        let path = last_segment(&fs);
        let mut bytes = fs.contents(&path).unwrap();
        for (at, to) in changes {
            bytes[at] = to;
        }
        fs.plant(&path, &bytes);
        fs.restart();
        if let Ok(opened) = open(&fs) {
            let expected: Vec<u64> = (1..=opened.commits.len() as u64).collect();
            prop_assert_eq!(opened.commits.iter().map(|(timestamp, _)| *timestamp).collect::<Vec<_>>(), expected);
        }
    }
}
