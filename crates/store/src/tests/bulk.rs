//! How fast rows go in. Run with `cargo test --release -p everview-store -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

fn load(name: &str, rows: u64, key_of: impl Fn(u64) -> u64) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), Options::default());
    let value = [9u8; 24];
    let start = Instant::now();
    for part in 0..rows / 20_000 {
        let keys: Vec<[u8; 8]> = (part * 20_000..(part + 1) * 20_000)
            .map(|row| key_of(row).to_be_bytes())
            .collect();
        let changes: Vec<Change<'_>> = keys.iter().map(|key| put(1, key, &value)).collect();
        store.apply_part(Timestamp(1), &changes).unwrap();
    }
    store.advance(Timestamp(1), b"");
    let applied = start.elapsed();
    store.flush().unwrap();
    let flushed = start.elapsed();
    let start = Instant::now();
    let found: usize = store
        .scan(1, ALL, Timestamp(1), 0, 1)
        .unwrap()
        .map(|chunk| chunk.unwrap().len())
        .sum();
    let scanned = start.elapsed();
    assert_eq!(found as u64, rows);
    let start = Instant::now();
    for row in 0..100_000u64 {
        let key = key_of(row * 7919 % rows).to_be_bytes();
        assert_eq!(store.get(1, &key, Timestamp(1)).unwrap().len(), 1);
    }
    let got = start.elapsed();
    let start = Instant::now();
    for row in 0..100_000u64 {
        let key = (key_of(row * 7919 % rows) ^ 1 << 63).to_be_bytes();
        assert_eq!(store.get(1, &key, Timestamp(1)).unwrap().len(), 0);
    }
    let missed = start.elapsed();
    let million = |time: std::time::Duration| rows as f64 / time.as_secs_f64() / 1e6;
    println!(
        "{name}: applied {:.2}, with flush {:.2} M rows/s; scan {:.2} M rows/s; get {:.2} us, miss {:.2} us",
        million(applied),
        million(flushed),
        million(scanned),
        got.as_secs_f64() * 10.0,
        missed.as_secs_f64() * 10.0,
    );
}

#[test]
#[ignore = "a measurement"]
fn loading_ascending_and_random_keys() {
    load("ascending", 5_000_000, |row| row);
    load("random", 5_000_000, |row| {
        row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1
    });
}

#[test]
#[ignore = "a measurement"]
fn commits_of_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), Options::default());
    let start = Instant::now();
    let mut worst = std::time::Duration::ZERO;
    for time in 1..=500_000u64 {
        let one = Instant::now();
        let key = time.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        apply(&store, time, &[put(1, &key, b"some twenty bytes here")]).unwrap();
        worst = worst.max(one.elapsed());
    }
    println!(
        "{:.2} us a commit, worst {worst:?}",
        start.elapsed().as_secs_f64() * 2.0
    );
}
