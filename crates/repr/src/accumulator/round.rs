//! Rounding of exact binary numbers to floats: nearest, ties to even, once.

use num_bigint::{BigInt, Sign};
use num_traits::{Signed, ToPrimitive, Zero};

/// What a binary format holds: bits of precision and the exponent of its least subnormal.
struct Format {
    precision: i64,
    least: i64,
}

const DOUBLE: Format = Format {
    precision: 53,
    least: -1074,
};
const SINGLE: Format = Format {
    precision: 24,
    least: -149,
};

/// `mantissa * 2^exponent` as the nearest double; an infinity beyond the range.
pub fn round_to_f64(mantissa: &BigInt, exponent: i64) -> f64 {
    let (magnitude, exponent) = round_magnitude(mantissa, exponent, false, &DOUBLE);
    let value = scale(magnitude as f64, exponent);
    if mantissa.is_negative() {
        -value
    } else {
        value
    }
}

/// `mantissa * 2^exponent` as the nearest real; an infinity beyond the range.
pub fn round_to_f32(mantissa: &BigInt, exponent: i64) -> f32 {
    let (magnitude, exponent) = round_magnitude(mantissa, exponent, false, &SINGLE);
    // The magnitude has at most 24 bits and is a multiple of the least real: the double is exact, and so is the cast.
    let value = scale(magnitude as f64, exponent) as f32;
    if mantissa.is_negative() {
        -value
    } else {
        value
    }
}

/// As [`round_to_f64`] for mantissas of one word pair, without allocation where the result is normal.
pub(super) fn from_i128(mantissa: i128, exponent: i64) -> f64 {
    let bits = i64::from(128 - mantissa.unsigned_abs().leading_zeros());
    if mantissa == 0 {
        return 0.0;
    }
    if exponent + bits <= -1021 || exponent + bits >= 1023 {
        return round_to_f64(&BigInt::from(mantissa), exponent);
    }
    // The cast rounds to nearest even; the scaling is exact, since the result is normal.
    scale(mantissa as f64, exponent)
}

/// `numerator * 2^exponent / denominator` as the nearest double; the denominator is positive.
pub(super) fn quotient(numerator: &BigInt, exponent: i64, denominator: &BigInt) -> f64 {
    if numerator.is_zero() {
        return 0.0;
    }
    // Enough quotient bits that what division leaves over only breaks ties.
    let up = (denominator.bits() as i64 - numerator.bits() as i64 + 66).max(0);
    let shifted: BigInt = numerator.abs() << up as usize;
    let whole = &shifted / denominator;
    let sticky = &whole * denominator != shifted;
    let (magnitude, exponent) = round_magnitude(&whole, exponent - up, sticky, &DOUBLE);
    let value = scale(magnitude as f64, exponent);
    if numerator.is_negative() {
        -value
    } else {
        value
    }
}

/// The sum of two exact numbers.
pub(super) fn add_exact(a: (BigInt, i64), b: (BigInt, i64)) -> (BigInt, i64) {
    let least = a.1.min(b.1);
    (
        (a.0 << (a.1 - least) as usize) + (b.0 << (b.1 - least) as usize),
        least,
    )
}

/// The magnitude rounded to the format's precision, and its exponent. `sticky` says that a positive amount below
/// the last bit was left out.
fn round_magnitude(mantissa: &BigInt, exponent: i64, sticky: bool, format: &Format) -> (u64, i64) {
    let magnitude = mantissa.magnitude();
    let bits = magnitude.bits() as i64;
    let drop = (bits - format.precision).max(format.least - exponent);
    if drop <= 0 {
        return (magnitude.to_u64().unwrap_or(u64::MAX), exponent);
    }
    if drop > bits + 1 {
        return (0, 0);
    }
    let kept = (magnitude >> drop as usize).to_u64().unwrap_or(u64::MAX);
    let half = magnitude.bit(drop as u64 - 1);
    let below = sticky
        || magnitude
            .trailing_zeros()
            .is_some_and(|z| (z as i64) < drop - 1);
    let up = half && (below || kept & 1 == 1);
    (kept + u64::from(up), exponent + drop)
}

/// `value * 2^exponent`, exact unless it exceeds the range.
fn scale(value: f64, exponent: i64) -> f64 {
    libm::scalbn(value, exponent.clamp(-3000, 3000) as i32)
}

/// Whether an exact number is below zero.
pub(super) fn is_negative(value: &BigInt) -> bool {
    value.sign() == Sign::Minus
}
