//! Function calls: scalar, aggregate, window and set-returning.

use crate::error::{At, PlanError};
use crate::functions;
use crate::hir::{ColumnRef, HirAggregate, HirOrder, HirScalar};
use crate::names::{self, Name};
use crate::planner::{ExprContext, Planner};
use crate::query::collect::{TableCall, WindowCall};
use crate::query::order;
use crate::query::walk;
use crate::typed::Typed;
use everview_repr::{ScalarType, SqlState, Typmod};
use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, OrderByExpr, Query, Spanned,
};

/// A call taken apart.
pub(super) struct Call<'e> {
    pub name: String,
    pub args: Vec<&'e Expr>,
    /// `count(*)`.
    pub star: bool,
    pub distinct: bool,
    pub order_by: &'e [OrderByExpr],
    pub filter: Option<&'e Expr>,
    pub position: Option<usize>,
}

/// The items of `ROW(a, b)`.
pub(super) fn row_constructor(function: &Function) -> Option<Vec<&Expr>> {
    let [part] = function.name.0.as_slice() else {
        return None;
    };
    part.as_ident()
        .filter(|i| i.quote_style.is_none() && i.value.eq_ignore_ascii_case("row"))?;
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    list.args
        .iter()
        .map(|a| match a {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
            _ => None,
        })
        .collect()
}

impl Planner<'_> {
    pub(super) fn function(
        &mut self,
        function: &Function,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        if let Some(items) = row_constructor(function) {
            let position = names::start(function.name.span());
            let items: Vec<Expr> = items.into_iter().cloned().collect();
            return self.row(&items, position, cx);
        }
        if let Some(query) = array_query(function) {
            return self.array_subquery(query, names::start(function.name.span()), cx);
        }
        let call = take_apart(function)?;
        if let Some(over) = &function.over {
            return self.window_call(call, over, cx);
        }
        if functions::is_aggregate(&call.name) {
            return self.aggregate_call(call, cx);
        }
        if everview_expr::window::window_functions()
            .iter()
            .any(|w| w.name == call.name)
        {
            let message = format!("window function {} requires an OVER clause", call.name);
            return Err(PlanError::new(SqlState::WINDOWING_ERROR, message).at(call.position));
        }
        let misplaced = match () {
            () if call.star => Some(format!(
                "{}(*) specified, but {} is not an aggregate function",
                call.name, call.name
            )),
            () if call.distinct => Some(format!(
                "DISTINCT specified, but {} is not an aggregate function",
                call.name
            )),
            () if !call.order_by.is_empty() => Some(format!(
                "ORDER BY specified, but {} is not an aggregate function",
                call.name
            )),
            () if call.filter.is_some() => Some(format!(
                "FILTER specified, but {} is not an aggregate function",
                call.name
            )),
            () => None,
        };
        if let Some(message) = misplaced {
            return Err(PlanError::new(SqlState::WRONG_OBJECT_TYPE, message).at(call.position));
        }
        let args = self.exprs(&call.args, cx)?;
        match call.name.as_str() {
            "coalesce" | "greatest" | "least" => {
                self.variadic_common(&call.name, args, call.position)
            }
            "nullif" => self.nullif(args, call.position),
            "mz_now" | "everview_now" => {
                Err(PlanError::unsupported(format!("{}()", call.name)).at(call.position))
            }
            "grouping" => Err(PlanError::unsupported("GROUPING").at(call.position)),
            name if functions::is_table_function(name)
                && everview_expr::registry::candidates(name).is_empty() =>
            {
                self.table_call(name, args, call.position, cx)
            }
            name => self.call_function(name, args, call.position),
        }
    }

    fn aggregate_call(&mut self, call: Call<'_>, cx: &ExprContext<'_>) -> Result<Typed, PlanError> {
        let Some(collector) = cx.collector else {
            return Err(
                PlanError::new(SqlState::GROUPING_ERROR, aggregate_message(cx.clause))
                    .at(call.position),
            );
        };
        let inner = ExprContext {
            clause: AGGREGATE,
            collector: None,
            references: None,
            ..*cx
        };
        let (aggregate, result) = self.aggregate(&call, &inner)?;
        let local = aggregate_reads(&aggregate);
        if local == Reads::Outer {
            return Err(
                PlanError::unsupported("an aggregate over an outer query's columns only")
                    .at(call.position),
            );
        }
        let column = collector.borrow_mut().aggregate(aggregate);
        Ok(Typed {
            expr: HirScalar::Column(ColumnRef { level: 0, column }),
            ty: result,
            position: call.position,
        })
    }

    /// Plans an aggregate's call over the row at hand.
    pub(super) fn aggregate(
        &mut self,
        call: &Call<'_>,
        cx: &ExprContext<'_>,
    ) -> Result<(HirAggregate, everview_repr::ColumnType), PlanError> {
        if call.args.is_empty() && !call.star && call.name == "count" {
            return Err(PlanError::new(
                SqlState::WRONG_OBJECT_TYPE,
                "count(*) must be used to call a parameterless aggregate function",
            )
            .at(call.position));
        }
        let mut args = self.exprs(&call.args, cx)?;
        let resolved = functions::resolve_aggregate(&call.name, &functions::scalar_types(&args))
            .unwrap_or_else(|| Err(functions::no_function(&call.name, &args)));
        let resolved = resolved.at(call.position)?;
        args = self.coerce_all(args, &resolved.args)?;
        let filter = match call.filter {
            Some(filter) => {
                let value = self.expr(
                    filter,
                    &ExprContext {
                        clause: "FILTER",
                        ..*cx
                    },
                )?;
                Some(self.coerce_boolean(value, "FILTER")?.expr)
            }
            None => None,
        };
        let mut order_by = self.orders(call.order_by, cx)?;
        let exprs: Vec<HirScalar> = args.iter().map(|a| a.expr.clone()).collect();
        if call.distinct && order_by.iter().any(|o| !exprs.contains(&o.expr)) {
            let message =
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
            return Err(
                PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(call
                    .order_by
                    .first()
                    .and_then(|o| names::start(o.expr.span()))),
            );
        }
        let desc = everview_expr::aggregate::get(resolved.func);
        if desc.kind != everview_expr::aggregate::AggregateKind::WholeGroup {
            // The order makes no difference to what it comes to.
            order_by.clear();
        }
        let result = resolved.result.nullable().with_nullable(!desc.never_null);
        let aggregate = HirAggregate {
            func: resolved.func,
            arg_types: functions::scalar_types(&args),
            args: exprs,
            result: result.clone(),
            distinct: call.distinct,
            filter,
            order_by,
        };
        Ok((aggregate, result))
    }

    /// ORDER BY within a call or window.
    pub(super) fn orders(
        &mut self,
        items: &[OrderByExpr],
        cx: &ExprContext<'_>,
    ) -> Result<Vec<HirOrder>, PlanError> {
        let mut out = Vec::new();
        for OrderByExpr {
            expr,
            options,
            with_fill: _,
        } in items
        {
            let (descending, nulls_last) =
                order::direction(options).at(names::start(expr.span()))?;
            let value = self.expr(expr, cx)?;
            let value = self.resolve_unknown(value)?;
            out.push(HirOrder {
                expr: value.expr,
                descending,
                nulls_last,
            });
        }
        Ok(out)
    }

    fn table_call(
        &mut self,
        name: &str,
        args: Vec<Typed>,
        position: Option<usize>,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let refused = || {
            let message = match cx.clause {
                AGGREGATE => "aggregate function calls cannot contain set-returning function calls"
                    .to_string(),
                clause => format!("set-returning functions are not allowed in {clause}"),
            };
            PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position)
        };
        let collector = cx
            .collector
            .filter(|c| !c.borrow().no_windows)
            .ok_or_else(refused)?;
        let resolved = functions::resolve_table_function(name, &functions::scalar_types(&args));
        let (func, types, columns) = resolved
            .unwrap_or_else(|| Err(functions::no_function(name, &args)))
            .at(position)?;
        let [(_, ty)] = columns.as_slice() else {
            return Err(PlanError::unsupported(format!(
                "{name}(), of several columns, in a select list"
            ))
            .with_hint("Move it into the FROM clause.")
            .at(position));
        };
        let ty = ty.clone();
        let args = self.coerce_all(args, &types)?;
        let types = self.call_types(
            functions::scalar_types(&args),
            ScalarType::Void,
            Typmod::NONE,
        );
        let args = args.into_iter().map(|a| a.expr).collect();
        let call = TableCall {
            func,
            args,
            types,
            columns: vec![ty.clone()],
        };
        let column = collector.borrow_mut().table(call);
        Ok(Typed {
            expr: HirScalar::Column(ColumnRef { level: 0, column }),
            ty,
            position,
        })
    }

    /// A window call becomes a column of its own.
    pub(super) fn collect_window(
        &mut self,
        call: WindowCall,
        position: Option<usize>,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let Some(collector) = cx.collector else {
            return Err(
                PlanError::new(SqlState::WINDOWING_ERROR, window_message(cx.clause)).at(position),
            );
        };
        let ty = call.result.clone();
        let column = collector.borrow_mut().window(call);
        Ok(Typed {
            expr: HirScalar::Column(ColumnRef { level: 0, column }),
            ty,
            position,
        })
    }
}

/// The clause of an aggregate's own expressions.
pub(super) const AGGREGATE: &str = "an aggregate";

fn aggregate_message(clause: &str) -> String {
    match clause {
        AGGREGATE => "aggregate function calls cannot be nested".to_string(),
        "JOIN/ON" => "aggregate functions are not allowed in JOIN conditions".to_string(),
        "functions in FROM" => {
            "aggregate functions are not allowed in functions in FROM".to_string()
        }
        clause => format!("aggregate functions are not allowed in {clause}"),
    }
}

pub(super) fn window_message(clause: &str) -> String {
    match clause {
        AGGREGATE => "aggregate function calls cannot contain window function calls".to_string(),
        "JOIN/ON" => "window functions are not allowed in JOIN conditions".to_string(),
        clause => format!("window functions are not allowed in {clause}"),
    }
}

/// Which rows an aggregate reads.
#[derive(PartialEq, Eq)]
enum Reads {
    Local,
    Outer,
}

fn aggregate_reads(aggregate: &HirAggregate) -> Reads {
    let exprs = aggregate.args.iter().chain(&aggregate.filter);
    let local = exprs.clone().any(|e| !walk::column_set(e).is_empty());
    let outer = exprs.clone().any(walk::reads_outer);
    if outer && !local {
        Reads::Outer
    } else {
        Reads::Local
    }
}

/// The query of `ARRAY(SELECT ...)`.
fn array_query(function: &Function) -> Option<&Query> {
    let [part] = function.name.0.as_slice() else {
        return None;
    };
    part.as_ident()
        .filter(|i| i.value.eq_ignore_ascii_case("array"))?;
    match &function.args {
        FunctionArguments::Subquery(query) => Some(query),
        _ => None,
    }
}

/// A call's parts; what is not Postgres's is refused.
fn take_apart(function: &Function) -> Result<Call<'_>, PlanError> {
    let Function {
        name,
        uses_odbc_syntax,
        parameters,
        args,
        within_group,
        filter,
        null_treatment,
        over: _,
    } = function;
    let full = Name::new(name)?;
    let position = full.position;
    if *uses_odbc_syntax || !matches!(parameters, FunctionArguments::None) {
        return Err(PlanError::syntax("syntax error in a function call").at(position));
    }
    if !within_group.is_empty() {
        return Err(PlanError::unsupported(format!("WITHIN GROUP of {}", full.name)).at(position));
    }
    if let Some(treatment) = null_treatment {
        return Err(PlanError::unsupported(treatment.to_string()).at(position));
    }
    if let Some(error) = crate::producers::misplaced(&full) {
        return Err(error);
    }
    if let Some(schema) = full.schema.as_deref().filter(|s| *s != "pg_catalog") {
        let message = format!("function {schema}.{} does not exist", full.name);
        return Err(PlanError::new(SqlState::UNDEFINED_FUNCTION, message).at(position));
    }
    let mut call = Call {
        name: full.name,
        args: vec![],
        star: false,
        distinct: false,
        order_by: &[],
        filter: filter.as_deref(),
        position,
    };
    let list = match args {
        FunctionArguments::None => return Ok(call),
        FunctionArguments::Subquery(_) => {
            return Err(PlanError::syntax("syntax error at or near \"select\"").at(position));
        }
        FunctionArguments::List(list) => list,
    };
    call.distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
    for clause in &list.clauses {
        match clause {
            FunctionArgumentClause::OrderBy(items) => call.order_by = items,
            other => {
                return Err(
                    PlanError::unsupported(format!("{other} in a function call")).at(position),
                );
            }
        }
    }
    for arg in &list.args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => call.args.push(e),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if list.args.len() == 1 => {
                call.star = true
            }
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)) => {
                return Err(PlanError::unsupported("t.* as an argument").at(position));
            }
            FunctionArg::Unnamed(_) => {
                return Err(PlanError::syntax("syntax error at or near \"*\"").at(position));
            }
            FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
                return Err(PlanError::unsupported("named arguments").at(position));
            }
        }
    }
    Ok(call)
}
