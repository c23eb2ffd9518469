//! Joins within joins become one join, unions within unions one union; projections on the way move out.

use super::failing::{self, Bindings};
use everview_expr::{RelExpr, ScalarExpr};
use std::collections::BTreeSet;

pub(super) fn apply(mut expr: RelExpr) -> RelExpr {
    fuse(&mut expr, &mut Bindings::new());
    expr
}

fn fuse(expr: &mut RelExpr, bindings: &mut Bindings) {
    if let RelExpr::Let { id, value, body } = expr {
        fuse(value, bindings);
        bindings.insert(*id, failing::columns(value, bindings));
        fuse(body, bindings);
        return;
    }
    for child in expr.children_mut() {
        fuse(child, bindings);
    }
    match expr {
        RelExpr::Join { .. } => fuse_join(expr, bindings),
        RelExpr::Union { inputs } => {
            let flat = std::mem::take(inputs)
                .into_iter()
                .flat_map(|input| match input {
                    RelExpr::Union { inputs } => inputs,
                    other => vec![other],
                });
            *inputs = flat.collect();
            cancel(inputs);
        }
        RelExpr::Negate { input } => {
            if let RelExpr::Negate { input: inner } = &mut **input {
                *expr = std::mem::replace(&mut **inner, RelExpr::unit());
            }
        }
        RelExpr::Filter { input, predicates } => {
            if let RelExpr::Filter {
                input: inner,
                predicates: first,
            } = &mut **input
            {
                let mut all = std::mem::take(first);
                all.append(predicates);
                let inner = std::mem::replace(&mut **inner, RelExpr::unit());
                *expr = inner.filter(all);
            }
        }
        _ => {}
    }
}

/// Terms of a sum that another one negates go with it.
fn cancel(inputs: &mut Vec<RelExpr>) {
    let negated = |e: &RelExpr| match e {
        RelExpr::Negate { input } => Some((**input).clone()),
        _ => None,
    };
    let mut at = 0;
    while at < inputs.len() {
        let partner = negated(&inputs[at]).and_then(|e| inputs.iter().position(|i| *i == e));
        match partner {
            Some(other) => {
                let ty = inputs[other].ty();
                inputs.remove(at.max(other));
                inputs.remove(at.min(other));
                if inputs.is_empty() {
                    inputs.push(RelExpr::empty(ty));
                }
                at = 0;
            }
            None => at += 1,
        }
    }
}

/// A join's inputs that are joins are taken apart. A projection or filter over an inner join moves above the
/// outer one.
fn fuse_join(expr: &mut RelExpr, bindings: &Bindings) {
    let RelExpr::Join {
        inputs,
        equivalences,
    } = expr
    else {
        return;
    };
    // A key that can fail is read for every row of its input: taken apart, it would meet rows that the inner
    // join leaves out.
    let mut keys: BTreeSet<usize> = equivalences
        .iter()
        .flatten()
        .flat_map(ScalarExpr::columns)
        .collect();
    let mut opened = Vec::with_capacity(inputs.len());
    let mut end = 0;
    for input in inputs.iter() {
        let start = end;
        end += input.arity();
        let later = keys.split_off(&end);
        let own = std::mem::replace(&mut keys, later);
        let open = is_open_join(input) && {
            let failing = failing::columns(input, bindings);
            own.iter().all(|c| !failing[c - start])
        };
        opened.push(open);
    }
    if equivalences.iter().flatten().any(ScalarExpr::can_fail) {
        opened.fill(false);
    }
    if !opened.contains(&true) && !inputs.iter().any(RelExpr::is_unit) {
        return;
    }
    let mut flat: Vec<RelExpr> = Vec::new();
    let mut classes: Vec<Vec<ScalarExpr>> = Vec::new();
    let mut predicates = Vec::new();
    // For each column of the old join, the column of the new one.
    let mut columns: Vec<usize> = Vec::new();
    let mut width = 0;
    for (input, opened) in std::mem::take(inputs).into_iter().zip(opened) {
        let (inner, layout, filters) = if opened { open(input) } else { closed(input) };
        let start = width;
        columns.extend(layout.iter().map(|c| start + c));
        predicates.extend(filters.into_iter().map(|p| moved(p, start)));
        match inner {
            RelExpr::Join {
                inputs,
                equivalences,
            } if opened => {
                width += inputs.iter().map(RelExpr::arity).sum::<usize>();
                flat.extend(inputs);
                let shift =
                    |class: Vec<ScalarExpr>| class.into_iter().map(|e| moved(e, start)).collect();
                classes.extend(equivalences.into_iter().map(shift));
            }
            unit if unit.is_unit() => {}
            other => {
                width += other.arity();
                flat.push(other);
            }
        }
    }
    for mut class in std::mem::take(equivalences) {
        class.iter_mut().for_each(|e| e.permute(|c| columns[c]));
        classes.push(class);
    }
    merge(&mut classes);
    let joined = match flat.len() {
        0 => RelExpr::unit(),
        1 if classes.is_empty() => flat.remove(0),
        _ => RelExpr::Join {
            inputs: flat,
            equivalences: classes,
        },
    };
    *expr = joined.filter(predicates).project(columns);
}

fn is_open_join(expr: &RelExpr) -> bool {
    match expr {
        RelExpr::Join { .. } => true,
        RelExpr::Project { input, .. } => is_open_join(input),
        RelExpr::Filter { input, predicates } => {
            predicates.iter().all(|p| !p.can_fail()) && is_open_join(input)
        }
        _ => false,
    }
}

/// What is below projections and filters over a join: the join, its columns in order, the predicates over it.
fn open(expr: RelExpr) -> (RelExpr, Vec<usize>, Vec<ScalarExpr>) {
    if !is_open_join(&expr) {
        return closed(expr);
    }
    match expr {
        RelExpr::Project { input, outputs } => {
            let (inner, layout, predicates) = open(*input);
            (
                inner,
                outputs.into_iter().map(|c| layout[c]).collect(),
                predicates,
            )
        }
        RelExpr::Filter { input, predicates } => {
            let (inner, layout, mut below) = open(*input);
            below.extend(predicates.into_iter().map(|mut p| {
                p.permute(|c| layout[c]);
                p
            }));
            (inner, layout, below)
        }
        other => closed(other),
    }
}

/// The expression as an input like any other.
fn closed(expr: RelExpr) -> (RelExpr, Vec<usize>, Vec<ScalarExpr>) {
    let layout = (0..expr.arity()).collect();
    (expr, layout, vec![])
}

fn moved(mut expr: ScalarExpr, by: usize) -> ScalarExpr {
    expr.permute(|c| c + by);
    expr
}

/// Classes with a common member are one.
pub(super) fn merge(classes: &mut Vec<Vec<ScalarExpr>>) {
    let mut out: Vec<Vec<ScalarExpr>> = Vec::new();
    for class in classes.drain(..) {
        let mut class = class;
        while let Some(at) = out.iter().position(|c| c.iter().any(|e| class.contains(e))) {
            class.extend(out.remove(at));
        }
        class.sort();
        class.dedup();
        if class.len() > 1 {
            out.push(class);
        }
    }
    out.sort();
    *classes = out;
}
