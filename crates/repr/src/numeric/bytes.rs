//! Byte forms of `numeric`: a packed one that keeps the scale, and an ordered key that drops it.
//!
//! **Packed.** A header byte: a scale from 0 to 240 with a coefficient that fits an `i128`, or a marker. The
//! coefficient follows as a zigzag varint (LEB128), or as length and two's complement bytes when it is big. Each
//! value has exactly one packed form, and nothing else is accepted.
//!
//! **Key.** Comparing keys compares values; equal keys are equal values. A header byte holds the class and, in
//! the usual range, the decimal exponent; digit pairs follow as `2 * pair + 1`, the last as `2 * pair`, so that a
//! value ends itself and sorts before its own extensions (as SQLite 4 did). Negative values are complemented.

use num_bigint::BigInt;

use super::{Finite, MAX_INTEGER_DIGITS, MAX_SCALE, Numeric, Repr};

const SMALL_SCALE_MAX: u8 = 240;
const MARK_BIG: u8 = 0xFA;
const MARK_WIDE_SCALE: u8 = 0xFB;
const MARK_NEG_INFINITY: u8 = 0xFC;
const MARK_POS_INFINITY: u8 = 0xFD;
const MARK_NAN: u8 = 0xFE;

/// Bytes that hold any coefficient within the format: (131072 + 16383) digits.
const MAX_COEFFICIENT_BYTES: u64 = 61_300;

const KEY_NEG_INFINITY: u8 = 0x07;
const KEY_ZERO: u8 = 0x80;
const KEY_EXPONENT_LOW: u8 = 0x8F;
const KEY_EXPONENT_BASE: u8 = 0x90;
const KEY_EXPONENT_HIGH: u8 = 0xF0;
const KEY_INFINITY: u8 = 0xF8;
const KEY_NAN: u8 = 0xF9;
/// The exponent that `KEY_EXPONENT_BASE` stands for, and how many follow it.
const EXPONENT_LEAST: i64 = -32;
const EXPONENT_COUNT: i64 = 96;

impl Numeric {
    /// Appends the packed form, which keeps the display scale.
    pub fn to_bytes(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::NaN => out.push(MARK_NAN),
            Repr::PosInfinity => out.push(MARK_POS_INFINITY),
            Repr::NegInfinity => out.push(MARK_NEG_INFINITY),
            Repr::Small { coefficient, scale } => {
                match u8::try_from(*scale) {
                    Ok(scale) if scale <= SMALL_SCALE_MAX => out.push(scale),
                    _ => {
                        out.push(MARK_WIDE_SCALE);
                        out.extend_from_slice(&scale.to_le_bytes());
                    }
                }
                put_varint(zigzag(*coefficient), out);
            }
            Repr::Big(big) => {
                out.push(MARK_BIG);
                out.extend_from_slice(&big.scale.to_le_bytes());
                let bytes = big.coefficient.to_signed_bytes_le();
                put_varint(bytes.len() as u128, out);
                out.extend_from_slice(&bytes);
            }
        }
    }

    /// The value whose packed form `bytes` is, whole. `None` if they are no packed form.
    pub fn from_bytes(bytes: &[u8]) -> Option<Numeric> {
        let (value, used) = Numeric::read_bytes(bytes)?;
        (used == bytes.len()).then_some(value)
    }

    /// Reads a packed form off the front of `bytes`: the value and how many bytes it took. `None` if the bytes
    /// are no packed form.
    pub fn read_bytes(bytes: &[u8]) -> Option<(Numeric, usize)> {
        let (&header, rest) = bytes.split_first()?;
        match header {
            MARK_NAN => Some((Numeric::NAN, 1)),
            MARK_POS_INFINITY => Some((Numeric::INFINITY, 1)),
            MARK_NEG_INFINITY => Some((Numeric::NEG_INFINITY, 1)),
            MARK_WIDE_SCALE => {
                let scale = take_scale(rest)?;
                if scale <= u16::from(SMALL_SCALE_MAX) {
                    return None;
                }
                let (value, used) = take_varint(rest.get(2..)?)?;
                Some((Numeric::small(unzigzag(value), scale), 3 + used))
            }
            MARK_BIG => take_big(rest),
            scale if scale <= SMALL_SCALE_MAX => {
                let (value, used) = take_varint(rest)?;
                Some((Numeric::small(unzigzag(value), u16::from(scale)), 1 + used))
            }
            _ => None,
        }
    }

    /// Appends the ordered key.
    pub fn encode_key(&self, out: &mut Vec<u8>) {
        let value = match &self.0 {
            Repr::NaN => return out.push(KEY_NAN),
            Repr::PosInfinity => return out.push(KEY_INFINITY),
            Repr::NegInfinity => return out.push(KEY_NEG_INFINITY),
            Repr::Small { coefficient: 0, .. } => return out.push(KEY_ZERO),
            Repr::Small { coefficient, scale } => Finite::Small(*coefficient, *scale),
            Repr::Big(big) => Finite::Big(&big.coefficient, big.scale),
        };
        let start = out.len();
        let mut buffer = [0u8; 39];
        let big_digits;
        let digits: &[u8] = match &value {
            Finite::Small(c, _) => small_digits(c.unsigned_abs(), &mut buffer),
            Finite::Big(..) => {
                big_digits = value.decimal_digits();
                &big_digits
            }
        };
        put_exponent(digits.len() as i64 - 1 - i64::from(value.scale()), out);
        let zeros = digits.iter().rev().take_while(|d| **d == 0).count();
        for pair in digits[..digits.len() - zeros].chunks(2) {
            let tens = pair[0] * 10 + pair.get(1).copied().unwrap_or(0);
            out.push(2 * tens + 1);
        }
        if let Some(last) = out.last_mut() {
            *last -= 1;
        }
        if value.sign() == num_bigint::Sign::Minus {
            out[start..].iter_mut().for_each(|b| *b = !*b);
        }
    }

    /// Reads a key off the front of `bytes`: the value at its least scale, and how many bytes the key took.
    /// `None` if the bytes are no key.
    pub fn decode_key(bytes: &[u8]) -> Option<(Numeric, usize)> {
        let header = *bytes.first()?;
        match header {
            KEY_NAN => return Some((Numeric::NAN, 1)),
            KEY_INFINITY => return Some((Numeric::INFINITY, 1)),
            KEY_NEG_INFINITY => return Some((Numeric::NEG_INFINITY, 1)),
            KEY_ZERO => return Some((Numeric::ZERO, 1)),
            _ => {}
        }
        let flip = if header < KEY_ZERO { 0xFF } else { 0 };
        let (exponent, mut at) = take_exponent(bytes, flip)?;
        let mut digits = Vec::new();
        loop {
            let byte = bytes.get(at)? ^ flip;
            at += 1;
            let pair = byte >> 1;
            if pair > 99 || digits.len() > (MAX_INTEGER_DIGITS + i64::from(MAX_SCALE)) as usize {
                return None;
            }
            digits.extend([pair / 10, pair % 10]);
            if byte & 1 == 0 {
                break;
            }
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Some((from_digits(&digits, exponent, flip != 0)?, at))
    }

    /// How many bytes the key at the front of `bytes` takes; `None` if it does not end.
    pub fn key_len(bytes: &[u8]) -> Option<usize> {
        let header = *bytes.first()?;
        if matches!(header, KEY_NAN | KEY_INFINITY | KEY_NEG_INFINITY | KEY_ZERO) {
            return Some(1);
        }
        let flip = if header < KEY_ZERO { 0xFF } else { 0 };
        let (_, at) = take_exponent(bytes, flip)?;
        let digits = bytes.get(at..)?.iter().position(|b| (b ^ flip) & 1 == 0)?;
        Some(at + digits + 1)
    }
}

/// Appends the ordered key of a value in packed form. Bytes that are no packed form count as NaN; a datum holds
/// none.
pub fn push_key(out: &mut Vec<u8>, packed: &[u8]) {
    Numeric::from_bytes(packed)
        .unwrap_or(Numeric::NAN)
        .encode_key(out);
}

/// Digits `d.ddd` times `10^exponent`, at the least scale that shows them.
fn from_digits(digits: &[u8], exponent: i64, negative: bool) -> Option<Numeric> {
    if digits.first().is_none_or(|d| *d == 0) || exponent >= MAX_INTEGER_DIGITS {
        return None;
    }
    let scale = digits.len() as i64 - 1 - exponent;
    if scale > i64::from(MAX_SCALE) {
        return None;
    }
    let mut magnitude = match digits.len() {
        0..=38 => BigInt::from(digits.iter().fold(0i128, |v, d| v * 10 + i128::from(*d))),
        _ => BigInt::from_radix_be(num_bigint::Sign::Plus, digits, 10)?,
    };
    if scale < 0 {
        magnitude *= super::pow10(scale.unsigned_abs() as u32);
    }
    Numeric::from_big(
        if negative { -magnitude } else { magnitude },
        scale.max(0) as u32,
    )
    .ok()
}

fn small_digits(mut value: u128, buffer: &mut [u8; 39]) -> &[u8] {
    let mut at = buffer.len();
    // Division of u128 is a library call: go down to one register as soon as the value fits it.
    while value > u128::from(u64::MAX) {
        at -= 1;
        buffer[at] = (value % 10) as u8;
        value /= 10;
    }
    let mut value = value as u64;
    while value > 0 {
        at -= 1;
        buffer[at] = (value % 10) as u8;
        value /= 10;
    }
    &buffer[at..]
}

fn put_exponent(exponent: i64, out: &mut Vec<u8>) {
    let offset = exponent - EXPONENT_LEAST;
    if offset < 0 {
        out.push(KEY_EXPONENT_LOW);
        out.extend_from_slice(&((exponent + 0x8000) as u16).to_be_bytes());
    } else if offset >= EXPONENT_COUNT {
        out.push(KEY_EXPONENT_HIGH);
        out.extend_from_slice(&(exponent as u32).to_be_bytes()[1..]);
    } else {
        out.push(KEY_EXPONENT_BASE + offset as u8);
    }
}

fn take_exponent(bytes: &[u8], flip: u8) -> Option<(i64, usize)> {
    let byte = |at: usize| bytes.get(at).map(|b| i64::from(b ^ flip));
    match byte(0)? as u8 {
        KEY_EXPONENT_LOW => {
            let exponent = (byte(1)? << 8 | byte(2)?) - 0x8000;
            (exponent < EXPONENT_LEAST).then_some((exponent, 3))
        }
        KEY_EXPONENT_HIGH => {
            let exponent = byte(1)? << 16 | byte(2)? << 8 | byte(3)?;
            (exponent >= EXPONENT_LEAST + EXPONENT_COUNT).then_some((exponent, 4))
        }
        header @ KEY_EXPONENT_BASE..KEY_EXPONENT_HIGH => {
            Some((i64::from(header - KEY_EXPONENT_BASE) + EXPONENT_LEAST, 1))
        }
        _ => None,
    }
}

fn take_scale(bytes: &[u8]) -> Option<u16> {
    let scale = u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]);
    (u32::from(scale) <= MAX_SCALE).then_some(scale)
}

fn take_big(rest: &[u8]) -> Option<(Numeric, usize)> {
    let scale = take_scale(rest)?;
    let (length, used) = take_varint(rest.get(2..)?)?;
    let length = u64::try_from(length)
        .ok()
        .filter(|l| *l <= MAX_COEFFICIENT_BYTES)? as usize;
    let start = 2 + used;
    let bytes = rest.get(start..start.checked_add(length)?)?;
    let coefficient = BigInt::from_signed_bytes_le(bytes);
    let value = Numeric::from_big(coefficient, u32::from(scale)).ok()?;
    // One form a value: what fits an i128 is not written as big, and no padding is accepted.
    let Repr::Big(big) = &value.0 else {
        return None;
    };
    (big.coefficient.to_signed_bytes_le().len() == length).then_some(())?;
    Some((value, 1 + start + length))
}

fn zigzag(value: i128) -> u128 {
    ((value << 1) ^ (value >> 127)) as u128
}

fn unzigzag(value: u128) -> i128 {
    (value >> 1) as i128 ^ -((value & 1) as i128)
}

fn put_varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A LEB128 number in its shortest form, and how many bytes it took.
fn take_varint(bytes: &[u8]) -> Option<(u128, usize)> {
    let mut value = 0u128;
    for (i, byte) in bytes.iter().take(19).enumerate() {
        let part = u128::from(byte & 0x7F);
        // The nineteenth byte holds the last two bits.
        if i == 18 && part > 3 {
            return None;
        }
        value |= part << (7 * i);
        if byte & 0x80 == 0 {
            let shortest = *byte != 0 || i == 0;
            return shortest.then_some((value, i + 1));
        }
    }
    None
}
