//! The fuzz target's function over random and mutated bytes, on every compiler.
//!
//! `PROPTEST_CASES=1000000 cargo test -p everview-log --test fuzz` runs as many as given.

#[path = "../fuzz/entry.rs"]
mod entry;

use proptest::prelude::*;

/// What mutations begin with.
const SEEDS: &[&[u8]] = &[
    b"",
    b"\x02\x00\x10\x00\x00\x00\x00\x00\x01",
    b"EVERVLOG\x01\x00\x00\x00\x80\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00",
    b"EvFr\x10\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00",
    b"\x40\x00\x00\x01\x80\x01\x12\xff\x00\x02\x21\x00",
    b"\x01\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00rows",
];

/// A seed with some bytes changed, inserted, deleted or repeated.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<u16>(), 0..4u8, any::<u8>());
    let edits = proptest::collection::vec(edit, 0..12);
    (0..SEEDS.len(), edits).prop_map(|(seed, edits)| {
        let mut bytes = SEEDS[seed].to_vec();
        for (place, what, byte) in edits {
            let place = usize::from(place) % (bytes.len() + 1);
            let end = (place + usize::from(byte)).min(bytes.len());
            match what {
                0 => bytes.insert(place, byte),
                1 => drop(bytes.drain(place..end.min(place + 4))),
                2 => bytes.extend_from_within(place..end),
                _ => bytes
                    .iter_mut()
                    .skip(place)
                    .take(1)
                    .for_each(|old| *old = byte),
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_mean_something(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        entry::run(&bytes);
    }

    #[test]
    fn mutated_bytes_are_refused_or_mean_something(bytes in mutated()) {
        entry::run(&bytes);
    }
}
