//! What the operators of a worker hold: updates on their way into arrangements, and in them.
//!
//! differential-dataflow tells of what its batchers take in and let go, in bytes, and of the batches in its spines, in
//! updates. The bytes of a batch are estimated from what updates took in the batcher before it; what readers are
//! shown is measured exactly elsewhere (`Published::size`).
//!
//! Invariant: once what an operator held is dropped and told of, its account is 0. The ledger follows what is told
//! at the end of each of the worker's steps.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use differential_dataflow::logging::{DifferentialEvent, DifferentialEventBuilder, Logger};
use timely::dataflow::Scope;
use timely::progress::Timestamp;
use timely::worker::Worker;

/// Where differential-dataflow tells.
const LOG: &str = "differential/arrange";
/// Bytes of an update in an arrangement of which nothing is known yet.
const UPDATE_BYTES: f64 = 32.0;

/// The logger that a batcher of this dataflow tells what it holds.
pub fn logger<T: Timestamp>(scope: Scope<'_, T>) -> Option<Logger> {
    let log = scope.worker().logger_for::<DifferentialEventBuilder>(LOG);
    log.map(Into::into)
}

/// What one operator holds.
#[derive(Debug, Default)]
struct Account {
    /// Bytes in its batcher.
    moving: i64,
    /// Updates in its batches.
    updates: i64,
    /// Bytes of an update in the batcher.
    rate: Option<f64>,
}

/// What the operators of one worker hold, by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Rc<RefCell<BTreeMap<usize, Account>>>);

impl Ledger {
    /// A ledger of what is built on this worker from now on.
    pub fn new(worker: &Worker) -> Ledger {
        let ledger = Ledger::default();
        let accounts = ledger.clone();
        if let Some(mut registry) = worker.log_register() {
            registry.insert::<DifferentialEventBuilder, _>(LOG, move |_, events| {
                let mut accounts = accounts.0.borrow_mut();
                for (_, event) in events.iter().flatten() {
                    note(&mut accounts, event);
                }
            });
        }
        ledger
    }

    /// Bytes in batchers and arrangements of these operators.
    pub fn held(&self, operators: Range<usize>) -> u64 {
        self.sum(operators, |account| {
            let rate = account.rate.unwrap_or(UPDATE_BYTES);
            account.moving + (account.updates as f64 * rate) as i64
        })
    }

    /// Bytes in batchers of these operators.
    pub fn moving(&self, operators: Range<usize>) -> u64 {
        self.sum(operators, |account| account.moving)
    }

    fn sum(&self, operators: Range<usize>, of: impl Fn(&Account) -> i64) -> u64 {
        let accounts = self.0.borrow();
        let sum: i64 = accounts
            .range(operators)
            .map(|(_, account)| of(account))
            .sum();
        sum.max(0) as u64
    }

    /// Closes the accounts of these operators, which are gone.
    pub fn close(&self, operators: Range<usize>) {
        let mut accounts = self.0.borrow_mut();
        accounts.retain(|operator, _| !operators.contains(operator));
    }
}

/// Only what comes opens an account: the last of an operator that is gone may be told after its account was closed.
fn note(accounts: &mut BTreeMap<usize, Account>, event: &DifferentialEvent) {
    match event {
        DifferentialEvent::Batcher(change) if change.records_diff > 0 => {
            let account = accounts.entry(change.operator).or_default();
            account.moving += change.capacity_diff as i64;
            account.rate = Some(change.size_diff as f64 / change.records_diff as f64);
        }
        DifferentialEvent::Batcher(change) => {
            if let Some(account) = accounts.get_mut(&change.operator) {
                account.moving += change.capacity_diff as i64;
            }
        }
        DifferentialEvent::Batch(batch) if batch.length > 0 => {
            accounts.entry(batch.operator).or_default().updates += batch.length as i64;
        }
        DifferentialEvent::Merge(merge) => {
            if let (Some(complete), Some(account)) =
                (merge.complete, accounts.get_mut(&merge.operator))
            {
                account.updates += complete as i64 - (merge.length1 + merge.length2) as i64;
            }
        }
        DifferentialEvent::Drop(dropped) => {
            if let Some(account) = accounts.get_mut(&dropped.operator) {
                account.updates -= dropped.length as i64;
            }
        }
        _ => {}
    }
}
