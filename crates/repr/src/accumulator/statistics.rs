//! Variance, covariance, correlation and regression over exact sums.
//!
//! Every statistic is a quotient of exact integers (times a power of two), rounded once. PostgreSQL's own running
//! sums round at each row, so its last digits depend on the order of rows; these do not.

use num_bigint::BigInt;
use num_traits::Zero;

use super::FloatSum;
use super::round::{add_exact, is_negative, quotient};

/// Count, sum and sum of squares of doubles.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct FloatMoments {
    count: i64,
    sum: FloatSum,
    squares: FloatSum,
}

/// Count, sums, sums of squares and sum of products of pairs (y, x), as Postgres's `regr_*(y, x)` take them.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct FloatPairMoments {
    count: i64,
    sum_x: FloatSum,
    sum_xx: FloatSum,
    sum_y: FloatSum,
    sum_yy: FloatSum,
    sum_xy: FloatSum,
}

/// An exact number `0.0 * 2^0.1`.
type Exact = (BigInt, i64);

fn multiply(a: &Exact, b: &Exact) -> Exact {
    (&a.0 * &b.0, a.1 + b.1)
}

/// `count * sum(ab) - sum(a) * sum(b)`: the centred sum of products, times the count.
fn centred(count: i64, products: &FloatSum, a: &FloatSum, b: &FloatSum) -> Exact {
    let (products, exponent) = products.exact();
    let square = multiply(&a.exact(), &b.exact());
    add_exact((products * count, exponent), (-square.0, square.1))
}

/// The nearest double to `a / b`; the exact numbers are finite and `b` is not zero.
fn divide(a: &Exact, b: &Exact) -> f64 {
    if is_negative(&b.0) {
        quotient(&-&a.0, a.1 - b.1, &-&b.0)
    } else {
        quotient(&a.0, a.1 - b.1, &b.0)
    }
}

fn integer(value: i128) -> Exact {
    (BigInt::from(value), 0)
}

impl FloatMoments {
    /// Adds `value` `times` times; a negative count retracts.
    pub fn add(&mut self, value: f64, times: i64) {
        self.count += times;
        self.sum.add(value, times);
        self.squares.add_product(value, value, times);
    }

    /// Adds all that went into `other`.
    pub fn merge(&mut self, other: &FloatMoments) {
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

    /// The variance of the population, or of a sample. `None` for too few values, NaN if one is NaN or infinite.
    pub fn variance(&self, sample: bool) -> Option<f64> {
        if self.count < 1 + i64::from(sample) {
            return None;
        }
        if self.sum.has_special() {
            return Some(f64::NAN);
        }
        let numerator = centred(self.count, &self.squares, &self.sum, &self.sum);
        let count = i128::from(self.count);
        Some(divide(
            &numerator,
            &integer(count * (count - i128::from(sample))),
        ))
    }

    /// The standard deviation of the population, or of a sample; as [`FloatMoments::variance`].
    pub fn stddev(&self, sample: bool) -> Option<f64> {
        self.variance(sample).map(libm::sqrt)
    }
}

impl FloatPairMoments {
    /// Adds the pair `(y, x)` `times` times; a negative count retracts.
    pub fn add(&mut self, y: f64, x: f64, times: i64) {
        self.count += times;
        self.sum_x.add(x, times);
        self.sum_xx.add_product(x, x, times);
        self.sum_y.add(y, times);
        self.sum_yy.add_product(y, y, times);
        self.sum_xy.add_product(x, y, times);
    }

    fn sums(&self) -> [&FloatSum; 5] {
        [
            &self.sum_x,
            &self.sum_xx,
            &self.sum_y,
            &self.sum_yy,
            &self.sum_xy,
        ]
    }

    fn sums_mut(&mut self) -> [&mut FloatSum; 5] {
        [
            &mut self.sum_x,
            &mut self.sum_xx,
            &mut self.sum_y,
            &mut self.sum_yy,
            &mut self.sum_xy,
        ]
    }

    /// Adds all that went into `other`.
    pub fn merge(&mut self, other: &FloatPairMoments) {
        self.count += other.count;
        for (mine, theirs) in self.sums_mut().into_iter().zip(other.sums()) {
            mine.merge(theirs);
        }
    }

    /// The moments with every multiplicity times `factor`.
    pub fn multiply(&mut self, factor: i64) {
        self.count = self.count.wrapping_mul(factor);
        self.sums_mut().into_iter().for_each(|s| s.multiply(factor));
    }

    /// Whether everything that went in has been taken out again.
    pub fn is_zero(&self) -> bool {
        self.count == 0 && self.sums().iter().all(|s| s.is_zero())
    }

    /// `regr_count`: how many pairs are in.
    pub fn count(&self) -> i64 {
        self.count
    }

    fn centred_xx(&self) -> Exact {
        centred(self.count, &self.sum_xx, &self.sum_x, &self.sum_x)
    }

    fn centred_yy(&self) -> Exact {
        centred(self.count, &self.sum_yy, &self.sum_y, &self.sum_y)
    }

    fn centred_xy(&self) -> Exact {
        centred(self.count, &self.sum_xy, &self.sum_x, &self.sum_y)
    }

    fn special(&self) -> bool {
        self.sum_x.has_special() || self.sum_y.has_special()
    }

    /// `None` for fewer pairs than `least`, NaN where a value is NaN or infinite, else what `finish` says.
    fn finish(&self, least: i64, finish: impl FnOnce() -> Option<f64>) -> Option<f64> {
        if self.count < least {
            None
        } else if self.special() {
            Some(f64::NAN)
        } else {
            finish()
        }
    }

    /// `regr_sxx`: the sum of squared deviations of x.
    pub fn regr_sxx(&self) -> Option<f64> {
        if self.sum_x.has_special() && self.count > 0 {
            return Some(f64::NAN);
        }
        self.finish_plain(|| divide(&self.centred_xx(), &integer(i128::from(self.count))))
    }

    /// `regr_syy`: the sum of squared deviations of y.
    pub fn regr_syy(&self) -> Option<f64> {
        if self.sum_y.has_special() && self.count > 0 {
            return Some(f64::NAN);
        }
        self.finish_plain(|| divide(&self.centred_yy(), &integer(i128::from(self.count))))
    }

    fn finish_plain(&self, finish: impl FnOnce() -> f64) -> Option<f64> {
        (self.count > 0).then(finish)
    }

    /// `regr_sxy`: the sum of products of deviations.
    pub fn regr_sxy(&self) -> Option<f64> {
        self.finish(1, || {
            Some(divide(&self.centred_xy(), &integer(i128::from(self.count))))
        })
    }

    /// `regr_avgx`: the average of x.
    pub fn regr_avgx(&self) -> Option<f64> {
        self.sum_x.average(self.count)
    }

    /// `regr_avgy`: the average of y.
    pub fn regr_avgy(&self) -> Option<f64> {
        self.sum_y.average(self.count)
    }

    /// `covar_pop`, or `covar_samp` of a sample.
    pub fn covariance(&self, sample: bool) -> Option<f64> {
        let count = i128::from(self.count);
        self.finish(1 + i64::from(sample), || {
            Some(divide(
                &self.centred_xy(),
                &integer(count * (count - i128::from(sample))),
            ))
        })
    }

    /// `corr`: the correlation coefficient; `None` where x or y does not vary.
    pub fn correlation(&self) -> Option<f64> {
        self.finish(1, || {
            let (xx, yy, xy) = (self.centred_xx(), self.centred_yy(), self.centred_xy());
            if xx.0.is_zero() || yy.0.is_zero() {
                return None;
            }
            let squared = divide(&multiply(&xy, &xy), &multiply(&xx, &yy));
            let root = libm::sqrt(squared);
            Some(if is_negative(&xy.0) { -root } else { root })
        })
    }

    /// `regr_r2`: the squared correlation; 1 where y does not vary, `None` where x does not.
    pub fn regr_r2(&self) -> Option<f64> {
        self.finish(1, || {
            let (xx, yy, xy) = (self.centred_xx(), self.centred_yy(), self.centred_xy());
            if xx.0.is_zero() {
                return None;
            }
            if yy.0.is_zero() {
                return Some(1.0);
            }
            Some(divide(&multiply(&xy, &xy), &multiply(&xx, &yy)))
        })
    }

    /// `regr_slope`; `None` where x does not vary.
    pub fn regr_slope(&self) -> Option<f64> {
        self.finish(1, || {
            let xx = self.centred_xx();
            (!xx.0.is_zero()).then(|| divide(&self.centred_xy(), &xx))
        })
    }

    /// `regr_intercept`; `None` where x does not vary.
    pub fn regr_intercept(&self) -> Option<f64> {
        self.finish(1, || {
            let xx = self.centred_xx();
            if xx.0.is_zero() {
                return None;
            }
            // (sum(y) * Sxx - sum(x) * Sxy) / (N * Sxx), all of them times the count.
            let left = multiply(&self.sum_y.exact(), &xx);
            let right = multiply(&self.sum_x.exact(), &self.centred_xy());
            let numerator = add_exact(left, (-right.0, right.1));
            Some(divide(
                &numerator,
                &multiply(&xx, &integer(i128::from(self.count))),
            ))
        })
    }
}
