//! Transactions: own writes, rollback, conflicts, failure, DDL.

use crate::harness::{Server, rows};

#[test]
fn a_transaction_sees_its_own_writes_and_nobody_else_does() {
    let server = Server::start();
    let mut one = server.connect();
    let mut two = server.connect();
    one.query("CREATE TABLE t (a int PRIMARY KEY, n int)");
    one.query("CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS n FROM t");
    one.query("INSERT INTO t VALUES (1, 1)");
    one.query("BEGIN");
    one.query("INSERT INTO t VALUES (2, 10)");
    one.query("UPDATE t SET n = 5 WHERE a = 1");
    assert_eq!(one.query("SELECT n FROM total"), rows(&[&["15"]]));
    assert_eq!(two.query("SELECT n FROM total"), rows(&[&["1"]]));
    one.query("ROLLBACK");
    assert_eq!(one.query("SELECT n FROM total"), rows(&[&["1"]]));
}

#[test]
fn a_conflict_is_40001_in_a_transaction_and_invisible_in_a_statement() {
    let server = Server::start();
    let mut one = server.connect();
    let mut two = server.connect();
    one.query("CREATE TABLE t (a int PRIMARY KEY, n int)");
    one.query("INSERT INTO t VALUES (1, 0)");
    one.query("BEGIN");
    one.query("UPDATE t SET n = n + 1");
    two.query("UPDATE t SET n = n + 1");
    assert_eq!(one.error("COMMIT").0, "40001");
    assert_eq!(one.query("SELECT n FROM t"), rows(&[&["1"]]));
}

#[test]
fn writes_to_other_keys_do_not_conflict() {
    let server = Server::start();
    let mut one = server.connect();
    let mut two = server.connect();
    one.query("CREATE TABLE t (a int PRIMARY KEY, n int)");
    one.query("INSERT INTO t VALUES (1, 0), (2, 0)");
    one.query("BEGIN");
    one.query("UPDATE t SET n = 1 WHERE a = 1");
    two.query("UPDATE t SET n = 2 WHERE a = 2");
    one.query("INSERT INTO t VALUES (3, 3)");
    one.query("COMMIT");
    assert_eq!(
        one.query("SELECT * FROM t ORDER BY a"),
        rows(&[&["1", "1"], &["2", "2"], &["3", "3"]])
    );
}

#[test]
fn a_failed_transaction_takes_only_rollback() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int)");
    client.query("BEGIN");
    client.query("INSERT INTO t VALUES (1)");
    assert_eq!(client.error("SELECT 1 / 0").0, "22012");
    assert_eq!(client.error("SELECT 1").0, "25P02");
    assert_eq!(client.query("COMMIT"), rows(&[&["ROLLBACK"]]));
    assert_eq!(client.query("SELECT count(*) FROM t"), rows(&[&["0"]]));
}

#[test]
fn ddl_is_transactional() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("BEGIN");
    client.query("CREATE TABLE t (a int)");
    client.query("INSERT INTO t VALUES (1)");
    client.query("CREATE MATERIALIZED VIEW v AS SELECT a + 1 AS b FROM t");
    assert_eq!(client.query("SELECT b FROM v"), rows(&[&["2"]]));
    client.query("ROLLBACK");
    assert_eq!(client.error("SELECT * FROM t").0, "42P01");
    client.query("BEGIN; CREATE TABLE t (a int); INSERT INTO t VALUES (7); COMMIT");
    assert_eq!(client.query("SELECT * FROM t"), rows(&[&["7"]]));
}
