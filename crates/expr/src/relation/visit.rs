//! Walks over expressions.

use super::RelExpr;
use crate::scalar::ScalarExpr;

impl RelExpr {
    /// The direct inputs, bindings before bodies.
    pub fn children(&self) -> Vec<&RelExpr> {
        match self {
            RelExpr::Constant { .. } | RelExpr::Get { .. } => vec![],
            RelExpr::Let { value, body, .. } => vec![value, body],
            RelExpr::LetRec { bindings, body } => bindings
                .iter()
                .map(|(_, value, _)| value)
                .chain([&**body])
                .collect(),
            RelExpr::Join { inputs, .. } | RelExpr::Union { inputs } => inputs.iter().collect(),
            RelExpr::Project { input, .. }
            | RelExpr::Map { input, .. }
            | RelExpr::Filter { input, .. }
            | RelExpr::FlatMap { input, .. }
            | RelExpr::Reduce { input, .. }
            | RelExpr::TopK { input, .. }
            | RelExpr::Window { input, .. }
            | RelExpr::Threshold { input }
            | RelExpr::Negate { input }
            | RelExpr::ArrangeBy { input, .. } => vec![input],
        }
    }

    /// The direct inputs, mutably, in the order of [`RelExpr::children`].
    pub fn children_mut(&mut self) -> Vec<&mut RelExpr> {
        match self {
            RelExpr::Constant { .. } | RelExpr::Get { .. } => vec![],
            RelExpr::Let { value, body, .. } => vec![value, body],
            RelExpr::LetRec { bindings, body } => bindings
                .iter_mut()
                .map(|(_, value, _)| value)
                .chain([&mut **body])
                .collect(),
            RelExpr::Join { inputs, .. } | RelExpr::Union { inputs } => inputs.iter_mut().collect(),
            RelExpr::Project { input, .. }
            | RelExpr::Map { input, .. }
            | RelExpr::Filter { input, .. }
            | RelExpr::FlatMap { input, .. }
            | RelExpr::Reduce { input, .. }
            | RelExpr::TopK { input, .. }
            | RelExpr::Window { input, .. }
            | RelExpr::Threshold { input }
            | RelExpr::Negate { input }
            | RelExpr::ArrangeBy { input, .. } => vec![input],
        }
    }

    /// Calls `f` on every node, parents first.
    pub fn visit<'r>(&'r self, f: &mut impl FnMut(&'r RelExpr)) {
        f(self);
        for child in self.children() {
            child.visit(f);
        }
    }

    /// Calls `f` on every node, children first.
    pub fn visit_mut_post(&mut self, f: &mut impl FnMut(&mut RelExpr)) {
        for child in self.children_mut() {
            child.visit_mut_post(f);
        }
        f(self);
    }

    /// Calls `f` on every node, parents first.
    pub fn visit_mut_pre(&mut self, f: &mut impl FnMut(&mut RelExpr)) {
        f(self);
        for child in self.children_mut() {
            child.visit_mut_pre(f);
        }
    }

    /// The scalar expressions of this node alone.
    pub fn scalars_mut(&mut self) -> Vec<&mut ScalarExpr> {
        match self {
            RelExpr::Map { scalars, .. } => scalars.iter_mut().collect(),
            RelExpr::Filter { predicates, .. } => predicates.iter_mut().collect(),
            RelExpr::FlatMap { args, .. } => args.iter_mut().collect(),
            RelExpr::Join { equivalences, .. } => equivalences.iter_mut().flatten().collect(),
            RelExpr::Reduce {
                group_key,
                aggregates,
                ..
            } => {
                let parts = aggregates.iter_mut().flat_map(|a| {
                    let order = a.order_by.iter_mut().map(|o| &mut o.expr);
                    a.args.iter_mut().chain(a.filter.as_mut()).chain(order)
                });
                group_key.iter_mut().chain(parts).collect()
            }
            RelExpr::Window { functions, .. } => functions
                .iter_mut()
                .flat_map(|w| {
                    let order = w.order_by.iter_mut().map(|o| &mut o.expr);
                    w.args
                        .iter_mut()
                        .chain(w.partition_by.iter_mut())
                        .chain(order)
                })
                .collect(),
            RelExpr::ArrangeBy { keys, .. } => keys.iter_mut().flatten().collect(),
            _ => vec![],
        }
    }
}
