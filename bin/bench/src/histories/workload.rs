//! Clients that run random transactions and write down what they saw.
//!
//! Invariant: an element or value is written by one transaction only, and a transaction is recorded whether it ended
//! well or not. Half of the lists are arrays in one row each; the others are a row an element, numbered from the
//! maximum, so that a reader who misses a phantom doubles a number. Transactions that only read may read
//! materialized views in place of tables.

use std::time::Instant;

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio_postgres::{Client, Error, NoTls};

use super::history::{Operation, Outcome, Transaction};

/// What the clients write to.
pub const SCHEMA: &str = "
    CREATE TABLE arrays (list bigint PRIMARY KEY, elements bigint[] NOT NULL);
    CREATE TABLE entries (list bigint, position bigint, element bigint NOT NULL, PRIMARY KEY (list, position));
    CREATE TABLE registers (register bigint PRIMARY KEY, value bigint NOT NULL);
    CREATE TABLE members (set bigint NOT NULL, element bigint NOT NULL);
    CREATE MATERIALIZED VIEW arrays_view AS SELECT list, elements FROM arrays;
    CREATE MATERIALIZED VIEW entries_view AS
        SELECT list, array_agg(element ORDER BY position) AS elements FROM entries GROUP BY list;
    CREATE MATERIALIZED VIEW registers_view AS SELECT register, max(value) AS value FROM registers GROUP BY register;
    CREATE MATERIALIZED VIEW members_view AS SELECT set, element, count(*) AS times FROM members GROUP BY set, element;";

/// Objects of each kind that are written at a time; later ones take their place, so that none grows without end.
const OBJECTS: u64 = 4;

/// Transactions of one client before it moves on to the next objects.
const TRANSACTIONS_AN_OBJECT: u64 = 40;

/// What a client is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its number.
    pub client: usize,
    /// How many clients there are.
    pub clients: usize,
    /// The seed of the history.
    pub seed: u64,
    /// When the history began.
    pub start: Instant,
}

/// One client: its connection is lost with the server, and it connects again.
pub struct Worker {
    plan: Plan,
    random: ChaCha8Rng,
    done: u64,
    next_value: u64,
}

/// What is left of a transaction whose statement failed.
struct Failure {
    /// Whether COMMIT had been sent, and the connection then broke.
    in_doubt: bool,
    /// Whether the connection is gone.
    disconnected: bool,
}

impl Worker {
    /// A client at its first transaction.
    pub fn new(plan: Plan) -> Worker {
        let random = ChaCha8Rng::seed_from_u64(plan.seed ^ (plan.client as u64) << 32);
        Worker {
            plan,
            random,
            done: 0,
            next_value: 0,
        }
    }

    /// Runs transactions on one connection until it breaks or `stop` says so; gives them as they were seen.
    pub async fn run(&mut self, url: &str, stop: impl Fn() -> bool) -> Vec<Transaction> {
        let mut history = Vec::new();
        let Ok((client, connection)) = tokio_postgres::connect(url, NoTls).await else {
            return history;
        };
        tokio::spawn(connection);
        while !stop() {
            let begun = self.now();
            let mut operations = Vec::new();
            let outcome = self.transaction(&client, &mut operations).await;
            let (outcome, disconnected) = match outcome {
                Ok(()) => (Outcome::Committed, false),
                Err(failure) if failure.in_doubt => (Outcome::Unknown, true),
                Err(failure) => (Outcome::Aborted, failure.disconnected),
            };
            history.push(Transaction {
                client: self.plan.client,
                begun,
                ended: self.now(),
                outcome,
                operations,
            });
            self.done += 1;
            if disconnected {
                break;
            }
        }
        history
    }

    fn now(&self) -> u64 {
        self.plan.start.elapsed().as_micros() as u64
    }

    fn value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value * self.plan.clients as u64 + self.plan.client as u64
    }

    fn object(&mut self) -> u64 {
        (self.done / TRANSACTIONS_AN_OBJECT) * OBJECTS + self.random.random_range(0..OBJECTS)
    }

    async fn transaction(
        &mut self,
        client: &Client,
        operations: &mut Vec<Operation>,
    ) -> Result<(), Failure> {
        let reads_only = self.random.random_bool(0.3);
        let count = self.random.random_range(1..=4);
        let explicit = count > 1 || self.random.random_bool(0.5);
        let mut written = Vec::new();
        if explicit {
            client
                .batch_execute("BEGIN")
                .await
                .map_err(|e| failure(&e))?;
        }
        for _ in 0..count {
            let done = match reads_only {
                true => self.read(client, "_view").await,
                false if self.random.random_bool(0.4) => self.read(client, "").await,
                false => self.write(client, explicit, &mut written, operations).await,
            };
            match done {
                Ok(operation) => operations.extend(operation),
                // A lone statement commits by itself: when the connection breaks, nobody knows.
                Err(error) => {
                    let failure = failure(&error);
                    if explicit && !failure.disconnected {
                        // The transaction has failed whatever this answers.
                        let _ = client.batch_execute("ROLLBACK").await;
                    }
                    return Err(Failure {
                        in_doubt: !explicit && failure.disconnected,
                        ..failure
                    });
                }
            }
        }
        if explicit {
            client.batch_execute("COMMIT").await.map_err(|error| {
                let failure = failure(&error);
                Failure {
                    in_doubt: failure.disconnected,
                    ..failure
                }
            })?;
        }
        Ok(())
    }

    async fn read(&mut self, client: &Client, suffix: &str) -> Result<Option<Operation>, Error> {
        let object = self.object();
        // Tables and views alike, when the transaction only reads.
        let suffix = if self.random.random_bool(0.5) {
            suffix
        } else {
            ""
        };
        Ok(Some(match self.random.random_range(0..4) {
            0 => {
                let sql = format!("SELECT elements FROM arrays{suffix} WHERE list = {object}");
                let row = client.query_opt(&sql, &[]).await?;
                list(2 * object, row.map(|r| r.get(0)))
            }
            1 => {
                let sql = match suffix {
                    "" => format!(
                        "SELECT array_agg(element ORDER BY position) FROM entries WHERE list = {object}"
                    ),
                    _ => format!("SELECT elements FROM entries_view WHERE list = {object}"),
                };
                let row = client.query_opt(&sql, &[]).await?;
                list(2 * object + 1, row.and_then(|r| r.get(0)))
            }
            2 => {
                let sql = format!("SELECT value FROM registers{suffix} WHERE register = {object}");
                let row = client.query_opt(&sql, &[]).await?;
                Operation::Register {
                    register: object,
                    value: row.map(|r| r.get::<_, i64>(0) as u64),
                }
            }
            _ => {
                let sql = format!("SELECT element FROM members{suffix} WHERE set = {object}");
                let rows = client.query(&sql, &[]).await?;
                let mut elements: Vec<u64> =
                    rows.iter().map(|r| r.get::<_, i64>(0) as u64).collect();
                elements.sort_unstable();
                Operation::Set {
                    set: object,
                    elements,
                }
            }
        }))
    }

    /// Writes to an object; what is recorded is recorded before the statement is sent, for it may take effect unseen.
    async fn write(
        &mut self,
        client: &Client,
        explicit: bool,
        written: &mut Vec<u64>,
        operations: &mut Vec<Operation>,
    ) -> Result<Option<Operation>, Error> {
        let object = self.object();
        let value = self.value();
        match self.random.random_range(0..4) {
            0 => {
                operations.push(Operation::Append {
                    list: 2 * object,
                    element: value,
                });
                let sql = format!(
                    "INSERT INTO arrays VALUES ({object}, ARRAY[{value}]::bigint[])
                     ON CONFLICT (list) DO UPDATE SET elements = arrays.elements || excluded.elements"
                );
                client.execute(&sql, &[]).await?;
            }
            1 => {
                operations.push(Operation::Append {
                    list: 2 * object + 1,
                    element: value,
                });
                let sql = format!(
                    "INSERT INTO entries SELECT {object}, coalesce(max(position), 0) + 1, {value}
                     FROM entries WHERE list = {object}"
                );
                client.execute(&sql, &[]).await?;
            }
            // Two statements, so only after BEGIN; once, for only the last write is a version that others can see.
            2 if explicit && !written.contains(&object) => {
                written.push(object);
                let sql = format!("SELECT value FROM registers WHERE register = {object}");
                let row = client.query_opt(&sql, &[]).await?;
                let before = row.map(|r| r.get::<_, i64>(0) as u64);
                operations.push(Operation::Write {
                    register: object,
                    before,
                    value,
                });
                let sql = match before {
                    None => format!("INSERT INTO registers VALUES ({object}, {value})"),
                    Some(_) => {
                        format!("UPDATE registers SET value = {value} WHERE register = {object}")
                    }
                };
                client.execute(&sql, &[]).await?;
            }
            _ => {
                operations.push(Operation::Add {
                    set: object,
                    element: value,
                });
                let sql = format!("INSERT INTO members VALUES ({object}, {value})");
                client.execute(&sql, &[]).await?;
            }
        }
        Ok(None)
    }
}

/// Reads everything, in one transaction at the end of a history.
///
/// # Errors
/// A statement's.
pub async fn read_all(client: &Client, start: Instant, suffix: &str) -> Result<Transaction, Error> {
    let begun = start.elapsed().as_micros() as u64;
    let mut operations = Vec::new();
    let number = |row: &tokio_postgres::Row, at: usize| row.get::<_, i64>(at) as u64;
    let sql = format!("SELECT list, elements FROM arrays{suffix}");
    for row in client.query(&sql, &[]).await? {
        operations.push(list(2 * number(&row, 0), Some(row.get(1))));
    }
    let sql = match suffix {
        "" => "SELECT list, array_agg(element ORDER BY position) FROM entries GROUP BY list",
        _ => "SELECT list, elements FROM entries_view",
    };
    for row in client.query(sql, &[]).await? {
        operations.push(list(2 * number(&row, 0) + 1, Some(row.get(1))));
    }
    let sql = format!("SELECT register, value FROM registers{suffix}");
    for row in client.query(&sql, &[]).await? {
        operations.push(Operation::Register {
            register: number(&row, 0),
            value: Some(number(&row, 1)),
        });
    }
    let sql = format!("SELECT set, element FROM members{suffix} ORDER BY set, element");
    let mut sets: std::collections::BTreeMap<u64, Vec<u64>> = std::collections::BTreeMap::new();
    for row in client.query(&sql, &[]).await? {
        sets.entry(number(&row, 0))
            .or_default()
            .push(number(&row, 1));
    }
    operations.extend(
        sets.into_iter()
            .map(|(set, elements)| Operation::Set { set, elements }),
    );
    Ok(Transaction {
        client: usize::MAX,
        begun,
        ended: start.elapsed().as_micros() as u64,
        outcome: Outcome::Committed,
        operations,
    })
}

fn list(list: u64, elements: Option<Vec<i64>>) -> Operation {
    let elements = elements.unwrap_or_default();
    Operation::List {
        list,
        elements: elements.into_iter().map(|e| e as u64).collect(),
    }
}

fn failure(error: &Error) -> Failure {
    Failure {
        in_doubt: false,
        disconnected: error.as_db_error().is_none(),
    }
}
