//! Type resolution: which function or operator a call means, and to what its arguments are coerced.
//!
//! These are PostgreSQL's algorithms (manual, chapter "Type Conversion"; `parse_func.c`, `parse_oper.c`,
//! `parse_coerce.c`). They depend on the candidates' signatures only, never on their order: a call that Postgres
//! finds ambiguous is ambiguous here.

mod candidates;
mod polymorphic;

#[cfg(test)]
mod tests;

use crate::casts::{self, Category, category, is_implicit, is_preferred};
use crate::registry::{self, ParamType};
use crate::scalar::Func;
use crate::table_func::TableFunc;
use crate::{aggregate, table_func};
use everview_repr::{EvalError, ScalarType, SqlState};

/// A call resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolved<F = Func> {
    /// What is called.
    pub func: F,
    /// The type to coerce each argument to, implicitly.
    pub args: Vec<ScalarType>,
    /// The type of the result. For a table function of several columns, that of the first.
    pub result: ScalarType,
}

/// Why a call has no meaning; each holds the error to report, without its position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResolveError {
    /// No candidate takes such arguments (42883).
    NotFound(EvalError),
    /// Several do, and none better than the others (42725).
    Ambiguous(EvalError),
    /// The only candidate's polymorphic parameters do not fit together (42804).
    Mismatch(EvalError),
}

impl ResolveError {
    /// The error to report.
    pub fn into_error(self) -> EvalError {
        match self {
            ResolveError::NotFound(e) | ResolveError::Ambiguous(e) | ResolveError::Mismatch(e) => e,
        }
    }
}

impl From<ResolveError> for EvalError {
    fn from(error: ResolveError) -> EvalError {
        error.into_error()
    }
}

/// A candidate's parameters and result.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'s> {
    /// Its parameters.
    pub params: &'s [ParamType],
    /// The last one repeats.
    pub variadic: bool,
    /// Its result.
    pub returns: &'s ParamType,
}

/// Why none of some signatures serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// None takes such arguments.
    NotFound,
    /// Several do, and none better than the others.
    Ambiguous,
    /// Polymorphic parameters do not fit together.
    Mismatch(EvalError),
}

/// Chooses among signatures for arguments of these types: the position of the one chosen, what to coerce the
/// arguments to, and the result's type.
pub fn choose(
    signatures: &[Signature<'_>],
    args: &[ScalarType],
) -> Result<(usize, Vec<ScalarType>, ScalarType), Failure> {
    let chosen = candidates::select(signatures, args)?;
    finish(signatures, chosen, args)
}

fn finish(
    signatures: &[Signature<'_>],
    chosen: usize,
    args: &[ScalarType],
) -> Result<(usize, Vec<ScalarType>, ScalarType), Failure> {
    let (coerced, result) =
        polymorphic::settle(&signatures[chosen], args).map_err(Failure::Mismatch)?;
    Ok((chosen, coerced, result))
}

fn signature(func: Func) -> Signature<'static> {
    let desc = registry::get(func);
    Signature {
        params: &desc.params,
        variadic: desc.variadic,
        returns: &desc.returns,
    }
}

/// Resolves a call of a scalar function by name. `name` is lower case as stored.
///
/// A call of one argument by a type's name is a cast, where no function of that name fits.
pub fn resolve_function(name: &str, args: &[ScalarType]) -> Result<Resolved, ResolveError> {
    let funcs = registry::candidates(name);
    let signatures: Vec<_> = funcs.iter().map(|f| signature(*f)).collect();
    if candidates::exact(&signatures, args).is_none()
        && let Some(cast) = functional_cast(name, args)
    {
        return Ok(cast);
    }
    let (i, args, result) = choose(&signatures, args).map_err(|f| match construct(name) {
        Some(construct) => ResolveError::Mismatch(match common_type(args) {
            Err(types) => types.into_error(construct),
            Ok(common) => not_convertible(construct, args, &common),
        }),
        None => function_failure(f, name, args),
    })?;
    Ok(Resolved {
        func: funcs[i],
        args,
        result,
    })
}

/// What SQL calls the constructs that are functions here, and whose arguments have a common type.
fn construct(name: &str) -> Option<&'static str> {
    match name {
        "greatest" => Some("GREATEST"),
        "least" => Some("LEAST"),
        "array" => Some("ARRAY"),
        _ => None,
    }
}

fn not_convertible(construct: &str, args: &[ScalarType], common: &ScalarType) -> EvalError {
    let other = args
        .iter()
        .find(|a| !is_implicit(a, common))
        .unwrap_or(common);
    let (other, common) = (other.sql_name(), common.sql_name());
    let message = format!("{construct} could not convert type {other} to {common}");
    EvalError::new(SqlState::CANNOT_COERCE, message)
}

/// `text(x)`, `int4(x)`: a type's name used as a function.
fn functional_cast(name: &str, args: &[ScalarType]) -> Option<Resolved> {
    let [from] = args else { return None };
    let target = crate::signature::scalar_type(name)?;
    casts::cast_context(from, &target)?;
    let func = casts::cast_func(from, &target)?;
    let from = if *from == ScalarType::Unknown {
        ScalarType::Text
    } else {
        from.clone()
    };
    Some(Resolved {
        func,
        args: vec![from],
        result: target,
    })
}

/// Resolves an operator by its symbol, with one (prefix) or two operands.
pub fn resolve_operator(name: &str, args: &[ScalarType]) -> Result<Resolved, ResolveError> {
    let funcs = registry::candidates(name);
    let funcs: Vec<Func> = funcs
        .iter()
        .copied()
        .filter(|f| signature(*f).params.len() == args.len())
        .collect();
    let signatures: Vec<_> = funcs.iter().map(|f| signature(*f)).collect();
    let known = candidates::assume_same_type(args);
    let chosen = match candidates::exact(&signatures, &known) {
        Some(i) => Ok(i),
        None => candidates::select(&signatures, args),
    };
    let (i, args, result) = chosen
        .and_then(|i| finish(&signatures, i, args))
        .map_err(|f| operator_failure(f, name, args))?;
    Ok(Resolved {
        func: funcs[i],
        args,
        result,
    })
}

/// Resolves a call of an aggregate; `None` when no aggregate has that name.
pub fn resolve_aggregate(
    name: &str,
    args: &[ScalarType],
) -> Option<Result<Resolved<aggregate::AggregateFunc>, ResolveError>> {
    let funcs = aggregate::by_name(name);
    if funcs.is_empty() {
        return None;
    }
    let signatures: Vec<_> = funcs
        .iter()
        .map(|f| aggregate::get(*f))
        .map(|d| Signature {
            params: &d.params,
            variadic: false,
            returns: &d.returns,
        })
        .collect();
    let chosen = choose(&signatures, args).map_err(|f| function_failure(f, name, args));
    Some(chosen.map(|(i, args, result)| Resolved {
        func: funcs[i],
        args,
        result,
    }))
}

/// A call of a table function resolved, and the types of its columns.
pub type TableResolution = (Resolved<TableFunc>, Vec<ScalarType>);

/// Resolves a call of a table function, with the types of its columns; `None` when none has that name.
pub fn resolve_table_function(
    name: &str,
    args: &[ScalarType],
) -> Option<Result<TableResolution, ResolveError>> {
    let all = table_func::table_functions().iter().enumerate();
    let funcs: Vec<_> = all.filter(|(_, d)| d.name == name).collect();
    if funcs.is_empty() {
        return None;
    }
    let none = ParamType::Exact(ScalarType::Void);
    let returns = |d: &'static table_func::TableFunctionDesc, column: usize| {
        d.returns
            .get(column)
            .map(|(_, ty)| ty.clone())
            .unwrap_or_else(|| none.clone())
    };
    let firsts: Vec<_> = funcs.iter().map(|(_, d)| returns(d, 0)).collect();
    let signatures: Vec<_> = funcs
        .iter()
        .zip(&firsts)
        .map(|((_, d), first)| Signature {
            params: &d.params,
            variadic: d.variadic,
            returns: first,
        })
        .collect();
    Some(
        choose(&signatures, args)
            .and_then(|(i, coerced, result)| {
                let (position, desc) = funcs[i];
                let mut columns = Vec::new();
                for (_, ty) in &desc.returns {
                    let signature = Signature {
                        returns: ty,
                        ..signatures[i]
                    };
                    let settled = polymorphic::settle(&signature, args);
                    columns.push(settled.map_err(Failure::Mismatch)?.1);
                }
                let func = TableFunc(position as u32);
                Ok((
                    Resolved {
                        func,
                        args: coerced,
                        result,
                    },
                    columns,
                ))
            })
            .map_err(|f| function_failure(f, name, args)),
    )
}

fn names(args: &[ScalarType]) -> String {
    args.iter()
        .map(ScalarType::sql_name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The error of a function call that did not resolve.
pub fn function_failure(failure: Failure, name: &str, args: &[ScalarType]) -> ResolveError {
    match failure {
        Failure::NotFound => ResolveError::NotFound(
            EvalError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {name}({}) does not exist", names(args)),
            )
            .with_hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            ),
        ),
        Failure::Ambiguous => ResolveError::Ambiguous(
            EvalError::new(
                SqlState::AMBIGUOUS_FUNCTION,
                format!("function {name}({}) is not unique", names(args)),
            )
            .with_hint(
                "Could not choose a best candidate function. You might need to add explicit type casts.",
            ),
        ),
        Failure::Mismatch(error) => ResolveError::Mismatch(error),
    }
}

fn operator_failure(failure: Failure, name: &str, args: &[ScalarType]) -> ResolveError {
    let call = match args {
        [left, right] => format!("{} {name} {}", left.sql_name(), right.sql_name()),
        args => format!("{name} {}", names(args)),
    };
    match failure {
        Failure::NotFound => {
            let hint = if args.len() == 1 {
                "No operator matches the given name and argument type. You might need to add an explicit type cast."
            } else {
                "No operator matches the given name and argument types. You might need to add explicit type casts."
            };
            let message = format!("operator does not exist: {call}");
            ResolveError::NotFound(
                EvalError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(hint),
            )
        }
        Failure::Ambiguous => ResolveError::Ambiguous(
            EvalError::new(
                SqlState::AMBIGUOUS_FUNCTION,
                format!("operator is not unique: {call}"),
            )
            .with_hint(
                "Could not choose a best candidate operator. You might need to add explicit type casts.",
            ),
        ),
        Failure::Mismatch(error) => ResolveError::Mismatch(error),
    }
}

/// Two types that no common type serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoCommonType {
    /// The type found so far.
    pub left: ScalarType,
    /// The one that does not go with it.
    pub right: ScalarType,
}

impl NoCommonType {
    /// `CONTEXT types LEFT and RIGHT cannot be matched` (42804): UNION, CASE, VALUES, ARRAY, IN and so on.
    pub fn into_error(self, context: &str) -> EvalError {
        EvalError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "{context} types {} and {} cannot be matched",
                self.left.sql_name(),
                self.right.sql_name()
            ),
        )
    }
}

/// The type of a UNION, CASE, COALESCE, VALUES, ARRAY over inputs of these types: text where all are unknown or
/// there are none. Each input still has to be coerced to it implicitly, which may fail.
pub fn common_type(types: &[ScalarType]) -> Result<ScalarType, NoCommonType> {
    let mut known = types.iter().filter(|t| **t != ScalarType::Unknown);
    let Some(mut best) = known.next() else {
        return Ok(ScalarType::Text);
    };
    for ty in known {
        if ty == best {
            continue;
        }
        if category(ty) != category(best) {
            return Err(NoCommonType {
                left: best.clone(),
                right: ty.clone(),
            });
        }
        if !is_preferred(best) && is_implicit(best, ty) && !is_implicit(ty, best) {
            best = ty;
        }
    }
    Ok(best.clone())
}

/// Whether a value of one type can stand where a parameter asks for another, unasked.
fn can_coerce(from: &ScalarType, to: &ParamType) -> bool {
    match to {
        ParamType::Exact(to) => is_implicit(from, to),
        ParamType::AnyArray | ParamType::AnyCompatibleArray => {
            matches!(from, ScalarType::Array(_) | ScalarType::Unknown)
        }
        ParamType::AnyNonArray => !matches!(from, ScalarType::Array(_)),
        ParamType::AnyElement | ParamType::AnyCompatible | ParamType::Any => true,
    }
}

fn param_category(param: &ParamType) -> (Category, bool) {
    match param {
        ParamType::Exact(ty) => (category(ty), is_preferred(ty)),
        _ => (Category::Pseudo, false),
    }
}
