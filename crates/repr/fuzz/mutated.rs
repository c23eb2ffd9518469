//! Seeds with a few bytes changed: what the fuzz entries of every crate are given by `cargo test`.

use proptest::prelude::*;

/// A seed with some bytes changed, inserted, deleted or repeated.
pub fn mutated(seeds: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<u16>(), 0..4u8, any::<u8>());
    let edits = proptest::collection::vec(edit, 0..12);
    (0..seeds.len(), edits).prop_map(|(seed, edits)| {
        let mut bytes = seeds[seed].to_vec();
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
