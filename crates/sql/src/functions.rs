//! Calls: the one place that names the registry's resolution.

use crate::error::PlanError;
use crate::hir::HirScalar;
use crate::planner::Planner;
use crate::typed::Typed;
use everview_expr::registry::{self, Volatility};
use everview_expr::resolve::{self, Resolved};
use everview_expr::{CallTypes, Func, ScalarExpr, TableFunc};
use everview_repr::{ColumnType, EvalError, ScalarType, Typmod};
use std::sync::Arc;

/// A call whose arguments have the types that it was resolved to.
pub(crate) fn call(func: Func, args: Vec<Typed>, types: Arc<CallTypes>, position: Option<usize>) -> Typed {
    let desc = registry::get(func);
    let nullable = !(desc.strict && desc.never_null) || args.iter().any(|a| a.ty.nullable);
    let ty = ColumnType { scalar: types.result.clone(), typmod: types.typmod, nullable };
    let args = args.into_iter().map(|a| a.expr).collect();
    Typed { expr: HirScalar::Call { func, args, types }, ty, position }
}

/// Replaces a call of literals by its value. An error is the caller's to report.
pub(crate) fn fold_constant(value: &mut Typed) -> Result<(), EvalError> {
    let HirScalar::Call { func, args, types } = &value.expr else { return Ok(()) };
    if registry::get(*func).volatility != Volatility::Immutable {
        return Ok(());
    }
    let literal = |a: &HirScalar| match a {
        HirScalar::Literal(row, ty) => Some(ScalarExpr::Literal(row.clone(), ty.clone())),
        _ => None,
    };
    let Some(args) = args.iter().map(literal).collect::<Option<Vec<_>>>() else { return Ok(()) };
    let call = ScalarExpr::Call { func: *func, args, types: types.clone() };
    let row = crate::typed::evaluate(&call)?;
    value.ty.nullable = row.first().is_null();
    value.expr = HirScalar::Literal(row, value.ty.clone());
    Ok(())
}

impl Planner<'_> {
    /// The types of a call, with the settings and environment that it captures.
    pub(crate) fn call_types(&self, args: Vec<ScalarType>, result: ScalarType, typmod: Typmod) -> Arc<CallTypes> {
        Arc::new(CallTypes {
            args,
            result,
            typmod,
            time_zone: self.time_zone.clone(),
            environment: if self.maintained { None } else { self.environment.clone() },
        })
    }

    /// A call of a scalar function by name.
    pub(crate) fn call_function(
        &mut self,
        name: &str,
        args: Vec<Typed>,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let resolved = resolve::resolve_function(name, &scalar_types(&args)).map_err(|e| e.into_error());
        self.resolved_call(resolved.map_err(|e| PlanError::from(e).at(position))?, args, position)
    }

    /// An operator with one or two operands.
    pub(crate) fn call_operator(
        &mut self,
        symbol: &str,
        args: Vec<Typed>,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let resolved = resolve::resolve_operator(symbol, &scalar_types(&args)).map_err(|e| e.into_error());
        self.resolved_call(resolved.map_err(|e| PlanError::from(e).at(position))?, args, position)
    }

    fn resolved_call(
        &mut self,
        resolved: Resolved,
        args: Vec<Typed>,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        self.check_volatility(resolved.func, position)?;
        let args = self.coerce_all(args, &resolved.args)?;
        let types = self.call_types(scalar_types(&args), resolved.result, Typmod::NONE);
        Ok(call(resolved.func, args, types, position))
    }

    /// Coerces arguments to a resolved signature.
    pub(crate) fn coerce_all(&mut self, args: Vec<Typed>, to: &[ScalarType]) -> Result<Vec<Typed>, PlanError> {
        args.into_iter()
            .zip(to)
            .map(|(a, ty)| if *ty == ScalarType::Unknown { Ok(a) } else { self.coerce(a, ty) })
            .collect()
    }

    /// Refuses in a maintained view what does not depend on its arguments alone.
    pub(crate) fn check_volatility(&self, func: Func, position: Option<usize>) -> Result<(), PlanError> {
        let desc = registry::get(func);
        if !self.maintained || desc.volatility == Volatility::Immutable {
            return Ok(());
        }
        let kind = if desc.volatility == Volatility::Stable { "stable" } else { "volatile" };
        let error = PlanError::unsupported(format!("{kind} function {}() in a maintained view", desc.name)).at(position);
        let clock = ["now", "current_timestamp", "transaction_timestamp", "statement_timestamp", "clock_timestamp"];
        Err(if clock.contains(&desc.name) {
            error.with_hint("A maintained view changes with time through mz_now(), the logical clock, which is not there yet.")
        } else {
            error.with_hint("A maintained view is a function of its inputs' rows only.")
        })
    }
}

/// The arguments' types.
pub(crate) fn scalar_types(args: &[Typed]) -> Vec<ScalarType> {
    args.iter().map(|a| a.ty.scalar.clone()).collect()
}

/// A table function resolved: itself, its arguments' types and its columns.
pub(crate) type ResolvedTableFunction = (TableFunc, Vec<ScalarType>, Vec<(String, ColumnType)>);

/// Resolves a table function; `None` when there is none of that name.
pub(crate) fn resolve_table_function(
    name: &str,
    args: &[ScalarType],
) -> Option<Result<ResolvedTableFunction, EvalError>> {
    let resolved = resolve::resolve_table_function(name, args)?;
    Some(resolved.map_err(|e| e.into_error()).map(|(resolved, types)| {
        let names = everview_expr::table_func::get(resolved.func).returns.iter().map(|(n, _)| n.to_string());
        let columns = names.zip(types.into_iter().map(ScalarType::nullable)).collect();
        (resolved.func, resolved.args, columns)
    }))
}

/// Whether a name is a table function's.
pub(crate) fn is_table_function(name: &str) -> bool {
    everview_expr::table_func::table_functions().iter().any(|f| f.name == name)
}

/// Whether a name is an aggregate's.
pub(crate) fn is_aggregate(name: &str) -> bool {
    !everview_expr::aggregate::by_name(name).is_empty()
}
