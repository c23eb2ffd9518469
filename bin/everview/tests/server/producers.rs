//! Producers over the wire: answers lost to kill -9, zombies of another process, drivers' parameters, notices.

use crate::{Server, code, within_limit};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::pin::pin;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

async fn first(client: &Client, sql: &str) -> String {
    let messages = client.simple_query(sql).await.unwrap();
    let value = messages.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_string),
        _ => None,
    });
    value.unwrap_or_default()
}

/// A batch up to its COMMIT: rows into a table with a key and, by COPY, into one without.
async fn prepare(client: &Client, sequence: i64) {
    let begin = format!("BEGIN; SET LOCAL everview.sequence = {sequence}");
    client.batch_execute(&begin).await.unwrap();
    let insert = "INSERT INTO keyed VALUES ($1)";
    client.execute(insert, &[&sequence]).await.unwrap();
    let sink = client
        .copy_in::<_, Bytes>("COPY plain FROM STDIN")
        .await
        .unwrap();
    let mut sink = pin!(sink);
    sink.send(Bytes::from(format!("{sequence}\n{sequence}\n")))
        .await
        .unwrap();
    sink.finish().await.unwrap();
}

#[test]
fn a_batch_whose_answer_was_lost_to_kill_9_is_sent_again() {
    let mut server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        let tables = "CREATE TABLE keyed (n bigint PRIMARY KEY); CREATE TABLE plain (n bigint)";
        client.batch_execute(tables).await.unwrap();
        let counts =
            "CREATE MATERIALIZED VIEW counts AS SELECT n, count(*) AS times FROM plain GROUP BY n";
        client.batch_execute(counts).await.unwrap();
        for sequence in 1..=5 {
            let client = server.connect().await;
            client
                .batch_execute("SET everview.producer = 'ingest'")
                .await
                .unwrap();
            let last = first(&client, "SHOW everview.last_sequence").await;
            assert_eq!(last, (sequence - 1).to_string());
            prepare(&client, sequence).await;
            // Sent, durable, and its answer never read.
            let other = server.connect().await;
            let seen = format!("SELECT count(*) FROM keyed WHERE n = {sequence}");
            let commit = tokio::spawn(async move { client.batch_execute("COMMIT").await });
            while first(&other, &seen).await != "1" {}
            let committed = first(
                &other,
                "SELECT last_commit_timestamp FROM everview.producers",
            )
            .await;
            server.kill_and_restart();
            // Told or not, the client takes it for lost.
            drop(commit);
            let client = server.connect().await;
            client
                .batch_execute("SET everview.producer = 'ingest'")
                .await
                .unwrap();
            prepare(&client, sequence).await;
            client.batch_execute("COMMIT").await.unwrap();
            assert_eq!(
                first(&client, "SHOW everview.duplicate_of").await,
                committed
            );
        }
        let client = server.connect().await;
        let rows = client
            .query("SELECT n, times FROM counts ORDER BY n", &[])
            .await
            .unwrap();
        let rows: Vec<(i64, i64)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
        assert_eq!(rows, [(1, 2), (2, 2), (3, 2), (4, 2), (5, 2)]);
    });
}

#[test]
fn a_zombie_of_before_a_crash_is_fenced_through_its_epoch() {
    let mut server = Server::start();
    within_limit(async {
        let zombie = server.connect().await;
        zombie
            .batch_execute("CREATE TABLE t (n bigint)")
            .await
            .unwrap();
        let row = zombie
            .query_one("SELECT everview.open_producer($1)", &[&"ingest"])
            .await
            .unwrap();
        let epoch: i64 = row.get(0);
        drop(zombie);
        server.kill_and_restart();
        let holder = server.connect().await;
        holder
            .batch_execute("SET everview.producer = 'ingest'")
            .await
            .unwrap();
        let zombie = server.connect().await;
        zombie.batch_execute("BEGIN").await.unwrap();
        let begin = "SELECT everview.begin_batch($1, $2, $3) AS committed";
        let error = zombie
            .query_one(begin, &[&"ingest", &epoch, &1i64])
            .await
            .unwrap_err();
        assert_eq!(code(&error), "VE001");
        let hint = error.as_db_error().unwrap().hint().unwrap();
        assert!(
            hint.contains("Another process has taken the name"),
            "{hint}"
        );
    });
}

#[test]
fn drivers_begin_batches_with_parameters_and_are_given_the_first_commit() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (n bigint PRIMARY KEY)")
            .await
            .unwrap();
        let row = client
            .query_one("SELECT everview.open_producer($1)", &[&"ingest"])
            .await
            .unwrap();
        let epoch: i64 = row.get(0);
        let mut told = Vec::new();
        for values in [[7i64, 8], [7, 8], [7, 9]] {
            client.batch_execute("BEGIN").await.unwrap();
            let begin = "SELECT everview.begin_batch($1, $2, $3) AS committed";
            let row = client
                .query_one(begin, &[&"ingest", &epoch, &1i64])
                .await
                .unwrap();
            assert_eq!(row.columns()[0].name(), "committed");
            told.push(row.get::<_, Option<i64>>(0));
            for value in &values {
                assert_eq!(
                    client
                        .execute("INSERT INTO t VALUES ($1)", &[value])
                        .await
                        .unwrap(),
                    1
                );
            }
            match client.batch_execute("COMMIT").await {
                Ok(()) => assert_eq!(values, [7, 8]),
                // The same statements with other values.
                Err(error) => assert_eq!((code(&error).as_str(), values), ("VE002", [7, 9])),
            }
        }
        let row = client
            .query_one("SELECT * FROM everview.producers", &[])
            .await
            .unwrap();
        let committed: Option<i64> = row.get("last_commit_timestamp");
        assert_eq!(told, [None, committed, committed]);
        assert_eq!(row.get::<_, i64>("epoch"), epoch);
        let expires: std::time::SystemTime = row.get("expires");
        let used: std::time::SystemTime = row.get("last_used");
        assert_eq!(expires.duration_since(used).unwrap().as_secs(), 30 * 86_400);
    });
}

#[test]
fn a_repeated_batch_is_told_by_a_notice_with_a_code_of_its_own() {
    let server = Server::start();
    within_limit(async {
        let (client, mut connection) = tokio_postgres::connect(&server.url(), NoTls).await.unwrap();
        let (sender, mut notices) = tokio::sync::mpsc::unbounded_channel();
        let messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
        tokio::spawn(async move {
            let mut messages = pin!(messages);
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notice(notice) = message {
                    let _ = sender.send(notice);
                }
            }
        });
        client
            .batch_execute("SET everview.producer = 'ingest'")
            .await
            .unwrap();
        let batch = "BEGIN; SET LOCAL everview.sequence = 1; COMMIT";
        client.batch_execute(batch).await.unwrap();
        client.batch_execute(batch).await.unwrap();
        let notice = notices.recv().await.unwrap();
        assert_eq!(notice.code().code(), "VE000");
        assert_eq!(
            notice.message(),
            "batch 1 of producer \"ingest\" is committed already"
        );
        assert!(notice.detail().unwrap().contains("nothing has changed"));
        assert!(notices.try_recv().is_err());
    });
}

#[test]
fn a_producer_cannot_be_asked_for_when_connecting() {
    let server = Server::start();
    within_limit(async {
        let url = format!("{}?options=-c%20everview.producer%3Dx", server.url());
        let error = tokio_postgres::connect(&url, NoTls).await.err().unwrap();
        assert_eq!(code(&error), "55P02");
    });
}
