//! Whole runs against an engine that holds one table of integers and counts what it is asked.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::engine::{EngineError, Outcome, Rows};

/// Knows `CREATE TABLE t`, `INSERT INTO t VALUES (n)`, `SELECT x FROM t [ORDER BY 1 [DESC]]`,
/// views over that, and `SELECT fail`. Views are computed when they are read.
#[derive(Default)]
struct Fake {
    table: Option<Vec<i64>>,
    views: BTreeMap<String, String>,
    log: Vec<String>,
    restarts: usize,
    /// Answers one too few rows from views: a wrong engine.
    broken_views: bool,
    gone: bool,
}

impl Fake {
    fn select(&self, sql: &str) -> Result<Outcome, EngineError> {
        let from = sql.split(" FROM ").nth(1).unwrap_or_default();
        let source = from.split_whitespace().next().unwrap_or_default();
        let mut values = match self.views.get(source) {
            Some(body) => {
                let mut values = self.values(body)?;
                // A view has no order of its own.
                values.reverse();
                if self.broken_views {
                    values.pop();
                }
                values
            }
            None => self.values(sql)?,
        };
        if sql.contains("ORDER BY 1") {
            values.sort_unstable();
        }
        if sql.ends_with("DESC") {
            values.reverse();
        }
        let rows = values
            .into_iter()
            .map(|value| vec![Some(value.to_string())])
            .collect();
        Ok(Outcome::Rows(Rows {
            columns: vec!["x".to_string()],
            rows,
        }))
    }

    fn values(&self, body: &str) -> Result<Vec<i64>, EngineError> {
        if body.contains("fail") {
            return Err(EngineError::new("22012", "division by zero"));
        }
        self.table
            .clone()
            .ok_or_else(|| EngineError::new("42P01", "relation \"t\" does not exist"))
    }
}

impl Engine for Fake {
    fn run(&mut self, sql: &str) -> Result<Outcome, EngineError> {
        if self.gone {
            return Err(EngineError::new("08006", "connection refused"));
        }
        let sql = sql.trim();
        self.log.push(sql.to_string());
        let words: Vec<&str> = sql.split_whitespace().collect();
        match words.as_slice() {
            ["CREATE", "TABLE", ..] if self.table.is_some() => {
                return Err(EngineError::new("42P07", "relation \"t\" already exists"));
            }
            ["CREATE", "TABLE", ..] => self.table = Some(Vec::new()),
            ["DROP", "TABLE", ..] => self.table = None,
            ["INSERT", "INTO", "t", "VALUES", value] => {
                let value = value.trim_matches(['(', ')']).parse().unwrap();
                self.table
                    .as_mut()
                    .ok_or_else(|| EngineError::new("42P01", "no table"))?
                    .push(value);
                return Ok(Outcome::Statement(1));
            }
            ["CREATE", "MATERIALIZED", "VIEW", name, "AS", ..] => {
                if self.table.is_none() {
                    return Err(EngineError::new("42P01", "no table"));
                }
                let name = name.split('(').next().unwrap().to_string();
                self.views
                    .insert(name, sql.split(" AS ").nth(1).unwrap().to_string());
            }
            ["DROP", "MATERIALIZED", "VIEW", .., last] if *last != "CASCADE" => {
                self.views.remove(*last);
            }
            [
                "DROP",
                "MATERIALIZED",
                "VIEW",
                "IF",
                "EXISTS",
                name,
                "CASCADE",
            ] => {
                self.views.remove(*name);
            }
            ["SELECT", ..] => return self.select(sql),
            _ => return Err(EngineError::new("42601", "syntax error")),
        }
        Ok(Outcome::Statement(0))
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        self.restarts += 1;
        Ok(())
    }

    fn name(&self) -> &str {
        "fake"
    }
}

const SCRIPT: &str = "\
statement ok
CREATE TABLE t (x integer)

statement count 1
INSERT INTO t VALUES (2)

statement ok
INSERT INTO t VALUES (1)

query I nosort
SELECT x FROM t ORDER BY 1
----
1
2

statement ok
INSERT INTO t VALUES (3)

query I nosort
SELECT x FROM t ORDER BY 1 DESC
----
3
2
1

query error (22012)
SELECT fail FROM t

statement error
nonsense

query I rowsort
SELECT x FROM t
----
1
2
3
";

/// The line of the second query.
const SECOND: u32 = 19;

fn run_text(
    text: &str,
    fake: &mut Fake,
    options: Options,
    list: Option<&str>,
) -> (Summary, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.slt");
    fs::write(&file, text).unwrap();
    let known = list.map(|list| {
        let path = folder.path().join("known");
        fs::write(&path, list).unwrap();
        path
    });
    let mut out = Vec::new();
    let options = Options {
        files: vec![folder.path().to_path_buf()],
        known,
        progress: false,
        ..options
    };
    let summary = run(&options, fake, &mut out).unwrap();
    (summary, String::from_utf8(out).unwrap())
}

fn in_mode(mode: Mode) -> Options {
    Options {
        mode,
        ..Options::default()
    }
}

#[test]
fn a_right_engine_passes_in_every_mode_and_is_left_empty() {
    for mode in Mode::ALL {
        let mut fake = Fake::default();
        let (summary, out) = run_text(SCRIPT, &mut fake, in_mode(mode), None);
        assert_eq!((summary.passed, summary.failed), (9, 0), "{mode}: {out}");
        assert!(out.ends_with("9 passed, 0 failed\n"), "{out}");
        assert_eq!((summary.not_as_view, summary.after_data), (0, 0), "{mode}");
        assert!(
            fake.table.is_none() && fake.views.is_empty() && summary.left_behind.is_empty(),
            "{mode}: {summary:?}"
        );
    }
}

#[test]
fn a_wrong_view_fails_in_the_modes_that_use_views() {
    for mode in [Mode::View, Mode::ViewFirst, Mode::Restart] {
        let mut fake = Fake {
            broken_views: true,
            ..Fake::default()
        };
        let (summary, out) = run_text(SCRIPT, &mut fake, in_mode(mode), None);
        assert!(summary.failed > 0, "{mode}: {out}");
    }
    let mut fake = Fake {
        broken_views: true,
        ..Fake::default()
    };
    assert!(
        run_text(SCRIPT, &mut fake, in_mode(Mode::Select), None)
            .0
            .succeeded()
    );
}

#[test]
fn view_first_creates_views_before_the_rows_and_reads_them_at_their_place() {
    let mut fake = Fake::default();
    run_text(SCRIPT, &mut fake, in_mode(Mode::ViewFirst), None);
    let second_pass = fake
        .log
        .iter()
        .rposition(|sql| sql.starts_with("CREATE TABLE"))
        .unwrap();
    let shape: Vec<&str> = fake.log[second_pass..]
        .iter()
        .filter(|sql| !sql.starts_with("DROP"))
        .map(|sql| {
            if sql.starts_with("CREATE M") {
                "view"
            } else if sql.starts_with("SELECT") {
                "read"
            } else {
                "write"
            }
        })
        .collect();
    assert_eq!(
        shape,
        [
            "write", "view", "view", "view", "view", "write", "write", "read", "write", "read",
            "read", "read"
        ],
    );
}

#[test]
fn restarts_happen_at_seeded_places_and_are_counted() {
    let mut fake = Fake::default();
    let options = Options {
        restarts: 2,
        ..in_mode(Mode::Restart)
    };
    let (summary, out) = run_text(SCRIPT, &mut fake, options.clone(), None);
    assert_eq!((summary.restarts, fake.restarts), (2, 2));
    assert!(out.contains("2 restarts"), "{out}");
    let mut again = Fake::default();
    run_text(SCRIPT, &mut again, options, None);
    assert_eq!(fake.log, again.log);
}

#[test]
fn a_failure_is_printed_with_place_sql_and_both_results() {
    let text = SCRIPT.replace("3\n2\n1\n", "3\n2\n2\n");
    let (summary, out) = run_text(&text, &mut Fake::default(), Options::default(), None);
    assert_eq!((summary.passed, summary.failed), (8, 1));
    assert_eq!(summary.failures[0].line, SECOND);
    assert!(
        out.contains(&format!(
            "script.slt:{SECOND}\n  sql:\n    SELECT x FROM t ORDER BY 1 DESC\n"
        )),
        "{out}"
    );
    assert!(
        out.contains("  expected:\n    3\n    2\n    2\n  actual:\n    3\n    2\n    1\n"),
        "{out}"
    );
}

#[test]
fn a_known_failure_is_expected_and_an_entry_that_passes_fails() {
    let wrong = SCRIPT.replace("3\n2\n1\n", "3\n2\n2\n");
    let entry = format!("script.slt:{SECOND} (select) wrong on purpose\n");
    let (summary, _) = run_text(
        &wrong,
        &mut Fake::default(),
        Options::default(),
        Some(&entry),
    );
    assert_eq!((summary.passed, summary.failed, summary.known), (8, 0, 1));
    let (summary, out) = run_text(
        SCRIPT,
        &mut Fake::default(),
        Options::default(),
        Some(&entry),
    );
    assert_eq!((summary.passed, summary.failed), (8, 1));
    assert!(out.contains("passes: remove it from the list"), "{out}");
    let (summary, _) = run_text(
        SCRIPT,
        &mut Fake::default(),
        in_mode(Mode::View),
        Some(&entry),
    );
    assert!(summary.succeeded(), "the entry is about another mode");
    let (summary, out) = run_text(
        SCRIPT,
        &mut Fake::default(),
        Options::default(),
        Some("script.slt:2 nowhere\n"),
    );
    assert_eq!(summary.failed, 1);
    assert!(out.contains("no such record"), "{out}");
}

#[test]
fn a_sample_is_the_same_for_the_same_seed_and_keeps_statements() {
    let queries: String = (0..40)
        .map(|n| format!("query I nosort\nSELECT x FROM t WHERE {n} = {n}\n----\n\n"))
        .collect();
    let text = format!("statement ok\nCREATE TABLE t (x integer)\n\n{queries}");
    let chosen = |seed| {
        let mut fake = Fake::default();
        let options = Options {
            sample: Some(5),
            seed,
            ..Options::default()
        };
        let (summary, _) = run_text(&text, &mut fake, options, None);
        assert_eq!((summary.passed, summary.not_sampled), (6, 35));
        fake.log
    };
    assert_eq!(chosen(1), chosen(1));
    assert_ne!(chosen(1), chosen(2));
}

#[test]
fn what_cannot_be_a_view_is_counted() {
    let text = "\
statement ok
CREATE TABLE t (x integer)

query I nosort
SELECT x FROM t ORDER BY y
----
9 values hashing to 3c13dee48d9356ae19af2515e05e6b54
";
    let (summary, out) = run_text(text, &mut Fake::default(), in_mode(Mode::View), None);
    assert_eq!(summary.not_as_view, 1);
    assert!(out.contains("1 not as view"), "{out}");
}

#[test]
fn a_mode_is_a_label() {
    let text = "skipif view\nstatement ok\nnonsense\n\nstatement ok\nCREATE TABLE t (x integer)\n";
    let (summary, _) = run_text(text, &mut Fake::default(), in_mode(Mode::View), None);
    assert_eq!((summary.passed, summary.failed, summary.skipped), (1, 0, 1));
    assert_eq!(
        run_text(text, &mut Fake::default(), Options::default(), None)
            .0
            .failed,
        1
    );
}

#[test]
fn a_server_that_is_gone_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.slt");
    fs::write(
        &file,
        "statement ok\nCREATE TABLE t (x integer)\n\n".repeat(20),
    )
    .unwrap();
    let options = Options {
        files: vec![file],
        progress: false,
        ..Options::default()
    };
    let error = run(
        &options,
        &mut Fake {
            gone: true,
            ..Fake::default()
        },
        &mut Vec::new(),
    )
    .unwrap_err();
    assert!(matches!(error, RunError::Gone { .. }), "{error}");
}

#[test]
fn nothing_to_run_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        files: vec![folder.path().to_path_buf()],
        ..Options::default()
    };
    assert!(matches!(
        run(&options, &mut Fake::default(), &mut Vec::new()),
        Err(RunError::NoFiles)
    ));
}
