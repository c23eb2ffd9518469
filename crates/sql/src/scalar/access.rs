//! Subscripts, slices and fields.

use crate::error::PlanError;
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::typed::Typed;
use everview_repr::{Datum, ScalarType, SqlState};
use sqlparser::ast::{AccessExpr, Expr, Spanned, Subscript};

impl Planner<'_> {
    pub(super) fn access(
        &mut self,
        root: &Expr,
        chain: &[AccessExpr],
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        // `t.a[1]` arrives as the root `t` with the chain `.a`, `[1]`.
        let mut idents = match root {
            Expr::Identifier(ident) => vec![ident.clone()],
            Expr::CompoundIdentifier(parts) => parts.clone(),
            _ => vec![],
        };
        let mut rest = chain;
        let mut value = if idents.is_empty() {
            self.expr(root, cx)?
        } else {
            while let [AccessExpr::Dot(Expr::Identifier(ident)), more @ ..] = rest {
                idents.push(ident.clone());
                rest = more;
            }
            match idents.as_slice() {
                [one] => self.expr(&Expr::Identifier(one.clone()), cx)?,
                _ => self.expr(&Expr::CompoundIdentifier(idents), cx)?,
            }
        };
        let mut subscripts = Vec::new();
        for access in rest {
            match access {
                AccessExpr::Subscript(subscript) => subscripts.push(subscript),
                AccessExpr::Dot(field) => {
                    value = self.subscript(value, &std::mem::take(&mut subscripts), cx)?;
                    value = self.field(value, field)?;
                }
            }
        }
        self.subscript(value, &subscripts, cx)
    }

    fn field(&mut self, value: Typed, field: &Expr) -> Result<Typed, PlanError> {
        let position = names::start(field.span());
        let Expr::Identifier(ident) = field else {
            return Err(PlanError::unsupported("this field access").at(position));
        };
        let name = names::fold(ident);
        let ScalarType::Record(fields) = value.scalar() else {
            let message = format!(
                "column notation .{name} applied to type {}, which is not a composite type",
                value.scalar().sql_name()
            );
            return Err(PlanError::new(SqlState::WRONG_OBJECT_TYPE, message).at(value.position));
        };
        match fields.iter().position(|(n, _)| *n == name) {
            Some(i) => self.record_field(value, i, position),
            None => {
                let message = format!("could not identify column \"{name}\" in record data type");
                Err(PlanError::new(SqlState::UNDEFINED_COLUMN, message).at(position))
            }
        }
    }

    /// One or more subscripts in a row: an element, or a slice when any of them is one.
    fn subscript(
        &mut self,
        value: Typed,
        subscripts: &[&Subscript],
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        if subscripts.is_empty() {
            return Ok(value);
        }
        let position = value.position;
        if *value.scalar() == ScalarType::Jsonb {
            return self.json_subscript(value, subscripts, cx);
        }
        if !matches!(value.scalar(), ScalarType::Array(_)) {
            let message = format!(
                "cannot subscript type {} because it does not support subscripting",
                value.scalar().sql_name()
            );
            return Err(PlanError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
        }
        let slice = subscripts
            .iter()
            .any(|s| matches!(s, Subscript::Slice { .. }));
        let mut args = vec![value];
        for subscript in subscripts {
            match subscript {
                Subscript::Index { index } => {
                    let index = self.index(index, cx)?;
                    if slice {
                        // In a slice, a plain subscript is the upper bound of one that starts at 1.
                        args.push(Typed::literal(Datum::Int32(1), ScalarType::Int32, None));
                    }
                    args.push(index);
                }
                Subscript::Slice {
                    lower_bound,
                    upper_bound,
                    stride: None,
                } => {
                    for bound in [lower_bound, upper_bound] {
                        args.push(match bound {
                            Some(bound) => self.index(bound, cx)?,
                            // To the function, NULL is a bound left out.
                            None => Typed::literal(Datum::Null, ScalarType::Int32, None),
                        });
                    }
                }
                Subscript::Slice {
                    stride: Some(_), ..
                } => {
                    return Err(PlanError::syntax("syntax error at or near \":\"").at(position));
                }
            }
        }
        self.call_subscript(args, slice, position)
    }

    fn index(&mut self, index: &Expr, cx: &ExprContext<'_>) -> Result<Typed, PlanError> {
        let value = self.expr(index, cx)?;
        let (from, position) = (value.ty.scalar.sql_name(), value.position);
        let cast = self.cast(
            value,
            &ScalarType::Int32,
            everview_expr::casts::CastContext::Assignment,
        )?;
        cast.ok_or_else(|| {
            let message = format!("array subscript must have type integer, not {from}");
            PlanError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
        })
    }

    fn json_subscript(
        &mut self,
        mut value: Typed,
        subscripts: &[&Subscript],
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let position = value.position;
        for subscript in subscripts {
            let Subscript::Index { index } = subscript else {
                let message = "jsonb subscript does not support slices";
                return Err(PlanError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
            };
            let index = self.expr(index, cx)?;
            let index = self.resolve_unknown(index)?;
            value = self.call_operator("->", vec![value, index], position)?;
        }
        Ok(value)
    }
}
