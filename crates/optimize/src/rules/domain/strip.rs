//! Replaces a domain within a subquery by the expressions that it is equal to.
//!
//! The result may hold more rows than the subquery, all of keys outside of the domain. So each node on the way must
//! treat keys apart from each other, and none may meet an error, or a negative multiplicity, in the rows of other
//! keys.

use super::{Domain, Env, is_domain, starts};
use crate::rules::failing::{self, Bindings};
use crate::rules::fuse::merge;
use crate::rules::predicate::substitute;
use everview_expr::{Id, LocalId, RelExpr, ScalarExpr};
use everview_repr::ColumnType;
use std::collections::BTreeMap;

/// The expression without the domain, whose columns are `keys` among its own; none if nothing can be replaced.
pub(super) fn strip(
    expr: &RelExpr,
    keys: &[usize],
    domain: &Domain,
    env: &Env,
    bindings: &Bindings,
) -> Option<RelExpr> {
    let mut strip = Strip {
        domain,
        env: env.clone(),
        bindings: bindings.clone(),
        stripped: BTreeMap::new(),
        removed: 0,
        negative: false,
    };
    let stripped = strip.node(expr, keys)?;
    (strip.removed > 0).then_some(stripped)
}

struct Strip<'a> {
    domain: &'a Domain,
    env: Env,
    bindings: Bindings,
    /// Bindings that have lost the domain, with the columns of its keys.
    stripped: BTreeMap<LocalId, Vec<usize>>,
    removed: usize,
    /// Rows of other keys may be negative here.
    negative: bool,
}

impl Strip<'_> {
    fn node(&mut self, expr: &RelExpr, keys: &[usize]) -> Option<RelExpr> {
        if !self.mentions(expr) {
            return Some(expr.clone());
        }
        if is_domain(expr, self.domain, &self.env).is_some() {
            return keys
                .iter()
                .copied()
                .eq(0..expr.arity())
                .then(|| expr.clone());
        }
        match expr {
            RelExpr::Get {
                id: Id::Local(id), ..
            } => (self.stripped.get(id)? == keys).then(|| expr.clone()),
            RelExpr::Let { id, value, body } => self.binding(*id, value, body, keys),
            RelExpr::Project { input, outputs } => {
                let keys: Vec<usize> = keys.iter().map(|c| outputs[*c]).collect();
                Some(self.node(input, &keys)?.project(outputs.clone()))
            }
            RelExpr::Map { input, scalars } => {
                let inner = keys.iter().all(|c| *c < input.arity());
                let input = inner.then(|| self.node(input, keys))??;
                Some(input.map(scalars.clone()))
            }
            RelExpr::Filter { input, predicates } => {
                self.total(input, predicates.iter())?;
                Some(self.node(input, keys)?.filter(predicates.clone()))
            }
            RelExpr::Negate { input } => {
                self.negative = true;
                Some(self.node(input, keys)?.negate())
            }
            RelExpr::Union { inputs } => {
                let inputs = inputs.iter().map(|i| self.node(i, keys));
                Some(RelExpr::Union {
                    inputs: inputs.collect::<Option<_>>()?,
                })
            }
            RelExpr::Join {
                inputs,
                equivalences,
            } => self.join(inputs, equivalences, keys),
            RelExpr::Reduce {
                input, group_key, ..
            } => {
                let column = |c: &usize| match group_key.get(*c) {
                    Some(ScalarExpr::Column(c)) => Some(*c),
                    _ => None,
                };
                let below = keys.iter().map(column).collect::<Option<Vec<_>>>()?;
                self.total(input, group_key.iter())?;
                self.over(expr, input, &below)
            }
            RelExpr::TopK {
                input,
                group_key,
                order_key,
                ..
            } => {
                let order: Vec<_> = order_key
                    .iter()
                    .map(|o| ScalarExpr::Column(o.column))
                    .collect();
                self.total(input, order.iter())?;
                let apart = keys.iter().all(|c| group_key.contains(c));
                apart.then(|| self.over(expr, input, keys))?
            }
            RelExpr::Window { input, functions } => {
                let apart = functions.iter().all(|f| {
                    keys.iter()
                        .all(|c| f.partition_by.contains(&ScalarExpr::Column(*c)))
                });
                let read = functions.iter().flat_map(|f| {
                    f.partition_by
                        .iter()
                        .chain(f.order_by.iter().map(|o| &o.expr))
                });
                self.total(input, read)?;
                apart.then(|| self.over(expr, input, keys))?
            }
            _ => None,
        }
    }

    /// A node that reads whole groups: its input must have no negative rows.
    fn over(&mut self, expr: &RelExpr, input: &RelExpr, keys: &[usize]) -> Option<RelExpr> {
        let before = std::mem::replace(&mut self.negative, false);
        let below = self.node(input, keys)?;
        if self.negative {
            return None;
        }
        self.negative = before;
        let mut out = expr.clone();
        if let Some(input) = out.children_mut().into_iter().next() {
            *input = below;
        }
        Some(out)
    }

    fn binding(
        &mut self,
        id: LocalId,
        value: &RelExpr,
        body: &RelExpr,
        keys: &[usize],
    ) -> Option<RelExpr> {
        let mut new = value.clone();
        if is_domain(value, self.domain, &self.env).is_none() && self.mentions(value) {
            // Decorrelation puts the domain's columns first.
            let first: Vec<usize> = (0..self.domain.columns.len()).collect();
            new = self.node(value, &first)?;
            self.stripped.insert(id, first);
        }
        self.bindings
            .insert(id, failing::columns(value, &self.bindings));
        self.env.insert(id, value.clone());
        let body = self.node(body, keys)?;
        Some(RelExpr::Let {
            id,
            value: Box::new(new),
            body: Box::new(body),
        })
    }

    /// Whether the domain, or a binding that lost it, occurs.
    fn mentions(&self, expr: &RelExpr) -> bool {
        if let RelExpr::Get {
            id: Id::Local(id), ..
        } = expr
            && self.stripped.contains_key(id)
        {
            return true;
        }
        is_domain(expr, self.domain, &self.env).is_some()
            || expr.children().into_iter().any(|c| self.mentions(c))
    }

    /// None if an expression over the input can fail.
    fn total<'e>(
        &self,
        input: &RelExpr,
        mut exprs: impl Iterator<Item = &'e ScalarExpr>,
    ) -> Option<()> {
        let failing = failing::columns(input, &self.bindings);
        (!exprs.any(|e| failing::expression(e, &failing))).then_some(())
    }

    fn join(
        &mut self,
        inputs: &[RelExpr],
        equivalences: &[Vec<ScalarExpr>],
        keys: &[usize],
    ) -> Option<RelExpr> {
        let starts = starts(inputs);
        let failing: Vec<bool> = inputs
            .iter()
            .flat_map(|i| failing::columns(i, &self.bindings))
            .collect();
        let fails = |e: &ScalarExpr| failing::expression(e, &failing);
        if equivalences.iter().flatten().any(fails) {
            return None;
        }
        let local = |c: usize, at: usize| -> Option<usize> {
            let own = starts[at]..starts[at + 1];
            if own.contains(&c) {
                return Some(c - own.start);
            }
            let class = equivalences
                .iter()
                .find(|class| class.contains(&ScalarExpr::Column(c)))?;
            class.iter().find_map(|e| match e {
                ScalarExpr::Column(x) if own.contains(x) => Some(x - own.start),
                _ => None,
            })
        };
        let mut leaf = None;
        let mut new = Vec::with_capacity(inputs.len());
        for (at, input) in inputs.iter().enumerate() {
            if !self.mentions(input) {
                new.push(input.clone());
                continue;
            }
            let own = keys.iter().map(|c| local(*c, at));
            let own = own.collect::<Option<Vec<_>>>()?;
            new.push(self.node(input, &own)?);
            if let Some(filters) = is_domain(input, self.domain, &self.env) {
                leaf = leaf.or(Some((at, filters)));
            }
        }
        let types: Vec<ColumnType> = inputs.iter().flat_map(|i| i.ty().columns).collect();
        let kept = |new| RelExpr::Join {
            inputs: new,
            equivalences: equivalences.to_vec(),
        };
        let Some((at, filters)) = leaf else {
            return Some(kept(new));
        };
        match replacements(starts[at]..starts[at + 1], equivalences, &types) {
            Some(by) => {
                self.removed += 1;
                Some(without_input(new, at, equivalences, &by, filters))
            }
            None => Some(kept(new)),
        }
    }
}

/// For each of these columns, an equal expression that reads none of them.
fn replacements(
    range: std::ops::Range<usize>,
    equivalences: &[Vec<ScalarExpr>],
    types: &[ColumnType],
) -> Option<Vec<ScalarExpr>> {
    let other = |c: usize| {
        let exact = !types[c].scalar.key_loses_identity();
        let class = equivalences
            .iter()
            .find(|class| class.contains(&ScalarExpr::Column(c)))?;
        let apart = class
            .iter()
            .filter(|e| e.columns().iter().all(|c| !range.contains(c)));
        let plain = |e: &&ScalarExpr| !matches!(e, ScalarExpr::Column(_));
        let best = apart.min_by_key(|e| plain(e));
        best.filter(|_| exact).cloned()
    };
    range.clone().map(other).collect()
}

/// The join without the input at `at`, whose columns are those expressions; with all columns as before.
fn without_input(
    mut inputs: Vec<RelExpr>,
    at: usize,
    equivalences: &[Vec<ScalarExpr>],
    by: &[ScalarExpr],
    filters: Vec<ScalarExpr>,
) -> RelExpr {
    let starts = starts(&inputs);
    let range = starts[at]..starts[at + 1];
    let shift = |c: usize| if c < range.start { c } else { c - range.len() };
    let moved = |e: &ScalarExpr| {
        let mut e = e.clone();
        e.permute(shift);
        e
    };
    let columns: Vec<ScalarExpr> = (0..starts[inputs.len()])
        .map(|c| match range.contains(&c) {
            true => moved(&by[c - range.start]),
            false => ScalarExpr::Column(shift(c)),
        })
        .collect();
    let mut classes: Vec<Vec<ScalarExpr>> = equivalences
        .iter()
        .map(|class| {
            class
                .iter()
                .map(|e| substitute(e.clone(), &columns))
                .collect()
        })
        .collect();
    merge(&mut classes);
    inputs.remove(at);
    let joined = match inputs.len() {
        1 if classes.is_empty() => inputs.remove(0),
        _ => RelExpr::Join {
            inputs,
            equivalences: classes,
        },
    };
    let own: Vec<ScalarExpr> = columns[range.clone()].to_vec();
    let filters = filters.into_iter().map(|p| substitute(p, &own)).collect();
    let joined = joined.filter(filters);
    let width = joined.arity();
    let mut computed = Vec::new();
    let mut outputs = Vec::with_capacity(columns.len());
    for column in columns {
        match column {
            ScalarExpr::Column(c) => outputs.push(c),
            other => {
                outputs.push(width + computed.len());
                computed.push(other);
            }
        }
    }
    joined.map(computed).project(outputs)
}
