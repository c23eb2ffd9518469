//! `cargo +nightly fuzz run --fuzz-dir crates/repr/fuzz row_decoder`

#![no_main]

#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run(data));
