use super::*;
use crate::script::{Kind, parse};

fn parsed(text: &str) -> Query {
    let script = parse("f", text, &[]).unwrap();
    match script.records.into_iter().next().unwrap().kind {
        Kind::Query(query) => query,
        Kind::Statement(_) => panic!("a statement"),
    }
}

fn rows(values: &[&[Option<&str>]]) -> Result<Outcome, EngineError> {
    let width = values.first().map_or(1, |row| row.len());
    Ok(Outcome::Rows(Rows {
        columns: (0..width).map(|n| format!("c{n}")).collect(),
        rows: values
            .iter()
            .map(|row| row.iter().map(|v| v.map(str::to_string)).collect())
            .collect(),
    }))
}

fn passes(text: &str, outcome: &Result<Outcome, EngineError>, order: Order) -> bool {
    query(&parsed(text), outcome, order, &mut Labels::new()).is_ok()
}

#[test]
fn values_are_compared_one_a_line() {
    let two = rows(&[&[Some("1"), None], &[Some("2"), Some("")]]);
    assert!(passes(
        "query IT nosort\nq\n----\n1\nNULL\n2\n(empty)\n",
        &two,
        Order::Kept
    ));
    assert!(
        !passes("query IT nosort\nq\n----\n1\nNULL\n2\n", &two, Order::Kept),
        "a prefix is not a pass"
    );
    assert!(
        !passes(
            "query I nosort\nq\n----\n1\nNULL\n2\n(empty)\n",
            &two,
            Order::Kept
        ),
        "nor a wrong width"
    );
}

#[test]
fn a_lost_order_compares_rows_as_a_multiset() {
    let swapped = rows(&[&[Some("2"), Some("b")], &[Some("1"), Some("a")]]);
    let text = "query IT nosort\nq\n----\n1\na\n2\nb\n";
    assert!(!passes(text, &swapped, Order::Kept));
    assert!(passes(text, &swapped, Order::Lost));
    let torn = rows(&[&[Some("2"), Some("a")], &[Some("1"), Some("b")]]);
    assert!(
        !passes(text, &torn, Order::Lost),
        "values may not move between rows"
    );
}

#[test]
fn hashes_cover_count_and_values() {
    let values: Vec<String> = (0..9).map(|n| n.to_string()).collect();
    let md5 = value::hash(&values);
    let cells: Vec<[Option<&str>; 1]> = values.iter().map(|v| [Some(v.as_str())]).collect();
    let slices: Vec<&[Option<&str>]> = cells.iter().map(|c| &c[..]).collect();
    let nine = rows(&slices);
    assert!(passes(
        &format!("query I nosort\nq\n----\n9 values hashing to {md5}\n"),
        &nine,
        Order::Kept
    ));
    assert!(!passes(
        &format!("query I nosort\nq\n----\n8 values hashing to {md5}\n"),
        &nine,
        Order::Kept
    ));
}

#[test]
fn queries_of_one_label_must_agree() {
    let mut labels = Labels::new();
    let first = parsed("query I rowsort x\nq\n----\n1\n");
    assert!(query(&first, &rows(&[&[Some("1")]]), Order::Kept, &mut labels).is_ok());
    let second = parsed("query I rowsort x\nq\n----\n2\n");
    let error = query(&second, &rows(&[&[Some("2")]]), Order::Kept, &mut labels).unwrap_err();
    assert!(error.expected.contains("labelled x"));
}

#[test]
fn rows_can_be_given_one_a_line() {
    let two = rows(&[&[Some("1"), Some("t")], &[Some("-2.50"), None]]);
    assert!(passes(
        "control resultmode rowwise\n\nquery ??\nq\n----\n1  t\n-2.50 NULL\n",
        &two,
        Order::Kept
    ));
}

#[test]
fn a_lost_connection_is_never_the_expected_error() {
    let text = "query error\nq\n";
    assert!(passes(
        text,
        &Err(EngineError::new("22012", "division by zero")),
        Order::Kept
    ));
    assert!(!passes(
        text,
        &Err(EngineError::new("08006", "connection closed")),
        Order::Kept
    ));
    assert!(!passes(text, &rows(&[&[Some("1")]]), Order::Kept));
}

#[test]
fn a_statement_counts_its_rows() {
    assert!(statement(&StatementExpect::Count(2), &Ok(Outcome::Statement(2))).is_ok());
    assert!(statement(&StatementExpect::Count(2), &Ok(Outcome::Statement(3))).is_err());
    assert!(
        statement(
            &StatementExpect::Ok,
            &Err(EngineError::new("42601", "syntax error"))
        )
        .is_err()
    );
}
