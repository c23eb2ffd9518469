//! Types of relational expressions: columns, unique keys, and whether rows are ever retracted.

use super::{RelExpr, RelationType};
use crate::scalar::ScalarExpr;
use everview_repr::{ColumnType, ScalarType};

impl RelExpr {
    /// How many columns.
    pub fn arity(&self) -> usize {
        match self {
            RelExpr::Constant { ty, .. } | RelExpr::Get { ty, .. } => ty.arity(),
            RelExpr::Let { body, .. } | RelExpr::LetRec { body, .. } => body.arity(),
            RelExpr::Project { outputs, .. } => outputs.len(),
            RelExpr::Map { input, scalars } => input.arity() + scalars.len(),
            RelExpr::FlatMap {
                input,
                columns,
                ordinality,
                ..
            } => input.arity() + columns.len() + usize::from(*ordinality),
            RelExpr::Join { inputs, .. } => inputs.iter().map(RelExpr::arity).sum(),
            RelExpr::Reduce {
                group_key,
                aggregates,
                ..
            } => group_key.len() + aggregates.len(),
            RelExpr::Window { input, functions } => input.arity() + functions.len(),
            RelExpr::Union { inputs } => inputs.first().map_or(0, RelExpr::arity),
            RelExpr::Filter { input, .. }
            | RelExpr::TopK { input, .. }
            | RelExpr::Threshold { input }
            | RelExpr::Negate { input }
            | RelExpr::ArrangeBy { input, .. } => input.arity(),
        }
    }

    /// Its type, from the types of the leaves.
    pub fn ty(&self) -> RelationType {
        match self {
            RelExpr::Constant { ty, .. } | RelExpr::Get { ty, .. } => ty.clone(),
            RelExpr::Let { body, .. } | RelExpr::LetRec { body, .. } => body.ty(),
            RelExpr::Project { input, outputs } => project(input.ty(), outputs),
            RelExpr::Map { input, scalars } => map(input.ty(), scalars),
            RelExpr::Filter { input, predicates } => filter(input.ty(), predicates),
            RelExpr::FlatMap {
                input,
                columns,
                ordinality,
                ..
            } => {
                let mut ty = input.ty();
                ty.columns.extend(columns.iter().cloned());
                ty.columns
                    .extend(ordinality.then(|| ScalarType::Int64.not_null()));
                ty.keys.clear();
                ty
            }
            RelExpr::Join {
                inputs,
                equivalences,
            } => join(inputs, equivalences),
            RelExpr::Reduce {
                input,
                group_key,
                aggregates,
            } => {
                let input = input.ty();
                let keys = group_key.iter().map(|k| k.ty(&input.columns));
                let results = aggregates.iter().map(|a| a.result.clone());
                let columns: Vec<ColumnType> = keys.chain(results).collect();
                // A group shows its least identity, and a lesser one retracts the one before.
                let identical = columns.iter().all(|c| !c.scalar.key_loses_identity());
                let append_only = input.append_only && aggregates.is_empty() && identical;
                let mut all_keys = vec![(0..group_key.len()).collect::<Vec<_>>()];
                // A key of the input that is grouped by is a key of the groups.
                for key in &input.keys {
                    let at =
                        |c: &usize| group_key.iter().position(|g| *g == ScalarExpr::Column(*c));
                    if let Some(mut outer) = key.iter().map(at).collect::<Option<Vec<_>>>() {
                        outer.sort_unstable();
                        all_keys.push(outer);
                    }
                }
                RelationType {
                    columns,
                    keys: minimal(all_keys),
                    append_only,
                }
            }
            RelExpr::TopK {
                input,
                group_key,
                limit,
                ..
            } => {
                let mut ty = input.ty();
                ty.append_only = false;
                if *limit == Some(1) {
                    let mut key = group_key.clone();
                    key.sort_unstable();
                    key.dedup();
                    ty.keys.push(key);
                    ty.keys = minimal(ty.keys);
                }
                ty
            }
            RelExpr::Window { input, functions } => {
                let mut ty = input.ty();
                ty.columns
                    .extend(functions.iter().map(|w| w.result.clone()));
                ty.append_only = false;
                ty
            }
            RelExpr::Threshold { input } => RelationType {
                append_only: false,
                ..input.ty()
            },
            RelExpr::Negate { input } => {
                let ty = input.ty();
                RelationType {
                    keys: vec![],
                    append_only: false,
                    ..ty
                }
            }
            RelExpr::Union { inputs } => union(inputs),
            RelExpr::ArrangeBy { input, .. } => input.ty(),
        }
    }
}

fn project(input: RelationType, outputs: &[usize]) -> RelationType {
    let columns = outputs.iter().map(|&c| input.columns[c].clone()).collect();
    let at = |c: &usize| outputs.iter().position(|o| o == c);
    let keys = input.keys.iter().filter_map(|key| {
        let mut key = key.iter().map(at).collect::<Option<Vec<_>>>()?;
        key.sort_unstable();
        Some(key)
    });
    RelationType {
        columns,
        keys: keys.collect(),
        append_only: input.append_only,
    }
}

fn map(mut ty: RelationType, scalars: &[ScalarExpr]) -> RelationType {
    for scalar in scalars {
        let column = scalar.ty(&ty.columns);
        ty.columns.push(column);
        // A copied column can stand for the original in a key.
        if let ScalarExpr::Column(from) = scalar {
            let to = ty.columns.len() - 1;
            let copies = ty.keys.iter().filter(|k| k.contains(from)).map(|key| {
                let mut key: Vec<_> = key
                    .iter()
                    .map(|c| if c == from { to } else { *c })
                    .collect();
                key.sort_unstable();
                key
            });
            let copies: Vec<_> = copies.collect();
            if ty.keys.len() + copies.len() <= MOST_KEYS {
                ty.keys.extend(copies);
            }
        }
    }
    ty
}

fn filter(mut ty: RelationType, predicates: &[ScalarExpr]) -> RelationType {
    for predicate in predicates {
        if let ScalarExpr::Not(inner) = predicate
            && let ScalarExpr::IsNull(column) = &**inner
            && let ScalarExpr::Column(c) = &**column
        {
            ty.columns[*c].nullable = false;
        }
    }
    ty
}

/// A bound on the number of keys kept, so that typing stays linear.
const MOST_KEYS: usize = 16;

fn join(inputs: &[RelExpr], equivalences: &[Vec<ScalarExpr>]) -> RelationType {
    let types: Vec<_> = inputs.iter().map(RelExpr::ty).collect();
    let mut out = RelationType::new(vec![]);
    out.append_only = types.iter().all(|t| t.append_only);
    let mut keys: Vec<Vec<usize>> = vec![vec![]];
    let mut covered_start = 0;
    for ty in &types {
        let start = covered_start;
        covered_start += ty.arity();
        // If a key of this input is equated with columns before it, each earlier row has at most one partner,
        // so the keys so far remain keys.
        let equated = |c: &usize| {
            let column = ScalarExpr::Column(start + c);
            equivalences.iter().any(|class| {
                class.contains(&column)
                    && class.iter().any(|e| e.columns().iter().all(|&x| x < start))
            })
        };
        let one_partner = start > 0 && ty.keys.iter().any(|key| key.iter().all(equated));
        // The other way round: the earlier rows' key is equated with columns of this input.
        let inverse = |key: &Vec<usize>| {
            key.iter().all(|c| {
                let column = ScalarExpr::Column(*c);
                equivalences.iter().any(|class| {
                    class.contains(&column)
                        && class.iter().any(|e| {
                            e.columns()
                                .iter()
                                .all(|x| (start..covered_start).contains(x))
                        })
                })
            })
        };
        let here: Vec<Vec<usize>> = ty
            .keys
            .iter()
            .map(|key| key.iter().map(|c| start + c).collect())
            .collect();
        let mut next = Vec::new();
        if start > 0 && keys.iter().any(inverse) {
            next.extend(here.iter().cloned());
        }
        if one_partner {
            next.extend(keys.iter().cloned());
        }
        if next.is_empty() {
            for before in &keys {
                for key in &here {
                    next.push(before.iter().chain(key).copied().collect());
                }
            }
        }
        next.truncate(MOST_KEYS);
        keys = next;
        out.columns.extend(ty.columns.iter().cloned());
    }
    out.keys = minimal(keys);
    // An equivalence with a column that is never NULL makes its partners not NULL.
    for class in equivalences {
        if class.iter().any(|e| !e.ty(&out.columns).nullable) {
            for e in class {
                if let ScalarExpr::Column(c) = e {
                    out.columns[*c].nullable = false;
                }
            }
        }
    }
    out
}

fn union(inputs: &[RelExpr]) -> RelationType {
    let mut types = inputs.iter().map(RelExpr::ty);
    let mut out = types.next().unwrap_or_default();
    let alone = inputs.len() == 1;
    for ty in types {
        for (a, b) in out.columns.iter_mut().zip(ty.columns) {
            a.nullable |= b.nullable;
            if a.typmod != b.typmod {
                a.typmod = everview_repr::Typmod::NONE;
            }
        }
        out.append_only &= ty.append_only;
    }
    if !alone {
        out.keys.clear();
    }
    out
}

/// Without duplicates and supersets.
fn minimal(mut keys: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    keys.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    keys.dedup();
    let mut out: Vec<Vec<usize>> = Vec::new();
    for key in keys {
        if !out.iter().any(|k| k.iter().all(|c| key.contains(c))) {
            out.push(key);
        }
    }
    out.truncate(MOST_KEYS);
    out
}
