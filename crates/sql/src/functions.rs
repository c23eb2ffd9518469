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
pub(crate) fn call(
    func: Func,
    args: Vec<Typed>,
    types: Arc<CallTypes>,
    position: Option<usize>,
) -> Typed {
    let desc = registry::get(func);
    let nullable = !(desc.strict && desc.never_null) || args.iter().any(|a| a.ty.nullable);
    let ty = ColumnType {
        scalar: types.result.clone(),
        typmod: types.typmod,
        nullable,
    };
    let args = args.into_iter().map(|a| a.expr).collect();
    Typed {
        expr: HirScalar::Call { func, args, types },
        ty,
        position,
    }
}

/// Replaces a call of literals by its value. An error is the caller's to report.
pub(crate) fn fold_constant(value: &mut Typed) -> Result<(), EvalError> {
    let HirScalar::Call { func, args, types } = &value.expr else {
        return Ok(());
    };
    if registry::get(*func).volatility != Volatility::Immutable {
        return Ok(());
    }
    let literal = |a: &HirScalar| match a {
        HirScalar::Literal(row, ty) => Some(ScalarExpr::Literal(row.clone(), ty.clone())),
        _ => None,
    };
    let Some(args) = args.iter().map(literal).collect::<Option<Vec<_>>>() else {
        return Ok(());
    };
    let call = ScalarExpr::Call {
        func: *func,
        args,
        types: types.clone(),
    };
    let row = crate::typed::evaluate(&call)?;
    value.ty.nullable = row.first().is_null();
    value.expr = HirScalar::Literal(row, value.ty.clone());
    Ok(())
}

impl Planner<'_> {
    /// The types of a call, with the settings and environment that it captures.
    pub(crate) fn call_types(
        &self,
        args: Vec<ScalarType>,
        result: ScalarType,
        typmod: Typmod,
    ) -> Arc<CallTypes> {
        Arc::new(CallTypes {
            args,
            result,
            typmod,
            time_zone: self.time_zone.clone(),
            environment: if self.maintained.is_some() {
                None
            } else {
                self.environment.clone()
            },
        })
    }

    /// A call of a scalar function by name.
    pub(crate) fn call_function(
        &mut self,
        name: &str,
        args: Vec<Typed>,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let resolved =
            resolve::resolve_function(name, &scalar_types(&args)).map_err(|e| e.into_error());
        self.resolved_call(
            resolved.map_err(|e| PlanError::from(e).at(position))?,
            args,
            position,
        )
    }

    /// An operator with one or two operands.
    pub(crate) fn call_operator(
        &mut self,
        symbol: &str,
        args: Vec<Typed>,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let resolved =
            resolve::resolve_operator(symbol, &scalar_types(&args)).map_err(|e| e.into_error());
        self.resolved_call(
            resolved.map_err(|e| PlanError::from(e).at(position))?,
            args,
            position,
        )
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
    pub(crate) fn coerce_all(
        &mut self,
        args: Vec<Typed>,
        to: &[ScalarType],
    ) -> Result<Vec<Typed>, PlanError> {
        args.into_iter()
            .zip(to)
            .map(|(a, ty)| {
                if *ty == ScalarType::Unknown {
                    Ok(a)
                } else {
                    self.coerce(a, ty)
                }
            })
            .collect()
    }

    /// Refuses in a maintained view what does not depend on its arguments alone.
    pub(crate) fn check_volatility(
        &self,
        func: Func,
        position: Option<usize>,
    ) -> Result<(), PlanError> {
        let desc = registry::get(func);
        let Some(place) = self
            .maintained
            .filter(|_| desc.volatility != Volatility::Immutable)
        else {
            return Ok(());
        };
        let kind = if desc.volatility == Volatility::Stable {
            "stable"
        } else {
            "volatile"
        };
        let error =
            PlanError::unsupported(format!("the {kind} function {}() in {place}", desc.name))
                .at(position);
        let clock = [
            "now",
            "current_timestamp",
            "transaction_timestamp",
            "statement_timestamp",
            "clock_timestamp",
        ];
        Err(if clock.contains(&desc.name) {
            error.with_hint("mz_now(), the logical clock, will serve here; it is not there yet.")
        } else {
            error.with_hint("What is kept up to date is a function of its inputs' rows only.")
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
    Some(
        resolved
            .map_err(|e| e.into_error())
            .map(|(resolved, types)| {
                let names = everview_expr::table_func::get(resolved.func)
                    .returns
                    .iter()
                    .map(|(n, _)| n.to_string());
                let columns = names
                    .zip(types.into_iter().map(ScalarType::nullable))
                    .collect();
                (resolved.func, resolved.args, columns)
            }),
    )
}

/// Whether a name is a table function's.
pub(crate) fn is_table_function(name: &str) -> bool {
    everview_expr::table_func::table_functions()
        .iter()
        .any(|f| f.name == name)
}

/// Whether a name is an aggregate's.
pub(crate) fn is_aggregate(name: &str) -> bool {
    !everview_expr::aggregate::by_name(name).is_empty()
}

/// An aggregate resolved.
pub(crate) type ResolvedAggregate = Resolved<everview_expr::aggregate::AggregateFunc>;

/// Resolves an aggregate; `None` when there is none of that name.
pub(crate) fn resolve_aggregate(
    name: &str,
    args: &[ScalarType],
) -> Option<Result<ResolvedAggregate, EvalError>> {
    Some(resolve::resolve_aggregate(name, args)?.map_err(|e| e.into_error()))
}

/// 42883 for a call.
pub(crate) fn no_function(name: &str, args: &[Typed]) -> EvalError {
    resolve::function_failure(resolve::Failure::NotFound, name, &scalar_types(args)).into_error()
}

impl Planner<'_> {
    /// A call of a registered function by its exact name, types given rather than resolved.
    fn direct_call(
        &mut self,
        name: &str,
        args: Vec<Typed>,
        result: ScalarType,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let candidates = registry::candidates(name);
        let fits = |f: &&Func| {
            let desc = registry::get(**f);
            desc.params.len() == args.len() || (desc.variadic && !args.is_empty())
        };
        let Some(func) = candidates.iter().find(fits).copied() else {
            return Err(PlanError::unsupported(format!("function {name}")).at(position));
        };
        let types = self.call_types(scalar_types(&args), result, Typmod::NONE);
        Ok(call(func, args, types, position))
    }

    /// `ARRAY[...]` of values of one type; of arrays, one dimension higher.
    pub(crate) fn make_array(
        &mut self,
        values: Vec<Typed>,
        element: ScalarType,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let result = match &element {
            ScalarType::Array(_) => element.clone(),
            element => ScalarType::Array(Box::new(element.clone())),
        };
        let mut array = if values.is_empty() {
            let null = Typed::literal(everview_repr::Datum::Null, element, position);
            self.direct_call("array_empty", vec![null], result, position)?
        } else {
            self.direct_call("array", values, result, position)?
        };
        array.ty.nullable = false;
        fold_constant(&mut array).map_err(|e| PlanError::from(e).at(position))?;
        Ok(array)
    }

    /// `ROW(...)`.
    pub(crate) fn make_record(
        &mut self,
        values: Vec<Typed>,
        names: Vec<String>,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let fields = names.into_iter().zip(scalar_types(&values)).collect();
        let mut record = self.direct_call("row", values, ScalarType::Record(fields), position)?;
        record.ty.nullable = false;
        Ok(record)
    }

    /// A field of a composite, counted from 0.
    pub(crate) fn record_field(
        &mut self,
        record: Typed,
        field: usize,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let ty = match record.scalar() {
            ScalarType::Record(fields) => fields.get(field).map(|(_, ty)| ty.clone()),
            _ => None,
        };
        let Some(ty) = ty else {
            return Err(PlanError::unsupported("a field of an unnamed composite").at(position));
        };
        // The field of a row constructor is its expression.
        if let HirScalar::Call { func, args, .. } = &record.expr
            && registry::get(*func).name == "row"
            && let Some(arg) = args.get(field)
        {
            return Ok(Typed {
                expr: arg.clone(),
                ty: ty.nullable(),
                position,
            });
        }
        let n = everview_repr::Datum::Int32(field as i32 + 1);
        let n = Typed::literal(n, ScalarType::Int32, position);
        let mut value = self.direct_call("record_get", vec![record, n], ty, position)?;
        value.ty.nullable = true;
        Ok(value)
    }

    /// A FROM item's row as one value.
    pub(crate) fn whole_row(
        &mut self,
        level: usize,
        table: &crate::scope::ScopeTable,
        position: Option<usize>,
        cx: &crate::planner::ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let column = |c: &crate::scope::ScopeColumn| {
            if level == 0
                && let Some(references) = cx.references
            {
                let name = c.name.clone();
                let reference = crate::query::collect::Reference {
                    column: c.index,
                    name,
                    position,
                };
                references.borrow_mut().push(reference);
            }
            let expr = HirScalar::Column(crate::hir::ColumnRef {
                level,
                column: c.index,
            });
            Typed {
                expr,
                ty: c.ty.clone(),
                position,
            }
        };
        let mut values: Vec<Typed> = table.columns.iter().map(column).collect();
        if table.scalar
            && let Some(value) = values.pop()
        {
            return Ok(value);
        }
        let names = table.columns.iter().map(|c| c.name.clone()).collect();
        self.make_record(values, names, position)
    }

    /// Subscripts of an array: an element, or a slice of pairs of bounds.
    pub(crate) fn call_subscript(
        &mut self,
        args: Vec<Typed>,
        slice: bool,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let array = args[0].scalar().clone();
        let result = match (&array, slice) {
            (ScalarType::Array(element), false) => (**element).clone(),
            _ => array,
        };
        let name = if slice { "array_slice" } else { "array_get" };
        // A bound that is NULL makes the slice NULL; to the function it would be a bound left out.
        let written = |a: &&Typed| a.ty.nullable && !matches!(a.expr, HirScalar::Literal(..));
        let null_bounds: Vec<HirScalar> = args[1..]
            .iter()
            .filter(written)
            .map(|a| HirScalar::IsNull(Box::new(a.expr.clone())))
            .collect();
        let mut value = self.direct_call(name, args, result, position)?;
        value.ty.nullable = true;
        if slice && !null_bounds.is_empty() {
            value.expr = HirScalar::If {
                condition: Box::new(HirScalar::Or(null_bounds)),
                then: Box::new(crate::query::build::null(&value.ty)),
                els: Box::new(value.expr),
            };
        }
        Ok(value)
    }

    /// `ARRAY(SELECT ...)`: the rows' first column in order; of no rows the empty array.
    pub(crate) fn aggregate_to_array(
        &mut self,
        rel: crate::hir::HirRel,
        order: Vec<everview_repr::ColumnOrder>,
        column: &ColumnType,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        use crate::hir::{ColumnRef, HirAggregate, HirOrder, HirRel};
        let at = |column| HirScalar::Column(ColumnRef { level: 0, column });
        let arg_types = vec![column.scalar.clone()];
        let resolved = resolve_aggregate("array_agg", &arg_types)
            .ok_or_else(|| PlanError::unsupported("ARRAY of a subquery").at(position))?
            .map_err(|e| PlanError::from(e).at(position))?;
        let order_by = order
            .iter()
            .map(|o| HirOrder {
                expr: at(o.column),
                descending: o.descending,
                nulls_last: o.nulls_last,
            })
            .collect();
        let ty = resolved.result.clone().nullable();
        let aggregate = HirAggregate {
            func: resolved.func,
            args: vec![at(0)],
            arg_types,
            result: ty.clone(),
            distinct: false,
            filter: None,
            order_by,
        };
        let rel = HirRel::Reduce {
            input: Box::new(rel),
            group_key: vec![],
            aggregates: vec![aggregate],
        };
        let element = match &ty.scalar {
            ScalarType::Array(element) => (**element).clone(),
            other => other.clone(),
        };
        let empty = self.make_array(vec![], element, position)?;
        let expr = HirScalar::Coalesce(vec![HirScalar::Scalar(Box::new(rel)), empty.expr]);
        Ok(Typed {
            expr,
            ty: ty.with_nullable(false),
            position,
        })
    }
}
