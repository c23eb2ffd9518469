//! Loads that are written ahead: their keys, among themselves and against other transactions.

use crate::harness::{Client, Server};
use everview_coord::Error;

/// So many lines of keys and text, some three pieces for each 40,000.
fn lines(keys: impl Iterator<Item = u32>) -> Vec<u8> {
    let line = |key| format!("{key}\tthe text of row {key}, long enough to fill pieces with it\n");
    keys.map(line).collect::<String>().into_bytes()
}

fn load(client: &mut Client<'_>, keys: impl Iterator<Item = u32>) -> Result<String, Error> {
    client.copy("COPY t FROM STDIN", &lines(keys), 50_000)
}

fn code(result: Result<impl std::fmt::Debug, Error>) -> String {
    result.expect_err("refused").code.to_string()
}

fn server() -> Server {
    let server = Server::start();
    server.query("CREATE TABLE t (a int PRIMARY KEY, b text)");
    server
}

#[test]
fn a_key_that_comes_twice_names_the_line_of_the_second() {
    let server = server();
    let mut client = server.connect();
    let error = load(&mut client, (0..60_000).chain([7])).expect_err("taken");
    assert_eq!(error.code.to_string(), "23505");
    assert_eq!(error.context.as_deref(), Some("COPY t, line 60001"));
    assert_eq!(error.detail.as_deref(), Some("Key (a)=(7) already exists."));
    let error = load(&mut client, (0..60_000).chain([59_999])).expect_err("taken in its piece");
    assert_eq!(error.context.as_deref(), Some("COPY t, line 60001"));
    client.query("INSERT INTO t VALUES (50000, 'x')");
    let error = load(&mut client, 0..60_000).expect_err("taken in the table");
    assert_eq!(error.context.as_deref(), Some("COPY t, line 50001"));
    assert_eq!(client.query("SELECT count(*) FROM t"), [["1"]]);
}

#[test]
fn a_load_and_the_other_statements_of_its_transaction_agree_on_keys() {
    let server = server();
    let mut client = server.connect();
    client.query("INSERT INTO t VALUES (1, 'old'), (2, 'old')");
    client.query("BEGIN");
    client.query("DELETE FROM t WHERE a = 1");
    client.query("INSERT INTO t VALUES (60001, 'before')");
    load(&mut client, (3..60_000).chain([1])).expect("1 is free again");
    client.query("COMMIT");
    assert_eq!(
        client.query("SELECT count(*), count(DISTINCT a) FROM t"),
        [["60000", "60000"]]
    );
    for again in [1, 2, 30_000, 60_001] {
        client.query("BEGIN");
        load(&mut client, 70_000..130_000).expect("all new");
        assert_eq!(
            code(load(&mut client, [again].into_iter())),
            "23505",
            "{again}"
        );
        client.query("ROLLBACK");
    }
    client.query("BEGIN");
    load(&mut client, 70_000..130_000).expect("all new");
    assert_eq!(client.error("INSERT INTO t VALUES (80000, 'x')").0, "23505");
    client.query("ROLLBACK");
}

#[test]
fn a_load_conflicts_with_a_concurrent_row_of_one_of_its_keys_and_no_other() {
    let server = server();
    for (first, key, conflicts) in [(100_000, 100_010, true), (200_000, 300_000, false)] {
        let (mut one, mut other) = (server.connect(), server.connect());
        one.query("BEGIN");
        load(&mut one, first..first + 60_000).expect("all new");
        other.query(&format!("INSERT INTO t VALUES ({key}, 'x')"));
        let committed = one.try_query("COMMIT");
        match conflicts {
            true => assert_eq!(code(committed), "40001"),
            false => drop(committed.expect("nothing in common")),
        }
    }
    // The other way round: the row comes later than the load.
    for (key, conflicts) in [(400_010, true), (500_000, false)] {
        let (mut one, mut other) = (server.connect(), server.connect());
        other.query("BEGIN");
        other.query(&format!("INSERT INTO t VALUES ({key}, 'x')"));
        load(&mut one, key - 20_000..key - 10_000).expect("few");
        if conflicts {
            load(&mut one, 400_000..460_000).expect("all new");
        }
        let committed = other.try_query("COMMIT");
        match conflicts {
            true => assert_eq!(code(committed), "40001"),
            false => drop(committed.expect("nothing in common")),
        }
    }
}

#[test]
fn keys_of_a_load_are_counted_against_the_memory_limit() {
    let server = Server::with_options(|options| options.memory_limit = Some(1 << 20));
    server.query("CREATE TABLE t (a int PRIMARY KEY, b text)");
    server.query("CREATE TABLE u (a int, b text)");
    let mut client = server.connect();
    // 8 bytes a key, half a MiB for them.
    let error = load(&mut client, 0..100_000).expect_err("too many keys");
    assert_eq!(error.code.to_string(), "53200");
    let data = lines(0..100_000);
    client
        .copy("COPY u FROM STDIN", &data, 50_000)
        .expect("without keys there is no bound");
    load(&mut client, 0..40_000).expect("few enough");
}
