//! Printing through a template.

use std::fmt::Write;

use super::super::calendar::{Civil, civil_from_timestamp, iso_year_start};
use super::super::format::shown_year;
use super::super::{SqlState, Zone, timestamp_is_finite};
use super::{Case, DAYS, EvalError, Key, MONTHS, Node, Ordinal, ROMAN, parse};
use crate::interval::{Interval, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};

/// What is printed: the fields of a timestamp, or of an interval.
struct Value {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    day_of_year: i64,
    /// The day on the calendar; an interval has none.
    civil: Option<Civil>,
    /// Seconds east of Greenwich, and the zone's abbreviation.
    zone: Option<(i32, String)>,
}

/// `to_char(timestamp, template)`; `None` (NULL) for infinities and an empty template.
pub fn to_char_timestamp(ts: i64, template: &str) -> Result<Option<String>, EvalError> {
    moment(ts, None, template)
}

/// `to_char(timestamptz, template)` in a zone; `None` (NULL) for infinities and an empty template.
pub fn to_char_timestamptz(
    ts: i64,
    zone: &Zone,
    template: &str,
) -> Result<Option<String>, EvalError> {
    let east = zone.offset_at(ts);
    let local = ts.saturating_add(i64::from(east) * MICROS_PER_SECOND);
    if !timestamp_is_finite(ts) {
        return Ok(None);
    }
    moment(local, Some((east, zone.abbreviation_at(ts))), template)
}

fn moment(
    local: i64,
    zone: Option<(i32, String)>,
    template: &str,
) -> Result<Option<String>, EvalError> {
    if !timestamp_is_finite(local) || template.is_empty() {
        return Ok(None);
    }
    let (civil, clock) = civil_from_timestamp(local);
    let value = Value {
        year: i64::from(civil.year),
        month: i64::from(civil.month),
        day: i64::from(civil.day),
        hour: clock.hour,
        minute: clock.minute,
        second: clock.second,
        micros: clock.micros,
        day_of_year: civil.day_of_year(),
        civil: Some(civil),
        zone,
    };
    value.print(template).map(Some)
}

/// `to_char(interval, template)`; `None` (NULL) for an empty template. 22007 for fields that intervals lack.
pub fn to_char_interval(interval: &Interval, template: &str) -> Result<Option<String>, EvalError> {
    if template.is_empty() {
        return Ok(None);
    }
    let micros = interval.micros;
    let value = Value {
        year: i64::from(interval.months / 12),
        month: i64::from(interval.months % 12),
        day: i64::from(interval.days),
        hour: micros / MICROS_PER_HOUR,
        minute: micros % MICROS_PER_HOUR / MICROS_PER_MINUTE,
        second: micros % MICROS_PER_MINUTE / MICROS_PER_SECOND,
        micros: micros % MICROS_PER_SECOND,
        day_of_year: i64::from(interval.months) * 30 + i64::from(interval.days),
        civil: None,
        zone: None,
    };
    value.print(template).map(Some)
}

fn not_for_intervals() -> EvalError {
    EvalError::new(
        SqlState::INVALID_DATETIME_FORMAT,
        "invalid format specification for an interval value",
    )
    .with_hint("Intervals are not tied to specific calendar dates.")
}

/// How one field is printed.
struct Style {
    case: Case,
    fill: bool,
    locale: bool,
}

impl Style {
    /// A number of at least `width` digits, a sign beside; none where the fill modifier drops them.
    fn number(&self, value: i64, width: usize) -> String {
        match (self.fill, value < 0) {
            (true, _) => value.to_string(),
            (false, true) => format!("{value:0w$}", w = width + 1),
            (false, false) => format!("{value:0width$}"),
        }
    }

    /// A number of at least `width` characters, the sign among them.
    fn padded(&self, value: i64, width: usize) -> String {
        if self.fill {
            value.to_string()
        } else {
            format!("{value:0width$}")
        }
    }

    fn name(&self, name: &str, width: usize) -> String {
        let name = match self.case {
            Case::Upper => name.to_ascii_uppercase(),
            Case::Capital => name.to_owned(),
            Case::Lower => name.to_ascii_lowercase(),
        };
        if self.fill || self.locale {
            name
        } else {
            format!("{name:width$}")
        }
    }
}

impl Value {
    fn print(&self, template: &str) -> Result<String, EvalError> {
        let mut out = String::new();
        for node in parse(template) {
            match node {
                Node::Separator(c) | Node::Space(c) | Node::Text(c) => out.push(c),
                Node::Field {
                    key,
                    case,
                    fill,
                    locale,
                    ordinal,
                    ..
                } => {
                    let text = self.field(key, &Style { case, fill, locale })?;
                    out.push_str(&text);
                    if let Some(ordinal) = ordinal
                        && key.is_digits()
                        && key != Key::ZoneMinute
                    {
                        out.push_str(ordinal_suffix(&text, ordinal));
                    }
                }
            }
        }
        Ok(out)
    }

    fn civil(&self) -> Result<Civil, EvalError> {
        self.civil.ok_or_else(not_for_intervals)
    }

    fn field(&self, key: Key, style: &Style) -> Result<String, EvalError> {
        Ok(match key {
            Key::Exact => String::new(),
            Key::Meridiem { dots } => {
                let afternoon = self.hour % 24 >= 12;
                era_like(if afternoon { "PM" } else { "AM" }, dots, style.case)
            }
            Key::Hour12 => {
                let hour = if self.hour % 12 == 0 {
                    12
                } else {
                    self.hour % 12
                };
                // The width follows the sign of the hour itself, which twelve o'clock does not show.
                if self.hour < 0 {
                    style.padded(hour, 3)
                } else {
                    style.padded(hour, 2)
                }
            }
            Key::Hour24 => style.number(self.hour, 2),
            Key::Minute => style.number(self.minute, 2),
            Key::Second => style.number(self.second, 2),
            Key::Fraction(digits) => {
                format!(
                    "{:0w$}",
                    self.micros / 10i64.pow(6 - u32::from(digits)),
                    w = usize::from(digits)
                )
            }
            Key::Millisecond => format!("{:03}", self.micros / 1000),
            Key::Microsecond => format!("{:06}", self.micros),
            Key::SecondOfDay => (self.hour * 3600 + self.minute * 60 + self.second).to_string(),
            Key::ZoneName | Key::ZoneHour | Key::ZoneMinute | Key::Offset => {
                self.zone_field(key, style)?
            }
            Key::Month => style.number(self.month, 2),
            Key::Day => style.padded(self.day, 2),
            Key::DayOfYear => style.padded(self.day_of_year, 3),
            Key::Quarter if self.month == 0 => String::new(),
            Key::Quarter => ((self.month - 1) / 3 + 1).to_string(),
            Key::WeekOfMonth => ((self.day - 1) / 7 + 1).to_string(),
            Key::Week => style.padded((self.day_of_year - 1) / 7 + 1, 2),
            Key::RomanMonth => self.roman(style),
            Key::Julian => self.julian().to_string(),
            _ if matches!(key, Key::Century | Key::Year(_) | Key::YearWithComma) => {
                self.year_field(key, style)
            }
            _ => self.calendar_field(key, style)?,
        })
    }

    /// The Julian day; of an interval, that of its fields taken as a date (`date2j` of Postgres's datetime.c).
    fn julian(&self) -> i64 {
        let (year, month) = match self.month {
            m if m > 2 => (self.year + 4800, m + 1),
            m => (self.year + 4799, m + 13),
        };
        let century = year / 100;
        year * 365 - 32_167 + year / 4 - century + century / 4 + 7834 * month / 256 + self.day
    }

    fn zone_field(&self, key: Key, style: &Style) -> Result<String, EvalError> {
        if self.civil.is_none() {
            return Err(not_for_intervals());
        }
        let east = self.zone.as_ref().map_or(0, |(east, _)| *east);
        let sign = if east < 0 { '-' } else { '+' };
        let (hours, minutes) = (east.abs() / 3600, east.abs() / 60 % 60);
        Ok(match key {
            Key::ZoneName => match (&self.zone, style.case) {
                (None, _) => String::new(),
                (Some((_, name)), Case::Lower) => name.to_ascii_lowercase(),
                (Some((_, name)), _) => name.clone(),
            },
            Key::ZoneHour => format!("{sign}{hours:02}"),
            Key::ZoneMinute => format!("{minutes:02}"),
            _ => {
                let mut text = if style.fill {
                    format!("{sign}{hours}")
                } else {
                    format!("{sign}{hours:02}")
                };
                if minutes != 0 {
                    let _infallible = write!(text, ":{minutes:02}");
                }
                text
            }
        })
    }

    /// The year as shown: without zero for a calendar, as it is for an interval.
    fn year(&self) -> i64 {
        if self.civil.is_some() {
            i64::from(shown_year(self.year as i32))
        } else {
            self.year
        }
    }

    fn year_field(&self, key: Key, style: &Style) -> String {
        let year = self.year();
        match key {
            Key::Century => {
                let century = match (self.civil.is_some(), self.year > 0) {
                    (false, _) => self.year / 100,
                    (true, true) => (self.year - 1) / 100 + 1,
                    (true, false) => self.year / 100 - 1,
                };
                if century.abs() <= 99 {
                    style.number(century, 2)
                } else {
                    century.to_string()
                }
            }
            Key::YearWithComma => format!("{},{:03}", year / 1000, year % 1000),
            Key::Year(digits) => last_digits(year, digits, style),
            _ => String::new(),
        }
    }

    fn roman(&self, style: &Style) -> String {
        let name = match self.month {
            0 if self.year == 0 => return String::new(),
            // An interval of whole years has no month; Postgres shows the twelfth, or the first of a negative one.
            0 if self.year > 0 => ROMAN[11],
            0 => ROMAN[0],
            m if m < 0 => ROMAN[(12 + m) as usize % 12],
            m => ROMAN[(m - 1) as usize % 12],
        };
        // The locale modifier is for names of months and days only.
        Style {
            locale: false,
            ..*style
        }
        .name(name, 4)
    }

    /// Fields of a day on the calendar.
    fn calendar_field(&self, key: Key, style: &Style) -> Result<String, EvalError> {
        let civil = self.civil()?;
        let month = MONTHS[(civil.month - 1).clamp(0, 11) as usize];
        let day = DAYS[civil.weekday() as usize % 7];
        let (iso_year, iso_week) = civil.iso_week();
        Ok(match key {
            Key::Era { dots } => {
                era_like(if civil.year <= 0 { "BC" } else { "AD" }, dots, style.case)
            }
            Key::MonthName => style.name(month, 9),
            Key::MonthShort => style.name(&month[..3], 0),
            Key::DayName => style.name(day, 9),
            Key::DayShort => style.name(&day[..3], 0),
            Key::DayOfWeek => (civil.weekday() + 1).to_string(),
            Key::IsoDayOfWeek => ((civil.weekday() + 6) % 7 + 1).to_string(),
            Key::IsoDayOfYear => style.number(civil.days() - iso_year_start(iso_year) + 1, 3),
            Key::IsoWeek => style.number(iso_week, 2),
            Key::IsoYear(digits) => {
                last_digits(i64::from(shown_year(iso_year as i32)), digits, style)
            }
            _ => String::new(),
        })
    }
}

/// The last digits of a year, four for all of it.
fn last_digits(year: i64, digits: u8, style: &Style) -> String {
    let year = if digits < 4 {
        year % 10i64.pow(u32::from(digits))
    } else {
        year
    };
    style.number(year, usize::from(digits))
}

fn era_like(name: &str, dots: bool, case: Case) -> String {
    let name = if dots {
        format!("{}.{}.", &name[..1], &name[1..])
    } else {
        name.to_owned()
    };
    if case == Case::Lower {
        name.to_ascii_lowercase()
    } else {
        name
    }
}

/// The ordinal suffix of a number.
fn ordinal_suffix(number: &str, ordinal: Ordinal) -> &'static str {
    let bytes = number.as_bytes();
    let last = bytes.last().copied().unwrap_or(b'0');
    let teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    let (upper, lower) = match last {
        b'1' if !teen => ("ST", "st"),
        b'2' if !teen => ("ND", "nd"),
        b'3' if !teen => ("RD", "rd"),
        _ => ("TH", "th"),
    };
    if ordinal == Ordinal::Upper {
        upper
    } else {
        lower
    }
}
