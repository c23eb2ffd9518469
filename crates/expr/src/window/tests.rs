//! What PostgreSQL 15 gives for partitions of every ORDER BY type, and running aggregates against their definition.
//!
//! Lines of `postgres15.txt`: function and arguments (`c1` a column, `i2` an integer), types of the columns `k`
//! and `v` (a third one is integer), order (`none`, or `asc`/`desc` and `first`/`last`), frame, the results in
//! order parted by `~` or `!CODE MESSAGE`, then the rows in order.

use super::*;
use crate::aggregate::AggregateKind;
use everview_repr::{Row, ScalarType, text};
use proptest::prelude::*;

const CASES: &str = include_str!("postgres15.txt");

fn type_named(name: &str) -> ScalarType {
    let found = ScalarType::all().into_iter().find(|t| t.sql_name() == name);
    found.unwrap_or_else(|| panic!("a type: {name}"))
}

fn unescape(text: &str) -> String {
    text.replace("\\x", "~")
        .replace("\\t", "\t")
        .replace("\\n", "\n")
        .replace("\\\\", "\\")
}

fn pack(types: &[ScalarType], row: &str) -> Row {
    let arena = RowArena::new();
    let value = |(ty, field): (&ScalarType, &str)| match field {
        "\\N" => Datum::Null,
        field => text::parse(ty, &unescape(field), &arena).expect("a value of the type"),
    };
    Row::pack(types.iter().zip(row.split('~')).map(value))
}

fn literal(ty: ScalarType, text: &str) -> ScalarExpr {
    let arena = RowArena::new();
    ScalarExpr::literal(text::parse(&ty, text, &arena).expect("a literal"), ty)
}

fn bound(spec: &str, offset_type: &ScalarType) -> FrameBound {
    match spec.split_once(':') {
        Some(("p", offset)) => FrameBound::Preceding(literal(offset_type.clone(), offset)),
        Some(("f", offset)) => FrameBound::Following(literal(offset_type.clone(), offset)),
        _ if spec == "up" => FrameBound::UnboundedPreceding,
        _ if spec == "uf" => FrameBound::UnboundedFollowing,
        _ => FrameBound::CurrentRow,
    }
}

fn frame(spec: &str, order_type: &ScalarType) -> Frame {
    let (units, bounds) = spec.split_once(' ').expect("units and bounds");
    let (start, end) = bounds.split_once('|').expect("two bounds");
    let (units, offset_type) = match units {
        "rows" => (FrameUnits::Rows, ScalarType::Int64),
        "groups" => (FrameUnits::Groups, ScalarType::Int64),
        _ => (
            FrameUnits::Range,
            range_offset_type(order_type).unwrap_or(ScalarType::Int64),
        ),
    };
    Frame {
        units,
        start: bound(start, &offset_type),
        end: bound(end, &offset_type),
    }
}

/// The call in a case's notation.
fn window(call: &str, columns: &[ScalarType], order: &str, frame: Frame) -> WindowExpr {
    let mut words = call.split(' ');
    let name = words.next().expect("a name");
    let arg = |word: &str| match word.split_at(1) {
        ("c", n) => {
            let column: usize = n.parse().expect("a column");
            (ScalarExpr::Column(column), columns[column].clone())
        }
        (_, n) => (literal(ScalarType::Int32, n), ScalarType::Int32),
    };
    let (args, types): (Vec<_>, Vec<_>) = words.map(arg).unzip();
    let order_by = match order.split_once(' ') {
        None => Vec::new(),
        Some((direction, nulls)) => vec![OrderExpr {
            expr: ScalarExpr::Column(0),
            descending: direction == "desc",
            nulls_last: nulls == "last",
        }],
    };
    let (func, result, args) = match resolve_window(name, &types) {
        Some(resolved) => {
            let resolved = resolved.expect("one candidate");
            (resolved.func, resolved.result, args)
        }
        None => {
            let resolved = crate::resolve::resolve_aggregate(name, &types).expect("a name");
            let resolved = resolved.expect("one candidate");
            let aggregate = AggregateExpr {
                func: resolved.func,
                args,
                arg_types: resolved.args,
                result: resolved.result.clone().nullable(),
                distinct: false,
                filter: None,
                order_by: Vec::new(),
            };
            (
                WindowFunc::Aggregate(Box::new(aggregate)),
                resolved.result,
                Vec::new(),
            )
        }
    };
    WindowExpr {
        func,
        args,
        partition_by: Vec::new(),
        order_by,
        frame,
        result: result.nullable(),
    }
}

fn shown(ty: &ScalarType, value: Datum<'_>) -> String {
    match value {
        Datum::Null => "\\N".to_string(),
        Datum::Error(error) => {
            let error = error.to_error();
            format!("!{} {}", error.code(), error.message())
        }
        value => {
            let mut out = String::new();
            text::format(ty, value, &mut out);
            out
        }
    }
}

#[test]
fn results_are_those_of_postgres() {
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [call, k, v, order, frame_spec, expected, rows @ ..] = fields.as_slice() else {
            panic!("a case: {line}")
        };
        let columns = [type_named(k), type_named(v), ScalarType::Int32];
        let window = window(call, &columns, order, frame(frame_spec, &columns[0]));
        let rows: Vec<Row> = rows.iter().map(|row| pack(&columns, row)).collect();
        let refs: Vec<RowRef<'_>> = rows.iter().map(Row::as_ref).collect();
        let arena = RowArena::new();
        let values = window.eval_partition(&refs, &arena);
        let values: Vec<_> = values
            .into_iter()
            .map(|v| shown(&window.result.scalar, v))
            .collect();
        let good = if expected.starts_with('!') {
            values.iter().any(|v| *v == unescape(expected))
        } else {
            let expected: Vec<_> = expected.split('~').filter(|_| !rows.is_empty()).collect();
            let same = |v: &String, e: &str| {
                if e == "\\N" {
                    v == e
                } else {
                    *v == unescape(e)
                }
            };
            values.len() == expected.len() && values.iter().zip(&expected).all(|(v, e)| same(v, e))
        };
        if !good {
            wrong.push(format!("{line}\n  gives {}", values.join("~")));
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
fn an_error_is_the_value_of_the_frames_that_hold_it() {
    let columns = [ScalarType::Int32, ScalarType::Int32, ScalarType::Int32];
    let error = EvalError::division_by_zero();
    let arena = RowArena::new();
    let rows: Vec<Row> = (0..4)
        .map(|i| {
            let value = if i == 1 {
                arena.error(&error)
            } else {
                Datum::Int32(i)
            };
            Row::pack([Datum::Int32(i), value, Datum::Null])
        })
        .collect();
    let refs: Vec<_> = rows.iter().map(Row::as_ref).collect();
    for (call, last) in [("sum c1", "5"), ("max c1", "3"), ("array_agg c1", "{2,3}")] {
        let window = window(
            call,
            &columns,
            "asc last",
            frame("rows p:1|cr", &columns[0]),
        );
        let arena = RowArena::new();
        let values = window.eval_partition(&refs, &arena);
        assert!(!matches!(values[0], Datum::Error(_)), "{call}");
        assert!(
            matches!(values[1], Datum::Error(_)) && matches!(values[2], Datum::Error(_)),
            "{call}"
        );
        assert_eq!(shown(&window.result.scalar, values[3]), last, "{call}");
    }
}

fn spec() -> impl Strategy<Value = String> {
    let bounds = prop_oneof![
        Just("up|cr"),
        Just("up|uf"),
        Just("cr|uf"),
        Just("p:2|f:1"),
        Just("p:3|p:1"),
        Just("f:1|f:3"),
        Just("f:2|f:1"),
        Just("p:1|p:2"),
        Just("cr|cr"),
        Just("up|p:1"),
        Just("f:1|uf"),
    ];
    (
        prop_oneof![Just("rows"), Just("range"), Just("groups")],
        bounds,
    )
        .prop_map(|(units, bounds)| format!("{units} {bounds}"))
}

proptest! {
    /// Running aggregates over any frame are what the aggregate gives for the frame's rows from scratch.
    #[test]
    fn a_running_aggregate_is_that_of_its_frame(
        mut keys in prop::collection::vec(prop::option::weighted(0.9, -4i32..5), 0..14),
        values in prop::collection::vec(prop::option::weighted(0.8, -9i32..10), 14),
        spec in spec(),
    ) {
        keys.sort_by_key(|k| (k.is_none(), *k));
        let columns = [ScalarType::Int32, ScalarType::Int32, ScalarType::Int32];
        let datum = |v: &Option<i32>| v.map_or(Datum::Null, Datum::Int32);
        let rows: Vec<Row> =
            keys.iter().zip(&values).map(|(k, v)| Row::pack([datum(k), datum(v), Datum::Null])).collect();
        let refs: Vec<_> = rows.iter().map(Row::as_ref).collect();
        for call in ["sum c1", "min c1", "max c1", "count c1", "array_agg c1"] {
            let window = window(call, &columns, "asc last", frame(&spec, &columns[0]));
            let WindowFunc::Aggregate(aggregate) = &window.func else { panic!("an aggregate") };
            let arena = RowArena::new();
            let values = window.eval_partition(&refs, &arena);
            let partition = Partition::new(&refs, &window.order_by, &arena);
            let frames = partition.frames(&window.frame, &window.order_by, &arena).expect("frames");
            for (value, frame) in values.iter().zip(frames) {
                let mut inputs = frame.map(|i| (vec![partition.row(i)[1]], 1));
                let scratch = aggregate.eval_group(&mut inputs, &arena);
                prop_assert_eq!(*value, scratch, "{} {}", call, spec);
            }
            prop_assert!(aggregate.kind() != AggregateKind::WholeGroup || call == "array_agg c1");
        }
    }
}
