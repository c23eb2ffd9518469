use super::*;

#[test]
fn integers_are_cut_towards_zero() {
    for (text, expected) in [
        ("12", "12"),
        ("-12.99", "-12"),
        ("-0.5", "0"),
        ("0012", "12"),
        ("1e3", "1000"),
        ("-2.5e0", "-2"),
        (".75", "0"),
        ("t", "1"),
        ("f", "0"),
        ("12abc", "12"),
        ("abc", "0"),
        ("", "0"),
        (
            "123456789012345678901234567890.5",
            "123456789012345678901234567890",
        ),
    ] {
        assert_eq!(format(&Letter::Integer, Some(text)), expected, "{text:?}");
    }
}

#[test]
fn reals_have_three_decimals() {
    for (text, expected) in [
        ("1", "1.000"),
        ("2.0005", "2.001"),
        ("-0.0004", "-0.000"),
        ("1e2", "100.000"),
        ("NaN", "NaN"),
    ] {
        assert_eq!(
            format(&Letter::FloatingPoint, Some(text)),
            expected,
            "{text:?}"
        );
    }
}

#[test]
fn text_shows_null_empty_and_unprintable_bytes() {
    assert_eq!(format(&Letter::Text, None), "NULL");
    assert_eq!(format(&Letter::Text, Some("")), "(empty)");
    assert_eq!(format(&Letter::Text, Some("a\tb\n")), "a@b@");
    assert_eq!(format(&Letter::Text, Some("é~")), "@@~");
}

#[test]
fn rows_and_values_sort_by_bytes() {
    let rows = || {
        vec![
            vec!["b".to_string(), "1".into()],
            vec!["a".into(), "9".into()],
            vec!["a".into(), "10".into()],
        ]
    };
    assert_eq!(
        flatten(rows(), SortMode::NoSort),
        ["b", "1", "a", "9", "a", "10"]
    );
    assert_eq!(
        flatten(rows(), SortMode::RowSort),
        ["a", "10", "a", "9", "b", "1"]
    );
    assert_eq!(
        flatten(rows(), SortMode::ValueSort),
        ["1", "10", "9", "a", "a", "b"]
    );
}

#[test]
fn the_hash_covers_each_value_and_a_newline() {
    let values: Vec<String> = (0..3).map(|n| n.to_string()).collect();
    assert_eq!(hash(&values), "996dc30fa92a088d53929ed16588ec72");
    assert_eq!(hash(&[]), "d41d8cd98f00b204e9800998ecf8427e");
}
