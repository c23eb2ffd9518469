//! Replaces bindings that are used once, or that are as cheap as their name, by what they stand for.

use everview_expr::{Id, LocalId, RelExpr};
use std::collections::BTreeMap;

pub(super) fn apply(mut expr: RelExpr) -> RelExpr {
    inline(&mut expr);
    expr
}

fn inline(expr: &mut RelExpr) {
    for child in expr.children_mut() {
        inline(child);
    }
    if let RelExpr::Let { id, value, body } = expr {
        let uses = count(body, *id);
        let cheap = matches!(&**value, RelExpr::Get { .. })
            || matches!(&**value, RelExpr::Constant { rows: Ok(rows), .. } if rows.len() <= 1);
        if uses <= 1 || cheap {
            let mut body = std::mem::replace(&mut **body, RelExpr::unit());
            replace(&mut body, *id, value);
            *expr = body;
        }
    }
}

fn count(expr: &RelExpr, id: LocalId) -> usize {
    let mut uses: BTreeMap<LocalId, usize> = BTreeMap::new();
    expr.visit(&mut |e| {
        if let RelExpr::Get {
            id: Id::Local(local),
            ..
        } = e
        {
            *uses.entry(*local).or_default() += 1;
        }
    });
    uses.get(&id).copied().unwrap_or(0)
}

fn replace(expr: &mut RelExpr, id: LocalId, value: &RelExpr) {
    if matches!(expr, RelExpr::Get { id: Id::Local(local), .. } if *local == id) {
        *expr = value.clone();
        return;
    }
    for child in expr.children_mut() {
        replace(child, id, value);
    }
}
