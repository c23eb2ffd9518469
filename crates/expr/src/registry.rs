//! The one registry of functions.
//!
//! Every scalar, aggregate, window and table function is declared here once. Type resolution, `pg_proc`,
//! `pg_operator` and the SQL reference read it; nothing else holds a list of functions.

use crate::scalar::{CallTypes, Func};
use everview_repr::{Datum, EvalError, RowArena, ScalarType};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a parameter accepts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParamType {
    /// This type; `Record` of no fields is any record.
    Exact(ScalarType),
    /// Any type; every `AnyElement` of a signature is the same one.
    AnyElement,
    /// As `AnyElement`, but no array.
    AnyNonArray,
    /// An array whose element type is the signature's `AnyElement`.
    AnyArray,
    /// Any type; all `AnyCompatible` of a signature are coerced to one common type.
    AnyCompatible,
    /// An array over the signature's `AnyCompatible`.
    AnyCompatibleArray,
    /// Any type, each argument its own (`VARIADIC "any"`, `pg_typeof`).
    Any,
}

impl ParamType {
    /// The name in messages and in `pg_proc`: `integer`, `anyelement`, `"any"`.
    pub fn sql_name(&self) -> String {
        let name = match self {
            ParamType::Exact(ty) => return ty.sql_name(),
            ParamType::AnyElement => "anyelement",
            ParamType::AnyNonArray => "anynonarray",
            ParamType::AnyArray => "anyarray",
            ParamType::AnyCompatible => "anycompatible",
            ParamType::AnyCompatibleArray => "anycompatiblearray",
            ParamType::Any => "\"any\"",
        };
        name.to_string()
    }

    /// The oid in `pg_proc`.
    pub fn oid(&self) -> u32 {
        match self {
            ParamType::Exact(ty) => ty.oid(),
            ParamType::AnyElement => 2283,
            ParamType::AnyNonArray => 2776,
            ParamType::AnyArray => 2277,
            ParamType::AnyCompatible => 5077,
            ParamType::AnyCompatibleArray => 5078,
            ParamType::Any => 2276,
        }
    }
}

/// When a function's result can change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Volatility {
    /// Never: same arguments, same result.
    Immutable,
    /// Between statements: it asks the [`crate::environment::Environment`]. Refused in maintained views.
    Stable,
    /// At each call. Refused in maintained views.
    Volatile,
}

/// How a scalar function computes. Strict functions see no NULL; none sees an error.
pub type Eval = for<'a> fn(&CallTypes, &[Datum<'a>], &'a RowArena) -> Result<Datum<'a>, EvalError>;

/// Whether a call cannot fail, given those of its arguments that are literals.
pub type TotalIf = fn(&[Option<Datum<'_>>]) -> bool;

/// A scalar function's declaration.
#[derive(Clone)]
pub struct FunctionDesc {
    /// Its SQL name; operators go by their symbol (`+`), casts by [`CAST`].
    pub name: &'static str,
    /// Parameters.
    pub params: Vec<ParamType>,
    /// The last parameter repeats.
    pub variadic: bool,
    /// The result, in the same terms.
    pub returns: ParamType,
    /// NULL for any NULL argument, without a call.
    pub strict: bool,
    /// For non-NULL arguments never NULL.
    pub never_null: bool,
    /// Never an error.
    pub infallible: bool,
    /// For a function that can fail: which literals keep a call from it.
    pub total_if: Option<TotalIf>,
    /// When the result can change.
    pub volatility: Volatility,
    /// One line for the SQL reference.
    pub doc: &'static str,
    /// The computation.
    pub eval: Eval,
}

/// The name under which casts are registered: one parameter, the result is the target.
pub const CAST: &str = "cast";
/// The name of the explicit length coercion: a value brought to `CallTypes.typmod`, truncating strings.
pub const TYPMOD: &str = "typmod";
/// The name of the length coercion of an assignment: strings too long are an error, but for trailing spaces.
pub const TYPMOD_ASSIGNMENT: &str = "typmod_assignment";

/// The declaration of a function.
pub fn get(func: Func) -> &'static FunctionDesc {
    &functions()[func.0 as usize]
}

/// All scalar functions, in a fixed order.
pub fn functions() -> &'static [FunctionDesc] {
    static FUNCTIONS: LazyLock<Vec<FunctionDesc>> = LazyLock::new(crate::functions::all);
    &FUNCTIONS
}

/// The candidates of a name, in a fixed order.
pub fn by_name(name: &str) -> Vec<Func> {
    candidates(name).to_vec()
}

/// As [`by_name`], borrowed; none for an unknown name.
pub fn candidates(name: &str) -> &'static [Func] {
    static BY_NAME: LazyLock<HashMap<&'static str, Vec<Func>>> = LazyLock::new(|| {
        let mut map: HashMap<&'static str, Vec<Func>> = HashMap::new();
        for (i, f) in functions().iter().enumerate() {
            map.entry(f.name).or_default().push(Func(i as u32));
        }
        map
    });
    BY_NAME.get(name).map_or(&[], Vec::as_slice)
}

/// Calls a function: errors pass through, strictness applies, an error result becomes a datum.
pub fn call<'a>(
    func: Func,
    types: &CallTypes,
    args: &[Datum<'a>],
    arena: &'a RowArena,
) -> Datum<'a> {
    let desc = get(func);
    let mut null = false;
    for arg in args {
        match arg {
            Datum::Error(_) => return *arg,
            Datum::Null => null = true,
            _ => {}
        }
    }
    if null && desc.strict {
        return Datum::Null;
    }
    match (desc.eval)(types, args, arena).and_then(crate::limit::result) {
        Ok(datum) => datum,
        Err(error) => arena.error(&error),
    }
}

impl FunctionDesc {
    /// A declaration: strict, immutable, never NULL, fallible; the methods below say otherwise.
    pub(crate) fn new(
        name: &'static str,
        signature: &str,
        doc: &'static str,
        eval: Eval,
    ) -> FunctionDesc {
        let (params, variadic, returns) =
            crate::signature::parse(signature).expect("a declaration's signature is a constant");
        FunctionDesc {
            name,
            params,
            variadic,
            returns,
            strict: true,
            never_null: true,
            infallible: false,
            total_if: None,
            volatility: Volatility::Immutable,
            doc,
            eval,
        }
    }

    /// It is called for NULL arguments too.
    pub(crate) fn lenient(self) -> FunctionDesc {
        FunctionDesc {
            strict: false,
            never_null: false,
            ..self
        }
    }

    /// NULL is a possible result for arguments that are not.
    pub(crate) fn nullable(self) -> FunctionDesc {
        FunctionDesc {
            never_null: false,
            ..self
        }
    }

    /// No arguments of its types make it fail.
    pub(crate) fn infallible(self) -> FunctionDesc {
        FunctionDesc {
            infallible: true,
            ..self
        }
    }

    /// No call that these literals satisfy fails.
    pub(crate) fn total_if(self, total_if: TotalIf) -> FunctionDesc {
        FunctionDesc {
            total_if: Some(total_if),
            ..self
        }
    }

    /// Its result is fixed within a statement only.
    pub(crate) fn stable(self) -> FunctionDesc {
        FunctionDesc {
            volatility: Volatility::Stable,
            ..self
        }
    }

    /// Its result can change at each call.
    pub(crate) fn volatile(self) -> FunctionDesc {
        FunctionDesc {
            volatility: Volatility::Volatile,
            ..self
        }
    }
}
