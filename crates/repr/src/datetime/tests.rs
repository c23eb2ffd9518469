//! PostgreSQL's answers, and laws of the calendar.

use proptest::prelude::*;

use super::*;
use crate::float::{format64, parse64};
use crate::interval::Interval;

fn answer(args: &[&str]) -> Result<String, EvalError> {
    let (utc, york) = (Zone::utc(), Zone::parse("America/New_York")?);
    let context = InputContext {
        zone: &utc,
        now: None,
    };
    let york_context = InputContext {
        zone: &york,
        now: None,
    };
    let ts = |at: usize| parse_timestamp(args[at], &context);
    let tz = |at: usize| parse_timestamptz(args[at], &york_context);
    let date = |at: usize| parse_date(args[at], &context);
    let time = |at: usize| parse_time(args[at], &context);
    let interval = |at: usize| Interval::parse(args[at]);
    let int = |at: usize| args[at].parse::<i32>().unwrap();
    let null = || "NULL".to_owned();
    let local = match args[0] {
        "ts.parse" => ts(1)?,
        "ts.trunc" => date_trunc_timestamp(args[1], ts(2)?)?,
        "ts.bin" => date_bin(&interval(1)?, ts(2)?, ts(3)?)?,
        "ts.add" => timestamp_add(ts(1)?, &interval(2)?)?,
        "ts.sub" => timestamp_sub(ts(1)?, &interval(2)?)?,
        "tz.atz" => Zone::parse(args[2])?.to_local(tz(1)?)?,
        "ts.prec" => round_to_precision(ts(1)?, args[2].parse().unwrap()),
        _ => {
            let zoned = match args[0] {
                "tz.parse" => tz(1)?,
                "tz.trunc" => date_trunc_timestamptz(args[1], tz(2)?, &york)?,
                "tz.add" => timestamptz_add(tz(1)?, &interval(2)?, &york)?,
                "ts.atz" => Zone::parse(args[2])?.to_utc(ts(1)?)?,
                "tz.epoch" => timestamptz_from_epoch(parse64(args[1])?)?,
                "c.tots" => to_timestamp(args[1], args[2], &york)?,
                "d.parse" => return date(1).map(format_date),
                "d.add" => return date_add(date(1)?, int(2)).map(format_date),
                "d.make" => return make_date(int(1), int(2), int(3)).map(format_date),
                "c.date" => return to_date(args[1], args[2]).map(format_date),
                "t.parse" => return time(1).map(format_time),
                "t.make" => {
                    return make_time(int(1), int(2), args[3].parse().unwrap()).map(format_time);
                }
                "t.add" => return Ok(format_time(time_add(time(1)?, &interval(2)?))),
                "ts.age" => return Ok(age(ts(1)?, ts(2)?)?.to_string()),
                "ts.diff" => return Ok(timestamp_diff(ts(1)?, ts(2)?)?.to_string()),
                "ts.part" => {
                    return Ok(date_part_timestamp(args[1], ts(2)?)?.map_or_else(null, format64));
                }
                "t.extract" => return Ok(extract_time(args[1], time(2)?)?.to_string()),
                "d.extract" => {
                    return Ok(
                        extract_date(args[1], date(2)?)?.map_or_else(null, |v| v.to_string())
                    );
                }
                "ts.extract" => {
                    return Ok(
                        extract_timestamp(args[1], ts(2)?)?.map_or_else(null, |v| v.to_string())
                    );
                }
                "tz.extract" => {
                    return Ok(extract_timestamptz(args[1], tz(2)?, &york)?
                        .map_or_else(null, |v| v.to_string()));
                }
                "c.ts" => return Ok(to_char_timestamp(ts(1)?, args[2])?.unwrap_or_else(null)),
                "c.tz" => {
                    return Ok(to_char_timestamptz(tz(1)?, &york, args[2])?.unwrap_or_else(null));
                }
                "c.i" => return Ok(to_char_interval(&interval(1)?, args[2])?.unwrap_or_else(null)),
                other => panic!("no operation {other}"),
            };
            return Ok(format_timestamptz(zoned, &york));
        }
    };
    Ok(format_timestamp(local))
}

#[test]
fn answers_are_those_of_postgres() {
    crate::oracle::check(include_str!("postgres_15.tsv"), answer);
}

#[test]
fn input_that_depends_on_the_clock_needs_one() {
    let zone = Zone::utc();
    let without = InputContext {
        zone: &zone,
        now: None,
    };
    for text in ["now", "today", "tomorrow 05:00"] {
        let error = parse_timestamp(text, &without).unwrap_err();
        assert_eq!(error.code(), SqlState::FEATURE_NOT_SUPPORTED, "{text}");
    }
    let noon = parse_timestamp("2013-01-05 12:00", &without).unwrap();
    let with = InputContext {
        zone: &zone,
        now: Some(noon),
    };
    let shown = |text| format_timestamp(parse_timestamp(text, &with).unwrap());
    assert_eq!(shown("now"), "2013-01-05 12:00:00");
    assert_eq!(shown("yesterday 05:00"), "2013-01-04 05:00:00");
}

#[test]
fn a_skipped_local_time_is_read_before_the_gap_and_a_doubled_one_after_the_fold() {
    let zone = Zone::parse("America/New_York").unwrap();
    let context = InputContext {
        zone: &zone,
        now: None,
    };
    let shown = |text| format_timestamptz(parse_timestamptz(text, &context).unwrap(), &zone);
    assert_eq!(shown("2013-03-10 02:30"), "2013-03-10 03:30:00-04");
    assert_eq!(shown("2013-11-03 01:30"), "2013-11-03 01:30:00-05");
}

/// The rows of SQL's own definition: `(start, end) OVERLAPS (start, end)`.
#[test]
fn overlaps_holds_for_half_open_periods() {
    assert_eq!(
        overlaps((Some(1), Some(5)), (Some(5), Some(9))),
        Some(false)
    );
    assert_eq!(overlaps((Some(5), Some(1)), (Some(4), Some(9))), Some(true));
    assert_eq!(overlaps((Some(3), Some(3)), (Some(3), Some(3))), Some(true));
    assert_eq!(overlaps((Some(1), None), (Some(2), Some(3))), None);
    assert_eq!(overlaps::<i32>((None, None), (Some(2), Some(3))), None);
}

fn timestamps() -> impl Strategy<Value = i64> {
    prop_oneof![
        TIMESTAMP_MIN..TIMESTAMP_END,
        -1_000_000_000_000_000i64..1_000_000_000_000_000,
        prop::sample::select(vec![
            TIMESTAMP_MIN,
            TIMESTAMP_END - 1,
            TIMESTAMP_INFINITY,
            TIMESTAMP_NEG_INFINITY
        ]),
    ]
}

proptest! {
    #[test]
    fn timestamps_read_back_as_they_print(ts in timestamps()) {
        let utc = Zone::utc();
        let context = InputContext { zone: &utc, now: None };
        prop_assert_eq!(parse_timestamp(&format_timestamp(ts), &context), Ok(ts));
        prop_assert_eq!(parse_timestamptz(&format_timestamptz(ts, &utc), &context), Ok(ts));
        let zone = Zone::parse("Australia/Lord_Howe").unwrap();
        if zone.to_local(ts).is_ok() {
            let text = format_timestamptz(ts, &zone);
            prop_assert_eq!(parse_timestamptz(&text, &context), Ok(ts), "{}", text);
        }
    }

    #[test]
    fn the_short_way_reads_what_the_general_one_reads(
        text in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,7})?)?"
    ) {
        let utc = Zone::utc();
        let context = InputContext { zone: &utc, now: None };
        if let Some((day, micros)) = iso::decode(text.as_bytes()) {
            let general = decode::decode_fields(&text, &context);
            let same = matches!(general, Ok(decode::Decoded::Moment { day: d, micros: m, zone: None }) if (d, m) == (day, micros));
            prop_assert!(same, "{}", text);
        } else {
            prop_assert!(!text.starts_with("2024-01-01 00:00:00"), "{}", text);
        }
    }

    #[test]
    fn dates_read_back_as_they_print(date in DATE_MIN..=DATE_MAX) {
        let utc = Zone::utc();
        let context = InputContext { zone: &utc, now: None };
        prop_assert_eq!(parse_date(&format_date(date), &context), Ok(date));
        prop_assert_eq!(civil_from_days(i64::from(date)).days(), i64::from(date));
    }

    #[test]
    fn iso_weeks_begin_on_mondays_and_hold_their_days(date in DATE_MIN..=DATE_MAX) {
        let days = i64::from(date);
        let (year, week) = civil_from_days(days).iso_week();
        let start = calendar::iso_week_start(year, week);
        prop_assert_eq!(calendar::weekday(start), 1);
        prop_assert!((start..start + 7).contains(&days));
    }

    #[test]
    fn age_added_back_gives_the_later_timestamp(
        a in -1_000_000_000_000_000i64..1_000_000_000_000_000,
        b in -1_000_000_000_000_000i64..1_000_000_000_000_000,
    ) {
        let (earlier, later) = (a.min(b), a.max(b));
        let age = age(later, earlier).unwrap();
        // Days at the end of a month are clamped on the way, by three at most.
        let back = timestamp_add(earlier, &age).unwrap();
        prop_assert!((back - later).abs() <= 3 * crate::interval::MICROS_PER_DAY);
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "[-+ :/0-9.TZjanfebcytoUmpé]{0,24}", template in "[-YMDHISTZFMfmWQJCyd0124:, é\"\\\\]{0,16}") {
        let utc = Zone::utc();
        let context = InputContext { zone: &utc, now: None };
        let _dates = (parse_date(&text, &context), parse_time(&text, &context));
        let _timestamps = (parse_timestamp(&text, &context), parse_timestamptz(&text, &context));
        let _templates = (to_date(&text, &template), to_timestamp(&text, &template, &utc));
        let _printed = (to_char_timestamp(0, &template), to_char_interval(&Interval::new(-1, 2, -3), &template));
        let _zones = (Zone::parse(&text), Zone::parse_setting(&text));
    }
}
