//! The past through sessions: every AS OF is what was there at that commit, from memory and from the log, and changes
//! come whole from any commit on.

use super::harness::{Client, Server, rows};
use std::collections::BTreeMap;

/// Nothing but the newest commit stays in memory.
fn forgetful() -> Server {
    Server::with_options(|options| options.history = 0)
}

fn commit(client: &mut Client<'_>, sql: &str) -> u64 {
    client.query(&format!(
        "BEGIN; {}; COMMIT",
        sql.trim_start_matches("BEGIN; ")
            .trim_end_matches("; COMMIT")
    ));
    let at = client.query("SHOW everview.last_commit_timestamp");
    at[0][0].parse().expect("a timestamp")
}

/// The rows of a relation in order.
fn contents(client: &mut Client<'_>, relation: &str, as_of: Option<u64>) -> Vec<Vec<String>> {
    let as_of = as_of.map_or(String::new(), |at| format!(" AS OF {at}"));
    let mut found = client.query(&format!("SELECT * FROM {relation}{as_of}"));
    found.sort();
    found
}

const SCHEMA: &str = "
CREATE TABLE keyed (id int PRIMARY KEY, name text);
CREATE TABLE plain (a int, b numeric(8,2));
CREATE TABLE ticks (s text, p int) APPEND ONLY;
CREATE VIEW names AS SELECT name, count(*) AS n FROM keyed GROUP BY name;
CREATE MATERIALIZED VIEW counts AS SELECT * FROM names WHERE n > 0;
CREATE MATERIALIZED VIEW low AS SELECT s, min(p) AS low, count(*) AS n FROM ticks GROUP BY s;
CREATE MATERIALIZED VIEW joined AS SELECT k.id, p.b FROM keyed k LEFT JOIN plain p ON p.a = k.id;
";

const RELATIONS: [&str; 7] = [
    "keyed", "plain", "ticks", "names", "counts", "low", "joined",
];

/// Statements in an order that a number decides, each a commit.
fn statement(n: u64) -> String {
    let x = n
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
        >> 33;
    let id = x % 7;
    match x % 6 {
        0 | 1 => format!(
            "INSERT INTO keyed VALUES ({id}, 'name {}') ON CONFLICT (id) DO UPDATE SET name = 'again {n}'",
            n % 3
        ),
        2 => format!("INSERT INTO plain VALUES ({id}, {n} / 3.0), ({id}, 1)"),
        3 => format!("INSERT INTO ticks VALUES ('s{}', {})", id % 3, x % 100),
        4 => format!("DELETE FROM keyed WHERE id = {id}; INSERT INTO ticks VALUES ('d', {n})"),
        _ => {
            format!("UPDATE plain SET b = b + 1 WHERE a >= {id}; INSERT INTO plain VALUES (9, {n})")
        }
    }
}

#[test]
fn every_as_of_is_what_was_there_at_that_commit_across_a_restart() {
    for workers in [1, 2] {
        let mut server = Server::with_options(|options| {
            options.history = 0;
            options.workers = workers;
        });
        let mut then: BTreeMap<u64, Vec<Vec<Vec<String>>>> = BTreeMap::new();
        {
            let mut client = server.connect();
            client.query(SCHEMA);
            for n in 0..40 {
                let at = commit(&mut client, &statement(n));
                let all = RELATIONS.map(|relation| contents(&mut client, relation, None));
                then.insert(at, all.to_vec());
            }
            check(&mut client, &then);
        }
        server.restart();
        check(&mut server.connect(), &then);
    }
}

fn check(client: &mut Client<'_>, then: &BTreeMap<u64, Vec<Vec<Vec<String>>>>) {
    for (at, all) in then {
        for (relation, expected) in RELATIONS.iter().zip(all) {
            let found = contents(client, relation, Some(*at));
            assert_eq!(found, *expected, "{relation} AS OF {at}");
            // Between two commits it is as after the first.
            if then.contains_key(&(at + 1)) || then.last_key_value().is_some_and(|(l, _)| l == at) {
                continue;
            }
            assert_eq!(contents(client, relation, Some(at + 1)), *expected);
        }
    }
}

#[test]
fn what_is_derived_says_what_it_costs_and_what_is_in_memory_says_nothing() {
    let server = forgetful();
    let mut client = server.connect();
    let at = commit(
        &mut client,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1)",
    );
    let last = commit(&mut client, "INSERT INTO t VALUES (2)");
    client.session.take_notices();
    assert_eq!(contents(&mut client, "t", Some(last)).len(), 2);
    assert!(client.session.take_notices().is_empty());
    assert_eq!(contents(&mut client, "t", Some(at)), rows(&[&["1"]]));
    let notices = client.session.take_notices();
    assert!(
        notices[0]
            .message
            .contains("is derived from the log: 1 commit and "),
        "{notices:?}"
    );
}

#[test]
fn a_time_outside_the_log_names_the_valid_range() {
    let server = forgetful();
    let mut client = server.connect();
    let first = commit(&mut client, "CREATE TABLE t (a int)");
    commit(&mut client, "INSERT INTO t VALUES (1)");
    let (code, message) = client.error("SELECT * FROM t AS OF 5");
    assert_eq!(code, "22023");
    assert!(
        message.contains(&format!("before the log began, at {first} (")),
        "{message}"
    );
    let error = client
        .try_query("SELECT * FROM t AS OF '2001-01-01'")
        .expect_err("too early");
    assert!(
        error
            .hint
            .expect("the range")
            .starts_with(&format!("Times from {first} ("))
    );
    let error = client
        .try_query("SELECT * FROM t AS OF '2999-01-01'")
        .expect_err("too late");
    assert_eq!(error.code.to_string(), "22023");
    assert!(error.message.contains("in the future"), "{}", error.message);
    assert_eq!(client.query("SELECT * FROM t AS OF now()"), rows(&[&["1"]]));
}

#[test]
fn history_kept_for_one_relation_is_refused_by_name() {
    let server = forgetful();
    let mut client = server.connect();
    let sql = "CREATE MATERIALIZED VIEW v WITH (RETAIN HISTORY FOR '1 hour') AS SELECT 1 AS one";
    let (code, message) = client.error(sql);
    assert_eq!(code, "0A000");
    assert!(message.contains("RETAIN HISTORY"), "{message}");
}

#[test]
fn names_and_columns_are_those_of_the_time() {
    let mut server = forgetful();
    let mut client = server.connect();
    let old = commit(
        &mut client,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)",
    );
    client.query(
        "CREATE VIEW v AS SELECT sum(a) AS s FROM t; CREATE MATERIALIZED VIEW m AS SELECT * FROM v",
    );
    let viewed = commit(&mut client, "INSERT INTO t VALUES (3)");
    let wide = commit(
        &mut client,
        "ALTER TABLE t ADD COLUMN b text DEFAULT 'x'; INSERT INTO t VALUES (4, 'y')",
    );
    let replaced = commit(
        &mut client,
        "CREATE OR REPLACE VIEW v AS SELECT sum(a) * 100 AS s FROM t; DELETE FROM t WHERE a = 1",
    );
    let dropped = commit(
        &mut client,
        "DROP TABLE t CASCADE; CREATE TABLE other (x int)",
    );
    let again = commit(
        &mut client,
        "CREATE TABLE t (z text); INSERT INTO t VALUES ('new')",
    );
    client.query("ALTER TABLE other RENAME TO others; INSERT INTO others VALUES (1)");
    drop(client);
    for _ in 0..2 {
        let mut client = server.connect();
        let mut t = |at| contents(&mut client, "t", Some(at));
        assert_eq!(t(old), rows(&[&["1"], &["2"]]));
        assert_eq!(t(viewed), rows(&[&["1"], &["2"], &["3"]]));
        assert_eq!(
            t(wide),
            rows(&[&["1", "x"], &["2", "x"], &["3", "x"], &["4", "y"]])
        );
        assert_eq!(t(replaced), rows(&[&["2", "x"], &["3", "x"], &["4", "y"]]));
        assert_eq!(t(again), rows(&[&["new"]]));
        assert_eq!(contents(&mut client, "v", Some(wide)), rows(&[&["10"]]));
        assert_eq!(
            contents(&mut client, "v", Some(replaced)),
            rows(&[&["900"]])
        );
        assert_eq!(contents(&mut client, "m", Some(viewed)), rows(&[&["6"]]));
        let sql = format!("SELECT * FROM t AS OF {dropped}");
        let error = client.try_query(&sql).expect_err("not there");
        assert_eq!(error.code.to_string(), "42P01");
        assert!(
            error
                .hint
                .expect("when")
                .starts_with("public.t was created at ")
        );
        assert_eq!(
            client.error(&format!("SELECT * FROM m AS OF {old}")).0,
            "42P01"
        );
        assert_eq!(
            client
                .error(&format!("SELECT * FROM others AS OF {again}"))
                .0,
            "42P01"
        );
        assert_eq!(contents(&mut client, "other", Some(again)).len(), 0);
        drop(client);
        server.restart();
    }
}

#[test]
fn as_of_takes_parameters_cursors_and_copy_into_the_past() {
    let server = forgetful();
    let mut client = server.connect();
    let at = commit(
        &mut client,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1)",
    );
    client.query("INSERT INTO t VALUES (2); DELETE FROM t WHERE a = 1");
    client.query("PREPARE p (bigint) AS SELECT count(*), max(a) FROM t AS OF $1");
    assert_eq!(
        client.query(&format!("EXECUTE p({at})")),
        rows(&[&["1", "1"]])
    );
    client.query(&format!(
        "BEGIN; DECLARE c CURSOR FOR SELECT a + 10 FROM t AS OF {at}"
    ));
    assert_eq!(client.query("FETCH ALL c"), rows(&[&["11"]]));
    client.query("COMMIT");
    let all = format!("SELECT count(*) FROM t AS OF {at} ");
    assert_eq!(client.query(&all), rows(&[&["1"]]));
}

#[test]
fn changes_from_any_commit_on_come_once_each_and_go_on_with_new_commits() {
    for workers in [1, 2] {
        let mut server = Server::with_options(|options| {
            options.history = 0;
            options.workers = workers;
        });
        let mut commits = Vec::new();
        {
            let mut client = server.connect();
            client.query(SCHEMA);
            commits.extend((0..30).map(|n| commit(&mut client, &statement(n))));
        }
        server.restart();
        for relation in ["keyed", "ticks", "counts", "joined"] {
            for from in [0, 3, 17, 29] {
                let mut client = server.connect();
                follow_from(&mut client, relation, commits[from]);
            }
        }
    }
}

/// A subscription's snapshot and changes add up to the relation at every commit since.
fn follow_from(client: &mut Client<'_>, relation: &str, from: u64) {
    client.query("BEGIN");
    let sql = format!("DECLARE c CURSOR FOR SUBSCRIBE {relation} WITH (PROGRESS) AS OF {from}");
    client.query(&sql);
    let mut writer = client.another();
    let last = commit(
        &mut writer,
        "INSERT INTO keyed VALUES (100, 'late') ON CONFLICT (id) DO UPDATE SET name = keyed.name || '.'; INSERT INTO ticks VALUES ('late', 1)",
    );
    let mut sum: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    let mut newest = from;
    'all: loop {
        for row in client.query("FETCH ALL c WITH (timeout = '20s')") {
            let time: u64 = row[0].parse().expect("a timestamp");
            assert!(time >= newest, "{row:?}");
            newest = time;
            if row[1] == "t" {
                if time > last {
                    break 'all;
                }
                continue;
            }
            *sum.entry(row[3..].to_vec()).or_default() += row[2].parse::<i64>().expect("a diff");
        }
    }
    client.query("ROLLBACK");
    let mut found = Vec::new();
    for (row, count) in sum {
        assert!(count >= 0, "{relation} from {from}: {row:?} {count} times");
        found.extend(std::iter::repeat_n(row, count as usize));
    }
    found.sort();
    assert_eq!(
        found,
        contents(&mut writer, relation, None),
        "{relation} from {from}"
    );
}

#[test]
fn changes_between_two_times_add_up_to_the_difference() {
    let server = forgetful();
    let mut client = server.connect();
    client.query(SCHEMA);
    let commits: Vec<u64> = (0..30)
        .map(|n| commit(&mut client, &statement(n)))
        .collect();
    for relation in ["keyed", "plain", "ticks", "names", "counts", "joined"] {
        for (from, to) in [(0, 29), (4, 11), (11, 12), (12, 12), (20, 3)] {
            let (from, to) = (commits[from], commits[to]);
            let sql = format!("SELECT * FROM everview.changes('{relation}', {from}, {to})");
            let mut sum: BTreeMap<Vec<String>, i64> = BTreeMap::new();
            for row in contents(&mut client, relation, Some(from)) {
                *sum.entry(row).or_default() += 1;
            }
            for row in client.query(&sql) {
                let time: u64 = row[0].parse().expect("a timestamp");
                assert!(
                    from < time && time <= to && commits.contains(&time),
                    "{row:?}"
                );
                *sum.entry(row[2..].to_vec()).or_default() +=
                    row[1].parse::<i64>().expect("a diff");
            }
            sum.retain(|_, count| *count != 0);
            let mut expected: BTreeMap<Vec<String>, i64> = BTreeMap::new();
            for row in contents(&mut client, relation, Some(to.max(from))) {
                *expected.entry(row).or_default() += 1;
            }
            assert_eq!(sum, expected, "{relation} from {from} to {to}");
        }
    }
}

#[test]
fn changes_are_a_relation_like_any_other() {
    let server = forgetful();
    let mut client = server.connect();
    let first = commit(
        &mut client,
        "CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x')",
    );
    let second = commit(&mut client, "UPDATE t SET b = 'y'");
    let sql = "SELECT c.everview_diff, c.b FROM everview.changes('public.t', 0) AS c JOIN t USING (a) ORDER BY everview_timestamp, 1";
    assert_eq!(
        client.query(sql),
        rows(&[&["1", "x"], &["-1", "x"], &["1", "y"]])
    );
    let sql = format!(
        "SELECT count(*), max(everview_timestamp) FROM everview.changes('t', {first}, NULL)"
    );
    assert_eq!(client.query(&sql), rows(&[&["2", &second.to_string()]]));
    client.query("CREATE TABLE audit (at bigint, a int); INSERT INTO audit SELECT everview_timestamp, a FROM everview.changes('t', 0)");
    assert_eq!(client.query("SELECT count(*) FROM audit"), rows(&[&["3"]]));
    assert_eq!(
        client
            .error("SELECT * FROM everview.changes('nothing', 0)")
            .0,
        "42P01"
    );
    assert_eq!(
        client
            .error("SELECT * FROM everview.changes(lower('T'), 0)")
            .0,
        "0A000"
    );
    assert_eq!(
        client.error("SELECT * FROM everview.changes('t')").0,
        "42883"
    );
    assert_eq!(
        client
            .error("CREATE VIEW w AS SELECT * FROM everview.changes('t', 0)")
            .0,
        "0A000"
    );
    assert_eq!(
        client
            .error("CREATE MATERIALIZED VIEW w AS SELECT * FROM everview.changes('t', 0)")
            .0,
        "0A000"
    );
    assert_eq!(
        client
            .error("SELECT * FROM everview.changes('pg_class', 0)")
            .0,
        "0A000"
    );
}

#[test]
fn commits_are_listed_with_who_sent_them_and_what_they_changed() {
    let mut server = forgetful();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int); CREATE TABLE u (a int)");
    let plain = commit(
        &mut client,
        "BEGIN; INSERT INTO t VALUES (1), (2); INSERT INTO u VALUES (1); DELETE FROM t WHERE a = 1; COMMIT",
    );
    client.query("SET everview.producer = 'p'");
    let batch = commit(
        &mut client,
        "BEGIN; SET LOCAL everview.sequence = 7; INSERT INTO t VALUES (3); COMMIT",
    );
    client.query("RESET everview.producer");
    let gone = commit(&mut client, "DELETE FROM t; DROP TABLE u");
    drop(client);
    for _ in 0..2 {
        let mut client = server.connect();
        let one = |client: &mut Client<'_>, at: u64| {
            let sql = format!(
                "SELECT producer, sequence, rows_inserted, rows_deleted, tables FROM everview.commits WHERE timestamp = {at}"
            );
            client.query(&sql)
        };
        assert_eq!(
            one(&mut client, plain),
            rows(&[&["NULL", "NULL", "2", "0", "{public.t,public.u}"]])
        );
        assert_eq!(
            one(&mut client, batch),
            rows(&[&["p", "7", "1", "0", "{public.t}"]])
        );
        let newest = client.query("SELECT timestamp, wall_clock <= now() FROM everview.commits ORDER BY timestamp DESC LIMIT 1");
        assert_eq!(newest, vec![vec![gone.to_string(), "t".to_string()]]);
        let all =
            client.query("SELECT transaction, timestamp FROM everview.commits ORDER BY timestamp");
        let some = client.query("SELECT transaction, timestamp FROM everview.commits ORDER BY timestamp DESC OFFSET 1 LIMIT 2");
        assert_eq!(
            some,
            [all[all.len() - 2].clone(), all[all.len() - 3].clone()]
        );
        let deleted = format!("SELECT rows_deleted FROM everview.commits AS OF {gone} ");
        assert_eq!(
            client.query(&deleted).len(),
            client.query("SELECT 1 FROM everview.commits").len()
        );
        let counted = client.query(&format!(
            "SELECT count(*) FROM everview.commits AS OF {batch}"
        ));
        let filtered = client.query(&format!(
            "SELECT count(*) FROM everview.commits WHERE timestamp <= {batch}"
        ));
        assert_eq!(counted, filtered);
        drop(client);
        server.restart();
    }
}

#[test]
fn what_constraints_say_now_is_not_believed_of_older_rows() {
    let server = forgetful();
    let mut client = server.connect();
    let twice = commit(
        &mut client,
        "CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 1), (1, NULL)",
    );
    client.query("CREATE VIEW v AS SELECT DISTINCT a, b IS NULL AS unknown FROM t");
    client.query("CREATE VIEW w AS SELECT DISTINCT a FROM t");
    client.query("DELETE FROM t WHERE b IS NULL");
    client.query("ALTER TABLE t ADD PRIMARY KEY (a), ALTER COLUMN b SET NOT NULL");
    commit(&mut client, "INSERT INTO t VALUES (2, 2)");
    let sql = "SELECT everview_diff, a FROM everview.changes('w', 0) ORDER BY everview_timestamp";
    assert_eq!(client.query(sql), rows(&[&["1", "1"], &["1", "2"]]));
    let sql = "SELECT everview_diff, a, unknown FROM everview.changes('v', 0) ORDER BY everview_timestamp, unknown";
    let expected: &[&[&str]] = &[
        &["1", "1", "f"],
        &["1", "1", "t"],
        &["-1", "1", "t"],
        &["1", "2", "f"],
    ];
    assert_eq!(client.query(sql), rows(expected));
    assert_eq!(contents(&mut client, "t", Some(twice)).len(), 2);
}
