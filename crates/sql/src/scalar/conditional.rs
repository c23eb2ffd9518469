//! CASE, COALESCE, NULLIF, GREATEST, LEAST.

use crate::error::PlanError;
use crate::hir::HirScalar;
use crate::planner::{ExprContext, Planner};
use crate::typed::Typed;
use everview_repr::{Datum, ScalarType, SqlState};
use sqlparser::ast::{CaseWhen, Expr};

impl Planner<'_> {
    pub(super) fn case(
        &mut self,
        position: Option<usize>,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let subject = match operand {
            Some(operand) => {
                let value = self.expr(operand, cx)?;
                Some((self.resolve_unknown(value)?, operand))
            }
            None => None,
        };
        let mut tests = Vec::new();
        let mut results = Vec::new();
        for CaseWhen { condition, result } in conditions {
            let test = match &subject {
                Some((subject, place)) => {
                    let value = self.expr(condition, cx)?;
                    self.binary_call("=", subject.clone(), value, place)?
                }
                None => self.expr(condition, cx)?,
            };
            tests.push(self.coerce_boolean(test, "CASE/WHEN")?.expr);
            results.push(self.expr(result, cx)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.expr(otherwise, cx)?,
            None => Typed::literal(Datum::Null, ScalarType::Unknown, position),
        });
        let mut results = self.case_results(results)?;
        let mut ty = results[0].ty.clone();
        ty.nullable = results.iter().any(|r| r.ty.nullable);
        if results.iter().any(|r| r.ty.typmod != ty.typmod) {
            ty.typmod = everview_repr::Typmod::NONE;
        }
        let mut expr = results.pop().map(|r| r.expr);
        for (test, result) in tests.into_iter().zip(results).rev() {
            expr = expr.map(|els| HirScalar::If {
                condition: Box::new(test),
                then: Box::new(result.expr),
                els: Box::new(els),
            });
        }
        let expr =
            expr.ok_or_else(|| PlanError::syntax("syntax error at or near \"end\"").at(position))?;
        Ok(Typed { expr, ty, position })
    }

    /// The results' common type; Postgres puts ELSE first when it chooses.
    fn case_results(&mut self, mut results: Vec<Typed>) -> Result<Vec<Typed>, PlanError> {
        results.rotate_right(1);
        let mut coerced = self.in_common_type(results, "CASE")?;
        coerced.rotate_left(1);
        Ok(coerced)
    }

    /// COALESCE, GREATEST and LEAST take any number of values of one type.
    pub(super) fn variadic_common(
        &mut self,
        name: &str,
        args: Vec<Typed>,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let upper = name.to_uppercase();
        if args.is_empty() {
            return Err(PlanError::syntax("syntax error at or near \")\"").at(position));
        }
        let args = self.in_common_type(args, &upper)?;
        if name != "coalesce" {
            return self.call_function(name, args, position);
        }
        let mut ty = args[0].ty.clone();
        ty.nullable = args.iter().all(|a| a.ty.nullable);
        if args.iter().any(|a| a.ty.typmod != ty.typmod) {
            ty.typmod = everview_repr::Typmod::NONE;
        }
        let expr = HirScalar::Coalesce(args.into_iter().map(|a| a.expr).collect());
        Ok(Typed { expr, ty, position })
    }

    /// `NULLIF(a, b)`: NULL where `a = b`, else a.
    pub(super) fn nullif(
        &mut self,
        args: Vec<Typed>,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        let Ok([a, b]) = <[Typed; 2]>::try_from(args) else {
            return Err(PlanError::syntax("syntax error at or near \")\"").at(position));
        };
        let a = if a.is_unknown() && b.is_unknown() {
            self.resolve_unknown(a)?
        } else {
            a
        };
        let a = if a.is_unknown() {
            self.coerce(a, &b.ty.scalar)?
        } else {
            a
        };
        let test = self.call_operator("=", vec![a.clone(), b], position)?;
        if *test.scalar() != ScalarType::Bool {
            let message = "NULLIF requires = operator to yield boolean";
            return Err(PlanError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
        }
        let ty = a.ty.clone().with_nullable(true);
        let null = HirScalar::Literal(everview_repr::Row::pack([Datum::Null]), ty.clone());
        let expr = HirScalar::If {
            condition: Box::new(test.expr),
            then: Box::new(null),
            els: Box::new(a.expr),
        };
        Ok(Typed { expr, ty, position })
    }
}
