//! The keys of a bulk load, as hashes in sorted runs: eight bytes a key.
//!
//! Runs do not change once they are there, and two sets may share them, so that a copy costs nothing. A run is merged
//! with the next up to [`MOST_RUN`] keys; what is held beside the keys themselves is bounded by that. Two keys may have
//! one hash: a set says where a key may be, never that it is.

use crate::transaction::KeyHash;
use std::sync::Arc;

/// Keys of the longest run: 8 MiB.
const MOST_RUN: usize = 1 << 20;

/// A set of keys' hashes.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    /// Sorted, the longest first.
    runs: Vec<Arc<[u64]>>,
}

/// A key's hash as it is kept.
fn short(hash: KeyHash) -> u64 {
    hash as u64
}

impl KeySet {
    /// A set of these.
    pub fn of(hashes: impl Iterator<Item = KeyHash>) -> KeySet {
        let mut set = KeySet::default();
        set.add(hashes);
        set
    }

    /// Adds these.
    pub fn add(&mut self, hashes: impl Iterator<Item = KeyHash>) {
        let mut run: Vec<u64> = hashes.map(short).collect();
        run.sort_unstable();
        // Each run is at least twice as long as the next, or too long to be merged.
        while let Some(last) = self.runs.last()
            && last.len() < 2 * run.len()
            && last.len() + run.len() <= MOST_RUN
        {
            run = merge(last, &run);
            self.runs.pop();
        }
        if !run.is_empty() {
            self.runs.push(run.into());
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.len() * size_of::<u64>()
    }

    /// Whether a key with this hash may be among them.
    pub fn may_hold(&self, hash: KeyHash) -> bool {
        let hash = short(hash);
        self.runs.iter().any(|run| run.binary_search(&hash).is_ok())
    }

    /// Whether a key may be in both.
    pub fn may_meet(&self, other: &KeySet) -> bool {
        let meet = |a: &[u64], b: &[u64]| {
            let (small, large) = if a.len() < b.len() { (a, b) } else { (b, a) };
            small.iter().any(|hash| large.binary_search(hash).is_ok())
        };
        self.runs
            .iter()
            .any(|a| other.runs.iter().any(|b| meet(a, b)))
    }
}

fn merge(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        let least = if x <= y { a.next() } else { b.next() };
        out.extend(least);
    }
    out.extend(a.chain(b));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_of_keys_is_the_set_of_its_hashes(
            added in prop::collection::vec(prop::collection::vec(0..300u128, 0..40), 0..20),
            other in prop::collection::vec(200..500u128, 0..40),
        ) {
            let mut set = KeySet::default();
            added.iter().for_each(|hashes| set.add(hashes.iter().copied()));
            let all: BTreeSet<u128> = added.into_iter().flatten().collect();
            for hash in 0..300 {
                prop_assert_eq!(set.may_hold(hash), all.contains(&hash));
            }
            let meet = other.iter().any(|hash| all.contains(hash));
            prop_assert_eq!(set.may_meet(&KeySet::of(other.into_iter())), meet);
        }
    }

    #[test]
    fn a_key_takes_eight_bytes_and_a_search_few_runs() {
        let mut set = KeySet::default();
        for piece in 0..200u128 {
            set.add((0..30_000).map(|i| (piece * 30_000 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        }
        assert_eq!(set.len(), 6_000_000);
        assert_eq!(set.bytes(), 48_000_000);
        assert!(set.runs.len() < 20, "{} runs", set.runs.len());
        let copy = set.clone();
        assert!(Arc::ptr_eq(&set.runs[0], &copy.runs[0]));
    }
}
