//! Where panics are caught: evaluating expressions of one dataflow.
//!
//! A dataflow that panicked is suspended: from then on it evaluates nothing and puts out nothing more, its
//! workers drop it, and the reason stays to be shown. Others go on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Whether a dataflow can be trusted, shared by its workers.
#[derive(Debug, Default)]
pub struct Health {
    broken: AtomicBool,
    reason: Mutex<Option<String>>,
}

impl Health {
    /// Runs an evaluation; `None` if it panicked, or another one did before.
    #[inline]
    pub fn run<R>(&self, evaluate: impl FnOnce() -> R) -> Option<R> {
        if self.is_broken() {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(evaluate)) {
            Ok(result) => Some(result),
            Err(panic) => {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_string())
                    .or_else(|| panic.downcast_ref::<String>().cloned());
                let text = text.unwrap_or_else(|| "unknown cause".to_string());
                self.suspend(format!("an expression could not be evaluated: {text}"));
                None
            }
        }
    }

    /// Suspends the dataflow. The first reason stays.
    pub fn suspend(&self, reason: String) {
        self.reason.lock().get_or_insert(reason);
        self.broken.store(true, Ordering::Release);
    }

    /// Whether it is suspended.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Why it is suspended.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().clone()
    }
}
