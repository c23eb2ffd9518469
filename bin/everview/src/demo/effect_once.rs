//! `everview demo effect-once`: five orders, a server killed after it has written the third, and what was counted.
//!
//! The server is a process of its own, which is really killed. What is shown comes from its own tables, after it has
//! started again.

use crate::serve::say;
use std::error::Error;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

type Failure = Box<dyn Error>;

/// The orders, in the order in which they are sent.
const ORDERS: [&str; 5] = ["BLR-8000", "BLR-8001", "BLR-8002", "BLR-8003", "BLR-8004"];

/// After this one is written, and before its sender is told, the server is killed.
const CRASH: usize = 2;

/// No run takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// One way to send orders.
struct Way {
    table: &'static str,
    title: &'static str,
    options: &'static str,
    /// Each order is a batch with a number.
    numbered: bool,
    effects: [i64; 5],
}

const ONCE: [i64; 5] = [1; 5];
const DELIVERED: [i64; 5] = [1, 1, 2, 1, 1];

const WAYS: [Way; 3] = [
    Way {
        table: "by_producer",
        title: "a producer numbers them",
        options: "append_only, COUNT EFFECTS BY (order_id)",
        numbered: true,
        effects: ONCE,
    },
    Way {
        table: "by_key",
        title: "DEDUPLICATE BY (order_id)",
        options: "append_only, DEDUPLICATE BY (order_id), COUNT EFFECTS BY (order_id)",
        numbered: false,
        effects: ONCE,
    },
    Way {
        table: "by_neither",
        title: "neither",
        options: "append_only, COUNT EFFECTS BY (order_id)",
        numbered: false,
        effects: DELIVERED,
    },
];

/// Runs it; whether all is as it says.
pub fn run(workers: u16) -> Result<bool, Failure> {
    crate::serve::runtime()?.block_on(async {
        let run = tokio::time::timeout(LIMIT, show(workers)).await;
        run.map_err(|_| format!("the demonstration took longer than {LIMIT:?}"))?
    })
}

async fn show(workers: u16) -> Result<bool, Failure> {
    let mut server = Server::start(workers)?;
    let client = server.connect().await?;
    for Way { table, options, .. } in &WAYS {
        let ddl = format!(
            "CREATE TABLE {table} (order_id text, amount numeric) WITH ({options}); \
             CREATE MATERIALIZED VIEW {table}_seen AS SELECT order_id, count(*) AS times FROM {table} GROUP BY order_id"
        );
        client.batch_execute(&ddl).await?;
    }
    for way in &WAYS {
        deliver(&server, way, 0..CRASH).await?;
    }
    say(&format!(
        "{} and {} were sent and answered.",
        ORDERS[0], ORDERS[1]
    ));
    for way in &WAYS {
        deliver_unanswered(&server, way).await?;
    }
    let killed = server.kill()?;
    say(&format!(
        "{} was sent and written; then process {killed} was killed with -9: its sender does not know.",
        ORDERS[CRASH]
    ));
    server.restart()?;
    for way in &WAYS {
        deliver(&server, way, CRASH..ORDERS.len()).await?;
    }
    say(&format!(
        "The server has recovered; the sender went on from {}.\n",
        ORDERS[CRASH]
    ));
    let client = server.connect().await?;
    let mut right = true;
    let mut counted = Vec::new();
    for way in &WAYS {
        let counts = Counts::of(&client, way).await?;
        right &= counts.are_as(way);
        counted.push(counts);
    }
    say(&table(&counted));
    say(&verdict(&counted, right));
    Ok(right)
}

/// A session that sends, as the producer's newest holder where orders are numbered.
async fn sender(server: &Server, way: &Way) -> Result<Client, Failure> {
    let client = server.connect().await?;
    if way.numbered {
        client
            .batch_execute("SET everview.producer = 'shop'")
            .await?;
    }
    Ok(client)
}

/// The statements that write an order, the last of which makes it durable.
fn statements(way: &Way, n: usize) -> [String; 2] {
    let begin = match way.numbered {
        true => format!("BEGIN; SET LOCAL everview.sequence = {}", n + 1),
        false => "BEGIN".to_string(),
    };
    let insert = format!("INSERT INTO {} VALUES ('{}', 100)", way.table, ORDERS[n]);
    [format!("{begin}; {insert}"), "COMMIT".to_string()]
}

async fn deliver(
    server: &Server,
    way: &Way,
    orders: std::ops::Range<usize>,
) -> Result<(), Failure> {
    let client = sender(server, way).await?;
    for n in orders {
        for statement in statements(way, n) {
            client.batch_execute(&statement).await?;
        }
    }
    Ok(())
}

/// Sends the order of the crash, and waits until others see it. The answer is not waited for.
async fn deliver_unanswered(server: &Server, way: &Way) -> Result<(), Failure> {
    let client = sender(server, way).await?;
    let [write, commit] = statements(way, CRASH);
    client.batch_execute(&write).await?;
    tokio::spawn(async move { client.batch_execute(&commit).await });
    let other = server.connect().await?;
    let seen = format!(
        "SELECT times FROM {}_seen WHERE order_id = '{}'",
        way.table, ORDERS[CRASH]
    );
    while rows(&other, &seen).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// What the database has counted, by order.
struct Counts {
    title: &'static str,
    delivered: Vec<i64>,
    processed: Vec<i64>,
    effects: Vec<i64>,
    /// What the view over the table shows.
    seen: Vec<i64>,
}

impl Counts {
    async fn of(client: &Client, way: &Way) -> Result<Counts, Failure> {
        let seen = format!("SELECT times FROM {}_seen ORDER BY order_id", way.table);
        let seen = numbers(&rows(client, &seen).await?, 0)?;
        let counts = format!(
            "SELECT delivered, processed, effects FROM everview.effects_by_key \
             WHERE object = 'public.{}' ORDER BY key",
            way.table
        );
        let counts = rows(client, &counts).await?;
        Ok(Counts {
            title: way.title,
            delivered: numbers(&counts, 0)?,
            processed: numbers(&counts, 1)?,
            effects: numbers(&counts, 2)?,
            seen,
        })
    }

    fn are_as(&self, way: &Way) -> bool {
        let passed = self.processed.iter().zip(&self.effects);
        self.delivered == DELIVERED
            && self.effects == way.effects
            && self.seen == way.effects
            && passed.clone().count() == ORDERS.len()
            && passed
                .clone()
                .all(|(processed, effects)| processed >= effects)
            && self.processed[0] > self.effects[0]
    }
}

async fn rows(client: &Client, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
    let messages = client.simple_query(sql).await?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let values = |row: &tokio_postgres::SimpleQueryRow| {
        let columns = 0..row.len();
        columns
            .map(|n| row.get(n).unwrap_or_default().to_string())
            .collect()
    };
    Ok(rows.map(values).collect())
}

fn numbers(rows: &[Vec<String>], column: usize) -> Result<Vec<i64>, Failure> {
    let values = rows.iter().map(|row| Ok(row[column].parse::<i64>()?));
    values.collect()
}

fn table(counted: &[Counts]) -> String {
    let mut out = format!("{:10}", "");
    for counts in counted {
        out += &format!("  | {:^29}", counts.title);
    }
    out += &format!("\n{:10}", "order");
    for _ in counted {
        out += "  | delivered processed  effects ";
    }
    out += "\n";
    for (n, order) in ORDERS.iter().enumerate() {
        out += &format!("{order:10}");
        for counts in counted {
            let shown = |counts: &[i64]| counts.get(n).map_or("-".to_string(), i64::to_string);
            out += &format!(
                "  | {:>9} {:>9} {:>8} ",
                shown(&counts.delivered),
                shown(&counts.processed),
                shown(&counts.effects)
            );
        }
        out += "\n";
    }
    out
}

fn verdict(counted: &[Counts], right: bool) -> String {
    let mut out = String::new();
    for counts in counted {
        let effects: Vec<String> = counts.effects.iter().map(i64::to_string).collect();
        out += &format!("Effects, {}: {}\n", counts.title, effects.join(","));
    }
    out += match right {
        true => {
            "Delivered and processed more than once, an order took effect once wherever its sender said what it was:\n\
             by a number, or by a key. These are everview.effects_by_key and materialized views over the tables."
        }
        false => "This is not what was to be shown: please report it.",
    };
    out
}

/// A server of our own; killed at the end.
struct Server {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
    workers: u16,
}

impl Server {
    fn start(workers: u16) -> Result<Server, Failure> {
        let folder = tempfile::tempdir()?;
        let mut server = Server {
            process: spawn(&folder, workers)?,
            folder,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers,
        };
        server.wait()?;
        Ok(server)
    }

    /// Ends it as a crash does; its process id.
    fn kill(&mut self) -> Result<u32, Failure> {
        let id = self.process.id();
        self.process.kill()?;
        self.process.wait()?;
        Ok(id)
    }

    fn restart(&mut self) -> Result<(), Failure> {
        std::fs::remove_file(self.folder.path().join("address"))?;
        self.process = spawn(&self.folder, self.workers)?;
        self.wait()
    }

    /// Waits until it listens.
    fn wait(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        loop {
            if let Ok(address) = std::fs::read_to_string(self.folder.path().join("address")) {
                self.address = address.parse()?;
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the server ended with {status}").into());
            }
            if start.elapsed() > LIMIT {
                return Err("the server does not start".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let url = format!("postgres://everview@{}/everview", self.address);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &TempDir, workers: u16) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("EVERVIEW_") {
            command.env_remove(name);
        }
    }
    command
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .arg("--address-file")
        .arg(folder.path().join("address"))
        .args(["--listen", "127.0.0.1:0", "--log-level", "error"])
        .args(["--workers", &workers.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}
