//! The rules, in the order in which they run.
//!
//! Each takes an expression to an equal one. None exposes an expression that can fail to rows that it would not
//! have seen, and none changes an order's tie-breaks.

use everview_expr::RelExpr;

mod distinct;
mod failing;
mod fold;
mod fuse;
mod inline;
mod narrow;
mod pushdown;
mod topk;

/// A rule.
struct Rule {
    name: &'static str,
    apply: fn(RelExpr) -> RelExpr,
}

/// Every rule, in order. Some run again after others have made room for them.
const RULES: &[Rule] = &[
    Rule {
        name: "inline bindings used once",
        apply: inline::apply,
    },
    Rule {
        name: "fuse joins and unions",
        apply: fuse::apply,
    },
    Rule {
        name: "push predicates down",
        apply: pushdown::apply,
    },
    Rule {
        name: "fold constants",
        apply: fold::apply,
    },
    Rule {
        name: "keep the first rows instead of numbering all",
        apply: topk::apply,
    },
    Rule {
        name: "drop distinct by keys",
        apply: distinct::apply,
    },
    Rule {
        name: "inline bindings used once",
        apply: inline::apply,
    },
    Rule {
        name: "fuse joins and unions",
        apply: fuse::apply,
    },
    Rule {
        name: "push predicates down",
        apply: pushdown::apply,
    },
    Rule {
        name: "drop columns that nothing reads",
        apply: narrow::apply,
    },
    Rule {
        name: "fold constants",
        apply: fold::apply,
    },
];

/// Runs all rules.
pub fn optimize(mut expr: RelExpr) -> RelExpr {
    for rule in RULES {
        let arity = expr.arity();
        expr = (rule.apply)(expr);
        debug_assert_eq!(
            expr.arity(),
            arity,
            "the rule `{}` keeps the columns",
            rule.name
        );
    }
    expr
}

#[cfg(test)]
mod tests;
