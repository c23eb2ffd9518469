//! Passwords of roles: set with their transaction, kept by the log, shown to nobody.

use crate::harness::Server;
use everview_coord::passwords::Verifier;
use std::path::Path;

const SECRET: &str = "Wolkenkuckucksheim";

/// Whether a client on loopback must prove that it knows this password.
fn needs(server: &Server, role: &str, password: &str) -> bool {
    let asked = server.coordinator().challenge(role, true);
    asked
        .expect("loopback is not refused")
        .is_some_and(|v| v == Verifier::of(password, &v.salt, v.iterations))
}

fn is_open(server: &Server, role: &str) -> bool {
    let asked = server.coordinator().challenge(role, true);
    asked.expect("loopback is not refused").is_none()
}

#[test]
fn a_password_is_set_replaced_and_removed() {
    let server = Server::start();
    assert!(!server.coordinator().has_password());
    server.query("ALTER ROLE everview PASSWORD 'one'");
    assert!(needs(&server, "everview", "one") && is_open(&server, "postgres"));
    assert!(server.coordinator().has_password());
    server.query("ALTER USER EverView WITH ENCRYPTED PASSWORD 'two'");
    assert!(needs(&server, "everview", "two"));
    server.query("ALTER ROLE current_user PASSWORD NULL");
    assert!(is_open(&server, "everview") && !server.coordinator().has_password());
    server.query("ALTER ROLE \"postgres\" PASSWORD 'three'; ALTER ROLE postgres PASSWORD ''");
    assert!(is_open(&server, "postgres"));
}

#[test]
fn a_password_is_its_transactions() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("BEGIN; ALTER ROLE everview PASSWORD 'one'; CREATE TABLE t (a int)");
    assert!(is_open(&server, "everview"));
    client.query("ROLLBACK");
    assert!(is_open(&server, "everview"));
    client.query("BEGIN; ALTER ROLE everview PASSWORD 'one'; ALTER ROLE postgres PASSWORD 'two'");
    client.query("ALTER ROLE everview PASSWORD 'three'; COMMIT");
    assert!(needs(&server, "everview", "three") && needs(&server, "postgres", "two"));
    client.query("BEGIN READ ONLY");
    let (code, message) = client.error("ALTER ROLE everview PASSWORD NULL");
    assert_eq!(code, "25006", "{message}");
    client.query("ROLLBACK");
    assert!(needs(&server, "everview", "three"));
}

#[test]
fn a_restart_keeps_passwords_with_the_store_and_without() {
    let mut server = Server::start();
    server.query("ALTER ROLE everview PASSWORD 'one'; ALTER ROLE postgres PASSWORD 'two'");
    server.query("ALTER ROLE everview PASSWORD 'three'; ALTER ROLE postgres PASSWORD NULL");
    let asked = |server: &Server| server.coordinator().challenge("nobody", true).unwrap();
    let before = asked(&server);
    assert!(before.is_some());
    server.restart();
    assert!(needs(&server, "everview", "three") && is_open(&server, "postgres"));
    assert_eq!(asked(&server), before);
    server.restart_after(|dir| std::fs::remove_dir_all(dir.join("store")).unwrap());
    assert!(needs(&server, "everview", "three") && is_open(&server, "postgres"));
    assert_eq!(asked(&server), before);
}

#[test]
fn what_alter_role_does_not_do_is_refused_by_name() {
    let server = Server::start();
    let mut client = server.connect();
    for (sql, code, named) in [
        ("ALTER ROLE nobody PASSWORD 'x'", "42704", "\"nobody\""),
        ("ALTER ROLE everview SUPERUSER", "0A000", "SUPERUSER"),
        (
            "ALTER ROLE everview PASSWORD 'x' VALID UNTIL 'infinity'",
            "0A000",
            "VALID",
        ),
        (
            "ALTER ROLE everview UNENCRYPTED PASSWORD 'x'",
            "0A000",
            "UNENCRYPTED",
        ),
        ("ALTER USER everview SET search_path = x", "0A000", "SET"),
        ("ALTER ROLE everview RENAME TO x", "0A000", "RENAME"),
        (
            "ALTER ROLE everview PASSWORD 'md5c0ffee00c0ffee00c0ffee00c0ffee00'",
            "0A000",
            "MD5",
        ),
        ("ALTER ROLE everview", "42601", "end of input"),
        ("ALTER ROLE everview PASSWORD", "42601", "end of input"),
        ("ALTER ROLE everview PASSWORD 1", "42601", "1"),
        ("CREATE ROLE x PASSWORD 'y'", "0A000", "CREATE ROLE"),
        ("DROP ROLE everview", "0A000", "DROP ROLE"),
    ] {
        let (got, message) = client.error(sql);
        assert_eq!(got, code, "{sql}: {message}");
        assert!(message.contains(named), "{sql}: {message}");
    }
    assert!(is_open(&server, "everview"));
}

#[test]
fn a_password_is_shown_to_nobody_and_in_no_file() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.query(&format!("ALTER ROLE everview PASSWORD '{SECRET}'"));
    let sql = format!("BEGIN; ALTER USER postgres PASSWORD '{SECRET}'");
    client.query(&sql);
    let shown = server.query("SELECT query FROM pg_stat_activity WHERE query LIKE 'ALTER%'");
    assert_eq!(shown, [["ALTER ROLE postgres PASSWORD '********'"]]);
    client.query("COMMIT");
    drop(client);
    let shown = server.query("SELECT usename, passwd FROM pg_shadow ORDER BY 1");
    assert_eq!(shown, [["everview", "********"], ["postgres", "********"]]);
    server.query("ALTER ROLE postgres PASSWORD NULL");
    let shown = server.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'");
    assert_eq!(shown, [["NULL"]]);
    server.restart_after(|dir| {
        let files = holding(dir, SECRET.as_bytes());
        assert!(files.is_empty(), "{files:?}");
        assert!(!holding(dir, b"SCRAM-SHA-256$4096:").is_empty());
    });
}

/// Files under a folder that hold these bytes.
fn holding(dir: &Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
            continue;
        }
        let contents = std::fs::read(&path).expect("a file");
        if memchr::memmem::find(&contents, bytes).is_some() {
            found.push(path);
        }
    }
    found
}
