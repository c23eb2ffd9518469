//! Readers of changefeeds: durable names, each with the time up to which it has taken all changes.
//!
//! A reader acknowledges by `everview.ack(name, t)`, in a transaction with whatever else it writes here, and goes on by
//! `SUBSCRIBE ... FROM READER name` after the last time that it acknowledged. Acknowledging is idempotent: an older time
//! changes nothing, so that it can be repeated after a lost connection.
//!
//! **Invariant.** Readers are a function of the log: each is one row of a system collection, changed by the commit that
//! acknowledges. This module knows no sessions and no log.

use crate::error::Error;
use everview_repr::{Datum, Diff, GlobalId, Row, SqlState, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The system collection of readers: name (text), acknowledged (bigint), wall clock of the acknowledgement
/// (microseconds since 1970, bigint).
pub(crate) const READERS: GlobalId = GlobalId(8);

/// The longest name, in bytes: that of any identifier.
const LONGEST_NAME: usize = 63;

/// The most readers that there may be.
const MOST: usize = 10_000;

/// How far a reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reader {
    /// It has all changes up to this time.
    pub acknowledged: Timestamp,
    /// Microseconds since 1970.
    pub at: u64,
}

/// What a transaction does to readers: how far each is, or that it is forgotten.
pub(crate) type Acknowledged = BTreeMap<Arc<str>, Option<Timestamp>>;

/// All readers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Readers(BTreeMap<Arc<str>, Reader>);

impl Readers {
    /// From the rows of [`READERS`].
    pub fn load(rows: &[Row]) -> Result<Readers, Error> {
        let read = |row: &Row| match row.unpack().as_slice() {
            [
                Datum::Text(name),
                Datum::Int64(acknowledged),
                Datum::Int64(at),
            ] => {
                let reader = Reader {
                    acknowledged: Timestamp(u64::try_from(*acknowledged).ok()?),
                    at: u64::try_from(*at).ok()?,
                };
                Some((Arc::from(*name), reader))
            }
            _ => None,
        };
        let all: Option<_> = rows.iter().map(read).collect();
        all.map(Readers)
            .ok_or_else(|| Error::internal("a reader's row cannot be read"))
    }

    /// A reader by name.
    pub fn get(&self, name: &str) -> Option<&Reader> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Reader)> {
        self.0.iter().map(|(name, reader)| (&**name, reader))
    }

    /// Carries a transaction out at a wall clock's time: the changes of [`READERS`].
    pub fn apply(&mut self, acknowledged: &Acknowledged, wall: u64) -> Vec<(Row, Diff)> {
        let mut changes = Vec::new();
        for (name, after) in acknowledged {
            let before = self.0.get(name).copied();
            let after = match after {
                Some(time) if before.is_some_and(|b| *time <= b.acknowledged) => continue,
                Some(time) => Some(Reader {
                    acknowledged: *time,
                    at: wall,
                }),
                None => None,
            };
            changes.extend(before.map(|reader| (row(name, &reader), -1)));
            match after {
                Some(reader) => {
                    self.0.insert(name.clone(), reader);
                    changes.push((row(name, &reader), 1));
                }
                None => drop(self.0.remove(name)),
            }
        }
        changes
    }

    /// Whether a reader of this name may be or come.
    ///
    /// Errors: 42602 for a name that cannot be one, 54000 when there are too many.
    pub fn check(&self, name: &str) -> Result<(), Error> {
        if name.is_empty() || name.len() > LONGEST_NAME {
            let message = format!(
                "a reader's name has 1 to {LONGEST_NAME} bytes, not {}",
                name.len()
            );
            return Err(Error::new(SqlState::INVALID_NAME, message));
        }
        if self.get(name).is_none() && self.0.len() >= MOST {
            let message = format!("there are {MOST} readers already");
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
                .with_hint("SELECT everview.drop_reader(name) forgets one."));
        }
        Ok(())
    }
}

fn row(name: &str, reader: &Reader) -> Row {
    let number = |n: u64| Datum::Int64(i64::try_from(n).unwrap_or(i64::MAX));
    Row::pack([
        Datum::Text(name),
        number(reader.acknowledged.0),
        number(reader.at),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledged(name: &str, time: Option<u64>) -> Acknowledged {
        BTreeMap::from([(Arc::from(name), time.map(Timestamp))])
    }

    #[test]
    fn an_acknowledgement_moves_forward_only_and_rows_give_the_readers_back() {
        let mut readers = Readers::default();
        assert_eq!(readers.apply(&acknowledged("r", Some(10)), 1).len(), 1);
        assert_eq!(readers.apply(&acknowledged("r", Some(9)), 2), vec![]);
        assert_eq!(readers.apply(&acknowledged("r", Some(10)), 2), vec![]);
        let moved = readers.apply(&acknowledged("r", Some(12)), 3);
        assert_eq!(
            moved.iter().map(|(_, diff)| diff).collect::<Vec<_>>(),
            [&-1, &1]
        );
        let there: Vec<Row> = vec![moved[1].0.clone()];
        assert_eq!(Readers::load(&there).expect("valid"), readers);
        readers.apply(&acknowledged("r", None), 4);
        assert_eq!(readers, Readers::default());
        assert_eq!(readers.apply(&acknowledged("r", None), 5), vec![]);
        assert!(Readers::load(&[Row::pack([Datum::Int64(1)])]).is_err());
    }
}
