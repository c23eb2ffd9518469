//! What PostgreSQL 15 gives for table functions, and that they stop when asked.

use super::*;
use everview_repr::{RowArena, Typmod, text};

fn type_named(name: &str) -> ScalarType {
    let found = ScalarType::all().into_iter().find(|t| t.sql_name() == name);
    found.unwrap_or_else(|| panic!("a type: {name}"))
}

/// The rows of a call, columns joined by `|`, at most so many; an error is its code and message.
fn rows(name: &str, args: &[(&str, Option<&str>)], most: usize) -> Vec<String> {
    let arena = RowArena::new();
    let types: Vec<_> = args.iter().map(|(ty, _)| type_named(ty)).collect();
    let datum = |((_, value), ty): (&(&str, Option<&str>), &ScalarType)| {
        value.map_or(Datum::Null, |v| {
            text::parse(ty, v, &arena).expect("a value")
        })
    };
    let datums: Vec<_> = args.iter().zip(&types).map(datum).collect();
    let resolved = resolve_table_function(name, &types)
        .expect("a name")
        .expect("one candidate");
    let call_types = CallTypes {
        args: resolved.args.clone(),
        result: resolved.columns[0].1.clone(),
        typmod: Typmod::NONE,
        time_zone: "UTC".into(),
        environment: None,
    };
    let mut out = Vec::new();
    let mut given = Vec::new();
    let result = call(resolved.func, &call_types, &datums, &mut |row| {
        given.push(row.clone());
        let shown = |((_, ty), datum): (&(String, ScalarType), Datum<'_>)| {
            let mut shown = String::new();
            text::format(ty, datum, &mut shown);
            if datum.is_null() {
                "NULL".to_string()
            } else {
                shown
            }
        };
        out.push(
            resolved
                .columns
                .iter()
                .zip(row.iter())
                .map(shown)
                .collect::<Vec<_>>()
                .join("|"),
        );
        out.len() < most
    });
    // Stopped after every other row, it gives the same.
    let (mut place, mut resumed) = (Place::default(), Vec::new());
    loop {
        let mut stopped = false;
        let again = resume(
            resolved.func,
            &call_types,
            &datums,
            &mut place,
            &mut |ordinal, row| {
                resumed.push(row);
                assert_eq!(ordinal, resumed.len() as u64);
                stopped = resumed.len().is_multiple_of(2);
                !stopped && resumed.len() < given.len()
            },
        );
        if !stopped || resumed.len() >= given.len() {
            assert!(again.is_ok() || again == result);
            break;
        }
    }
    assert_eq!(resumed, given);
    if let Err(error) = result {
        out.push(format!("!{} {}", error.code(), error.message()));
    }
    out
}

fn of(ty: &'static str, values: &[&'static str]) -> Vec<(&'static str, Option<&'static str>)> {
    values.iter().map(|v| (ty, Some(*v))).collect()
}

#[test]
fn series_include_both_ends_and_end_at_the_types_range() {
    let all = |ty, values: &[&'static str]| rows("generate_series", &of(ty, values), usize::MAX);
    assert_eq!(all("integer", &["1", "3"]), ["1", "2", "3"]);
    assert_eq!(all("integer", &["3", "1"]), [""; 0]);
    assert_eq!(all("integer", &["5", "0", "-2"]), ["5", "3", "1"]);
    assert_eq!(
        all("integer", &["2147483646", "2147483647", "3"]),
        ["2147483646"]
    );
    let most = "9223372036854775807";
    assert_eq!(
        all("bigint", &["9223372036854775806", most]),
        ["9223372036854775806", most]
    );
    assert_eq!(
        all("numeric", &["1", "1.3", "0.10"]),
        ["1", "1.10", "1.20", "1.30"]
    );
    assert_eq!(
        all("integer", &["1", "2", "0"]),
        ["!22023 step size cannot equal zero"]
    );
    assert_eq!(
        all("numeric", &["NaN", "2"]),
        ["!22023 start value cannot be NaN"]
    );
    assert_eq!(
        all("numeric", &["1", "2", "Infinity"]),
        ["!22023 step size cannot be infinity"]
    );
    assert_eq!(
        rows("generate_series", &of("integer", &["1", "2147483647"]), 2),
        ["1", "2"]
    );
    assert_eq!(
        rows(
            "generate_series",
            &[("integer", Some("1")), ("integer", None)],
            9
        ),
        [""; 0]
    );
}

#[test]
fn series_of_times_step_by_months() {
    let args = [
        ("timestamp without time zone", Some("2024-01-31")),
        ("timestamp without time zone", Some("2024-04-30")),
        ("interval", Some("1 mon")),
    ];
    let expected = [
        "2024-01-31 00:00:00",
        "2024-02-29 00:00:00",
        "2024-03-29 00:00:00",
        "2024-04-29 00:00:00",
    ];
    assert_eq!(rows("generate_series", &args, usize::MAX), expected);
}

#[test]
fn arrays_become_rows() {
    assert_eq!(
        rows("unnest", &of("integer[]", &["{{1,2},{NULL,4}}"]), 9),
        ["1", "2", "NULL", "4"]
    );
    let two = [
        ("integer[]", Some("{1,2}")),
        ("text[]", Some("{a}")),
        ("integer[]", None),
    ];
    assert_eq!(rows("unnest", &two, 9), ["1|a|NULL", "2|NULL|NULL"]);
    let subscripts = [
        ("integer[]", Some("[5:6]={1,2}")),
        ("integer", Some("1")),
        ("boolean", Some("t")),
    ];
    assert_eq!(rows("generate_subscripts", &subscripts, 9), ["6", "5"]);
    assert_eq!(
        rows("_pg_expandarray", &of("text[]", &["{x,y}"]), 9),
        ["x|1", "y|2"]
    );
}

#[test]
fn unnest_of_what_is_no_array_is_refused() {
    let args = [
        ScalarType::Array(Box::new(ScalarType::Int32)),
        ScalarType::Int32,
    ];
    let error = resolve_table_function("unnest", &args)
        .expect("a name")
        .expect_err("no array");
    assert_eq!(
        error.into_error().message(),
        "function unnest(integer[], integer) does not exist"
    );
}

#[test]
fn json_becomes_rows() {
    let json = |name: &str, value: &'static str| rows(name, &of("jsonb", &[value]), 9);
    assert_eq!(
        json("jsonb_array_elements", "[1, \"a\", null]"),
        ["1", "\"a\"", "null"]
    );
    assert_eq!(
        json("jsonb_array_elements_text", "[1, \"a\", null]"),
        ["1", "a", "NULL"]
    );
    assert_eq!(
        json("jsonb_each", "{\"b\": [1], \"a\": null}"),
        ["a|null", "b|[1]"]
    );
    assert_eq!(
        json("jsonb_each_text", "{\"b\": [1], \"a\": null}"),
        ["a|NULL", "b|[1]"]
    );
    assert_eq!(
        json("jsonb_object_keys", "{\"bb\": 1, \"c\": 2}"),
        ["c", "bb"]
    );
    assert_eq!(
        json("jsonb_array_elements", "1"),
        ["!22023 cannot extract elements from a scalar"]
    );
    assert_eq!(
        json("jsonb_array_elements", "{}"),
        ["!22023 cannot extract elements from an object"]
    );
    assert_eq!(
        json("jsonb_each", "[]"),
        ["!22023 cannot call jsonb_each on a non-object"]
    );
    assert_eq!(
        json("jsonb_object_keys", "[]"),
        ["!22023 cannot call jsonb_object_keys on an array"]
    );
}

#[test]
fn strings_become_rows() {
    let call = |name: &str, values: &[&'static str]| rows(name, &of("text", values), 9);
    assert_eq!(
        call("string_to_table", &["a,b,,c", ",", "b"]),
        ["a", "NULL", "", "c"]
    );
    assert_eq!(call("string_to_table", &["", ","]), [""; 0]);
    assert_eq!(call("string_to_table", &["ab", ""]), ["ab"]);
    assert_eq!(
        rows(
            "string_to_table",
            &[("text", Some("aé")), ("text", None)],
            9
        ),
        ["a", "é"]
    );
    assert_eq!(
        call("regexp_split_to_table", &["a1b22c", "[0-9]+"]),
        ["a", "b", "c"]
    );
    assert_eq!(call("regexp_split_to_table", &["abc", ""]), ["a", "b", "c"]);
    assert_eq!(call("regexp_matches", &["foobarbaz", "b(..)"]), ["{ar}"]);
    assert_eq!(
        call("regexp_matches", &["foobarbaz", "b(.)(x)?", "g"]),
        ["{a,NULL}", "{a,NULL}"]
    );
    assert_eq!(call("regexp_matches", &["foo", "x"]), [""; 0]);
}

#[test]
fn an_error_argument_is_the_calls_error() {
    let arena = RowArena::new();
    let error = EvalError::division_by_zero();
    let types = CallTypes {
        args: Vec::new(),
        result: ScalarType::Int32,
        typmod: Typmod::NONE,
        time_zone: "UTC".into(),
        environment: None,
    };
    let args = [arena.error(&error), Datum::Null];
    assert_eq!(call(TableFunc(0), &types, &args, &mut |_| true), Err(error));
}
