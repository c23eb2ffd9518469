//! The declarations of the window functions that are no aggregates.

use super::WindowFunc;
use crate::registry::ParamType;
use crate::resolve::{self, ResolveError, Signature};
use everview_repr::ScalarType;

/// A window function's declaration.
pub struct WindowFunctionDesc {
    /// Its SQL name.
    pub name: &'static str,
    /// Parameters.
    pub params: Vec<ParamType>,
    /// The result.
    pub returns: ParamType,
    /// What is called.
    pub func: WindowFunc,
    /// The result is never NULL.
    pub never_null: bool,
    /// One line for the SQL reference.
    pub doc: &'static str,
}

/// A call of a window function resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolvedWindow {
    /// What is called.
    pub func: WindowFunc,
    /// The type to coerce each argument to, implicitly.
    pub args: Vec<ScalarType>,
    /// The type of the result.
    pub result: ScalarType,
    /// The result is never NULL.
    pub never_null: bool,
}

/// All window functions that are no aggregates, in a fixed order.
pub fn window_functions() -> &'static [WindowFunctionDesc] {
    static FUNCTIONS: std::sync::LazyLock<Vec<WindowFunctionDesc>> =
        std::sync::LazyLock::new(declare);
    &FUNCTIONS
}

/// Resolves a call of a window function; `None` when none has that name: it may still be an aggregate.
pub fn resolve_window(
    name: &str,
    args: &[ScalarType],
) -> Option<Result<ResolvedWindow, ResolveError>> {
    let candidates: Vec<_> = window_functions()
        .iter()
        .filter(|f| f.name == name)
        .collect();
    if candidates.is_empty() {
        return None;
    }
    let signature = |f: &&'static WindowFunctionDesc| Signature {
        params: &f.params,
        variadic: false,
        returns: &f.returns,
    };
    let signatures: Vec<_> = candidates.iter().map(signature).collect();
    let chosen = resolve::choose(&signatures, args);
    Some(
        chosen
            .map(|(i, args, result)| ResolvedWindow {
                func: candidates[i].func.clone(),
                args,
                result,
                never_null: candidates[i].never_null,
            })
            .map_err(|failure| resolve::function_failure(failure, name, args)),
    )
}

fn declare() -> Vec<WindowFunctionDesc> {
    use ParamType::{AnyCompatible, AnyElement, Exact};
    use ScalarType::{Float64, Int32, Int64};
    let mut out = Vec::new();
    let mut push = |name, params, returns: ParamType, func: WindowFunc, doc| {
        let ranks = matches!(returns, Exact(Int64) | Exact(Float64));
        out.push(WindowFunctionDesc {
            name,
            params,
            returns,
            func,
            never_null: ranks,
            doc,
        });
    };
    push(
        "row_number",
        vec![],
        Exact(Int64),
        WindowFunc::RowNumber,
        "The row's number, from 1.",
    );
    push(
        "rank",
        vec![],
        Exact(Int64),
        WindowFunc::Rank,
        "The row number of the row's first peer.",
    );
    push(
        "dense_rank",
        vec![],
        Exact(Int64),
        WindowFunc::DenseRank,
        "The number of the row's peer group.",
    );
    let doc = "The rank less one, by the number of other rows.";
    push(
        "percent_rank",
        vec![],
        Exact(Float64),
        WindowFunc::PercentRank,
        doc,
    );
    let doc = "The share of rows up to the row's last peer.";
    push(
        "cume_dist",
        vec![],
        Exact(Float64),
        WindowFunc::CumeDist,
        doc,
    );
    let doc = "The row's bucket, of so many that are as equal as can be.";
    push(
        "ntile",
        vec![Exact(Int32)],
        Exact(Int32),
        WindowFunc::Ntile,
        doc,
    );
    for (name, func, doc) in [
        (
            "lag",
            WindowFunc::Lag,
            "The value that many rows before (1 if not said), else the default.",
        ),
        (
            "lead",
            WindowFunc::Lead,
            "The value that many rows after (1 if not said), else the default.",
        ),
    ] {
        push(name, vec![AnyElement], AnyElement, func.clone(), doc);
        push(
            name,
            vec![AnyElement, Exact(Int32)],
            AnyElement,
            func.clone(),
            doc,
        );
        push(
            name,
            vec![AnyCompatible, Exact(Int32), AnyCompatible],
            AnyCompatible,
            func,
            doc,
        );
    }
    let doc = "The value at the first row of the frame.";
    push(
        "first_value",
        vec![AnyElement],
        AnyElement,
        WindowFunc::FirstValue,
        doc,
    );
    let doc = "The value at the last row of the frame.";
    push(
        "last_value",
        vec![AnyElement],
        AnyElement,
        WindowFunc::LastValue,
        doc,
    );
    let doc = "The value at the n-th row of the frame, from 1.";
    push(
        "nth_value",
        vec![AnyElement, Exact(Int32)],
        AnyElement,
        WindowFunc::NthValue,
        doc,
    );
    out
}
