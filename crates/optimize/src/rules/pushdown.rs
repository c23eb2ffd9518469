//! Moves predicates towards the leaves, and equalities between the inputs of a join into it.
//!
//! A predicate that can fail moves only where it sees the same rows.

use super::fuse::merge;
use everview_expr::{RelExpr, ScalarExpr, registry};
use std::collections::BTreeSet;

pub(super) fn apply(expr: RelExpr) -> RelExpr {
    push(expr, vec![])
}

/// The expression under these predicates.
fn push(expr: RelExpr, predicates: Vec<ScalarExpr>) -> RelExpr {
    match expr {
        RelExpr::Filter { input, predicates: own } => {
            let mut all = predicates;
            own.into_iter().for_each(|p| flatten(p, &mut all));
            all.sort();
            all.dedup();
            push(*input, all)
        }
        RelExpr::Project { input, outputs } => {
            let below = predicates.into_iter().map(|mut p| {
                p.permute(|c| outputs[c]);
                p
            });
            let below = below.collect();
            push(*input, below).project(outputs)
        }
        RelExpr::Map { input, scalars } => {
            let arity = input.arity();
            let (below, above) = split(predicates, |p| within(p, 0..arity));
            let mapped = push(*input, below).map(scalars);
            mapped.filter(above)
        }
        RelExpr::FlatMap { input, func, args, types, columns, ordinality } => {
            let arity = input.arity();
            let (below, above) = split(predicates, |p| within(p, 0..arity));
            let input = Box::new(push(*input, below));
            RelExpr::FlatMap { input, func, args, types, columns, ordinality }.filter(above)
        }
        RelExpr::Join { inputs, equivalences } => push_join(inputs, equivalences, predicates),
        RelExpr::Union { inputs } => {
            let (below, above) = split(predicates, |_| true);
            let inputs = inputs.into_iter().map(|i| push(i, below.clone())).collect();
            RelExpr::Union { inputs }.filter(above)
        }
        RelExpr::Negate { input } => {
            let (below, above) = split(predicates, |_| true);
            push(*input, below).negate().filter(above)
        }
        RelExpr::Threshold { input } => {
            // All columns are the key, but only bytes that say the same may be filtered before rows are told apart.
            let types = input.ty().columns;
            let exact = |p: &ScalarExpr| p.columns().iter().all(|c| !types[*c].scalar.key_loses_identity());
            let (below, above) = split(predicates, exact);
            push(*input, below).threshold().filter(above)
        }
        RelExpr::Reduce { input, group_key, aggregates } => {
            let types = input.ty().columns;
            let keys = group_key.len();
            let exact = |p: &ScalarExpr| {
                p.columns().iter().all(|c| {
                    *c < keys
                        && !group_key[*c].can_fail()
                        && !group_key[*c].ty(&types).scalar.key_loses_identity()
                })
            };
            let (below, above) = split(predicates, exact);
            let below = below.into_iter().map(|p| substitute(p, &group_key)).collect();
            let input = Box::new(push(*input, below));
            RelExpr::Reduce { input, group_key, aggregates }.filter(above)
        }
        RelExpr::TopK { input, group_key, order_key, limit, offset } => {
            let types = input.ty().columns;
            let exact = |p: &ScalarExpr| {
                p.columns().iter().all(|c| {
                    group_key.contains(c) && !types[*c].scalar.key_loses_identity()
                })
            };
            let (below, above) = split(predicates, exact);
            let input = Box::new(push(*input, below));
            RelExpr::TopK { input, group_key, order_key, limit, offset }.filter(above)
        }
        RelExpr::Let { id, value, body } => {
            let value = Box::new(push(*value, vec![]));
            let body = Box::new(push(*body, predicates));
            RelExpr::Let { id, value, body }
        }
        mut other => {
            for child in other.children_mut() {
                let taken = std::mem::replace(child, RelExpr::unit());
                *child = push(taken, vec![]);
            }
            other.filter(predicates)
        }
    }
}

/// Predicates that cannot fail and satisfy the condition, and the rest.
fn split(
    predicates: Vec<ScalarExpr>,
    condition: impl Fn(&ScalarExpr) -> bool,
) -> (Vec<ScalarExpr>, Vec<ScalarExpr>) {
    // Without columns a predicate may as well stay: it is folded, or holds for all rows alike.
    predicates
        .into_iter()
        .partition(|p| !p.can_fail() && !p.columns().is_empty() && condition(p))
}

fn flatten(predicate: ScalarExpr, out: &mut Vec<ScalarExpr>) {
    match predicate {
        ScalarExpr::And(args) => args.into_iter().for_each(|a| flatten(a, out)),
        other => out.push(other),
    }
}

fn within(predicate: &ScalarExpr, range: std::ops::Range<usize>) -> bool {
    predicate.columns().iter().all(|c| range.contains(c))
}

fn substitute(mut predicate: ScalarExpr, by: &[ScalarExpr]) -> ScalarExpr {
    predicate.visit_mut_post(&mut |e| {
        if let ScalarExpr::Column(c) = e {
            *e = by[*c].clone();
        }
    });
    predicate
}

fn push_join(
    inputs: Vec<RelExpr>,
    mut equivalences: Vec<Vec<ScalarExpr>>,
    predicates: Vec<ScalarExpr>,
) -> RelExpr {
    let mut starts = Vec::new();
    let mut total = 0;
    for input in &inputs {
        starts.push(total..total + input.arity());
        total += input.arity();
    }
    let types: Vec<_> = inputs.iter().flat_map(|i| i.ty().columns).collect();
    let owner = |e: &ScalarExpr| -> Option<usize> {
        let columns: BTreeSet<usize> = e.columns();
        let first = columns.first()?;
        let at = starts.iter().position(|range| range.contains(first))?;
        columns.iter().all(|c| starts[at].contains(c)).then_some(at)
    };
    let mut below: Vec<Vec<ScalarExpr>> = vec![vec![]; inputs.len()];
    let mut above = Vec::new();
    let local = |predicate: ScalarExpr, at: usize, below: &mut Vec<Vec<ScalarExpr>>| {
        let mut predicate = predicate;
        predicate.permute(|c| c - starts[at].start);
        below[at].push(predicate);
    };
    for predicate in predicates {
        if predicate.can_fail() {
            above.push(predicate);
            continue;
        }
        if let Some(at) = owner(&predicate) {
            local(predicate, at, &mut below);
            continue;
        }
        match equality(&predicate) {
            Some((a, b)) if owner(a).is_some() && owner(b).is_some() => {
                // SQL's equality is not true of NULL; the join's holds of it.
                for side in [a, b] {
                    if side.ty(&types).nullable
                        && let Some(at) = owner(side)
                    {
                        let null = ScalarExpr::IsNull(Box::new(side.clone()));
                        local(ScalarExpr::Not(Box::new(null)), at, &mut below);
                    }
                }
                equivalences.push(vec![a.clone(), b.clone()]);
            }
            _ => above.push(predicate),
        }
    }
    merge(&mut equivalences);
    let inputs = inputs.into_iter().zip(below).map(|(input, mut own)| {
        own.sort();
        own.dedup();
        push(input, own)
    });
    RelExpr::Join { inputs: inputs.collect(), equivalences }.filter(above)
}

/// The sides of an equality.
fn equality(predicate: &ScalarExpr) -> Option<(&ScalarExpr, &ScalarExpr)> {
    match predicate {
        ScalarExpr::Call { func, args, types } if registry::get(*func).name == "=" => {
            match args.as_slice() {
                [a, b] if types.args.first() == types.args.get(1) => Some((a, b)),
                _ => None,
            }
        }
        _ => None,
    }
}
