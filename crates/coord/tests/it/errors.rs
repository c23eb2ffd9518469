//! Errors are data: a view that meets one goes on, whoever reads the error fails, and deleting its row heals.
//!
//! Every case starts with good rows, adds one that fails, and deletes it again.

use crate::harness::{Server, rows};

/// A view over `t (id, k, x)` and `u (k, name)`, and what it is like without the bad row (3, 3, 0).
struct Case {
    view: &'static str,
    good: &'static [&'static [&'static str]],
    /// A read that leaves the bad row's result out; where there is none, no read of the view can succeed.
    beside: Option<(&'static str, &'static [&'static [&'static str]])>,
}

const CASES: &[Case] = &[
    // In a column.
    Case {
        view: "SELECT id, 12 / x AS q FROM t",
        good: &[&["1", "6"], &["2", "4"]],
        beside: Some(("WHERE id <> 3", &[&["1", "6"], &["2", "4"]])),
    },
    // In a filter.
    Case {
        view: "SELECT id FROM t WHERE 12 / x > 4",
        good: &[&["1"]],
        beside: None,
    },
    // In a filter that another condition of the same WHERE keeps the row from.
    Case {
        view: "SELECT id, k FROM t WHERE 12 / x > 3 AND id < 3",
        good: &[&["1", "1"], &["2", "1"]],
        beside: Some(("", &[&["1", "1"], &["2", "1"]])),
    },
    // In a join key.
    Case {
        view: "SELECT t.id, u.name FROM t JOIN u ON u.k = 6 / t.x",
        good: &[&["1", "three"], &["2", "two"]],
        beside: None,
    },
    // In a group key.
    Case {
        view: "SELECT 12 / x AS g, count(*) FROM t GROUP BY 12 / x",
        good: &[&["4", "1"], &["6", "1"]],
        beside: None,
    },
    // In an aggregate's argument: the group's own affair.
    Case {
        view: "SELECT k, sum(12 / x) AS s FROM t GROUP BY k",
        good: &[&["1", "10"]],
        beside: Some(("WHERE k = 1", &[&["1", "10"]])),
    },
    Case {
        view: "SELECT k, min(12 / x) AS least, max(12 / x) AS most FROM t GROUP BY k",
        good: &[&["1", "4", "6"]],
        beside: Some(("WHERE k = 1", &[&["1", "4", "6"]])),
    },
    Case {
        view: "SELECT k, count(DISTINCT 12 / x) AS n FROM t GROUP BY k",
        good: &[&["1", "2"]],
        beside: Some(("WHERE k = 1", &[&["1", "2"]])),
    },
    Case {
        view: "SELECT k, count(*) FILTER (WHERE 12 / x > 4) AS n FROM t GROUP BY k",
        good: &[&["1", "1"]],
        beside: Some(("WHERE k = 1", &[&["1", "1"]])),
    },
    // In the order of an ordered aggregate.
    Case {
        view: "SELECT k, string_agg(id::text, ',' ORDER BY 12 / x) AS ids FROM t GROUP BY k",
        good: &[&["1", "2,1"]],
        beside: Some(("WHERE k = 1", &[&["1", "2,1"]])),
    },
    // In HAVING.
    Case {
        view: "SELECT k FROM t GROUP BY k HAVING sum(12 / x) > 5",
        good: &[&["1"]],
        beside: None,
    },
    // In a row that must be told from others.
    Case {
        view: "SELECT DISTINCT 12 / x AS q FROM t",
        good: &[&["4"], &["6"]],
        beside: None,
    },
    Case {
        view: "SELECT 12 / x AS q FROM t EXCEPT SELECT 4",
        good: &[&["6"]],
        beside: None,
    },
    // Where a row's place cannot be told.
    Case {
        view: "SELECT id FROM t ORDER BY 12 / x LIMIT 1",
        good: &[&["2"]],
        beside: None,
    },
    Case {
        view: "SELECT id, k, rank() OVER (PARTITION BY k ORDER BY 12 / x) AS r FROM t",
        good: &[&["1", "1", "2"], &["2", "1", "1"]],
        beside: Some(("WHERE k = 1", &[&["1", "1", "2"], &["2", "1", "1"]])),
    },
    // Through a table function.
    Case {
        view: "SELECT id, n FROM t, generate_series(1, 3 / x) AS n",
        good: &[&["1", "1"], &["2", "1"]],
        beside: None,
    },
];

#[test]
fn an_error_fails_those_who_read_it_until_its_row_goes() {
    for workers in [1, 2] {
        let server = Server::with_workers(workers);
        let mut client = server.connect();
        client.query(
            "CREATE TABLE t (id int PRIMARY KEY, k int, x int);
             CREATE TABLE u (k int, name text);
             INSERT INTO u VALUES (2, 'two'), (3, 'three');
             INSERT INTO t VALUES (1, 1, 2), (2, 1, 3)",
        );
        for (n, case) in CASES.iter().enumerate() {
            client.query(&format!("CREATE MATERIALIZED VIEW v{n} AS {}", case.view));
        }
        let good = |client: &mut crate::harness::Client<'_>| {
            for (n, case) in CASES.iter().enumerate() {
                let found = client.query(&format!("SELECT * FROM v{n} ORDER BY 1"));
                assert_eq!(found, rows(case.good), "{}", case.view);
            }
        };
        good(&mut client);
        for _ in 0..2 {
            client.query("INSERT INTO t VALUES (3, 3, 0)");
            for (n, case) in CASES.iter().enumerate() {
                let unharmed = matches!(case.beside, Some(("", _)));
                if !unharmed {
                    let (code, message) = client.error(&format!("SELECT * FROM v{n}"));
                    assert_eq!(code, "22012", "{}: {message}", case.view);
                }
                if let Some((filter, left)) = case.beside {
                    let found = client.query(&format!("SELECT * FROM v{n} {filter} ORDER BY 1"));
                    assert_eq!(found, rows(left), "{}", case.view);
                }
            }
            client.query("DELETE FROM t WHERE id = 3");
            good(&mut client);
        }
    }
}

#[test]
fn a_view_over_a_view_meets_its_errors_where_it_reads_them() {
    let server = Server::start();
    let mut client = server.connect();
    client.query(
        "CREATE TABLE t (id int PRIMARY KEY, x int);
         CREATE MATERIALIZED VIEW q AS SELECT id, 12 / x AS q FROM t;
         CREATE MATERIALIZED VIEW some AS SELECT id, q FROM q WHERE id < 3;
         CREATE MATERIALIZED VIEW ids AS SELECT id FROM q;
         CREATE MATERIALIZED VIEW total AS SELECT sum(q) AS s FROM q;
         INSERT INTO t VALUES (1, 2), (2, 3), (3, 0)",
    );
    let some = rows(&[&["1", "6"], &["2", "4"]]);
    assert_eq!(client.query("SELECT * FROM some ORDER BY 1"), some);
    assert_eq!(
        client.query("SELECT * FROM ids ORDER BY 1"),
        rows(&[&["1"], &["2"], &["3"]])
    );
    assert_eq!(client.error("SELECT * FROM total").0, "22012");
    client.query("UPDATE t SET x = 4 WHERE id = 3");
    assert_eq!(client.query("SELECT * FROM total"), rows(&[&["13"]]));
}
