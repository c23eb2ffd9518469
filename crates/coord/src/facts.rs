//! What a commit tells beside its changes.
//!
//! | tag | fact | bytes |
//! |---|---|---|
//! | 1 | rows | for each collection changed: its id, rows that came, rows that went, as varints |
//! | 2 to 15 | kept for offsets of sources; what a producer has committed is a row, see `producers` | |
//!
//! Numbers are given once and never change their meaning. A tag at or above [`REQUIRED`] that is not in this table
//! stops recovery: what the commit means is then not known.

use everview_log::record::REQUIRED;
use everview_log::{Commit, Fact};
use everview_repr::GlobalId;
use everview_repr::row::{push_varint, read_varint};

const ROWS: u16 = 1;

/// How many rows of a collection a commit brought and took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub collection: GlobalId,
    pub inserted: u64,
    pub deleted: u64,
}

/// The fact of so many rows.
pub(crate) fn rows(counts: &[Rows]) -> Fact {
    let mut bytes = Vec::new();
    for count in counts {
        push_varint(&mut bytes, u64::from(count.collection.0));
        push_varint(&mut bytes, count.inserted);
        push_varint(&mut bytes, count.deleted);
    }
    Fact {
        tag: ROWS,
        bytes: bytes.into(),
    }
}

/// The row counts of a commit.
pub(crate) fn rows_of(commit: &Commit) -> Result<Vec<Rows>, String> {
    let mut counts = Vec::new();
    for fact in commit.facts.iter().filter(|fact| fact.tag == ROWS) {
        let mut rest = fact.bytes.as_ref();
        let mut next = || read_varint(&mut rest).map_err(|e| e.to_string());
        while let Ok(collection) = next() {
            counts.push(Rows {
                collection: GlobalId(u32::try_from(collection).map_err(|e| e.to_string())?),
                inserted: next()?,
                deleted: next()?,
            });
        }
    }
    Ok(counts)
}

/// Refuses a commit with a fact that must be understood and is not.
pub(crate) fn check(commit: &Commit) -> Result<(), String> {
    match commit.facts.iter().find(|fact| fact.tag >= REQUIRED) {
        Some(fact) => Err(format!(
            "commit {} carries fact {}, which this version does not know; use the newer version that wrote it",
            commit.timestamp, fact.tag
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_counts_come_back_and_other_facts_are_passed_over() {
        let counts = [
            Rows {
                collection: GlobalId(20_000),
                inserted: u64::MAX,
                deleted: 0,
            },
            Rows {
                collection: GlobalId(1),
                inserted: 3,
                deleted: 300,
            },
        ];
        let other = Fact {
            tag: 9,
            bytes: vec![1, 2].into(),
        };
        let commit = Commit {
            facts: vec![other, rows(&counts)],
            ..Commit::default()
        };
        assert_eq!(rows_of(&commit).expect("valid"), counts);
        assert!(check(&commit).is_ok());
    }

    #[test]
    fn a_required_fact_that_is_unknown_stops() {
        let fact = Fact {
            tag: REQUIRED + 4,
            bytes: Default::default(),
        };
        let commit = Commit {
            facts: vec![fact],
            ..Commit::default()
        };
        assert!(check(&commit).unwrap_err().contains("newer version"));
    }
}
