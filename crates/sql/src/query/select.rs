//! One SELECT, clause by clause, in the order in which they take effect.
//!
//! FROM, WHERE, GROUP BY with aggregates, HAVING, window functions, table functions of the select list, DISTINCT.
//! Expressions are planned over the FROM row first; [`collect`](crate::query::collect) keeps what is computed later.

use crate::error::PlanError;
use crate::hir::HirRel;
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::query::build::filter;
use crate::query::collect::Collector;
use crate::query::{Body, Output};
use crate::scope::{Env, Frame};
use everview_repr::SqlState;
use sqlparser::ast::{
    Distinct, GroupByExpr, NamedWindowDefinition, NamedWindowExpr, OrderByExpr, Select,
    SelectFlavor,
};
use std::cell::RefCell;

impl Planner<'_> {
    pub(super) fn select(
        &mut self,
        select: &Select,
        order_by: &[OrderByExpr],
        env: &Env<'_>,
    ) -> Result<Body, PlanError> {
        check_clauses(select)?;
        let (rel, scope) = self.plan_from(&select.from, env)?;
        let row = env.with(Frame::Row(&scope));
        let predicates = match &select.selection {
            Some(condition) => self.condition(condition, &ExprContext::plain(&row, "WHERE"))?,
            None => vec![],
        };
        let rel = filter(rel, predicates);

        let collector = RefCell::new(Collector {
            named_windows: named_windows(select)?,
            ..Collector::default()
        });
        let references = RefCell::new(Vec::new());
        let cx = |clause| ExprContext {
            env: &row,
            clause,
            collector: Some(&collector),
            references: Some(&references),
        };
        let outputs = self.select_items(&select.projection, &scope, &cx("SELECT"))?;
        let mut outputs = self.settle_outputs(select, outputs)?;
        let group_exprs = match &select.group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => exprs.as_slice(),
            GroupByExpr::All(_) => return Err(PlanError::unsupported("GROUP BY ALL")),
            GroupByExpr::Expressions(..) => {
                return Err(PlanError::unsupported("a GROUP BY modifier"));
            }
        };
        let keys = self.group_keys(group_exprs, &mut outputs, &scope, &row)?;
        let having = match &select.having {
            Some(having) => {
                collector.borrow_mut().no_windows = true;
                let having = self.condition(having, &cx("HAVING"))?;
                collector.borrow_mut().no_windows = false;
                Some(having)
            }
            None => None,
        };
        let mut order = self.order_items(order_by, &mut outputs, &cx("ORDER BY"))?;
        let distinct_on = match &select.distinct {
            Some(Distinct::On(exprs)) => {
                Some(self.distinct_keys(exprs, &mut outputs, &cx("SELECT DISTINCT ON"))?)
            }
            _ => None,
        };

        let grouped =
            !keys.is_empty() || having.is_some() || !collector.borrow().aggregates.is_empty();
        let mut step = Step {
            rel,
            arity: scope.arity,
            outputs,
            order,
            distinct_on,
        };
        let collector = collector.into_inner();
        let mut windows = collector.windows;
        let mut tables = collector.tables;
        if grouped {
            let references = references.into_inner();
            let group = super::group::Group {
                keys,
                aggregates: collector.aggregates,
                having,
                references,
            };
            self.group(group, &scope, &mut step, &mut windows, &mut tables)?;
        }
        if !windows.is_empty() {
            self.windows(windows, &mut step, &mut tables)?;
        }
        if !tables.is_empty() {
            self.table_calls(tables, &mut step)?;
        }
        order = std::mem::take(&mut step.order);
        let body = Body {
            rel: step.rel,
            arity: step.arity,
            outputs: step.outputs,
            order,
            keys: vec![],
        };
        match (&select.distinct, step.distinct_on) {
            (None | Some(Distinct::All), _) => Ok(body),
            (Some(Distinct::Distinct), _) => self.distinct(body),
            (Some(Distinct::On(_)), on) => self.distinct_on(body, on.unwrap_or_default()),
        }
    }

    /// DISTINCT and grouping by output compare values: their types are settled first.
    fn settle_outputs(
        &mut self,
        select: &Select,
        outputs: Vec<Output>,
    ) -> Result<Vec<Output>, PlanError> {
        if !matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_))) {
            return Ok(outputs);
        }
        let settle = |mut o: Output| {
            o.value = self.resolve_unknown(o.value)?;
            Ok(o)
        };
        outputs.into_iter().map(settle).collect()
    }
}

/// A SELECT under way: its rows so far and what is still computed over them.
pub(super) struct Step {
    pub rel: HirRel,
    pub arity: usize,
    pub outputs: Vec<Output>,
    pub order: Vec<super::body::Order>,
    pub distinct_on: Option<Vec<crate::typed::Typed>>,
}

impl Step {
    /// Every expression over the row.
    pub fn for_each(
        &mut self,
        f: &mut dyn FnMut(&mut crate::typed::Typed) -> Result<(), PlanError>,
    ) -> Result<(), PlanError> {
        for output in &mut self.outputs {
            f(&mut output.value)?;
        }
        for order in &mut self.order {
            if let super::body::OrderValue::Value(value) = &mut order.by {
                f(value)?;
            }
        }
        for value in self.distinct_on.iter_mut().flatten() {
            f(value)?;
        }
        Ok(())
    }
}

fn check_clauses(select: &Select) -> Result<(), PlanError> {
    let Select {
        select_token,
        optimizer_hints,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct,
        projection: _,
        exclude,
        into,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let position = names::start(select_token.0.span);
    if into.is_some() {
        return Err(PlanError::unsupported("SELECT INTO")
            .with_hint("Use CREATE TABLE AS.")
            .at(position));
    }
    if qualify.is_some() {
        return Err(PlanError::unsupported("QUALIFY").at(position));
    }
    let foreign = !optimizer_hints.is_empty()
        || select_modifiers.is_some()
        || top.is_some()
        || *top_before_distinct
        || exclude.is_some()
        || !lateral_views.is_empty()
        || prewhere.is_some()
        || !connect_by.is_empty()
        || !cluster_by.is_empty()
        || !distribute_by.is_empty()
        || !sort_by.is_empty()
        || value_table_mode.is_some()
        || *flavor != SelectFlavor::Standard;
    if foreign {
        return Err(PlanError::syntax("syntax error in SELECT").at(position));
    }
    Ok(())
}

fn named_windows(select: &Select) -> Result<Vec<(String, sqlparser::ast::WindowSpec)>, PlanError> {
    let mut out: Vec<(String, sqlparser::ast::WindowSpec)> = Vec::new();
    for NamedWindowDefinition(name, definition) in &select.named_window {
        let position = names::at(name);
        let name = names::fold(name);
        if out.iter().any(|(n, _)| *n == name) {
            let message = format!("window \"{name}\" is already defined");
            return Err(PlanError::new(SqlState::WINDOWING_ERROR, message).at(position));
        }
        match definition {
            NamedWindowExpr::WindowSpec(spec) => out.push((name, spec.clone())),
            NamedWindowExpr::NamedWindow(other) => {
                return Err(PlanError::syntax(format!(
                    "syntax error at or near \"{}\"",
                    other.value
                ))
                .at(names::start(other.span)));
            }
        }
    }
    Ok(out)
}
