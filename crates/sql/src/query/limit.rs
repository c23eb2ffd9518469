//! LIMIT, OFFSET and FETCH FIRST.

use crate::error::PlanError;
use crate::hir::HirScalar;
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::query::walk;
use crate::scope::{Env, Frame, Scope};
use crate::typed;
use everview_expr::ScalarExpr;
use everview_expr::casts::CastContext;
use everview_expr::registry::{self, Volatility};
use everview_repr::{Datum, ScalarType, SqlState};
use sqlparser::ast::{Expr, Fetch, LimitClause, Offset, Query, Spanned};

/// How many rows to skip and keep: bigint expressions without rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    pub limit: Option<ScalarExpr>,
    pub offset: Option<ScalarExpr>,
    position: Option<usize>,
}

impl Limits {
    /// Whether all rows stay.
    pub fn is_none(&self) -> bool {
        self.limit.is_none() && self.offset.is_none()
    }

    /// The numbers, where they must be known.
    pub fn constant(&self) -> Result<(Option<u64>, u64), PlanError> {
        let number = |expr: &ScalarExpr, what: &str, code| -> Result<Option<u64>, PlanError> {
            let mut open = false;
            expr.visit(&mut |e| open |= matches!(e, ScalarExpr::Parameter(..)));
            if open {
                return Err(
                    PlanError::unsupported(format!("a parameter in {what} of a subquery"))
                        .at(self.position),
                );
            }
            let row = typed::evaluate(expr).map_err(|e| PlanError::from(e).at(self.position))?;
            match row.first() {
                Datum::Int64(n) => match u64::try_from(n) {
                    Ok(n) => Ok(Some(n)),
                    Err(_) => Err(PlanError::new(code, format!("{what} must not be negative"))),
                },
                _ => Ok(None),
            }
        };
        let limit = match &self.limit {
            Some(e) => number(e, "LIMIT", SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE)?,
            None => None,
        };
        let offset = match &self.offset {
            Some(e) => number(
                e,
                "OFFSET",
                SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE,
            )?,
            None => None,
        };
        Ok((limit, offset.unwrap_or(0)))
    }
}

impl Planner<'_> {
    pub(super) fn limits(&mut self, query: &Query, env: &Env<'_>) -> Result<Limits, PlanError> {
        let mut limits = Limits::default();
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset {
                limit,
                offset,
                limit_by,
            }) => {
                if !limit_by.is_empty() {
                    return Err(PlanError::syntax("syntax error at or near \"by\""));
                }
                if let Some(limit) = limit {
                    limits.position = names::start(limit.span());
                    limits.limit = self.limit_expr(limit, "LIMIT", env)?;
                }
                if let Some(Offset { value, rows: _ }) = offset {
                    limits.position = limits.position.or(names::start(value.span()));
                    limits.offset = self.limit_expr(value, "OFFSET", env)?;
                }
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => {
                return Err(PlanError::syntax("LIMIT #,# syntax is not supported")
                    .with_hint("Use separate LIMIT and OFFSET clauses."));
            }
        }
        if let Some(Fetch {
            with_ties,
            percent,
            quantity,
        }) = &query.fetch
        {
            if *with_ties {
                return Err(PlanError::unsupported("FETCH FIRST ... WITH TIES"));
            }
            if *percent {
                return Err(PlanError::syntax("syntax error at or near \"percent\""));
            }
            if limits.limit.is_some() {
                return Err(PlanError::syntax("multiple LIMIT clauses not allowed"));
            }
            limits.limit = match quantity {
                Some(quantity) => self.limit_expr(quantity, "LIMIT", env)?,
                None => Some(ScalarExpr::literal(Datum::Int64(1), ScalarType::Int64)),
            };
        }
        Ok(limits)
    }

    fn limit_expr(
        &mut self,
        expr: &Expr,
        clause: &'static str,
        env: &Env<'_>,
    ) -> Result<Option<ScalarExpr>, PlanError> {
        if let Expr::Identifier(ident) = expr
            && ident.quote_style.is_none()
            && ident.value.eq_ignore_ascii_case("all")
            && clause == "LIMIT"
        {
            return Ok(None);
        }
        let scope = Scope::default();
        let env = env.with(Frame::Row(&scope));
        let cx = ExprContext::plain(&env, clause);
        let value = self.expr(expr, &cx)?;
        let (from, position) = (value.ty.scalar.sql_name(), value.position);
        let value = self
            .cast(value, &ScalarType::Int64, CastContext::Assignment)?
            .ok_or_else(|| {
                let message = format!("argument of {clause} must be type bigint, not type {from}");
                PlanError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
            })?;
        if !walk::column_set(&value.expr).is_empty() || walk::reads_outer(&value.expr) {
            let message = format!("argument of {clause} must not contain variables");
            return Err(PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position));
        }
        match to_plain_scalar(&value.expr) {
            Some(expr) => Ok(Some(expr)),
            None => Err(PlanError::unsupported(format!("a subquery in {clause}")).at(position)),
        }
    }
}

/// The expression without hir: none where it holds a subquery or reads a row.
pub(crate) fn to_plain_scalar(expr: &HirScalar) -> Option<ScalarExpr> {
    let all = |args: &[HirScalar]| args.iter().map(to_plain_scalar).collect::<Option<Vec<_>>>();
    let one = |arg: &HirScalar| to_plain_scalar(arg).map(Box::new);
    Some(match expr {
        HirScalar::Column(c) if c.level == 0 => ScalarExpr::Column(c.column),
        HirScalar::Column(_)
        | HirScalar::Exists(_)
        | HirScalar::Scalar(_)
        | HirScalar::Any { .. } => return None,
        HirScalar::Literal(row, ty) => ScalarExpr::Literal(row.clone(), ty.clone()),
        HirScalar::Parameter(n, ty) => ScalarExpr::Parameter(*n, ty.clone()),
        HirScalar::Call { func, args, types } => ScalarExpr::Call {
            func: *func,
            args: all(args)?,
            types: types.clone(),
        },
        HirScalar::And(args) => ScalarExpr::And(all(args)?),
        HirScalar::Or(args) => ScalarExpr::Or(all(args)?),
        HirScalar::Coalesce(args) => ScalarExpr::Coalesce(all(args)?),
        HirScalar::Not(arg) => ScalarExpr::Not(one(arg)?),
        HirScalar::IsNull(arg) => ScalarExpr::IsNull(one(arg)?),
        HirScalar::If {
            condition,
            then,
            els,
        } => ScalarExpr::If {
            condition: one(condition)?,
            then: one(then)?,
            els: one(els)?,
        },
    })
}

/// The same for what is constant: no columns, parameters or functions that can change.
pub(crate) fn to_scalar(expr: &HirScalar) -> Option<ScalarExpr> {
    let expr = to_plain_scalar(expr)?;
    let mut constant = true;
    expr.visit(&mut |e| match e {
        ScalarExpr::Column(_) | ScalarExpr::Parameter(..) => constant = false,
        ScalarExpr::Call { func, .. } => {
            constant &= registry::get(*func).volatility == Volatility::Immutable
        }
        _ => {}
    });
    constant.then_some(expr)
}
