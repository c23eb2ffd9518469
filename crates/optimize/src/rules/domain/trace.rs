//! Where columns come from.

use super::{Domain, Env};
use everview_expr::{Id, RelExpr, ScalarExpr};

/// A relation of which an expression shows columns: each row's are those of some row of it.
pub(super) struct Origin<'a> {
    pub node: &'a RelExpr,
    /// For each column of the expression, that of the node.
    pub columns: Vec<Option<usize>>,
}

/// A relation of which an expression is the set of distinct values of some columns, under filters.
pub(super) struct Set<'a> {
    pub node: &'a RelExpr,
    /// For each column of the expression, that of the node.
    pub columns: Vec<usize>,
    /// Over the columns of the expression.
    pub filters: Vec<ScalarExpr>,
}

/// Every origin of an expression, itself the first.
pub(super) fn origins<'a>(expr: &'a RelExpr, env: &'a Env) -> Vec<Origin<'a>> {
    let mut out = Vec::new();
    let columns = (0..expr.arity()).map(Some).collect();
    origins_of(expr, columns, env, &mut out);
    out
}

fn origins_of<'a>(
    node: &'a RelExpr,
    columns: Vec<Option<usize>>,
    env: &'a Env,
    out: &mut Vec<Origin<'a>>,
) {
    let map = |to: &dyn Fn(usize) -> Option<usize>| -> Vec<Option<usize>> {
        columns.iter().map(|c| c.and_then(to)).collect()
    };
    let (below, through) = match node {
        RelExpr::Get {
            id: Id::Local(id), ..
        } => match env.get(id) {
            Some(value) => (value, columns.clone()),
            None => return out.push(Origin { node, columns }),
        },
        RelExpr::Project { input, outputs } => (&**input, map(&|c| Some(outputs[c]))),
        RelExpr::Map { input, .. } | RelExpr::Window { input, .. } => {
            let arity = input.arity();
            (&**input, map(&|c| (c < arity).then_some(c)))
        }
        RelExpr::Reduce {
            input, group_key, ..
        } => {
            let key = |c: usize| match group_key.get(c) {
                Some(ScalarExpr::Column(c)) => Some(*c),
                _ => None,
            };
            (&**input, map(&key))
        }
        RelExpr::Filter { input, .. } | RelExpr::TopK { input, .. } => (&**input, columns.clone()),
        RelExpr::Join { inputs, .. } => {
            let mut start = 0;
            for input in inputs {
                let end = start + input.arity();
                let own = |c: usize| (start..end).contains(&c).then(|| c - start);
                origins_of(input, map(&own), env, out);
                start = end;
            }
            return out.push(Origin { node, columns });
        }
        _ => return out.push(Origin { node, columns }),
    };
    out.push(Origin { node, columns });
    origins_of(below, through, env, out);
}

/// Everything of which an expression is a set of distinct values.
pub(super) fn sets<'a>(expr: &'a RelExpr, env: &'a Env) -> Vec<Set<'a>> {
    let mut out = Vec::new();
    let mut node = expr;
    let mut columns: Vec<usize> = (0..expr.arity()).collect();
    let mut filters = Vec::new();
    let mut distinct = false;
    loop {
        match node {
            RelExpr::Get {
                id: Id::Local(id), ..
            } if env.contains_key(id) => node = &env[id],
            RelExpr::Project { input, outputs } => {
                columns.iter_mut().for_each(|c| *c = outputs[*c]);
                node = input;
            }
            RelExpr::Reduce {
                input,
                group_key,
                aggregates,
            } if aggregates.is_empty() => {
                // All keys are shown, or rows would repeat.
                if !(0..group_key.len()).all(|c| columns.contains(&c)) {
                    return out;
                }
                for c in &mut columns {
                    let ScalarExpr::Column(below) = &group_key[*c] else {
                        return out;
                    };
                    *c = *below;
                }
                distinct = true;
                node = input;
            }
            RelExpr::Filter { input, predicates } => {
                for predicate in predicates {
                    let mut over = predicate.clone();
                    let mut shown = true;
                    over.permute(|c| {
                        columns.iter().position(|x| *x == c).unwrap_or_else(|| {
                            shown = false;
                            0
                        })
                    });
                    if !shown || predicate.can_fail() {
                        return out;
                    }
                    filters.push(over);
                }
                node = input;
            }
            _ => return out,
        }
        if distinct
            || node
                .ty()
                .keys
                .iter()
                .any(|k| k.iter().all(|c| columns.contains(c)))
        {
            out.push(Set {
                node,
                columns: columns.clone(),
                filters: filters.clone(),
            });
        }
    }
}

/// The domains within an expression.
pub(super) fn domains(expr: &RelExpr, env: &Env) -> Vec<Domain> {
    let mut inner = env.clone();
    let mut out = Vec::new();
    collect(expr, &mut inner, &mut out);
    out
}

fn collect(expr: &RelExpr, env: &mut Env, out: &mut Vec<Domain>) {
    if let RelExpr::Let { id, value, body } = expr {
        collect(value, env, out);
        env.insert(*id, (**value).clone());
        return collect(body, env, out);
    }
    for set in sets(expr, env) {
        let known = |d: &Domain| d.source == *set.node && d.columns == set.columns;
        if !set.columns.is_empty() && !out.iter().any(known) {
            out.push(Domain {
                source: set.node.clone(),
                columns: set.columns,
            });
        }
    }
    for child in expr.children() {
        collect(child, env, out);
    }
}
