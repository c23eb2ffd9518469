//! What occurs more than once is bound to a name and computed once.
//!
//! Every node becomes a binding over names, equal ones the same binding; names used once are put back where they
//! are used. Maps, filters and projections of a stored relation are cheaper repeated than kept, and are.

use super::inline;
use everview_expr::{Id, LocalId, RelExpr};
use std::collections::BTreeMap;

pub(super) fn apply(expr: RelExpr) -> RelExpr {
    let mut recursive = false;
    let mut next = 0;
    expr.visit(&mut |e| match e {
        RelExpr::LetRec { .. } => recursive = true,
        RelExpr::Let { id, .. } => next = next.max(id.0 + 1),
        _ => {}
    });
    // A recursive name means another collection in each round: nothing that reads it can leave.
    if recursive {
        return expr;
    }
    let mut sharing = Sharing {
        next,
        ..Sharing::default()
    };
    let root = sharing.name(expr);
    let bound = sharing.bindings.into_iter().rev();
    let shared = bound.fold(root, |body, (id, value)| RelExpr::Let {
        id,
        value: Box::new(value),
        body: Box::new(body),
    });
    inline::apply(shared)
}

#[derive(Default)]
struct Sharing {
    next: u32,
    /// Values over names, in the order in which they need each other.
    bindings: Vec<(LocalId, RelExpr)>,
    known: BTreeMap<RelExpr, RelExpr>,
    /// What stands for the names that the expression bound itself.
    renamed: BTreeMap<LocalId, RelExpr>,
}

impl Sharing {
    /// A name for the expression, or itself if it is one.
    fn name(&mut self, mut expr: RelExpr) -> RelExpr {
        match expr {
            RelExpr::Let { id, value, body } => {
                let value = self.name(*value);
                self.renamed.insert(id, value);
                return self.name(*body);
            }
            RelExpr::Get {
                id: Id::Local(id), ..
            } => return self.renamed.get(&id).cloned().unwrap_or(expr),
            RelExpr::Get { .. } | RelExpr::Constant { .. } => return expr,
            _ => {}
        }
        for child in expr.children_mut() {
            let taken = std::mem::replace(child, RelExpr::unit());
            *child = self.name(taken);
        }
        if let Some(name) = self.known.get(&expr) {
            return name.clone();
        }
        let id = LocalId(self.next);
        self.next += 1;
        let name = RelExpr::local(id, expr.ty());
        self.known.insert(expr.clone(), name.clone());
        self.bindings.push((id, expr));
        name
    }
}
