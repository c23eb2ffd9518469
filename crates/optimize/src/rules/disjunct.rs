//! Under DISTINCT a disjunction is a union, so that an equality in it can become a join's key.
//!
//! `a NOT IN (SELECT b ...)` leaves `a = b OR a IS NULL OR b IS NULL` over a product, where a or b can be NULL.

use super::failing::{self, Bindings};
use super::predicate::{equality, is_volatile};
use everview_expr::{RelExpr, ScalarExpr};

/// Each operand repeats the inputs.
const MOST_OPERANDS: usize = 4;

pub(super) fn apply(mut expr: RelExpr) -> RelExpr {
    walk(&mut expr, &mut Bindings::new());
    expr
}

fn walk(expr: &mut RelExpr, bindings: &mut Bindings) {
    if let RelExpr::Let { id, value, body } = expr {
        walk(value, bindings);
        bindings.insert(*id, failing::columns(value, bindings));
        return walk(body, bindings);
    }
    for child in expr.children_mut() {
        walk(child, bindings);
    }
    if let RelExpr::Reduce {
        input, aggregates, ..
    } = expr
        && aggregates.is_empty()
        && let Some(apart) = apart(input, bindings)
    {
        **input = apart;
    }
}

/// The union that has the same distinct rows.
fn apart(expr: &RelExpr, bindings: &Bindings) -> Option<RelExpr> {
    match expr {
        RelExpr::Project { input, outputs } => {
            let RelExpr::Union { inputs } = apart(input, bindings)? else {
                return None;
            };
            let inputs = inputs.into_iter().map(|i| i.project(outputs.clone()));
            Some(RelExpr::Union {
                inputs: inputs.collect(),
            })
        }
        RelExpr::Filter { input, predicates } if matches!(**input, RelExpr::Join { .. }) => {
            let failing = failing::columns(input, bindings);
            let (at, operands) = predicates.iter().enumerate().find_map(|(at, p)| {
                let operands = operands(p);
                let joins = |e: &ScalarExpr| {
                    equality(e).is_some_and(|(a, b)| {
                        let (a, b) = (a.columns(), b.columns());
                        !a.is_empty() && !b.is_empty() && a.is_disjoint(&b)
                    })
                };
                let total = |e: &ScalarExpr| !failing::expression(e, &failing) && !is_volatile(e);
                let fits = (2..=MOST_OPERANDS).contains(&operands.len())
                    && operands.iter().any(joins)
                    && operands.iter().all(total);
                fits.then_some((at, operands))
            })?;
            let inputs = operands.into_iter().map(|operand| {
                let mut predicates = predicates.clone();
                predicates[at] = operand;
                (**input).clone().filter(predicates)
            });
            Some(RelExpr::Union {
                inputs: inputs.collect(),
            })
        }
        _ => None,
    }
}

/// The operands of a disjunction, those within operands included.
fn operands(predicate: &ScalarExpr) -> Vec<ScalarExpr> {
    match predicate {
        ScalarExpr::Or(args) => args.iter().flat_map(operands).collect(),
        other => vec![other.clone()],
    }
}
