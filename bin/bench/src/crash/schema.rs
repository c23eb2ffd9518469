//! Tables and views of a crash run, and each view computed independently, from the rows alone.
//!
//! Invariant: a view's function here shares nothing with its SQL but the meaning.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{ACCOUNTS, BATCH, Extra, Model, OPENING, value};
use crate::session::Rows;

/// The tables, empty but for the accounts.
pub fn tables() -> Vec<String> {
    let accounts: Vec<String> = (0..ACCOUNTS)
        .map(|id| format!("({id}, {OPENING})"))
        .collect();
    vec![
        "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL)".to_string(),
        "CREATE TABLE transfers (client int NOT NULL, seq bigint NOT NULL, source int NOT NULL, \
         target int NOT NULL, amount bigint NOT NULL CHECK (amount > 0))"
            .to_string(),
        "CREATE TABLE events (client int NOT NULL, seq bigint NOT NULL, kind text NOT NULL, \
         amount numeric(12, 2) NOT NULL) APPEND ONLY"
            .to_string(),
        "CREATE TABLE orders (id bigint PRIMARY KEY, client int NOT NULL, status text NOT NULL, \
         total bigint NOT NULL)"
            .to_string(),
        "CREATE TABLE lines (order_id bigint, line int, product int NOT NULL, quantity int NOT NULL, \
         PRIMARY KEY (order_id, line))"
            .to_string(),
        "CREATE TABLE stock (client int, product int, sold bigint NOT NULL, PRIMARY KEY (client, product))"
            .to_string(),
        "CREATE TABLE bulk (client int, batch bigint, n int, value bigint NOT NULL, \
         PRIMARY KEY (client, batch, n))"
            .to_string(),
        "CREATE INDEX transfers_target ON transfers (target)".to_string(),
        format!("INSERT INTO accounts VALUES {}", accounts.join(", ")),
    ]
}

/// A materialized view.
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// Its query.
    pub sql: &'static str,
    /// The same from the rows.
    pub compute: fn(&State) -> Rows,
}

/// All rows.
#[derive(Clone, Default, Debug)]
pub struct State {
    /// Balances by account.
    pub accounts: BTreeMap<i32, i64>,
    /// Each client's rows.
    pub clients: Vec<Model>,
}

/// Every view, in an order that creates none before what it reads.
pub const VIEWS: [View; 11] = [
    View {
        name: "totals",
        sql: "SELECT count(*) AS accounts, sum(balance) AS total FROM accounts",
        compute: |state| {
            one(format!(
                "{} | {}",
                state.accounts.len(),
                state.accounts.values().sum::<i64>()
            ))
        },
    },
    View {
        name: "moved",
        sql: "SELECT a.id, a.balance, coalesce(i.amount, 0) - coalesce(o.amount, 0) AS moved FROM accounts a \
              LEFT JOIN (SELECT target, sum(amount) AS amount FROM transfers GROUP BY target) i ON i.target = a.id \
              LEFT JOIN (SELECT source, sum(amount) AS amount FROM transfers GROUP BY source) o ON o.source = a.id",
        compute: moved,
    },
    View {
        name: "order_sizes",
        sql: "SELECT o.id, o.client, o.status, count(l.line) AS lines, coalesce(sum(l.quantity), 0) AS quantity \
              FROM orders o LEFT JOIN lines l ON l.order_id = o.id GROUP BY o.id, o.client, o.status",
        compute: order_sizes,
    },
    View {
        name: "by_status",
        sql: "SELECT client, status, count(*) AS orders, sum(quantity) AS quantity, max(lines) AS most \
              FROM order_sizes GROUP BY client, status",
        compute: by_status,
    },
    View {
        name: "products",
        sql: "SELECT DISTINCT o.client, l.product FROM lines l JOIN orders o ON o.id = l.order_id",
        compute: products,
    },
    View {
        name: "largest",
        sql: "SELECT client, id, total FROM (SELECT client, id, total, \
              row_number() OVER (PARTITION BY client ORDER BY total DESC, id) AS place FROM orders) ranked \
              WHERE place <= 3",
        compute: largest,
    },
    View {
        name: "bare",
        sql: "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM lines l WHERE l.order_id = o.id)",
        compute: bare,
    },
    View {
        name: "batches",
        sql: "SELECT client, batch, count(*) AS n, sum(value) AS total, min(value) AS least, max(value) AS most \
              FROM bulk GROUP BY client, batch",
        compute: batches,
    },
    View {
        name: "event_kinds",
        sql: "SELECT client, kind, count(*) AS n, sum(amount) AS total, max(amount) AS most \
              FROM events GROUP BY client, kind",
        compute: event_kinds,
    },
    View {
        name: "well_sold",
        sql: "SELECT client, product, sold FROM stock WHERE sold > (SELECT avg(sold) FROM stock)",
        compute: well_sold,
    },
    View {
        name: "activity",
        sql: "SELECT client, count(*) AS n FROM (SELECT client FROM events UNION ALL SELECT client FROM transfers \
              UNION ALL SELECT client FROM orders) writes GROUP BY client",
        compute: activity,
    },
];

/// A view's query over tables alone: views in it are written out.
pub fn from_tables(view: &View) -> String {
    let sizes = VIEWS.iter().find(|view| view.name == "order_sizes");
    match sizes {
        Some(sizes) if view.name == "by_status" => view.sql.replace(
            "FROM order_sizes",
            &format!("FROM ({}) order_sizes", sizes.sql),
        ),
        _ => view.sql.to_string(),
    }
}

fn one(row: String) -> Rows {
    Rows::from([(row, 1)])
}

fn set(rows: impl Iterator<Item = String>) -> Rows {
    let mut set = Rows::new();
    rows.for_each(|row| *set.entry(row).or_default() += 1);
    set
}

fn clients(state: &State) -> impl Iterator<Item = (usize, &Model)> {
    state.clients.iter().enumerate()
}

fn moved(state: &State) -> Rows {
    let mut moved: BTreeMap<i32, i64> = BTreeMap::new();
    for transfer in state
        .clients
        .iter()
        .flat_map(|model| model.transfers.values())
    {
        *moved.entry(transfer.source).or_default() -= transfer.amount;
        *moved.entry(transfer.target).or_default() += transfer.amount;
    }
    set(state
        .accounts
        .iter()
        .map(|(id, balance)| format!("{id} | {balance} | {}", moved.get(id).copied().unwrap_or(0))))
}

/// Client, status, lines and quantity of each order.
fn sizes(state: &State) -> Vec<(i64, usize, &str, i64, i64)> {
    let mut sizes = Vec::new();
    for (client, model) in clients(state) {
        for (id, order) in &model.orders {
            let lines = model.lines.range((*id, i32::MIN)..=(*id, i32::MAX));
            let (count, quantity) = lines.fold((0, 0), |(count, sum), (_, line)| {
                (count + 1, sum + i64::from(line.1))
            });
            sizes.push((*id, client, order.status.as_str(), count, quantity));
        }
    }
    sizes
}

fn order_sizes(state: &State) -> Rows {
    set(sizes(state)
        .into_iter()
        .map(|(id, client, status, lines, quantity)| {
            format!("{id} | {client} | {status} | {lines} | {quantity}")
        }))
}

fn by_status(state: &State) -> Rows {
    let mut groups: BTreeMap<(usize, &str), (i64, i64, i64)> = BTreeMap::new();
    for (_, client, status, lines, quantity) in sizes(state) {
        let group = groups.entry((client, status)).or_default();
        *group = (group.0 + 1, group.1 + quantity, group.2.max(lines));
    }
    set(groups
        .into_iter()
        .map(|((client, status), (orders, quantity, most))| {
            format!("{client} | {status} | {orders} | {quantity} | {most}")
        }))
}

fn products(state: &State) -> Rows {
    let pairs = clients(state).flat_map(|(client, model)| {
        let lines = model
            .lines
            .iter()
            .filter(|((order, _), _)| model.orders.contains_key(order));
        lines.map(move |(_, (product, _))| (client, *product))
    });
    let pairs: BTreeSet<_> = pairs.collect();
    set(pairs
        .into_iter()
        .map(|(client, product)| format!("{client} | {product}")))
}

fn largest(state: &State) -> Rows {
    set(clients(state).flat_map(|(client, model)| {
        let mut orders: Vec<_> = model
            .orders
            .iter()
            .map(|(id, order)| (-order.total, *id))
            .collect();
        orders.sort_unstable();
        orders.truncate(3);
        orders
            .into_iter()
            .map(move |(total, id)| format!("{client} | {id} | {}", -total))
    }))
}

fn bare(state: &State) -> Rows {
    let empty = sizes(state)
        .into_iter()
        .filter(|(_, _, _, lines, _)| *lines == 0);
    set(empty.map(|(id, ..)| id.to_string()))
}

fn batches(state: &State) -> Rows {
    set(clients(state).flat_map(|(client, model)| {
        model.bulk.iter().map(move |batch| {
            let values: Vec<i64> = (0..BATCH).map(|n| value(client, *batch, n)).collect();
            let (least, most) = (values.iter().min().copied(), values.iter().max().copied());
            let total: i64 = values.iter().sum();
            format!(
                "{client} | {batch} | {BATCH} | {total} | {} | {}",
                least.unwrap_or(0),
                most.unwrap_or(0)
            )
        })
    }))
}

fn event_kinds(state: &State) -> Rows {
    let mut groups: BTreeMap<(usize, &str), (i64, i64, i64)> = BTreeMap::new();
    for (client, model) in clients(state) {
        for (kind, cents) in model.events.values() {
            let group = groups.entry((client, kind)).or_insert((0, 0, i64::MIN));
            *group = (group.0 + 1, group.1 + cents, group.2.max(*cents));
        }
    }
    let money = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
    set(groups
        .into_iter()
        .map(|((client, kind), (n, total, most))| {
            format!(
                "{client} | {kind} | {n} | {} | {}",
                money(total),
                money(most)
            )
        }))
}

fn well_sold(state: &State) -> Rows {
    let all = || {
        clients(state).flat_map(|(client, model)| {
            model
                .stock
                .iter()
                .map(move |(product, sold)| (client, product, sold))
        })
    };
    let (count, sum) = all().fold((0, 0), |(count, sum), (_, _, sold)| (count + 1, sum + sold));
    set(all()
        .filter(|(_, _, sold)| **sold * count > sum)
        .map(|(client, product, sold)| format!("{client} | {product} | {sold}")))
}

fn activity(state: &State) -> Rows {
    set(clients(state).filter_map(|(client, model)| {
        let n = model.events.len() + model.transfers.len() + model.orders.len();
        (n > 0).then(|| format!("{client} | {n}"))
    }))
}

/// The view over a client's own table.
pub fn extra_view(client: usize, extra: &Extra) -> Rows {
    let mut buckets: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for value in (0..extra.rows).map(|n| value(client, extra.batch, n)) {
        let bucket = buckets.entry(value % 7).or_insert((0, i64::MIN));
        *bucket = (bucket.0 + 1, bucket.1.max(value));
    }
    set(buckets
        .into_iter()
        .map(|(bucket, (n, most))| format!("{bucket} | {n} | {most}")))
}
