//! Many one-block BLAKE3 hashes at a time, in the lanes of the machine's vector unit.
//!
//! A keyed hash of exactly one block of 64 bytes is one compression, and BLAKE3's own implementation can run several
//! in parallel. It offers that through a module it does not document: the tests compare every lane with the public
//! function, so an update of the crate that changes it cannot pass unseen.

use super::{BLOCK, RowHash, limbs};
use blake3::IncrementCounter;
use blake3::platform::{MAX_SIMD_DEGREE, Platform};

/// Bits of BLAKE3's domain flags (the specification's table 3).
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
const KEYED_HASH: u8 = 1 << 4;

/// Blocks that wait for their hash.
pub(super) struct Lanes {
    platform: Platform,
    key: [u32; 8],
    blocks: [[u8; BLOCK]; MAX_SIMD_DEGREE],
    /// Where each block's hash goes.
    places: [usize; MAX_SIMD_DEGREE],
    waiting: usize,
}

impl Lanes {
    pub(super) fn new(key: &[u8; 32]) -> Lanes {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(key.chunks_exact(4)) {
            *word = bytes.iter().rev().fold(0, |v, b| v << 8 | u32::from(*b));
        }
        Lanes {
            platform: Platform::detect(),
            key: words,
            blocks: [[0; BLOCK]; MAX_SIMD_DEGREE],
            places: [0; MAX_SIMD_DEGREE],
            waiting: 0,
        }
    }

    /// The block to fill for the hash that goes to `out[place]`. There is always a free one after
    /// [`Lanes::flush_full`].
    #[inline]
    pub(super) fn next(&mut self, place: usize) -> &mut [u8; BLOCK] {
        let lane = self.waiting % MAX_SIMD_DEGREE;
        self.waiting = lane + 1;
        self.places[lane] = place;
        &mut self.blocks[lane]
    }

    /// Hashes when all lanes are taken.
    #[inline]
    pub(super) fn flush_full(&mut self, out: &mut [RowHash]) {
        if self.waiting == MAX_SIMD_DEGREE {
            self.flush(out);
        }
    }

    /// Hashes what waits.
    pub(super) fn flush(&mut self, out: &mut [RowHash]) {
        let inputs: [&[u8; BLOCK]; MAX_SIMD_DEGREE] = std::array::from_fn(|i| &self.blocks[i]);
        let mut hashes = [0u8; 32 * MAX_SIMD_DEGREE];
        self.platform.hash_many(
            &inputs[..self.waiting],
            &self.key,
            0,
            IncrementCounter::No,
            KEYED_HASH,
            CHUNK_START,
            CHUNK_END | ROOT,
            &mut hashes,
        );
        let places = &self.places[..self.waiting];
        for (place, hash) in places.iter().zip(hashes.as_chunks::<32>().0) {
            out[*place] = RowHash(limbs(hash));
        }
        self.waiting = 0;
    }
}
