//! VALUES lists.

use crate::error::PlanError;
use crate::hir::{HirRel, HirScalar};
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::query::Body;
use crate::query::build::{map, unit};
use crate::scope::{Env, Frame, Scope};
use crate::typed::{self, Typed};
use everview_expr::RelationType;
use everview_repr::{ColumnType, Datum, RelationDesc, Row, Typmod};
use sqlparser::ast::{Spanned, Values};

impl Planner<'_> {
    /// The expressions of a VALUES list, rows of one length.
    pub(crate) fn value_rows(
        &mut self,
        values: &Values,
        env: &Env<'_>,
    ) -> Result<Vec<Vec<Typed>>, PlanError> {
        let Values {
            explicit_row,
            value_keyword,
            rows,
        } = values;
        if *explicit_row || *value_keyword {
            return Err(PlanError::syntax("syntax error at or near \"row\""));
        }
        let scope = Scope::default();
        let env = env.with(Frame::Row(&scope));
        let cx = ExprContext::plain(&env, "VALUES");
        let mut out: Vec<Vec<Typed>> = Vec::with_capacity(rows.len());
        for row in rows {
            let row = &row.content;
            if out.first().is_some_and(|first| first.len() != row.len()) {
                return Err(
                    PlanError::syntax("VALUES lists must all be the same length")
                        .at(row.first().and_then(|e| names::start(e.span()))),
                );
            }
            out.push(
                row.iter()
                    .map(|e| self.expr(e, &cx))
                    .collect::<Result<_, _>>()?,
            );
        }
        Ok(out)
    }

    pub(super) fn values(&mut self, values: &Values, env: &Env<'_>) -> Result<Body, PlanError> {
        let mut rows = self.value_rows(values, env)?;
        let width = rows.first().map_or(0, Vec::len);
        let mut columns = Vec::new();
        for column in 0..width {
            let mut taken: Vec<Typed> = rows
                .iter_mut()
                .map(|r| std::mem::replace(&mut r[column], empty()))
                .collect();
            if rows.len() > 1 || !taken[0].is_unknown() {
                taken = self.in_common_type(taken, "VALUES")?;
            }
            for (row, value) in rows.iter_mut().zip(taken) {
                row[column] = value;
            }
        }
        for column in 0..width {
            columns.push((
                format!("column{}", column + 1),
                column_type(rows.iter().map(|r| &r[column].ty)),
            ));
        }
        let desc = RelationDesc::new(columns);
        if let [row] = rows.as_mut_slice() {
            // A single row keeps its values open for the context's types.
            let values = std::mem::take(row);
            let outputs = values
                .into_iter()
                .zip(&desc.columns)
                .map(|(value, c)| super::Output {
                    value,
                    name: c.name.clone(),
                    origin: None,
                });
            let outputs = outputs.collect();
            return Ok(Body {
                rel: unit(),
                arity: 0,
                outputs,
                order: vec![],
                keys: vec![vec![]],
            });
        }
        let types = desc.types();
        let rows = rows
            .into_iter()
            .map(|r| r.into_iter().map(|v| v.expr).collect())
            .collect();
        Ok(Body::of(rows_relation(rows, types), &desc))
    }
}

fn empty() -> Typed {
    Typed::literal(Datum::Null, everview_repr::ScalarType::Unknown, None)
}

/// The type of a column of several values of one scalar type.
pub(crate) fn column_type<'t>(types: impl Iterator<Item = &'t ColumnType>) -> ColumnType {
    let mut out: Option<ColumnType> = None;
    for ty in types {
        match &mut out {
            None => out = Some(ty.clone()),
            Some(out) => {
                out.nullable |= ty.nullable;
                if out.typmod != ty.typmod {
                    out.typmod = Typmod::NONE;
                }
            }
        }
    }
    out.unwrap_or_else(|| everview_repr::ScalarType::Text.nullable())
}

/// Rows of expressions as a relation: constant ones in one node, the others computed.
pub(crate) fn rows_relation(rows: Vec<Vec<HirScalar>>, columns: Vec<ColumnType>) -> HirRel {
    let mut constant = Vec::new();
    let mut inputs = Vec::new();
    for row in rows {
        match row.iter().map(constant_value).collect::<Option<Vec<Row>>>() {
            Some(values) => constant.push((Row::pack(values.iter().map(|v| v.first())), 1)),
            None => inputs.push(map(unit(), row)),
        }
    }
    let mut ty = RelationType::new(columns);
    if constant.len() == 1 {
        ty.keys.push(vec![]);
    }
    if !constant.is_empty() || inputs.is_empty() {
        inputs.insert(0, HirRel::Constant { rows: constant, ty });
    }
    match inputs.len() {
        1 => inputs.remove(0),
        _ => HirRel::Union { inputs },
    }
}

/// The value of an expression that reads nothing and cannot change; none where it fails.
fn constant_value(expr: &HirScalar) -> Option<Row> {
    match expr {
        HirScalar::Literal(row, _) => Some(row.clone()),
        _ => {
            let expr = crate::query::limit::to_scalar(expr)?;
            typed::evaluate(&expr).ok()
        }
    }
}
