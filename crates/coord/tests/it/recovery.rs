//! Restarts: the log alone brings everything back.

use crate::harness::{Server, rows};

#[test]
fn tables_views_and_names_come_back() {
    let mut server = Server::start();
    server.query("CREATE SCHEMA s; CREATE TABLE s.t (a int PRIMARY KEY, b text DEFAULT 'x')");
    server.query("INSERT INTO s.t (a) VALUES (1), (2); ALTER TABLE s.t RENAME TO u");
    server.query("CREATE MATERIALIZED VIEW v AS SELECT b, count(*) AS n FROM s.u GROUP BY b");
    for _ in 0..2 {
        server.restart();
        assert_eq!(server.query("SELECT * FROM v"), rows(&[&["x", "2"]]));
        assert_eq!(
            server.query("SELECT a FROM s.u ORDER BY a"),
            rows(&[&["1"], &["2"]])
        );
    }
    server.query("INSERT INTO s.u VALUES (3, 'y')");
    assert_eq!(
        server.query("SELECT * FROM v ORDER BY b"),
        rows(&[&["x", "2"], &["y", "1"]])
    );
}

#[test]
fn the_store_is_rebuilt_when_it_is_deleted() {
    let mut server = Server::start();
    server.query("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
    server.query("DELETE FROM t WHERE a = 2");
    server.restart_after(|dir| {
        std::fs::remove_dir_all(dir.join("store")).expect("the store is deleted");
    });
    assert_eq!(
        server.query("SELECT * FROM t ORDER BY a"),
        rows(&[&["1"], &["3"]])
    );
    assert!(server.dir().join("store").exists());
}

#[test]
fn append_only_tables_are_read_from_the_log() {
    let mut server = Server::start();
    server.query("CREATE TABLE t (a int) APPEND ONLY; INSERT INTO t VALUES (1), (1)");
    server.query("CREATE MATERIALIZED VIEW v AS SELECT max(a) AS m, count(*) AS n FROM t");
    server.restart();
    server.query("INSERT INTO t VALUES (5)");
    assert_eq!(server.query("SELECT * FROM v"), rows(&[&["5", "3"]]));
    assert_eq!(
        server.query("SELECT a FROM t ORDER BY a"),
        rows(&[&["1"], &["1"], &["5"]])
    );
}
