//! Full disks can be retried; failed syncs never are.

use super::*;
use crate::vfs::{Fault, Operation};

#[test]
fn a_full_disk_fails_the_write_and_the_same_write_succeeds_once_there_is_room() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    fs.set_capacity(Some(fs.used() + 100));
    let mut written = 0;
    let refused = loop {
        match opened
            .log
            .append_commits(&[commit(written + 1, "some row")])
        {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogError::DiskFull { .. }), "{refused}");
    assert!(written > 0);
    // Again, as long as there is no room; reading goes on.
    assert!(matches!(
        opened.log.append_commits(&[commit(written + 1, "x")]),
        Err(LogError::DiskFull { .. })
    ));
    assert!(matches!(
        opened.log.append_chunk(1, 1, &[0; 3000]),
        Err(LogError::DiskFull { .. })
    ));
    assert_eq!(opened.log.poisoned(), None);
    fs.set_capacity(None);
    opened
        .log
        .append_commits(&[commit(written + 1, "some row")])
        .unwrap();
    drop(opened);
    let again = reopen(&fs);
    assert_eq!(
        (again.commits.len() as u64, again.recovery.set_aside),
        (written + 1, None)
    );
}

#[test]
fn no_room_for_the_first_segment_is_an_error_and_no_damage() {
    let fs = FaultFs::new(1);
    fs.set_capacity(Some(100));
    assert!(matches!(
        open(&fs).map(|_| ()),
        Err(LogError::DiskFull { .. })
    ));
    fs.set_capacity(None);
    assert_eq!(reopen(&fs).commits, vec![]);
}

#[test]
fn a_failed_sync_poisons_the_log_and_is_not_tried_again() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    let position = opened.log.append_commits(&[commit(1, "first")]).unwrap()[0];
    fs.inject(fs.operations() + 1, Fault::Error);
    assert_eq!(fs.trace().last(), Some(&Operation::SyncData));
    let failed = opened
        .log
        .append_commits(&[commit(2, "second")])
        .unwrap_err();
    assert!(
        matches!(failed, LogError::Io { what: "sync", .. }),
        "{failed}"
    );
    let operations = fs.operations();
    let refused = opened
        .log
        .append_commits(&[commit(3, "third")])
        .unwrap_err();
    assert!(matches!(refused, LogError::Poisoned { .. }));
    assert!(refused.to_string().contains("sync"), "{refused}");
    assert!(matches!(
        opened.log.append_lease(9),
        Err(LogError::Poisoned { .. })
    ));
    assert!(matches!(
        opened.log.append_chunk(9, 1, b"x"),
        Err(LogError::Poisoned { .. })
    ));
    assert_eq!(
        fs.operations(),
        operations,
        "a poisoned log touches no file"
    );
    // Reading goes on.
    assert!(opened.log.reader().read(position).is_ok());
}

#[test]
fn pages_that_a_failed_sync_left_clean_are_written_again_on_opening() {
    use crate::vfs::Loss;
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    opened.log.append_commits(&[commit(1, "first")]).unwrap();
    // The sync fails after the system forgot that the pages are dirty.
    fs.inject(fs.operations() + 1, Fault::Torn);
    opened
        .log
        .append_commits(&[commit(2, "second")])
        .unwrap_err();
    drop(opened);
    let again = reopen(&fs);
    assert_eq!(again.commits.len(), 2, "it is in memory, so it is read");
    again.log.append_commits(&[commit(3, "third")]).unwrap();
    drop(again);
    fs.power_off(Loss::All);
    assert_eq!(
        open(&fs).unwrap().commits.len(),
        3,
        "what was read once may not be lost later"
    );
}

#[test]
fn a_failed_write_poisons_the_log() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    opened.log.append_commits(&[commit(1, "first")]).unwrap();
    fs.inject(fs.operations(), Fault::Torn);
    assert!(opened.log.append_commits(&[commit(2, "second")]).is_err());
    assert!(matches!(
        opened.log.append_commits(&[commit(3, "third")]),
        Err(LogError::Poisoned { .. })
    ));
    drop(opened);
    let again = reopen(&fs);
    assert_eq!(again.commits.len(), 1);
    assert!(again.recovery.set_aside.is_some());
}

#[test]
fn a_fault_at_a_change_is_not_moved_by_reads_and_a_fork_goes_its_own_way() {
    let fs = FaultFs::new(1);
    let opened = open(&fs).unwrap();
    let places = opened.log.append_commits(&[commit(1, "kept")]).unwrap();
    let fork = fs.fork();
    // The write of the next commit, however much is read before it.
    fs.inject_change(fs.changes(), Fault::Error);
    opened.log.reader().read(places[0]).unwrap();
    assert_eq!(fs.struck(), []);
    opened.log.append_commits(&[commit(2, "x")]).unwrap_err();
    assert_eq!(fs.struck(), [(Operation::Write, Fault::Error)]);
    assert!(opened.log.poisoned().is_some());
    // The fork has neither fault nor lock.
    let other = open(&fork).unwrap();
    other.log.append_commits(&[commit(2, "y")]).unwrap();
    assert_eq!(other.commits.len(), 1);
    assert_eq!(fork.struck(), []);
}
