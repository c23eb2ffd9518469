//! Integer-like and housekeeping functions: gcd, lcm, factorial, width_bucket, scales.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, Zero};

use super::{Finite, Numeric, format_overflow};
use crate::error::{EvalError, SqlState};

/// The largest argument whose factorial is within the format.
const MAX_FACTORIAL: i64 = 32_177;

impl Numeric {
    /// The greatest common divisor, at the larger scale; NaN if either is NaN or infinite.
    pub fn gcd(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        let (Some(a), Some(b)) = (self.finite(), other.finite()) else {
            return Ok(Numeric::NAN);
        };
        let scale = u32::from(a.scale().max(b.scale()));
        Numeric::from_big(a.coefficient_at(scale).gcd(&b.coefficient_at(scale)), scale)
    }

    /// The least common multiple, at the larger scale; NaN if either is NaN or infinite.
    pub fn lcm(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        let (Some(a), Some(b)) = (self.finite(), other.finite()) else {
            return Ok(Numeric::NAN);
        };
        let scale = u32::from(a.scale().max(b.scale()));
        let (x, y) = (a.coefficient_at(scale), b.coefficient_at(scale));
        if x.is_zero() || y.is_zero() {
            return Ok(Numeric::small(0, scale as u16));
        }
        let multiple: BigInt = (&x / x.gcd(&y) * &y).abs();
        Numeric::from_big(multiple, scale)
    }

    /// `n!`. 22003 below zero and where the result is beyond the format.
    pub fn factorial(n: i64) -> Result<Numeric, EvalError> {
        if n < 0 {
            return Err(EvalError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "factorial of a negative number is undefined",
            ));
        }
        if n > MAX_FACTORIAL {
            return Err(format_overflow());
        }
        Numeric::from_big(product(1, n as u64), 0)
    }

    /// In which of `count` equal buckets between the bounds the operand falls: 0 before the first, `count + 1`
    /// from the last on. Bounds may descend. 2201G for bounds or counts that make no buckets.
    pub fn width_bucket(
        operand: &Numeric,
        low: &Numeric,
        high: &Numeric,
        count: i32,
    ) -> Result<i32, EvalError> {
        let invalid = |message: &str| {
            Err(EvalError::new(
                SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION,
                message,
            ))
        };
        if count <= 0 {
            return invalid("count must be greater than zero");
        }
        if operand.is_nan() || low.is_nan() || high.is_nan() {
            return invalid("operand, lower bound, and upper bound cannot be NaN");
        }
        if low.is_infinite() || high.is_infinite() {
            return invalid("lower and upper bounds must be finite");
        }
        if low == high {
            return invalid("lower bound cannot equal upper bound");
        }
        let beyond = || {
            count
                .checked_add(1)
                .ok_or_else(|| EvalError::out_of_range("integer"))
        };
        let ascending = low < high;
        let (before, after) = if ascending {
            (operand < low, operand >= high)
        } else {
            (operand > low, operand <= high)
        };
        if before {
            return Ok(0);
        }
        if after {
            return beyond();
        }
        let buckets = Numeric::small(i128::from(count), 0);
        let quotient = operand.sub(low)?.mul(&buckets)?.div(&high.sub(low)?)?;
        // Roundoff in the division may reach the count itself, which would be one too many.
        if quotient >= buckets {
            Ok(count)
        } else {
            quotient.add(&Numeric::ONE)?.floor()?.to_i32()
        }
    }

    /// The least scale that shows the value exactly; `None` for NaN and infinities.
    pub fn min_scale(&self) -> Option<u32> {
        let value = self.finite()?;
        let scale = u32::from(value.scale());
        if self.is_zero() {
            return Some(0);
        }
        Some(scale - trailing_zeros(&value, scale))
    }

    /// The same value without trailing zeros after the point.
    pub fn trim_scale(&self) -> Numeric {
        let Some(value) = self.finite() else {
            return self.clone();
        };
        let scale = u32::from(value.scale());
        if scale == 0 {
            return self.clone();
        }
        if self.is_zero() {
            return Numeric::ZERO;
        }
        let zeros = trailing_zeros(&value, scale);
        if zeros == 0 {
            return self.clone();
        }
        match self.round((scale - zeros) as i32) {
            Ok(trimmed) => trimmed,
            Err(_) => self.clone(),
        }
    }
}

/// How many of the last `limit` decimal digits are zeros; the value is not zero.
fn trailing_zeros(value: &Finite<'_>, limit: u32) -> u32 {
    match value {
        Finite::Small(c, _) => {
            let (mut c, mut zeros) = (*c, 0);
            while zeros < limit && c % 10 == 0 {
                c /= 10;
                zeros += 1;
            }
            zeros
        }
        Finite::Big(..) => {
            let digits = value.decimal_digits();
            let zeros = digits.iter().rev().take_while(|d| **d == 0).count() as u32;
            zeros.min(limit)
        }
    }
}

/// The product of the integers of `[low, high]`, split in halves so that factors stay of like size.
fn product(low: u64, high: u64) -> BigInt {
    if high < low {
        return BigInt::one();
    }
    if high - low < 8 {
        return (low..=high).map(BigInt::from).product();
    }
    let middle = low + (high - low) / 2;
    product(low, middle) * product(middle + 1, high)
}
