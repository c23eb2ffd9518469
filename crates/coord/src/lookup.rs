//! Keys as a transaction finds them below its own writes: at its snapshot, and in what it has written ahead to the log.

use crate::clock;
use crate::error::Error;
use crate::table::{StoredTable, UniqueKey};
use crate::tables::Tables;
use crate::transaction::Lookup;
use everview_log::ChunkRef;
use everview_repr::{Row, Timestamp};

/// Look-ups at a snapshot.
pub struct AsOf<'t> {
    tables: &'t Tables,
    as_of: Timestamp,
    /// What a commit would be given now: until then keys count that are remembered for a time.
    now: Timestamp,
}

impl AsOf<'_> {
    /// Look-ups at a snapshot, now.
    pub fn new(tables: &Tables, as_of: Timestamp) -> AsOf<'_> {
        AsOf {
            tables,
            as_of,
            now: clock::next(as_of, clock::wall_clock()),
        }
    }
}

impl Lookup for AsOf<'_> {
    fn row(
        &self,
        table: &StoredTable,
        unique: &UniqueKey,
        key: &[u8],
    ) -> Result<Option<Row>, Error> {
        self.tables.find(table, unique, key, self.as_of)
    }

    fn holds(&self, table: &StoredTable, unique: &UniqueKey, key: &[u8]) -> Result<bool, Error> {
        if unique.is_window() {
            return self.tables.remembers(unique, key, (self.as_of, self.now));
        }
        Ok(self.row(table, unique, key)?.is_some())
    }

    fn is_ahead(
        &self,
        table: &StoredTable,
        unique: &UniqueKey,
        key: &[u8],
        chunks: &[ChunkRef],
    ) -> Result<bool, Error> {
        let same = |row: Row| unique.key(&table.widened(row).unpack()).as_deref() == Some(key);
        for chunk in chunks {
            let rows = self.tables.written_ahead(std::slice::from_ref(chunk))?;
            if rows.into_iter().any(|(row, _)| same(row)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
