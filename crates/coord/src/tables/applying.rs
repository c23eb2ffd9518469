//! What a durable commit changes in the store: rows, keys, the system's own collections, counts.
//!
//! **Invariant.** It is a function of the commits up to this one: the sequencer and recovery both come here, and a store that
//! is built anew from the log is as it was.

use super::{CHUNK_ROWS, COUNTS, SUSPENDED, Tables, store_error};
use crate::codec;
use crate::effects::{self, CARRIED, EFFECTS, Subject};
use crate::error::Error;
use crate::facts;
use crate::passwords::PASSWORDS;
use crate::pieces;
use crate::producers::PRODUCERS;
use crate::readers::READERS;
use crate::table::{Stored, StoredTable};
use crate::windows;
use everview_catalog::catalog::CATALOG_COLLECTION;
use everview_log::{Commit, Position};
use everview_repr::{Datum, Diff, GlobalId, Row, Timestamp};
use everview_store::Change;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A change of one of the store's own collections.
type System = windows::Change;

impl Tables {
    /// Applies a durable commit to the store: its rows, then what it wrote ahead. The caller advances the store.
    pub fn apply(
        &self,
        timestamp: Timestamp,
        changes: &BTreeMap<GlobalId, Vec<(Row, Diff)>>,
        (commit, position): (&Commit, Position),
        tables: &BTreeMap<GlobalId, Arc<StoredTable>>,
    ) -> Result<(), Error> {
        self.past.note(commit, position)?;
        let mut system = self.windows.forget(&self.store, timestamp)?;
        system.extend(self.system_changes((commit, position), tables)?);
        let mut all = Vec::new();
        for (id, rows) in changes {
            if let Some(table) = tables.get(id) {
                let from = all.len();
                for (row, diff) in rows {
                    all.extend(table.stored(&table.widened(row.clone()), *diff, timestamp));
                }
                system.extend(self.windows.note(&table.windows, timestamp, &all[from..]));
            }
        }
        for chunk in &commit.chunks {
            let id = GlobalId(chunk.collection as u32);
            let Some(table) = tables.get(&id).filter(|table| table.has_rows()) else {
                continue;
            };
            let from = all.len();
            for (row, diff) in self.read_chunk(chunk.position)? {
                all.extend(table.stored(&table.widened(row), diff, timestamp));
            }
            system.extend(self.windows.note(&table.windows, timestamp, &all[from..]));
            if all.len() >= 64 * CHUNK_ROWS {
                self.apply_stored(timestamp, &std::mem::take(&mut all), &[])?;
            }
        }
        self.apply_stored(timestamp, &all, &system)
    }

    /// What a commit changes beside rows: the catalog, producers, passwords, pieces of append-only tables, counts.
    fn system_changes(
        &self,
        (commit, position): (&Commit, Position),
        tables: &BTreeMap<GlobalId, Arc<StoredTable>>,
    ) -> Result<Vec<System>, Error> {
        let timestamp = Timestamp(commit.timestamp);
        let mut system = Vec::new();
        let own = [CATALOG_COLLECTION, SUSPENDED, PRODUCERS, PASSWORDS, READERS];
        let own = own.map(|id| u64::from(id.0));
        for payload in commit
            .payloads
            .iter()
            .filter(|p| own.contains(&p.collection))
        {
            for change in codec::decode(&payload.bytes) {
                let (row, diff) = change.map_err(Error::internal)?;
                let key = match row.iter().next() {
                    Some(Datum::Oid(id)) => id.to_be_bytes().to_vec(),
                    Some(Datum::Text(name)) => name.as_bytes().to_vec(),
                    _ => return Err(Error::internal("a system row without an id or a name")),
                };
                system.push((payload.collection, key, row.bytes().to_vec(), diff));
            }
        }
        system.extend(self.counts(commit)?);
        for (id, pieces) in pieces::of(commit, position) {
            let Some(table) = tables.get(&id) else {
                continue;
            };
            if table.append_only {
                system.extend(pieces.iter().zip(0..).map(|(piece, number)| {
                    let key = pieces::key(timestamp, number).to_vec();
                    (pieces::collection(id), key, pieces::value(piece), 1)
                }));
            } else if pieces.iter().any(|piece| piece.chunk) {
                self.bulk.write().insert((timestamp, id), pieces);
            }
        }
        Ok(system)
    }

    /// What a commit adds to counts: of rows, of effects of its tables and of its producer, and what it carries.
    fn counts(&self, commit: &Commit) -> Result<Vec<System>, Error> {
        let mut system = Vec::new();
        let mut changes = 0;
        for count in facts::rows_of(commit).map_err(Error::internal)? {
            let net = count.inserted.wrapping_sub(count.deleted) as i64;
            *self.counts.write().entry(count.collection).or_insert(0) += net;
            let key = count.collection.0.to_be_bytes().to_vec();
            system.push((COUNTS, key, vec![], net));
            let gross = count.inserted.saturating_add(count.deleted);
            changes += gross;
            let table = Subject::Table(count.collection);
            system.push((EFFECTS, table.key(), vec![], gross as i64));
            self.tallies.committed(table, gross);
        }
        let mut producers: BTreeMap<String, Diff> = BTreeMap::new();
        for payload in &commit.payloads {
            let of = GlobalId(u32::try_from(payload.collection).unwrap_or(0));
            if of != PRODUCERS && of != CARRIED {
                continue;
            }
            for change in codec::decode(&payload.bytes) {
                let (row, diff) = change.map_err(Error::internal)?;
                if of == PRODUCERS
                    && let Some(Datum::Text(name)) = row.iter().next()
                {
                    *producers.entry(name.to_string()).or_default() += diff.max(0);
                } else if let Some((table, kind, key)) = effects::carried_key(&row) {
                    let key = effects::carried_store_key(kind, &key);
                    system.push((effects::carried_collection(table), key, vec![], diff));
                }
            }
        }
        for (name, there) in producers {
            let producer = Subject::Producer(name.into());
            let change = if there > 0 {
                self.tallies.committed(producer.clone(), changes);
                changes as i64
            } else {
                -(self.tallies.forget(&producer) as i64)
            };
            system.push((EFFECTS, producer.key(), vec![], change));
        }
        Ok(system)
    }

    pub(crate) fn apply_stored(
        &self,
        timestamp: Timestamp,
        changes: &[Stored],
        system: &[System],
    ) -> Result<(), Error> {
        let rows = changes.iter().map(|s| Change {
            collection: s.collection,
            key: &s.key,
            value: &s.value,
            diff: s.diff,
        });
        let system = system.iter().map(|(collection, key, value, diff)| Change {
            collection: *collection,
            key,
            value,
            diff: *diff,
        });
        let borrowed: Vec<Change<'_>> = rows.chain(system).collect();
        if borrowed.is_empty() {
            return Ok(());
        }
        self.store
            .apply_part(timestamp, &borrowed)
            .map_err(store_error)
    }
}
