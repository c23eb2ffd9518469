//! Moves predicates towards the leaves, and equalities between the inputs of a join into it.
//!
//! A predicate that can fail moves only where it sees the same rows.

use super::failing::{self, Bindings};
use super::fuse::merge;
use everview_expr::registry::{self, Volatility};
use everview_expr::{RelExpr, ScalarExpr};
use std::collections::BTreeSet;

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
        } => push_join(inputs, equivalences, predicates, bindings),
        RelExpr::Union { inputs } => {
            let union = RelExpr::Union { inputs };
            let (below, above) = split_by_row(&union, predicates, |_| true, bindings);
            let RelExpr::Union { inputs } = union else {
                return union;
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

/// Whether two evaluations can differ.
fn is_volatile(expr: &ScalarExpr) -> bool {
    let mut found = false;
    expr.visit(&mut |e| {
        if let ScalarExpr::Call { func, .. } = e {
            found |= registry::get(*func).volatility == Volatility::Volatile;
        }
    });
    found
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
    bindings: &mut Bindings,
) -> RelExpr {
    let mut starts = Vec::new();
    let mut total = 0;
    for input in &inputs {
        starts.push(total..total + input.arity());
        total += input.arity();
    }
    let types: Vec<_> = inputs.iter().flat_map(|i| i.ty().columns).collect();
    let failing: Vec<bool> = inputs
        .iter()
        .flat_map(|i| failing::columns(i, bindings))
        .collect();
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
    let comparisons: Vec<ScalarExpr> = predicates
        .iter()
        .filter(|p| compared(p).is_some())
        .cloned()
        .collect();
    for predicate in predicates {
        if is_volatile(&predicate) || failing::expression(&predicate, &failing) {
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
    let known: Vec<ScalarExpr> = inputs
        .iter()
        .zip(&starts)
        .flat_map(|(input, range)| filtered(input, range.start))
        .chain(comparisons)
        .collect();
    for comparison in &known {
        for other in transferred(comparison, &equivalences, &types) {
            if let Some(at) = owner(&other)
                && !failing::expression(&other, &failing)
            {
                local(other, at, &mut below);
            }
        }
    }
    let inputs = inputs.into_iter().zip(below).map(|(input, mut own)| {
        own.sort();
        own.dedup();
        push(input, own, bindings)
    });
    RelExpr::Join {
        inputs: inputs.collect(),
        equivalences,
    }
    .filter(above)
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

/// Conditions that the rows of a join's input satisfy, over the join's columns.
fn filtered(input: &RelExpr, start: usize) -> Vec<ScalarExpr> {
    let RelExpr::Filter { predicates, .. } = input else {
        return vec![];
    };
    let known = predicates.iter().filter(|p| compared(p).is_some()).cloned();
    let moved = known.map(|mut p| {
        p.permute(|c| c + start);
        p
    });
    moved.collect()
}

/// Which argument is compared with a literal of the same type: a condition that SQL's order decides, so that it
/// holds for everything equal.
fn compared(predicate: &ScalarExpr) -> Option<usize> {
    let ScalarExpr::Call { func, args, types } = predicate else {
        return None;
    };
    if !matches!(registry::get(*func).name, "=" | "<" | "<=" | ">" | ">=") || predicate.can_fail() {
        return None;
    }
    match (args.as_slice(), types.args.as_slice()) {
        ([a, b], [s, t]) if s == t => match (a.as_literal(), b.as_literal()) {
            (None, Some(_)) => Some(0),
            (Some(_), None) => Some(1),
            _ => None,
        },
        _ => None,
    }
}

/// A comparison with a literal, for everything that a join makes equal to what is compared.
fn transferred(
    comparison: &ScalarExpr,
    classes: &[Vec<ScalarExpr>],
    types: &[everview_repr::ColumnType],
) -> Vec<ScalarExpr> {
    let ScalarExpr::Call {
        func,
        args,
        types: call,
    } = comparison
    else {
        return vec![];
    };
    let Some(at) = compared(comparison) else {
        return vec![];
    };
    let subject = &args[at];
    let same = |other: &&ScalarExpr| {
        *other != subject && other.ty(types).scalar == call.args[at] && !is_volatile(other)
    };
    let members = classes
        .iter()
        .filter(|c| c.contains(subject))
        .flatten()
        .filter(same);
    let transfer = members.map(|other| {
        let mut args = args.clone();
        args[at] = other.clone();
        ScalarExpr::Call {
            func: *func,
            args,
            types: call.clone(),
        }
    });
    transfer.collect()
}
