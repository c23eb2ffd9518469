//! Reads through indexes: what EXPLAIN says, and the same rows as without any.

use crate::harness::{Client, Server};

fn filled(client: &mut Client<'_>) {
    client.query(
        "CREATE TABLE t (id int PRIMARY KEY, kind text, day date, size int, note varchar(20));
         INSERT INTO t SELECT g, CASE WHEN g % 7 = 0 THEN NULL ELSE 'k' || g % 5 END, date '2024-01-01' + g % 30,
             CASE WHEN g % 11 = 0 THEN NULL ELSE g * 37 % 1000 END, 'n' || g FROM generate_series(1, 500) g;
         CREATE TABLE plain AS SELECT * FROM t;",
    );
    client.query("CREATE INDEX t_kind_day ON t (kind, day); CREATE INDEX t_size ON t (size)");
    client.query("CREATE INDEX t_note ON t (note); CREATE INDEX t_upper ON t (upper(kind), size)");
    // Nothing reads an index of a table before it is built.
    for _ in 0..1000 {
        let used = [
            "kind = 'k1'",
            "size = 5",
            "note = 'n1'",
            "upper(kind) = 'K1'",
        ]
        .iter()
        .map(|filter| plan(client, &format!("SELECT * FROM t WHERE {filter}")))
        .all(|plan| !plan.contains("Source") && !plan.contains("Scan"));
        if used {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("the indexes are not built");
}

fn plan(client: &mut Client<'_>, sql: &str) -> String {
    let rows = client.query(&format!("EXPLAIN {sql}"));
    rows.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

#[test]
fn explain_shows_the_access() {
    let server = Server::start();
    let mut client = server.connect();
    filled(&mut client);
    for (sql, access) in [
        (
            "SELECT * FROM t WHERE id = 3",
            "Lookup public.t in store by (#0): #0 = 3",
        ),
        (
            "SELECT * FROM t WHERE id IN (3, 4)",
            "Lookup public.t in store by (#0): #0 IN (3, 4)",
        ),
        (
            "SELECT * FROM t WHERE kind = 'k1' AND day = date '2024-01-05'",
            "Lookup public.t in public.t_kind_day by (#1, #2): #1 = 'k1' AND #2 = '2024-01-05'",
        ),
        (
            "SELECT id FROM t WHERE kind = 'k1' AND day BETWEEN date '2024-01-05' AND date '2024-01-09'",
            "Range public.t in public.t_kind_day by (#1, #2): #1 = 'k1' AND #2 >= '2024-01-05' AND #2 <= '2024-01-09'",
        ),
        (
            "SELECT * FROM t WHERE size > 10 AND size < 20",
            "Range public.t in public.t_size by (#3): #3 > 10 AND #3 < 20",
        ),
        (
            "SELECT * FROM t WHERE size = ANY('{1,2}')",
            "Lookup public.t in public.t_size by (#3): #3 = ANY ('{1,2}')",
        ),
        (
            "SELECT * FROM t WHERE note = 'n1'",
            "Lookup public.t in public.t_note by (#4): #4 = 'n1'",
        ),
        (
            "SELECT * FROM t WHERE kind IS NULL",
            "Range public.t in public.t_kind_day by (#1, #2): #1 IS NULL",
        ),
        (
            "SELECT id FROM t WHERE upper(kind) = 'K1' ORDER BY size DESC LIMIT 3",
            "Range public.t in public.t_upper by (upper(#1), #3): upper(#1) = 'K1', backward until the limit",
        ),
    ] {
        let plan = plan(&mut client, sql);
        assert_eq!(plan.lines().next(), Some(access), "{sql}");
    }
}

#[test]
fn a_read_through_an_index_gives_the_rows_of_a_scan() {
    let server = Server::with_workers(2);
    let mut client = server.connect();
    filled(&mut client);
    let filters = [
        "id = 77",
        "id = 0",
        "id IN (5, 500, 501, 5)",
        "id = 5 AND id = 6",
        "kind = 'k2'",
        "kind = 'k2' AND day > date '2024-01-20'",
        "kind IN ('k1', 'k3', 'nothing') AND day = date '2024-01-07'",
        "kind = ANY (ARRAY['k4', NULL, 'k1']) AND day <= date '2024-01-03'",
        "kind IS NULL AND day < date '2024-01-10'",
        "kind > 'k2'",
        "kind >= 'k2' AND kind < 'k4'",
        "size < 100",
        "size <= 37 OR size = 999",
        "size > 99999999999",
        "size < 99999999999 AND size > -99999999999",
        "size = 99999999999",
        "size = NULL",
        "size > 500 AND size < 400",
        "size IS NULL",
        "note = 'n77' AND id > 3",
        "upper(kind) = 'K3' AND size BETWEEN 100 AND 600",
        "500 > size AND 'k1' = kind",
    ];
    for filter in filters {
        let [with, without] = ["t", "plain"].map(|table| {
            client.query(&format!("SELECT * FROM {table} WHERE {filter} ORDER BY id"))
        });
        assert_eq!(with, without, "{filter}");
        for tail in [
            "ORDER BY size LIMIT 7",
            "ORDER BY size DESC, id LIMIT 7 OFFSET 3",
            "ORDER BY size NULLS FIRST LIMIT 5",
            "ORDER BY kind DESC, day DESC LIMIT 9",
            "ORDER BY day, kind LIMIT 9",
            "ORDER BY kind LIMIT 0",
            "LIMIT 4",
        ] {
            let [with, without] = ["t", "plain"].map(|table| {
                client.query(&format!(
                    "SELECT kind, day, size, id FROM {table} WHERE {filter} {tail}"
                ))
            });
            assert_eq!(with, without, "{filter} {tail}");
        }
    }
}

#[test]
fn a_view_is_read_by_its_key_as_of_every_commit() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (id int PRIMARY KEY, k int, v int)");
    client.query(
        "CREATE MATERIALIZED VIEW m AS SELECT k, sum(v) AS s, count(*) AS c FROM t GROUP BY k",
    );
    let mut then = Vec::new();
    for n in 0..40 {
        client.query(&format!("INSERT INTO t VALUES ({n}, {}, {n})", n % 4));
        let rows = client.query("SELECT s, c FROM m WHERE k = 2");
        let scan = client.query("SELECT sum(v), count(*) FROM t WHERE k = 2 HAVING count(*) > 0");
        assert_eq!(rows, scan);
        let at = client.query("SHOW everview.last_read_timestamp");
        then.push((at[0][0].clone(), rows));
    }
    for (at, rows) in &then {
        let again = client.query(&format!("SELECT s, c FROM m WHERE k = 2 AS OF {at}"));
        assert_eq!(&again, rows, "as of {at}");
    }
    let plan = plan(&mut client, "SELECT s, c FROM m WHERE k = 2");
    assert!(
        plan.starts_with("Lookup public.m in public.m by (#0): #0 = 2"),
        "{plan}"
    );
}

#[test]
fn an_error_in_a_row_fails_those_who_read_it() {
    let server = Server::start();
    let mut client = server.connect();
    client.query(
        "CREATE TABLE t (id int PRIMARY KEY, x int); INSERT INTO t VALUES (1, 1), (2, 0), (3, 4)",
    );
    client.query("CREATE MATERIALIZED VIEW m AS SELECT id, 12 / x AS q FROM t");
    assert_eq!(client.query("SELECT q FROM m WHERE id = 1"), [["12"]]);
    assert_eq!(
        client.query("SELECT id FROM m ORDER BY id"),
        [["1"], ["2"], ["3"]]
    );
    assert_eq!(client.error("SELECT q FROM m WHERE id = 2").0, "22012");
    assert_eq!(client.error("SELECT q FROM m").0, "22012");
    assert_eq!(client.error("SELECT id FROM m ORDER BY q").0, "22012");
    assert_eq!(
        client.query("SELECT q FROM m ORDER BY id LIMIT 1"),
        [["12"]]
    );
    assert_eq!(
        client.error("SELECT q FROM m ORDER BY id LIMIT 2").0,
        "22012"
    );
    assert_eq!(client.error("SELECT id FROM m WHERE q = 12").0, "22012");
    client.query("CREATE INDEX m_q ON m (q)");
    for _ in 0..20 {
        assert_eq!(client.error("SELECT id FROM m WHERE q = 12").0, "22012");
        assert_eq!(client.error("SELECT id FROM m WHERE q > 100").0, "22012");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    client.query("DELETE FROM t WHERE id = 2");
    assert_eq!(client.query("SELECT id FROM m WHERE q = 12"), [["1"]]);
    assert_eq!(client.query("SELECT q FROM m ORDER BY q"), [["3"], ["12"]]);
}

#[test]
fn a_prepared_statement_follows_the_catalog_and_the_settings() {
    let server = Server::start();
    let mut client = server.connect();
    client.query(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    );
    client
        .query("PREPARE p(int) AS SELECT v, now() > timestamptz '2020-01-01' FROM t WHERE id = $1");
    assert_eq!(client.query("EXECUTE p(1)"), [["a", "t"]]);
    client.query("UPDATE t SET v = 'c' WHERE id = 1");
    assert_eq!(client.query("EXECUTE p(1)"), [["c", "t"]]);
    client.query("CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY, v text); INSERT INTO s.t VALUES (1, 'in s')");
    assert_eq!(client.query("EXECUTE p(1)"), [["c", "t"]]);
    client.query("SET search_path = s, public");
    assert_eq!(client.query("EXECUTE p(1)"), [["in s", "t"]]);
    client.query("RESET search_path; CREATE INDEX ON t (v); ALTER TABLE t RENAME TO gone; ALTER TABLE s.t SET SCHEMA public");
    assert_eq!(client.query("EXECUTE p(1)"), [["in s", "t"]]);
    client.query("DROP TABLE t");
    assert_eq!(client.error("EXECUTE p(1)").0, "42P01");
    client.query("PREPARE zone AS SELECT timestamptz '2024-01-01 00:00+00' :: text");
    assert_eq!(client.query("EXECUTE zone"), [["2024-01-01 00:00:00+00"]]);
    client.query("SET time zone 'Asia/Tokyo'");
    assert_eq!(client.query("EXECUTE zone"), [["2024-01-01 09:00:00+09"]]);
}

#[test]
fn now_moves_on_between_executions() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("PREPARE p AS SELECT now()::text");
    let first = client.query("EXECUTE p");
    std::thread::sleep(std::time::Duration::from_millis(3));
    assert_ne!(client.query("EXECUTE p"), first);
    client.query("BEGIN");
    let first = client.query("EXECUTE p");
    assert_eq!(client.query("EXECUTE p"), first);
    client.query("COMMIT");
}

#[test]
fn a_transaction_sees_its_own_writes_through_a_kept_plan() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 10)");
    client.query("CREATE MATERIALIZED VIEW m AS SELECT id, v * 2 AS d FROM t");
    client.query("PREPARE p(int) AS SELECT v FROM t WHERE id = $1; PREPARE q(int) AS SELECT d FROM m WHERE id = $1");
    for _ in 0..2 {
        assert_eq!(client.query("EXECUTE p(1)"), [["10"]]);
        assert_eq!(client.query("EXECUTE q(1)"), [["20"]]);
        client.query("BEGIN; UPDATE t SET v = 11 WHERE id = 1");
        assert_eq!(client.query("EXECUTE p(1)"), [["11"]]);
        assert_eq!(client.query("EXECUTE q(1)"), [["22"]]);
        client.query("ROLLBACK");
    }
}
