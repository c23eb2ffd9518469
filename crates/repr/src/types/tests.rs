use super::*;
use crate::interval::IntervalFields;

/// As PostgreSQL 15's pg_attribute and format_type have them.
#[test]
fn modifiers_are_packed_and_named_as_in_postgres() {
    use IntervalFields::*;
    let cases = [
        (
            ScalarType::Interval,
            Typmod::interval(None, None),
            -1,
            "interval",
        ),
        (
            ScalarType::Interval,
            Typmod::interval(None, Some(3)),
            2147418115,
            "interval(3)",
        ),
        (
            ScalarType::Interval,
            Typmod::interval(Some(DayToSecond), Some(2)),
            470286338,
            "interval day to second(2)",
        ),
        (
            ScalarType::Interval,
            Typmod::interval(Some(YearToMonth), None),
            458751,
            "interval year to month",
        ),
        (
            ScalarType::Interval,
            Typmod::interval(Some(Hour), None),
            67174399,
            "interval hour",
        ),
        (
            ScalarType::Interval,
            Typmod::interval(Some(Second), Some(1)),
            268435457,
            "interval second(1)",
        ),
        (
            ScalarType::Interval,
            Typmod::interval(Some(MinuteToSecond), None),
            402718719,
            "interval minute to second",
        ),
        (
            ScalarType::Time,
            Typmod::precision(3),
            3,
            "time(3) without time zone",
        ),
        (
            ScalarType::TimestampTz,
            Typmod::precision(2),
            2,
            "timestamp(2) with time zone",
        ),
        (
            ScalarType::Numeric,
            Typmod::numeric(15, 2),
            983046,
            "numeric(15,2)",
        ),
        (
            ScalarType::Numeric,
            Typmod::numeric(3, -2),
            198658,
            "numeric(3,-2)",
        ),
        (
            ScalarType::Varchar,
            Typmod::length(20),
            24,
            "character varying(20)",
        ),
        (ScalarType::BpChar, Typmod::length(3), 7, "character(3)"),
        (ScalarType::BpChar, Typmod::NONE, -1, "bpchar"),
        (
            ScalarType::Array(Box::new(ScalarType::Varchar)),
            Typmod::length(2),
            6,
            "character varying(2)[]",
        ),
    ];
    for (ty, typmod, packed, name) in cases {
        assert_eq!(
            (typmod.0, ty.sql_name_with(typmod).as_str()),
            (packed, name)
        );
    }
    assert_eq!(
        Typmod(470286338).as_interval(),
        (Some(DayToSecond), Some(2))
    );
    assert_eq!(Typmod(198658).as_numeric(), Some((3, -2)));
}

#[test]
fn every_oid_gives_its_type_back() {
    for ty in ScalarType::all() {
        assert_eq!(ScalarType::from_oid(ty.oid()), Some(ty));
    }
}
