//! A connection to a server under test, and relations as it shows them.
//!
//! Invariant: rows are compared as text, each with how often it occurs, so that two servers agree only if their output
//! does.

use std::collections::BTreeMap;

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A server refused a statement, or is gone.
#[derive(Debug, thiserror::Error)]
#[error("{server}: {what}: {}", message(.source))]
pub struct SessionError {
    /// Which server.
    server: &'static str,
    /// What was tried.
    what: String,
    /// The cause.
    pub source: tokio_postgres::Error,
}

/// An error as a person reads it: its SQLSTATE and message, where a server sent it.
pub fn message(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{}: {}", db.code().code(), db.message()),
        None => error.to_string(),
    }
}

/// A connection, with a name for errors.
pub struct Session {
    name: &'static str,
    /// What speaks.
    pub client: Client,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn connect(name: &'static str, url: &str) -> Result<Session, SessionError> {
        let (client, connection) = tokio_postgres::connect(url, NoTls)
            .await
            .map_err(|source| SessionError {
                server: name,
                what: format!("connecting to {url}"),
                source,
            })?;
        // Its errors reach whoever uses the client.
        tokio::spawn(connection);
        Ok(Session { name, client })
    }

    /// Says what was tried when something failed.
    pub fn error(&self, what: &str) -> impl Fn(tokio_postgres::Error) -> SessionError {
        let (server, what) = (self.name, what.to_string());
        move |source| SessionError {
            server,
            what: what.clone(),
            source,
        }
    }

    /// Runs statements in one message of the simple protocol.
    ///
    /// # Errors
    /// The first statement's that fails.
    pub async fn run(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, SessionError> {
        self.client.simple_query(sql).await.map_err(self.error(sql))
    }

    /// The rows of a query.
    ///
    /// # Errors
    /// The query's.
    pub async fn rows(&self, query: &str) -> Result<Rows, SessionError> {
        let mut rows = Rows::new();
        for message in self.run(query).await? {
            if let SimpleQueryMessage::Row(row) = message {
                let values: Vec<&str> = (0..row.len())
                    .map(|at| row.get(at).unwrap_or("NULL"))
                    .collect();
                *rows.entry(values.join(" | ")).or_default() += 1;
            }
        }
        Ok(rows)
    }
}

/// Rows as text, values separated by bars, and how often each occurs.
pub type Rows = BTreeMap<String, i64>;

/// How many rows a difference shows of each side.
const SHOWN: usize = 3;

/// What `ours` has too much and too little, compared with `theirs`.
pub fn difference(ours: &Rows, theirs: &Rows) -> Option<String> {
    let more = |left: &Rows, right: &Rows| {
        let times = |row: &String| right.get(row).copied().unwrap_or(0);
        let rows = left.iter().filter(|(row, count)| **count > times(row));
        rows.map(|(row, count)| format!("\n    {}x {row}", count - times(row)))
            .collect::<Vec<_>>()
    };
    let (wrong, missing) = (more(ours, theirs), more(theirs, ours));
    (!(wrong.is_empty() && missing.is_empty())).then(|| {
        let shown = |rows: &[String]| rows.iter().take(SHOWN).cloned().collect::<String>();
        format!(
            "{} rows wrong, {} rows missing\n  wrong:{}\n  missing:{}",
            wrong.len(),
            missing.len(),
            shown(&wrong),
            shown(&missing)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_counts_rows_with_their_multiplicity() {
        let rows = |pairs: &[(&str, i64)]| {
            pairs
                .iter()
                .map(|(row, count)| (row.to_string(), *count))
                .collect::<Rows>()
        };
        assert_eq!(difference(&rows(&[("a", 2)]), &rows(&[("a", 2)])), None);
        let text = difference(&rows(&[("a", 2), ("b", 1)]), &rows(&[("a", 1), ("c", 1)])).unwrap();
        assert!(text.starts_with("2 rows wrong, 1 rows missing"), "{text}");
        assert!(text.contains("1x a") && text.contains("1x b") && text.contains("1x c"));
    }
}
