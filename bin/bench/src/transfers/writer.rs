//! Writes transfers in numbered batches, and goes on after a crash where the last one was committed.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Fault, Run};
use crate::session::{Session, SessionError};
use tokio_postgres::SimpleQueryMessage;

/// Sizes of transactions, in turn.
const SIZES: [u64; 4] = [1, 20, 500, 2_000];

/// Writes a share of the transfers.
pub struct Writer {
    pub number: u64,
    /// Transfers to write.
    pub share: u64,
    pub accounts: u32,
    pub seed: u64,
}

impl Writer {
    /// Writes all of them.
    pub async fn run(self, run: Arc<Run>) -> Result<(), Fault> {
        loop {
            let Some(session) = run.connect().await else {
                continue;
            };
            match self.write(&session, &run).await {
                Ok(()) => return Ok(()),
                // It was killed.
                Err(_) if session.client.is_closed() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn write(&self, session: &Session, run: &Run) -> Result<(), SessionError> {
        session
            .run(&format!("SET everview.producer = 'writer {}'", self.number))
            .await?;
        let mut batch = last_sequence(session).await?;
        let mut written: u64 = (0..batch).map(|batch| self.size(batch)).sum();
        while written < self.share {
            let size = self.size(batch).min(self.share - written);
            let insert = self.insert(batch, written, size);
            batch += 1;
            session
                .run(&format!(
                    "BEGIN; SET LOCAL everview.sequence = {batch}; {insert}; COMMIT"
                ))
                .await?;
            written += size;
            run.committed.fetch_add(size, Ordering::Relaxed);
        }
        Ok(())
    }

    fn size(&self, batch: u64) -> u64 {
        SIZES[(batch % SIZES.len() as u64) as usize]
    }

    /// The rows of a batch: the same whenever they are asked for.
    fn insert(&self, batch: u64, written: u64, size: u64) -> String {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ (self.number << 32) ^ (batch << 40));
        let mut insert = "INSERT INTO transfers VALUES ".to_string();
        for row in 0..size {
            let id = (self.number << 40) + written + row;
            let debtor = random.random_range(0..self.accounts);
            let creditor = random.random_range(0..self.accounts);
            let amount = random.random_range(1..1000);
            let comma = if row == 0 { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(insert, "{comma}({id}, {debtor}, {creditor}, {amount})");
        }
        insert
    }
}

async fn last_sequence(session: &Session) -> Result<u64, SessionError> {
    let answer = session.run("SHOW everview.last_sequence").await?;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(row.and_then(|text| text.parse().ok()).unwrap_or(0))
}
