//! Rows of system tables, cell by named cell.
//!
//! A row names only the columns that say something; every other column is NULL, or the zero of its type where
//! PostgreSQL has none.

use everview_repr::array::{self, Array, Dimension};
use everview_repr::{ColumnType, Datum, Interval, RelationDesc, Row, RowArena, ScalarType, text};

/// One value, owned.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    Text(String),
    Oid(u32),
    /// timestamptz
    Time(i64),
    Interval(Interval),
    /// An int2vector: subscripts from 0.
    Int16Vector(Vec<i16>),
    /// An oidvector: subscripts from 0.
    OidVector(Vec<u32>),
    /// smallint[]
    Int16s(Vec<i16>),
    /// text[] and name[]
    Texts(Vec<String>),
}

macro_rules! from {
    ($($from:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$from> for Cell {
            fn from(value: $from) -> Cell {
                Cell::$variant(value.into())
            }
        }
    )+};
}

from! {
    bool => Bool, i16 => Int16, i32 => Int32, i64 => Int64, f32 => Float32, f64 => Float64,
    &str => Text, String => Text, &String => Text, u32 => Oid,
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Null, Into::into)
    }
}

fn vector(lower: i32, elements: Vec<Datum<'_>>) -> Vec<u8> {
    let length = elements.len() as u32;
    array::build(&[Dimension { length, lower }], elements)
}

impl Cell {
    /// Calls `f` with the value borrowed.
    fn with<R>(&self, f: impl FnOnce(Datum<'_>) -> R) -> R {
        let packed = match self {
            Cell::Null => return f(Datum::Null),
            Cell::Bool(v) => return f(Datum::Bool(*v)),
            Cell::Int16(v) => return f(Datum::Int16(*v)),
            Cell::Int32(v) => return f(Datum::Int32(*v)),
            Cell::Int64(v) => return f(Datum::Int64(*v)),
            Cell::Float32(v) => return f(Datum::Float32(*v)),
            Cell::Float64(v) => return f(Datum::Float64(*v)),
            Cell::Text(v) => return f(Datum::Text(v)),
            Cell::Oid(v) => return f(Datum::Oid(*v)),
            Cell::Interval(v) => return f(Datum::Interval(*v)),
            Cell::Time(v) => return f(Datum::TimestampTz(*v)),
            Cell::Int16Vector(v) => vector(0, v.iter().map(|v| Datum::Int16(*v)).collect()),
            Cell::OidVector(v) => vector(0, v.iter().map(|v| Datum::Oid(*v)).collect()),
            Cell::Int16s(v) => vector(1, v.iter().map(|v| Datum::Int16(*v)).collect()),
            Cell::Texts(v) => vector(1, v.iter().map(|v| Datum::Text(v)).collect()),
        };
        f(Datum::Array(Array::from_packed(&packed)))
    }
}

/// What a column holds that a row does not name.
fn absent(ty: &ColumnType) -> Cell {
    if ty.nullable {
        return Cell::Null;
    }
    match &ty.scalar {
        ScalarType::Bool => Cell::Bool(false),
        ScalarType::Int16 => Cell::Int16(0),
        ScalarType::Int32 => Cell::Int32(0),
        ScalarType::Int64 => Cell::Int64(0),
        ScalarType::Float32 => Cell::Float32(0.0),
        ScalarType::Float64 => Cell::Float64(0.0),
        ScalarType::Array(_) => Cell::Texts(Vec::new()),
        ScalarType::TimestampTz => Cell::Time(0),
        ty if ty.is_stringlike() => Cell::Text(String::new()),
        _ => Cell::Oid(0),
    }
}

/// A row of `desc` from named cells; a name that the relation does not have is left out.
pub(crate) fn row(desc: &RelationDesc, cells: Vec<(&str, Cell)>) -> Row {
    let mut values: Vec<Cell> = desc.columns.iter().map(|c| absent(&c.ty)).collect();
    for (name, cell) in cells {
        let position = desc.position(name);
        debug_assert!(position.is_some(), "no column {name}");
        if let Some(position) = position {
            values[position] = cell;
        }
    }
    let mut packer = everview_repr::Packer::default();
    for value in &values {
        value.with(|datum| packer.push(datum));
    }
    packer.finish()
}

/// Named cells, as [`row`] takes them.
macro_rules! cells {
    ($($name:literal => $value:expr),* $(,)?) => {
        vec![$(($name, $crate::builtin::cells::Cell::from($value))),*]
    };
}
pub(crate) use cells;

/// Rows from lines as COPY writes them, in the columns' order.
pub(crate) fn copied(desc: &RelationDesc, lines: &str) -> Vec<Row> {
    let arena = RowArena::new();
    let parse = |(field, ty): (&str, &ScalarType)| match field {
        "\\N" => Datum::Null,
        // Catalog names were written as numbers.
        _ if matches!(ty, ScalarType::RegProc) => Datum::Oid(field.parse().unwrap_or(0)),
        _ => text::parse(ty, field, &arena).unwrap_or(Datum::Null),
    };
    let types: Vec<_> = desc.columns.iter().map(|c| &c.ty.scalar).collect();
    lines
        .lines()
        .map(|line| Row::pack(line.split('\t').zip(types.iter().copied()).map(parse)))
        .collect()
}
