use super::*;

fn labels() -> Vec<String> {
    vec!["everview".to_string(), "postgresql".to_string()]
}

fn sqls(text: &str) -> Vec<String> {
    parse("f", text, &labels())
        .unwrap()
        .records
        .into_iter()
        .map(|record| record.sql)
        .collect()
}

#[test]
fn conditions_with_comments_choose_the_records() {
    let text = "\
onlyif mysql # DIV for integer division:
statement ok
a

skipif mysql # not compatible
statement ok
b

skipif postgresql # PostgreSQL requires AS
statement ok
c

onlyif everview
onlyif postgresql
query I nosort
d
----
1
";
    assert_eq!(sqls(text), ["b", "d"]);
    assert_eq!(parse("f", text, &labels()).unwrap().skipped, 2);
}

#[test]
fn halt_stops_only_those_it_is_for() {
    assert_eq!(
        sqls(
            "statement ok\na\n\nonlyif mssql\nhalt\n\nstatement ok\nb\n\nhalt\n\nstatement ok\nc\n"
        ),
        ["a", "b"]
    );
}

#[test]
fn the_threshold_is_eight_until_a_file_says_otherwise() {
    let text = "query I\na\n----\n1\n\nhash-threshold 3\n\nquery I\nb\n----\n1\n";
    let script = parse("f", text, &labels()).unwrap();
    let thresholds: Vec<u64> = script
        .records
        .iter()
        .map(|record| match &record.kind {
            Kind::Query(query) => query.threshold,
            Kind::Statement(_) => panic!("a statement"),
        })
        .collect();
    assert_eq!(thresholds, [8, 3]);
}

#[test]
fn a_query_carries_letters_sort_label_line_and_hash() {
    let text = "\n\nquery ITR rowsort label-7\nSELECT 1,\n 2;\n----\n9 values hashing to 3c13dee48d9356ae19af2515e05e6b54\n";
    let script = parse("f", text, &labels()).unwrap();
    let record = &script.records[0];
    assert_eq!((record.line, record.sql.as_str()), (3, "SELECT 1,\n 2"));
    let Kind::Query(query) = &record.kind else {
        panic!("not a query")
    };
    assert_eq!(
        query.letters,
        [Letter::Integer, Letter::Text, Letter::FloatingPoint]
    );
    assert_eq!(query.sort, SortMode::RowSort);
    assert_eq!(query.label.as_deref(), Some("label-7"));
    assert!(matches!(&query.expected, Expected::Hash { count: 9, md5 } if md5.starts_with("3c13")));
}

#[test]
fn errors_are_expected_by_state_or_pattern() {
    let text = "statement error (22012)\na\n\nquery error division\nb\n\nstatement count 3\nc\n";
    let script = parse("f", text, &labels()).unwrap();
    let Kind::Statement(StatementExpect::Error(error)) = &script.records[0].kind else {
        panic!("no error")
    };
    assert!(error.is_match("division by zero", Some("22012")));
    let Kind::Query(Query {
        expected: Expected::Error(error),
        ..
    }) = &script.records[1].kind
    else {
        panic!("no error")
    };
    assert!(error.is_match("division by zero", None));
    assert!(matches!(
        script.records[2].kind,
        Kind::Statement(StatementExpect::Count(3))
    ));
}

#[test]
fn what_is_not_supported_names_itself() {
    let error = parse("f", "connection other\nstatement ok\na\n", &labels()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "f:2: a named connection is not supported by this runner"
    );
    assert!(
        parse("f", "include other.slt\n", &labels())
            .unwrap_err()
            .to_string()
            .contains("include")
    );
    assert!(parse("f", "nonsense\n", &labels()).is_err());
}
