//! Rules keep meaning: random expressions give the same rows before and after them.

use super::*;
use proptest::prelude::*;

mod evaluate;
mod generate;
mod shapes;

use evaluate::{Outcome, outcome};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// Same rows, and no failure that was not there before. A failure may go.
    #[test]
    fn rules_keep_meaning(tape in proptest::collection::vec(any::<u8>(), 10..160)) {
        let expr = generate::relation(&tape);
        let Outcome::Rows(before) = outcome(&expr) else { return Ok(()) };
        let mut current = expr.clone();
        for rule in RULES {
            let next = (rule.apply)(current.clone());
            let text = || {
                let names = |id: everview_repr::GlobalId| format!("t{}", id.0);
                let (from, to) = (crate::explain::relation(&current, &names), crate::explain::relation(&next, &names));
                format!("{}\n{from}\nto\n{to}", rule.name)
            };
            let (old, new) = (current.ty().columns, next.ty().columns);
            prop_assert_eq!(old.len(), new.len(), "{}", text());
            for (old, new) in old.iter().zip(&new) {
                prop_assert_eq!(&old.scalar, &new.scalar, "{}", text());
            }
            match outcome(&next) {
                Outcome::Rows(after) => prop_assert_eq!(&before, &after, "{}", text()),
                Outcome::TooLarge => return Ok(()),
                Outcome::Fails => prop_assert!(false, "newly failing: {}", text()),
            }
            current = next;
        }
    }
}
