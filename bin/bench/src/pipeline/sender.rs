//! A sender of ticks, in numbered batches that are the same whenever they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::SimpleQueryMessage;

use super::Failure;
use crate::core::client::copy;
use crate::core::data::Ticks;
use crate::session::Session;

/// Ticks of a batch.
const BATCH: u64 = 10_000;

/// Which ticks a sender sends.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    pub number: u64,
    /// The first one's number, and how many.
    first: u64,
    rows: u64,
    seed: u64,
}

/// What all senders have done.
#[derive(Default)]
pub struct Sent {
    rows: AtomicU64,
    batches: AtomicU64,
    repeated: AtomicU64,
}

impl Sent {
    /// Ticks acknowledged for the first time, about.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Batches sent, and those among them that had been sent before.
    pub fn counts(&self) -> (u64, u64) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (count(&self.batches), count(&self.repeated))
    }
}

impl Sender {
    /// Senders that share the ticks.
    pub fn all(rows: u64, senders: u64, seed: u64) -> Vec<Sender> {
        let share = |number| rows * number / senders;
        let sender = |number| Sender {
            number,
            first: share(number),
            rows: share(number + 1) - share(number),
            seed,
        };
        (0..senders).map(sender).collect()
    }

    /// Its batches are numbered from 1 to this.
    pub fn batches(&self) -> u64 {
        self.rows.div_ceil(BATCH)
    }

    /// A batch as CSV, in pieces.
    pub fn batch(&self, number: u64) -> Vec<Bytes> {
        let before = (number - 1) * BATCH;
        let count = BATCH.min(self.rows - before);
        Ticks::starting(self.seed, self.first + before).csv(count)
    }

    /// Sends what was not sent yet, and what may not have been, over as many connections as it takes.
    pub async fn run(self, url: String, sent: Arc<Sent>) -> Result<(), Failure> {
        loop {
            match Session::connect("Everview", &url).await {
                Ok(session) => match self.write(&session, &sent).await {
                    Ok(()) => return Ok(()),
                    // It was killed.
                    Err(_) if session.client.is_closed() => {}
                    Err(error) => return Err(error),
                },
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn write(&self, session: &Session, sent: &Sent) -> Result<(), Failure> {
        session
            .run(&format!("SET everview.producer = 'sender {}'", self.number))
            .await?;
        let answer = session.run("SHOW everview.last_sequence").await?;
        let last = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        let last: u64 = last.unwrap_or(0);
        // The last one once more, as if its answer had been lost: sometimes it was.
        for number in last.max(1)..=self.batches() {
            let batch = self.batch(number);
            session
                .run(&format!("BEGIN; SET LOCAL everview.sequence = {number}"))
                .await?;
            copy(session, "ticks", &batch).await?;
            session.run("COMMIT").await?;
            sent.batches.fetch_add(1, Ordering::Relaxed);
            match number <= last {
                true => sent.repeated.fetch_add(1, Ordering::Relaxed),
                false => sent.rows.fetch_add(BATCH.min(self.rows), Ordering::Relaxed),
            };
        }
        Ok(())
    }
}
