//! tokio-postgres: the extended protocol with binary values, portals, COPY, cancel, notices, pipelining.

use crate::{Server, code, within_limit};
use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt, future};
use std::pin::pin;
use std::time::Duration;
use tokio_postgres::{NoTls, SimpleQueryMessage};

#[test]
fn values_travel_in_binary_and_text_both_ways() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        let row = client
            .query_one(
                "SELECT $1::smallint, $2::int, $3::bigint, $4::real, $5::double precision, \
                 $6::text, $7::boolean, $8::bytea, $9::int[], $10::int",
                &[
                    &-3i16,
                    &70_000i32,
                    &(1i64 << 40),
                    &1.5f32,
                    &-0.25f64,
                    &"tässä",
                    &true,
                    &b"\x00\xff".as_slice(),
                    &vec![Some(1i32), None],
                    &None::<i32>,
                ],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, i16>(0), -3);
        assert_eq!(row.get::<_, i32>(1), 70_000);
        assert_eq!(row.get::<_, i64>(2), 1 << 40);
        assert_eq!(row.get::<_, f32>(3), 1.5);
        assert_eq!(row.get::<_, f64>(4), -0.25);
        assert_eq!(row.get::<_, &str>(5), "tässä");
        assert!(row.get::<_, bool>(6));
        assert_eq!(row.get::<_, &[u8]>(7), b"\x00\xff");
        assert_eq!(row.get::<_, Vec<Option<i32>>>(8), [Some(1), None]);
        assert_eq!(row.get::<_, Option<i32>>(9), None);
        let shown = client
            .simple_query(
                "SELECT 1.50::numeric(5,2), DATE '2024-02-29', '{a,NULL}'::text[], NULL::int",
            )
            .await
            .unwrap();
        let row = shown.iter().find_map(|m| match m {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.unwrap();
        let shown: Vec<_> = (0..4).map(|i| row.get(i)).collect();
        assert_eq!(
            shown,
            [Some("1.50"), Some("2024-02-29"), Some("{a,NULL}"), None]
        );
    });
}

#[test]
fn parameter_types_are_inferred() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a bigint PRIMARY KEY, b text)")
            .await
            .unwrap();
        let insert = client
            .prepare("INSERT INTO t VALUES ($1, $2)")
            .await
            .unwrap();
        let types: Vec<_> = insert
            .params()
            .iter()
            .map(|t| t.name().to_string())
            .collect();
        assert_eq!(types, ["int8", "text"]);
        assert_eq!(client.execute(&insert, &[&7i64, &"x"]).await.unwrap(), 1);
        let select = client
            .prepare("SELECT b FROM t WHERE a = $1")
            .await
            .unwrap();
        assert_eq!(select.columns()[0].name(), "b");
        assert!(select.columns()[0].table_oid().is_some());
        let row = client.query_one(&select, &[&7i64]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "x");
    });
}

#[test]
fn a_portal_gives_its_rows_in_parts() {
    let server = Server::start();
    within_limit(async {
        let mut client = server.connect().await;
        let transaction = client.transaction().await.unwrap();
        let portal = transaction
            .bind("SELECT * FROM generate_series(1, 10)", &[])
            .await
            .unwrap();
        let mut sizes = Vec::new();
        for _ in 0..4 {
            sizes.push(transaction.query_portal(&portal, 4).await.unwrap().len());
        }
        assert_eq!(sizes, [4, 4, 2, 0]);
        transaction.rollback().await.unwrap();
    });
}

#[test]
fn a_failed_statement_fails_its_transaction_until_rollback() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int PRIMARY KEY)")
            .await
            .unwrap();
        client
            .batch_execute("BEGIN; INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let error = client
            .execute("SELECT nothing FROM t", &[])
            .await
            .unwrap_err();
        assert_eq!(code(&error), "42703");
        let error = client.simple_query("SELECT 1").await.unwrap_err();
        assert_eq!(code(&error), "25P02");
        client.batch_execute("ROLLBACK").await.unwrap();
        assert!(
            client
                .query("SELECT * FROM t", &[])
                .await
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn a_string_of_statements_is_one_transaction() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int PRIMARY KEY)")
            .await
            .unwrap();
        let error = client
            .batch_execute("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); SELECT 1/0")
            .await
            .unwrap_err();
        assert_eq!(code(&error), "22012");
        assert!(
            client
                .query("SELECT * FROM t", &[])
                .await
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn errors_carry_position_detail_table_and_constraint() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let error = client
            .batch_execute("INSERT INTO t VALUES (1)")
            .await
            .unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "23505");
        assert_eq!(error.severity(), "ERROR");
        assert_eq!(error.detail(), Some("Key (a)=(1) already exists."));
        assert_eq!(
            (error.table(), error.constraint()),
            (Some("t"), Some("t_pkey"))
        );
        let error = client
            .batch_execute("SELECT nothing FROM t")
            .await
            .unwrap_err();
        let position = error.as_db_error().unwrap().position().cloned();
        assert_eq!(
            position,
            Some(tokio_postgres::error::ErrorPosition::Original(8))
        );
    });
}

#[test]
fn copy_streams_in_and_out_and_says_where_it_failed() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int PRIMARY KEY, b text)")
            .await
            .unwrap();
        let mut sink = pin!(
            client
                .copy_in::<_, Bytes>("COPY t FROM STDIN")
                .await
                .unwrap()
        );
        for i in 0..1000 {
            // Pieces end in the middle of rows.
            sink.send(Bytes::from(format!("{i}\tro"))).await.unwrap();
            sink.send(Bytes::from("w\n")).await.unwrap();
        }
        assert_eq!(sink.as_mut().finish().await.unwrap(), 1000);
        let out = client.copy_out("COPY t TO STDOUT").await.unwrap();
        let out: Vec<Bytes> = out.try_collect().await.unwrap();
        let lines = out.concat();
        assert_eq!(
            lines
                .split(|b| *b == b'\n')
                .filter(|l| l.ends_with(b"\trow"))
                .count(),
            1000
        );

        let mut sink = pin!(
            client
                .copy_in::<_, Bytes>("COPY t FROM STDIN")
                .await
                .unwrap()
        );
        sink.send(Bytes::from("2000\tx\nnone\ty\n")).await.unwrap();
        let error = sink.as_mut().finish().await.unwrap_err();
        assert_eq!(code(&error), "22P02");
        let context = error.as_db_error().unwrap().where_().unwrap_or("");
        assert!(context.starts_with("COPY t, line 2, column a"), "{context}");
        let n = client
            .query_one("SELECT count(*) FROM t", &[])
            .await
            .unwrap();
        assert_eq!(n.get::<_, i64>(0), 1000);
    });
}

#[test]
fn a_subscription_shows_changes_as_they_happen_until_cancelled() {
    let server = Server::start();
    within_limit(async {
        let (reader, writer) = (server.connect().await, server.connect().await);
        writer
            .batch_execute("CREATE TABLE t (a int)")
            .await
            .unwrap();
        let stream = reader
            .copy_out("COPY (SUBSCRIBE t) TO STDOUT")
            .await
            .unwrap();
        let mut stream = pin!(stream);
        writer
            .batch_execute("INSERT INTO t VALUES (42)")
            .await
            .unwrap();
        let line = stream.next().await.unwrap().unwrap();
        assert!(line.ends_with(b"\t1\t42\n"), "{line:?}");
        reader.cancel_token().cancel_query(NoTls).await.unwrap();
        let end = loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                other => break other,
            }
        };
        assert_eq!(code(&end.unwrap().unwrap_err()), "57014");
        reader.simple_query("SELECT 1").await.unwrap();
    });
}

#[test]
fn a_statement_ends_at_its_time_limit() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int); SET statement_timeout = '200ms'")
            .await
            .unwrap();
        let error = client.simple_query("SUBSCRIBE t").await.unwrap_err();
        assert_eq!(code(&error), "57014");
    });
}

#[test]
fn notices_arrive() {
    let server = Server::start();
    within_limit(async {
        let (client, mut connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        tokio::spawn(async move {
            while let Some(message) = future::poll_fn(|cx| connection.poll_message(cx)).await {
                if let Ok(tokio_postgres::AsyncMessage::Notice(notice)) = message {
                    let _ = sender.send(notice.message().to_string());
                }
            }
        });
        client
            .batch_execute("DROP TABLE IF EXISTS no_such_table")
            .await
            .unwrap();
        let notice = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(notice.contains("no_such_table"), "{notice}");
    });
}

#[test]
fn pipelined_statements_are_answered_in_order() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int PRIMARY KEY)")
            .await
            .unwrap();
        let insert = client.prepare("INSERT INTO t VALUES ($1)").await.unwrap();
        let numbers: Vec<i32> = (0..200).collect();
        let inserts = numbers.iter().map(|n| client.execute_raw(&insert, [n]));
        let inserted = future::try_join_all(inserts).await.unwrap();
        assert_eq!(inserted.iter().sum::<u64>(), 200);
        let error = client.execute(&insert, &[&5i32]).await.unwrap_err();
        assert_eq!(code(&error), "23505");
    });
}

#[test]
fn single_statements_that_meet_are_tried_again_and_nobody_sees_it() {
    let server = Server::start();
    within_limit(async {
        let setup =
            "CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters VALUES (1, 0)";
        server.connect().await.batch_execute(setup).await.unwrap();
        let count = async || {
            let client = server.connect().await;
            for _ in 0..25 {
                let update = "UPDATE counters SET n = n + 1 WHERE id = 1";
                assert_eq!(client.execute(update, &[]).await.unwrap(), 1);
            }
        };
        future::join_all((0..8).map(|_| count())).await;
        let client = server.connect().await;
        let row = client
            .query_one("SELECT n FROM counters", &[])
            .await
            .unwrap();
        assert_eq!(row.get::<_, i32>(0), 200);
    });
}
