use super::*;
use crate::interval::Interval;
use crate::row::{Row, RowRef};
use crate::testing;
use proptest::prelude::*;
use std::cmp::Ordering;

/// SQL's comparison of two values of one type, NULLs last, written from the manual and not from the encoding.
fn sql_compare(a: Datum<'_>, b: Datum<'_>) -> Ordering {
    match (a, b) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Greater,
        (_, Datum::Null) => Ordering::Less,
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(&b),
        (Datum::Int16(a), Datum::Int16(b)) => a.cmp(&b),
        (Datum::Int32(a), Datum::Int32(b)) | (Datum::Date(a), Datum::Date(b)) => a.cmp(&b),
        (Datum::Int64(a), Datum::Int64(b)) => a.cmp(&b),
        (Datum::Time(a), Datum::Time(b)) => a.cmp(&b),
        (Datum::Timestamp(a), Datum::Timestamp(b)) => a.cmp(&b),
        (Datum::TimestampTz(a), Datum::TimestampTz(b)) => a.cmp(&b),
        (Datum::Float32(a), Datum::Float32(b)) => float(f64::from(a), f64::from(b)),
        (Datum::Float64(a), Datum::Float64(b)) => float(a, b),
        (Datum::Numeric(_), Datum::Numeric(_)) => a.as_numeric().cmp(&b.as_numeric()),
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Datum::BpChar(a), Datum::BpChar(b)) => a
            .trim_end_matches(' ')
            .as_bytes()
            .cmp(b.trim_end_matches(' ').as_bytes()),
        (Datum::Bytea(a), Datum::Bytea(b)) => a.cmp(b),
        (Datum::Interval(a), Datum::Interval(b)) => span(a).cmp(&span(b)),
        (Datum::Uuid(a), Datum::Uuid(b)) => a.cmp(&b),
        (Datum::Oid(a), Datum::Oid(b)) => a.cmp(&b),
        (Datum::Jsonb(a), Datum::Jsonb(b)) => crate::json::compare(a, b),
        (Datum::Array(a), Datum::Array(b)) => arrays(a, b),
        (Datum::Record(a), Datum::Record(b)) => records(a, b),
        _ => panic!("two types"),
    }
}

/// NaN is equal to itself and above everything.
fn float(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(&b).expect("no NaN"),
        (a, b) => a.cmp(&b),
    }
}

/// Months of 30 days, days of 24 hours.
fn span(v: Interval) -> i128 {
    let days = i128::from(v.months) * 30 + i128::from(v.days);
    days * 86_400_000_000 + i128::from(v.micros)
}

/// Elements, then their number, then dimensions, their lengths, their bounds.
fn arrays(a: Array<'_>, b: Array<'_>) -> Ordering {
    let lengths = |a: Array<'_>| a.dimensions().iter().map(|d| d.length).collect::<Vec<_>>();
    let lowers = |a: Array<'_>| a.dimensions().iter().map(|d| d.lower).collect::<Vec<_>>();
    let elements = a
        .elements()
        .zip(b.elements())
        .map(|(x, y)| sql_compare(x, y));
    elements
        .chain([
            a.len().cmp(&b.len()),
            a.dimensions().len().cmp(&b.dimensions().len()),
            lengths(a).cmp(&lengths(b)),
            lowers(a).cmp(&lowers(b)),
        ])
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn records(a: RowRef<'_>, b: RowRef<'_>) -> Ordering {
    let fields = a.iter().zip(b.iter()).map(|(x, y)| sql_compare(x, y));
    fields
        .into_iter()
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn key_of(datum: Datum<'_>, descending: bool, nulls_last: bool) -> Vec<u8> {
    let mut out = Vec::new();
    push_ordered(&mut out, datum, descending, nulls_last);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn comparing_keys_is_comparing_values(
        (_, a, b) in testing::typed_pair(),
        descending in any::<bool>(),
        nulls_last in any::<bool>(),
    ) {
        let (a, b) = (a.first(), b.first());
        let order = sql_compare(a, b);
        let null = a.is_null() || b.is_null();
        let expected = match null {
            true if nulls_last => order,
            true => order.reverse(),
            false if descending => order.reverse(),
            false => order,
        };
        let (x, y) = (key_of(a, descending, nulls_last), key_of(b, descending, nulls_last));
        prop_assert_eq!(x.cmp(&y), expected);
        prop_assert!(x == y || !x.starts_with(&y) && !y.starts_with(&x), "no key is another's prefix");
    }

    #[test]
    fn keys_of_several_columns_compare_column_by_column(
        (_, a, b) in testing::typed_pair(),
        (_, c, d) in testing::typed_pair(),
        descending in any::<bool>(),
    ) {
        let order = [
            ColumnOrder { column: 0, descending, nulls_last: true },
            ColumnOrder { column: 1, descending: !descending, nulls_last: false },
        ];
        let key = |first: &Row, second: &Row| {
            let mut out = Vec::new();
            push_order_by(&mut out, &[first.first(), second.first()], &order);
            out
        };
        let parts = |first: &Row, second: &Row| {
            (key_of(first.first(), descending, true), key_of(second.first(), !descending, false))
        };
        prop_assert_eq!(key(&a, &c).cmp(&key(&b, &d)), parts(&a, &c).cmp(&parts(&b, &d)));
    }

    #[test]
    fn keys_that_keep_identity_decode((ty, row) in testing::typed_datum()) {
        let arena = RowArena::new();
        let key = encode(row.iter());
        let mut rest = &key.0[..];
        match decode(&mut rest, &ty, &arena) {
            Some(datum) => {
                prop_assert_eq!(datum, row.first());
                prop_assert!(rest.is_empty());
            }
            None => prop_assert!(ty.key_loses_identity()),
        }
    }

    #[test]
    fn decoding_arbitrary_bytes_never_panics(
        ty in testing::any_type(),
        bytes in proptest::collection::vec(0..4u8, 0..40),
    ) {
        let arena = RowArena::new();
        let _ = decode(&mut &bytes[..], &ty, &arena);
    }
}

#[test]
fn values_that_sql_calls_equal_have_one_key() {
    let arena = RowArena::new();
    let parse =
        |ty: &ScalarType, text: &str| crate::text::parse(ty, text, &arena).expect("a value");
    let equal = [
        (ScalarType::Numeric, "1.0", "1.00"),
        (ScalarType::Numeric, "0", "-0.000"),
        (ScalarType::Float64, "0", "-0"),
        (ScalarType::Float32, "-0", "0"),
        (ScalarType::Float64, "NaN", "nan"),
        (ScalarType::Interval, "1 mon", "30 days"),
        (ScalarType::Interval, "1 day", "24:00:00"),
        (ScalarType::BpChar, "a", "a   "),
        (ScalarType::Jsonb, "{\"a\": 1.0}", "{\"a\": 1.00}"),
        (
            ScalarType::Array(Box::new(ScalarType::Numeric)),
            "{1.0,NULL}",
            "{1.00,null}",
        ),
    ];
    for (ty, a, b) in equal {
        let (a, b) = (parse(&ty, a), parse(&ty, b));
        assert_eq!(encode([a]), encode([b]), "{a:?} {b:?}");
        assert!(ty.key_loses_identity());
    }
    let distinct = [
        (ScalarType::Text, "a", "a "),
        (ScalarType::Varchar, "a", "a "),
        (
            ScalarType::Array(Box::new(ScalarType::Int32)),
            "{1,2}",
            "[0:1]={1,2}",
        ),
        (
            ScalarType::Array(Box::new(ScalarType::Int32)),
            "{1,2}",
            "{{1,2}}",
        ),
    ];
    for (ty, a, b) in distinct {
        assert_ne!(encode([parse(&ty, a)]), encode([parse(&ty, b)]));
    }
}
