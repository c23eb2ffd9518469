use proptest::prelude::*;

use super::*;

fn texts(sql: &str) -> Vec<&str> {
    tokenize(sql).into_iter().map(|token| token.text).collect()
}

#[test]
fn strings_names_and_comments_are_opaque() {
    assert_eq!(
        texts("a 'x''(y' \"b\"\"c)\" -- order by\n /* /* ( */ ) */ E'\\'(' $t$ ) $t$ U&'d' $$(($$"),
        [
            "a",
            "'x''(y'",
            "\"b\"\"c)\"",
            "E'\\'('",
            "$t$ ) $t$",
            "U&'d'",
            "$$(($$"
        ]
    );
}

#[test]
fn numbers_and_symbols_are_apart() {
    assert_eq!(
        texts("1.5e-3+.5*t1.a>=2"),
        ["1.5e-3", "+", ".5", "*", "t1", ".", "a", ">", "=", "2"]
    );
}

#[test]
fn depth_counts_brackets_around_a_token() {
    let depths: Vec<(String, usize)> = tokenize("a(b[c]d)e")
        .iter()
        .map(|token| (token.text.to_string(), token.depth))
        .collect();
    let expected = [
        ("a", 0),
        ("(", 0),
        ("b", 1),
        ("[", 1),
        ("c", 2),
        ("]", 1),
        ("d", 1),
        (")", 0),
        ("e", 0),
    ];
    assert_eq!(
        depths,
        expected.map(|(text, depth)| (text.to_string(), depth))
    );
}

#[test]
fn names_fold_unless_quoted() {
    let names: Vec<_> = tokenize("Abc \"A\"\"b\"")
        .iter()
        .map(|token| token.name().unwrap())
        .collect();
    assert_eq!(names, ["abc", "A\"b"]);
}

proptest! {
    #[test]
    fn any_text_gives_slices_in_order(text in "\\PC{0,80}|[a-z'\"$/*() \\\\E\n-]{0,60}") {
        let mut end = 0;
        for token in tokenize(&text) {
            prop_assert!(token.start >= end && !token.text.is_empty());
            end = token.start + token.text.len();
            prop_assert_eq!(&text[token.start..end], token.text);
        }
    }
}
