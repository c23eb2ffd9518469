//! SQL types and descriptions of relations.
//!
//! A type modifier is kept beside the type, as in Postgres: functions know types only, and a column's
//! modifier is applied where a value is assigned or cast to it.

mod typmod;

#[cfg(test)]
mod tests;

pub use typmod::Typmod;

use crate::id::GlobalId;
use serde::{Deserialize, Serialize};
use typmod::interval_range;

/// A SQL type without its modifier.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ScalarType {
    /// boolean
    Bool,
    /// smallint
    Int16,
    /// integer
    Int32,
    /// bigint
    Int64,
    /// real
    Float32,
    /// double precision
    Float64,
    /// numeric
    Numeric,
    /// text
    Text,
    /// character varying
    Varchar,
    /// character(n), blank padded
    BpChar,
    /// name, the catalog's identifiers
    Name,
    /// "char", the catalog's one-byte codes
    InternalChar,
    /// bytea
    Bytea,
    /// date
    Date,
    /// time without time zone
    Time,
    /// timestamp without time zone
    Timestamp,
    /// timestamp with time zone
    TimestampTz,
    /// interval
    Interval,
    /// uuid
    Uuid,
    /// jsonb
    Jsonb,
    /// oid
    Oid,
    /// regclass
    RegClass,
    /// regtype
    RegType,
    /// regproc
    RegProc,
    /// regnamespace
    RegNamespace,
    /// An array of a type that is not itself an array.
    Array(Box<ScalarType>),
    /// An anonymous composite: names and types of its fields.
    Record(Vec<(String, ScalarType)>),
    /// A literal or parameter whose type the context decides.
    Unknown,
    /// The result of a function called for its effect.
    Void,
}

impl ScalarType {
    /// The type's Postgres oid.
    pub fn oid(&self) -> u32 {
        match self {
            ScalarType::Bool => 16,
            ScalarType::Int16 => 21,
            ScalarType::Int32 => 23,
            ScalarType::Int64 => 20,
            ScalarType::Float32 => 700,
            ScalarType::Float64 => 701,
            ScalarType::Numeric => 1700,
            ScalarType::Text => 25,
            ScalarType::Varchar => 1043,
            ScalarType::BpChar => 1042,
            ScalarType::Name => 19,
            ScalarType::InternalChar => 18,
            ScalarType::Bytea => 17,
            ScalarType::Date => 1082,
            ScalarType::Time => 1083,
            ScalarType::Timestamp => 1114,
            ScalarType::TimestampTz => 1184,
            ScalarType::Interval => 1186,
            ScalarType::Uuid => 2950,
            ScalarType::Jsonb => 3802,
            ScalarType::Oid => 26,
            ScalarType::RegClass => 2205,
            ScalarType::RegType => 2206,
            ScalarType::RegProc => 24,
            ScalarType::RegNamespace => 4089,
            ScalarType::Array(element) => element.array_oid(),
            ScalarType::Record(_) => 2249,
            ScalarType::Unknown => 705,
            ScalarType::Void => 2278,
        }
    }

    /// The oid of the array type over this element type; 0 where Postgres has none.
    pub fn array_oid(&self) -> u32 {
        match self {
            ScalarType::Bool => 1000,
            ScalarType::Int16 => 1005,
            ScalarType::Int32 => 1007,
            ScalarType::Int64 => 1016,
            ScalarType::Float32 => 1021,
            ScalarType::Float64 => 1022,
            ScalarType::Numeric => 1231,
            ScalarType::Text => 1009,
            ScalarType::Varchar => 1015,
            ScalarType::BpChar => 1014,
            ScalarType::Name => 1003,
            ScalarType::InternalChar => 1002,
            ScalarType::Bytea => 1001,
            ScalarType::Date => 1182,
            ScalarType::Time => 1183,
            ScalarType::Timestamp => 1115,
            ScalarType::TimestampTz => 1185,
            ScalarType::Interval => 1187,
            ScalarType::Uuid => 2951,
            ScalarType::Jsonb => 3807,
            ScalarType::Oid => 1028,
            ScalarType::RegClass => 2210,
            ScalarType::RegType => 2211,
            ScalarType::RegProc => 1008,
            ScalarType::RegNamespace => 4090,
            ScalarType::Record(_) => 2287,
            ScalarType::Array(_) | ScalarType::Unknown | ScalarType::Void => 0,
        }
    }

    /// Every type that a column can have, elements before arrays; records and pseudo-types are not listed.
    pub fn all() -> Vec<ScalarType> {
        use ScalarType::*;
        let elements = vec![
            Bool,
            Int16,
            Int32,
            Int64,
            Float32,
            Float64,
            Numeric,
            Text,
            Varchar,
            BpChar,
            Name,
            InternalChar,
            Bytea,
            Date,
            Time,
            Timestamp,
            TimestampTz,
            Interval,
            Uuid,
            Jsonb,
            Oid,
            RegClass,
            RegType,
            RegProc,
            RegNamespace,
        ];
        let arrays: Vec<_> = elements
            .iter()
            .cloned()
            .map(|e| Array(Box::new(e)))
            .collect();
        elements.into_iter().chain(arrays).collect()
    }

    /// The type of an oid, if it is one of [`ScalarType::all`] or a pseudo-type.
    pub fn from_oid(oid: u32) -> Option<ScalarType> {
        match oid {
            705 => Some(ScalarType::Unknown),
            2278 => Some(ScalarType::Void),
            _ => ScalarType::all().into_iter().find(|t| t.oid() == oid),
        }
    }

    /// The catalog's name (`typname`): `int4`, `_text`.
    pub fn catalog_name(&self) -> String {
        let name = match self {
            ScalarType::Bool => "bool",
            ScalarType::Int16 => "int2",
            ScalarType::Int32 => "int4",
            ScalarType::Int64 => "int8",
            ScalarType::Float32 => "float4",
            ScalarType::Float64 => "float8",
            ScalarType::Numeric => "numeric",
            ScalarType::Text => "text",
            ScalarType::Varchar => "varchar",
            ScalarType::BpChar => "bpchar",
            ScalarType::Name => "name",
            ScalarType::InternalChar => "char",
            ScalarType::Bytea => "bytea",
            ScalarType::Date => "date",
            ScalarType::Time => "time",
            ScalarType::Timestamp => "timestamp",
            ScalarType::TimestampTz => "timestamptz",
            ScalarType::Interval => "interval",
            ScalarType::Uuid => "uuid",
            ScalarType::Jsonb => "jsonb",
            ScalarType::Oid => "oid",
            ScalarType::RegClass => "regclass",
            ScalarType::RegType => "regtype",
            ScalarType::RegProc => "regproc",
            ScalarType::RegNamespace => "regnamespace",
            ScalarType::Array(element) => return format!("_{}", element.catalog_name()),
            ScalarType::Record(_) => "record",
            ScalarType::Unknown => "unknown",
            ScalarType::Void => "void",
        };
        name.to_string()
    }

    /// The name in messages and in `format_type`, without modifier: `integer`, `timestamp with time zone`.
    pub fn sql_name(&self) -> String {
        let name = match self {
            ScalarType::Bool => "boolean",
            ScalarType::Int16 => "smallint",
            ScalarType::Int32 => "integer",
            ScalarType::Int64 => "bigint",
            ScalarType::Float32 => "real",
            ScalarType::Float64 => "double precision",
            ScalarType::Varchar => "character varying",
            ScalarType::BpChar => "character",
            ScalarType::InternalChar => "\"char\"",
            ScalarType::Time => "time without time zone",
            ScalarType::Timestamp => "timestamp without time zone",
            ScalarType::TimestampTz => "timestamp with time zone",
            ScalarType::Array(element) => return format!("{}[]", element.sql_name()),
            other => return other.catalog_name(),
        };
        name.to_string()
    }

    /// The name with its modifier, as `format_type` gives it: `numeric(15,2)`, `character varying(20)`.
    pub fn sql_name_with(&self, typmod: Typmod) -> String {
        match self {
            ScalarType::Array(element) => format!("{}[]", element.sql_name_with(typmod)),
            ScalarType::Numeric => match typmod.as_numeric() {
                Some((precision, scale)) => format!("numeric({precision},{scale})"),
                None => self.sql_name(),
            },
            ScalarType::Varchar | ScalarType::BpChar => match typmod.as_length() {
                Some(n) => format!("{}({n})", self.sql_name()),
                None if *self == ScalarType::BpChar => "bpchar".to_string(),
                None => self.sql_name(),
            },
            ScalarType::Interval => {
                let (fields, precision) = typmod.as_interval();
                let fields = fields.map(|f| format!(" {}", interval_range::name(f)));
                let precision = precision.map(|p| format!("({p})"));
                format!(
                    "interval{}{}",
                    fields.unwrap_or_default(),
                    precision.unwrap_or_default()
                )
            }
            ScalarType::Time | ScalarType::Timestamp | ScalarType::TimestampTz => {
                match typmod.as_precision() {
                    Some(p) => {
                        let name = self.sql_name();
                        let (head, tail) = name.split_once(' ').unwrap_or((&name, ""));
                        format!("{head}({p}) {tail}")
                    }
                    None => self.sql_name(),
                }
            }
            other => other.sql_name(),
        }
    }

    /// `typlen`: bytes, or -1 where it varies.
    pub fn length(&self) -> i16 {
        match self {
            ScalarType::Bool | ScalarType::InternalChar => 1,
            ScalarType::Int16 => 2,
            ScalarType::Int32
            | ScalarType::Float32
            | ScalarType::Date
            | ScalarType::Oid
            | ScalarType::RegClass
            | ScalarType::RegType
            | ScalarType::RegProc
            | ScalarType::RegNamespace
            | ScalarType::Void => 4,
            ScalarType::Int64
            | ScalarType::Float64
            | ScalarType::Time
            | ScalarType::Timestamp
            | ScalarType::TimestampTz => 8,
            ScalarType::Interval | ScalarType::Uuid => 16,
            ScalarType::Name => 64,
            ScalarType::Unknown => -2,
            _ => -1,
        }
    }

    /// Whether values are strings over which text functions work.
    pub fn is_stringlike(&self) -> bool {
        matches!(
            self,
            ScalarType::Text
                | ScalarType::Varchar
                | ScalarType::BpChar
                | ScalarType::Name
                | ScalarType::InternalChar
        )
    }

    /// Whether two values with equal keys can still differ in identity (numeric scale, -0.0, padding).
    pub fn key_loses_identity(&self) -> bool {
        match self {
            ScalarType::Float32
            | ScalarType::Float64
            | ScalarType::Numeric
            | ScalarType::BpChar
            | ScalarType::Interval
            | ScalarType::Jsonb => true,
            ScalarType::Array(element) => element.key_loses_identity(),
            ScalarType::Record(fields) => fields.iter().any(|(_, t)| t.key_loses_identity()),
            _ => false,
        }
    }
}

/// A column's type: what it holds, its modifier, and whether NULL can be there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ColumnType {
    /// The type.
    pub scalar: ScalarType,
    /// Its modifier.
    pub typmod: Typmod,
    /// Whether NULL can occur.
    pub nullable: bool,
}

impl ScalarType {
    /// This type as a column that may hold NULL.
    pub fn nullable(self) -> ColumnType {
        ColumnType {
            scalar: self,
            typmod: Typmod::NONE,
            nullable: true,
        }
    }

    /// This type as a column that holds no NULL.
    pub fn not_null(self) -> ColumnType {
        ColumnType {
            scalar: self,
            typmod: Typmod::NONE,
            nullable: false,
        }
    }
}

impl ColumnType {
    /// The same with another nullability.
    pub fn with_nullable(mut self, nullable: bool) -> ColumnType {
        self.nullable = nullable;
        self
    }
}

/// A named column.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ColumnDesc {
    /// Its name as stored: unquoted identifiers folded to lower case.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
    /// The relation and attribute number that it comes from unchanged, for clients' RowDescription.
    pub origin: Option<(GlobalId, u16)>,
}

/// Names and types of a relation's columns, in order, with the sets of columns known to be unique.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RelationDesc {
    /// The columns.
    pub columns: Vec<ColumnDesc>,
    /// Each a set of column positions, ascending, in which no two rows are equal.
    pub keys: Vec<Vec<usize>>,
}

impl RelationDesc {
    /// A description of columns without keys.
    pub fn new(columns: impl IntoIterator<Item = (impl Into<String>, ColumnType)>) -> RelationDesc {
        let columns = columns
            .into_iter()
            .map(|(name, ty)| ColumnDesc {
                name: name.into(),
                ty,
                origin: None,
            })
            .collect();
        RelationDesc {
            columns,
            keys: Vec::new(),
        }
    }

    /// How many columns.
    pub fn arity(&self) -> usize {
        self.columns.len()
    }

    /// The columns' types.
    pub fn types(&self) -> Vec<ColumnType> {
        self.columns.iter().map(|c| c.ty.clone()).collect()
    }

    /// The columns' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|c| c.name.as_str())
    }

    /// The position of the column of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
}
