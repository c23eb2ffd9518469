//! Producers: each test bears the name of the guarantee that it holds.

use crate::harness::{Client, Server, rows};
use everview_repr::SqlState;

/// A server with the table of these tests.
fn server() -> Server {
    let server = Server::start();
    server.query("CREATE TABLE t (a int PRIMARY KEY, n int)");
    server.query("CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS n FROM t");
    server
}

fn batch(
    client: &mut Client<'_>,
    sequence: i64,
    statement: &str,
) -> Result<(), everview_coord::Error> {
    client.try_query(&format!("BEGIN; SET LOCAL everview.sequence = {sequence}"))?;
    client.try_query(statement)?;
    client.try_query("COMMIT").map(drop)
}

fn show(client: &mut Client<'_>, setting: &str) -> String {
    client.query(&format!("SHOW {setting}"))[0][0].clone()
}

#[test]
fn idempotent_producer_a_batch_sent_twice_in_a_session_takes_effect_once() {
    let server = server();
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    assert_eq!(show(&mut client, "everview.producer"), "ingest");
    assert_eq!(show(&mut client, "everview.last_sequence"), "0");
    batch(&mut client, 1, "INSERT INTO t VALUES (1, 10)").unwrap();
    let committed = show(&mut client, "everview.last_commit_timestamp");
    assert_eq!(show(&mut client, "everview.duplicate_of"), "");
    assert!(client.session.take_notices().is_empty());

    batch(&mut client, 1, "INSERT INTO t VALUES (1, 10)").unwrap();
    assert_eq!(show(&mut client, "everview.duplicate_of"), committed);
    let notices = client.session.take_notices();
    assert_eq!(notices[0].code, SqlState::DUPLICATE_BATCH);
    assert!(notices[0].detail.as_ref().unwrap().contains(&committed));
    assert_eq!(show(&mut client, "everview.last_sequence"), "1");
    assert_eq!(client.query("SELECT n FROM total"), rows(&[&["10"]]));

    batch(&mut client, 2, "INSERT INTO t VALUES (2, 1)").unwrap();
    assert_eq!(show(&mut client, "everview.duplicate_of"), "");
    assert_eq!(client.query("SELECT n FROM total"), rows(&[&["11"]]));
}

#[test]
fn idempotent_producer_every_writing_statement_of_a_repeated_batch_is_left_out() {
    let server = server();
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    let mut send = |expected: [&str; 4]| {
        client.query("BEGIN");
        client.query("SET LOCAL everview.sequence = 1");
        let returned = client.query("INSERT INTO t VALUES (1, 10), (2, 20) RETURNING a + n");
        assert_eq!(returned, rows(&[&["11"], &["22"]]));
        let counts = [
            "UPDATE t SET n = n + 1 WHERE a = 1 RETURNING n",
            "DELETE FROM t WHERE a = 2 RETURNING n",
            "INSERT INTO t VALUES (1, 5) ON CONFLICT (a) DO UPDATE SET n = t.n + excluded.n RETURNING n",
        ];
        for (sql, expected) in counts.iter().zip(expected) {
            let returned: Vec<_> = client.query(sql).into_iter().flatten().collect();
            assert_eq!(returned.join(" "), expected, "{sql}");
        }
        client.query("COMMIT");
        assert_eq!(
            client.query("SELECT a, n FROM t").len().to_string(),
            expected[3]
        );
        assert_eq!(client.query("SELECT n FROM total"), rows(&[&["16"]]));
    };
    send(["11", "20", "16", "1"]);
    // What rows it meets are those that are there now.
    send(["17", "", "5", "1"]);
}

#[test]
fn idempotent_producer_a_batch_without_rows_takes_its_number() {
    let server = server();
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    client.query("BEGIN; SET LOCAL everview.sequence = 4; COMMIT");
    assert_eq!(show(&mut client, "everview.last_sequence"), "4");
    client.query("BEGIN; SET LOCAL everview.sequence = 5; ROLLBACK");
    assert_eq!(show(&mut client, "everview.last_sequence"), "4");
    assert_eq!(show(&mut client, "everview.sequence"), "");
}

#[test]
fn a_number_that_was_passed_over_changes_nothing_and_is_warned_of() {
    let server = server();
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    batch(&mut client, 5, "INSERT INTO t VALUES (5, 5)").unwrap();
    batch(&mut client, 3, "INSERT INTO t VALUES (3, 3)").unwrap();
    let notices = client.session.take_notices();
    assert_eq!(notices[0].severity, "WARNING");
    assert!(notices[0].message.contains("batch 3"), "{notices:?}");
    assert_eq!(show(&mut client, "everview.last_sequence"), "5");
    assert_eq!(client.query("SELECT * FROM t"), rows(&[&["5", "5"]]));
}

#[test]
fn prepared_statements_carry_a_batch() {
    let server = server();
    let mut client = server.connect();
    let epoch = client.query("SELECT everview.open_producer('ingest')")[0][0].clone();
    client.query("PREPARE begin_batch AS SELECT everview.begin_batch($1, $2, $3)");
    client.query("PREPARE put (int, int) AS INSERT INTO t VALUES ($1, $2)");
    let mut send = |n: i32| {
        client.query(&format!("BEGIN; EXECUTE begin_batch('ingest', {epoch}, 1)"));
        client.query(&format!("EXECUTE put(1, {n})"));
        let committed = client.try_query("COMMIT");
        committed.map(|_| client.session.take_notices().len())
    };
    assert_eq!(send(7), Ok(0));
    assert_eq!(send(7), Ok(1));
    assert_eq!(send(8).unwrap_err().code, SqlState::BATCH_DIFFERS);
    assert_eq!(client.query("SELECT * FROM t"), rows(&[&["1", "7"]]));
}

#[test]
fn transactional_producer_and_fencing_across_restarts() {
    let mut server = server();
    {
        let mut client = server.connect();
        client.query("SET everview.producer = 'ingest'");
        batch(&mut client, 7, "INSERT INTO t VALUES (7, 70)").unwrap();
    }
    let epoch = server.query("SELECT epoch FROM everview.producers")[0][0].clone();
    for keep_store in [true, false] {
        match keep_store {
            true => server.restart(),
            false => {
                server.restart_after(|dir| std::fs::remove_dir_all(dir.join("store")).unwrap())
            }
        }
        let mut client = server.connect();
        client.query(&format!(
            "BEGIN; SELECT everview.begin_batch('ingest', {epoch}, 7)"
        ));
        client.query("INSERT INTO t VALUES (7, 70)");
        client.query("COMMIT");
        assert_eq!(client.query("SELECT n FROM total"), rows(&[&["70"]]));
    }
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    assert_eq!(show(&mut client, "everview.last_sequence"), "7");
    client.query("BEGIN");
    let old = client.error(&format!(
        "SELECT everview.begin_batch('ingest', {epoch}, 8)"
    ));
    assert_eq!(old.0, "VE001");
}

#[test]
fn transactional_producer_a_zombie_is_fenced() {
    let server = server();
    let mut zombie = server.connect();
    let mut holder = server.connect();
    zombie.query("SET everview.producer = 'ingest'");
    zombie.query("BEGIN; SET LOCAL everview.sequence = 1");
    zombie.query("INSERT INTO t VALUES (1, 1)");
    holder.query("SET everview.producer = 'ingest'");
    batch(&mut holder, 1, "INSERT INTO t VALUES (1, 2)").unwrap();
    let error = zombie.try_query("COMMIT").unwrap_err();
    assert_eq!(error.code, SqlState::PRODUCER_FENCED);
    assert!(
        error
            .hint
            .is_some_and(|hint| hint.contains("Another process"))
    );
    // Without a number too, and before anything is written.
    assert_eq!(zombie.error("INSERT INTO t VALUES (2, 2)").0, "VE001");
    zombie.query("BEGIN");
    assert_eq!(zombie.error("SET LOCAL everview.sequence = 2").0, "VE001");
    zombie.query("ROLLBACK");
    assert_eq!(zombie.query("SELECT n FROM total"), rows(&[&["2"]]));
    zombie.query("RESET everview.producer");
    zombie.query("INSERT INTO t VALUES (2, 2)");
    batch(&mut holder, 2, "UPDATE t SET n = 0").unwrap();
}

#[test]
fn transactional_producer_a_repeated_batch_that_races_with_the_first_is_told_at_commit() {
    let server = server();
    let mut one = server.connect();
    let mut two = server.connect();
    let epoch = one.query("SELECT everview.open_producer('ingest')")[0][0].clone();
    for client in [&mut one, &mut two] {
        client.query("BEGIN");
        let begun = client.query(&format!(
            "SELECT everview.begin_batch('ingest', {epoch}, 1)"
        ));
        assert_eq!(begun, rows(&[&["NULL"]]));
        client.query("INSERT INTO t VALUES (1, 1)");
    }
    one.query("COMMIT");
    let committed = show(&mut one, "everview.last_commit_timestamp");
    two.query("COMMIT");
    assert_eq!(show(&mut two, "everview.duplicate_of"), committed);
    assert_eq!(two.session.take_notices().len(), 1);
    assert_eq!(
        two.query("SELECT count(*), sum(n) FROM t"),
        rows(&[&["1", "1"]])
    );
}

#[test]
fn at_least_once_input_is_harmless_with_a_producer_and_harmful_without() {
    let server = server();
    server.query("CREATE TABLE plain (n int)");
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    for sequence in [1, 1, 2, 3, 2, 3, 3] {
        let insert = format!("INSERT INTO plain VALUES ({sequence})");
        batch(&mut client, sequence, &insert).unwrap();
    }
    assert_eq!(
        client.query("SELECT count(*), sum(n) FROM plain"),
        rows(&[&["3", "6"]])
    );
    client.query("RESET everview.producer; DELETE FROM plain");
    for sequence in [1, 1, 2, 3, 2, 3, 3] {
        client.query(&format!("INSERT INTO plain VALUES ({sequence})"));
    }
    assert_eq!(
        client.query("SELECT count(*), sum(n) FROM plain"),
        rows(&[&["7", "15"]])
    );
}

#[test]
fn a_batch_repeated_with_other_rows_is_refused() {
    let server = server();
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    batch(&mut client, 1, "INSERT INTO t VALUES (1, 1)").unwrap();
    let error = batch(&mut client, 1, "INSERT INTO t VALUES (1, 2)").unwrap_err();
    assert_eq!(error.code, SqlState::BATCH_DIFFERS);
    assert!(error.hint.is_some());
    client.query("BEGIN; SET LOCAL everview.sequence = 1");
    client.query("INSERT INTO t VALUES (1, 1)");
    client.query("INSERT INTO t VALUES (9, 9)");
    assert_eq!(client.error("COMMIT").0, "VE002");
    // Reading in between, and how values were written into the statement's own text, is the batch's; reads are not.
    client.query("BEGIN; SET LOCAL everview.sequence = 1; SELECT count(*) FROM t");
    client.query("INSERT INTO t VALUES (1, 1)");
    client.query("COMMIT");
    assert_eq!(client.query("SELECT * FROM t"), rows(&[&["1", "1"]]));
}

#[test]
fn a_gap_is_refused_in_strict_mode() {
    let server = server();
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    client.query("SET everview.strict_sequence = on");
    batch(&mut client, 1, "INSERT INTO t VALUES (1, 1)").unwrap();
    let error = batch(&mut client, 3, "INSERT INTO t VALUES (3, 3)").unwrap_err();
    assert_eq!(error.code, SqlState::SEQUENCE_GAP);
    batch(&mut client, 2, "INSERT INTO t VALUES (2, 2)").unwrap();
    batch(&mut client, 2, "INSERT INTO t VALUES (2, 2)").unwrap();
    client.query("SET everview.strict_sequence = off");
    // For one transaction, as a pooled client says it.
    let epoch = show(&mut client, "everview.producer_epoch");
    client.query("BEGIN; SET LOCAL everview.strict_sequence = on");
    client.query(&format!(
        "SELECT everview.begin_batch('ingest', {epoch}, 4)"
    ));
    assert_eq!(client.error("COMMIT").0, "VE003");
    batch(&mut client, 9, "INSERT INTO t VALUES (9, 9)").unwrap();
    assert_eq!(client.query("SELECT count(*) FROM t"), rows(&[&["3"]]));
}

#[test]
fn copy_carries_a_batch_however_it_is_cut() {
    let server = server();
    let mut client = server.connect();
    client.query("SET everview.producer = 'ingest'");
    // Large enough to be written ahead in pieces.
    let line = |n: u32| format!("{n}\t1\n");
    let data: String = (0..200_000).map(line).collect();
    for (piece, repeated) in [(1 << 16, false), (99_991, true), (7, true)] {
        client.query("BEGIN; SET LOCAL everview.sequence = 1");
        let tag = client
            .copy("COPY t FROM STDIN", data.as_bytes(), piece)
            .unwrap();
        assert_eq!(tag, "COPY 200000");
        client.query("COMMIT");
        assert_eq!(client.session.take_notices().len(), usize::from(repeated));
        assert_eq!(client.query("SELECT n FROM total"), rows(&[&["200000"]]));
    }
    let shorter = &data.as_bytes()[..data.len() - 9];
    let other = data.replacen("7\t1\n", "7\t2\n", 1);
    for data in [shorter, other.as_bytes()] {
        client.query("BEGIN; SET LOCAL everview.sequence = 1");
        client.copy("COPY t FROM STDIN", data, 4096).unwrap();
        assert_eq!(client.error("COMMIT").0, "VE002");
    }
}

#[test]
fn copy_of_a_repeated_batch_that_races_with_the_first_leaves_nothing_behind() {
    let mut server = server();
    let data: String = (0..200_000).map(|n| format!("{n}\t1\n")).collect();
    {
        let mut one = server.connect();
        let mut two = server.connect();
        let epoch = one.query("SELECT everview.open_producer('ingest')")[0][0].clone();
        for client in [&mut one, &mut two] {
            client.query("BEGIN");
            client.query(&format!(
                "SELECT everview.begin_batch('ingest', {epoch}, 1)"
            ));
            client
                .copy("COPY t FROM STDIN", data.as_bytes(), 1 << 16)
                .unwrap();
        }
        two.query("COMMIT");
        one.query("COMMIT");
        assert_eq!(one.query("SELECT n FROM total"), rows(&[&["200000"]]));
    }
    server.restart();
    assert_eq!(server.query("SELECT n FROM total"), rows(&[&["200000"]]));
}

#[test]
fn producers_are_dropped_and_forgotten_after_their_retention() {
    let server = Server::with_options(|options| options.producer_retention = 300_000);
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int)");
    client.query("SET everview.producer = 'one'");
    let mut other = server.connect();
    other.query("SET everview.producer = 'Two'");
    let names =
        "SELECT name, last_sequence, last_commit_timestamp FROM everview.producers ORDER BY name";
    assert_eq!(
        other.query(names),
        rows(&[&["Two", "0", "NULL"], &["one", "0", "NULL"]])
    );
    client.query("DROP PRODUCER one");
    assert_eq!(client.error("INSERT INTO t VALUES (1)").0, "42704");
    assert_eq!(client.error("DROP PRODUCER one").0, "42704");
    client.query("DROP PRODUCER IF EXISTS one, \"three\"");
    assert_eq!(client.session.take_notices().len(), 2);
    assert_eq!(other.query(names), rows(&[&["Two", "0", "NULL"]]));
    let epoch = show(&mut other, "everview.producer_epoch");
    // Half of it is not enough.
    std::thread::sleep(std::time::Duration::from_millis(100));
    client.query("SET everview.producer = 'four'");
    assert_eq!(other.query(names).len(), 2);
    std::thread::sleep(std::time::Duration::from_millis(400));
    client.query("SET everview.producer = 'five'");
    assert_eq!(other.query(names), rows(&[&["five", "0", "NULL"]]));
    other.query("BEGIN");
    let error = other.try_query(&format!("SELECT everview.begin_batch('Two', {epoch}, 1)"));
    let error = error.unwrap_err();
    assert_eq!(error.code, SqlState::UNDEFINED_OBJECT);
    assert!(
        error
            .hint
            .is_some_and(|hint| hint.contains("open_producer"))
    );
}

#[test]
fn a_producer_is_held_until_it_is_let_go_of() {
    let server = server();
    let mut client = server.connect();
    for release in [
        "RESET everview.producer",
        "RESET ALL",
        "DISCARD ALL",
        "SET everview.producer = DEFAULT",
    ] {
        client.query("SET everview.producer = ingest");
        assert_eq!(show(&mut client, "everview.producer"), "ingest");
        let shown = client.query("SELECT current_setting('everview.last_sequence')");
        assert_eq!(shown, rows(&[&["0"]]));
        client.query(release);
        assert_eq!(show(&mut client, "everview.producer"), "", "{release}");
        assert_eq!(show(&mut client, "everview.producer_epoch"), "");
    }
}

#[test]
fn what_a_batch_needs_is_said() {
    let server = server();
    let mut client = server.connect();
    let mut refused = |sql: &str, code: &str| {
        let error = client.error(sql);
        assert_eq!(error.0, code, "{sql}: {}", error.1);
        client.query("ROLLBACK");
    };
    refused("SET LOCAL everview.sequence = 1", "25P01");
    refused("BEGIN; SET LOCAL everview.sequence = 1", "55000");
    refused(
        "SET everview.producer = 'x'; SET everview.sequence = 1",
        "55P02",
    );
    refused("SET LOCAL everview.producer = 'x'", "55P02");
    refused("SET LOCAL everview.sequence = 1", "25P01");
    refused("BEGIN; SET LOCAL everview.sequence = one", "22023");
    refused("BEGIN; SET LOCAL everview.sequence = 0", "22023");
    refused("BEGIN; SET LOCAL everview.sequence = DEFAULT", "22023");
    refused(
        "BEGIN; INSERT INTO t VALUES (1, 1); SET LOCAL everview.sequence = 1",
        "25001",
    );
    refused(
        "BEGIN; INSERT INTO t VALUES (1, 1); SET everview.producer = 'y'",
        "25001",
    );
    refused(
        "BEGIN; INSERT INTO t VALUES (1, 1); RESET everview.producer",
        "25001",
    );
    refused(
        "BEGIN; SET LOCAL everview.sequence = 1; SET LOCAL everview.sequence = 2",
        "25001",
    );
    refused(
        "BEGIN; SET LOCAL everview.sequence = 1; SET everview.producer = 'y'",
        "25001",
    );
    refused(
        "BEGIN; SET LOCAL everview.sequence = 1; CREATE TABLE u (a int)",
        "0A000",
    );
    refused("BEGIN READ ONLY; SET LOCAL everview.sequence = 1", "25006");
    refused("BEGIN READ ONLY; SET everview.producer = 'y'", "25006");
    refused("BEGIN; DROP PRODUCER x", "25001");
    refused("SELECT everview.begin_batch('x', 1, 1)", "25P01");
    refused(
        "BEGIN; SELECT everview.begin_batch('nobody', 1, 1)",
        "42704",
    );
    refused("BEGIN; SELECT everview.begin_batch(NULL, 1, 1)", "22004");
    refused("BEGIN; SELECT everview.begin_batch('x', NULL, 1)", "22004");
    refused(
        "BEGIN; SELECT everview.begin_batch('x', 9223372036854775807, 1)",
        "22023",
    );
    refused("SELECT everview.open_producer('')", "22023");
    refused(
        &format!("SELECT everview.open_producer('{}')", "x".repeat(64)),
        "22023",
    );
    refused("SELECT everview.open_producer()", "42883");
    refused("SELECT everview.open_producer(1)", "42883");
    for elsewhere in [
        "SELECT everview.open_producer('x') LIMIT 1",
        "SELECT everview.open_producer('x'), 1",
        "SELECT everview.open_producer('x') + 1",
        "SELECT * FROM everview.open_producer('x')",
        "SELECT 1 WHERE everview.begin_batch('x', 1, 1) > 0",
        "CREATE VIEW v AS SELECT everview.open_producer('x')",
        "INSERT INTO t SELECT everview.open_producer('x'), 1",
        "WITH w AS (SELECT everview.open_producer('x')) SELECT * FROM w",
        "BEGIN; DECLARE c CURSOR FOR SELECT everview.open_producer('x')",
    ] {
        refused(elsewhere, "0A000");
    }
}
