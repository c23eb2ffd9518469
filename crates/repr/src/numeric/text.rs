//! Text forms of `numeric`: what `numeric_in` accepts and `numeric_out` prints.

use std::fmt;
use std::str::FromStr;

use num_bigint::BigInt;

use super::{Finite, MAX_INTEGER_DIGITS, MAX_SCALE, Numeric, Repr, format_overflow};
use crate::error::EvalError;

/// Digits that an `i128` holds whatever they are.
const SMALL_DIGITS: usize = 38;

/// The pieces of a decimal literal.
struct Literal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl Numeric {
    /// Parses what `numeric` accepts as input: blanks around, a sign, digits with a point, an exponent, NaN,
    /// Infinity. 22P02 if it is no number, 22003 if it is beyond the format.
    pub fn parse(text: &str) -> Result<Numeric, EvalError> {
        let trimmed = text.trim_matches(is_space);
        if let Some(special) = special(trimmed) {
            return Ok(special);
        }
        let invalid = || EvalError::invalid_input("numeric", text);
        let literal = split(trimmed.as_bytes()).ok_or_else(invalid)?;
        literal.value()
    }
}

/// What C's `isspace` accepts, as Postgres does around numbers and dates.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn special(text: &str) -> Option<Numeric> {
    if text.eq_ignore_ascii_case("nan") {
        return Some(Numeric::NAN);
    }
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !rest.eq_ignore_ascii_case("infinity") && !rest.eq_ignore_ascii_case("inf") {
        return None;
    }
    Some(if negative {
        Numeric::NEG_INFINITY
    } else {
        Numeric::INFINITY
    })
}

/// The leading digits of `bytes`, and the rest.
fn take_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(bytes.len());
    bytes.split_at(end)
}

fn split(bytes: &[u8]) -> Option<Literal<'_>> {
    let (negative, rest) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        b'+' => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    let (integer, rest) = take_digits(rest);
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(after) => take_digits(after),
        None => (&rest[..0], rest),
    };
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', exponent @ ..] => parse_exponent(exponent)?,
        _ => return None,
    };
    Some(Literal {
        negative,
        integer,
        fraction,
        exponent,
    })
}

/// C's `strtol`, which is what reads the exponent: blanks may lead; large values saturate.
fn parse_exponent(bytes: &[u8]) -> Option<i64> {
    let blanks = bytes
        .iter()
        .take_while(|b| is_space(char::from(**b)))
        .count();
    let (negative, digits) = match bytes.get(blanks)? {
        b'-' => (true, &bytes[blanks + 1..]),
        b'+' => (false, &bytes[blanks + 1..]),
        _ => (false, &bytes[blanks..]),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |v, d| {
        v.saturating_mul(10).saturating_add(i64::from(d - b'0'))
    });
    Some(if negative { -value } else { value })
}

impl Literal<'_> {
    fn value(&self) -> Result<Numeric, EvalError> {
        if self.exponent.unsigned_abs() >= 1 << 30 {
            return Err(format_overflow());
        }
        let scale = self.fraction.len() as i64 - self.exponent;
        if scale > i64::from(MAX_SCALE) {
            return Err(format_overflow());
        }
        let significant = || {
            self.integer
                .iter()
                .chain(self.fraction)
                .skip_while(|d| **d == b'0')
        };
        let digits = significant().count();
        // Trailing zeros of a positive exponent, written out.
        let zeros = (-scale).max(0);
        let shown = scale.max(0) as u16;
        if digits == 0 {
            return Ok(Numeric::small(0, shown));
        }
        if digits as i64 - scale > MAX_INTEGER_DIGITS {
            return Err(format_overflow());
        }
        if digits + zeros as usize <= SMALL_DIGITS {
            let mut value = significant().fold(0i128, |v, d| v * 10 + i128::from(d - b'0'));
            value *= super::POW10[zeros as usize];
            return Ok(Numeric::small(
                if self.negative { -value } else { value },
                shown,
            ));
        }
        let mut all: Vec<u8> = significant().copied().collect();
        all.resize(digits + zeros as usize, b'0');
        let value = BigInt::parse_bytes(&all, 10).ok_or_else(format_overflow)?;
        Numeric::from_big(if self.negative { -value } else { value }, u32::from(shown))
    }
}

impl FromStr for Numeric {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Numeric, EvalError> {
        Numeric::parse(text)
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, digits, scale) = match &self.0 {
            Repr::NaN => return f.write_str("NaN"),
            Repr::PosInfinity => return f.write_str("Infinity"),
            Repr::NegInfinity => return f.write_str("-Infinity"),
            Repr::Small {
                coefficient,
                scale: 0,
            } => return write!(f, "{coefficient}"),
            Repr::Small { coefficient, scale } => (
                *coefficient < 0,
                coefficient.unsigned_abs().to_string(),
                usize::from(*scale),
            ),
            Repr::Big(big) => (
                self.signum() < 0,
                big.coefficient.magnitude().to_str_radix(10),
                usize::from(big.scale),
            ),
        };
        if negative {
            f.write_str("-")?;
        }
        if scale == 0 {
            return f.write_str(&digits);
        }
        match digits.len().checked_sub(scale) {
            Some(0) | None => write!(f, "0.{digits:0>scale$}"),
            Some(integer) => write!(f, "{}.{}", &digits[..integer], &digits[integer..]),
        }
    }
}

impl Finite<'_> {
    /// The decimal digits of the coefficient's magnitude, most significant first, as numbers 0 to 9; none for 0.
    pub(super) fn decimal_digits(&self) -> Vec<u8> {
        match self {
            Finite::Small(0, _) => Vec::new(),
            Finite::Small(c, _) => c
                .unsigned_abs()
                .to_string()
                .into_bytes()
                .iter()
                .map(|d| d - b'0')
                .collect(),
            Finite::Big(c, _) => c.magnitude().to_radix_be(10),
        }
    }
}
