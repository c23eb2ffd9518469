//! Operators: arithmetic, comparison, logic, IS.

use crate::error::{At, PlanError};
use crate::hir::HirScalar;
use crate::planner::{ExprContext, Planner};
use crate::scalar::operands;
use crate::scalar::rows::as_row;
use crate::typed::Typed;
use everview_repr::{Datum, ScalarType, SqlState};
use sqlparser::ast::{BinaryOperator, Expr, Spanned, UnaryOperator, Value};

/// The symbol under which an operator is registered.
pub(crate) fn symbol(op: &BinaryOperator) -> Result<String, PlanError> {
    use BinaryOperator::*;
    Ok(match op {
        Plus => "+",
        Minus => "-",
        Multiply => "*",
        Divide => "/",
        Modulo => "%",
        StringConcat => "||",
        Gt => ">",
        Lt => "<",
        GtEq => ">=",
        LtEq => "<=",
        Eq => "=",
        NotEq => "<>",
        BitwiseOr => "|",
        BitwiseAnd => "&",
        PGBitwiseXor => "#",
        PGBitwiseShiftLeft => "<<",
        PGBitwiseShiftRight => ">>",
        BitwiseXor | PGExp => "^",
        PGOverlap => "&&",
        PGRegexMatch => "~",
        PGRegexIMatch => "~*",
        PGRegexNotMatch => "!~",
        PGRegexNotIMatch => "!~*",
        PGLikeMatch => "~~",
        PGILikeMatch => "~~*",
        PGNotLikeMatch => "!~~",
        PGNotILikeMatch => "!~~*",
        PGStartsWith => "^@",
        Arrow => "->",
        LongArrow => "->>",
        HashArrow => "#>",
        HashLongArrow => "#>>",
        AtAt => "@@",
        AtArrow => "@>",
        ArrowAt => "<@",
        HashMinus => "#-",
        AtQuestion => "@?",
        Question => "?",
        QuestionAnd => "?&",
        QuestionPipe => "?|",
        Custom(symbol) => symbol,
        PGCustomBinaryOperator(parts) => return operator_name(parts),
        other => return Err(PlanError::unsupported(format!("operator {other}"))),
    }
    .to_string())
}

/// `OPERATOR(pg_catalog.~)`.
fn operator_name(parts: &[String]) -> Result<String, PlanError> {
    match parts {
        [symbol] => Ok(symbol.clone()),
        [schema, symbol] if schema.eq_ignore_ascii_case("pg_catalog") => Ok(symbol.clone()),
        _ => Err(PlanError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("operator does not exist: {}", parts.join(".")),
        )),
    }
}

impl Planner<'_> {
    pub(super) fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        match op {
            BinaryOperator::And | BinaryOperator::Or => {
                return self.connective(left, op, right, cx);
            }
            BinaryOperator::Overlaps => return self.overlaps(left, right, cx),
            _ => {}
        }
        if let (Some(a), Some(b)) = (as_row(left), as_row(right))
            && is_comparison(op)
        {
            return self.row_comparison(a, op, b, left, cx);
        }
        if let (Some(row), Expr::Subquery(query)) = (as_row(left), right)
            && is_comparison(op)
        {
            return self.row_subquery(row, op, query, cx);
        }
        let name = symbol(op).at(self.operator_position(left.span()))?;
        let a = self.expr(left, cx)?;
        let b = self.expr(right, cx)?;
        self.binary_call(&name, a, b, left)
    }

    /// An operator over planned operands; `left` is where the operator's place is looked for.
    pub(super) fn binary_call(
        &mut self,
        name: &str,
        a: Typed,
        b: Typed,
        left: &Expr,
    ) -> Result<Typed, PlanError> {
        let position = a.position;
        let mut result = self.call_operator(name, vec![a, b], None).map_err(|e| {
            if e.position.is_some() {
                e
            } else {
                e.at(self.operator_position(left.span()))
            }
        })?;
        result.position = position;
        Ok(result)
    }

    fn connective(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let clause = if *op == BinaryOperator::And {
            "AND"
        } else {
            "OR"
        };
        let mut all = Vec::new();
        let mut nullable = false;
        let mut position = None;
        for operand in operands(left, op, right) {
            let value = self.expr(operand, cx)?;
            let value = self.coerce_boolean(value, clause)?;
            nullable |= value.ty.nullable;
            position = position.or(value.position);
            all.push(value.expr);
        }
        let expr = if *op == BinaryOperator::And {
            HirScalar::And(all)
        } else {
            HirScalar::Or(all)
        };
        Ok(Typed::boolean(expr, nullable, position))
    }

    pub(super) fn unary(
        &mut self,
        op: UnaryOperator,
        expr: &Expr,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        use UnaryOperator::*;
        let symbol = match op {
            Not => {
                let value = self.expr(expr, cx)?;
                let value = self.coerce_boolean(value, "NOT")?;
                let nullable = value.ty.nullable;
                return Ok(Typed::boolean(
                    HirScalar::Not(Box::new(value.expr)),
                    nullable,
                    value.position,
                ));
            }
            Minus => {
                if let Some(literal) = self.negative_literal(expr)? {
                    return Ok(literal);
                }
                "-"
            }
            Plus => "+",
            BitwiseNot => "~",
            PGAbs => "@",
            PGSquareRoot => "|/",
            PGCubeRoot => "||/",
            PGPostfixFactorial | PGPrefixFactorial | BangNot | AtDashAt | DoubleAt | Hash
            | QuestionDash | QuestionPipe => {
                return Err(PlanError::unsupported(format!("operator {op}"))
                    .at(crate::names::start(expr.span())));
            }
        };
        let value = self.expr(expr, cx)?;
        let position = value.position.map(|p| p.saturating_sub(1).max(1));
        self.call_operator(symbol, vec![value], position)
    }

    /// `-5` as the literal that it is: -9223372036854775808 is a bigint.
    fn negative_literal(&mut self, expr: &Expr) -> Result<Option<Typed>, PlanError> {
        let Expr::Value(value) = expr else {
            return Ok(None);
        };
        let Value::Number(digits, long) = &value.value else {
            return Ok(None);
        };
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return Ok(None);
        }
        let position = crate::names::start(value.span).map(|p| p.saturating_sub(1).max(1));
        self.literal(&Value::Number(format!("-{digits}"), *long), position)
            .map(Some)
    }

    pub(super) fn is_null(
        &mut self,
        expr: &Expr,
        not: bool,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        if let Some(items) = as_row(expr) {
            // A row IS NULL when every field is, and IS NOT NULL when no field is.
            let mut all = Vec::new();
            let mut position = None;
            for item in items {
                let value = self.is_null(item, not, cx)?;
                position = position.or(value.position);
                all.push(value.expr);
            }
            return Ok(Typed::boolean(HirScalar::And(all), false, position));
        }
        let value = self.expr(expr, cx)?;
        let value = self.resolve_unknown(value)?;
        if let ScalarType::Record(fields) = value.scalar().clone() {
            return self.record_is_null(value, &fields, not);
        }
        let is_null = HirScalar::IsNull(Box::new(value.expr));
        let expr = if not {
            HirScalar::Not(Box::new(is_null))
        } else {
            is_null
        };
        Ok(Typed::boolean(expr, false, value.position))
    }

    fn record_is_null(
        &mut self,
        value: Typed,
        fields: &[(String, ScalarType)],
        not: bool,
    ) -> Result<Typed, PlanError> {
        let position = value.position;
        let mut all = Vec::new();
        for i in 0..fields.len() {
            let field = self.record_field(value.clone(), i, position)?;
            let is_null = HirScalar::IsNull(Box::new(field.expr));
            all.push(if not {
                HirScalar::Not(Box::new(is_null))
            } else {
                is_null
            });
        }
        let whole = HirScalar::IsNull(Box::new(value.expr));
        let expr = match not {
            false => HirScalar::Or(vec![whole, HirScalar::And(all)]),
            true => {
                all.insert(0, HirScalar::Not(Box::new(whole)));
                HirScalar::And(all)
            }
        };
        Ok(Typed::boolean(expr, false, position))
    }

    /// IS [NOT] TRUE, FALSE and UNKNOWN (`truth` none).
    pub(super) fn is_boolean(
        &mut self,
        expr: &Expr,
        truth: Option<bool>,
        not: bool,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let clause = match (truth, not) {
            (Some(true), false) => "IS TRUE",
            (Some(true), true) => "IS NOT TRUE",
            (Some(false), false) => "IS FALSE",
            (Some(false), true) => "IS NOT FALSE",
            (None, false) => "IS UNKNOWN",
            (None, true) => "IS NOT UNKNOWN",
        };
        let value = self.expr(expr, cx)?;
        let value = self.coerce_boolean(value, clause)?;
        let position = value.position;
        let test = match truth {
            None => HirScalar::IsNull(Box::new(value.expr)),
            Some(truth) => {
                let operand = if truth {
                    value.expr
                } else {
                    HirScalar::Not(Box::new(value.expr))
                };
                HirScalar::Coalesce(vec![operand, boolean(false)])
            }
        };
        let expr = if not {
            HirScalar::Not(Box::new(test))
        } else {
            test
        };
        Ok(Typed::boolean(expr, false, position))
    }

    /// IS DISTINCT FROM; `not` for IS NOT DISTINCT FROM.
    pub(super) fn distinct_from(
        &mut self,
        a: &Expr,
        b: &Expr,
        not: bool,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let left = a;
        let (a, b) = (self.expr(a, cx)?, self.expr(b, cx)?);
        let position = a.position;
        if a.is_unknown() && b.is_unknown() {
            let (a, b) = (self.resolve_unknown(a)?, self.resolve_unknown(b)?);
            return self.not_distinct(a, b, not, left);
        }
        let mut result = self.not_distinct(a, b, not, left)?;
        result.position = position;
        Ok(result)
    }

    fn not_distinct(
        &mut self,
        a: Typed,
        b: Typed,
        not: bool,
        left: &Expr,
    ) -> Result<Typed, PlanError> {
        let position = a.position;
        let (a_null, b_null) = (null_test(&a), null_test(&b));
        let equal = self.binary_call("=", a, b, left)?;
        // Equal, or both NULL: NULL only never.
        let same = HirScalar::Or(vec![
            HirScalar::And(vec![a_null.clone(), b_null.clone()]),
            HirScalar::And(vec![
                HirScalar::Not(Box::new(a_null)),
                HirScalar::Not(Box::new(b_null)),
                equal.expr,
            ]),
        ]);
        let expr = if not {
            same
        } else {
            HirScalar::Not(Box::new(same))
        };
        Ok(Typed::boolean(expr, false, position))
    }

    pub(super) fn between(
        &mut self,
        expr: &Expr,
        not: bool,
        low: &Expr,
        high: &Expr,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let value = self.expr(expr, cx)?;
        let stripped = without_symmetric(low);
        let symmetric = stripped.is_some();
        let (low, high) = (
            self.expr(stripped.as_ref().unwrap_or(low), cx)?,
            self.expr(high, cx)?,
        );
        let position = value.position;
        if symmetric {
            return self.between_symmetric(value, low, high, not, expr);
        }
        let above = self.binary_call(">=", value.clone(), low, expr)?;
        let below = self.binary_call("<=", value, high, expr)?;
        let nullable = above.ty.nullable || below.ty.nullable;
        let inside = HirScalar::And(vec![above.expr, below.expr]);
        let expr = if not {
            HirScalar::Not(Box::new(inside))
        } else {
            inside
        };
        Ok(Typed::boolean(expr, nullable, position))
    }

    /// Between the bounds in either order.
    fn between_symmetric(
        &mut self,
        value: Typed,
        low: Typed,
        high: Typed,
        not: bool,
        place: &Expr,
    ) -> Result<Typed, PlanError> {
        let position = value.position;
        let mut either = Vec::new();
        for (low, high) in [(low.clone(), high.clone()), (high, low)] {
            let above = self.binary_call(">=", value.clone(), low, place)?;
            let below = self.binary_call("<=", value.clone(), high, place)?;
            either.push(HirScalar::And(vec![above.expr, below.expr]));
        }
        let inside = HirScalar::Or(either);
        let expr = if not {
            HirScalar::Not(Box::new(inside))
        } else {
            inside
        };
        Ok(Typed::boolean(expr, true, position))
    }
}

/// BETWEEN's lower bound without the mark of SYMMETRIC, which stands before its first operand; none without a mark.
fn without_symmetric(low: &Expr) -> Option<Expr> {
    match low {
        Expr::UnaryOp {
            op: UnaryOperator::AtDashAt,
            expr,
        } => Some((**expr).clone()),
        Expr::BinaryOp { left, op, right } => without_symmetric(left).map(|left| Expr::BinaryOp {
            left: Box::new(left),
            op: op.clone(),
            right: right.clone(),
        }),
        Expr::Cast {
            kind,
            expr,
            data_type,
            format,
        } => without_symmetric(expr).map(|expr| Expr::Cast {
            kind: kind.clone(),
            expr: Box::new(expr),
            data_type: data_type.clone(),
            format: format.clone(),
        }),
        _ => None,
    }
}

/// A boolean constant.
pub(crate) fn boolean(value: bool) -> HirScalar {
    Typed::literal(Datum::Bool(value), ScalarType::Bool, None).expr
}

/// IS NULL of a value.
fn null_test(value: &Typed) -> HirScalar {
    if value.ty.nullable || value.is_unknown() {
        HirScalar::IsNull(Box::new(value.expr.clone()))
    } else {
        boolean(false)
    }
}

pub(super) fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::*;
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}
