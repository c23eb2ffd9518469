//! Replaces bindings that are used once, or that are as cheap to repeat as to keep, by what they stand for.

use everview_expr::{Id, LocalId, RelExpr};
use std::collections::BTreeMap;

/// Besides those used once, relations and projections of them, and single rows.
pub(super) fn apply(expr: RelExpr) -> RelExpr {
    with(expr, is_name)
}

/// Besides those, maps and filters of a relation, so that each use can narrow its own.
pub(super) fn rows_of_relations(expr: RelExpr) -> RelExpr {
    with(expr, is_row_wise)
}

fn is_name(value: &RelExpr) -> bool {
    match value {
        RelExpr::Get { .. } => true,
        RelExpr::Constant { rows: Ok(rows), .. } => rows.len() <= 1,
        RelExpr::Project { input, .. } => is_name(input),
        _ => false,
    }
}

fn is_row_wise(value: &RelExpr) -> bool {
    match value {
        RelExpr::Project { input, .. }
        | RelExpr::Map { input, .. }
        | RelExpr::Filter { input, .. } => is_row_wise(input),
        other => is_name(other),
    }
}

fn with(mut expr: RelExpr, cheap: fn(&RelExpr) -> bool) -> RelExpr {
    let mut uses: BTreeMap<LocalId, usize> = BTreeMap::new();
    expr.visit(&mut |e| {
        if let RelExpr::Get {
            id: Id::Local(id), ..
        } = e
        {
            *uses.entry(*id).or_default() += 1;
        }
    });
    let mut inline = Inline {
        uses,
        cheap,
        values: BTreeMap::new(),
    };
    inline.run(&mut expr);
    expr
}

struct Inline {
    uses: BTreeMap<LocalId, usize>,
    cheap: fn(&RelExpr) -> bool,
    /// What replaces a name.
    values: BTreeMap<LocalId, RelExpr>,
}

impl Inline {
    fn run(&mut self, expr: &mut RelExpr) {
        match expr {
            RelExpr::Get {
                id: Id::Local(id), ..
            } => {
                if let Some(value) = self.values.get(id) {
                    *expr = value.clone();
                }
            }
            RelExpr::Let { id, value, body } => {
                self.run(value);
                if self.uses.get(id).is_none_or(|n| *n == 1) || (self.cheap)(value) {
                    let value = std::mem::replace(&mut **value, RelExpr::unit());
                    self.values.insert(*id, value);
                    let mut body = std::mem::replace(&mut **body, RelExpr::unit());
                    self.run(&mut body);
                    *expr = body;
                } else {
                    self.run(body);
                }
            }
            other => other.children_mut().into_iter().for_each(|c| self.run(c)),
        }
    }
}
