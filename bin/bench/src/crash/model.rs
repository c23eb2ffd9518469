//! What a client's transactions have made of its rows: the reference that a restarted server is held against.
//!
//! Invariant: every row belongs to one client, and a key is never used twice, so that a transaction that was lost,
//! doubled or cut in half shows in the rows. The module knows no server.

use std::collections::{BTreeMap, BTreeSet};

/// Rows of a COPY.
pub const BATCH: i32 = 100_000;

/// What each account holds at first, and how many accounts there are.
pub const ACCOUNTS: i32 = 20;

/// The balance of every account at first.
pub const OPENING: i64 = 1_000;

/// One client's rows.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Model {
    /// By sequence number: kind and amount in cents.
    pub events: BTreeMap<i64, (String, i64)>,
    /// By id.
    pub orders: BTreeMap<i64, Order>,
    /// By order and line: product and quantity.
    pub lines: BTreeMap<(i64, i32), (i32, i32)>,
    /// How much was ever sold, by product.
    pub stock: BTreeMap<i32, i64>,
    /// By sequence number.
    pub transfers: BTreeMap<i64, Transfer>,
    /// Batches in `bulk`, each of [`BATCH`] rows.
    pub bulk: BTreeSet<i64>,
    /// Tables of its own, by name.
    pub extras: BTreeMap<String, Extra>,
}

/// An order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its status.
    pub status: String,
    /// What it is worth.
    pub total: i64,
}

/// A transfer between accounts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Who pays.
    pub source: i32,
    /// Who is paid.
    pub target: i32,
    /// How much.
    pub amount: i64,
}

/// A table that a client created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extra {
    /// The batch that fills it.
    pub batch: i64,
    /// How many rows of the batch.
    pub rows: i32,
    /// Whether a materialized view is over it.
    pub view: bool,
}

/// A transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// A row into an append-only table.
    Event {
        /// Its number.
        seq: i64,
        /// Its kind.
        kind: String,
        /// Its amount.
        cents: i64,
    },
    /// An order, its lines, and what they add to the stock table by ON CONFLICT DO UPDATE.
    Order {
        /// Its id.
        id: i64,
        /// Its status.
        status: String,
        /// Product and quantity of each line.
        lines: Vec<(i32, i32)>,
    },
    /// An order's status and its lines: some get more, one goes.
    Amend {
        /// The order.
        id: i64,
        /// Its new status.
        status: String,
        /// Added to the quantity of every line.
        more: i32,
        /// The line to delete.
        delete: i32,
    },
    /// All lines of an order go, and the order with them or not.
    Cancel {
        /// The order.
        id: i64,
        /// Whether the order itself goes.
        remove: bool,
    },
    /// Money from one account to another.
    Transfer {
        /// Its number.
        seq: i64,
        /// What happens.
        transfer: Transfer,
    },
    /// COPY of [`BATCH`] rows into `bulk`, after deleting an older batch or not.
    Load {
        /// The batch's number.
        batch: i64,
        /// The older batch.
        delete: Option<i64>,
    },
    /// CREATE TABLE, COPY and CREATE MATERIALIZED VIEW.
    Create {
        /// The table's name.
        name: String,
        /// What it is.
        extra: Extra,
    },
    /// DROP of such a table with its view, or of the view alone.
    Drop {
        /// The table's name.
        name: String,
        /// Whether the table stays.
        view_only: bool,
    },
}

impl Write {
    /// What it makes of a client's rows.
    pub fn apply(&self, model: &mut Model) {
        match self {
            Write::Event { seq, kind, cents } => {
                model.events.insert(*seq, (kind.clone(), *cents));
            }
            Write::Order { id, status, lines } => order(model, *id, status, lines),
            Write::Amend {
                id,
                status,
                more,
                delete,
            } => {
                if let Some(order) = model.orders.get_mut(id) {
                    order.status.clone_from(status);
                    order.total += i64::from(*more);
                }
                model.lines.remove(&(*id, *delete));
                for (_, line) in model.lines.range_mut((*id, 0)..=(*id, i32::MAX)) {
                    line.1 += more;
                }
            }
            Write::Cancel { id, remove } => {
                model.lines.retain(|(order, _), _| order != id);
                if *remove {
                    model.orders.remove(id);
                } else if let Some(order) = model.orders.get_mut(id) {
                    order.status = "void".to_string();
                }
            }
            Write::Transfer { seq, transfer } => {
                model.transfers.insert(*seq, transfer.clone());
            }
            Write::Load { batch, delete } => {
                if let Some(delete) = delete {
                    model.bulk.remove(delete);
                }
                model.bulk.insert(*batch);
            }
            Write::Create { name, extra } => {
                model.extras.insert(name.clone(), extra.clone());
            }
            Write::Drop { name, view_only } => match model.extras.get_mut(name) {
                Some(extra) if *view_only => extra.view = false,
                _ => {
                    model.extras.remove(name);
                }
            },
        }
    }
}

fn order(model: &mut Model, id: i64, status: &str, lines: &[(i32, i32)]) {
    let total = lines.iter().map(|(_, quantity)| i64::from(*quantity)).sum();
    let status = status.to_string();
    model.orders.insert(id, Order { status, total });
    for (line, (product, quantity)) in (1..).zip(lines) {
        model.lines.insert((id, line), (*product, *quantity));
        *model.stock.entry(*product).or_default() += i64::from(*quantity);
    }
}

/// The value of a row of a batch (splitmix64, Steele et al. 2014, cut to a million).
pub fn value(client: usize, batch: i64, n: i32) -> i64 {
    let mut z = (client as u64) << 56 ^ (batch as u64) << 24 ^ n as u64;
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % 1_000_003) as i64
}
