//! The select list: expressions, their names, and what `*` stands for.

use crate::error::{At, PlanError};
use crate::hir::{ColumnRef, HirScalar};
use crate::names::{self, Name};
use crate::planner::{ExprContext, Mention, Planner};
use crate::query::Output;
use crate::query::collect::Reference;
use crate::scope::{Scope, ScopeColumn};
use crate::typed::Typed;
use everview_repr::ScalarType;
use sqlparser::ast::{
    DataType, Expr, Function, SelectItem, SelectItemQualifiedWildcardKind, Spanned,
    WildcardAdditionalOptions,
};

impl Planner<'_> {
    /// Plans a select list over a row.
    pub(crate) fn select_items(
        &mut self,
        items: &[SelectItem],
        scope: &Scope,
        cx: &ExprContext<'_>,
    ) -> Result<Vec<Output>, PlanError> {
        let mut out = Vec::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    if self.expand_composite(expr, cx, &mut out)? {
                        continue;
                    }
                    let value = self.expr(expr, cx)?;
                    out.push(output(
                        value,
                        column_name(expr).unwrap_or_else(|| "?column?".into()),
                        scope,
                    ));
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let value = self.expr(expr, cx)?;
                    out.push(output(value, names::fold(alias), scope));
                }
                SelectItem::ExprWithAliases { .. } => {
                    return Err(PlanError::unsupported("several aliases of one expression"));
                }
                SelectItem::Wildcard(options) => {
                    let position = plain_wildcard(options)?;
                    if scope.tables.is_empty() {
                        let message = "SELECT * with no tables specified is not valid";
                        return Err(PlanError::syntax(message).at(position));
                    }
                    for column in &scope.visible {
                        self.note_star(column, scope, position);
                        out.push(star_column(column, scope, position, cx));
                    }
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    plain_wildcard(options)?;
                    self.qualified_wildcard(kind, scope, cx, &mut out)?;
                }
            }
        }
        Ok(out)
    }

    fn qualified_wildcard(
        &mut self,
        kind: &SelectItemQualifiedWildcardKind,
        scope: &Scope,
        cx: &ExprContext<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), PlanError> {
        match kind {
            SelectItemQualifiedWildcardKind::ObjectName(name) => {
                let name = Name::new(name)?;
                if let (Some(_), Some(start), Some(end)) = (&name.schema, name.position, name.end) {
                    let start_of_table = end.saturating_sub(name.name.chars().count());
                    self.mentions.push(Mention::Qualifier {
                        start,
                        end: start_of_table,
                    });
                }
                let found = cx
                    .env
                    .table(name.schema.as_deref(), &name.name)
                    .at(name.position)?;
                let Some((level, table)) = found else {
                    return Err(cx.env.undefined_table(&name.name).at(name.position));
                };
                for column in &table.columns {
                    if let Some(notes) = &mut self.notes {
                        notes.star(name.position, table.name.clone(), column.name.clone());
                    }
                    let mut o = star_column(column, scope, name.position, cx);
                    o.value.expr = HirScalar::Column(ColumnRef {
                        level,
                        column: column.index,
                    });
                    out.push(o);
                }
                Ok(())
            }
            SelectItemQualifiedWildcardKind::Expr(expr) => {
                let value = self.expr(expr, cx)?;
                self.expand_record(value, names::start(expr.span()), out)
            }
        }
    }

    fn note_star(&mut self, column: &ScopeColumn, scope: &Scope, position: Option<usize>) {
        if let Some(notes) = &mut self.notes {
            let table = column.table.and_then(|t| scope.tables[t].name.clone());
            notes.star(position, table, column.name.clone());
        }
    }

    /// `(x).*` as sqlparser hands it over.
    fn expand_composite(
        &mut self,
        expr: &Expr,
        cx: &ExprContext<'_>,
        out: &mut Vec<Output>,
    ) -> Result<bool, PlanError> {
        let Expr::CompoundFieldAccess { root, access_chain } = expr else {
            return Ok(false);
        };
        let [sqlparser::ast::AccessExpr::Dot(Expr::Wildcard(_))] = access_chain.as_slice() else {
            return Ok(false);
        };
        let value = self.expr(root, cx)?;
        self.expand_record(value, names::start(expr.span()), out)?;
        Ok(true)
    }

    fn expand_record(
        &mut self,
        value: Typed,
        position: Option<usize>,
        out: &mut Vec<Output>,
    ) -> Result<(), PlanError> {
        let ScalarType::Record(fields) = value.scalar().clone() else {
            let message = format!("type {} is not composite", value.scalar().sql_name());
            return Err(
                PlanError::new(everview_repr::SqlState::WRONG_OBJECT_TYPE, message).at(position),
            );
        };
        for (i, (name, _)) in fields.into_iter().enumerate() {
            let value = self.record_field(value.clone(), i, position)?;
            out.push(Output {
                value,
                name,
                origin: None,
            });
        }
        Ok(())
    }
}

fn output(value: Typed, name: String, scope: &Scope) -> Output {
    let origin = match &value.expr {
        HirScalar::Column(c) if c.level == 0 => {
            let columns = scope
                .tables
                .iter()
                .flat_map(|t| &t.columns)
                .chain(&scope.visible);
            columns
                .into_iter()
                .find(|o| o.index == c.column)
                .and_then(|o| o.origin)
        }
        _ => None,
    };
    Output {
        value,
        name,
        origin,
    }
}

fn star_column(
    column: &ScopeColumn,
    scope: &Scope,
    position: Option<usize>,
    cx: &ExprContext<'_>,
) -> Output {
    if let Some(references) = cx.references {
        let table = column
            .table
            .and_then(|t| scope.tables.get(t))
            .and_then(|t| t.name.clone());
        let name = table.map_or(column.name.clone(), |t| format!("{t}.{}", column.name));
        references.borrow_mut().push(Reference {
            column: column.index,
            name,
            position,
        });
    }
    let expr = HirScalar::Column(ColumnRef {
        level: 0,
        column: column.index,
    });
    let value = Typed {
        expr,
        ty: column.ty.clone(),
        position,
    };
    Output {
        value,
        name: column.name.clone(),
        origin: column.origin,
    }
}

fn plain_wildcard(options: &WildcardAdditionalOptions) -> Result<Option<usize>, PlanError> {
    let WildcardAdditionalOptions {
        wildcard_token,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    let position = names::start(wildcard_token.0.span);
    let plain = opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none();
    if plain {
        Ok(position)
    } else {
        Err(PlanError::syntax("syntax error after \"*\"").at(position))
    }
}

/// Postgres's name for an unnamed output column; none is `?column?`.
pub(crate) fn column_name(expr: &Expr) -> Option<String> {
    strong_name(expr).or_else(|| weak_name(expr))
}

fn strong_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(names::fold(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(names::fold),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let fields = access_chain.iter().rev().find_map(|a| match a {
                sqlparser::ast::AccessExpr::Dot(Expr::Identifier(ident)) => {
                    Some(names::fold(ident))
                }
                _ => None,
            });
            fields.or_else(|| strong_name(root))
        }
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => strong_name(inner),
        Expr::Function(Function { name, .. }) => Name::new(name).ok().map(|n| n.name),
        Expr::Cast { expr, .. } => strong_name(expr),
        Expr::Array(_) => Some("array".into()),
        Expr::Exists { negated: false, .. } => Some("exists".into()),
        Expr::Extract { .. } => Some("extract".into()),
        Expr::Position { .. } => Some("position".into()),
        Expr::Substring { .. } => Some("substring".into()),
        Expr::Overlay { .. } => Some("overlay".into()),
        Expr::Trim { trim_where, .. } => Some(
            match trim_where {
                Some(sqlparser::ast::TrimWhereField::Leading) => "ltrim",
                Some(sqlparser::ast::TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            }
            .into(),
        ),
        Expr::AtTimeZone { .. } => Some("timezone".into()),
        Expr::Ceil { .. } => Some("ceil".into()),
        Expr::Floor { .. } => Some("floor".into()),
        Expr::Tuple(_) => Some("row".into()),
        Expr::Subquery(query) => subquery_name(query),
        Expr::Case {
            else_result: Some(e),
            ..
        } => strong_name(e),
        _ => None,
    }
}

/// Names that give way to any other: of types and CASE.
fn weak_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => weak_name(inner),
        Expr::Cast {
            expr, data_type, ..
        } => weak_name(expr)
            .filter(|n| n == "case")
            .or_else(|| type_name(data_type)),
        Expr::TypedString(string) => type_name(&string.data_type),
        Expr::Interval(_) => Some("interval".into()),
        Expr::Case { else_result, .. } => Some(
            else_result
                .as_deref()
                .and_then(strong_name)
                .unwrap_or_else(|| "case".into()),
        ),
        Expr::Value(value) => match value.value {
            sqlparser::ast::Value::Boolean(_) => Some("bool".into()),
            _ => None,
        },
        _ => None,
    }
}

fn type_name(ty: &DataType) -> Option<String> {
    let (ty, _) = crate::types::resolve(ty).ok()?;
    Some(match ty {
        ScalarType::Array(element) => element.catalog_name(),
        ty => ty.catalog_name(),
    })
}

fn subquery_name(query: &sqlparser::ast::Query) -> Option<String> {
    let mut body = &*query.body;
    loop {
        match body {
            sqlparser::ast::SetExpr::Select(select) => {
                return match select.projection.first()? {
                    SelectItem::UnnamedExpr(expr) => column_name(expr),
                    SelectItem::ExprWithAlias { alias, .. } => Some(names::fold(alias)),
                    _ => None,
                };
            }
            sqlparser::ast::SetExpr::Query(query) => body = &query.body,
            sqlparser::ast::SetExpr::SetOperation { left, .. } => body = left,
            sqlparser::ast::SetExpr::Values(_) => return Some("column1".into()),
            _ => return None,
        }
    }
}
