//! What is left after a kill, and how a server stops.

use crate::{Server, within_limit};

#[test]
fn acknowledged_rows_and_views_are_there_after_kill_9() {
    let mut server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute(
                "CREATE TABLE t (a int PRIMARY KEY, b int); \
                 CREATE MATERIALIZED VIEW v AS SELECT b, count(*) AS n FROM t GROUP BY b",
            )
            .await
            .unwrap();
        for i in 0..50 {
            client
                .execute("INSERT INTO t VALUES ($1, $2)", &[&i, &(i % 5)])
                .await
                .unwrap();
        }
    });
    server.kill_and_restart();
    within_limit(async {
        let client = server.connect().await;
        let rows = client
            .query("SELECT b, n FROM v ORDER BY b", &[])
            .await
            .unwrap();
        let rows: Vec<(i32, i64)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
        assert_eq!(rows, (0..5).map(|b| (b, 10)).collect::<Vec<_>>());
    });
}

#[test]
fn sigterm_ends_sessions_and_the_server() {
    let mut server = Server::start();
    let url = server.url();
    within_limit(async {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        client.simple_query("SELECT 1").await.unwrap();
        assert!(server.stop());
        let end = connection.await.unwrap().unwrap_err();
        assert_eq!(crate::code(&end), "57P01");
    });
}
