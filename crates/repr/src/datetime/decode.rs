//! Date and time input: fields to a calendar day, a time of day and a zone.
//!
//! It follows `DecodeDateTime` and its helpers in Postgres's datetime.c under the order month, day, year: which
//! field a number is depends on its length and on what is already known.

use super::calendar::{civil_from_days, days_from_civil, days_in_month};
use super::fields::{self, Field, Kind};
use super::iso;
use super::keywords::{self, Unit, Word};
use super::zone::Zone;
use super::{EvalError, SqlState, UNIX_EPOCH_DAYS};
use crate::interval::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};

/// What date and time input may refer to beside itself.
#[derive(Clone, Copy, Debug)]
pub struct InputContext<'a> {
    /// The session's time zone.
    pub zone: &'a Zone,
    /// The current time (timestamptz), where `now` and `today` are allowed.
    pub now: Option<i64>,
}

/// What input names.
pub(crate) enum Decoded {
    /// A day (since 2000-01-01, unchecked), microseconds since its midnight, and the zone that was given.
    Moment {
        day: i64,
        micros: i64,
        zone: Option<Zone>,
    },
    /// The current time.
    Now,
    Infinity,
    NegInfinity,
    Epoch,
}

/// Why input is no date or time.
pub(crate) enum Fault {
    Format,
    Field,
    MonthOrDay,
    Displacement,
    Other(EvalError),
}

impl Fault {
    /// The error with Postgres's words.
    pub(crate) fn error(self, type_name: &str, text: &str) -> EvalError {
        let beyond =
            |code, what: &str| EvalError::new(code, format!("{what} out of range: \"{text}\""));
        match self {
            Fault::Format => EvalError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type {type_name}: \"{text}\""),
            ),
            Fault::Field => beyond(SqlState::DATETIME_FIELD_OVERFLOW, "date/time field value"),
            Fault::MonthOrDay => beyond(SqlState::DATETIME_FIELD_OVERFLOW, "date/time field value")
                .with_hint("Perhaps you need a different \"datestyle\" setting."),
            Fault::Displacement => beyond(
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                "time zone displacement",
            ),
            Fault::Other(error) => error,
        }
    }
}

/// Fields already known, a bit each.
mod mask {
    pub(super) const YEAR: u32 = 1;
    pub(super) const MONTH: u32 = 1 << 1;
    pub(super) const DAY: u32 = 1 << 2;
    pub(super) const DATE: u32 = YEAR | MONTH | DAY;
    pub(super) const TIME: u32 = HOUR | MINUTE | SECOND;
    pub(super) const HOUR: u32 = 1 << 3;
    pub(super) const MINUTE: u32 = 1 << 10;
    pub(super) const SECOND: u32 = 1 << 11;
    pub(super) const ZONE: u32 = 1 << 4;
    pub(super) const DAY_OF_YEAR: u32 = 1 << 5;
    pub(super) const MERIDIEM: u32 = 1 << 6;
    pub(super) const ERA: u32 = 1 << 7;
    pub(super) const WEEKDAY: u32 = 1 << 8;
    pub(super) const DAYLIGHT: u32 = 1 << 9;
}

/// What the previous field announced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pending {
    Julian,
    Time,
    Unit(Unit),
}

#[derive(Default)]
struct Decoder {
    known: u32,
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    two_digit_year: bool,
    text_month: bool,
    julian: bool,
    bc: bool,
    pm: Option<bool>,
    zone: Option<Zone>,
    daylight: bool,
    pending: Option<Pending>,
    special: Option<Word>,
    time_only: bool,
}

/// Decodes a date, a timestamp or a timestamptz.
pub(crate) fn decode(text: &str, context: &InputContext<'_>) -> Result<Decoded, Fault> {
    match iso::decode(text.as_bytes()) {
        Some((day, micros)) => Ok(Decoded::Moment {
            day,
            micros,
            zone: None,
        }),
        None => decode_fields(text, context),
    }
}

/// Decodes input of any form.
pub(super) fn decode_fields(text: &str, context: &InputContext<'_>) -> Result<Decoded, Fault> {
    let fields = fields::lex(text)
        .filter(|f| !f.is_empty())
        .ok_or(Fault::Format)?;
    let mut decoder = Decoder::default();
    decoder.all(&fields, context)?;
    decoder.finish_date()
}

/// Decodes a time of day: microseconds since midnight. Zones and dates are read and dropped.
pub(crate) fn decode_time(text: &str, context: &InputContext<'_>) -> Result<i64, Fault> {
    let fields = fields::lex(text)
        .filter(|f| !f.is_empty())
        .ok_or(Fault::Format)?;
    let mut decoder = Decoder {
        time_only: true,
        ..Decoder::default()
    };
    decoder.all(&fields, context)?;
    decoder.finish_time()
}

impl Decoder {
    fn all(&mut self, fields: &[Field], context: &InputContext<'_>) -> Result<(), Fault> {
        for (at, field) in fields.iter().enumerate() {
            let adds = match field.kind {
                Kind::Date => self.date_field(field, fields, at)?,
                Kind::Time => self.time_field(&field.text)?,
                Kind::Signed => {
                    self.zone = Some(offset_zone(&field.text)?);
                    mask::ZONE
                }
                Kind::Number => self.number_field(field, fields, at)?,
                Kind::Word | Kind::Special => self.word_field(fields, at, context)?,
            };
            if self.known & adds != 0 {
                return Err(Fault::Format);
            }
            self.known |= adds;
        }
        if self.pending.is_some() {
            return Err(Fault::Format);
        }
        Ok(())
    }

    fn has(&self, fields: u32) -> bool {
        self.known & fields == fields
    }

    fn date_field(&mut self, field: &Field, fields: &[Field], at: usize) -> Result<u32, Fault> {
        let text = field.text.as_str();
        if self.pending == Some(Pending::Julian) {
            // A Julian day with its zone attached.
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            self.julian_day(i64::from(
                text[..end].parse::<i32>().map_err(|_| Fault::Field)?,
            ));
            self.pending = None;
            self.zone = Some(offset_zone(&text[end..])?);
            return Ok(mask::DATE | mask::TIME | mask::ZONE);
        }
        let zone_or_time = self.pending.is_some() || self.has(mask::MONTH | mask::DAY);
        let date_in_time = self.time_only
            && at == 0
            && fields.len() >= 2
            && (fields[fields.len() - 1].kind == Kind::Date || fields[1].kind == Kind::Time);
        if date_in_time || !zone_or_time && !self.time_only {
            return self.date(text, self.known);
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) || self.pending.is_some() {
            // A run-together time with its zone: hhmmss-zz.
            match self.pending.take() {
                None | Some(Pending::Time) => {}
                Some(_) => return Err(Fault::Format),
            }
            if self.has(mask::TIME) {
                return Err(Fault::Format);
            }
            let dash = text.find('-').ok_or(Fault::Format)?;
            self.zone = Some(offset_zone(&text[dash..])?);
            let known = if self.time_only {
                self.known | mask::DATE
            } else {
                self.known
            };
            return Ok(self.run_together(&text[..dash], known)? | mask::ZONE);
        }
        self.zone = Some(Zone::named(text).ok_or_else(|| Fault::Other(Zone::unknown(text)))?);
        Ok(mask::ZONE)
    }

    /// Parts of a date that are parted by delimiters; a part in letters is the month.
    fn date(&mut self, text: &str, known: u32) -> Result<u32, Fault> {
        let parts = date_parts(text).ok_or(Fault::Format)?;
        let (mut known, mut adds) = (known, 0);
        let mut put = |bits: u32, known: &mut u32| {
            if *known & bits != 0 {
                return Err(Fault::Format);
            }
            *known |= bits;
            adds |= bits;
            Ok(())
        };
        for part in parts
            .iter()
            .filter(|p| p.starts_with(|c: char| c.is_ascii_alphabetic()))
        {
            match keywords::word(part) {
                Some(Word::Month(month)) => {
                    self.month = i64::from(month);
                    self.text_month = true;
                    put(mask::MONTH, &mut known)?;
                }
                Some(Word::Ignored) => {}
                _ => return Err(Fault::Format),
            }
        }
        for part in parts
            .iter()
            .filter(|p| p.starts_with(|c: char| c.is_ascii_digit()))
        {
            let bits = self.number(part, known)?;
            put(bits, &mut known)?;
        }
        let only_date = known & !(mask::DAY_OF_YEAR | mask::ZONE | mask::DATE) == 0;
        if known & mask::DATE == mask::DATE && (only_date || self.time_only) {
            Ok(adds)
        } else {
            Err(Fault::Format)
        }
    }

    fn time_field(&mut self, text: &str) -> Result<u32, Fault> {
        match self.pending.take() {
            None | Some(Pending::Time) => {}
            Some(_) => return Err(Fault::Format),
        }
        let (hour, minute, micros) = crate::interval::split_time(text)
            .map_err(|format| if format { Fault::Format } else { Fault::Field })?;
        (self.hour, self.minute) = (hour, minute);
        (self.second, self.micros) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
        // A fraction may round up to a whole second beyond the sixtieth; the sum is checked.
        if micros > 60 * MICROS_PER_SECOND && micros / MICROS_PER_SECOND > 60
            || self.time_overflows()
        {
            return Err(Fault::Field);
        }
        Ok(mask::TIME)
    }

    fn clock_micros(&self) -> i64 {
        self.hour * MICROS_PER_HOUR
            + self.minute * MICROS_PER_MINUTE
            + self.second * MICROS_PER_SECOND
            + self.micros
    }

    fn time_overflows(&self) -> bool {
        !(0..=24).contains(&self.hour)
            || !(0..=59).contains(&self.minute)
            || !(0..=60).contains(&self.second)
            || self.clock_micros() > MICROS_PER_DAY
    }

    fn number_field(&mut self, field: &Field, fields: &[Field], at: usize) -> Result<u32, Fault> {
        let text = field.text.as_str();
        match self.pending.take() {
            Some(Pending::Julian) => return self.julian_number(text),
            Some(Pending::Time) => {
                let adds = self.run_together(text, self.known | mask::DATE)?;
                return if adds == mask::TIME {
                    Ok(adds)
                } else {
                    Err(Fault::Format)
                };
            }
            Some(Pending::Unit(unit)) => return self.unit_number(text, unit),
            None => {}
        }
        let before_point = text.find('.');
        if self.time_only {
            let known = self.known | mask::DATE;
            return match before_point {
                Some(_)
                    if at == 0
                        && fields.len() >= 2
                        && fields[fields.len() - 1].kind == Kind::Date =>
                {
                    self.date(text, self.known)
                }
                Some(length) if length > 2 => self.run_together(text, known),
                Some(_) => Err(Fault::Format),
                None if text.len() > 4 => self.run_together(text, known),
                None => self.number(text, known),
            };
        }
        match before_point {
            Some(_) if self.known & mask::DATE == 0 => self.date(text, self.known),
            Some(length) if length > 2 => self.run_together(text, self.known),
            None if text.len() >= 6 && (self.known & mask::DATE == 0 || !self.has(mask::TIME)) => {
                self.run_together(text, self.known)
            }
            _ => self.number(text, self.known),
        }
    }

    /// A number whose meaning follows from what is known already.
    fn number(&mut self, text: &str, known: u32) -> Result<u32, Fault> {
        let (digits, fraction) = match text.find('.') {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        let value: i64 = i64::from(digits.parse::<i32>().map_err(|_| Fault::Field)?);
        if let Some(fraction) = fraction {
            if digits.len() > 2 {
                return self.run_together(text, known | mask::DATE);
            }
            self.micros = fraction_micros(fraction)?;
        }
        let length = text.len();
        let date = known & mask::DATE;
        if length == 3 && date == mask::YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(mask::DAY_OF_YEAR | mask::MONTH | mask::DAY);
        }
        const YEAR_MONTH: u32 = mask::YEAR | mask::MONTH;
        const MONTH_DAY: u32 = mask::MONTH | mask::DAY;
        let adds = match date {
            0 if length >= 3 => mask::YEAR,
            0 => mask::MONTH,
            mask::YEAR => mask::MONTH,
            mask::MONTH if self.text_month && length >= 3 => mask::YEAR,
            mask::MONTH => mask::DAY,
            YEAR_MONTH if self.text_month && length >= 3 && self.two_digit_year => {
                // The first number was the day after all.
                (self.day, self.year, self.two_digit_year) = (self.year, value, false);
                return Ok(mask::DAY);
            }
            YEAR_MONTH => mask::DAY,
            mask::DAY => mask::MONTH,
            MONTH_DAY => mask::YEAR,
            mask::DATE => return self.run_together(text, known),
            _ => return Err(Fault::Format),
        };
        match adds {
            mask::YEAR => {
                self.year = value;
                self.two_digit_year = length <= 2;
            }
            mask::MONTH => self.month = value,
            _ => self.day = value,
        }
        Ok(adds)
    }

    /// `yyyymmdd`, `hhmmss` or `hhmm`, with a fraction of a second.
    fn run_together(&mut self, text: &str, known: u32) -> Result<u32, Fault> {
        let digits = match text.find('.') {
            Some(at) => {
                self.micros = fraction_micros(&text[at..])?;
                &text[..at]
            }
            None => text,
        };
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fault::Format);
        }
        let length = digits.len();
        let part =
            |from: usize, to: usize| digits[from..to].parse::<i64>().map_err(|_| Fault::Field);
        if digits.len() == text.len() && known & mask::DATE != mask::DATE && length >= 6 {
            self.day = part(length - 2, length)?;
            self.month = part(length - 4, length - 2)?;
            self.year = i64::from(
                digits[..length - 4]
                    .parse::<i32>()
                    .map_err(|_| Fault::Field)?,
            );
            self.two_digit_year = length == 6;
            return Ok(mask::DATE);
        }
        if known & mask::TIME == 0 && (length == 6 || length == 4) {
            self.hour = part(0, 2)?;
            self.minute = part(2, 4)?;
            self.second = if length == 6 { part(4, 6)? } else { 0 };
            return Ok(mask::TIME);
        }
        Err(Fault::Format)
    }

    /// A number after its unit, as in `y2001m02d04`.
    fn unit_number(&mut self, text: &str, unit: Unit) -> Result<u32, Fault> {
        let (digits, fraction) = match text.find('.') {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        let value = i64::from(digits.parse::<i32>().map_err(|_| Fault::Field)?);
        if let Some(fraction) = fraction {
            if unit != Unit::Second {
                return Err(Fault::Format);
            }
            self.micros = fraction_micros(fraction)?;
        }
        Ok(match unit {
            Unit::Year => {
                self.year = value;
                mask::YEAR
            }
            // After a month and an hour, `m` is the minute.
            Unit::Month if !self.has(mask::MONTH | mask::HOUR) => {
                self.month = value;
                mask::MONTH
            }
            Unit::Month | Unit::Minute => {
                self.minute = value;
                mask::MINUTE
            }
            Unit::Day => {
                self.day = value;
                mask::DAY
            }
            Unit::Hour => {
                self.hour = value;
                mask::HOUR
            }
            Unit::Second => {
                self.second = value;
                mask::SECOND
            }
            _ => return Err(Fault::Format),
        })
    }

    fn julian_number(&mut self, text: &str) -> Result<u32, Fault> {
        let (digits, fraction) = match text.find('.') {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        self.julian_day(i64::from(digits.parse::<i32>().map_err(|_| Fault::Field)?));
        let Some(fraction) = fraction else {
            return Ok(mask::DATE);
        };
        let fraction = crate::interval::parse_fraction(fraction).ok_or(Fault::Format)?;
        let micros = (fraction * MICROS_PER_DAY as f64) as i64;
        self.hour = micros / MICROS_PER_HOUR;
        self.minute = micros % MICROS_PER_HOUR / MICROS_PER_MINUTE;
        self.second = micros % MICROS_PER_MINUTE / MICROS_PER_SECOND;
        self.micros = micros % MICROS_PER_SECOND;
        Ok(mask::DATE | mask::TIME)
    }

    fn julian_day(&mut self, julian: i64) {
        let civil = civil_from_days(julian + i64::from(super::DATE_MIN));
        self.year = i64::from(civil.year);
        (self.month, self.day) = (i64::from(civil.month), i64::from(civil.day));
        self.julian = true;
    }

    fn word_field(
        &mut self,
        fields: &[Field],
        at: usize,
        context: &InputContext<'_>,
    ) -> Result<u32, Fault> {
        let text = fields[at].text.as_str();
        // Abbreviations of zones come before other words, except where Postgres's own words are zones too.
        if let Some(east) = Zone::abbreviation_offset(text) {
            self.zone = Some(Zone::fixed(east));
            return Ok(mask::ZONE);
        }
        let Some(word) = keywords::word(text) else {
            self.zone = Some(Zone::named(text).ok_or(Fault::Format)?);
            return Ok(mask::ZONE);
        };
        match word {
            Word::Ignored => Ok(0),
            Word::Month(_) | Word::DayName if self.time_only => Err(Fault::Format),
            Word::Month(month) => Ok(self.month_word(month)),
            Word::DayName => Ok(mask::WEEKDAY),
            Word::Zone(east) => {
                self.zone = Some(Zone::fixed(east));
                Ok(mask::ZONE)
            }
            Word::DaylightModifier => {
                self.daylight = true;
                Ok(mask::DAYLIGHT)
            }
            Word::Am | Word::Pm => {
                self.pm = Some(word == Word::Pm);
                Ok(mask::MERIDIEM)
            }
            Word::Bc | Word::Ad => {
                self.bc = word == Word::Bc;
                Ok(mask::ERA)
            }
            Word::Julian => self.announce(Pending::Julian),
            Word::Unit(unit) => self.announce(Pending::Unit(unit)),
            Word::IsoTime => {
                let next = fields.get(at + 1).map(|f| f.kind);
                if !self.has(mask::DATE) && !self.time_only
                    || !matches!(next, Some(Kind::Number | Kind::Time | Kind::Date))
                {
                    return Err(Fault::Format);
                }
                self.pending = Some(Pending::Time);
                Ok(0)
            }
            special => self.special_word(special, context),
        }
    }

    fn announce(&mut self, what: Pending) -> Result<u32, Fault> {
        if self.pending.is_some() {
            return Err(Fault::Format);
        }
        self.pending = Some(what);
        Ok(0)
    }

    fn month_word(&mut self, month: i32) -> u32 {
        // A number read as the month before was the day.
        let mut adds = mask::MONTH;
        if self.known & mask::MONTH != 0
            && !self.text_month
            && self.known & mask::DAY == 0
            && (1..=31).contains(&self.month)
        {
            self.day = self.month;
            adds = mask::DAY;
        }
        self.text_month = true;
        self.month = i64::from(month);
        adds
    }

    fn special_word(&mut self, word: Word, context: &InputContext<'_>) -> Result<u32, Fault> {
        let clock = || {
            context.now.ok_or_else(|| {
                Fault::Other(
                    EvalError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "date/time input that depends on the current time is not supported here",
                    )
                    .with_hint("Use the logical clock, mz_now() or everview_now(), instead."),
                )
            })
        };
        let day_offset = match word {
            Word::Now => {
                clock()?;
                self.special = Some(word);
                return Ok(mask::DATE | mask::TIME | mask::ZONE);
            }
            Word::AllBalls => {
                (self.hour, self.minute, self.second, self.micros) = (0, 0, 0, 0);
                self.zone = Some(Zone::utc());
                return Ok(mask::TIME | mask::ZONE);
            }
            Word::Today => 0,
            Word::Tomorrow => 1,
            Word::Yesterday => -1,
            _ => {
                self.special = Some(word);
                return Ok(mask::DATE | mask::TIME | mask::ZONE);
            }
        };
        let today = super::zone::local_day(context.zone, clock()?).map_err(Fault::Other)?;
        let civil = civil_from_days(today + day_offset);
        (self.year, self.month, self.day) = (
            i64::from(civil.year),
            i64::from(civil.month),
            i64::from(civil.day),
        );
        self.julian = true;
        Ok(mask::DATE)
    }

    fn finish_date(mut self) -> Result<Decoded, Fault> {
        match self.special {
            Some(Word::Now) => return Ok(Decoded::Now),
            Some(Word::Infinity) => return Ok(Decoded::Infinity),
            Some(Word::NegInfinity) => return Ok(Decoded::NegInfinity),
            Some(_) => return Ok(Decoded::Epoch),
            None => {}
        }
        let day = self.valid_date()?;
        self.meridiem()?;
        if !self.has(mask::DATE) {
            return Err(Fault::Format);
        }
        if self.daylight {
            return Err(Fault::Format);
        }
        if self.time_overflows() {
            return Err(Fault::Field);
        }
        Ok(Decoded::Moment {
            day,
            micros: self.clock_micros(),
            zone: self.zone,
        })
    }

    fn finish_time(mut self) -> Result<i64, Fault> {
        if self.special == Some(Word::Now) {
            return Ok(-1);
        }
        if self.special.is_some() || self.daylight {
            return Err(Fault::Format);
        }
        self.valid_date()?;
        self.meridiem()?;
        if !self.has(mask::TIME) {
            return Err(Fault::Format);
        }
        if self.time_overflows() {
            return Err(Fault::Field);
        }
        Ok(self.clock_micros())
    }

    fn meridiem(&mut self) -> Result<(), Fault> {
        let Some(pm) = self.pm else { return Ok(()) };
        if self.hour > 12 {
            return Err(Fault::Field);
        }
        match (pm, self.hour) {
            (false, 12) => self.hour = 0,
            (true, 12) | (false, _) => {}
            (true, _) => self.hour += 12,
        }
        Ok(())
    }

    /// Checks year, month and day against each other: days since 2000-01-01.
    fn valid_date(&mut self) -> Result<i64, Fault> {
        if self.known & mask::YEAR != 0 && !self.julian {
            if self.bc {
                if self.year <= 0 {
                    return Err(Fault::Field);
                }
                self.year = 1 - self.year;
            } else if self.two_digit_year {
                self.year += if self.year < 70 { 2000 } else { 1900 };
            } else if self.year <= 0 {
                return Err(Fault::Field);
            }
        }
        if self.known & mask::DAY_OF_YEAR != 0 {
            let civil = civil_from_days(days_from_civil(self.year, 1, 1) + self.day_of_year - 1);
            (self.year, self.month, self.day) = (
                i64::from(civil.year),
                i64::from(civil.month),
                i64::from(civil.day),
            );
        }
        if self.known & mask::MONTH != 0 && !(1..=12).contains(&self.month)
            || self.known & mask::DAY != 0 && !(1..=31).contains(&self.day)
        {
            return Err(Fault::MonthOrDay);
        }
        if !self.has(mask::DATE) {
            return Ok(0);
        }
        if self.day > i64::from(days_in_month(self.year, self.month as i32)) {
            return Err(Fault::Field);
        }
        Ok(days_from_civil(self.year, self.month, self.day))
    }
}

/// Unix's epoch as a day since 2000-01-01.
pub(crate) fn unix_epoch_day() -> i32 {
    -UNIX_EPOCH_DAYS
}

fn offset_zone(text: &str) -> Result<Zone, Fault> {
    match Zone::parse_offset(text) {
        Ok(east) => Ok(Zone::fixed(east)),
        Err(true) => Err(Fault::Displacement),
        Err(false) => Err(Fault::Format),
    }
}

fn fraction_micros(text: &str) -> Result<i64, Fault> {
    let fraction = crate::interval::parse_fraction(text).ok_or(Fault::Format)?;
    Ok(libm::rint(fraction * MICROS_PER_SECOND as f64) as i64)
}

/// The runs of digits and of letters of a date; `None` if it ends with a delimiter.
fn date_parts(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let first = rest.chars().next()?;
        let digit = first.is_ascii_digit();
        let end = rest
            .find(|c: char| {
                if digit {
                    !c.is_ascii_digit()
                } else {
                    !c.is_ascii_alphabetic()
                }
            })
            .unwrap_or(rest.len());
        parts.push(&rest[..end]);
        // One character after a part is dropped whatever it is, as Postgres does.
        rest = &rest[end..];
        if let Some(next) = rest.chars().next() {
            rest = &rest[next.len_utf8()..];
        }
    }
    Some(parts)
}
