//! Exact sums of `numeric` under insertion and retraction.
//!
//! Invariant: the state is a function of the multiset of (value, scale) that went in, whatever the order, so that
//! insertions and retractions commute and retracting everything leaves zero. PostgreSQL shows a sum at the largest
//! scale among its inputs; to give that scale back when its last holder leaves, inputs are counted by scale.

use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};
use smallvec::SmallVec;

use super::{Class, Finite, Numeric, pow10, raise, transcendental};
use crate::error::EvalError;

/// A sum of numerics with multiplicities.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct NumericSum {
    total: Total,
    /// How many inputs have each scale, ascending, none zero. Nearly always one entry.
    scales: SmallVec<[(u16, i64); 1]>,
    specials: Option<Box<Specials>>,
}

/// `coefficient / 10^scale`, widened only when it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
enum Total {
    Small(i128, u16),
    Big(Box<(BigInt, u16)>),
}

impl Default for Total {
    fn default() -> Total {
        Total::Small(0, 0)
    }
}

/// How many inputs are no numbers.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
struct Specials {
    nan: i64,
    positive: i64,
    negative: i64,
}

impl NumericSum {
    /// The empty sum.
    pub fn new() -> NumericSum {
        NumericSum::default()
    }

    /// The sum of one value taken `times` times.
    pub fn of(value: &Numeric, times: i64) -> NumericSum {
        let mut sum = NumericSum::new();
        sum.add(value, times);
        sum
    }

    /// Adds `value` `times` times; a negative count retracts.
    pub fn add(&mut self, value: &Numeric, times: i64) {
        if times == 0 {
            return;
        }
        let Some(finite) = value.finite() else {
            return self.add_special(value.class(), times);
        };
        self.count_scale(finite.scale(), times);
        match finite {
            Finite::Small(c, scale) => match c.checked_mul(i128::from(times)) {
                Some(product) => self.total.add_small(product, scale),
                None => self.total.add_big(&(BigInt::from(c) * times), scale),
            },
            Finite::Big(c, scale) => self.total.add_big(&(c * times), scale),
        }
    }

    /// Takes `value` out `times` times.
    pub fn sub(&mut self, value: &Numeric, times: i64) {
        // A multiplicity has no i64::MIN: counts of rows are far from it.
        self.add(value, times.saturating_neg());
    }

    /// Adds all that went into `other`.
    pub fn merge(&mut self, other: &NumericSum) {
        match &other.total {
            Total::Small(c, scale) => self.total.add_small(*c, *scale),
            Total::Big(big) => self.total.add_big(&big.0, big.1),
        }
        for (scale, count) in &other.scales {
            self.count_scale(*scale, *count);
        }
        if let Some(s) = &other.specials {
            self.add_special(Class::NaN, s.nan);
            self.add_special(Class::PosInfinity, s.positive);
            self.add_special(Class::NegInfinity, s.negative);
        }
    }

    /// The sum with every multiplicity times `factor`.
    pub fn multiply(&mut self, factor: i64) {
        self.total = match &self.total {
            Total::Small(c, scale) => match c.checked_mul(i128::from(factor)) {
                Some(product) => Total::Small(product, *scale),
                None => Total::Big(Box::new((BigInt::from(*c) * factor, *scale))),
            },
            Total::Big(big) => Total::Big(Box::new((&big.0 * factor, big.1))),
        };
        self.scales
            .iter_mut()
            .for_each(|(_, n)| *n = n.wrapping_mul(factor));
        self.scales.retain(|(_, n)| *n != 0);
        if let Some(s) = &mut self.specials {
            s.nan = s.nan.wrapping_mul(factor);
            s.positive = s.positive.wrapping_mul(factor);
            s.negative = s.negative.wrapping_mul(factor);
        }
        self.drop_empty_specials();
    }

    /// Whether everything that went in has been taken out again.
    pub fn is_zero(&self) -> bool {
        let no_total = match &self.total {
            Total::Small(c, _) => *c == 0,
            Total::Big(big) => big.0.is_zero(),
        };
        no_total && self.scales.is_empty() && self.specials.is_none()
    }

    /// The sum, at the largest scale among its inputs. 22003 beyond the format.
    pub fn value(&self) -> Result<Numeric, EvalError> {
        if let Some(s) = &self.specials {
            if s.nan > 0 || s.positive > 0 && s.negative > 0 {
                return Ok(Numeric::NAN);
            }
            if s.positive > 0 {
                return Ok(Numeric::INFINITY);
            }
            if s.negative > 0 {
                return Ok(Numeric::NEG_INFINITY);
            }
        }
        let shown = self
            .scales
            .iter()
            .rev()
            .find(|(_, n)| *n > 0)
            .map_or(0, |(scale, _)| *scale);
        let (coefficient, scale) = match &self.total {
            Total::Small(c, scale) => match scale.cmp(&shown) {
                std::cmp::Ordering::Equal => return Ok(Numeric::small(*c, *scale)),
                _ => (BigInt::from(*c), *scale),
            },
            Total::Big(big) => (big.0.clone(), big.1),
        };
        Numeric::from_big_rounded(coefficient, u32::from(scale), u32::from(shown))
    }

    /// The average over `count` inputs, as Postgres divides it. `None` for no inputs.
    pub fn average(&self, count: i64) -> Option<Result<Numeric, EvalError>> {
        (count > 0).then(|| self.value()?.div(&Numeric::from(count)))
    }

    fn add_special(&mut self, class: Class, times: i64) {
        if times == 0 {
            return;
        }
        let specials = self.specials.get_or_insert_default();
        match class {
            Class::NaN => specials.nan += times,
            Class::PosInfinity => specials.positive += times,
            Class::NegInfinity => specials.negative += times,
            Class::Finite => {}
        }
        self.drop_empty_specials();
    }

    fn drop_empty_specials(&mut self) {
        if self.specials.as_deref() == Some(&Specials::default()) {
            self.specials = None;
        }
    }

    fn count_scale(&mut self, scale: u16, times: i64) {
        match self.scales.binary_search_by_key(&scale, |(s, _)| *s) {
            Ok(at) => {
                self.scales[at].1 += times;
                if self.scales[at].1 == 0 {
                    self.scales.remove(at);
                }
            }
            Err(at) => self.scales.insert(at, (scale, times)),
        }
    }
}

impl Total {
    fn add_small(&mut self, c: i128, scale: u16) {
        if let Total::Small(total, total_scale) = self {
            let to = scale.max(*total_scale);
            let sum = raise(*total, *total_scale, to)
                .zip(raise(c, scale, to))
                .and_then(|(a, b)| a.checked_add(b));
            if let Some(sum) = sum {
                *self = Total::Small(sum, to);
                return;
            }
        }
        self.add_big(&BigInt::from(c), scale);
    }

    fn add_big(&mut self, c: &BigInt, scale: u16) {
        let (total, total_scale) = match self {
            Total::Small(c, scale) => (BigInt::from(*c), *scale),
            Total::Big(big) => (std::mem::take(&mut big.0), big.1),
        };
        let to = scale.max(total_scale);
        let sum = total * pow10(u32::from(to - total_scale)) + c * pow10(u32::from(to - scale));
        *self = match sum.to_i128() {
            // Zero forgets its scale, so that a sum that passed through big values is small again.
            Some(0) => Total::default(),
            Some(small) => Total::Small(small, to),
            None => Total::Big(Box::new((sum, to))),
        };
    }
}

/// Count, sum and sum of squares of numerics: what variance and standard deviation take.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct NumericMoments {
    count: i64,
    sum: NumericSum,
    squares: NumericSum,
}

impl NumericMoments {
    /// Adds `value` `times` times; a negative count retracts.
    pub fn add(&mut self, value: &Numeric, times: i64) {
        self.count += times;
        self.sum.add(value, times);
        match value.finite() {
            Some(v) => self.squares.add_square(&v, times),
            None => self.squares.add(&Numeric::NAN, times),
        }
    }

    /// Adds all that went into `other`.
    pub fn merge(&mut self, other: &NumericMoments) {
        self.count += other.count;
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// The moments with every multiplicity times `factor`.
    pub fn multiply(&mut self, factor: i64) {
        self.count = self.count.wrapping_mul(factor);
        self.sum.multiply(factor);
        self.squares.multiply(factor);
    }

    /// Whether everything that went in has been taken out again.
    pub fn is_zero(&self) -> bool {
        self.count == 0 && self.sum.is_zero() && self.squares.is_zero()
    }

    /// How many values are in.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// The variance of the population, or of a sample; `None` for too few values.
    pub fn variance(&self, sample: bool) -> Option<Result<Numeric, EvalError>> {
        self.spread(sample, false)
    }

    /// The standard deviation of the population, or of a sample; `None` for too few values.
    pub fn stddev(&self, sample: bool) -> Option<Result<Numeric, EvalError>> {
        self.spread(sample, true)
    }

    fn spread(&self, sample: bool, root: bool) -> Option<Result<Numeric, EvalError>> {
        if self.count < 1 + i64::from(sample) {
            return None;
        }
        Some(self.spread_of_some(sample, root))
    }

    /// `(N * sum(x^2) - sum(x)^2) / (N * (N - 1))` (or `N * N`), with Postgres's scales.
    fn spread_of_some(&self, sample: bool, root: bool) -> Result<Numeric, EvalError> {
        let sum = self.sum.value()?;
        if !sum.is_finite() {
            return Ok(Numeric::NAN);
        }
        let count = Numeric::from(self.count);
        let numerator = count.mul(&self.squares.value()?)?.sub(&sum.mul(&sum)?)?;
        if numerator.signum() <= 0 {
            return Ok(Numeric::ZERO);
        }
        let divisor = count.mul(&Numeric::from(self.count - i64::from(sample)))?;
        let (variance, scale) = transcendental::divide_with_scale(&numerator, &divisor)?;
        if root {
            variance.abs().sqrt_at(scale)
        } else {
            Ok(variance)
        }
    }
}

impl NumericSum {
    /// Adds the square of a value; the square keeps twice the scale, whatever the format allows to be shown.
    fn add_square(&mut self, value: &Finite<'_>, times: i64) {
        let scale = value.scale().saturating_mul(2);
        self.count_scale(scale, times);
        if let Finite::Small(c, _) = value
            && let Some(product) = c
                .checked_mul(*c)
                .and_then(|s| s.checked_mul(i128::from(times)))
        {
            return self.total.add_small(product, scale);
        }
        let coefficient = value.coefficient();
        self.total.add_big(
            &(coefficient.as_ref() * coefficient.as_ref() * times),
            scale,
        );
    }
}
