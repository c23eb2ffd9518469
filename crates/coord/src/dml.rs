//! INSERT, UPDATE, DELETE and TRUNCATE: what a statement adds to its transaction. To one that is a repeated batch of a
//! producer they add nothing: they count, and RETURNING shows, the rows that they were given.

use crate::coordinator::Shared;
use crate::effects::{DELIVERED, Subject};
use crate::error::Error;
use crate::lookup::AsOf;
use crate::table::{StoredTable, UniqueKey};
use crate::transaction::{Coming, Transaction};
use everview_expr::ScalarExpr;
use everview_repr::{Datum, Diff, GlobalId, Row, RowArena, SqlState};
use everview_sql::plan::{ConflictUpdate, OnConflict, Returning};
use std::sync::Arc;

/// How many rows a statement changed, and what RETURNING gives.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub count: u64,
    pub returned: Vec<Row>,
}

/// Inserts rows, each as often as its multiplicity says.
pub(crate) fn insert(
    shared: &Shared,
    transaction: &mut Transaction,
    table: &Arc<StoredTable>,
    rows: Vec<(Row, Diff)>,
    on_conflict: Option<&OnConflict>,
    returning: Option<&Returning>,
) -> Result<Changed, Error> {
    delivered(
        shared,
        transaction,
        table,
        rows.iter().map(|(r, d)| (r, *d)),
    );
    if transaction.is_repeated() {
        let exprs = returning.map_or(&[][..], |r| &r.exprs);
        return left_out(rows, |row| project(row, exprs));
    }
    if returning.is_some() {
        transaction.reads.shown();
    }
    let mut changed = Changed::default();
    // DO UPDATE must not meet a row twice: what this statement wrote is remembered by key.
    let mut touched = std::collections::BTreeSet::new();
    for (row, diff) in rows {
        for _ in 0..diff.max(0) {
            table.check(&row)?;
            let written = match on_conflict {
                None => {
                    let sent = Coming::Sent;
                    insert_row(shared, transaction, table, row.clone(), sent)?.then(|| row.clone())
                }
                Some(conflict) => upsert(
                    shared,
                    transaction,
                    table,
                    row.clone(),
                    conflict,
                    &mut touched,
                )?,
            };
            if let Some(written) = written {
                changed.count += 1;
                if let Some(returning) = returning {
                    changed.returned.push(project(&written, &returning.exprs)?);
                }
            }
        }
    }
    Ok(changed)
}

/// Counts rows that a statement brings to a table, whatever becomes of them.
pub(crate) fn delivered<'r>(
    shared: &Shared,
    transaction: &Transaction,
    table: &StoredTable,
    rows: impl Iterator<Item = (&'r Row, Diff)> + Clone,
) {
    if transaction.again {
        return;
    }
    let tallies = &shared.tables.tallies;
    let count: u64 = rows.clone().map(|(_, times)| times.max(0) as u64).sum();
    tallies.delivered(Subject::Table(table.id), count);
    if let Some(batch) = &transaction.batch {
        tallies.delivered(Subject::Producer(batch.producer.clone()), count);
    }
    if let Some(counted) = &table.counted {
        tallies.add_keys((table.id, counted), DELIVERED, rows);
    }
}

/// What a statement of a repeated batch comes to.
fn left_out(
    source: Vec<(Row, Diff)>,
    returned: impl Fn(&Row) -> Result<Row, Error>,
) -> Result<Changed, Error> {
    let mut changed = Changed::default();
    for (row, diff) in source {
        let count = diff.max(0) as u64;
        changed.count += count;
        let returned = returned(&row)?;
        changed
            .returned
            .extend((0..count).map(|_| returned.clone()));
    }
    Ok(changed)
}

/// A row's columns from one on.
fn columns_from(row: &Row, from: usize) -> Result<Row, Error> {
    Ok(Row::pack(row.iter().skip(from)))
}

/// Inserts one checked row; false if its table leaves it out.
pub(crate) fn insert_row(
    shared: &Shared,
    transaction: &mut Transaction,
    table: &Arc<StoredTable>,
    row: Row,
    coming: Coming,
) -> Result<bool, Error> {
    let below = AsOf::new(&shared.tables, transaction.snapshot);
    let Transaction { writes, reads, .. } = transaction;
    writes
        .entry(table.id)
        .or_default()
        .insert(table, row, coming, &below, reads)
}

/// Inserts a row, or does what ON CONFLICT says; gives the row written, if any.
fn upsert(
    shared: &Shared,
    transaction: &mut Transaction,
    table: &Arc<StoredTable>,
    row: Row,
    conflict: &OnConflict,
    touched: &mut std::collections::BTreeSet<(GlobalId, Vec<u8>)>,
) -> Result<Option<Row>, Error> {
    let below = AsOf::new(&shared.tables, transaction.snapshot);
    let named = |u: &UniqueKey| conflict.constraint.is_none_or(|c| c == u.constraint);
    let Transaction { writes, reads, .. } = &mut *transaction;
    let own = writes.entry(table.id).or_default();
    if own.is_repeated(table, &row, |u| !u.is_window() && named(u), &below, reads)? {
        return Ok(None);
    }
    let datums = row.unpack();
    let mut existing = None;
    let arbiters = table.unique.iter().filter(|u| named(u));
    for unique in arbiters {
        let Some(key) = unique.key(&datums) else {
            continue;
        };
        let Transaction { writes, reads, .. } = &mut *transaction;
        let writes = writes.entry(table.id).or_default();
        if let Some(found) = writes.find(table, unique, &key, &below, reads)? {
            existing = Some((unique.constraint, key, found));
            break;
        }
    }
    drop(datums);
    let remember = |row: &Row, touched: &mut std::collections::BTreeSet<_>| {
        for (unique, key) in crate::transaction::unique_keys(table, row) {
            touched.insert((unique.constraint, key));
        }
    };
    match (existing, &conflict.update) {
        (None, _) => {
            insert_row(shared, transaction, table, row.clone(), Coming::Sent)?;
            remember(&row, touched);
            Ok(Some(row))
        }
        (Some(_), None) => Ok(None),
        (Some((constraint, key, old)), Some(update)) => {
            if touched.contains(&(constraint, key)) {
                return Err(Error::new(
                    SqlState::CARDINALITY_VIOLATION,
                    "ON CONFLICT DO UPDATE command cannot affect row a second time",
                )
                .with_hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values."));
            }
            if table.append_only {
                return Err(append_only(table, "update"));
            }
            let Some(new) = updated(&old, &row, update)? else {
                return Ok(None);
            };
            table.check(&new)?;
            transaction.table(table.id).delete(table, old);
            insert_row(shared, transaction, table, new.clone(), Coming::Replacing)?;
            remember(&new, touched);
            Ok(Some(new))
        }
    }
}

/// The row that DO UPDATE makes of an existing and an excluded one; none if its WHERE is not true.
fn updated(old: &Row, excluded: &Row, update: &ConflictUpdate) -> Result<Option<Row>, Error> {
    let arena = RowArena::new();
    let mut datums = old.unpack();
    datums.extend(excluded.iter());
    if let Some(filter) = &update.filter {
        match filter.eval(&datums, &arena) {
            Datum::Bool(true) => {}
            Datum::Error(error) => return Err(error.to_error().into()),
            _ => return Ok(None),
        }
    }
    evaluate(&update.row, &datums, &arena).map(Some)
}

fn project(row: &Row, exprs: &[ScalarExpr]) -> Result<Row, Error> {
    evaluate(exprs, &row.unpack(), &RowArena::new())
}

fn evaluate<'a>(
    exprs: &'a [ScalarExpr],
    datums: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<Row, Error> {
    let values: Vec<_> = exprs.iter().map(|e| e.eval(datums, arena)).collect();
    match values.iter().find_map(|d| {
        if let Datum::Error(e) = d {
            Some(e)
        } else {
            None
        }
    }) {
        Some(error) => Err(error.to_error().into()),
        None => Ok(Row::pack(values)),
    }
}

/// Deletes rows: each source row is an old row and RETURNING's columns.
pub(crate) fn delete(
    shared: &Shared,
    transaction: &mut Transaction,
    table: &Arc<StoredTable>,
    source: Vec<(Row, Diff)>,
) -> Result<Changed, Error> {
    refuse_append_only(table, "delete from")?;
    let arity = table.desc.arity();
    delivered(
        shared,
        transaction,
        table,
        source.iter().map(|(r, d)| (r, *d)),
    );
    if transaction.is_repeated() {
        return left_out(source, |row| columns_from(row, arity));
    }
    let mut changed = Changed::default();
    for (row, diff) in source {
        let datums = row.unpack();
        let old = Row::pack(datums[..arity].iter().copied());
        let returned = Row::pack(datums[arity..].iter().copied());
        for _ in 0..diff.max(0) {
            transaction.table(table.id).delete(table, old.clone());
            changed.count += 1;
            changed.returned.push(returned.clone());
        }
    }
    Ok(changed)
}

/// Updates rows: each source row is an old row, a new row and RETURNING's columns. All old rows go before the
/// first new one comes, so that keys may change places.
pub(crate) fn update(
    shared: &Shared,
    transaction: &mut Transaction,
    table: &Arc<StoredTable>,
    source: Vec<(Row, Diff)>,
) -> Result<Changed, Error> {
    refuse_append_only(table, "update")?;
    let arity = table.desc.arity();
    delivered(
        shared,
        transaction,
        table,
        source.iter().map(|(r, d)| (r, *d)),
    );
    if transaction.is_repeated() {
        return left_out(source, |row| columns_from(row, 2 * arity));
    }
    let mut changed = Changed::default();
    let mut new_rows = Vec::new();
    for (row, diff) in source {
        let datums = row.unpack();
        let old = Row::pack(datums[..arity].iter().copied());
        let new = Row::pack(datums[arity..2 * arity].iter().copied());
        let returned = Row::pack(datums[2 * arity..].iter().copied());
        table.check(&new)?;
        for _ in 0..diff.max(0) {
            transaction.table(table.id).delete(table, old.clone());
            new_rows.push(new.clone());
            changed.count += 1;
            changed.returned.push(returned.clone());
        }
    }
    for new in new_rows {
        insert_row(shared, transaction, table, new, Coming::Replacing)?;
    }
    Ok(changed)
}

fn refuse_append_only(table: &StoredTable, what: &str) -> Result<(), Error> {
    if table.append_only {
        Err(append_only(table, what))
    } else {
        Ok(())
    }
}

/// The error for changing rows of an append-only table.
pub(crate) fn append_only(table: &StoredTable, what: &str) -> Error {
    let message = format!("cannot {what} table \"{}\": it is append only", table.name);
    Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_hint("Create the table without APPEND ONLY if its rows have to change.")
}
