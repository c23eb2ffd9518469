//! What a server says about itself: system views, sizes, states.

use crate::{Server, within_limit};
use tokio_postgres::Client;

async fn number(client: &Client, sql: &str) -> i64 {
    let row = client.query_one(sql, &[]).await.unwrap();
    row.get::<_, Option<i64>>(0).unwrap_or(-1)
}

#[test]
fn a_view_over_the_catalog_is_expanded_when_read_and_survives_a_restart() {
    within_limit(async {
        let mut server = Server::start();
        let tables = "SELECT count(*) FROM user_tables";
        let views = "SELECT count(*) FROM listed";
        let client = server.connect().await;
        client
            .batch_execute(
                "CREATE VIEW user_tables AS SELECT c.relname FROM pg_class c \
                 JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r'; \
                 CREATE VIEW listed AS SELECT table_name FROM information_schema.tables \
                 WHERE table_schema = 'public'",
            )
            .await
            .unwrap();
        assert_eq!(number(&client, tables).await, 0);
        client
            .batch_execute("CREATE TABLE t (a int)")
            .await
            .unwrap();
        assert_eq!(number(&client, tables).await, 1);
        assert_eq!(number(&client, views).await, 3);
        let refused = "CREATE MATERIALIZED VIEW m AS SELECT * FROM listed";
        let error = client.batch_execute(refused).await.unwrap_err();
        assert_eq!(crate::code(&error), "0A000");
        server.kill_and_restart();
        let client = server.connect().await;
        assert_eq!(number(&client, tables).await, 1);
        assert_eq!(number(&client, views).await, 3);
    });
}

#[test]
fn rows_of_a_maintained_view_are_counted_whatever_their_history() {
    within_limit(async {
        let server = Server::start();
        let client = server.connect().await;
        client
            .batch_execute(
                "CREATE TABLE t (k int, n int); \
                 CREATE MATERIALIZED VIEW m AS SELECT k, sum(n) AS n FROM t GROUP BY k; \
                 INSERT INTO t VALUES (1, 1), (2, 1)",
            )
            .await
            .unwrap();
        for _ in 0..20 {
            client
                .batch_execute("UPDATE t SET n = n + 1")
                .await
                .unwrap();
        }
        let row = "SELECT state, progress, rows, bytes > 0 FROM everview.views WHERE name = 'm'";
        let row = client.query_one(row, &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "ready");
        assert_eq!(row.get::<_, f64>(1), 1.0);
        assert_eq!(row.get::<_, i64>(2), 2);
        assert!(row.get::<_, bool>(3));
    });
}

#[test]
fn sizes_grow_with_what_is_stored() {
    within_limit(async {
        let server = Server::start();
        let client = server.connect().await;
        client
            .batch_execute(
                "CREATE TABLE t (a int, b text); CREATE VIEW v AS SELECT a FROM t; CREATE INDEX i ON t (a)",
            )
            .await
            .unwrap();
        let size = "SELECT pg_relation_size('t')";
        assert_eq!(number(&client, size).await, 0);
        let insert = "INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 1000) n";
        client.batch_execute(insert).await.unwrap();
        let own = number(&client, size).await;
        assert!((100_000..200_000).contains(&own), "{own}");
        // Read through the index, so that all of it is there.
        number(&client, "SELECT count(*) FROM t WHERE a > 0").await;
        let indexes = number(&client, "SELECT pg_indexes_size('t')").await;
        assert!(indexes > 100_000, "{indexes}");
        let total = number(&client, "SELECT pg_total_relation_size('t')").await;
        assert!(total > own, "{total}");
        assert_eq!(number(&client, "SELECT pg_relation_size('v')").await, 0);
        let database = "SELECT pg_database_size(current_database())";
        assert!(number(&client, database).await > own);
    });
}

#[test]
fn sessions_are_seen_with_what_they_wait_for() {
    within_limit(async {
        let server = Server::start();
        let (watched, watcher) = (server.connect().await, server.connect().await);
        watched
            .batch_execute("SET application_name = 'watched'; BEGIN; SELECT 1")
            .await
            .unwrap();
        let sql = "SELECT state, query, wait_event_type, wait_event, client_addr::text, client_port > 0, \
             backend_start <= query_start, xact_start IS NOT NULL, datname, usename \
             FROM pg_stat_activity WHERE application_name = 'watched'";
        let row = watcher.query_one(sql, &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "idle in transaction");
        assert_eq!(row.get::<_, &str>(1), "SELECT 1");
        assert_eq!(row.get::<_, &str>(2), "Client");
        assert_eq!(row.get::<_, &str>(3), "ClientRead");
        assert_eq!(row.get::<_, &str>(4), "127.0.0.1");
        assert!((5..8).all(|i| row.get::<_, bool>(i)));
        assert_eq!(row.get::<_, &str>(8), "everview");
        assert_eq!(row.get::<_, &str>(9), "everview");
    });
}
