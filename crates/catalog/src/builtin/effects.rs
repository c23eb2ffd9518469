//! How much was delivered, processed, and took effect, in schema `everview`.

use super::Builder;
use super::cells::{Cell, cells};
use super::definitions;
use super::names::Names;
use super::relations::{count, table_rows};
use crate::object::{ConstraintKind, Table};
use everview_repr::Row;

/// The three counters of an object, or of one key of a table.
#[derive(Clone, Debug)]
pub struct EffectCounts {
    /// The object's name with its schema; a producer's name.
    pub object: String,
    /// What it is: `table`, `materialized view`, `producer`, `sink`. Of a count by key, the key.
    pub kind: String,
    /// Rows that were sent to it, repeated and rolled back ones too.
    pub delivered: u64,
    /// Changes that passed through it, those of recovery too.
    pub processed: u64,
    /// Changes that can be seen.
    pub effects: u64,
}

impl Builder<'_> {
    pub(super) fn everview_effects(&self) -> Vec<Row> {
        self.effect_rows("kind", self.runtime.effects())
    }

    pub(super) fn everview_effects_by_key(&self) -> Vec<Row> {
        self.effect_rows("key", self.runtime.effects_by_key())
    }

    fn effect_rows(&self, second: &'static str, counts: Vec<EffectCounts>) -> Vec<Row> {
        let row = |counts: &EffectCounts| {
            let mut cells = cells! {
                "object" => &counts.object, "delivered" => count(counts.delivered),
                "processed" => count(counts.processed), "effects" => count(counts.effects),
            };
            cells.push((second, Cell::from(&counts.kind)));
            self.row(cells)
        };
        counts.iter().map(row).collect()
    }

    pub(super) fn everview_tables(&self) -> Vec<Row> {
        let names = Names {
            catalog: self.catalog,
            search_path: &[],
            deparser: self.runtime.deparser(),
        };
        let tables = self.tables().map(|(object, table)| {
            let deduplicate = deduplication(table);
            let remembered = deduplicate.and_then(|constraint| match constraint.kind {
                ConstraintKind::Deduplicate {
                    within: Some(_), ..
                } => Some(self.runtime.remembered(constraint.id)),
                _ => None,
            });
            let text = deduplicate.map(|constraint| {
                let text = definitions::constraint(&names, table, constraint, true);
                text.trim_start_matches("DEDUPLICATE BY ").to_string()
            });
            self.row(cells! {
                "id" => object.id.0, "schema" => self.schema_name(object), "name" => &object.name,
                "rows" => table_rows(self.runtime, object.id), "append_only" => table.append_only,
                "deduplicate_by" => text, "remembered_keys" => remembered.map(|(keys, _)| count(keys)),
                "remembered_bytes" => remembered.map(|(_, bytes)| count(bytes)),
            })
        });
        tables.collect()
    }
}

/// A table's DEDUPLICATE BY.
fn deduplication(table: &Table) -> Option<&crate::object::Constraint> {
    let mut constraints = table.constraints.iter();
    constraints.find(|c| matches!(c.kind, ConstraintKind::Deduplicate { .. }))
}
