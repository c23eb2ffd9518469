//! When to kill: a seeded plan of each round.
//!
//! Invariant: a plan is a function of seed and round; what the server happens to be doing at that moment is not.

use std::time::{Duration, Instant};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc::UnboundedReceiver;

use super::client::Signal;
use super::write::Kind;

/// How long to wait for the moment that a plan names.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a round ends and the next begins.
#[derive(Debug)]
pub struct Plan {
    /// What the kill waits for; none is only a time.
    pub signal: Option<Signal>,
    /// No earlier than this after the start.
    after: Duration,
    /// From the signal to the kill.
    delay: Duration,
    /// Kills of the restarting server, each a share of the time that its last start took.
    pub in_recovery: Vec<f64>,
    /// Kill once more so long after connections are accepted, while views hydrate.
    pub in_hydration: Option<Duration>,
    /// Workers of the restarted server.
    pub workers: u16,
}

impl Plan {
    /// A round's plan.
    pub fn new(rng: &mut ChaCha8Rng) -> Plan {
        let (signal, delay) = match rng.random_range(0..20) {
            0..7 => (None, 0),
            7..12 => (Some(Signal::Commit), 5_000),
            12..16 => (Some(Signal::Copy), 1_500_000),
            16..18 => (Some(Signal::CopyEnd), 200_000),
            _ => (Some(Signal::Ddl), 500_000),
        };
        let recoveries = if rng.random_bool(0.3) {
            rng.random_range(1..=2)
        } else {
            0
        };
        Plan {
            signal,
            after: Duration::from_millis(rng.random_range(50..2_000)),
            delay: Duration::from_micros(rng.random_range(0..=delay)),
            in_recovery: (0..recoveries)
                .map(|_| rng.random_range(0.0..1.1))
                .collect(),
            in_hydration: rng
                .random_bool(0.3)
                .then(|| Duration::from_millis(rng.random_range(0..400))),
            workers: rng.random_range(1..=2),
        }
    }

    /// What the first client begins with, so that the moment comes.
    pub fn first(&self) -> Option<Kind> {
        match self.signal? {
            Signal::Commit => None,
            Signal::Copy | Signal::CopyEnd => Some(Kind::Load),
            Signal::Ddl => Some(Kind::Create),
        }
    }

    /// The moment's name.
    pub fn moment(&self) -> &'static str {
        match self.signal {
            None => "at any time",
            Some(Signal::Commit) => "in a commit",
            Some(Signal::Copy) => "in a COPY",
            Some(Signal::CopyEnd) => "at the end of a COPY",
            Some(Signal::Ddl) => "in DDL",
        }
    }

    /// Returns at the moment of the kill.
    pub async fn moment_comes(&self, signals: &mut UnboundedReceiver<Signal>) {
        let start = Instant::now();
        // COPY and DDL of the first client are awaited at once, since they may be the round's only ones.
        if matches!(self.signal, None | Some(Signal::Commit)) {
            tokio::time::sleep(self.after).await;
            while signals.try_recv().is_ok() {}
        }
        if let Some(wanted) = self.signal {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let comes = async {
                while let Some(signal) = signals.recv().await {
                    if signal == wanted {
                        return;
                    }
                }
            };
            // Without the signal it is a kill at any time.
            let _ = tokio::time::timeout(left, comes).await;
        }
        // The runtime's clock ticks in milliseconds; a commit takes less.
        std::thread::sleep(self.delay);
    }
}
