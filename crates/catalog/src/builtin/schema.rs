//! Names, numbers and columns of the system relations.
//!
//! `data/relations.txt` lists those of pg_catalog and information_schema as PostgreSQL 15 has them: schema, name,
//! kind, number, and the columns with their types, `!` for NOT NULL. Everview's own follow in `data/everview.txt`.
//! Types that this build does not have stand as the nearest that it has.

use everview_repr::{GlobalId, RelationDesc, ScalarType};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Schema `pg_catalog`.
pub(crate) const PG_CATALOG: GlobalId = GlobalId(11);
/// Schema `public`.
pub(crate) const PUBLIC: GlobalId = GlobalId(2200);
/// Schema `information_schema`.
pub(crate) const INFORMATION_SCHEMA: GlobalId = GlobalId(13000);
/// Schema `everview`.
pub(crate) const EVERVIEW: GlobalId = GlobalId(13001);

/// PostgreSQL numbers its views anew in every cluster from about here: ours are numbered from
/// [`FIRST_VIEW`] instead.
const FIRST_UNPINNED: u32 = 12000;
const FIRST_VIEW: u32 = 14000;

/// A system relation.
#[derive(Debug)]
pub(crate) struct Relation {
    pub schema: GlobalId,
    pub name: &'static str,
    /// `r` or `v`, as `pg_class.relkind` shows it.
    pub kind: &'static str,
    pub id: GlobalId,
    pub desc: RelationDesc,
}

/// All of them, by id.
pub(crate) static RELATIONS: LazyLock<BTreeMap<GlobalId, Relation>> = LazyLock::new(|| {
    let lines = include_str!("data/relations.txt")
        .lines()
        .chain(include_str!("data/everview.txt").lines());
    let relations = lines
        .enumerate()
        .filter_map(|(i, line)| relation(i as u32, line));
    relations.map(|r| (r.id, r)).collect()
});

/// The description of a relation of pg_catalog.
pub(crate) fn desc(name: &str) -> &'static RelationDesc {
    static EMPTY: LazyLock<RelationDesc> = LazyLock::new(RelationDesc::default);
    let found = RELATIONS
        .values()
        .find(|r| r.schema == PG_CATALOG && r.name == name);
    found.map_or(&EMPTY, |r| &r.desc)
}

fn relation(index: u32, line: &'static str) -> Option<Relation> {
    let mut parts = line.split('|');
    let schema = match parts.next()? {
        "pg_catalog" => PG_CATALOG,
        "information_schema" => INFORMATION_SCHEMA,
        _ => EVERVIEW,
    };
    let (name, kind) = (parts.next()?, parts.next()?);
    let number: u32 = parts.next()?.parse().ok()?;
    let columns = parts.next()?.split(',').map(|column| {
        let mut parts = column.split(':');
        let name = parts.next().unwrap_or_default();
        let ty = scalar(parts.next().unwrap_or_default());
        match parts.next() {
            Some("!") => (name, ty.not_null()),
            _ => (name, ty.nullable()),
        }
    });
    let id = GlobalId(if number < FIRST_UNPINNED {
        number
    } else {
        FIRST_VIEW + index
    });
    let mut desc = RelationDesc::new(columns);
    for (i, column) in desc.columns.iter_mut().enumerate() {
        column.origin = Some((id, i as u16 + 1));
    }
    Some(Relation {
        schema,
        name,
        kind,
        id,
        desc,
    })
}

/// A column's type by PostgreSQL's name for it.
fn scalar(name: &str) -> ScalarType {
    match name {
        "information_schema.sql_identifier" => ScalarType::Name,
        "information_schema.character_data" | "information_schema.yes_or_no" => ScalarType::Varchar,
        "information_schema.cardinal_number" => ScalarType::Int32,
        "information_schema.time_stamp" => ScalarType::TimestampTz,
        "xid" => ScalarType::Oid,
        "int2vector" => ScalarType::Array(Box::new(ScalarType::Int16)),
        "oidvector" => ScalarType::Array(Box::new(ScalarType::Oid)),
        "aclitem[]" => ScalarType::Array(Box::new(ScalarType::Text)),
        _ => {
            static BY_NAME: LazyLock<BTreeMap<String, ScalarType>> = LazyLock::new(|| {
                ScalarType::all()
                    .into_iter()
                    .map(|t| (t.sql_name(), t))
                    .collect()
            });
            // pg_node_tree, pg_lsn, inet, anyarray and statistics: text that nothing computes with.
            BY_NAME.get(name).cloned().unwrap_or(ScalarType::Text)
        }
    }
}
