//! Comparing byte strings, which nearly all of the work on arrangements comes down to.
//!
//! The order is that of slices. Most strings here are short and differ within a few words, where the
//! call to `memcmp` that slices make costs more than the comparison.

use std::cmp::Ordering;

/// Up to eight bytes as a number that compares as they do, but for trailing zero bytes.
#[inline]
pub fn leading(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => {
            bytes
                .iter()
                .fold((0u64, 56u32), |(word, shift), byte| {
                    (word | u64::from(*byte) << shift, shift.saturating_sub(8))
                })
                .0
        }
    }
}

/// Compares as `a.cmp(b)` does.
#[inline]
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    for _ in 0..4 {
        let order = leading(rest_a).cmp(&leading(rest_b));
        if order.is_ne() {
            return order;
        }
        if rest_a.len() <= 8 || rest_b.len() <= 8 {
            return rest_a.len().cmp(&rest_b.len());
        }
        (rest_a, rest_b) = (&rest_a[8..], &rest_b[8..]);
    }
    rest_a.cmp(rest_b)
}

/// True if `a < b`.
#[inline]
pub fn less(a: &[u8], b: &[u8]) -> bool {
    compare(a, b).is_lt()
}
