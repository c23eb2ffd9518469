//! Tables in memory.

use std::collections::BTreeMap;

use everview_repr::{Diff, GlobalId, Row, Timestamp};
use parking_lot::Mutex;

use crate::command::{ChangeChunks, RowChunks, TableReader};

/// Rows a chunk.
const CHUNK: usize = 3;

/// All changes of all tables so far.
#[derive(Default)]
pub struct Tables {
    changes: Mutex<BTreeMap<GlobalId, Vec<(Row, Timestamp, Diff)>>>,
}

impl Tables {
    pub fn add(&self, table: GlobalId, rows: &[(Row, Timestamp, Diff)]) {
        self.changes
            .lock()
            .entry(table)
            .or_default()
            .extend_from_slice(rows);
    }

    fn part(
        &self,
        table: GlobalId,
        shard: usize,
        shards: usize,
        keep: impl Fn(Timestamp) -> bool,
    ) -> Vec<(Row, Timestamp, Diff)> {
        let changes = self.changes.lock();
        let all = changes.get(&table).map(Vec::as_slice).unwrap_or_default();
        let mine = all
            .iter()
            .enumerate()
            .filter(|(n, (_, time, _))| n % shards == shard && keep(*time));
        mine.map(|(_, change)| change.clone()).collect()
    }
}

impl TableReader for Tables {
    fn scan(&self, table: GlobalId, as_of: Timestamp, shard: usize, shards: usize) -> RowChunks {
        let rows = self.part(table, shard, shards, |time| time <= as_of);
        let rows: Vec<_> = rows.into_iter().map(|(row, _, diff)| (row, diff)).collect();
        let chunks: Vec<_> = rows.chunks(CHUNK).map(|chunk| Ok(chunk.to_vec())).collect();
        Box::new(chunks.into_iter())
    }

    fn changes(
        &self,
        table: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> ChangeChunks {
        let rows = self.part(table, shard, shards, |time| after < time && time <= up_to);
        let chunks: Vec<_> = rows.chunks(CHUNK).map(|chunk| Ok(chunk.to_vec())).collect();
        Box::new(chunks.into_iter())
    }

    fn estimate(&self, table: GlobalId) -> u64 {
        self.changes
            .lock()
            .get(&table)
            .map_or(0, |changes| changes.len() as u64)
    }
}
