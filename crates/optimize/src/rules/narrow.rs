//! Drops columns that nothing reads, as close to the leaves as can be.

use everview_expr::{Id, LocalId, RelExpr, RelationType, ScalarExpr};
use std::collections::BTreeSet;

pub(super) fn apply(expr: RelExpr) -> RelExpr {
    let all: Vec<usize> = (0..expr.arity()).collect();
    narrow(expr, &all)
}

fn with(wanted: &[usize], exprs: impl IntoIterator<Item = BTreeSet<usize>>) -> Vec<usize> {
    let mut needed: BTreeSet<usize> = wanted.iter().copied().collect();
    exprs.into_iter().for_each(|columns| needed.extend(columns));
    needed.into_iter().collect()
}

fn at(layout: &[usize], column: usize) -> usize {
    layout
        .binary_search(&column)
        .expect("a needed column is kept")
}

fn over(mut expr: ScalarExpr, layout: &[usize]) -> ScalarExpr {
    expr.permute(|c| at(layout, c));
    expr
}

/// The expression with exactly these columns, ascending and distinct.
fn narrow(expr: RelExpr, wanted: &[usize]) -> RelExpr {
    match expr {
        RelExpr::Project { input, outputs } => {
            let picked: Vec<usize> = wanted.iter().map(|c| outputs[*c]).collect();
            let needed = with(&picked, []);
            let input = narrow(*input, &needed);
            input.project(picked.iter().map(|c| at(&needed, *c)).collect())
        }
        RelExpr::Map { input, scalars } => narrow_map(*input, scalars, wanted),
        RelExpr::Filter { input, predicates } => {
            let needed = with(wanted, predicates.iter().map(ScalarExpr::columns));
            let input = narrow(*input, &needed);
            let predicates = predicates.into_iter().map(|p| over(p, &needed)).collect();
            input
                .filter(predicates)
                .project(wanted.iter().map(|c| at(&needed, *c)).collect())
        }
        RelExpr::Join {
            inputs,
            equivalences,
        } => narrow_join(inputs, equivalences, wanted),
        RelExpr::Reduce {
            input,
            group_key,
            aggregates,
        } => {
            let keys = group_key.len();
            let kept: Vec<usize> = wanted
                .iter()
                .filter(|c| **c >= keys)
                .map(|c| c - keys)
                .collect();
            let aggregates: Vec<_> = kept.iter().map(|c| aggregates[*c].clone()).collect();
            let outputs = wanted.iter().map(|c| {
                if *c < keys {
                    *c
                } else {
                    keys + at(&kept, c - keys)
                }
            });
            let outputs: Vec<usize> = outputs.collect();
            let mut reduce = RelExpr::Reduce {
                input: Box::new(RelExpr::unit()),
                group_key,
                aggregates,
            };
            let columns: Vec<_> = reduce.scalars_mut().iter().map(|e| e.columns()).collect();
            let needed = with(&[], columns);
            for scalar in reduce.scalars_mut() {
                scalar.permute(|c| at(&needed, c));
            }
            if let RelExpr::Reduce { input: slot, .. } = &mut reduce {
                **slot = narrow(*input, &needed);
            }
            reduce.project(outputs)
        }
        RelExpr::Union { inputs } => {
            let inputs = inputs.into_iter().map(|i| narrow(i, wanted)).collect();
            RelExpr::Union { inputs }
        }
        RelExpr::Negate { input } => narrow(*input, wanted).negate(),
        RelExpr::Window { input, functions } => {
            // The tie-break reads every column.
            let arity = input.arity();
            let all: Vec<usize> = (0..arity).collect();
            let input = narrow(*input, &all);
            let kept: Vec<usize> = wanted
                .iter()
                .filter(|c| **c >= arity)
                .map(|c| c - arity)
                .collect();
            let outputs = wanted.iter().map(|c| {
                if *c < arity {
                    *c
                } else {
                    arity + at(&kept, c - arity)
                }
            });
            let outputs: Vec<usize> = outputs.collect();
            if kept.is_empty() {
                return input.project(outputs);
            }
            let functions = kept.iter().map(|c| functions[*c].clone()).collect();
            RelExpr::Window {
                input: Box::new(input),
                functions,
            }
            .project(outputs)
        }
        RelExpr::Let { id, value, body } => narrow_let(id, *value, narrow(*body, wanted)),
        mut other => {
            for child in other.children_mut() {
                let all: Vec<usize> = (0..child.arity()).collect();
                let taken = std::mem::replace(child, RelExpr::unit());
                *child = narrow(taken, &all);
            }
            other.project(wanted.to_vec())
        }
    }
}

/// The value with the columns that its uses, narrowed already, read.
fn narrow_let(id: LocalId, value: RelExpr, mut body: RelExpr) -> RelExpr {
    let mut needed = BTreeSet::new();
    read_of(&body, id, &mut needed);
    let needed: Vec<usize> = needed.into_iter().collect();
    let value = narrow(value, &needed);
    let ty = value.ty();
    reduce_gets(&mut body, id, &needed, &ty);
    RelExpr::Let {
        id,
        value: Box::new(value),
        body: Box::new(body),
    }
}

/// The columns of a name that a narrowed expression reads: those of the projection over it, or all.
fn read_of(expr: &RelExpr, id: LocalId, out: &mut BTreeSet<usize>) {
    match expr {
        RelExpr::Project { input, outputs } if is_get(input, id) => out.extend(outputs),
        RelExpr::Get { ty, .. } if is_get(expr, id) => out.extend(0..ty.arity()),
        other => other
            .children()
            .into_iter()
            .for_each(|c| read_of(c, id, out)),
    }
}

/// Makes uses of a name fit its value, of whose columns these are left.
fn reduce_gets(expr: &mut RelExpr, id: LocalId, needed: &[usize], ty: &RelationType) {
    match expr {
        RelExpr::Project { input, outputs } if is_get(input, id) => {
            let outputs = outputs.iter().map(|c| at(needed, *c)).collect();
            *expr = RelExpr::local(id, ty.clone()).project(outputs);
        }
        RelExpr::Get { .. } if is_get(expr, id) => *expr = RelExpr::local(id, ty.clone()),
        other => other
            .children_mut()
            .into_iter()
            .for_each(|c| reduce_gets(c, id, needed, ty)),
    }
}

fn is_get(expr: &RelExpr, id: LocalId) -> bool {
    matches!(expr, RelExpr::Get { id: Id::Local(local), .. } if *local == id)
}

fn narrow_map(input: RelExpr, scalars: Vec<ScalarExpr>, wanted: &[usize]) -> RelExpr {
    let arity = input.arity();
    let mut needed: BTreeSet<usize> = wanted.iter().copied().collect();
    for (i, scalar) in scalars.iter().enumerate().rev() {
        if needed.contains(&(arity + i)) {
            needed.extend(scalar.columns());
        }
    }
    let needed: Vec<usize> = needed.into_iter().collect();
    let below: Vec<usize> = needed.iter().copied().filter(|c| *c < arity).collect();
    let kept = scalars
        .into_iter()
        .enumerate()
        .filter(|(i, _)| needed.binary_search(&(arity + i)).is_ok());
    // Input columns come first in both layouts, so that positions in `needed` are positions in the new map.
    let kept = kept.map(|(_, scalar)| over(scalar, &needed)).collect();
    let mapped = narrow(input, &below).map(kept);
    mapped.project(wanted.iter().map(|c| at(&needed, *c)).collect())
}

fn narrow_join(
    inputs: Vec<RelExpr>,
    equivalences: Vec<Vec<ScalarExpr>>,
    wanted: &[usize],
) -> RelExpr {
    let needed = with(
        wanted,
        equivalences.iter().flatten().map(ScalarExpr::columns),
    );
    let mut start = 0;
    let mut narrowed = Vec::with_capacity(inputs.len());
    for input in inputs {
        let end = start + input.arity();
        let own: Vec<usize> = needed
            .iter()
            .filter(|c| (start..end).contains(c))
            .map(|c| c - start)
            .collect();
        narrowed.push(narrow(input, &own));
        start = end;
    }
    let classes = equivalences
        .into_iter()
        .map(|class| class.into_iter().map(|e| over(e, &needed)).collect())
        .collect();
    let joined = RelExpr::Join {
        inputs: narrowed,
        equivalences: classes,
    };
    joined.project(wanted.iter().map(|c| at(&needed, *c)).collect())
}
