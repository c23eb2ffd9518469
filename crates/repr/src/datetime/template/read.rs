//! Reading through a template: `to_date` and `to_timestamp`.
//!
//! It follows `DCH_from_char` and `do_to_timestamp` of Postgres's formatting.c: separators match loosely unless FX is
//! given, a number takes at most as many characters as its field's name unless a non-digit follows.

use super::super::calendar::{
    civil_from_days, days_from_civil, days_in_month, iso_week_start, join_timestamp,
};
use super::super::decode::Fault;
use super::super::{DATE_MIN, SqlState, Zone, check_date};
use super::{DAYS, EvalError, Key, MONTHS, Node, ROMAN, is_separator, parse};
use crate::interval::{MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use crate::numeric::is_space;

/// `to_date(text, template)`. 22007 where they do not match, 22008 out of range.
pub fn to_date(text: &str, template: &str) -> Result<i32, EvalError> {
    let moment = Fields::read(text, template)?.finish(text)?;
    check_date(moment.day).map_err(|_| {
        EvalError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: \"{text}\""),
        )
    })
}

/// `to_timestamp(text, template)`: a timestamptz; in the session's zone, unless the text says another. Errors as
/// [`to_date`].
pub fn to_timestamp(text: &str, template: &str, zone: &Zone) -> Result<i64, EvalError> {
    let beyond = || EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    let moment = Fields::read(text, template)?.finish(text)?;
    let local = moment
        .day
        .checked_mul(crate::interval::MICROS_PER_DAY)
        .and_then(|d| d.checked_add(moment.micros))
        .ok_or_else(beyond)?;
    let east = moment.east.unwrap_or_else(|| zone.offset_at_local(local));
    join_timestamp(
        moment.day,
        moment.micros - i64::from(east) * MICROS_PER_SECOND,
    )
    .ok_or_else(beyond)
}

struct Moment {
    day: i64,
    micros: i64,
    east: Option<i32>,
}

fn format_error(message: String) -> EvalError {
    EvalError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

/// What a text said, by field; 0 where it said nothing, as Postgres has it.
#[derive(Default)]
struct Fields {
    hour: i64,
    minute: i64,
    second: i64,
    second_of_day: i64,
    millisecond: i64,
    microsecond: i64,
    day_of_week: i64,
    day: i64,
    day_of_year: i64,
    month: i64,
    year: i64,
    year_digits: u8,
    century: i64,
    julian: i64,
    week: i64,
    week_of_month: i64,
    iso_week: i64,
    pm: i64,
    bc: i64,
    twelve_hours: bool,
    zone_sign: i64,
    zone_hour: i64,
    zone_minute: i64,
    /// Whether dates are by ISO weeks; `None` until a field says.
    iso: Option<bool>,
}

/// A field of the template while its text is read.
struct Slot<'n> {
    name: &'n str,
    fill: bool,
    /// Whether what follows is no digit, so that any number of digits may be read.
    open: bool,
    ordinal: bool,
}

impl Fields {
    fn read(text: &str, template: &str) -> Result<Fields, EvalError> {
        let nodes = parse(template);
        let mut fields = Fields::default();
        let mut reader = Reader { text, rest: text };
        let (mut exact, mut extra) = (false, 0i64);
        for (at, node) in nodes.iter().enumerate() {
            if reader.rest.is_empty() {
                break;
            }
            let is_field = matches!(node, Node::Field { .. });
            if !exact && (is_field || at == 0) {
                extra += reader.skip_spaces();
            }
            match node {
                Node::Separator(_) | Node::Space(_) if exact => reader.skip_char(),
                Node::Separator(_) | Node::Space(_) => {
                    extra -= 1;
                    if reader
                        .peek()
                        .is_some_and(|c| is_space(c) || is_separator(c))
                    {
                        reader.skip_char();
                        extra += 1;
                    }
                }
                Node::Text(_) if !exact && extra > 0 => extra -= 1,
                Node::Text(_) => reader.skip_char(),
                Node::Field {
                    key: Key::Exact, ..
                } => exact = true,
                Node::Field {
                    key,
                    name,
                    fill,
                    ordinal,
                    ..
                } => {
                    let open = ordinal.is_some() || next_is_no_digit(nodes.get(at + 1));
                    let slot = Slot {
                        name,
                        fill: *fill,
                        open,
                        ordinal: ordinal.is_some(),
                    };
                    fields.field(*key, &slot, &mut reader, extra)?;
                    if !exact {
                        extra = reader.skip_spaces();
                    }
                }
            }
        }
        Ok(fields)
    }

    /// Gregorian or ISO week fields, not both.
    fn convention(&mut self, key: Key) -> Result<(), EvalError> {
        let iso = match key {
            Key::IsoYear(_) | Key::IsoWeek | Key::IsoDayOfYear | Key::IsoDayOfWeek => true,
            Key::DayName | Key::DayShort | Key::DayOfYear | Key::Day | Key::DayOfWeek => false,
            Key::Month | Key::MonthName | Key::MonthShort | Key::RomanMonth => false,
            Key::Year(_) | Key::YearWithComma | Key::Week | Key::WeekOfMonth => false,
            _ => return Ok(()),
        };
        // Names of days are free of either convention.
        if matches!(key, Key::DayName | Key::DayShort) {
            return Ok(());
        }
        match self.iso {
            Some(known) if known != iso => Err(format_error(
                "invalid combination of date conventions".to_owned(),
            )
            .with_hint(
                "Do not mix Gregorian and ISO week date conventions in a formatting template.",
            )),
            _ => {
                self.iso = Some(iso);
                Ok(())
            }
        }
    }

    fn field(
        &mut self,
        key: Key,
        slot: &Slot<'_>,
        reader: &mut Reader<'_>,
        extra: i64,
    ) -> Result<(), EvalError> {
        self.convention(key)?;
        let width = slot.name.len();
        match key {
            Key::Exact => {}
            Key::Meridiem { dots } => {
                let names = if dots { ["a.m.", "p.m."] } else { ["am", "pm"] };
                let value = reader.name(&names, slot)?;
                set(&mut self.pm, value, slot)?;
                self.twelve_hours = true;
            }
            Key::Era { dots } => {
                let names = if dots { ["a.d.", "b.c."] } else { ["ad", "bc"] };
                let value = reader.name(&names, slot)?;
                set(&mut self.bc, value, slot)?;
            }
            Key::Hour12 => {
                reader.number(2, slot, &mut self.hour)?;
                self.twelve_hours = true;
            }
            Key::Hour24 => drop(reader.number(2, slot, &mut self.hour)?),
            Key::Minute => drop(reader.number(width, slot, &mut self.minute)?),
            Key::Second => drop(reader.number(width, slot, &mut self.second)?),
            Key::Millisecond => {
                let length = reader.number(3, slot, &mut self.millisecond)?;
                self.millisecond *= 10i64.pow(3u32.saturating_sub(length as u32));
            }
            Key::Fraction(_) | Key::Microsecond => {
                let width = if let Key::Fraction(digits) = key {
                    usize::from(digits)
                } else {
                    6
                };
                let length = reader.number(width, slot, &mut self.microsecond)?;
                self.microsecond *= 10i64.pow(6u32.saturating_sub(length as u32));
            }
            Key::SecondOfDay => drop(reader.number(width, slot, &mut self.second_of_day)?),
            Key::ZoneName | Key::Offset => {
                return Err(EvalError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!(
                        "formatting field \"{}\" is only supported in to_char",
                        slot.name
                    ),
                ));
            }
            Key::ZoneHour => {
                self.zone_sign = reader.sign(extra > 0);
                reader.number(2, slot, &mut self.zone_hour)?;
            }
            Key::ZoneMinute => {
                if self.zone_sign == 0 {
                    self.zone_sign = 1;
                }
                reader.number(2, slot, &mut self.zone_minute)?;
            }
            _ => self.date_field(key, slot, reader)?,
        }
        if slot.ordinal {
            reader.skip_ordinal();
        }
        Ok(())
    }

    fn date_field(
        &mut self,
        key: Key,
        slot: &Slot<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<(), EvalError> {
        let width = slot.name.len();
        let short = |names: &[&'static str]| names.iter().map(|n| &n[..3]).collect::<Vec<_>>();
        match key {
            Key::MonthName => set(&mut self.month, reader.name(&MONTHS, slot)? + 1, slot)?,
            Key::MonthShort => set(
                &mut self.month,
                reader.name(&short(&MONTHS), slot)? + 1,
                slot,
            )?,
            Key::RomanMonth => {
                // Longer numerals first, or a prefix would match.
                let mut names: Vec<&str> = ROMAN.to_vec();
                names.sort_by_key(|n| std::cmp::Reverse(n.len()));
                let found = names[reader.name(&names, slot)? as usize];
                let month = ROMAN.iter().position(|n| *n == found).unwrap_or(0) as i64 + 1;
                set(&mut self.month, month, slot)?;
            }
            Key::Month => drop(reader.number(width, slot, &mut self.month)?),
            Key::DayName => set(&mut self.day_of_week, reader.name(&DAYS, slot)? + 1, slot)?,
            Key::DayShort => set(
                &mut self.day_of_week,
                reader.name(&short(&DAYS), slot)? + 1,
                slot,
            )?,
            Key::DayOfYear => drop(reader.number(width, slot, &mut self.day_of_year)?),
            Key::IsoDayOfYear => drop(reader.number(3, slot, &mut self.day_of_year)?),
            Key::Day => drop(reader.number(width, slot, &mut self.day)?),
            Key::DayOfWeek => drop(reader.number(width, slot, &mut self.day_of_week)?),
            Key::IsoDayOfWeek => {
                reader.number(1, slot, &mut self.day_of_week)?;
                // Sunday is day 1 of the other convention.
                self.day_of_week = if self.day_of_week >= 7 {
                    1
                } else {
                    self.day_of_week + 1
                };
            }
            Key::Week => drop(reader.number(width, slot, &mut self.week)?),
            Key::IsoWeek => drop(reader.number(width, slot, &mut self.iso_week)?),
            Key::WeekOfMonth => drop(reader.number(width, slot, &mut self.week_of_month)?),
            // Which day of a quarter is meant is open: it is read and dropped.
            Key::Quarter => drop(reader.number(width, slot, &mut 0)?),
            Key::Century => drop(reader.number(width, slot, &mut self.century)?),
            Key::YearWithComma => {
                let year = reader.year_with_comma(slot)?;
                set(&mut self.year, year, slot)?;
                self.year_digits = 4;
            }
            Key::Year(digits) | Key::IsoYear(digits) => {
                let mut year = 0;
                let length = reader.number(width, slot, &mut year)?;
                if digits < 4 && length < 4 {
                    year = complete_year(year);
                }
                set(&mut self.year, year, slot)?;
                self.year_digits = digits;
            }
            Key::Julian => drop(reader.number(width, slot, &mut self.julian)?),
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self, text: &str) -> Result<Moment, EvalError> {
        let micros = self.time(text)?;
        let day = self.date(text)?;
        let east = match self.zone_sign {
            0 => None,
            _ if self.zone_hour > 15
                || self.zone_minute > 59
                || self.zone_hour < 0
                || self.zone_minute < 0 =>
            {
                return Err(Fault::Displacement.error("timestamp", text));
            }
            sign => Some((sign * (self.zone_hour * 3600 + self.zone_minute * 60)) as i32),
        };
        Ok(Moment { day, micros, east })
    }

    fn time(&mut self, text: &str) -> Result<i64, EvalError> {
        let (mut hour, mut minute, mut second) = (
            self.second_of_day / 3600,
            self.second_of_day % 3600 / 60,
            self.second_of_day % 60,
        );
        for (given, into) in [
            (self.hour, &mut hour),
            (self.minute, &mut minute),
            (self.second, &mut second),
        ] {
            if given != 0 {
                *into = given;
            }
        }
        if self.twelve_hours {
            if !(1..=12).contains(&hour) {
                return Err(format_error(format!(
                    "hour \"{hour}\" is invalid for the 12-hour clock"
                ))
                .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            if self.pm == 1 && hour < 12 {
                hour += 12;
            } else if self.pm == 0 && hour == 12 {
                hour = 0;
            }
        }
        let fraction = self.millisecond * 1000 + self.microsecond;
        let valid = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..MICROS_PER_SECOND).contains(&fraction);
        if !valid {
            return Err(Fault::Field.error("timestamp", text));
        }
        Ok(hour * MICROS_PER_HOUR
            + minute * MICROS_PER_MINUTE
            + second * MICROS_PER_SECOND
            + fraction)
    }

    /// The year of the calendar, and whether the text gave one.
    fn calendar_year(&self) -> (i64, bool) {
        let century = if self.bc == 1 {
            -self.century
        } else {
            self.century
        };
        if self.year != 0 {
            if self.century != 0 && self.year_digits <= 2 {
                let year = self.year % 100;
                return (
                    match (year != 0, century >= 0) {
                        (true, true) => year + (century - 1) * 100,
                        (true, false) => (century + 1) * 100 - year + 1,
                        (false, true) => century * 100,
                        (false, false) => century * 100 + 1,
                    },
                    true,
                );
            }
            let year = if self.bc == 1 { -self.year } else { self.year };
            return (if year < 0 { year + 1 } else { year }, true);
        }
        if self.century != 0 {
            return (
                if century >= 0 {
                    (century - 1) * 100 + 1
                } else {
                    century * 100 + 1
                },
                true,
            );
        }
        (0, false)
    }

    /// Days since 2000-01-01.
    fn date(&mut self, text: &str) -> Result<i64, EvalError> {
        let (mut year, _) = self.calendar_year();
        let (mut month, mut day) = (1i64, 1i64);
        let put = |days: i64, year: &mut i64, month: &mut i64, day: &mut i64| {
            let civil = civil_from_days(days);
            (*year, *month, *day) = (
                i64::from(civil.year),
                i64::from(civil.month),
                i64::from(civil.day),
            );
        };
        if self.julian != 0 {
            put(
                self.julian + i64::from(DATE_MIN),
                &mut year,
                &mut month,
                &mut day,
            );
        }
        if self.iso_week != 0 {
            let offset = match self.day_of_week {
                0 => 0,
                1 => 6,
                d => d - 2,
            };
            put(
                iso_week_start(year, self.iso_week) + offset,
                &mut year,
                &mut month,
                &mut day,
            );
        }
        if self.week != 0 {
            self.day_of_year = (self.week - 1) * 7 + 1;
        }
        if self.week_of_month != 0 {
            self.day = (self.week_of_month - 1) * 7 + 1;
        }
        if self.day != 0 {
            day = self.day;
        }
        if self.month != 0 {
            month = self.month;
        }
        if self.day_of_year != 0 && (month <= 1 || day <= 1) {
            if year == 0 && self.bc == 0 {
                return Err(format_error(
                    "cannot calculate day of year without year information".to_owned(),
                ));
            }
            if self.iso == Some(true) {
                put(
                    iso_week_start(year, 1) + self.day_of_year - 1,
                    &mut year,
                    &mut month,
                    &mut day,
                );
            } else {
                (month, day) = self.month_and_day(year, month, day);
            }
        }
        let valid = (1..=12).contains(&month)
            && (1..=i64::from(days_in_month(year, month as i32))).contains(&day);
        if !valid {
            return Err(Fault::Field.error("timestamp", text));
        }
        Ok(days_from_civil(year, month, day))
    }

    /// The month and the day of a day of the year, where they were not given themselves.
    fn month_and_day(&self, year: i64, month: i64, day: i64) -> (i64, i64) {
        let mut rest = self.day_of_year;
        let mut found = 1;
        while found < 12 && rest > i64::from(days_in_month(year, found as i32)) {
            rest -= i64::from(days_in_month(year, found as i32));
            found += 1;
        }
        (
            if month <= 1 { found } else { month },
            if day <= 1 { rest } else { day },
        )
    }
}

/// A field that is given twice must say the same.
fn set(field: &mut i64, value: i64, slot: &Slot<'_>) -> Result<(), EvalError> {
    if *field != 0 && *field != value {
        return Err(format_error(format!(
            "conflicting values for \"{}\" field in formatting string",
            slot.name
        ))
        .with_detail("This value contradicts a previous setting for the same field type."));
    }
    *field = value;
    Ok(())
}

/// A year of fewer than four digits, as near to 2020 as it gets.
fn complete_year(year: i64) -> i64 {
    match year {
        y if y < 70 => y + 2000,
        y if y < 100 => y + 1900,
        y if y < 520 => y + 2000,
        y if y < 1000 => y + 1000,
        y => y,
    }
}

fn next_is_no_digit(next: Option<&Node>) -> bool {
    match next {
        None => true,
        Some(Node::Field { key, .. }) => !key.is_digits(),
        Some(Node::Separator(c) | Node::Space(c) | Node::Text(c)) => !c.is_ascii_digit(),
    }
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip_char(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }

    fn skip_spaces(&mut self) -> i64 {
        let after = self.rest.trim_start_matches(is_space);
        let skipped = self.rest.len() - after.len();
        self.rest = after;
        skipped as i64
    }

    /// Two characters after a number are its ordinal suffix, whatever they are.
    fn skip_ordinal(&mut self) {
        self.skip_char();
        self.skip_char();
    }

    /// The sign of a zone; one that was skipped as a separator counts where more was skipped than the template said.
    fn sign(&mut self, skipped_more: bool) -> i64 {
        match self.peek() {
            Some('-') => {
                self.skip_char();
                -1
            }
            Some('+' | ' ') => {
                self.skip_char();
                1
            }
            _ => {
                let before = &self.text[..self.text.len() - self.rest.len()];
                if skipped_more && before.ends_with('-') {
                    -1
                } else {
                    1
                }
            }
        }
    }

    /// An integer of at most `width` characters into a field; how many characters it took.
    fn number(
        &mut self,
        width: usize,
        slot: &Slot<'_>,
        field: &mut i64,
    ) -> Result<usize, EvalError> {
        let hint = "If your source string is not fixed-width, try using the \"FM\" modifier.";
        self.skip_spaces();
        let available: String = self.rest.chars().take(width).collect();
        let source = if slot.fill || slot.open {
            self.rest
        } else {
            available.as_str()
        };
        if !slot.fill && !slot.open && available.chars().count() < width {
            return Err(format_error(format!(
                "source string too short for \"{}\" formatting field",
                slot.name
            ))
            .with_detail(format!(
                "Field requires {width} characters, but only {} remain.",
                available.chars().count()
            ))
            .with_hint(hint));
        }
        let sign = usize::from(source.starts_with(['+', '-']));
        let digits = source[sign..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        let used = if digits == 0 { 0 } else { sign + digits };
        let shown: String = self.rest.chars().take(width).collect();
        let invalid = || format_error(format!("invalid value \"{shown}\" for \"{}\"", slot.name));
        if used == 0 {
            return Err(invalid().with_detail("Value must be an integer."));
        }
        if !slot.fill && !slot.open && used < width {
            return Err(invalid()
                .with_detail(format!(
                    "Field requires {width} characters, but only {used} could be parsed."
                ))
                .with_hint(hint));
        }
        let value = source[..used].parse::<i32>().map_err(|_| {
            EvalError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!(
                    "value for \"{}\" in source string is out of range",
                    slot.name
                ),
            )
            .with_detail(format!(
                "Value must be in the range {} to {}.",
                i32::MIN,
                i32::MAX
            ))
        })?;
        set(field, i64::from(value), slot)?;
        self.rest = &self.rest[used..];
        Ok(used)
    }

    /// Which of the names the text goes on with, in any case.
    fn name(&mut self, names: &[&str], slot: &Slot<'_>) -> Result<i64, EvalError> {
        let found = names.iter().position(|name| {
            self.rest
                .get(..name.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(name))
        });
        let Some(at) = found else {
            let shown: String = self.rest.chars().take_while(|c| !is_space(*c)).collect();
            return Err(
                format_error(format!("invalid value \"{shown}\" for \"{}\"", slot.name))
                    .with_detail(
                        "The given value did not match any of the allowed values for this field.",
                    ),
            );
        };
        self.rest = &self.rest[names[at].len()..];
        Ok(at as i64)
    }

    /// `Y,YYY`.
    fn year_with_comma(&mut self, slot: &Slot<'_>) -> Result<i64, EvalError> {
        let invalid = || format_error(format!("invalid input string for \"{}\"", slot.name));
        let (thousands, after) = self.rest.split_once(',').ok_or_else(invalid)?;
        let thousands: i64 = thousands
            .trim()
            .parse::<i32>()
            .map(i64::from)
            .map_err(|_| invalid())?;
        let digits = after.bytes().take(3).take_while(u8::is_ascii_digit).count();
        let years: i64 = after[..digits].parse().map_err(|_| invalid())?;
        self.rest = &after[digits..];
        Ok(thousands * 1000 + years)
    }
}
