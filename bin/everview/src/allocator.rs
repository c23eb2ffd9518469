//! The allocator of the process: jemalloc.
//!
//! Workers free what sessions and other workers allocated, in many small pieces, and a dropped view is a great many of them.
//! With arenas of their own, threads do so without waiting for each other, which is worth half as much again in loading.
//! What is free goes back to the system within about a second, by a thread of the allocator's own, so that a memory limit
//! counts what is used and not what was.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What jemalloc reads when it starts: a text that ends with a zero.
#[allow(
    unsafe_code,
    reason = "jemalloc takes its options from a symbol of this name"
)]
// SAFETY: nothing else bears the name, whose prefix is jemalloc's own; a reference to an array is the plain pointer to
// characters that jemalloc declares.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static OPTIONS: &[u8; 59] = b"background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:0\0";
