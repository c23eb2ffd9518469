//! What polymorphic parameters stand for in a call (manual, section "Polymorphic Types").

use super::{Signature, common_type};
use crate::casts::is_implicit;
use crate::registry::ParamType;
use everview_repr::{EvalError, ScalarType, SqlState};

fn mismatch(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::DATATYPE_MISMATCH, message)
}

/// The types to coerce the arguments to, and the result's. Errors are 42804.
pub(super) fn settle(
    signature: &Signature<'_>,
    args: &[ScalarType],
) -> Result<(Vec<ScalarType>, ScalarType), EvalError> {
    let params: Vec<&ParamType> = (0..args.len()).filter_map(|i| signature.param(i)).collect();
    let element = match element_type(&params, args)? {
        Some(element) => element,
        None if uses_element(&params, signature.returns) => {
            return Err(mismatch(
                "could not determine polymorphic type because input has type unknown",
            ));
        }
        None => ScalarType::Unknown,
    };
    let compatible = compatible_type(&params, args)?;
    let settled = |param: &ParamType, arg: Option<&ScalarType>| -> ScalarType {
        match param {
            // A record's fields come from the argument.
            ParamType::Exact(ScalarType::Record(fields)) if fields.is_empty() => match arg {
                Some(record @ ScalarType::Record(_)) => record.clone(),
                _ => ScalarType::Record(Vec::new()),
            },
            ParamType::Exact(ty) => ty.clone(),
            ParamType::AnyElement | ParamType::AnyNonArray => element.clone(),
            ParamType::AnyArray => array_of(&element),
            ParamType::AnyCompatible => compatible.clone(),
            ParamType::AnyCompatibleArray => array_of(&compatible),
            ParamType::Any => match arg {
                Some(ScalarType::Unknown) | None => ScalarType::Text,
                Some(arg) => arg.clone(),
            },
        }
    };
    let coerced = params
        .iter()
        .zip(args)
        .map(|(p, a)| settled(p, Some(a)))
        .collect();
    Ok((coerced, settled(signature.returns, None)))
}

/// The array over a type; an array of arrays is an array of more dimensions.
fn array_of(element: &ScalarType) -> ScalarType {
    match element {
        array @ ScalarType::Array(_) => array.clone(),
        element => ScalarType::Array(Box::new(element.clone())),
    }
}

/// Whether the arguments' types agree with what polymorphic parameters ask of each other; unknown agrees with all.
pub(super) fn is_consistent(signature: &Signature<'_>, args: &[ScalarType]) -> bool {
    let params: Vec<&ParamType> = (0..args.len()).filter_map(|i| signature.param(i)).collect();
    element_type(&params, args).is_ok() && compatible_type(&params, args).is_ok()
}

fn is_element(param: &ParamType) -> bool {
    matches!(
        param,
        ParamType::AnyElement | ParamType::AnyNonArray | ParamType::AnyArray
    )
}

fn uses_element(params: &[&ParamType], returns: &ParamType) -> bool {
    is_element(returns) || params.iter().any(|p| is_element(p))
}

/// What `anyelement` stands for; `None` where no argument says.
fn element_type(
    params: &[&ParamType],
    args: &[ScalarType],
) -> Result<Option<ScalarType>, EvalError> {
    let mut element: Option<&ScalarType> = None;
    let mut is_array = false;
    for (param, arg) in params.iter().zip(args) {
        let found = match (param, arg) {
            (_, ScalarType::Unknown) => continue,
            (ParamType::AnyNonArray, ScalarType::Array(_)) => {
                return Err(mismatch(format!(
                    "type matched to anynonarray is an array type: {}",
                    arg.sql_name()
                )));
            }
            (ParamType::AnyElement | ParamType::AnyNonArray, arg) => arg,
            (ParamType::AnyArray, ScalarType::Array(element)) => {
                is_array = true;
                &**element
            }
            (ParamType::AnyArray, other) => {
                return Err(mismatch(format!(
                    "argument declared anyarray is not an array but type {}",
                    other.sql_name()
                )));
            }
            _ => continue,
        };
        match element {
            None => element = Some(found),
            Some(before) if before == found => {}
            Some(before) => return Err(not_alike(is_array, before, found)),
        }
    }
    Ok(element.cloned())
}

fn not_alike(array: bool, a: &ScalarType, b: &ScalarType) -> EvalError {
    let detail = format!("{} versus {}", a.sql_name(), b.sql_name());
    if array {
        let message =
            "argument declared anyarray is not consistent with argument declared anyelement";
        mismatch(message).with_detail(detail)
    } else {
        mismatch("arguments declared \"anyelement\" are not all alike").with_detail(detail)
    }
}

/// The common type of all `anycompatible` arguments; text where all are unknown.
fn compatible_type(params: &[&ParamType], args: &[ScalarType]) -> Result<ScalarType, EvalError> {
    let mut types = Vec::new();
    for (param, arg) in params.iter().zip(args) {
        match (param, arg) {
            (ParamType::AnyCompatible, arg) => types.push(arg.clone()),
            (ParamType::AnyCompatibleArray, ScalarType::Array(element)) => {
                types.push((**element).clone());
            }
            (ParamType::AnyCompatibleArray, ScalarType::Unknown) => {}
            (ParamType::AnyCompatibleArray, other) => {
                return Err(mismatch(format!(
                    "argument declared anycompatiblearray is not an array but type {}",
                    other.sql_name()
                )));
            }
            _ => {}
        }
    }
    let not_alike = "arguments of anycompatible family cannot be cast to a common type";
    let common = common_type(&types).map_err(|_| mismatch(not_alike))?;
    if types.iter().all(|t| is_implicit(t, &common)) {
        Ok(common)
    } else {
        Err(mismatch(not_alike))
    }
}
