//! GROUP BY, aggregates and HAVING.

use crate::error::{At, PlanError};
use crate::hir::{ColumnRef, HirAggregate, HirRel, HirScalar};
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::query::Output;
use crate::query::build::{filter, map, ordinal};
use crate::query::collect::{AGGREGATES, Reference, TableCall, WINDOWS, WindowCall, WindowKind};
use crate::query::select::Step;
use crate::query::walk;
use crate::scope::{Env, Scope};
use crate::typed::Typed;
use everview_catalog::ObjectKind;
use everview_repr::SqlState;
use sqlparser::ast::{Expr, Spanned};
use std::collections::BTreeSet;

/// What a grouped SELECT says.
pub(super) struct Group {
    /// GROUP BY, over the FROM row.
    pub keys: Vec<Typed>,
    /// Aggregates in all clauses, over the FROM row.
    pub aggregates: Vec<HirAggregate>,
    /// HAVING.
    pub having: Option<Vec<HirScalar>>,
    /// Columns named outside aggregates.
    pub references: Vec<Reference>,
}

impl Planner<'_> {
    /// GROUP BY's expressions: a column of FROM, else an output's name or number, else an expression.
    pub(super) fn group_keys(
        &mut self,
        exprs: &[Expr],
        outputs: &mut [Output],
        scope: &Scope,
        row: &Env<'_>,
    ) -> Result<Vec<Typed>, PlanError> {
        let cx = ExprContext::plain(row, "GROUP BY");
        let mut keys = Vec::new();
        for expr in exprs {
            let mut plain = expr;
            while let Expr::Nested(inner) = plain {
                plain = inner;
            }
            if let Expr::Tuple(items) = plain {
                if items.is_empty() {
                    return Err(PlanError::unsupported("GROUP BY ()").at(names::start(expr.span())));
                }
                keys.extend(self.group_keys(items, outputs, scope, row)?);
                continue;
            }
            let key = match self.output_of(plain, outputs, scope)? {
                Some(i) => {
                    let value = self.resolve_unknown(outputs[i].value.clone())?;
                    outputs[i].value = value.clone();
                    reject_collected(&value, names::start(expr.span()))?;
                    value
                }
                None => {
                    let value = self.expr(expr, &cx)?;
                    self.resolve_unknown(value)?
                }
            };
            keys.push(key);
        }
        Ok(keys)
    }

    /// The output that a GROUP BY item means, if it means one.
    fn output_of(
        &self,
        expr: &Expr,
        outputs: &[Output],
        scope: &Scope,
    ) -> Result<Option<usize>, PlanError> {
        let position = names::start(expr.span());
        if let Some(n) = ordinal(expr) {
            return output_number(n, outputs.len(), "GROUP BY", position).map(Some);
        }
        if let Expr::Value(value) = expr
            && !matches!(value.value, sqlparser::ast::Value::Placeholder(_))
        {
            return Err(PlanError::syntax("non-integer constant in GROUP BY").at(position));
        }
        let Expr::Identifier(ident) = expr else {
            return Ok(None);
        };
        let name = names::fold(ident);
        if scope.visible.iter().any(|c| c.name == name) {
            return Ok(None);
        }
        output_named(&name, outputs, "GROUP BY").at(position)
    }

    /// Groups the rows of a step: what is computed over them is computed over groups from here on.
    pub(super) fn group(
        &mut self,
        group: Group,
        scope: &Scope,
        step: &mut Step,
        windows: &mut [WindowCall],
        tables: &mut [TableCall],
    ) -> Result<(), PlanError> {
        let Group {
            keys,
            aggregates,
            having,
            references,
        } = group;
        let mut keys: Vec<HirScalar> = keys.into_iter().map(|k| k.expr).collect();
        let mut having = having;
        let mut dependent = Dependent {
            planner: self,
            scope,
            keys: &mut keys,
        };
        visit_all(step, windows, tables, &mut having, &mut |e| {
            dependent.add(e);
            Ok(())
        })?;
        let grouping = Grouping {
            keys: &keys,
            scope,
            references: &references,
        };
        visit_all(step, windows, tables, &mut having, &mut |e| {
            grouping.rewrite(e)
        })?;

        let mut scalars = Vec::new();
        let mut group_key = Vec::new();
        for key in keys {
            group_key.push(match key {
                HirScalar::Column(ColumnRef { level: 0, column }) => column,
                key => {
                    scalars.push(key);
                    step.arity + scalars.len() - 1
                }
            });
        }
        step.arity = group_key.len() + aggregates.len();
        let input = map(
            std::mem::replace(&mut step.rel, super::build::unit()),
            scalars,
        );
        let rel = HirRel::Reduce {
            input: Box::new(input),
            group_key,
            aggregates,
        };
        step.rel = filter(rel, having.unwrap_or_default());
        Ok(())
    }
}

/// Calls `f` on every expression computed over the row.
fn visit_all(
    step: &mut Step,
    windows: &mut [WindowCall],
    tables: &mut [TableCall],
    having: &mut Option<Vec<HirScalar>>,
    f: &mut dyn FnMut(&mut HirScalar) -> Result<(), PlanError>,
) -> Result<(), PlanError> {
    step.for_each(&mut |value| f(&mut value.expr))?;
    having.iter_mut().flatten().try_for_each(&mut *f)?;
    for window in windows {
        let args = match &mut window.kind {
            WindowKind::Function(_, args) => args.iter_mut().collect::<Vec<_>>(),
            WindowKind::Aggregate(a) => {
                let orders = a.order_by.iter_mut().map(|o| &mut o.expr);
                a.args
                    .iter_mut()
                    .chain(&mut a.filter)
                    .chain(orders)
                    .collect()
            }
        };
        args.into_iter().try_for_each(&mut *f)?;
        window.partition_by.iter_mut().try_for_each(&mut *f)?;
        window
            .order_by
            .iter_mut()
            .map(|o| &mut o.expr)
            .try_for_each(&mut *f)?;
    }
    for table in tables {
        table.args.iter_mut().try_for_each(&mut *f)?;
    }
    Ok(())
}

/// Adds columns that the primary key among the group's columns determines.
struct Dependent<'p, 'c> {
    planner: &'p Planner<'c>,
    scope: &'p Scope,
    keys: &'p mut Vec<HirScalar>,
}

impl Dependent<'_, '_> {
    fn add(&mut self, expr: &HirScalar) {
        let ungrouped = ungrouped_columns(expr, self.keys);
        for column in ungrouped {
            if self.determined(column) {
                self.keys
                    .push(HirScalar::Column(ColumnRef { level: 0, column }));
            }
        }
    }

    fn determined(&self, column: usize) -> bool {
        let grouped: BTreeSet<usize> = self
            .keys
            .iter()
            .filter_map(|k| match k {
                HirScalar::Column(ColumnRef { level: 0, column }) => Some(*column),
                _ => None,
            })
            .collect();
        let table = self
            .scope
            .tables
            .iter()
            .find(|t| t.columns.iter().any(|c| c.index == column));
        let Some(table) = table else { return false };
        let object = table.id.and_then(|id| self.planner.catalog.get(id));
        let Some(ObjectKind::Table(definition)) = object.map(|o| &o.kind) else {
            return false;
        };
        let Some(primary) = definition.primary_key().and_then(|p| p.unique_columns()) else {
            return false;
        };
        primary.iter().all(|p| {
            table
                .columns
                .get(*p)
                .is_some_and(|c| grouped.contains(&c.index))
        })
    }
}

/// Columns of the row at hand that are read outside the group's keys.
fn ungrouped_columns(expr: &HirScalar, keys: &[HirScalar]) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    walk::scalar(&mut expr.clone(), 0, &mut |e, depth| {
        if key_of(e, depth, keys).is_some() {
            return false;
        }
        if let HirScalar::Column(c) = e
            && c.level == depth
            && c.column < AGGREGATES
        {
            out.insert(c.column);
        }
        true
    });
    out
}

/// The group's key that an expression at that depth is.
fn key_of(expr: &HirScalar, depth: usize, keys: &[HirScalar]) -> Option<usize> {
    if depth == 0 {
        return keys.iter().position(|k| k == expr);
    }
    keys.iter().position(|k| {
        let mut key = k.clone();
        walk::shift_scalar(&mut key, depth);
        key == *expr
    })
}

struct Grouping<'g> {
    keys: &'g [HirScalar],
    scope: &'g Scope,
    references: &'g [Reference],
}

impl Grouping<'_> {
    /// From the FROM row to the group's row: keys, then aggregates.
    fn rewrite(&self, expr: &mut HirScalar) -> Result<(), PlanError> {
        let mut error = None;
        walk::scalar(expr, 0, &mut |e, depth| {
            if let Some(i) = key_of(e, depth, self.keys) {
                *e = HirScalar::Column(ColumnRef {
                    level: depth,
                    column: i,
                });
                return false;
            }
            if let HirScalar::Column(c) = e
                && c.level == depth
            {
                if c.column >= WINDOWS {
                    return true;
                }
                match c.column.checked_sub(AGGREGATES) {
                    Some(aggregate) => c.column = self.keys.len() + aggregate,
                    None => {
                        error.get_or_insert_with(|| self.ungrouped(c.column, depth));
                    }
                }
            }
            true
        });
        error.map_or(Ok(()), Err)
    }

    fn ungrouped(&self, column: usize, depth: usize) -> PlanError {
        let reference = self.references.iter().find(|r| r.column == column);
        let full = self.scope.tables.iter().find_map(|t| {
            let c = t.columns.iter().find(|c| c.index == column)?;
            Some(match &t.name {
                Some(table) => format!("{table}.{}", c.name),
                None => c.name.clone(),
            })
        });
        let name = full
            .or_else(|| reference.map(|r| r.name.clone()))
            .unwrap_or_default();
        let message = if depth == 0 {
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            )
        } else {
            format!("subquery uses ungrouped column \"{name}\" from outer query")
        };
        PlanError::new(SqlState::GROUPING_ERROR, message).at(reference.and_then(|r| r.position))
    }
}

/// An output by number, counted from 1.
pub(super) fn output_number(
    n: i64,
    count: usize,
    clause: &str,
    position: Option<usize>,
) -> Result<usize, PlanError> {
    usize::try_from(n)
        .ok()
        .and_then(|n| n.checked_sub(1))
        .filter(|n| *n < count)
        .ok_or_else(|| {
            let message = format!("{clause} position {n} is not in select list");
            PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position)
        })
}

/// An output by name; several are fine where they are the same expression.
pub(super) fn output_named(
    name: &str,
    outputs: &[Output],
    clause: &str,
) -> Result<Option<usize>, PlanError> {
    let mut found: Option<usize> = None;
    for (i, output) in outputs.iter().enumerate().filter(|(_, o)| o.name == name) {
        match found {
            None => found = Some(i),
            Some(first) if outputs[first].value.expr == output.value.expr => {}
            Some(_) => {
                let message = format!("{clause} \"{name}\" is ambiguous");
                return Err(PlanError::new(SqlState::AMBIGUOUS_COLUMN, message));
            }
        }
    }
    Ok(found)
}

fn reject_collected(value: &Typed, position: Option<usize>) -> Result<(), PlanError> {
    let columns = walk::column_set(&value.expr);
    let message = match columns.iter().max() {
        Some(c) if *c >= crate::query::collect::TABLES => {
            return Err(
                PlanError::unsupported("a set-returning function in GROUP BY").at(position),
            );
        }
        Some(c) if *c >= WINDOWS => "window functions are not allowed in GROUP BY",
        Some(c) if *c >= AGGREGATES => "aggregate functions are not allowed in GROUP BY",
        _ => return Ok(()),
    };
    let code = if message.starts_with("window") {
        SqlState::WINDOWING_ERROR
    } else {
        SqlState::GROUPING_ERROR
    };
    Err(PlanError::new(code, message).at(value.position.or(position)))
}
