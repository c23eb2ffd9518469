//! Interval input: Postgres's own forms, SQL's year-month and day-time forms, and ISO 8601.
//!
//! It follows `DecodeInterval` and `DecodeISO8601Interval` of Postgres's datetime.c: fields are read from right to
//! left, so that a unit is known before its number; fractions cascade to the next smaller unit.

use super::{
    DAYS_PER_MONTH, Interval, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE,
    MICROS_PER_SECOND, out_of_range,
};
use crate::datetime::fields::{self, Field, Kind};
use crate::datetime::keywords::{self, Unit};
use crate::error::{EvalError, SqlState};

/// Which fields an interval column keeps, as `interval YEAR TO MONTH` declares.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
#[allow(missing_docs, reason = "the names are SQL's own")]
pub enum IntervalFields {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    YearToMonth,
    DayToHour,
    DayToMinute,
    DayToSecond,
    HourToMinute,
    HourToSecond,
    MinuteToSecond,
}

impl IntervalFields {
    /// The smallest field kept.
    fn smallest(self) -> Unit {
        match self {
            IntervalFields::Year => Unit::Year,
            IntervalFields::Month | IntervalFields::YearToMonth => Unit::Month,
            IntervalFields::Day => Unit::Day,
            IntervalFields::Hour | IntervalFields::DayToHour => Unit::Hour,
            IntervalFields::Minute | IntervalFields::DayToMinute | IntervalFields::HourToMinute => {
                Unit::Minute
            }
            _ => Unit::Second,
        }
    }
}

/// Why input is no interval.
pub(crate) enum Fault {
    /// 22007.
    Format,
    /// 22008, a field beyond its range.
    Field,
    /// 22008, the whole beyond its range.
    Range,
}

impl Interval {
    /// Parses an interval. 22007 if it is none, 22008 if a field is beyond its range.
    pub fn parse(text: &str) -> Result<Interval, EvalError> {
        Interval::parse_fields(text, None)
    }

    /// As [`Interval::parse`], where a bare number counts the smallest of the declared fields; the fields that are
    /// not declared are dropped.
    pub fn parse_fields(
        text: &str,
        declared: Option<IntervalFields>,
    ) -> Result<Interval, EvalError> {
        let parsed = match decode(text, declared) {
            Err(Fault::Format) => decode_iso(text),
            other => other,
        };
        let interval = parsed.map_err(|fault| match fault {
            Fault::Format => EvalError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type interval: \"{text}\""),
            ),
            Fault::Field => EvalError::new(
                SqlState::INTERVAL_FIELD_OVERFLOW,
                format!("interval field value out of range: \"{text}\""),
            ),
            Fault::Range => out_of_range(),
        })?;
        interval.with_typmod(declared, None)
    }

    /// The interval as a column of these fields and this many digits of a second stores it.
    pub fn with_typmod(
        &self,
        declared: Option<IntervalFields>,
        precision: Option<u32>,
    ) -> Result<Interval, EvalError> {
        let mut kept = *self;
        if let Some(declared) = declared {
            match declared.smallest() {
                Unit::Year => kept = Interval::new(self.months / 12 * 12, 0, 0),
                Unit::Month => kept = Interval::new(self.months, 0, 0),
                Unit::Day => kept.micros = 0,
                Unit::Hour => kept.micros -= kept.micros % MICROS_PER_HOUR,
                Unit::Minute => kept.micros -= kept.micros % MICROS_PER_MINUTE,
                _ => {}
            }
        }
        if let Some(precision) = precision.filter(|p| *p < 6) {
            let unit = 10i64.pow(6 - precision);
            let half = (unit / 2) * kept.micros.signum();
            kept.micros = kept.micros.checked_add(half).ok_or_else(out_of_range)? / unit * unit;
        }
        Ok(kept)
    }
}

/// The sum of the fields so far, months as years and months together.
#[derive(Default)]
struct Sum {
    months: i64,
    days: i64,
    micros: i64,
}

impl Sum {
    fn micros(&mut self, value: i64, fraction: f64, unit: i64) -> Result<(), Fault> {
        let whole = value
            .checked_mul(unit)
            .and_then(|v| self.micros.checked_add(v));
        self.micros = whole.ok_or(Fault::Field)?;
        self.fraction_micros(fraction, unit)
    }

    fn fraction_micros(&mut self, fraction: f64, unit: i64) -> Result<(), Fault> {
        if fraction == 0.0 {
            return Ok(());
        }
        let exact = fraction * unit as f64;
        let mut micros = exact as i64;
        let rest = exact - micros as f64;
        if rest > 0.5 {
            micros += 1;
        } else if rest < -0.5 {
            micros -= 1;
        }
        self.micros = self.micros.checked_add(micros).ok_or(Fault::Field)?;
        Ok(())
    }

    fn days(&mut self, value: i64, unit: i64) -> Result<(), Fault> {
        let days = value
            .checked_mul(unit)
            .and_then(|d| self.days.checked_add(d))
            .ok_or(Fault::Field)?;
        self.days = i64::from(i32::try_from(days).map_err(|_| Fault::Field)?);
        Ok(())
    }

    fn fraction_days(&mut self, fraction: f64, unit: i64) -> Result<(), Fault> {
        let exact = fraction * unit as f64;
        let whole = exact as i64;
        self.days(whole, 1)?;
        self.fraction_micros(exact - whole as f64, MICROS_PER_DAY)
    }

    fn months(&mut self, value: i64, unit: i64) -> Result<(), Fault> {
        let months = value
            .checked_mul(unit)
            .and_then(|m| self.months.checked_add(m))
            .ok_or(Fault::Field)?;
        // Years have a field of their own while parsing, so their bound is the field's; the total is checked last.
        if value.unsigned_abs() > u64::from(u32::MAX) {
            return Err(Fault::Field);
        }
        self.months = months;
        Ok(())
    }

    fn fraction_years(&mut self, fraction: f64, unit: i64) -> Result<(), Fault> {
        self.months(libm::rint(fraction * unit as f64) as i64, 1)
    }

    fn finish(self, negate: bool) -> Result<Interval, Fault> {
        let months = i32::try_from(self.months).map_err(|_| Fault::Range)?;
        let days = i32::try_from(self.days).map_err(|_| Fault::Range)?;
        let interval = Interval::new(months, days, self.micros);
        if negate {
            interval.neg().map_err(|_| Fault::Range)
        } else {
            Ok(interval)
        }
    }
}

/// Fields already seen, a bit each: one field may not be given twice.
mod mask {
    pub(super) const TIME: u32 = 0b11111;
    pub(super) const HOUR: u32 = 0b00001;
    pub(super) const MINUTE: u32 = 0b00010;
    pub(super) const SECOND: u32 = 0b00100;
    pub(super) const MILLI: u32 = 0b01000;
    pub(super) const MICRO: u32 = 0b10000;
    pub(super) const ALL_SECONDS: u32 = SECOND | MILLI | MICRO;
    pub(super) const DAY: u32 = 1 << 5;
    pub(super) const WEEK: u32 = 1 << 6;
    pub(super) const MONTH: u32 = 1 << 7;
    pub(super) const YEAR: u32 = 1 << 8;
    pub(super) const DECADE: u32 = 1 << 9;
    pub(super) const CENTURY: u32 = 1 << 10;
    pub(super) const MILLENNIUM: u32 = 1 << 11;
}

fn decode(text: &str, declared: Option<IntervalFields>) -> Result<Interval, Fault> {
    let fields = fields::lex(text).ok_or(Fault::Format)?;
    let mut sum = Sum::default();
    let (mut seen, mut ago) = (0u32, false);
    // The unit of the next number to the left; the rightmost bare number is in the smallest declared field.
    let mut unit = Some(declared.map_or(Unit::Second, IntervalFields::smallest));
    for field in fields.iter().rev() {
        let adds = match field.kind {
            Kind::Time => {
                sum.micros = time_micros(&field.text, declared)?;
                unit = Some(Unit::Day);
                mask::TIME
            }
            Kind::Signed
                if field.text[1..].contains(':')
                    && time_micros(&field.text[1..], declared).is_ok() =>
            {
                let micros = time_micros(&field.text[1..], declared)?;
                sum.micros = if field.text.starts_with('-') {
                    -micros
                } else {
                    micros
                };
                unit = Some(Unit::Day);
                mask::TIME
            }
            Kind::Signed | Kind::Date | Kind::Number => {
                let (adds, next) = number(field, unit.ok_or(Fault::Format)?, &mut sum)?;
                unit = next;
                adds
            }
            Kind::Word | Kind::Special => {
                match keywords::unit(&field.text).ok_or(Fault::Format)? {
                    Unit::Ago => {
                        ago = true;
                        unit = None;
                    }
                    other => {
                        unit = Some(other);
                    }
                }
                0
            }
        };
        if seen & adds != 0 {
            return Err(Fault::Format);
        }
        seen |= adds;
    }
    if seen == 0 {
        return Err(Fault::Format);
    }
    sum.finish(ago)
}

/// A number in the given unit, added to the sum: which fields it sets, and the unit of the next bare number.
fn number(field: &Field, unit: Unit, sum: &mut Sum) -> Result<(u32, Option<Unit>), Fault> {
    let text = field.text.as_str();
    let negative = text.starts_with('-');
    let (mut value, rest) = leading_integer(text)?;
    let mut unit = unit;
    let mut fraction = 0.0;
    if let Some(months) = rest.strip_prefix('-') {
        // SQL's years-months.
        let months: i64 = months.parse().map_err(|_| Fault::Format)?;
        if !(0..12).contains(&months) {
            return Err(Fault::Field);
        }
        let months = if negative { -months } else { months };
        value = value
            .checked_mul(12)
            .and_then(|v| v.checked_add(months))
            .ok_or(Fault::Field)?;
        unit = Unit::Month;
    } else if rest.starts_with('.') {
        fraction = parse_fraction(rest).ok_or(Fault::Format)?;
        if negative {
            fraction = -fraction;
        }
    } else if !rest.is_empty() {
        return Err(Fault::Format);
    }
    let adds = match unit {
        Unit::Microsecond => sum.micros(value, fraction, 1).map(|()| mask::MICRO),
        Unit::Millisecond => sum.micros(value, fraction, 1000).map(|()| mask::MILLI),
        Unit::Second => {
            sum.micros(value, fraction, MICROS_PER_SECOND)?;
            Ok(if fraction == 0.0 {
                mask::SECOND
            } else {
                mask::ALL_SECONDS
            })
        }
        Unit::Minute => sum
            .micros(value, fraction, MICROS_PER_MINUTE)
            .map(|()| mask::MINUTE),
        Unit::Hour => {
            sum.micros(value, fraction, MICROS_PER_HOUR)?;
            return Ok((mask::HOUR, Some(Unit::Day)));
        }
        Unit::Day => {
            sum.days(value, 1)?;
            sum.fraction_micros(fraction, MICROS_PER_DAY)
                .map(|()| mask::DAY)
        }
        Unit::Week => {
            sum.days(value, 7)?;
            sum.fraction_days(fraction, 7).map(|()| mask::WEEK)
        }
        Unit::Month => {
            sum.months(value, 1)?;
            sum.fraction_days(fraction, DAYS_PER_MONTH)
                .map(|()| mask::MONTH)
        }
        Unit::Year => years(sum, value, fraction, 1).map(|()| mask::YEAR),
        Unit::Decade => years(sum, value, fraction, 10).map(|()| mask::DECADE),
        Unit::Century => years(sum, value, fraction, 100).map(|()| mask::CENTURY),
        Unit::Millennium => years(sum, value, fraction, 1000).map(|()| mask::MILLENNIUM),
        Unit::Quarter | Unit::Ago => Err(Fault::Format),
    }?;
    Ok((adds, Some(unit)))
}

fn years(sum: &mut Sum, value: i64, fraction: f64, scale: i64) -> Result<(), Fault> {
    let years = value.checked_mul(scale).ok_or(Fault::Field)?;
    if i32::try_from(years).is_err() {
        return Err(Fault::Field);
    }
    sum.months(years, 12)?;
    sum.fraction_years(fraction, 12 * scale)
}

/// C's `strtol` on a field: an integer with a sign, perhaps empty before a point, and what follows it.
fn leading_integer(text: &str) -> Result<(i64, &str), Fault> {
    let digits_from = usize::from(text.starts_with(['+', '-']));
    let end = text[digits_from..]
        .find(|c: char| !c.is_ascii_digit())
        .map_or(text.len(), |i| i + digits_from);
    if end == digits_from {
        return Ok((0, &text[digits_from..]));
    }
    let value = text[..end].parse().map_err(|_| Fault::Field)?;
    Ok((value, &text[end..]))
}

/// `.123` as a fraction, in binary as Postgres reads it.
pub(crate) fn parse_fraction(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('.')?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if digits.is_empty() {
        Some(0.0)
    } else {
        format!("0.{digits}").parse().ok()
    }
}

/// `hh:mm[:ss[.fraction]]` or `mm:ss.fraction`, in microseconds.
fn time_micros(text: &str, declared: Option<IntervalFields>) -> Result<i64, Fault> {
    let (hour, minute, micros) =
        split_time(text, declared == Some(IntervalFields::MinuteToSecond))?;
    hour.checked_mul(MICROS_PER_HOUR)
        .and_then(|h| h.checked_add(minute * MICROS_PER_MINUTE))
        .and_then(|t| t.checked_add(micros))
        .ok_or(Fault::Field)
}

/// Hours, minutes, and microseconds of a time. Two parts with a fraction, or where `two_are_seconds`, are minutes
/// and seconds.
pub(crate) fn split_time(text: &str, two_are_seconds: bool) -> Result<(i64, i64, i64), Fault> {
    let (whole, fraction) = match text.find('.') {
        Some(at) => (
            &text[..at],
            parse_fraction(&text[at..]).ok_or(Fault::Format)?,
        ),
        None => (text, 0.0),
    };
    let mut parts = Vec::with_capacity(3);
    for part in whole.split(':') {
        // An empty part is zero, as strtol reads it.
        let value = if part.is_empty() {
            0
        } else {
            part.parse::<i64>().map_err(|_| Fault::Field)?
        };
        parts.push(value);
    }
    let has_fraction = text.contains('.');
    let (hour, minute, second) = match parts[..] {
        [minute, second] if has_fraction || two_are_seconds => (0, minute, second),
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return Err(Fault::Format),
    };
    let fraction = libm::rint(fraction * MICROS_PER_SECOND as f64) as i64;
    if !(0..=59).contains(&minute) || !(0..=60).contains(&second) || hour < 0 {
        return Err(Fault::Field);
    }
    Ok((hour, minute, second * MICROS_PER_SECOND + fraction))
}

/// ISO 8601 durations: with designators (`P1Y2M3DT4H5M6S`), and the alternative forms (`P0001-02-03T04:05:06`).
fn decode_iso(text: &str) -> Result<Interval, Fault> {
    let mut rest = text
        .strip_prefix('P')
        .filter(|r| !r.is_empty())
        .ok_or(Fault::Format)?;
    let mut sum = Sum::default();
    let (mut date_part, mut have_field) = (true, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            (date_part, have_field, rest) = (false, false, after);
            continue;
        }
        let start = rest;
        let (value, fraction) = iso_number(&mut rest)?;
        let width = start
            .trim_start_matches('-')
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let unit = rest.chars().next();
        rest = unit.map_or("", |c| &rest[c.len_utf8()..]);
        let done = if date_part {
            iso_date_field(
                &mut sum,
                &mut rest,
                unit,
                (value, fraction),
                width,
                have_field,
            )?
        } else {
            iso_time_field(
                &mut sum,
                &mut rest,
                unit,
                (value, fraction),
                width,
                have_field,
            )?
        };
        match done {
            IsoStep::Field => have_field = true,
            IsoStep::TimeFollows => (date_part, have_field) = (false, false),
            IsoStep::Done => break,
        }
    }
    sum.finish(false)
}

enum IsoStep {
    Field,
    TimeFollows,
    Done,
}

fn iso_date_field(
    sum: &mut Sum,
    rest: &mut &str,
    unit: Option<char>,
    (value, fraction): (i64, f64),
    width: usize,
    have_field: bool,
) -> Result<IsoStep, Fault> {
    match unit {
        Some('Y') => years(sum, value, fraction, 1)?,
        Some('M') => {
            sum.months(value, 1)?;
            sum.fraction_days(fraction, DAYS_PER_MONTH)?;
        }
        Some('W') => {
            sum.days(value, 7)?;
            sum.fraction_days(fraction, 7)?;
        }
        Some('D') => {
            sum.days(value, 1)?;
            sum.fraction_micros(fraction, MICROS_PER_DAY)?;
        }
        None | Some('T') if width == 8 && !have_field => {
            years(sum, value / 10_000, 0.0, 1)?;
            sum.months(value / 100 % 100, 1)?;
            sum.days(value % 100, 1)?;
            sum.fraction_micros(fraction, MICROS_PER_DAY)?;
            return Ok(if unit.is_none() {
                IsoStep::Done
            } else {
                IsoStep::TimeFollows
            });
        }
        None | Some('T' | '-') if !have_field => {
            years(sum, value, fraction, 1)?;
            return match unit {
                None => Ok(IsoStep::Done),
                Some('T') => Ok(IsoStep::TimeFollows),
                _ => iso_extended_date(sum, rest),
            };
        }
        _ => return Err(Fault::Format),
    }
    Ok(IsoStep::Field)
}

/// The month and the day of `years-months-days`.
fn iso_extended_date(sum: &mut Sum, rest: &mut &str) -> Result<IsoStep, Fault> {
    let (months, fraction) = iso_number(rest)?;
    sum.months(months, 1)?;
    sum.fraction_days(fraction, DAYS_PER_MONTH)?;
    if let Some(after) = rest.strip_prefix('-') {
        *rest = after;
        let (days, fraction) = iso_number(rest)?;
        sum.days(days, 1)?;
        sum.fraction_micros(fraction, MICROS_PER_DAY)?;
    }
    match rest.strip_prefix('T') {
        Some(after) => {
            *rest = after;
            Ok(IsoStep::TimeFollows)
        }
        None if rest.is_empty() => Ok(IsoStep::Done),
        None => Err(Fault::Format),
    }
}

fn iso_time_field(
    sum: &mut Sum,
    rest: &mut &str,
    unit: Option<char>,
    (value, fraction): (i64, f64),
    width: usize,
    have_field: bool,
) -> Result<IsoStep, Fault> {
    match unit {
        Some('H') => sum.micros(value, fraction, MICROS_PER_HOUR)?,
        Some('M') => sum.micros(value, fraction, MICROS_PER_MINUTE)?,
        Some('S') => sum.micros(value, fraction, MICROS_PER_SECOND)?,
        None if width == 6 && !have_field => {
            sum.micros(value / 10_000, 0.0, MICROS_PER_HOUR)?;
            sum.micros(value / 100 % 100, 0.0, MICROS_PER_MINUTE)?;
            sum.micros(value % 100, fraction, MICROS_PER_SECOND)?;
            return Ok(IsoStep::Done);
        }
        None | Some(':') if !have_field => {
            sum.micros(value, fraction, MICROS_PER_HOUR)?;
            if unit.is_none() {
                return Ok(IsoStep::Done);
            }
            let (minutes, fraction) = iso_number(rest)?;
            sum.micros(minutes, fraction, MICROS_PER_MINUTE)?;
            if let Some(after) = rest.strip_prefix(':') {
                *rest = after;
                let (seconds, fraction) = iso_number(rest)?;
                sum.micros(seconds, fraction, MICROS_PER_SECOND)?;
            }
            return if rest.is_empty() {
                Ok(IsoStep::Done)
            } else {
                Err(Fault::Format)
            };
        }
        _ => return Err(Fault::Format),
    }
    Ok(IsoStep::Field)
}

/// A number with its integer part and its fraction; the sign is on both.
fn iso_number(rest: &mut &str) -> Result<(i64, f64), Fault> {
    let sign = usize::from(rest.starts_with('-'));
    let end = rest[sign..]
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .map_or(rest.len(), |i| i + sign);
    let value: f64 = rest[..end].parse().map_err(|_| Fault::Format)?;
    if !(-1.0e15..=1.0e15).contains(&value) {
        return Err(Fault::Field);
    }
    *rest = &rest[end..];
    let whole = libm::trunc(value);
    Ok((whole as i64, value - whole))
}
