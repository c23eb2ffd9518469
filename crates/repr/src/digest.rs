//! Order-free digests of collections.
//!
//! A digest is the sum, modulo 2^256, over a collection's rows, of the row's hash times its multiplicity
//! (AdHash, Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", 1997). So it does not depend on
//! order, batches or history: equal collections have equal digests, a change costs one hash, and digests of parts
//! add up. A row's hash is keyed BLAKE3 over its canonical bytes, framed so that all short rows are one block of 64
//! bytes and can be hashed many at a time.
//!
//! An additive sum detects faults. Against someone who chooses rows it is only as good as its key is secret.

mod lanes;

#[cfg(test)]
mod tests;

use crate::row::RowRef;
use crate::time::Diff;
use serde::{Deserialize, Serialize};

/// Rows whose canonical bytes are fewer than this are hashed as one block.
const BLOCK: usize = 64;

/// The length byte of rows that are not: no short row's own.
const LONG: u8 = 0xff;

/// What keys the rows' hashes. Digests under different keys do not compare.
#[derive(Clone)]
pub struct DigestKey {
    key: [u8; 32],
}

impl Default for DigestKey {
    /// The fixed, public key: it detects faults, not adversaries.
    fn default() -> DigestKey {
        DigestKey {
            key: blake3::derive_key("everview row digest, canonical version 1", b""),
        }
    }
}

impl DigestKey {
    /// A key derived from a secret.
    pub fn from_secret(secret: &[u8]) -> DigestKey {
        DigestKey {
            key: blake3::derive_key("everview secret row digest, canonical version 1", secret),
        }
    }

    /// The hash of one row.
    pub fn hash(&self, row: RowRef<'_>) -> RowHash {
        let bytes = crate::canonical::bytes(row);
        let hash = if bytes.len() < BLOCK {
            let mut block = [0; BLOCK];
            frame(bytes, &mut block);
            blake3::keyed_hash(&self.key, &block)
        } else {
            let mut hasher = blake3::Hasher::new_keyed(&self.key);
            hasher.update(&[LONG]).update(bytes).finalize()
        };
        RowHash(limbs(hash.as_bytes()))
    }

    /// The hashes of many rows, in order, appended: the same as [`DigestKey::hash`] of each, several times as fast.
    pub fn hash_many<'r>(
        &self,
        rows: impl IntoIterator<Item = RowRef<'r>>,
        out: &mut Vec<RowHash>,
    ) {
        let mut batch = lanes::Lanes::new(&self.key);
        for row in rows {
            let bytes = crate::canonical::bytes(row);
            if bytes.len() < BLOCK {
                out.push(RowHash([0; 4]));
                frame(bytes, batch.next(out.len() - 1));
                batch.flush_full(out);
            } else {
                out.push(self.hash(row));
            }
        }
        batch.flush(out);
    }
}

/// A short row as a block: its length, its bytes, zeros.
#[inline]
fn frame(bytes: &[u8], block: &mut [u8; BLOCK]) {
    *block = [0; BLOCK];
    block[0] = bytes.len() as u8;
    block[1..=bytes.len()].copy_from_slice(bytes);
}

/// 32 bytes as a little-endian number.
fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.as_chunks().0) {
        *limb = u64::from_le_bytes(*chunk);
    }
    limbs
}

/// One row's hash: a number below 2^256, least limb first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowHash([u64; 4]);

/// The digest of a collection: a number below 2^256, least limb first. The empty collection's is zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Digest([u64; 4]);

impl Digest {
    /// The empty collection's digest.
    pub const EMPTY: Digest = Digest([0; 4]);

    /// Adds a row with its multiplicity, which may be negative. Constant time but for the row's length.
    pub fn update(&mut self, key: &DigestKey, row: RowRef<'_>, diff: Diff) {
        self.update_hash(key.hash(row), diff);
    }

    /// Adds an already hashed row with its multiplicity.
    pub fn update_hash(&mut self, hash: RowHash, diff: Diff) {
        let product = times(hash.0, diff.unsigned_abs());
        self.0 = if diff < 0 {
            subtract(self.0, product)
        } else {
            add(self.0, product)
        };
    }

    /// Adds many rows with their multiplicities.
    pub fn update_many<'r>(
        &mut self,
        key: &DigestKey,
        rows: impl IntoIterator<Item = (RowRef<'r>, Diff)>,
    ) {
        /// Rows at a time: their hashes stay in the nearest cache.
        const CHUNK: usize = 256;
        let mut rows = rows.into_iter();
        let mut diffs = Vec::with_capacity(CHUNK);
        let mut hashes = Vec::with_capacity(CHUNK);
        loop {
            let chunk = rows.by_ref().take(CHUNK).map(|(row, diff)| {
                diffs.push(diff);
                row
            });
            key.hash_many(chunk, &mut hashes);
            if hashes.is_empty() {
                return;
            }
            let pairs = hashes.drain(..).zip(diffs.drain(..));
            pairs.for_each(|(hash, diff)| self.update_hash(hash, diff));
        }
    }

    /// Adds another part's digest.
    pub fn merge(&mut self, other: &Digest) {
        self.0 = add(self.0, other.0);
    }

    /// What has to be added to `other` to get this one.
    pub fn difference(&self, other: &Digest) -> Digest {
        Digest(subtract(self.0, other.0))
    }

    /// Whether this is the empty collection's digest.
    pub fn is_empty(&self) -> bool {
        *self == Digest::EMPTY
    }

    /// 32 bytes, most significant first.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// The digest of [`Digest::to_bytes`].
    pub fn from_bytes(mut bytes: [u8; 32]) -> Digest {
        bytes.reverse();
        Digest(limbs(&bytes))
    }
}

fn add(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let mut carry = false;
    std::array::from_fn(|i| {
        let (sum, over) = a[i].overflowing_add(b[i]);
        let (sum, over_carry) = sum.overflowing_add(u64::from(carry));
        carry = over | over_carry;
        sum
    })
}

fn subtract(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let mut borrow = false;
    std::array::from_fn(|i| {
        let (rest, under) = a[i].overflowing_sub(b[i]);
        let (rest, under_borrow) = rest.overflowing_sub(u64::from(borrow));
        borrow = under | under_borrow;
        rest
    })
}

fn times(a: [u64; 4], factor: u64) -> [u64; 4] {
    if factor == 1 {
        return a;
    }
    let mut carry = 0u128;
    a.map(|limb| {
        carry += u128::from(limb) * u128::from(factor);
        let low = carry as u64;
        carry >>= 64;
        low
    })
}

impl std::fmt::Display for Digest {
    /// 64 hexadecimal digits, most significant first.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .rev()
            .try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits, not {0:?}")]
pub struct ParseDigestError(String);

impl std::str::FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Digest, ParseDigestError> {
        let bad = || ParseDigestError(text.chars().take(80).collect());
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(bad());
        }
        let mut limbs = [0u64; 4];
        for (limb, chunk) in limbs.iter_mut().rev().zip(digits.chunks_exact(16)) {
            for digit in chunk {
                let value = char::from(*digit).to_digit(16).ok_or_else(bad)?;
                *limb = *limb << 4 | u64::from(value);
            }
        }
        Ok(Digest(limbs))
    }
}
