//! A superaccumulator: overlapping 32-bit digits in 64-bit limbs, over whatever range of exponents occurs.
//!
//! Invariant: the sum is `sum of limbs[i] * 2^(32 * (base + i))`. A limb takes 2^30 additions before its carry must
//! move on, which [`Limbs::normalise`] does.

use num_bigint::BigInt;

/// Digits of 32 bits, each with room for carries.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub(super) struct Limbs {
    /// The position of the first limb, in 32-bit digits.
    base: i32,
    limbs: Vec<i64>,
    /// Additions since carries were last moved on.
    pending: u32,
}

const PENDING_MAX: u32 = 1 << 29;

impl Limbs {
    /// Whether no digit is set. The sum may be zero with digits set; [`Limbs::normalise`] clears those.
    pub(super) fn is_empty(&self) -> bool {
        self.limbs.is_empty()
    }

    /// Adds `mantissa * 2^exponent`.
    pub(super) fn add(&mut self, mantissa: i128, exponent: i32) {
        if mantissa == 0 {
            return;
        }
        let position = exponent.div_euclid(32);
        let shift = exponent.rem_euclid(32) as u32;
        self.reach(position, position + 6);
        let negative = mantissa < 0;
        let magnitude = mantissa.unsigned_abs();
        // 128 bits shifted by up to 31: low and high halves, then five digits.
        let low = magnitude << shift;
        let high = if shift == 0 {
            0
        } else {
            (magnitude >> (128 - shift)) as i64
        };
        let at = (position - self.base) as usize;
        let sign = if negative { -1 } else { 1 };
        for i in 0..4 {
            self.limbs[at + i] += sign * ((low >> (32 * i)) as u32 as i64);
        }
        self.limbs[at + 4] += sign * high;
        self.pending += 1;
        if self.pending >= PENDING_MAX || self.limbs[at..at + 5].iter().all(|l| *l == 0) {
            self.normalise();
        }
    }

    pub(super) fn merge(&mut self, other: &Limbs) {
        if other.limbs.is_empty() {
            return;
        }
        self.normalise();
        let mut other = other.clone();
        other.normalise();
        self.reach(other.base, other.base + other.limbs.len() as i32 + 1);
        let at = (other.base - self.base) as usize;
        for (mine, theirs) in self.limbs[at..].iter_mut().zip(&other.limbs) {
            *mine += theirs;
        }
        self.normalise();
    }

    pub(super) fn multiply(&mut self, factor: i64) {
        if self.limbs.is_empty() {
            return;
        }
        self.normalise();
        let limbs = std::mem::take(&mut self.limbs);
        let base = self.base;
        *self = Limbs::default();
        for (i, limb) in limbs.into_iter().enumerate() {
            self.add(
                i128::from(limb) * i128::from(factor),
                32 * (base + i as i32),
            );
        }
        self.normalise();
    }

    /// The sum as `mantissa * 2^exponent`.
    pub(super) fn exact(&self) -> (BigInt, i64) {
        let mut copy = self.clone();
        copy.normalise();
        let mut sum = BigInt::ZERO;
        for limb in copy.limbs.iter().rev() {
            sum = (sum << 32) + limb;
        }
        (sum, 32 * i64::from(copy.base))
    }

    /// Makes positions `low..high` addressable.
    fn reach(&mut self, low: i32, high: i32) {
        if self.limbs.is_empty() {
            self.base = low;
        }
        if low < self.base {
            let missing = (self.base - low) as usize;
            self.limbs.splice(..0, std::iter::repeat_n(0, missing));
            self.base = low;
        }
        let length = (high - self.base).max(0) as usize;
        if self.limbs.len() < length {
            self.limbs.resize(length, 0);
        }
    }

    /// Moves carries on, so that every digit but the top one is in `0..2^32`, and drops zeros at both ends.
    fn normalise(&mut self) {
        self.pending = 0;
        let mut carry = 0i64;
        for limb in &mut self.limbs {
            let total = *limb + carry;
            *limb = total & 0xFFFF_FFFF;
            carry = total >> 32;
        }
        // A carry of -1 is the sign: it stays in the top digit, which alone may be negative. Any other is a digit.
        match (carry, self.limbs.last_mut()) {
            (0, _) | (_, None) => {}
            (-1, Some(top)) => *top -= 1 << 32,
            (more, Some(_)) => self.limbs.push(more),
        }
        let used = self
            .limbs
            .iter()
            .rposition(|l| *l != 0)
            .map_or(0, |i| i + 1);
        self.limbs.truncate(used);
        let zeros = self.limbs.iter().take_while(|l| **l == 0).count();
        self.limbs.drain(..zeros);
        self.base += zeros as i32;
    }
}
