//! What is too much: it ends in an error or a result, and the server serves on.

use crate::{Server, code, within_limit};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

async fn serves(server: &Server) {
    let client = server.connect().await;
    let row = client.query_one("SELECT 1 + 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 2);
}

/// The SQLSTATE, or `ok`.
async fn outcome(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(_) => "ok".to_string(),
        Err(error) => code(&error),
    }
}

#[test]
fn deep_and_wide_statements_harm_nobody() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int PRIMARY KEY)")
            .await
            .unwrap();
        let nested = |open: &str, inner: &str, close: &str, n: usize| {
            [open.repeat(n), inner.to_string(), close.repeat(n)].concat()
        };
        let list = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
        let columns = |n: usize, ty: &str| {
            (0..n)
                .map(|i| format!("c{i}{ty}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let statements = [
            format!("SELECT {}", nested("(", "1", ")", 100_000)),
            format!("SELECT {}", nested("abs(", "1", ")", 10_000)),
            format!("SELECT {}1", "- ".repeat(50_000)),
            format!("SELECT {}true", "NOT ".repeat(50_000)),
            format!("SELECT 1{}", " + 1".repeat(20_000)),
            format!("SELECT a FROM t WHERE a = 1{}", " OR a = 1".repeat(20_000)),
            format!(
                "SELECT {}",
                nested("CASE WHEN true THEN ", "1", " END", 5_000)
            ),
            format!(
                "SELECT * FROM {}",
                nested("(SELECT * FROM ", "t", ") AS s", 300)
            ),
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(3_000)),
            format!("SELECT '{}'::jsonb", nested("[", "1", "]", 100_000)),
            format!("SELECT '{}'::jsonb", nested("{\"a\":", "1", "}", 100_000)),
            format!("SELECT '{}'::int[]", nested("{", "1", "}", 100_000)),
            format!("SELECT a FROM t WHERE a IN ({})", list(20_000)),
            format!("SELECT {}", list(1_600)),
            format!("SELECT {}", list(20_000)),
            format!("CREATE TABLE wide ({})", columns(1_600, " int")),
            format!("CREATE TABLE wider ({})", columns(20_000, " int")),
            format!(
                "INSERT INTO t VALUES ({})",
                list(20_000).replace(", ", "), (")
            ),
            format!(
                "SELECT '{}' LIKE '{}b'",
                "a".repeat(30_000),
                "%a".repeat(2_000)
            ),
            "SELECT repeat('x', 100000000) || repeat('y', 100000000)".to_string(),
            format!("SELECT \"{}\"", "x".repeat(1_000_000)),
            format!("SELECT $${}", "x".repeat(1_000_000)),
        ];
        for sql in &statements {
            let start = Instant::now();
            let got = outcome(&client, sql).await;
            let head: String = sql.chars().take(40).collect();
            assert!(!got.starts_with("XX") && got.len() <= 5, "{head}: {got}");
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "{head} took {:?}",
                start.elapsed()
            );
        }
        assert_eq!(outcome(&client, "SELECT count(*) FROM t").await, "ok");
        serves(&server).await;
    });
}

#[test]
fn connections_that_say_nothing_do_not_keep_others_out() {
    let server = Server::start();
    within_limit(async {
        let idle: Vec<_> = (0..150)
            .map(|_| std::net::TcpStream::connect(server.address).unwrap())
            .collect();
        serves(&server).await;
        drop(idle);
        serves(&server).await;
    });
}

#[test]
fn an_idle_transaction_is_ended_at_its_limit() {
    let server = Server::start();
    within_limit(async {
        let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        client
            .batch_execute("SET idle_in_transaction_session_timeout = '100ms'")
            .await
            .unwrap();
        // Outside of a transaction there is no hurry.
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.batch_execute("BEGIN").await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(10), connection)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(code(&end.unwrap_err()), "25P03");
        serves(&server).await;
    });
}

#[test]
fn one_session_cancels_and_ends_another() {
    let server = Server::start();
    within_limit(async {
        let (one, other) = (server.connect().await, server.connect().await);
        one.batch_execute("CREATE TABLE t (a int)").await.unwrap();
        let row = other
            .query_one("SELECT pg_backend_pid()", &[])
            .await
            .unwrap();
        let pid: i32 = row.get(0);
        for (function, expected) in [
            ("pg_cancel_backend", "57014"),
            ("pg_terminate_backend", "57P01"),
        ] {
            let waiting = other.simple_query("SUBSCRIBE t");
            let ask = async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                let sql = format!("SELECT {function}({pid})");
                assert!(one.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0));
            };
            let (waited, ()) = futures::join!(waiting, ask);
            assert_eq!(code(&waited.unwrap_err()), expected);
        }
        serves(&server).await;
    });
}

#[test]
fn a_product_that_is_cancelled_leaves_the_worker_to_others() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute(
                "CREATE TABLE many (a int PRIMARY KEY);
                 INSERT INTO many SELECT generate_series(1, 15000);
                 SET statement_timeout = '500ms'",
            )
            .await
            .unwrap();
        let sql = "SELECT count(*) FROM many x, many y WHERE x.a * 2 + y.a * 3 = 7";
        assert_eq!(outcome(&client, sql).await, "57014");
        client
            .batch_execute("SET statement_timeout = 0")
            .await
            .unwrap();
        let rows = client
            .query("SELECT count(*) FROM many WHERE a % 2 = 0", &[])
            .await
            .unwrap();
        assert_eq!(rows[0].get::<_, i64>(0), 7500);
    });
}

#[test]
fn a_series_without_end_leaves_the_worker_to_others_and_goes_when_it_is_cancelled() {
    let server = Server::start();
    within_limit(async {
        let (client, other) = (server.connect().await, server.connect().await);
        client
            .batch_execute(
                "CREATE TABLE few (a int); INSERT INTO few SELECT generate_series(1, 1000);
                 CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM few;
                 SET statement_timeout = '3s'",
            )
            .await
            .unwrap();
        let endless = [
            "SELECT count(*) FROM generate_series(1, 10000000000)",
            "SELECT count(*) FROM generate_series(1, 1000000) x, generate_series(1, 1000000) y WHERE x + y = 7",
        ];
        for sql in endless {
            let meanwhile = async {
                for _ in 0..5 {
                    other
                        .batch_execute("INSERT INTO few VALUES (0)")
                        .await
                        .unwrap();
                    let sql = "SELECT n - (SELECT count(*) FROM few WHERE a + 1 > 0) FROM counted";
                    let row = other.query_one(sql, &[]).await.unwrap();
                    assert_eq!(row.get::<_, i64>(0), 0);
                }
            };
            let (outcome, ()) = futures::join!(outcome(&client, sql), meanwhile);
            assert_eq!(outcome, "57014");
        }
        let sql = "SELECT count(*) FROM generate_series(1, 100000)";
        let row = client.query_one(sql, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 100_000);
    });
    let mut server = server;
    assert!(server.stop());
}

/// Bytes that views take by the server's own account, and that the process holds.
async fn memory(server: &Server, client: &Client) -> (i64, u64) {
    let sql = "SELECT coalesce(sum(bytes), 0)::bigint FROM everview.views";
    let accounted = client.query_one(sql, &[]).await.unwrap().get(0);
    (accounted, server.resident_bytes())
}

#[test]
fn a_product_that_hydrates_harms_no_other_view_and_its_memory_comes_back() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute(
                "CREATE TABLE many (a int PRIMARY KEY);
                 INSERT INTO many SELECT generate_series(1, 100000);
                 CREATE TABLE t (k int, n int);
                 CREATE MATERIALIZED VIEW small AS SELECT k, sum(n) AS n FROM t GROUP BY k;
                 INSERT INTO t VALUES (1, 0)",
            )
            .await
            .unwrap();
        let before = memory(&server, &client).await;
        let large = "CREATE MATERIALIZED VIEW large AS SELECT x.a, y.a AS b FROM many x, many y";
        client.batch_execute(large).await.unwrap();
        let mut held = before;
        let mut n = 0i64;
        // Until much is held, and every commit in between shows soon.
        while held.0 < before.0 + (100 << 20) || n < 20 {
            client
                .batch_execute("UPDATE t SET n = n + 1")
                .await
                .unwrap();
            n += 1;
            let start = Instant::now();
            let row = client.query_one("SELECT n FROM small", &[]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), n);
            let lag = start.elapsed();
            assert!(lag < Duration::from_secs(5), "{lag:?}");
            held = memory(&server, &client).await;
        }
        let state = "SELECT state FROM everview.views WHERE name = 'large'";
        let state = client.query_one(state, &[]).await.unwrap();
        assert_eq!(state.get::<_, &str>(0), "hydrating");
        let start = Instant::now();
        let drop = "DROP MATERIALIZED VIEW large";
        client.batch_execute(drop).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(5));
        let start = Instant::now();
        loop {
            let after = memory(&server, &client).await;
            if after.0 <= before.0 + (1 << 20) && after.1 <= before.1 + (32 << 20) {
                break;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{before:?} before, {held:?} with it, {after:?} after"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn a_value_of_more_than_a_gibibyte_is_refused() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        for sql in [
            "SELECT repeat('x', 1073741824)",
            "SELECT repeat('xy', 536870912)",
            "SELECT lpad('x', 1073741824), 1",
            "SELECT rpad('x', 1073741824, 'ab')",
            "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 10000)))",
            "SELECT length(string_agg(repeat('x', 1000000), ',')) FROM generate_series(1, 1100)",
            "SELECT array_length(array_agg(repeat('x', 1000000)), 1) FROM generate_series(1, 1100)",
            "SELECT array_fill(repeat('x', 1000000), ARRAY[1100])",
            "SELECT format('%1073741824s', 'x')",
        ] {
            assert_eq!(outcome(&client, sql).await, "54000", "{sql}");
        }
        serves(&server).await;
    });
}
