//! DEDUPLICATE BY: first write wins, whoever repeats it, however, and whenever.

use crate::harness::{Client, Server, rows};

const TICKS: &str = "CREATE TABLE ticks (symbol text, at timestamp, price numeric) \
    WITH (append_only, DEDUPLICATE BY (symbol, at))";

fn tag(client: &mut Client<'_>, sql: &str) -> String {
    client.query(sql)[0][0].clone()
}

fn count(server: &Server, table: &str) -> String {
    server.query(&format!("SELECT count(*) FROM {table}"))[0][0].clone()
}

/// Lines of ticks: symbols `from..to` of one moment.
fn lines(from: u32, to: u32) -> Vec<u8> {
    let line = |n| format!("s{n}\t2026-01-02 03:04:05\t{n}.5\n");
    (from..to).map(line).collect::<String>().into_bytes()
}

#[test]
fn per_bundle_deduplication_a_bundle_sent_again_changes_nothing() {
    for options in [
        "append_only, DEDUPLICATE BY (symbol, at)",
        "DEDUPLICATE BY (symbol, at)",
        "append_only, DEDUPLICATE BY (symbol, at) WITHIN '1 hour'",
        "DEDUPLICATE BY (symbol, at) WITHIN '1 hour'",
    ] {
        let mut server = Server::start();
        server.query(&format!(
            "CREATE TABLE ticks (symbol text, at timestamp, price numeric) WITH ({options})"
        ));
        server
            .query("CREATE MATERIALIZED VIEW total AS SELECT count(*) n, sum(price) s FROM ticks");
        let mut client = server.connect();
        let bundle = "INSERT INTO ticks VALUES ('A', '2026-01-02', 1), ('B', '2026-01-02', 2.0), ('A', '2026-01-02', 9)";
        assert_eq!(tag(&mut client, bundle), "INSERT 0 2", "{options}");
        assert_eq!(tag(&mut client, bundle), "INSERT 0 0", "{options}");
        assert!(client.session.take_notices().is_empty());
        let copy = "COPY ticks FROM STDIN";
        let again = b"A\t2026-01-02\t7\nC\t2026-01-02\t4\nC\t2026-01-02\t5\n";
        assert_eq!(client.copy(copy, again, 7).unwrap(), "COPY 1", "{options}");
        assert_eq!(client.copy(copy, again, 7).unwrap(), "COPY 0", "{options}");
        // Within a transaction, and rolled back: what never was is not remembered.
        client.query("BEGIN; INSERT INTO ticks VALUES ('D', '2026-01-02', 0.25)");
        assert_eq!(
            tag(
                &mut client,
                "INSERT INTO ticks VALUES ('D', '2026-01-02', 3)"
            ),
            "INSERT 0 0"
        );
        client.query("ROLLBACK; INSERT INTO ticks VALUES ('D', '2026-01-02', 0.5)");
        drop(client);
        let expected = rows(&[&["4", "7.5"]]);
        assert_eq!(
            server.query("SELECT n, s FROM total"),
            expected,
            "{options}"
        );
        for lose_the_store in [false, true] {
            server.restart_after(|folder| {
                if lose_the_store {
                    std::fs::remove_dir_all(folder.join("store")).unwrap();
                }
            });
            let mut client = server.connect();
            assert_eq!(tag(&mut client, bundle), "INSERT 0 0", "{options}");
            assert_eq!(client.copy(copy, again, 3).unwrap(), "COPY 0", "{options}");
            drop(client);
            assert_eq!(
                server.query("SELECT n, s FROM total"),
                expected,
                "{options}"
            );
            server.query("VERIFY ALL");
        }
    }
}

#[test]
fn per_bundle_deduplication_nulls_are_equal_and_so_are_equal_values() {
    let server = Server::start();
    server.query("CREATE TABLE t (a numeric, b text) WITH (DEDUPLICATE BY (a))");
    let mut client = server.connect();
    let sql = "INSERT INTO t VALUES (NULL, 'x'), (1.0, 'y'), (NULL, 'z'), (1.00, 'w') RETURNING b";
    assert_eq!(client.query(sql), rows(&[&["x"], &["y"]]));
    assert_eq!(
        client
            .query("SELECT deduplicate_by, remembered_keys FROM everview.tables WHERE name = 't'"),
        rows(&[&["(a)", "NULL"]])
    );
}

#[test]
fn per_bundle_deduplication_of_loads_larger_than_memory_holds_them() {
    let server = Server::start();
    for (table, options) in [
        ("forever", "append_only, DEDUPLICATE BY (symbol, at)"),
        (
            "hourly",
            "append_only, DEDUPLICATE BY (symbol, at) WITHIN '1 hour'",
        ),
        ("changing", "DEDUPLICATE BY (symbol, at)"),
    ] {
        server.query(&format!(
            "CREATE TABLE {table} (symbol text, at timestamp, price numeric) WITH ({options})"
        ));
        let mut client = server.connect();
        // Several pieces in the log, then all of it again, in the same load and in the next.
        let once = lines(0, 90_000);
        let twice = [once.clone(), once.clone()].concat();
        let copy = format!("COPY {table} FROM STDIN");
        assert_eq!(client.copy(&copy, &twice, 100_000).unwrap(), "COPY 90000");
        let more = lines(60_000, 120_000);
        assert_eq!(client.copy(&copy, &more, 100_000).unwrap(), "COPY 30000");
        let insert = format!("INSERT INTO {table} VALUES ('s119999', '2026-01-02 03:04:05', 0)");
        assert_eq!(tag(&mut client, &insert), "INSERT 0 0");
        assert_eq!(count(&server, table), "120000");
    }
}

#[test]
fn per_bundle_deduplication_between_transactions_at_the_same_time() {
    for options in [
        "append_only, DEDUPLICATE BY (a)",
        "DEDUPLICATE BY (a) WITHIN '1 hour'",
    ] {
        let server = Server::start();
        server.query(&format!("CREATE TABLE t (a int, b text) WITH ({options})"));
        let (mut one, mut two) = (server.connect(), server.connect());
        one.query("BEGIN; INSERT INTO t VALUES (1, 'one'), (2, 'one')");
        two.query("BEGIN; INSERT INTO t VALUES (2, 'two'), (3, 'two')");
        one.query("COMMIT");
        // The row that came meanwhile is left out; nothing fails, and nothing is there twice.
        two.query("COMMIT");
        let all = "SELECT a, b FROM t ORDER BY a";
        let expected = rows(&[&["1", "one"], &["2", "one"], &["3", "two"]]);
        assert_eq!(one.query(all), expected);
        // Whoever has looked may have acted on what it saw.
        two.query("BEGIN; INSERT INTO t VALUES (4, 'two')");
        two.query("SELECT count(*) FROM t");
        one.query("INSERT INTO t VALUES (4, 'one')");
        assert_eq!(two.error("COMMIT").0, "40001");
    }
}

#[test]
fn per_bundle_deduplication_of_loads_at_the_same_time() {
    let server = Server::start();
    server.query(TICKS);
    let (mut one, mut two) = (server.connect(), server.connect());
    let copy = "COPY ticks FROM STDIN";
    one.query("BEGIN");
    one.copy(copy, &lines(0, 50_000), 100_000).unwrap();
    assert_eq!(
        two.copy(copy, &lines(25_000, 80_000), 100_000).unwrap(),
        "COPY 55000"
    );
    one.query("COMMIT");
    assert_eq!(count(&server, "ticks"), "80000");
    assert_eq!(
        server.query("SELECT count(DISTINCT symbol) FROM ticks"),
        rows(&[&["80000"]])
    );
    server.query("VERIFY ALL");
}

#[test]
fn per_bundle_deduplication_within_a_time_and_then_the_state_is_freed() {
    let mut server = Server::start();
    server.query(
        "CREATE TABLE t (a int) WITH (append_only, DEDUPLICATE BY (a) WITHIN '2 seconds'); \
         CREATE TABLE clock (n int)",
    );
    let remembered = "SELECT deduplicate_by, remembered_keys, remembered_bytes > 0 FROM everview.tables WHERE name = 't'";
    let mut client = server.connect();
    assert_eq!(
        tag(&mut client, "INSERT INTO t SELECT generate_series(1, 1000)"),
        "INSERT 0 1000"
    );
    let start = std::time::Instant::now();
    assert_eq!(tag(&mut client, "INSERT INTO t VALUES (7)"), "INSERT 0 0");
    let expected = rows(&[&["(a) WITHIN '00:00:02'", "1000", "t"]]);
    assert_eq!(client.query(remembered), expected);
    // A restart, with the store or without it, remembers as much.
    drop(client);
    server.restart_after(|folder| std::fs::remove_dir_all(folder.join("store")).unwrap());
    assert_eq!(server.query(remembered), expected);
    if start.elapsed() < std::time::Duration::from_millis(1500) {
        assert_eq!(
            tag(&mut server.connect(), "INSERT INTO t VALUES (8)"),
            "INSERT 0 0"
        );
    }
    let wait = std::time::Duration::from_millis(3200).saturating_sub(start.elapsed());
    std::thread::sleep(wait);
    // Any commit moves the clock on.
    server.query("INSERT INTO clock VALUES (1)");
    assert_eq!(
        server.query(remembered),
        rows(&[&["(a) WITHIN '00:00:02'", "0", "f"]])
    );
    let mut client = server.connect();
    assert_eq!(
        tag(&mut client, "INSERT INTO t VALUES (7), (7)"),
        "INSERT 0 1"
    );
    drop(client);
    server.restart();
    assert_eq!(count(&server, "t"), "1001");
    server.query("VERIFY ALL");
}

#[test]
fn a_deleted_row_frees_its_key_unless_the_key_is_remembered_for_a_time() {
    let server = Server::start();
    server.query(
        "CREATE TABLE rows_ (a int, b text) WITH (DEDUPLICATE BY (a)); \
         CREATE TABLE hour (a int, b text) WITH (DEDUPLICATE BY (a) WITHIN '1 hour')",
    );
    for (table, after_delete) in [("rows_", "INSERT 0 1"), ("hour", "INSERT 0 0")] {
        let mut client = server.connect();
        let insert = format!("INSERT INTO {table} VALUES (1, 'x')");
        client.query(&insert);
        client.query(&format!("DELETE FROM {table}"));
        assert_eq!(tag(&mut client, &insert), after_delete, "{table}");
        client.query(&format!("BEGIN; INSERT INTO {table} VALUES (2, 'x')"));
        client.query(&format!("DELETE FROM {table} WHERE a = 2"));
        let insert = format!("INSERT INTO {table} VALUES (2, 'y')");
        assert_eq!(tag(&mut client, &insert), after_delete, "{table}");
        client.query("COMMIT");
    }
    // An UPDATE is no delivery: a key that is taken is an error, and never a row that is lost.
    let mut client = server.connect();
    client.query("INSERT INTO rows_ VALUES (5, 'x'), (6, 'x')");
    assert_eq!(
        client.error("UPDATE rows_ SET a = 5 WHERE a = 6").0,
        "23505"
    );
    client.query("UPDATE rows_ SET b = 'z' WHERE a = 6; UPDATE hour SET b = 'z'");
}

#[test]
fn upsert_key_deduplication_the_last_write_wins_and_a_repeated_one_changes_nothing() {
    let mut server = Server::start();
    server.query(
        "CREATE TABLE keyed (id text PRIMARY KEY, v int); \
         CREATE TABLE named (id text, v int) WITH (DEDUPLICATE BY (id)); \
         CREATE MATERIALIZED VIEW sums AS \
         SELECT (SELECT sum(v) FROM keyed) AS keyed, (SELECT sum(v) FROM named) AS named",
    );
    for table in ["keyed", "named"] {
        let mut client = server.connect();
        let upsert = format!(
            "INSERT INTO {table} VALUES ('a', 1), ('b', 2) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v"
        );
        for _ in 0..3 {
            assert_eq!(tag(&mut client, &upsert), "INSERT 0 2");
        }
        client.query(&format!(
            "INSERT INTO {table} VALUES ('a', 10) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v"
        ));
        let nothing = format!("INSERT INTO {table} VALUES ('a', 99) ON CONFLICT DO NOTHING");
        assert_eq!(tag(&mut client, &nothing), "INSERT 0 0");
    }
    let mut client = server.connect();
    // Without ON CONFLICT: an error for a key, nothing for DEDUPLICATE BY.
    assert_eq!(client.error("INSERT INTO keyed VALUES ('a', 5)").0, "23505");
    assert_eq!(
        tag(&mut client, "INSERT INTO named VALUES ('a', 5)"),
        "INSERT 0 0"
    );
    drop(client);
    server.restart();
    assert_eq!(
        server.query("SELECT keyed, named FROM sums"),
        rows(&[&["12", "12"]])
    );
}

#[test]
fn a_row_that_was_there_before_is_left_out_before_any_other_key_is_asked() {
    let server = Server::start();
    server.query(
        "CREATE TABLE t (id int PRIMARY KEY, event text, n int) WITH (DEDUPLICATE BY (event)); \
         INSERT INTO t VALUES (1, 'e', 1), (2, 'f', 1)",
    );
    let mut client = server.connect();
    assert_eq!(
        tag(&mut client, "INSERT INTO t VALUES (1, 'e', 1)"),
        "INSERT 0 0"
    );
    assert_eq!(client.error("INSERT INTO t VALUES (1, 'g', 1)").0, "23505");
    let upsert = |event: &str| {
        format!(
            "INSERT INTO t VALUES (1, '{event}', 5) ON CONFLICT (id) DO UPDATE SET event = EXCLUDED.event, n = 5"
        )
    };
    assert_eq!(tag(&mut client, &upsert("f")), "INSERT 0 0");
    assert_eq!(tag(&mut client, &upsert("h")), "INSERT 0 1");
    assert_eq!(
        client.query("SELECT * FROM t ORDER BY id"),
        rows(&[&["1", "h", "5"], &["2", "f", "1"]])
    );
}

#[test]
fn read_committed_readers_never_see_an_unfinished_transaction() {
    let server = Server::start();
    server.query(
        "CREATE TABLE t (a int, n int); CREATE MATERIALIZED VIEW v AS SELECT sum(n) AS n FROM t",
    );
    let mut writer = server.connect();
    let mut reader = server.connect();
    reader.query("SET default_transaction_isolation = 'read committed'");
    let mut seen = |expected: &str| {
        for sql in [
            "SELECT coalesce(sum(n), 0) FROM t",
            "SELECT coalesce(n, 0) FROM v",
        ] {
            let got = reader.query(sql);
            let got = got.first().map_or("0", |row| row[0].as_str());
            assert_eq!(got, expected, "{sql}");
        }
    };
    writer.query("BEGIN; INSERT INTO t VALUES (1, 1)");
    seen("0");
    // More than a piece of it is in the log already.
    let lines = "2\t1\n".repeat(400_000);
    writer
        .copy("COPY t FROM STDIN", lines.as_bytes(), 1 << 20)
        .unwrap();
    seen("0");
    writer.query("ROLLBACK");
    seen("0");
    writer.query("BEGIN; INSERT INTO t VALUES (1, 1)");
    writer.query("INSERT INTO t VALUES (2, -1)");
    seen("0");
    writer.query("INSERT INTO t VALUES (3, 5)");
    writer.query("COMMIT");
    seen("5");
}

#[test]
fn view_as_its_own_sink_what_a_reader_sees_is_a_function_of_the_log() {
    let mut server = Server::start();
    server.query(
        "CREATE TABLE orders (id text, amount int) WITH (DEDUPLICATE BY (id)); \
         CREATE MATERIALIZED VIEW revenue AS SELECT count(*) AS n, sum(amount) AS s FROM orders",
    );
    for round in 1..=3 {
        for id in ["a", "b"] {
            server.query(&format!(
                "INSERT INTO orders VALUES ('{id}{round}', 10), ('{id}1', 10)"
            ));
        }
        let expected = rows(&[&[&(2 * round).to_string(), &(20 * round).to_string()]]);
        let all = "SELECT n, s FROM revenue";
        assert_eq!(server.query(all), expected);
        // Nothing was told to a sink: there is no second truth to be repeated into or lost.
        server.restart_after(|folder| {
            if round == 2 {
                std::fs::remove_dir_all(folder.join("store")).unwrap();
            }
        });
        assert_eq!(server.query(all), expected);
        server.query("VERIFY MATERIALIZED VIEW revenue");
    }
}

#[test]
fn a_table_stops_deduplicating_when_its_constraint_is_dropped() {
    let mut server = Server::start();
    for (table, within) in [("forever", ""), ("hourly", " WITHIN '1 hour'")] {
        server.query(&format!(
            "CREATE TABLE {table} (a int) WITH (DEDUPLICATE BY (a){within}); \
             INSERT INTO {table} VALUES (1), (1); \
             ALTER TABLE {table} DROP CONSTRAINT {table}_a_dedup; \
             INSERT INTO {table} VALUES (1), (1)"
        ));
    }
    for _ in 0..2 {
        for table in ["forever", "hourly"] {
            assert_eq!(count(&server, table), "3", "{table}");
        }
        let none = "SELECT count(deduplicate_by), count(remembered_keys) FROM everview.tables";
        assert_eq!(server.query(none), rows(&[&["0", "0"]]));
        server.restart_after(|folder| std::fs::remove_dir_all(folder.join("store")).unwrap());
    }
    server.query("VERIFY ALL");
}
