//! Whether a dataflow can be trusted, and where panics are caught: evaluating expressions of one dataflow.
//!
//! A dataflow that panicked is suspended: from then on it evaluates nothing and puts out nothing more, its
//! workers drop it, and the reason stays to be shown. Others go on, but for those that read it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use everview_repr::{EvalError, SqlState};
use parking_lot::Mutex;

/// Told once when a dataflow fails by its own fault.
pub type FailureHook = Box<dyn Fn(&str) + Send + Sync>;

/// Whether a dataflow can be trusted, shared by its workers.
#[derive(Default)]
pub struct Health {
    broken: AtomicBool,
    error: Mutex<Option<EvalError>>,
    on_failure: Option<FailureHook>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health")
            .field("error", &self.error.lock())
            .finish_non_exhaustive()
    }
}

impl Health {
    /// Of a dataflow whose own failures are told to `on_failure`.
    pub fn new(on_failure: Option<FailureHook>) -> Health {
        Health {
            on_failure,
            ..Health::default()
        }
    }

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
                let message = format!("an expression could not be evaluated: {text}");
                self.fail(EvalError::new(SqlState::INTERNAL_ERROR, message));
                None
            }
        }
    }

    /// Suspends a dataflow that failed by its own fault, and would again. The first reason stays.
    pub fn fail(&self, error: EvalError) {
        let reason = error.message().to_string();
        if self.set(error)
            && let Some(hook) = &self.on_failure
        {
            hook(&reason);
        }
    }

    /// Suspends a dataflow for a cause outside it. The first reason stays.
    pub fn suspend(&self, reason: String) {
        self.set(EvalError::new(SqlState::INTERNAL_ERROR, reason));
    }

    /// Evaluates nothing more: nobody waits for the dataflow, and there is no reason to tell.
    pub fn abandon(&self) {
        self.broken.store(true, Ordering::Release);
    }

    fn set(&self, error: EvalError) -> bool {
        let mut first = self.error.lock();
        let is_first = first.is_none();
        first.get_or_insert(error);
        self.broken.store(true, Ordering::Release);
        is_first
    }

    /// Whether it is suspended.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Why it is suspended.
    pub fn error(&self) -> Option<EvalError> {
        self.error.lock().clone()
    }

    /// Why it is suspended, in words.
    pub fn reason(&self) -> Option<String> {
        self.error().map(|error| error.message().to_string())
    }
}
