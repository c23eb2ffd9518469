//! Which columns can hold errors.
//!
//! An expression that cannot fail by itself still gives an error over a column that holds one, so a predicate may
//! move to rows that it would not have seen only if none of its columns is among these.

use everview_expr::aggregate::{self, AggregateKind};
use everview_expr::{AggregateExpr, Id, LocalId, RelExpr, ScalarExpr};
use std::collections::BTreeMap;

/// For each binding around an expression, the columns that can hold errors.
pub(super) type Bindings = BTreeMap<LocalId, Vec<bool>>;

/// Whether each column can hold an error. Stored relations are taken to hold none.
pub(super) fn columns(expr: &RelExpr, bindings: &Bindings) -> Vec<bool> {
    let of = |e: &RelExpr| columns(e, bindings);
    match expr {
        RelExpr::Constant { rows: Ok(_), ty } => vec![false; ty.arity()],
        RelExpr::Constant { rows: Err(_), ty } => vec![true; ty.arity()],
        RelExpr::Get {
            id: Id::Global(_),
            ty,
        } => vec![false; ty.arity()],
        RelExpr::Get {
            id: Id::Local(id),
            ty,
        } => bindings
            .get(id)
            .cloned()
            .unwrap_or_else(|| vec![true; ty.arity()]),
        RelExpr::Let { id, value, body } => {
            let mut inner = bindings.clone();
            inner.insert(*id, of(value));
            columns(body, &inner)
        }
        RelExpr::LetRec { body, .. } => vec![true; body.arity()],
        RelExpr::Project { input, outputs } => {
            let input = of(input);
            outputs.iter().map(|c| input[*c]).collect()
        }
        RelExpr::Map { input, scalars } => {
            let mut out = of(input);
            for scalar in scalars {
                out.push(expression(scalar, &out));
            }
            out
        }
        RelExpr::FlatMap { input, .. } => {
            // An error of the function is not a row.
            let mut out = of(input);
            out.resize(expr.arity(), false);
            out
        }
        RelExpr::Join { inputs, .. } => inputs.iter().flat_map(of).collect(),
        RelExpr::Reduce {
            input,
            group_key,
            aggregates,
        } => {
            let input = of(input);
            // An error in a key is not a row.
            let keys = group_key.iter().map(|_| false);
            keys.chain(aggregates.iter().map(|a| aggregate(a, &input)))
                .collect()
        }
        RelExpr::Window { input, functions } => {
            let mut out = of(input);
            out.extend(functions.iter().map(|_| true));
            out
        }
        RelExpr::Union { inputs } => {
            let mut inputs = inputs.iter().map(of);
            let mut out = inputs.next().unwrap_or_default();
            for other in inputs {
                out.iter_mut().zip(other).for_each(|(a, b)| *a |= b);
            }
            out
        }
        RelExpr::Filter { input, .. }
        | RelExpr::TopK { input, .. }
        | RelExpr::Threshold { input }
        | RelExpr::Negate { input }
        | RelExpr::ArrangeBy { input, .. } => of(input),
    }
}

/// Whether an expression over such columns can be an error.
pub(super) fn expression(expr: &ScalarExpr, failing: &[bool]) -> bool {
    expr.can_fail() || expr.columns().iter().any(|c| failing[*c])
}

fn aggregate(call: &AggregateExpr, input: &[bool]) -> bool {
    let desc = aggregate::get(call.func);
    let total = matches!(desc.kind, AggregateKind::Min | AggregateKind::Max)
        || matches!(desc.name, "count" | "bool_and" | "bool_or" | "every");
    !total
        || call
            .args
            .iter()
            .chain(&call.filter)
            .any(|e| expression(e, input))
}
