//! What the matrix disturbs: a few hundred commits of every kind, the same in each run.
//!
//! Invariant: what a step leaves behind is a function of the steps before it, and of no clock. It knows no faults.

/// Steps after those that make the tables.
const ROUNDS: u64 = 240;

/// One thing that a client does: it takes effect whole or not at all.
#[derive(Clone, Debug)]
pub struct Step {
    /// Statements on a session of their own; the last may be COPY FROM STDIN.
    pub sql: String,
    /// What COPY sends.
    pub data: Vec<u8>,
    /// Whether sending it twice does no harm.
    pub repeatable: bool,
}

/// What the database holds at some time, by name, and the query that gives a view's rows from scratch.
pub const OBJECTS: [(&str, Option<&str>); 11] = [
    ("keyed", None),
    ("loose", None),
    ("ticks", None),
    ("wide", None),
    ("fed", None),
    ("passing", None),
    (
        "(SELECT name, last_sequence FROM everview.producers WHERE last_sequence > 0) AS p",
        None,
    ),
    (
        "sums",
        Some("SELECT v % 5 AS g, count(*) AS n, sum(k) AS s FROM keyed GROUP BY v % 5"),
    ),
    (
        "joined",
        Some("SELECT keyed.k, ticks.v FROM keyed JOIN ticks ON keyed.k = ticks.k"),
    ),
    ("lengths", Some("SELECT k, length(body) AS n FROM wide")),
    (
        "extra",
        Some("SELECT count(*) AS n, sum(v) AS s FROM loose"),
    ),
];

fn sql(sql: impl Into<String>) -> Step {
    Step {
        sql: sql.into(),
        data: Vec::new(),
        repeatable: false,
    }
}

fn view(name: &str) -> Step {
    let query = OBJECTS.iter().find(|(object, _)| *object == name);
    let query = query.and_then(|(_, query)| *query).unwrap_or_default();
    sql(format!("CREATE MATERIALIZED VIEW {name} AS {query}"))
}

/// All steps, in order.
pub fn steps() -> Vec<Step> {
    let mut steps = vec![
        sql("CREATE TABLE keyed (k int PRIMARY KEY, v int, note text)"),
        sql("CREATE TABLE loose (k int, v int)"),
        sql("CREATE TABLE ticks (k int, v int) APPEND ONLY"),
        sql("CREATE TABLE wide (k int PRIMARY KEY, body text)"),
        sql("CREATE TABLE fed (n int, v int)"),
        view("sums"),
        view("joined"),
        view("lengths"),
    ];
    steps.extend((0..ROUNDS).map(step));
    steps
}

fn step(i: u64) -> Step {
    let key = i * 10;
    match i % 12 {
        0 => sql(format!(
            "INSERT INTO keyed SELECT n, n % 13, repeat('n', n % 40) FROM generate_series({key}, {}) AS g(n)",
            key + 7
        )),
        1 => sql(format!(
            "INSERT INTO loose VALUES ({i}, 1), ({i}, 1), ({i}, 2)"
        )),
        2 => sql(format!("INSERT INTO ticks VALUES ({}, {i})", key - 20)),
        3 => sql(format!(
            "UPDATE keyed SET v = v + 1 WHERE k % 7 = {}",
            i % 7
        )),
        4 => sql(format!("DELETE FROM keyed WHERE k % 11 = {}", i % 11)),
        5 => sql(format!(
            "INSERT INTO keyed VALUES ({}, 3, 'first'), ({key}, 4, 'new') \
             ON CONFLICT (k) DO UPDATE SET v = keyed.v + excluded.v, note = 'again'",
            key - 50
        )),
        6 => sql(format!(
            "BEGIN; INSERT INTO keyed VALUES ({key}, 1, NULL); DELETE FROM loose WHERE v = 2; \
             INSERT INTO ticks VALUES ({key}, 1), ({key}, 1); UPDATE keyed SET v = 0 WHERE k = {key}; COMMIT"
        )),
        7 => batch(i / 12 + 1),
        8 => Step {
            data: format!("{key}\t1\n{}\t2\n", key - 20).into_bytes(),
            ..sql("COPY ticks FROM STDIN")
        },
        9 => sql(format!(
            "BEGIN; INSERT INTO loose VALUES ({i}, 9); INSERT INTO keyed VALUES ({key}, 9, 'never'); ROLLBACK"
        )),
        10 => load(i),
        _ => define(i / 12),
    }
}

/// A batch of a producer: once in effect, however often it is sent.
fn batch(number: u64) -> Step {
    Step {
        repeatable: true,
        ..sql(format!(
            "SET everview.producer = 'feed'; BEGIN; SET LOCAL everview.sequence = {number}; \
             INSERT INTO fed VALUES ({number}, 1), ({number}, 2); COMMIT"
        ))
    }
}

/// A COPY that is written ahead in pieces, and its rows' end.
fn load(i: u64) -> Step {
    if i / 12 % 2 == 1 {
        return sql("DELETE FROM wide WHERE k % 10 <> 0");
    }
    let line = |n: u64| format!("{}\t{}\n", i * 100 + n, "w".repeat(60_000));
    Step {
        data: (0..30).map(line).collect::<String>().into_bytes(),
        ..sql("COPY wide FROM STDIN")
    }
}

fn define(turn: u64) -> Step {
    match turn % 5 {
        0 => view("extra"),
        1 => sql("BEGIN; CREATE TABLE passing (a int); INSERT INTO passing VALUES (1); COMMIT"),
        2 => sql("CREATE INDEX by_v ON keyed (v)"),
        3 => sql("BEGIN; DROP MATERIALIZED VIEW extra; DROP INDEX by_v; COMMIT"),
        _ => sql("DROP TABLE passing"),
    }
}
