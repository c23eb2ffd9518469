//! COPY as PostgreSQL 15 does it.
//!
//! `copy/expected.txt` is what PostgreSQL 15 answers to `copy/cases.txt`, as `bench copy` wrote it down.

#[path = "../../../bench/src/copy/script.rs"]
mod script;

use crate::{Server, within_limit};

#[test]
fn copy_answers_as_postgresql_does() {
    let server = Server::start();
    within_limit(async {
        let url = server.url();
        let got = script::answers(&url, include_str!("copy/cases.txt")).await;
        let got = got.unwrap();
        let cases = |text: &str| -> Vec<String> { text.split("== ").map(str::to_string).collect() };
        let (expected, got) = (cases(include_str!("copy/expected.txt")), cases(&got));
        let differ = expected
            .iter()
            .zip(&got)
            .filter(|(expected, got)| expected != got);
        let differ: Vec<String> = differ
            .map(|(expected, got)| format!("PostgreSQL:\n{expected}Everview:\n{got}"))
            .collect();
        assert!(differ.is_empty(), "{}", differ.join("\n"));
        assert_eq!(expected.len(), got.len());
    });
}
