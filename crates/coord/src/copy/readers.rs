//! From records to rows, on threads of their own once there is much to read.
//!
//! Records are cut in order, which is quick; reading their fields and values is most of a load's work, and does not
//! depend on other records. Batches go round the threads and come back in the order in which they went, so that neither rows
//! nor errors tell how many threads there were.

use super::fields::Fields;
use super::rows::{Rows, at};
use crate::error::Error;
use everview_repr::Row;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Text of a batch.
const BATCH_BYTES: usize = 1 << 17;

/// Batches that a thread has before the oldest is waited for.
const AHEAD: usize = 2;

/// Threads of one COPY at most.
const MOST_THREADS: usize = 4;

/// Reads one record after the other.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// The table's name.
    pub table: String,
    pub fields: Fields,
    pub rows: Rows,
}

/// Rows with their lines.
pub(super) type Lined = Vec<(Row, u64)>;

impl Reader {
    fn record(&mut self, record: &str, line: u64, out: &mut Lined) -> Result<(), Error> {
        let Reader {
            table,
            fields,
            rows,
        } = self;
        let row = fields.split(record).and_then(|fields| rows.row(&fields));
        let row = row.map_err(|error| at(error, table, line, Some(record)))?;
        out.extend(row.map(|row| (row, line)));
        Ok(())
    }

    fn batch(&mut self, batch: &Batch, out: &mut Lined) -> Result<(), Error> {
        let mut start = 0;
        for (end, line) in &batch.ends {
            self.record(&batch.text[start..*end], *line, out)?;
            start = *end;
        }
        Ok(())
    }
}

/// Records end to end, each with its line.
#[derive(Debug, Default)]
struct Batch {
    text: String,
    ends: Vec<(usize, u64)>,
}

#[derive(Debug)]
struct Thread {
    batches: SyncSender<Batch>,
    rows: Receiver<Result<Lined, Error>>,
}

/// Reads records, in order.
#[derive(Debug)]
pub(super) struct Readers {
    /// That of the calling thread.
    pub reader: Reader,
    batch: Batch,
    threads: Vec<Thread>,
    /// Batches that went to threads, and that came back.
    sent: usize,
    taken: usize,
    /// The first error was given out: what comes after it counts for nothing.
    failed: bool,
}

impl Readers {
    pub fn new(reader: Reader) -> Readers {
        Readers {
            reader,
            batch: Batch::default(),
            threads: Vec::new(),
            sent: 0,
            taken: 0,
            failed: false,
        }
    }

    /// Takes a record; appends rows of this or earlier ones.
    pub fn push(&mut self, record: &str, line: u64, out: &mut Lined) -> Result<(), Error> {
        self.batch.text.push_str(record);
        self.batch.ends.push((self.batch.text.len(), line));
        if self.batch.text.len() < BATCH_BYTES {
            return Ok(());
        }
        if self.threads.is_empty() {
            self.start();
        }
        if self.sent - self.taken >= self.threads.len() * AHEAD {
            self.take(out)?;
        }
        self.send(out)
    }

    /// Appends the rows of all records taken, unless there was an error before.
    pub fn finish(&mut self, out: &mut Lined) -> Result<(), Error> {
        while self.taken < self.sent && !self.failed {
            self.take(out)?;
        }
        if self.failed {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let read = self.reader.batch(&batch, out);
        self.failed = read.is_err();
        read
    }

    /// As many threads as there are processors beside the caller's, one at least; none if none can be had.
    fn start(&mut self) {
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        for _ in 0..(processors - 1).clamp(1, MOST_THREADS) {
            let mut reader = self.reader.clone();
            let (batches, inbox) = sync_channel::<Batch>(AHEAD);
            let (outbox, rows) = sync_channel(AHEAD);
            let read = move || {
                for batch in inbox {
                    let mut rows = Vec::with_capacity(batch.ends.len());
                    let read = reader.batch(&batch, &mut rows).map(|()| rows);
                    if outbox.send(read).is_err() {
                        return;
                    }
                }
            };
            match crate::thread::start("copy", read) {
                Ok(_) => self.threads.push(Thread { batches, rows }),
                Err(error) => tracing::warn!(%error, "COPY goes on without another thread"),
            }
        }
    }

    fn send(&mut self, out: &mut Lined) -> Result<(), Error> {
        if self.threads.is_empty() {
            return self.finish(out);
        }
        let thread = &self.threads[self.sent % self.threads.len()];
        let sent = thread.batches.send(std::mem::take(&mut self.batch));
        self.sent += 1;
        sent.map_err(|_| gone())
    }

    /// Appends the rows of the oldest batch that a thread has.
    fn take(&mut self, out: &mut Lined) -> Result<(), Error> {
        let Some(thread) = self.threads.get(self.taken % self.threads.len().max(1)) else {
            return Ok(());
        };
        self.taken += 1;
        let read = thread.rows.recv().unwrap_or_else(|_| Err(gone()));
        self.failed = read.is_err();
        out.append(&mut read?);
        Ok(())
    }
}

fn gone() -> Error {
    Error::internal("a thread that reads rows of COPY has ended")
}
