//! What a sequenced transaction is in the log.

use super::Sequenced;
use crate::effects::CARRIED;
use crate::passwords::PASSWORDS;
use crate::producers::PRODUCERS;
use crate::readers::READERS;
use crate::{clock, codec, facts};
use everview_catalog::catalog::{self, CATALOG_COLLECTION};
use everview_log::{Commit, Payload};
use everview_repr::{Diff, GlobalId, Row};

/// The log record of a sequenced transaction.
pub(super) fn record(sequenced: &Sequenced) -> Commit {
    let mut payloads = Vec::new();
    for (id, rows) in &sequenced.changes {
        payloads.extend(payload(*id, rows));
    }
    payloads.extend(payload(PRODUCERS, &sequenced.producer_changes));
    payloads.extend(payload(PASSWORDS, &sequenced.password_changes));
    payloads.extend(payload(READERS, &sequenced.reader_changes));
    payloads.extend(payload(CARRIED, &sequenced.carried));
    let mut objects = Vec::new();
    for change in &sequenced.catalog_changes {
        objects.extend(change.old.iter().map(|o| (catalog::to_row(o), -1)));
        objects.extend(change.new.iter().map(|o| (catalog::to_row(o), 1)));
    }
    payloads.extend(payload(CATALOG_COLLECTION, &objects));
    let written = sequenced.request.writes.values();
    Commit {
        timestamp: sequenced.timestamp.0,
        wall_clock: clock::wall_clock(),
        transaction: sequenced.request.transaction,
        facts: vec![facts::rows(&row_counts(sequenced))],
        payloads,
        chunks: written.flat_map(|w| w.chunks.iter().copied()).collect(),
    }
}

/// The changes of a collection; none if there are none.
pub(super) fn payload(collection: GlobalId, rows: &[(Row, Diff)]) -> Option<Payload> {
    let changes = rows.iter().map(|(row, diff)| (row.as_ref(), *diff));
    (!rows.is_empty()).then(|| Payload {
        collection: u64::from(collection.0),
        bytes: codec::encode(changes).into(),
    })
}

/// How many rows of each table come and go.
fn row_counts(sequenced: &Sequenced) -> Vec<facts::Rows> {
    let writes = sequenced.request.writes.iter();
    let written = writes.filter(|(_, w)| !w.is_empty());
    written
        .map(|(id, writes)| {
            let sum = |sign: Diff| {
                let of = writes.rows.values().map(|diff| (diff * sign).max(0) as u64);
                of.sum::<u64>()
            };
            facts::Rows {
                collection: *id,
                inserted: sum(1) + writes.chunk_rows,
                deleted: sum(-1),
            }
        })
        .collect()
}
