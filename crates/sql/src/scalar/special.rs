//! Functions with a syntax of their own: EXTRACT, SUBSTRING, TRIM and so on; and what is refused by name.

use crate::error::PlanError;
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::typed::Typed;
use everview_repr::{Datum, ScalarType};
use sqlparser::ast::{CeilFloorKind, DateTimeField, Expr, ExtractSyntax, Spanned, TrimWhereField};

impl Planner<'_> {
    pub(super) fn special(
        &mut self,
        expr: &Expr,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let position = names::start(expr.span());
        match expr {
            Expr::Extract {
                field,
                syntax: ExtractSyntax::From,
                expr,
            } => {
                let field = field_name(field);
                let args = self.exprs(&[expr], cx)?;
                let field = Typed::literal(Datum::Text(&field), ScalarType::Text, position);
                self.call_function(
                    "extract",
                    std::iter::once(field).chain(args).collect(),
                    position,
                )
            }
            Expr::Ceil {
                expr,
                field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
            } => self.call_exprs("ceil", &[expr], position, cx),
            Expr::Floor {
                expr,
                field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime),
            } => self.call_exprs("floor", &[expr], position, cx),
            Expr::Position { expr, r#in } => {
                self.call_exprs("position", &[r#in, expr], position, cx)
            }
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                special: _,
                shorthand: _,
            } => self.substring(
                expr,
                substring_from.as_deref(),
                substring_for.as_deref(),
                position,
                cx,
            ),
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "btrim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let characters = trim_characters.iter().flatten();
                let args: Vec<&Expr> = std::iter::once(&**expr)
                    .chain(trim_what.as_deref())
                    .chain(characters)
                    .collect();
                self.call_exprs(name, &args, position, cx)
            }
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let args: Vec<&Expr> = [&**expr, &**overlay_what, &**overlay_from]
                    .into_iter()
                    .chain(overlay_for.as_deref())
                    .collect();
                self.call_exprs("overlay", &args, position, cx)
            }
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => self.call_exprs("timezone", &[time_zone, timestamp], position, cx),
            Expr::IsNormalized { .. } => Err(PlanError::unsupported("IS NORMALIZED").at(position)),
            Expr::IsJson { .. } => Err(PlanError::unsupported("IS JSON").at(position)),
            Expr::GroupingSets(_) => Err(PlanError::unsupported("GROUPING SETS").at(position)),
            Expr::Cube(_) => Err(PlanError::unsupported("CUBE").at(position)),
            Expr::Rollup(_) => Err(PlanError::unsupported("ROLLUP").at(position)),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                Err(PlanError::syntax("syntax error at or near \"*\"").at(position))
            }
            other => Err(PlanError::unsupported(format!(
                "the expression {}",
                short(&other.to_string())
            ))
            .at(position)),
        }
    }

    pub(super) fn exprs(
        &mut self,
        exprs: &[&Expr],
        cx: &ExprContext<'_>,
    ) -> Result<Vec<Typed>, PlanError> {
        exprs.iter().map(|e| self.expr(e, cx)).collect()
    }

    fn call_exprs(
        &mut self,
        name: &str,
        exprs: &[&Expr],
        position: Option<usize>,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let args = self.exprs(exprs, cx)?;
        self.call_function(name, args, position)
    }

    /// `SUBSTRING(s FROM a FOR b)`; of a pattern and an escape, the regular expression form.
    fn substring(
        &mut self,
        expr: &Expr,
        from: Option<&Expr>,
        count: Option<&Expr>,
        position: Option<usize>,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let value = self.expr(expr, cx)?;
        let from = from.map(|e| self.expr(e, cx)).transpose()?;
        let count = count.map(|e| self.expr(e, cx)).transpose()?;
        let args = match (from, count) {
            (Some(from), count) => [value, from].into_iter().chain(count).collect(),
            (None, Some(count)) => {
                let one = Typed::literal(Datum::Int32(1), ScalarType::Int32, None);
                vec![value, one, count]
            }
            (None, None) => vec![value],
        };
        self.call_function("substring", args, position)
    }
}

/// The field's name as `extract` takes it.
fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(ident) => ident.value.to_lowercase(),
        DateTimeField::Week(_) => "week".to_string(),
        other => other.to_string().to_lowercase(),
    }
}

/// The first characters of a text, for a message.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}
