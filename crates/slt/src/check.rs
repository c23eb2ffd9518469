//! One result against its expectation.
//!
//! Invariant: the number of columns, the number of values and every value must be as expected; a
//! result of the right prefix is not a pass. The module runs nothing and knows no mode beyond
//! [`Order`].

use std::collections::BTreeMap;

use sqllogictest::{ExpectedError, ResultMode, SortMode, StatementExpect};

use crate::engine::{EngineError, Outcome, Rows};
use crate::script::{Expected, Query};
use crate::value;

/// What was expected and what came, for the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The expectation, as text.
    pub expected: String,
    /// What came instead, as text.
    pub actual: String,
}

/// Whether the order of an unsorted result can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The rows come in the order that the query asks for.
    Kept,
    /// The order was lost: rows are compared as a multiset. Only for expectations in clear.
    Lost,
}

/// The hashes of labelled results, by label.
pub type Labels = BTreeMap<String, String>;

/// Checks a statement's outcome.
///
/// # Errors
/// The mismatch.
pub fn statement(
    expected: &StatementExpect,
    outcome: &Result<Outcome, EngineError>,
) -> Result<(), Mismatch> {
    match (expected, outcome) {
        (StatementExpect::Ok, Ok(_)) => Ok(()),
        (StatementExpect::Count(count), Ok(outcome)) => {
            let actual = match outcome {
                Outcome::Statement(count) => *count,
                Outcome::Rows(rows) => rows.rows.len() as u64,
            };
            if actual == *count {
                Ok(())
            } else {
                Err(mismatch(format!("{count} rows"), format!("{actual} rows")))
            }
        }
        (StatementExpect::Error(expected), Err(error)) => failed(expected, error),
        (StatementExpect::Error(expected), Ok(outcome)) => {
            Err(mismatch(expected.to_string(), shown(outcome)))
        }
        (StatementExpect::Ok | StatementExpect::Count(_), Err(error)) => {
            Err(mismatch("success".to_string(), format!("error {error}")))
        }
    }
}

/// Checks a query's outcome, and its label against earlier results of the same label.
///
/// # Errors
/// The mismatch.
pub fn query(
    query: &Query,
    outcome: &Result<Outcome, EngineError>,
    order: Order,
    labels: &mut Labels,
) -> Result<(), Mismatch> {
    match (&query.expected, outcome) {
        (Expected::Error(expected), Err(error)) => failed(expected, error),
        (Expected::Error(expected), Ok(outcome)) => {
            Err(mismatch(expected.to_string(), shown(outcome)))
        }
        (expected, Err(error)) => Err(mismatch(
            render_expected(expected),
            format!("error {error}"),
        )),
        (expected, Ok(Outcome::Statement(_))) => Err(mismatch(
            render_expected(expected),
            "a statement without a result".to_string(),
        )),
        (_, Ok(Outcome::Rows(rows))) => result(query, rows, order, labels),
    }
}

/// An error that came against one that was expected. A lost connection never matches.
fn failed(expected: &ExpectedError, error: &EngineError) -> Result<(), Mismatch> {
    if !error.is_connection() && expected.is_match(&error.message, Some(&error.sqlstate)) {
        Ok(())
    } else {
        Err(mismatch(expected.to_string(), format!("error {error}")))
    }
}

/// A result set against the expected values.
fn result(query: &Query, rows: &Rows, order: Order, labels: &mut Labels) -> Result<(), Mismatch> {
    let width = rows.columns.len();
    let any_width = query.letters.is_empty() && query.style == ResultMode::RowWise;
    if width != query.letters.len() && !any_width {
        let expected = format!("{} columns", query.letters.len());
        return Err(mismatch(
            expected,
            format!("{width} columns: {}", rows.columns.join(", ")),
        ));
    }
    let sort = match order {
        Order::Lost if query.sort == SortMode::NoSort => SortMode::RowSort,
        _ => query.sort,
    };
    match (query.style, &query.expected) {
        (ResultMode::RowWise, Expected::Lines(lines)) => by_rows(lines, rows, sort),
        _ => by_values(query, rows, sort, order, labels),
    }
}

/// One row a line, values separated by blanks.
fn by_rows(lines: &[String], rows: &Rows, sort: SortMode) -> Result<(), Mismatch> {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut expected: Vec<String> = lines.iter().map(|line| words(line)).collect();
    let mut actual: Vec<String> = match sort {
        SortMode::ValueSort => {
            let values = rows.rows.iter().flatten();
            values
                .map(|value| words(&value::verbatim(value.as_deref())))
                .collect()
        }
        _ => rows.rows.iter().map(|row| words(&row_text(row))).collect(),
    };
    if sort != SortMode::NoSort {
        expected.sort();
        actual.sort();
    }
    if expected == actual {
        Ok(())
    } else {
        Err(mismatch(expected.join("\n"), actual.join("\n")))
    }
}

fn row_text(row: &[Option<String>]) -> String {
    row.iter()
        .map(|value| value::verbatim(value.as_deref()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// One value a line, or a hash over all of them.
fn by_values(
    query: &Query,
    rows: &Rows,
    sort: SortMode,
    order: Order,
    labels: &mut Labels,
) -> Result<(), Mismatch> {
    let formatted = rows.rows.iter().map(|row| {
        let values = row.iter().zip(&query.letters);
        values
            .map(|(value, letter)| value::format(letter, value.as_deref()))
            .collect::<Vec<_>>()
    });
    let values = value::flatten(formatted.collect(), sort);
    let sum = value::hash(&values);
    let same = match &query.expected {
        Expected::Hash { count, md5 } => values.len() == *count && sum == *md5,
        Expected::Lines(lines) => same_lines(lines, &values, query.letters.len(), sort, order),
        Expected::Error(_) => false,
    };
    if !same {
        return Err(mismatch(
            render_expected(&query.expected),
            render(&values, &sum, query.threshold),
        ));
    }
    match &query.label {
        Some(label) if order == Order::Kept => same_label(label, sum, labels),
        _ => Ok(()),
    }
}

/// Expected lines have lost their trailing blanks, so values are compared without theirs.
fn same_lines(
    lines: &[String],
    values: &[String],
    width: usize,
    sort: SortMode,
    order: Order,
) -> bool {
    let trimmed = values.iter().map(|value| value.trim_end());
    if order == Order::Kept || width == 0 {
        return trimmed.eq(lines.iter().map(String::as_str));
    }
    let rows = lines.chunks(width).map(<[String]>::to_vec).collect();
    trimmed.eq(value::flatten(rows, sort).iter().map(String::as_str))
}

fn same_label(label: &str, sum: String, labels: &mut Labels) -> Result<(), Mismatch> {
    match labels.get(label) {
        Some(first) if *first != sum => Err(mismatch(
            format!("the result of the other queries labelled {label}, hashing to {first}"),
            format!("a result hashing to {sum}"),
        )),
        Some(_) => Ok(()),
        None => {
            labels.insert(label.to_string(), sum);
            Ok(())
        }
    }
}

fn mismatch(expected: String, actual: String) -> Mismatch {
    Mismatch { expected, actual }
}

fn render_expected(expected: &Expected) -> String {
    match expected {
        Expected::Lines(lines) => lines.join("\n"),
        Expected::Hash { count, md5 } => format!("{count} values hashing to {md5}"),
        Expected::Error(error) => error.to_string(),
    }
}

/// How many values of a hashed result a report shows.
const SHOWN: usize = 16;

fn render(values: &[String], sum: &str, threshold: u64) -> String {
    if threshold == 0 || values.len() as u64 <= threshold {
        return values.join("\n");
    }
    let more = if values.len() > SHOWN { ", ..." } else { "" };
    let first = values
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    format!("{} values hashing to {sum}\n({first}{more})", values.len())
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Rows(rows) => format!("{} rows", rows.rows.len()),
        Outcome::Statement(count) => format!("success, {count} rows"),
    }
}

#[cfg(test)]
mod tests;
