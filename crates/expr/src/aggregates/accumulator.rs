//! The state of an accumulable aggregate: a commutative group.
//!
//! Invariant: the value read from a state, and whether it is zero, are functions of the multiset of argument rows
//! that went in, whatever the order, and what is taken out again leaves nothing: sums are exact, and errors are
//! counted by their bytes, so that deleting the row that failed heals the aggregate. Equality and order compare
//! representations, which are not canonical: a state may be a diff, and never data.
//!
//! A state does not know which aggregate it belongs to; merging states of different aggregates is a bug of the
//! caller, asserted in debug builds. Count and sum cases take no allocation; rarer states are boxed.

use super::{Accumulation, Operation};
use crate::aggregate::{self, AggregateFunc};
use everview_repr::accumulator::{FloatMoments, FloatPairMoments, FloatSum};
use everview_repr::datum::ErrorRef;
use everview_repr::numeric::{Numeric, NumericMoments, NumericSum};
use everview_repr::{Datum, Interval};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of one accumulable aggregate. The default is zero, which belongs to every aggregate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Accumulator(pub(super) State);

/// What a state holds. `count` is that of rows without NULL arguments and without errors.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub(super) enum State {
    #[default]
    Zero,
    Count(i64),
    Integer {
        count: i64,
        /// Modulo 2^128, which no sum of bigints over fewer than 2^63 rows reaches.
        sum: i128,
    },
    /// A sum of numerics that all have this scale.
    Decimal {
        count: i64,
        sum: i128,
        scale: u16,
    },
    Numeric(Box<Numerics>),
    Float {
        count: i64,
        sum: FloatSum,
    },
    Interval(Box<Intervals>),
    Bool {
        count: i64,
        trues: i64,
    },
    Bits(Box<Bits>),
    Moments(Box<NumericMoments>),
    FloatMoments(Box<FloatMoments>),
    Pairs(Box<FloatPairMoments>),
    Failed(Box<Failed>),
}

/// Numerics of several scales, beyond 128 bits, or not finite.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub(super) struct Numerics {
    pub(super) count: i64,
    pub(super) sum: NumericSum,
}

/// Intervals, field by field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub(super) struct Intervals {
    pub(super) count: i64,
    pub(super) months: i128,
    pub(super) days: i128,
    pub(super) micros: i128,
}

/// For each bit, how many values have it set.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub(super) struct Bits {
    pub(super) count: i64,
    pub(super) ones: Vec<i64>,
}

/// Rows with errors beside the rest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub(super) struct Failed {
    pub(super) rest: Accumulator,
    /// Packed errors and how many rows have each; none zero.
    pub(super) errors: BTreeMap<Vec<u8>, i64>,
}

impl Accumulator {
    /// Adds an argument row `diff` times; a negative count retracts. A row with an error counts by its first
    /// error, any other row with a NULL argument not at all.
    pub fn add(&mut self, func: AggregateFunc, args: &[Datum<'_>], diff: i64) {
        let error = args.iter().find_map(|d| match d {
            Datum::Error(error) => Some(*error),
            _ => None,
        });
        match error {
            Some(error) => self.add_error(error, diff),
            None if diff == 0 || args.iter().any(Datum::is_null) => {}
            None => match aggregate::get(func).operation {
                Operation::Accumulate(accumulation) => self.add_values(accumulation, args, diff),
                operation => debug_assert!(false, "not accumulable: {operation:?}"),
            },
        }
    }

    /// Adds a row whose argument or filter failed `diff` times.
    pub fn add_error(&mut self, error: ErrorRef<'_>, diff: i64) {
        if diff == 0 {
            return;
        }
        let errors = BTreeMap::from([(error.bytes().to_vec(), diff)]);
        let failed = Failed {
            rest: Accumulator::default(),
            errors,
        };
        self.merge(&Accumulator(State::Failed(Box::new(failed))));
    }

    /// Adds all that went into `other`, an accumulator of the same aggregate.
    pub fn merge(&mut self, other: &Accumulator) {
        match (&mut self.0, &other.0) {
            (_, State::Zero) => return,
            (State::Zero, _) => {
                self.0 = other.0.clone();
                return;
            }
            (State::Failed(a), State::Failed(b)) => {
                a.rest.merge(&b.rest);
                for (error, count) in &b.errors {
                    *a.errors.entry(error.clone()).or_default() += count;
                }
                a.errors.retain(|_, count| *count != 0);
            }
            (State::Failed(a), _) => a.rest.merge(other),
            (_, State::Failed(b)) => {
                let mut failed = b.clone();
                failed.rest.merge(self);
                self.0 = State::Failed(failed);
            }
            (mine, theirs) => mine.merge_values(theirs),
        }
        self.normalize();
    }

    /// The state with every multiplicity times `factor`.
    pub fn multiply(&mut self, factor: i64) {
        match &mut self.0 {
            State::Zero => {}
            State::Failed(failed) => {
                failed.rest.multiply(factor);
                failed
                    .errors
                    .values_mut()
                    .for_each(|count| *count = count.wrapping_mul(factor));
                failed.errors.retain(|_, count| *count != 0);
            }
            values => values.multiply_values(factor),
        }
        self.normalize();
    }

    /// The inverse: merging it leaves zero.
    pub fn negate(&mut self) {
        self.multiply(-1);
    }

    /// Whether everything that went in has been taken out again.
    pub fn is_zero(&self) -> bool {
        match &self.0 {
            State::Zero => true,
            State::Count(count) => *count == 0,
            State::Integer { count, sum } | State::Decimal { count, sum, .. } => {
                *count == 0 && *sum == 0
            }
            State::Numeric(n) => n.count == 0 && n.sum.is_zero(),
            State::Float { count, sum } => *count == 0 && sum.is_zero(),
            State::Interval(i) => **i == Intervals::default(),
            State::Bool { count, trues } => *count == 0 && *trues == 0,
            State::Bits(bits) => bits.count == 0 && bits.ones.iter().all(|n| *n == 0),
            State::Moments(m) => m.is_zero(),
            State::FloatMoments(m) => m.is_zero(),
            State::Pairs(p) => p.is_zero(),
            State::Failed(failed) => failed.errors.is_empty() && failed.rest.is_zero(),
        }
    }

    /// Bytes on the heap, for memory accounting; an estimate for the rarer states.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            State::Numeric(_) => size_of::<Numerics>(),
            State::Interval(_) => size_of::<Intervals>(),
            State::Bits(bits) => size_of::<Bits>() + 8 * bits.ones.len(),
            State::Moments(_) => size_of::<NumericMoments>(),
            State::FloatMoments(_) => size_of::<FloatMoments>(),
            State::Pairs(_) => size_of::<FloatPairMoments>(),
            State::Failed(failed) => {
                let errors: usize = failed.errors.keys().map(|e| e.len() + 64).sum();
                size_of::<Failed>() + errors + failed.rest.heap_bytes()
            }
            _ => 0,
        }
    }

    /// One representation of zero, and none of errors where there are none.
    fn normalize(&mut self) {
        if let State::Failed(failed) = &mut self.0
            && failed.errors.is_empty()
        {
            self.0 = std::mem::take(&mut failed.rest.0);
        }
        if self.is_zero() {
            self.0 = State::Zero;
        }
    }

    /// Adds arguments that are neither NULL nor errors.
    fn add_values(&mut self, accumulation: Accumulation, args: &[Datum<'_>], diff: i64) {
        match (&mut self.0, args) {
            // In place where one row's state would take allocations.
            (State::Moments(m), [value]) => m.add(&as_numeric(value), diff),
            (State::FloatMoments(m), [value]) => m.add(as_float(value), diff),
            (State::Pairs(m), [y, x]) => m.add(as_float(y), as_float(x), diff),
            _ => return self.merge(&Accumulator(State::of_row(accumulation, args, diff))),
        }
        self.normalize();
    }
}

impl State {
    /// The state of one row taken `diff` times.
    fn of_row(accumulation: Accumulation, args: &[Datum<'_>], diff: i64) -> State {
        use Accumulation::*;
        let first = args.first().unwrap_or(&Datum::Null);
        match accumulation {
            Count => State::Count(diff),
            SumInteger | SumBigint | AverageInteger => State::Integer {
                count: diff,
                sum: i128::from(as_integer(first)) * i128::from(diff),
            },
            SumNumeric | AverageNumeric => State::of_numeric(&as_numeric(first), diff),
            SumReal | SumDouble | AverageFloat => State::Float {
                count: diff,
                sum: FloatSum::of(as_float(first), diff),
            },
            SumInterval | AverageInterval => State::of_interval(first, diff),
            BoolAnd | BoolOr => State::Bool {
                count: diff,
                trues: if first.is_true() { diff } else { 0 },
            },
            Bits(_, width) => {
                let value = as_integer(first);
                let ones = (0..width).map(|bit| (value >> bit & 1) * diff).collect();
                State::Bits(Box::new(self::Bits { count: diff, ones }))
            }
            SpreadNumeric(_) => {
                let mut moments = NumericMoments::default();
                moments.add(&as_numeric(first), diff);
                State::Moments(Box::new(moments))
            }
            SpreadFloat(_) => {
                let mut moments = FloatMoments::default();
                moments.add(as_float(first), diff);
                State::FloatMoments(Box::new(moments))
            }
            Regression(_) => {
                let mut pairs = FloatPairMoments::default();
                pairs.add(as_float(first), args.get(1).map_or(0.0, as_float), diff);
                State::Pairs(Box::new(pairs))
            }
        }
    }

    fn of_numeric(value: &Numeric, diff: i64) -> State {
        if let Some((coefficient, scale)) = value.as_small()
            && let Some(sum) = coefficient.checked_mul(i128::from(diff))
        {
            return State::Decimal {
                count: diff,
                sum,
                scale: scale as u16,
            };
        }
        State::Numeric(Box::new(Numerics {
            count: diff,
            sum: NumericSum::of(value, diff),
        }))
    }

    fn of_interval(value: &Datum<'_>, diff: i64) -> State {
        let Datum::Interval(Interval {
            months,
            days,
            micros,
        }) = *value
        else {
            debug_assert!(false, "an interval: {value:?}");
            return State::Zero;
        };
        let times = |field: i64| i128::from(field) * i128::from(diff);
        State::Interval(Box::new(Intervals {
            count: diff,
            months: times(months.into()),
            days: times(days.into()),
            micros: times(micros),
        }))
    }

    fn merge_values(&mut self, other: &State) {
        match (&mut *self, other) {
            (State::Count(a), State::Count(b)) => *a += b,
            (State::Integer { count, sum }, State::Integer { count: n, sum: s }) => {
                *count += n;
                *sum = sum.wrapping_add(*s);
            }
            (State::Float { count, sum }, State::Float { count: n, sum: s }) => {
                *count += n;
                sum.merge(s);
            }
            (State::Bool { count, trues }, State::Bool { count: n, trues: t }) => {
                *count += n;
                *trues += t;
            }
            (State::Interval(a), State::Interval(b)) => a.merge(b),
            (State::Bits(a), State::Bits(b)) => {
                a.count += b.count;
                a.ones.iter_mut().zip(&b.ones).for_each(|(a, b)| *a += b);
            }
            (State::Moments(a), State::Moments(b)) => a.merge(b),
            (State::FloatMoments(a), State::FloatMoments(b)) => a.merge(b),
            (State::Pairs(a), State::Pairs(b)) => a.merge(b),
            (
                State::Decimal { .. } | State::Numeric(_),
                State::Decimal { .. } | State::Numeric(_),
            ) => {
                self.merge_numeric(other);
            }
            (a, b) => debug_assert!(false, "states of different aggregates: {a:?} and {b:?}"),
        }
    }

    fn merge_numeric(&mut self, other: &State) {
        if let State::Decimal { count, sum, scale } = self
            && let State::Decimal {
                count: n,
                sum: s,
                scale: t,
            } = other
            && scale == t
            && let Some(total) = sum.checked_add(*s)
        {
            *count += n;
            *sum = total;
            return;
        }
        let mut numerics = std::mem::take(self).into_numerics();
        match other {
            State::Decimal { count, sum, scale } => numerics.add_decimal(*count, *sum, *scale),
            State::Numeric(other) => {
                numerics.count += other.count;
                numerics.sum.merge(&other.sum);
            }
            _ => debug_assert!(false, "a numeric sum"),
        }
        *self = State::Numeric(numerics);
    }

    fn into_numerics(self) -> Box<Numerics> {
        match self {
            State::Numeric(numerics) => numerics,
            State::Decimal { count, sum, scale } => {
                let mut numerics = Box::<Numerics>::default();
                numerics.add_decimal(count, sum, scale);
                numerics
            }
            _ => Box::default(),
        }
    }

    fn multiply_values(&mut self, factor: i64) {
        match self {
            State::Zero => {}
            State::Count(count) => *count = count.wrapping_mul(factor),
            State::Integer { count, sum } => {
                *count = count.wrapping_mul(factor);
                *sum = sum.wrapping_mul(factor.into());
            }
            State::Decimal { count, sum, .. } => match sum.checked_mul(factor.into()) {
                Some(product) => {
                    *count = count.wrapping_mul(factor);
                    *sum = product;
                }
                None => {
                    *self = State::Numeric(std::mem::take(self).into_numerics());
                    self.multiply_values(factor);
                }
            },
            State::Numeric(numerics) => {
                numerics.count = numerics.count.wrapping_mul(factor);
                numerics.sum.multiply(factor);
            }
            State::Float { count, sum } => {
                *count = count.wrapping_mul(factor);
                sum.multiply(factor);
            }
            State::Interval(intervals) => intervals.multiply(factor),
            State::Bool { count, trues } => {
                *count = count.wrapping_mul(factor);
                *trues = trues.wrapping_mul(factor);
            }
            State::Bits(bits) => {
                bits.count = bits.count.wrapping_mul(factor);
                bits.ones
                    .iter_mut()
                    .for_each(|n| *n = n.wrapping_mul(factor));
            }
            State::Moments(m) => m.multiply(factor),
            State::FloatMoments(m) => m.multiply(factor),
            State::Pairs(p) => p.multiply(factor),
            State::Failed(_) => debug_assert!(false, "errors wrap values"),
        }
    }
}

impl Numerics {
    /// Adds `count` values of one scale whose coefficients sum to `sum`.
    fn add_decimal(&mut self, count: i64, sum: i128, scale: u16) {
        let at_scale = |c| Numeric::new(c, scale.into()).expect("a scale that a numeric had");
        self.count += count;
        self.sum.add(&at_scale(sum), 1);
        self.sum.add(&at_scale(0), count - 1);
    }
}

impl Intervals {
    fn merge(&mut self, other: &Intervals) {
        self.count += other.count;
        self.months = self.months.wrapping_add(other.months);
        self.days = self.days.wrapping_add(other.days);
        self.micros = self.micros.wrapping_add(other.micros);
    }

    fn multiply(&mut self, factor: i64) {
        self.count = self.count.wrapping_mul(factor);
        for field in [&mut self.months, &mut self.days, &mut self.micros] {
            *field = field.wrapping_mul(factor.into());
        }
    }
}

fn as_integer(datum: &Datum<'_>) -> i64 {
    match datum {
        Datum::Int16(v) => (*v).into(),
        Datum::Int32(v) => (*v).into(),
        Datum::Int64(v) => *v,
        other => {
            debug_assert!(false, "an integer: {other:?}");
            0
        }
    }
}

fn as_numeric(datum: &Datum<'_>) -> Numeric {
    match datum {
        Datum::Numeric(_) => datum.as_numeric().unwrap_or_default(),
        integer => Numeric::from(as_integer(integer)),
    }
}

fn as_float(datum: &Datum<'_>) -> f64 {
    match datum {
        Datum::Float32(v) => (*v).into(),
        Datum::Float64(v) => *v,
        other => {
            debug_assert!(false, "a float: {other:?}");
            0.0
        }
    }
}
