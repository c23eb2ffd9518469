//! Clients that run random transactions and write down what they saw.
//!
//! Invariant: an element or value is written by one transaction only, and a transaction is recorded whether it ended
//! well or not. Half of the lists are arrays in one row each; the others are a row an element, numbered from the
//! maximum, so that a reader who misses a phantom doubles a number. Transactions that only read may read
//! materialized views in place of tables.
//!
//! Each client is a producer and numbers its transaction blocks that write. One whose COMMIT was sent and not answered
//! is settled by the producer's last number after the restart, and held to that: what is said to be committed must be
//! seen, and nothing else may. Now and then a client takes its own producer over on a new connection while the old one
//! is about to commit: the zombie counts as rolled back, whatever it is answered.

use std::time::Instant;

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

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
    /// The number of the last block.
    sequence: i64,
    /// The block of that number, if its COMMIT was sent and not answered.
    doubt: Option<Transaction>,
}

/// How often a block that writes becomes a zombie.
const ZOMBIES: f64 = 0.03;

/// What is left of a transaction whose statement failed.
#[derive(Clone, Copy)]
struct Failure {
    /// Whether COMMIT had been sent, and the connection then broke.
    in_doubt: bool,
    /// Whether the connection is gone.
    disconnected: bool,
    /// Whether the producer's last number will settle it.
    numbered: bool,
}

/// How a transaction that did not fail ended.
enum End {
    Committed,
    /// The producer was taken over, on this connection, before COMMIT was sent.
    Zombie(Client),
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
            sequence: 0,
            doubt: None,
        }
    }

    /// The transaction that nothing has settled.
    pub fn into_doubt(self) -> Option<Transaction> {
        self.doubt
    }

    /// Runs transactions on one connection until it breaks or `stop` says so; gives them as they were seen.
    pub async fn run(&mut self, url: &str, stop: impl Fn() -> bool) -> Vec<Transaction> {
        let mut history = Vec::new();
        let Ok((mut client, last)) = self.connect(url).await else {
            return history;
        };
        if let Some(mut settled) = self.doubt.take() {
            settled.ended = self.now();
            settled.outcome = match last == self.sequence {
                true => Outcome::Committed,
                false => Outcome::Aborted,
            };
            history.push(settled);
        }
        while !stop() {
            let begun = self.now();
            let mut operations = Vec::new();
            let end = self.transaction(&client, url, &mut operations).await;
            let failure = end.as_ref().err().copied();
            let outcome = match &end {
                Ok(End::Committed) => Outcome::Committed,
                Err(failure) if failure.in_doubt => Outcome::Unknown,
                Ok(End::Zombie(_)) | Err(_) => Outcome::Aborted,
            };
            let transaction = Transaction {
                client: self.plan.client,
                begun,
                ended: self.now(),
                outcome,
                operations,
            };
            match failure {
                Some(failure) if failure.in_doubt && failure.numbered => {
                    self.doubt = Some(transaction);
                }
                _ => history.push(transaction),
            }
            self.done += 1;
            if let Ok(End::Zombie(successor)) = end {
                client = successor;
            }
            if failure.is_some_and(|failure| failure.disconnected) {
                break;
            }
        }
        history
    }

    /// A connection that holds the client's producer, and the last number committed.
    async fn connect(&self, url: &str) -> Result<(Client, i64), Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        let set = format!("SET everview.producer = 'client {}'", self.plan.client);
        client.batch_execute(&set).await?;
        let shown = client.simple_query("SHOW everview.last_sequence").await?;
        let last = shown.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        Ok((client, last.unwrap_or(-1)))
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
        url: &str,
        operations: &mut Vec<Operation>,
    ) -> Result<End, Failure> {
        let reads_only = self.random.random_bool(0.3);
        let count = self.random.random_range(1..=4);
        let explicit = count > 1 || self.random.random_bool(0.5);
        let mut written = Vec::new();
        let numbered = explicit && !reads_only;
        if explicit {
            let mut begin = "BEGIN".to_string();
            if numbered {
                self.sequence += 1;
                begin += &format!("; SET LOCAL everview.sequence = {}", self.sequence);
            }
            let begun = client.batch_execute(&begin).await;
            begun.map_err(|e| failure(&e))?;
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
        if numbered && self.random.random_bool(ZOMBIES) {
            let (successor, _) = self.connect(url).await.map_err(|e| failure(&e))?;
            // What is seen of it, and not what it is answered, is what counts.
            let _ = client.batch_execute("COMMIT").await;
            return Ok(End::Zombie(successor));
        }
        if explicit {
            client.batch_execute("COMMIT").await.map_err(|error| {
                let failure = failure(&error);
                Failure {
                    in_doubt: failure.disconnected,
                    numbered,
                    ..failure
                }
            })?;
        }
        Ok(End::Committed)
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
        numbered: false,
        disconnected: error.as_db_error().is_none(),
    }
}
