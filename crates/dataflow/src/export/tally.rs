//! What a result contains, as a number of rows and a digest, kept up to date without keeping the rows.
//!
//! A tally is a sum over changes, so that workers add what each sees, in any order. It is kept apart for spans of time, which
//! end where somebody asked for them to end; the sum of all spans up to an end are the contents as of it.
//!
//! **Invariant.** An end is set before any change after it is added: so no change is in the wrong span.

use std::collections::VecDeque;
use std::sync::Arc;

use everview_repr::digest::{Digest, DigestKey};
use everview_repr::{Diff, Row, Timestamp};
use parking_lot::Mutex;
use timely::dataflow::operators::Inspect;

use crate::render::streams::{Rows, Update};

/// A collection's contents, as far as they are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// Rows, by multiplicity.
    pub rows: Diff,
    /// Their digest.
    pub digest: Digest,
}

impl Contents {
    /// Adds rows with their multiplicities.
    pub fn add(&mut self, rows: &[(Row, Diff)]) {
        let pairs = rows.iter().map(|(row, diff)| (row.as_ref(), *diff));
        self.digest.update_many(&DigestKey::default(), pairs);
        self.rows += rows.iter().map(|(_, diff)| diff).sum::<Diff>();
    }

    /// Adds another part's.
    fn merge(&mut self, other: &Contents) {
        self.rows += other.rows;
        self.digest.merge(&other.digest);
    }
}

/// What the workers add to, and others read.
pub struct Tally {
    spans: Mutex<Spans>,
}

struct Spans {
    /// The last time of each span, rising.
    ends: VecDeque<u64>,
    /// What happened in each, and after the last end. The first holds all that was before, too.
    sums: VecDeque<Contents>,
}

impl Tally {
    /// Of an empty collection, with the ends of spans, which rise.
    pub fn new(ends: impl IntoIterator<Item = Timestamp>) -> Tally {
        let ends: VecDeque<u64> = ends.into_iter().map(|end| end.0).collect();
        let sums = (0..=ends.len()).map(|_| Contents::default()).collect();
        Tally {
            spans: Mutex::new(Spans { ends, sums }),
        }
    }

    /// Ends a span: all changes up to that time, none after it, may have been added. It lies behind all other ends.
    pub fn end(&self, at: Timestamp) {
        let mut spans = self.spans.lock();
        spans.ends.push_back(at.0);
        spans.sums.push_back(Contents::default());
    }

    /// The contents as of an end, once all changes up to it were added. It and the ends before it are forgotten.
    /// None if there is no such end.
    pub fn take(&self, end: Timestamp) -> Option<Contents> {
        let mut spans = self.spans.lock();
        if !spans.ends.contains(&end.0) {
            return None;
        }
        loop {
            let (at, found) = (spans.ends.pop_front()?, spans.sums.pop_front()?);
            spans.sums.front_mut()?.merge(&found);
            if at == end.0 {
                return Some(found);
            }
        }
    }

    fn add(&self, key: &DigestKey, updates: &[Update]) {
        let mut hashes = Vec::with_capacity(updates.len());
        key.hash_many(updates.iter().map(|(row, _, _)| row.as_ref()), &mut hashes);
        let mut spans = self.spans.lock();
        for (hash, (_, time, diff)) in hashes.into_iter().zip(updates) {
            let span = spans.ends.partition_point(|end| end < time);
            let sum = &mut spans.sums[span];
            sum.rows += diff;
            sum.digest.update_hash(hash, *diff);
        }
    }
}

/// Adds what passes.
pub fn render<'s>(rows: Rows<'s>, tally: &Arc<Tally>) -> Rows<'s> {
    let (tally, key) = (Arc::clone(tally), DigestKey::default());
    rows.inspect_core(move |event| {
        if let Ok((_, updates)) = event {
            tally.add(&key, updates);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use everview_repr::Datum;

    fn row(n: i32) -> Row {
        Row::pack([Datum::Int32(n)])
    }

    #[test]
    fn contents_as_of_each_end_are_the_sum_of_all_before() {
        let tally = Tally::new([Timestamp(10)]);
        let key = DigestKey::default();
        tally.add(&key, &[(row(1), 10, 1), (row(2), 11, 1), (row(3), 3, 2)]);
        tally.end(Timestamp(20));
        tally.add(&key, &[(row(2), 20, -1), (row(4), 21, 1)]);
        let of = |rows: &[(Row, Diff)]| {
            let mut contents = Contents::default();
            contents.add(rows);
            contents
        };
        assert_eq!(tally.take(Timestamp(15)), None);
        let first = of(&[(row(1), 1), (row(3), 2)]);
        assert_eq!(tally.take(Timestamp(10)), Some(first));
        assert_eq!(tally.take(Timestamp(20)), Some(first));
        tally.end(Timestamp(30));
        let all = of(&[(row(1), 1), (row(3), 2), (row(4), 1)]);
        assert_eq!(tally.take(Timestamp(30)), Some(all));
    }
}
