//! Arithmetic on intervals: field by field, with overflow checks, and fractions passed down as Postgres does.

use super::{DAYS_PER_MONTH, Interval, MICROS_PER_DAY, MICROS_PER_SECOND, out_of_range};
use crate::error::EvalError;

impl Interval {
    /// Field-wise sum. 22008 beyond a field.
    pub fn add(&self, other: &Interval) -> Result<Interval, EvalError> {
        let months = self.months.checked_add(other.months);
        let days = self.days.checked_add(other.days);
        let micros = self.micros.checked_add(other.micros);
        from_checked(months, days, micros)
    }

    /// Field-wise difference. 22008 beyond a field.
    pub fn sub(&self, other: &Interval) -> Result<Interval, EvalError> {
        let months = self.months.checked_sub(other.months);
        let days = self.days.checked_sub(other.days);
        let micros = self.micros.checked_sub(other.micros);
        from_checked(months, days, micros)
    }

    /// Field-wise negation. 22008 beyond a field.
    pub fn neg(&self) -> Result<Interval, EvalError> {
        from_checked(
            self.months.checked_neg(),
            self.days.checked_neg(),
            self.micros.checked_neg(),
        )
    }

    /// The interval times a number of times, field by field, without fractions. 22008 beyond a field.
    pub fn mul_int(&self, times: i64) -> Result<Interval, EvalError> {
        let narrow = |v: i32| {
            i64::from(v)
                .checked_mul(times)
                .and_then(|v| i32::try_from(v).ok())
        };
        from_checked(
            narrow(self.months),
            narrow(self.days),
            self.micros.checked_mul(times),
        )
    }

    /// `self * factor`: fractions of months become days, fractions of days become time. 22008 beyond a field.
    pub fn mul(&self, factor: f64) -> Result<Interval, EvalError> {
        self.scale(factor, |field| field * factor)
    }

    /// `self / divisor`, as [`Interval::mul`]. 22012 for 0.
    pub fn div(&self, divisor: f64) -> Result<Interval, EvalError> {
        if divisor == 0.0 {
            return Err(EvalError::division_by_zero());
        }
        self.scale(divisor, |field| field / divisor)
    }

    fn scale(&self, by: f64, scaled: impl Fn(f64) -> f64) -> Result<Interval, EvalError> {
        if by.is_nan() {
            return Err(out_of_range());
        }
        let months_exact = scaled(f64::from(self.months));
        let months = to_i32(months_exact)?;
        let days_exact = scaled(f64::from(self.days));
        let mut days = to_i32(days_exact)?;
        // The fractional month in days, and the fractional day in seconds; each to microseconds, so that float noise
        // does not show (interval_mul of Postgres's timestamp.c).
        let mut month_remainder =
            to_microseconds_scale((months_exact - f64::from(months)) * DAYS_PER_MONTH as f64);
        let mut seconds = to_microseconds_scale(
            (days_exact - f64::from(days) + month_remainder - libm::trunc(month_remainder))
                * SECONDS_PER_DAY,
        );
        if seconds.abs() >= SECONDS_PER_DAY {
            let whole = (seconds / SECONDS_PER_DAY) as i32;
            days = days.checked_add(whole).ok_or_else(out_of_range)?;
            seconds -= f64::from(whole) * SECONDS_PER_DAY;
        }
        month_remainder = libm::trunc(month_remainder);
        days = days
            .checked_add(to_i32(month_remainder)?)
            .ok_or_else(out_of_range)?;
        let micros = libm::rint(scaled(self.micros as f64) + seconds * MICROS_PER_SECOND as f64);
        if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros) {
            return Err(out_of_range());
        }
        Ok(Interval {
            months,
            days,
            micros: micros as i64,
        })
    }

    /// `justify_hours`: whole days of time become days.
    pub fn justify_hours(&self) -> Result<Interval, EvalError> {
        let whole = self.micros / MICROS_PER_DAY;
        let mut micros = self.micros % MICROS_PER_DAY;
        let mut days = i64::from(self.days) + whole;
        if days > 0 && micros < 0 {
            micros += MICROS_PER_DAY;
            days -= 1;
        } else if days < 0 && micros > 0 {
            micros -= MICROS_PER_DAY;
            days += 1;
        }
        from_checked(Some(self.months), i32::try_from(days).ok(), Some(micros))
    }

    /// `justify_days`: 30 days become a month.
    pub fn justify_days(&self) -> Result<Interval, EvalError> {
        let mut months = i64::from(self.months) + i64::from(self.days) / DAYS_PER_MONTH;
        let mut days = self.days % DAYS_PER_MONTH as i32;
        if months > 0 && days < 0 {
            days += DAYS_PER_MONTH as i32;
            months -= 1;
        } else if months < 0 && days > 0 {
            days -= DAYS_PER_MONTH as i32;
            months += 1;
        }
        from_checked(i32::try_from(months).ok(), Some(days), Some(self.micros))
    }

    /// `justify_interval`: both, and all fields of one sign.
    pub fn justify_interval(&self) -> Result<Interval, EvalError> {
        let mut days = i64::from(self.days) + self.micros / MICROS_PER_DAY;
        let mut micros = self.micros % MICROS_PER_DAY;
        let mut months = i64::from(self.months) + days / DAYS_PER_MONTH;
        days %= DAYS_PER_MONTH;
        if months > 0 && (days < 0 || days == 0 && micros < 0) {
            days += DAYS_PER_MONTH;
            months -= 1;
        } else if months < 0 && (days > 0 || days == 0 && micros > 0) {
            days -= DAYS_PER_MONTH;
            months += 1;
        }
        if days > 0 && micros < 0 {
            micros += MICROS_PER_DAY;
            days -= 1;
        } else if days < 0 && micros > 0 {
            micros -= MICROS_PER_DAY;
            days += 1;
        }
        from_checked(
            i32::try_from(months).ok(),
            i32::try_from(days).ok(),
            Some(micros),
        )
    }

    /// `make_interval`. 22008 beyond a field; seconds must be finite.
    pub fn make(
        years: i32,
        months: i32,
        weeks: i32,
        days: i32,
        hours: i32,
        minutes: i32,
        seconds: f64,
    ) -> Result<Interval, EvalError> {
        if !seconds.is_finite() {
            return Err(out_of_range());
        }
        let months = years.checked_mul(12).and_then(|m| m.checked_add(months));
        let days = weeks.checked_mul(7).and_then(|d| d.checked_add(days));
        let whole = i64::from(hours) * super::MICROS_PER_HOUR
            + i64::from(minutes) * super::MICROS_PER_MINUTE;
        let fraction = libm::rint(seconds * MICROS_PER_SECOND as f64);
        if fraction.abs() >= 9.2e18 {
            return Err(out_of_range());
        }
        from_checked(months, days, whole.checked_add(fraction as i64))
    }
}

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Rounded to microseconds (`TSROUND`).
fn to_microseconds_scale(value: f64) -> f64 {
    libm::rint(value * MICROS_PER_SECOND as f64) / MICROS_PER_SECOND as f64
}

fn to_i32(value: f64) -> Result<i32, EvalError> {
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value);
    if fits {
        Ok(value as i32)
    } else {
        Err(out_of_range())
    }
}

fn from_checked(
    months: Option<i32>,
    days: Option<i32>,
    micros: Option<i64>,
) -> Result<Interval, EvalError> {
    match (months, days, micros) {
        (Some(months), Some(days), Some(micros)) => Ok(Interval {
            months,
            days,
            micros,
        }),
        _ => Err(out_of_range()),
    }
}
