//! What holds of every declaration.

use super::call_types;
use crate::registry::{self, FunctionDesc, ParamType, functions};
use crate::scalar::Func;
use everview_repr::{Datum, Row, RowArena, ScalarType};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn every_function_has_a_line_of_documentation() {
    for desc in functions() {
        assert!(
            desc.doc.ends_with('.') && desc.doc.len() > 3,
            "{}: {:?}",
            desc.name,
            desc.doc
        );
        assert!(!desc.doc.contains('\n'), "{}", desc.name);
    }
}

#[test]
fn no_two_declarations_have_one_name_and_one_list_of_parameters() {
    let mut seen = BTreeSet::new();
    for desc in functions() {
        let params: Vec<_> = desc.params.iter().map(ParamType::sql_name).collect();
        let returns = if desc.name == registry::CAST {
            desc.returns.sql_name()
        } else {
            String::new()
        };
        assert!(
            seen.insert((desc.name, params.clone(), desc.variadic, returns)),
            "{} {params:?}",
            desc.name
        );
    }
}

#[test]
fn only_functions_that_ask_the_environment_are_stable() {
    for (i, desc) in functions().iter().enumerate() {
        if desc.volatility != registry::Volatility::Stable || desc.name == registry::CAST {
            continue;
        }
        let types = concrete(desc, &ScalarType::Int32);
        let row = Row::pack(types.iter().map(|_| Datum::Null));
        let arena = RowArena::new();
        let args = row.unpack();
        let types = call_types(types.clone(), result(desc, &ScalarType::Int32));
        match (desc.eval)(&types, &args, &arena) {
            Err(error) => assert_eq!(error.code(), everview_repr::SqlState::FEATURE_NOT_SUPPORTED),
            Ok(_) => panic!("{} ({i}) gave a value without an environment", desc.name),
        }
    }
}

/// The types of a call's arguments, with one type for all that is polymorphic.
fn concrete(desc: &FunctionDesc, any: &ScalarType) -> Vec<ScalarType> {
    let one = |p: &ParamType| substitute(p, any);
    let mut types: Vec<_> = desc.params.iter().map(one).collect();
    if desc.variadic
        && let Some(last) = types.last().cloned()
    {
        types.push(last);
    }
    types
}

fn substitute(param: &ParamType, any: &ScalarType) -> ScalarType {
    match param {
        ParamType::Exact(ScalarType::Record(_)) => ScalarType::Record(vec![
            ("f1".into(), ScalarType::Int32),
            ("f2".into(), ScalarType::Text),
        ]),
        ParamType::Exact(ty) => ty.clone(),
        ParamType::AnyArray | ParamType::AnyCompatibleArray => {
            ScalarType::Array(Box::new(any.clone()))
        }
        _ => any.clone(),
    }
}

fn result(desc: &FunctionDesc, any: &ScalarType) -> ScalarType {
    substitute(&desc.returns, any)
}

/// A function, and a row of arguments for it.
fn calls() -> impl Strategy<Value = (usize, ScalarType, Row)> {
    let any = prop::sample::select(vec![
        ScalarType::Int32,
        ScalarType::Text,
        ScalarType::Numeric,
        ScalarType::Timestamp,
    ]);
    (0..functions().len(), any).prop_flat_map(|(i, any)| {
        let types = concrete(&functions()[i], &any);
        (Just(i), Just(any), everview_repr::testing::row(&types))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn no_call_panics_and_infallible_calls_do_not_fail((i, any, row) in calls()) {
        let desc = &functions()[i];
        let arena = RowArena::new();
        let args = row.unpack();
        // A wait and a large string are not worth their time here.
        let types = call_types(concrete(desc, &any), result(desc, &any));
        let found = registry::call(Func(i as u32), &types, &args, &arena);
        if let Datum::Error(error) = found {
            prop_assert!(!desc.infallible, "{}{:?}: {}", desc.name, args, error.to_error());
            prop_assert_ne!(error.to_error().code(), everview_repr::SqlState::INTERNAL_ERROR, "{}{:?}", desc.name, args);
        }
        if desc.never_null && !args.iter().any(Datum::is_null) {
            prop_assert!(!found.is_null(), "{}{:?} is NULL", desc.name, args);
        }
    }

    #[test]
    fn comparison_is_the_order_of_keys((ty, a, b) in everview_repr::testing::typed_pair()) {
        let (x, y) = (a.first(), b.first());
        let by_key = everview_repr::key::encode([x]).cmp(&everview_repr::key::encode([y]));
        prop_assert_eq!(crate::compare(x, y), by_key, "{:?} {:?} {:?}", ty, x, y);
    }
}
