//! What an expression sees of the rows around it.

use crate::hir::{ColumnRef, HirAggregate, HirRel, HirScalar, HirWindow};
use everview_expr::{Id, LocalId};
use std::collections::BTreeSet;

/// Whether a scalar holds a subquery.
pub(super) fn has_subquery(scalar: &HirScalar) -> bool {
    match scalar {
        HirScalar::Exists(_) | HirScalar::Scalar(_) | HirScalar::Any { .. } => true,
        other => scalar_children(other).into_iter().any(has_subquery),
    }
}

/// Whether evaluating a relation for outer rows needs them to be distinct: something in it groups, and would
/// merge equal outer rows.
pub(super) fn needs_set(rel: &HirRel) -> bool {
    match rel {
        HirRel::Constant { .. }
        | HirRel::Get {
            id: Id::Global(_), ..
        } => false,
        // A WITH query was computed for a set, and is joined on its columns: equal outer rows stay apart.
        HirRel::Get {
            id: Id::Local(_), ..
        } => false,
        HirRel::Project { input, .. } | HirRel::Negate { input } => needs_set(input),
        HirRel::Map { input, scalars } => needs_set(input) || scalars.iter().any(has_subquery),
        HirRel::Filter { input, predicates } => {
            needs_set(input) || predicates.iter().any(has_subquery)
        }
        HirRel::TableFunction { args, .. } => args.iter().any(has_subquery),
        HirRel::Join {
            left,
            right,
            on,
            kind,
        } => {
            *kind != crate::hir::JoinKind::Inner
                || needs_set(left)
                || needs_set(right)
                || on.iter().any(has_subquery)
        }
        HirRel::Union { inputs } => inputs.iter().any(needs_set),
        HirRel::Let { .. }
        | HirRel::LetRec { .. }
        | HirRel::Reduce { .. }
        | HirRel::Distinct { .. }
        | HirRel::TopK { .. }
        | HirRel::Window { .. }
        | HirRel::Threshold { .. } => true,
    }
}

/// The columns of enclosing rows that a relation refers to, with levels as it sees them (1 and up).
pub(super) fn free_columns(rel: &HirRel) -> BTreeSet<ColumnRef> {
    let mut out = BTreeSet::new();
    rel_columns(rel, 0, &mut out);
    out
}

/// The columns outside of a predicate over a subquery's row, with levels as the subquery sees them.
pub(super) fn free_columns_of_scalar(scalar: &HirScalar) -> BTreeSet<ColumnRef> {
    let mut out = BTreeSet::new();
    scalar_columns(scalar, 0, &mut out);
    out
}

/// The WITH names that a relation refers to.
pub(super) fn local_ids(rel: &HirRel) -> BTreeSet<LocalId> {
    let mut out = BTreeSet::new();
    rel_locals(rel, &mut out);
    out
}

/// The WITH names that a scalar's subqueries refer to.
pub(super) fn local_ids_of_scalar(scalar: &HirScalar) -> BTreeSet<LocalId> {
    let mut out = BTreeSet::new();
    scalar_locals(scalar, &mut out);
    out
}

fn rel_columns(rel: &HirRel, depth: usize, out: &mut BTreeSet<ColumnRef>) {
    for scalar in rel_scalars(rel) {
        scalar_columns(scalar, depth, out);
    }
    if let HirRel::Join { left, right, .. } = rel {
        rel_columns(left, depth, out);
        rel_columns(right, depth + 1, out);
    } else {
        for input in rel_inputs(rel) {
            rel_columns(input, depth, out);
        }
    }
}

fn scalar_columns(scalar: &HirScalar, depth: usize, out: &mut BTreeSet<ColumnRef>) {
    match scalar {
        HirScalar::Column(c) if c.level > depth => {
            out.insert(ColumnRef {
                level: c.level - depth,
                ..*c
            });
        }
        HirScalar::Exists(sub) | HirScalar::Scalar(sub) => rel_columns(sub, depth + 1, out),
        HirScalar::Any { input, predicate } => {
            rel_columns(input, depth + 1, out);
            scalar_columns(predicate, depth + 1, out);
        }
        other => scalar_children(other)
            .into_iter()
            .for_each(|c| scalar_columns(c, depth, out)),
    }
}

fn rel_locals(rel: &HirRel, out: &mut BTreeSet<LocalId>) {
    if let HirRel::Get {
        id: Id::Local(id), ..
    } = rel
    {
        out.insert(*id);
    }
    rel_scalars(rel)
        .into_iter()
        .for_each(|s| scalar_locals(s, out));
    match rel {
        HirRel::Join { left, right, .. } => {
            rel_locals(left, out);
            rel_locals(right, out);
        }
        other => rel_inputs(other)
            .into_iter()
            .for_each(|r| rel_locals(r, out)),
    }
}

fn scalar_locals(scalar: &HirScalar, out: &mut BTreeSet<LocalId>) {
    match scalar {
        HirScalar::Exists(sub) | HirScalar::Scalar(sub) => rel_locals(sub, out),
        HirScalar::Any { input, predicate } => {
            rel_locals(input, out);
            scalar_locals(predicate, out);
        }
        other => scalar_children(other)
            .into_iter()
            .for_each(|c| scalar_locals(c, out)),
    }
}

/// Direct operands, without what is inside subqueries.
fn scalar_children(scalar: &HirScalar) -> Vec<&HirScalar> {
    match scalar {
        HirScalar::Call { args, .. }
        | HirScalar::And(args)
        | HirScalar::Or(args)
        | HirScalar::Coalesce(args) => args.iter().collect(),
        HirScalar::Not(arg) | HirScalar::IsNull(arg) => vec![arg],
        HirScalar::If {
            condition,
            then,
            els,
        } => vec![condition, then, els],
        HirScalar::Column(_)
        | HirScalar::Literal(..)
        | HirScalar::Parameter(..)
        | HirScalar::Exists(_)
        | HirScalar::Scalar(_)
        | HirScalar::Any { .. } => vec![],
    }
}

/// Inputs in the same scope; a join's sides are handled by whoever knows that the right one opens a scope.
fn rel_inputs(rel: &HirRel) -> Vec<&HirRel> {
    match rel {
        HirRel::Constant { .. }
        | HirRel::Get { .. }
        | HirRel::TableFunction { .. }
        | HirRel::Join { .. } => vec![],
        HirRel::Let { value, body, .. } => vec![value, body],
        HirRel::LetRec { bindings, body } => bindings
            .iter()
            .map(|(_, value, _)| value)
            .chain([&**body])
            .collect(),
        HirRel::Union { inputs } => inputs.iter().collect(),
        HirRel::Project { input, .. }
        | HirRel::Map { input, .. }
        | HirRel::Filter { input, .. }
        | HirRel::Reduce { input, .. }
        | HirRel::Distinct { input }
        | HirRel::TopK { input, .. }
        | HirRel::Window { input, .. }
        | HirRel::Threshold { input }
        | HirRel::Negate { input } => vec![input],
    }
}

/// The scalars of a node alone.
fn rel_scalars(rel: &HirRel) -> Vec<&HirScalar> {
    match rel {
        HirRel::Map { scalars, .. } => scalars.iter().collect(),
        HirRel::Filter { predicates, .. } => predicates.iter().collect(),
        HirRel::TableFunction { args, .. } => args.iter().collect(),
        HirRel::Join { on, .. } => on.iter().collect(),
        HirRel::Reduce { aggregates, .. } => {
            aggregates.iter().flat_map(aggregate_scalars).collect()
        }
        HirRel::Window { functions, .. } => functions.iter().flat_map(window_scalars).collect(),
        _ => vec![],
    }
}

fn aggregate_scalars(a: &HirAggregate) -> impl Iterator<Item = &HirScalar> {
    a.args
        .iter()
        .chain(&a.filter)
        .chain(a.order_by.iter().map(|o| &o.expr))
}

fn window_scalars(w: &HirWindow) -> impl Iterator<Item = &HirScalar> {
    w.args
        .iter()
        .chain(&w.partition_by)
        .chain(w.order_by.iter().map(|o| &o.expr))
}
