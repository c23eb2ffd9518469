//! ORDER BY.

use crate::error::{At, PlanError};
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::query::body::{Order, OrderValue};
use crate::query::build::ordinal;
use crate::query::group::{output_named, output_number};
use crate::query::{Body, Output};
use crate::scope::Env;
use everview_repr::SqlState;
use sqlparser::ast::{Expr, OrderByExpr, OrderByOptions, OrderBySort, Spanned};

/// Which way an item sorts: descending, NULLs last.
pub(crate) fn direction(options: &OrderByOptions) -> Result<(bool, bool), PlanError> {
    let OrderByOptions { sort, nulls_first } = options;
    let descending = match sort {
        None | Some(OrderBySort::Asc) => false,
        Some(OrderBySort::Desc) => true,
        Some(OrderBySort::Using(operator)) => match operator.to_string().as_str() {
            "<" => false,
            ">" => true,
            other => {
                let message = format!("operator {other} is not a valid ordering operator");
                return Err(PlanError::new(SqlState::WRONG_OBJECT_TYPE, message)
                    .with_hint("Ordering operators must be \"<\" or \">\" members of btree operator families."));
            }
        },
    };
    Ok((descending, !nulls_first.unwrap_or(descending)))
}

impl Planner<'_> {
    /// The items of a SELECT's ORDER BY: an output's name or number, else an expression over its row.
    pub(super) fn order_items(
        &mut self,
        items: &[OrderByExpr],
        outputs: &mut [Output],
        cx: &ExprContext<'_>,
    ) -> Result<Vec<Order>, PlanError> {
        let mut order = Vec::new();
        for OrderByExpr {
            expr,
            options,
            with_fill,
        } in items
        {
            if with_fill.is_some() {
                return Err(PlanError::syntax("syntax error at or near \"with\""));
            }
            let position = names::start(expr.span());
            let (descending, nulls_last) = direction(options).at(position)?;
            let by = match named_output(expr, outputs, "ORDER BY").at(position)? {
                Some(i) => OrderValue::Output(i),
                None => {
                    let value = self.expr(expr, cx)?;
                    let value = self.resolve_unknown(value)?;
                    match outputs.iter().position(|o| o.value.expr == value.expr) {
                        Some(i) => OrderValue::Output(i),
                        None => OrderValue::Value(value),
                    }
                }
            };
            order.push(Order {
                by,
                descending,
                nulls_last,
                position,
            });
        }
        Ok(order)
    }

    /// ORDER BY around UNION, VALUES and the like: by outputs only.
    pub(super) fn ordered_by_outputs(
        &mut self,
        mut body: Body,
        items: &[OrderByExpr],
        env: &Env<'_>,
    ) -> Result<Body, PlanError> {
        let _ = env;
        for OrderByExpr {
            expr,
            options,
            with_fill: _,
        } in items
        {
            let position = names::start(expr.span());
            let (descending, nulls_last) = direction(options).at(position)?;
            let Some(i) = named_output(expr, &body.outputs, "ORDER BY").at(position)? else {
                if let Expr::Identifier(ident) = expr {
                    let message = format!("column \"{}\" does not exist", names::fold(ident));
                    return Err(PlanError::new(SqlState::UNDEFINED_COLUMN, message).at(position));
                }
                return Err(PlanError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
                )
                .with_detail("Only result column names can be used, not expressions or functions.")
                .with_hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                .at(position));
            };
            body.order.push(Order {
                by: OrderValue::Output(i),
                descending,
                nulls_last,
                position,
            });
        }
        Ok(body)
    }
}

/// The output that an item names, by name or number.
pub(super) fn named_output(
    expr: &Expr,
    outputs: &[Output],
    clause: &str,
) -> Result<Option<usize>, PlanError> {
    let mut plain = expr;
    while let Expr::Nested(inner) = plain {
        plain = inner;
    }
    if let Some(n) = ordinal(plain) {
        return output_number(n, outputs.len(), clause, None).map(Some);
    }
    match plain {
        Expr::Value(value) if !matches!(value.value, sqlparser::ast::Value::Placeholder(_)) => Err(
            PlanError::syntax(format!("non-integer constant in {clause}")),
        ),
        Expr::Identifier(ident) => output_named(&names::fold(ident), outputs, clause),
        _ => Ok(None),
    }
}
