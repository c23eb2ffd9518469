//! psql, which must be installed: what people type first.
//!
//! `psql/expected.txt` is what PostgreSQL 15 answers to `psql/commands.txt` over `psql/objects.sql`, as
//! `psql/record.sh` wrote it down.

use crate::Server;
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a script; its stdout, and whether it ended without an error.
fn psql(server: &Server, script: &str) -> String {
    let mut child = Command::new("psql")
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-A", "-t", &server.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql is installed");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    String::from_utf8_lossy(&output.stdout).to_string()
}

const OBJECTS: &str = "CREATE TABLE t (a int PRIMARY KEY, b text NOT NULL DEFAULT 'x');\n\
    CREATE VIEW w AS SELECT a FROM t;\n\
    CREATE MATERIALIZED VIEW m AS SELECT b, count(*) AS n FROM t GROUP BY b;\n\
    CREATE INDEX i ON t (b);\n";

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn a_view_changes_as_rows_are_written() {
    let server = Server::start();
    let out = psql(
        &server,
        &format!(
            "{OBJECTS}INSERT INTO t VALUES (1), (2);\nSELECT * FROM m;\nDELETE FROM t WHERE a = 1;\nSELECT * FROM m;\n"
        ),
    );
    assert!(out.ends_with("x|2\nDELETE 1\nx|1\n"), "{out}");
}

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn backslash_commands_list_what_there_is() {
    let server = Server::start();
    psql(&server, OBJECTS);
    for (command, expected) in [
        ("\\l", "everview|"),
        ("\\dn", "public|"),
        ("\\dt", "public|t|table|"),
        ("\\dv", "public|w|view|"),
        ("\\dm", "public|m|materialized view|"),
        ("\\di", "public|i|index|"),
        ("\\d", "public|t|table|"),
        ("\\d t", "b|text||not null|'x'::text"),
        ("\\d m", "n|bigint|"),
        ("\\conninfo", "database \"everview\""),
    ] {
        let out = psql(&server, &format!("{command}\n"));
        assert!(out.contains(expected), "{command}: {out}");
    }
}

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn copy_loads_a_file_and_prints_one() {
    let server = Server::start();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "a,b\n1,one\n2,\"two, too\"\n").unwrap();
    let path = file.path().display();
    let out = psql(
        &server,
        &format!(
            "{OBJECTS}\\copy t FROM '{path}' (FORMAT csv, HEADER)\nCOPY (SELECT * FROM t ORDER BY a) TO STDOUT (FORMAT csv);\n"
        ),
    );
    assert!(out.ends_with("COPY 2\n1,one\n2,\"two, too\"\n"), "{out}");
}

/// What psql prints for one command, errors included.
fn answer(server: &Server, command: &str) -> String {
    let script = format!("psql -X '{}' 2>&1", server.url());
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{command}").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).to_string()
}

/// The lines that must be the same: without widths, without sizes on disk, and without what only one of them has:
/// our schema and role, PostgreSQL's owner of schema public and its rights, and so the numbers of rows.
fn comparable(text: &str) -> Vec<String> {
    let size = regex::Regex::new("[0-9]+ (bytes|kB|MB)").unwrap();
    let owner = regex::Regex::new(r"^ public +\| (everview|pg_database_owner).*").unwrap();
    let squeeze = regex::Regex::new("(-|\u{20})+").unwrap();
    let ours = [
        " everview | everview",
        " postgres | Superuser",
        " | | =U/pg_database_owner",
    ];
    let lines = text.lines().map(|line| {
        let line = size.replace_all(line, "");
        let line = owner.replace(&line, " public");
        let once = |found: &regex::Captures<'_>| found[1].to_string();
        squeeze.replace_all(&line, once).trim_end().to_string()
    });
    let counted = regex::Regex::new(r"^\([0-9]+ rows?\)$").unwrap();
    lines
        .filter(|l| !counted.is_match(l) && !ours.iter().any(|o| l.starts_with(o)))
        .collect()
}

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn psql_prints_what_it_prints_on_postgresql() {
    let server = Server::start();
    psql(&server, include_str!("psql/objects.sql"));
    let mut wrong = Vec::new();
    for expected in include_str!("psql/expected.txt").split("== ").skip(1) {
        let (command, expected) = expected.split_once('\n').unwrap();
        let (expected, got) = (comparable(expected), comparable(&answer(&server, command)));
        if expected != got {
            let (expected, got) = (expected.join("\n"), got.join("\n"));
            wrong.push(format!(
                "{command}\nPostgreSQL:\n{expected}\nEverview:\n{got}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn drivers_and_tools_learn_what_they_learn_from_postgresql() {
    let server = Server::start();
    psql(&server, include_str!("psql/objects.sql"));
    let statements = include_str!("psql/clients.sql").split("-- == ").skip(1);
    let answers = include_str!("psql/clients.txt").split("== ").skip(1);
    let mut wrong = Vec::new();
    for (statement, expected) in statements.zip(answers) {
        let (name, statement) = statement.split_once('\n').unwrap();
        let (_, expected) = expected.split_once('\n').unwrap();
        let got = answer(
            &server,
            &format!("\\pset format unaligned\n\\t\n{};", statement.trim()),
        );
        let got = got
            .lines()
            .skip(2)
            .map(|l| format!("{l}\n"))
            .collect::<String>();
        if got != expected {
            wrong.push(format!("{name}\nPostgreSQL:\n{expected}Everview:\n{got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn a_shown_definition_makes_the_same_view() {
    let server = Server::start();
    psql(&server, include_str!("psql/objects.sql"));
    let views = psql(
        &server,
        "SELECT viewname FROM pg_views WHERE schemaname = 'public';\n",
    );
    assert!(views.lines().count() > 15, "{views}");
    for view in views.lines() {
        for pretty in [true, false] {
            let text = format!("SELECT pg_get_viewdef('{view}'::regclass, {pretty});\n");
            let shown = psql(&server, &text);
            psql(
                &server,
                &format!("CREATE OR REPLACE VIEW {view} AS {shown}\n"),
            );
            assert_eq!(psql(&server, &text), shown, "{view}");
        }
    }
}

#[test]
fn timing_answers_plainly() {
    let server = Server::start();
    let timed = answer(&server, "\\timing on\nSELECT pg_sleep(0.1);");
    let time = regex::Regex::new(r"Time: ([0-9]+)\.[0-9]+ ms").unwrap();
    let time = time.captures(&timed).unwrap_or_else(|| panic!("{timed}"));
    assert!(time[1].parse::<u32>().unwrap() >= 100, "{timed}");
}
