//! Tables of operations and what PostgreSQL 15 answered, for tests.

use crate::error::EvalError;

/// Runs every line of a table (`operation, arguments..., answer`, tabs between) and lists what differs.
pub(crate) fn check(table: &str, answer: impl Fn(&[&str]) -> Result<String, EvalError>) {
    let mut differing = Vec::new();
    for line in table.lines().filter(|l| !l.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (expected, arguments) = columns.split_last().unwrap();
        let got = match answer(arguments) {
            Ok(text) => text,
            Err(e) => {
                let detail = e.detail().map_or(String::new(), |d| format!(" | {d}"));
                format!("ERR {} {}{detail}", e.code(), e.message())
            }
        };
        if got != *expected {
            differing.push(format!(
                "{arguments:?}\n  PostgreSQL {expected}\n  here       {got}"
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
