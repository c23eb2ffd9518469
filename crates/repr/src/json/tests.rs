use super::*;
use crate::datum::Datum;
use crate::error::EvalError;
use crate::testing;
use proptest::prelude::*;

fn json(text: &str) -> Vec<u8> {
    parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn show(packed: &[u8]) -> String {
    Json::from_packed(packed).to_string()
}

fn with(text: &str, f: impl FnOnce(Json<'_>) -> Result<Vec<u8>, EvalError>) -> String {
    match f(Json::from_packed(&json(text))) {
        Ok(packed) => {
            Json::validate(&packed).expect("what was built is valid");
            show(&packed)
        }
        Err(error) => format!("{}: {}", error.code(), error.message()),
    }
}

/// Input and PostgreSQL 15's output.
#[test]
fn text_comes_out_as_postgres_writes_it() {
    let cases = [
        ("null", "null"),
        (" true ", "true"),
        ("\"a\"", "\"a\""),
        ("1.50", "1.50"),
        ("-0", "0"),
        ("-0.0", "0.0"),
        ("1.5e-3", "0.0015"),
        ("1E+2", "100"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("[1,[2,{\"a\":[]}]]", "[1, [2, {\"a\": []}]]"),
        (
            "{\"bb\":1,\"a\":2,\"c\":3,\"a\":4}",
            "{\"a\": 4, \"c\": 3, \"bb\": 1}",
        ),
        ("{\"\":0}", "{\"\": 0}"),
        ("\"\\ud83d\\ude00\"", "\"😀\""),
        (
            "\"\\u001f\\\"\\\\\\/\\b\\f\\n\\r\\t\\u007f\"",
            "\"\\u001f\\\"\\\\/\\b\\f\\n\\r\\t\u{7f}\"",
        ),
        ("\t[\n1\r,2 ]", "[1, 2]"),
    ];
    for (input, output) in cases {
        assert_eq!(show(&json(input)), output);
    }
    assert_eq!(show(&json("1e1000")).len(), 1001);
}

/// Input, SQLSTATE and PostgreSQL 15's DETAIL (its message, for codes other than 22P02).
#[test]
fn what_is_not_json_is_refused_as_postgres_refuses_it() {
    let cases = [
        ("", "22P02", "The input string ended unexpectedly."),
        ("{\"a\":1", "22P02", "The input string ended unexpectedly."),
        (
            "{\"a\":1,\"b\":",
            "22P02",
            "The input string ended unexpectedly.",
        ),
        ("{\"a\" 1}", "22P02", "Expected \":\", but found \"1\"."),
        (
            "{1:2}",
            "22P02",
            "Expected string or \"}\", but found \"1\".",
        ),
        ("{\"a\":1,}", "22P02", "Expected string, but found \"}\"."),
        (
            "{\"a\":1 \"b\"}",
            "22P02",
            "Expected \",\" or \"}\", but found \"\"b\"\".",
        ),
        ("[1,]", "22P02", "Expected JSON value, but found \"]\"."),
        (
            "[1 2]",
            "22P02",
            "Expected \",\" or \"]\", but found \"2\".",
        ),
        ("1 2", "22P02", "Expected end of input, but found \"2\"."),
        ("tru", "22P02", "Token \"tru\" is invalid."),
        ("nan", "22P02", "Token \"nan\" is invalid."),
        ("01", "22P02", "Token \"01\" is invalid."),
        ("1.", "22P02", "Token \"1.\" is invalid."),
        ("-", "22P02", "Token \"-\" is invalid."),
        ("+1", "22P02", "Token \"+\" is invalid."),
        ("\"abc", "22P02", "Token \"\"abc\" is invalid."),
        ("\"a\\", "22P02", "Token \"\"a\\\" is invalid."),
        ("\"\\x\"", "22P02", "Escape sequence \"\\x\" is invalid."),
        (
            "\"\\u00\"",
            "22P02",
            "\"\\u\" must be followed by four hexadecimal digits.",
        ),
        (
            "\"\\ud800\"",
            "22P02",
            "Unicode low surrogate must follow a high surrogate.",
        ),
        (
            "\"\\ude00\"",
            "22P02",
            "Unicode low surrogate must follow a high surrogate.",
        ),
        (
            "\"a\tb\"",
            "22P02",
            "Character with value 0x09 must be escaped.",
        ),
        (
            "\"\\u0000\"",
            "22P05",
            "\\u0000 cannot be converted to text.",
        ),
    ];
    for (input, code, detail) in cases {
        let error = parse(input).expect_err(input);
        assert_eq!(
            (error.code().as_str(), error.detail()),
            (code, Some(detail)),
            "{input}"
        );
    }
    assert_eq!(
        parse("1e200000").expect_err("too large").code().as_str(),
        "22003"
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let deepest = json(&nested(MAX_DEPTH));
    assert!(Json::validate(&deepest).is_ok());
    for n in [MAX_DEPTH + 1, 100_000] {
        let error = parse(&nested(n)).expect_err("too deep");
        assert_eq!(error.code().as_str(), "54001");
    }
    let mut builder = ArrayBuilder::new();
    builder.push(Json::from_packed(&deepest));
    assert_eq!(
        builder.finish().expect_err("too deep").code().as_str(),
        "54001"
    );
}

#[test]
fn members_and_elements_are_found() {
    let packed = json("{\"a\":[1,2,3],\"bb\":{\"c\":null},\"d\":\"x\"}");
    let value = Json::from_packed(&packed);
    let text = |j: Option<Json<'_>>| j.map(|j| j.to_string());
    let array = value.get("a").expect("a");
    assert_eq!(text(array.element(0)), Some("1".into()));
    assert_eq!(text(array.element(-1)), Some("3".into()));
    assert_eq!(text(array.element(3)), None);
    assert_eq!(text(array.element(-4)), None);
    assert_eq!(text(value.get("c")), None);
    assert_eq!(text(value.path(["bb", "c"])), Some("null".into()));
    assert_eq!(text(value.path(["a", " -2"])), Some("2".into()));
    assert_eq!(text(value.path(["a", "1x"])), None);
    assert_eq!(text(value.path(["d", "0"])), None);
    assert_eq!(value.path([]), Some(value));
    assert_eq!(
        value
            .get("bb")
            .and_then(|b| b.get("c"))
            .and_then(|c| c.to_unquoted()),
        None
    );
    assert_eq!(
        value.get("d").and_then(|d| d.to_unquoted()),
        Some("x".into())
    );
    // A scalar is an array of itself.
    assert_eq!(
        text(value.get("d").and_then(|d| d.element(0))),
        Some("\"x\"".into())
    );
}

#[test]
fn every_key_of_a_large_object_is_found() {
    for n in [0usize, 1, 2, 50, 300, 5000] {
        let mut builder = ObjectBuilder::new();
        (0..n).rev().for_each(|i| {
            builder.push(&format!("k{i}"), Json::from_packed(&string(&i.to_string())))
        });
        let packed = builder.finish().expect("an object");
        let object = Json::validate(&packed)
            .expect("valid")
            .as_object()
            .expect("an object");
        assert_eq!(object.len(), n);
        for i in 0..n {
            let value = object.get(&format!("k{i}")).and_then(|v| v.to_unquoted());
            assert_eq!(value, Some(i.to_string()));
        }
        assert!(object.get("k").is_none() && object.get(&format!("k{n}")).is_none());
    }
}

/// Ascending, as PostgreSQL 15 orders them.
#[test]
fn order_is_postgres_order() {
    let ascending = [
        "[]",
        "null",
        "\"\"",
        "\"a\"",
        "\"aa\"",
        "\"b\"",
        "-1",
        "0",
        "1.5",
        "10",
        "false",
        "true",
        "[null]",
        "[1]",
        "[true]",
        "[[]]",
        "[{}]",
        "[1,2]",
        "[1,3]",
        "[[],1]",
        "[1,2,3]",
        "{}",
        "{\"a\":1}",
        "{\"a\":2}",
        "{\"b\":0}",
        "{\"bb\":0}",
        "{\"a\":0,\"b\":0}",
    ];
    for (i, a) in ascending.iter().enumerate() {
        for (j, b) in ascending.iter().enumerate() {
            let (a, b) = (json(a), json(b));
            let order = compare(Json::from_packed(&a), Json::from_packed(&b));
            assert_eq!(order, i.cmp(&j), "{} {}", show(&a), show(&b));
        }
    }
}

/// Left, right, `@>`, as PostgreSQL 15 answers.
#[test]
fn containment_is_postgres_containment() {
    let cases = [
        ("[\"a\"]", "\"a\"", true),
        ("\"a\"", "[\"a\"]", false),
        ("\"a\"", "\"a\"", true),
        ("[[\"a\"]]", "\"a\"", false),
        ("{\"a\":[1,2]}", "{\"a\":[]}", true),
        ("{\"a\":[\"x\"]}", "{\"a\":\"x\"}", false),
        ("[[1,2],3]", "[[1]]", true),
        ("[1,2]", "[1,1]", true),
        ("[1.0]", "[1.00]", true),
        ("{\"a\":1,\"b\":2}", "{\"b\":2}", true),
        ("{\"a\":1}", "{\"a\":1,\"b\":2}", false),
        ("{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"c\":2}}", true),
        ("[]", "{}", false),
        ("{}", "{}", true),
        ("[]", "[]", true),
        ("[1]", "[]", true),
        ("1", "2", false),
        ("[{\"a\":1}]", "[{}]", true),
    ];
    for (a, b, expected) in cases {
        let (x, y) = (json(a), json(b));
        assert_eq!(
            contains(Json::from_packed(&x), Json::from_packed(&y)),
            expected,
            "{a} @> {b}"
        );
    }
    for (text, key, expected) in [
        ("[\"a\",\"b\"]", "a", true),
        ("\"a\"", "a", true),
        ("{\"a\":1}", "a", true),
        ("[[\"a\"]]", "a", false),
    ] {
        assert_eq!(
            exists(Json::from_packed(&json(text)), key),
            expected,
            "{text} ? {key}"
        );
    }
}

/// Results and errors of PostgreSQL 15.
#[test]
fn edits_are_postgres_edits() {
    let two = json("2");
    let two = Json::from_packed(&two);
    let concat_with = |a: &str, b: &str| {
        let b = json(b);
        with(a, |a| concat(a, Json::from_packed(&b)))
    };
    assert_eq!(
        concat_with("{\"a\":1,\"b\":1}", "{\"b\":2}"),
        "{\"a\": 1, \"b\": 2}"
    );
    assert_eq!(concat_with("\"a\"", "{\"a\":1}"), "[\"a\", {\"a\": 1}]");
    assert_eq!(concat_with("[1]", "[2]"), "[1, 2]");
    assert_eq!(concat_with("1", "2"), "[1, 2]");
    assert_eq!(concat_with("[]", "{}"), "[{}]");

    assert_eq!(
        with("{\"a\":1,\"b\":2}", |j| delete_key(j, "a")),
        "{\"b\": 2}"
    );
    assert_eq!(
        with("[\"a\",\"b\",\"a\"]", |j| delete_key(j, "a")),
        "[\"b\"]"
    );
    assert_eq!(
        with("1", |j| delete_key(j, "a")),
        "22023: cannot delete from scalar"
    );
    assert_eq!(with("[1,2]", |j| delete_index(j, -1)), "[1]");
    assert_eq!(with("[1,2]", |j| delete_index(j, 5)), "[1, 2]");
    assert_eq!(
        with("{}", |j| delete_index(j, 0)),
        "22023: cannot delete from object using integer index"
    );
    assert_eq!(
        with("{\"a\":{\"b\":1}}", |j| delete_path(j, &["a", "b"])),
        "{\"a\": {}}"
    );
    assert_eq!(with("[]", |j| delete_path(j, &["a"])), "[]");
    assert_eq!(with("[]", |j| set(j, &["a"], two, false)), "[]");
    assert_eq!(with("[1,2,3]", |j| delete_path(j, &["-1"])), "[1, 2]");
    assert_eq!(with("[1,2,3]", |j| delete_path(j, &[])), "[1, 2, 3]");
    assert_eq!(
        with("[1,2,3]", |j| delete_path(j, &["a"])),
        "22P02: path element at position 1 is not an integer: \"a\""
    );

    assert_eq!(
        with("{\"a\":1}", |j| set(j, &["b"], two, true)),
        "{\"a\": 1, \"b\": 2}"
    );
    assert_eq!(
        with("{\"a\":1}", |j| set(j, &["b"], two, false)),
        "{\"a\": 1}"
    );
    assert_eq!(
        with("{\"a\":1}", |j| set(j, &["a", "b"], two, true)),
        "{\"a\": 1}"
    );
    assert_eq!(
        with("{\"a\":{\"x\":1}}", |j| set(j, &["a", "b", "c"], two, true)),
        "{\"a\": {\"x\": 1}}"
    );
    assert_eq!(with("[1,3]", |j| set(j, &["5"], two, true)), "[1, 3, 2]");
    assert_eq!(with("[1,3]", |j| set(j, &["-5"], two, true)), "[2, 1, 3]");
    assert_eq!(with("[1,3]", |j| set(j, &["-1"], two, true)), "[1, 2]");
    assert_eq!(with("[1,3]", |j| set(j, &[], two, true)), "[1, 3]");
    assert_eq!(
        with("1", |j| set(j, &["a"], two, true)),
        "22023: cannot set path in scalar"
    );

    assert_eq!(
        with("[1,3]", |j| insert(j, &["0"], two, false)),
        "[2, 1, 3]"
    );
    assert_eq!(with("[1,3]", |j| insert(j, &["0"], two, true)), "[1, 2, 3]");
    assert_eq!(
        with("[1,3]", |j| insert(j, &["-1"], two, true)),
        "[1, 3, 2]"
    );
    assert_eq!(
        with("{\"a\":1}", |j| insert(j, &["b"], two, false)),
        "{\"a\": 1, \"b\": 2}"
    );
    assert_eq!(
        with("{\"a\":1}", |j| insert(j, &["a"], two, false)),
        "22023: cannot replace existing key"
    );

    assert_eq!(
        with("{\"a\":null,\"b\":[null,{\"c\":null}]}", strip_nulls),
        "{\"b\": [null, {}]}"
    );
}

#[test]
fn pretty_is_postgres_pretty() {
    let packed = json("{\"a\":[],\"b\":{},\"c\":[1,{\"d\":2}]}");
    let expected = "{\n    \"a\": [\n    ],\n    \"b\": {\n    },\n    \"c\": [\n        1,\n        {\n            \"d\": 2\n        }\n    ]\n}";
    assert_eq!(Json::from_packed(&packed).pretty(), expected);
}

#[test]
fn datums_become_json_as_to_jsonb_does() {
    use crate::types::ScalarType::*;
    let arena = crate::row::RowArena::new();
    let cases = [
        (Int32, "5", "5"),
        (Numeric, "1.50", "1.50"),
        (Numeric, "NaN", "\"NaN\""),
        (Float64, "Infinity", "\"Infinity\""),
        (Float64, "1e20", "100000000000000000000"),
        (Bool, "t", "true"),
        (Text, "a\"b", "\"a\\\"b\""),
        (Date, "2024-01-02", "\"2024-01-02\""),
        (
            Timestamp,
            "2024-01-02 03:04:05.5",
            "\"2024-01-02T03:04:05.5\"",
        ),
        (
            TimestampTz,
            "2024-01-02 03:04:05+00",
            "\"2024-01-02T03:04:05+00:00\"",
        ),
        (Jsonb, "{\"a\":1}", "{\"a\": 1}"),
        (
            Array(Box::new(Int32)),
            "{{1,2},{3,NULL}}",
            "[[1, 2], [3, null]]",
        ),
        (Array(Box::new(Int32)), "{}", "[]"),
        (
            Record(vec![("x".into(), Int32), ("y".into(), Text)]),
            "(1,)",
            "{\"x\": 1, \"y\": null}",
        ),
        (
            Uuid,
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
        ),
    ];
    for (ty, text, expected) in cases {
        let datum = crate::text::parse(&ty, text, &arena).expect(text);
        assert_eq!(
            show(&from_datum(&ty, datum, &Default::default()).expect(text)),
            expected
        );
    }
    assert_eq!(
        show(&from_datum(&Int32, Datum::Null, &Default::default()).expect("null")),
        "null"
    );
}

proptest! {
    #[test]
    fn values_are_valid_and_their_text_gives_them_back(packed in testing::jsonb()) {
        let value = Json::validate(&packed).expect("built values are valid");
        prop_assert_eq!(parse(&value.to_string()), Ok(packed.clone()));
        prop_assert_eq!(parse(&value.pretty()), Ok(packed.clone()));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), kind in 3..7u8) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let valid = Json::validate(&bytes);
        // Even unchecked bytes give some value.
        let value = Json::from_packed(&bytes);
        let text = value.to_string();
        push_key(&mut Vec::new(), value);
        // A string of unknown origin may hold a NUL, which text cannot.
        if valid.is_ok() && !text.contains("\\u0000") {
            prop_assert_eq!(parse(&text), Ok(bytes));
        }
    }

    #[test]
    fn damaged_values_never_panic(packed in testing::jsonb(), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let mut bytes = packed;
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(value) = Json::validate(&bytes) {
            let text = value.to_string();
            if !text.contains("\\u0000") {
                prop_assert_eq!(parse(&text), Ok(bytes.clone()));
            }
        }
    }

    #[test]
    fn parsing_arbitrary_text_never_panics(text in "[\\[\\]{}:,\"\\\\u0-9a-f .eE+-]{0,30}") {
        if let Ok(packed) = parse(&text) {
            prop_assert!(Json::validate(&packed).is_ok());
        }
    }

    #[test]
    fn order_is_total_and_keys_follow_it(a in testing::jsonb(), b in testing::jsonb()) {
        let (x, y) = (Json::from_packed(&a), Json::from_packed(&b));
        let (mut kx, mut ky) = (Vec::new(), Vec::new());
        push_key(&mut kx, x);
        push_key(&mut ky, y);
        prop_assert_eq!(kx.cmp(&ky), compare(x, y));
        prop_assert_eq!(compare(y, x), compare(x, y).reverse());
        prop_assert!(contains(x, x));
    }

    #[test]
    fn what_was_set_is_found(a in testing::jsonb(), new in testing::jsonb(), key in "[ab]{0,2}") {
        let value = Json::from_packed(&a);
        let new = Json::from_packed(&new);
        if value.kind() == Kind::Object {
            let changed = set(value, &[&key], new, true).expect("an object");
            prop_assert_eq!(Json::from_packed(&changed).get(&key), Some(new));
            let gone = delete_key(Json::from_packed(&changed), &key).expect("an object");
            prop_assert!(!exists(Json::from_packed(&gone), &key));
        }
    }
}
