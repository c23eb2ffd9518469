//! Bounds on the work of one activation.

/// Values looked at, or records put out, in one activation: some ten milliseconds.
#[cfg(not(test))]
const PER_ACTIVATION: isize = 200_000;
/// So little that tests see operators yield everywhere.
#[cfg(test)]
const PER_ACTIVATION: isize = 7;

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
