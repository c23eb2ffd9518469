//! The past in SQL: AS OF by itself, before anything else of its statement is planned, and `everview.changes(...)`.
//!
//! `everview.changes('name', from, to)` in FROM is a relation that the coordinator fills before the query runs. Its
//! columns are those of the object named, so the name must be a literal.

use crate::error::{At, PlanError};
use crate::hir::{HirRel, HirScalar};
use crate::names::{self, Name};
use crate::parse::{self, CopySource, Parsed, Statement, Subscribe};
use crate::plan::{CopyPlan, Plan};
use crate::planner::{ExprContext, PlanContext, Planner};
use crate::query::from::{Item, function_names};
use crate::scope::{Env, Frame, Scope};
use everview_expr::{Id, RelExpr, RelationType, ScalarExpr};
use everview_repr::{ColumnDesc, Datum, GlobalId, RelationDesc, ScalarType, SqlState};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, TableAlias};

/// `everview.changes` in a statement: the changes of a relation after one time and up to another.
#[derive(Clone, Debug)]
pub struct ChangesCall {
    /// What stands for its rows in the plan; no object has this id.
    pub id: GlobalId,
    /// The relation whose changes they are.
    pub relation: GlobalId,
    /// Its columns, without `everview_timestamp` and `everview_diff`, which come first.
    pub desc: RelationDesc,
    /// Changes after this time: a constant expression as in AS OF.
    pub from: ScalarExpr,
    /// Up to this time, included; without it, or NULL, up to now.
    pub to: Option<ScalarExpr>,
}

impl Parsed {
    /// The reader that it goes on for.
    pub fn reader(&self) -> Option<&str> {
        self.statement().and_then(subscribe)?.reader.as_deref()
    }

    /// Whether it says AS OF which time it is to be.
    pub fn is_as_of(&self) -> bool {
        self.statement().is_some_and(|s| as_of(s).is_some())
    }
}

/// The time of a statement's AS OF: a constant expression; none if it has none.
pub fn plan_as_of(
    parsed: &Parsed,
    context: &PlanContext<'_>,
) -> Result<Option<ScalarExpr>, PlanError> {
    parsed.with_statement(|statement| {
        let mut planner = Planner::new(context, &parsed.marks);
        as_of(statement).map(|e| planner.as_of(e)).transpose()
    })
}

fn as_of(statement: &Statement) -> Option<&Expr> {
    match statement {
        Statement::Query { as_of, .. } => as_of.as_deref(),
        Statement::Declare { statement, .. } => as_of(statement),
        Statement::Copy(copy) => match &copy.source {
            CopySource::Query { as_of, .. } => as_of.as_deref(),
            _ => subscribe(statement)?.as_of.as_deref(),
        },
        _ => subscribe(statement)?.as_of.as_deref(),
    }
}

/// The SUBSCRIBE that a statement comes to.
fn subscribe(statement: &Statement) -> Option<&Subscribe> {
    match statement {
        Statement::Subscribe(subscribe) => Some(subscribe),
        Statement::Declare { statement, .. } => subscribe(statement),
        Statement::Copy(copy) => match &copy.source {
            CopySource::Subscribe(subscribe) => Some(subscribe),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a name is that of the function.
pub(crate) fn is_changes(name: &Name) -> bool {
    name.schema.as_deref() == Some("everview") && name.name == "changes"
}

impl Plan {
    /// The queries in it over which it runs.
    pub fn relations_mut(&mut self) -> Vec<&mut RelExpr> {
        match self {
            Plan::Select(select) => vec![&mut select.expr],
            Plan::Explain(explain) => vec![&mut explain.select.expr],
            Plan::Insert(insert) => vec![&mut insert.source],
            Plan::Update(update) => vec![&mut update.source],
            Plan::Delete(delete) => vec![&mut delete.source],
            Plan::Copy(CopyPlan::To { select, .. }) => vec![&mut select.expr],
            Plan::CreateTable(table) => table.source.iter_mut().map(|(e, _)| e).collect(),
            Plan::Declare { query, .. } => query.relations_mut(),
            _ => vec![],
        }
    }
}

impl Planner<'_> {
    /// `everview.changes('name', from [, to])` as a FROM item.
    pub(crate) fn changes_item(
        &mut self,
        name: &Name,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
    ) -> Result<Item, PlanError> {
        if let Some(place) = self.maintained {
            return Err(
                PlanError::unsupported(format!("everview.changes in {place}")).at(name.position),
            );
        }
        let exprs = args.iter().map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        });
        let exprs = exprs.collect::<Option<Vec<_>>>().unwrap_or_default();
        let (object, from, to) = match exprs.as_slice() {
            [object, from] => (*object, *from, None),
            [object, from, to] => (*object, *from, Some(*to)),
            _ => {
                let message = "everview.changes takes the arguments (relation, from [, to])";
                return Err(PlanError::new(SqlState::UNDEFINED_FUNCTION, message).at(name.position));
            }
        };
        let relation = self.relation_named_by(object)?;
        let (_, columns) = self.get(&relation).at(name.position)?;
        let (from, to) = (self.as_of(from)?, to.map(|to| self.as_of(to)).transpose()?);
        let mut desc = RelationDesc::new([
            ("everview_timestamp", ScalarType::Int64.not_null()),
            ("everview_diff", ScalarType::Int64.not_null()),
        ]);
        desc.columns
            .extend(columns.columns.iter().map(|column| ColumnDesc {
                origin: None,
                ..column.clone()
            }));
        let id = GlobalId(u32::MAX - self.changes.len() as u32);
        self.changes.push(ChangesCall {
            id,
            relation: relation.id,
            desc: columns,
            from,
            to,
        });
        let rel = HirRel::Get {
            id: Id::Global(id),
            ty: RelationType::new(desc.types()),
        };
        function_names(rel, desc, false, alias, "changes")
    }

    /// The relation whose name is the value of a literal.
    fn relation_named_by(
        &mut self,
        expr: &Expr,
    ) -> Result<std::sync::Arc<everview_catalog::Object>, PlanError> {
        let scope = Scope::default();
        let env = Env::EMPTY.with(Frame::Row(&scope));
        let value = self.expr(expr, &ExprContext::plain(&env, "everview.changes"))?;
        let position = value.position;
        let text = match &value.expr {
            HirScalar::Literal(row, _) => match row.first() {
                Datum::Text(text) => Some(text.to_string()),
                _ => None,
            },
            _ => None,
        };
        let Some(text) = text else {
            let message = "the relation of everview.changes must be named by a string literal";
            return Err(PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
        };
        let mut name = parse::name(&text).map_err(|e| e.at(position))?;
        name.position = position;
        Ok(names::resolve(self.catalog, self.search_path, &name)?.clone())
    }
}
