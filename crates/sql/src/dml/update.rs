//! UPDATE and DELETE.
//!
//! With FROM or USING, a row of the table is joined laterally with the first row of the other relations that meets the
//! condition, as Postgres changes a row once however many match: which one is decided by all their columns.

use crate::dml::insert::target_column;
use crate::dml::{Target, is_default};
use crate::error::{At, PlanError};
use crate::hir::{ColumnRef, HirRel, HirScalar, JoinKind};
use crate::lower::lower;
use crate::names::{self, Name, fold};
use crate::plan::{DeletePlan, UpdatePlan};
use crate::planner::{ExprContext, Planner};
use crate::query::build::{filter, map, project, with_tie_break};
use crate::query::walk;
use crate::scalar::rows::as_row;
use crate::scope::{Env, Frame, Scope};
use crate::typed::Typed;
use everview_repr::{RelationDesc, SqlState};
use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, SelectItem, Spanned, TableAlias,
    TableFactor, TableWithJoins, Update, UpdateTableFromKind,
};

/// A change of rows: which, by what, and what is returned.
struct Change<'s> {
    target: Target,
    /// The table's row's names.
    scope: Scope,
    /// FROM or USING.
    from: &'s [TableWithJoins],
    selection: Option<&'s Expr>,
    /// SET; none for DELETE.
    assignments: Option<&'s [Assignment]>,
    returning: Option<&'s [SelectItem]>,
}

impl Planner<'_> {
    pub(crate) fn update(&mut self, update: &Update) -> Result<UpdatePlan, PlanError> {
        let Update {
            update_token,
            optimizer_hints,
            table,
            on_cluster,
            assignments,
            from,
            selection,
            returning,
            output,
            or,
            order_by,
            limit,
            settings,
        } = update;
        let foreign = !optimizer_hints.is_empty()
            || on_cluster.is_some()
            || output.is_some()
            || or.is_some()
            || !order_by.is_empty()
            || limit.is_some()
            || settings.is_some();
        if foreign {
            return Err(
                PlanError::syntax("syntax error in UPDATE").at(names::start(update_token.0.span))
            );
        }
        let from = match from {
            None => [].as_slice(),
            Some(UpdateTableFromKind::AfterSet(items)) => items,
            Some(UpdateTableFromKind::BeforeSet(_)) => {
                return Err(PlanError::syntax("syntax error at FROM"));
            }
        };
        let (target, scope) = self.changed_table(table, "update")?;
        target.check_mutable("update")?;
        let change = Change {
            target,
            scope,
            from,
            selection: selection.as_ref(),
            assignments: Some(assignments),
            returning: returning.as_deref(),
        };
        let (table, source, returning) = self.change(change)?;
        Ok(UpdatePlan {
            table,
            source: lower(source),
            depends_on: self.depends_on.clone(),
            returning,
        })
    }

    pub(crate) fn delete(&mut self, delete: &Delete) -> Result<DeletePlan, PlanError> {
        let Delete {
            delete_token,
            optimizer_hints,
            tables,
            from,
            on_cluster,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
            settings,
        } = delete;
        let foreign = !optimizer_hints.is_empty()
            || !tables.is_empty()
            || on_cluster.is_some()
            || output.is_some()
            || !order_by.is_empty()
            || limit.is_some()
            || settings.is_some();
        let position = names::start(delete_token.0.span);
        let FromTable::WithFromKeyword(items) = from else {
            return Err(PlanError::syntax("syntax error in DELETE").at(position));
        };
        let [table] = items.as_slice() else {
            return Err(PlanError::syntax("DELETE names one table").at(position));
        };
        if foreign {
            return Err(PlanError::syntax("syntax error in DELETE").at(position));
        }
        let (target, scope) = self.changed_table(table, "delete from")?;
        target.check_mutable("delete from")?;
        let change = Change {
            target,
            scope,
            from: using.as_deref().unwrap_or_default(),
            selection: selection.as_ref(),
            assignments: None,
            returning: returning.as_deref(),
        };
        let (table, source, returning) = self.change(change)?;
        Ok(DeletePlan {
            table,
            source: lower(source),
            depends_on: self.depends_on.clone(),
            returning,
        })
    }

    /// The table that UPDATE or DELETE names, and its row's names.
    fn changed_table(
        &mut self,
        item: &TableWithJoins,
        verb: &str,
    ) -> Result<(Target, Scope), PlanError> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_directives,
            inheritance: _,
        } = &item.relation
        else {
            return Err(PlanError::syntax("a table's name is expected"));
        };
        if !item.joins.is_empty()
            || !with_hints.is_empty()
            || !partitions.is_empty()
            || !index_directives.is_empty()
        {
            return Err(PlanError::syntax("syntax error after the table's name"));
        }
        let name = Name::new(name)?;
        let target = self.target(&name, verb)?;
        let alias = match alias {
            None => None,
            Some(TableAlias {
                explicit: _,
                name,
                columns,
                at: None,
            }) if columns.is_empty() => Some(fold(name)),
            Some(_) => return Err(PlanError::syntax("syntax error in the table's alias")),
        };
        let scope = target.scope(alias, self.schema_name(&target.object));
        Ok((target, scope))
    }

    /// The old row's columns, the new row's (of UPDATE), RETURNING's.
    fn change(
        &mut self,
        change: Change<'_>,
    ) -> Result<(everview_repr::GlobalId, HirRel, Option<RelationDesc>), PlanError> {
        let (table, _) = self.get(&change.target.object)?;
        let width = change.target.desc.arity();
        let (from, from_scope) = {
            let env = Env::EMPTY.with(Frame::Left(&change.scope, false));
            self.changed_from(change.from, &env)?
        };
        let joined = !change.from.is_empty();
        if joined {
            let clash = from_scope
                .tables
                .iter()
                .find(|t| t.name == change.scope.tables[0].name);
            if let Some(name) = clash.and_then(|t| t.name.as_ref()) {
                let message = format!("table name \"{name}\" specified more than once");
                return Err(PlanError::new(SqlState::DUPLICATE_ALIAS, message));
            }
        }
        let extra = from_scope.arity;
        let mut both = change.scope.clone().product(from_scope);
        let env = Env::EMPTY.with(Frame::Row(&both));
        let mut predicates = match change.selection {
            Some(condition) => self.condition(condition, &ExprContext::plain(&env, "WHERE"))?,
            None => vec![],
        };
        let mut new = Vec::new();
        if let Some(assignments) = change.assignments {
            new = (0..width)
                .map(|c| {
                    HirScalar::Column(ColumnRef {
                        level: 0,
                        column: c,
                    })
                })
                .collect::<Vec<_>>();
            for (at, value) in self.assignments_in(assignments, &change.target, &env, "UPDATE")? {
                new[at] = value;
            }
        }
        // RETURNING sees the new row and the other relations.
        let mut returned: Vec<HirScalar> = Vec::new();
        let mut desc = None;
        if let Some(items) = change.returning {
            if !new.is_empty() {
                both.make_nullable();
            }
            let (values, described) = self.returning_values(items, &both)?;
            returned = values.into_iter().map(|v: Typed| v.expr).collect();
            desc = Some(described);
        }
        let id = change.target.object.id;
        if !joined {
            if !new.is_empty() {
                let moved = &mut |c: &mut ColumnRef| c.column += width;
                returned.iter_mut().for_each(|e| walk::columns(e, moved));
            }
            let rel = map(map(filter(table, predicates), new), returned);
            return Ok((id, rel, desc));
        }
        // The table's row is one scope out for what is computed over the other relations.
        let count = new.len() + returned.len();
        let outwards = &mut |e: &mut HirScalar| {
            walk::scalar(e, 0, &mut |e, depth| {
                if let HirScalar::Column(c) = e
                    && c.level == depth
                {
                    match c.column.checked_sub(width) {
                        Some(column) => c.column = column,
                        None => c.level += 1,
                    }
                }
                true
            });
        };
        predicates.iter_mut().for_each(&mut *outwards);
        new.iter_mut().for_each(&mut *outwards);
        if new.is_empty() {
            returned.iter_mut().for_each(&mut *outwards);
        } else {
            let moved = &mut |c: &mut ColumnRef| match c.column.checked_sub(width) {
                Some(column) => c.column = column,
                None => c.column += extra,
            };
            returned.iter_mut().for_each(|e| walk::columns(e, moved));
        }
        let order_key = with_tie_break(vec![], &[], extra);
        let matched = filter(from, predicates);
        let first = HirRel::TopK {
            input: Box::new(matched),
            group_key: vec![],
            order_key,
            limit: Some(1),
            offset: 0,
        };
        let right = project(
            map(map(first, new), returned),
            (extra..extra + count).collect(),
            extra + count,
        );
        let rel = HirRel::Join {
            left: Box::new(table),
            right: Box::new(right),
            on: vec![],
            kind: JoinKind::Inner,
        };
        Ok((id, rel, desc))
    }

    /// SET's values in an environment, by column.
    pub(crate) fn assignments_in(
        &mut self,
        assignments: &[Assignment],
        target: &Target,
        env: &Env<'_>,
        clause: &'static str,
    ) -> Result<Vec<(usize, HirScalar)>, PlanError> {
        let cx = ExprContext::plain(env, clause);
        let mut out: Vec<(usize, HirScalar)> = Vec::new();
        for Assignment { target: to, value } in assignments {
            let pairs: Vec<(Name, usize)> = match to {
                AssignmentTarget::ColumnName(name) => {
                    let name = Name::new(name)?;
                    if let Some(table) = &name.schema {
                        let message = format!(
                            "column \"{table}\" of relation \"{}\" does not exist",
                            target.object.name
                        );
                        return Err(PlanError::new(SqlState::UNDEFINED_COLUMN, message)
                            .with_hint(
                                "SET target columns cannot be qualified with the relation name.",
                            )
                            .at(name.position));
                    }
                    vec![(name, 0)]
                }
                AssignmentTarget::Tuple(names) => {
                    let names = names.iter().map(Name::new).collect::<Result<Vec<_>, _>>()?;
                    names.into_iter().enumerate().map(|(i, n)| (n, i)).collect()
                }
            };
            let values = match to {
                AssignmentTarget::ColumnName(_) => {
                    vec![self.assigned(value, &pairs[0].0, target, &cx)?]
                }
                AssignmentTarget::Tuple(_) => self.assigned_row(value, &pairs, target, &cx)?,
            };
            for ((name, _), value) in pairs.into_iter().zip(values) {
                let at = target_column(target, &name.name).at(name.position)?;
                if out.iter().any(|(c, _)| *c == at) {
                    let message = format!("multiple assignments to same column \"{}\"", name.name);
                    return Err(PlanError::syntax(message).at(name.position));
                }
                out.push((at, value));
            }
        }
        Ok(out)
    }

    fn assigned(
        &mut self,
        value: &Expr,
        name: &Name,
        target: &Target,
        cx: &ExprContext<'_>,
    ) -> Result<HirScalar, PlanError> {
        let column = &target.table.columns[target_column(target, &name.name).at(name.position)?];
        if is_default(value) {
            return self.default_value(column);
        }
        let value = self.expr(value, cx)?;
        Ok(self.assign(value, &column.name, &column.ty)?.expr)
    }

    /// `(a, b) = (x, y)`, `(a, b) = (SELECT ...)`.
    fn assigned_row(
        &mut self,
        value: &Expr,
        pairs: &[(Name, usize)],
        target: &Target,
        cx: &ExprContext<'_>,
    ) -> Result<Vec<HirScalar>, PlanError> {
        let mismatch = || {
            PlanError::syntax("number of columns does not match number of values")
                .at(names::start(value.span()))
        };
        if let Some(items) = as_row(value) {
            if items.len() != pairs.len() {
                return Err(mismatch());
            }
            let assigned = items
                .into_iter()
                .zip(pairs)
                .map(|(e, (name, _))| self.assigned(e, name, target, cx));
            return assigned.collect();
        }
        let mut inner = value;
        while let Expr::Nested(nested) = inner {
            inner = nested;
        }
        let Expr::Subquery(query) = inner else {
            if let [(name, _)] = pairs {
                return Ok(vec![self.assigned(inner, name, target, cx)?]);
            }
            let message =
                "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
            return Err(PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                .at(names::start(value.span())));
        };
        let (rel, desc) = self.subquery(query, cx.env)?;
        if desc.arity() != pairs.len() {
            return Err(mismatch());
        }
        let mut out = Vec::new();
        for (name, i) in pairs {
            let one = project(rel.clone(), vec![*i], desc.arity());
            let ty = desc.columns[*i].ty.clone().with_nullable(true);
            let value = Typed {
                expr: HirScalar::Scalar(Box::new(one)),
                ty,
                position: name.position,
            };
            let column =
                &target.table.columns[target_column(target, &name.name).at(name.position)?];
            out.push(self.assign(value, &column.name, &column.ty)?.expr);
        }
        Ok(out)
    }
}
