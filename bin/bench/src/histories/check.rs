//! Whether a history is strictly serializable.
//!
//! Edges come from what was seen alone. A list's longest read orders its appends; a register's writes each name the
//! value before; a set's reads say which additions were there and which were not. Real time is added by its transitive
//! reduction. What no cycle shows is checked on its own: aborted and intermediate reads, lost and doubled writes,
//! reads that disagree with the transaction's own writes.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Edge, Graph};
use super::history::{Operation, Outcome, Transaction};

/// Something that no strictly serializable database shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// Adya's name, or a plain one.
    pub name: String,
    /// What was seen, for a person.
    pub detail: String,
}

/// What was checked, and what was found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Transactions that took effect.
    pub transactions: usize,
    /// Edges of the graph.
    pub edges: usize,
    /// What is wrong.
    pub anomalies: Vec<Anomaly>,
}

/// Checks a whole history. It must end with reads of everything after all writers are done: what those do not show
/// is lost.
pub fn check(history: &[Transaction]) -> Verdict {
    let mut checker = Checker::new(history);
    checker.own_writes();
    checker.lists();
    checker.registers();
    checker.sets();
    checker.real_time();
    if let Some((name, cycle)) = checker.graph.anomaly() {
        let steps: Vec<String> = cycle
            .iter()
            .map(|(at, edge)| {
                format!(
                    "T{at} (client {}) {:?} --{edge:?}-->",
                    history[*at].client, history[*at].operations
                )
            })
            .collect();
        checker.found(&name, format!("{} T{}", steps.join(" "), cycle[0].0));
    }
    Verdict {
        transactions: checker.effective.iter().filter(|e| **e).count(),
        edges: checker.graph.len(),
        anomalies: checker.anomalies,
    }
}

/// What a value was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    List(u64),
    Register(u64),
    Set(u64),
}

struct Checker<'h> {
    history: &'h [Transaction],
    graph: Graph,
    /// Who wrote what.
    writers: BTreeMap<(Object, u64), usize>,
    /// Which transactions took effect: acknowledged, or unknown and seen.
    effective: Vec<bool>,
    anomalies: Vec<Anomaly>,
}

impl<'h> Checker<'h> {
    fn new(history: &'h [Transaction]) -> Checker<'h> {
        let mut writers = BTreeMap::new();
        for (at, transaction) in history.iter().enumerate() {
            for operation in &transaction.operations {
                let (object, value) = match operation {
                    Operation::Append { list, element } => (Object::List(*list), *element),
                    Operation::Write {
                        register, value, ..
                    } => (Object::Register(*register), *value),
                    Operation::Add { set, element } => (Object::Set(*set), *element),
                    _ => continue,
                };
                writers.insert((object, value), at);
            }
        }
        let mut checker = Checker {
            history,
            graph: Graph::new(history.len()),
            writers,
            effective: history
                .iter()
                .map(|t| t.outcome == Outcome::Committed)
                .collect(),
            anomalies: Vec::new(),
        };
        checker.note_what_was_seen();
        checker
    }

    fn found(&mut self, name: &str, detail: String) {
        self.anomalies.push(Anomaly {
            name: name.to_string(),
            detail,
        });
    }

    /// Reads of committed transactions with their reader.
    fn reads(&self) -> Vec<(usize, Object, Vec<u64>)> {
        let mut reads = Vec::new();
        let committed = self.history.iter().enumerate();
        for (at, transaction) in committed.filter(|(_, t)| t.outcome == Outcome::Committed) {
            for operation in &transaction.operations {
                match operation {
                    Operation::List { list, elements } => {
                        reads.push((at, Object::List(*list), elements.clone()));
                    }
                    Operation::Register { register, value } => {
                        reads.push((
                            at,
                            Object::Register(*register),
                            value.iter().copied().collect(),
                        ));
                    }
                    Operation::Write {
                        register, before, ..
                    } => {
                        reads.push((
                            at,
                            Object::Register(*register),
                            before.iter().copied().collect(),
                        ));
                    }
                    Operation::Set { set, elements } => {
                        reads.push((at, Object::Set(*set), elements.clone()));
                    }
                    Operation::Append { .. } | Operation::Add { .. } => {}
                }
            }
        }
        reads
    }

    /// A value that was seen was written, by a transaction that was not aborted; one of unknown outcome took effect.
    fn note_what_was_seen(&mut self) {
        for (reader, object, values) in self.reads() {
            for value in values {
                match self.writers.get(&(object, value)).copied() {
                    None => self.found(
                        "phantom write",
                        format!("T{reader} read {value} of {object:?}, which nobody wrote"),
                    ),
                    Some(writer) if self.history[writer].outcome == Outcome::Aborted => {
                        self.found(
                            "G1a",
                            format!("T{reader} read {value} of {object:?}, which T{writer} wrote and rolled back"),
                        );
                    }
                    Some(writer) => self.effective[writer] = true,
                }
            }
        }
    }

    /// A transaction sees its own writes, and nothing else changes under it.
    fn own_writes(&mut self) {
        for (at, transaction) in self.history.iter().enumerate() {
            let mut expected: BTreeMap<Object, Vec<u64>> = BTreeMap::new();
            let mut appended: BTreeMap<Object, Vec<u64>> = BTreeMap::new();
            for operation in &transaction.operations {
                let (object, seen) = match operation {
                    Operation::Append { list, element } => {
                        let object = Object::List(*list);
                        appended.entry(object).or_default().push(*element);
                        if let Some(known) = expected.get_mut(&object) {
                            known.push(*element);
                        }
                        continue;
                    }
                    Operation::Add { set, element } => {
                        let object = Object::Set(*set);
                        appended.entry(object).or_default().push(*element);
                        if let Some(known) = expected.get_mut(&object) {
                            known.push(*element);
                            known.sort_unstable();
                        }
                        continue;
                    }
                    Operation::Write {
                        register,
                        before,
                        value,
                    } => {
                        let object = Object::Register(*register);
                        let seen: Vec<u64> = before.iter().copied().collect();
                        let wrong = expected.get(&object).is_some_and(|known| *known != seen);
                        expected.insert(object, vec![*value]);
                        if wrong {
                            self.found(
                                "internal",
                                format!("T{at} {operation:?} after {:?}", transaction.operations),
                            );
                        }
                        continue;
                    }
                    Operation::List { list, elements } => (Object::List(*list), elements.clone()),
                    Operation::Set { set, elements } => (Object::Set(*set), elements.clone()),
                    Operation::Register { register, value } => {
                        (Object::Register(*register), value.iter().copied().collect())
                    }
                };
                let own = appended.get(&object).map(Vec::as_slice).unwrap_or_default();
                let holds_own = match object {
                    Object::List(_) => seen.ends_with(own),
                    _ => own.iter().all(|element| seen.contains(element)),
                };
                let repeats = expected.get(&object).is_none_or(|known| *known == seen);
                if !holds_own || !repeats {
                    self.found(
                        "internal",
                        format!(
                            "T{at} read {seen:?} of {object:?} within {:?}",
                            transaction.operations
                        ),
                    );
                }
                expected.insert(object, seen);
            }
        }
    }

    fn lists(&mut self) {
        let mut reads: BTreeMap<u64, Vec<(usize, Vec<u64>)>> = BTreeMap::new();
        for (reader, object, elements) in self.reads() {
            if let Object::List(list) = object {
                reads.entry(list).or_default().push((reader, elements));
            }
        }
        for (list, reads) in reads {
            let longest = reads.iter().map(|(_, e)| e).max_by_key(|e| e.len());
            let order = longest.cloned().unwrap_or_default();
            if order.iter().collect::<BTreeSet<_>>().len() != order.len() {
                self.found("doubled write", format!("list {list} is {order:?}"));
                continue;
            }
            for (reader, elements) in &reads {
                if !order.starts_with(elements) {
                    self.found(
                        "incompatible order",
                        format!("T{reader} read list {list} as {elements:?}, others as {order:?}"),
                    );
                }
            }
            self.lost(Object::List(list), &order);
            self.list_edges(list, &order, &reads);
        }
    }

    fn list_edges(&mut self, list: u64, order: &[u64], reads: &[(usize, Vec<u64>)]) {
        let writer = |checker: &Self, element: u64| {
            checker.writers.get(&(Object::List(list), element)).copied()
        };
        for pair in order.windows(2) {
            if let (Some(from), Some(to)) = (writer(self, pair[0]), writer(self, pair[1])) {
                self.graph.add(from, to, Edge::WriteWrite);
            }
        }
        for (reader, elements) in reads {
            let last = elements.last().and_then(|e| writer(self, *e));
            let next = order.get(elements.len()).and_then(|e| writer(self, *e));
            if let Some(last) = last {
                self.graph.add(last, *reader, Edge::WriteRead);
            }
            if let (Some(last), Some(next)) = (last, next)
                && last == next
                && last != *reader
            {
                self.found(
                    "G1b",
                    format!("T{reader} read list {list} in the middle of T{last}"),
                );
            }
            if let Some(next) = next {
                self.graph.add(*reader, next, Edge::ReadWrite);
            }
        }
    }

    /// What was acknowledged is in what was read at the end.
    fn lost(&mut self, object: Object, seen: &[u64]) {
        let seen: BTreeSet<u64> = seen.iter().copied().collect();
        let written = self.writers.range((object, 0)..=(object, u64::MAX));
        let lost: Vec<(u64, usize)> = written
            .filter(|((_, value), writer)| {
                self.history[**writer].outcome == Outcome::Committed && !seen.contains(value)
            })
            .map(|((_, value), writer)| (*value, *writer))
            .collect();
        for (value, writer) in lost {
            self.found(
                "lost write",
                format!("{value} of {object:?}, acknowledged in T{writer}, was never read"),
            );
        }
    }

    fn registers(&mut self) {
        // Which transaction replaced a value; within one transaction only the last write is a version.
        let mut replaced: BTreeMap<(u64, Option<u64>), usize> = BTreeMap::new();
        for (at, transaction) in self
            .history
            .iter()
            .enumerate()
            .filter(|(at, _)| self.effective[*at])
        {
            let mut first: BTreeMap<u64, Option<u64>> = BTreeMap::new();
            for operation in &transaction.operations {
                if let Operation::Write {
                    register, before, ..
                } = operation
                {
                    first.entry(*register).or_insert(*before);
                }
            }
            for (register, before) in first {
                if let Some(other) = replaced.insert((register, before), at) {
                    self.anomalies.push(Anomaly {
                        name: "lost update".to_string(),
                        detail: format!(
                            "T{other} and T{at} both replaced {before:?} of register {register}"
                        ),
                    });
                }
                if let Some(writer) =
                    before.and_then(|v| self.writers.get(&(Object::Register(register), v)).copied())
                {
                    self.graph.add(writer, at, Edge::WriteWrite);
                }
            }
        }
        for (reader, object, values) in self.reads() {
            let Object::Register(register) = object else {
                continue;
            };
            let value = values.first().copied();
            if let Some(writer) = value.and_then(|v| self.writers.get(&(object, v)).copied()) {
                self.graph.add(writer, reader, Edge::WriteRead);
            }
            if let Some(writer) = replaced.get(&(register, value)) {
                self.graph.add(reader, *writer, Edge::ReadWrite);
            }
        }
    }

    fn sets(&mut self) {
        let mut unions: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (reader, object, elements) in self.reads() {
            let Object::Set(set) = object else { continue };
            let seen: BTreeSet<u64> = elements.iter().copied().collect();
            if seen.len() != elements.len() {
                self.found(
                    "doubled write",
                    format!("T{reader} read set {set} as {elements:?}"),
                );
            }
            let written: Vec<(u64, usize)> = self
                .writers
                .range((object, 0)..=(object, u64::MAX))
                .map(|((_, value), writer)| (*value, *writer))
                .filter(|(_, writer)| self.effective[*writer])
                .collect();
            for (value, writer) in written {
                if seen.contains(&value) {
                    self.graph.add(writer, reader, Edge::WriteRead);
                } else {
                    self.graph.add(reader, writer, Edge::ReadWrite);
                }
            }
            unions.entry(set).or_default().extend(seen);
        }
        for (set, seen) in unions {
            self.lost(Object::Set(set), &seen.into_iter().collect::<Vec<_>>());
        }
    }

    /// Adds the transitive reduction of real time: an edge from each transaction that had ended, unless another one
    /// that had also ended began after it did. What is unknown never ends.
    fn real_time(&mut self) {
        #[derive(PartialEq, Eq, PartialOrd, Ord)]
        enum Event {
            // At equal times a beginning comes first, so that no order is claimed.
            Begin(usize),
            End(usize),
        }
        let mut events = Vec::new();
        for (at, transaction) in self
            .history
            .iter()
            .enumerate()
            .filter(|(at, _)| self.effective[*at])
        {
            events.push((transaction.begun, Event::Begin(at)));
            if transaction.outcome == Outcome::Committed {
                events.push((transaction.ended, Event::End(at)));
            }
        }
        events.sort();
        let mut ended: Vec<usize> = Vec::new();
        for (_, event) in events {
            match event {
                Event::Begin(at) => ended
                    .iter()
                    .for_each(|e| self.graph.add(*e, at, Edge::RealTime)),
                Event::End(at) => {
                    let begun = self.history[at].begun;
                    ended.retain(|e| self.history[*e].ended >= begun);
                    ended.push(at);
                }
            }
        }
    }
}
