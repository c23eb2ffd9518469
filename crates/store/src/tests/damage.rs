//! Damaged files mean a rebuild, never a panic and never wrong rows.

use std::path::PathBuf;

use super::*;

fn fill(dir: &Path) {
    let (store, _) = open(
        dir,
        Options {
            memtable_bytes: 20_000,
            ..Options::default()
        },
    );
    for time in 1..=60u64 {
        let keys: Vec<[u8; 8]> = (0..20u64).map(|n| (n * 100 + time).to_be_bytes()).collect();
        let changes: Vec<Change<'_>> = keys.iter().map(|key| put(1, key, b"some value")).collect();
        apply(&store, time, &changes).unwrap();
    }
    store.flush().unwrap();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    found
}

/// Opens, and reads everything: right, or a rebuild. Gives whether it was noticed.
fn open_and_read(dir: &Path, what: &str) -> bool {
    let (store, complete) = open(dir, Options::default());
    if complete == Timestamp(0) {
        apply(&store, 60, &[put(1, b"again", b"")]).unwrap();
        store.flush().unwrap();
        return true;
    }
    assert_eq!(complete, Timestamp(60), "{what}");
    match rows(&store, 1, 60) {
        Ok(found) => {
            assert_eq!(found.len(), 1200, "{what}");
            assert!(
                found.iter().all(|row| row.1 == b"some value" && row.2 == 1),
                "{what}"
            );
            false
        }
        Err(StoreError::Damaged(_)) => {
            store.request_rebuild();
            drop(store);
            let (_, complete) = open(dir, Options::default());
            assert_eq!(complete, Timestamp(0), "{what}: the next open starts anew");
            true
        }
        Err(other) => panic!("{what}: {other}"),
    }
}

#[test]
fn a_removed_store_opens_empty() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    assert!(!open_and_read(folder.path(), "whole"));
    Store::remove(&folder.path().join("store")).unwrap();
    assert!(open_and_read(folder.path(), "removed"));
}

#[test]
fn any_damaged_file_is_noticed_or_harmless() {
    let original = tempfile::tempdir().unwrap();
    fill(original.path());
    let names: Vec<PathBuf> = files(original.path())
        .into_iter()
        .map(|path| path.strip_prefix(original.path()).unwrap().to_owned())
        .collect();
    let mut noticed = 0;
    for name in &names {
        let length = std::fs::metadata(original.path().join(name)).unwrap().len();
        for kind in 0..6u64 {
            let folder = tempfile::tempdir().unwrap();
            for name in &names {
                let to = folder.path().join(name);
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(original.path().join(name), to).unwrap();
            }
            let path = folder.path().join(name);
            let mut bytes = std::fs::read(&path).unwrap();
            match kind {
                0 => std::fs::remove_file(&path).unwrap(),
                1 => std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                2 => std::fs::write(&path, b"").unwrap(),
                _ if length == 0 => continue,
                _ => {
                    let at = (length - 1) * (kind - 3) / 2;
                    bytes[at as usize] ^= 0x41;
                    std::fs::write(&path, &bytes).unwrap();
                }
            }
            noticed += u32::from(open_and_read(
                folder.path(),
                &format!("{} damaged, {kind}", name.display()),
            ));
        }
    }
    assert!(noticed > 5, "{noticed} cases noticed");
}
