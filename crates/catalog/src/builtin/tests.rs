//! System tables over a small catalog.

use super::*;
use crate::catalog::Change;
use crate::object::{Constraint, ConstraintKind, Index, IndexKey, Table, TableColumn, View};
use everview_repr::{ColumnType, Datum, RelationDesc, ScalarType};
use std::collections::BTreeSet;
use std::sync::Arc;

struct Server;

/// Shows SQL as it is kept.
impl Deparser for Server {
    fn view(&self, _: &Catalog, _: &[String], view: &View, _: bool) -> String {
        view.sql.clone()
    }

    fn expression(
        &self,
        _: &Catalog,
        _: &RelationDesc,
        _: Option<&ColumnType>,
        sql: &str,
        _: bool,
    ) -> String {
        sql.to_string()
    }

    fn index_column(
        &self,
        _: &Catalog,
        _: &RelationDesc,
        _: &str,
    ) -> Option<(String, ColumnType, bool)> {
        Some(("lower".to_string(), ScalarType::Text.nullable(), true))
    }
}

impl Runtime for Server {
    fn deparser(&self) -> &dyn Deparser {
        self
    }

    fn activity(&self) -> Vec<Activity> {
        vec![Activity {
            pid: 7,
            user: "everview".into(),
            database: "everview".into(),
            application: "psql".into(),
            client: "127.0.0.1".into(),
            backend_start: 1,
            transaction_start: None,
            query_start: Some(2),
            state_change: 3,
            state: "idle",
            query: "SELECT 1".into(),
        }]
    }

    fn views(&self) -> Vec<ViewState> {
        vec![ViewState {
            id: GlobalId(16402),
            state: "ready",
            reason: None,
            progress: 1.0,
            lag: Some(5),
            rows: 3,
            bytes: 100,
        }]
    }

    fn count_rows(&self, _: GlobalId) -> Option<u64> {
        Some(3)
    }

    fn table_rows(&self, _: GlobalId) -> u64 {
        42
    }

    fn settings(&self) -> Vec<(String, String, String)> {
        vec![("TimeZone".into(), "UTC".into(), "The zone.".into())]
    }
}

fn column(name: &str, ty: ColumnType, default: Option<&str>) -> TableColumn {
    TableColumn {
        name: name.into(),
        ty,
        default: default.map(String::from),
        comment: (name == "id").then(|| "its number".to_string()),
        missing: None,
    }
}

/// Table `t` (16400) with three constraints, view `v` (16401), materialized view `s.m` (16402), index `i` (16403) on it.
fn sample() -> Catalog {
    let object = |id, schema: Option<u32>, name: &str, kind| {
        let comment = (name == "t").then(|| "a table".to_string());
        let schema = schema.map(GlobalId);
        Object {
            id: GlobalId(id),
            schema,
            name: name.into(),
            created: Timestamp::MIN,
            comment,
            kind,
        }
    };
    let constraint = |id, name: &str, kind| Constraint {
        id: GlobalId(id),
        name: name.into(),
        kind,
        since: Timestamp::MIN,
        comment: None,
    };
    let table = Table {
        columns: vec![
            column("id", ScalarType::Int32.not_null(), None),
            column("Odd name", ScalarType::Text.nullable(), Some("'x'::text")),
        ],
        constraints: vec![
            constraint(16410, "t_pkey", ConstraintKind::PrimaryKey(vec![0])),
            constraint(16411, "t_u", ConstraintKind::Unique(vec![1, 0])),
            constraint(16412, "t_check", ConstraintKind::Check("\"$1\" > 0".into())),
        ],
        append_only: false,
    };
    let view = |read: u32| View {
        sql: format!("SELECT '\"$16400\"', \"$16400\".id FROM \"${read}\""),
        desc: RelationDesc::new([
            ("a", ScalarType::Text.nullable()),
            ("id", ScalarType::Int32.nullable()),
        ]),
        depends_on: [GlobalId(read)].into(),
        time_zone: "UTC".into(),
        semantics: 1,
        comments: [(1, "its number".to_string())].into(),
    };
    let index = Index {
        on: GlobalId(16402),
        keys: vec![IndexKey::Column(1), IndexKey::Expression("lower(a)".into())],
        unique: false,
    };
    let objects = [
        object(16399, None, "s", ObjectKind::Schema),
        object(16400, Some(2200), "t", ObjectKind::Table(table)),
        object(16401, Some(2200), "v", ObjectKind::View(view(16400))),
        object(
            16402,
            Some(16399),
            "m",
            ObjectKind::MaterializedView(view(16402 - 1)),
        ),
        object(16403, Some(16399), "i", ObjectKind::Index(index)),
    ];
    let changes: Vec<_> = objects
        .into_iter()
        .map(|o| Change {
            old: None,
            new: Some(Arc::new(o)),
        })
        .collect();
    Catalog::new().apply(&changes)
}

/// The rows of a system table, each as its datums' debugging form by column name.
fn table(schema: &str, name: &str) -> Vec<Vec<(String, String)>> {
    let catalog = sample();
    let schema = catalog.schema(schema).expect("schema").id;
    let object = catalog.in_schema(schema, name).expect("system table");
    let desc = object.desc().expect("columns");
    let shown = |row: Row| {
        let names = desc.names().map(String::from);
        names.zip(row.iter().map(|d| format!("{d:?}"))).collect()
    };
    rows(object.id, &catalog, &Server)
        .into_iter()
        .map(shown)
        .collect()
}

fn find(rows: &[Vec<(String, String)>], name: &str, value: &str) -> Vec<(String, String)> {
    let has = |row: &&Vec<(String, String)>| row.iter().any(|(n, v)| n == name && v == value);
    rows.iter()
        .find(has)
        .unwrap_or_else(|| panic!("no row with {name} = {value}"))
        .clone()
}

fn cell(row: &[(String, String)], name: &str) -> String {
    row.iter()
        .find(|(n, _)| n == name)
        .expect("column")
        .1
        .clone()
}

/// Calls a catalog function and gives its result's text.
fn ask(path: &[&str], name: &str, args: &[Datum<'_>]) -> Result<Option<String>, String> {
    let path: Vec<_> = path.iter().map(|s| s.to_string()).collect();
    match functions::call(&sample(), &path, &Server, name, args) {
        Err(error) => Err(error.message().to_string()),
        Ok(None) => Err("no such function".into()),
        Ok(Some(row)) => Ok(match row.first() {
            Datum::Null => None,
            Datum::Text(s) => Some(s.to_string()),
            other => Some(format!("{other:?}")),
        }),
    }
}

fn fits(datum: &Datum<'_>, ty: &ScalarType) -> bool {
    use ScalarType::*;
    match datum {
        Datum::Bool(_) => *ty == Bool,
        Datum::Int16(_) => *ty == Int16,
        Datum::Int32(_) => *ty == Int32,
        Datum::Int64(_) => *ty == Int64,
        Datum::Float32(_) => *ty == Float32,
        Datum::Float64(_) => *ty == Float64,
        Datum::Text(_) => matches!(ty, Text | Varchar | Name | InternalChar),
        Datum::TimestampTz(_) => *ty == TimestampTz,
        Datum::Interval(_) => *ty == Interval,
        Datum::Oid(_) => matches!(ty, Oid | RegClass | RegType | RegProc | RegNamespace),
        Datum::Array(array) => match ty {
            Array(element) => array.elements().all(|e| fits(&e, element)),
            _ => false,
        },
        _ => false,
    }
}

#[test]
fn every_row_fits_its_columns() {
    let catalog = sample();
    for relation in RELATIONS.values() {
        for row in rows(relation.id, &catalog, &Server) {
            let datums = row.unpack();
            assert_eq!(datums.len(), relation.desc.arity(), "{}", relation.name);
            for (datum, column) in datums.iter().zip(&relation.desc.columns) {
                let ok = if datum.is_null() {
                    column.ty.nullable
                } else {
                    fits(datum, &column.ty.scalar)
                };
                assert!(
                    ok,
                    "{}.{}: {datum:?} in {:?}",
                    relation.name, column.name, column.ty
                );
            }
        }
    }
}

#[test]
fn ids_and_names_are_unique_and_of_the_system() {
    let objects = objects();
    let ids: BTreeSet<_> = objects.iter().map(|o| o.id).collect();
    let names: BTreeSet<_> = objects.iter().map(|o| (o.schema, &o.name)).collect();
    assert_eq!((ids.len(), names.len()), (objects.len(), objects.len()));
    assert!(ids.iter().all(|id| id.is_system()));
    for (name, id) in [
        ("pg_class", 1259),
        ("pg_type", 1247),
        ("pg_attribute", 1249),
        ("pg_proc", 1255),
    ] {
        assert!(
            objects.iter().any(|o| o.name == name && o.id.0 == id),
            "{name}"
        );
    }
}

#[test]
fn numbers_of_functions_are_unique() {
    let rows = table("pg_catalog", "pg_proc");
    let oids: BTreeSet<_> = rows.iter().map(|r| cell(r, "oid")).collect();
    assert_eq!(oids.len(), rows.len());
}

#[test]
fn relations_and_indexes_are_in_pg_class() {
    let rows = table("pg_catalog", "pg_class");
    for (name, kind) in [
        ("t", "r"),
        ("v", "v"),
        ("m", "m"),
        ("i", "i"),
        ("t_pkey", "i"),
        ("pg_class", "r"),
        ("pg_views", "v"),
    ] {
        let row = find(&rows, "relname", &format!("Text({name:?})"));
        assert_eq!(cell(&row, "relkind"), format!("Text({kind:?})"), "{name}");
    }
    let row = find(&rows, "relname", "Text(\"t\")");
    assert_eq!(cell(&row, "relhasindex"), "Bool(true)");
    assert_eq!(cell(&row, "relchecks"), "Int16(1)");
    assert_eq!(cell(&row, "reltuples"), "Float32(42.0)");
}

#[test]
fn constraints_and_their_indexes_refer_to_each_other() {
    let constraint = find(
        &table("pg_catalog", "pg_constraint"),
        "conname",
        "Text(\"t_pkey\")",
    );
    assert_eq!(cell(&constraint, "contype"), "Text(\"p\")");
    let index = find(
        &table("pg_catalog", "pg_index"),
        "indexrelid",
        &cell(&constraint, "conindid"),
    );
    assert_eq!(cell(&index, "indisprimary"), "Bool(true)");
    assert_eq!(cell(&index, "indrelid"), cell(&constraint, "conrelid"));
}

#[test]
fn definitions_name_what_they_are_on() {
    let oid = |n| [Datum::Oid(n)];
    let index = ask(&[], "pg_get_indexdef", &oid(16403));
    assert_eq!(
        index,
        Ok(Some(
            "CREATE INDEX i ON s.m USING btree (id, lower(a))".into()
        ))
    );
    let part = |index, column| {
        let args = [Datum::Oid(index), Datum::Int32(column), Datum::Bool(true)];
        ask(&[], "pg_get_indexdef", &args)
    };
    assert_eq!(part(16411, 1), Ok(Some("\"Odd name\"".into())));
    let constraint = ask(&[], "pg_get_constraintdef", &oid(16412));
    assert_eq!(constraint, Ok(Some("CHECK (\"$1\" > 0)".into())));
    let constraint = ask(&[], "pg_get_constraintdef", &oid(16411));
    assert_eq!(constraint, Ok(Some("UNIQUE (\"Odd name\", id)".into())));
    let default = find(&table("pg_catalog", "pg_attrdef"), "adnum", "Int16(2)");
    assert_eq!(cell(&default, "adbin"), "Text(\"DEFAULT 2 'x'::text\")");
    let args = [Datum::Text("DEFAULT 2 'x'::text"), Datum::Oid(16400)];
    let shown = ask(&[], "pg_get_expr", &args);
    assert_eq!(shown, Ok(Some("'x'::text".into())));
}

#[test]
fn names_go_in_and_out_by_the_search_path() {
    let text = |s| [Datum::Text(s)];
    assert_eq!(
        ask(&["public"], "regclass_in", &text("t")),
        Ok(Some("Oid(16400)".into()))
    );
    assert_eq!(
        ask(&["public"], "regclass_in", &text("s.m")),
        Ok(Some("Oid(16402)".into()))
    );
    assert_eq!(
        ask(&["public"], "regclass_in", &text("PG_class")),
        Ok(Some("Oid(1259)".into()))
    );
    assert_eq!(ask(&["public"], "to_regclass", &text("m")), Ok(None));
    let missing = ask(&["public"], "regclass_in", &text("m"));
    assert_eq!(missing, Err("relation \"m\" does not exist".into()));
    assert_eq!(
        ask(&["public"], "regclass_out", &[Datum::Oid(16402)]),
        Ok(Some("s.m".into()))
    );
    assert_eq!(
        ask(&["s"], "regclass_out", &[Datum::Oid(16402)]),
        Ok(Some("m".into()))
    );
    assert_eq!(
        ask(&[], "regtype_in", &text("character varying(3)[]")),
        Ok(Some("Oid(1015)".into()))
    );
    assert_eq!(
        ask(&[], "regtype_in", &text("timestamp(3) with time zone")),
        Ok(Some("Oid(1184)".into()))
    );
    assert_eq!(
        ask(&[], "regproc_in", &text("pg_catalog.array_in")),
        Ok(Some("Oid(750)".into()))
    );
    assert_eq!(
        ask(&[], "regproc_out", &[Datum::Oid(750)]),
        Ok(Some("array_in".into()))
    );
    assert_eq!(
        ask(&[], "to_regnamespace", &text("s")),
        Ok(Some("Oid(16399)".into()))
    );
    assert_eq!(
        ask(&["public"], "pg_table_is_visible", &[Datum::Oid(16402)]),
        Ok(Some("Bool(false)".into()))
    );
    assert_eq!(
        ask(&["public"], "pg_table_is_visible", &[Datum::Oid(16410)]),
        Ok(Some("Bool(true)".into()))
    );
}

#[test]
fn comments_are_found() {
    let comment = ask(
        &[],
        "obj_description",
        &[Datum::Oid(16400), Datum::Text("pg_class")],
    );
    assert_eq!(comment, Ok(Some("a table".into())));
    let comment = ask(
        &[],
        "col_description",
        &[Datum::Oid(16400), Datum::Int32(1)],
    );
    assert_eq!(comment, Ok(Some("its number".into())));
    let described = table("pg_catalog", "pg_description");
    let of_table = described
        .iter()
        .filter(|row| cell(row, "objoid") == "Oid(16400)");
    assert_eq!(of_table.count(), 2);
    let of_view = described
        .iter()
        .filter(|row| cell(row, "objoid") == "Oid(16401)" && cell(row, "objsubid") == "Int32(2)");
    assert_eq!(of_view.count(), 1);
}

#[test]
fn a_checks_columns_are_those_that_it_names() {
    let check = find(
        &table("pg_catalog", "pg_constraint"),
        "conname",
        "Text(\"t_check\")",
    );
    let key = find(
        &table("pg_catalog", "pg_constraint"),
        "conname",
        "Text(\"t_pkey\")",
    );
    assert_eq!(cell(&check, "conkey"), cell(&key, "conkey"));
}

#[test]
fn views_show_how_they_are_maintained() {
    let row = find(&table("everview", "views"), "name", "Text(\"m\")");
    assert_eq!(cell(&row, "state"), "Text(\"ready\")");
    assert_eq!(cell(&row, "kind"), "Text(\"materialized view\")");
    assert_eq!(table("everview", "tables").len(), 1);
}
