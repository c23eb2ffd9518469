//! Bytes that no well-behaved client sends. After each the server must serve others.

use crate::{Server, within_limit};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub struct Raw(TcpStream);

impl Raw {
    pub fn connect(server: &Server) -> Raw {
        let stream = TcpStream::connect(server.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Raw(stream)
    }

    /// A connection with a session open.
    pub fn session(server: &Server) -> Raw {
        let mut raw = Raw::connect(server);
        raw.start("everview");
        raw.until(b'Z');
        raw
    }

    /// Says who connects.
    pub fn start(&mut self, role: &str) {
        let mut packet = 196_608u32.to_be_bytes().to_vec();
        packet.extend(format!("user\0{role}\0database\0everview\0\0").as_bytes());
        self.send(&with_length(&packet));
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub fn message(&mut self, tag: u8, body: &[u8]) {
        self.send(&[&[tag], with_length(body).as_slice()].concat());
    }

    /// The next message; `None` when the server has closed.
    pub fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length - 4];
        self.0.read_exact(&mut body).ok()?;
        Some((head[0], body))
    }

    /// Messages up to the first of a type.
    pub fn until(&mut self, tag: u8) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        loop {
            let message = self
                .receive()
                .expect("a message before the connection closes");
            messages.push(message);
            if messages.last().is_some_and(|(t, _)| *t == tag) {
                return messages;
            }
        }
    }

    /// The SQLSTATE of the next error.
    pub fn error(&mut self) -> String {
        let messages = self.until(b'E');
        let body = &messages.last().unwrap().1;
        let field = body
            .split(|b| *b == 0)
            .find(|f| f.first() == Some(&b'C'))
            .unwrap();
        String::from_utf8_lossy(&field[1..]).to_string()
    }

    pub fn is_closed(&mut self) -> bool {
        while let Some(message) = self.receive() {
            assert_ne!(message.0, b'Z', "the session goes on");
        }
        true
    }
}

fn with_length(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

pub fn query(sql: &[u8]) -> Vec<u8> {
    [sql, b"\0"].concat()
}

fn still_serves(server: &Server) {
    let mut raw = Raw::session(server);
    raw.message(b'Q', &query(b"SELECT 1"));
    assert!(raw.until(b'Z').iter().any(|(tag, _)| *tag == b'D'));
}

#[test]
fn lengths_that_cannot_be_end_the_connection_with_08p01() {
    let server = Server::start();
    for length in [0u32, 3, 1 << 31, u32::MAX] {
        let mut raw = Raw::session(&server);
        raw.send(&[b"Q".as_slice(), &length.to_be_bytes()].concat());
        assert_eq!(raw.error(), "08P01");
        assert!(raw.is_closed());
    }
    let mut raw = Raw::session(&server);
    raw.send(b"\x07\0\0\0\x04");
    assert_eq!(raw.error(), "08P01");
    assert!(raw.is_closed());
    still_serves(&server);
}

#[test]
fn startup_packets_that_cannot_be_are_refused() {
    let server = Server::start();
    for packet in [
        b"\0\0\0\x04".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        with_length(b"\0\x03\0\0user"),
        with_length(b"\0\x02\0\0\0"),
        with_length(b"\0\x03\0\0database\0x\0\0"),
    ] {
        let mut raw = Raw::connect(&server);
        raw.send(&packet);
        raw.error();
        assert!(raw.is_closed());
    }
    still_serves(&server);
}

#[test]
fn encryption_is_declined_and_the_session_starts() {
    let server = Server::start();
    let mut raw = Raw::connect(&server);
    for request in [80_877_103u32, 80_877_104] {
        raw.send(&with_length(&request.to_be_bytes()));
        let mut answer = [0];
        raw.0.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"N");
    }
    raw.send(&with_length(b"\0\x03\0\0user\0everview\0\0"));
    raw.until(b'Z');
}

#[test]
fn a_newer_protocol_is_negotiated_down() {
    let server = Server::start();
    let mut raw = Raw::connect(&server);
    raw.send(&with_length(b"\0\x03\0\x02user\0everview\0_pq_.x\0y\0\0"));
    let messages = raw.until(b'Z');
    assert_eq!(messages[0].0, b'v');
    assert!(messages[0].1.ends_with(b"_pq_.x\0"));
}

#[test]
fn text_that_is_not_utf8_is_an_error_and_the_session_goes_on() {
    let server = Server::start();
    let mut raw = Raw::session(&server);
    raw.message(b'Q', &query(b"SELECT '\xff'"));
    assert_eq!(raw.error(), "22021");
    raw.until(b'Z');
    raw.message(b'P', b"\0SELECT '\xc3'\0\0\0");
    raw.message(b'S', b"");
    assert_eq!(raw.error(), "22021");
    raw.until(b'Z');
    still_serves(&server);
}

#[test]
fn an_error_skips_to_sync() {
    let server = Server::start();
    let mut raw = Raw::session(&server);
    raw.message(b'P', b"\0SELEC\0\0\0");
    raw.message(b'B', b"\0\0\0\0\0\0\0\0");
    raw.message(b'E', b"\0\0\0\0\0");
    raw.message(b'S', b"");
    let tags: Vec<u8> = raw.until(b'Z').iter().map(|(tag, _)| *tag).collect();
    assert_eq!(tags, b"EZ");
}

#[test]
fn truncated_messages_and_lost_clients_harm_nobody() {
    let server = Server::start();
    for part in [&b"Q"[..], b"Q\0\0", b"Q\0\0\0\x20SELECT", b"B\0\0\0\x09ab"] {
        let mut raw = Raw::session(&server);
        raw.send(part);
    }
    still_serves(&server);
}

#[test]
fn ten_thousand_statements_in_one_string_are_all_answered() {
    let server = Server::start();
    let mut raw = Raw::session(&server);
    raw.message(b'Q', &query("SELECT 1;".repeat(10_000).as_bytes()));
    let messages = raw.until(b'Z');
    assert_eq!(
        messages.iter().filter(|(tag, _)| *tag == b'C').count(),
        10_000
    );
}

#[test]
fn a_value_of_100_mb_goes_through() {
    let server = Server::start();
    let mut raw = Raw::session(&server);
    let value = vec![b'x'; 100_000_000];
    raw.message(
        b'Q',
        &query(&[b"SELECT length('", value.as_slice(), b"')"].concat()),
    );
    let messages = raw.until(b'Z');
    let row = messages
        .iter()
        .find(|(tag, _)| *tag == b'D')
        .map(|(_, row)| row.as_slice());
    assert!(
        row.is_some_and(|row| row.ends_with(b"100000000")),
        "{:?}",
        messages.last()
    );
}

#[test]
fn deep_nesting_is_an_error_or_a_result() {
    let server = Server::start();
    let mut raw = Raw::session(&server);
    for sql in [
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT {}1", "- ".repeat(50_000)),
        format!("SELECT 1{}", " + 1".repeat(20_000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(5_000), ")".repeat(5_000)),
    ] {
        raw.message(b'Q', &query(sql.as_bytes()));
        raw.until(b'Z');
    }
    still_serves(&server);
}

#[test]
fn a_client_that_vanishes_ends_its_statement() {
    let server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        client
            .batch_execute("CREATE TABLE t (a int)")
            .await
            .unwrap();
        let mut raw = Raw::session(&server);
        raw.message(b'Q', &query(b"SUBSCRIBE t"));
        raw.until(b'T');
        drop(raw);
        for _ in 0..200 {
            let left = client
                .query_one(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SUBSCRIBE%'",
                    &[],
                )
                .await
                .unwrap();
            if left.get::<_, i64>(0) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the session is still there");
    });
}
