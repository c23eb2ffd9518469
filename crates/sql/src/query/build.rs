//! Small pieces that queries are put together from.

use crate::error::PlanError;
use crate::hir::{HirRel, HirScalar};
use crate::names;
use everview_expr::{LocalId, RelationType};
use everview_repr::{ColumnOrder, ColumnType, Datum, RelationDesc, Row, SqlState};
use sqlparser::ast::{Expr, Query, SetExpr, TableAlias};

/// An order that ends in all columns, the outputs first.
pub(crate) fn with_tie_break(
    mut order: Vec<ColumnOrder>,
    first: &[usize],
    arity: usize,
) -> Vec<ColumnOrder> {
    for column in first.iter().copied().chain(0..arity) {
        if !order.iter().any(|o| o.column == column) {
            order.push(ColumnOrder::ascending(column));
        }
    }
    order
}

/// Appends columns, if there are any.
pub(crate) fn map(input: HirRel, scalars: Vec<HirScalar>) -> HirRel {
    if scalars.is_empty() {
        input
    } else {
        HirRel::Map {
            input: Box::new(input),
            scalars,
        }
    }
}

/// Keeps rows, if there is a condition.
pub(crate) fn filter(input: HirRel, predicates: Vec<HirScalar>) -> HirRel {
    if predicates.is_empty() {
        input
    } else {
        HirRel::Filter {
            input: Box::new(input),
            predicates,
        }
    }
}

/// Picks columns, unless it is all of them.
pub(crate) fn project(input: HirRel, outputs: Vec<usize>, arity: usize) -> HirRel {
    if outputs.iter().copied().eq(0..arity) {
        return input;
    }
    HirRel::Project {
        input: Box::new(input),
        outputs,
    }
}

/// One row without columns.
pub(crate) fn unit() -> HirRel {
    let ty = RelationType {
        columns: vec![],
        keys: vec![vec![]],
        append_only: true,
    };
    HirRel::Constant {
        rows: vec![(Row::default(), 1)],
        ty,
    }
}

/// Puts WITH queries around their body.
pub(crate) fn bind(bindings: Vec<(LocalId, HirRel)>, body: HirRel) -> HirRel {
    bindings
        .into_iter()
        .rev()
        .fold(body, |body, (id, value)| HirRel::Let {
            id,
            value: Box::new(value),
            body: Box::new(body),
        })
}

/// Gives a relation's columns the names of an alias's column list.
pub(crate) fn rename_columns(
    desc: &mut RelationDesc,
    alias: &TableAlias,
    what: &str,
) -> Result<(), PlanError> {
    let name = names::fold(&alias.name);
    if alias.columns.len() > desc.columns.len() {
        let message = format!(
            "{what} \"{name}\" has {} columns available but {} columns specified",
            desc.columns.len(),
            alias.columns.len()
        );
        return Err(
            PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(names::at(&alias.name))
        );
    }
    for (column, given) in desc.columns.iter_mut().zip(&alias.columns) {
        if given.data_type.is_some() {
            let message =
                "a column definition list is only allowed for functions returning \"record\"";
            return Err(PlanError::syntax(message).at(names::at(&given.name)));
        }
        column.name = names::fold(&given.name);
    }
    Ok(())
}

/// The VALUES list that a query is, and nothing else.
pub(crate) fn is_values(query: &Query) -> Option<&sqlparser::ast::Values> {
    let plain = query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty();
    match &*query.body {
        SetExpr::Values(values) if plain => Some(values),
        _ => None,
    }
}

/// A constant NULL of a type.
pub(crate) fn null(ty: &ColumnType) -> HirScalar {
    HirScalar::Literal(Row::pack([Datum::Null]), ty.clone().with_nullable(true))
}

/// Whether an expression is the integer of ORDER BY 1 and GROUP BY 1.
pub(crate) fn ordinal(expr: &Expr) -> Option<i64> {
    let Expr::Value(value) = expr else {
        return None;
    };
    match &value.value {
        sqlparser::ast::Value::Number(digits, _) => digits.parse().ok(),
        _ => None,
    }
}
