//! A parsed statement to its plan.

use crate::error::{At, PlanError};
use crate::hir::HirRel;
use crate::lower::lower;
use crate::names::{self, Name, fold};
use crate::parse::{
    Explain, ExplainTarget, ObjectType, Parsed, Statement, Subscribe, SubscribeTarget,
};
use crate::plan::{CopyPlan, ExplainPlan, Finishing, Plan, SelectPlan, SubscribePlan, VerifyPlan};
use crate::planner::{ExprContext, PlanContext, Planner};
use crate::query::QueryPlan;
use crate::query::limit::to_plain_scalar;
use crate::scope::{Env, Frame, Scope};
use crate::types;
use everview_catalog::ObjectKind;
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::{RelationDesc, ScalarType, SqlState, Typmod};
use sqlparser::ast::{Expr, Query};

/// A statement's plan, and the types of its parameters.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What to do.
    pub plan: Plan,
    /// The type of each parameter, from `$1` on.
    pub param_types: Vec<ScalarType>,
    /// What is to be filled in before it runs: calls of everview.changes.
    pub changes: Vec<crate::travel::ChangesCall>,
}

/// Plans a statement against a catalog and a session's settings.
pub fn plan(parsed: &Parsed, context: &PlanContext<'_>) -> Result<Planned, PlanError> {
    parsed.with_statement(|statement| {
        let mut planner = Planner::new(context, &parsed.marks);
        let plan = planner.statement(statement)?;
        Ok(Planned {
            plan,
            param_types: planner.param_types(),
            changes: planner.changes,
        })
    })
}

/// The rows that a plan sends to the client; none for statements without rows. EXPLAIN, SHOW and FETCH describe
/// themselves when they are carried out.
pub fn result_desc(plan: &Plan) -> Option<RelationDesc> {
    match plan {
        Plan::Select(select) => Some(select.desc.clone()),
        Plan::Producer { desc, .. } | Plan::Reader { desc, .. } => Some(desc.clone()),
        Plan::Insert(insert) => insert.returning.as_ref().map(|r| r.desc.clone()),
        Plan::Update(update) => update.returning.clone(),
        Plan::Delete(delete) => delete.returning.clone(),
        Plan::Subscribe(subscribe) => Some(subscribe_desc(subscribe)),
        Plan::Verify(_) => Some(VerifyPlan::desc()),
        Plan::Explain(_) => Some(RelationDesc::new([(
            "QUERY PLAN",
            ScalarType::Text.not_null(),
        )])),
        Plan::Show(Some(name)) => Some(RelationDesc::new([(
            name.clone(),
            ScalarType::Text.not_null(),
        )])),
        Plan::Show(None) => {
            let column = |n: &str| (n.to_string(), ScalarType::Text.nullable());
            Some(RelationDesc::new(
                ["name", "setting", "description"].map(column),
            ))
        }
        _ => None,
    }
}

/// A SUBSCRIBE's rows: time, progress where asked for, multiplicity, then the query's columns.
pub fn subscribe_desc(subscribe: &SubscribePlan) -> RelationDesc {
    let mut columns = vec![("mz_timestamp".to_string(), ScalarType::Numeric.not_null())];
    if subscribe.progress {
        columns.push(("mz_progressed".to_string(), ScalarType::Bool.not_null()));
    }
    columns.push((
        "mz_diff".to_string(),
        ScalarType::Int64
            .nullable()
            .with_nullable(subscribe.progress),
    ));
    let mut desc = RelationDesc::new(columns);
    desc.columns
        .extend(subscribe.desc.columns.iter().cloned().map(|mut c| {
            c.ty.nullable |= subscribe.progress;
            c
        }));
    desc
}

impl Planner<'_> {
    fn statement(&mut self, statement: &Statement) -> Result<Plan, PlanError> {
        Ok(match statement {
            Statement::Query { query, as_of } => {
                if as_of.is_none()
                    && let Some(call) = self.producer_call(query)?
                {
                    return Ok(call);
                }
                Plan::Select(self.select_plan(query, as_of.as_deref())?)
            }
            Statement::DropProducer { names, if_exists } => Plan::DropProducer {
                names: names.iter().map(fold).collect(),
                if_exists: *if_exists,
            },
            Statement::Insert(insert) => Plan::Insert(self.insert(insert)?),
            Statement::Update(update) => Plan::Update(self.update(update)?),
            Statement::Delete(delete) => Plan::Delete(self.delete(delete)?),
            Statement::Truncate { names } => self.truncate(names)?,
            Statement::CreateTable {
                table,
                likes,
                append_only,
                with_data,
                options,
            } => {
                let mut plan = self.create_table(table, likes, *append_only, *with_data)?;
                self.own_options(options, &mut plan)?;
                Plan::CreateTable(plan)
            }
            Statement::CreateSchema {
                name,
                if_not_exists,
            } => self.create_schema(name.as_ref(), *if_not_exists)?,
            Statement::CreateView(view) => Plan::CreateView(self.create_view(view)?),
            Statement::CreateIndex(index) => Plan::CreateIndex(self.create_index(index)?),
            Statement::CreateSecret(create) => self.create_secret(create)?,
            Statement::CreateConnection(create) => self.create_connection(create)?,
            Statement::CreateSink(create) => self.create_sink(create)?,
            Statement::Drop(drop) => self.drop_objects(drop)?,
            Statement::Alter(alter) => self.alter(alter)?,
            Statement::AlterRole(plan) => Plan::AlterRole(plan.clone()),
            Statement::Comment {
                kind,
                name,
                column,
                text,
            } => self.comment(*kind, name, column.as_ref(), text.clone())?,
            Statement::Subscribe(subscribe) => Plan::Subscribe(self.subscribe(subscribe)?),
            Statement::Explain(explain) => Plan::Explain(self.explain(explain)?),
            Statement::Verify { object, as_of } => {
                Plan::Verify(self.verify(object.as_ref(), as_of.as_deref())?)
            }
            Statement::Declare {
                name,
                statement,
                hold,
            } => {
                let query = Box::new(self.statement(statement)?);
                Plan::Declare {
                    name: fold(name),
                    query,
                    hold: *hold,
                }
            }
            Statement::Fetch {
                name,
                count,
                timeout,
            } => {
                let timeout = timeout.as_deref().map(timeout_micros).transpose()?;
                Plan::Fetch {
                    name: fold(name),
                    count: *count,
                    timeout,
                }
            }
            Statement::Close(name) => Plan::Close(name.as_ref().map(fold)),
            Statement::Copy(copy) => Plan::Copy(self.copy(copy)?),
            Statement::Begin { read_only } => Plan::Begin {
                read_only: *read_only,
            },
            Statement::Commit { chain } => Plan::Commit { chain: *chain },
            Statement::Rollback { chain } => Plan::Rollback { chain: *chain },
            Statement::Set { name, value, local } => Plan::Set {
                name: name.clone(),
                value: value.clone(),
                local: *local,
            },
            Statement::Reset(name) => Plan::Reset(name.clone()),
            Statement::Show(name) => Plan::Show(name.clone()),
            Statement::Discard(what) => Plan::Discard(what.clone()),
            Statement::Prepare { name, types, sql } => {
                let resolve = |t| types::resolve(t).at(types::position(t)).map(|(ty, _)| ty);
                let types = types.iter().map(resolve).collect::<Result<_, _>>()?;
                Plan::Prepare {
                    name: fold(name),
                    sql: sql.clone(),
                    types,
                }
            }
            Statement::Execute { name, args } => {
                let args = args
                    .iter()
                    .map(|a| self.constant(a, "EXECUTE"))
                    .collect::<Result<_, _>>()?;
                Plan::Execute {
                    name: fold(name),
                    args,
                }
            }
            Statement::Deallocate(name) => Plan::Deallocate(name.as_ref().map(fold)),
            Statement::Nothing { tag, names } => {
                for name in names {
                    names::resolve(self.catalog, self.search_path, name)?;
                }
                Plan::Nothing(tag, vec![])
            }
        })
    }

    /// An expression without rows, with its type.
    pub(crate) fn constant(
        &mut self,
        expr: &Expr,
        clause: &'static str,
    ) -> Result<(ScalarExpr, ScalarType), PlanError> {
        let scope = Scope::default();
        let env = Env::EMPTY.with(Frame::Row(&scope));
        let value = self.expr(expr, &ExprContext::plain(&env, clause))?;
        let value = self.resolve_unknown(value)?;
        let position = value.position;
        let ty = value.ty.scalar.clone();
        match to_plain_scalar(&value.expr) {
            Some(expr) => Ok((expr, ty)),
            None => Err(PlanError::unsupported(format!("a subquery in {clause}")).at(position)),
        }
    }

    pub(crate) fn select_plan(
        &mut self,
        query: &Query,
        as_of: Option<&Expr>,
    ) -> Result<SelectPlan, PlanError> {
        let as_of = as_of.map(|e| self.as_of(e)).transpose()?;
        let plan = self.query(query, &Env::EMPTY)?;
        Ok(self.finish_select(plan, as_of).1)
    }

    /// The lowered plan of a query and its hir.
    fn finish_select(
        &mut self,
        plan: QueryPlan,
        as_of: Option<ScalarExpr>,
    ) -> (HirRel, SelectPlan) {
        let QueryPlan {
            rel,
            project,
            desc,
            order,
            limits,
            arity: _,
        } = plan;
        let finishing = Finishing {
            order_by: order,
            limit: limits.limit,
            offset: limits.offset,
            project,
        };
        let expr = lower(rel.clone());
        let depends_on = self.depends_on.clone();
        (
            rel,
            SelectPlan {
                expr,
                finishing,
                desc,
                depends_on,
                as_of,
            },
        )
    }

    pub(crate) fn as_of(&mut self, expr: &Expr) -> Result<ScalarExpr, PlanError> {
        let position = names::start(sqlparser::ast::Spanned::span(expr));
        let scope = Scope::default();
        let env = Env::EMPTY.with(Frame::Row(&scope));
        let value = self.expr(expr, &ExprContext::plain(&env, "AS OF"))?;
        let value = self.resolve_unknown(value)?;
        let to = match value.scalar() {
            ScalarType::Int16 | ScalarType::Int32 => ScalarType::Int64,
            ScalarType::Date | ScalarType::Timestamp => ScalarType::TimestampTz,
            ty @ (ScalarType::Int64
            | ScalarType::Numeric
            | ScalarType::Text
            | ScalarType::TimestampTz) => ty.clone(),
            other => {
                let message = format!(
                    "AS OF takes a timestamp, not a value of type {}",
                    other.sql_name()
                );
                return Err(PlanError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
            }
        };
        let value = self.explicit_cast(value, &to, Typmod::NONE)?;
        to_plain_scalar(&value.expr)
            .ok_or_else(|| PlanError::unsupported("a subquery in AS OF").at(position))
    }

    pub(crate) fn subscribe(&mut self, subscribe: &Subscribe) -> Result<SubscribePlan, PlanError> {
        let Subscribe {
            target,
            snapshot,
            progress,
            as_of,
            reader,
            up_to,
        } = subscribe;
        let as_of = as_of.as_deref().map(|e| self.as_of(e)).transpose()?;
        let up_to = up_to.as_deref().map(|e| self.as_of(e)).transpose()?;
        self.maintained = Some("SUBSCRIBE");
        let (rel, desc) = match target {
            SubscribeTarget::Name(name) => {
                let object = names::resolve(self.catalog, self.search_path, name)?.clone();
                self.get(&object).at(name.position)?
            }
            SubscribeTarget::Query(query) => self.subquery(query, &Env::EMPTY)?,
        };
        Ok(SubscribePlan {
            expr: lower(rel),
            desc,
            depends_on: self.depends_on.clone(),
            snapshot: *snapshot,
            progress: *progress,
            as_of,
            reader: reader.clone(),
            up_to,
        })
    }

    fn verify(
        &mut self,
        object: Option<&(ObjectType, Name)>,
        as_of: Option<&Expr>,
    ) -> Result<VerifyPlan, PlanError> {
        let object = match object {
            None => None,
            Some((kind, name)) => {
                let object = names::resolve(self.catalog, self.search_path, name)?;
                let fits = match kind {
                    ObjectType::Table => matches!(object.kind, ObjectKind::Table(_)),
                    _ => matches!(object.kind, ObjectKind::MaterializedView(_)),
                };
                if !fits {
                    let wanted = match kind {
                        ObjectType::Table => "table",
                        _ => "materialized view",
                    };
                    return Err(wrong_kind(&object.name, wanted).at(name.position));
                }
                Some(object.id)
            }
        };
        let as_of = as_of.map(|e| self.as_of(e)).transpose()?;
        Ok(VerifyPlan { object, as_of })
    }

    fn explain(&mut self, explain: &Explain) -> Result<ExplainPlan, PlanError> {
        let stage = explain.stage;
        let (rel, select, maintained) = match &explain.target {
            ExplainTarget::Query { query, as_of } => {
                let as_of = as_of.as_deref().map(|e| self.as_of(e)).transpose()?;
                let plan = self.query(query, &Env::EMPTY)?;
                let (rel, select) = self.finish_select(plan, as_of);
                (rel, select, false)
            }
            ExplainTarget::View { name, materialized } => {
                let object = names::resolve(self.catalog, self.search_path, name)?.clone();
                let view = match (&object.kind, materialized) {
                    (ObjectKind::View(view), false)
                    | (ObjectKind::MaterializedView(view), true) => view,
                    (_, true) => {
                        return Err(wrong_kind(&object.name, "materialized view").at(name.position));
                    }
                    (_, false) => return Err(wrong_kind(&object.name, "view").at(name.position)),
                };
                let rel =
                    crate::stored::view_hir(self.catalog, view, self.environment.clone(), None)?;
                let finishing = Finishing {
                    project: (0..view.desc.arity()).collect(),
                    ..Finishing::default()
                };
                let expr: RelExpr = lower(rel.clone());
                let depends_on = view.depends_on.clone();
                let desc = view.desc.clone();
                (
                    rel,
                    SelectPlan {
                        expr,
                        finishing,
                        desc,
                        depends_on,
                        as_of: None,
                    },
                    *materialized,
                )
            }
        };
        Ok(ExplainPlan {
            stage,
            raw: crate::hir::explain::explain(&rel, &|id| self.catalog.full_name(id)),
            select,
            maintained,
        })
    }

    pub(crate) fn copy(&mut self, copy: &crate::parse::Copy) -> Result<CopyPlan, PlanError> {
        crate::dml::copy::plan(self, copy)
    }
}

/// `"x" is not a view` (42809).
pub(crate) fn wrong_kind(name: &str, kind: &str) -> PlanError {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    PlanError::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("\"{name}\" is not {article} {kind}"),
    )
}

/// FETCH's timeout: an interval, or a number of seconds.
fn timeout_micros(text: &str) -> Result<u64, PlanError> {
    let arena = everview_repr::RowArena::new();
    let text = match text.trim().parse::<f64>() {
        Ok(_) => format!("{} seconds", text.trim()),
        Err(_) => text.to_string(),
    };
    let value = everview_repr::text::parse(&ScalarType::Interval, &text, &arena)?;
    let everview_repr::Datum::Interval(interval) = value else {
        return Err(PlanError::syntax("a timeout is an interval"));
    };
    let days = i64::from(interval.months) * 30 + i64::from(interval.days);
    let micros = days
        .saturating_mul(86_400_000_000)
        .saturating_add(interval.micros);
    u64::try_from(micros).map_err(|_| {
        PlanError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("the timeout {text} is negative"),
        )
    })
}
