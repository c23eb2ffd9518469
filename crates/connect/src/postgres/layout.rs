//! What a sink's table looks like, and the statements that write to it.
//!
//! In upsert mode the table has the relation's columns and a unique key. In append mode it has a row for each change:
//! the commit's timestamp and the change's place in it, which are the key, how many copies come or go, and the columns.

use crate::target::{TargetError, Update};
use everview_coord::sinks::SinkDesc;
use everview_repr::{Row, ScalarType, Timestamp};
use std::collections::BTreeMap;

/// What append mode puts in front of the relation's columns; the first two are the key.
const APPEND: [&str; 3] = ["everview_timestamp", "everview_position", "everview_diff"];

/// COPY of what keys come to.
pub(super) const STAGE: &str = "COPY pg_temp.everview_staged FROM STDIN";

/// A column of the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Column {
    pub name: String,
    /// With its modifier, as `format_type` gives it.
    pub declared: String,
    /// Without.
    pub plain: String,
    pub nullable: bool,
}

/// A sink's table.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Quoted, with its schema where one was named.
    pub table: String,
    /// The table of progress, likewise.
    pub progress: String,
    /// The schema, where one was named.
    pub schema: Option<String>,
    /// All columns of the table.
    pub columns: Vec<Column>,
    /// Positions of the key's columns among them.
    pub key: Vec<usize>,
    upsert: bool,
    /// Types of the relation's columns.
    types: Vec<ScalarType>,
}

/// An identifier in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Layout {
    pub fn of(sink: &SinkDesc) -> Layout {
        let target = &sink.target;
        let qualified = |name: &str| match &target.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
            None => quoted(name),
        };
        let bigint = |name: &&str| Column {
            name: name.to_string(),
            declared: "bigint".to_string(),
            plain: "bigint".to_string(),
            nullable: false,
        };
        let upsert = sink.key.is_some();
        let mut columns: Vec<Column> = match upsert {
            true => Vec::new(),
            false => APPEND.iter().map(bigint).collect(),
        };
        columns.extend(sink.columns.columns.iter().map(|c| Column {
            name: c.name.clone(),
            declared: c.ty.scalar.sql_name_with(c.ty.typmod),
            plain: c.ty.scalar.sql_name(),
            nullable: c.ty.nullable,
        }));
        Layout {
            table: qualified(&target.table),
            progress: qualified("everview_sinks"),
            schema: target.schema.clone(),
            columns,
            key: sink.key.clone().unwrap_or_else(|| vec![0, 1]),
            upsert,
            types: sink
                .columns
                .types()
                .into_iter()
                .map(|ty| ty.scalar)
                .collect(),
        }
    }

    pub fn is_upsert(&self) -> bool {
        self.upsert
    }

    /// The types of the relation's columns.
    pub fn types(&self) -> impl Iterator<Item = &ScalarType> {
        self.types.iter()
    }

    /// Refuses a relation's columns that have the names of append mode's own.
    pub fn check_names(&self) -> Result<(), TargetError> {
        let own = self.columns.len() - self.types.len();
        let clash = self.columns[own..]
            .iter()
            .find(|c| own > 0 && APPEND.contains(&c.name.as_str()));
        match clash {
            None => Ok(()),
            Some(column) => {
                let name = &column.name;
                let message = format!(
                    "column {name} has the name of one that the sink adds; rename it in a view"
                );
                Err(TargetError::Refused(message))
            }
        }
    }

    fn list<'a>(&'a self, columns: impl Iterator<Item = &'a usize>) -> String {
        let names: Vec<_> = columns.map(|c| quoted(&self.columns[*c].name)).collect();
        names.join(", ")
    }

    fn all(&self) -> String {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        self.list(all.iter())
    }

    /// Creates the table.
    pub fn create(&self) -> String {
        let columns = self.columns.iter();
        let columns: Vec<_> = columns
            .map(|c| format!("{} {}", quoted(&c.name), c.declared))
            .collect();
        let unique = match self.key.iter().any(|c| self.columns[*c].nullable) {
            // To SQL's GROUP BY two NULLs are one.
            true => "UNIQUE NULLS NOT DISTINCT",
            false => "PRIMARY KEY",
        };
        format!(
            "CREATE TABLE {} ({}, {unique} ({}))",
            self.table,
            columns.join(", "),
            self.list(self.key.iter())
        )
    }

    /// COPY into the table.
    pub fn copy(&self) -> String {
        format!("COPY {} ({}) FROM STDIN", self.table, self.all())
    }

    /// Creates the temporary table of what keys come to.
    pub fn stage(&self) -> String {
        let columns = self.columns.iter().enumerate();
        let columns: Vec<_> = columns
            .map(|(i, c)| format!("c{i} {}", c.declared))
            .collect();
        format!(
            "CREATE TEMP TABLE everview_staged (gone boolean, {}) ON COMMIT DELETE ROWS",
            columns.join(", ")
        )
    }

    /// Puts what keys come to from there into the table.
    pub fn merge(&self) -> String {
        let nullable: Vec<_> = self
            .key
            .iter()
            .filter(|c| self.columns[**c].nullable)
            .collect();
        let table = &self.table;
        let equal = |operator: &str| {
            let column =
                |c: &usize| format!("t.{} {operator} s.c{c}", quoted(&self.columns[*c].name));
            self.key
                .iter()
                .map(column)
                .collect::<Vec<_>>()
                .join(" AND ")
        };
        let mut merge = format!(
            "DELETE FROM {table} t USING pg_temp.everview_staged s WHERE s.gone AND {};",
            equal("=")
        );
        if !nullable.is_empty() {
            // No index serves IS NOT DISTINCT FROM: only keys with a NULL in them are looked up so.
            let nulls: Vec<_> = nullable.iter().map(|c| format!("c{c} IS NULL")).collect();
            merge += &format!(
                " DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM (SELECT * FROM pg_temp.everview_staged \
                 WHERE gone AND ({}) OFFSET 0) s CROSS JOIN LATERAL (SELECT ctid FROM {table} t WHERE {}) t));",
                nulls.join(" OR "),
                equal("IS NOT DISTINCT FROM")
            );
        }
        let staged: Vec<_> = (0..self.columns.len()).map(|i| format!("c{i}")).collect();
        let set = |c: &Column| format!("{0} = EXCLUDED.{0}", quoted(&c.name));
        let set: Vec<_> = self.columns.iter().map(set).collect();
        merge
            + &format!(
                " INSERT INTO {table} ({}) SELECT {} FROM pg_temp.everview_staged WHERE NOT gone ON CONFLICT ({}) DO UPDATE \
                 SET {}",
                self.all(),
                staged.join(", "),
                self.list(self.key.iter()),
                set.join(", ")
            )
    }

    /// What each key comes to: its last row, or that it is gone, for any row that it had.
    ///
    /// Keys that SQL takes for equal and that differ in their bytes (1.0 and 1.00) count as several here, of which one
    /// at most is left: those that are gone are deleted first.
    pub fn settle<'u>(
        &self,
        updates: &'u [Update],
    ) -> Result<Vec<(&'u Update, bool)>, TargetError> {
        let mut last: BTreeMap<Row, (Timestamp, &Update)> = BTreeMap::new();
        for update in updates {
            let datums = update.row.unpack();
            let key = Row::pack(self.key.iter().map(|c| datums[*c]));
            let comes = update.diff > 0;
            match last.get(&key) {
                Some((time, before)) if *time == update.time && before.diff > 0 => {
                    if comes {
                        return Err(self.not_unique());
                    }
                }
                _ => drop(last.insert(key, (update.time, update))),
            }
            if update.diff > 1 {
                return Err(self.not_unique());
            }
        }
        Ok(last.into_values().map(|(_, u)| (u, u.diff < 0)).collect())
    }

    fn not_unique(&self) -> TargetError {
        let key = self.list(self.key.iter());
        TargetError::Refused(format!(
            "several rows have the same ({key}), which is NOT ENFORCED to be unique"
        ))
    }
}

#[cfg(test)]
mod tests;
