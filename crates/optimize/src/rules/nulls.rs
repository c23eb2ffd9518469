//! `x IS NULL` of what is never NULL is false; of a strict expression it says so of its columns.
//!
//! An expression that can fail stays: IS NULL of an error is that error.

use super::failing::{self, Bindings};
use super::predicate::null_sources;
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::{ColumnType, Datum, ScalarType};

pub(super) fn apply(mut expr: RelExpr) -> RelExpr {
    decide(&mut expr, &mut Bindings::new());
    expr
}

fn decide(expr: &mut RelExpr, bindings: &mut Bindings) {
    if let RelExpr::Let { id, value, body } = expr {
        decide(value, bindings);
        bindings.insert(*id, failing::columns(value, bindings));
        return decide(body, bindings);
    }
    for child in expr.children_mut() {
        decide(child, bindings);
    }
    let asks = |e: &ScalarExpr| {
        let mut found = false;
        e.visit(&mut |e| found |= matches!(e, ScalarExpr::IsNull(_)));
        found
    };
    match expr {
        RelExpr::Filter { input, predicates } if predicates.iter().any(asks) => {
            let (types, failing) = (input.ty().columns, failing::columns(input, bindings));
            for predicate in predicates {
                decide_scalar(predicate, &types, &failing);
            }
        }
        RelExpr::Map { input, scalars } if scalars.iter().any(asks) => {
            let mut types = input.ty().columns;
            let mut failing = failing::columns(input, bindings);
            for scalar in scalars {
                decide_scalar(scalar, &types, &failing);
                failing.push(failing::expression(scalar, &failing));
                types.push(scalar.ty(&types));
            }
        }
        _ => {}
    }
}

fn decide_scalar(scalar: &mut ScalarExpr, types: &[ColumnType], failing: &[bool]) {
    scalar.visit_mut_post(&mut |e| {
        let ScalarExpr::IsNull(arg) = e else { return };
        if failing::expression(arg, failing) {
            return;
        }
        if !arg.ty(types).nullable {
            *e = ScalarExpr::literal(Datum::Bool(false), ScalarType::Bool);
        } else if !matches!(**arg, ScalarExpr::Column(_))
            && let Some(sources) = null_sources(arg)
        {
            let null = sources
                .into_iter()
                .filter(|c| types[*c].nullable)
                .map(|c| ScalarExpr::IsNull(Box::new(ScalarExpr::Column(c))));
            *e = ScalarExpr::Or(null.collect());
        }
    });
}
