use super::*;
use crate::resolve::{resolve_function, resolve_operator};
use crate::scalar::CallTypes;
use everview_repr::{ScalarType, SqlState, Typmod};
use std::sync::Arc;

fn call(name: &str, args: Vec<ScalarExpr>) -> ScalarExpr {
    let types = vec![ScalarType::Int32; args.len()];
    let resolved = resolve_operator(name, &types)
        .or_else(|_| resolve_function(name, &types))
        .expect("a function of integers");
    let types = CallTypes {
        args: resolved.args,
        result: resolved.result,
        typmod: Typmod::NONE,
        time_zone: "UTC".into(),
        environment: None,
    };
    ScalarExpr::Call {
        func: resolved.func,
        args,
        types: Arc::new(types),
    }
}

fn int(v: i32) -> ScalarExpr {
    ScalarExpr::literal(Datum::Int32(v), ScalarType::Int32)
}

fn run(mfp: &MapFilterProject, input: &[Datum<'_>]) -> Result<Option<Row>, EvalError> {
    let arena = RowArena::new();
    let row = Row::pack(input.iter().copied());
    let mut datums: Vec<_> = row.iter().collect();
    mfp.evaluate(&mut datums, &arena, &mut Packer::default())
}

#[test]
fn maps_filters_and_projections_compose_in_order() {
    // (a, b) -> a + b as c, c > 3, (c, a)
    let mfp = MapFilterProject::identity(2)
        .map([call(
            "+",
            vec![ScalarExpr::Column(0), ScalarExpr::Column(1)],
        )])
        .filter([call(">", vec![ScalarExpr::Column(2), int(3)])])
        .project([2, 0])
        .map([call("*", vec![ScalarExpr::Column(0), int(2)])]);
    let (one, two) = (Datum::Int32(1), Datum::Int32(2));
    assert_eq!(run(&mfp, &[one, two]), Ok(None));
    let kept = Row::pack([Datum::Int32(4), two, Datum::Int32(8)]);
    assert_eq!(run(&mfp, &[two, two]), Ok(Some(kept)));
    assert_eq!(run(&mfp, &[Datum::Null, two]), Ok(None));
}

#[test]
fn a_predicate_that_is_false_hides_the_error_of_another() {
    let fails = call(
        "=",
        vec![call("/", vec![int(1), ScalarExpr::Column(0)]), int(1)],
    );
    let mfp = |other| MapFilterProject::identity(1).filter([fails.clone(), other]);
    let zero = Datum::Int32(0);
    let hidden = mfp(call(">", vec![ScalarExpr::Column(0), int(0)]));
    assert_eq!(run(&hidden, &[zero]), Ok(None));
    let seen = mfp(call("=", vec![ScalarExpr::Column(0), int(0)]));
    let error = run(&seen, &[zero]).expect_err("division by zero");
    assert_eq!(error.code(), SqlState::DIVISION_BY_ZERO);
}

#[test]
fn an_error_in_a_column_is_a_value() {
    let mfp = MapFilterProject::identity(1).map([call("/", vec![int(1), ScalarExpr::Column(0)])]);
    let row = run(&mfp, &[Datum::Int32(0)])
        .expect("no error")
        .expect("a row");
    assert!(matches!(row.unpack()[1], Datum::Error(_)));
}
