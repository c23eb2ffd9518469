//! Tables as the log alone has them: nothing is asked of the store.
//!
//! One reading of the log, which checks all of it on the way, finds where each table's changes are; rows are then read
//! from there as they are asked for. Memory is bounded by the number of commits, not of rows.

use crate::error::Error;
use crate::pieces::{self, Piece};
use crate::tables::Tables;
use everview_dataflow::{ChangeChunks, RowChunks, TableReader};
use everview_log::Reader;
use everview_repr::{GlobalId, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// About how many rows a piece has, for progress.
const ROWS_A_PIECE: u64 = 1 << 10;

/// Where the changes of all tables are, from the log's beginning to a time.
pub(crate) struct History {
    /// For what tables are like; their rows are not asked for.
    tables: Arc<Tables>,
    pieces: BTreeMap<GlobalId, Vec<Piece>>,
    /// Commits read.
    pub commits: u64,
}

impl History {
    /// Reads the log up to a commit's time, or one that has a commit after it. Takes long; ends early when `stop` is set.
    ///
    /// Errors: XX001 where the log is damaged, saying where.
    pub fn read(
        reader: &Reader,
        tables: Arc<Tables>,
        up_to: Timestamp,
        stop: &AtomicBool,
    ) -> Result<History, Error> {
        let mut history = History {
            tables,
            pieces: BTreeMap::new(),
            commits: 0,
        };
        let read = reader.commits(up_to.0, &mut |position, commit| {
            if stop.load(Ordering::Relaxed) {
                return Err("stopped".into());
            }
            history.commits += 1;
            for (table, pieces) in pieces::of(&commit, position) {
                history.pieces.entry(table).or_default().extend(pieces);
            }
            Ok(())
        });
        read?;
        Ok(history)
    }

    /// A table's changes after one time and up to another, all at their own times.
    fn between(
        &self,
        table: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        (shard, shards): (usize, usize),
    ) -> ChangeChunks {
        let Some(known) = self.tables.get(table) else {
            return Box::new(std::iter::empty());
        };
        let all = self.pieces.get(&table).map_or(&[][..], Vec::as_slice);
        let own = all
            .iter()
            .filter(|piece| piece.timestamp > after && piece.timestamp <= up_to)
            .skip(shard)
            .step_by(shards.max(1));
        let own: Vec<_> = own.copied().map(Ok).collect();
        self.tables.read_pieces(known, Box::new(own.into_iter()))
    }
}

impl TableReader for History {
    fn scan(&self, table: GlobalId, as_of: Timestamp, shard: usize, shards: usize) -> RowChunks {
        let changes = self.between(table, Timestamp::MIN, as_of, (shard, shards));
        Box::new(changes.map(|chunk| {
            let rows = chunk?.into_iter();
            Ok(rows.map(|(row, _, diff)| (row, diff)).collect())
        }))
    }

    fn changes(
        &self,
        table: GlobalId,
        after: Timestamp,
        up_to: Timestamp,
        shard: usize,
        shards: usize,
    ) -> ChangeChunks {
        self.between(table, after, up_to, (shard, shards))
    }

    fn estimate(&self, table: GlobalId) -> u64 {
        self.pieces
            .get(&table)
            .map_or(0, |pieces| pieces.len() as u64 * ROWS_A_PIECE)
    }
}
