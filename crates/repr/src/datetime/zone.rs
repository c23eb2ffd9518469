//! Time zones: fixed offsets, POSIX rules and the named zones of the compiled-in database.
//!
//! Offsets are seconds east of Greenwich. A local time that a zone skips is read with the offset before the gap, one
//! that it has twice with the offset after, as Postgres's `DetermineTimeZoneOffset`.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use super::abbreviations::ABBREVIATIONS;
use super::calendar::{Civil, ClockTime, civil_from_timestamp, days_from_civil, split_timestamp};
use super::{UNIX_EPOCH_MICROS, check_timestamp, timestamp_is_finite};
use crate::error::{EvalError, SqlState};
use crate::interval::{Interval, MICROS_PER_DAY, MICROS_PER_SECOND};

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Seconds east of Greenwich, always.
    Fixed(i32),
    Rules(TimeZone),
}

/// The greatest hour of a numeric zone.
const MAX_HOURS: i64 = 15;

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Zone {
        Zone {
            name: "UTC".to_owned(),
            rule: Rule::Fixed(0),
        }
    }

    /// A fixed offset, in seconds east of Greenwich.
    pub fn fixed(east: i32) -> Zone {
        let mut name = String::from("<");
        super::format::push_offset(&mut name, east);
        name.push('>');
        super::format::push_offset(&mut name, -east);
        Zone {
            name,
            rule: Rule::Fixed(east),
        }
    }

    /// The zone that AT TIME ZONE and similar functions name: an abbreviation (`EST`), a name (`Europe/Paris`, any
    /// case), or a POSIX rule (`EST5EDT`; a bare `+3` is west of Greenwich). 22023 for anything else.
    pub fn parse(name: &str) -> Result<Zone, EvalError> {
        if let Some(east) = Zone::abbreviation_offset(&name.to_ascii_lowercase()) {
            return Ok(Zone {
                name: name.to_owned(),
                rule: Rule::Fixed(east),
            });
        }
        Zone::named(name).ok_or_else(|| Zone::unknown(name))
    }

    /// The zone that the TimeZone setting names: as [`Zone::parse`] without abbreviations, or hours east of
    /// Greenwich (`-7`, `5.5`).
    pub fn parse_setting(name: &str) -> Result<Zone, EvalError> {
        let trimmed = name.trim();
        if let Ok(hours) = trimmed.parse::<f64>()
            && hours.is_finite()
            && hours.abs() <= 168.0
        {
            return Ok(Zone::fixed(libm::round(hours * 3600.0) as i32));
        }
        Zone::named(trimmed).ok_or_else(|| {
            EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid value for parameter \"TimeZone\": \"{name}\""),
            )
        })
    }

    /// The zone of an interval, as AT TIME ZONE takes one: no months, no days.
    pub fn from_interval(interval: &Interval) -> Result<Zone, EvalError> {
        if interval.months != 0 || interval.days != 0 {
            return Err(EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("interval time zone \"{interval}\" must not include months or days"),
            ));
        }
        let east = interval.micros / MICROS_PER_SECOND;
        i32::try_from(east)
            .map(Zone::fixed)
            .map_err(|_| crate::interval::out_of_range())
    }

    pub(crate) fn unknown(name: &str) -> EvalError {
        EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("time zone \"{name}\" not recognized"),
        )
    }

    /// A zone of the database or a POSIX rule.
    pub(crate) fn named(name: &str) -> Option<Zone> {
        if name.is_empty() || name.len() > 255 {
            return None;
        }
        if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("gmt") {
            return Some(Zone {
                name: name.to_ascii_uppercase(),
                rule: Rule::Fixed(0),
            });
        }
        if let Ok(zone) = TimeZoneDatabase::bundled().get(name) {
            let name = zone.iana_name().unwrap_or(name).to_owned();
            return Some(Zone {
                name,
                rule: Rule::Rules(zone),
            });
        }
        posix(name)
    }

    /// Seconds east of Greenwich of an abbreviation in lower case, as Postgres's default set has it.
    pub(crate) fn abbreviation_offset(name: &str) -> Option<i32> {
        let at = ABBREVIATIONS
            .binary_search_by_key(&name, |(abbreviation, _)| abbreviation)
            .ok()?;
        Some(ABBREVIATIONS[at].1)
    }

    /// `+hh`, `+hh:mm`, `+hhmm` or `+hh:mm:ss` in seconds east of Greenwich. `Err(true)` if out of range,
    /// `Err(false)` if malformed.
    pub(crate) fn parse_offset(text: &str) -> Result<i32, bool> {
        let negative = match text.as_bytes().first() {
            Some(b'-') => true,
            Some(b'+') => false,
            _ => return Err(false),
        };
        let mut rest = &text[1..];
        let mut hours = take_number(&mut rest)?;
        let (mut minutes, mut seconds) = (0, 0);
        if let Some(after) = rest.strip_prefix(':') {
            rest = after;
            minutes = take_number(&mut rest)?;
            if let Some(after) = rest.strip_prefix(':') {
                rest = after;
                seconds = take_number(&mut rest)?;
            }
        } else if rest.is_empty() && text.len() > 3 {
            (hours, minutes) = (hours / 100, hours % 100);
        }
        if hours > MAX_HOURS || minutes > 59 || seconds > 59 {
            return Err(true);
        }
        if !rest.is_empty() {
            return Err(false);
        }
        let east = ((hours * 60 + minutes) * 60 + seconds) as i32;
        Ok(if negative { -east } else { east })
    }

    /// The name it was asked for by, or its canonical one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds east of Greenwich at a timestamp in UTC; infinities have none.
    pub fn offset_at(&self, utc: i64) -> i32 {
        match &self.rule {
            Rule::Fixed(east) => *east,
            Rule::Rules(zone) => {
                let (unix, _) = within_jiff(utc);
                match jiff::Timestamp::from_microsecond(unix) {
                    Ok(instant) => zone.to_offset(instant).seconds(),
                    Err(_) => 0,
                }
            }
        }
    }

    /// Seconds east of Greenwich at a local timestamp.
    pub fn offset_at_local(&self, local: i64) -> i32 {
        let zone = match &self.rule {
            Rule::Fixed(east) => return *east,
            Rule::Rules(zone) => zone,
        };
        let Some(datetime) = jiff_datetime(local) else {
            return 0;
        };
        match zone.to_ambiguous_timestamp(datetime).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
            AmbiguousOffset::Gap { before, .. } => before.seconds(),
            AmbiguousOffset::Fold { after, .. } => after.seconds(),
        }
    }

    /// The local time of a timestamptz: AT TIME ZONE on a timestamptz. 22008 out of range.
    pub fn to_local(&self, utc: i64) -> Result<i64, EvalError> {
        if !timestamp_is_finite(utc) {
            return Ok(utc);
        }
        check_timestamp(utc.saturating_add(i64::from(self.offset_at(utc)) * MICROS_PER_SECOND))
    }

    /// The instant of a local time: AT TIME ZONE on a timestamp. 22008 out of range.
    pub fn to_utc(&self, local: i64) -> Result<i64, EvalError> {
        if !timestamp_is_finite(local) {
            return Ok(local);
        }
        check_timestamp(
            local.saturating_sub(i64::from(self.offset_at_local(local)) * MICROS_PER_SECOND),
        )
    }

    /// The abbreviation in use at a timestamp in UTC (`CEST`), in upper case.
    pub fn abbreviation_at(&self, utc: i64) -> String {
        match &self.rule {
            Rule::Fixed(0) => "UTC".to_owned(),
            Rule::Fixed(east) => {
                let mut text = String::new();
                super::format::push_offset(&mut text, *east);
                text
            }
            Rule::Rules(zone) => match jiff::Timestamp::from_microsecond(within_jiff(utc).0) {
                Ok(instant) => zone.to_offset_info(instant).abbreviation().to_owned(),
                Err(_) => String::new(),
            },
        }
    }
}

/// The leading digits as a number, 0 for none; `Err(true)` if they are too many.
fn take_number(rest: &mut &str) -> Result<i64, bool> {
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    if digits.is_empty() {
        Ok(0)
    } else {
        digits.parse::<i32>().map(i64::from).map_err(|_| true)
    }
}

/// A POSIX rule; `None` if it is none. Zones without a daylight rule in the string have none.
fn posix(name: &str) -> Option<Zone> {
    // A bare offset is a POSIX rule without a name, and POSIX counts west of Greenwich.
    if name.starts_with(['+', '-']) {
        let west = Zone::parse_offset(name).ok()?;
        return Some(Zone {
            name: name.to_owned(),
            rule: Rule::Fixed(-west),
        });
    }
    let zone = TimeZone::posix(name).ok()?;
    Some(Zone {
        name: name.to_owned(),
        rule: Rule::Rules(zone),
    })
}

/// Microseconds in 400 years, after which the calendar and its weekdays repeat.
const CYCLE: i64 = 146_097 * MICROS_PER_DAY;
/// Where jiff's range is left, with a margin: the years 9600 and -9000.
const HIGH_YEAR: i64 = 9_600;
const LOW_YEAR: i64 = -9_000;

/// A timestamp in Unix microseconds, moved by whole 400-year cycles into the range that jiff knows. Rules repeat
/// with the cycle, and before the first transition nothing changes.
fn within_jiff(utc: i64) -> (i64, i64) {
    let high = days_from_civil(HIGH_YEAR, 1, 1) * MICROS_PER_DAY;
    let low = days_from_civil(LOW_YEAR, 1, 1) * MICROS_PER_DAY;
    let mut shifted = utc;
    if utc >= high {
        shifted = utc - ((utc - high) / CYCLE + 1) * CYCLE;
    } else if utc < low {
        shifted = low;
    }
    (shifted + UNIX_EPOCH_MICROS, shifted)
}

fn jiff_datetime(local: i64) -> Option<DateTime> {
    let (_, shifted) = within_jiff(local);
    let (Civil { year, month, day }, clock) = civil_from_timestamp(shifted);
    let ClockTime {
        hour,
        minute,
        second,
        ..
    } = clock;
    DateTime::new(
        year as i16,
        month as i8,
        day as i8,
        hour as i8,
        minute as i8,
        second as i8,
        0,
    )
    .ok()
}

/// The date of a timestamptz in a zone, in days since 2000-01-01.
pub(crate) fn local_day(zone: &Zone, utc: i64) -> Result<i64, EvalError> {
    Ok(split_timestamp(zone.to_local(utc)?).0)
}
