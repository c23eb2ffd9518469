//! `to_char`, `to_date` and `to_timestamp`: templates of dates and times.
//!
//! A template is parsed once into nodes (fields with their modifiers, and text between them), which both printing
//! and reading walk. Names of months and days are English, as in the C locale.

mod print;
mod read;

use super::EvalError;

pub use print::{to_char_interval, to_char_timestamp, to_char_timestamptz};
pub use read::{to_date, to_timestamp};

/// A field of a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    Era {
        dots: bool,
    },
    Meridiem {
        dots: bool,
    },
    Century,
    DayName,
    DayShort,
    DayOfYear,
    Day,
    DayOfWeek,
    Fraction(u8),
    Exact,
    Hour24,
    Hour12,
    IsoDayOfYear,
    IsoDayOfWeek,
    IsoWeek,
    /// The last digits of the ISO year, four for all.
    IsoYear(u8),
    Julian,
    Minute,
    Month,
    MonthName,
    MonthShort,
    Millisecond,
    Offset,
    Quarter,
    RomanMonth,
    SecondOfDay,
    Second,
    ZoneHour,
    ZoneMinute,
    ZoneName,
    Microsecond,
    Week,
    WeekOfMonth,
    YearWithComma,
    /// The last digits of the year, four for all.
    Year(u8),
}

/// In which letters a name is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Case {
    Upper,
    Capital,
    Lower,
}

/// An ordinal suffix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ordinal {
    Upper,
    Lower,
}

/// A piece of a template.
#[derive(Clone, Debug)]
enum Node {
    Field {
        key: Key,
        name: String,
        case: Case,
        fill: bool,
        locale: bool,
        ordinal: Option<Ordinal>,
    },
    /// Punctuation.
    Separator(char),
    Space(char),
    Text(char),
}

/// Field names in upper case, longer ones first where one begins another.
const NAMES: &[(&str, Key)] = &[
    ("A.D.", Key::Era { dots: true }),
    ("A.M.", Key::Meridiem { dots: true }),
    ("AD", Key::Era { dots: false }),
    ("AM", Key::Meridiem { dots: false }),
    ("B.C.", Key::Era { dots: true }),
    ("BC", Key::Era { dots: false }),
    ("CC", Key::Century),
    ("DAY", Key::DayName),
    ("DDD", Key::DayOfYear),
    ("DD", Key::Day),
    ("DY", Key::DayShort),
    ("D", Key::DayOfWeek),
    ("FF1", Key::Fraction(1)),
    ("FF2", Key::Fraction(2)),
    ("FF3", Key::Fraction(3)),
    ("FF4", Key::Fraction(4)),
    ("FF5", Key::Fraction(5)),
    ("FF6", Key::Fraction(6)),
    ("FX", Key::Exact),
    ("HH24", Key::Hour24),
    ("HH12", Key::Hour12),
    ("HH", Key::Hour12),
    ("IDDD", Key::IsoDayOfYear),
    ("ID", Key::IsoDayOfWeek),
    ("IW", Key::IsoWeek),
    ("IYYY", Key::IsoYear(4)),
    ("IYY", Key::IsoYear(3)),
    ("IY", Key::IsoYear(2)),
    ("I", Key::IsoYear(1)),
    ("J", Key::Julian),
    ("MI", Key::Minute),
    ("MM", Key::Month),
    ("MONTH", Key::MonthName),
    ("MON", Key::MonthShort),
    ("MS", Key::Millisecond),
    ("OF", Key::Offset),
    ("P.M.", Key::Meridiem { dots: true }),
    ("PM", Key::Meridiem { dots: false }),
    ("Q", Key::Quarter),
    ("RM", Key::RomanMonth),
    ("SSSSS", Key::SecondOfDay),
    ("SSSS", Key::SecondOfDay),
    ("SS", Key::Second),
    ("TZH", Key::ZoneHour),
    ("TZM", Key::ZoneMinute),
    ("TZ", Key::ZoneName),
    ("US", Key::Microsecond),
    ("WW", Key::Week),
    ("W", Key::WeekOfMonth),
    ("Y,YYY", Key::YearWithComma),
    ("YYYY", Key::Year(4)),
    ("YYY", Key::Year(3)),
    ("YY", Key::Year(2)),
    ("Y", Key::Year(1)),
];

/// Names that are also known with a capital first letter only.
const CAPITALS: &[(&str, &str)] = &[
    ("Day", "DAY"),
    ("Dy", "DY"),
    ("Month", "MONTH"),
    ("Mon", "MON"),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

impl Key {
    /// Whether its text is digits, so that a number before it ends by width alone.
    fn is_digits(self) -> bool {
        !matches!(
            self,
            Key::Era { .. }
                | Key::Meridiem { .. }
                | Key::DayName
                | Key::DayShort
                | Key::Exact
                | Key::MonthName
                | Key::MonthShort
                | Key::Offset
                | Key::RomanMonth
                | Key::ZoneHour
                | Key::ZoneName
        )
    }
}

fn is_separator(c: char) -> bool {
    c.is_ascii_graphic() && !c.is_ascii_alphanumeric()
}

/// Takes a template apart.
fn parse(template: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (fill, locale) = take_prefixes(&mut rest);
        if let Some((key, name, case)) = take_name(&mut rest) {
            let ordinal = take_ordinal(&mut rest);
            nodes.push(Node::Field {
                key,
                name,
                case,
                fill,
                locale,
                ordinal,
            });
            continue;
        }
        let mut chars = rest.chars();
        match chars.next() {
            None => break,
            Some('"') => {
                rest = chars.as_str();
                take_quoted(&mut rest, &mut nodes);
            }
            Some(first) => {
                // Outside quotes a backslash only quotes a quote.
                let literal = match first {
                    '\\' if chars.as_str().starts_with('"') => chars.next().unwrap_or('"'),
                    other => other,
                };
                rest = chars.as_str();
                nodes.push(if is_separator(literal) {
                    Node::Separator(literal)
                } else if crate::numeric::is_space(literal) {
                    Node::Space(literal)
                } else {
                    Node::Text(literal)
                });
            }
        }
    }
    nodes
}

fn take_prefixes(rest: &mut &str) -> (bool, bool) {
    for (prefix, flags) in [
        ("FM", (true, false)),
        ("fm", (true, false)),
        ("TM", (false, true)),
        ("tm", (false, true)),
    ] {
        if let Some(after) = rest.strip_prefix(prefix) {
            *rest = after;
            return flags;
        }
    }
    (false, false)
}

/// A field at the front, as the template spells it.
fn take_name(rest: &mut &str) -> Option<(Key, String, Case)> {
    let capital = CAPITALS
        .iter()
        .find(|(spelled, _)| rest.starts_with(spelled));
    let (spelled, key, case) = match capital {
        Some((spelled, name)) => (
            *spelled,
            NAMES.iter().find(|(n, _)| n == name)?.1,
            Case::Capital,
        ),
        None => NAMES.iter().find_map(|(name, key)| {
            let head = rest.get(..name.len())?;
            // All in one case; mixtures are no names.
            let upper = head == *name;
            let lower =
                head.eq_ignore_ascii_case(name) && !head.bytes().any(|b| b.is_ascii_uppercase());
            (upper || lower).then_some((head, *key, if upper { Case::Upper } else { Case::Lower }))
        })?,
    };
    let spelled = spelled.to_owned();
    *rest = &rest[spelled.len()..];
    Some((key, spelled, case))
}

fn take_ordinal(rest: &mut &str) -> Option<Ordinal> {
    // Spelling numbers out is a modifier that Postgres knows and does nothing for.
    if let Some(after) = rest.strip_prefix("SP") {
        *rest = after;
        return None;
    }
    let ordinal = match rest.get(..2)? {
        "TH" => Ordinal::Upper,
        "th" => Ordinal::Lower,
        _ => return None,
    };
    *rest = &rest[2..];
    Some(ordinal)
}

fn take_quoted(rest: &mut &str, nodes: &mut Vec<Node>) {
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some(quoted) => nodes.push(Node::Text(quoted)),
                None => nodes.push(Node::Text('\\')),
            },
            _ => nodes.push(Node::Text(c)),
        }
    }
    *rest = chars.as_str();
}
