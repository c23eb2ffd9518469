//! Moves predicates towards the leaves, and equalities between the inputs of a join into it.
//!
//! A predicate that can fail moves only where it sees the same rows; [`join`] says which keys are the exception.

use super::failing::{self, Bindings};
use super::predicate::{flatten, is_volatile, substitute};
use everview_expr::{RelExpr, ScalarExpr};

mod join;

pub(super) fn apply(expr: RelExpr) -> RelExpr {
    push(expr, vec![], &mut Bindings::new())
}

/// The expression under these predicates.
fn push(expr: RelExpr, predicates: Vec<ScalarExpr>, bindings: &mut Bindings) -> RelExpr {
    match expr {
        RelExpr::Filter {
            input,
            predicates: own,
        } => {
            let mut all = predicates;
            own.into_iter().for_each(|p| flatten(p, &mut all));
            all.sort();
            all.dedup();
            push(*input, all, bindings)
        }
        RelExpr::Project { input, outputs } => {
            let below = predicates.into_iter().map(|mut p| {
                p.permute(|c| outputs[c]);
                p
            });
            let below = below.collect();
            push(*input, below, bindings).project(outputs)
        }
        RelExpr::Map { input, scalars } => push_map(*input, scalars, predicates, bindings),
        RelExpr::FlatMap {
            input,
            func,
            args,
            types,
            columns,
            ordinality,
        } => {
            let arity = input.arity();
            let total = total(&input, &predicates, bindings);
            let (below, above) = split(predicates, |p| within(p, 0..arity) && total(p));
            let input = Box::new(push(*input, below, bindings));
            RelExpr::FlatMap {
                input,
                func,
                args,
                types,
                columns,
                ordinality,
            }
            .filter(above)
        }
        RelExpr::Join {
            inputs,
            equivalences,
        } => join::push(inputs, equivalences, predicates, bindings),
        RelExpr::Union { inputs } => {
            // Rows that cancel out are not there to fail.
            let cancels = inputs.iter().any(can_negate);
            let union = RelExpr::Union { inputs };
            let (below, above) = match cancels {
                true => {
                    let total = total(&union, &predicates, bindings);
                    split(predicates, total)
                }
                false => split_by_row(&union, predicates, |_| true, bindings),
            };
            let RelExpr::Union { inputs } = union else {
                return union.filter(above);
            };
            let inputs = inputs
                .into_iter()
                .map(|i| push(i, below.clone(), bindings))
                .collect();
            RelExpr::Union { inputs }.filter(above)
        }
        RelExpr::Negate { input } => {
            let (below, above) = split_by_row(&input, predicates, |_| true, bindings);
            push(*input, below, bindings).negate().filter(above)
        }
        RelExpr::Threshold { input } => {
            // All columns are the key, but only bytes that say the same may be filtered before rows are told apart.
            let all: Vec<usize> = (0..input.arity()).collect();
            let (below, above) = split_by_group(&input, &all, predicates, bindings);
            push(*input, below, bindings).threshold().filter(above)
        }
        RelExpr::Reduce {
            input,
            group_key,
            aggregates,
        } => {
            let types = input.ty().columns;
            let failing = failing::columns(&input, bindings);
            let keys = group_key.len();
            let exact = |p: &ScalarExpr| {
                !p.can_fail()
                    && p.columns().iter().all(|c| {
                        *c < keys
                            && !is_volatile(&group_key[*c])
                            && !failing::expression(&group_key[*c], &failing)
                            && !group_key[*c].ty(&types).scalar.key_loses_identity()
                    })
            };
            let (below, above) = split(predicates, exact);
            let below = below
                .into_iter()
                .map(|p| substitute(p, &group_key))
                .collect();
            let input = Box::new(push(*input, below, bindings));
            RelExpr::Reduce {
                input,
                group_key,
                aggregates,
            }
            .filter(above)
        }
        RelExpr::TopK {
            input,
            group_key,
            order_key,
            limit,
            offset,
        } => {
            let (below, above) = split_by_group(&input, &group_key, predicates, bindings);
            let input = Box::new(push(*input, below, bindings));
            RelExpr::TopK {
                input,
                group_key,
                order_key,
                limit,
                offset,
            }
            .filter(above)
        }
        RelExpr::Window { input, functions } => {
            let shared = (0..input.arity()).filter(|c| {
                functions
                    .iter()
                    .all(|f| f.partition_by.contains(&ScalarExpr::Column(*c)))
            });
            let shared: Vec<usize> = shared.collect();
            let (below, above) = split_by_group(&input, &shared, predicates, bindings);
            let input = Box::new(push(*input, below, bindings));
            RelExpr::Window { input, functions }.filter(above)
        }
        RelExpr::Let { id, value, body } => {
            let value = Box::new(push(*value, vec![], bindings));
            bindings.insert(id, failing::columns(&value, bindings));
            let body = Box::new(push(*body, predicates, bindings));
            RelExpr::Let { id, value, body }
        }
        mut other => {
            for child in other.children_mut() {
                let taken = std::mem::replace(child, RelExpr::unit());
                *child = push(taken, vec![], bindings);
            }
            other.filter(predicates)
        }
    }
}

/// Whether multiplicities can be negative.
fn can_negate(expr: &RelExpr) -> bool {
    match expr {
        RelExpr::Negate { .. } => true,
        RelExpr::Reduce { .. } | RelExpr::TopK { .. } | RelExpr::Window { .. } => false,
        RelExpr::Threshold { .. } => false,
        RelExpr::Constant { rows: Ok(rows), .. } => rows.iter().any(|(_, diff)| *diff < 0),
        RelExpr::Let { body, .. } => can_negate(body),
        other => other.children().into_iter().any(can_negate),
    }
}

/// One over mapped columns passes if it can read what they are made of.
fn push_map(
    input: RelExpr,
    scalars: Vec<ScalarExpr>,
    predicates: Vec<ScalarExpr>,
    bindings: &mut Bindings,
) -> RelExpr {
    if scalars.is_empty() {
        return push(input, predicates, bindings);
    }
    let arity = input.arity();
    let mut by: Vec<ScalarExpr> = (0..arity).map(ScalarExpr::Column).collect();
    let mut open = vec![true; arity];
    for scalar in &scalars {
        let plain = matches!(scalar, ScalarExpr::Column(_) | ScalarExpr::Literal(..));
        open.push(plain && scalar.columns().iter().all(|c| open[*c]));
        by.push(substitute(scalar.clone(), &by));
    }
    let mapped = input.map(scalars);
    let readable = |p: &ScalarExpr| p.columns().iter().all(|c| open[*c]);
    let (below, above) = split_by_row(&mapped, predicates, readable, bindings);
    let RelExpr::Map { input, scalars } = mapped else {
        return mapped.filter(above);
    };
    let below = below.into_iter().map(|p| substitute(p, &by)).collect();
    push(*input, below, bindings).map(scalars).filter(above)
}

/// Splits off those that satisfy the condition where the node below sees every row by itself. One that can fail
/// moves only together with all others, since another one may be false where it fails.
fn split_by_row(
    input: &RelExpr,
    predicates: Vec<ScalarExpr>,
    condition: impl Fn(&ScalarExpr) -> bool,
    bindings: &Bindings,
) -> (Vec<ScalarExpr>, Vec<ScalarExpr>) {
    let total = total(input, &predicates, bindings);
    let (below, above) = split(predicates, condition);
    if above.is_empty() {
        return (below, above);
    }
    let (below, failing): (Vec<_>, Vec<_>) = below.into_iter().partition(|p| total(p));
    (below, above.into_iter().chain(failing).collect())
}

/// Splits off those that are decided by the group alone: over columns of its key that keep identity.
fn split_by_group(
    input: &RelExpr,
    group: &[usize],
    predicates: Vec<ScalarExpr>,
    bindings: &Bindings,
) -> (Vec<ScalarExpr>, Vec<ScalarExpr>) {
    if predicates.is_empty() {
        return (vec![], vec![]);
    }
    let types = input.ty().columns;
    let total = total(input, &predicates, bindings);
    split(predicates, |p| {
        let exact = |c: &usize| group.contains(c) && !types[*c].scalar.key_loses_identity();
        total(p) && p.columns().iter().all(exact)
    })
}

/// Whether a predicate over these rows gives no errors.
fn total(
    input: &RelExpr,
    predicates: &[ScalarExpr],
    bindings: &Bindings,
) -> impl Fn(&ScalarExpr) -> bool + use<> {
    let failing = if predicates.is_empty() {
        vec![]
    } else {
        failing::columns(input, bindings)
    };
    move |p| {
        !p.can_fail()
            && p.columns()
                .iter()
                .all(|c| !failing.get(*c).copied().unwrap_or(false))
    }
}

/// Predicates that satisfy the condition, and the rest.
fn split(
    predicates: Vec<ScalarExpr>,
    condition: impl Fn(&ScalarExpr) -> bool,
) -> (Vec<ScalarExpr>, Vec<ScalarExpr>) {
    // Without columns a predicate may as well stay: it is folded, or holds for all rows alike.
    predicates
        .into_iter()
        .partition(|p| !p.columns().is_empty() && !is_volatile(p) && condition(p))
}

fn within(predicate: &ScalarExpr, range: std::ops::Range<usize>) -> bool {
    predicate.columns().iter().all(|c| range.contains(c))
}
