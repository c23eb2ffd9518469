//! Bounds on the work of one activation.
//!
//! An operator that could do more gives the other operators, dataflows and commands of its worker their
//! turn. What it has put out is taken in before it goes on, so that the same bound holds for what is on
//! its way between two operators of a worker. Work is counted, not timed, so that the same input takes
//! the same steps everywhere.

/// Values looked at, or records put out, in one activation: as many as a table's feed gives. With what is
/// made of them behind, that is some ten milliseconds; a commit is several turns away from its view.
#[cfg(not(test))]
pub const PER_ACTIVATION: isize = 1 << 14;
/// So little that tests see operators yield everywhere.
#[cfg(test)]
pub const PER_ACTIVATION: isize = 7;

/// Work left to an activation. An operator that has used it up yields, and is activated again.
#[derive(Debug)]
pub struct Fuel(isize);

impl Fuel {
    /// The fuel of one activation.
    pub fn full() -> Self {
        Fuel(PER_ACTIVATION)
    }

    /// Uses some.
    #[inline]
    pub fn burn(&mut self, units: usize) {
        self.0 = self.0.saturating_sub_unsigned(units);
    }

    /// True once it is used up.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0 <= 0
    }
}
