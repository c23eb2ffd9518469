use super::super::client::Writer;
use super::super::model::{BATCH, Transfer, Write, value};
use super::*;

fn transfer(seq: i64) -> Write {
    let transfer = Transfer {
        source: 1,
        target: 2,
        amount: 5,
    };
    Write::Transfer { seq, transfer }
}

fn order(id: i64) -> Write {
    Write::Order {
        id,
        status: "open".to_string(),
        lines: vec![(3, 4), (3, 1)],
    }
}

/// One client that was told that the first two were committed, and nothing of the third; what a server holds that
/// ran `held`.
fn judged(held: &[Write], spoil: impl FnOnce(&mut Model)) -> (Doubts, Vec<String>) {
    let mut writer = Writer::new(0);
    order(1).apply(&mut writer.model);
    transfer(2).apply(&mut writer.model);
    writer.in_doubt = Some(order(3));
    let mut state = State {
        clients: vec![Model::default()],
        ..State::default()
    };
    held.iter()
        .for_each(|write| write.apply(&mut state.clients[0]));
    spoil(&mut state.clients[0]);
    let mut faults = Vec::new();
    let doubts = settle(&state, std::slice::from_mut(&mut writer), &mut faults);
    (doubts, faults)
}

#[test]
fn what_was_acknowledged_is_there_and_what_is_in_doubt_may_be() {
    let (doubts, faults) = judged(&[order(1), transfer(2)], |_| {});
    assert_eq!((doubts.there, doubts.absent, faults.len()), (0, 1, 0));
    let (doubts, faults) = judged(&[order(1), transfer(2), order(3)], |_| {});
    assert_eq!((doubts.there, doubts.absent, faults.len()), (1, 0, 0));
}

#[test]
fn a_lost_transaction_is_found() {
    let (_, faults) = judged(&[order(1)], |_| {});
    assert!(
        faults[0].contains("transfers: 0 rows wrong, 1 rows missing"),
        "{faults:?}"
    );
}

#[test]
fn half_a_transaction_is_found() {
    let (_, faults) = judged(&[order(1), transfer(2), order(3)], |model| {
        model.lines.remove(&(3, 2));
    });
    assert!(
        faults[0].contains("lines: 0 rows wrong, 1 rows missing"),
        "{faults:?}"
    );
}

#[test]
fn a_transaction_applied_twice_is_found() {
    let (_, faults) = judged(&[order(1), transfer(2), order(3)], |model| {
        *model.stock.entry(3).or_default() += 5;
    });
    assert!(faults[0].contains("stock"), "{faults:?}");
    let mut observed = Observed::default();
    observed.state.clients.push(Model::default());
    observed.take("transfers", "0\t1\t1\t2\t5");
    assert!(observed.faults.is_empty(), "{:?}", observed.faults);
    observed.take("transfers", "0\t1\t1\t2\t5");
    assert_eq!(observed.faults.len(), 1);
}

#[test]
fn a_batch_with_a_hole_or_a_row_twice_is_found() {
    let line = |n| format!("0\t9\t{n}\t{}", value(0, 9, n));
    let judge = |lines: Vec<String>| {
        let (mut batches, mut faults) = (Batches::default(), Vec::new());
        batches.take_all("bulk", lines);
        (batches.whole(&mut faults), faults)
    };
    let (whole, faults) = judge((0..BATCH).map(line).collect());
    assert_eq!((whole, faults.len()), (vec![(0, 9, BATCH)], 0));
    assert_eq!(judge(vec![line(0), line(2)]).1.len(), 1);
    assert_eq!(judge(vec![line(0), line(0)]).1.len(), 1);
    assert_eq!(judge(vec!["0\t9\t0\t-1".to_string()]).1.len(), 1);
}

#[test]
fn each_view_is_computed_from_the_rows() {
    let mut state = State {
        clients: vec![Model::default(), Model::default()],
        ..State::default()
    };
    state.accounts.extend([(1, 995), (2, 1005)]);
    order(1).apply(&mut state.clients[0]);
    transfer(2).apply(&mut state.clients[0]);
    let rows = |name: &str| {
        let view = VIEWS.iter().find(|view| view.name == name).unwrap();
        (view.compute)(&state).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(rows("totals"), ["2 | 2000"]);
    assert_eq!(rows("moved"), ["1 | 995 | -5", "2 | 1005 | 5"]);
    assert_eq!(rows("order_sizes"), ["1 | 0 | open | 2 | 5"]);
    assert_eq!(rows("by_status"), ["0 | open | 1 | 5 | 2"]);
    assert_eq!(rows("products"), ["0 | 3"]);
    assert_eq!(rows("largest"), ["0 | 1 | 5"]);
    assert_eq!(rows("activity"), ["0 | 2"]);
}
