//! What a predicate says by its shape.

use everview_expr::registry::{self, ParamType, Volatility};
use everview_expr::{CallTypes, Func, RelExpr, ScalarExpr};
use everview_repr::{ColumnType, Datum, ScalarType};
use std::collections::BTreeSet;

/// Whether two evaluations can differ.
pub(super) fn is_volatile(expr: &ScalarExpr) -> bool {
    let mut found = false;
    expr.visit(&mut |e| {
        if let ScalarExpr::Call { func, .. } = e {
            found |= registry::get(*func).volatility == Volatility::Volatile;
        }
    });
    found
}

/// The conjuncts, those that all of a disjunction's operands share taken out of it.
pub(super) fn flatten(predicate: ScalarExpr, out: &mut Vec<ScalarExpr>) {
    match predicate {
        ScalarExpr::And(args) => args.into_iter().for_each(|a| flatten(a, out)),
        ScalarExpr::Or(args) if args.len() > 1 => factor(args, out),
        other => out.push(other),
    }
}

fn conjuncts(predicate: &ScalarExpr) -> Vec<ScalarExpr> {
    match predicate {
        ScalarExpr::And(args) => args.iter().flat_map(conjuncts).collect(),
        other => vec![other.clone()],
    }
}

/// `(a AND x) OR (a AND y)` is `a AND (x OR y)`.
fn factor(args: Vec<ScalarExpr>, out: &mut Vec<ScalarExpr>) {
    let operands: Vec<Vec<ScalarExpr>> = args.iter().map(conjuncts).collect();
    let shared = operands[0]
        .iter()
        .filter(|c| !is_volatile(c) && operands[1..].iter().all(|operand| operand.contains(c)));
    let shared: Vec<ScalarExpr> = shared.cloned().collect();
    if shared.is_empty() {
        return out.push(ScalarExpr::Or(args));
    }
    let rests = operands.into_iter().map(|mut operand| {
        operand.retain(|c| !shared.contains(c));
        operand
    });
    let rests: Vec<Vec<ScalarExpr>> = rests.collect();
    out.extend(shared);
    if !rests.iter().any(Vec::is_empty) {
        out.push(ScalarExpr::Or(rests.into_iter().map(all_of).collect()));
    }
}

/// The conjunction.
fn all_of(mut conjuncts: Vec<ScalarExpr>) -> ScalarExpr {
    match conjuncts.len() {
        1 => conjuncts.remove(0),
        _ => ScalarExpr::And(conjuncts),
    }
}

/// What a disjunction implies of the columns that satisfy the condition: each operand's own conjuncts over them.
pub(super) fn implied(
    predicate: &ScalarExpr,
    condition: impl Fn(&ScalarExpr) -> bool,
) -> Option<ScalarExpr> {
    let ScalarExpr::Or(args) = predicate else {
        return None;
    };
    let parts = args.iter().map(|arg| {
        let mut own = conjuncts(arg);
        own.retain(|c| !c.columns().is_empty() && condition(c));
        (!own.is_empty()).then(|| all_of(own))
    });
    Some(ScalarExpr::Or(parts.collect::<Option<Vec<_>>>()?))
}

/// The sides of an equality, of one type: of two number types, the narrower side is cast to the wider.
pub(super) fn equality(predicate: &ScalarExpr) -> Option<(ScalarExpr, ScalarExpr)> {
    let ScalarExpr::Call { func, args, types } = predicate else {
        return None;
    };
    let ([a, b], [s, t]) = (args.as_slice(), types.args.as_slice()) else {
        return None;
    };
    if registry::get(*func).name != "=" {
        return None;
    }
    let (a, b) = (a.clone(), b.clone());
    match (width(s), width(t)) {
        _ if s == t => Some((a, b)),
        (Some((whole, m)), Some((other, n))) if whole == other => match m < n {
            true => Some((widened(a, s, t, types)?, b)),
            false => Some((a, widened(b, t, s, types)?)),
        },
        _ => None,
    }
}

/// Whether a number type is of integers, and its width in bytes.
fn width(ty: &ScalarType) -> Option<(bool, u32)> {
    match ty {
        ScalarType::Int16 => Some((true, 2)),
        ScalarType::Int32 => Some((true, 4)),
        ScalarType::Int64 => Some((true, 8)),
        ScalarType::Float32 => Some((false, 4)),
        ScalarType::Float64 => Some((false, 8)),
        _ => None,
    }
}

/// The cast to a type that holds every value.
fn widened(
    arg: ScalarExpr,
    from: &ScalarType,
    to: &ScalarType,
    call: &CallTypes,
) -> Option<ScalarExpr> {
    let fits = |func: &&Func| {
        let desc = registry::get(**func);
        desc.params == [ParamType::Exact(from.clone())]
            && desc.returns == ParamType::Exact(to.clone())
            && desc.infallible
    };
    let func = *registry::candidates(registry::CAST).iter().find(fits)?;
    let types = CallTypes {
        args: vec![from.clone()],
        result: to.clone(),
        ..call.clone()
    };
    Some(ScalarExpr::Call {
        func,
        args: vec![arg],
        types: types.into(),
    })
}

/// Which argument is compared with a literal of the same type: a condition that SQL's order decides, so that it
/// holds for everything equal.
pub(super) fn compared(predicate: &ScalarExpr) -> Option<usize> {
    let ScalarExpr::Call { func, args, types } = predicate else {
        return None;
    };
    if !matches!(registry::get(*func).name, "=" | "<" | "<=" | ">" | ">=") || predicate.can_fail() {
        return None;
    }
    match (args.as_slice(), types.args.as_slice()) {
        ([a, b], [s, t]) if s == t => match (a.as_literal(), b.as_literal()) {
            (None, Some(_)) => Some(0),
            (Some(_), None) => Some(1),
            _ => None,
        },
        _ => None,
    }
}

/// A comparison with a literal, for everything that a join makes equal to what is compared.
pub(super) fn transferred(
    comparison: &ScalarExpr,
    classes: &[Vec<ScalarExpr>],
    types: &[ColumnType],
) -> Vec<ScalarExpr> {
    let ScalarExpr::Call {
        func,
        args,
        types: call,
    } = comparison
    else {
        return vec![];
    };
    let Some(at) = compared(comparison) else {
        return vec![];
    };
    let subject = &args[at];
    let same = |other: &&ScalarExpr| {
        *other != subject && other.ty(types).scalar == call.args[at] && !is_volatile(other)
    };
    let members = classes
        .iter()
        .filter(|c| c.contains(subject))
        .flatten()
        .filter(same);
    let transfer = members.map(|other| {
        let mut args = args.clone();
        args[at] = other.clone();
        ScalarExpr::Call {
            func: *func,
            args,
            types: call.clone(),
        }
    });
    transfer.collect()
}

/// Conditions on the rows of a join's input, over the join's columns, that compare with literals.
pub(super) fn filtered(input: &RelExpr, start: usize) -> Vec<ScalarExpr> {
    let RelExpr::Filter { predicates, .. } = input else {
        return vec![];
    };
    let known = predicates.iter().filter(|p| compared(p).is_some()).cloned();
    let moved = known.map(|mut p| {
        p.permute(|c| c + start);
        p
    });
    moved.collect()
}

/// Replaces columns by expressions.
pub(super) fn substitute(mut predicate: ScalarExpr, by: &[ScalarExpr]) -> ScalarExpr {
    predicate.visit_mut_post(&mut |e| {
        if let ScalarExpr::Column(c) = e {
            *e = by[*c].clone();
        }
    });
    predicate
}

/// `expr IS NOT NULL`.
pub(super) fn not_null(expr: ScalarExpr) -> ScalarExpr {
    ScalarExpr::Not(Box::new(ScalarExpr::IsNull(Box::new(expr))))
}

/// The columns whose NULL is the only way in which an expression becomes NULL; none if there may be others.
pub(super) fn null_sources(expr: &ScalarExpr) -> Option<BTreeSet<usize>> {
    match expr {
        ScalarExpr::Column(c) => Some(BTreeSet::from([*c])),
        ScalarExpr::Literal(row, _) => (row.first() != Datum::Null).then(BTreeSet::new),
        ScalarExpr::Call { func, args, .. } => {
            let desc = registry::get(*func);
            let mut out = BTreeSet::new();
            for arg in args {
                out.extend(null_sources(arg)?);
            }
            (desc.strict && desc.never_null).then_some(out)
        }
        ScalarExpr::IsNull(_) => Some(BTreeSet::new()),
        ScalarExpr::Not(arg) => null_sources(arg),
        _ => None,
    }
}

/// Columns of which one NULL makes the expression NULL, unless an operand fails.
pub(super) fn made_null(expr: &ScalarExpr) -> BTreeSet<usize> {
    match expr {
        ScalarExpr::Column(c) => BTreeSet::from([*c]),
        ScalarExpr::Call { func, args, .. } if registry::get(*func).strict => {
            args.iter().flat_map(made_null).collect()
        }
        ScalarExpr::Not(arg) => made_null(arg),
        _ => BTreeSet::new(),
    }
}

/// Columns of which one NULL keeps the predicate from being true.
pub(super) fn rejected(predicate: &ScalarExpr) -> BTreeSet<usize> {
    match predicate {
        ScalarExpr::And(args) => args.iter().flat_map(rejected).collect(),
        ScalarExpr::Or(args) => {
            let mut args = args.iter().map(rejected);
            let first = args.next().unwrap_or_default();
            args.fold(first, |a, b| a.intersection(&b).copied().collect())
        }
        ScalarExpr::Not(inner) => match &**inner {
            ScalarExpr::IsNull(arg) => made_null(arg),
            other => made_null(other),
        },
        other => made_null(other),
    }
}
