//! Type modifiers, packed as Postgres packs them.

use crate::interval::IntervalFields;
use serde::{Deserialize, Serialize};

/// Postgres's `typmod`: -1 when absent; its meaning depends on the type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Typmod(pub i32);

impl Default for Typmod {
    fn default() -> Self {
        Typmod::NONE
    }
}

impl Typmod {
    /// No modifier.
    pub const NONE: Typmod = Typmod(-1);

    /// `numeric(precision, scale)`; precision 1 to 1000, scale -1000 to 1000.
    pub fn numeric(precision: u16, scale: i16) -> Typmod {
        Typmod(((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4)
    }

    /// `varchar(n)` and `char(n)`: characters.
    pub fn length(n: u32) -> Typmod {
        Typmod(i32::try_from(n).unwrap_or(i32::MAX - 4) + 4)
    }

    /// `time(p)`, `timestamp(p)`, `interval(p)`: digits of a second.
    pub fn precision(p: u8) -> Typmod {
        Typmod(i32::from(p))
    }

    /// `interval FIELDS (p)`: the fields kept and digits of a second, as Postgres packs them.
    pub fn interval(fields: Option<IntervalFields>, precision: Option<u8>) -> Typmod {
        if fields.is_none() && precision.is_none() {
            return Typmod::NONE;
        }
        let range = fields.map_or(interval_range::FULL, interval_range::of);
        Typmod((range << 16) | precision.map_or(interval_range::FULL_PRECISION, i32::from))
    }

    /// The fields kept and digits of a second, if this is a modifier of interval.
    pub fn as_interval(self) -> (Option<IntervalFields>, Option<u8>) {
        if self.0 < 0 {
            return (None, None);
        }
        let digits = self.0 & 0xffff;
        let precision = (0..=6).contains(&digits).then_some(digits as u8);
        (interval_range::fields(self.0 >> 16), precision)
    }

    /// Precision and scale, if this is a modifier of numeric.
    pub fn as_numeric(self) -> Option<(u16, i16)> {
        if self.0 < 4 {
            return None;
        }
        let packed = self.0 - 4;
        let precision = ((packed >> 16) & 0xffff) as u16;
        let scale = (((packed & 0x7ff) ^ 1024) - 1024) as i16;
        Some((precision, scale))
    }

    /// The number of characters, if this is a modifier of varchar or char.
    pub fn as_length(self) -> Option<u32> {
        (self.0 >= 4).then(|| (self.0 - 4) as u32)
    }

    /// Digits of a second, if this is a modifier of a time type.
    pub fn as_precision(self) -> Option<u8> {
        (0..=6).contains(&self.0).then_some(self.0 as u8)
    }
}

/// Postgres's codes of the fields that an interval keeps: a bit a field.
pub(super) mod interval_range {
    use crate::interval::IntervalFields::{self, *};

    /// No field is named: all are kept.
    pub const FULL: i32 = 0x7fff;
    /// No precision is named.
    pub const FULL_PRECISION: i32 = 0xffff;

    const MONTH: i32 = 1 << 1;
    const YEAR: i32 = 1 << 2;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    const SECOND: i32 = 1 << 12;

    /// Each range, its bits, and its name in a type's name.
    const ALL: [(IntervalFields, i32, &str); 13] = [
        (Year, YEAR, "year"),
        (Month, MONTH, "month"),
        (Day, DAY, "day"),
        (Hour, HOUR, "hour"),
        (Minute, MINUTE, "minute"),
        (Second, SECOND, "second"),
        (YearToMonth, YEAR | MONTH, "year to month"),
        (DayToHour, DAY | HOUR, "day to hour"),
        (DayToMinute, DAY | HOUR | MINUTE, "day to minute"),
        (DayToSecond, DAY | HOUR | MINUTE | SECOND, "day to second"),
        (HourToMinute, HOUR | MINUTE, "hour to minute"),
        (HourToSecond, HOUR | MINUTE | SECOND, "hour to second"),
        (MinuteToSecond, MINUTE | SECOND, "minute to second"),
    ];

    pub fn of(fields: IntervalFields) -> i32 {
        ALL.iter()
            .find(|(f, ..)| *f == fields)
            .map_or(FULL, |(_, bits, _)| *bits)
    }

    pub fn fields(bits: i32) -> Option<IntervalFields> {
        ALL.iter().find(|(_, b, _)| *b == bits).map(|(f, ..)| *f)
    }

    pub fn name(fields: IntervalFields) -> &'static str {
        ALL.iter()
            .find(|(f, ..)| *f == fields)
            .map_or("", |(.., name)| *name)
    }
}
