//! Walking column references of the hir, with the depth at which they stand.
//!
//! At depth d, level d is the row that the walk started at: each subquery, right side of a join and table function
//! on the way adds one.

use crate::hir::{ColumnRef, HirAggregate, HirOrder, HirRel, HirScalar, HirWindow};

/// What a walk does at each scalar expression, parents first; `false` keeps it out of the operands.
type Visit<'f> = &'f mut dyn FnMut(&mut HirScalar, usize) -> bool;

/// Visits a scalar and everything below.
pub(crate) fn scalar(expr: &mut HirScalar, depth: usize, f: Visit<'_>) {
    stacker::maybe_grow(128 << 10, 4 << 20, || {
        if !f(expr, depth) {
            return;
        }
        match expr {
            HirScalar::Column(_) | HirScalar::Literal(..) | HirScalar::Parameter(..) => {}
            HirScalar::Call { args, .. }
            | HirScalar::And(args)
            | HirScalar::Or(args)
            | HirScalar::Coalesce(args) => args.iter_mut().for_each(|a| scalar(a, depth, f)),
            HirScalar::Not(arg) | HirScalar::IsNull(arg) => scalar(arg, depth, f),
            HirScalar::If {
                condition,
                then,
                els,
            } => {
                scalar(condition, depth, f);
                scalar(then, depth, f);
                scalar(els, depth, f);
            }
            HirScalar::Exists(rel) | HirScalar::Scalar(rel) => relation(rel, depth, f),
            HirScalar::Any { input, predicate } => {
                relation(input, depth, f);
                scalar(predicate, depth + 1, f);
            }
        }
    });
}

fn orders(orders: &mut [HirOrder], depth: usize, f: Visit<'_>) {
    orders
        .iter_mut()
        .for_each(|o| scalar(&mut o.expr, depth, f));
}

/// Visits an aggregate's expressions.
pub(crate) fn aggregate(aggregate: &mut HirAggregate, depth: usize, f: Visit<'_>) {
    aggregate.args.iter_mut().for_each(|a| scalar(a, depth, f));
    aggregate
        .filter
        .iter_mut()
        .for_each(|a| scalar(a, depth, f));
    orders(&mut aggregate.order_by, depth, f);
}

fn window(window: &mut HirWindow, depth: usize, f: Visit<'_>) {
    let all = window.args.iter_mut().chain(&mut window.partition_by);
    all.for_each(|a| scalar(a, depth, f));
    orders(&mut window.order_by, depth, f);
}

/// Visits the scalars of a relation. `depth` is that of the rows around the relation: a scalar over one of its own
/// rows is one deeper.
pub(crate) fn relation(rel: &mut HirRel, depth: usize, f: Visit<'_>) {
    stacker::maybe_grow(128 << 10, 4 << 20, || match rel {
        HirRel::Constant { .. } | HirRel::Get { .. } => {}
        HirRel::Let { value, body, .. } => {
            relation(value, depth, f);
            relation(body, depth, f);
        }
        HirRel::LetRec { bindings, body } => {
            bindings
                .iter_mut()
                .for_each(|(_, value, _)| relation(value, depth, f));
            relation(body, depth, f);
        }
        HirRel::Project { input, .. }
        | HirRel::Distinct { input }
        | HirRel::TopK { input, .. }
        | HirRel::Threshold { input }
        | HirRel::Negate { input } => relation(input, depth, f),
        HirRel::Map { input, scalars }
        | HirRel::Filter {
            input,
            predicates: scalars,
        } => {
            relation(input, depth, f);
            scalars.iter_mut().for_each(|s| scalar(s, depth + 1, f));
        }
        HirRel::TableFunction { args, .. } => args.iter_mut().for_each(|a| scalar(a, depth + 1, f)),
        HirRel::Join {
            left, right, on, ..
        } => {
            relation(left, depth, f);
            relation(right, depth + 1, f);
            on.iter_mut().for_each(|s| scalar(s, depth + 1, f));
        }
        HirRel::Reduce {
            input, aggregates, ..
        } => {
            relation(input, depth, f);
            aggregates
                .iter_mut()
                .for_each(|a| aggregate(a, depth + 1, f));
        }
        HirRel::Window { input, functions } => {
            relation(input, depth, f);
            functions.iter_mut().for_each(|w| window(w, depth + 1, f));
        }
        HirRel::Union { inputs } => inputs.iter_mut().for_each(|i| relation(i, depth, f)),
    });
}

/// Moves an expression `by` scopes further in: what it sees is that many levels further out.
pub(crate) fn shift_scalar(expr: &mut HirScalar, by: usize) {
    scalar(expr, 0, &mut |e, depth| {
        if let HirScalar::Column(c) = e
            && c.level >= depth
        {
            c.level += by;
        }
        true
    });
}

/// Calls `f` for every column of the row at hand.
pub(crate) fn columns(expr: &mut HirScalar, f: &mut dyn FnMut(&mut ColumnRef)) {
    scalar(expr, 0, &mut |e, depth| {
        if let HirScalar::Column(c) = e
            && c.level == depth
        {
            f(c);
        }
        true
    });
}

/// The columns of the row at hand that an expression reads.
pub(crate) fn column_set(expr: &HirScalar) -> std::collections::BTreeSet<usize> {
    let mut out = std::collections::BTreeSet::new();
    columns(&mut expr.clone(), &mut |c| {
        out.insert(c.column);
    });
    out
}

/// Whether an expression reads a row around the one at hand.
pub(crate) fn reads_outer(expr: &HirScalar) -> bool {
    let mut outer = false;
    scalar(&mut expr.clone(), 0, &mut |e, depth| {
        outer |= matches!(e, HirScalar::Column(c) if c.level > depth);
        true
    });
    outer
}
