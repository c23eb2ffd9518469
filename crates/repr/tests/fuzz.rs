//! The fuzz target's function over random and mutated bytes, on every compiler.
//!
//! `PROPTEST_CASES=1000000 cargo test -p everview-repr --test fuzz` runs as many as given.

#[path = "../fuzz/entry.rs"]
mod entry;
#[path = "../fuzz/mutated.rs"]
mod mutated;

use proptest::prelude::*;

/// What mutations begin with.
const SEEDS: &[&[u8]] = &[
    b"",
    b"\x06-12345.6789e-12",
    b"\x0d2024-02-29",
    b"\x0f2024-02-29 12:34:56.789+02",
    b"\x111 year 2 mons -3 days 04:05:06.7",
    b"\x13{\"a\": [1, 2.50, null, {\"b\": \"\\u00e4\"}]}",
    b"\x1e{{1,2},{NULL,4}}",
    b"\x21{\"a b\",\"c\\\"d\",NULL}",
    b"\x12c56a4180-65aa-42ec-a945-5fd21dec0538",
    b"\x06\x00\x02\x00\x00\x00\x00\x00\x02\x00\x01\x09\xc4",
    b"\x1e\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x17\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00\x07",
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
