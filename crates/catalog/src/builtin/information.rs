//! information_schema (SQL:2016 part 11, as PostgreSQL 15 has it).

use super::Builder;
use super::cells::{Cell, cells};
use super::definitions;
use super::relations::{OWNER_NAME, kind};
use crate::object::{Constraint, ConstraintKind, Object, ObjectKind, Table};
use everview_repr::{ColumnDesc, Row, ScalarType};

const PRIVILEGES: &[&str] = &[
    "INSERT",
    "SELECT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
];
const COLUMN_PRIVILEGES: &[&str] = &["INSERT", "SELECT", "UPDATE", "REFERENCES"];

fn yes_or_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

impl Builder<'_> {
    pub(super) fn information_schema(&self) -> Vec<Row> {
        match self.relation.name {
            "information_schema_catalog_name" => {
                vec![self.row(cells! { "catalog_name" => self.runtime.database() })]
            }
            "schemata" => self.schemata(),
            "tables" => self.information_tables(),
            "columns" => self.information_columns(),
            "views" => self.information_views(),
            "table_constraints" => self.table_constraints(),
            "key_column_usage" => self.key_column_usage(),
            "constraint_column_usage" => self.constraint_column_usage(),
            "check_constraints" => self.check_constraints(),
            "enabled_roles" => vec![self.row(cells! { "role_name" => OWNER_NAME })],
            "role_table_grants" | "table_privileges" => self.table_privileges(),
            "role_column_grants" | "column_privileges" => self.column_privileges(),
            "character_sets" => vec![self.row(cells! {
                "character_set_name" => "UTF8", "character_repertoire" => "UCS", "form_of_use" => "UTF8",
                "default_collate_catalog" => self.runtime.database(), "default_collate_schema" => "pg_catalog",
                "default_collate_name" => "C",
            })],
            _ => Vec::new(),
        }
    }

    /// Relations that information_schema calls tables, those of the system included.
    fn listed(&self) -> impl Iterator<Item = (&Object, &'static str)> {
        self.catalog
            .objects()
            .filter_map(|object| match kind(object)? {
                // Materialized views are not in the standard and PostgreSQL leaves them out.
                kind @ ("r" | "v") => Some((&**object, kind)),
                _ => None,
            })
    }

    fn schemata(&self) -> Vec<Row> {
        let schemas = self
            .catalog
            .objects()
            .filter(|o| matches!(o.kind, ObjectKind::Schema));
        schemas
            .map(|o| {
                self.row(cells! {
                    "catalog_name" => self.runtime.database(), "schema_name" => &o.name, "schema_owner" => OWNER_NAME,
                })
            })
            .collect()
    }

    fn information_tables(&self) -> Vec<Row> {
        self.listed()
            .map(|(object, kind)| {
                let insertable = matches!(object.kind, ObjectKind::Table(_));
                self.row(cells! {
                    "table_catalog" => self.runtime.database(), "table_schema" => self.schema_name(object),
                    "table_name" => &object.name, "table_type" => if kind == "r" { "BASE TABLE" } else { "VIEW" },
                    "is_insertable_into" => yes_or_no(insertable), "is_typed" => "NO",
                })
            })
            .collect()
    }

    fn information_columns(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (object, _) in self.listed() {
            let Some(desc) = object.desc() else { continue };
            for (i, column) in desc.columns.iter().enumerate() {
                let table_column = match &object.kind {
                    ObjectKind::Table(table) => table.columns.get(i),
                    _ => None,
                };
                let default = table_column.and_then(|c| c.default.as_deref());
                rows.push(self.column(object, i, column, default.map(|d| self.names().display(d))));
            }
        }
        rows
    }

    fn column(
        &self,
        object: &Object,
        i: usize,
        column: &ColumnDesc,
        default: Option<String>,
    ) -> Row {
        let ty = &column.ty.scalar;
        let is_table = matches!(
            object.kind,
            ObjectKind::Table(_) | ObjectKind::SystemTable(_)
        );
        let data_type = match ty {
            ScalarType::Array(_) => "ARRAY".to_string(),
            other => other.sql_name(),
        };
        let database = self.runtime.database();
        let mut cells = cells! {
            "table_catalog" => &database, "table_schema" => self.schema_name(object), "table_name" => &object.name,
            "column_name" => &column.name, "ordinal_position" => i as i32 + 1, "column_default" => default,
            "is_nullable" => yes_or_no(column.ty.nullable || !is_table), "data_type" => data_type,
            "udt_catalog" => &database, "udt_schema" => "pg_catalog", "udt_name" => ty.catalog_name(),
            "dtd_identifier" => (i + 1).to_string(), "is_self_referencing" => "NO", "is_identity" => "NO",
            "identity_cycle" => "NO", "is_generated" => "NEVER",
            "is_updatable" => yes_or_no(matches!(object.kind, ObjectKind::Table(_))),
        };
        cells.extend(measures(column));
        self.row(cells)
    }

    fn information_views(&self) -> Vec<Row> {
        let views = self.views_of(|kind| matches!(kind, ObjectKind::View(_)));
        views
            .map(|(object, view)| {
                self.row(cells! {
                    "table_catalog" => self.runtime.database(), "table_schema" => self.schema_name(object),
                    "table_name" => &object.name, "view_definition" => definitions::view(&self.names(), view),
                    "check_option" => "NONE", "is_updatable" => "NO", "is_insertable_into" => "NO",
                    "is_trigger_updatable" => "NO", "is_trigger_deletable" => "NO",
                    "is_trigger_insertable_into" => "NO",
                })
            })
            .collect()
    }

    fn constraints(&self) -> impl Iterator<Item = (&Object, &Table, &Constraint)> {
        self.tables()
            .flat_map(|(object, table)| table.constraints.iter().map(move |c| (object, table, c)))
    }

    fn table_constraints(&self) -> Vec<Row> {
        self.constraints()
            .map(|(object, _, constraint)| {
                let kind = match constraint.kind {
                    ConstraintKind::PrimaryKey(_) => "PRIMARY KEY",
                    ConstraintKind::Unique(_) => "UNIQUE",
                    ConstraintKind::Check(_) => "CHECK",
                };
                let (database, schema) = (self.runtime.database(), self.schema_name(object));
                self.row(cells! {
                    "constraint_catalog" => &database, "constraint_schema" => &schema,
                    "constraint_name" => &constraint.name, "table_catalog" => &database, "table_schema" => &schema,
                    "table_name" => &object.name, "constraint_type" => kind, "is_deferrable" => "NO",
                    "initially_deferred" => "NO", "enforced" => "YES",
                    "nulls_distinct" => (kind == "UNIQUE").then_some("YES"),
                }
                .into_iter()
                .filter(|(name, _)| self.relation.desc.position(name).is_some())
                .collect())
            })
            .collect()
    }

    /// One row a column of a constraint, with the column's place in it.
    fn constraint_columns(&self, checks: bool) -> Vec<(Vec<(&'static str, Cell)>, i32)> {
        let mut all = Vec::new();
        for (object, table, constraint) in self.constraints() {
            if constraint.unique_columns().is_none() && !checks {
                continue;
            }
            let (database, schema) = (self.runtime.database(), self.schema_name(object));
            for (i, position) in definitions::constraint_columns(table, constraint)
                .iter()
                .enumerate()
            {
                let Some(column) = table.columns.get(*position) else {
                    continue;
                };
                let cells = cells! {
                    "constraint_catalog" => &database, "constraint_schema" => &schema,
                    "constraint_name" => &constraint.name, "table_catalog" => &database, "table_schema" => &schema,
                    "table_name" => &object.name, "column_name" => &column.name,
                };
                all.push((cells, i as i32 + 1));
            }
        }
        all
    }

    fn key_column_usage(&self) -> Vec<Row> {
        let columns = self.constraint_columns(false).into_iter();
        columns
            .map(|(mut cells, place)| {
                cells.push(("ordinal_position", Cell::Int32(place)));
                self.row(cells)
            })
            .collect()
    }

    fn constraint_column_usage(&self) -> Vec<Row> {
        self.constraint_columns(true)
            .into_iter()
            .map(|(cells, _)| self.row(cells))
            .collect()
    }

    fn check_constraints(&self) -> Vec<Row> {
        let checks =
            self.constraints()
                .filter_map(|(object, _, constraint)| match &constraint.kind {
                    ConstraintKind::Check(sql) => Some((object, constraint, sql)),
                    _ => None,
                });
        checks
            .map(|(object, constraint, sql)| {
                self.row(cells! {
                    "constraint_catalog" => self.runtime.database(), "constraint_schema" => self.schema_name(object),
                    "constraint_name" => &constraint.name, "check_clause" => format!("({})", self.names().display(sql)),
                })
            })
            .collect()
    }

    fn table_privileges(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (object, _) in self.listed() {
            for privilege in PRIVILEGES {
                rows.push(self.row(cells! {
                    "grantor" => OWNER_NAME, "grantee" => OWNER_NAME, "table_catalog" => self.runtime.database(),
                    "table_schema" => self.schema_name(object), "table_name" => &object.name,
                    "privilege_type" => *privilege, "is_grantable" => "YES",
                    "with_hierarchy" => yes_or_no(*privilege == "SELECT"),
                }));
            }
        }
        rows
    }

    fn column_privileges(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (object, _) in self.listed() {
            let Some(desc) = object.desc() else { continue };
            for (name, privilege) in desc
                .names()
                .flat_map(|n| COLUMN_PRIVILEGES.iter().map(move |p| (n, *p)))
            {
                rows.push(self.row(cells! {
                    "grantor" => OWNER_NAME, "grantee" => OWNER_NAME, "table_catalog" => self.runtime.database(),
                    "table_schema" => self.schema_name(object), "table_name" => &object.name, "column_name" => name,
                    "privilege_type" => privilege, "is_grantable" => "YES",
                }));
            }
        }
        rows
    }
}

/// Lengths, precisions and radixes of a column's type.
fn measures(column: &ColumnDesc) -> Vec<(&'static str, Cell)> {
    let binary = |bits: i32| {
        cells! { "numeric_precision" => bits, "numeric_precision_radix" => 2 }
    };
    let integer = |bits: i32| {
        let mut cells = binary(bits);
        cells.push(("numeric_scale", Cell::Int32(0)));
        cells
    };
    let typmod = column.ty.typmod;
    match &column.ty.scalar {
        ScalarType::Int16 => integer(16),
        ScalarType::Int32 => integer(32),
        ScalarType::Int64 => integer(64),
        ScalarType::Float32 => binary(24),
        ScalarType::Float64 => binary(53),
        ScalarType::Numeric => {
            let (precision, scale) = typmod.as_numeric().unzip();
            cells! {
                "numeric_precision" => precision.map(|p| p as i32), "numeric_precision_radix" => 10,
                "numeric_scale" => scale.map(|s| s as i32),
            }
        }
        ScalarType::Text => cells! { "character_octet_length" => 1_073_741_824 },
        ScalarType::Varchar | ScalarType::BpChar => {
            let length = typmod.as_length().map(|n| n as i32);
            let octets = length.map_or(1_073_741_824, |n| n.saturating_mul(4));
            cells! { "character_maximum_length" => length, "character_octet_length" => octets }
        }
        ScalarType::Date => cells! { "datetime_precision" => 0 },
        ScalarType::Time | ScalarType::Timestamp | ScalarType::TimestampTz => {
            cells! { "datetime_precision" => typmod.as_precision().map_or(6, |p| p as i32) }
        }
        ScalarType::Interval => {
            let (_, precision) = typmod.as_interval();
            cells! { "datetime_precision" => precision.map_or(6, |p| p as i32) }
        }
        _ => Vec::new(),
    }
}
