//! Conversions between `numeric`, the integers and the floats.

use num_bigint::BigInt;

use super::{Numeric, Repr};
use crate::error::{EvalError, SqlState};

macro_rules! from_integers {
    ($($int:ty),*) => {
        $(impl From<$int> for Numeric {
            fn from(value: $int) -> Numeric {
                Numeric::small(i128::from(value), 0)
            }
        })*
    };
}

from_integers!(i16, i32, i64, u32, u64, i128);

impl Numeric {
    /// The integer of any size.
    pub fn from_bigint(value: BigInt) -> Result<Numeric, EvalError> {
        Numeric::from_big(value, 0)
    }

    /// `coefficient / 10^scale` for a coefficient of any size; 22003 beyond the format.
    pub fn from_parts(coefficient: BigInt, scale: u32) -> Result<Numeric, EvalError> {
        Numeric::from_big(coefficient, scale)
    }

    /// A double, to 15 significant digits as Postgres casts it.
    pub fn from_f64(value: f64) -> Result<Numeric, EvalError> {
        from_digits(value, &format!("{:.14e}", value.abs()))
    }

    /// A real, to 6 significant digits as Postgres casts it.
    pub fn from_f32(value: f32) -> Result<Numeric, EvalError> {
        from_digits(f64::from(value), &format!("{:.5e}", value.abs()))
    }

    /// Rounded half away from zero. 22003 beyond `smallint`, 0A000 for NaN and infinities.
    pub fn to_i16(&self) -> Result<i16, EvalError> {
        let wide = self.to_i128_rounded("smallint")?;
        wide.and_then(|v| i16::try_from(v).ok())
            .ok_or_else(|| EvalError::out_of_range("smallint"))
    }

    /// Rounded half away from zero. 22003 beyond `integer`, 0A000 for NaN and infinities.
    pub fn to_i32(&self) -> Result<i32, EvalError> {
        let wide = self.to_i128_rounded("integer")?;
        wide.and_then(|v| i32::try_from(v).ok())
            .ok_or_else(|| EvalError::out_of_range("integer"))
    }

    /// Rounded half away from zero. 22003 beyond `bigint`, 0A000 for NaN and infinities.
    pub fn to_i64(&self) -> Result<i64, EvalError> {
        let wide = self.to_i128_rounded("bigint")?;
        wide.and_then(|v| i64::try_from(v).ok())
            .ok_or_else(|| EvalError::out_of_range("bigint"))
    }

    fn to_i128_rounded(&self, type_name: &str) -> Result<Option<i128>, EvalError> {
        let unsupported = |what: &str| {
            EvalError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot convert {what} to {type_name}"),
            )
        };
        match &self.0 {
            Repr::NaN => Err(unsupported("NaN")),
            Repr::PosInfinity | Repr::NegInfinity => Err(unsupported("infinity")),
            Repr::Small {
                coefficient,
                scale: 0,
            } => Ok(Some(*coefficient)),
            _ => Ok(self.round(0)?.as_small().map(|(c, _)| c)),
        }
    }

    /// The nearest double. 22003 beyond its range.
    pub fn to_f64(&self) -> Result<f64, EvalError> {
        let value = self.to_f64_saturating();
        if value.is_infinite() && !self.is_infinite() {
            return Err(self.beyond("double precision"));
        }
        if value == 0.0 && !self.is_zero() {
            return Err(self.beyond("double precision"));
        }
        Ok(value)
    }

    /// The nearest real. 22003 beyond its range.
    pub fn to_f32(&self) -> Result<f32, EvalError> {
        let value: f32 = match self.finite() {
            Some(_) => self.to_string().parse().unwrap_or(f32::NAN),
            None => self.to_f64_saturating() as f32,
        };
        let beyond = value.is_infinite() && !self.is_infinite() || value == 0.0 && !self.is_zero();
        if beyond {
            Err(self.beyond("real"))
        } else {
            Ok(value)
        }
    }

    fn beyond(&self, type_name: &str) -> EvalError {
        EvalError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{self}\" is out of range for type {type_name}"),
        )
    }

    /// The nearest double, infinity beyond its range and zero below it.
    pub(crate) fn to_f64_saturating(&self) -> f64 {
        match &self.0 {
            Repr::NaN => f64::NAN,
            Repr::PosInfinity => f64::INFINITY,
            Repr::NegInfinity => f64::NEG_INFINITY,
            // Both halves are exact doubles, so the quotient is rounded once.
            Repr::Small { coefficient, scale }
                if coefficient.unsigned_abs() < 1 << 53 && *scale <= 22 =>
            {
                *coefficient as f64 / EXACT_POWERS[usize::from(*scale)]
            }
            // Rust's decimal parser rounds correctly for any number of digits.
            _ => self.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// The integer part as a big integer, truncated; `None` for NaN and infinities.
    pub fn to_bigint(&self) -> Option<BigInt> {
        let value = self.finite()?;
        Some(value.coefficient().as_ref() / super::pow10(u32::from(value.scale())))
    }

    /// Whether the value is a whole number; false for NaN and infinities.
    pub fn is_integer(&self) -> bool {
        self.finite().is_some_and(|f| f.is_integer())
    }
}

/// The powers of ten that doubles hold exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The numeric of a float whose magnitude prints as `D.DDDDe±X`: what C's `%.*g` would show.
fn from_digits(value: f64, scientific: &str) -> Result<Numeric, EvalError> {
    if value.is_nan() {
        return Ok(Numeric::NAN);
    }
    if value.is_infinite() {
        return Ok(if value > 0.0 {
            Numeric::INFINITY
        } else {
            Numeric::NEG_INFINITY
        });
    }
    let parsed = Numeric::parse(scientific)?.trim_scale();
    Ok(if value < 0.0 { parsed.neg() } else { parsed })
}
