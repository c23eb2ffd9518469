//! SUBSCRIBE: a relation's changes, each transaction's together, as they happen.

use crate::changefeed::Remembered;
use crate::coordinator::Shared;
use crate::error::Error;
use everview_dataflow::{DataflowId, SubscribeBatch, SubscribeReceiver};
use everview_repr::{
    ColumnDesc, Datum, Diff, RelationDesc, Row, RowArena, ScalarType, SqlState, Timestamp, numeric,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// A subscription under way. Dropping it ends its dataflow.
pub struct Subscription {
    pub(crate) desc: Arc<RelationDesc>,
    shared: Arc<Shared>,
    dataflow: DataflowId,
    receiver: SubscribeReceiver,
    as_of: Timestamp,
    up_to: Option<Timestamp>,
    snapshot: bool,
    progress: bool,
    ended: bool,
    /// Progress is known up to here.
    upper: Timestamp,
    columns: usize,
    ready: VecDeque<Row>,
    /// For one that is derived from the log: how it goes on once it is near the present.
    remembered: Option<Remembered>,
}

/// How a subscription starts and ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub as_of: Timestamp,
    pub up_to: Option<Timestamp>,
    pub snapshot: bool,
    pub progress: bool,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("upper", &self.upper)
            .finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.compute.drop_dataflow(self.dataflow);
    }
}

/// The columns of a subscription to a relation: `mz_timestamp`, with PROGRESS `mz_progressed`, `mz_diff`, and the
/// relation's.
pub fn subscription_desc(relation: &RelationDesc, progress: bool) -> RelationDesc {
    let mut desc = RelationDesc::new([("mz_timestamp", ScalarType::Numeric.not_null())]);
    let mut push = |name: &str, ty| {
        desc.columns.push(ColumnDesc {
            name: name.to_string(),
            ty,
            origin: None,
        });
    };
    if progress {
        push("mz_progressed", ScalarType::Bool.not_null());
    }
    push("mz_diff", ScalarType::Int64.nullable());
    for column in &relation.columns {
        push(
            &column.name,
            column
                .ty
                .clone()
                .with_nullable(progress || column.ty.nullable),
        );
    }
    desc
}

impl Subscription {
    pub(crate) fn new(
        shared: Arc<Shared>,
        dataflow: DataflowId,
        receiver: SubscribeReceiver,
        relation: &RelationDesc,
        bounds: Bounds,
    ) -> Subscription {
        let Bounds {
            as_of,
            up_to,
            snapshot,
            progress,
        } = bounds;
        let mut subscription = Subscription {
            desc: Arc::new(subscription_desc(relation, progress)),
            shared,
            dataflow,
            receiver,
            as_of,
            up_to,
            snapshot,
            progress,
            ended: false,
            upper: as_of,
            columns: relation.arity(),
            ready: VecDeque::new(),
            remembered: None,
        };
        if progress {
            let row = subscription.progress_row(as_of);
            subscription.ready.push_back(row);
        }
        subscription
    }

    /// Says how it may go on in memory.
    pub(crate) fn follow_in_memory(&mut self, remembered: Remembered) {
        self.remembered = Some(remembered);
    }

    /// Goes on in memory, if all before `upper` has been taken and memory shows what comes after.
    fn hand_over(&mut self, upper: Timestamp) -> Result<(), Error> {
        let Some(remembered) = self.remembered.as_ref().filter(|_| !self.ended) else {
            return Ok(());
        };
        let at = upper.previous();
        let Some((dataflow, receiver)) = remembered.from(&self.shared, at, self.up_to)? else {
            return Ok(());
        };
        let derived = std::mem::replace(&mut self.dataflow, dataflow);
        self.shared.compute.drop_dataflow(derived);
        self.receiver = receiver;
        // What is there at that time has been given.
        (self.as_of, self.snapshot, self.remembered) = (at, false, None);
        Ok(())
    }

    /// The columns of its rows.
    pub fn desc(&self) -> &Arc<RelationDesc> {
        &self.desc
    }

    /// Rows that are there already, at most that many.
    pub(crate) fn take_ready(&mut self, most: usize) -> Vec<Row> {
        let n = self.ready.len().min(most);
        self.ready.drain(..n).collect()
    }

    /// Puts rows back in front.
    pub(crate) fn give_back(&mut self, rows: Vec<Row>) {
        rows.into_iter()
            .rev()
            .for_each(|row| self.ready.push_front(row));
    }

    /// Takes in what has arrived, without waiting.
    pub(crate) fn poll(&mut self) -> Result<(), Error> {
        while !self.ended {
            match self.receiver.try_next().map_err(too_slow)? {
                Some(batch) => {
                    self.take(batch.updates, batch.upper);
                    self.hand_over(batch.upper)?;
                }
                None => break,
            }
        }
        Ok(())
    }

    /// Waits for the next rows; `None` when it has ended at UP TO.
    ///
    /// Errors: a reader that is too slow, or a failed expression, ends the subscription. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, Error> {
        loop {
            self.poll()?;
            if !self.ready.is_empty() {
                return Ok(Some(self.take_ready(usize::MAX)));
            }
            if self.ended {
                return Ok(None);
            }
            match self.receiver.next().await.map_err(too_slow)? {
                Some(batch) => {
                    self.take(batch.updates, batch.upper);
                    self.hand_over(batch.upper)?;
                }
                None => self.ended = true,
            }
        }
    }

    /// Waits for the next changes as they are, in place of [`Subscription::next`]; `None` when it has ended at UP TO.
    pub async fn next_changes(&mut self) -> Result<Option<SubscribeBatch>, Error> {
        if self.ended {
            return Ok(None);
        }
        let Some(mut batch) = self.receiver.next().await.map_err(too_slow)? else {
            self.ended = true;
            return Ok(None);
        };
        let end = self.up_to.unwrap_or(Timestamp::MAX);
        let wanted = |time: Timestamp| time < end && (self.snapshot || time > self.as_of);
        batch.updates.retain(|(_, time, _)| wanted(*time));
        self.ended = batch.upper >= end;
        self.hand_over(batch.upper)?;
        batch.upper = batch.upper.min(end);
        Ok(Some(batch))
    }

    /// Whether it has ended and everything was taken.
    pub(crate) fn is_finished(&self) -> bool {
        self.ended && self.ready.is_empty()
    }

    fn take(&mut self, updates: Vec<(Row, Timestamp, Diff)>, upper: Timestamp) {
        let end = self.up_to.unwrap_or(Timestamp::MAX);
        for (row, time, diff) in updates {
            if time >= end || (!self.snapshot && time <= self.as_of) {
                continue;
            }
            let out = self.change_row(&row, time, diff);
            self.ready.push_back(out);
        }
        self.upper = upper.min(end).max(self.upper);
        if self.progress {
            let row = self.progress_row(self.upper);
            self.ready.push_back(row);
        }
        self.ended = upper >= end;
    }

    fn change_row(&self, row: &Row, time: Timestamp, diff: Diff) -> Row {
        let arena = RowArena::new();
        let time = timestamp(time, &arena);
        let progressed = self.progress.then_some(Datum::Bool(false));
        let head = [time]
            .into_iter()
            .chain(progressed)
            .chain([Datum::Int64(diff)]);
        Row::pack(head.chain(row.iter()))
    }

    fn progress_row(&self, time: Timestamp) -> Row {
        let arena = RowArena::new();
        let head = [timestamp(time, &arena), Datum::Bool(true), Datum::Null];
        Row::pack(
            head.into_iter()
                .chain(std::iter::repeat_n(Datum::Null, self.columns)),
        )
    }
}

/// A timestamp as `mz_timestamp` shows it.
pub(crate) fn timestamp(time: Timestamp, arena: &RowArena) -> Datum<'_> {
    let micros = i64::try_from(time.0).unwrap_or(i64::MAX);
    arena.numeric(&numeric::Numeric::from(micros))
}

fn too_slow(error: everview_dataflow::SubscribeError) -> Error {
    match error {
        everview_dataflow::SubscribeError::Eval(error) => error.into(),
        everview_dataflow::SubscribeError::TooSlow { resume } => {
            let message = "the subscription was ended because its reader is too slow";
            Error::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
                .with_detail("More changes are waiting than the server keeps for one reader.")
                .with_hint(format!(
                    "Resume with SUBSCRIBE ... WITH (SNAPSHOT = false) AS OF {}.",
                    resume.0
                ))
        }
        everview_dataflow::SubscribeError::Stopped => Error::shutting_down(),
    }
}
