//! The limit on the process's memory.
//!
//! A thread looks at what the process holds a few times a second. Above the limit it ends what takes most: first
//! one-off queries, which fail with 53200, then views, which are suspended; and waits for the room to come back before
//! it ends the next one. What rows take is bounded elsewhere: sources and queues hold bounded pieces.

use crate::coordinator::Shared;
use everview_repr::{EvalError, SqlState};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between looks.
const PERIOD: Duration = Duration::from_millis(100);
/// Looks after an end before another.
const GRACE: u32 = 20;
/// The least part of the limit that a view takes which is suspended for it: a small one would not help.
const PART: u64 = 8;

/// The thread; it ends when this is dropped.
pub(crate) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the watch over memory had panicked");
        }
    }
}

/// Starts the thread, with a limit in bytes.
pub(crate) fn watch(shared: &Arc<Shared>, limit: u64) -> std::io::Result<Watch> {
    let shared = Arc::downgrade(shared);
    let (stop, stopped) = channel();
    let thread = crate::thread::start("memory", move || {
        let mut grace = 0;
        while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
            grace = match grace {
                0 => look(&shared, limit),
                more => more - 1,
            };
        }
    })?;
    Ok(Watch {
        stop: Some(stop),
        thread: Some(thread),
    })
}

/// Looks once; gives the looks to leave out.
fn look(shared: &Weak<Shared>, limit: u64) -> u32 {
    let (Some(held), Some(shared)) = (resident(), shared.upgrade()) else {
        return 0;
    };
    if held <= limit {
        return 0;
    }
    let message = format!(
        "out of memory: the server holds {} MiB, its limit is {} MiB",
        held >> 20,
        limit >> 20
    );
    let error = EvalError::new(SqlState::OUT_OF_MEMORY, message)
        .with_hint("Read fewer rows at once, or raise --memory-limit.");
    if shared.compute.shed(&error, limit / PART) {
        tracing::warn!(held, limit, "the memory limit ended a query or a view");
        return GRACE;
    }
    0
}

/// Bytes of memory that the process holds, as the kernel counts them.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_holds_some_memory() {
        assert!(super::resident().is_some_and(|bytes| bytes > 1 << 20));
    }
}
