//! Evaluates what is constant: calls over literals, decided conditions, and small given relations.

use everview_expr::registry::{self, Volatility};
use everview_expr::{MapFilterProject, RelExpr, RelationType, ScalarExpr};
use everview_repr::{ColumnType, Datum, Packer, Row, RowArena, ScalarType};

/// Given relations of more rows are left to the dataflow.
const MOST_ROWS: usize = 10_000;

pub(super) fn apply(mut expr: RelExpr) -> RelExpr {
    expr.visit_mut_post(&mut |e| {
        for scalar in e.scalars_mut() {
            fold_scalar(scalar);
        }
        fold_relation(e);
    });
    expr
}

/// Folds a scalar expression.
pub(super) fn fold_scalar(expr: &mut ScalarExpr) {
    expr.visit_mut_post(&mut |e| {
        if let Some(folded) = folded(e) {
            *e = folded;
        }
    });
}

fn boolean(value: bool) -> ScalarExpr {
    ScalarExpr::literal(Datum::Bool(value), ScalarType::Bool)
}

fn folded(expr: &ScalarExpr) -> Option<ScalarExpr> {
    match expr {
        ScalarExpr::Call { func, args, types } => {
            let constant = match registry::get(*func).volatility {
                Volatility::Immutable => true,
                Volatility::Stable => types.environment.is_some(),
                Volatility::Volatile => false,
            };
            let literals = args.iter().all(|a| a.as_literal().is_some());
            (constant && literals).then(|| {
                let arena = RowArena::new();
                let datum = expr.eval(&[], &arena);
                let ty = ColumnType {
                    scalar: types.result.clone(),
                    typmod: types.typmod,
                    nullable: datum.is_null(),
                };
                ScalarExpr::Literal(Row::pack([datum]), ty)
            })
        }
        ScalarExpr::And(args) => connective(args, false),
        ScalarExpr::Or(args) => connective(args, true),
        ScalarExpr::If {
            condition,
            then,
            els,
        } => match condition.as_literal()? {
            Datum::Bool(true) => Some((**then).clone()),
            Datum::Error(_) => None,
            _ => Some((**els).clone()),
        },
        ScalarExpr::Not(arg) => match (&**arg, arg.as_literal()) {
            (_, Some(Datum::Bool(v))) => Some(boolean(!v)),
            (_, Some(Datum::Null)) => Some((**arg).clone()),
            (ScalarExpr::Not(inner), _) => Some((**inner).clone()),
            _ => None,
        },
        ScalarExpr::IsNull(arg) => match arg.as_literal()? {
            Datum::Error(_) => None,
            datum => Some(boolean(datum.is_null())),
        },
        ScalarExpr::Coalesce(args) => {
            let first = args
                .iter()
                .position(|a| !matches!(a.as_literal(), Some(Datum::Null)));
            match first {
                None => args.last().cloned(),
                Some(at) => match args[at].as_literal() {
                    Some(_) => Some(args[at].clone()),
                    None if at + 1 == args.len() => Some(args[at].clone()),
                    None if at > 0 => Some(ScalarExpr::Coalesce(args[at..].to_vec())),
                    None => None,
                },
            }
        }
        _ => None,
    }
}

/// AND (`decisive` false) and OR (`decisive` true).
fn connective(args: &[ScalarExpr], decisive: bool) -> Option<ScalarExpr> {
    let is = |a: &ScalarExpr, v: bool| matches!(a.as_literal(), Some(Datum::Bool(b)) if b == v);
    if args.iter().any(|a| is(a, decisive)) {
        return Some(boolean(decisive));
    }
    let kept: Vec<_> = args.iter().filter(|a| !is(a, !decisive)).cloned().collect();
    match kept.len() {
        0 => Some(boolean(!decisive)),
        1 => kept.into_iter().next(),
        n if n < args.len() => Some(if decisive {
            ScalarExpr::Or(kept)
        } else {
            ScalarExpr::And(kept)
        }),
        _ => None,
    }
}

fn is_empty(expr: &RelExpr) -> bool {
    matches!(expr, RelExpr::Constant { rows: Ok(rows), .. } if rows.is_empty())
}

fn fold_relation(expr: &mut RelExpr) {
    let replacement = match expr {
        RelExpr::Filter { input, predicates } => {
            predicates.retain(|p| !matches!(p.as_literal(), Some(Datum::Bool(true))));
            // One that is false decides, whatever fails beside it.
            let never = predicates
                .iter()
                .any(|p| matches!(p.as_literal(), Some(Datum::Bool(false) | Datum::Null)));
            if predicates.is_empty() {
                Some(std::mem::replace(&mut **input, RelExpr::unit()))
            } else if is_empty(input) || never {
                Some(RelExpr::empty(input.ty()))
            } else {
                let mfp = MapFilterProject::identity(input.arity()).filter(predicates.clone());
                evaluate(input, mfp, input.ty())
            }
        }
        RelExpr::Map { input, scalars } => {
            let mfp = MapFilterProject::identity(input.arity()).map(scalars.clone());
            let mut ty = input.ty();
            for scalar in scalars.iter() {
                let column = scalar.ty(&ty.columns);
                ty.columns.push(column);
            }
            evaluate(input, mfp, ty)
        }
        RelExpr::Project { input, outputs } => {
            let mfp = MapFilterProject::identity(input.arity()).project(outputs.clone());
            let columns = input.ty().columns;
            let columns = outputs.iter().map(|c| columns[*c].clone()).collect();
            evaluate(input, mfp, RelationType::new(columns))
        }
        RelExpr::Union { inputs } => {
            let ty = inputs.first().map(RelExpr::ty).unwrap_or_default();
            inputs.retain(|i| !is_empty(i));
            match inputs.len() {
                0 => Some(RelExpr::empty(ty)),
                1 => inputs.pop(),
                _ => union_of_constants(inputs),
            }
        }
        RelExpr::Negate { input } => match &mut **input {
            RelExpr::Constant { rows: Ok(rows), ty } => {
                let rows = rows.drain(..).map(|(row, diff)| (row, -diff)).collect();
                let ty = RelationType {
                    keys: vec![],
                    append_only: false,
                    ..ty.clone()
                };
                Some(RelExpr::Constant { rows: Ok(rows), ty })
            }
            _ => None,
        },
        RelExpr::Join { inputs, .. } if inputs.iter().any(is_empty) => {
            Some(RelExpr::empty(expr.ty()))
        }
        RelExpr::Reduce { input, .. }
        | RelExpr::TopK { input, .. }
        | RelExpr::FlatMap { input, .. }
        | RelExpr::Window { input, .. }
        | RelExpr::Threshold { input }
            if is_empty(input) =>
        {
            Some(RelExpr::empty(expr.ty()))
        }
        _ => None,
    };
    if let Some(replacement) = replacement {
        *expr = replacement;
    }
}

/// Whether the value is known only when the plan runs.
fn is_unbound(expr: &ScalarExpr) -> bool {
    let mut found = false;
    expr.visit(&mut |e| {
        if let ScalarExpr::Call { func, types, .. } = e {
            found |= match registry::get(*func).volatility {
                Volatility::Immutable => false,
                Volatility::Stable => types.environment.is_none(),
                Volatility::Volatile => true,
            };
        }
        found |= matches!(e, ScalarExpr::Parameter(..));
    });
    found
}

/// The rows of a small given relation after an operation; none if the input is something else or a row fails.
fn evaluate(input: &RelExpr, mfp: MapFilterProject, mut ty: RelationType) -> Option<RelExpr> {
    let RelExpr::Constant { rows: Ok(rows), .. } = input else {
        return None;
    };
    if rows.len() > MOST_ROWS
        || mfp.expressions.iter().any(is_unbound)
        || mfp.predicates.iter().any(|(_, p)| is_unbound(p))
    {
        return None;
    }
    let mut arena = RowArena::new();
    let mut packer = Packer::default();
    let mut out = Vec::with_capacity(rows.len());
    for (row, diff) in rows {
        let result = {
            let mut datums = row.unpack();
            mfp.evaluate(&mut datums, &arena, &mut packer)
        };
        match result {
            Ok(Some(row)) => out.push((row, *diff)),
            Ok(None) => {}
            // A failing filter is for the reader to meet.
            Err(_) => return None,
        }
        arena.clear();
    }
    ty.keys = if out.len() <= 1 && out.iter().all(|(_, d)| *d == 1) {
        vec![vec![]]
    } else {
        vec![]
    };
    ty.append_only = out.iter().all(|(_, diff)| *diff > 0);
    Some(RelExpr::Constant { rows: Ok(out), ty })
}

fn union_of_constants(inputs: &[RelExpr]) -> Option<RelExpr> {
    let mut all = std::collections::BTreeMap::new();
    for input in inputs {
        let RelExpr::Constant { rows: Ok(rows), .. } = input else {
            return None;
        };
        for (row, diff) in rows {
            *all.entry(row.clone()).or_insert(0) += diff;
        }
    }
    all.retain(|_, diff| *diff != 0);
    let ty = RelExpr::Union {
        inputs: inputs.to_vec(),
    }
    .ty();
    let ty = RelationType {
        append_only: false,
        ..ty
    };
    Some(RelExpr::Constant {
        rows: Ok(all.into_iter().collect()),
        ty,
    })
}
