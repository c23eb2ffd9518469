//! DISTINCT and DISTINCT ON.

use crate::error::{At, PlanError};
use crate::hir::{HirRel, HirScalar};
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::query::body::{Order, OrderValue, outputs_of};
use crate::query::build::{map, with_tie_break};
use crate::query::limit::Limits;
use crate::query::order::named_output;
use crate::query::{Body, Output};
use crate::typed::Typed;
use everview_repr::{ColumnOrder, SqlState};
use sqlparser::ast::{Expr, Spanned};

impl Planner<'_> {
    /// SELECT DISTINCT: sorts by outputs only.
    pub(super) fn distinct(&mut self, mut body: Body) -> Result<Body, PlanError> {
        let mut order = Vec::new();
        for item in std::mem::take(&mut body.order) {
            let OrderValue::Output(_) = item.by else {
                let message =
                    "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                return Err(
                    PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(item.position)
                );
            };
            order.push(item);
        }
        let (rel, desc) = body.finish(self, Limits::default())?.into_relation()?;
        let arity = desc.arity();
        let rel = HirRel::Distinct {
            input: Box::new(rel),
        };
        let keys = vec![(0..arity).collect()];
        Ok(Body {
            rel,
            arity,
            outputs: outputs_of(&desc),
            order,
            keys,
        })
    }

    /// DISTINCT ON's expressions.
    pub(super) fn distinct_keys(
        &mut self,
        exprs: &[Expr],
        outputs: &mut [Output],
        cx: &ExprContext<'_>,
    ) -> Result<Vec<Typed>, PlanError> {
        let mut keys = Vec::new();
        for expr in exprs {
            let position = names::start(expr.span());
            keys.push(
                match named_output(expr, outputs, "SELECT DISTINCT ON").at(position)? {
                    Some(i) => outputs[i].value.clone(),
                    None => {
                        let value = self.expr(expr, cx)?;
                        self.resolve_unknown(value)?
                    }
                },
            );
        }
        Ok(keys)
    }

    /// The first row, in ORDER BY's order, of each group of equal keys.
    pub(super) fn distinct_on(&mut self, body: Body, keys: Vec<Typed>) -> Result<Body, PlanError> {
        let values: Vec<HirScalar> = body
            .order
            .iter()
            .map(|o| match &o.by {
                OrderValue::Output(i) => body.outputs[*i].value.expr.clone(),
                OrderValue::Value(value) => value.expr.clone(),
            })
            .collect();
        let is_key = |expr: &HirScalar| keys.iter().any(|k| k.expr == *expr);
        let initial = values.iter().take_while(|v| is_key(v)).count();
        let missing = keys.iter().any(|k| !values[..initial].contains(&k.expr));
        if missing && initial < values.len() {
            let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
            return Err(PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                .at(keys.first().and_then(|k| k.position)));
        }
        let plan = body.finish(self, Limits::default())?;
        let mut scalars = Vec::new();
        let mut group_key = Vec::new();
        for key in keys {
            group_key.push(match key.expr {
                HirScalar::Column(c) if c.level == 0 => c.column,
                expr => {
                    scalars.push(expr);
                    plan.arity + scalars.len() - 1
                }
            });
        }
        let arity = plan.arity + scalars.len();
        let input = map(plan.rel, scalars);
        let order_key = with_tie_break(plan.order.clone(), &plan.project, arity);
        let rel = HirRel::TopK {
            input: Box::new(input),
            group_key,
            order_key,
            limit: Some(1),
            offset: 0,
        };
        let mut outputs = outputs_of(&plan.desc);
        for (output, column) in outputs.iter_mut().zip(&plan.project) {
            output.value.expr = super::from::column(*column);
        }
        let order = plan.order.iter().map(order_by_column).collect();
        Ok(Body {
            rel,
            arity,
            outputs,
            order,
            keys: vec![],
        })
    }
}

/// A sort by a column of the row.
fn order_by_column(o: &ColumnOrder) -> Order {
    Order {
        by: OrderValue::Value(Typed {
            expr: super::from::column(o.column),
            ty: everview_repr::ScalarType::Text.nullable(),
            position: None,
        }),
        descending: o.descending,
        nulls_last: o.nulls_last,
        position: None,
    }
}
