//! Small things that PostgreSQL has: done as it does them, or refused by name.

use crate::{Server, code, within_limit};
use std::time::{Duration, Instant};

#[test]
fn pg_sleep_waits_and_can_be_cancelled() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)")
            .await
            .unwrap();
        let timed = async |sql: &str| {
            let start = Instant::now();
            let rows = client.query(sql, &[]).await.unwrap().len();
            (rows, start.elapsed())
        };
        let (rows, took) = timed("SELECT pg_sleep(0.2)").await;
        assert!(rows == 1 && took >= Duration::from_millis(200), "{took:?}");
        let (rows, took) = timed("SELECT a, pg_sleep(0.2) FROM t").await;
        assert!(rows == 2 && took >= Duration::from_millis(400), "{took:?}");
        let (_, took) = timed("SELECT pg_sleep(-1), pg_sleep(NULL)").await;
        assert!(took < Duration::from_secs(10), "{took:?}");

        let other = server.connect().await;
        let pid = client
            .query_one("SELECT pg_backend_pid()", &[])
            .await
            .unwrap();
        let cancel = format!("SELECT pg_cancel_backend({})", pid.get::<_, i32>(0));
        let start = Instant::now();
        let ask = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            other.batch_execute(&cancel).await.unwrap();
        };
        let (slept, ()) = futures::join!(client.batch_execute("SELECT pg_sleep(100)"), ask);
        assert_eq!(code(&slept.unwrap_err()), "57014");
        assert!(start.elapsed() < Duration::from_secs(30));
        client
            .batch_execute("SET statement_timeout = '100ms'")
            .await
            .unwrap();
        let slept = client.batch_execute("SELECT pg_sleep(100)").await;
        assert_eq!(code(&slept.unwrap_err()), "57014");
        // What was slept through is not owed any more.
        client.batch_execute("SELECT 1").await.unwrap();
        let view = "CREATE MATERIALIZED VIEW m AS SELECT a, pg_sleep(1) FROM t";
        assert_eq!(
            code(&client.batch_execute(view).await.unwrap_err()),
            "0A000"
        );
    });
}

#[test]
fn what_is_not_there_is_refused_by_its_name() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int)")
            .await
            .unwrap();
        for (sql, message) in [
            (
                "ALTER ROLE everview WITH NOLOGIN",
                "ALTER ROLE ... NOLOGIN is not supported",
            ),
            (
                "SELECT tableoid, a FROM t",
                "the system column tableoid is not supported",
            ),
            (
                "SELECT t.ctid FROM t",
                "the system column ctid is not supported",
            ),
            (
                "SELECT a FROM t WHERE xmin = 1",
                "the system column xmin is not supported",
            ),
            (
                "CREATE TABLE u (LIKE t INCLUDING ALL)",
                "LIKE ... INCLUDING ALL is not supported",
            ),
        ] {
            let error = client.batch_execute(sql).await.unwrap_err();
            let error = error.as_db_error().unwrap();
            assert_eq!(
                (error.code().code(), error.message()),
                ("0A000", message),
                "{sql}"
            );
        }
        // A column may still be called so where Postgres lets it.
        client
            .batch_execute("SELECT tableoid FROM (SELECT 1 AS tableoid) s")
            .await
            .unwrap();
    });
}

#[test]
fn a_table_takes_over_the_columns_of_others() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute(
                "CREATE TABLE x (a int PRIMARY KEY DEFAULT 3, b varchar(9) NOT NULL);
                 COMMENT ON COLUMN x.b IS 'its text';
                 CREATE VIEW w AS SELECT a AS v FROM x;
                 CREATE TABLE y (n int, LIKE x INCLUDING DEFAULTS EXCLUDING INDEXES, m int UNIQUE, LIKE w, CHECK (n > 0));
                 CREATE TABLE z (LIKE x INCLUDING COMMENTS);
                 CREATE TABLE q (LIKE public.x, LIKE w)",
            )
            .await
            .unwrap();
        let sql = "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable \
             || ' ' || coalesce(column_default, '-') FROM information_schema.columns \
             WHERE table_name IN ('y', 'z', 'q') ORDER BY table_name, ordinal_position";
        let rows = client.query(sql, &[]).await.unwrap();
        let columns: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(
            columns,
            [
                "q.a integer NO -",
                "q.b character varying NO -",
                "q.v integer YES -",
                "y.n integer YES -",
                "y.a integer NO 3",
                "y.b character varying NO -",
                "y.m integer YES -",
                "y.v integer YES -",
                "z.a integer NO -",
                "z.b character varying NO -",
            ]
        );
        let comment = "SELECT col_description('z'::regclass, 2)";
        let comment: String = client.query_one(comment, &[]).await.unwrap().get(0);
        assert_eq!(comment, "its text");
        for (sql, expected) in [
            ("CREATE TABLE r (a int, LIKE x)", "42701"),
            ("CREATE TABLE r (LIKE nothing)", "42P01"),
            ("CREATE TABLE r (LIKE x INCLUDING everything)", "42601"),
            ("CREATE TABLE r (LIKE x,)", "42601"),
        ] {
            assert_eq!(
                code(&client.batch_execute(sql).await.unwrap_err()),
                expected,
                "{sql}"
            );
        }
    });
}

#[test]
fn a_comment_on_a_constraint_is_found_where_postgres_has_it() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute(
                "CREATE TABLE t (a int PRIMARY KEY, b int CONSTRAINT positive CHECK (b > 0));
                 COMMENT ON CONSTRAINT t_pkey ON t IS 'the key';
                 COMMENT ON CONSTRAINT positive ON t IS 'the check'",
            )
            .await
            .unwrap();
        let sql = "SELECT c.conname || ': ' || d.description FROM pg_description d \
             JOIN pg_constraint c ON c.oid = d.objoid \
             WHERE d.classoid = 'pg_constraint'::regclass AND d.objsubid = 0 ORDER BY 1";
        let rows = client.query(sql, &[]).await.unwrap();
        let comments: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(comments, ["positive: the check", "t_pkey: the key"]);
        let sql = "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'positive'";
        let comment: String = client.query_one(sql, &[]).await.unwrap().get(0);
        assert_eq!(comment, "the check");
    });
}
