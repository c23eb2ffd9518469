//! A query: WITH, a body, ORDER BY and LIMIT.

use crate::error::PlanError;
use crate::hir::{HirRel, HirScalar};
use crate::names;
use crate::planner::{Cte, Planner};
use crate::query::build::{bind, map, project, rename_columns, with_tie_break};
use crate::query::limit::Limits;
use crate::scope::Env;
use crate::typed::Typed;
use everview_expr::{LocalId, RelationType};
use everview_repr::{ColumnDesc, ColumnOrder, GlobalId, RelationDesc, SqlState};
use sqlparser::ast::{OrderBy, OrderByExpr, OrderByKind, Query, SetExpr, With};

/// An output column before it is computed.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// The value over the body's row.
    pub value: Typed,
    /// Its name.
    pub name: String,
    /// The relation's column that it is unchanged.
    pub origin: Option<(GlobalId, u16)>,
}

/// A query's rows before its outputs are computed: unknown literals can still take a type from the context.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub rel: HirRel,
    /// Columns of `rel`.
    pub arity: usize,
    pub outputs: Vec<Output>,
    /// The order, by outputs or by further values over the row.
    pub order: Vec<Order>,
    /// Sets of outputs that are unique.
    pub keys: Vec<Vec<usize>>,
}

/// One ORDER BY item.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub by: OrderValue,
    pub descending: bool,
    pub nulls_last: bool,
    pub position: Option<usize>,
}

/// What an item sorts by.
#[derive(Clone, Debug)]
pub(crate) enum OrderValue {
    /// An output, by its place.
    Output(usize),
    /// Another value over the row.
    Value(Typed),
}

/// A query whose columns are computed.
#[derive(Clone, Debug)]
pub(crate) struct QueryPlan {
    pub rel: HirRel,
    /// The outputs among the columns of `rel`.
    pub project: Vec<usize>,
    /// The outputs.
    pub desc: RelationDesc,
    /// The order over the columns of `rel`.
    pub order: Vec<ColumnOrder>,
    pub limits: Limits,
    /// How many columns `rel` has.
    pub arity: usize,
}

impl Body {
    /// Computes the outputs: unknown ones become text.
    pub fn finish(
        mut self,
        planner: &mut Planner<'_>,
        limits: Limits,
    ) -> Result<QueryPlan, PlanError> {
        let mut scalars = Vec::new();
        let place = |arity: usize, expr: HirScalar, scalars: &mut Vec<HirScalar>| match expr {
            HirScalar::Column(c) if c.level == 0 && c.column < arity => c.column,
            expr => match scalars.iter().position(|s| *s == expr) {
                Some(i) => arity + i,
                None => {
                    scalars.push(expr);
                    arity + scalars.len() - 1
                }
            },
        };
        let mut columns = Vec::new();
        let mut project = Vec::new();
        for output in std::mem::take(&mut self.outputs) {
            let value = planner.resolve_unknown(output.value)?;
            project.push(place(self.arity, value.expr, &mut scalars));
            columns.push(ColumnDesc {
                name: output.name,
                ty: value.ty,
                origin: output.origin,
            });
        }
        let mut order = Vec::new();
        for item in self.order {
            let column = match item.by {
                OrderValue::Output(i) => project[i],
                OrderValue::Value(value) => {
                    let value = planner.resolve_unknown(value)?;
                    place(self.arity, value.expr, &mut scalars)
                }
            };
            order.push(ColumnOrder {
                column,
                descending: item.descending,
                nulls_last: item.nulls_last,
            });
        }
        let arity = self.arity + scalars.len();
        let rel = map(self.rel, scalars);
        Ok(QueryPlan {
            rel,
            project,
            desc: RelationDesc {
                columns,
                keys: self.keys,
            },
            order,
            limits,
            arity,
        })
    }
}

impl QueryPlan {
    /// The rows as a relation: LIMIT with its order becomes TopK, an order alone has no meaning.
    pub fn into_relation(self) -> Result<(HirRel, RelationDesc), PlanError> {
        let (limit, offset) = self.limits.constant()?;
        let rel = match (limit, offset) {
            (None, 0) => self.rel,
            (limit, offset) => {
                let order_key = with_tie_break(self.order, &self.project, self.arity);
                HirRel::TopK {
                    input: Box::new(self.rel),
                    group_key: vec![],
                    order_key,
                    limit,
                    offset,
                }
            }
        };
        Ok((project(rel, self.project, self.arity), self.desc))
    }
}

/// `SELECT * FROM name`, which `TABLE name` stands for, refers to its columns by position.
pub(crate) fn outputs_of(desc: &RelationDesc) -> Vec<Output> {
    let column = |(i, c): (usize, &ColumnDesc)| Output {
        value: Typed {
            expr: HirScalar::Column(crate::hir::ColumnRef {
                level: 0,
                column: i,
            }),
            ty: c.ty.clone(),
            position: None,
        },
        name: c.name.clone(),
        origin: c.origin,
    };
    desc.columns.iter().enumerate().map(column).collect()
}

impl Planner<'_> {
    /// Plans a query, its order and limits still apart. `env` are the rows around it.
    pub(crate) fn query(&mut self, query: &Query, env: &Env<'_>) -> Result<QueryPlan, PlanError> {
        self.nested(|p| {
            let (bindings, body) = p.query_body(query, env)?;
            let limits = p.limits(query, env)?;
            let mut plan = body.finish(p, limits)?;
            plan.rel = bind(bindings, plan.rel);
            Ok(plan)
        })
    }

    /// The same with outputs that can still take a type; LIMIT is applied where there is one.
    pub(crate) fn query_outputs(
        &mut self,
        query: &Query,
        env: &Env<'_>,
    ) -> Result<Body, PlanError> {
        self.nested(|p| {
            let (bindings, mut body) = p.query_body(query, env)?;
            let limits = p.limits(query, env)?;
            if limits.is_none() {
                body.rel = bind(bindings, body.rel);
                return Ok(body);
            }
            let mut plan = body.finish(p, limits)?;
            plan.rel = bind(bindings, plan.rel);
            let (rel, desc) = plan.into_relation()?;
            Ok(Body {
                arity: desc.arity(),
                outputs: outputs_of(&desc),
                rel,
                order: vec![],
                keys: vec![],
            })
        })
    }

    /// A subquery as a relation.
    pub(crate) fn subquery(
        &mut self,
        query: &Query,
        env: &Env<'_>,
    ) -> Result<(HirRel, RelationDesc), PlanError> {
        self.query(query, env)?.into_relation()
    }

    /// A subquery whose order matters: the order is over the relation's columns.
    pub(crate) fn ordered_subquery(
        &mut self,
        query: &Query,
        env: &Env<'_>,
    ) -> Result<(HirRel, Vec<ColumnOrder>, RelationDesc), PlanError> {
        let mut plan = self.query(query, env)?;
        let all: Vec<usize> = plan
            .project
            .iter()
            .copied()
            .chain(plan.order.iter().map(|o| o.column))
            .collect();
        let order = plan.order.clone();
        let outputs = plan.project.len();
        let (limit, offset) = plan.limits.constant()?;
        if limit.is_some() || offset > 0 {
            let order_key = with_tie_break(order.clone(), &plan.project, plan.arity);
            plan.rel = HirRel::TopK {
                input: Box::new(plan.rel),
                group_key: vec![],
                order_key,
                limit,
                offset,
            };
        }
        let order = order
            .iter()
            .enumerate()
            .map(|(i, o)| ColumnOrder {
                column: outputs + i,
                ..*o
            })
            .collect();
        Ok((
            HirRel::Project {
                input: Box::new(plan.rel),
                outputs: all,
            },
            order,
            plan.desc,
        ))
    }

    fn query_body(
        &mut self,
        query: &Query,
        env: &Env<'_>,
    ) -> Result<(Vec<(LocalId, HirRel)>, Body), PlanError> {
        let Query {
            with,
            body,
            order_by,
            limit_clause: _,
            fetch: _,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if let Some(lock) = locks.first() {
            return Err(PlanError::unsupported(lock.to_string())
                .with_hint("Transactions are serializable without it."));
        }
        if for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty()
        {
            return Err(PlanError::syntax("syntax error at the end of the query"));
        }
        let visible = self.ctes.len();
        let bindings = match with {
            Some(with) => self.with(with, env)?,
            None => vec![],
        };
        let order = order_items(order_by.as_ref())?;
        let body = self.set_expr(body, order, env);
        self.ctes.truncate(visible);
        Ok((bindings, body?))
    }

    fn with(&mut self, with: &With, env: &Env<'_>) -> Result<Vec<(LocalId, HirRel)>, PlanError> {
        let With {
            with_token,
            recursive,
            cte_tables,
        } = with;
        if *recursive {
            return Err(
                PlanError::unsupported("WITH RECURSIVE").at(names::start(with_token.0.span))
            );
        }
        let mut bindings = Vec::new();
        let first = self.ctes.len();
        for cte in cte_tables {
            let sqlparser::ast::Cte {
                alias,
                query,
                from,
                materialized: _,
                closing_paren_token: _,
            } = cte;
            let position = names::at(&alias.name);
            if from.is_some() || alias.at.is_some() {
                return Err(PlanError::syntax("syntax error in WITH").at(position));
            }
            let name = names::fold(&alias.name);
            if self.ctes[first..].iter().any(|c| c.name == name) {
                let message = format!("WITH query name \"{name}\" specified more than once");
                return Err(PlanError::new(SqlState::DUPLICATE_ALIAS, message).at(position));
            }
            let (rel, mut desc) = self.subquery(query, env)?;
            rename_columns(&mut desc, alias, "WITH query")?;
            let ty = RelationType {
                columns: desc.types(),
                keys: desc.keys.clone(),
                append_only: false,
            };
            let id = self.local();
            bindings.push((id, rel));
            self.ctes.push(Cte { name, id, desc, ty });
        }
        Ok(bindings)
    }

    /// Plans a body with the ORDER BY around it.
    pub(crate) fn set_expr(
        &mut self,
        body: &SetExpr,
        order: &[OrderByExpr],
        env: &Env<'_>,
    ) -> Result<Body, PlanError> {
        self.nested(|p| match body {
            SetExpr::Select(select) => p.select(select, order, env),
            SetExpr::Query(query) => {
                let plan = p.query(query, env)?;
                if order.is_empty() && plan.limits.is_none() {
                    return Ok(reopen(plan));
                }
                let (rel, desc) = plan.into_relation()?;
                p.ordered_by_outputs(Body::of(rel, &desc), order, env)
            }
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                let body = p.set_operation(left, *op, *set_quantifier, right, env)?;
                p.ordered_by_outputs(body, order, env)
            }
            SetExpr::Values(values) => {
                let body = p.values(values, env)?;
                p.ordered_by_outputs(body, order, env)
            }
            // TABLE t is rewritten to SELECT * FROM t before parsing.
            SetExpr::Table(_) => Err(PlanError::unsupported("TABLE in this place")),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(PlanError::unsupported("a data-modifying statement in WITH"))
            }
        })
    }
}

impl Body {
    /// A relation's columns as outputs.
    pub fn of(rel: HirRel, desc: &RelationDesc) -> Body {
        Body {
            rel,
            arity: desc.arity(),
            outputs: outputs_of(desc),
            order: vec![],
            keys: desc.keys.clone(),
        }
    }
}

/// A finished query without limits as a body, its order kept.
fn reopen(plan: QueryPlan) -> Body {
    let mut outputs = outputs_of(&plan.desc);
    for (output, column) in outputs.iter_mut().zip(&plan.project) {
        output.value.expr = HirScalar::Column(crate::hir::ColumnRef {
            level: 0,
            column: *column,
        });
    }
    let order = plan.order.iter().map(|o| Order {
        by: OrderValue::Value(Typed {
            expr: HirScalar::Column(crate::hir::ColumnRef {
                level: 0,
                column: o.column,
            }),
            ty: everview_repr::ScalarType::Text.nullable(),
            position: None,
        }),
        descending: o.descending,
        nulls_last: o.nulls_last,
        position: None,
    });
    let order = order.collect();
    Body {
        rel: plan.rel,
        arity: plan.arity,
        outputs,
        order,
        keys: plan.desc.keys,
    }
}

fn order_items(order_by: Option<&OrderBy>) -> Result<&[OrderByExpr], PlanError> {
    match order_by {
        None => Ok(&[]),
        Some(OrderBy {
            kind: OrderByKind::Expressions(items),
            interpolate: None,
        }) => Ok(items),
        Some(OrderBy { .. }) => Err(PlanError::unsupported("ORDER BY ALL")),
    }
}
