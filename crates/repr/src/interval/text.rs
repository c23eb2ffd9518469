//! The text form under `IntervalStyle = postgres`.

use std::fmt;

use super::{Interval, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        // After a negative field, a positive one shows its sign.
        let mut after_negative = false;
        for (value, unit) in [
            (self.months / 12, "year"),
            (self.months % 12, "mon"),
            (self.days, "day"),
        ] {
            if value == 0 {
                continue;
            }
            let blank = if first { "" } else { " " };
            let plus = if after_negative && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            write!(f, "{blank}{plus}{value} {unit}{plural}")?;
            after_negative = value < 0;
            first = false;
        }
        if !first && self.micros == 0 {
            return Ok(());
        }
        let blank = if first { "" } else { " " };
        let sign = match (self.micros < 0, after_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let (hour, minute) = (MICROS_PER_HOUR as u64, MICROS_PER_MINUTE as u64);
        let micros = self.micros.unsigned_abs();
        write!(
            f,
            "{blank}{sign}{:02}:{:02}:",
            micros / hour,
            micros % hour / minute
        )?;
        write_seconds(f, micros % minute)
    }
}

/// Seconds of two digits, and the fraction without trailing zeros.
pub(crate) fn write_seconds(f: &mut impl fmt::Write, micros: u64) -> fmt::Result {
    let second = MICROS_PER_SECOND as u64;
    write!(f, "{:02}", micros / second)?;
    let (mut fraction, mut width) = (micros % second, 6);
    if fraction == 0 {
        return Ok(());
    }
    while fraction % 10 == 0 {
        fraction /= 10;
        width -= 1;
    }
    write!(f, ".{fraction:0width$}")
}
