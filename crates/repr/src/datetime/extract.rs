//! `extract` and `date_part`: fields of dates, times, timestamps and intervals.
//!
//! `extract` gives exact numerics with Postgres's scales, `date_part` doubles. An infinite value has only fields that
//! grow with it; the others are NULL (`None`).

use super::calendar::{Civil, ClockTime, civil_from_days, civil_from_timestamp};
use super::keywords::{self, Unit, Word};
use super::{
    EvalError, SqlState, TIMESTAMP_INFINITY, UNIX_EPOCH_DAYS, UNIX_EPOCH_MICROS, Zone,
    date_is_finite, timestamp_is_finite,
};
use crate::interval::{
    Interval, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
};
use crate::numeric::Numeric;

/// A field that `extract`, `date_part` or `date_trunc` names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are SQL's own")]
pub enum DateField {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Epoch,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl DateField {
    /// The field of a name, in any case, with the abbreviations of interval input; `None` if there is none.
    pub fn parse(name: &str) -> Option<DateField> {
        let lower = name.to_ascii_lowercase();
        if let Some(unit) = keywords::unit(&lower) {
            return DateField::of_unit(unit);
        }
        Some(match lower.as_str() {
            "dow" => DateField::DayOfWeek,
            "isodow" => DateField::IsoDayOfWeek,
            "doy" => DateField::DayOfYear,
            "isoyear" => DateField::IsoYear,
            "epoch" => DateField::Epoch,
            "timezone" => DateField::Timezone,
            "timezone_h" | "timezone_hour" => DateField::TimezoneHour,
            "timezone_m" | "timezone_minute" => DateField::TimezoneMinute,
            _ => match keywords::word(&lower)? {
                Word::Julian => DateField::Julian,
                Word::Unit(unit) => DateField::of_unit(unit)?,
                _ => return None,
            },
        })
    }

    fn of_unit(unit: Unit) -> Option<DateField> {
        Some(match unit {
            Unit::Microsecond => DateField::Microseconds,
            Unit::Millisecond => DateField::Milliseconds,
            Unit::Second => DateField::Second,
            Unit::Minute => DateField::Minute,
            Unit::Hour => DateField::Hour,
            Unit::Day => DateField::Day,
            Unit::Week => DateField::Week,
            Unit::Month => DateField::Month,
            Unit::Quarter => DateField::Quarter,
            Unit::Year => DateField::Year,
            Unit::Decade => DateField::Decade,
            Unit::Century => DateField::Century,
            Unit::Millennium => DateField::Millennium,
            Unit::Ago => return None,
        })
    }

    /// Whether the field of an infinite value is infinite and not unknown.
    fn is_monotonic(self) -> bool {
        matches!(
            self,
            DateField::Year
                | DateField::Decade
                | DateField::Century
                | DateField::Millennium
                | DateField::Julian
                | DateField::IsoYear
                | DateField::Epoch
        )
    }
}

/// The field of a name, or why there is none: 22023.
pub(crate) fn field_of(name: &str, type_name: &str) -> Result<DateField, EvalError> {
    DateField::parse(name).ok_or_else(|| unrecognized(name, type_name))
}

/// As [`field_of`], for `date_trunc`: units, and no other fields.
pub(crate) fn unit_of(name: &str, type_name: &str) -> Result<DateField, EvalError> {
    let field = field_of(name, type_name)?;
    let no_unit = matches!(
        field,
        DateField::DayOfWeek
            | DateField::IsoDayOfWeek
            | DateField::DayOfYear
            | DateField::IsoYear
            | DateField::Julian
            | DateField::Epoch
    );
    if no_unit {
        Err(unrecognized(name, type_name))
    } else {
        Ok(field)
    }
}

fn unrecognized(name: &str, type_name: &str) -> EvalError {
    let name = name.to_ascii_lowercase();
    EvalError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("unit \"{name}\" not recognized for type {type_name}"),
    )
}

pub(crate) fn unsupported(name: &str, type_name: &str) -> EvalError {
    let name = name.to_ascii_lowercase();
    EvalError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{name}\" not supported for type {type_name}"),
    )
}

/// A field's value before it is a numeric or a double.
enum Part {
    Whole(i64),
    /// Seconds and microseconds, shown in units of `10^-digits` seconds: `second` 0, `milliseconds` 3.
    Seconds {
        second: i64,
        micros: i64,
        digits: u32,
    },
    /// Microseconds, shown as seconds.
    Micros(i128),
    /// A Julian day and microseconds since its midnight.
    Julian {
        day: i64,
        micros: i64,
    },
    /// Of an infinite value.
    Infinite {
        positive: bool,
    },
}

impl Part {
    fn numeric(&self) -> Result<Numeric, EvalError> {
        Ok(match *self {
            Part::Whole(value) => Numeric::from(value),
            Part::Seconds {
                second,
                micros,
                digits,
            } => scaled(
                i128::from(second) * 1_000_000 + i128::from(micros),
                6 - digits,
            ),
            Part::Micros(micros) => scaled(micros, 6),
            Part::Julian { day, micros } => {
                let fraction = Numeric::from(micros).div(&Numeric::from(MICROS_PER_DAY))?;
                Numeric::from(day).add(&fraction)?
            }
            Part::Infinite { positive: true } => Numeric::INFINITY,
            Part::Infinite { positive: false } => Numeric::NEG_INFINITY,
        })
    }

    fn float(&self) -> f64 {
        match *self {
            Part::Whole(value) => value as f64,
            Part::Seconds {
                second,
                micros,
                digits,
            } => {
                let unit = 10f64.powi(digits as i32);
                second as f64 * unit + micros as f64 / (1_000_000.0 / unit)
            }
            Part::Micros(micros) => micros as f64 / 1_000_000.0,
            Part::Julian { day, micros } => {
                let seconds = (micros / MICROS_PER_SECOND) as f64
                    + (micros % MICROS_PER_SECOND) as f64 / 1_000_000.0;
                day as f64 + seconds / 86_400.0
            }
            Part::Infinite { positive: true } => f64::INFINITY,
            Part::Infinite { positive: false } => f64::NEG_INFINITY,
        }
    }
}

fn scaled(coefficient: i128, scale: u32) -> Numeric {
    Numeric::new(coefficient, scale).expect("a scale of at most 6")
}

fn clock_part(field: DateField, clock: ClockTime) -> Option<Part> {
    Some(match field {
        DateField::Microseconds => Part::Whole(clock.second * MICROS_PER_SECOND + clock.micros),
        DateField::Milliseconds => Part::Seconds {
            second: clock.second,
            micros: clock.micros,
            digits: 3,
        },
        DateField::Second => Part::Seconds {
            second: clock.second,
            micros: clock.micros,
            digits: 0,
        },
        DateField::Minute => Part::Whole(clock.minute),
        DateField::Hour => Part::Whole(clock.hour),
        _ => return None,
    })
}

fn civil_part(field: DateField, civil: Civil) -> Option<Part> {
    let year = i64::from(civil.year);
    Some(Part::Whole(match field {
        DateField::Day => i64::from(civil.day),
        DateField::Month => i64::from(civil.month),
        DateField::Quarter => i64::from((civil.month - 1) / 3 + 1),
        DateField::Week => civil.iso_week().1,
        DateField::Year => without_year_zero(year),
        DateField::Decade => {
            if year >= 0 {
                year / 10
            } else {
                -((8 - (year - 1)) / 10)
            }
        }
        DateField::Century => {
            if year > 0 {
                (year + 99) / 100
            } else {
                -((99 - (year - 1)) / 100)
            }
        }
        DateField::Millennium => {
            if year > 0 {
                (year + 999) / 1000
            } else {
                -((999 - (year - 1)) / 1000)
            }
        }
        DateField::IsoYear => without_year_zero(civil.iso_week().0),
        DateField::DayOfWeek => civil.weekday(),
        DateField::IsoDayOfWeek => (civil.weekday() + 6) % 7 + 1,
        DateField::DayOfYear => civil.day_of_year(),
        _ => return None,
    }))
}

/// 1 BC is year 0 of the calendar and -1 of `extract`.
fn without_year_zero(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

fn infinite_part(field: DateField, positive: bool) -> Option<Part> {
    field.is_monotonic().then_some(Part::Infinite { positive })
}

fn julian(days: i64) -> i64 {
    days - i64::from(super::DATE_MIN)
}

const TIMESTAMP_TYPE: &str = "timestamp without time zone";
const TIMESTAMPTZ_TYPE: &str = "timestamp with time zone";

fn timestamp_part(name: &str, ts: i64) -> Result<Option<Part>, EvalError> {
    let field = field_of(name, TIMESTAMP_TYPE)?;
    let of_zone = matches!(
        field,
        DateField::Timezone | DateField::TimezoneHour | DateField::TimezoneMinute
    );
    if of_zone && !timestamp_is_finite(ts) {
        return Ok(None);
    }
    local_part(field, ts, ts).ok_or_else(|| unsupported(name, TIMESTAMP_TYPE))
}

/// A field of a local timestamp whose instant is `utc`; the outer `None` says that there is no such field.
fn local_part(field: DateField, local: i64, utc: i64) -> Option<Option<Part>> {
    let (civil, clock) = civil_from_timestamp(local);
    let part = match field {
        DateField::Epoch => Some(Part::Micros(
            i128::from(utc) + i128::from(UNIX_EPOCH_MICROS),
        )),
        DateField::Julian => Some(Part::Julian {
            day: julian(civil.days()),
            micros: clock.to_micros(),
        }),
        _ => clock_part(field, clock).or_else(|| civil_part(field, civil)),
    }?;
    if timestamp_is_finite(utc) {
        Some(Some(part))
    } else {
        Some(infinite_part(field, utc == TIMESTAMP_INFINITY))
    }
}

fn timestamptz_part(name: &str, ts: i64, zone: &Zone) -> Result<Option<Part>, EvalError> {
    let field = field_of(name, TIMESTAMPTZ_TYPE)?;
    let east = i64::from(zone.offset_at(ts));
    let of_zone = match field {
        DateField::Timezone => Some(east),
        DateField::TimezoneHour => Some(east / 3600),
        DateField::TimezoneMinute => Some(east / 60 % 60),
        _ => None,
    };
    match of_zone {
        Some(value) => Ok(timestamp_is_finite(ts).then_some(Part::Whole(value))),
        None => {
            let local = ts.saturating_add(east * MICROS_PER_SECOND);
            local_part(field, local, ts).ok_or_else(|| unsupported(name, TIMESTAMPTZ_TYPE))
        }
    }
}

fn date_part_of(name: &str, date: i32) -> Result<Option<Part>, EvalError> {
    let field = field_of(name, "date")?;
    let civil = civil_from_days(i64::from(date));
    let part = match field {
        DateField::Epoch => Some(Part::Whole(
            (i64::from(date) + i64::from(UNIX_EPOCH_DAYS)) * 86_400,
        )),
        DateField::Julian => Some(Part::Whole(julian(i64::from(date)))),
        _ => civil_part(field, civil),
    };
    let part = part.ok_or_else(|| unsupported(name, "date"))?;
    if date_is_finite(date) {
        Ok(Some(part))
    } else {
        Ok(infinite_part(field, date > 0))
    }
}

const TIME_TYPE: &str = "time without time zone";

fn time_part(name: &str, micros: i64) -> Result<Part, EvalError> {
    match field_of(name, TIME_TYPE)? {
        DateField::Epoch => Ok(Part::Micros(i128::from(micros))),
        field => clock_part(field, ClockTime::from_micros(micros))
            .ok_or_else(|| unsupported(name, TIME_TYPE)),
    }
}

fn interval_part(name: &str, interval: &Interval) -> Result<Part, EvalError> {
    let field = field_of(name, "interval")?;
    let years = i64::from(interval.months / 12);
    let months = i64::from(interval.months % 12);
    Ok(match field {
        DateField::Day => Part::Whole(i64::from(interval.days)),
        DateField::Month => Part::Whole(months),
        DateField::Quarter => Part::Whole(months / 3 + 1),
        DateField::Year => Part::Whole(years),
        DateField::Decade => Part::Whole(years / 10),
        DateField::Century => Part::Whole(years / 100),
        DateField::Millennium => Part::Whole(years / 1000),
        DateField::Epoch => {
            // A year of 365.25 days, a month of 30.
            let days4 = 1461 * years + 120 * months + 4 * i64::from(interval.days);
            Part::Micros(i128::from(days4 * 21_600) * 1_000_000 + i128::from(interval.micros))
        }
        _ => {
            let micros = interval.micros;
            let clock = ClockTime {
                hour: micros / MICROS_PER_HOUR,
                minute: micros % MICROS_PER_HOUR / MICROS_PER_MINUTE,
                second: micros % MICROS_PER_MINUTE / MICROS_PER_SECOND,
                micros: micros % MICROS_PER_SECOND,
            };
            clock_part(field, clock).ok_or_else(|| unsupported(name, "interval"))?
        }
    })
}

fn numeric(part: Option<Part>) -> Result<Option<Numeric>, EvalError> {
    part.map(|p| p.numeric()).transpose()
}

/// `extract(name from timestamp)`. 22023 for an unknown field, 0A000 for one that timestamps lack.
pub fn extract_timestamp(name: &str, ts: i64) -> Result<Option<Numeric>, EvalError> {
    numeric(timestamp_part(name, ts)?)
}

/// `extract(name from timestamptz)`, in a zone. Errors as [`extract_timestamp`].
pub fn extract_timestamptz(name: &str, ts: i64, zone: &Zone) -> Result<Option<Numeric>, EvalError> {
    numeric(timestamptz_part(name, ts, zone)?)
}

/// `extract(name from date)`. Errors as [`extract_timestamp`].
pub fn extract_date(name: &str, date: i32) -> Result<Option<Numeric>, EvalError> {
    numeric(date_part_of(name, date)?)
}

/// `extract(name from time)`. Errors as [`extract_timestamp`].
pub fn extract_time(name: &str, micros: i64) -> Result<Numeric, EvalError> {
    time_part(name, micros)?.numeric()
}

/// `extract(name from interval)`. Errors as [`extract_timestamp`].
pub fn extract_interval(name: &str, interval: &Interval) -> Result<Numeric, EvalError> {
    interval_part(name, interval)?.numeric()
}

/// `date_part(name, timestamp)`. Errors as [`extract_timestamp`]. For a date, pass its timestamp.
pub fn date_part_timestamp(name: &str, ts: i64) -> Result<Option<f64>, EvalError> {
    Ok(timestamp_part(name, ts)?.map(|p| p.float()))
}

/// `date_part(name, timestamptz)`, in a zone. Errors as [`extract_timestamp`].
pub fn date_part_timestamptz(name: &str, ts: i64, zone: &Zone) -> Result<Option<f64>, EvalError> {
    Ok(timestamptz_part(name, ts, zone)?.map(|p| p.float()))
}

/// `date_part(name, time)`. Errors as [`extract_timestamp`].
pub fn date_part_time(name: &str, micros: i64) -> Result<f64, EvalError> {
    Ok(time_part(name, micros)?.float())
}

/// `date_part(name, interval)`. Errors as [`extract_timestamp`].
pub fn date_part_interval(name: &str, interval: &Interval) -> Result<f64, EvalError> {
    Ok(interval_part(name, interval)?.float())
}
