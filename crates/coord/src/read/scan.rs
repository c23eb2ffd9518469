//! A table's rows as they come: LIMIT without ORDER BY, until there are enough; COPY TO, as the client takes them.

use super::Interrupt;
use super::finish::{Finish, fails};
use crate::commits;
use crate::coordinator::SnapshotGuard;
use crate::error::Error;
use crate::verify::aside;
use everview_dataflow::TableReader;
use everview_expr::{Id, MapFilterProject};
use everview_optimize::physical::{DataflowPlan, Plan};
use everview_repr::{Diff, GlobalId, Packer, Row, RowArena, SqlState, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Pieces of a stream that wait for its reader.
const AHEAD: usize = 2;

/// A table of which rows are asked for, in no order.
pub(crate) struct Scan {
    table: GlobalId,
    /// The columns that the query was planned for.
    width: usize,
    mfp: MapFilterProject,
}

/// The scan that a plan is, if it reads one table and nothing but filters and projects.
pub(crate) fn of(plan: &DataflowPlan) -> Option<Scan> {
    let Plan::Get {
        id: Id::Global(table),
        mfp,
    } = &plan.plan
    else {
        return None;
    };
    // Commits are not rows of the store.
    if commits::is(*table) {
        return None;
    }
    Some(Scan {
        table: *table,
        width: *plan.sources.get(table)?,
        mfp: mfp.clone(),
    })
}

/// The scan that answers a query of so many rows: with no filter that could fail on a row that is not met.
pub(crate) fn limited(plan: &DataflowPlan, finish: &Finish<'_>) -> Option<(Scan, u64)> {
    let rows = finish.needed()?;
    let scan = of(plan).filter(|_| finish.order_by.is_empty())?;
    let total = !scan.mfp.predicates.iter().any(|(_, p)| p.can_fail());
    total.then_some((scan, rows))
}

impl Scan {
    /// So many rows, or all there are.
    pub async fn read(
        self,
        tables: Arc<dyn TableReader>,
        as_of: Timestamp,
        rows: u64,
        interrupt: &impl Interrupt,
    ) -> Result<Vec<(Row, Diff)>, Error> {
        let read = move |stop: &AtomicBool| {
            let (mut found, mut left) = (Vec::new(), rows);
            self.run(&*tables, as_of, |row, diff| {
                if left > 0 {
                    left = left.saturating_sub(diff.unsigned_abs());
                    found.push((row, diff));
                }
                Ok(left > 0 && !stop.load(Ordering::Relaxed))
            })?;
            Ok(found)
        };
        aside(interrupt, read).await
    }

    /// All rows, projected, on a thread that waits for whoever takes them; what they are as of stays readable meanwhile.
    pub fn stream(
        self,
        tables: Arc<dyn TableReader>,
        snapshot: SnapshotGuard,
        project: Vec<usize>,
    ) -> RowStream {
        /// Rows of a piece.
        const PIECE: usize = 1024;
        let (sender, pieces) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(PIECE);
            let result = self.run(&*tables, snapshot.timestamp(), |row, diff| {
                let datums = row.unpack();
                let row = Row::pack(project.iter().map(|column| datums[*column]));
                fails(&row)?;
                let times = usize::try_from(diff.unsigned_abs()).unwrap_or(usize::MAX);
                for row in std::iter::repeat_n(row, times) {
                    piece.push(row);
                    if piece.len() == PIECE {
                        let full = std::mem::replace(&mut piece, Vec::with_capacity(PIECE));
                        if sender.blocking_send(Ok(full)).is_err() {
                            return Ok(false);
                        }
                    }
                }
                Ok(true)
            });
            // A reader that is gone misses nothing.
            let _ = sender.blocking_send(result.map(|()| piece));
        });
        RowStream { pieces }
    }

    /// Gives row after row until `take` has enough.
    fn run(
        &self,
        tables: &dyn TableReader,
        as_of: Timestamp,
        mut take: impl FnMut(Row, Diff) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let (mut arena, mut packer) = (RowArena::new(), Packer::default());
        for chunk in tables.scan(self.table, as_of, 0, 1) {
            for (row, diff) in chunk.map_err(|e| Error::new(SqlState::DATA_CORRUPTED, e))? {
                let mut datums = row.unpack();
                datums.truncate(self.width);
                let made = self.mfp.evaluate(&mut datums, &arena, &mut packer)?;
                drop(datums);
                arena.clear();
                if let Some(made) = made
                    && !take(made, diff)?
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Rows as they are read.
#[derive(Debug)]
pub struct RowStream {
    pieces: mpsc::Receiver<Result<Vec<Row>, Error>>,
}

impl RowStream {
    /// The next rows; `None` when there are no more.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, Error> {
        self.pieces.recv().await.transpose()
    }
}
