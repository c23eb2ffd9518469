//! The words of date, time and interval input: months, days, units, eras, special values.

/// What a word means in a date or time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    /// 1 to 12.
    Month(i32),
    /// A day of the week, which input does not need.
    DayName,
    /// A fixed zone, in seconds east of Greenwich.
    Zone(i32),
    Am,
    Pm,
    Bc,
    Ad,
    /// `on`, `at`, `t`-like words without meaning.
    Ignored,
    /// `t`, which comes before an ISO time.
    IsoTime,
    /// `j`: a Julian day follows.
    Julian,
    /// A unit of an ISO date in parts (`y2001m02d04`).
    Unit(Unit),
    Now,
    Today,
    Tomorrow,
    Yesterday,
    Epoch,
    Infinity,
    NegInfinity,
    AllBalls,
    DaylightModifier,
}

/// A unit of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    Microsecond,
    Millisecond,
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
    Ago,
}

/// Words are told apart by this many leading characters.
pub(crate) const TOKEN_MAX: usize = 10;

fn truncated(word: &str) -> &str {
    word.get(..TOKEN_MAX).unwrap_or(word)
}

/// The meaning of a word in lower case, if it is none of the zone names.
pub(crate) fn word(text: &str) -> Option<Word> {
    Some(match truncated(text) {
        "jan" | "january" => Word::Month(1),
        "feb" | "february" => Word::Month(2),
        "mar" | "march" => Word::Month(3),
        "apr" | "april" => Word::Month(4),
        "may" => Word::Month(5),
        "jun" | "june" => Word::Month(6),
        "jul" | "july" => Word::Month(7),
        "aug" | "august" => Word::Month(8),
        "sep" | "sept" | "september" => Word::Month(9),
        "oct" | "october" => Word::Month(10),
        "nov" | "november" => Word::Month(11),
        "dec" | "december" => Word::Month(12),
        "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds" | "wednesday" | "thu"
        | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat" | "saturday" | "sun"
        | "sunday" => Word::DayName,
        "am" => Word::Am,
        "pm" => Word::Pm,
        "ad" => Word::Ad,
        "bc" => Word::Bc,
        "at" | "on" => Word::Ignored,
        "t" => Word::IsoTime,
        "j" | "jd" | "julian" => Word::Julian,
        "d" => Word::Unit(Unit::Day),
        "h" => Word::Unit(Unit::Hour),
        "m" => Word::Unit(Unit::Month),
        "mm" => Word::Unit(Unit::Minute),
        "s" => Word::Unit(Unit::Second),
        "y" => Word::Unit(Unit::Year),
        "now" => Word::Now,
        "today" => Word::Today,
        "tomorrow" => Word::Tomorrow,
        "yesterday" => Word::Yesterday,
        "epoch" => Word::Epoch,
        "infinity" => Word::Infinity,
        "-infinity" => Word::NegInfinity,
        "allballs" => Word::AllBalls,
        "dst" => Word::DaylightModifier,
        "z" => Word::Zone(0),
        _ => return None,
    })
}

/// A unit of an interval; `ago` among them. Input in lower case.
pub(crate) fn unit(text: &str) -> Option<Unit> {
    Some(match truncated(text) {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "mseconds" | "msecond" | "millisecon" => Unit::Millisecond,
        "s" | "sec" | "second" | "seconds" | "secs" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hour" | "hours" | "hr" | "hrs" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "y" | "year" | "years" | "yr" | "yrs" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        "ago" => Unit::Ago,
        _ => return None,
    })
}
