//! The three counters as `everview.effects` and `everview.effects_by_key` show them.

use super::Runtime;
use crate::effects::{self, Counts, DELIVERED, Subject};
use crate::error::Error;
use crate::planning::base_tables;
use crate::table::{Counted, StoredTable};
use everview_catalog::builtin::{EffectCounts, Runtime as _};
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_repr::{Row, key, text};
use std::collections::BTreeMap;

impl Runtime<'_> {
    /// By object: tables and materialized views, then producers.
    pub(super) fn counts(&self) -> Vec<EffectCounts> {
        let tallies = &self.0.tables.tallies;
        let catalog = &self.0.catalog().catalog;
        let mut rows = Vec::new();
        for object in catalog.objects().filter(|o| !o.id.is_system()) {
            let (kind, counts) = match &object.kind {
                ObjectKind::Table(_) => ("table", tallies.counts(&Subject::Table(object.id))),
                ObjectKind::MaterializedView(_) => {
                    ("materialized view", self.counts_of_view(catalog, object))
                }
                _ => continue,
            };
            rows.push(shown(catalog.full_name(object.id), kind, counts));
        }
        let producers = self.0.producers.read();
        for producer in producers.all() {
            let counts = tallies.counts(&Subject::Producer(producer.name.clone()));
            rows.push(shown(producer.name.to_string(), "producer", counts));
        }
        rows
    }

    /// A view is delivered the changes of its tables, processes what its dataflow reads of them, and shows its rows.
    fn counts_of_view(&self, catalog: &Catalog, view: &Object) -> Counts {
        let tables = base_tables(catalog, view.id).into_iter();
        let changes = tables.map(|table| self.0.tables.tallies.counts(&Subject::Table(table)).2);
        let dataflow = self.0.dataflow_of(view.id);
        let status = dataflow.and_then(|dataflow| self.0.compute.status(dataflow));
        let processed = status.map_or(0, |status| status.read);
        let effects = self.count_rows(view.id).unwrap_or(0);
        (changes.sum(), processed, effects)
    }

    /// By key, of tables that count by one.
    pub(super) fn counts_by_key(&self) -> Vec<EffectCounts> {
        let catalog = &self.0.catalog().catalog;
        let mut rows = Vec::new();
        for object in catalog.objects() {
            let Some(table) = self.0.tables.get(object.id) else {
                continue;
            };
            let Some(counted) = &table.counted else {
                continue;
            };
            match self.keys_of(&table, counted) {
                Ok(keys) => rows.extend(keys.into_values().map(|(key, counts)| {
                    shown(
                        catalog.full_name(object.id),
                        &as_text(&table, counted, &key),
                        counts,
                    )
                })),
                Err(error) => tracing::error!(%error, table = %object.id, "counts cannot be read"),
            }
        }
        rows
    }

    /// The counts of a table by the bytes of their key; values that are equal are one key, shown as the first of them.
    fn keys_of(
        &self,
        table: &StoredTable,
        counted: &Counted,
    ) -> Result<BTreeMap<Vec<u8>, (Row, Counts)>, Error> {
        let mut keys: BTreeMap<Vec<u8>, (Row, Counts)> = BTreeMap::new();
        let mut add = |row: &Row, f: &dyn Fn(&mut Counts)| {
            let key = key::encode(row.iter()).0;
            f(&mut keys
                .entry(key)
                .or_insert_with(|| (row.clone(), (0, 0, 0)))
                .1);
        };
        let tables = &self.0.tables;
        let now = self.0.now();
        tables.each_system(u64::from(counted.constraint.0), now, |_, value, count| {
            let row = Row::from_bytes(value).map_err(|e| Error::internal(e.to_string()))?;
            let count = count.max(0) as u64;
            add(&row, &|(_, processed, effects)| {
                *processed += count;
                *effects += count;
            });
            Ok(())
        })?;
        let mut carried = Vec::new();
        let collection = effects::carried_collection(table.id);
        tables.each_system(collection, now, |key, _, count| {
            let (kind, row) = effects::carried_from_store(key)
                .ok_or_else(|| Error::internal("a count by key that cannot be read"))?;
            carried.push((kind, row, count));
            Ok(())
        })?;
        for (kind, row, count) in carried.into_iter().chain(tables.tallies.pending(table.id)) {
            let count = count.max(0) as u64;
            add(&row, &|(delivered, processed, _)| match kind {
                DELIVERED => *delivered += count,
                _ => *processed += count,
            });
        }
        Ok(keys)
    }
}

fn shown(object: String, kind: &str, (delivered, processed, effects): Counts) -> EffectCounts {
    EffectCounts {
        object,
        kind: kind.to_string(),
        delivered,
        processed,
        effects,
    }
}

/// A key's values, parted by commas.
fn as_text(table: &StoredTable, counted: &Counted, key: &Row) -> String {
    let mut out = String::new();
    for (column, datum) in counted.columns.iter().zip(key.iter()) {
        if !out.is_empty() {
            out.push_str(", ");
        }
        match datum.is_null() {
            true => out.push_str("NULL"),
            false => text::format(&table.desc.columns[*column].ty.scalar, datum, &mut out),
        }
    }
    out
}
