//! `date_trunc` and `date_bin`.

use super::calendar::{
    Civil, civil_from_days, days_from_civil, iso_week_start, join_timestamp, split_timestamp,
};
use super::extract::{unit_of, unsupported};
use super::{DateField, EvalError, SqlState, Zone, timestamp_is_finite, timestamp_out_of_range};
use crate::interval::{
    Interval, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
};

/// `date_trunc(name, timestamp)`. 22023 for an unknown field, 0A000 for one that cannot be truncated to.
pub fn date_trunc_timestamp(name: &str, ts: i64) -> Result<i64, EvalError> {
    const TYPE: &str = "timestamp without time zone";
    let field = unit_of(name, TYPE)?;
    if !timestamp_is_finite(ts) {
        return Ok(ts);
    }
    truncate(field, ts).ok_or_else(|| unsupported(name, TYPE))?
}

/// `date_trunc(name, timestamptz)` in a zone. Errors as [`date_trunc_timestamp`].
pub fn date_trunc_timestamptz(name: &str, ts: i64, zone: &Zone) -> Result<i64, EvalError> {
    const TYPE: &str = "timestamp with time zone";
    let field = unit_of(name, TYPE)?;
    if !timestamp_is_finite(ts) {
        return Ok(ts);
    }
    let east = i64::from(zone.offset_at(ts)) * MICROS_PER_SECOND;
    let local = ts.checked_add(east).ok_or_else(timestamp_out_of_range)?;
    let truncated = truncate(field, local).ok_or_else(|| unsupported(name, TYPE))??;
    // Hours and less stay in the offset they were in; a day may have begun in another.
    match field {
        DateField::Hour
        | DateField::Minute
        | DateField::Second
        | DateField::Milliseconds
        | DateField::Microseconds => super::check_timestamp(truncated - east),
        _ => zone.to_utc(truncated),
    }
}

/// A local timestamp truncated; `None` for a field that is no unit.
fn truncate(field: DateField, ts: i64) -> Option<Result<i64, EvalError>> {
    let unit = match field {
        DateField::Microseconds => return Some(Ok(ts)),
        DateField::Milliseconds => 1000,
        DateField::Second => MICROS_PER_SECOND,
        DateField::Minute => MICROS_PER_MINUTE,
        DateField::Hour => MICROS_PER_HOUR,
        DateField::Day => MICROS_PER_DAY,
        _ => return truncate_days(field, split_timestamp(ts).0),
    };
    Some(Ok(ts.div_euclid(unit) * unit))
}

fn truncate_days(field: DateField, days: i64) -> Option<Result<i64, EvalError>> {
    let civil = civil_from_days(days);
    let Civil { year, month, .. } = civil;
    let year = i64::from(year);
    let first_of = |year: i64, month: i64| days_from_civil(year, month, 1);
    let start = match field {
        DateField::Week => {
            let (iso_year, week) = civil.iso_week();
            iso_week_start(iso_year, week)
        }
        DateField::Month => first_of(year, i64::from(month)),
        DateField::Quarter => first_of(year, i64::from((month - 1) / 3 * 3 + 1)),
        DateField::Year => first_of(year, 1),
        DateField::Decade => first_of(
            if year > 0 {
                year / 10 * 10
            } else {
                -((8 - (year - 1)) / 10) * 10
            },
            1,
        ),
        DateField::Century => first_of(start_of_many(year, 100), 1),
        DateField::Millennium => first_of(start_of_many(year, 1000), 1),
        _ => return None,
    };
    Some(join_timestamp(start, 0).ok_or_else(timestamp_out_of_range))
}

/// The first year of a century or millennium: these begin with years 1.
fn start_of_many(year: i64, many: i64) -> i64 {
    if year > 0 {
        (year + many - 1) / many * many - (many - 1)
    } else {
        -((many - 1 - (year - 1)) / many) * many + 1
    }
}

/// `date_trunc(name, interval)`. Errors as [`date_trunc_timestamp`].
pub fn date_trunc_interval(name: &str, interval: &Interval) -> Result<Interval, EvalError> {
    let Interval {
        months,
        days,
        micros,
    } = *interval;
    let to_months = |unit: i32| Interval::new(months / unit * unit, 0, 0);
    let to_micros = |unit: i64| Interval::new(months, days, micros / unit * unit);
    Ok(match unit_of(name, "interval")? {
        DateField::Millennium => to_months(12_000),
        DateField::Century => to_months(1200),
        DateField::Decade => to_months(120),
        DateField::Year => to_months(12),
        DateField::Quarter => to_months(3),
        DateField::Month => to_months(1),
        DateField::Day => Interval::new(months, days, 0),
        DateField::Hour => to_micros(MICROS_PER_HOUR),
        DateField::Minute => to_micros(MICROS_PER_MINUTE),
        DateField::Second => to_micros(MICROS_PER_SECOND),
        DateField::Milliseconds => to_micros(1000),
        DateField::Microseconds => *interval,
        DateField::Week => {
            return Err(
                unsupported(name, "interval").with_detail("Months usually have fractional weeks.")
            );
        }
        _ => return Err(unsupported(name, "interval")),
    })
}

/// `date_bin(stride, timestamp, origin)`, alike for timestamptz: the start of the bin that holds the timestamp.
/// 0A000 for a stride with months, 22008 for one that is not positive.
pub fn date_bin(stride: &Interval, ts: i64, origin: i64) -> Result<i64, EvalError> {
    if !timestamp_is_finite(ts) {
        return Ok(ts);
    }
    if !timestamp_is_finite(origin) {
        return Err(EvalError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "origin out of range",
        ));
    }
    if stride.months != 0 {
        return Err(EvalError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let stride = i128::from(stride.days) * i128::from(MICROS_PER_DAY) + i128::from(stride.micros);
    if stride <= 0 {
        return Err(EvalError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "stride must be greater than zero",
        ));
    }
    if i64::try_from(stride).is_err() {
        return Err(crate::interval::out_of_range());
    }
    let distance = i128::from(ts) - i128::from(origin);
    let start = i128::from(origin) + distance.div_euclid(stride) * stride;
    i64::try_from(start)
        .map_err(|_| timestamp_out_of_range())
        .and_then(super::check_timestamp)
}
