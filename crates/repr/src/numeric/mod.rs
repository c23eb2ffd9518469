//! `numeric`: exact decimals as PostgreSQL 15 computes them.
//!
//! A value is a coefficient and a display scale (`coefficient / 10^scale`), NaN, or an infinity. Up to 131072
//! digits stand before the decimal point and 16383 after it.
//!
//! Invariant: a coefficient that fits an `i128` is always held as one, so that nearly all arithmetic allocates
//! nothing and a value has one representation per display scale.
//!
//! Equality, order and hash are SQL's: `1.0 = 1.00`, `NaN = NaN`, NaN above everything. The display scale is
//! identity beyond equality: [`Numeric::to_bytes`] keeps it, [`Numeric::encode_key`] drops it.
//!
//! It knows no columns and no rows; typmods arrive as a precision and a scale.

mod arithmetic;
mod bytes;
mod convert;
mod functions;
mod sum;
#[cfg(test)]
mod tests;
mod text;
mod transcendental;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use num_bigint::{BigInt, Sign};
use num_traits::{Signed, ToPrimitive};

use crate::error::{EvalError, SqlState};

pub use bytes::push_key;
pub use sum::{NumericMoments, NumericSum};
pub(crate) use text::is_space;

/// The most digits before the decimal point.
pub const MAX_INTEGER_DIGITS: i64 = 131_072;
/// The most digits after the decimal point.
pub const MAX_SCALE: u32 = 16_383;
/// The most digits of a declared precision, and the largest scale that a function chooses by itself.
pub const MAX_PRECISION: u32 = 1000;
/// The least number of significant digits that division and the transcendental functions give.
const MIN_SIGNIFICANT_DIGITS: i64 = 16;

/// An exact decimal number, NaN or an infinity.
#[derive(Clone)]
pub struct Numeric(Repr);

#[derive(Clone)]
enum Repr {
    NegInfinity,
    Small { coefficient: i128, scale: u16 },
    Big(Arc<Big>),
    PosInfinity,
    NaN,
}

/// A coefficient beyond `i128`.
struct Big {
    coefficient: BigInt,
    scale: u16,
}

/// A finite value seen as coefficient and scale.
enum Finite<'a> {
    Small(i128, u16),
    Big(&'a BigInt, u16),
}

/// What a value is before any digit of it matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Class {
    NegInfinity,
    Finite,
    PosInfinity,
    NaN,
}

const POW10: [i128; 39] = {
    let mut table = [1i128; 39];
    let mut i = 1;
    while i < 39 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// `10^n` where it fits an `i128`.
fn pow10_small(n: u32) -> Option<i128> {
    POW10.get(n as usize).copied()
}

/// `10^n`.
fn pow10(n: u32) -> BigInt {
    match pow10_small(n) {
        Some(p) => BigInt::from(p),
        None => BigInt::from(10u8).pow(n),
    }
}

/// How many decimal digits `v` has; 0 has none.
fn digits_small(v: i128) -> i64 {
    v.unsigned_abs()
        .checked_ilog10()
        .map_or(0, |d| i64::from(d) + 1)
}

/// How many decimal digits `v` has; 0 has none.
fn digits_big(v: &BigInt) -> i64 {
    if let Some(small) = v.to_i128() {
        return digits_small(small);
    }
    // log10(2) from below, so the estimate is at most the count and at least the count less one.
    let estimate = (v.bits() - 1) * 30_102_999_566 / 100_000_000_000;
    let bound = pow10(estimate as u32);
    let mut digits = estimate as i64;
    let magnitude = v.magnitude();
    let mut bound = bound.magnitude().clone();
    while magnitude >= &bound {
        digits += 1;
        bound *= 10u8;
    }
    digits
}

/// `numerator / denominator` rounded half away from zero; the denominator is positive.
fn div_round(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let half: BigInt = denominator.abs() >> 1u8;
    let odd = denominator.bit(0);
    let quotient = numerator / denominator;
    let remainder: BigInt = (numerator - &quotient * denominator).abs();
    // An odd denominator has no exact half: above its floor is above one half.
    let up = if odd {
        remainder > half
    } else {
        remainder >= half
    };
    match (up, numerator.sign()) {
        (true, Sign::Minus) => quotient - 1,
        (true, _) => quotient + 1,
        (false, _) => quotient,
    }
}

fn div_round_small(numerator: i128, denominator: i128) -> i128 {
    let quotient = numerator / denominator;
    let remainder = (numerator % denominator).unsigned_abs();
    let denominator = denominator.unsigned_abs();
    if remainder >= denominator - remainder {
        quotient + numerator.signum()
    } else {
        quotient
    }
}

/// 22003, as Postgres words a result beyond the format.
fn format_overflow() -> EvalError {
    EvalError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "value overflows numeric format",
    )
}

impl Numeric {
    /// Not a number: equal to itself, above everything.
    pub const NAN: Numeric = Numeric(Repr::NaN);
    /// Positive infinity.
    pub const INFINITY: Numeric = Numeric(Repr::PosInfinity);
    /// Negative infinity.
    pub const NEG_INFINITY: Numeric = Numeric(Repr::NegInfinity);
    /// Zero, of scale 0.
    pub const ZERO: Numeric = Numeric(Repr::Small {
        coefficient: 0,
        scale: 0,
    });
    /// One, of scale 0.
    pub const ONE: Numeric = Numeric(Repr::Small {
        coefficient: 1,
        scale: 0,
    });

    /// `coefficient / 10^scale`. `None` if the scale is above [`MAX_SCALE`].
    pub fn new(coefficient: i128, scale: u32) -> Option<Numeric> {
        (scale <= MAX_SCALE).then(|| Numeric::small(coefficient, scale as u16))
    }

    const fn small(coefficient: i128, scale: u16) -> Numeric {
        Numeric(Repr::Small { coefficient, scale })
    }

    /// The value `coefficient / 10^scale`, whose scale the caller knows to be in range; 22003 if it has too many
    /// digits before the point.
    fn from_big(coefficient: BigInt, scale: u32) -> Result<Numeric, EvalError> {
        if scale > MAX_SCALE {
            return Err(format_overflow());
        }
        if let Some(small) = coefficient.to_i128() {
            return Ok(Numeric::small(small, scale as u16));
        }
        // Cheap bound first: most big values are far from the limit.
        if coefficient.bits() > 435_000
            && digits_big(&coefficient) - i64::from(scale) > MAX_INTEGER_DIGITS
        {
            return Err(format_overflow());
        }
        Ok(Numeric(Repr::Big(Arc::new(Big {
            coefficient,
            scale: scale as u16,
        }))))
    }

    /// `coefficient / 10^scale` brought to scale `to`, rounding half away from zero.
    fn from_big_rounded(coefficient: BigInt, scale: u32, to: u32) -> Result<Numeric, EvalError> {
        match scale.cmp(&to) {
            Ordering::Equal => Numeric::from_big(coefficient, to),
            Ordering::Less => Numeric::from_big(coefficient * pow10(to - scale), to),
            Ordering::Greater => Numeric::from_big(div_round(&coefficient, &pow10(scale - to)), to),
        }
    }

    fn class(&self) -> Class {
        match self.0 {
            Repr::NegInfinity => Class::NegInfinity,
            Repr::PosInfinity => Class::PosInfinity,
            Repr::NaN => Class::NaN,
            Repr::Small { .. } | Repr::Big(_) => Class::Finite,
        }
    }

    fn finite(&self) -> Option<Finite<'_>> {
        match &self.0 {
            Repr::Small { coefficient, scale } => Some(Finite::Small(*coefficient, *scale)),
            Repr::Big(big) => Some(Finite::Big(&big.coefficient, big.scale)),
            _ => None,
        }
    }

    /// Whether this is NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self.0, Repr::NaN)
    }

    /// Whether this is an infinity.
    pub fn is_infinite(&self) -> bool {
        matches!(self.0, Repr::PosInfinity | Repr::NegInfinity)
    }

    /// Whether this is a number with digits.
    pub fn is_finite(&self) -> bool {
        self.class() == Class::Finite
    }

    /// Whether this is zero, of any scale.
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { coefficient: 0, .. })
    }

    /// Whether this is below zero; false for NaN.
    pub fn is_negative(&self) -> bool {
        self.signum() < 0
    }

    /// -1, 0 or 1; 0 for NaN too.
    pub fn signum(&self) -> i32 {
        match &self.0 {
            Repr::NegInfinity => -1,
            Repr::PosInfinity => 1,
            Repr::NaN => 0,
            Repr::Small { coefficient, .. } => coefficient.signum() as i32,
            Repr::Big(big) => match big.coefficient.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            },
        }
    }

    /// Digits shown after the decimal point; `None` for NaN and infinities.
    pub fn scale(&self) -> Option<u32> {
        self.finite().map(|f| u32::from(f.scale()))
    }

    /// Coefficient and scale where the coefficient fits an `i128`.
    pub fn as_small(&self) -> Option<(i128, u32)> {
        match self.0 {
            Repr::Small { coefficient, scale } => Some((coefficient, u32::from(scale))),
            _ => None,
        }
    }

    /// Bytes on the heap, for memory accounting.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Big(big) => {
                std::mem::size_of::<Big>() + big.coefficient.bits().div_ceil(8) as usize
            }
            _ => 0,
        }
    }
}

impl<'a> Finite<'a> {
    fn scale(&self) -> u16 {
        match self {
            Finite::Small(_, scale) | Finite::Big(_, scale) => *scale,
        }
    }

    fn coefficient(&self) -> Cow<'a, BigInt> {
        match self {
            Finite::Small(c, _) => Cow::Owned(BigInt::from(*c)),
            Finite::Big(c, _) => Cow::Borrowed(c),
        }
    }

    /// The coefficient of this value at the scale `to`, which is at least its own.
    fn coefficient_at(&self, to: u32) -> BigInt {
        let by = to - u32::from(self.scale());
        match by {
            0 => self.coefficient().into_owned(),
            _ => self.coefficient().as_ref() * pow10(by),
        }
    }

    fn digits(&self) -> i64 {
        match self {
            Finite::Small(c, _) => digits_small(*c),
            Finite::Big(c, _) => digits_big(c),
        }
    }

    fn sign(&self) -> Sign {
        match self {
            Finite::Small(c, _) => match c.signum() {
                -1 => Sign::Minus,
                0 => Sign::NoSign,
                _ => Sign::Plus,
            },
            Finite::Big(c, _) => c.sign(),
        }
    }

    /// The decimal exponent of the leading digit (`d.ddd * 10^exponent`); `None` for zero.
    fn exponent(&self) -> Option<i64> {
        match self.digits() {
            0 => None,
            digits => Some(digits - 1 - i64::from(self.scale())),
        }
    }

    fn compare(&self, other: &Finite<'_>) -> Ordering {
        if let (Finite::Small(a, s), Finite::Small(b, t)) = (self, other) {
            if s == t {
                return a.cmp(b);
            }
            if let (Some(a), Some(b)) = (raise(*a, *s, *s.max(t)), raise(*b, *t, *s.max(t))) {
                return a.cmp(&b);
            }
        }
        let (sign, other_sign) = (self.sign(), other.sign());
        if sign != other_sign || sign == Sign::NoSign {
            return sign.cmp(&other_sign);
        }
        // Same sign, both nonzero: the exponents usually decide, without aligning thousands of digits.
        let by_exponent = self.exponent().cmp(&other.exponent());
        if by_exponent != Ordering::Equal {
            return if sign == Sign::Minus {
                by_exponent.reverse()
            } else {
                by_exponent
            };
        }
        let scale = u32::from(self.scale().max(other.scale()));
        self.coefficient_at(scale).cmp(&other.coefficient_at(scale))
    }
}

/// `coefficient` at the larger scale `to`, where that fits.
fn raise(coefficient: i128, from: u16, to: u16) -> Option<i128> {
    if from == to {
        return Some(coefficient);
    }
    coefficient.checked_mul(pow10_small(u32::from(to - from))?)
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Numeric) -> Ordering {
        match (self.finite(), other.finite()) {
            (Some(a), Some(b)) => a.compare(&b),
            _ => self.class().cmp(&other.class()),
        }
    }
}

impl std::hash::Hash for Numeric {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let mut key = Vec::with_capacity(24);
        self.encode_key(&mut key);
        key.hash(state);
    }
}

impl Default for Numeric {
    fn default() -> Numeric {
        Numeric::ZERO
    }
}

impl std::fmt::Debug for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl serde::Serialize for Numeric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        self.to_bytes(&mut bytes);
        bytes.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Numeric {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Numeric, D::Error> {
        use serde::de::Error;
        let bytes = <Vec<u8> as serde::Deserialize>::deserialize(deserializer)?;
        Numeric::from_bytes(&bytes).ok_or_else(|| D::Error::custom("malformed numeric"))
    }
}
