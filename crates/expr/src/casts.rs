//! What pg_cast and pg_type say: which type becomes which, and on what occasion.

use crate::scalar::Func;
use everview_repr::{EvalError, ScalarType, SqlState};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// On what occasion a cast applies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// When storing into a column, or explicitly.
    Assignment,
    /// With CAST or `::` only.
    Explicit,
}

/// `pg_type.typcategory`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Category {
    /// A
    Array,
    /// B
    Boolean,
    /// D
    DateTime,
    /// N
    Numeric,
    /// P
    Pseudo,
    /// S
    String,
    /// T
    Timespan,
    /// U
    User,
    /// X
    Unknown,
    /// Z
    Internal,
}

impl Category {
    /// The letter in `pg_type`.
    pub fn letter(self) -> char {
        match self {
            Category::Array => 'A',
            Category::Boolean => 'B',
            Category::DateTime => 'D',
            Category::Numeric => 'N',
            Category::Pseudo => 'P',
            Category::String => 'S',
            Category::Timespan => 'T',
            Category::User => 'U',
            Category::Unknown => 'X',
            Category::Internal => 'Z',
        }
    }
}

/// A type's category.
pub fn category(ty: &ScalarType) -> Category {
    use ScalarType::*;
    match ty {
        Bool => Category::Boolean,
        Int16 | Int32 | Int64 | Float32 | Float64 | Numeric | Oid | RegClass | RegType
        | RegProc | RegNamespace => Category::Numeric,
        Text | Varchar | BpChar | Name => Category::String,
        InternalChar => Category::Internal,
        Date | Time | Timestamp | TimestampTz => Category::DateTime,
        Interval => Category::Timespan,
        Bytea | Uuid | Jsonb => Category::User,
        Array(_) => Category::Array,
        Record(_) | Void => Category::Pseudo,
        Unknown => Category::Unknown,
    }
}

/// `pg_type.typispreferred`.
pub fn is_preferred(ty: &ScalarType) -> bool {
    use ScalarType::*;
    matches!(ty, Bool | Text | Float64 | Oid | TimestampTz | Interval)
}

/// From what to what `pg_cast` has an entry: source, targets `!` explicit, `=` assignment, else implicit.
const PG_CAST: &[(&str, &str)] = &[
    ("bool", "=bpchar =varchar !int4 =text"),
    (
        "int2",
        "int8 float8 int4 numeric oid float4 regclass regnamespace regproc regtype",
    ),
    (
        "int4",
        "!char int8 !bool float8 numeric oid float4 regclass regnamespace regproc regtype =int2",
    ),
    (
        "int8",
        "float8 =int4 numeric oid float4 regclass regnamespace regproc regtype =int2",
    ),
    ("float4", "=int8 float8 =int4 =numeric =int2"),
    ("float8", "=int8 =int4 =numeric =float4 =int2"),
    ("numeric", "=int8 float8 =int4 float4 =int2"),
    ("text", "=char bpchar varchar name regclass"),
    ("varchar", "=char bpchar name regclass text"),
    ("bpchar", "=char varchar name text"),
    ("name", "=bpchar =varchar text"),
    ("char", "=bpchar =varchar !int4 text"),
    ("date", "timestamptz timestamp"),
    ("time", "interval"),
    ("timestamp", "=date =time timestamptz"),
    ("timestamptz", "=date =time =timestamp"),
    ("interval", "=time"),
    ("jsonb", "!int8 !bool !float8 !int4 !numeric !float4 !int2"),
    ("oid", "=int8 =int4 regclass regnamespace regproc regtype"),
    ("regclass", "=int8 =int4 oid"),
    ("regnamespace", "=int8 =int4 oid"),
    ("regproc", "=int8 =int4 oid"),
    ("regtype", "=int8 =int4 oid"),
];

type CastTable = BTreeMap<(ScalarType, ScalarType), CastContext>;

fn pg_cast() -> &'static CastTable {
    static TABLE: LazyLock<CastTable> = LazyLock::new(|| {
        let ty = |name| crate::signature::scalar_type(name).expect("a catalog name");
        let mut table = BTreeMap::new();
        for (source, targets) in PG_CAST {
            for target in targets.split(' ') {
                let (context, name) = match target.as_bytes().first() {
                    Some(b'!') => (CastContext::Explicit, &target[1..]),
                    Some(b'=') => (CastContext::Assignment, &target[1..]),
                    _ => (CastContext::Implicit, target),
                };
                table.insert((ty(source), ty(name)), context);
            }
        }
        table
    });
    &TABLE
}

/// When a value of one type becomes one of another: as in `pg_cast`, then element by element between arrays, then
/// through text. A type becomes itself, and an unknown literal anything, implicitly. `None`: there is no cast.
pub fn cast_context(from: &ScalarType, to: &ScalarType) -> Option<CastContext> {
    use ScalarType::*;
    match (from, to) {
        (Record(_), Record(fields)) if fields.is_empty() => return Some(CastContext::Implicit),
        (_, Unknown | Void) | (Void, _) => return (from == to).then_some(CastContext::Implicit),
        (Unknown, _) => return Some(CastContext::Implicit),
        (from, to) if from == to => return Some(CastContext::Implicit),
        (Array(from), Array(to)) => return cast_context(from, to),
        _ => {}
    }
    if let Some(context) = pg_cast().get(&(from.clone(), to.clone())) {
        return Some(*context);
    }
    let through_text = |ty: &ScalarType| category(ty) == Category::String;
    if through_text(to) {
        Some(CastContext::Assignment)
    } else if through_text(from) && !matches!(to, Record(_)) {
        Some(CastContext::Explicit)
    } else {
        None
    }
}

/// `cannot cast type FROM to TO` (42846).
pub fn cannot_cast(from: &ScalarType, to: &ScalarType) -> EvalError {
    let message = format!("cannot cast type {} to {}", from.sql_name(), to.sql_name());
    EvalError::new(SqlState::CANNOT_COERCE, message)
}

/// Whether a value of one type is taken for another without being asked.
pub fn is_implicit(from: &ScalarType, to: &ScalarType) -> bool {
    cast_context(from, to) == Some(CastContext::Implicit)
}

/// The registered cast between two types, whatever its context; an unknown literal is text. `None`: no such cast,
/// or none is needed.
pub fn cast_func(from: &ScalarType, to: &ScalarType) -> Option<Func> {
    static CASTS: LazyLock<BTreeMap<(u32, u32), Func>> = LazyLock::new(|| {
        let mut map = BTreeMap::new();
        for func in crate::registry::candidates(crate::registry::CAST) {
            let desc = crate::registry::get(*func);
            if let [param] = desc.params.as_slice() {
                map.insert((param.oid(), desc.returns.oid()), *func);
            }
        }
        map
    });
    if from == to || cast_context(from, to).is_none() {
        return None;
    }
    // Casts between arrays, and between arrays and strings, are declared once for all element types.
    let oid = |ty: &ScalarType| match ty {
        ScalarType::Array(_) => crate::registry::ParamType::AnyArray.oid(),
        ScalarType::Unknown => ScalarType::Text.oid(),
        ty => ty.oid(),
    };
    CASTS.get(&(oid(from), oid(to))).copied()
}
