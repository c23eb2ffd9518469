//! A table as it is stored: keys, constraints, and checks on rows.
//!
//! A keyed table's rows live in the collection of the table's id under the primary key; a table without one has
//! the row itself as key. Every other unique constraint, and every unique index, has a collection of its own id, from
//! unique key to row; one that was added later holds nothing older than itself. DEDUPLICATE BY is such a constraint;
//! its keys with a WITHIN are remembered by time (see `windows`), whatever becomes of their rows.
//!
//! Adding a column rewrites nothing: a stored row leaves out the added columns at its end that hold the value which
//! older rows have there, so that old and new rows are stored alike, and whoever reads a row puts them back.

use crate::error::{Error, ErrorObject};
use crate::windows;
use everview_catalog::Catalog;
use everview_catalog::object::{ConstraintKind, Object, ObjectKind, Table, TableColumn};
use everview_expr::ScalarExpr;
use everview_repr::{
    ColumnDesc, Datum, Diff, GlobalId, RelationDesc, Row, RowArena, SqlState, Timestamp, key, text,
};

/// A table compiled for writing.
#[derive(Debug)]
pub struct StoredTable {
    /// Its id, and that of its rows' collection.
    pub id: GlobalId,
    /// Its schema's name.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns.
    pub desc: RelationDesc,
    /// UPDATE and DELETE are refused; rows are read from the log.
    pub append_only: bool,
    /// Unique constraints: those of DEDUPLICATE BY first, then the primary key.
    pub unique: Vec<UniqueKey>,
    /// Keys that drop a row for a time, DEDUPLICATE BY ... WITHIN.
    pub windows: Vec<UniqueKey>,
    /// Effects are counted by these columns.
    pub counted: Option<Counted>,
    checks: Vec<(String, ScalarExpr)>,
    /// For each column from the first added one on, a row of its value in rows that lack it.
    missing: Vec<Row>,
}

/// A unique constraint.
#[derive(Clone, Debug)]
pub struct UniqueKey {
    /// The constraint's id.
    pub constraint: GlobalId,
    /// The collection that is keyed by it: the table's own for the primary key of a stored table.
    pub collection: GlobalId,
    /// Its name.
    pub name: String,
    /// Its columns, in key order.
    pub columns: Vec<usize>,
    /// Whether it is the primary key.
    pub primary: bool,
    /// What becomes of a row whose key is taken.
    pub repeats: Repeats,
    /// The collection holds what is true from this commit on.
    pub since: Timestamp,
}

/// What becomes of a row whose key is taken. Only where it is dropped are NULLs equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeats {
    /// Its statement fails.
    Refused,
    /// INSERT and COPY leave it out.
    Dropped,
    /// They leave it out if the key was written within so many microseconds.
    DroppedWithin(u64),
}

/// COUNT EFFECTS BY: the constraint, whose collection has for each key the number of changes, and its columns.
#[derive(Clone, Debug)]
pub struct Counted {
    /// The constraint's id.
    pub constraint: GlobalId,
    /// Its columns, in key order.
    pub columns: Vec<usize>,
}

/// One stored change of a collection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    /// The store's collection.
    pub collection: u64,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value: a packed row, or nothing where the key is the row.
    pub value: Vec<u8>,
    /// The multiplicity.
    pub diff: Diff,
}

impl StoredTable {
    /// Compiles a table of the catalog.
    pub fn new(catalog: &Catalog, object: &Object) -> Result<StoredTable, Error> {
        let ObjectKind::Table(table) = &object.kind else {
            return Err(Error::internal(format!(
                "object {} is not a table",
                object.id
            )));
        };
        let desc = table.desc(object.id);
        let mut checks = Vec::new();
        for constraint in &table.constraints {
            if let ConstraintKind::Check(sql) = &constraint.kind {
                let expr = everview_sql::plan_scalar_text(catalog, &desc, sql)?;
                checks.push((constraint.name.clone(), expr));
            }
        }
        let schema = object
            .schema
            .and_then(|id| catalog.get(id))
            .map(|s| s.name.clone());
        Ok(StoredTable {
            id: object.id,
            schema: schema.unwrap_or_default(),
            name: object.name.clone(),
            append_only: table.append_only,
            unique: unique_keys(catalog, object.id, table),
            windows: windows(table),
            counted: counted(table),
            desc,
            checks,
            missing: missing(table)?,
        })
    }

    /// A row as readers see it: with the columns that were added after it was written.
    pub fn widened(&self, row: Row) -> Row {
        let arity = self.desc.arity();
        let lacking = match self.missing.len() {
            0 => 0,
            _ => arity.saturating_sub(row.iter().count()),
        };
        if lacking == 0 {
            return row;
        }
        let added = &self.missing[self.missing.len().saturating_sub(lacking)..];
        Row::pack(
            row.iter()
                .chain(added.iter().flat_map(|value| value.iter())),
        )
    }

    /// A row as it is stored: without the added columns at its end that hold what older rows have there.
    fn narrowed(&self, row: &Row) -> Row {
        if self.missing.is_empty() {
            return row.clone();
        }
        let datums = row.unpack();
        let mut kept = datums.len();
        let first = self.desc.arity() - self.missing.len();
        while kept > first
            && self.missing[kept - 1 - first].bytes() == Row::pack([datums[kept - 1]]).bytes()
        {
            kept -= 1;
        }
        Row::pack(datums[..kept].iter().copied())
    }

    /// The change of a unique key's collection that a row's change comes to; none when the key has a NULL.
    pub fn stored_under(&self, unique: &UniqueKey, row: &Row, diff: Diff) -> Option<Stored> {
        Some(Stored {
            collection: u64::from(unique.collection.0),
            key: unique.key(&row.unpack())?,
            value: self.narrowed(row).bytes().to_vec(),
            diff,
        })
    }

    /// The primary key, if the table has one.
    pub fn primary(&self) -> Option<&UniqueKey> {
        self.unique.iter().find(|k| k.primary)
    }

    /// Whether a row may be dropped because another was there before.
    pub fn deduplicates(&self) -> bool {
        !self.windows.is_empty() || self.unique.iter().any(|u| u.repeats == Repeats::Dropped)
    }

    /// The stored changes that a row's change in a commit comes to.
    pub fn stored(&self, row: &Row, diff: Diff, timestamp: Timestamp) -> Vec<Stored> {
        let mut out = Vec::with_capacity(self.unique.len() + 1);
        for unique in &self.unique {
            out.extend(self.stored_under(unique, row, diff));
        }
        for window in self.windows.iter().filter(|_| diff > 0) {
            out.extend(windows::stored(window, row, timestamp));
        }
        out.extend(
            self.counted
                .as_ref()
                .map(|counted| counted.stored(row, diff)),
        );
        let keyed = self.unique.iter().any(|k| k.collection == self.id);
        if !keyed && !self.append_only {
            let key = self.narrowed(row).bytes().to_vec();
            out.push(Stored {
                collection: u64::from(self.id.0),
                key,
                value: vec![],
                diff,
            });
        }
        out
    }

    /// Whether the store has anything of its rows: they, or what is kept by a key of them.
    pub fn has_rows(&self) -> bool {
        let keyed = !self.unique.is_empty() || !self.windows.is_empty();
        !self.append_only || keyed || self.counted.is_some()
    }

    /// The row of a stored entry of this table's own collection.
    pub fn row_of(&self, key: &[u8], value: &[u8]) -> Result<Row, everview_repr::row::DecodeError> {
        let keyed = self.unique.iter().any(|k| k.collection == self.id);
        Row::from_bytes(if keyed { value } else { key }).map(|row| self.widened(row))
    }

    /// Checks NOT NULL and CHECK of a new row.
    pub fn check(&self, row: &Row) -> Result<(), Error> {
        let columns = self.desc.columns.iter().zip(row.iter());
        for (column, datum) in columns {
            match datum {
                Datum::Error(error) => return Err(error.to_error().into()),
                Datum::Null if !column.ty.nullable => return Err(self.null_in(column, row)),
                _ => {}
            }
        }
        if self.checks.is_empty() {
            return Ok(());
        }
        let datums = row.unpack();
        let arena = RowArena::new();
        for (name, check) in &self.checks {
            match check.eval(&datums, &arena) {
                Datum::Bool(false) => {
                    let message = format!(
                        "new row for relation \"{}\" violates check constraint \"{name}\"",
                        self.name
                    );
                    let object = ErrorObject {
                        constraint: Some(name.clone()),
                        ..self.object()
                    };
                    return Err(Error::new(SqlState::CHECK_VIOLATION, message)
                        .with_detail(self.failing_row(&datums))
                        .about(object));
                }
                Datum::Error(error) => return Err(error.to_error().into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn null_in(&self, column: &ColumnDesc, row: &Row) -> Error {
        let message = format!(
            "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
            column.name, self.name
        );
        let object = ErrorObject {
            column: Some(column.name.clone()),
            ..self.object()
        };
        Error::new(SqlState::NOT_NULL_VIOLATION, message)
            .with_detail(self.failing_row(&row.unpack()))
            .about(object)
    }

    /// The error for a second row under a key.
    pub fn duplicate(&self, unique: &UniqueKey, row: &Row) -> Error {
        let datums = row.unpack();
        let names: Vec<_> = unique
            .columns
            .iter()
            .map(|c| self.desc.columns[*c].name.as_str())
            .collect();
        let values: Vec<_> = unique
            .columns
            .iter()
            .map(|c| self.text(*c, datums[*c]))
            .collect();
        let message = format!(
            "duplicate key value violates unique constraint \"{}\"",
            unique.name
        );
        let detail = format!(
            "Key ({})=({}) already exists.",
            names.join(", "),
            values.join(", ")
        );
        let object = ErrorObject {
            constraint: Some(unique.name.clone()),
            ..self.object()
        };
        Error::new(SqlState::UNIQUE_VIOLATION, message)
            .with_detail(detail)
            .about(object)
    }

    fn object(&self) -> ErrorObject {
        ErrorObject {
            schema: Some(self.schema.clone()),
            table: Some(self.name.clone()),
            column: None,
            constraint: None,
        }
    }

    fn text(&self, column: usize, datum: Datum<'_>) -> String {
        let mut out = String::new();
        if datum.is_null() {
            out.push_str("null");
        } else {
            text::format(&self.desc.columns[column].ty.scalar, datum, &mut out);
        }
        out
    }

    /// Postgres's DETAIL, values cut at 64 bytes.
    fn failing_row(&self, datums: &[Datum<'_>]) -> String {
        let cut = |text: String| match text.char_indices().find(|(at, _)| *at >= 64) {
            Some((at, _)) => format!("{}...", &text[..at]),
            None => text,
        };
        let values: Vec<_> = datums
            .iter()
            .enumerate()
            .map(|(i, d)| cut(self.text(i, *d)))
            .collect();
        format!("Failing row contains ({}).", values.join(", "))
    }
}

impl UniqueKey {
    /// Whether it is one of DEDUPLICATE BY ... WITHIN.
    pub fn is_window(&self) -> bool {
        matches!(self.repeats, Repeats::DroppedWithin(_))
    }

    /// The key of a row; none when a column is NULL where NULLs are distinct.
    pub fn key(&self, datums: &[Datum<'_>]) -> Option<Vec<u8>> {
        let columns = || self.columns.iter().map(|c| datums[*c]);
        if self.repeats == Repeats::Refused && columns().any(|d| d.is_null()) {
            return None;
        }
        Some(key::encode(columns()).0)
    }
}

impl Counted {
    /// A row's columns of the key.
    pub fn key_row(&self, row: &Row) -> Row {
        let datums = row.unpack();
        Row::pack(self.columns.iter().map(|c| datums[*c]))
    }

    fn stored(&self, row: &Row, diff: Diff) -> Stored {
        let row = self.key_row(row);
        Stored {
            collection: u64::from(self.constraint.0),
            key: key::encode(row.iter()).0,
            value: row.bytes().to_vec(),
            diff: diff.saturating_abs(),
        }
    }
}

/// The keys that a table remembers for a time.
fn windows(table: &Table) -> Vec<UniqueKey> {
    let constraints = table.constraints.iter();
    let windows = constraints.filter_map(|constraint| match &constraint.kind {
        ConstraintKind::Deduplicate {
            columns,
            within: Some(within),
        } => Some(UniqueKey {
            constraint: constraint.id,
            collection: constraint.id,
            name: constraint.name.clone(),
            columns: columns.clone(),
            primary: false,
            repeats: Repeats::DroppedWithin(*within),
            since: constraint.since,
        }),
        _ => None,
    });
    windows.collect()
}

fn counted(table: &Table) -> Option<Counted> {
    table.constraints.iter().find_map(|c| match &c.kind {
        ConstraintKind::CountEffects(columns) => Some(Counted {
            constraint: c.id,
            columns: columns.clone(),
        }),
        _ => None,
    })
}

/// The unique constraints and unique indexes of a table: those of DEDUPLICATE BY first, then the primary key.
fn unique_keys(catalog: &Catalog, id: GlobalId, table: &Table) -> Vec<UniqueKey> {
    let constraints = table.constraints.iter().filter_map(|constraint| {
        let columns = constraint.unique_columns()?.to_vec();
        let primary = matches!(constraint.kind, ConstraintKind::PrimaryKey(_));
        // Rows stay where they are when a primary key comes later.
        let own = primary && !table.append_only && constraint.since == Timestamp::MIN;
        let repeats = match constraint.kind {
            ConstraintKind::Deduplicate { .. } => Repeats::Dropped,
            _ => Repeats::Refused,
        };
        Some(UniqueKey {
            constraint: constraint.id,
            collection: if own { id } else { constraint.id },
            name: constraint.name.clone(),
            columns,
            primary,
            repeats,
            since: constraint.since,
        })
    });
    let indexes = catalog
        .unique_indexes(id)
        .into_iter()
        .map(|(index, columns)| UniqueKey {
            constraint: index.id,
            collection: index.id,
            name: index.name.clone(),
            columns,
            primary: false,
            repeats: Repeats::Refused,
            // An index that is not committed yet has no commit.
            since: match index.created {
                Timestamp::MIN => Timestamp::MAX,
                created => created,
            },
        });
    let mut keys: Vec<UniqueKey> = constraints.chain(indexes).collect();
    keys.sort_by_key(|k| (k.repeats == Repeats::Refused, !k.primary));
    keys
}

/// What rows have in the columns that were added after them.
fn missing(table: &Table) -> Result<Vec<Row>, Error> {
    let first = table.columns.iter().position(|c| c.missing.is_some());
    let added = first.map_or(&[][..], |first| &table.columns[first..]);
    let value = |column: &TableColumn| {
        let bytes = column.missing.as_deref().unwrap_or_default();
        Row::from_bytes(bytes).map_err(|e| Error::internal(format!("column {}: {e}", column.name)))
    };
    added.iter().map(value).collect()
}
