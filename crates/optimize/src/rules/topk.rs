//! `row_number() OVER (PARTITION BY p ORDER BY o) <= k` keeps the first k rows of each partition: a TopK does so
//! without numbering the rest. Both end their order in the same tie-break.

use everview_expr::aggregate::OrderExpr;
use everview_expr::window::WindowFunc;
use everview_expr::{RelExpr, ScalarExpr, WindowExpr, registry};
use everview_repr::{ColumnOrder, Datum};

pub(super) fn apply(mut expr: RelExpr) -> RelExpr {
    expr.visit_mut_post(&mut |e| {
        let RelExpr::Filter { input, predicates } = e else {
            return;
        };
        let RelExpr::Window {
            input: rows,
            functions,
        } = &mut **input
        else {
            return;
        };
        let [function] = functions.as_slice() else {
            return;
        };
        let Some((group_key, order_key)) = numbering(function) else {
            return;
        };
        let number = rows.arity();
        let limits = predicates.iter().filter_map(|p| limit(p, number));
        let Some(limit_rows) = limits.min() else {
            return;
        };
        predicates.retain(|p| limit(p, number).is_none());
        let inner = std::mem::replace(&mut **rows, RelExpr::unit());
        let limited = RelExpr::TopK {
            input: Box::new(inner),
            group_key,
            order_key,
            limit: Some(limit_rows),
            offset: 0,
        };
        let window = RelExpr::Window {
            input: Box::new(limited),
            functions: std::mem::take(functions),
        };
        *e = window.filter(std::mem::take(predicates));
    });
    expr
}

/// Partition and order of a row_number over columns.
fn numbering(function: &WindowExpr) -> Option<(Vec<usize>, Vec<ColumnOrder>)> {
    if function.func != WindowFunc::RowNumber {
        return None;
    }
    let column = |e: &ScalarExpr| match e {
        ScalarExpr::Column(c) => Some(*c),
        _ => None,
    };
    let order = |o: &OrderExpr| {
        let (descending, nulls_last) = (o.descending, o.nulls_last);
        column(&o.expr).map(|column| ColumnOrder {
            column,
            descending,
            nulls_last,
        })
    };
    let group: Option<Vec<_>> = function.partition_by.iter().map(column).collect();
    let orders: Option<Vec<_>> = function.order_by.iter().map(order).collect();
    Some((group?, orders?))
}

/// How many rows a condition on the number lets through, if it says nothing else.
fn limit(predicate: &ScalarExpr, number: usize) -> Option<u64> {
    let ScalarExpr::Call { func, args, .. } = predicate else {
        return None;
    };
    let [ScalarExpr::Column(column), literal] = args.as_slice() else {
        return None;
    };
    let most = match literal.as_literal()? {
        Datum::Int16(v) => i64::from(v),
        Datum::Int32(v) => i64::from(v),
        Datum::Int64(v) => v,
        _ => return None,
    };
    let most = match registry::get(*func).name {
        "<=" => most,
        "<" => most.saturating_sub(1),
        "=" if most == 1 => 1,
        _ => return None,
    };
    (*column == number).then_some(u64::try_from(most).unwrap_or(0))
}
