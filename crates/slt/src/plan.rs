//! Which statements a batch of views replays: the tables first, then the views, then the rows.
//!
//! For the views of a batch to exist before the data, the statements before the batch's first query
//! are split into those that create objects and those that fill them, and the former go first.
//! Invariant: the split is only made where it cannot change the outcome: all objects are created
//! once, and statements of tables that were dropped again are left out unless a surviving statement
//! mentions such a table. Otherwise there is no plan, and the batch's queries cannot be run this way.

use std::collections::BTreeSet;

use sqllogictest::StatementExpect;

use crate::classify::{Class, Object, classify, mentions};
use crate::script::{Kind, Record};

/// A record as far as replaying it matters.
#[derive(Debug, Clone)]
pub struct Step {
    /// None for what a replay leaves out: queries that read, statements that must fail.
    class: Option<Class>,
    mentions: BTreeSet<String>,
}

/// The statements that build a batch's tables, as indexes into the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Those that create objects and set session state, in order.
    pub schema: Vec<usize>,
    /// Those that change rows and indexes, in order.
    pub rows: Vec<usize>,
}

/// Queries whose views are created together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Indexes of the queries, ascending. Statements between them change rows and indexes only.
    pub queries: Vec<usize>,
    /// How to build the tables up to the first query.
    pub prefix: Prefix,
}

/// The script as steps.
pub fn steps(records: &[Record]) -> Vec<Step> {
    let step = |record: &Record| {
        let class = classify(&record.sql);
        let left_out = class == Class::Read
            || matches!(record.kind, Kind::Statement(StatementExpect::Error(_)))
            || matches!(&record.kind, Kind::Query(query) if matches!(query.expected, crate::script::Expected::Error(_)));
        Step {
            class: (!left_out).then_some(class),
            mentions: mentions(&record.sql),
        }
    };
    records.iter().map(step).collect()
}

/// Whether a step replays between the queries of one batch.
pub fn moves_rows(step: &Step) -> bool {
    matches!(
        step.class,
        Some(Class::Rows(_) | Class::CreateIndex(..) | Class::DropIndex(_))
    )
}

/// The queries in batches of at most `size`, and those that no plan exists for.
pub fn batches(steps: &[Step], queries: &[usize], size: usize) -> (Vec<Batch>, Vec<usize>) {
    let mut batches = Vec::new();
    let mut without = Vec::new();
    let mut rest = queries;
    while let Some(first) = rest.first() {
        let count = 1 + rest
            .windows(2)
            .take(size.max(1) - 1)
            .take_while(|pair| only_rows(&steps[pair[0]..pair[1]]))
            .count();
        let (batch, after) = rest.split_at(count);
        match prefix(&steps[..*first]) {
            Some(prefix) => batches.push(Batch {
                queries: batch.to_vec(),
                prefix,
            }),
            None => without.extend_from_slice(batch),
        }
        rest = after;
    }
    (batches, without)
}

fn only_rows(steps: &[Step]) -> bool {
    steps
        .iter()
        .all(|step| step.class.is_none() || moves_rows(step))
}

/// A statement that a replay runs, and the table that it belongs to.
struct Live<'a> {
    index: usize,
    step: &'a Step,
    table: String,
}

/// The plan for all the steps, if there is one.
fn prefix(steps: &[Step]) -> Option<Prefix> {
    let mut live: Vec<Live<'_>> = Vec::new();
    let mut dropped: Vec<(usize, &String)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let table = match &step.class {
            None => continue,
            Some(Class::Create(object)) => folded(object),
            Some(Class::Rows(table) | Class::CreateIndex(_, table)) => table.clone(),
            Some(Class::DropIndex(names)) => table_of_indexes(&live, names)?,
            Some(Class::Set) => String::new(),
            Some(Class::DropTable(names)) => {
                live.retain(|statement| !names.contains(&statement.table));
                dropped.extend(names.iter().map(|name| (index, name)));
                continue;
            }
            Some(_) => return None,
        };
        live.push(Live { index, step, table });
    }
    // A survivor from before a drop read or referred to the table that is left out.
    let survives = |(at, name): &(usize, &String)| {
        live.iter()
            .any(|statement| statement.index < *at && statement.step.mentions.contains(*name))
    };
    if dropped.iter().any(survives) {
        return None;
    }
    let (schema, rows): (Vec<_>, Vec<_>) = live
        .iter()
        .partition(|statement| !moves_rows(statement.step));
    let indexes = |statements: Vec<&Live<'_>>| {
        statements
            .into_iter()
            .map(|statement| statement.index)
            .collect()
    };
    Some(Prefix {
        schema: indexes(schema),
        rows: indexes(rows),
    })
}

/// The one table that the indexes are on.
fn table_of_indexes(live: &[Live<'_>], names: &[String]) -> Option<String> {
    let tables: BTreeSet<&String> = live
        .iter()
        .filter(|statement| match &statement.step.class {
            Some(Class::CreateIndex(Some(index), _)) => names.contains(index),
            _ => false,
        })
        .map(|statement| &statement.table)
        .collect();
    let mut tables = tables.into_iter();
    tables.next().filter(|_| tables.next().is_none()).cloned()
}

fn folded(object: &Object) -> String {
    let tokens = crate::tokens::tokenize(&object.name);
    tokens
        .iter()
        .filter_map(crate::tokens::Token::name)
        .collect::<Vec<_>>()
        .join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::parse;

    /// A script of one statement or query a line; queries start with SELECT.
    fn planned(lines: &str, size: usize) -> (Vec<Batch>, Vec<usize>) {
        let directive = |line: &str| {
            if line.starts_with("SELECT") {
                "query I rowsort"
            } else {
                "statement ok"
            }
        };
        let text: String = lines
            .lines()
            .map(|line| format!("{}\n{line}\n\n", directive(line)))
            .collect();
        let records = parse("f", &text, &[]).unwrap().records;
        let queries: Vec<usize> = (0..records.len())
            .filter(|at| matches!(records[*at].kind, Kind::Query(_)))
            .collect();
        batches(&steps(&records), &queries, size)
    }

    #[test]
    fn tables_come_before_rows_and_queries_share_a_batch_across_changes() {
        let (batches, without) = planned(
            "CREATE TABLE a(x int)\nINSERT INTO a VALUES (1)\nCREATE TABLE b(x int)\nINSERT INTO b SELECT * FROM a\n\
             SELECT 1\nDELETE FROM a\nSELECT 2\nSELECT 3",
            2,
        );
        assert!(without.is_empty());
        let prefix = Prefix {
            schema: vec![0, 2],
            rows: vec![1, 3],
        };
        assert_eq!(
            batches[0],
            Batch {
                queries: vec![4, 6],
                prefix
            }
        );
        let prefix = Prefix {
            schema: vec![0, 2],
            rows: vec![1, 3, 5],
        };
        assert_eq!(
            batches[1],
            Batch {
                queries: vec![7],
                prefix
            }
        );
    }

    #[test]
    fn a_dropped_table_takes_its_statements_along_and_ends_a_batch() {
        let (batches, without) = planned(
            "CREATE TABLE a(x int)\nCREATE INDEX i ON a (x)\nINSERT INTO a VALUES (1)\nSELECT 1\nDROP INDEX i\n\
             DROP TABLE a\nCREATE TABLE a(y int)\nINSERT INTO a VALUES (2)\nSELECT 2",
            50,
        );
        assert!(without.is_empty());
        let plans: Vec<_> = batches
            .into_iter()
            .map(|batch| (batch.queries, batch.prefix.schema, batch.prefix.rows))
            .collect();
        assert_eq!(
            plans,
            [(vec![3], vec![0], vec![1, 2]), (vec![8], vec![6], vec![7])]
        );
    }

    #[test]
    fn tables_replaced_one_by_one_leave_nothing_of_the_old_ones() {
        let replaced = "CREATE TABLE a(x int)\nCREATE TABLE b(x int)\nINSERT INTO b SELECT x FROM a\nDROP TABLE a\n\
                        CREATE TABLE a(x int)\nDROP TABLE b\nCREATE TABLE b(x int)\nSELECT 1";
        assert_eq!(planned(replaced, 50).0[0].prefix.schema, [4, 6]);
    }

    #[test]
    fn what_cannot_be_moved_has_no_plan() {
        for before in [
            "ALTER TABLE a ADD COLUMN y int",
            "BEGIN",
            "CREATE TABLE b AS SELECT * FROM a",
        ] {
            let (batches, without) =
                planned(&format!("CREATE TABLE a(x int)\n{before}\nSELECT 1"), 50);
            assert_eq!((batches.len(), without), (0, vec![2]), "{before}");
        }
        let survivor = "CREATE TABLE a(x int)\nCREATE TABLE b(x int)\nINSERT INTO b SELECT x FROM a\nDROP TABLE a\nSELECT 1";
        assert_eq!(planned(survivor, 50).1, [4]);
    }
}
