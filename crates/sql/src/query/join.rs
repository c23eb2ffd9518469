//! Joins: what is combined, on what, and which names come out.

use crate::error::PlanError;
use crate::hir::{HirRel, HirScalar, JoinKind};
use crate::names::Name;
use crate::planner::{ExprContext, Planner};
use crate::query::build::{map, unit};
use crate::query::from::{Item, column};
use crate::scope::{Env, Frame, Scope, ScopeColumn};
use crate::typed::Typed;
use everview_repr::{ColumnType, SqlState, Typmod};
use sqlparser::ast::{Join, JoinConstraint, JoinOperator, ObjectName, TableWithJoins};

impl Planner<'_> {
    /// FROM or USING of UPDATE and DELETE.
    pub(crate) fn changed_from(
        &mut self,
        from: &[TableWithJoins],
        env: &Env<'_>,
    ) -> Result<Item, PlanError> {
        self.plan_from(from, env)
    }

    /// The FROM clause: a product from left to right; one empty row without items.
    pub(super) fn plan_from(
        &mut self,
        from: &[TableWithJoins],
        env: &Env<'_>,
    ) -> Result<Item, PlanError> {
        let Some((first, rest)) = from.split_first() else {
            return Ok((unit(), Scope::default()));
        };
        let mut item = self.table_with_joins(first, env)?;
        for next in rest {
            let right = {
                let env = env.with(Frame::Left(&item.1, true));
                self.table_with_joins(next, &env)?
            };
            check_duplicates(&item.1, &right.1)?;
            item = product(item, right, vec![], JoinKind::Inner);
        }
        Ok(item)
    }

    pub(super) fn table_with_joins(
        &mut self,
        item: &TableWithJoins,
        env: &Env<'_>,
    ) -> Result<Item, PlanError> {
        let TableWithJoins { relation, joins } = item;
        let mut left = self.nested(|p| p.table_factor(relation, env))?;
        for join in joins {
            left = self.join(left, join, env)?;
        }
        Ok(left)
    }

    fn join(&mut self, left: Item, join: &Join, env: &Env<'_>) -> Result<Item, PlanError> {
        let Join {
            relation,
            global,
            join_operator,
        } = join;
        if *global {
            return Err(PlanError::syntax("syntax error at or near \"global\""));
        }
        let (kind, constraint) = match join_operator {
            JoinOperator::Join(c) | JoinOperator::Inner(c) => (JoinKind::Inner, c),
            JoinOperator::CrossJoin(JoinConstraint::None) => {
                (JoinKind::Inner, &JoinConstraint::None)
            }
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::Left, c),
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinKind::Right, c),
            JoinOperator::FullOuter(c) => (JoinKind::Full, c),
            _ => return Err(PlanError::syntax("syntax error in a JOIN")),
        };
        let lateral = matches!(kind, JoinKind::Inner | JoinKind::Left);
        let right = {
            let env = env.with(Frame::Left(&left.1, lateral));
            self.nested(|p| p.table_factor(relation, &env))?
        };
        check_duplicates(&left.1, &right.1)?;
        match constraint {
            JoinConstraint::On(condition) => {
                let (mut rel, scope) = product(left, right, vec![], kind);
                // The condition sees both rows before NULLs are put in.
                let env = env.with(Frame::Row(&scope));
                let cx = ExprContext::plain(&env, "JOIN/ON");
                let condition = self.condition(condition, &cx)?;
                if let HirRel::Join { on, .. } = &mut rel {
                    *on = condition;
                }
                Ok((rel, scope))
            }
            JoinConstraint::Using(columns) => {
                let names = columns
                    .iter()
                    .map(using_name)
                    .collect::<Result<Vec<_>, _>>()?;
                self.join_using(left, right, &names, kind)
            }
            JoinConstraint::UsingAlias(..) => Err(PlanError::unsupported("an alias of JOIN USING")),
            JoinConstraint::Natural => {
                let shared = left.1.visible.iter().map(|c| c.name.clone());
                let names: Vec<_> = shared
                    .filter(|n| right.1.visible.iter().any(|c| c.name == *n))
                    .map(|n| (n, None))
                    .collect();
                self.join_using(left, right, &names, kind)
            }
            JoinConstraint::None if matches!(join_operator, JoinOperator::CrossJoin(_)) => {
                Ok(product(left, right, vec![], kind))
            }
            JoinConstraint::None => {
                Err(PlanError::syntax("syntax error: JOIN without ON or USING"))
            }
        }
    }

    /// USING and NATURAL: equal columns, merged into one that comes first.
    fn join_using(
        &mut self,
        left: Item,
        right: Item,
        names: &[(String, Option<usize>)],
        kind: JoinKind,
    ) -> Result<Item, PlanError> {
        let mut pairs = Vec::new();
        for (name, position) in names {
            let l = merged_column(&left.1, name, "left", *position)?.clone();
            let r = merged_column(&right.1, name, "right", *position)?.clone();
            pairs.push((name, *position, l, r));
        }
        let (left_arity, left_visible) = (left.1.arity, left.1.visible.len());
        let (mut rel, mut scope) = product(left, right, vec![], kind);
        let mut on = Vec::new();
        let mut merged = Vec::new();
        let mut coalesced = Vec::new();
        for (name, position, l, r) in &pairs {
            let a = Typed {
                expr: column(l.index),
                ty: l.ty.clone(),
                position: *position,
            };
            let b = Typed {
                expr: column(left_arity + r.index),
                ty: r.ty.clone(),
                position: *position,
            };
            let equal = self.call_operator("=", vec![a.clone(), b.clone()], *position)?;
            on.push(equal.expr);
            let both = self.in_common_type(vec![a, b], "JOIN/USING")?;
            let typmod = if l.ty.typmod == r.ty.typmod {
                l.ty.typmod
            } else {
                Typmod::NONE
            };
            let [a, b] = both.as_slice() else { continue };
            let (expr, nullable, origin) = match kind {
                JoinKind::Inner | JoinKind::Left => (a.expr.clone(), l.ty.nullable, l.origin),
                JoinKind::Right => (b.expr.clone(), r.ty.nullable, r.origin),
                JoinKind::Full => (
                    HirScalar::Coalesce(vec![a.expr.clone(), b.expr.clone()]),
                    l.ty.nullable || r.ty.nullable,
                    None,
                ),
            };
            let index = match &expr {
                HirScalar::Column(c) => c.column,
                _ => {
                    coalesced.push(expr);
                    scope.arity + coalesced.len() - 1
                }
            };
            let ty = ColumnType {
                scalar: a.ty.scalar.clone(),
                typmod,
                nullable,
            };
            merged.push(ScopeColumn {
                name: (*name).clone(),
                index,
                ty,
                origin,
                table: None,
            });
        }
        if let HirRel::Join { on: condition, .. } = &mut rel {
            *condition = on;
        }
        let is_merged = |i: usize, c: &ScopeColumn| {
            pairs.iter().any(|(_, _, l, r)| {
                if i < left_visible {
                    c.index == l.index
                } else {
                    c.index == left_arity + r.index
                }
            })
        };
        let rest = scope
            .visible
            .iter()
            .enumerate()
            .filter(|(i, c)| !is_merged(*i, c));
        let visible = merged
            .into_iter()
            .chain(rest.map(|(_, c)| c.clone()))
            .collect();
        scope.visible = visible;
        scope.arity += coalesced.len();
        Ok((map(rel, coalesced), scope))
    }
}

fn using_name(name: &ObjectName) -> Result<(String, Option<usize>), PlanError> {
    let name = Name::new(name)?;
    match name.schema {
        None => Ok((name.name, name.position)),
        Some(_) => Err(PlanError::syntax("syntax error at or near \".\"").at(name.position)),
    }
}

fn merged_column<'s>(
    scope: &'s Scope,
    name: &str,
    side: &str,
    position: Option<usize>,
) -> Result<&'s ScopeColumn, PlanError> {
    let mut matches = scope.visible.iter().filter(|c| c.name == name);
    match (matches.next(), matches.next()) {
        (Some(column), None) => Ok(column),
        (Some(_), Some(_)) => {
            let message =
                format!("common column name \"{name}\" appears more than once in {side} table");
            Err(PlanError::new(SqlState::AMBIGUOUS_COLUMN, message).at(position))
        }
        (None, _) => {
            let message = format!(
                "column \"{name}\" specified in USING clause does not exist in {side} table"
            );
            Err(PlanError::new(SqlState::UNDEFINED_COLUMN, message).at(position))
        }
    }
}

fn product(left: Item, right: Item, on: Vec<HirScalar>, kind: JoinKind) -> Item {
    let (mut left_scope, mut right_scope) = (left.1, right.1);
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        left_scope.make_nullable();
    }
    if matches!(kind, JoinKind::Left | JoinKind::Full) {
        right_scope.make_nullable();
    }
    let rel = HirRel::Join {
        left: Box::new(left.0),
        right: Box::new(right.0),
        on,
        kind,
    };
    (rel, left_scope.product(right_scope))
}

/// 42712: two FROM items of one name.
fn check_duplicates(left: &Scope, right: &Scope) -> Result<(), PlanError> {
    for table in &right.tables {
        let same = left.tables.iter().any(|t| {
            let schemas_differ =
                t.schema.is_some() && table.schema.is_some() && t.schema != table.schema;
            t.name == table.name && t.name.is_some() && !schemas_differ
        });
        if same {
            let name = table.name.as_deref().unwrap_or_default();
            let message = format!("table name \"{name}\" specified more than once");
            return Err(PlanError::new(SqlState::DUPLICATE_ALIAS, message));
        }
    }
    Ok(())
}
