//! A transaction as SQL, and a seeded choice of the next one.
//!
//! Invariant: the statements do to the server's rows what [`Write::apply`] does to the model.

use rand::Rng;
use rand::seq::IteratorRandom;

use super::model::{ACCOUNTS, BATCH, Extra, Model, Transfer, Write, value};

/// How a transaction is put to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// BEGIN, the statements, COMMIT: each a message of its own.
    Block,
    /// One message with all statements; a single one commits by itself.
    OneMessage,
}

/// A part of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A statement.
    Sql(String),
    /// COPY of a batch's first rows.
    Copy {
        /// The table.
        table: String,
        /// Whose batch.
        client: usize,
        /// Which.
        batch: i64,
        /// How many rows.
        rows: i32,
    },
}

/// What a client may be told to begin a round with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A COPY.
    Load,
    /// DDL.
    Create,
}

/// The statements of a transaction of that client.
pub fn steps(client: usize, write: &Write) -> Vec<Step> {
    let sql = |text: String| Step::Sql(text);
    match write {
        Write::Event { seq, kind, cents } => vec![sql(format!(
            "INSERT INTO events VALUES ({client}, {seq}, '{kind}', {}.{:02})",
            cents / 100,
            cents % 100
        ))],
        Write::Order { id, status, lines } => order(client, *id, status, lines),
        Write::Amend {
            id,
            status,
            more,
            delete,
        } => vec![
            sql(format!(
                "UPDATE orders SET status = '{status}', total = total + {more} WHERE id = {id}"
            )),
            sql(format!(
                "DELETE FROM lines WHERE order_id = {id} AND line = {delete}"
            )),
            sql(format!(
                "UPDATE lines SET quantity = quantity + {more} WHERE order_id = {id}"
            )),
        ],
        Write::Cancel { id, remove } => vec![
            sql(format!("DELETE FROM lines WHERE order_id = {id}")),
            sql(if *remove {
                format!("DELETE FROM orders WHERE id = {id}")
            } else {
                format!("UPDATE orders SET status = 'void' WHERE id = {id}")
            }),
        ],
        Write::Transfer { seq, transfer } => {
            let Transfer {
                source,
                target,
                amount,
            } = transfer;
            vec![
                sql(format!(
                    "UPDATE accounts SET balance = balance - {amount} WHERE id = {source}"
                )),
                sql(format!(
                    "INSERT INTO transfers VALUES ({client}, {seq}, {source}, {target}, {amount})"
                )),
                sql(format!(
                    "UPDATE accounts SET balance = balance + {amount} WHERE id = {target}"
                )),
            ]
        }
        Write::Load { batch, delete } => {
            let delete = delete.map(|old| {
                sql(format!(
                    "DELETE FROM bulk WHERE client = {client} AND batch = {old}"
                ))
            });
            let copy = copy("bulk", client, *batch, BATCH);
            delete.into_iter().chain([copy]).collect()
        }
        Write::Create { name, extra } => create(client, name, extra),
        Write::Drop { name, view_only } => vec![sql(if *view_only {
            format!("DROP MATERIALIZED VIEW {name}_v")
        } else {
            format!("DROP TABLE {name} CASCADE")
        })],
    }
}

fn order(client: usize, id: i64, status: &str, lines: &[(i32, i32)]) -> Vec<Step> {
    let total: i32 = lines.iter().map(|(_, quantity)| quantity).sum();
    let numbered = || (1..).zip(lines);
    let rows: Vec<String> = numbered()
        .map(|(line, (product, quantity))| format!("({id}, {line}, {product}, {quantity})"))
        .collect();
    let mut steps = vec![
        Step::Sql(format!(
            "INSERT INTO orders VALUES ({id}, {client}, '{status}', {total})"
        )),
        Step::Sql(format!("INSERT INTO lines VALUES {}", rows.join(", "))),
    ];
    // One statement a line: two lines may be of one product, which a single ON CONFLICT may not touch twice.
    steps.extend(lines.iter().map(|(product, quantity)| {
        Step::Sql(format!(
            "INSERT INTO stock VALUES ({client}, {product}, {quantity}) \
             ON CONFLICT (client, product) DO UPDATE SET sold = stock.sold + excluded.sold"
        ))
    }));
    steps
}

fn create(client: usize, name: &str, extra: &Extra) -> Vec<Step> {
    // Large ones are append-only: they are read from the log's own chunks.
    let kind = if extra.rows == BATCH {
        "APPEND ONLY"
    } else {
        ""
    };
    let mut steps = vec![
        Step::Sql(format!(
            "CREATE TABLE {name} (client int, batch bigint, n int, value bigint) {kind}"
        )),
        copy(name, client, extra.batch, extra.rows),
    ];
    if extra.view {
        steps.push(Step::Sql(format!(
            "CREATE MATERIALIZED VIEW {name}_v AS {}",
            extra_view(name)
        )));
    }
    steps
}

/// The query of the view over a client's own table.
pub fn extra_view(name: &str) -> String {
    format!("SELECT value % 7 AS bucket, count(*) AS n, max(value) AS most FROM {name} GROUP BY 1")
}

fn copy(table: &str, client: usize, batch: i64, rows: i32) -> Step {
    Step::Copy {
        table: table.to_string(),
        client,
        batch,
        rows,
    }
}

/// Rows of a batch as COPY's text format has them.
pub fn copy_text(client: usize, batch: i64, rows: std::ops::Range<i32>) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for n in rows {
        // A String takes everything.
        let _ = writeln!(text, "{client}\t{batch}\t{n}\t{}", value(client, batch, n));
    }
    text
}

/// The next transaction of a client whose rows are these; `seq` was never used before.
pub fn choose(
    rng: &mut impl Rng,
    client: usize,
    seq: i64,
    model: &Model,
    kind: Option<Kind>,
) -> (Write, Form) {
    let write = match kind {
        Some(Kind::Load) => load(rng, seq, model),
        Some(Kind::Create) => new_table(rng, client, seq),
        None => match rng.random_range(0..1000) {
            0..300 => event(rng, seq),
            300..550 => new_order(rng, client, seq),
            550..740 => change(rng, client, seq, model),
            740..975 => transfer(rng, seq),
            975..985 => load(rng, seq, model),
            985..993 => new_table(rng, client, seq),
            _ => drop_table(rng, client, seq, model),
        },
    };
    let copies = matches!(write, Write::Load { .. } | Write::Create { .. });
    let single = matches!(
        write,
        Write::Event { .. } | Write::Load { delete: None, .. }
    );
    // A COPY takes the connection over, so that it stands in a message of its own.
    let one = if copies { single } else { rng.random_bool(0.4) };
    (write, if one { Form::OneMessage } else { Form::Block })
}

const STATUSES: [&str; 4] = ["open", "paid", "sent", "late"];

fn status(rng: &mut impl Rng) -> String {
    STATUSES[rng.random_range(0..STATUSES.len())].to_string()
}

fn event(rng: &mut impl Rng, seq: i64) -> Write {
    Write::Event {
        seq,
        kind: format!("kind {}", rng.random_range(0..5)),
        cents: rng.random_range(0..1_000_000),
    }
}

fn new_order(rng: &mut impl Rng, client: usize, seq: i64) -> Write {
    let lines =
        (0..rng.random_range(1..5)).map(|_| (rng.random_range(0..30), rng.random_range(1..9)));
    Write::Order {
        id: client as i64 * 1_000_000_000 + seq,
        lines: lines.collect(),
        status: status(rng),
    }
}

fn change(rng: &mut impl Rng, client: usize, seq: i64, model: &Model) -> Write {
    let Some(id) = model.orders.keys().choose(rng).copied() else {
        return new_order(rng, client, seq);
    };
    if rng.random_bool(0.3) {
        let remove = rng.random_bool(0.5);
        return Write::Cancel { id, remove };
    }
    Write::Amend {
        id,
        status: status(rng),
        more: rng.random_range(1..5),
        delete: rng.random_range(1..5),
    }
}

fn transfer(rng: &mut impl Rng, seq: i64) -> Write {
    let source = rng.random_range(0..ACCOUNTS);
    let transfer = Transfer {
        source,
        target: (source + rng.random_range(1..ACCOUNTS)) % ACCOUNTS,
        amount: rng.random_range(1..100),
    };
    Write::Transfer { seq, transfer }
}

fn load(rng: &mut impl Rng, seq: i64, model: &Model) -> Write {
    // Two batches a client at most, so that a round's rows stay bounded.
    let old = model.bulk.first().copied();
    let delete = old.filter(|_| model.bulk.len() > 1 || rng.random_bool(0.3));
    Write::Load { batch: seq, delete }
}

fn new_table(rng: &mut impl Rng, client: usize, seq: i64) -> Write {
    let extra = Extra {
        batch: seq,
        rows: if rng.random_bool(0.4) { BATCH } else { 50 },
        view: rng.random_bool(0.8),
    };
    Write::Create {
        name: format!("extra_{client}_{seq}"),
        extra,
    }
}

fn drop_table(rng: &mut impl Rng, client: usize, seq: i64, model: &Model) -> Write {
    match model.extras.iter().choose(rng) {
        None => new_table(rng, client, seq),
        Some((name, extra)) => Write::Drop {
            name: name.clone(),
            view_only: extra.view && rng.random_bool(0.4),
        },
    }
}
