//! What PostgreSQL 15 gives for groups of every type, and the laws of the incremental path.
//!
//! Lines of `postgres15.txt`: name, argument types, result type, result (`=TEXT`, `N` for NULL, `!CODE MESSAGE`),
//! then the argument rows in order, arguments parted by `~`.

use super::*;
use everview_repr::datum::ErrorRef;
use everview_repr::text;
use everview_repr::{SqlState, numeric::Numeric};
use proptest::prelude::*;

const CASES: &str = include_str!("postgres15.txt");

fn type_named(name: &str) -> ScalarType {
    let found = ScalarType::all().into_iter().find(|t| t.sql_name() == name);
    found.unwrap_or_else(|| panic!("a type: {name}"))
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('x') => out.push('~'),
                Some(c) => out.push(c),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

fn parse_row<'a>(types: &[ScalarType], row: &str, arena: &'a RowArena) -> Vec<Datum<'a>> {
    let value = |(ty, field): (&ScalarType, &str)| match field {
        "\\N" => Datum::Null,
        field => text::parse(ty, &unescape(field), arena).expect("a value of the type"),
    };
    types.iter().zip(row.split('~')).map(value).collect()
}

fn call(name: &str, types: &[ScalarType]) -> AggregateExpr {
    let resolved = crate::resolve::resolve_aggregate(name, types).expect("a name");
    let resolved = resolved.expect("one candidate");
    AggregateExpr {
        func: resolved.func,
        args: (0..types.len()).map(ScalarExpr::Column).collect(),
        arg_types: resolved.args,
        result: resolved.result.nullable(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
    }
}

fn shown(aggregate: &AggregateExpr, value: Datum<'_>) -> String {
    match value {
        Datum::Null => "N".to_string(),
        Datum::Error(error) => {
            let error = error.to_error();
            format!("!{} {}", error.code(), error.message())
        }
        value => {
            let mut out = "=".to_string();
            text::format(&aggregate.result.scalar, value, &mut out);
            out
        }
    }
}

/// Postgres's float statistics round at each row; ours round once.
fn close(actual: &str, expected: &str) -> bool {
    let number = |text: &str| text.strip_prefix('=').and_then(|t| t.parse::<f64>().ok());
    match (number(actual), number(expected)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => false,
    }
}

#[test]
fn results_are_those_of_postgres() {
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, types, result, expected, rows @ ..] = fields.as_slice() else {
            panic!("a case: {line}")
        };
        let types: Vec<_> = types
            .split("; ")
            .filter(|t| !t.is_empty())
            .map(type_named)
            .collect();
        let aggregate = call(name, &types);
        if aggregate.result.scalar.sql_name() != *result {
            wrong.push(format!(
                "{line}\n  has type {}",
                aggregate.result.scalar.sql_name()
            ));
        }
        let arena = RowArena::new();
        let rows: Vec<_> = rows
            .iter()
            .map(|row| parse_row(&types, row, &arena))
            .collect();
        let value = aggregate.eval_group(&mut rows.iter().map(|row| (row.clone(), 1)), &arena);
        let (value, expected) = (shown(&aggregate, value), unescape(expected));
        let is_float = matches!(aggregate.result.scalar, ScalarType::Float64);
        if value != expected && !(is_float && close(&value, &expected)) {
            wrong.push(format!("{line}\n  gives {value}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_declaration_has_a_case_and_a_parameter_in_the_notation() {
    // Postgres has no name for what a scalar subquery does with its rows.
    for desc in aggregates().iter().filter(|d| !d.is_internal()) {
        assert!(
            CASES
                .lines()
                .any(|l| l.split('\t').next() == Some(desc.name)),
            "{}",
            desc.name
        );
        assert!(desc.doc.ends_with('.'), "{}", desc.name);
    }
}

fn datum() -> impl Strategy<Value = Row> {
    // One value of each type that accumulable aggregates take, by the seed's parts.
    (any::<i64>(), 0u32..4, 0u8..20).prop_map(|(v, scale, special)| {
        let arena = RowArena::new();
        let numeric = match special {
            0 => Numeric::NAN,
            1 => Numeric::INFINITY,
            2 => Numeric::NEG_INFINITY,
            3 => Numeric::new(i128::MAX - i128::from(v.unsigned_abs()), 3).expect("scale"),
            _ => Numeric::new(i128::from(v % 1000), scale).expect("scale"),
        };
        let float = match special {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            4 => 1e300,
            5 => 1e-300,
            _ => v as f64 / 1024.0,
        };
        let interval = everview_repr::Interval {
            months: v as i32 >> 4,
            days: (v >> 32) as i32 >> 4,
            micros: v >> 4,
        };
        Row::pack([
            Datum::Int16(v as i16),
            Datum::Int32(v as i32),
            Datum::Int64(v),
            arena.numeric(&numeric),
            Datum::Float32(float as f32),
            Datum::Float64(float),
            Datum::Interval(interval),
            Datum::Bool(v & 1 == 1),
            Datum::Null,
        ])
    })
}

/// A row's datum of a type.
fn of_type<'a>(row: &'a Row, ty: &ScalarType) -> Datum<'a> {
    let position = match ty {
        ScalarType::Int16 => 0,
        ScalarType::Int32 => 1,
        ScalarType::Int64 => 2,
        ScalarType::Numeric => 3,
        ScalarType::Float32 => 4,
        ScalarType::Float64 => 5,
        ScalarType::Interval => 6,
        ScalarType::Bool => 7,
        _ => 8,
    };
    row.unpack()[position]
}

/// What becomes of a row on its way into an aggregate.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Value,
    Null,
    Error(u8),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![8 => Just(Fate::Value), 1 => Just(Fate::Null), 1 => (0u8..3).prop_map(Fate::Error)]
}

fn arguments<'a>(
    desc: &AggregateDesc,
    row: &'a Row,
    fate: Fate,
    arena: &'a RowArena,
) -> Vec<Datum<'a>> {
    let argument = |param: &ParamType| match (fate, param) {
        (Fate::Null, _) => Datum::Null,
        (Fate::Error(n), _) => {
            let error = EvalError::new(SqlState::DIVISION_BY_ZERO, format!("error {n}"));
            Datum::Error(ErrorRef::from_packed(arena.bytes(ErrorRef::pack(&error))))
        }
        (Fate::Value, ParamType::Exact(ty)) => of_type(row, ty),
        (Fate::Value, _) => of_type(row, &ScalarType::Int64),
    };
    desc.params.iter().map(argument).collect()
}

fn accumulables() -> impl Iterator<Item = (AggregateFunc, &'static AggregateDesc)> {
    let all = aggregates()
        .iter()
        .enumerate()
        .map(|(i, d)| (AggregateFunc(i as u32), d));
    all.filter(|(_, d)| d.kind == AggregateKind::Accumulable)
}

/// Float results to the bit, everything else by identity.
fn same(a: Datum<'_>, b: Datum<'_>) -> bool {
    match (a, b) {
        (Datum::Float64(a), Datum::Float64(b)) if a.is_nan() => b.is_nan(),
        (Datum::Float32(a), Datum::Float32(b)) if a.is_nan() => b.is_nan(),
        (a, b) => a == b,
    }
}

fn expr(func: AggregateFunc) -> AggregateExpr {
    AggregateExpr {
        func,
        args: Vec::new(),
        arg_types: Vec::new(),
        result: ScalarType::Int64.nullable(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Rows come and go in any order: the state gives what the rows left over give from scratch.
    #[test]
    fn a_history_comes_to_what_is_left_of_it(
        rows in prop::collection::vec((datum(), fate(), 0i64..3, -2i64..3), 1..12),
        shuffle in any::<u64>(),
    ) {
        let arena = RowArena::new();
        for (func, desc) in accumulables() {
            let inputs: Vec<_> = rows.iter().map(|(r, f, n, _)| (arguments(desc, r, *f, &arena), *n)).collect();
            // Each row's multiplicity arrives in two parts, the second ones in another order.
            let mut steps: Vec<(usize, i64)> = Vec::new();
            for (i, (_, _, n, part)) in rows.iter().enumerate() {
                steps.push((i, *part));
                steps.push((i, n - part));
            }
            let mut forwards = Accumulator::default();
            steps.iter().for_each(|(i, n)| forwards.add(func, &inputs[*i].0, *n));
            steps.sort_by_key(|(i, n)| (shuffle.rotate_left((*i as u32 * 7) % 64) ^ (*n as u64), *i));
            let mut parts = [Accumulator::default(), Accumulator::default()];
            steps.iter().enumerate().for_each(|(at, (i, n))| parts[at % 2].add(func, &inputs[*i].0, *n));
            let [mut merged, second] = parts;
            merged.merge(&second);

            let mut left = inputs.iter().filter(|(_, n)| *n > 0).map(|(args, n)| (args.clone(), *n as u64));
            let scratch = expr(func).eval_group(&mut left, &arena);
            let (a, b) = (forwards.finish(func, &arena), merged.finish(func, &arena));
            prop_assert!(same(a, scratch), "{} {:?}: {a:?}, from scratch {scratch:?}", desc.name, desc.params);
            prop_assert!(same(b, scratch), "{} {:?}: {b:?}, from scratch {scratch:?}", desc.name, desc.params);
        }
    }

    /// What went in and out again leaves zero, by whatever way.
    #[test]
    fn retracting_everything_leaves_zero(
        rows in prop::collection::vec((datum(), fate(), -3i64..4), 1..12),
    ) {
        let arena = RowArena::new();
        for (func, desc) in accumulables() {
            let mut state = Accumulator::default();
            for (row, fate, n) in &rows {
                state.add(func, &arguments(desc, row, *fate, &arena), *n);
            }
            let mut negated = state.clone();
            negated.negate();
            negated.merge(&state);
            prop_assert!(negated.is_zero(), "{}: {negated:?}", desc.name);
            let mut tripled = state.clone();
            tripled.multiply(3);
            for (row, fate, n) in rows.iter().rev() {
                state.add(func, &arguments(desc, row, *fate, &arena), -n);
                tripled.add(func, &arguments(desc, row, *fate, &arena), -3 * n);
            }
            prop_assert_eq!(&state, &Accumulator::default(), "{}", desc.name);
            prop_assert!(state.is_zero() && tripled.is_zero(), "{}: {:?}", desc.name, tripled);
            let empty = state.finish(func, &arena);
            prop_assert_eq!(empty, expr(func).default_value(), "{}", desc.name);
        }
    }
}

#[test]
fn a_sum_beyond_bigint_is_an_error_until_rows_go() {
    let arena = RowArena::new();
    let sum = call("sum", &[ScalarType::Int32]).func;
    let mut state = Accumulator::default();
    state.add(sum, &[Datum::Int32(i32::MAX)], i64::from(u32::MAX) + 4);
    match state.finish(sum, &arena) {
        Datum::Error(e) => assert_eq!(e.to_error(), EvalError::out_of_range("bigint")),
        other => panic!("{other:?}"),
    }
    state.add(sum, &[Datum::Int32(i32::MAX)], -i64::from(u32::MAX) - 3);
    assert_eq!(state.finish(sum, &arena), Datum::Int64(i32::MAX.into()));
}

#[test]
fn the_scale_of_a_numeric_sum_goes_with_its_last_holder() {
    let arena = RowArena::new();
    let sum = call("sum", &[ScalarType::Numeric]);
    let mut state = Accumulator::default();
    let value = |text: &str| text::parse(&ScalarType::Numeric, text, &arena).expect("a numeric");
    state.add(sum.func, &[value("1.5")], 2);
    state.add(sum.func, &[value("1.000")], 1);
    assert_eq!(shown(&sum, state.finish(sum.func, &arena)), "=4.000");
    state.add(sum.func, &[value("1.000")], -1);
    assert_eq!(shown(&sum, state.finish(sum.func, &arena)), "=3.0");
}

#[test]
fn of_several_errors_the_least_present_one_counts() {
    let arena = RowArena::new();
    let error = |message: &str| arena.error(&EvalError::new(SqlState::DIVISION_BY_ZERO, message));
    let count = call("count", &[ScalarType::Int32]).func;
    let mut state = Accumulator::default();
    for message in ["b", "a", "c"] {
        state.add(count, &[error(message)], 1);
    }
    assert_eq!(state.finish(count, &arena), error("a"));
    state.add(count, &[error("a")], -1);
    assert_eq!(state.finish(count, &arena), error("b"));
    for message in ["c", "b"] {
        state.add(count, &[error(message)], -1);
    }
    state.add(count, &[Datum::Int32(7)], 1);
    assert_eq!(state.finish(count, &arena), Datum::Int64(1));
}

#[test]
fn distinct_and_order_by_apply_from_scratch() {
    let arena = RowArena::new();
    let mut aggregate = call("array_agg", &[ScalarType::Numeric]);
    let rows: Vec<Vec<Datum<'_>>> = ["2.0", "1", "2.00", "3", "1"]
        .iter()
        .map(|v| vec![text::parse(&ScalarType::Numeric, v, &arena).expect("a numeric")])
        .collect();
    let eval = |aggregate: &AggregateExpr| {
        // The expression outlives the call only as far as its text is taken.
        let arena = RowArena::new();
        let mut rows = rows.iter().map(|r| (r.as_slice(), 1));
        let packed = Row::pack([aggregate.eval_rows(&mut rows, &arena)]);
        shown(aggregate, packed.first())
    };
    assert_eq!(eval(&aggregate), "={1,1,2.0,2.00,3}");
    aggregate.distinct = true;
    assert_eq!(eval(&aggregate), "={1,2.0,3}");
    let expr = ScalarExpr::Column(0);
    aggregate.order_by = vec![OrderExpr {
        expr,
        descending: true,
        nulls_last: false,
    }];
    assert_eq!(eval(&aggregate), "={3,2.0,1}");
}

#[test]
fn a_state_is_small() {
    assert!(
        size_of::<Accumulator>() <= 48,
        "{}",
        size_of::<Accumulator>()
    );
}

#[test]
fn what_only_plans_call_has_no_name_in_sql() {
    let single = single_value();
    assert!(get(single).is_internal());
    assert!(by_name(get(single).name).is_empty());
}
