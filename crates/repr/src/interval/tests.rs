//! PostgreSQL's answers, and laws of keys and arithmetic.

use proptest::prelude::*;

use super::*;
use crate::datetime as dt;
use crate::float::{format64, parse64};

fn answer(args: &[&str]) -> Result<String, EvalError> {
    let i = |at: usize| Interval::parse(args[at]);
    let declared = |fields| Interval::parse_fields(args[1], Some(fields));
    let interval = match args[0] {
        "i.parse" => i(1)?,
        "i.y2m" => declared(IntervalFields::YearToMonth)?,
        "i.d2s" => declared(IntervalFields::DayToSecond)?,
        "i.m2s" => declared(IntervalFields::MinuteToSecond)?,
        "i.hour" => declared(IntervalFields::Hour)?,
        "i.p2" => i(1)?.with_typmod(None, Some(2))?,
        "i.add" => i(1)?.add(&i(2)?)?,
        "i.sub" => i(1)?.sub(&i(2)?)?,
        "i.neg" => i(1)?.neg()?,
        "i.mul" => i(1)?.mul(parse64(args[2])?)?,
        "i.div" => i(1)?.div(parse64(args[2])?)?,
        "i.jh" => i(1)?.justify_hours()?,
        "i.jd" => i(1)?.justify_days()?,
        "i.ji" => i(1)?.justify_interval()?,
        "i.trunc" => dt::date_trunc_interval(args[1], &i(2)?)?,
        "i.make" => {
            let v: Vec<i32> = args[1..7].iter().map(|x| x.parse().unwrap()).collect();
            Interval::make(v[0], v[1], v[2], v[3], v[4], v[5], parse64(args[7])?)?
        }
        "i.cmp" => return Ok((i(1)?.cmp(&i(2)?) as i32).to_string()),
        "i.extract" => return Ok(dt::extract_interval(args[1], &i(2)?)?.to_string()),
        "i.part" => return dt::date_part_interval(args[1], &i(2)?).map(format64),
        other => panic!("no operation {other}"),
    };
    Ok(interval.to_string())
}

#[test]
fn answers_are_those_of_postgres() {
    crate::oracle::check(include_str!("postgres_15.tsv"), answer);
}

fn key(value: Interval) -> Vec<u8> {
    let mut out = Vec::new();
    push_key(&mut out, value);
    out
}

#[test]
fn a_month_and_thirty_days_have_one_key() {
    let (month, days, hours) = (
        Interval::new(1, 0, 0),
        Interval::new(0, 30, 0),
        Interval::new(0, 0, 30 * MICROS_PER_DAY),
    );
    assert_eq!(key(month), key(days));
    assert_eq!(key(days), key(hours));
    assert!(!month.identical(&days));
}

fn intervals() -> impl Strategy<Value = Interval> {
    prop_oneof![
        (any::<i32>(), any::<i32>(), any::<i64>()).prop_map(|(m, d, t)| Interval::new(m, d, t)),
        (-3i32..3, -90i32..90, -3i64..3).prop_map(|(m, d, t)| Interval::new(
            m,
            d,
            t * MICROS_PER_DAY
        )),
    ]
}

proptest! {
    #[test]
    fn intervals_read_back_as_they_print(value in intervals()) {
        // The least microsecond count has no magnitude of its own in the text form.
        prop_assume!(value.micros != i64::MIN);
        prop_assert!(Interval::parse(&value.to_string()).unwrap().identical(&value));
    }

    #[test]
    fn keys_order_and_equal_as_spans_do(a in intervals(), b in intervals()) {
        prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        prop_assert_eq!(a == b, a.span() == b.span());
    }

    #[test]
    fn sums_are_those_of_the_fields(a in intervals(), b in intervals()) {
        if let Ok(sum) = a.add(&b) {
            prop_assert_eq!(sum.span(), a.span() + b.span());
            prop_assert!(sum.sub(&b).unwrap().identical(&a));
        }
        if let Ok(justified) = a.justify_interval() {
            prop_assert_eq!(justified.span(), a.span());
        }
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "[-+ :0-9.PTYMDWHSdaysmontheckg@]{0,24}") {
        let _any = Interval::parse(&text);
    }
}
