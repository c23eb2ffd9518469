//! What a transaction has read, what a commit has written, and whether they meet.
//!
//! Keys are compared by their hashes: two that have one cost a retry, and nothing else.

use super::{KeyHash, TableWrites, key_hash};
use crate::keys::KeySet;
use everview_repr::GlobalId;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What was read of a collection.
#[derive(Clone, Debug)]
pub enum Read {
    /// Everything, as far as a change could show.
    All,
    /// These keys of a unique constraint.
    Keys(HashSet<KeyHash>),
}

/// What a transaction has read: tables by id, unique keys by constraint.
#[derive(Clone, Debug, Default)]
pub struct ReadSet {
    collections: BTreeMap<GlobalId, Read>,
    /// By constraint, the keys of rows written ahead, each of which was looked up.
    ahead: BTreeMap<GlobalId, KeySet>,
    /// Something was read that statements or the client may have acted on.
    seen: bool,
}

impl ReadSet {
    /// A whole table was read.
    pub fn all(&mut self, table: GlobalId) {
        self.seen = true;
        self.collections.insert(table, Read::All);
    }

    /// A key of a unique constraint was looked up.
    pub fn key(&mut self, constraint: GlobalId, key: &[u8]) {
        self.seen = true;
        self.arrived(constraint, key);
    }

    /// What was read, or written, was shown.
    pub fn shown(&mut self) {
        self.seen = true;
    }

    /// Whether all that was looked up is whether a row's key is taken.
    pub fn is_blind(&self) -> bool {
        !self.seen
    }

    /// A key of a unique constraint was looked up for a row that comes.
    pub fn arrived(&mut self, constraint: GlobalId, key: &[u8]) {
        match self
            .collections
            .entry(constraint)
            .or_insert_with(|| Read::Keys(HashSet::new()))
        {
            Read::All => {}
            Read::Keys(keys) => drop(keys.insert(key_hash(key))),
        }
    }

    /// These are all keys of a unique constraint that were looked up for rows written ahead.
    pub fn ahead(&mut self, constraint: GlobalId, keys: KeySet) {
        self.ahead.insert(constraint, keys);
    }

    /// What was read, by table or constraint, but for rows written ahead.
    pub fn iter(&self) -> impl Iterator<Item = (GlobalId, &Read)> {
        self.collections.iter().map(|(id, read)| (*id, read))
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.collections.is_empty() && self.ahead.is_empty()
    }
}

/// What one commit wrote, kept while transactions that began before it may still commit.
#[derive(Clone, Debug, Default)]
pub struct WriteSummary {
    /// Tables with any change.
    pub tables: BTreeSet<GlobalId>,
    /// Keys touched, by constraint: of rows in the commit, and of those written ahead.
    keys: BTreeMap<GlobalId, HashSet<KeyHash>>,
    ahead: BTreeMap<GlobalId, KeySet>,
}

impl WriteSummary {
    /// The summary of a transaction's writes.
    pub fn of(writes: &BTreeMap<GlobalId, TableWrites>) -> WriteSummary {
        let mut summary = WriteSummary::default();
        for (id, table) in writes.iter().filter(|(_, w)| !w.is_empty()) {
            summary.tables.insert(*id);
            for (constraint, keys) in &table.keys {
                let hashes = keys.keys().map(|k| key_hash(k)).collect();
                summary.keys.insert(*constraint, hashes);
            }
            let ahead = table.chunk_keys.iter();
            summary
                .ahead
                .extend(ahead.map(|(id, keys)| (*id, keys.clone())));
        }
        summary
    }

    /// Whether a transaction that did not see this commit has read what it wrote.
    pub fn conflicts_with(&self, reads: &ReadSet) -> bool {
        let in_collections = reads.iter().any(|(id, read)| match read {
            Read::All => self.tables.contains(&id),
            Read::Keys(read) => {
                let ahead = self.ahead.get(&id);
                self.keys
                    .get(&id)
                    .is_some_and(|written| meet(read, written))
                    || ahead.is_some_and(|keys| read.iter().any(|key| keys.may_hold(*key)))
            }
        });
        let in_ahead = |(id, read): (&GlobalId, &KeySet)| {
            let written = self.keys.get(id);
            let ahead = self.ahead.get(id);
            written.is_some_and(|keys| keys.iter().any(|key| read.may_hold(*key)))
                || ahead.is_some_and(|keys| keys.may_meet(read))
        };
        in_collections || reads.ahead.iter().any(in_ahead)
    }
}

fn meet(a: &HashSet<KeyHash>, b: &HashSet<KeyHash>) -> bool {
    let (small, large) = if a.len() < b.len() { (a, b) } else { (b, a) };
    small.iter().any(|key| large.contains(key))
}
