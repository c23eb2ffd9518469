//! `everview.commits`: every transaction that the log holds, as rows.
//!
//! The rows come from the log as they are asked for, a bounded number at a time, and flow into the query's dataflow as a
//! table's would: a filter or an aggregate over all commits takes no more memory than what it keeps. Of the newest few,
//! only these are read.

use crate::clock;
use crate::codec;
use crate::error::Error;
use crate::facts;
use crate::history::History;
use crate::producers::{self, PRODUCERS};
use crate::read::Finish;
use everview_catalog::{Catalog, builtin};
use everview_dataflow::RowChunks;
use everview_expr::Id;
use everview_log::{Commit, Position};
use everview_optimize::physical::Plan;
use everview_repr::{Datum, Diff, GlobalId, Packer, Row, RowArena, SqlState, Timestamp, array};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The column of the timestamp.
const TIMESTAMP: usize = 0;

/// Commits whose rows are made at once.
const CHUNK: usize = 1024;

/// Whether a relation is the system table of commits.
pub(crate) fn is(table: GlobalId) -> bool {
    static ID: LazyLock<Option<GlobalId>> = LazyLock::new(builtin::commits);
    *ID == Some(table)
}

/// The rows of the commits up to a time, those that are one reader's of some.
pub(crate) fn rows(
    history: &History,
    up_to: Timestamp,
    (shard, shards): (usize, usize),
) -> RowChunks {
    let commits = history.commits(up_to).into_iter();
    let own = commits.skip(shard).step_by(shards.max(1));
    rows_of(history, up_to, own)
}

/// The rows of a query that asks for so many of the newest commits, by falling timestamp, whatever they are: only these
/// are read. None if it asks for anything else.
pub(crate) fn newest(
    history: &History,
    plan: &Plan,
    as_of: Timestamp,
    finish: &Finish<'_>,
) -> Option<Result<Vec<(Row, Diff)>, Error>> {
    let Plan::Get {
        id: Id::Global(id),
        mfp,
    } = plan
    else {
        return None;
    };
    let order = finish.order_by.first()?;
    let by_time = mfp.projection.get(order.column) == Some(&TIMESTAMP) && order.descending;
    if !is(*id) || !mfp.predicates.is_empty() || !by_time {
        return None;
    }
    let wanted = usize::try_from(finish.needed()?).unwrap_or(usize::MAX);
    let mut commits = history.commits(as_of);
    let newest = commits.split_off(commits.len().saturating_sub(wanted));
    let read = || {
        let arena = RowArena::new();
        let mut packer = Packer::default();
        let mut out = Vec::with_capacity(newest.len());
        for chunk in rows_of(history, as_of, newest.into_iter()) {
            for (row, diff) in chunk.map_err(|e| Error::new(SqlState::DATA_CORRUPTED, e))? {
                let row = mfp.evaluate(&mut row.unpack(), &arena, &mut packer)?;
                out.extend(row.map(|row| (row, diff)));
            }
        }
        Ok(out)
    };
    Some(read())
}

fn rows_of(
    history: &History,
    up_to: Timestamp,
    mut commits: impl Iterator<Item = (Timestamp, Position)> + Send + 'static,
) -> RowChunks {
    let log = history.log().clone();
    let mut names = Names {
        catalog: Catalog::new(),
        changes: history.definitions(up_to).into_iter().peekable(),
    };
    Box::new(std::iter::from_fn(move || {
        let mut rows = Vec::new();
        for (timestamp, position) in commits.by_ref().take(CHUNK) {
            let read = log.read_commit(position).map_err(|e| e.to_string());
            let row = read.and_then(|commit| names.row(timestamp, &commit));
            match row {
                Ok(row) => rows.push((row, 1)),
                Err(error) => return Some(Err(error)),
            }
        }
        (!rows.is_empty()).then_some(Ok(rows))
    }))
}

/// What tables were called at the time of a commit.
struct Names<I: Iterator> {
    catalog: Catalog,
    changes: std::iter::Peekable<I>,
}

impl<I: Iterator<Item = (Timestamp, Vec<everview_catalog::catalog::Change>)>> Names<I> {
    fn row(&mut self, timestamp: Timestamp, commit: &Commit) -> Result<Row, String> {
        // Of a table that the commit drops, the name from before is the one.
        let mut dropped = Catalog::new();
        while let Some((_, changes)) = self.changes.next_if(|(at, _)| *at <= timestamp) {
            dropped = self.catalog.clone();
            self.catalog = self.catalog.apply(&changes);
        }
        let counts = facts::rows_of(commit)?;
        let sum = |of: fn(&facts::Rows) -> u64| counts.iter().map(of).fold(0, u64::saturating_add);
        let (inserted, deleted) = (sum(|c| c.inserted), sum(|c| c.deleted));
        let touched: BTreeSet<String> = counts
            .iter()
            .map(|count| match self.catalog.get(count.collection) {
                Some(_) => self.catalog.full_name(count.collection),
                None => dropped.full_name(count.collection),
            })
            .collect();
        let touched: Vec<_> = touched.iter().map(|name| Datum::Text(name)).collect();
        let touched = array::build_vector(&touched);
        let stamp = stamp(commit).map_err(|e| e.message)?;
        let (producer, sequence) = match &stamp {
            Some((name, sequence)) => (Datum::Text(name), sequence.map(Datum::Int64)),
            None => (Datum::Null, None),
        };
        let number = |n: u64| Datum::Int64(i64::try_from(n).unwrap_or(i64::MAX));
        Ok(Row::pack([
            Datum::Int64(producers::micros(timestamp)),
            Datum::TimestampTz(clock::to_timestamptz(commit.wall_clock)),
            number(commit.transaction),
            producer,
            sequence.unwrap_or(Datum::Null),
            number(inserted),
            number(deleted),
            Datum::Array(array::Array::from_packed(&touched)),
        ]))
    }
}

/// The producer whose state a commit changes, and the number of its batch if the commit is one.
fn stamp(commit: &Commit) -> Result<Option<(String, Option<i64>)>, Error> {
    let of_producers = |p: &&everview_log::Payload| p.collection == u64::from(PRODUCERS.0);
    let mut found = None;
    for payload in commit.payloads.iter().filter(of_producers) {
        for change in codec::decode(&payload.bytes) {
            let (row, diff): (Row, Diff) = change.map_err(Error::internal)?;
            if diff > 0 {
                found = producers::batch_at(&row, Timestamp(commit.timestamp));
            }
        }
    }
    Ok(found)
}
