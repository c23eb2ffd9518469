//! Producers and readers in SQL: `everview.open_producer(name)`, `everview.begin_batch(name, epoch, sequence)`,
//! `everview.ack(reader, t)`, `everview.drop_reader(reader)`.
//!
//! The functions act on the session's transaction and not on rows: each is a statement of its own in the shape of
//! a SELECT, so that any driver and pooler can send it, and is refused everywhere else.

use crate::error::{At, PlanError};
use crate::functions;
use crate::names::{self, Name};
use crate::plan::{Plan, ProducerCall, ReaderCall};
use crate::planner::{ExprContext, Planner};
use crate::query::limit::to_plain_scalar;
use crate::scope::{Env, Frame, Scope};
use everview_expr::ScalarExpr;
use everview_repr::{RelationDesc, ScalarType, SqlState};
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SelectItem, SetExpr,
};

/// The schema of the functions.
const SCHEMA: &str = "everview";
const OPEN: &str = "open_producer";
const BEGIN: &str = "begin_batch";
const ACK: &str = "ack";
const DROP_READER: &str = "drop_reader";

/// The error for one of the functions where it does not stand alone; none for any other name.
pub(crate) fn misplaced(name: &Name) -> Option<PlanError> {
    let ours = name.schema.as_deref() == Some(SCHEMA)
        && [OPEN, BEGIN, ACK, DROP_READER].contains(&&*name.name);
    ours.then(|| {
        PlanError::unsupported(format!("{name} within a larger query"))
            .with_hint(format!("It is a statement of its own: SELECT {name}(...)."))
            .at(name.position)
    })
}

impl Planner<'_> {
    /// The call that a query consists of.
    pub(crate) fn producer_call(&mut self, query: &Query) -> Result<Option<Plan>, PlanError> {
        let Some((function, column)) = sole_call(query) else {
            return Ok(None);
        };
        let name = Name::new(&function.name)?;
        if misplaced(&name).is_none() {
            return Ok(None);
        }
        let given = arguments(function);
        let types: &[ScalarType] = match name.name.as_str() {
            OPEN | DROP_READER => &[ScalarType::Text],
            ACK => &[ScalarType::Text, ScalarType::Numeric],
            _ => &[ScalarType::Text, ScalarType::Int64, ScalarType::Int64],
        };
        let Some(given) = given.filter(|given| given.len() == types.len()) else {
            let types: Vec<_> = types.iter().map(ScalarType::sql_name).collect();
            let message = format!("{name} takes the arguments ({})", types.join(", "));
            return Err(PlanError::new(SqlState::UNDEFINED_FUNCTION, message).at(name.position));
        };
        let scope = Scope::default();
        let env = Env::EMPTY.with(Frame::Row(&scope));
        let context = ExprContext::plain(&env, "an argument of a statement");
        let mut args = Vec::new();
        for expr in given {
            args.push(self.expr(expr, &context)?);
        }
        let typed = args.clone();
        let args = self
            .coerce_all(args, types)
            .map_err(|_| functions::no_function(&name.to_string(), &typed));
        let mut plain = Vec::new();
        for arg in args.at(name.position)? {
            let expr = to_plain_scalar(&arg.expr);
            plain.push(expr.ok_or_else(|| {
                PlanError::unsupported(format!("a subquery in {name}")).at(arg.position)
            })?);
        }
        let called = name.name.clone();
        let column = column.unwrap_or(name.name);
        let mut plain = plain.into_iter();
        if [ACK, DROP_READER].contains(&&*called) {
            return Ok(reader_call(column, plain));
        }
        let call = match (plain.next(), plain.next(), plain.next()) {
            (Some(producer), Some(epoch), Some(sequence)) => ProducerCall::Begin {
                producer,
                epoch,
                sequence,
            },
            (Some(producer), None, None) => ProducerCall::Open { producer },
            _ => return Ok(None),
        };
        let ty = match call {
            ProducerCall::Open { .. } => ScalarType::Int64.not_null(),
            ProducerCall::Begin { .. } => ScalarType::Int64.nullable(),
        };
        let desc = RelationDesc::new([(column, ty)]);
        Ok(Some(Plan::Producer { call, desc }))
    }
}

/// The plan of a call that is about a reader.
fn reader_call(column: String, mut args: impl Iterator<Item = ScalarExpr>) -> Option<Plan> {
    let reader = args.next()?;
    let (call, ty) = match args.next() {
        Some(at) => (
            ReaderCall::Acknowledge { reader, at },
            ScalarType::Int64.not_null(),
        ),
        None => (ReaderCall::Drop { reader }, ScalarType::Bool.not_null()),
    };
    let desc = RelationDesc::new([(column, ty)]);
    Some(Plan::Reader { call, desc })
}

/// The only item of a SELECT that has nothing else, if it is a call, and its alias.
fn sole_call(query: &Query) -> Option<(&Function, Option<String>)> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let [item] = select.projection.as_slice() else {
        return None;
    };
    let (function, alias) = match item {
        SelectItem::UnnamedExpr(Expr::Function(function)) => (function, None),
        SelectItem::ExprWithAlias {
            expr: Expr::Function(function),
            alias,
        } => (function, Some(names::fold(alias))),
        _ => return None,
    };
    if function.name.0.len() < 2 {
        return None;
    }
    // Whatever else a query may have, it would print it.
    (query.to_string() == format!("SELECT {item}")).then_some((function, alias))
}

/// Plain arguments; none if they are anything else.
fn arguments(function: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let plain = function.over.is_none()
        && function.filter.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty()
        && list.duplicate_treatment.is_none()
        && list.clauses.is_empty();
    let args = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    plain.then(|| args.collect::<Option<_>>())?
}
