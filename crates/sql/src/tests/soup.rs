//! Whatever text comes in, an error or a plan comes out, in time that follows the text's length.

use super::support::Session;
use crate::parse;
use proptest::prelude::*;

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "ORDER",
    "t",
    "u",
    "a",
    "b",
    "x",
    "(",
    ")",
    ",",
    ".",
    "*",
    "+",
    "-",
    "=",
    "<",
    "1",
    "2.5",
    "'s'",
    "$1",
    "AS",
    "OF",
    "JOIN",
    "LEFT",
    "ON",
    "USING",
    "NATURAL",
    "LATERAL",
    "UNION",
    "ALL",
    "EXCEPT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "IN",
    "ANY",
    "EXISTS",
    "NOT",
    "NULL",
    "IS",
    "BETWEEN",
    "AND",
    "OR",
    "SYMMETRIC",
    "count",
    "sum",
    "row_number",
    "OVER",
    "PARTITION",
    "ROWS",
    "VALUES",
    "INSERT",
    "INTO",
    "UPDATE",
    "SET",
    "DELETE",
    "CREATE",
    "TABLE",
    "VIEW",
    "MATERIALIZED",
    "int",
    "text",
    "PRIMARY",
    "KEY",
    "CHECK",
    "DEFAULT",
    "::",
    "[",
    "]",
    "ARRAY",
    "ROW",
    "LIMIT",
    "OFFSET",
    "DISTINCT",
    "WITH",
    "generate_series",
    "INTERVAL",
    "DATE",
    "EXTRACT",
    ";",
    "COPY",
    "TO",
    "STDOUT",
    "SUBSCRIBE",
    "EXPLAIN",
    "PLAN",
    "FOR",
    "DROP",
    "CASCADE",
    "IF",
    "RETURNING",
    "CONFLICT",
    "DO",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_string_is_an_error_or_a_plan(text in "\\PC{0,60}") {
        let _ = Session::with_tables().plan_all(&text);
    }

    #[test]
    fn any_words_are_an_error_or_a_plan(words in proptest::collection::vec(0..WORDS.len(), 0..40)) {
        let text: Vec<_> = words.into_iter().map(|w| WORDS[w]).collect();
        let _ = Session::with_tables().plan_all(&text.join(" "));
    }

    #[test]
    fn any_words_after_select_are_an_error_or_a_plan(words in proptest::collection::vec(0..WORDS.len(), 0..25)) {
        let text: Vec<_> = words.into_iter().map(|w| WORDS[w]).collect();
        let _ = Session::with_tables().plan_all(&format!("SELECT a FROM t WHERE {}", text.join(" ")));
        let _ = Session::with_tables().plan_all(&format!("SELECT {} FROM t, u", text.join(" ")));
    }
}

#[test]
fn deep_nesting_is_refused() {
    let session = Session::with_tables();
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("- ", "1", ""),
        ("NOT ", "true", ""),
        ("abs(", "1", ")"),
        ("CASE WHEN true THEN ", "1", " END"),
        ("ARRAY[", "1", "]"),
        ("(SELECT ", "1", ")"),
    ] {
        for depth in [30, 1_000, 50_000] {
            let sql = format!(
                "SELECT {}{middle}{}",
                open.repeat(depth),
                close.repeat(depth)
            );
            let result = session.plan(&sql);
            if depth > 30 {
                assert_eq!(result.unwrap_err().code.as_str(), "54001", "{open} {depth}");
            }
        }
    }
}

#[test]
fn long_chains_are_planned_or_refused() {
    let session = Session::with_tables();
    session
        .plan(&format!(
            "SELECT 1 WHERE true{}",
            " AND 1 = 1".repeat(2_000)
        ))
        .unwrap();
    session
        .plan(&format!("SELECT 1 WHERE 1 IN (1{})", ", 2".repeat(10_000)))
        .unwrap();
    for chain in [" + 1", " AND true", " UNION ALL SELECT 1", "::int"] {
        for length in [300, 5_000, 200_000] {
            let _ = session.plan(&format!("SELECT 1{}", chain.repeat(length)));
        }
    }
}

#[test]
fn large_texts_take_linear_time() {
    let statements = parse(&"SELECT 1, 'ü';".repeat(10_000)).unwrap();
    assert_eq!(statements.len(), 10_000);
    let session = Session::with_tables();
    let long = format!("SELECT '{}'", "x".repeat(20_000_000));
    session.plan(&long).unwrap();
    let rows = vec!["(1, 'x', 2.5, NULL)"; 20_000].join(",");
    session
        .plan(&format!("INSERT INTO t VALUES {rows}"))
        .unwrap();
}
