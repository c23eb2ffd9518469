//! LIKE, ILIKE and SIMILAR TO.

use crate::error::PlanError;
use crate::hir::HirScalar;
use crate::planner::{ExprContext, Planner};
use crate::typed::Typed;
use everview_repr::ScalarType;
use sqlparser::ast::Expr;

/// Which kind of pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Like,
    ILike,
    Similar,
}

impl Planner<'_> {
    pub(super) fn like(
        &mut self,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        kind: Kind,
        not: bool,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let value = self.expr(expr, cx)?;
        let mut matched = self.expr(pattern, cx)?;
        let position = matched.position;
        let escape = escape.map(|e| self.expr(e, cx)).transpose()?;
        let operator = match kind {
            Kind::Like => "~~",
            Kind::ILike => "~~*",
            Kind::Similar => "~",
        };
        match (kind, escape) {
            (Kind::Similar, escape) => {
                let args = std::iter::once(matched).chain(escape).collect();
                matched = self.call_function("similar_to_escape", args, position)?;
            }
            (_, Some(escape)) => {
                let pattern = self.coerce(matched, &ScalarType::Text)?;
                let escape = self.coerce(escape, &ScalarType::Text)?;
                matched = self.call_function("like_escape", vec![pattern, escape], position)?;
            }
            (_, None) => {}
        }
        let place = value.position;
        let result = self.binary_call(operator, value, matched, expr)?;
        if !not {
            return Ok(result);
        }
        let nullable = result.ty.nullable;
        Ok(Typed::boolean(
            HirScalar::Not(Box::new(result.expr)),
            nullable,
            place,
        ))
    }
}
