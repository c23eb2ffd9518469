//! The rules, in the order in which they run.
//!
//! Each takes an expression to an equal one. None exposes an expression that can fail to rows that it would not
//! have seen, but for the keys that `pushdown` says; none changes an order's tie-breaks.

use crate::check::check;
use everview_expr::RelExpr;

mod disjunct;
mod distinct;
mod domain;
mod failing;
mod fold;
mod fuse;
mod inline;
mod narrow;
mod nulls;
mod outer;
mod predicate;
mod pushdown;
mod share;
mod topk;

/// A rule.
struct Rule {
    name: &'static str,
    apply: fn(RelExpr) -> RelExpr,
}

const INLINE: Rule = Rule {
    name: "inline bindings used once",
    apply: inline::apply,
};
const INLINE_ROWS: Rule = Rule {
    name: "inline bindings that are cheap to repeat",
    apply: inline::rows_of_relations,
};
const FUSE: Rule = Rule {
    name: "fuse joins and unions",
    apply: fuse::apply,
};
const PUSH: Rule = Rule {
    name: "push predicates down",
    apply: pushdown::apply,
};
const NULLS: Rule = Rule {
    name: "decide IS NULL by what can be NULL",
    apply: nulls::apply,
};
const DISJUNCT: Rule = Rule {
    name: "take disjunctions under distinct apart",
    apply: disjunct::apply,
};
const OUTER: Rule = Rule {
    name: "drop padding that a predicate rejects",
    apply: outer::apply,
};
const FOLD: Rule = Rule {
    name: "fold constants",
    apply: fold::apply,
};
const TOP: Rule = Rule {
    name: "keep the first rows instead of numbering all",
    apply: topk::apply,
};
const DISTINCT: Rule = Rule {
    name: "drop distinct by keys",
    apply: distinct::apply,
};
const DOMAIN: Rule = Rule {
    name: "evaluate subqueries without the set of outer rows",
    apply: domain::apply,
};
const SHARE: Rule = Rule {
    name: "bind what occurs more than once",
    apply: share::apply,
};
const NARROW: Rule = Rule {
    name: "drop columns that nothing reads",
    apply: narrow::apply,
};

/// Every rule, in order. Some run again after others have made room for them.
const RULES: &[Rule] = &[
    INLINE,
    NULLS,
    FOLD,
    FUSE,
    PUSH,
    DISJUNCT,
    OUTER,
    FOLD,
    TOP,
    INLINE,
    FUSE,
    PUSH,
    DOMAIN,
    DISTINCT,
    FOLD,
    INLINE_ROWS,
    FUSE,
    PUSH,
    FOLD,
    DISTINCT,
    SHARE,
    NARROW,
    FOLD,
];

/// A rule, or what came before the rules, gave a plan that is not well formed: an error of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan after `{rule}` is not well formed: {problem}")]
pub struct BrokenPlan {
    /// What gave it.
    pub rule: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// Runs all rules. The result is well formed; in debug builds every step is checked, so that the error names
/// the rule to blame.
///
/// # Errors
/// An expression is not well formed: as it came, or after a rule.
pub fn optimize(mut expr: RelExpr) -> Result<RelExpr, BrokenPlan> {
    let broken = |rule: &'static str| move |problem| BrokenPlan { rule, problem };
    if cfg!(debug_assertions) {
        check(&expr).map_err(broken("decorrelation"))?;
    }
    let arity = expr.arity();
    for rule in RULES {
        expr = (rule.apply)(expr);
        if cfg!(debug_assertions) {
            check(&expr).map_err(broken(rule.name))?;
        }
    }
    check(&expr).map_err(broken("all rules"))?;
    if expr.arity() != arity {
        let problem = format!("it has {} columns instead of {arity}", expr.arity());
        return Err(broken("all rules")(problem));
    }
    Ok(expr)
}

#[cfg(test)]
mod tests;
