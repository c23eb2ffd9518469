//! The checker accepts what is serializable and names what is not.

use super::check::check;
use super::history::{Operation, Outcome, Transaction};

/// Transactions one after another in real time, each a microsecond long with one between.
fn serial(transactions: Vec<Vec<Operation>>) -> Vec<Transaction> {
    transactions
        .into_iter()
        .enumerate()
        .map(|(at, operations)| Transaction {
            client: at,
            begun: 3 * at as u64,
            ended: 3 * at as u64 + 1,
            outcome: Outcome::Committed,
            operations,
        })
        .collect()
}

/// The same, all at once.
fn concurrent(transactions: Vec<Vec<Operation>>) -> Vec<Transaction> {
    let mut history = serial(transactions);
    for transaction in &mut history {
        (transaction.begun, transaction.ended) = (0, 1_000);
    }
    history
}

fn append(list: u64, element: u64) -> Operation {
    Operation::Append { list, element }
}

fn list(list: u64, elements: &[u64]) -> Operation {
    Operation::List {
        list,
        elements: elements.to_vec(),
    }
}

fn write(register: u64, before: Option<u64>, value: u64) -> Operation {
    Operation::Write {
        register,
        before,
        value,
    }
}

fn register(register: u64, value: Option<u64>) -> Operation {
    Operation::Register { register, value }
}

fn add(set: u64, element: u64) -> Operation {
    Operation::Add { set, element }
}

fn set(set: u64, elements: &[u64]) -> Operation {
    Operation::Set {
        set,
        elements: elements.to_vec(),
    }
}

fn names(history: &[Transaction]) -> Vec<String> {
    check(history)
        .anomalies
        .into_iter()
        .map(|a| a.name)
        .collect()
}

#[test]
fn a_serial_history_is_accepted() {
    let history = serial(vec![
        vec![append(1, 10), write(1, None, 1), add(1, 5)],
        vec![
            list(1, &[10]),
            append(1, 11),
            list(1, &[10, 11]),
            set(1, &[5]),
        ],
        vec![
            register(1, Some(1)),
            write(1, Some(1), 2),
            add(1, 6),
            set(1, &[5, 6]),
        ],
        vec![list(1, &[10, 11]), register(1, Some(2)), set(1, &[5, 6])],
    ]);
    let verdict = check(&history);
    assert_eq!(verdict.anomalies, vec![]);
    assert_eq!(verdict.transactions, 4);
    assert!(verdict.edges >= 6, "{}", verdict.edges);
}

#[test]
fn an_unknown_commit_may_be_there_or_not() {
    let mut seen = serial(vec![vec![append(1, 10)], vec![list(1, &[10])]]);
    seen[0].outcome = Outcome::Unknown;
    assert_eq!(names(&seen), Vec::<String>::new());
    let mut unseen = serial(vec![vec![append(1, 10)], vec![list(1, &[])]]);
    unseen[0].outcome = Outcome::Unknown;
    assert_eq!(names(&unseen), Vec::<String>::new());
    // It may take effect later than its client gave up.
    let mut late = serial(vec![
        vec![append(1, 10)],
        vec![list(1, &[])],
        vec![list(1, &[10])],
    ]);
    late[0].outcome = Outcome::Unknown;
    assert_eq!(names(&late), Vec::<String>::new());
}

#[test]
fn a_stale_read_is_a_realtime_cycle() {
    let history = serial(vec![
        vec![append(1, 10)],
        vec![list(1, &[])],
        vec![list(1, &[10])],
    ]);
    assert_eq!(names(&history), ["G-single-realtime"]);
    let history = serial(vec![
        vec![write(1, None, 1)],
        vec![write(1, Some(1), 2)],
        vec![register(1, Some(1))],
    ]);
    assert_eq!(names(&history), ["G-single-realtime"]);
    let history = serial(vec![vec![add(1, 5)], vec![set(1, &[])], vec![set(1, &[5])]]);
    assert_eq!(names(&history), ["G-single-realtime"]);
}

#[test]
fn write_skew_is_g2_and_read_skew_is_g_single() {
    let skew = concurrent(vec![
        vec![list(1, &[]), append(2, 20)],
        vec![list(2, &[]), append(1, 10)],
        vec![list(1, &[10]), list(2, &[20])],
    ]);
    assert_eq!(names(&skew), ["G2"]);
    let skew = concurrent(vec![
        vec![append(1, 10), append(2, 20)],
        vec![list(1, &[10]), list(2, &[])],
        vec![list(1, &[10]), list(2, &[20])],
    ]);
    assert_eq!(names(&skew), ["G-single"]);
}

#[test]
fn a_cycle_of_writes_is_g0() {
    let history = concurrent(vec![
        vec![append(1, 10), append(2, 20)],
        vec![append(1, 11), append(2, 21)],
        vec![list(1, &[10, 11]), list(2, &[21, 20])],
    ]);
    assert_eq!(names(&history), ["G0"]);
}

#[test]
fn circular_information_flow_is_g1c() {
    let history = concurrent(vec![
        vec![append(1, 10), list(2, &[20])],
        vec![append(2, 20), list(1, &[10])],
        vec![list(1, &[10]), list(2, &[20])],
    ]);
    assert_eq!(names(&history), ["G1c"]);
}

#[test]
fn aborted_and_intermediate_reads_are_found() {
    let mut history = serial(vec![vec![append(1, 10)], vec![list(1, &[10])]]);
    history[0].outcome = Outcome::Aborted;
    assert_eq!(names(&history), ["G1a"]);
    let history = concurrent(vec![
        vec![append(1, 10), append(1, 11)],
        vec![list(1, &[10])],
        vec![list(1, &[10, 11])],
    ]);
    assert!(names(&history).contains(&"G1b".to_string()));
}

#[test]
fn lost_and_doubled_writes_are_found() {
    let lost = serial(vec![
        vec![append(1, 10)],
        vec![append(1, 11)],
        vec![list(1, &[11])],
    ]);
    assert!(names(&lost).contains(&"lost write".to_string()));
    let lost = serial(vec![
        vec![add(1, 10)],
        vec![add(1, 11)],
        vec![set(1, &[11])],
    ]);
    assert!(names(&lost).contains(&"lost write".to_string()));
    let doubled = serial(vec![vec![append(1, 10)], vec![list(1, &[10, 10])]]);
    assert_eq!(names(&doubled), ["doubled write"]);
    let doubled = serial(vec![vec![add(1, 10)], vec![set(1, &[10, 10])]]);
    assert!(names(&doubled).contains(&"doubled write".to_string()));
    let update = concurrent(vec![
        vec![write(1, None, 1)],
        vec![write(1, Some(1), 2)],
        vec![write(1, Some(1), 3)],
        vec![register(1, Some(3))],
    ]);
    assert!(names(&update).contains(&"lost update".to_string()));
}

#[test]
fn reads_that_disagree_are_found() {
    let history = concurrent(vec![
        vec![append(1, 10)],
        vec![append(1, 11)],
        vec![list(1, &[10, 11])],
        vec![list(1, &[11])],
    ]);
    assert!(names(&history).contains(&"incompatible order".to_string()));
    let own = serial(vec![
        vec![append(1, 10), list(1, &[])],
        vec![list(1, &[10])],
    ]);
    assert!(names(&own).contains(&"internal".to_string()));
    let changed = serial(vec![
        vec![append(1, 10)],
        vec![list(1, &[]), list(1, &[10])],
    ]);
    assert!(names(&changed).contains(&"internal".to_string()));
    let phantom = serial(vec![vec![list(1, &[99])]]);
    assert_eq!(names(&phantom), ["phantom write"]);
}
