//! COPY as PostgreSQL 15 does it.
//!
//! `copy/expected.txt` is what PostgreSQL 15 answers to `copy/cases.txt`, as `bench copy` wrote it down.

#[path = "../../../bench/src/copy/script.rs"]
mod script;

use crate::{Server, within_limit};
use bytes::Bytes;
use futures::{SinkExt, TryStreamExt};
use std::pin::pin;

#[test]
fn copy_answers_as_postgresql_does() {
    let server = Server::start();
    within_limit(async {
        let url = server.url();
        let got = script::answers(&url, include_str!("copy/cases.txt")).await;
        let got = got.unwrap();
        let cases = |text: &str| -> Vec<String> { text.split("== ").map(str::to_string).collect() };
        let (expected, got) = (cases(include_str!("copy/expected.txt")), cases(&got));
        let differ = expected
            .iter()
            .zip(&got)
            .filter(|(expected, got)| expected != got);
        let differ: Vec<String> = differ
            .map(|(expected, got)| format!("PostgreSQL:\n{expected}Everview:\n{got}"))
            .collect();
        assert!(differ.is_empty(), "{}", differ.join("\n"));
        assert_eq!(expected.len(), got.len());
    });
}

#[test]
fn copies_both_ways_take_bounded_memory() {
    /// Bytes of a line, lines of a piece, and pieces.
    const LINE: usize = 128;
    const LINES: usize = 8 << 10;
    const PIECES: usize = 192;
    /// Much less than the 192 MiB that are sent.
    const MOST: u64 = 80 << 20;
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        let schema = "CREATE TABLE lines (line text) APPEND ONLY";
        client.batch_execute(schema).await.unwrap();
        let piece = Bytes::from(format!("{}\n", "x".repeat(LINE - 1)).repeat(LINES));
        let before = server.resident_bytes();
        let mut peak = before;
        let sink = client.copy_in::<_, Bytes>("COPY lines FROM STDIN").await;
        let mut sink = pin!(sink.unwrap());
        for _ in 0..PIECES {
            sink.send(piece.clone()).await.unwrap();
            peak = peak.max(server.resident_bytes());
        }
        assert_eq!(sink.finish().await.unwrap(), (LINES * PIECES) as u64);
        peak = peak.max(server.resident_bytes());
        assert!(peak - before < MOST, "{} bytes in", peak - before);

        let mut stream = pin!(client.copy_out("COPY lines TO STDOUT").await.unwrap());
        let (mut taken, mut messages) = (0, 0u64);
        while let Some(bytes) = stream.try_next().await.unwrap() {
            taken += bytes.len();
            messages += 1;
            if messages.is_multiple_of(10_000) {
                peak = peak.max(server.resident_bytes());
            }
        }
        assert_eq!(taken, LINE * LINES * PIECES);
        assert!(peak - before < MOST, "{} bytes out", peak - before);
    });
}
