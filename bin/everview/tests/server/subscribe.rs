//! SUBSCRIBE over COPY and over cursors: each commit's changes together, consolidated, and from where to resume.

use crate::{Server, code, within_limit};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::pin::pin;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Rows of a simple query as text.
async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client
        .simple_query(sql)
        .await
        .unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let rows = messages.into_iter().filter_map(|m| match m {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| {
        (0..row.len())
            .map(|i| row.get(i).unwrap_or("NULL").to_string())
            .collect()
    })
    .collect()
}

/// Lines of COPY (SUBSCRIBE ...) to its end.
async fn lines(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let stream = client
        .copy_out(&format!("COPY ({sql}) TO STDOUT"))
        .await
        .unwrap();
    let mut stream = pin!(stream);
    let mut text = Vec::new();
    while let Some(piece) = stream.next().await {
        text.extend(piece.unwrap());
    }
    let text = String::from_utf8(text).unwrap();
    text.lines()
        .map(|line| line.split('\t').map(str::to_string).collect())
        .collect()
}

async fn commit(client: &Client, sql: &str) -> u64 {
    client.batch_execute(sql).await.unwrap();
    let shown = rows(client, "SHOW everview.last_commit_timestamp").await;
    shown[0][0].parse().unwrap()
}

#[test]
fn changes_come_a_commit_at_a_time_consolidated_within_the_bounds() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int PRIMARY KEY, b int)")
            .await
            .unwrap();
        client
            .batch_execute("CREATE MATERIALIZED VIEW v AS SELECT b % 2 AS odd, count(*) AS n FROM t GROUP BY 1")
            .await
            .unwrap();
        let first = commit(&client, "INSERT INTO t VALUES (1, 1), (2, 2)").await;
        let second = commit(
            &client,
            "BEGIN; INSERT INTO t VALUES (3, 3), (4, 3); DELETE FROM t WHERE a = 4; UPDATE t SET b = 20 WHERE a = 2; \
             UPDATE t SET b = 2 WHERE a = 2; COMMIT",
        )
        .await;
        let third = commit(&client, "DELETE FROM t WHERE a = 1").await;
        let end = commit(&client, "INSERT INTO t VALUES (9, 9)").await;

        let change = |time: u64, rest: &[&str]| -> Vec<String> {
            [time.to_string()]
                .into_iter()
                .chain(rest.iter().map(|s| s.to_string()))
                .collect()
        };
        // A table: the snapshot, then every commit's net changes, up to but without the end.
        let sql = format!("SUBSCRIBE t AS OF {first} UP TO {end}");
        let expected = vec![
            change(first, &["1", "1", "1"]),
            change(first, &["1", "2", "2"]),
            change(second, &["1", "3", "3"]),
            change(third, &["-1", "1", "1"]),
        ];
        assert_eq!(lines(&client, &sql).await, expected);
        // Without the snapshot: only what came after, which is how a reader resumes.
        let sql = format!("SUBSCRIBE t WITH (SNAPSHOT = false) AS OF {first} UP TO {end}");
        assert_eq!(lines(&client, &sql).await, expected[2..]);
        // A view.
        let sql = format!("SUBSCRIBE v WITH (SNAPSHOT = false) AS OF {first} UP TO {end}");
        let mut by_time: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        for line in lines(&client, &sql).await {
            by_time
                .entry(line[0].clone())
                .or_default()
                .push(line[1..].to_vec());
        }
        let pair = |old: &str, new: &str| {
            let mut pair = vec![
                vec!["-1".to_string(), "1".to_string(), old.to_string()],
                vec!["1".to_string(), "1".to_string(), new.to_string()],
            ];
            pair.sort();
            pair
        };
        by_time.values_mut().for_each(|changes| changes.sort());
        let expected = BTreeMap::from([
            (second.to_string(), pair("1", "2")),
            (third.to_string(), pair("2", "1")),
        ]);
        assert_eq!(by_time, expected);
        // A query, with progress: no change comes at or after a time that was declared complete.
        let sql = format!(
            "SUBSCRIBE (SELECT a FROM t WHERE b > 1) WITH (PROGRESS) AS OF {first} UP TO {end}"
        );
        let got = lines(&client, &sql).await;
        let mut complete = 0;
        for line in &got {
            let time: u64 = line[0].parse().unwrap();
            assert!(time >= complete, "{got:?}");
            if line[1] == "t" {
                complete = time;
                assert_eq!(line[2..], ["\\N", "\\N"]);
            }
        }
        assert_eq!(complete, end, "{got:?}");
        let changes: Vec<_> = got
            .iter()
            .filter(|l| l[1] == "f")
            .map(|l| l[2..].to_vec())
            .collect();
        assert_eq!(changes, [["1", "2"], ["1", "3"]]);
    });
}

#[test]
fn a_cursor_over_a_subscription_waits_for_changes() {
    let server = Server::start();
    within_limit(async {
        let (reader, writer) = (server.connect().await, server.connect().await);
        writer
            .batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (7)")
            .await
            .unwrap();
        reader
            .batch_execute("BEGIN; DECLARE c CURSOR FOR SUBSCRIBE t")
            .await
            .unwrap();
        let got = rows(&reader, "FETCH ALL c WITH (timeout = '5s')").await;
        assert_eq!(got.len(), 1);
        assert_eq!(got[0][1..], ["1", "7"]);
        let none = rows(&reader, "FETCH 1 c WITH (timeout = '10ms')").await;
        assert!(none.is_empty(), "{none:?}");
        writer
            .batch_execute("INSERT INTO t VALUES (8), (8), (9)")
            .await
            .unwrap();
        let mut got = rows(&reader, "FETCH 1 c WITH (timeout = '10s')").await;
        got.extend(rows(&reader, "FETCH 5 c WITH (timeout = '10s')").await);
        let got: Vec<_> = got.iter().map(|row| row[1..].to_vec()).collect();
        assert_eq!(got, [["2", "8"], ["1", "9"]]);
        reader.batch_execute("CLOSE c; COMMIT").await.unwrap();
    });
}

#[test]
fn as_of_what_is_gone_or_to_come_is_refused_by_name() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int)")
            .await
            .unwrap();
        for sql in ["SUBSCRIBE t AS OF 1", "SELECT * FROM t AS OF 1"] {
            let error = client.simple_query(sql).await.unwrap_err();
            assert_eq!(code(&error), "22023");
            assert!(
                error
                    .as_db_error()
                    .unwrap()
                    .message()
                    .contains("before the log began"),
                "{error:?}"
            );
        }
        let error = client
            .simple_query("SELECT * FROM t AS OF 99999999999999999")
            .await
            .unwrap_err();
        assert_eq!(code(&error), "22023");
    });
}

#[test]
fn a_reader_that_does_not_read_is_cut_off_and_told_where_to_resume() {
    let server = Server::start();
    within_limit(async {
        let writer = server.connect().await;
        writer
            .batch_execute("CREATE TABLE t (a int, b text)")
            .await
            .unwrap();
        let mut raw = crate::raw::Raw::session(&server);
        raw.message(b'Q', &crate::raw::query(b"COPY (SUBSCRIBE t) TO STDOUT"));
        raw.until(b'H');
        // Far more than sockets and the server hold for one reader.
        let mut last = 0;
        for n in 0..60 {
            let sql = format!(
                "INSERT INTO t SELECT g, repeat(g::text || '-{n}-', 200) FROM generate_series(1, 1500) g"
            );
            last = commit(&writer, &sql).await;
        }
        assert_eq!(rows(&writer, "SELECT count(*) FROM t").await, [["90000"]]);
        let end = tokio::task::spawn_blocking(move || {
            let mut whole: BTreeMap<u64, usize> = BTreeMap::new();
            loop {
                let (tag, body) = raw.receive().unwrap();
                match tag {
                    b'd' => {
                        let text = String::from_utf8(body).unwrap();
                        let time = text.split('\t').next().unwrap();
                        *whole.entry(time.parse().unwrap()).or_default() += 1;
                    }
                    b'E' => return (whole, String::from_utf8_lossy(&body).replace('\0', " ")),
                    other => panic!("unexpected message {other}"),
                }
            }
        });
        let (whole, error) = end.await.unwrap();
        assert!(
            error.contains("53400") && error.contains("too slow"),
            "{error}"
        );
        let resume = error.split("AS OF ").nth(1).unwrap();
        let resume: u64 = resume
            .chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap();
        assert!(whole.len() < 60, "the reader had it all");
        assert!(
            whole.values().all(|n| *n == 1500),
            "commits are given whole: {whole:?}"
        );
        // What it has, and what it gets from there, is everything once.
        let sql = format!(
            "SUBSCRIBE t WITH (SNAPSHOT = false) AS OF {resume} UP TO {}",
            last + 1
        );
        let rest = lines(&writer, &sql).await;
        assert_eq!(rest.len() + 1500 * whole.len(), 90_000);
        assert!(whole.keys().all(|time| *time <= resume));
        assert!(
            rest.iter()
                .all(|line| line[0].parse::<u64>().unwrap() > resume)
        );
    });
}
