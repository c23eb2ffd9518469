//! pg_class and what belongs to it: columns, defaults, indexes, constraints, comments, dependencies.

use super::cells::{Cell, cells};
use super::definitions;
use super::indexes::{self, IndexView};
use super::schema::RELATIONS;
use super::{Builder, Runtime, ViewState};
use crate::catalog::Catalog;
use crate::object::{ConstraintKind, IndexKey, Object, ObjectKind, Table, View};
use everview_repr::{ColumnType, GlobalId, Row, ScalarType};

/// The oid of the owner of everything.
pub(crate) const OWNER: u32 = 10;
/// The owner's name.
pub(crate) const OWNER_NAME: &str = "everview";

const PG_CLASS: u32 = 1259;
const PG_NAMESPACE: u32 = 2615;
const PG_REWRITE: u32 = 2618;
const PG_CONSTRAINT: u32 = 2606;

/// `pg_class.relkind`; none for what is no relation.
pub(crate) fn kind(object: &Object) -> Option<&'static str> {
    match &object.kind {
        ObjectKind::Schema
        | ObjectKind::Secret(_)
        | ObjectKind::Connection(_)
        | ObjectKind::Sink(_) => None,
        ObjectKind::Table(_) => Some("r"),
        ObjectKind::View(_) => Some("v"),
        ObjectKind::MaterializedView(_) => Some("m"),
        ObjectKind::Index(_) => Some("i"),
        ObjectKind::SystemTable(_) => Some(RELATIONS.get(&object.id).map_or("v", |r| r.kind)),
    }
}

/// The oid of a type's collation: strings compare by bytes; names and char codes as PostgreSQL says.
fn collation(ty: &ScalarType) -> u32 {
    match ty {
        ScalarType::Text | ScalarType::Varchar | ScalarType::BpChar => 100,
        ScalarType::Name => 950,
        ScalarType::Array(element) => collation(element),
        _ => 0,
    }
}

fn schema_oid(object: &Object) -> u32 {
    object.schema.map_or(0, |s| s.0)
}

impl Builder<'_> {
    pub(super) fn pg_namespace(&self) -> Vec<Row> {
        let schemas = self
            .catalog
            .objects()
            .filter(|o| matches!(o.kind, ObjectKind::Schema));
        schemas
            .map(|o| {
                self.row(cells! { "oid" => o.id.0, "nspname" => &o.name, "nspowner" => OWNER })
            })
            .collect()
    }

    pub(super) fn pg_class(&self) -> Vec<Row> {
        let states = self.runtime.views();
        let mut rows = Vec::new();
        for object in self.catalog.objects() {
            if let (Some(kind), Some(desc)) = (kind(object), object.desc()) {
                rows.push(self.class(object, kind, desc.arity(), &states));
            }
        }
        rows.extend(indexes::all(self.catalog).iter().map(|index| {
            self.row(cells! {
                "oid" => index.id.0, "relname" => index.name, "relnamespace" => schema_oid(index.on),
                "relowner" => OWNER, "relam" => 403u32, "relfilenode" => index.id.0, "relpersistence" => "p",
                "relkind" => "i", "relnatts" => index.keys.len() as i16, "relispopulated" => true,
                "relreplident" => "n",
            })
        }));
        rows
    }

    fn class(&self, object: &Object, kind: &str, columns: usize, states: &[ViewState]) -> Row {
        let stored = matches!(kind, "r" | "m");
        let tuples = match &object.kind {
            ObjectKind::Table(_) => self.runtime.table_rows(object.id) as f32,
            ObjectKind::MaterializedView(_) => {
                let state = states.iter().find(|v| v.id == object.id);
                state.map_or(-1.0, |s| s.rows as f32)
            }
            _ => -1.0,
        };
        // A materialized view that is not up yet shows as one WITH NO DATA.
        let populated = kind != "m"
            || states
                .iter()
                .any(|s| s.id == object.id && s.state == "ready");
        let checks = match &object.kind {
            ObjectKind::Table(table) => table
                .constraints
                .iter()
                .filter(|c| matches!(c.kind, ConstraintKind::Check(_)))
                .count(),
            _ => 0,
        };
        self.row(cells! {
            "oid" => object.id.0, "relname" => &object.name, "relnamespace" => schema_oid(object),
            "relowner" => OWNER, "relam" => if stored { 2u32 } else { 0 },
            "relfilenode" => if stored { object.id.0 } else { 0 }, "reltuples" => tuples,
            "relhasindex" => indexes::has(self.catalog, object), "relpersistence" => "p", "relkind" => kind,
            "relnatts" => columns as i16, "relchecks" => checks as i16, "relhasrules" => matches!(kind, "v" | "m"),
            "relispopulated" => populated,
            "relreplident" => if stored && !object.id.is_system() { "d" } else { "n" },
        })
    }

    pub(super) fn pg_attribute(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for object in self.catalog.objects() {
            let Some(desc) = object.desc() else { continue };
            for (i, column) in desc.columns.iter().enumerate() {
                let default = match &object.kind {
                    ObjectKind::Table(table) => {
                        table.columns.get(i).is_some_and(|c| c.default.is_some())
                    }
                    _ => false,
                };
                // Only tables have NOT NULL; of views PostgreSQL knows nothing.
                let is_table = matches!(
                    object.kind,
                    ObjectKind::Table(_) | ObjectKind::SystemTable(_)
                );
                let ty = column
                    .ty
                    .clone()
                    .with_nullable(column.ty.nullable || !is_table);
                rows.push(self.attribute(object.id, i, &column.name, &ty, default));
            }
        }
        for index in indexes::all(self.catalog) {
            for (i, key) in index.keys.iter().enumerate() {
                let deparser = self.runtime.deparser();
                let (name, ty, typmod) = index.key_column(deparser, self.catalog, key);
                let mut ty = ty.nullable();
                ty.typmod.0 = typmod;
                rows.push(self.attribute(index.id, i, &name, &ty, false));
            }
        }
        rows
    }

    fn attribute(&self, id: GlobalId, i: usize, name: &str, ty: &ColumnType, default: bool) -> Row {
        let length = ty.scalar.length();
        self.row(cells! {
            "attrelid" => id.0, "attname" => name, "atttypid" => ty.scalar.oid(), "attstattarget" => -1,
            "attlen" => length, "attnum" => i as i16 + 1,
            "attndims" => i32::from(matches!(ty.scalar, ScalarType::Array(_))), "attcacheoff" => -1,
            "atttypmod" => ty.typmod.0, "attbyval" => matches!(length, 1..=8),
            "attalign" => match length { 1 => "c", 2 => "s", 8 => "d", _ => "i" },
            "attstorage" => match &ty.scalar { ScalarType::Numeric => "m", _ if length == -1 => "x", _ => "p" }, "attnotnull" => !ty.nullable,
            "atthasdef" => default, "attislocal" => true, "attcollation" => collation(&ty.scalar),
        })
    }

    pub(super) fn pg_attrdef(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (object, table) in self.tables() {
            for (i, column) in table.columns.iter().enumerate() {
                let Some(default) = &column.default else {
                    continue;
                };
                rows.push(self.row(cells! {
                    // Defaults have no numbers of their own.
                    "oid" => default_oid(object.id, i), "adrelid" => object.id.0, "adnum" => i as i16 + 1,
                    "adbin" => definitions::stored_default(i, default),
                }));
            }
        }
        rows
    }

    pub(super) fn pg_index(&self) -> Vec<Row> {
        indexes::all(self.catalog)
            .iter()
            .map(|index| self.index(index))
            .collect()
    }

    fn index(&self, index: &IndexView<'_>) -> Row {
        let deparser = self.runtime.deparser();
        let key_type = |k| index.key_column(deparser, self.catalog, k).1;
        let types: Vec<_> = index.keys.iter().map(key_type).collect();
        let expressions: Vec<_> = index
            .keys
            .iter()
            .filter_map(|k| match k {
                IndexKey::Expression(sql) => Some(sql.clone()),
                IndexKey::Column(_) => None,
            })
            .collect();
        let count = index.keys.len() as i16;
        self.row(cells! {
            "indexrelid" => index.id.0, "indrelid" => index.on.id.0, "indnatts" => count, "indnkeyatts" => count,
            "indisunique" => index.unique, "indisprimary" => index.primary, "indimmediate" => true,
            "indisvalid" => true, "indisready" => true, "indislive" => true,
            "indexprs" => (!expressions.is_empty()).then(|| expressions.join(", ")),
        }
        .into_iter()
        .chain([
            ("indkey", Cell::Int16Vector(index.attribute_numbers())),
            ("indcollation", Cell::OidVector(types.iter().map(collation).collect())),
            ("indclass", Cell::OidVector(types.iter().map(operator_class).collect())),
            ("indoption", Cell::Int16Vector(vec![0; index.keys.len()])),
        ])
        .collect())
    }

    pub(super) fn pg_constraint(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (object, table) in self.tables() {
            for constraint in &table.constraints {
                let (kind, index) = match &constraint.kind {
                    ConstraintKind::PrimaryKey(_) => ("p", constraint.id.0),
                    ConstraintKind::Unique(_)
                    | ConstraintKind::Deduplicate { within: None, .. } => ("u", constraint.id.0),
                    ConstraintKind::Check(_) => ("c", 0),
                    // PostgreSQL has nothing like them.
                    ConstraintKind::Deduplicate { .. } | ConstraintKind::CountEffects(_) => {
                        continue;
                    }
                };
                let columns = definitions::constraint_columns(table, constraint);
                let expression = match &constraint.kind {
                    ConstraintKind::Check(sql) => Some(sql.clone()),
                    _ => None,
                };
                let mut cells = cells! {
                    "oid" => constraint.id.0, "conname" => &constraint.name, "connamespace" => schema_oid(object),
                    "contype" => kind, "convalidated" => true, "conrelid" => object.id.0, "conindid" => index,
                    "confupdtype" => " ", "confdeltype" => " ", "confmatchtype" => " ", "conislocal" => true,
                    "connoinherit" => kind != "c", "conbin" => expression,
                };
                let numbers = columns.iter().map(|c| *c as i16 + 1).collect();
                cells.push(("conkey", Cell::Int16s(numbers)));
                rows.push(self.row(cells));
            }
        }
        rows
    }

    pub(super) fn pg_description(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for object in self.catalog.objects() {
            let class = if matches!(object.kind, ObjectKind::Schema) {
                PG_NAMESPACE
            } else {
                PG_CLASS
            };
            let mut push = |class: u32, id: u32, sub: usize, text: &str| {
                rows.push(self.row(cells! {
                    "objoid" => id, "classoid" => class, "objsubid" => sub as i32, "description" => text,
                }));
            };
            if let Some(comment) = &object.comment {
                push(class, object.id.0, 0, comment);
            }
            for column in 0..object.desc().map_or(0, |desc| desc.arity()) {
                if let Some(comment) = object.column_comment(column) {
                    push(class, object.id.0, column + 1, comment);
                }
            }
            if let ObjectKind::Table(table) = &object.kind {
                for constraint in &table.constraints {
                    if let Some(comment) = &constraint.comment {
                        push(PG_CONSTRAINT, constraint.id.0, 0, comment);
                    }
                }
            }
        }
        rows
    }

    pub(super) fn pg_depend(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut push = |class: u32, id: u32, on_class: u32, on: u32, kind: &str| {
            rows.push(self.row(cells! {
                "classid" => class, "objid" => id, "refclassid" => on_class, "refobjid" => on, "deptype" => kind,
            }));
        };
        let relations = self.catalog.objects().filter(|o| kind(o).is_some());
        for object in relations.filter(|o| !o.id.is_system()) {
            let is_view = matches!(
                object.kind,
                ObjectKind::View(_) | ObjectKind::MaterializedView(_)
            );
            if let Some(schema) = object.schema {
                push(PG_CLASS, object.id.0, PG_NAMESPACE, schema.0, "n");
            }
            if is_view {
                push(PG_REWRITE, object.id.0, PG_CLASS, object.id.0, "i");
            }
            for read in object.depends_on() {
                // A view reads through its rule, an index belongs to its relation.
                let (class, kind) = if is_view {
                    (PG_REWRITE, "n")
                } else {
                    (PG_CLASS, "a")
                };
                push(class, object.id.0, PG_CLASS, read.0, kind);
            }
        }
        for (object, table) in self.tables() {
            for constraint in table.constraints.iter().filter(|c| c.is_standard()) {
                push(PG_CONSTRAINT, constraint.id.0, PG_CLASS, object.id.0, "a");
                if constraint.unique_columns().is_some() {
                    push(
                        PG_CLASS,
                        constraint.id.0,
                        PG_CONSTRAINT,
                        constraint.id.0,
                        "i",
                    );
                }
            }
        }
        rows
    }

    pub(super) fn pg_rewrite(&self) -> Vec<Row> {
        let views = self
            .views_of(|kind| matches!(kind, ObjectKind::View(_) | ObjectKind::MaterializedView(_)));
        views
            .map(|(object, _)| {
                self.row(cells! {
                    "oid" => object.id.0, "rulename" => "_RETURN", "ev_class" => object.id.0, "ev_type" => "1",
                    "ev_enabled" => "O", "is_instead" => true, "ev_qual" => "<>",
                })
            })
            .collect()
    }

    /// User tables with their definitions, by id.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&Object, &Table)> {
        self.catalog
            .objects()
            .filter_map(|object| match &object.kind {
                ObjectKind::Table(table) => Some((&**object, table)),
                _ => None,
            })
    }

    /// User views of some kinds, by id.
    pub(super) fn views_of(
        &self,
        wanted: impl Fn(&ObjectKind) -> bool,
    ) -> impl Iterator<Item = (&Object, &View)> {
        self.catalog
            .objects()
            .filter(move |o| wanted(&o.kind))
            .filter_map(|object| match &object.kind {
                ObjectKind::View(view) | ObjectKind::MaterializedView(view) => {
                    Some((&**object, view))
                }
                _ => None,
            })
    }

    pub(super) fn schema_name(&self, object: &Object) -> String {
        schema_name(self.catalog, object)
    }
}

/// The name of the schema that an object is in.
pub(crate) fn schema_name(catalog: &Catalog, object: &Object) -> String {
    object
        .schema
        .and_then(|s| catalog.get(s))
        .map(|s| s.name.clone())
        .unwrap_or_default()
}

/// The number of a column's default: distinct for distinct columns of tables that are not huge in number.
fn default_oid(table: GlobalId, column: usize) -> u32 {
    table.0.wrapping_mul(2048).wrapping_add(column as u32 + 1) | 1 << 31
}

/// The btree operator class of a type, 0 where there is none.
fn operator_class(ty: &ScalarType) -> u32 {
    let wanted = match ty {
        ScalarType::Varchar => ScalarType::Text.oid(),
        ScalarType::RegClass
        | ScalarType::RegType
        | ScalarType::RegProc
        | ScalarType::RegNamespace => ScalarType::Oid.oid(),
        ScalarType::Array(_) => 2277,
        other => other.oid(),
    };
    // oid, method, name, namespace, owner, family, input type, default, key type
    let classes = include_str!("data/pg_opclass.tsv")
        .lines()
        .filter_map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            let (oid, input, default) = (fields.first()?, fields.get(6)?, fields.get(7)?);
            (*default == "t")
                .then(|| Some((oid.parse::<u32>().ok()?, input.parse::<u32>().ok()?)))?
        });
    classes
        .into_iter()
        .find(|(_, input)| *input == wanted)
        .map_or(0, |(oid, _)| oid)
}

/// The sum of bytes or rows as SQL shows them.
pub(crate) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Rows of a table, about.
pub(crate) fn table_rows(runtime: &dyn Runtime, id: GlobalId) -> i64 {
    count(runtime.table_rows(id))
}
