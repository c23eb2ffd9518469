//! An outer join under a predicate that rejects NULLs is an inner join.
//!
//! Decorrelation and outer joins pad rows without a partner with literal NULLs, in a branch of a union. Where a
//! predicate above is never true of NULL in such a column, the branch gives nothing and goes. No predicate moves,
//! so that nothing is evaluated for other rows than before.

use super::predicate::{made_null, rejected};
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::Datum;
use std::collections::BTreeSet;

pub(super) fn apply(expr: RelExpr) -> RelExpr {
    prune(expr, BTreeSet::new())
}

/// The expression, with or without those rows that hold NULL in one of these columns.
fn prune(expr: RelExpr, columns: BTreeSet<usize>) -> RelExpr {
    match expr {
        RelExpr::Filter { input, predicates } => {
            let mut columns = columns;
            columns.extend(predicates.iter().flat_map(rejected));
            prune(*input, columns).filter(predicates)
        }
        RelExpr::Project { input, outputs } => {
            let columns = columns.into_iter().map(|c| outputs[c]).collect();
            prune(*input, columns).project(outputs)
        }
        RelExpr::Map { input, scalars } => prune_map(*input, scalars, columns),
        RelExpr::Join {
            inputs,
            equivalences,
        } => prune_join(inputs, equivalences, columns),
        RelExpr::Reduce {
            input,
            group_key,
            aggregates,
        } => {
            let keys = columns.iter().filter_map(|c| group_key.get(*c));
            let columns = keys.flat_map(made_null).collect();
            RelExpr::Reduce {
                input: Box::new(prune(*input, columns)),
                group_key,
                aggregates,
            }
        }
        RelExpr::Union { inputs } => RelExpr::Union {
            inputs: inputs
                .into_iter()
                .map(|input| prune(input, columns.clone()))
                .collect(),
        },
        RelExpr::Negate { input } => prune(*input, columns).negate(),
        RelExpr::Threshold { input } => prune(*input, columns).threshold(),
        RelExpr::Let { id, value, body } => RelExpr::Let {
            id,
            value: Box::new(prune(*value, BTreeSet::new())),
            body: Box::new(prune(*body, columns)),
        },
        mut other => {
            for child in other.children_mut() {
                let taken = std::mem::replace(child, RelExpr::unit());
                *child = prune(taken, BTreeSet::new());
            }
            other
        }
    }
}

fn prune_map(input: RelExpr, scalars: Vec<ScalarExpr>, mut columns: BTreeSet<usize>) -> RelExpr {
    let arity = input.arity();
    for (at, scalar) in scalars.iter().enumerate().rev() {
        if !columns.remove(&(arity + at)) {
            continue;
        }
        if scalar.as_literal() == Some(Datum::Null) {
            return RelExpr::empty(input.map(scalars).ty());
        }
        columns.extend(made_null(scalar));
    }
    prune(input, columns).map(scalars)
}

fn prune_join(
    inputs: Vec<RelExpr>,
    equivalences: Vec<Vec<ScalarExpr>>,
    mut columns: BTreeSet<usize>,
) -> RelExpr {
    for class in &equivalences {
        if class.iter().any(|e| !made_null(e).is_disjoint(&columns)) {
            // Everything equal to NULL is NULL.
            columns.extend(class.iter().filter_map(|e| match e {
                ScalarExpr::Column(c) => Some(*c),
                _ => None,
            }));
        }
    }
    let mut start = 0;
    let inputs = inputs.into_iter().map(|input| {
        let end = start + input.arity();
        let own = columns.range(start..end).map(|c| c - start).collect();
        start = end;
        prune(input, own)
    });
    RelExpr::Join {
        inputs: inputs.collect(),
        equivalences,
    }
}
