//! What a run prints.

use std::io::{self, Write};

use super::{Failure, Options, Summary};

/// How many failures are printed.
pub const SHOWN: usize = 20;

/// Failures with place, SQL, expectation and result.
pub fn failures(out: &mut dyn Write, failures: &[Failure]) -> io::Result<()> {
    for failure in failures {
        writeln!(out, "{}:{}", failure.file, failure.line)?;
        block(out, "sql", &failure.sql)?;
        block(out, "expected", &failure.mismatch.expected)?;
        block(out, "actual", &failure.mismatch.actual)?;
        writeln!(out)?;
    }
    Ok(())
}

fn block(out: &mut dyn Write, title: &str, text: &str) -> io::Result<()> {
    writeln!(out, "  {title}:")?;
    for line in text.lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

/// The counts, and the closing line.
pub fn summary(out: &mut dyn Write, options: &Options, summary: &Summary) -> io::Result<()> {
    let hidden = summary.failures.len().saturating_sub(SHOWN);
    if hidden > 0 {
        writeln!(out, "{hidden} more failures not shown")?;
    }
    for what in summary.left_behind.iter().take(SHOWN) {
        writeln!(out, "not dropped: {what}")?;
    }
    let counts = [
        (summary.known, "known failures"),
        (summary.skipped, "for other engines"),
        (summary.not_sampled, "not in the sample"),
        (summary.not_as_view, "not as view"),
        (summary.after_data, "as view after the data"),
        (summary.restarts, "restarts"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !counts.is_empty() {
        writeln!(out, "mode {}: {}", options.mode, counts.join(", "))?;
    }
    writeln!(out, "{} passed, {} failed", summary.passed, summary.failed)
}
