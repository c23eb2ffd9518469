//! Scripts of COPY statements with their input, and what a server answers to them, word for word.
//!
//! A script is cases: `== name`, then statements, one a line, each `COPY ... FROM` with the bytes it is sent on lines
//! that begin with `< `; there `\n`, `\r`, `\t`, `\\`, `\"` and `\xHH` stand for what they do in Rust. Each case begins
//! without the tables t and u. The answer repeats the statements, each with what came of it, and shows what a COPY
//! FROM leaves in its table. It knows no server.

use bytes::Bytes;
use futures::{SinkExt, TryStreamExt};
use std::fmt::Write;
use std::pin::pin;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// What the server answers to a script.
///
/// # Errors
/// When there is no connection.
pub async fn answers(url: &str, script: &str) -> Result<String, Error> {
    let mut client = connect(url).await?;
    let mut out = String::new();
    for case in script.split("== ").skip(1) {
        let dropped = client.batch_execute("DROP TABLE IF EXISTS t, u").await;
        let (name, body) = case.split_once('\n').unwrap_or((case, ""));
        let _ = writeln!(out, "== {name}");
        if let Err(error) = dropped {
            push_error(&mut out, &error);
        }
        let mut lines = body.lines().filter(|line| !line.is_empty()).peekable();
        while let Some(statement) = lines.next() {
            let mut input = Vec::new();
            while let Some(line) = lines.next_if(|line| line.starts_with('<')) {
                push_bytes(&mut input, line.trim_start_matches("< "));
            }
            let _ = writeln!(out, "{statement}");
            match run(&client, statement, input, &mut out).await {
                Err(Failed::Statement(error)) => push_error(&mut out, &error),
                Err(Failed::Copy(error)) => {
                    push_error(&mut out, &error);
                    // The driver may have sent a Sync too many, and then be out of step.
                    client = connect(url).await?;
                    show(&client, "SELECT * FROM t", &mut out).await?;
                }
                Ok(()) => {}
            }
        }
    }
    Ok(out)
}

async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    // Its end shows in the client.
    drop(tokio::spawn(connection));
    Ok(client)
}

enum Failed {
    Statement(Error),
    /// COPY FROM, before its input or in it.
    Copy(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Statement(error)
    }
}

async fn run(
    client: &Client,
    statement: &str,
    input: Vec<u8>,
    out: &mut String,
) -> Result<(), Failed> {
    if statement.starts_with("COPY") && statement.contains(" FROM STD") {
        let begun = client.copy_in::<_, Bytes>(statement).await;
        let mut sink = pin!(begun.map_err(Failed::Copy)?);
        let sent = sink.send(Bytes::from(input)).await;
        let count = sent.and(sink.finish().await).map_err(Failed::Copy)?;
        let _ = writeln!(out, "  COPY {count}");
        show(client, "SELECT * FROM t", out).await?;
        return Ok(());
    }
    if statement.starts_with("COPY") {
        let stream = client.copy_out(statement).await?;
        let mut lines: Vec<Bytes> = stream.try_collect().await?;
        lines.sort();
        for line in lines {
            let _ = writeln!(out, "  {}", line.escape_ascii());
        }
        return Ok(());
    }
    match statement.starts_with("SELECT") {
        true => show(client, statement, out).await?,
        false => client.batch_execute(statement).await?,
    }
    Ok(())
}

/// Rows in the order of their text.
async fn show(client: &Client, query: &str, out: &mut String) -> Result<(), Error> {
    let mut rows = Vec::new();
    for message in client.simple_query(query).await? {
        if let SimpleQueryMessage::Row(row) = message {
            let value = |i| match row.get(i) {
                Some(text) => format!("'{}'", text.escape_debug()),
                None => "NULL".to_string(),
            };
            rows.push((0..row.len()).map(value).collect::<Vec<_>>().join(", "));
        }
    }
    rows.sort();
    for row in rows {
        let _ = writeln!(out, "  ({row})");
    }
    Ok(())
}

fn push_error(out: &mut String, error: &Error) {
    let Some(error) = error.as_db_error() else {
        let _ = writeln!(out, "  {error}");
        return;
    };
    let code = error.code().code();
    let _ = writeln!(out, "  ERROR {code}: {}", error.message().escape_debug());
    if let Some(ErrorPosition::Original(at)) = error.position() {
        let _ = writeln!(out, "  POSITION: {at}");
    }
    for (what, text) in [
        ("DETAIL", error.detail()),
        ("HINT", error.hint()),
        ("CONTEXT", error.where_()),
    ] {
        if let Some(text) = text {
            let _ = writeln!(out, "  {what}: {}", text.escape_debug());
        }
    }
}

/// Appends the bytes that a line of input stands for.
fn push_bytes(out: &mut Vec<u8>, line: &str) {
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'x') => {
                let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).unwrap_or(0);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                out.push((high << 4 | low) as u8);
            }
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
}
