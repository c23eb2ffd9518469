//! `bench ticks`: a day's trades through producers into views and into PostgreSQL, while every part is killed.
//!
//! Senders copy batches of ticks into an append-only table, as producers, and repeat whatever they are not sure of. Over it
//! are one-minute candles and totals by symbol, and a sink of the candles into PostgreSQL 15. The server, the senders and the
//! target are killed in turn. In the end every tick is there once, every candle is what a program in another language
//! computes from the same ticks, the target is the view, and VERIFY passes.

mod sender;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinHandle;

use crate::checks::Checks;
use crate::everview::{Everview, Launch, free_address};
use crate::postgres::Postgres;
use crate::session::{Rows, Session, difference};
use crate::sink::agreement;
use sender::{Sender, Sent};

/// Options of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Ticks to send: by default those of an exchange's Tuesday.
    #[arg(long, default_value_t = 18_472_310)]
    rows: u64,
    /// Kills of server, sender or target, in turn.
    #[arg(long, default_value_t = 30)]
    kills: u64,
    /// Seeds the ticks, and when what is killed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Dataflow workers of the server [default: its own, one a processor].
    #[arg(long)]
    workers: Option<u16>,
    /// The server's program, if it is not beside this one.
    #[arg(long, value_name = "PROGRAM")]
    everview: Option<PathBuf>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Senders beside each other.
const SENDERS: u64 = 2;

/// Computes candles and totals from ticks as CSV.
const PROGRAM: &str = include_str!("pipeline/candles.py");

const SCHEMA: &str = "
    CREATE TABLE ticks (id bigint NOT NULL, at timestamp NOT NULL, symbol text NOT NULL, price numeric(10,2) NOT NULL,
        qty integer NOT NULL) APPEND ONLY;
    CREATE MATERIALIZED VIEW candles AS
        SELECT symbol, date_trunc('minute', at) AS minute, (min(ARRAY[id::numeric, price]))[2] AS open,
            max(price) AS high, min(price) AS low, (max(ARRAY[id::numeric, price]))[2] AS close,
            sum(qty) AS volume, round(sum(price * qty) / sum(qty), 4) AS vwap
        FROM ticks GROUP BY symbol, date_trunc('minute', at);
    CREATE MATERIALIZED VIEW totals AS
        SELECT symbol, count(*) AS trades, sum(qty) AS volume, sum(price * qty) AS turnover FROM ticks GROUP BY symbol";

const CANDLES: &str = "SELECT symbol, minute, open, high, low, close, volume, vwap FROM candles";
const TOTALS: &str = "SELECT symbol, trades, volume, turnover FROM totals";

/// Runs it and prints `N passed, N failed`; true if nothing was wrong.
///
/// # Errors
/// When something does not start, or refuses a statement.
pub async fn run(arguments: &Arguments, out: &mut impl Write) -> Result<bool, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("everview-ticks-")
        .tempdir()?;
    let mut launch = Launch::new(arguments.everview.as_deref(), folder.path())?;
    (launch.listen, launch.workers) = (free_address()?, arguments.workers);
    let mut day = Day {
        postgres: Postgres::start()?,
        server: launch.start().await?,
        launch,
        senders: BTreeMap::new(),
        sent: Arc::new(Sent::default()),
        peak: 0,
    };
    let source = Session::connect("Everview", &day.server.url()).await?;
    source.run(SCHEMA).await?;
    source.run(&sink(&day.postgres)).await?;
    drop(source);
    for sender in Sender::all(arguments.rows, SENDERS, arguments.seed) {
        day.send(sender);
    }
    let mut random = ChaCha8Rng::seed_from_u64(arguments.seed);
    for kill in 0..arguments.kills {
        day.wait_until(arguments.rows * kill / arguments.kills)
            .await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
        match kill % 3 {
            0 => day.kill_server().await?,
            1 => day.kill_sender(random.random_range(0..SENDERS)),
            _ => day.kill_target(random.random_range(0..1000)).await?,
        }
    }
    for (_, (_, task)) in std::mem::take(&mut day.senders) {
        task.await??;
    }
    day.note_peak()?;
    let mut checks = Checks::new(out);
    judge(arguments, &day, &mut checks).await?;
    let (batches, repeated) = day.sent.counts();
    let what = format!(
        "{} kills; {batches} batches sent, {repeated} of them again; at most {} MB of memory",
        arguments.kills,
        day.peak / 1_000_000
    );
    checks.check(
        &what,
        (repeated == 0).then(|| "nothing was sent again".to_string()),
    )?;
    Ok(checks.end()?)
}

fn sink(postgres: &Postgres) -> String {
    format!(
        "CREATE CONNECTION pg TO POSTGRES (HOST '127.0.0.1', PORT {}, DATABASE 'postgres', USER 'postgres');
         CREATE SINK candles_there FROM candles INTO POSTGRES (CONNECTION pg, TABLE candles, KEY (symbol, minute))",
        postgres.port()
    )
}

async fn judge<W: Write>(
    arguments: &Arguments,
    day: &Day,
    checks: &mut Checks<'_, W>,
) -> Result<(), Failure> {
    let source = Session::connect("Everview", &day.server.url()).await?;
    let counted = source.rows("SELECT count(*) FROM ticks").await?;
    let expected = Rows::from([(arguments.rows.to_string(), 1)]);
    let what = format!("{} ticks were sent, and as many are there", arguments.rows);
    checks.check(&what, difference(&counted, &expected))?;
    let (candles, totals) = computed(arguments)?;
    let what = format!("{} candles are those of another program", candles.len());
    checks.check(&what, difference(&source.rows(CANDLES).await?, &candles))?;
    let what = format!("so are the totals of {} symbols", totals.len());
    checks.check(&what, difference(&source.rows(TOTALS).await?, &totals))?;
    let target = Session::connect("PostgreSQL", &day.postgres.url()).await?;
    let fault = agreement(&source, &target, CANDLES, CANDLES).await;
    checks.check("the target is the view", fault.map_err(|e| e.to_string())?)?;
    let verified = source.run("VERIFY ALL").await;
    checks.check(
        "everything is verified",
        verified.err().map(|e| e.to_string()),
    )?;
    Ok(())
}

/// Candles and totals as the other program has them.
fn computed(arguments: &Arguments) -> Result<(Rows, Rows), Failure> {
    let mut program = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = program.stdin.take().ok_or("python3 takes no input")?;
    let (rows, seed) = (arguments.rows, arguments.seed);
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            for sender in Sender::all(rows, SENDERS, seed) {
                for batch in 1..=sender.batches() {
                    for piece in sender.batch(batch) {
                        // A program that ended early is judged by what it said.
                        let _ = input.write_all(&piece);
                    }
                }
            }
        });
        program.wait_with_output()
    })?;
    let (mut candles, mut totals) = (Rows::new(), Rows::new());
    for line in String::from_utf8(output.stdout)?.lines() {
        match line.split_once(' ') {
            Some(("candle", row)) => candles.insert(row.to_string(), 1),
            Some(("total", row)) => totals.insert(row.to_string(), 1),
            _ => return Err(format!("python3 said {line:?}").into()),
        };
    }
    Ok((candles, totals))
}

/// What runs.
struct Day {
    launch: Launch,
    server: Everview,
    postgres: Postgres,
    senders: BTreeMap<u64, (Sender, JoinHandle<Result<(), Failure>>)>,
    sent: Arc<Sent>,
    /// The most memory that the server had, in bytes.
    peak: u64,
}

impl Day {
    fn send(&mut self, sender: Sender) {
        let task = tokio::spawn(sender.run(self.server.url(), self.sent.clone()));
        self.senders.insert(sender.number, (sender, task));
    }

    /// Waits until so many ticks were acknowledged, or all are.
    async fn wait_until(&self, rows: u64) {
        while self.sent.rows() < rows && !self.senders.values().all(|(_, task)| task.is_finished())
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn kill_server(&mut self) -> Result<(), Failure> {
        self.note_peak()?;
        self.server.kill()?;
        self.server = self.launch.start().await?;
        Ok(())
    }

    /// Its connection breaks wherever it is, and another one takes its place.
    fn kill_sender(&mut self, number: u64) {
        if let Some((sender, task)) = self.senders.remove(&number) {
            task.abort();
            self.send(sender);
        }
    }

    async fn kill_target(&mut self, millis: u64) -> Result<(), Failure> {
        self.postgres.kill()?;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(self.postgres.restart()?)
    }

    fn note_peak(&mut self) -> Result<(), Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.process()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        self.peak = self.peak.max(kilobytes.unwrap_or(0) * 1024);
        Ok(())
    }
}
