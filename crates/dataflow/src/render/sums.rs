//! Accumulable aggregates: the diff of an arrangement of groups.

use differential_dataflow::difference::{IsZero, Semigroup};
use everview_expr::aggregate::Accumulator;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// How many rows a group has, and the state of each of its aggregates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Sums {
    /// Rows, by multiplicity.
    pub rows: i64,
    /// One for each aggregate.
    pub accumulators: SmallVec<[Accumulator; 1]>,
}

impl Sums {
    /// So many rows, and nothing accumulated for so many aggregates.
    pub fn new(rows: i64, aggregates: usize) -> Sums {
        Sums {
            rows,
            accumulators: (0..aggregates).map(|_| Accumulator::default()).collect(),
        }
    }
}

impl IsZero for Sums {
    fn is_zero(&self) -> bool {
        self.rows == 0 && self.accumulators.iter().all(Accumulator::is_zero)
    }
}

impl Semigroup for Sums {
    fn plus_equals(&mut self, other: &Sums) {
        self.rows = self.rows.wrapping_add(other.rows);
        for (mine, theirs) in self.accumulators.iter_mut().zip(&other.accumulators) {
            mine.merge(theirs);
        }
    }
}
