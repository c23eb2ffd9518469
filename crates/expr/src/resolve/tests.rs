use super::*;
use ScalarType::*;

fn operator(name: &str, args: &[ScalarType]) -> EvalError {
    resolve_operator(name, args)
        .expect_err("no such operator")
        .into_error()
}

#[test]
fn an_operator_that_does_not_exist_is_named_with_its_operands_and_a_hint() {
    let error = operator("+", &[Int32, Bool]);
    assert_eq!(error.code(), SqlState::UNDEFINED_FUNCTION);
    assert_eq!(
        error.message(),
        "operator does not exist: integer + boolean"
    );
    assert_eq!(
        error.hint(),
        Some(
            "No operator matches the given name and argument types. You might need to add explicit type casts."
        )
    );
    assert_eq!(
        operator("-", &[Bool]).message(),
        "operator does not exist: - boolean"
    );
}

#[test]
fn ambiguous_calls_are_not_guessed() {
    let error = operator("+", &[Unknown, Unknown]);
    assert_eq!(error.code(), SqlState::AMBIGUOUS_FUNCTION);
    assert_eq!(error.message(), "operator is not unique: unknown + unknown");
    let error = resolve_function("abs", &[Text]).expect_err("text has no absolute value");
    assert_eq!(
        error.into_error().message(),
        "function abs(text) does not exist"
    );
}

#[test]
fn an_unknown_literal_takes_the_type_of_the_other_operand() {
    let resolved = resolve_operator("=", &[Date, Unknown]).expect("date = date");
    assert_eq!((resolved.args, resolved.result), (vec![Date, Date], Bool));
    let resolved = resolve_operator("+", &[Timestamp, Unknown]).expect("timestamp + interval");
    assert_eq!(resolved.args, vec![Timestamp, Interval]);
}

#[test]
fn numbers_of_different_kinds_meet_in_the_wider_one() {
    let resolved = resolve_operator("*", &[Int32, Numeric]).expect("numeric * numeric");
    assert_eq!(
        (resolved.args, resolved.result),
        (vec![Numeric, Numeric], Numeric)
    );
    let resolved = resolve_operator("*", &[Int32, Float32]).expect("float8 * float4");
    assert_eq!(resolved.args, vec![Float64, Float32]);
}

#[test]
fn the_common_type_is_the_preferred_or_the_one_that_all_become() {
    assert_eq!(common_type(&[Int32, Int64, Unknown]), Ok(Int64));
    assert_eq!(common_type(&[Int64, Numeric, Int16]), Ok(Numeric));
    assert_eq!(common_type(&[Unknown, Unknown]), Ok(Text));
    assert_eq!(
        common_type(&[Date, TimestampTz, Timestamp]),
        Ok(TimestampTz)
    );
    let error = common_type(&[Int32, Text])
        .expect_err("no common type")
        .into_error("UNION");
    assert_eq!(
        error.message(),
        "UNION types integer and text cannot be matched"
    );
    assert_eq!(error.code(), SqlState::DATATYPE_MISMATCH);
}

#[test]
fn arrays_and_elements_settle_polymorphic_parameters() {
    let array = |ty| Array(Box::new(ty));
    let resolved = resolve_operator("||", &[array(Int32), Numeric]).expect("numeric[] || numeric");
    assert_eq!(
        (resolved.args, resolved.result),
        (vec![array(Numeric), Numeric], array(Numeric))
    );
    let resolved = resolve_function("array", &[array(Int32), array(Int64)]).expect("bigint[][]");
    assert_eq!(resolved.result, array(Int64));
    let error = resolve_function("array_length", &[Unknown, Int32]).expect_err("untyped");
    assert_eq!(error.into_error().code(), SqlState::DATATYPE_MISMATCH);
}

#[test]
fn a_types_name_is_a_cast() {
    let resolved = resolve_function("int4", &[Float64]).expect("a cast");
    assert_eq!(registry::get(resolved.func).name, registry::CAST);
    assert_eq!(resolved.result, Int32);
    assert!(resolve_function("int4", &[Date]).is_err());
}
