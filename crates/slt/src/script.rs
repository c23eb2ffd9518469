//! A script: a file as the records that concern us, conditions and settings resolved.
//!
//! Invariant: every directive of the file is a record here, a counted skip, or an error with its
//! line; nothing is dropped silently. The format is parsed by the `sqllogictest` crate, with two
//! differences that SQLite's files need: comments after a condition, and conditions before `halt`
//! and `hash-threshold`. The module runs nothing.

use std::path::Path;

use sqllogictest::{
    Condition, Connection, Control, DefaultColumnType, ExpectedError, QueryExpect, ResultMode,
    SortMode, StatementExpect,
};

use crate::value::Letter;

/// Results of more values than this are hashed where the file does not say otherwise, as in
/// `sqllogictest.c`.
pub const DEFAULT_HASH_THRESHOLD: u64 = 8;

/// A parsed file.
#[derive(Debug, Clone)]
pub struct Script {
    /// The path as it was given, for reports and the list of known failures.
    pub name: String,
    /// The records to run, in order.
    pub records: Vec<Record>,
    /// How many records the labels ruled out.
    pub skipped: usize,
}

/// A statement or a query, with the line of its directive, counted from 1.
#[derive(Debug, Clone)]
pub struct Record {
    /// Line of the `statement` or `query` directive.
    pub line: u32,
    /// The SQL text, without a closing semicolon.
    pub sql: String,
    /// What is expected of it.
    pub kind: Kind,
}

/// What a record expects.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Success, a count of rows, or an error.
    Statement(StatementExpect),
    /// A result or an error.
    Query(Query),
}

/// A query's expectation.
#[derive(Debug, Clone)]
pub struct Query {
    /// A letter for each column; empty in a file that gives rows and no letters.
    pub letters: Vec<Letter>,
    /// How the result is sorted before it is compared.
    pub sort: SortMode,
    /// One value or one row a line.
    pub style: ResultMode,
    /// Queries of one label must have equal results.
    pub label: Option<String>,
    /// Results of more values are shown as a hash; 0 for never.
    pub threshold: u64,
    /// The result itself.
    pub expected: Expected,
}

/// A query's expected result.
#[derive(Debug, Clone)]
pub enum Expected {
    /// The lines, in the file's order.
    Lines(Vec<String>),
    /// `N values hashing to MD5`.
    Hash {
        /// How many values.
        count: usize,
        /// The sum in lower-case hexadecimal.
        md5: String,
    },
    /// An error that matches.
    Error(ExpectedError),
}

/// Why a file cannot be read as a script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A line is not in the format.
    #[error("{0}")]
    Parse(#[from] sqllogictest::ParseError),
    /// A directive that this runner does not have.
    #[error("{file}:{line}: {what} is not supported by this runner")]
    Unsupported {
        /// The file.
        file: String,
        /// The line, or 0 where it is not known.
        line: u32,
        /// The directive.
        what: &'static str,
    },
}

/// Reads a file; see [`parse`].
///
/// # Errors
/// See [`ScriptError`].
pub fn read(path: &Path, labels: &[String]) -> Result<Script, ScriptError> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| ScriptError::Io {
        path: name.clone(),
        source,
    })?;
    parse(&name, &String::from_utf8_lossy(&bytes), labels)
}

/// Parses a script. A record runs unless one of its conditions rules it out: `onlyif` a label that
/// is not among `labels`, or `skipif` one that is.
///
/// # Errors
/// A line outside of the format, or a directive that is not supported.
pub fn parse(name: &str, text: &str, labels: &[String]) -> Result<Script, ScriptError> {
    let records =
        sqllogictest::parse_with_name::<DefaultColumnType>(&without_comments(text), name)?;
    let mut builder = Builder::new(name, labels);
    for record in records {
        if !builder.add(record)? {
            break;
        }
    }
    Ok(builder.script)
}

/// Blanks what follows `#` on the directives where SQLite's files put comments, and trailing
/// blanks everywhere, as the original runner does. Line numbers stay.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let directive = ["skipif ", "onlyif ", "halt", "hash-threshold "]
            .iter()
            .any(|word| line.starts_with(word));
        let kept = match line.find('#') {
            Some(at) if directive => &line[..at],
            _ => line,
        };
        out.push_str(kept.trim_end());
        out.push('\n');
    }
    out
}

/// Walks the parsed directives and keeps the settings that hold at each point.
struct Builder<'a> {
    script: Script,
    labels: &'a [String],
    conditions: Vec<Condition>,
    threshold: u64,
    sort: SortMode,
    style: ResultMode,
}

impl<'a> Builder<'a> {
    fn new(name: &str, labels: &'a [String]) -> Self {
        Builder {
            script: Script {
                name: name.to_string(),
                records: Vec::new(),
                skipped: 0,
            },
            labels,
            conditions: Vec::new(),
            threshold: DEFAULT_HASH_THRESHOLD,
            sort: SortMode::NoSort,
            style: ResultMode::ValueWise,
        }
    }

    /// Takes one directive; false after a halt that concerns us.
    fn add(
        &mut self,
        record: sqllogictest::Record<DefaultColumnType>,
    ) -> Result<bool, ScriptError> {
        use sqllogictest::Record as Parsed;
        match record {
            Parsed::Condition(condition) => self.conditions.push(condition),
            Parsed::Halt { .. } => return Ok(!self.applies()),
            Parsed::HashThreshold { threshold, .. } => {
                if self.applies() {
                    self.threshold = threshold;
                }
            }
            Parsed::Control(Control::SortMode(sort)) => self.sort = sort,
            Parsed::Control(Control::ResultMode(style)) => self.style = style,
            Parsed::Statement {
                loc,
                connection,
                sql,
                expected,
                retry,
                ..
            } => {
                self.refuse(&connection, retry.is_some(), loc.line())?;
                self.push(loc.line(), sql, Kind::Statement(expected));
            }
            Parsed::Query {
                loc,
                connection,
                sql,
                expected,
                retry,
                ..
            } => {
                self.refuse(&connection, retry.is_some(), loc.line())?;
                let query = self.query(expected);
                self.push(loc.line(), sql, Kind::Query(query));
            }
            Parsed::Comment(_)
            | Parsed::Newline
            | Parsed::Subtest { .. }
            | Parsed::Connection(_) => {}
            Parsed::Include { loc, .. } => return Err(self.unsupported("include", loc.line())),
            Parsed::System { loc, .. } => return Err(self.unsupported("system", loc.line())),
            Parsed::Sleep { loc, .. } => return Err(self.unsupported("sleep", loc.line())),
            Parsed::Let { loc, .. } => return Err(self.unsupported("let", loc.line())),
            Parsed::Control(_) => return Err(self.unsupported("control substitution", 0)),
            _ => return Err(self.unsupported("a directive unknown to it", 0)),
        }
        Ok(true)
    }

    /// Whether the conditions gathered so far let the next record through; forgets them.
    fn applies(&mut self) -> bool {
        let labels = self.labels;
        let has = |label: &String| labels.contains(label);
        std::mem::take(&mut self.conditions)
            .iter()
            .all(|condition| match condition {
                Condition::OnlyIf { label } => has(label),
                Condition::SkipIf { label } => !has(label),
            })
    }

    fn push(&mut self, line: u32, sql: String, kind: Kind) {
        if self.applies() {
            let sql = sql.trim().trim_end_matches(';').trim_end().to_string();
            self.script.records.push(Record { line, sql, kind });
        } else {
            self.script.skipped += 1;
        }
    }

    fn query(&self, expected: QueryExpect<DefaultColumnType>) -> Query {
        let (letters, sort, style, label, expected) = match expected {
            QueryExpect::Error(error) => (Vec::new(), None, None, None, Expected::Error(error)),
            QueryExpect::Results {
                types,
                sort_mode,
                result_mode,
                label,
                results,
            } => (
                types,
                sort_mode,
                result_mode,
                label,
                hashed(&results).unwrap_or(Expected::Lines(results)),
            ),
        };
        Query {
            letters,
            sort: sort.unwrap_or(self.sort),
            style: style.unwrap_or(self.style),
            label,
            threshold: self.threshold,
            expected,
        }
    }

    fn refuse(&self, connection: &Connection, retry: bool, line: u32) -> Result<(), ScriptError> {
        if *connection != Connection::Default {
            return Err(self.unsupported("a named connection", line));
        }
        if retry {
            return Err(self.unsupported("retry", line));
        }
        Ok(())
    }

    fn unsupported(&self, what: &'static str, line: u32) -> ScriptError {
        ScriptError::Unsupported {
            file: self.script.name.clone(),
            line,
            what,
        }
    }
}

/// `N values hashing to MD5`, alone.
fn hashed(lines: &[String]) -> Option<Expected> {
    let [line] = lines else { return None };
    let (count, md5) = line.split_once(" values hashing to ")?;
    let count = count.parse().ok()?;
    let is_sum = md5.len() == 32 && md5.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sum.then(|| Expected::Hash {
        count,
        md5: md5.to_ascii_lowercase(),
    })
}

#[cfg(test)]
mod tests;
