//! Shapes that the rules give, as EXPLAIN prints them.

use super::generate::{operator, table_type};
use crate::{explain, optimize};
use everview_expr::aggregate::OrderExpr;
use everview_expr::window::{Frame, FrameBound, FrameUnits, WindowFunc};
use everview_expr::{Id, RelExpr, ScalarExpr, WindowExpr};
use everview_repr::{Datum, GlobalId, ScalarType};

fn table(id: u32) -> RelExpr {
    let id = GlobalId(id);
    RelExpr::Get {
        id: Id::Global(id),
        ty: table_type(id),
    }
}

fn equal(a: ScalarExpr, b: ScalarExpr) -> ScalarExpr {
    operator("=", vec![a, b], &[ScalarType::Int32, ScalarType::Int32])
}

fn column(at: usize) -> ScalarExpr {
    ScalarExpr::Column(at)
}

fn optimized(expr: RelExpr) -> String {
    explain::relation(&optimize(expr).expect("well formed"), &|id| {
        format!("t{}", id.0)
    })
}

#[test]
fn an_equality_becomes_a_join_and_its_literal_reaches_both_sides() {
    let seven = ScalarExpr::literal(Datum::Int32(7), ScalarType::Int32);
    let joined = table(0).product(table(1));
    let conditions = vec![equal(column(0), column(3)), equal(column(0), seven)];
    let text = optimized(joined.filter(conditions));
    let expected =
        "Join on (#0 = #3)\n  Filter (#0 = 7)\n    Get t0\n  Filter (#0 = 7)\n    Get t1\n";
    assert_eq!(text, expected);
}

#[test]
fn columns_that_can_be_null_are_checked_before_they_join() {
    let joined = table(0)
        .product(table(1))
        .filter(vec![equal(column(1), column(3))]);
    let text = optimized(joined);
    let expected = "Join on (#1 = #3)\n  Filter (#1 IS NOT NULL)\n    Get t0\n  Get t1\n";
    assert_eq!(text, expected);
}

#[test]
fn a_predicate_that_can_fail_stays_above_a_join() {
    let one = ScalarExpr::literal(Datum::Int32(1), ScalarType::Int32);
    let types = [ScalarType::Int32, ScalarType::Int32];
    let quotient = operator("/", vec![one.clone(), column(0)], &types);
    let text = optimized(
        table(0)
            .product(table(1))
            .filter(vec![equal(quotient, one)]),
    );
    assert!(
        text.starts_with("Filter ((1 / #0) = 1)\n  Join on ()\n"),
        "{text}"
    );
}

#[test]
fn rows_that_a_key_keeps_apart_are_distinct() {
    assert_eq!(optimized(table(2).distinct()), "Get t2\n");
    assert!(optimized(table(1).distinct()).starts_with("Distinct"));
}

#[test]
fn the_first_row_numbers_are_a_top_k() {
    let window = WindowExpr {
        func: WindowFunc::RowNumber,
        args: vec![],
        partition_by: vec![column(1)],
        order_by: vec![OrderExpr {
            expr: column(0),
            descending: true,
            nulls_last: false,
        }],
        frame: Frame {
            units: FrameUnits::Range,
            start: FrameBound::UnboundedPreceding,
            end: FrameBound::CurrentRow,
        },
        result: ScalarType::Int64.not_null(),
    };
    let numbered = RelExpr::Window {
        input: Box::new(table(0)),
        functions: vec![window],
    };
    let two = ScalarExpr::literal(Datum::Int64(2), ScalarType::Int64);
    let few = operator(
        "<=",
        vec![column(3), two],
        &[ScalarType::Int64, ScalarType::Int64],
    );
    let text = optimized(numbered.filter(vec![few]).project(vec![0, 1, 2]));
    assert_eq!(
        text,
        "TopK group (#1) order (#0 desc) limit 2 offset 0\n  Get t0\n"
    );
}

#[test]
fn a_volatile_function_is_not_evaluated_by_planning() {
    let random = ScalarExpr::Call {
        func: everview_expr::registry::by_name("random")[0],
        args: vec![],
        types: everview_expr::CallTypes {
            args: vec![],
            result: ScalarType::Float64,
            typmod: everview_repr::Typmod::NONE,
            time_zone: "UTC".into(),
            environment: None,
        }
        .into(),
    };
    let text = optimized(RelExpr::unit().map(vec![random]));
    assert!(text.starts_with("Map (random())"), "{text}");
}

#[test]
fn an_equality_that_can_fail_is_a_key_where_there_is_no_other() {
    let one = ScalarExpr::literal(Datum::Int32(1), ScalarType::Int32);
    let types = [ScalarType::Int32, ScalarType::Int32];
    let next = operator("+", vec![column(3), one], &types);
    let fallible = equal(column(0), next);
    let text = optimized(table(0).product(table(1)).filter(vec![fallible.clone()]));
    assert!(text.starts_with("Join on (#0 = #3 + 1)\n"), "{text}");
    // Beside another key it would only meet rows that the other leaves out.
    let both = vec![fallible, equal(column(0), column(3))];
    let text = optimized(table(0).product(table(1)).filter(both));
    assert!(
        text.starts_with("Filter (#0 = (#3 + 1))\n  Join on (#0 = #3)\n"),
        "{text}"
    );
}

#[test]
fn a_predicate_that_can_fail_does_not_meet_rows_that_cancel_out() {
    let zero = ScalarExpr::literal(Datum::Int32(0), ScalarType::Int32);
    let types = [ScalarType::Int32, ScalarType::Int32];
    let quotient = operator("/", vec![column(0), zero.clone()], &types);
    let rest = table(0).union(table(0).distinct().negate());
    let text = optimized(rest.filter(vec![equal(quotient, zero)]));
    assert!(text.starts_with("Filter ("), "{text}");
}
