//! What is left in memory: written out when nothing more comes, and bounded when the disk takes nothing.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn what_is_in_memory_goes_to_disk_when_nothing_more_comes() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        idle_bytes: 1,
        ..Options::default()
    };
    let (store, _) = open(folder.path(), options);
    store
        .apply_part(Timestamp(5), &[put(1, b"key", b"value")])
        .unwrap();
    store.advance(Timestamp(5), b"a mark");
    let start = Instant::now();
    while store.durable_upto() < Timestamp(5) {
        assert!(start.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(store);
    let (_store, complete) = Store::open(folder.path().join("store"), options).unwrap();
    assert_eq!(complete.upto, Timestamp(5));
    assert_eq!(complete.mark, b"a mark");
}

#[test]
fn the_mark_is_that_of_the_last_whole_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), tiny());
    store
        .apply_part(Timestamp(1), &[put(1, b"a", b"1")])
        .unwrap();
    store.advance(Timestamp(1), b"first");
    store
        .apply_part(Timestamp(2), &[put(1, b"b", b"2")])
        .unwrap();
    store.flush().unwrap();
    drop(store);
    let (store, complete) = Store::open(folder.path().join("store"), tiny()).unwrap();
    assert_eq!(
        (complete.upto, complete.mark.as_slice()),
        (Timestamp(1), &b"first"[..])
    );
    assert_eq!(rows(&store, 1, 9).unwrap().len(), 1);
}

#[test]
fn a_disk_that_takes_nothing_refuses_new_commits_and_fails_none_that_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), tiny());
    // The disk's thread ends, as if it waited for room for ever.
    {
        let mut control = store.shared().control.lock();
        control.stop = true;
        control.stalled = Some(StoreError::DiskFull("a full disk".to_string()));
    }
    store.shared().wake.notify_all();
    let value = [7; 90];
    let mut time = 0;
    while store.check_room().is_ok() {
        time += 1;
        assert!(time < 100);
        apply(&store, time, &[put(1, &time.to_be_bytes(), &value)]).unwrap();
    }
    assert!(matches!(store.check_room(), Err(StoreError::DiskFull(_))));
    // One that was on its way is taken all the same, and can be read.
    time += 1;
    apply(&store, time, &[put(1, &time.to_be_bytes(), &value)]).unwrap();
    assert_eq!(rows(&store, 1, time).unwrap().len() as u64, time);
}
