//! How each aggregate computes: the table of declarations, the accumulable state, and the whole-group ones.
//!
//! Invariant: a result is a function of the multiset of argument rows (for whole-group aggregates: of their
//! order too), so that incremental and from-scratch evaluation agree bit for bit. It knows no rows of a
//! relation and no filters: [`crate::aggregate`] turns rows into arguments.

pub(crate) mod accumulator;
mod finish;
mod table;
pub(crate) mod whole;

pub(crate) use table::declare;

/// How an aggregate computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    /// In an [`accumulator::Accumulator`].
    Accumulate(Accumulation),
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// Over the group in order.
    Whole(whole::Whole),
}

/// What an accumulable aggregate makes of its arguments. All are strict: a row with a NULL argument counts out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Accumulation {
    /// `count(*)` and `count(x)`.
    Count,
    /// Sum of smallint or integer, as bigint.
    SumInteger,
    /// Sum of bigint, as numeric.
    SumBigint,
    /// Average of integers of any width, as numeric.
    AverageInteger,
    /// Sum of numeric.
    SumNumeric,
    /// Average of numeric.
    AverageNumeric,
    /// Sum of real.
    SumReal,
    /// Sum of double precision.
    SumDouble,
    /// Average of floats of any width, as double precision.
    AverageFloat,
    /// Sum of interval.
    SumInterval,
    /// Average of interval.
    AverageInterval,
    /// All true.
    BoolAnd,
    /// Some true.
    BoolOr,
    /// Bits of integers of a width in bits.
    Bits(BitOperation, u8),
    /// Variance or standard deviation of integers or numeric, as numeric.
    SpreadNumeric(Spread),
    /// Variance or standard deviation of floats, as double precision.
    SpreadFloat(Spread),
    /// Over pairs (Y, X) of double precision.
    Regression(Regression),
}

/// A bitwise aggregate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BitOperation {
    And,
    Or,
    Xor,
}

/// Which measure of spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spread {
    /// Of a sample (divided by one less than the count), or of the population.
    pub(crate) sample: bool,
    /// The standard deviation, or the variance.
    pub(crate) root: bool,
}

/// The statistics over pairs, by their SQL names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Regression {
    Corr,
    CovarPop,
    CovarSamp,
    AverageX,
    AverageY,
    Count,
    Intercept,
    R2,
    Slope,
    Sxx,
    Sxy,
    Syy,
}
