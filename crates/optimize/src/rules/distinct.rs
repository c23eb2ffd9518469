//! Removes DISTINCT over rows that a key keeps apart already.

use everview_expr::{RelExpr, ScalarExpr};

pub(super) fn apply(mut expr: RelExpr) -> RelExpr {
    expr.visit_mut_post(&mut |e| {
        let RelExpr::Reduce {
            input,
            group_key,
            aggregates,
        } = e
        else {
            return;
        };
        let column = |k: &ScalarExpr| match k {
            ScalarExpr::Column(c) => Some(*c),
            _ => None,
        };
        let Some(columns) = group_key.iter().map(column).collect::<Option<Vec<_>>>() else {
            return;
        };
        let apart = |key: &Vec<usize>| key.iter().all(|c| columns.contains(c));
        if aggregates.is_empty() && !columns.is_empty() && input.ty().keys.iter().any(apart) {
            let input = std::mem::replace(&mut **input, RelExpr::unit());
            *e = input.project(columns);
        }
    });
    expr
}
