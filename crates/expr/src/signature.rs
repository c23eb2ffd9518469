//! The notation in which declarations give their parameters and result.
//!
//! `int4, variadic text -> bool`: catalog names of types parted by commas, the result after the arrow. `[]` makes
//! an array, `variadic` marks a repeating last parameter, and Postgres's polymorphic names stand for themselves.

use crate::registry::ParamType;
use everview_repr::ScalarType;

/// Parameters, whether the last repeats, and the result.
pub(crate) type Signature = (Vec<ParamType>, bool, ParamType);

/// Reads the notation. `None` for anything else; declarations are constants, so a test finds every such mistake.
pub(crate) fn parse(text: &str) -> Option<Signature> {
    let (params, returns) = text.split_once("->")?;
    let returns = parse_type(returns)?;
    let mut variadic = false;
    let mut types = Vec::new();
    for param in params.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let name = match param.strip_prefix("variadic ") {
            Some(name) => {
                variadic = true;
                name
            }
            None if variadic => return None,
            None => param,
        };
        types.push(parse_type(name)?);
    }
    Some((types, variadic, returns))
}

/// One type of the notation.
pub(crate) fn parse_type(name: &str) -> Option<ParamType> {
    Some(match name.trim() {
        "any" => ParamType::Any,
        "anyelement" => ParamType::AnyElement,
        "anynonarray" => ParamType::AnyNonArray,
        "anyarray" => ParamType::AnyArray,
        "anycompatible" => ParamType::AnyCompatible,
        "anycompatiblearray" => ParamType::AnyCompatibleArray,
        name => ParamType::Exact(scalar_type(name)?),
    })
}

/// The type of a catalog name, `name[]` for arrays.
pub(crate) fn scalar_type(name: &str) -> Option<ScalarType> {
    if let Some(element) = name.strip_suffix("[]") {
        return Some(ScalarType::Array(Box::new(scalar_type(element)?)));
    }
    use ScalarType::*;
    Some(match name {
        "bool" => Bool,
        "int2" => Int16,
        "int4" => Int32,
        "int8" => Int64,
        "float4" => Float32,
        "float8" => Float64,
        "numeric" => Numeric,
        "text" => Text,
        "varchar" => Varchar,
        "bpchar" => BpChar,
        "name" => Name,
        "char" => InternalChar,
        "bytea" => Bytea,
        "date" => Date,
        "time" => Time,
        "timestamp" => Timestamp,
        "timestamptz" => TimestampTz,
        "interval" => Interval,
        "uuid" => Uuid,
        "jsonb" => Jsonb,
        "oid" => Oid,
        "regclass" => RegClass,
        "regtype" => RegType,
        "regproc" => RegProc,
        "regnamespace" => RegNamespace,
        "record" => Record(Vec::new()),
        "unknown" => Unknown,
        "void" => Void,
        _ => return None,
    })
}
