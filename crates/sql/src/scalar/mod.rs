//! Expressions: sqlparser's AST to typed hir.
//!
//! Every variant of sqlparser's `Expr` is planned or refused by name.

mod access;
mod call;
mod conditional;
pub(crate) mod literal;
pub(crate) mod operator;
mod pattern;
mod quantified;
pub(crate) mod rows;
mod special;
mod window;

pub(crate) use special::short;

use crate::error::{At, PlanError};
use crate::hir::HirScalar;
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::query::collect::Reference;
use crate::scope::Found;
use crate::typed::Typed;
use crate::types;
use everview_repr::{ScalarType, SqlState};
use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, Ident, ObjectName, Spanned};

/// Functions without parentheses that the parser takes for names.
const KEYWORDS: [&str; 3] = ["current_catalog", "current_role", "current_schema"];

impl Planner<'_> {
    /// Plans an expression.
    pub(crate) fn expr(&mut self, expr: &Expr, cx: &ExprContext<'_>) -> Result<Typed, PlanError> {
        self.nested(|p| p.expr_inner(expr, cx))
    }

    fn expr_inner(&mut self, expr: &Expr, cx: &ExprContext<'_>) -> Result<Typed, PlanError> {
        match expr {
            Expr::Identifier(ident) => self.column(ident, cx),
            Expr::CompoundIdentifier(parts) => self.qualified_column(parts, cx),
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain, cx),
            Expr::Nested(inner) => self.expr(inner, cx),
            Expr::Value(value) => self.literal(&value.value, names::start(value.span)),
            Expr::TypedString(string) => self.typed_string(string, cx),
            Expr::Interval(interval) => self.interval(interval, cx),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, cx),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, cx),
            Expr::IsNull(e) => self.is_null(e, false, cx),
            Expr::IsNotNull(e) => self.is_null(e, true, cx),
            Expr::IsTrue(e) => self.is_boolean(e, Some(true), false, cx),
            Expr::IsNotTrue(e) => self.is_boolean(e, Some(true), true, cx),
            Expr::IsFalse(e) => self.is_boolean(e, Some(false), false, cx),
            Expr::IsNotFalse(e) => self.is_boolean(e, Some(false), true, cx),
            Expr::IsUnknown(e) => self.is_boolean(e, None, false, cx),
            Expr::IsNotUnknown(e) => self.is_boolean(e, None, true, cx),
            Expr::IsDistinctFrom(a, b) => self.distinct_from(a, b, false, cx),
            Expr::IsNotDistinctFrom(a, b) => self.distinct_from(a, b, true, cx),
            Expr::In {
                expr,
                target,
                negated,
                global: false,
            } => self.in_target(expr, target, *negated, cx),
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => self.between(expr, *negated, low, high, cx),
            Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like(
                expr,
                pattern,
                escape_char.as_deref(),
                pattern::Kind::Like,
                *negated,
                cx,
            ),
            Expr::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            } => self.like(
                expr,
                pattern,
                escape_char.as_deref(),
                pattern::Kind::ILike,
                *negated,
                cx,
            ),
            Expr::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } => self.like(
                expr,
                pattern,
                escape_char.as_deref(),
                pattern::Kind::Similar,
                *negated,
                cx,
            ),
            Expr::AnyOp {
                left,
                compare_op,
                right,
                is_some: _,
            } => self.quantified(left, compare_op, right, true, cx),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => self.quantified(left, compare_op, right, false, cx),
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
            } => self.cast_expr(expr, data_type, cx),
            Expr::Case {
                case_token,
                end_token: _,
                operand,
                conditions,
                else_result,
            } => self.case(
                names::start(case_token.0.span),
                operand.as_deref(),
                conditions,
                else_result.as_deref(),
                cx,
            ),
            Expr::Function(function) => self.function(function, cx),
            Expr::Exists { subquery, negated } => self.exists(subquery, *negated, cx),
            Expr::Subquery(query) => self.scalar_subquery(query, cx),
            Expr::Array(array) => self.array(&array.elem, names::start(expr.span()), cx),
            Expr::Tuple(items) => self.row(items, names::start(expr.span()), cx),
            Expr::Collate { expr, collation } => self.collate(expr, collation, cx),
            other => self.special(other, cx),
        }
    }

    /// A name: a column, else a FROM item's whole row.
    fn column(&mut self, ident: &Ident, cx: &ExprContext<'_>) -> Result<Typed, PlanError> {
        let (name, position) = (names::fold(ident), names::at(ident));
        match cx.env.column(&name) {
            Ok(found) => {
                self.mention_column(ident, ident, found.reference.column);
                if let Some(notes) = &mut self.notes {
                    notes.table(position, cx.env.table_of(&name));
                }
                Ok(self.found(found, name, None, position, cx))
            }
            Err(error) if error.code == SqlState::UNDEFINED_COLUMN => {
                match cx.env.table(None, &name).at(position)? {
                    Some((level, table)) => self.whole_row(level, table, position, cx),
                    None if ident.quote_style.is_none() && KEYWORDS.contains(&&*name) => {
                        self.call_function(&name, vec![], position)
                    }
                    None => Err(error.at(position)),
                }
            }
            Err(error) => Err(error.at(position)),
        }
    }

    /// `t.a`, `s.t.a`, `everview.s.t.a`.
    fn qualified_column(
        &mut self,
        parts: &[Ident],
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let position = parts.first().and_then(names::at);
        let folded: Vec<String> = parts.iter().map(names::fold).collect();
        let (schema, table, column) = match folded.as_slice() {
            [table, column] => (None, table, column),
            [schema, table, column] => (Some(schema.as_str()), table, column),
            [database, schema, table, column] if database == "everview" => {
                (Some(schema.as_str()), table, column)
            }
            _ => {
                let message = format!(
                    "improper qualified name (too many dotted names): {}",
                    folded.join(".")
                );
                return Err(PlanError::syntax(message).at(position));
            }
        };
        let found = cx.env.qualified(schema, table, column).at(position)?;
        if let (true, Some(first), Some(last)) = (self.mention_columns, parts.first(), parts.last())
        {
            self.mention_column(first, last, found.reference.column);
        } else if schema.is_some()
            && let Some(start) = position
            && let Some(end) = parts.get(parts.len() - 2).and_then(names::at)
        {
            self.mentions
                .push(crate::planner::Mention::Qualifier { start, end });
        }
        Ok(self.found(found, column.clone(), Some(table), position, cx))
    }

    fn found(
        &mut self,
        found: Found,
        name: String,
        table: Option<&String>,
        position: Option<usize>,
        cx: &ExprContext<'_>,
    ) -> Typed {
        if found.reference.level == 0
            && let Some(references) = cx.references
        {
            let name = table.map_or(name.clone(), |t| format!("{t}.{name}"));
            references.borrow_mut().push(Reference {
                column: found.reference.column,
                name,
                position,
            });
        }
        Typed {
            expr: found.expr(),
            ty: found.ty,
            position,
        }
    }

    fn cast_expr(
        &mut self,
        expr: &Expr,
        ty: &DataType,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let (to, typmod) = types::resolve(ty).at(types::position(ty))?;
        // ARRAY[] takes its element type from the cast around it.
        if let (ScalarType::Array(element), Expr::Array(array)) = (&to, expr) {
            let value = self.array_of(&array.elem, Some(element), names::start(expr.span()), cx)?;
            return self.explicit_cast(value, &to, typmod);
        }
        let value = self.expr(expr, cx)?;
        let position = value.position;
        self.explicit_cast(value, &to, typmod).at(position)
    }

    fn collate(
        &mut self,
        expr: &Expr,
        collation: &ObjectName,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let value = self.expr(expr, cx)?;
        check_collation(collation)?;
        let value = self.resolve_unknown(value)?;
        if !value.scalar().is_stringlike() {
            let message = format!(
                "collations are not supported by type {}",
                value.scalar().sql_name()
            );
            return Err(PlanError::new(SqlState::DATATYPE_MISMATCH, message).at(value.position));
        }
        Ok(value)
    }

    /// A boolean for a clause, without aggregates.
    pub(crate) fn condition(
        &mut self,
        expr: &Expr,
        cx: &ExprContext<'_>,
    ) -> Result<Vec<HirScalar>, PlanError> {
        let value = self.expr(expr, cx)?;
        let value = self.coerce_boolean(value, cx.clause)?;
        Ok(match value.expr {
            HirScalar::And(all) => all,
            other => vec![other],
        })
    }
}

/// Accepts the collations that are bytewise here.
pub(crate) fn check_collation(collation: &ObjectName) -> Result<(), PlanError> {
    let name = names::Name::new(collation)?;
    match name.name.as_str() {
        "C" | "POSIX" | "default" | "ucs_basic" => Ok(()),
        _ => Err(
            PlanError::unsupported(format!("collation \"{}\"", name.name))
                .with_hint("Text sorts by its bytes: COLLATE \"C\" and \"default\" are accepted.")
                .at(name.position),
        ),
    }
}

/// The operands of a chain of one logical operator, in order.
pub(crate) fn operands<'e>(left: &'e Expr, op: &BinaryOperator, right: &'e Expr) -> Vec<&'e Expr> {
    let mut out = vec![right];
    let mut at = left;
    loop {
        match at {
            Expr::BinaryOp {
                left,
                op: inner,
                right,
            } if inner == op => {
                out.push(right);
                at = left;
            }
            other => {
                out.push(other);
                out.reverse();
                return out;
            }
        }
    }
}
