//! `everview demo`: a year of flights from New York City, views over them, and a session to try.

pub mod effect_once;

use crate::cli::Server;
use crate::serve;
use everview_coord::{Coordinator, Outcome, Session, SessionOptions};
use flate2::read::GzDecoder;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use std::error::Error;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SCHEMA: &str = include_str!("../../../sql-tests/nycflights13/schema.sql");
const VIEWS: &str = include_str!("../../../sql-tests/nycflights13/views.sql");

/// A table and its rows: CSV with a header, compressed.
struct Table {
    name: &'static str,
    csv: &'static [u8],
}

macro_rules! table {
    ($name:literal) => {
        Table {
            name: $name,
            csv: include_bytes!(concat!("../demo/nycflights13/", $name, ".csv.gz")),
        }
    };
}

const TABLES: [Table; 5] = [
    table!("airlines"),
    table!("airports"),
    table!("planes"),
    table!("weather"),
    table!("flights"),
];

/// Bytes handed to COPY at once.
const PIECE: usize = 256 << 10;

/// The SQLSTATE of a table that is not there.
const UNDEFINED_TABLE: &str = "42P01";

/// Serves the flights until SIGTERM or SIGINT, loading them where they are not there yet.
pub fn run(mut options: Server) -> Result<(), Box<dyn Error>> {
    let data_dir = options
        .data_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from("everview-demo"));
    if options.log_level == "info" {
        options.log_level = "warn".to_string();
    }
    serve::start_logs(&options)?;
    serve::runtime()?.block_on(async {
        let coordinator = serve::open(&options, &data_dir)?;
        serve::check_address(options.listen, coordinator.has_password())?;
        let server = everview_pgwire::Server::bind(coordinator.clone(), options.listen).await;
        let server = server.map_err(|e| format!("cannot listen on {}: {e}", options.listen))?;
        load(&coordinator).await?;
        drop(coordinator);
        let address = server.local_addr()?;
        serve::say(&session_to_try(&serve::psql(address)));
        serve::announce(&options, address)?;
        server.run(serve::stop()?).await?;
        Ok(())
    })
}

/// Creates and fills tables and views, unless an earlier run has.
async fn load(coordinator: &Coordinator) -> Result<(), Box<dyn Error>> {
    let options = SessionOptions {
        user: "everview".to_string(),
        ..SessionOptions::default()
    };
    let mut session = Session::open(coordinator, options)?;
    if is_loaded(&mut session).await? {
        return Ok(());
    }
    let start = Instant::now();
    let bar = ProgressBar::new(TABLES.iter().map(|t| unpacked(t.csv)).sum());
    let style = "{msg:24} {bar:40} {bytes} of {total_bytes}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style)?);
    for statement in session
        .parse("BEGIN")?
        .iter()
        .chain(&session.parse(SCHEMA)?)
    {
        session.execute(statement, None).await?;
    }
    for table in &TABLES {
        bar.set_message(format!("loading {}", table.name));
        copy(&mut session, table, &bar).await?;
    }
    bar.set_message("committing");
    for statement in session.parse("COMMIT")? {
        session.execute(&statement, None).await?;
    }
    bar.finish_and_clear();
    let views = session.parse(VIEWS)?;
    let bar = ProgressBar::new(views.len() as u64);
    bar.set_style(ProgressStyle::with_template(
        "{msg:24} {bar:40} {pos} of {len}",
    )?);
    bar.set_message("creating views");
    for view in &views {
        session.execute(view, None).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    serve::say(&format!(
        "Loaded 336,776 flights and created {} materialized views in {}.",
        views.len(),
        HumanDuration(Duration::from_millis(start.elapsed().as_millis() as u64))
    ));
    Ok(())
}

async fn copy(
    session: &mut Session,
    table: &Table,
    bar: &ProgressBar,
) -> Result<(), Box<dyn Error>> {
    let sql = format!(
        "COPY {} FROM STDIN (FORMAT csv, HEADER, NULL 'NA')",
        table.name
    );
    let statements = session.parse(&sql)?;
    let mut csv = GzDecoder::new(table.csv);
    let mut piece = vec![0; PIECE];
    for statement in &statements {
        let Outcome::CopyIn(mut copy) = session.execute(statement, None).await? else {
            return Err(format!("{sql} did not ask for rows").into());
        };
        loop {
            let n = csv.read(&mut piece)?;
            if n == 0 {
                break;
            }
            if let Err(error) = session.feed_copy(&mut copy, &piece[..n]) {
                session.abandon_copy(copy);
                return Err(error.into());
            }
            bar.inc(n as u64);
        }
        session.finish_copy(copy).await?;
    }
    Ok(())
}

/// Whether the flights are there already.
async fn is_loaded(session: &mut Session) -> Result<bool, Box<dyn Error>> {
    for statement in session.parse("SELECT 1 FROM flights LIMIT 1")? {
        match session.execute(&statement, None).await {
            Ok(_) => {}
            Err(error) if error.code.as_str() == UNDEFINED_TABLE => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// The size of a gzip member's contents, from its last four bytes (RFC 1952, ISIZE).
fn unpacked(gzip: &[u8]) -> u64 {
    let size = gzip
        .last_chunk::<4>()
        .map_or(0, |size| u32::from_le_bytes(*size));
    u64::from(size)
}

fn session_to_try(psql: &str) -> String {
    format!(
        "\nThe flights are served. Connect with:\n\n    {psql}\n\nand try:\n
    \\dm
    SELECT * FROM delay_by_carrier_month WHERE carrier = 'HA' ORDER BY month;
    DELETE FROM flights WHERE carrier = 'HA' AND month = 1;
    SELECT * FROM delay_by_carrier_month WHERE carrier = 'HA' ORDER BY month;
    UPDATE airlines SET name = 'Aloha Air' WHERE carrier = 'HA';
    SELECT DISTINCT name FROM delay_by_carrier_month WHERE carrier = 'HA';
    COPY (SUBSCRIBE delay_by_carrier_month) TO STDOUT;  -- changes as they happen, until Ctrl-C
\nCtrl-C here stops the server; its data stays.\n"
    )
}
