//! Square root, exponential, logarithms and powers, at the result scales that Postgres's numeric.c picks.
//!
//! Values are computed in binary fixed point with guard bits beyond the last shown digit, so every shown digit is
//! right. Exponentials: Taylor series after halving the argument. Logarithms: `ln 2` by a Machin-like sum of
//! inverse hyperbolic tangents, the mantissa by repeated square roots and one such series (Brent, "Fast
//! multiple-precision evaluation of elementary functions", 1976).

use std::f64::consts::{LN_10, LOG10_E};

use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::arithmetic::{div_scale, divide};
use super::{
    Class, Finite, MAX_PRECISION, MIN_SIGNIFICANT_DIGITS, Numeric, Repr, format_overflow, pow10,
};
use crate::error::{EvalError, SqlState};

/// Postgres's `NUMERIC_MAX_RESULT_SCALE`.
const MAX_RESULT_SCALE: f64 = 2000.0;
/// Bits carried beyond the last digit that is shown.
const GUARD_BITS: i64 = 48;

fn clamp_scale(scale: i64) -> u32 {
    scale.clamp(0, i64::from(MAX_PRECISION)) as u32
}

/// Bits that hold `digits` decimal digits.
fn bits_for(digits: i64) -> i64 {
    digits.max(0) * 3322 / 1000 + 2
}

fn logarithm_error(message: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, message)
}

fn power_error(message: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message)
}

impl Numeric {
    /// The square root. 2201F below zero.
    pub fn sqrt(&self) -> Result<Numeric, EvalError> {
        if self.signum() < 0 {
            return Err(power_error("cannot take square root of a negative number"));
        }
        let Some(value) = self.finite() else {
            return Ok(self.clone());
        };
        let weight = value.leading().0;
        let scale = MIN_SIGNIFICANT_DIGITS - ((weight + 1) * 4 / 2 - 1);
        self.sqrt_at(clamp_scale(scale.max(i64::from(value.scale()))))
    }

    /// The square root of a value not below zero, rounded to `scale`.
    pub(super) fn sqrt_at(&self, scale: u32) -> Result<Numeric, EvalError> {
        let Some(value) = self.finite() else {
            return Ok(self.clone());
        };
        // The root of c / 10^s at `scale` is the root of c * 10^(2 scale - s).
        let at = (2 * scale).max(u32::from(value.scale()));
        let mut radicand = value.coefficient_at(at);
        if at % 2 == 1 {
            radicand *= 10;
        }
        let root_scale = at.div_ceil(2);
        let root = radicand.sqrt();
        // Nearest: the remainder exceeds the root exactly when the fraction is above one half.
        let up = &radicand - &root * &root > root;
        let root = if up && root_scale == scale {
            root + 1
        } else {
            root
        };
        Numeric::from_big_rounded(root, root_scale, scale)
    }

    /// `e` to the power `self`. 22003 if that is beyond the format.
    pub fn exp(&self) -> Result<Numeric, EvalError> {
        let Some(value) = self.finite() else {
            return Ok(match self.class() {
                Class::NegInfinity => Numeric::ZERO,
                _ => self.clone(),
            });
        };
        let digits =
            (self.to_f64_saturating() * LOG10_E).clamp(-MAX_RESULT_SCALE, MAX_RESULT_SCALE);
        let scale = MIN_SIGNIFICANT_DIGITS - digits as i64;
        exp_at(&value, clamp_scale(scale.max(i64::from(value.scale()))))
    }

    /// The natural logarithm. 2201E at or below zero.
    pub fn ln(&self) -> Result<Numeric, EvalError> {
        check_logarithm(self)?;
        let Some(value) = self.finite() else {
            return Ok(self.clone());
        };
        let scale = MIN_SIGNIFICANT_DIGITS - ln_weight(self);
        let scale = clamp_scale(scale.max(i64::from(value.scale())));
        round_fixed(
            &ln_fixed(&value, bits_for(i64::from(scale)) + GUARD_BITS),
            scale,
        )
    }

    /// The logarithm to the base 10. 2201E at or below zero.
    pub fn log10(&self) -> Result<Numeric, EvalError> {
        Numeric::log(&Numeric::small(10, 0), self)
    }

    /// The logarithm of `x` to the base `base`. 2201E at or below zero, 22012 for base 1.
    pub fn log(base: &Numeric, x: &Numeric) -> Result<Numeric, EvalError> {
        if base.is_nan() || x.is_nan() {
            return Ok(Numeric::NAN);
        }
        let special = !base.is_finite() || !x.is_finite();
        if special && x.signum() < 0 {
            return Err(logarithm_error(
                "cannot take logarithm of a negative number",
            ));
        }
        check_logarithm(base)?;
        check_logarithm(x)?;
        let (Some(b), Some(v)) = (base.finite(), x.finite()) else {
            return Ok(match (base.is_infinite(), x.is_infinite()) {
                (true, true) => Numeric::NAN,
                (true, false) => Numeric::ZERO,
                _ => Numeric::INFINITY,
            });
        };
        let base_weight = ln_weight(base);
        let weight = ln_weight(x) - base_weight;
        let scale = (MIN_SIGNIFICANT_DIGITS - weight)
            .max(i64::from(b.scale()))
            .max(i64::from(v.scale()));
        let scale = clamp_scale(scale);
        // Enough bits that the quotient is right even where ln(base) is tiny or the quotient large.
        let bits = bits_for(i64::from(scale) + weight.max(0) + 2 * base_weight.min(0).abs() + 4)
            + GUARD_BITS;
        let (ln_base, ln_x) = (ln_fixed(&b, bits), ln_fixed(&v, bits));
        if ln_base.value.is_zero() {
            return Err(EvalError::division_by_zero());
        }
        let quotient = (ln_x.value << bits as usize) / ln_base.value;
        round_fixed(
            &Fixed {
                value: quotient,
                bits,
            },
            scale,
        )
    }

    /// `self` to the power `exponent`. 2201F where that is undefined or complex, 22003 beyond the format.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric, EvalError> {
        let (Some(base), Some(power)) = (self.finite(), exponent.finite()) else {
            return power_special(self, exponent);
        };
        if self.is_zero() && exponent.signum() < 0 {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        let integral = power.is_integer();
        if self.signum() < 0 && !integral {
            return Err(power_error(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if integral && let Ok(n) = exponent.to_i32() {
            return power_int(self, &base, n);
        }
        if self.is_zero() {
            return Ok(Numeric::small(0, MIN_SIGNIFICANT_DIGITS as u16));
        }
        let negate = self.signum() < 0 && is_odd(&power);
        let magnitude = self.abs();
        let result = power_real(&magnitude, exponent)?;
        Ok(if negate { result.neg() } else { result })
    }
}

fn check_logarithm(x: &Numeric) -> Result<(), EvalError> {
    match x.signum() {
        s if s < 0 => Err(logarithm_error(
            "cannot take logarithm of a negative number",
        )),
        0 if !x.is_nan() => Err(logarithm_error("cannot take logarithm of zero")),
        _ => Ok(()),
    }
}

fn is_odd(value: &Finite<'_>) -> bool {
    (value.coefficient().as_ref() / pow10(u32::from(value.scale()))).bit(0)
}

/// `POSIX pow` on values of which one at least is NaN or infinite.
fn power_special(base: &Numeric, exponent: &Numeric) -> Result<Numeric, EvalError> {
    let one = &Numeric::ONE;
    if base.is_nan() || exponent.is_nan() {
        let is_one = exponent.is_zero() || base == one;
        return Ok(if is_one { Numeric::ONE } else { Numeric::NAN });
    }
    let (sign, exponent_sign) = (base.signum(), exponent.signum());
    if sign == 0 && exponent_sign < 0 {
        return Err(power_error("zero raised to a negative power is undefined"));
    }
    let integral = exponent.finite().is_none_or(|e| e.is_integer());
    if sign < 0 && !integral {
        return Err(power_error(
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    if base == one || exponent_sign == 0 {
        return Ok(Numeric::ONE);
    }
    if sign == 0 {
        return Ok(Numeric::ZERO);
    }
    if exponent.is_infinite() {
        let grows = match base.abs().cmp(one) {
            std::cmp::Ordering::Equal => return Ok(Numeric::ONE),
            std::cmp::Ordering::Greater => exponent_sign > 0,
            std::cmp::Ordering::Less => exponent_sign < 0,
        };
        return Ok(if grows {
            Numeric::INFINITY
        } else {
            Numeric::ZERO
        });
    }
    if exponent_sign < 0 {
        return Ok(Numeric::ZERO);
    }
    let odd = exponent.finite().is_some_and(|e| is_odd(&e));
    Ok(if sign < 0 && odd {
        Numeric::NEG_INFINITY
    } else {
        Numeric::INFINITY
    })
}

/// The decimal exponent of `ln x`, as Postgres estimates it (`estimate_ln_dweight`).
fn ln_weight(x: &Numeric) -> i64 {
    let near_one = *x >= Numeric::small(9, 1) && *x <= Numeric::small(11, 1);
    if near_one {
        return match x.sub(&Numeric::ONE) {
            Ok(difference) => difference.finite().and_then(|d| d.exponent()).unwrap_or(0),
            Err(_) => 0,
        };
    }
    let Some(value) = x.finite() else { return 0 };
    let Some(exponent) = value.exponent() else {
        return 0;
    };
    // The first two base-10000 digits, or the only one.
    let (weight, first) = value.leading();
    let lead = exponent - 4 * weight + 1;
    let single = value.digits_significant() <= lead;
    let (digits, weight) = if single {
        (first, weight * 4)
    } else {
        (value.leading_decimals(lead + 4), weight * 4 - 4)
    };
    let ln = libm::log(digits as f64) + weight as f64 * LN_10;
    libm::log10(ln.abs()) as i64
}

/// A binary fixed-point number: `value / 2^bits`.
struct Fixed {
    value: BigInt,
    bits: i64,
}

fn to_fixed(value: &Finite<'_>, bits: i64) -> Fixed {
    Fixed {
        value: (value.coefficient().as_ref() << bits as usize) / pow10(u32::from(value.scale())),
        bits,
    }
}

fn round_fixed(x: &Fixed, scale: u32) -> Result<Numeric, EvalError> {
    let scaled: BigInt = &x.value * pow10(scale);
    Numeric::from_big(shift_round(scaled, x.bits), scale)
}

/// `value / 2^bits`, rounded half away from zero.
fn shift_round(value: BigInt, bits: i64) -> BigInt {
    if bits <= 0 {
        return value << bits.unsigned_abs() as usize;
    }
    let half = BigInt::one() << (bits - 1) as usize;
    let magnitude: BigInt = (value.abs() + half) >> bits as usize;
    if value.is_negative() {
        -magnitude
    } else {
        magnitude
    }
}

/// `2 atanh(numerator / denominator)` with `bits` after the point.
fn twice_atanh(numerator: &BigInt, denominator: &BigInt, bits: i64) -> BigInt {
    let ratio: BigInt = (numerator << bits as usize) / denominator;
    let square: BigInt = (&ratio * &ratio) >> bits as usize;
    let (mut term, mut sum) = (ratio.clone(), ratio);
    let mut n = 1u32;
    while !term.is_zero() {
        term = (term * &square) >> bits as usize;
        n += 2;
        sum += &term / n;
        if term.abs() <= BigInt::one() {
            break;
        }
    }
    sum << 1
}

/// `ln 2`: 18 atanh(1/26) - 2 atanh(1/4801) + 8 atanh(1/8749).
fn ln_2(bits: i64) -> BigInt {
    let working = bits + 16;
    let atanh = |n: u32| twice_atanh(&BigInt::one(), &BigInt::from(n), working);
    let sum: BigInt = atanh(26) * 9 - atanh(4801) + atanh(8749) * 4;
    sum >> 16
}

/// `ln x` for positive x, with `bits` after the point.
fn ln_fixed(x: &Finite<'_>, bits: i64) -> Fixed {
    // Square roots taken before the series; each halves the distance to 1 and costs a bit.
    let roots = (libm::sqrt(bits as f64 / 4.0) as i64).clamp(2, 40);
    let working = bits + roots + 40;
    let coefficient = x.coefficient();
    let divisor = pow10(u32::from(x.scale()));
    // x = mantissa * 2^exponent with the mantissa in (1/2, 2).
    let exponent = coefficient.bits() as i64 - divisor.bits() as i64;
    let shift = working - exponent;
    let mut mantissa: BigInt = if shift >= 0 {
        (coefficient.as_ref() << shift as usize) / divisor
    } else {
        coefficient.as_ref() / (divisor << shift.unsigned_abs() as usize)
    };
    for _ in 0..roots {
        mantissa = (mantissa << working as usize).sqrt();
    }
    let one = BigInt::one() << working as usize;
    let ln_mantissa =
        twice_atanh(&(&mantissa - &one), &(&mantissa + &one), working) << roots as usize;
    let ln: BigInt = ln_mantissa + ln_2(working) * exponent;
    Fixed {
        value: ln >> (working - bits) as usize,
        bits,
    }
}

/// `e^x` as `mantissa * 2^exponent / 2^bits`, the mantissa in (1/2, 2) with `bits` after the point.
fn exp_fixed(x: &Fixed, bits: i64) -> (BigInt, i64) {
    let halvings = (libm::sqrt(bits as f64 / 2.0) as i64).clamp(4, 60);
    let working = bits + 2 * halvings + 32;
    let value = match working - x.bits {
        up if up >= 0 => &x.value << up as usize,
        down => &x.value >> down.unsigned_abs() as usize,
    };
    let ln_2 = ln_2(working);
    let exponent = num_integer::Integer::div_floor(&value, &ln_2);
    let mut reduced: BigInt = value - &exponent * ln_2;
    reduced >>= halvings as usize;
    let one = BigInt::one() << working as usize;
    let (mut term, mut sum) = (one.clone(), one);
    let mut n = 0u32;
    loop {
        n += 1;
        term = ((term * &reduced) >> working as usize) / n;
        if term.is_zero() {
            break;
        }
        sum += &term;
    }
    for _ in 0..halvings {
        sum = (&sum * &sum) >> working as usize;
    }
    (
        sum >> (working - bits) as usize,
        exponent.to_i64().unwrap_or(i64::MAX),
    )
}

/// `e^x` rounded to `scale`.
fn exp_at(x: &Finite<'_>, scale: u32) -> Result<Numeric, EvalError> {
    let approximate = finite_to_f64(x);
    if approximate.abs() >= MAX_RESULT_SCALE * 3.0 {
        return if approximate > 0.0 {
            Err(format_overflow())
        } else {
            Ok(Numeric::small(0, scale as u16))
        };
    }
    let digits = i64::from(scale) + (approximate * LOG10_E) as i64 + 2;
    let bits = bits_for(digits) + GUARD_BITS;
    exp_to_numeric(&to_fixed(x, bits + 16), bits, scale)
}

fn exp_to_numeric(x: &Fixed, bits: i64, scale: u32) -> Result<Numeric, EvalError> {
    let (mantissa, exponent) = exp_fixed(x, bits);
    Numeric::from_big(shift_round(mantissa * pow10(scale), bits - exponent), scale)
}

fn finite_to_f64(x: &Finite<'_>) -> f64 {
    match x {
        Finite::Small(c, s) => Numeric::small(*c, *s).to_f64_saturating(),
        Finite::Big(c, s) => match Numeric::from_big((*c).clone(), u32::from(*s)) {
            Ok(value) => value.to_f64_saturating(),
            Err(_) => f64::INFINITY,
        },
    }
}

/// A positive base to a power that is no small integer: `e^(exponent ln base)`.
fn power_real(base: &Numeric, exponent: &Numeric) -> Result<Numeric, EvalError> {
    let (Some(b), Some(e)) = (base.finite(), exponent.finite()) else {
        return power_special(base, exponent);
    };
    // A first look at the weight of the result, from ln(base) to some 8 digits.
    let rough_bits = bits_for(8 - ln_weight(base)) + GUARD_BITS;
    let rough = ln_fixed(&b, rough_bits);
    let product: BigInt = rough.value * e.coefficient().as_ref() / pow10(u32::from(e.scale()));
    let rough = match (product >> (rough_bits - 32) as usize).to_f64() {
        Some(v) => v / (1u64 << 32) as f64,
        None => f64::INFINITY,
    };
    if rough.abs() > MAX_RESULT_SCALE * 3.01 {
        return if rough > 0.0 {
            Err(format_overflow())
        } else {
            Ok(Numeric::small(0, MAX_PRECISION as u16))
        };
    }
    let digits = (rough * LOG10_E) as i64;
    let scale = (MIN_SIGNIFICANT_DIGITS - digits)
        .max(i64::from(b.scale()))
        .max(i64::from(e.scale()));
    let scale = clamp_scale(scale);
    let bits = bits_for(i64::from(scale) + digits + 2) + GUARD_BITS;
    // ln(base) is multiplied by the exponent, and its error with it.
    let exponent_bits = bits_for(e.exponent().unwrap_or(0) + 1);
    let ln = ln_fixed(&b, bits + exponent_bits + 16);
    let product = Fixed {
        value: ln.value * e.coefficient().as_ref() / pow10(u32::from(e.scale())),
        bits: ln.bits,
    };
    if rough >= MAX_RESULT_SCALE * 3.0 {
        return Err(format_overflow());
    }
    exp_to_numeric(&product, bits, scale)
}

/// A base to an integer power (`power_var_int`).
fn power_int(base: &Numeric, value: &Finite<'_>, n: i32) -> Result<Numeric, EvalError> {
    let scale = clamp_scale(MIN_SIGNIFICANT_DIGITS.max(i64::from(value.scale())));
    match n {
        0 => return Numeric::ONE.rescale_up(scale),
        1 => return base.round(scale as i32),
        -1 => return divide(&Finite::Small(1, 0), value, scale),
        2 => return base.mul(base)?.round(scale as i32),
        _ => {}
    }
    if base.is_zero() {
        return Ok(Numeric::small(0, scale as u16));
    }
    // The decimal exponent of the result, from the leading 16 digits or so.
    let lead = value.exponent().unwrap_or(0);
    let leading = value.leading_decimals(17) as f64;
    let weight = f64::from(n) * (libm::log10(leading) + (lead - 16) as f64);
    if weight > super::MAX_INTEGER_DIGITS as f64 {
        return Err(format_overflow());
    }
    if weight + 1.0 < -f64::from(scale) || weight + 1.0 < -f64::from(MAX_PRECISION) {
        return Ok(Numeric::small(0, scale as u16));
    }
    // Small results exactly, so that ties round as they should.
    let exact_digits = value.digits() * i64::from(n.unsigned_abs());
    if exact_digits <= 2000 {
        let power = value.coefficient().pow(n.unsigned_abs());
        let power_scale = u32::from(value.scale()) * n.unsigned_abs();
        return if n > 0 {
            Numeric::from_big_rounded(power, power_scale, scale)
        } else {
            reciprocal(&power, power_scale, scale)
        };
    }
    let digits = 1 + i64::from(scale) + weight as i64;
    power_float(value, n, bits_for(digits) + 32 + GUARD_BITS, scale)
}

/// `10^power_scale / power` rounded to `scale`.
fn reciprocal(power: &BigInt, power_scale: u32, scale: u32) -> Result<Numeric, EvalError> {
    let (mut numerator, mut power) = (pow10(power_scale + scale), power.clone());
    if power.is_negative() {
        numerator = -numerator;
        power = -power;
    }
    Numeric::from_big(super::div_round(&numerator, &power), scale)
}

/// `value^n` by repeated squaring of binary floats of `bits` bits.
fn power_float(value: &Finite<'_>, n: i32, bits: i64, scale: u32) -> Result<Numeric, EvalError> {
    let trim = |mut m: BigInt, mut e: i64| {
        let excess = m.bits() as i64 - bits;
        if excess > 0 {
            m >>= excess as usize;
            e += excess;
        }
        (m, e)
    };
    let coefficient = value.coefficient();
    let divisor = pow10(u32::from(value.scale()));
    let up = (bits + divisor.bits() as i64 - coefficient.bits() as i64).max(0);
    let mut square = trim((coefficient.as_ref() << up as usize) / divisor, -up);
    let mut result = (BigInt::one(), 0i64);
    let mut remaining = n.unsigned_abs();
    while remaining > 0 {
        if remaining & 1 == 1 {
            result = trim(result.0 * &square.0, result.1 + square.1);
        }
        remaining >>= 1;
        if remaining > 0 {
            square = trim(&square.0 * &square.0, 2 * square.1);
        }
    }
    if n < 0 {
        let shift = bits + result.0.bits() as i64;
        result = (
            (BigInt::one() << shift as usize) / result.0,
            -shift - result.1,
        );
    }
    Numeric::from_big(shift_round(result.0 * pow10(scale), -result.1), scale)
}

impl Finite<'_> {
    /// Decimal digits of the coefficient without its trailing zeros.
    fn digits_significant(&self) -> i64 {
        let digits = self.decimal_digits();
        digits.len() as i64 - digits.iter().rev().take_while(|d| **d == 0).count() as i64
    }
}

/// `variance`-like quotient `a / b` at the scale of division, and that scale.
pub(super) fn divide_with_scale(a: &Numeric, b: &Numeric) -> Result<(Numeric, u32), EvalError> {
    match (a.finite(), b.finite()) {
        (Some(x), Some(y)) => {
            let scale = div_scale(&x, &y);
            Ok((divide(&x, &y, scale)?, scale))
        }
        _ => Ok((Numeric(Repr::NaN), 0)),
    }
}
