//! Set-returning functions: one row in, many rows out.
//!
//! A function emits its rows one by one, so that what follows can stop it; a NULL argument of a strict function
//! gives no rows. It knows nothing of the row that its arguments come from.

mod json;
mod series;
mod strings;
#[cfg(test)]
mod tests;
mod unnest;

use crate::registry::ParamType;
use crate::resolve::{self, ResolveError};
use crate::scalar::CallTypes;
use everview_repr::{Datum, EvalError, Row, ScalarType};

/// A table function in [`table_functions`], by its position there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableFunc(pub u32);

/// Takes a function's rows one by one; false asks for no more.
pub type Emit<'e> = &'e mut dyn FnMut(Row) -> bool;

/// How a table function computes. Arguments are not errors, and of strict functions not NULL.
pub type TableEval = fn(&CallTypes, &[Datum<'_>], emit: Emit<'_>) -> Result<(), EvalError>;

/// A table function's declaration.
pub struct TableFunctionDesc {
    /// Its SQL name.
    pub name: &'static str,
    /// Parameters.
    pub params: Vec<ParamType>,
    /// The last parameter repeats.
    pub variadic: bool,
    /// Names and types of its columns.
    pub returns: Vec<(&'static str, ParamType)>,
    /// No rows for any NULL argument, without a call.
    pub strict: bool,
    /// Called with one of its rows as the first argument, it gives that row and those after it.
    pub series: bool,
    /// One line for the SQL reference.
    pub doc: &'static str,
    /// The rows. They are produced one by one and may be many: stop when `emit` says false. Call it through
    /// [`call`], which sees to NULLs and errors.
    pub eval: TableEval,
}

/// All table functions, in a fixed order.
pub fn table_functions() -> &'static [TableFunctionDesc] {
    static FUNCTIONS: std::sync::LazyLock<Vec<TableFunctionDesc>> =
        std::sync::LazyLock::new(|| {
            let mut all = series::declare();
            all.extend(unnest::declare());
            all.extend(json::declare());
            all.extend(strings::declare());
            all
        });
    &FUNCTIONS
}

/// The declaration of a table function.
pub fn get(func: TableFunc) -> &'static TableFunctionDesc {
    &table_functions()[func.0 as usize]
}

/// Calls a table function: an error argument is the error, strictness applies.
pub fn call(
    func: TableFunc,
    types: &CallTypes,
    args: &[Datum<'_>],
    emit: Emit<'_>,
) -> Result<(), EvalError> {
    let desc = get(func);
    if let Some(Datum::Error(error)) = args.iter().find(|d| matches!(d, Datum::Error(_))) {
        return Err(error.to_error());
    }
    if desc.strict && args.iter().any(Datum::is_null) {
        return Ok(());
    }
    (desc.eval)(types, args, emit)
}

/// Where a call was stopped.
#[derive(Default)]
pub struct Place {
    /// Rows that it gave.
    given: u64,
    /// The last of them, if the call can begin there.
    last: Option<Row>,
}

/// As [`call`], from where an earlier call with the same arguments was stopped; rows come with their ordinals, from 1.
pub fn resume(
    func: TableFunc,
    types: &CallTypes,
    args: &[Datum<'_>],
    place: &mut Place,
    emit: &mut dyn FnMut(u64, Row) -> bool,
) -> Result<(), EvalError> {
    let series = get(func).series;
    let last = place.last.take();
    let mut args = args.to_vec();
    let mut skip = place.given;
    if let Some(last) = &last
        && let Some(first) = args.first_mut()
    {
        *first = last.first();
        skip = 1;
    }
    call(func, types, &args, &mut |row| {
        if skip > 0 {
            skip -= 1;
            return true;
        }
        place.given += 1;
        place.last = series.then(|| row.clone());
        emit(place.given, row)
    })
}

/// A call of a table function resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolvedTableFunction {
    /// What is called.
    pub func: TableFunc,
    /// The type to coerce each argument to, implicitly.
    pub args: Vec<ScalarType>,
    /// Its columns, all of which can be NULL. A function of one column names it after itself, and an alias of
    /// the call renames it.
    pub columns: Vec<(String, ScalarType)>,
}

/// Resolves a call of a table function; `None` when none has that name.
pub fn resolve_table_function(
    name: &str,
    args: &[ScalarType],
) -> Option<Result<ResolvedTableFunction, ResolveError>> {
    if name == "unnest" && args.len() > 1 {
        return Some(unnest::resolve_several(args));
    }
    let resolved = resolve::resolve_table_function(name, args)?;
    Some(resolved.map(|(resolved, types)| {
        let names = get(resolved.func)
            .returns
            .iter()
            .map(|(name, _)| name.to_string());
        ResolvedTableFunction {
            func: resolved.func,
            args: resolved.args,
            columns: names.zip(types).collect(),
        }
    }))
}

/// A declaration in the notation of [`crate::signature`]: `int4, int4 -> int4` for one column of that name.
fn declaration(
    name: &'static str,
    signature: &str,
    doc: &'static str,
    eval: TableEval,
) -> TableFunctionDesc {
    let (params, variadic, returns) =
        crate::signature::parse(signature).expect("a signature in the notation");
    TableFunctionDesc {
        name,
        params,
        variadic,
        returns: vec![(name, returns)],
        strict: true,
        series: false,
        doc,
        eval,
    }
}

/// An argument that the signature promises.
fn mismatch() -> EvalError {
    crate::value::mismatch()
}
