//! psql, which must be installed: what people type first.

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
        ("\\d t", "b|text||not null|"),
        ("\\d m", "n|bigint|"),
        ("\\conninfo", "database \"everview\""),
    ] {
        let out = psql(&server, &format!("{command}\n"));
        assert!(out.contains(expected), "{command}: {out}");
    }
}

#[test]
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
