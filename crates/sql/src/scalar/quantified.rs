//! Subqueries in expressions: EXISTS, IN, ANY, ALL, scalar, ARRAY; and the same over lists and arrays.

use crate::error::PlanError;
use crate::hir::{ColumnRef, HirRel, HirScalar};
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::query::walk;
use crate::scalar::operator::{boolean, is_comparison, symbol};
use crate::scalar::rows::as_row;
use crate::typed::Typed;
use everview_repr::{RelationDesc, ScalarType, SqlState};
use sqlparser::ast::{BinaryOperator, Expr, InTarget, Query, Spanned};

impl Planner<'_> {
    pub(super) fn exists(
        &mut self,
        query: &Query,
        not: bool,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let (rel, _) = self.subquery(query, cx.env)?;
        let exists = HirScalar::Exists(Box::new(rel));
        let expr = if not {
            HirScalar::Not(Box::new(exists))
        } else {
            exists
        };
        Ok(Typed::boolean(expr, false, names::start(query.span())))
    }

    pub(super) fn scalar_subquery(
        &mut self,
        query: &Query,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let position = names::start(query.span());
        let (rel, desc) = self.subquery(query, cx.env)?;
        let [column] = desc.columns.as_slice() else {
            return Err(PlanError::syntax("subquery must return only one column")
                .at(position.map(|p| p.saturating_sub(1).max(1))));
        };
        let ty = column.ty.clone().with_nullable(true);
        Ok(Typed {
            expr: HirScalar::Scalar(Box::new(rel)),
            ty,
            position,
        })
    }

    /// `ARRAY(SELECT ...)`.
    pub(super) fn array_subquery(
        &mut self,
        query: &Query,
        position: Option<usize>,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let (rel, order, desc) = self.ordered_subquery(query, cx.env)?;
        let [column] = desc.columns.as_slice() else {
            return Err(PlanError::syntax("subquery must return only one column").at(position));
        };
        self.aggregate_to_array(rel, order, &column.ty, position)
    }

    pub(super) fn in_target(
        &mut self,
        expr: &Expr,
        target: &InTarget,
        not: bool,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let found = match target {
            InTarget::List(items) => self.in_list(expr, items, cx)?,
            InTarget::Subquery(query) => {
                self.any_subquery(expr, &BinaryOperator::Eq, query, true, cx)?
            }
            InTarget::Unnest(_) | InTarget::Table { .. } => {
                return Err(PlanError::syntax("syntax error after IN")
                    .at(self.operator_position(expr.span())));
            }
        };
        if !not {
            return Ok(found);
        }
        let nullable = found.ty.nullable;
        Ok(Typed::boolean(
            HirScalar::Not(Box::new(found.expr)),
            nullable,
            found.position,
        ))
    }

    fn in_list(
        &mut self,
        expr: &Expr,
        items: &[Expr],
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        if let Some(row) = as_row(expr) {
            return self.row_in_list(row, expr, items, cx);
        }
        let value = self.expr(expr, cx)?;
        let position = value.position;
        let mut list = Vec::new();
        for item in items {
            list.push(self.expr(item, cx)?);
        }
        // Where all items go with the value in one type, they are compared in it, as Postgres does.
        let all: Vec<_> = std::iter::once(&value)
            .chain(&list)
            .map(|v| v.ty.scalar.clone())
            .collect();
        let common = everview_expr::resolve::common_type(&all).ok();
        let mut tests = Vec::new();
        let mut nullable = false;
        for item in list {
            let item = match &common {
                Some(common) if item.is_unknown() && !value.is_unknown() => {
                    self.coerce(item, common)?
                }
                _ => item,
            };
            let test = self.binary_call("=", value.clone(), item, expr)?;
            nullable |= test.ty.nullable;
            tests.push(test.expr);
        }
        let expr = if tests.len() == 1 {
            tests.remove(0)
        } else {
            HirScalar::Or(tests)
        };
        Ok(Typed::boolean(expr, nullable, position))
    }

    fn row_in_list(
        &mut self,
        row: Vec<&Expr>,
        place: &Expr,
        items: &[Expr],
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let mut lefts = Vec::new();
        for e in row {
            lefts.push(self.expr(e, cx)?);
        }
        let position = lefts.first().and_then(|l| l.position);
        let mut tests = Vec::new();
        for item in items {
            let Some(fields) = as_row(item).filter(|f| f.len() == lefts.len()) else {
                return Err(
                    PlanError::syntax("unequal number of entries in row expressions")
                        .at(names::start(item.span())),
                );
            };
            let mut rights = Vec::new();
            for f in fields {
                rights.push(self.expr(f, cx)?);
            }
            tests.push(
                self.compare_rows(lefts.clone(), &BinaryOperator::Eq, rights, place)?
                    .expr,
            );
        }
        Ok(Typed::boolean(HirScalar::Or(tests), true, position))
    }

    /// `x op ANY (...)` (`any`) and `x op ALL (...)`, over a subquery or an array.
    pub(super) fn quantified(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        any: bool,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let mut inner = right;
        while let Expr::Nested(nested) = inner {
            inner = nested;
        }
        if let Expr::Subquery(query) = inner {
            return self.any_subquery(left, op, query, any, cx);
        }
        let value = self.expr(left, cx)?;
        let array = self.expr(inner, cx)?;
        let place = self.operator_position(left.span());
        let array = match array.scalar() {
            ScalarType::Array(_) => array,
            ScalarType::Unknown => {
                let element = if value.is_unknown() {
                    ScalarType::Text
                } else {
                    value.scalar().clone()
                };
                self.coerce(array, &ScalarType::Array(Box::new(element)))?
            }
            _ => {
                let message = "op ANY/ALL (array) requires array on right side";
                return Err(PlanError::new(SqlState::WRONG_OBJECT_TYPE, message).at(place));
            }
        };
        let name = format!("{}{}", if any { "any" } else { "all" }, symbol(op)?);
        if everview_expr::registry::candidates(&name).is_empty() {
            return Err(PlanError::unsupported(format!(
                "operator {op} with ANY or ALL over an array"
            ))
            .at(place));
        }
        let shown = format!(
            "{} {} {}",
            value.scalar().sql_name(),
            symbol(op)?,
            array.scalar().sql_name()
        );
        self.call_function(&name, vec![value, array], place)
            .map_err(|e| {
                let failed =
                    e.code == SqlState::UNDEFINED_FUNCTION || e.code == SqlState::DATATYPE_MISMATCH;
                if failed {
                    PlanError {
                        message: format!("operator does not exist: {shown}"),
                        code: SqlState::UNDEFINED_FUNCTION,
                        ..e
                    }
                } else {
                    e
                }
            })
    }

    fn any_subquery(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        query: &Query,
        any: bool,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let mut lefts = Vec::new();
        match as_row(left) {
            Some(items) => {
                for item in items {
                    lefts.push(self.expr(item, cx)?);
                }
            }
            None => lefts.push(self.expr(left, cx)?),
        }
        let position = lefts.first().and_then(|l| l.position);
        let (rel, desc) = self.subquery(query, cx.env)?;
        if desc.arity() != lefts.len() {
            let message = if desc.arity() < lefts.len() {
                "subquery has too few columns"
            } else {
                "subquery has too many columns"
            };
            return Err(PlanError::syntax(message).at(self.operator_position(left.span())));
        }
        let predicate = self.subquery_predicate(left, lefts, op, &desc)?;
        let predicate = if any {
            predicate
        } else {
            HirScalar::Not(Box::new(predicate))
        };
        let test = HirScalar::Any {
            input: Box::new(rel),
            predicate: Box::new(predicate),
        };
        let expr = if any {
            test
        } else {
            HirScalar::Not(Box::new(test))
        };
        Ok(Typed::boolean(expr, true, position))
    }

    /// The comparison of the row at hand, one level out, with a subquery's row.
    fn subquery_predicate(
        &mut self,
        place: &Expr,
        lefts: Vec<Typed>,
        op: &BinaryOperator,
        desc: &RelationDesc,
    ) -> Result<HirScalar, PlanError> {
        let lefts: Vec<Typed> = lefts
            .into_iter()
            .map(|mut l| {
                walk::shift_scalar(&mut l.expr, 1);
                l
            })
            .collect();
        let rights: Vec<Typed> = desc
            .columns
            .iter()
            .enumerate()
            .map(|(column, c)| Typed {
                expr: HirScalar::Column(ColumnRef { level: 0, column }),
                ty: c.ty.clone(),
                position: None,
            })
            .collect();
        if lefts.len() == 1 {
            let name = symbol(op)?;
            let mut pairs = lefts.into_iter().zip(rights);
            let Some((a, b)) = pairs.next() else {
                return Ok(boolean(false));
            };
            let test = self.binary_call(&name, a, b, place)?;
            return Ok(self.coerce_boolean(test, "ANY")?.expr);
        }
        if !is_comparison(op) {
            return Err(PlanError::unsupported(format!(
                "operator {op} between rows"
            )));
        }
        Ok(self.compare_rows(lefts, op, rights, place)?.expr)
    }

    /// `(a, b) op (SELECT ...)`: a subquery of one row.
    pub(super) fn row_subquery(
        &mut self,
        row: Vec<&Expr>,
        op: &BinaryOperator,
        query: &Query,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let position = row.first().and_then(|e| names::start(e.span()));
        let place = row.first().copied();
        let mut lefts = Vec::new();
        for e in &row {
            lefts.push(self.expr(e, cx)?);
        }
        let (rel, desc) = self.subquery(query, cx.env)?;
        if desc.arity() != lefts.len() {
            let message = if desc.arity() < lefts.len() {
                "subquery has too few columns"
            } else {
                "subquery has too many columns"
            };
            return Err(PlanError::syntax(message).at(position));
        }
        let Some(place) = place else {
            return Err(PlanError::unsupported("comparison of rows of zero columns").at(position));
        };
        let predicate = self.subquery_predicate(place, lefts, op, &desc)?;
        // One row of the comparison's value: NULL without a row, 21000 with several.
        let arity = desc.arity();
        let test = HirRel::Map {
            input: Box::new(rel),
            scalars: vec![predicate],
        };
        let test = HirRel::Project {
            input: Box::new(test),
            outputs: vec![arity],
        };
        Ok(Typed::boolean(
            HirScalar::Scalar(Box::new(test)),
            true,
            position,
        ))
    }
}
