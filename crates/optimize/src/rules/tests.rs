//! Rules keep meaning: random expressions give the same rows before and after them.

use super::*;
use proptest::prelude::*;

mod evaluate;
mod generate;
mod shapes;

use evaluate::{Outcome, outcome, outcome_without_failing_rows};

/// How many cases each property runs; more by `EVERVIEW_CASES`.
fn cases() -> ProptestConfig {
    let cases = std::env::var("EVERVIEW_CASES").ok();
    let cases = cases.and_then(|n| n.parse().ok()).unwrap_or(1500);
    ProptestConfig {
        cases,
        ..ProptestConfig::default()
    }
}

/// Whether some join has a key that gives an error for some row of its input.
fn has_key_that_fails(expr: &RelExpr, bindings: &mut failing::Bindings) -> bool {
    if let RelExpr::Let { id, value, body } = expr {
        let within = has_key_that_fails(value, bindings);
        bindings.insert(*id, failing::columns(value, bindings));
        return has_key_that_fails(body, bindings) || within;
    }
    let here = match expr {
        RelExpr::Join {
            inputs,
            equivalences,
        } => {
            let columns = inputs.iter().flat_map(|i| failing::columns(i, bindings));
            let columns: Vec<bool> = columns.collect();
            let mut keys = equivalences.iter().flatten();
            keys.any(|e| failing::expression(e, &columns))
        }
        _ => false,
    };
    let mut children = expr.children().into_iter();
    here || children.any(|c| has_key_that_fails(c, bindings))
}

/// Says what is wrong with `after` for an expression that gave rows and no error before: the same rows, and no
/// failure that was not there; but where a key can fail, for the rows of its input that it fails for.
fn difference(
    rule: &str,
    before: &evaluate::Bag,
    from: &RelExpr,
    after: &RelExpr,
) -> Result<(), String> {
    let names = |id: everview_repr::GlobalId| format!("t{}", id.0);
    let text = |what: &str| {
        let (from, to) = (
            crate::explain::relation(from, &names),
            crate::explain::relation(after, &names),
        );
        Err(format!("{rule}: {what}\n{from}\nto\n{to}"))
    };
    if let Err(problem) = check(after) {
        return text(&problem);
    }
    let (old, new) = (from.ty().columns, after.ty().columns);
    let same = old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| a.scalar == b.scalar);
    if !same {
        return text("other columns");
    }
    let rows = match outcome(after) {
        Outcome::Fails if has_key_that_fails(after, &mut failing::Bindings::new()) => {
            outcome_without_failing_rows(after)
        }
        other => other,
    };
    match rows {
        Outcome::Rows(rows) if rows == *before => Ok(()),
        Outcome::Rows(_) => text("other rows"),
        Outcome::TooLarge => Ok(()),
        Outcome::Fails => text("newly failing"),
    }
}

proptest! {
    #![proptest_config(cases())]

    /// One rule after the other.
    #[test]
    fn rules_keep_meaning(tape in proptest::collection::vec(any::<u8>(), 10..200)) {
        let expr = generate::relation(&tape);
        let Outcome::Rows(before) = outcome(&expr) else { return Ok(()) };
        let mut current = expr;
        for rule in RULES {
            let next = (rule.apply)(current.clone());
            let found = difference(rule.name, &before, &current, &next);
            prop_assert!(found.is_ok(), "{}", found.err().unwrap_or_default());
            current = next;
        }
    }

    /// Each rule alone, on what no other rule has seen.
    #[test]
    fn each_rule_keeps_meaning(tape in proptest::collection::vec(any::<u8>(), 10..200)) {
        let expr = generate::relation(&tape);
        let Outcome::Rows(before) = outcome(&expr) else { return Ok(()) };
        for rule in RULES {
            let found = difference(rule.name, &before, &expr, &(rule.apply)(expr.clone()));
            prop_assert!(found.is_ok(), "{}", found.err().unwrap_or_default());
        }
    }
}
