//! The list of known failures: what fails, where, and why.
//!
//! One entry a line, `FILE:LINE REASON`, or `FILE:LINE (MODE, MODE) REASON` for some modes only;
//! `#` starts a comment line. FILE matches the end of a script's path, whole components only.
//! Invariant: an entry whose record passes, or that names no record of a script that was run, is
//! itself a failure, so that the list cannot rot.

use std::path::Path;

use crate::modes::Mode;

/// A known failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The end of the script's path.
    pub file: String,
    /// The line of the record's directive.
    pub line: u32,
    /// The modes it concerns; empty for all.
    pub modes: Vec<Mode>,
    /// Why it fails.
    pub reason: String,
}

impl Entry {
    /// Whether it is about a script in a mode.
    pub fn concerns(&self, script: &str, mode: Mode) -> bool {
        Path::new(script).ends_with(&self.file)
            && (self.modes.is_empty() || self.modes.contains(&mode))
    }
}

/// Parses a list.
///
/// # Errors
/// A message that names the line that is no entry.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(at, line)| {
            entry(line.trim()).ok_or_else(|| {
                format!(
                    "line {}: {line:?} is not `FILE:LINE [(MODES)] REASON`",
                    at + 1
                )
            })
        })
        .collect()
}

fn entry(text: &str) -> Option<Entry> {
    let (place, rest) = text.split_once(char::is_whitespace)?;
    let (file, line) = place.rsplit_once(':')?;
    let rest = rest.trim_start();
    let (modes, reason) = match rest.strip_prefix('(') {
        Some(inner) => inner.split_once(')')?,
        None => ("", rest),
    };
    let modes: Option<Vec<Mode>> = modes
        .split(',')
        .map(str::trim)
        .filter(|mode| !mode.is_empty())
        .map(|mode| mode.parse().ok())
        .collect();
    let reason = reason.trim().to_string();
    (!reason.is_empty() && !file.is_empty()).then_some(())?;
    Some(Entry {
        file: file.to_string(),
        line: line.parse().ok()?,
        modes: modes?,
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_give_place_modes_and_reason() {
        let list = parse(
            "# known\n\nsqlite/select1.test:12 (view, view-first) no CASE yet\na.slt:3 why\n",
        )
        .unwrap();
        assert_eq!(list[0].modes, [Mode::View, Mode::ViewFirst]);
        assert_eq!((list[1].line, list[1].reason.as_str()), (3, "why"));
        assert!(list[0].concerns("/x/sql-tests/sqlite/select1.test", Mode::View));
        assert!(!list[0].concerns("/x/sql-tests/sqlite/select1.test", Mode::Select));
        assert!(!list[0].concerns("/x/notsqlite/select1.test", Mode::View));
    }

    #[test]
    fn what_is_no_entry_is_named() {
        for bad in [
            "a.slt 3 why",
            "a.slt:3",
            "a.slt:x why",
            "a.slt:3 (sideways) why",
            "a.slt:3 (view)",
        ] {
            assert!(parse(bad).unwrap_err().starts_with("line 1"), "{bad}");
        }
    }
}
