//! Tables, constraints, changes and COPY.

use crate::harness::{Server, rows};

#[test]
fn rows_inserted_are_read_back_in_order() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int PRIMARY KEY, b text)");
    client.query("INSERT INTO t VALUES (2, 'two'), (1, 'one'), (3, NULL)");
    assert_eq!(
        client.query("SELECT a, b FROM t ORDER BY a"),
        rows(&[&["1", "one"], &["2", "two"], &["3", "NULL"]])
    );
    assert_eq!(
        client.query("SELECT b FROM t WHERE a = 2"),
        rows(&[&["two"]])
    );
    assert_eq!(
        client.query("SELECT count(*), sum(a), max(b) FROM t"),
        rows(&[&["3", "6", "two"]])
    );
}

#[test]
fn constraints_are_kept_with_postgres_s_codes() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int PRIMARY KEY, b int UNIQUE, c int NOT NULL CHECK (c > 0))");
    client.query("INSERT INTO t VALUES (1, 1, 1)");
    let (code, message) = client.error("INSERT INTO t VALUES (1, 2, 1)");
    assert_eq!(code, "23505");
    assert_eq!(
        message,
        "duplicate key value violates unique constraint \"t_pkey\""
    );
    assert_eq!(client.error("INSERT INTO t VALUES (2, 1, 1)").0, "23505");
    assert_eq!(client.error("INSERT INTO t VALUES (2, 2, NULL)").0, "23502");
    assert_eq!(client.error("INSERT INTO t VALUES (2, 2, 0)").0, "23514");
    client.query("INSERT INTO t VALUES (2, NULL, 1), (3, NULL, 1)");
    assert_eq!(client.query("SELECT count(*) FROM t"), rows(&[&["3"]]));
}

#[test]
fn updates_deletes_and_upserts_change_what_they_name() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int PRIMARY KEY, n int NOT NULL)");
    client.query("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)");
    assert_eq!(
        client
            .query("UPDATE t SET n = n + 1 WHERE a < 3 RETURNING a, n")
            .len(),
        2
    );
    client.query(
        "INSERT INTO t VALUES (1, 5), (4, 40) ON CONFLICT (a) DO UPDATE SET n = t.n + excluded.n",
    );
    client.query("INSERT INTO t VALUES (1, 5) ON CONFLICT DO NOTHING");
    client.query("DELETE FROM t WHERE a = 3");
    client.query("UPDATE t SET a = a + 1");
    assert_eq!(
        client.query("SELECT * FROM t ORDER BY a"),
        rows(&[&["2", "16"], &["3", "21"], &["5", "40"]])
    );
}

#[test]
fn a_table_without_a_key_is_a_bag() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int)");
    client.query("INSERT INTO t VALUES (1), (1), (2)");
    assert_eq!(
        client.query("SELECT count(*) FROM t WHERE a = 1"),
        rows(&[&["2"]])
    );
    client.query("DELETE FROM t WHERE a = 1");
    assert_eq!(client.query("SELECT * FROM t"), rows(&[&["2"]]));
}

#[test]
fn copy_takes_rows_in_pieces_and_names_the_line_of_an_error() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int PRIMARY KEY, b text)");
    let data = b"a,b\n1,one\n2,\n3,\"x,y\"\n";
    let tag = client
        .copy("COPY t FROM STDIN (FORMAT csv, HEADER)", data, 3)
        .expect("copied");
    assert_eq!(tag, "COPY 3");
    assert_eq!(
        client.query("SELECT * FROM t ORDER BY a"),
        rows(&[&["1", "one"], &["2", "NULL"], &["3", "x,y"]])
    );
    let error = client
        .copy("COPY t FROM STDIN", b"4\tok\nx\tbad\n", 100)
        .expect_err("no integer");
    assert_eq!(error.code.to_string(), "22P02");
    assert_eq!(
        error.context.as_deref(),
        Some("COPY t, line 2, column a: \"x\"")
    );
    assert_eq!(client.query("SELECT count(*) FROM t"), rows(&[&["3"]]));
}

#[test]
fn a_large_copy_is_written_ahead_and_read_back() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE keyed (a int PRIMARY KEY, b text)");
    client.query("CREATE TABLE appended (a int, b text) APPEND ONLY");
    let mut data = String::new();
    for i in 0..60_000 {
        data.push_str(&format!(
            "{i}\tthe text of row {i}, long enough to fill pieces\n"
        ));
    }
    for table in ["keyed", "appended"] {
        let sql = format!("COPY {table} FROM STDIN");
        let tag = client.copy(&sql, data.as_bytes(), 10_000).expect("copied");
        assert_eq!(tag, "COPY 60000");
        let sum = client.query(&format!("SELECT count(*), sum(a) FROM {table}"));
        assert_eq!(sum, rows(&[&["60000", "1799970000"]]));
    }
    let twice = client
        .copy("COPY keyed FROM STDIN", data.as_bytes(), 10_000)
        .expect_err("taken");
    assert_eq!(twice.code.to_string(), "23505");
    assert_eq!(client.error("DELETE FROM appended").0, "42809");
}

#[test]
fn the_first_error_of_a_large_copy_is_told_however_many_read_it() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int, b text)");
    let line = |i: usize| match i {
        30_000 | 30_001 | 70_000 => format!("x{i}\ttext\n"),
        _ => format!("{i}\ta text that fills the batches that several threads read\n"),
    };
    let mut data: String = (1..=80_000).map(line).collect();
    data.push_str("a \\. that ends nothing\n");
    for piece in [5_000, 1 << 18, data.len()] {
        let error = client
            .copy("COPY t FROM STDIN", data.as_bytes(), piece)
            .expect_err("no integer");
        assert_eq!(
            error.context.as_deref(),
            Some("COPY t, line 30000, column a: \"x30000\""),
            "in pieces of {piece}"
        );
    }
    assert_eq!(client.query("SELECT count(*) FROM t"), rows(&[&["0"]]));
}

#[test]
fn unsupported_statements_are_refused_by_name() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int)");
    for sql in [
        "CREATE TABLE r (a int REFERENCES t)",
        "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT * FROM r",
        "SELECT a FROM t GROUP BY ROLLUP (a)",
        "CREATE MATERIALIZED VIEW v AS SELECT now() FROM t",
    ] {
        let (code, message) = client.error(sql);
        assert_eq!(code, "0A000", "{sql}: {message}");
    }
}
