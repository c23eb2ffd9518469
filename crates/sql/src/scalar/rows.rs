//! Rows of expressions: `(a, b)`, compared field by field.

use crate::error::PlanError;
use crate::hir::HirScalar;
use crate::planner::{ExprContext, Planner};
use crate::scalar::operator::{boolean, symbol};
use crate::typed::Typed;
use sqlparser::ast::{BinaryOperator, Expr, Spanned};

impl Planner<'_> {
    /// A comparison of two rows, field by field.
    pub(super) fn row_comparison(
        &mut self,
        a: Vec<&Expr>,
        op: &BinaryOperator,
        b: Vec<&Expr>,
        left: &Expr,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        if a.len() != b.len() {
            return Err(
                PlanError::syntax("unequal number of entries in row expressions")
                    .at(self.operator_position(left.span())),
            );
        }
        let (mut lefts, mut rights) = (Vec::new(), Vec::new());
        for (a, b) in a.into_iter().zip(b) {
            lefts.push(self.expr(a, cx)?);
            rights.push(self.expr(b, cx)?);
        }
        self.compare_rows(lefts, op, rights, left)
    }

    /// `(a, b) < (c, d)` is `a < c OR (a = c AND b < d)`.
    pub(super) fn compare_rows(
        &mut self,
        lefts: Vec<Typed>,
        op: &BinaryOperator,
        rights: Vec<Typed>,
        place: &Expr,
    ) -> Result<Typed, PlanError> {
        let name = symbol(op)?;
        let position = lefts.first().and_then(|l| l.position);
        if lefts.is_empty() {
            return Err(PlanError::unsupported("comparison of rows of zero columns").at(position));
        }
        let nullable = true;
        if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) {
            let mut all = Vec::new();
            for (a, b) in lefts.into_iter().zip(rights) {
                all.push(self.binary_call(&name, a, b, place)?.expr);
            }
            let expr = if *op == BinaryOperator::Eq {
                HirScalar::And(all)
            } else {
                HirScalar::Or(all)
            };
            return Ok(Typed::boolean(expr, nullable, position));
        }
        let strict = name.trim_end_matches('=').to_string();
        let last = lefts.len() - 1;
        let mut result: Option<HirScalar> = None;
        for (i, (a, b)) in lefts.into_iter().zip(rights).enumerate().rev() {
            let symbol = if i == last { &name } else { &strict };
            let here = self.binary_call(symbol, a.clone(), b.clone(), place)?.expr;
            result = Some(match result {
                None => here,
                Some(rest) => {
                    let equal = self.binary_call("=", a, b, place)?.expr;
                    HirScalar::Or(vec![here, HirScalar::And(vec![equal, rest])])
                }
            });
        }
        Ok(Typed::boolean(
            result.unwrap_or_else(|| boolean(true)),
            nullable,
            position,
        ))
    }

    /// `(start, end) OVERLAPS (start, end)`: a function of four arguments.
    pub(super) fn overlaps(
        &mut self,
        left: &Expr,
        right: &Expr,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let rows = (
            as_row(left).unwrap_or_default(),
            as_row(right).unwrap_or_default(),
        );
        let ([a, b], [c, d]) = (rows.0.as_slice(), rows.1.as_slice()) else {
            return Err(PlanError::syntax(
                "wrong number of parameters on left side of OVERLAPS expression",
            )
            .at(crate::names::start(left.span())));
        };
        let mut args = Vec::new();
        for e in [a, b, c, d] {
            args.push(self.expr(e, cx)?);
        }
        self.call_function("overlaps", args, crate::names::start(left.span()))
    }
}

/// The items of `(a, b)` or `ROW(a, b)`.
pub(crate) fn as_row(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Tuple(items) => Some(items.iter().collect()),
        Expr::Nested(inner) => as_row(inner),
        Expr::Function(function) => super::call::row_constructor(function),
        _ => None,
    }
}
