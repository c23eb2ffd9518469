//! A client behind a pooler: it knows its epoch and its number, and sends each batch until it is told that it is there.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

use crate::session::message;

/// What a sender was told.
#[derive(Debug, Default)]
pub struct Sent {
    /// Commits of repeated batches.
    pub repeated: u64,
    /// Connections that were lost.
    pub lost: u64,
    /// Server processes that its transactions ran in.
    pub backends: BTreeSet<i32>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends batches 1 to `batches`, each twice, and again after every lost connection.
///
/// # Errors
/// When a batch is refused.
pub async fn run(id: i32, url: String, batches: i64) -> Result<Sent, Failure> {
    let mut sent = Sent::default();
    let mut client = connect(&url).await;
    let name = format!("sender {id}");
    let open = format!("SELECT everview.open_producer('{name}')");
    let epoch = loop {
        match client.simple_query(&open).await {
            Ok(messages) => break first(&messages).ok_or("an epoch")?,
            // A second epoch does no harm: nothing was sent under the first.
            Err(error) => client = again(&url, &error, &mut sent).await?,
        }
    };
    for sequence in 1..=batches {
        let mut times = 0;
        while times < 2 {
            let begin = format!("SELECT everview.begin_batch('{name}', {epoch}, {sequence})");
            let insert = format!("INSERT INTO t VALUES ({id}, {sequence}, {sequence})");
            match batch(&client, &begin, &insert, &mut sent).await {
                Ok(()) => times += 1,
                Err(error) => client = again(&url, &error, &mut sent).await?,
            }
        }
    }
    Ok(sent)
}

async fn batch(client: &Client, begin: &str, insert: &str, sent: &mut Sent) -> Result<(), Error> {
    client.batch_execute("BEGIN").await?;
    let repeated = first(&client.simple_query(begin).await?).is_some();
    let backend = client.simple_query("SELECT pg_backend_pid()").await?;
    client.batch_execute(insert).await?;
    client.batch_execute("COMMIT").await?;
    sent.backends
        .extend(first(&backend).and_then(|pid| pid.parse::<i32>().ok()));
    sent.repeated += u64::from(repeated);
    Ok(())
}

/// A connection after one that failed; what the server refuses is no reason to go on.
async fn again(url: &str, error: &Error, sent: &mut Sent) -> Result<Client, Failure> {
    // PgBouncer's own errors, of a server that is gone, are of class 08.
    if error
        .as_db_error()
        .is_some_and(|db| !db.code().code().starts_with("08"))
    {
        return Err(message(error).into());
    }
    sent.lost += 1;
    Ok(connect(url).await)
}

async fn connect(url: &str) -> Client {
    loop {
        if let Ok((client, connection)) = tokio_postgres::connect(url, NoTls).await {
            tokio::spawn(connection);
            return client;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first value of the first row, unless NULL.
fn first(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_string),
        _ => None,
    })
}
