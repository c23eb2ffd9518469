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
fn reads_by_key_see_own_writes_and_conflict_only_with_these_keys() {
    let server = Server::start();
    let mut one = server.connect();
    let mut two = server.connect();
    one.query("CREATE TABLE t (a int, b int, n int, PRIMARY KEY (a, b), UNIQUE (n))");
    one.query("INSERT INTO t VALUES (1, 1, 10), (2, 2, 20), (3, 3, 30)");
    one.query("BEGIN");
    one.query("INSERT INTO t VALUES (4, 4, 40)");
    one.query("UPDATE t SET n = n + 1 WHERE a = 1 AND b = 1");
    one.query("UPDATE t SET n = n + 1 WHERE a = 4 AND b = 4");
    one.query("DELETE FROM t WHERE a = 2 AND b = 2");
    let n = |client: &mut crate::harness::Client, a: u32| {
        client.query(&format!("SELECT n FROM t WHERE a = {a} AND b = {a}"))
    };
    assert_eq!(n(&mut one, 1), rows(&[&["11"]]));
    assert_eq!(n(&mut one, 2), rows(&[]));
    assert_eq!(n(&mut one, 3), rows(&[&["30"]]));
    assert_eq!(n(&mut one, 4), rows(&[&["41"]]));
    assert_eq!(n(&mut one, 5), rows(&[]));
    assert_eq!(one.query("SELECT a FROM t WHERE n = 10"), rows(&[]));
    assert_eq!(one.query("SELECT a FROM t WHERE n = 11"), rows(&[&["1"]]));
    assert_eq!(
        one.query("SELECT a FROM t WHERE n IN (20, 30, 41) ORDER BY a"),
        rows(&[&["3"], &["4"]])
    );
    assert_eq!(
        one.query("SELECT n FROM t WHERE a = 3 AND b = 3 AND n > 30"),
        rows(&[])
    );
    // None of these keys was asked for.
    two.query("INSERT INTO t VALUES (6, 6, 60)");
    one.query("COMMIT");
    assert_eq!(
        one.query("SELECT a, n FROM t ORDER BY a"),
        rows(&[&["1", "11"], &["3", "30"], &["4", "41"], &["6", "60"]])
    );
    one.query("BEGIN");
    one.query("INSERT INTO t VALUES (7, 7, 70)");
    assert_eq!(n(&mut one, 3), rows(&[&["30"]]));
    two.query("UPDATE t SET n = 31 WHERE a = 3 AND b = 3");
    assert_eq!(one.error("COMMIT").0, "40001");
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
