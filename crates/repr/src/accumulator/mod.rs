//! Exact sums of floats, of their products, and what statistics make of them.
//!
//! Invariant: an accumulator's value is a function of the multiset that went in, never of the order, so that
//! insertion and retraction commute and retracting everything leaves zero. Sums are rounded once, at the end, to
//! nearest even. The representation is not canonical: only [`FloatSum::is_zero`] and the values read from it may
//! become data.
//!
//! A window of 128 bits with an exponent holds nearly every sum that occurs; a superaccumulator of 32-bit digits
//! (R. Neal, "Fast exact summation using small and large superaccumulators", 2015) holds the rest. It knows no
//! count of rows: a count goes beside it, and decides what an empty sum means.

mod limbs;
mod round;
mod statistics;
#[cfg(test)]
mod tests;

use num_bigint::BigInt;

use crate::error::{EvalError, SqlState};
use limbs::Limbs;

pub use round::{round_to_f32, round_to_f64};
pub use statistics::{FloatMoments, FloatPairMoments};

/// An exact sum of doubles and of products of two doubles, with multiplicities.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct FloatSum {
    /// `mantissa * 2^exponent`, beside what the limbs hold.
    mantissa: i128,
    exponent: i16,
    rest: Option<Box<Rest>>,
}

/// What few sums need: values outside the window, and values that are no numbers.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
struct Rest {
    limbs: Limbs,
    nan: i64,
    positive: i64,
    negative: i64,
    negative_zero: i64,
}

impl Rest {
    fn is_empty(&self) -> bool {
        self.limbs.is_empty()
            && self.nan == 0
            && self.positive == 0
            && self.negative == 0
            && self.negative_zero == 0
    }
}

/// The mantissa, with its sign, and the exponent of a finite double: `mantissa * 2^exponent`.
fn split(value: f64) -> (i64, i16) {
    let bits = value.to_bits();
    let biased = ((bits >> 52) & 0x7FF) as i16;
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (magnitude, exponent) = if biased == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, biased - 1075)
    };
    (
        if value.is_sign_negative() {
            -magnitude
        } else {
            magnitude
        },
        exponent,
    )
}

impl FloatSum {
    /// The empty sum.
    pub fn new() -> FloatSum {
        FloatSum::default()
    }

    /// The sum of one value taken `times` times.
    pub fn of(value: f64, times: i64) -> FloatSum {
        let mut sum = FloatSum::new();
        sum.add(value, times);
        sum
    }

    /// Adds `value` `times` times; a negative count retracts.
    pub fn add(&mut self, value: f64, times: i64) {
        if !value.is_finite() || value == 0.0 {
            return self.add_special(value, times);
        }
        let (mantissa, exponent) = split(value);
        self.add_scaled(i128::from(mantissa) * i128::from(times), exponent);
    }

    /// Takes `value` out `times` times.
    pub fn sub(&mut self, value: f64, times: i64) {
        self.add(value, times.wrapping_neg());
    }

    /// Adds the exact product `x * y` `times` times.
    pub fn add_product(&mut self, x: f64, y: f64, times: i64) {
        if !x.is_finite() || !y.is_finite() || x == 0.0 || y == 0.0 {
            return self.add_special(x * y, times);
        }
        let ((a, i), (b, j)) = (split(x), split(y));
        // 106 bits, and up to 63 more for the count: in halves, so that each fits.
        let product = i128::from(a) * i128::from(b);
        let (low, high) = (product & ((1 << 53) - 1), product >> 53);
        let exponent = i + j;
        match product.checked_mul(i128::from(times)) {
            Some(all) => self.add_scaled(all, exponent),
            None => {
                self.add_scaled(low * i128::from(times), exponent);
                self.add_scaled(high * i128::from(times), exponent + 53);
            }
        }
    }

    /// Adds all that went into `other`.
    pub fn merge(&mut self, other: &FloatSum) {
        self.add_scaled(other.mantissa, other.exponent);
        if let Some(rest) = &other.rest {
            let mine = self.rest.get_or_insert_default();
            mine.limbs.merge(&rest.limbs);
            mine.nan += rest.nan;
            mine.positive += rest.positive;
            mine.negative += rest.negative;
            mine.negative_zero += rest.negative_zero;
            self.drop_empty_rest();
        }
    }

    /// The sum with every multiplicity times `factor`.
    pub fn multiply(&mut self, factor: i64) {
        let (mantissa, exponent) = (std::mem::take(&mut self.mantissa), self.exponent);
        if let Some(rest) = &mut self.rest {
            rest.limbs.multiply(factor);
            for count in [
                &mut rest.nan,
                &mut rest.positive,
                &mut rest.negative,
                &mut rest.negative_zero,
            ] {
                *count = count.wrapping_mul(factor);
            }
        }
        match mantissa.checked_mul(i128::from(factor)) {
            Some(product) => self.add_scaled(product, exponent),
            None => {
                let (low, high) = (mantissa & i128::from(u64::MAX), mantissa >> 64);
                self.add_scaled(low * i128::from(factor), exponent);
                self.add_scaled_wide(high * i128::from(factor), i32::from(exponent) + 64);
            }
        }
        self.drop_empty_rest();
    }

    /// Whether everything that went in has been taken out again.
    pub fn is_zero(&self) -> bool {
        match &self.rest {
            None => self.mantissa == 0,
            Some(rest) => {
                rest.nan == 0
                    && rest.positive == 0
                    && rest.negative == 0
                    && rest.negative_zero == 0
                    && self.exact().0 == BigInt::ZERO
            }
        }
    }

    /// The sum of `rows` values, rounded once to the nearest double, ties to even. NaN and infinities as addition
    /// has them; -0 only if every value was; an infinity where finite values exceed the range.
    pub fn value(&self, rows: i64) -> f64 {
        if let Some(special) = self.special(rows) {
            return special;
        }
        if self.rest.is_none() {
            return round::from_i128(self.mantissa, i64::from(self.exponent));
        }
        let (mantissa, exponent) = self.exact();
        round_to_f64(&mantissa, exponent)
    }

    /// As [`FloatSum::value`], to the nearest real.
    pub fn value32(&self, rows: i64) -> f32 {
        if let Some(special) = self.special(rows) {
            return special as f32;
        }
        let (mantissa, exponent) = self.exact();
        round_to_f32(&mantissa, exponent)
    }

    /// As [`FloatSum::value`], but 22003 where finite values exceed the range, as Postgres's sum has it.
    pub fn checked_value(&self, rows: i64) -> Result<f64, EvalError> {
        let value = self.value(rows);
        if value.is_infinite() && !self.has_infinity() {
            Err(overflow())
        } else {
            Ok(value)
        }
    }

    /// As [`FloatSum::value32`], but 22003 where finite values exceed the range.
    pub fn checked_value32(&self, rows: i64) -> Result<f32, EvalError> {
        let value = self.value32(rows);
        if value.is_infinite() && !self.has_infinity() {
            Err(overflow())
        } else {
            Ok(value)
        }
    }

    /// The average of `rows` values, rounded once; `None` for no rows.
    pub fn average(&self, rows: i64) -> Option<f64> {
        if rows <= 0 {
            return None;
        }
        if let Some(special) = self.special(rows) {
            return Some(special);
        }
        let (mantissa, exponent) = self.exact();
        Some(round::quotient(&mantissa, exponent, &BigInt::from(rows)))
    }

    /// Whether a NaN or an infinity is among the values.
    pub fn has_special(&self) -> bool {
        self.rest
            .as_ref()
            .is_some_and(|r| r.nan != 0 || r.positive != 0 || r.negative != 0)
    }

    fn has_infinity(&self) -> bool {
        self.rest
            .as_ref()
            .is_some_and(|r| r.positive != 0 || r.negative != 0)
    }

    fn special(&self, rows: i64) -> Option<f64> {
        let rest = self.rest.as_ref()?;
        if rest.nan != 0 || rest.positive != 0 && rest.negative != 0 {
            return Some(f64::NAN);
        }
        if rest.positive != 0 {
            return Some(f64::INFINITY);
        }
        if rest.negative != 0 {
            return Some(f64::NEG_INFINITY);
        }
        (rest.negative_zero > 0 && rest.negative_zero == rows).then_some(-0.0)
    }

    /// The finite part: `mantissa * 2^exponent`.
    fn exact(&self) -> (BigInt, i64) {
        let window = (BigInt::from(self.mantissa), i64::from(self.exponent));
        match &self.rest {
            Some(rest) if !rest.limbs.is_empty() => round::add_exact(window, rest.limbs.exact()),
            _ => window,
        }
    }

    fn add_special(&mut self, value: f64, times: i64) {
        if value == 0.0 && value.is_sign_positive() || times == 0 {
            return;
        }
        let rest = self.rest.get_or_insert_default();
        let count = match value {
            v if v.is_nan() => &mut rest.nan,
            f64::INFINITY => &mut rest.positive,
            f64::NEG_INFINITY => &mut rest.negative,
            _ => &mut rest.negative_zero,
        };
        *count += times;
        self.drop_empty_rest();
    }

    fn drop_empty_rest(&mut self) {
        if self.rest.as_ref().is_some_and(|r| r.is_empty()) {
            self.rest = None;
        }
    }

    /// Adds `mantissa * 2^exponent`: into the window where it reaches, else into the limbs.
    #[inline]
    fn add_scaled(&mut self, mantissa: i128, exponent: i16) {
        if mantissa == 0 {
            return;
        }
        if self.mantissa == 0 {
            (self.mantissa, self.exponent) = (mantissa, exponent);
            return;
        }
        let aligned = if exponent >= self.exponent {
            shift_left(mantissa, i32::from(exponent) - i32::from(self.exponent))
                .map(|m| (self.mantissa, m, self.exponent))
        } else {
            shift_left(
                self.mantissa,
                i32::from(self.exponent) - i32::from(exponent),
            )
            .map(|m| (m, mantissa, exponent))
        };
        if let Some((a, b, exponent)) = aligned
            && let Some(sum) = a.checked_add(b)
        {
            (self.mantissa, self.exponent) = (sum, exponent);
            return;
        }
        self.spill(mantissa, i32::from(exponent));
    }

    fn add_scaled_wide(&mut self, mantissa: i128, exponent: i32) {
        match i16::try_from(exponent) {
            Ok(exponent) => self.add_scaled(mantissa, exponent),
            Err(_) => self.spill(mantissa, exponent),
        }
    }

    /// Out of the window's reach: drop the window's trailing zeros and try again, else go to the limbs.
    #[cold]
    fn spill(&mut self, mantissa: i128, exponent: i32) {
        let zeros = self.mantissa.trailing_zeros() as i32;
        let (own, own_exponent) = (self.mantissa >> zeros, i32::from(self.exponent) + zeros);
        let zeros = mantissa.trailing_zeros() as i32;
        let (theirs, theirs_exponent) = (mantissa >> zeros, exponent + zeros);
        let least = own_exponent.min(theirs_exponent);
        if let (Some(a), Some(b)) = (
            shift_left(own, own_exponent - least),
            shift_left(theirs, theirs_exponent - least),
        ) && let (Some(sum), Ok(exponent)) = (a.checked_add(b), i16::try_from(least))
        {
            (self.mantissa, self.exponent) = (sum, exponent);
            return;
        }
        let rest = self.rest.get_or_insert_default();
        rest.limbs.add(own, own_exponent);
        rest.limbs.add(theirs, theirs_exponent);
        self.mantissa = 0;
        self.drop_empty_rest();
    }
}

/// `value * 2^by` where that fits.
fn shift_left(value: i128, by: i32) -> Option<i128> {
    if value == 0 || by == 0 {
        return Some(value);
    }
    let room = if value < 0 {
        value.leading_ones()
    } else {
        value.leading_zeros()
    };
    // One bit stays for the sign.
    ((by as u32) < room).then(|| value << by)
}

/// 22003, as Postgres words a float result beyond the range.
fn overflow() -> EvalError {
    EvalError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "value out of range: overflow",
    )
}
