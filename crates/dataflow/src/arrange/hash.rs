//! The hash that says which worker owns a key.
//!
//! XXH3 of 64 bits with its default seed: the same on every platform and in every version, because
//! readers on other threads, and processes on other machines, must agree with the exchange.

/// The hash of key bytes.
#[inline]
pub fn of(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

/// The worker that owns a key, of so many.
#[inline]
pub fn worker(key: &[u8], workers: usize) -> usize {
    (of(key) % workers as u64) as usize
}

/// Hashes byte strings for hash maps of this crate, whose order never shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

impl std::hash::Hasher for KeyHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }
    #[inline]
    fn write_usize(&mut self, _length: usize) {
        // The length of a byte string adds nothing: its bytes are hashed whole.
    }
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

/// A hash map from byte strings.
pub type KeyMap<V> =
    std::collections::HashMap<Box<[u8]>, V, std::hash::BuildHasherDefault<KeyHasher>>;
