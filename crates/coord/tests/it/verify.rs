//! VERIFY through sessions: everything that can be shown agrees with the log, and damage is named.

use super::harness::{Server, rows};

const WORK: &str = "
CREATE TABLE keyed (id int PRIMARY KEY, name text, at timestamptz DEFAULT now());
CREATE TABLE plain (a int, b numeric(8,2));
CREATE TABLE ticks (s text, p int) APPEND ONLY;
CREATE VIEW names AS SELECT name, count(*) AS n FROM keyed GROUP BY name;
CREATE MATERIALIZED VIEW counts AS SELECT * FROM names WHERE n > 0;
CREATE MATERIALIZED VIEW over_counts AS SELECT max(n) AS most, string_agg(name, ',' ORDER BY name) AS all_names FROM counts;
CREATE MATERIALIZED VIEW low AS SELECT s, min(p) AS low, max(p) AS high FROM ticks GROUP BY s;
CREATE MATERIALIZED VIEW joined AS SELECT k.id, p.b FROM keyed k LEFT JOIN plain p ON p.a = k.id;
CREATE MATERIALIZED VIEW failing AS SELECT a, 100 / a AS share FROM plain;
INSERT INTO keyed SELECT g, 'name ' || g % 3 FROM generate_series(1, 50) g;
INSERT INTO plain SELECT g % 7 + 1, g / 3.0 FROM generate_series(1, 40) g;
INSERT INTO ticks SELECT 's' || g % 5, g FROM generate_series(1, 100) g;
UPDATE keyed SET name = 'other' WHERE id % 10 = 0;
DELETE FROM plain WHERE a = 3;
ALTER TABLE plain ADD COLUMN c int DEFAULT 5;
INSERT INTO plain VALUES (9, 1.5, NULL);
";

fn results(server: &Server, sql: &str) -> Vec<Vec<String>> {
    let all = server.query(sql);
    all.into_iter()
        .map(|row| {
            vec![
                row[0].clone(),
                row[1].clone(),
                row[3].clone(),
                row[6].clone(),
            ]
        })
        .collect()
}

#[test]
fn processing_exactly_once_what_is_shown_agrees_with_the_log_for_any_workers_and_after_a_restart() {
    let mut digests = Vec::new();
    for workers in [1, 2, 4] {
        let mut server = Server::with_workers(workers);
        server.query(WORK);
        let before = results(&server, "VERIFY ALL");
        assert_eq!(before.len(), 8, "{before:?}");
        assert!(before.iter().all(|row| row[3] == "verified"), "{before:?}");
        let low = server.query("VERIFY MATERIALIZED VIEW low");
        digests.push(low[0][4].clone());
        server.restart();
        assert_eq!(results(&server, "VERIFY ALL"), before);
    }
    assert!(
        digests.iter().all(|digest| *digest == digests[0]),
        "{digests:?}"
    );
}

#[test]
fn an_error_that_a_view_holds_is_derived_again() {
    let server = Server::start();
    server.query(WORK);
    server.query("INSERT INTO plain VALUES (0, 0)");
    let found = results(&server, "VERIFY MATERIALIZED VIEW failing");
    assert_eq!(found[0][0], "public.failing");
    assert!(found[0][3].starts_with("verified"), "{found:?}");
}

#[test]
fn a_past_time_is_verified_too() {
    let server = Server::start();
    server.query(WORK);
    let mut client = server.connect();
    client.query("SELECT count(*) FROM keyed");
    let then = client.query("SHOW everview.last_read_timestamp")[0][0].clone();
    client.query("DELETE FROM keyed");
    let past = client.query(&format!("VERIFY TABLE keyed AS OF {then}"));
    assert_eq!(past[0][3], "50");
    assert_eq!(client.query("VERIFY TABLE keyed")[0][3], "0");
}

#[test]
fn what_cannot_be_verified_is_refused_by_name() {
    let server = Server::start();
    server.query(WORK);
    let mut client = server.connect();
    assert_eq!(client.error("VERIFY MATERIALIZED VIEW names").0, "42809");
    assert_eq!(client.error("VERIFY MATERIALIZED VIEW nowhere").0, "42P01");
    assert_eq!(client.error("VERIFY VIEW names").0, "0A000");
    assert_eq!(client.error("VERIFY").0, "42601");
    client.query("BEGIN; INSERT INTO plain VALUES (1, 1)");
    assert_eq!(client.error("VERIFY ALL").0, "0A000");
    client.query("ROLLBACK; BEGIN READ ONLY");
    assert_eq!(client.query("VERIFY TABLE plain").len(), 1);
}

#[test]
fn a_byte_that_changed_in_an_old_segment_is_named() {
    let mut server = Server::with_options(|options| options.log.segment_size = 16 << 10);
    server.query("CREATE TABLE t (a int PRIMARY KEY, b text)");
    for n in 0..200 {
        server.query(&format!("INSERT INTO t VALUES ({n}, repeat('text', 100))"));
    }
    assert_eq!(results(&server, "VERIFY ALL")[0][2], "200");
    server.restart_after(|dir| {
        let mut names: Vec<_> = std::fs::read_dir(dir.join("log"))
            .expect("the log")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == "log"))
            .collect();
        names.sort();
        assert!(names.len() > 3, "{names:?}");
        let mut bytes = std::fs::read(&names[1]).expect("read");
        bytes[8000] ^= 4;
        std::fs::write(&names[1], bytes).expect("written");
    });
    // It is not read at a start, and the store answers.
    assert_eq!(server.query("SELECT count(*) FROM t"), rows(&[&["200"]]));
    let mut client = server.connect();
    let error = client.try_query("VERIFY ALL").expect_err("damage");
    assert_eq!(error.code.to_string(), "XX001");
    assert!(error.message.contains(".log"), "{}", error.message);
}
