//! Moves a join back into a union over a domain.

use super::{Domain, Env, JoinBack, is_domain};
use everview_expr::{RelExpr, ScalarExpr};

/// `outer JOIN inner` on the domain's columns, all of `outer`'s columns first, if `inner` adds up terms of which
/// one is the domain itself.
pub(super) fn spread(
    outer: &RelExpr,
    inner: &RelExpr,
    back: &JoinBack,
    env: &Env,
) -> Option<RelExpr> {
    let types = outer.ty().columns;
    let exact = |(l, _): &(usize, usize)| !types[*l].scalar.key_loses_identity();
    let mut env = env.clone();
    if !back.on.iter().all(exact) || !adds_domain(inner, &back.domain, false, &mut env) {
        return None;
    }
    let mut spreading = Spreading {
        outer,
        width: outer.arity(),
        domain: &back.domain,
        env,
    };
    spreading.join(inner, &back.on)
}

/// Whether rows are added up on the way, and the domain is among what is added.
fn adds_domain(expr: &RelExpr, domain: &Domain, added: bool, env: &mut Env) -> bool {
    if is_domain(expr, domain, env).is_some() {
        return added;
    }
    match expr {
        RelExpr::Union { inputs } => inputs.iter().any(|i| adds_domain(i, domain, true, env)),
        RelExpr::Negate { input }
        | RelExpr::Project { input, .. }
        | RelExpr::Map { input, .. }
        | RelExpr::Filter { input, .. } => adds_domain(input, domain, added, env),
        RelExpr::Let { id, value, body } => {
            env.insert(*id, (**value).clone());
            adds_domain(body, domain, added, env)
        }
        _ => false,
    }
}

struct Spreading<'a> {
    outer: &'a RelExpr,
    width: usize,
    domain: &'a Domain,
    env: Env,
}

impl Spreading<'_> {
    fn join(&mut self, expr: &RelExpr, on: &[(usize, usize)]) -> Option<RelExpr> {
        if let Some(filters) = is_domain(expr, self.domain, &self.env) {
            return self.join_domain(expr.arity(), filters, on);
        }
        let width = self.width;
        let shift = |e: &ScalarExpr| {
            let mut e = e.clone();
            e.permute(|c| c + width);
            e
        };
        Some(match expr {
            RelExpr::Union { inputs } => {
                let inputs = inputs.iter().map(|i| self.join(i, on));
                RelExpr::Union {
                    inputs: inputs.collect::<Option<_>>()?,
                }
            }
            RelExpr::Negate { input } => self.join(input, on)?.negate(),
            RelExpr::Project { input, outputs } => {
                let below: Vec<_> = on.iter().map(|(l, k)| (*l, outputs[*k])).collect();
                let kept = (0..width).chain(outputs.iter().map(|c| width + c));
                self.join(input, &below)?.project(kept.collect())
            }
            RelExpr::Map { input, scalars } => {
                if on.iter().any(|(_, k)| *k >= input.arity()) {
                    return None;
                }
                let scalars = scalars.iter().map(shift).collect();
                self.join(input, on)?.map(scalars)
            }
            RelExpr::Filter { input, predicates } => {
                let predicates = predicates.iter().map(shift).collect();
                self.join(input, on)?.filter(predicates)
            }
            RelExpr::Let { id, value, body } => {
                self.env.insert(*id, (**value).clone());
                RelExpr::Let {
                    id: *id,
                    value: value.clone(),
                    body: Box::new(self.join(body, on)?),
                }
            }
            other => self.outer.clone().join_on(other.clone(), on),
        })
    }

    /// Each outer row has one partner in its domain: itself.
    fn join_domain(
        &self,
        arity: usize,
        filters: Vec<ScalarExpr>,
        on: &[(usize, usize)],
    ) -> Option<RelExpr> {
        let own = |k: usize| on.iter().find(|(_, c)| *c == k).map(|(l, _)| *l);
        let columns: Vec<usize> = (0..arity).map(own).collect::<Option<_>>()?;
        let filters = filters.into_iter().map(|mut p| {
            p.permute(|c| columns[c]);
            p
        });
        let kept = self.outer.clone().filter(filters.collect());
        Some(kept.project((0..self.width).chain(columns.iter().copied()).collect()))
    }
}
