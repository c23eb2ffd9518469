//! Evaluates subqueries without the set of outer rows, where equalities give their keys.
//!
//! Decorrelation evaluates a subquery for the distinct values of the outer columns that it sees, its *domain*,
//! and joins the result back on them (Neumann and Kemper, "Unnesting Arbitrary Queries", BTW 2015). Where the
//! domain is joined on all its columns with expressions of the inner relation, these can take its place, as
//! section 4 there says: the result then has groups of other keys too, which the join back leaves out. That join
//! also makes the domain itself redundant: `L JOIN domain(L)` is `L`, so that an antijoin or the default of a
//! missing group is a difference of rows of `L`.
//!
//! [`strip`] replaces domains within the subquery; [`spread`] moves the join back into the union over a domain.

use super::failing::{self, Bindings};
use everview_expr::{Id, LocalId, RelExpr, ScalarExpr};
use std::collections::BTreeMap;

mod spread;
mod strip;
mod trace;

/// The values of the bindings around an expression.
type Env = BTreeMap<LocalId, RelExpr>;

pub(super) fn apply(mut expr: RelExpr) -> RelExpr {
    walk(&mut expr, &mut Env::new(), &mut Bindings::new());
    expr
}

fn walk(expr: &mut RelExpr, env: &mut Env, bindings: &mut Bindings) {
    if let RelExpr::Let { id, value, body } = expr {
        walk(value, env, bindings);
        bindings.insert(*id, failing::columns(value, bindings));
        env.insert(*id, (**value).clone());
        return walk(body, env, bindings);
    }
    for child in expr.children_mut() {
        walk(child, env, bindings);
    }
    // Each round takes one domain out of the join; the bound is only for the proof that it ends.
    for _ in 0..8 {
        let RelExpr::Join {
            inputs,
            equivalences,
        } = &*expr
        else {
            return;
        };
        match without_domain(inputs, equivalences, env, bindings) {
            Some(simpler) => *expr = simpler,
            None => return,
        }
    }
}

/// The distinct values of some columns of a relation.
#[derive(Clone, Debug)]
struct Domain {
    source: RelExpr,
    /// Columns of the source.
    columns: Vec<usize>,
}

/// A join back: `outer` and `inner` are inputs of a join that are equal on the domain's columns.
struct JoinBack {
    domain: Domain,
    outer: usize,
    inner: usize,
    /// For each column of the domain, a column of each input.
    on: Vec<(usize, usize)>,
}

fn without_domain(
    inputs: &[RelExpr],
    equivalences: &[Vec<ScalarExpr>],
    env: &Env,
    bindings: &Bindings,
) -> Option<RelExpr> {
    for back in joins_back(inputs, equivalences, env) {
        let inner = &inputs[back.inner];
        let keys: Vec<usize> = back.on.iter().map(|(_, k)| *k).collect();
        if let Some(stripped) = strip::strip(inner, &keys, &back.domain, env, bindings) {
            let mut inputs = inputs.to_vec();
            inputs[back.inner] = stripped;
            return Some(RelExpr::Join {
                inputs,
                equivalences: equivalences.to_vec(),
            });
        }
        if let Some(both) = spread::spread(&inputs[back.outer], inner, &back, env) {
            return Some(replace_pair(inputs, equivalences, &back, both));
        }
    }
    None
}

/// The join with one input, `both`, in place of the pair.
fn replace_pair(
    inputs: &[RelExpr],
    equivalences: &[Vec<ScalarExpr>],
    back: &JoinBack,
    both: RelExpr,
) -> RelExpr {
    let starts = starts(inputs);
    let mut rest = Vec::new();
    // For each old column, the new one.
    let mut columns = vec![0; starts[inputs.len()]];
    let mut width = 0;
    for (at, input) in inputs.iter().enumerate() {
        if at != back.outer && at != back.inner {
            for c in 0..input.arity() {
                columns[starts[at] + c] = width + c;
            }
            width += input.arity();
            rest.push(input.clone());
        }
    }
    for at in [back.outer, back.inner] {
        for c in 0..inputs[at].arity() {
            columns[starts[at] + c] = width + c;
        }
        width += inputs[at].arity();
    }
    rest.push(both);
    let implied = |class: &Vec<ScalarExpr>| {
        class.len() == 2
            && back.on.iter().any(|(l, k)| {
                let pair = [starts[back.outer] + l, starts[back.inner] + k];
                pair.iter().all(|c| class.contains(&ScalarExpr::Column(*c)))
            })
    };
    let classes = equivalences.iter().filter(|c| !implied(c)).cloned();
    let classes: Vec<Vec<ScalarExpr>> = classes
        .map(|mut class| {
            class.iter_mut().for_each(|e| e.permute(|c| columns[c]));
            class
        })
        .collect();
    let joined = match rest.len() {
        1 if classes.is_empty() => rest.remove(0),
        _ => RelExpr::Join {
            inputs: rest,
            equivalences: classes,
        },
    };
    joined.project(columns)
}

/// Where each input's columns start, and where the last one's end.
fn starts(inputs: &[RelExpr]) -> Vec<usize> {
    let mut starts = vec![0];
    let mut end = 0;
    for input in inputs {
        end += input.arity();
        starts.push(end);
    }
    starts
}

/// All pairs of inputs of which one holds a domain of the other, and is equal to it there.
fn joins_back(inputs: &[RelExpr], equivalences: &[Vec<ScalarExpr>], env: &Env) -> Vec<JoinBack> {
    let starts = starts(inputs);
    let mut found = Vec::new();
    for (inner, expr) in inputs.iter().enumerate() {
        let domains = trace::domains(expr, env);
        if domains.is_empty() {
            continue;
        }
        for (outer, other) in inputs.iter().enumerate().filter(|(at, _)| *at != inner) {
            for origin in trace::origins(other, env) {
                for domain in domains.iter().filter(|d| d.source == *origin.node) {
                    let pair = |x: &usize| {
                        let l = origin.columns.iter().position(|c| *c == Some(*x))?;
                        let class = equivalences
                            .iter()
                            .find(|c| c.contains(&ScalarExpr::Column(starts[outer] + l)))?;
                        let own = starts[inner]..starts[inner + 1];
                        let k = class.iter().find_map(|e| match e {
                            ScalarExpr::Column(c) if own.contains(c) => Some(c - own.start),
                            _ => None,
                        })?;
                        Some((l, k))
                    };
                    if let Some(on) = domain.columns.iter().map(pair).collect() {
                        found.push(JoinBack {
                            domain: domain.clone(),
                            outer,
                            inner,
                            on,
                        });
                    }
                }
            }
        }
    }
    found
}

/// Whether an expression is the domain, and under which filters over its columns.
fn is_domain(expr: &RelExpr, domain: &Domain, env: &Env) -> Option<Vec<ScalarExpr>> {
    if matches!(
        expr,
        RelExpr::Get {
            id: Id::Global(_),
            ..
        }
    ) {
        return None;
    }
    trace::sets(expr, env)
        .into_iter()
        .find(|t| *t.node == domain.source && t.columns == domain.columns)
        .map(|t| t.filters)
}
