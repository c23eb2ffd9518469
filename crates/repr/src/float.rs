//! Text, order and keys of `real` and `double precision`, as PostgreSQL 15 has them.
//!
//! Invariant: parsing what was printed gives the same bits (any NaN gives the one NaN). SQL's order is total: NaN
//! equals itself and is above infinity, and -0 equals 0; keys compare in the same way.

use std::cmp::Ordering;

use num_bigint::BigInt;

use crate::error::{EvalError, SqlState};
use crate::numeric::is_space;

#[cfg(test)]
mod tests;

/// SQL's order of doubles.
pub fn cmp64(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// SQL's order of reals.
pub fn cmp32(a: f32, b: f32) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Appends the ordered key of a double: eight bytes.
pub fn push_key64(out: &mut Vec<u8>, value: f64) {
    let bits = match value {
        v if v.is_nan() => 0x7FF8_0000_0000_0000,
        0.0 => 0,
        v => v.to_bits(),
    };
    // Negative values fall as their bits rise.
    let ordered = if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    };
    out.extend_from_slice(&ordered.to_be_bytes());
}

/// Appends the ordered key of a real: four bytes.
pub fn push_key32(out: &mut Vec<u8>, value: f32) {
    let bits = match value {
        v if v.is_nan() => 0x7FC0_0000,
        0.0 => 0,
        v => v.to_bits(),
    };
    let ordered = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    };
    out.extend_from_slice(&ordered.to_be_bytes());
}

/// A double as text, shortest that reads back to it.
pub fn format64(value: f64) -> String {
    let mut out = String::new();
    push_text64(&mut out, value);
    out
}

/// A real as text, shortest that reads back to it.
pub fn format32(value: f32) -> String {
    let mut out = String::new();
    push_text32(&mut out, value);
    out
}

/// Appends a double as text.
pub fn push_text64(out: &mut String, value: f64) {
    if !push_special(out, value) {
        let digits = Digits::of64(value);
        digits.push(out, 15);
    }
}

/// Appends a real as text.
pub fn push_text32(out: &mut String, value: f32) {
    if !push_special(out, f64::from(value)) {
        let digits = Digits::of32(value);
        digits.push(out, 6);
    }
}

/// Writes the sign, and NaN, infinities and zero whole; false if digits are still to come.
fn push_special(out: &mut String, value: f64) -> bool {
    if value.is_nan() {
        out.push_str("NaN");
        return true;
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    if value.is_infinite() {
        out.push_str("Infinity");
    } else if value == 0.0 {
        out.push('0');
    }
    value.is_infinite() || value == 0.0
}

/// A positive float: `mantissa * 2^exponent`. `least` says that it is a power of two, below which floats are denser.
struct Binary {
    mantissa: u64,
    exponent: i32,
    least: bool,
}

/// Decimal digits `d.ddd * 10^exponent`, none trailing zero.
struct Digits {
    digits: String,
    exponent: i32,
}

impl Digits {
    fn of64(value: f64) -> Digits {
        let value = value.abs();
        let bits = value.to_bits();
        let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52) as i32);
        let binary = match biased {
            0 => Binary {
                mantissa: fraction,
                exponent: -1074,
                least: false,
            },
            _ => Binary {
                mantissa: fraction | 1 << 52,
                exponent: biased - 1075,
                least: fraction == 0,
            },
        };
        let shortest = Digits::parse(&format!("{value:e}"));
        shortest.into_postgres(
            &binary,
            17,
            |n| format!("{value:.n$e}"),
            |t| t.parse() == Ok(value),
        )
    }

    fn of32(value: f32) -> Digits {
        let value = value.abs();
        let bits = value.to_bits();
        let (fraction, biased) = (u64::from(bits & ((1 << 23) - 1)), (bits >> 23) as i32);
        let binary = match biased {
            0 => Binary {
                mantissa: fraction,
                exponent: -149,
                least: false,
            },
            _ => Binary {
                mantissa: fraction | 1 << 23,
                exponent: biased - 150,
                least: fraction == 0,
            },
        };
        let shortest = Digits::parse(&format!("{value:e}"));
        shortest.into_postgres(
            &binary,
            9,
            |n| format!("{value:.n$e}"),
            |t| t.parse() == Ok(value),
        )
    }

    /// The digits that PostgreSQL's Ryu prints, from the shortest that read back. They differ in two rare cases:
    /// it takes no digits that are half way to a neighbour, and of two as near it takes the even.
    fn into_postgres(
        self,
        binary: &Binary,
        most: usize,
        print: impl Fn(usize) -> String,
        reads_back: impl Fn(&str) -> bool,
    ) -> Digits {
        if (-2..=90).contains(&binary.exponent) && self.is_midpoint(binary) {
            let longer = (self.digits.len()..=most).find_map(|length| {
                let text = print(length - 1);
                let digits = Digits::parse(&text);
                (reads_back(&text) && !digits.is_midpoint(binary)).then_some(digits)
            });
            return longer.unwrap_or(self);
        }
        if self.may_tie(binary)
            && let Some(even) = self.even_of_tie(&print)
            && reads_back(&even.scientific())
            && !even.is_midpoint(binary)
        {
            return even;
        }
        self
    }

    /// Whether the exact value may end in a 5 one digit after these.
    fn may_tie(&self, binary: &Binary) -> bool {
        let exponent = binary.exponent + binary.mantissa.trailing_zeros() as i32;
        let length = self.digits.len() as i32;
        if exponent >= 0 {
            self.exponent >= length
        } else {
            -exponent == length - self.exponent
        }
    }

    /// Where the exact value lies half way between two numbers of this many digits, the even one.
    fn even_of_tie(&self, print: impl Fn(usize) -> String) -> Option<Digits> {
        let length = self.digits.len();
        let exact = Digits::parse(&print(40));
        if exact.digits.len() != length + 1 || !exact.digits.ends_with('5') {
            return None;
        }
        let below: u64 = exact.digits[..length].parse().ok()?;
        let even = below + (below & 1);
        let digits = even.to_string();
        let exponent = exact.exponent + (digits.len() - length) as i32;
        let digits = digits.trim_end_matches('0').to_owned();
        Some(Digits { digits, exponent })
    }

    fn scientific(&self) -> String {
        format!(
            "{}.{}e{}",
            &self.digits[..1],
            &self.digits[1..],
            self.exponent
        )
    }

    /// Reads Rust's `d.ddde±X`.
    fn parse(scientific: &str) -> Digits {
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
        let mut digits: String = mantissa.chars().filter(|c| *c != '.').collect();
        digits.truncate(digits.trim_end_matches('0').len().max(1));
        Digits {
            digits,
            exponent: exponent.parse().unwrap_or(0),
        }
    }

    /// Whether the digits are exactly half way from a float to a neighbour.
    ///
    /// PostgreSQL's Ryu does not accept such digits, which read back right only by round-half-to-even. They exist
    /// for exponents near zero and above only: elsewhere a midpoint has more digits than a float shows.
    fn is_midpoint(&self, value: &Binary) -> bool {
        let Binary {
            mantissa,
            exponent,
            least,
        } = *value;
        let power = self.exponent - (self.digits.len() as i32 - 1);
        let Ok(digits) = self.digits.parse::<u64>() else {
            return false;
        };
        // Both sides times four and, where powers are negative, times 10^-power or 2^-exponent.
        let mut decimal = BigInt::from(digits) * 4u8;
        let mut binary = BigInt::from(mantissa) * 4u8;
        let mut unit = BigInt::from(1u8);
        match power {
            0.. => decimal *= BigInt::from(10u8).pow(power as u32),
            _ => {
                let scale = BigInt::from(10u8).pow(power.unsigned_abs());
                binary *= &scale;
                unit *= scale;
            }
        }
        if exponent >= 0 {
            binary <<= exponent as usize;
            unit <<= exponent as usize;
        } else {
            decimal <<= exponent.unsigned_abs() as usize;
        }
        let distance = decimal - binary;
        // Half a unit in the last place; a quarter below a power of two.
        let half: BigInt = &unit * 2;
        distance == half || distance == -half || least && distance == -unit
    }

    /// Writes `%f`-like for exponents from -4 to below `limit`, else `%e`-like with two exponent digits.
    fn push(&self, out: &mut String, limit: i32) {
        let Digits { digits, exponent } = self;
        if *exponent < -4 || *exponent >= limit {
            out.push_str(&digits[..1]);
            if digits.len() > 1 {
                out.push('.');
                out.push_str(&digits[1..]);
            }
            let sign = if *exponent < 0 { '-' } else { '+' };
            out.push_str(&format!("e{sign}{:02}", exponent.unsigned_abs()));
        } else if *exponent < 0 {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
            out.push_str(digits);
        } else {
            let integer = *exponent as usize + 1;
            if digits.len() <= integer {
                out.push_str(digits);
                out.extend(std::iter::repeat_n('0', integer - digits.len()));
            } else {
                out.push_str(&digits[..integer]);
                out.push('.');
                out.push_str(&digits[integer..]);
            }
        }
    }
}

/// A double as C's `%g` shows it, for messages.
pub(crate) fn format_g(value: f64) -> String {
    let mut out = String::new();
    if !push_special(&mut out, value) {
        Digits::parse(&format!("{:.5e}", value.abs())).push(&mut out, 6);
    }
    out
}

/// Parses a double as Postgres does: blanks around, decimal or hexadecimal, NaN, Infinity. 22P02 if it is no
/// number, 22003 if it is beyond the range or rounds to zero.
pub fn parse64(text: &str) -> Result<f64, EvalError> {
    let trimmed = text.trim_matches(is_space);
    let value = special(trimmed)
        .or_else(|| decimal(trimmed))
        .or_else(|| hexadecimal(trimmed));
    let value = value.ok_or_else(|| EvalError::invalid_input("double precision", text))?;
    check_range(value, trimmed, "double precision")
}

/// Parses a real, as [`parse64`] does a double.
pub fn parse32(text: &str) -> Result<f32, EvalError> {
    let trimmed = text.trim_matches(is_space);
    let invalid = || EvalError::invalid_input("real", text);
    if let Some(value) = special(trimmed) {
        return Ok(value as f32);
    }
    // Parsed as a real and not through a double, which would round twice.
    let value = match decimal(trimmed) {
        Some(_) => trimmed.parse::<f32>().map_err(|_| invalid())?,
        None => hexadecimal(trimmed).ok_or_else(invalid)? as f32,
    };
    check_range(f64::from(value), trimmed, "real").map(|v| v as f32)
}

/// An error if a finite literal became infinite, or one with nonzero digits became zero.
fn check_range(value: f64, literal: &str, type_name: &str) -> Result<f64, EvalError> {
    let named = special(literal).is_some();
    let vanished = value == 0.0 && {
        let mantissa = literal
            .split(['e', 'E', 'p', 'P'])
            .next()
            .unwrap_or_default();
        let hexadecimal = mantissa.contains(['x', 'X']);
        let digits = mantissa.rsplit(['x', 'X']).next().unwrap_or_default();
        digits
            .chars()
            .any(|c| c.is_digit(if hexadecimal { 16 } else { 10 }) && c != '0')
    };
    if !named && value.is_infinite() || vanished {
        return Err(EvalError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{literal}\" is out of range for type {type_name}"),
        ));
    }
    Ok(value)
}

fn special(text: &str) -> Option<f64> {
    let (negative, name) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = if name.eq_ignore_ascii_case("nan") {
        f64::NAN
    } else if name.eq_ignore_ascii_case("infinity") || name.eq_ignore_ascii_case("inf") {
        f64::INFINITY
    } else {
        return None;
    };
    Some(if negative && !value.is_nan() {
        -value
    } else {
        value
    })
}

fn decimal(text: &str) -> Option<f64> {
    // Rust's parser is strtod's decimal grammar, besides the names of NaN and infinity.
    let numeric = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if numeric { text.parse().ok() } else { None }
}

/// C99's `0x1.8p3`, which strtod and so Postgres 15 accept.
fn hexadecimal(text: &str) -> Option<f64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let rest = rest
        .strip_prefix("0x")
        .or_else(|| rest.strip_prefix("0X"))?;
    let (mantissa, power) = match rest.split_once(['p', 'P']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if integer.is_empty() && fraction.is_empty() || mantissa.len() > 1000 {
        return None;
    }
    let digits = BigInt::parse_bytes(format!("{integer}{fraction}").as_bytes(), 16)?;
    if !mantissa.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.') {
        return None;
    }
    let exponent = i64::from(power) - 4 * fraction.len() as i64;
    let value = crate::accumulator::round_to_f64(&digits, exponent);
    Some(if negative { -value } else { value })
}
