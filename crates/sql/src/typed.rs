//! Typed expressions, and bringing them to a type.

use crate::error::{At, PlanError};
use crate::functions;
use crate::hir::HirScalar;
use crate::planner::Planner;
use everview_expr::casts::{self, CastContext};
use everview_expr::registry;
use everview_repr::{ColumnType, Datum, EvalError, Row, RowArena, ScalarType, SqlState, Typmod};

/// An expression with its type and place.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    /// The expression.
    pub expr: HirScalar,
    /// Its type; unknown for a string literal, NULL or parameter that the context decides.
    pub ty: ColumnType,
    /// Where it is in the text.
    pub position: Option<usize>,
}

impl Typed {
    /// A constant.
    pub fn literal(datum: Datum<'_>, scalar: ScalarType, position: Option<usize>) -> Typed {
        let ty = scalar.nullable().with_nullable(datum.is_null());
        Typed {
            expr: HirScalar::Literal(Row::pack([datum]), ty.clone()),
            ty,
            position,
        }
    }

    /// A boolean expression.
    pub fn boolean(expr: HirScalar, nullable: bool, position: Option<usize>) -> Typed {
        Typed {
            expr,
            ty: ScalarType::Bool.nullable().with_nullable(nullable),
            position,
        }
    }

    /// Its type without the modifier.
    pub fn scalar(&self) -> &ScalarType {
        &self.ty.scalar
    }

    /// Whether its type is still open.
    pub fn is_unknown(&self) -> bool {
        self.ty.scalar == ScalarType::Unknown
    }
}

impl Planner<'_> {
    /// Brings an expression to a type. `context` is the weakest occasion on which the cast may apply.
    pub(crate) fn cast(
        &mut self,
        value: Typed,
        to: &ScalarType,
        context: CastContext,
    ) -> Result<Option<Typed>, PlanError> {
        if self.notes.is_none() || value.ty.scalar == *to {
            return self.cast_unnoted(value, to, context);
        }
        let (position, was) = (value.position, value.expr.clone());
        let cast = self.cast_unnoted(value, to, context)?;
        if let (Some(notes), Some(now)) = (&mut self.notes, &cast) {
            notes.cast(position, &was, now);
        }
        Ok(cast)
    }

    fn cast_unnoted(
        &mut self,
        value: Typed,
        to: &ScalarType,
        context: CastContext,
    ) -> Result<Option<Typed>, PlanError> {
        let position = value.position;
        if value.is_unknown() {
            return self.settle(value, to).map(Some);
        }
        if value.ty.scalar == *to {
            return Ok(Some(value));
        }
        if let (ScalarType::Record(_), ScalarType::Record(fields)) = (&value.ty.scalar, to)
            && fields.is_empty()
        {
            return Ok(Some(value));
        }
        match casts::cast_context(&value.ty.scalar, to) {
            Some(allowed) if allowed <= context => {}
            _ => return Ok(None),
        }
        let Some(func) = casts::cast_func(&value.ty.scalar, to) else {
            // Types of one representation: the value stays, the type changes.
            let ty = ColumnType {
                scalar: to.clone(),
                typmod: Typmod::NONE,
                nullable: value.ty.nullable,
            };
            return Ok(Some(Typed { ty, ..value }));
        };
        let types = self.call_types(vec![value.ty.scalar.clone()], to.clone(), Typmod::NONE);
        self.check_volatility(func, position)?;
        Ok(Some(functions::call(func, vec![value], types, position)))
    }

    /// As [`Planner::cast`], implicitly; the error is `cannot cast`.
    pub(crate) fn coerce(&mut self, value: Typed, to: &ScalarType) -> Result<Typed, PlanError> {
        self.cast_or_fail(value, to, CastContext::Implicit)
    }

    /// CAST and `::`, modifier included.
    pub(crate) fn explicit_cast(
        &mut self,
        value: Typed,
        to: &ScalarType,
        typmod: Typmod,
    ) -> Result<Typed, PlanError> {
        if value.is_unknown() && matches!(value.expr, HirScalar::Parameter(..)) {
            let cast = self.settle(value, to)?;
            return self.apply_typmod(cast, typmod, registry::TYPMOD);
        }
        let cast = self.cast_or_fail(value, to, CastContext::Explicit)?;
        self.apply_typmod(cast, typmod, registry::TYPMOD)
    }

    fn cast_or_fail(
        &mut self,
        value: Typed,
        to: &ScalarType,
        context: CastContext,
    ) -> Result<Typed, PlanError> {
        let (from, position) = (value.ty.scalar.sql_name(), value.position);
        self.cast(value, to, context)?.ok_or_else(|| {
            let message = format!("cannot cast type {from} to {}", to.sql_name());
            PlanError::new(SqlState::CANNOT_COERCE, message).at(position)
        })
    }

    /// Brings a value to a column's modifier, if it has one that the value has not.
    pub(crate) fn apply_typmod(
        &mut self,
        value: Typed,
        typmod: Typmod,
        function: &'static str,
    ) -> Result<Typed, PlanError> {
        if typmod == Typmod::NONE || value.ty.typmod == typmod {
            return Ok(value);
        }
        let position = value.position;
        let scalar = value.ty.scalar.clone();
        let funcs = registry::candidates(function);
        let Some(func) = funcs.first().copied() else {
            return Err(PlanError::unsupported(format!(
                "a modifier of type {}",
                scalar.sql_name()
            ))
            .at(position));
        };
        let types = self.call_types(vec![scalar.clone()], scalar, typmod);
        let mut result = functions::call(func, vec![value], types, position);
        result.ty.typmod = typmod;
        functions::fold_constant(&mut result).at(position)?;
        Ok(result)
    }

    /// Gives an unknown literal or parameter its type.
    fn settle(&mut self, value: Typed, to: &ScalarType) -> Result<Typed, PlanError> {
        let Typed { expr, ty, position } = value;
        match expr {
            HirScalar::Parameter(n, _) => {
                let to = if *to == ScalarType::Unknown {
                    ScalarType::Text
                } else {
                    to.clone()
                };
                let settled = self.settle_parameter(n, &to, position)?;
                let ty = settled.clone().nullable();
                let value = Typed {
                    expr: HirScalar::Parameter(n, settled),
                    ty,
                    position,
                };
                if *value.scalar() == to {
                    Ok(value)
                } else {
                    self.explicit_cast(value, &to, Typmod::NONE)
                }
            }
            HirScalar::Literal(row, _) => {
                let Datum::Text(text) = row.first() else {
                    return Ok(Typed::literal(Datum::Null, to.clone(), position));
                };
                self.parse_literal(text, to, position)
            }
            expr => {
                // A column of unknown type is text in all but name.
                let text = Typed {
                    expr,
                    ty: ColumnType {
                        scalar: ScalarType::Text,
                        ..ty
                    },
                    position,
                };
                match self.cast(text, to, CastContext::Explicit)? {
                    Some(cast) => Ok(cast),
                    None => Err(PlanError::new(
                        SqlState::CANNOT_COERCE,
                        format!("cannot cast type unknown to {}", to.sql_name()),
                    )
                    .at(position)),
                }
            }
        }
    }

    /// The value of a string literal in a type.
    pub(crate) fn parse_literal(
        &mut self,
        text: &str,
        to: &ScalarType,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        match to {
            ScalarType::Unknown | ScalarType::Text | ScalarType::Varchar => {
                Ok(Typed::literal(Datum::Text(text), to.clone(), position))
            }
            ScalarType::Record(_) => {
                let message = "input of anonymous composite types is not implemented";
                Err(PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position))
            }
            _ => {
                let text = Typed::literal(Datum::Text(text), ScalarType::Text, position);
                let Some(func) = casts::cast_func(&ScalarType::Text, to) else {
                    return Err(PlanError::unsupported(format!(
                        "text input of type {}",
                        to.sql_name()
                    ))
                    .at(position));
                };
                let types = self.call_types(vec![ScalarType::Text], to.clone(), Typmod::NONE);
                self.check_volatility(func, position)?;
                let mut result = functions::call(func, vec![text], types, position);
                functions::fold_constant(&mut result).at(position)?;
                Ok(result)
            }
        }
    }

    /// Text where the type is still unknown: the type of an output column.
    pub(crate) fn resolve_unknown(&mut self, value: Typed) -> Result<Typed, PlanError> {
        if value.is_unknown() {
            self.coerce(value, &ScalarType::Text)
        } else {
            Ok(value)
        }
    }

    /// A boolean, as WHERE and the like ask for it.
    pub(crate) fn coerce_boolean(
        &mut self,
        value: Typed,
        clause: &str,
    ) -> Result<Typed, PlanError> {
        let (from, position) = (value.ty.scalar.sql_name(), value.position);
        self.cast(value, &ScalarType::Bool, CastContext::Implicit)?
            .ok_or_else(|| {
                let message = format!("argument of {clause} must be type boolean, not type {from}");
                PlanError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
            })
    }

    /// Brings several values to one type, as UNION, CASE and the like do.
    pub(crate) fn common_type(
        &mut self,
        values: &[Typed],
        context: &str,
    ) -> Result<ScalarType, PlanError> {
        let types: Vec<_> = values.iter().map(|v| v.ty.scalar.clone()).collect();
        everview_expr::resolve::common_type(&types).map_err(|mismatch| {
            let place = values
                .iter()
                .find(|v| v.ty.scalar == mismatch.right)
                .and_then(|v| v.position);
            PlanError::from(mismatch.into_error(context)).at(place)
        })
    }

    /// Coerces all of them to their common type.
    pub(crate) fn in_common_type(
        &mut self,
        values: Vec<Typed>,
        context: &str,
    ) -> Result<Vec<Typed>, PlanError> {
        let common = self.common_type(&values, context)?;
        values
            .into_iter()
            .map(|v| self.coerce_to_common(v, &common, context))
            .collect()
    }

    fn coerce_to_common(
        &mut self,
        value: Typed,
        common: &ScalarType,
        context: &str,
    ) -> Result<Typed, PlanError> {
        let (from, position) = (value.ty.scalar.sql_name(), value.position);
        self.cast(value, common, CastContext::Implicit)?
            .ok_or_else(|| {
                let message = format!(
                    "{context} could not convert type {from} to {}",
                    common.sql_name()
                );
                PlanError::new(SqlState::CANNOT_COERCE, message).at(position)
            })
    }

    /// What INSERT and UPDATE do with a value for a column.
    pub(crate) fn assign(
        &mut self,
        value: Typed,
        column: &str,
        ty: &ColumnType,
    ) -> Result<Typed, PlanError> {
        let (from, position) = (value.ty.scalar.sql_name(), value.position);
        let cast = self
            .cast(value, &ty.scalar, CastContext::Assignment)?
            .ok_or_else(|| {
                let message = format!(
                    "column \"{column}\" is of type {} but expression is of type {from}",
                    ty.scalar.sql_name()
                );
                PlanError::new(SqlState::DATATYPE_MISMATCH, message)
                    .with_hint("You will need to rewrite or cast the expression.")
                    .at(position)
            })?;
        self.apply_typmod(cast, ty.typmod, registry::TYPMOD_ASSIGNMENT)
    }
}

/// Evaluates an expression of literals.
pub(crate) fn evaluate(expr: &everview_expr::ScalarExpr) -> Result<Row, EvalError> {
    let arena = RowArena::new();
    match expr.eval(&[], &arena) {
        Datum::Error(error) => Err(error.to_error()),
        datum => Ok(Row::pack([datum])),
    }
}
