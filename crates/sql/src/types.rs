//! Type names: sqlparser's data types to types and modifiers.

use crate::error::PlanError;
use crate::names;
use everview_repr::{ScalarType, SqlState, Typmod};
use sqlparser::ast::{
    ArrayElemTypeDef, CharLengthUnits, CharacterLength, DataType, ExactNumberInfo, Ident,
    ObjectName, TimezoneInfo, TypeModifier,
};

/// A type and its modifier.
pub(crate) type TypeName = (ScalarType, Typmod);

/// What a type's name means.
pub(crate) fn resolve(ty: &DataType) -> Result<TypeName, PlanError> {
    use ScalarType::*;
    let plain = |ty: ScalarType| Ok((ty, Typmod::NONE));
    match ty {
        DataType::Bool | DataType::Boolean => plain(Bool),
        DataType::SmallInt(None) | DataType::Int2(None) => plain(Int16),
        DataType::Int(None) | DataType::Int4(None) | DataType::Integer(None) => plain(Int32),
        DataType::BigInt(None) | DataType::Int8(None) => plain(Int64),
        DataType::Real | DataType::Float4 => plain(Float32),
        DataType::Float8 | DataType::DoublePrecision | DataType::Double(ExactNumberInfo::None) => {
            plain(Float64)
        }
        DataType::Float(info) => float(info),
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => numeric(info),
        DataType::Text => plain(Text),
        DataType::Varchar(n) | DataType::CharacterVarying(n) | DataType::CharVarying(n) => {
            match n {
                None => plain(Varchar),
                Some(n) => Ok((Varchar, length(n, "varchar")?)),
            }
        }
        DataType::Char(n) | DataType::Character(n) => match n {
            None => Ok((BpChar, Typmod::length(1))),
            Some(n) => Ok((BpChar, length(n, "char")?)),
        },
        DataType::Bytea => plain(Bytea),
        DataType::Date => plain(Date),
        DataType::Time(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            Ok((Time, precision(*p)?))
        }
        DataType::Time(..) => Err(PlanError::unsupported("type time with time zone")),
        DataType::Timestamp(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            Ok((Timestamp, precision(*p)?))
        }
        DataType::Timestamp(p, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            Ok((TimestampTz, precision(*p)?))
        }
        DataType::Interval {
            fields: None,
            precision: p,
        } => Ok((Interval, precision(*p)?)),
        DataType::Interval {
            fields: Some(fields),
            ..
        } => Err(PlanError::unsupported(format!(
            "interval {}",
            fields.to_string().to_lowercase()
        ))),
        DataType::Uuid => plain(Uuid),
        DataType::JSONB => plain(Jsonb),
        DataType::JSON => Err(PlanError::unsupported("type json").with_hint("Use jsonb.")),
        DataType::Regclass => plain(RegClass),
        DataType::Array(element) => array(element),
        DataType::Custom(name, modifiers) => custom(name, modifiers),
        other => Err(undefined(&other.to_string().to_lowercase(), None)),
    }
}

fn undefined(name: &str, position: Option<usize>) -> PlanError {
    PlanError::new(
        SqlState::UNDEFINED_OBJECT,
        format!("type \"{name}\" does not exist"),
    )
    .at(position)
}

fn float(info: &ExactNumberInfo) -> Result<TypeName, PlanError> {
    let ty = match info {
        ExactNumberInfo::None => ScalarType::Float64,
        ExactNumberInfo::Precision(0) => {
            let message = "precision for type float must be at least 1 bit";
            return Err(PlanError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        ExactNumberInfo::Precision(1..=24) => ScalarType::Float32,
        ExactNumberInfo::Precision(25..=53) => ScalarType::Float64,
        _ => {
            let message = "precision for type float must be less than 54 bits";
            return Err(PlanError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    };
    Ok((ty, Typmod::NONE))
}

fn numeric(info: &ExactNumberInfo) -> Result<TypeName, PlanError> {
    let (precision, scale) = match *info {
        ExactNumberInfo::None => return Ok((ScalarType::Numeric, Typmod::NONE)),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let invalid = |message| PlanError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let p = u16::try_from(precision)
        .ok()
        .filter(|p| (1..=1000).contains(p));
    let p = p.ok_or_else(|| {
        invalid(format!(
            "NUMERIC precision {precision} must be between 1 and 1000"
        ))
    })?;
    let s = i16::try_from(scale)
        .ok()
        .filter(|s| (-1000..=1000).contains(s));
    let s = s.ok_or_else(|| {
        invalid(format!(
            "NUMERIC scale {scale} must be between -1000 and 1000"
        ))
    })?;
    Ok((ScalarType::Numeric, Typmod::numeric(p, s)))
}

const MAX_LENGTH: u64 = 10_485_760;

fn length(n: &CharacterLength, name: &str) -> Result<Typmod, PlanError> {
    let n = match n {
        CharacterLength::IntegerLength {
            length,
            unit: None | Some(CharLengthUnits::Characters),
        } => *length,
        CharacterLength::IntegerLength {
            unit: Some(CharLengthUnits::Octets),
            ..
        } => {
            return Err(PlanError::unsupported("a length in OCTETS"));
        }
        CharacterLength::Max => return Err(PlanError::syntax("syntax error at or near \"max\"")),
    };
    checked_length(n, name)
}

fn checked_length(n: u64, name: &str) -> Result<Typmod, PlanError> {
    let invalid = |message| Err(PlanError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    match u32::try_from(n) {
        Ok(0) => invalid(format!("length for type {name} must be at least 1")),
        Ok(n) if u64::from(n) <= MAX_LENGTH => Ok(Typmod::length(n)),
        _ => invalid(format!("length for type {name} cannot exceed {MAX_LENGTH}")),
    }
}

fn precision(p: Option<u64>) -> Result<Typmod, PlanError> {
    match p {
        None => Ok(Typmod::NONE),
        // Postgres warns and reduces what is above six digits.
        Some(p) => Ok(Typmod::precision(p.min(6) as u8)),
    }
}

fn array(element: &ArrayElemTypeDef) -> Result<TypeName, PlanError> {
    match element {
        ArrayElemTypeDef::SquareBracket(ty, _) => {
            let (ty, typmod) = resolve(ty)?;
            Ok(match ty {
                // Dimensions are not part of a type.
                ScalarType::Array(_) => (ty, typmod),
                element => (ScalarType::Array(Box::new(element)), typmod),
            })
        }
        _ => Err(PlanError::syntax("syntax error at or near \"array\"")),
    }
}

fn custom(name: &ObjectName, modifiers: &[TypeModifier]) -> Result<TypeName, PlanError> {
    let full = crate::names::Name::new(name)?;
    if full.schema.as_deref().is_some_and(|s| s != "pg_catalog") {
        return Err(undefined(&full.to_string(), full.position));
    }
    let quoted = name
        .0
        .last()
        .and_then(|p| p.as_ident())
        .is_some_and(|i| i.quote_style.is_some());
    let numbers = numbers(modifiers)?;
    if quoted && full.name == "char" {
        return no_modifier(ScalarType::InternalChar, &numbers, full.position);
    }
    by_name(&full.name, &numbers, full.position)
}

fn numbers(modifiers: &[TypeModifier]) -> Result<Vec<i64>, PlanError> {
    let invalid = || {
        PlanError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "type modifiers must be simple constants or identifiers",
        )
    };
    let read = |m: &TypeModifier| match m {
        TypeModifier::Number(n, _) => n.parse().map_err(|_| invalid()),
        TypeModifier::Identifier(Ident { .. }) | TypeModifier::String(_) => Err(invalid()),
    };
    modifiers.iter().map(read).collect()
}

fn no_modifier(
    ty: ScalarType,
    modifiers: &[i64],
    position: Option<usize>,
) -> Result<TypeName, PlanError> {
    if modifiers.is_empty() {
        return Ok((ty, Typmod::NONE));
    }
    let message = format!(
        "type modifier is not allowed for type \"{}\"",
        ty.catalog_name()
    );
    Err(PlanError::syntax(message).at(position))
}

/// The type of a catalog or SQL name with its modifiers.
pub(crate) fn by_name(
    name: &str,
    modifiers: &[i64],
    position: Option<usize>,
) -> Result<TypeName, PlanError> {
    use ScalarType::*;
    if let Some(element) = name.strip_suffix("[]").or_else(|| name.strip_prefix('_')) {
        let (element, typmod) = by_name(element, modifiers, position)?;
        return Ok((Array(Box::new(element)), typmod));
    }
    let ty = match name {
        "bool" | "boolean" => Bool,
        "int2" | "smallint" => Int16,
        "int4" | "int" | "integer" => Int32,
        "int8" | "bigint" => Int64,
        "float4" | "real" => Float32,
        "float8" | "double precision" => Float64,
        "numeric" | "decimal" => {
            return numeric(&match *modifiers {
                [] => ExactNumberInfo::None,
                [p] => ExactNumberInfo::Precision(p.try_into().unwrap_or(0)),
                [p, s] => ExactNumberInfo::PrecisionAndScale(p.try_into().unwrap_or(0), s),
                _ => {
                    return Err(PlanError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "invalid NUMERIC type modifier",
                    ));
                }
            });
        }
        "text" => Text,
        "varchar" | "bpchar" => {
            let ty = if name == "varchar" { Varchar } else { BpChar };
            return match *modifiers {
                [n] => Ok((ty, checked_length(n.try_into().unwrap_or(0), name)?)),
                _ => no_modifier(ty, modifiers, position),
            };
        }
        "timestamp" | "timestamptz" | "time" | "interval" => {
            let ty = match name {
                "timestamp" => Timestamp,
                "timestamptz" => TimestampTz,
                "time" => Time,
                _ => Interval,
            };
            return match *modifiers {
                [p] => Ok((ty, precision(Some(p.try_into().unwrap_or(0)))?)),
                _ => no_modifier(ty, modifiers, position),
            };
        }
        "char" => InternalChar,
        "name" => Name,
        "bytea" => Bytea,
        "date" => Date,
        "uuid" => Uuid,
        "jsonb" => Jsonb,
        "oid" => Oid,
        "regclass" => RegClass,
        "regtype" => RegType,
        "regproc" => RegProc,
        "regnamespace" => RegNamespace,
        "unknown" => Unknown,
        "record" => Record(Vec::new()),
        "void" => Void,
        "serial" | "serial4" | "bigserial" | "serial8" | "smallserial" | "serial2" => {
            return Err(PlanError::unsupported(format!("type {name}"))
                .with_hint("Number the rows in the application, or use a uuid key.")
                .at(position));
        }
        "json" | "money" | "xml" | "inet" | "cidr" | "macaddr" | "macaddr8" | "bit" | "varbit"
        | "timetz" | "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle"
        | "tsvector" | "tsquery" | "pg_lsn" | "int4range" | "int8range" | "numrange"
        | "tsrange" | "tstzrange" | "daterange" | "xid" | "cid" | "tid" | "regprocedure"
        | "regoper" | "regoperator" | "regrole" | "regconfig" | "regdictionary"
        | "regcollation" => {
            return Err(PlanError::unsupported(format!("type {name}")).at(position));
        }
        _ => return Err(undefined(name, position)),
    };
    no_modifier(ty, modifiers, position)
}

/// Where a type's name starts, if it is one of the custom ones.
pub(crate) fn position(ty: &DataType) -> Option<usize> {
    match ty {
        DataType::Custom(name, _) => name
            .0
            .first()
            .and_then(|p| p.as_ident())
            .and_then(names::at),
        _ => None,
    }
}
