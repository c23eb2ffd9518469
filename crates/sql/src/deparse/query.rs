//! Queries: one clause a line.

use super::{Printer, Unknown};
use crate::names::{self, quote};
use crate::query::column_name;
use sqlparser::ast::*;

/// A printed column and its name, for GROUP BY and ORDER BY to refer to.
type Output<'q> = (Option<&'q Expr>, String);

impl Printer<'_> {
    /// A query; `names` are what its columns are called, where someone else decides.
    pub(super) fn query(&mut self, query: &Query, names: Option<&[&str]>) -> Result<(), Unknown> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            ..
        } = query;
        if fetch.is_some() || !locks.is_empty() {
            return Err(Unknown);
        }
        let base = self.level;
        if let Some(with) = with {
            self.with(with)?;
        }
        let outputs = self.body(body, names)?;
        if let Some(order_by) = order_by {
            let OrderByKind::Expressions(items) = &order_by.kind else {
                return Err(Unknown);
            };
            self.line(base + 1, " ORDER BY ");
            let by_number = !matches!(**body, SetExpr::Select(_));
            self.order_items(items, &outputs, by_number)?;
        }
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = limit_clause {
            self.level = base;
            if let Some(offset) = offset {
                self.line(base, " OFFSET ");
                self.expr(&offset.value, false)?;
            }
            if let Some(limit) = limit {
                self.line(base, " LIMIT ");
                self.expr(limit, false)?;
            }
        }
        self.level = base;
        Ok(())
    }

    fn with(&mut self, with: &With) -> Result<(), Unknown> {
        let base = self.level;
        self.level += 8;
        self.push(if with.recursive {
            " WITH RECURSIVE "
        } else {
            " WITH "
        });
        for (i, cte) in with.cte_tables.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.push(&quote(&names::fold(&cte.alias.name)));
            self.alias_columns(&cte.alias.columns);
            self.push(" AS (");
            self.line(self.level, "");
            self.query(&cte.query, None)?;
            self.line(self.level, ")");
        }
        self.level = base;
        self.line(base, "");
        Ok(())
    }

    fn body<'q>(
        &mut self,
        body: &'q SetExpr,
        names: Option<&[&str]>,
    ) -> Result<Vec<Output<'q>>, Unknown> {
        match body {
            SetExpr::Select(select) => self.select(select, names),
            SetExpr::Query(inner) => {
                let bare = inner.order_by.is_none()
                    && inner.limit_clause.is_none()
                    && inner.with.is_none();
                if !bare {
                    self.push("(");
                }
                self.query(inner, names)?;
                if !bare {
                    self.push(")");
                }
                Ok(vec![])
            }
            SetExpr::Values(values) => {
                self.values(values)?;
                Ok(vec![])
            }
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                let base = self.level;
                let all = matches!(set_quantifier, SetQuantifier::All);
                let nested = match unwrapped(left) {
                    SetExpr::SetOperation {
                        op: inner,
                        set_quantifier: q,
                        ..
                    } => inner != op || matches!(q, SetQuantifier::All) != all,
                    _ => false,
                };
                self.operand(unwrapped(left), names, nested)?;
                self.level = base;
                if nested {
                    self.line(base, ") ");
                } else {
                    self.line(base, "");
                }
                self.push(&op.to_string());
                self.push(if all { " ALL " } else { " " });
                let right = unwrapped(right);
                let nested = matches!(right, SetExpr::SetOperation { .. });
                if nested {
                    self.operand(right, names, true)?;
                    self.level = base;
                    self.line(base, ")");
                } else {
                    self.line(base, "");
                    self.operand(right, names, false)?;
                }
                self.level = base;
                Ok(vec![])
            }
            _ => Err(Unknown),
        }
    }

    /// One side of a set operation.
    fn operand(
        &mut self,
        side: &SetExpr,
        names: Option<&[&str]>,
        nested: bool,
    ) -> Result<(), Unknown> {
        if nested {
            self.push("(");
            self.level += 8;
            self.line(self.level, "");
        }
        let base = self.level;
        self.body(side, names)?;
        self.level = base;
        Ok(())
    }

    fn values(&mut self, values: &Values) -> Result<(), Unknown> {
        self.push(" VALUES ");
        for (i, row) in values.rows.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.push("(");
            for (i, value) in row.iter().enumerate() {
                if i > 0 {
                    self.push(",");
                }
                self.expr(value, false)?;
            }
            self.push(")");
        }
        Ok(())
    }

    fn select<'q>(
        &mut self,
        select: &'q Select,
        names: Option<&[&str]>,
    ) -> Result<Vec<Output<'q>>, Unknown> {
        if !select.named_window.is_empty() || select.into.is_some() || select.qualify.is_some() {
            return Err(Unknown);
        }
        let base = self.level;
        self.level = base + 8;
        self.push(" SELECT ");
        match &select.distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => self.push("DISTINCT "),
            Some(Distinct::On(exprs)) => {
                self.push("DISTINCT ON (");
                self.by_list(exprs, &targets(select))?;
                self.push(") ");
            }
        }
        let outputs = self.targets(&select.projection, names, base)?;
        for (i, item) in select.from.iter().enumerate() {
            if i == 0 {
                self.line(base + 2, " FROM ");
            } else {
                self.push(",");
                self.line(base + 4, "");
            }
            self.joined(item, item.joins.len())?;
        }
        if let Some(selection) = &select.selection {
            self.line(base + 1, " WHERE ");
            self.expr(selection, false)?;
        }
        match &select.group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => {
                if !exprs.is_empty() {
                    self.line(base + 1, " GROUP BY ");
                    self.by_list(exprs, &outputs)?;
                }
            }
            _ => return Err(Unknown),
        }
        if let Some(having) = &select.having {
            self.line(base, " HAVING ");
            self.expr(having, false)?;
        }
        Ok(outputs)
    }

    fn targets<'q>(
        &mut self,
        items: &'q [SelectItem],
        names: Option<&[&str]>,
        base: usize,
    ) -> Result<Vec<Output<'q>>, Unknown> {
        let mut outputs: Vec<Output<'q>> = Vec::new();
        for item in items {
            let stars = match item {
                SelectItem::UnnamedExpr(expr) => {
                    let own = column_name(expr).unwrap_or_else(|| "?column?".into());
                    self.target(Some(expr), None, own, names, base, &mut outputs)?;
                    continue;
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.target(
                        Some(expr),
                        None,
                        names::fold(alias),
                        names,
                        base,
                        &mut outputs,
                    )?;
                    continue;
                }
                SelectItem::Wildcard(options) => names::start(options.wildcard_token.0.span),
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => names::Name::new(name).ok().and_then(|n| n.position),
                _ => return Err(Unknown),
            };
            let columns = stars.and_then(|p| self.notes.stars.get(&p).cloned());
            for (text, name) in columns.ok_or(Unknown)? {
                self.target(None, Some(text), name, names, base, &mut outputs)?;
            }
        }
        Ok(outputs)
    }

    fn target<'q>(
        &mut self,
        expr: Option<&'q Expr>,
        column: Option<String>,
        own: String,
        names: Option<&[&str]>,
        base: usize,
        outputs: &mut Vec<Output<'q>>,
    ) -> Result<(), Unknown> {
        let before = std::mem::take(&mut self.out);
        match (expr, &column) {
            (Some(expr), _) => self.expr(expr, true)?,
            (None, text) => self.out = text.clone().unwrap_or_default(),
        }
        let text = std::mem::replace(&mut self.out, before);
        if !outputs.is_empty() {
            self.push(",");
            if !text.starts_with('\n') {
                self.line(base + 4, "");
            }
        } else if text.starts_with('\n') {
            self.out.truncate(self.out.trim_end().len());
        }
        self.push(&text);
        let name = match names.and_then(|n| n.get(outputs.len())) {
            Some(name) => name.to_string(),
            None => own.clone(),
        };
        let implied = match expr {
            Some(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
                column_name_of(expr).is_some_and(|n| n == name)
            }
            Some(_) => name == "?column?",
            None => own == name,
        };
        if !implied {
            self.push(&format!(" AS {}", quote(&name)));
        }
        outputs.push((expr, own));
        Ok(())
    }

    /// Expressions of GROUP BY: an output's number or name stands for its expression.
    fn by_list(&mut self, exprs: &[Expr], outputs: &[Output<'_>]) -> Result<(), Unknown> {
        for (i, expr) in exprs.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            // An input column hides an output of its name.
            let is_column = |p: &super::Notes| {
                matches!(expr, Expr::Identifier(ident)
                    if names::at(ident).is_some_and(|at| p.tables.contains_key(&at)))
            };
            let found = match is_column(&self.notes) {
                true => None,
                false => referred(expr, outputs),
            };
            self.by(found.unwrap_or(expr))?;
        }
        Ok(())
    }

    pub(super) fn by(&mut self, expr: &Expr) -> Result<(), Unknown> {
        match expr {
            Expr::Nested(inner) => self.by(inner),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => {
                self.expr(expr, true)
            }
            Expr::Tuple(_) | Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => {
                Err(Unknown)
            }
            _ if self.pretty || matches!(expr, Expr::Function(_)) => {
                self.push("(");
                self.expr(expr, true)?;
                self.push(")");
                Ok(())
            }
            _ => self.expr(expr, true),
        }
    }

    pub(super) fn order_items(
        &mut self,
        items: &[OrderByExpr],
        outputs: &[Output<'_>],
        by_number: bool,
    ) -> Result<(), Unknown> {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            match referred(&item.expr, outputs) {
                Some(expr) => self.by(expr)?,
                // Of UNION and the like: outputs by name or number.
                None if by_number => self.push(&item.expr.to_string()),
                None => self.by(&item.expr)?,
            }
            let (descending, nulls_last) =
                crate::query::order::direction(&item.options).map_err(|_| Unknown)?;
            self.push(match (descending, nulls_last) {
                (false, true) => "",
                (false, false) => " NULLS FIRST",
                (true, false) => " DESC",
                (true, true) => " DESC NULLS LAST",
            });
        }
        Ok(())
    }
}

/// A parenthesized query without clauses of its own is what is in it.
fn unwrapped(side: &SetExpr) -> &SetExpr {
    match side {
        SetExpr::Query(inner)
            if inner.order_by.is_none() && inner.limit_clause.is_none() && inner.with.is_none() =>
        {
            unwrapped(&inner.body)
        }
        other => other,
    }
}

/// The columns before any `*`, for DISTINCT ON to refer to.
fn targets(select: &Select) -> Vec<Output<'_>> {
    let items = select.projection.iter();
    items
        .map_while(|item| match item {
            SelectItem::UnnamedExpr(e) => Some((Some(e), column_name(e).unwrap_or_default())),
            SelectItem::ExprWithAlias { expr, alias } => Some((Some(expr), names::fold(alias))),
            _ => None,
        })
        .collect()
}

/// The output expression that a number or a name refers to.
fn referred<'q>(expr: &Expr, outputs: &[Output<'q>]) -> Option<&'q Expr> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => {
                let i: usize = digits.parse().ok()?;
                outputs.get(i.checked_sub(1)?)?.0
            }
            _ => None,
        },
        Expr::Identifier(ident) => {
            let name = names::fold(ident);
            outputs.iter().find(|(_, n)| *n == name)?.0
        }
        _ => None,
    }
}

/// The name of the column itself.
fn column_name_of(expr: Option<&Expr>) -> Option<String> {
    match expr? {
        Expr::Identifier(ident) => Some(names::fold(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(names::fold),
        _ => None,
    }
}
