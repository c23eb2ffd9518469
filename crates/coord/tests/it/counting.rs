//! The three counters: what was delivered, what was processed, and what took effect.

use crate::harness::{Server, rows};

const OF: &str = "SELECT kind, delivered, processed, effects FROM everview.effects WHERE object =";

#[test]
fn what_was_delivered_is_counted_and_what_took_effect_is_in_the_log() {
    let mut server = Server::start();
    server.query(
        "CREATE TABLE t (a int) WITH (DEDUPLICATE BY (a)); \
         CREATE MATERIALIZED VIEW v AS SELECT a FROM t",
    );
    let mut client = server.connect();
    client.query("INSERT INTO t VALUES (1), (2), (2)");
    client.copy("COPY t FROM STDIN", b"2\n3\n", 10).unwrap();
    client.query("BEGIN; INSERT INTO t VALUES (4)");
    client.query("ROLLBACK");
    client.query("DELETE FROM t WHERE a = 3");
    let of_table = format!("{OF} 'public.t'");
    // 3 + 2 + 1 + 1 came; 3 rows came in and 1 went.
    assert_eq!(client.query(&of_table), rows(&[&["table", "7", "4", "4"]]));
    let of_view = format!("{OF} 'public.v'");
    assert_eq!(client.query("SELECT count(*) FROM v"), rows(&[&["2"]]));
    assert_eq!(
        client.query(&of_view),
        rows(&[&["materialized view", "4", "4", "2"]])
    );
    drop(client);
    for lose_the_store in [false, true] {
        server.restart_after(|folder| {
            if lose_the_store {
                std::fs::remove_dir_all(folder.join("store")).unwrap();
            }
        });
        assert_eq!(server.query("SELECT count(*) FROM v"), rows(&[&["2"]]));
        let counts = &server.query(&of_table)[0];
        assert_eq!((&*counts[1], &*counts[3]), ("0", "4"), "{counts:?}");
        assert_eq!(server.query(&of_view)[0][3], "2");
    }
}

#[test]
fn a_producer_is_told_what_its_batches_brought_and_did() {
    let mut server = Server::start();
    server.query("CREATE TABLE t (a int)");
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    for sequence in [1, 2, 2, 2] {
        client.query(&format!("BEGIN; SET LOCAL everview.sequence = {sequence}"));
        client.query("INSERT INTO t VALUES (1), (2)");
        client.query("COMMIT");
    }
    let of_producer = format!("{OF} 'ingest'");
    assert_eq!(
        client.query(&of_producer),
        rows(&[&["producer", "8", "4", "4"]])
    );
    drop(client);
    server.restart();
    assert_eq!(server.query(&of_producer)[0][3], "4");
    server.query("DROP PRODUCER ingest");
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    assert_eq!(
        client.query(&of_producer),
        rows(&[&["producer", "0", "0", "0"]])
    );
}

#[test]
fn counts_by_key_are_carried_by_the_next_commit_of_their_table() {
    let mut server = Server::start();
    server.query(
        "CREATE TABLE t (id text, n int) WITH (DEDUPLICATE BY (id), COUNT EFFECTS BY (id)); \
         CREATE MATERIALIZED VIEW v AS SELECT id, count(*) AS n FROM t GROUP BY id",
    );
    let mut client = server.connect();
    client.query("INSERT INTO t VALUES ('a', 1)");
    client.query("INSERT INTO t VALUES ('a', 1)");
    client
        .copy("COPY t FROM STDIN", b"b\t1\na\t1\n", 10)
        .unwrap();
    client.query("INSERT INTO t VALUES ('b', 1)");
    let all = "SELECT key, delivered, processed, effects FROM everview.effects_by_key WHERE object = 'public.t' ORDER BY key";
    let expected = rows(&[&["a", "3", "1", "1"], &["b", "2", "1", "1"]]);
    assert_eq!(client.query(all), expected);
    assert_eq!(client.query("SELECT count(*) FROM v"), rows(&[&["2"]]));
    drop(client);
    server.restart();
    assert_eq!(server.query("SELECT count(*) FROM v"), rows(&[&["2"]]));
    // The last delivery of b was carried by no commit; the view has read both rows again.
    assert_eq!(
        server.query(all),
        rows(&[&["a", "3", "2", "1"], &["b", "1", "2", "1"]])
    );
    server.query("INSERT INTO t VALUES ('c', 1)");
    server.restart_after(|folder| std::fs::remove_dir_all(folder.join("store")).unwrap());
    assert_eq!(server.query("SELECT count(*) FROM v"), rows(&[&["3"]]));
    assert_eq!(
        server.query(all),
        rows(&[
            &["a", "3", "3", "1"],
            &["b", "1", "3", "1"],
            &["c", "1", "2", "1"]
        ])
    );
    server.query("VERIFY ALL; DROP TABLE t CASCADE");
    assert!(server.query(all).is_empty());
}
