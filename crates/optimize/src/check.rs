//! Whether an expression is well formed: columns are there, bindings are bound, types agree.
//!
//! It looks at each node once, from the leaves up, and trusts no type but those of the leaves.

use everview_expr::{Id, LocalId, RelExpr, ScalarExpr};
use everview_repr::{ColumnType, ScalarType};
use std::collections::BTreeMap;

/// The columns of each binding around an expression.
type Bound = BTreeMap<LocalId, Vec<ColumnType>>;

/// Says what is wrong with an expression, if something is.
///
/// # Errors
/// One sentence that names the node.
pub(super) fn check(expr: &RelExpr) -> Result<(), String> {
    columns(expr, &mut Bound::new()).map(drop)
}

fn columns(expr: &RelExpr, bound: &mut Bound) -> Result<Vec<ColumnType>, String> {
    match expr {
        RelExpr::Constant { rows, ty } => {
            let first = rows.as_ref().ok().and_then(|rows| rows.first());
            match first.map(|(row, _)| row.iter().count()) {
                Some(n) if n != ty.arity() => Err(format!(
                    "Constant has rows of {n} columns under a type of {}",
                    ty.arity()
                )),
                _ => Ok(ty.columns.clone()),
            }
        }
        RelExpr::Get { id, ty } => get(*id, &ty.columns, bound),
        RelExpr::Let { id, value, body } => {
            let value = columns(value, bound)?;
            let outer = bound.insert(*id, value);
            let body = columns(body, bound)?;
            match outer {
                Some(outer) => drop(bound.insert(*id, outer)),
                None => drop(bound.remove(id)),
            }
            Ok(body)
        }
        RelExpr::LetRec { bindings, body } => {
            for (id, _, ty) in bindings {
                bound.insert(*id, ty.columns.clone());
            }
            for (_, value, ty) in bindings {
                same("LetRec", &ty.columns, &columns(value, bound)?)?;
            }
            columns(body, bound)
        }
        RelExpr::Project { input, outputs } => {
            let input = columns(input, bound)?;
            positions("Project", outputs, input.len())?;
            Ok(outputs.iter().map(|c| input[*c].clone()).collect())
        }
        RelExpr::Map { input, scalars } => {
            let mut out = columns(input, bound)?;
            for expr in scalars {
                let ty = scalar("Map", expr, &out)?;
                out.push(ty);
            }
            Ok(out)
        }
        RelExpr::Filter { input, predicates } => {
            let out = columns(input, bound)?;
            predicates
                .iter()
                .try_for_each(|p| boolean("Filter", p, &out))?;
            Ok(out)
        }
        RelExpr::Join {
            inputs,
            equivalences,
        } => join(inputs, equivalences, bound),
        RelExpr::Union { inputs } => {
            let mut inputs = inputs.iter();
            let first = inputs.next().ok_or("Union has no input")?;
            let out = columns(first, bound)?;
            for input in inputs {
                same("Union", &out, &columns(input, bound)?)?;
            }
            Ok(out)
        }
        grouping => over_one(grouping, bound),
    }
}

/// Nodes of one input that group, order or pass on its rows.
fn over_one(expr: &RelExpr, bound: &mut Bound) -> Result<Vec<ColumnType>, String> {
    match expr {
        RelExpr::FlatMap {
            input,
            args,
            columns: added,
            ordinality,
            ..
        } => {
            let mut out = columns(input, bound)?;
            for arg in args {
                scalar("FlatMap", arg, &out)?;
            }
            out.extend(added.iter().cloned());
            out.extend(ordinality.then(|| ScalarType::Int64.not_null()));
            Ok(out)
        }
        RelExpr::Reduce {
            input,
            group_key,
            aggregates,
        } => {
            let input = columns(input, bound)?;
            let mut out = Vec::with_capacity(group_key.len() + aggregates.len());
            for key in group_key {
                out.push(scalar("Reduce", key, &input)?);
            }
            for call in aggregates {
                for arg in call
                    .args
                    .iter()
                    .chain(call.order_by.iter().map(|o| &o.expr))
                {
                    scalar("Reduce", arg, &input)?;
                }
                if let Some(filter) = &call.filter {
                    boolean("Reduce", filter, &input)?;
                }
                out.push(call.result.clone());
            }
            Ok(out)
        }
        RelExpr::TopK {
            input,
            group_key,
            order_key,
            ..
        } => {
            let out = columns(input, bound)?;
            let order: Vec<usize> = order_key.iter().map(|o| o.column).collect();
            positions("TopK", group_key, out.len())?;
            positions("TopK", &order, out.len())?;
            Ok(out)
        }
        RelExpr::Window { input, functions } => {
            let mut out = columns(input, bound)?;
            let arity = out.len();
            for function in functions {
                let order = function.order_by.iter().map(|o| &o.expr);
                for e in function
                    .args
                    .iter()
                    .chain(&function.partition_by)
                    .chain(order)
                {
                    scalar("Window", e, &out[..arity])?;
                }
                out.push(function.result.clone());
            }
            Ok(out)
        }
        RelExpr::ArrangeBy { input, keys } => {
            let out = columns(input, bound)?;
            for key in keys.iter().flatten() {
                scalar("ArrangeBy", key, &out)?;
            }
            Ok(out)
        }
        RelExpr::Threshold { input } | RelExpr::Negate { input } => columns(input, bound),
        _ => Err("a node of no kind that is checked".to_string()),
    }
}

fn get(id: Id, ty: &[ColumnType], bound: &Bound) -> Result<Vec<ColumnType>, String> {
    if let Id::Local(local) = id {
        let value = bound
            .get(&local)
            .ok_or_else(|| format!("Get reads l{}, which is not bound", local.0))?;
        same("Get", value, ty)?;
    }
    Ok(ty.to_vec())
}

fn join(
    inputs: &[RelExpr],
    equivalences: &[Vec<ScalarExpr>],
    bound: &mut Bound,
) -> Result<Vec<ColumnType>, String> {
    let mut out = Vec::new();
    for input in inputs {
        out.extend(columns(input, bound)?);
    }
    for class in equivalences {
        let mut types = class.iter().map(|e| scalar("Join", e, &out));
        let first = types.next().ok_or("Join has a class without members")??;
        for ty in types {
            let ty = ty?;
            if ty.scalar != first.scalar {
                return Err(format!(
                    "Join equates {:?} with {:?}",
                    first.scalar, ty.scalar
                ));
            }
        }
    }
    Ok(out)
}

fn positions(node: &str, columns: &[usize], arity: usize) -> Result<(), String> {
    match columns.iter().find(|c| **c >= arity) {
        Some(c) => Err(format!("{node} reads column {c} of {arity}")),
        None => Ok(()),
    }
}

fn same(node: &str, a: &[ColumnType], b: &[ColumnType]) -> Result<(), String> {
    if a.len() != b.len() {
        return Err(format!("{node} meets {} and {} columns", a.len(), b.len()));
    }
    match a.iter().zip(b).position(|(a, b)| a.scalar != b.scalar) {
        Some(at) => Err(format!(
            "{node} meets {:?} and {:?} in column {at}",
            a[at].scalar, b[at].scalar
        )),
        None => Ok(()),
    }
}

fn scalar(node: &str, expr: &ScalarExpr, columns: &[ColumnType]) -> Result<ColumnType, String> {
    let mut outside = None;
    expr.visit(&mut |e| {
        if let ScalarExpr::Column(c) = e
            && *c >= columns.len()
        {
            outside = Some(*c);
        }
    });
    match outside {
        Some(c) => Err(format!("{node} reads column {c} of {}", columns.len())),
        None => Ok(expr.ty(columns)),
    }
}

fn boolean(node: &str, expr: &ScalarExpr, columns: &[ColumnType]) -> Result<(), String> {
    let ty = scalar(node, expr, columns)?;
    if ty.scalar == ScalarType::Bool {
        Ok(())
    } else {
        Err(format!("{node} has a condition of type {:?}", ty.scalar))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everview_repr::Datum;

    fn one_integer() -> RelExpr {
        let one = ScalarExpr::literal(Datum::Int32(1), ScalarType::Int32);
        RelExpr::unit().map(vec![one])
    }

    #[test]
    fn a_column_that_is_not_there_is_found() {
        let expr = one_integer().filter(vec![ScalarExpr::IsNull(Box::new(ScalarExpr::Column(1)))]);
        assert_eq!(check(&expr), Err("Filter reads column 1 of 1".to_string()));
    }

    #[test]
    fn a_condition_that_is_no_boolean_is_found() {
        let expr = one_integer().filter(vec![ScalarExpr::Column(0)]);
        assert!(check(&expr).is_err_and(|e| e.contains("condition of type")));
    }

    #[test]
    fn a_name_that_nothing_binds_is_found() {
        let expr = RelExpr::local(LocalId(7), one_integer().ty());
        assert_eq!(
            check(&expr),
            Err("Get reads l7, which is not bound".to_string())
        );
    }

    #[test]
    fn unions_and_classes_of_two_types_are_found() {
        let text = RelExpr::unit().map(vec![ScalarExpr::literal(
            Datum::Text("a"),
            ScalarType::Text,
        )]);
        assert!(check(&one_integer().union(text.clone())).is_err_and(|e| e.contains("Union")));
        assert!(check(&one_integer().join_on(text, &[(0, 0)])).is_err_and(|e| e.contains("Join")));
    }
}
