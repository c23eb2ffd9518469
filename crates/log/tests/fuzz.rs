//! The fuzz target's function over random and mutated bytes, on every compiler.
//!
//! `PROPTEST_CASES=1000000 cargo test -p everview-log --test fuzz` runs as many as given.

#[path = "../fuzz/entry.rs"]
mod entry;
#[path = "../../repr/fuzz/mutated.rs"]
mod mutated;

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

proptest! {
    #[test]
    fn any_bytes_are_refused_or_mean_something(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        entry::run(&bytes);
    }

    #[test]
    fn mutated_bytes_are_refused_or_mean_something(bytes in mutated::mutated(SEEDS)) {
        entry::run(&bytes);
    }
}
