//! Choosing one candidate among signatures: `func_match_argtypes` and `func_select_candidate` of Postgres.

use super::{Failure, Signature, can_coerce, param_category, polymorphic};
use crate::casts::{Category, category};
use crate::registry::ParamType;
use everview_repr::ScalarType;

impl<'s> Signature<'s> {
    /// The parameter that takes the argument at a position.
    pub(super) fn param(&self, position: usize) -> Option<&'s ParamType> {
        match self.params.get(position) {
            None if self.variadic => self.params.last(),
            param => param,
        }
    }

    /// Whether it takes that many arguments. A repeating parameter needs one, but for `VARIADIC "any"`'s kin
    /// that take none.
    fn takes(&self, count: usize) -> bool {
        if self.variadic {
            count >= self.params.len()
        } else {
            count == self.params.len()
        }
    }

    fn is_exact(&self, args: &[ScalarType]) -> bool {
        self.takes(args.len())
            && args
                .iter()
                .enumerate()
                .all(|(i, a)| self.param(i).is_some_and(|p| same(p, a)))
    }
}

/// Whether a parameter asks for this very type.
fn same(param: &ParamType, arg: &ScalarType) -> bool {
    match (param, arg) {
        (ParamType::Exact(ScalarType::Record(_)), ScalarType::Record(_)) => true,
        (ParamType::Exact(ty), arg) => ty == arg && *arg != ScalarType::Unknown,
        _ => false,
    }
}

/// The candidate whose parameters are these types; one that does not repeat wins over one that does.
pub(super) fn exact(signatures: &[Signature<'_>], args: &[ScalarType]) -> Option<usize> {
    let mut exact: Vec<_> = (0..signatures.len())
        .filter(|i| signatures[*i].is_exact(args))
        .collect();
    exact.sort_by_key(|i| signatures[*i].variadic);
    exact.first().copied()
}

/// Operands of which one is unknown: both of the known one's type.
pub(super) fn assume_same_type(args: &[ScalarType]) -> Vec<ScalarType> {
    match args {
        [ScalarType::Unknown, known] | [known, ScalarType::Unknown] => {
            vec![known.clone(), known.clone()]
        }
        args => args.to_vec(),
    }
}

/// The candidate that a call with arguments of these types means.
pub(super) fn select(signatures: &[Signature<'_>], args: &[ScalarType]) -> Result<usize, Failure> {
    if let Some(i) = exact(signatures, args) {
        return Ok(i);
    }
    let fits = |s: &Signature<'_>| {
        s.takes(args.len())
            && args
                .iter()
                .enumerate()
                .all(|(i, a)| s.param(i).is_some_and(|p| can_coerce(a, p)))
    };
    let fits = |s: &Signature<'_>| fits(s) && polymorphic::is_consistent(s, args);
    let mut viable: Vec<usize> = (0..signatures.len())
        .filter(|i| fits(&signatures[*i]))
        .collect();
    drop_variadic_duplicates(signatures, &mut viable, args.len());
    match viable.as_slice() {
        [] => Err(Failure::NotFound),
        [one] => Ok(*one),
        _ => best(signatures, viable, args),
    }
}

/// Of a repeating candidate and one that spells the same parameters out, the latter is meant.
fn drop_variadic_duplicates(signatures: &[Signature<'_>], viable: &mut Vec<usize>, count: usize) {
    let expanded = |i: usize| (0..count).map(move |p| signatures[i].param(p));
    let plain: Vec<usize> = viable
        .iter()
        .copied()
        .filter(|i| !signatures[*i].variadic)
        .collect();
    viable.retain(|i| {
        !signatures[*i].variadic || !plain.iter().any(|p| expanded(*p).eq(expanded(*i)))
    });
}

fn best(
    signatures: &[Signature<'_>],
    mut viable: Vec<usize>,
    args: &[ScalarType],
) -> Result<usize, Failure> {
    let known = |i: &usize| args[*i] != ScalarType::Unknown;
    let known: Vec<usize> = (0..args.len()).filter(known).collect();
    let param = |candidate: usize, i: usize| signatures[candidate].param(i);

    keep_most(&mut viable, |c| {
        known
            .iter()
            .filter(|i| param(c, **i).is_some_and(|p| same(p, &args[**i])))
            .count()
    });
    if let [one] = viable.as_slice() {
        return Ok(*one);
    }
    keep_most(&mut viable, |c| {
        let fits = |i: &&usize| {
            let arg = &args[**i];
            param(c, **i)
                .is_some_and(|p| same(p, arg) || param_category(p) == (category(arg), true))
        };
        known.iter().filter(fits).count()
    });
    if let [one] = viable.as_slice() {
        return Ok(*one);
    }
    if known.len() == args.len() {
        return Err(Failure::Ambiguous);
    }
    narrow_by_category(signatures, &mut viable, args);
    if let [one] = viable.as_slice() {
        return Ok(*one);
    }
    assume_known_type(signatures, &viable, args).ok_or(Failure::Ambiguous)
}

fn keep_most(viable: &mut Vec<usize>, score: impl Fn(usize) -> usize) {
    let most = viable.iter().map(|c| score(*c)).max().unwrap_or(0);
    viable.retain(|c| score(*c) == most);
}

/// For unknown arguments: string wins if any candidate takes one there, else all must agree on a category; and
/// within it a preferred type wins.
fn narrow_by_category(signatures: &[Signature<'_>], viable: &mut Vec<usize>, args: &[ScalarType]) {
    let unknown: Vec<usize> = (0..args.len())
        .filter(|i| args[*i] == ScalarType::Unknown)
        .collect();
    let mut slots = Vec::new();
    for &i in &unknown {
        let mut kinds = viable
            .iter()
            .filter_map(|c| signatures[*c].param(i))
            .map(param_category);
        let all: Vec<_> = kinds.by_ref().collect();
        let string = all.iter().any(|(c, _)| *c == Category::String);
        let slot = if string {
            Some(Category::String)
        } else {
            all.first().map(|(c, _)| *c)
        };
        let Some(slot) = slot else { return };
        if !string && all.iter().any(|(c, _)| *c != slot) {
            return;
        }
        slots.push((i, slot, all.contains(&(slot, true))));
    }
    let keep = |c: &usize| {
        slots.iter().all(|(i, slot, preferred)| {
            let kind = signatures[*c].param(*i).map(param_category);
            kind.is_some_and(|(category, is)| category == *slot && (is || !preferred))
        })
    };
    if viable.iter().any(keep) {
        viable.retain(keep);
    }
}

/// Where all known arguments have one type: the candidate that would take all arguments of that type.
fn assume_known_type(
    signatures: &[Signature<'_>],
    viable: &[usize],
    args: &[ScalarType],
) -> Option<usize> {
    let mut known = args.iter().filter(|a| **a != ScalarType::Unknown);
    let first = known.next()?;
    if known.any(|a| a != first) {
        return None;
    }
    let assumed = vec![first.clone(); args.len()];
    let takes = |c: &&usize| {
        let signature = &signatures[**c];
        let fits = |i| signature.param(i).is_some_and(|p| can_coerce(first, p));
        (0..args.len()).all(fits) && polymorphic::is_consistent(signature, &assumed)
    };
    let mut takers = viable.iter().filter(takes);
    let one = takers.next()?;
    takers.next().is_none().then_some(*one)
}
