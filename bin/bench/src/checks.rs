//! What a command checks, one line each, and how it came out.

use std::io::{self, Write};

/// Counts what passed and what failed.
pub struct Checks<'o, W> {
    out: &'o mut W,
    failed: u32,
    passed: u32,
}

impl<W: Write> Checks<'_, W> {
    /// Nothing is checked yet.
    pub fn new(out: &mut W) -> Checks<'_, W> {
        Checks {
            out,
            failed: 0,
            passed: 0,
        }
    }

    /// Prints how one came out: what was wrong, or nothing.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn check(&mut self, what: &str, fault: Option<String>) -> io::Result<()> {
        match fault {
            None => {
                self.passed += 1;
                writeln!(self.out, "passed: {what}")
            }
            Some(fault) => {
                self.failed += 1;
                writeln!(self.out, "FAILED: {what}: {fault}")
            }
        }
    }

    /// Prints `N passed, N failed`; true if nothing was wrong.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn end(self) -> io::Result<bool> {
        writeln!(self.out, "{} passed, {} failed", self.passed, self.failed)?;
        Ok(self.failed == 0)
    }
}
