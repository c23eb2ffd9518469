//! Addition, multiplication, division, remainder and rounding, with Postgres's result scales.

use num_bigint::BigInt;
use num_traits::{Signed, Zero};

use super::{
    Class, Finite, MAX_PRECISION, MAX_SCALE, MIN_SIGNIFICANT_DIGITS, Numeric, Repr, div_round,
    div_round_small, pow10, pow10_small, raise,
};
use crate::error::{EvalError, SqlState};

impl Numeric {
    /// `-self`.
    pub fn neg(&self) -> Numeric {
        match &self.0 {
            Repr::NaN => Numeric::NAN,
            Repr::PosInfinity => Numeric::NEG_INFINITY,
            Repr::NegInfinity => Numeric::INFINITY,
            Repr::Small { coefficient, scale } => match coefficient.checked_neg() {
                Some(c) => Numeric::small(c, *scale),
                None => Numeric::unchecked(-BigInt::from(*coefficient), *scale),
            },
            Repr::Big(big) => Numeric::unchecked(-&big.coefficient, big.scale),
        }
    }

    /// The same digits with another sign: within the format because the value it came from is.
    fn unchecked(coefficient: BigInt, scale: u16) -> Numeric {
        Numeric::from_big(coefficient, u32::from(scale))
            .expect("as many digits as the value it was made from")
    }

    /// `|self|`.
    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 {
            self.neg()
        } else {
            self.clone()
        }
    }

    /// -1, 0 or 1 as a numeric; NaN for NaN.
    pub fn sign(&self) -> Numeric {
        if self.is_nan() {
            Numeric::NAN
        } else {
            Numeric::small(i128::from(self.signum()), 0)
        }
    }

    /// `self + other`, at the larger of the two scales.
    pub fn add(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        let (Some(a), Some(b)) = (self.finite(), other.finite()) else {
            return Ok(add_special(self.class(), other.class()));
        };
        let scale = a.scale().max(b.scale());
        if let (Finite::Small(x, s), Finite::Small(y, t)) = (&a, &b) {
            let sum = raise(*x, *s, scale)
                .zip(raise(*y, *t, scale))
                .and_then(|(x, y)| x.checked_add(y));
            if let Some(sum) = sum {
                return Ok(Numeric::small(sum, scale));
            }
        }
        let scale = u32::from(scale);
        Numeric::from_big(a.coefficient_at(scale) + b.coefficient_at(scale), scale)
    }

    /// `self - other`, at the larger of the two scales.
    pub fn sub(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        self.add(&other.neg())
    }

    /// `self * other`, at the sum of the two scales (16383 at most, rounded).
    pub fn mul(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        let (Some(a), Some(b)) = (self.finite(), other.finite()) else {
            return Ok(mul_special(self, other));
        };
        let scale = u32::from(a.scale()) + u32::from(b.scale());
        if let (Finite::Small(x, _), Finite::Small(y, _)) = (&a, &b)
            && let Some(product) = x.checked_mul(*y)
            && scale <= MAX_SCALE
        {
            return Ok(Numeric::small(product, scale as u16));
        }
        let product = a.coefficient().as_ref() * b.coefficient().as_ref();
        Numeric::from_big_rounded(product, scale, scale.min(MAX_SCALE))
    }

    /// `self / other` with at least 16 significant digits, at the scale `select_div_scale` picks. 22012 for 0.
    pub fn div(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        let (Some(a), Some(b)) = (self.finite(), other.finite()) else {
            return div_special(self, other);
        };
        if other.is_zero() {
            return Err(EvalError::division_by_zero());
        }
        divide(&a, &b, div_scale(&a, &b))
    }

    /// The integer quotient of `self / other`, truncated towards zero. 22012 for 0.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        let (Some(a), Some(b)) = (self.finite(), other.finite()) else {
            return div_special(self, other);
        };
        if other.is_zero() {
            return Err(EvalError::division_by_zero());
        }
        let scale = u32::from(a.scale().max(b.scale()));
        Numeric::from_big(a.coefficient_at(scale) / b.coefficient_at(scale), 0)
    }

    /// The remainder of truncated division: it has the sign of `self`. 22012 for 0.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        let (Some(a), Some(b)) = (self.finite(), other.finite()) else {
            return rem_special(self, other);
        };
        if other.is_zero() {
            return Err(EvalError::division_by_zero());
        }
        let scale = a.scale().max(b.scale());
        if let (Finite::Small(x, s), Finite::Small(y, t)) = (&a, &b) {
            let remainder = raise(*x, *s, scale)
                .zip(raise(*y, *t, scale))
                .and_then(|(x, y)| x.checked_rem(y));
            if let Some(remainder) = remainder {
                return Ok(Numeric::small(remainder, scale));
            }
        }
        let scale = u32::from(scale);
        Numeric::from_big(a.coefficient_at(scale) % b.coefficient_at(scale), scale)
    }

    /// Rounded half away from zero to `places` digits after the point (before it, when negative).
    pub fn round(&self, places: i32) -> Result<Numeric, EvalError> {
        self.to_places(places, div_round_small, div_round)
    }

    /// Truncated towards zero to `places` digits after the point (before it, when negative).
    pub fn trunc(&self, places: i32) -> Result<Numeric, EvalError> {
        self.to_places(places, |n, d| n / d, |n, d| n / d)
    }

    /// The least integer not below `self`.
    pub fn ceil(&self) -> Result<Numeric, EvalError> {
        let truncated = self.trunc(0)?;
        if &truncated < self {
            truncated.add(&Numeric::ONE)
        } else {
            Ok(truncated)
        }
    }

    /// The greatest integer not above `self`.
    pub fn floor(&self) -> Result<Numeric, EvalError> {
        let truncated = self.trunc(0)?;
        if &truncated > self {
            truncated.sub(&Numeric::ONE)
        } else {
            Ok(truncated)
        }
    }

    fn to_places(
        &self,
        places: i32,
        small: impl Fn(i128, i128) -> i128,
        big: impl Fn(&BigInt, &BigInt) -> BigInt,
    ) -> Result<Numeric, EvalError> {
        let Some(value) = self.finite() else {
            return Ok(self.clone());
        };
        let places = i64::from(places).clamp(-MAX_PLACES, i64::from(MAX_SCALE));
        let shown = places.max(0) as u32;
        let drop = i64::from(value.scale()) - places;
        if drop <= 0 {
            return self.rescale_up(shown);
        }
        if drop > value.digits() + 1 {
            return Ok(Numeric::small(0, shown as u16));
        }
        let drop = drop as u32;
        let refill = (-places).max(0) as u32;
        if let Finite::Small(c, _) = value
            && let Some(divisor) = pow10_small(drop)
            && let Some(result) = pow10_small(refill).and_then(|p| small(c, divisor).checked_mul(p))
        {
            return Ok(Numeric::small(result, shown as u16));
        }
        Numeric::from_big(
            big(value.coefficient().as_ref(), &pow10(drop)) * pow10(refill),
            shown,
        )
    }

    /// The same value with zeros appended up to `scale` digits after the point.
    pub(super) fn rescale_up(&self, scale: u32) -> Result<Numeric, EvalError> {
        let Some(value) = self.finite() else {
            return Ok(self.clone());
        };
        if let Finite::Small(c, s) = value
            && let Some(c) = raise(c, s, scale as u16)
        {
            return Ok(Numeric::small(c, scale as u16));
        }
        Numeric::from_big(value.coefficient_at(scale), scale)
    }

    /// The value as a column `numeric(precision, scale)` stores it: rounded half away from zero, 22003 if more
    /// than `precision - scale` digits stand before the point. The scale may be negative.
    pub fn with_typmod(&self, precision: u32, scale: i32) -> Result<Numeric, EvalError> {
        if self.is_nan() {
            return Ok(Numeric::NAN);
        }
        let overflow = |absolute: String| {
            EvalError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "numeric field overflow",
            )
            .with_detail(format!(
                "A field with precision {precision}, scale {scale} {absolute}."
            ))
        };
        if self.is_infinite() {
            return Err(overflow("cannot hold an infinite value".to_owned()));
        }
        // Most values fit as they are.
        if let Some((coefficient, shown)) = self.as_small()
            && i64::from(shown) == i64::from(scale)
            && 10u128
                .checked_pow(precision)
                .is_none_or(|bound| coefficient.unsigned_abs() < bound)
        {
            return Ok(self.clone());
        }
        let rounded = self.round(scale)?;
        let room = i64::from(precision) - i64::from(scale);
        match rounded.finite().and_then(|f| f.exponent()) {
            Some(exponent) if exponent >= room => {
                let bound = if room == 0 {
                    "1".to_owned()
                } else {
                    format!("10^{room}")
                };
                Err(overflow(format!(
                    "must round to an absolute value less than {bound}"
                )))
            }
            _ => Ok(rounded),
        }
    }
}

/// Rounding beyond this many places before the point leaves zero whatever the value.
const MAX_PLACES: i64 = super::MAX_INTEGER_DIGITS + 1;

fn add_special(a: Class, b: Class) -> Numeric {
    match (a, b) {
        (Class::NaN, _) | (_, Class::NaN) => Numeric::NAN,
        (Class::PosInfinity, Class::NegInfinity) | (Class::NegInfinity, Class::PosInfinity) => {
            Numeric::NAN
        }
        (Class::PosInfinity, _) | (_, Class::PosInfinity) => Numeric::INFINITY,
        _ => Numeric::NEG_INFINITY,
    }
}

fn signed_infinity(sign: i32) -> Numeric {
    match sign {
        0 => Numeric::NAN,
        s if s < 0 => Numeric::NEG_INFINITY,
        _ => Numeric::INFINITY,
    }
}

fn mul_special(a: &Numeric, b: &Numeric) -> Numeric {
    if a.is_nan() || b.is_nan() {
        return Numeric::NAN;
    }
    signed_infinity(a.signum() * b.signum())
}

fn div_special(a: &Numeric, b: &Numeric) -> Result<Numeric, EvalError> {
    match (a.class(), b.class()) {
        (Class::NaN, _) | (_, Class::NaN) => Ok(Numeric::NAN),
        (Class::Finite, _) => Ok(Numeric::ZERO),
        (_, Class::Finite) if b.is_zero() => Err(EvalError::division_by_zero()),
        (_, Class::Finite) => Ok(signed_infinity(a.signum() * b.signum())),
        _ => Ok(Numeric::NAN),
    }
}

fn rem_special(a: &Numeric, b: &Numeric) -> Result<Numeric, EvalError> {
    match (a.class(), b.class()) {
        (Class::NaN, _) | (_, Class::NaN) => Ok(Numeric::NAN),
        (Class::Finite, _) => Ok(a.clone()),
        (_, Class::Finite) if b.is_zero() => Err(EvalError::division_by_zero()),
        _ => Ok(Numeric::NAN),
    }
}

/// The scale of a quotient (`select_div_scale` of Postgres's numeric.c): enough for 16 significant digits,
/// estimated from the leading base-10000 digits, and at least the scale of either input.
pub(super) fn div_scale(a: &Finite<'_>, b: &Finite<'_>) -> u32 {
    let ((weight_a, first_a), (weight_b, first_b)) = (a.leading(), b.leading());
    let mut weight = weight_a - weight_b;
    if first_a <= first_b {
        weight -= 1;
    }
    let scale = (MIN_SIGNIFICANT_DIGITS - 4 * weight)
        .max(i64::from(a.scale()))
        .max(i64::from(b.scale()));
    scale.clamp(0, i64::from(MAX_PRECISION)) as u32
}

/// `a / b` rounded half away from zero to `scale`; `b` is not zero.
pub(super) fn divide(a: &Finite<'_>, b: &Finite<'_>, scale: u32) -> Result<Numeric, EvalError> {
    // a / b = (ca / cb) * 10^(sb - sa); the coefficient at `scale` is that times 10^scale.
    let shift = i64::from(scale) + i64::from(b.scale()) - i64::from(a.scale());
    if let (Finite::Small(x, _), Finite::Small(y, _)) = (a, b)
        && (0..39).contains(&shift)
        && let Some(x) = pow10_small(shift as u32).and_then(|p| x.checked_mul(p))
        && *y != i128::MIN
        && *y != -1
    {
        return Ok(Numeric::small(div_round_sign(x, *y), scale as u16));
    }
    let (mut numerator, mut denominator) =
        (a.coefficient().into_owned(), b.coefficient().into_owned());
    if shift >= 0 {
        numerator *= pow10(shift as u32);
    } else {
        denominator *= pow10(shift.unsigned_abs() as u32);
    }
    if denominator.is_negative() {
        numerator = -numerator;
        denominator = -denominator;
    }
    Numeric::from_big(div_round(&numerator, &denominator), scale)
}

/// Rounds half away from zero for a denominator of either sign.
fn div_round_sign(numerator: i128, denominator: i128) -> i128 {
    let quotient = numerator / denominator;
    let remainder = (numerator % denominator).unsigned_abs();
    let magnitude = denominator.unsigned_abs();
    if remainder >= magnitude - remainder {
        quotient + numerator.signum() * denominator.signum()
    } else {
        quotient
    }
}

impl Finite<'_> {
    /// The position and value of the first nonzero base-10000 digit, the unit in which Postgres estimates result
    /// scales; (0, 0) for zero.
    pub(super) fn leading(&self) -> (i64, i64) {
        let Some(exponent) = self.exponent() else {
            return (0, 0);
        };
        let weight = exponent.div_euclid(4);
        (weight, self.leading_decimals(exponent - 4 * weight + 1))
    }

    /// The first `count` decimal digits as a number, zeros appended where there are fewer.
    pub(super) fn leading_decimals(&self, count: i64) -> i64 {
        let digits = self.digits();
        let magnitude = match self {
            Finite::Small(c, _) if digits <= count => {
                return c.unsigned_abs() as i64 * 10i64.pow((count - digits) as u32);
            }
            Finite::Small(c, _) => {
                let divisor = pow10_small((digits - count) as u32).unwrap_or(i128::MAX);
                return (c.unsigned_abs() / divisor.unsigned_abs()) as i64;
            }
            Finite::Big(c, _) => c.abs(),
        };
        let leading = magnitude / pow10((digits - count).max(0) as u32);
        i64::try_from(leading).unwrap_or(0)
    }

    /// Whether the value has no digits after the point other than zeros.
    pub(super) fn is_integer(&self) -> bool {
        match self {
            Finite::Small(_, 0) | Finite::Big(_, 0) => true,
            Finite::Small(c, s) => match pow10_small(u32::from(*s)) {
                Some(divisor) => c % divisor == 0,
                None => *c == 0,
            },
            Finite::Big(c, s) => (*c % pow10(u32::from(*s))).is_zero(),
        }
    }
}
