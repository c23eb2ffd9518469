//! What a restarted server holds, held against what the clients know.
//!
//! Invariant: rows are judged exactly: every one that the models have, once, and no other. A batch that is not whole,
//! a row that is there twice and a value that nobody wrote are faults, whatever the transaction they came from.

use std::collections::BTreeMap;
use std::pin::pin;

use futures::TryStreamExt;

use super::client::Writer;
use super::model::{BATCH, Extra, Model, Order, Transfer, value};
use super::schema::{self, State, VIEWS};
use super::watch;
use super::write;
use crate::session::{Rows, Session, SessionError, difference};

/// What a restarted server holds.
#[derive(Debug, Default)]
pub struct Observed {
    /// Its rows.
    pub state: State,
    /// Rows that nobody can have written.
    pub faults: Vec<String>,
}

/// Reads every table, in one transaction.
///
/// # Errors
/// When the server refuses, or is gone.
pub async fn observe(session: &Session, clients: usize) -> Result<Observed, SessionError> {
    let mut observed = Observed {
        state: State {
            accounts: BTreeMap::new(),
            clients: vec![Model::default(); clients],
        },
        faults: Vec::new(),
    };
    session.run("BEGIN READ ONLY").await?;
    for table in [
        "accounts",
        "transfers",
        "events",
        "orders",
        "lines",
        "stock",
    ] {
        for line in copy_out(session, table).await? {
            observed.take(table, &line);
        }
    }
    let mut batches = Batches::default();
    batches.take_all("bulk", copy_out(session, "bulk").await?);
    for (client, batch, rows) in batches.whole(&mut observed.faults) {
        match observed.state.clients.get_mut(client) {
            Some(model) if rows == BATCH => {
                model.bulk.insert(batch);
            }
            _ => observed.faults.push(format!(
                "bulk has {rows} rows of batch {batch} of client {client}"
            )),
        }
    }
    extras(session, &mut observed).await?;
    session.run("COMMIT").await?;
    Ok(observed)
}

/// The clients' own tables.
async fn extras(session: &Session, observed: &mut Observed) -> Result<(), SessionError> {
    let names = session
        .rows("SELECT tablename FROM pg_tables WHERE tablename LIKE 'extra%'")
        .await?;
    let views = session
        .rows("SELECT matviewname FROM pg_matviews WHERE matviewname LIKE 'extra%'")
        .await?;
    for name in names.into_keys() {
        let mut batches = Batches::default();
        batches.take_all(&name, copy_out(session, &name).await?);
        let view = views.contains_key(&format!("{name}_v"));
        match batches.whole(&mut observed.faults).as_slice() {
            [(client, batch, rows)] if *client < observed.state.clients.len() => {
                let extra = Extra {
                    batch: *batch,
                    rows: *rows,
                    view,
                };
                observed.state.clients[*client].extras.insert(name, extra);
            }
            other => observed
                .faults
                .push(format!("{name} has the batches {other:?}")),
        }
    }
    Ok(())
}

async fn copy_out(session: &Session, table: &str) -> Result<Vec<String>, SessionError> {
    let sql = format!("COPY {table} TO STDOUT");
    let refused = session.error(&sql);
    let chunks = session.client.copy_out(&sql).await.map_err(&refused)?;
    let mut chunks = pin!(chunks);
    let mut text = Vec::new();
    while let Some(chunk) = chunks.try_next().await.map_err(&refused)? {
        text.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .map(str::to_string)
        .collect())
}

impl Observed {
    fn take(&mut self, table: &str, line: &str) {
        let fields: Vec<&str> = line.split('\t').collect();
        if self.row(table, &fields) != Some(true) {
            self.faults.push(format!(
                "{table} has a row that is there twice or nobody wrote: {line}"
            ));
        }
    }

    /// Whether a row is the first of its key; none if it is not a row of the table.
    fn row(&mut self, table: &str, fields: &[&str]) -> Option<bool> {
        let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
        let small = |at: usize| fields.get(at)?.parse::<i32>().ok();
        if table == "accounts" {
            return Some(self.state.accounts.insert(small(0)?, number(1)?).is_none());
        }
        let owner = match table {
            "orders" => number(1)?,
            "lines" => number(0)? / 1_000_000_000,
            _ => number(0)?,
        };
        let model = self.state.clients.get_mut(usize::try_from(owner).ok()?)?;
        Some(match table {
            "transfers" => {
                let transfer = Transfer {
                    source: small(2)?,
                    target: small(3)?,
                    amount: number(4)?,
                };
                model.transfers.insert(number(1)?, transfer).is_none()
            }
            "events" => {
                let cents = fields.get(3)?.replace('.', "").parse().ok()?;
                let event = (fields.get(2)?.to_string(), cents);
                model.events.insert(number(1)?, event).is_none()
            }
            "orders" => {
                let order = Order {
                    status: fields.get(2)?.to_string(),
                    total: number(3)?,
                };
                model.orders.insert(number(0)?, order).is_none()
            }
            "lines" => {
                let line = (small(2)?, small(3)?);
                model.lines.insert((number(0)?, small(1)?), line).is_none()
            }
            "stock" => model.stock.insert(small(1)?, number(2)?).is_none(),
            _ => return None,
        })
    }
}

/// Batches as their rows are read.
#[derive(Default)]
struct Batches {
    /// By client and batch: which rows are there.
    rows: BTreeMap<(usize, i64), Vec<bool>>,
    faults: Vec<String>,
}

impl Batches {
    fn take_all(&mut self, table: &str, lines: Vec<String>) {
        for line in lines {
            if self.row(&line) != Some(true) {
                self.faults.push(format!(
                    "{table} has a row that is there twice or nobody wrote: {line}"
                ));
            }
        }
    }

    fn row(&mut self, line: &str) -> Option<bool> {
        let mut fields = line.split('\t');
        let client = fields.next()?.parse().ok()?;
        let batch = fields.next()?.parse().ok()?;
        let n: i32 = fields.next()?.parse().ok()?;
        let found: i64 = fields.next()?.parse().ok()?;
        if found != value(client, batch, n) {
            return Some(false);
        }
        let rows = self
            .rows
            .entry((client, batch))
            .or_insert_with(|| vec![false; BATCH as usize]);
        let place = rows.get_mut(usize::try_from(n).ok()?)?;
        Some(!std::mem::replace(place, true))
    }

    /// Client, number and rows of each batch, which must be the first so many.
    fn whole(self, faults: &mut Vec<String>) -> Vec<(usize, i64, i32)> {
        faults.extend(self.faults);
        let mut whole = Vec::new();
        for ((client, batch), rows) in self.rows {
            let count = rows.iter().filter(|there| **there).count();
            if rows[..count].iter().any(|there| !there) {
                faults.push(format!(
                    "batch {batch} of client {client} has holes among {count} rows"
                ));
            }
            whole.push((client, batch, count as i32));
        }
        whole
    }
}

/// What became of the transactions in doubt.
#[derive(Clone, Copy, Default, Debug)]
pub struct Doubts {
    /// Found whole.
    pub there: u64,
    /// Not there at all.
    pub absent: u64,
}

/// Holds the rows against each client's model, with its transaction in doubt or without it; the clients then know
/// which. Faults are added to.
pub fn settle(state: &State, writers: &mut [Writer], faults: &mut Vec<String>) -> Doubts {
    let mut doubts = Doubts::default();
    for (writer, found) in writers.iter_mut().zip(&state.clients) {
        let doubt = writer.in_doubt.take();
        let with = doubt.as_ref().map(|write| {
            let mut with = writer.model.clone();
            write.apply(&mut with);
            with
        });
        if with.as_ref() == Some(found) {
            doubts.there += 1;
        } else if *found == writer.model {
            doubts.absent += u64::from(doubt.is_some());
        } else {
            let expected = with.as_ref().unwrap_or(&writer.model);
            faults.push(format!(
                "client {} (in doubt: {doubt:?}): {}",
                writer.id,
                differing(found, expected)
            ));
        }
        writer.model = found.clone();
    }
    doubts
}

/// The first entries that differ, of each kind of row.
fn differing(found: &Model, expected: &Model) -> String {
    let mut text = Vec::new();
    let mut compare = |what: &str, found: Vec<String>, expected: Vec<String>| {
        let rows = |entries: Vec<String>| {
            entries
                .into_iter()
                .map(|entry| (entry, 1))
                .collect::<Rows>()
        };
        if let Some(difference) = difference(&rows(found), &rows(expected)) {
            text.push(format!("{what}: {difference}"));
        }
    };
    macro_rules! compare {
        ($($field:ident),*) => {
            $(compare(
                stringify!($field),
                found.$field.iter().map(|entry| format!("{entry:?}")).collect(),
                expected.$field.iter().map(|entry| format!("{entry:?}")).collect(),
            );)*
        };
    }
    compare!(events, orders, lines, stock, transfers, bulk, extras);
    text.join("\n  ")
}

/// Holds every view against its query run anew over the tables, against its independent computation, and against
/// what a new subscriber is shown; and balances against transfers. Gives how many views were compared.
///
/// # Errors
/// When the server refuses, or is gone.
pub async fn compare_views(
    session: &Session,
    url: &str,
    state: &State,
    faults: &mut Vec<String>,
) -> Result<u64, SessionError> {
    let extras = state
        .clients
        .iter()
        .enumerate()
        .flat_map(|(client, model)| {
            let viewed = model.extras.iter().filter(|(_, extra)| extra.view);
            viewed.map(move |(name, extra)| {
                (
                    format!("{name}_v"),
                    write::extra_view(name),
                    schema::extra_view(client, extra),
                )
            })
        });
    let views = VIEWS.iter().map(|view| {
        (
            view.name.to_string(),
            schema::from_tables(view),
            (view.compute)(state),
        )
    });
    let mut compared = 0;
    for (name, query, independent) in views.chain(extras) {
        let kept = session.rows(&format!("SELECT * FROM {name}")).await?;
        let anew = session.rows(&query).await?;
        let shown = watch::snapshot(url, &name).await?;
        for (other, what) in [
            (&independent, "a computation from the rows"),
            (&anew, "its query run anew"),
            (&shown, "a new subscription"),
        ] {
            if let Some(difference) = difference(&kept, other) {
                faults.push(format!("view {name} against {what}: {difference}"));
            }
        }
        compared += 1;
    }
    let total: i64 = state.accounts.values().sum();
    if total != i64::from(super::model::ACCOUNTS) * super::model::OPENING {
        faults.push(format!("the accounts hold {total}"));
    }
    Ok(compared)
}

#[cfg(test)]
mod tests;
