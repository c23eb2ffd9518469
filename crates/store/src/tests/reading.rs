//! What readers may count on.

use super::*;

#[test]
fn a_scan_keeps_what_it_began_with_while_rows_are_written_and_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), tiny());
    let keys: Vec<[u8; 2]> = (0..2000u16).map(u16::to_be_bytes).collect();
    let value = [7; 200];
    let first: Vec<Change<'_>> = keys.iter().map(|key| put(1, key, &value)).collect();
    apply(&store, 1, &first).unwrap();
    store.flush().unwrap();
    let mut scan = store.scan(1, ALL, Timestamp(1), 0, 1).unwrap();
    let mut count = scan.next().unwrap().unwrap().len();
    assert!(count < 2000);
    for time in 2..30 {
        let gone: Vec<Change<'_>> = keys[time as usize * 50..][..50]
            .iter()
            .map(|key| take(1, key, &value))
            .collect();
        apply(&store, time, &gone).unwrap();
        store.set_since(Timestamp(time));
    }
    store.flush().unwrap();
    count += scan.map(|chunk| chunk.unwrap().len()).sum::<usize>();
    assert_eq!(count, 2000);
    assert_eq!(rows(&store, 1, 29).unwrap().len(), 2000 - 28 * 50);
}

#[test]
fn readers_beside_a_writer_see_whole_commits_only() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), tiny());
    // Each commit moves one unit from one account to another: the sum never changes.
    let store = &store;
    apply(
        store,
        1,
        &[Change {
            collection: 1,
            key: b"a",
            value: b"unit",
            diff: 1000,
        }],
    )
    .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for time in 2..400u64 {
                let (from, to) = if time % 3 == 0 {
                    (b"b", b"a")
                } else {
                    (b"a", b"b")
                };
                apply(store, time, &[take(1, from, b"unit"), put(1, to, b"unit")]).unwrap();
                store.set_since(Timestamp(time.saturating_sub(200)));
            }
        });
        for _ in 0..2 {
            scope.spawn(move || {
                while store.complete_upto().0 < 399 {
                    let as_of = store.complete_upto();
                    if as_of.0 == 0 {
                        continue;
                    }
                    let total: i64 = rows(store, 1, as_of.0)
                        .unwrap()
                        .iter()
                        .map(|row| row.2)
                        .sum();
                    assert_eq!(total, 1000, "at {as_of}");
                }
            });
        }
    });
}

#[test]
fn ranges_are_cut_where_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), tiny());
    let keys: [&[u8]; 6] = [b"", b"a", b"a\0", b"ab", b"b", b"\xff\xff"];
    let changes: Vec<Change<'_>> = keys.iter().map(|key| put(7, key, b"")).collect();
    apply(&store, 1, &changes[..3]).unwrap();
    store.flush().unwrap();
    apply(&store, 2, &changes[3..]).unwrap();
    apply(&store, 3, &[put(6, b"\xff", b""), put(8, b"", b"")]).unwrap();
    use Bound::{Excluded, Included, Unbounded};
    let between = |from: Bound<&[u8]>, to: Bound<&[u8]>| -> Vec<Vec<u8>> {
        let scan = store.scan(7, (from, to), Timestamp(3), 0, 1).unwrap();
        scan.flat_map(|chunk| {
            chunk
                .unwrap()
                .iter()
                .map(|row| row.0.to_vec())
                .collect::<Vec<_>>()
        })
        .collect()
    };
    assert_eq!(between(Unbounded, Unbounded), keys);
    assert_eq!(between(Included(b"a"), Included(b"ab")), keys[1..4]);
    assert_eq!(between(Excluded(b"a"), Excluded(b"ab")), keys[2..3]);
    assert_eq!(between(Excluded(b"a"), Unbounded), keys[2..]);
    assert_eq!(between(Unbounded, Excluded(b"a")), keys[..1]);
    assert_eq!(
        between(Included(b"b"), Included(b"a")),
        Vec::<Vec<u8>>::new()
    );
}

#[test]
fn keys_above_the_files_limit_are_kept_apart_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), tiny());
    let long = vec![b'k'; 200_000];
    let mut other = long.clone();
    other[150_000] = b'j';
    let value = vec![b'v'; 3 << 20];
    apply(
        &store,
        1,
        &[
            put(1, &long, &value),
            put(1, &other, b"other"),
            put(1, b"k", b"short"),
        ],
    )
    .unwrap();
    let check = |store: &Store| {
        assert_eq!(
            store.get(1, &long, Timestamp(1)).unwrap(),
            vec![(value.clone(), 1)]
        );
        assert_eq!(
            store.get(1, &other, Timestamp(1)).unwrap(),
            vec![(b"other".to_vec(), 1)]
        );
        let mut keys: Vec<Vec<u8>> = rows(store, 1, 1)
            .unwrap()
            .into_iter()
            .map(|row| row.0)
            .collect();
        keys.sort();
        assert_eq!(keys, [b"k".to_vec(), other.clone(), long.clone()]);
        let only = (
            Bound::Included(long.as_slice()),
            Bound::Included(long.as_slice()),
        );
        let found: usize = store
            .scan(1, only, Timestamp(1), 0, 1)
            .unwrap()
            .map(|chunk| chunk.unwrap().len())
            .sum();
        assert_eq!(found, 1);
    };
    check(&store);
    store.flush().unwrap();
    check(&store);
    apply(&store, 2, &[take(1, &long, &value)]).unwrap();
    store.flush().unwrap();
    assert_eq!(store.get(1, &long, Timestamp(2)).unwrap(), vec![]);
    check(&store);
}

#[test]
fn changes_have_to_come_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), tiny());
    apply(&store, 5, &[put(1, b"a", b"")]).unwrap();
    let late = apply(&store, 5, &[put(1, b"a", b"")]);
    assert!(matches!(late, Err(StoreError::OutOfOrder { .. })));
}

#[test]
fn a_folder_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, _) = open(folder.path(), tiny());
    let second = Store::open(folder.path().join("store"), tiny()).map(|_| ());
    assert!(matches!(second, Err(StoreError::Locked(_))), "{second:?}");
}

#[test]
fn updating_one_key_again_and_again_keeps_its_history_short() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(
        folder.path(),
        Options {
            memtable_bytes: 64 << 10,
            ..tiny()
        },
    );
    for time in 1..20_000u64 {
        let (old, new) = ((time - 1).to_be_bytes(), time.to_be_bytes());
        let both = [take(1, b"counter", &old), put(1, b"counter", &new)];
        apply(&store, time, if time == 1 { &both[1..] } else { &both }).unwrap();
        store.set_since(Timestamp(time));
    }
    let found = store.get(1, b"counter", Timestamp(19_999)).unwrap();
    assert_eq!(found, vec![(19_999u64.to_be_bytes().to_vec(), 1)]);
}
