use super::*;
use crate::error::SqlState;
use crate::testing;
use crate::types::Typmod;
use proptest::prelude::*;

/// Types and modifiers by the names that the table of cases uses.
pub(crate) fn named_type(name: &str) -> (ScalarType, Typmod) {
    if let Some(element) = name.strip_suffix("[]") {
        let (element, typmod) = named_type(element);
        return (ScalarType::Array(Box::new(element)), typmod);
    }
    let (base, modifier) = match name.split_once('(') {
        Some((base, rest)) => (base, rest.strip_suffix(')')),
        None => (name, None),
    };
    let scalar = match base {
        "int" => ScalarType::Int32,
        "bool" => ScalarType::Bool,
        "float8" => ScalarType::Float64,
        "varchar" => ScalarType::Varchar,
        "char" | "character" => ScalarType::BpChar,
        "time" => ScalarType::Time,
        "timestamp" => ScalarType::Timestamp,
        "timestamptz" => ScalarType::TimestampTz,
        _ => ScalarType::all()
            .into_iter()
            .find(|t| t.sql_name() == base)
            .unwrap_or_else(|| panic!("no type {base}")),
    };
    let numbers: Vec<i32> = modifier.map_or(vec![], |m| {
        m.split(',').map(|n| n.parse().expect("a number")).collect()
    });
    let typmod = match (&scalar, numbers.as_slice()) {
        (ScalarType::Numeric, [p]) => Typmod::numeric(*p as u16, 0),
        (ScalarType::Numeric, [p, s]) => Typmod::numeric(*p as u16, *s as i16),
        (ScalarType::Varchar | ScalarType::BpChar, [n]) => Typmod::length(*n as u32),
        (_, [p]) => Typmod::precision(*p as u8),
        _ => Typmod::NONE,
    };
    (scalar, typmod)
}

/// COPY's escapes.
pub(crate) fn unescape(field: &str) -> String {
    let mut out = String::new();
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(c) => c,
                None => '\\',
            },
            c => c,
        });
    }
    out
}

/// What a literal cast to a type shows: its text, or its SQLSTATE, message and detail.
fn cast(name: &str, input: &str) -> String {
    let (ty, typmod) = named_type(name);
    let arena = RowArena::new();
    let value =
        parse(&ty, input, &arena).and_then(|datum| apply_typmod(&ty, typmod, datum, true, &arena));
    match value {
        Ok(datum) => {
            let mut out = "ok\t".to_string();
            format(&ty, datum, &mut out);
            out
        }
        Err(error) => {
            let detail = error.detail().map(|d| format!("\t{d}")).unwrap_or_default();
            format!("{}\t{}{detail}", error.code(), error.message())
        }
    }
}

/// Each line of the table was written by PostgreSQL 15: type, input, then `ok` and the output, or SQLSTATE, message
/// and detail.
#[test]
fn literals_are_read_and_shown_as_postgres_does() {
    let mut differences = Vec::new();
    for line in include_str!("postgres_15.tsv").lines() {
        let mut fields = line.splitn(3, '\t').map(unescape);
        let mut next = || fields.next().expect("three fields");
        let (ty, input, expected) = (next(), next(), next());
        let found = cast(&ty, &input);
        if found != expected {
            differences.push(format!(
                "{ty} {input:?}\n  postgres {expected:?}\n  everview {found:?}"
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn records_are_read_and_shown_as_postgres_does() {
    let ty = ScalarType::Record(vec![
        ("a".into(), ScalarType::Int32),
        ("b".into(), ScalarType::Text),
    ]);
    let cases = [
        ("(1,x)", "(1,x)"),
        ("(1,)", "(1,)"),
        ("(1,\"\")", "(1,\"\")"),
        (" ( 1 ,  x ) ", "(1,\"  x \")"),
        ("(1,a b)", "(1,\"a b\")"),
        ("(1,\"a\"\"b\")", "(1,\"a\"\"b\")"),
        ("(1,a\\,b)", "(1,\"a,b\")"),
        ("(,)", "(,)"),
        ("(1,\"a\"b)", "(1,ab)"),
        ("(1,x\\\\y)", "(1,\"x\\\\y\")"),
        ("(1)", "Too few columns."),
        ("(1,2,3)", "Too many columns."),
        ("1,2", "Missing left parenthesis."),
        ("(1,2)x", "Junk after right parenthesis."),
        ("(1,2", "Unexpected end of input."),
        ("(1,\"2)", "Unexpected end of input."),
        ("", "Missing left parenthesis."),
    ];
    let arena = RowArena::new();
    for (input, expected) in cases {
        let shown = match parse(&ty, input, &arena) {
            Ok(datum) => {
                let mut out = String::new();
                format(&ty, datum, &mut out);
                out
            }
            Err(error) => {
                assert_eq!(
                    error.message(),
                    format!("malformed record literal: \"{input}\"")
                );
                error.detail().unwrap_or_default().to_string()
            }
        };
        assert_eq!(shown, expected, "{input}");
    }
}

#[test]
fn an_assignment_cuts_blanks_only() {
    let arena = RowArena::new();
    let assign = |ty: &ScalarType, n, text| {
        let datum = parse(ty, text, &arena).expect("text");
        apply_typmod(ty, Typmod::length(n), datum, false, &arena)
    };
    assert_eq!(
        assign(&ScalarType::Varchar, 3, "abc  "),
        Ok(Datum::Text("abc"))
    );
    assert_eq!(
        assign(&ScalarType::Varchar, 3, "ab "),
        Ok(Datum::Text("ab "))
    );
    assert_eq!(
        assign(&ScalarType::BpChar, 4, "é"),
        Ok(Datum::BpChar("é   "))
    );
    for (ty, message) in [
        (
            ScalarType::Varchar,
            "value too long for type character varying(3)",
        ),
        (ScalarType::BpChar, "value too long for type character(3)"),
    ] {
        let error = assign(&ty, 3, "abcd").expect_err("too long");
        assert_eq!(
            (error.code(), error.message()),
            (SqlState::STRING_DATA_RIGHT_TRUNCATION, message)
        );
    }
}

#[test]
fn a_zoned_time_is_shown_and_read_in_the_session_zone() {
    let zone = crate::datetime::Zone::parse("Asia/Kolkata").expect("a zone");
    let formatting = Formatting {
        time_zone: zone,
        now: None,
    };
    let arena = RowArena::new();
    let ty = ScalarType::TimestampTz;
    let value = parse_with(&ty, "2024-01-02 03:04:05", &formatting, &arena).expect("a time");
    let mut out = String::new();
    format(&ty, value, &mut out);
    out.push_str(" / ");
    format_with(&ty, value, &formatting, &mut out);
    assert_eq!(out, "2024-01-01 21:34:05+00 / 2024-01-02 03:04:05+05:30");
}

#[test]
fn a_failed_parse_appends_nothing() {
    let mut out = vec![1, 2, 3];
    for ty in ScalarType::all() {
        if parse_into(&ty, "{\"a", &mut out).is_ok() {
            out.truncate(3);
        }
        assert_eq!(out, [1, 2, 3], "{ty:?}");
    }
}

/// Whether values of the type come back from their text with the same bytes.
fn text_keeps_identity(ty: &ScalarType) -> bool {
    match ty {
        ScalarType::Array(element) => text_keeps_identity(element),
        ScalarType::Record(fields) => fields.iter().all(|(_, ty)| text_keeps_identity(ty)),
        ScalarType::Void => false,
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn values_come_back_from_their_text((ty, row) in testing::typed_datum()) {
        prop_assume!(text_keeps_identity(&ty));
        let mut text = String::new();
        format(&ty, row.first(), &mut text);
        let arena = RowArena::new();
        prop_assert_eq!(parse(&ty, &text, &arena), Ok(row.first()), "{}", text);
        let mut packed = Vec::new();
        prop_assert_eq!(parse_into(&ty, &text, &mut packed), Ok(()));
        prop_assert_eq!(&packed[..], row.bytes());
    }

    #[test]
    fn parsing_arbitrary_text_never_panics(ty in testing::any_type(), text in testing::string()) {
        let arena = RowArena::new();
        if let Ok(datum) = parse(&ty, &text, &arena) {
            let packed = crate::Row::pack([datum]);
            prop_assert!(crate::Row::from_bytes(packed.bytes()).is_ok());
        }
    }

    #[test]
    fn parsing_text_of_numbers_and_times_never_panics(
        ty in testing::any_type(),
        text in "[-+0-9:./ TZtz,{}()\\[\\]=\"\\\\xeaA]{0,24}",
    ) {
        let arena = RowArena::new();
        if let Ok(datum) = parse(&ty, &text, &arena) {
            let packed = crate::Row::pack([datum]);
            prop_assert!(crate::Row::from_bytes(packed.bytes()).is_ok());
            let mut shown = String::new();
            format(&ty, datum, &mut shown);
            prop_assert!(parse(&ty, &shown, &arena).is_ok(), "{} gave {}", text, shown);
        }
    }
}
