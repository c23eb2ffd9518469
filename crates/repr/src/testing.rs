//! Generators of types, values and rows for property tests.
//!
//! A generated value is one that its type can hold, edge values included and frequent: NaN, -0.0, 1.0 beside 1.00,
//! '1 mon' beside '30 days', infinities, empty and long strings, multi-byte characters, NUL bytes in bytea, nested
//! and oddly bounded arrays. Values come as rows of one column, because a datum borrows.

use crate::array::{Array, Dimension};
use crate::datum::Datum;
use crate::interval::Interval;
use crate::json::{self, Json};
use crate::numeric::Numeric;
use crate::row::Row;
use crate::types::ScalarType;
use crate::{datetime, text};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Every type that is neither array nor record.
pub fn element_type() -> BoxedStrategy<ScalarType> {
    let elements: Vec<ScalarType> = ScalarType::all()
        .into_iter()
        .filter(|t| !matches!(t, ScalarType::Array(_)))
        .collect();
    select(elements).boxed()
}

/// Every type that a column can have, and records of them.
pub fn any_type() -> BoxedStrategy<ScalarType> {
    let columns = select(ScalarType::all());
    let field = |ty| ("f".to_string(), ty);
    let record = vec(columns.clone(), 0..4)
        .prop_map(move |types| ScalarType::Record(types.into_iter().map(field).collect()));
    prop_oneof![8 => columns, 1 => record].boxed()
}

/// A type and a value of it that is not NULL.
pub fn typed_datum() -> BoxedStrategy<(ScalarType, Row)> {
    any_type()
        .prop_flat_map(|ty| datum(&ty).prop_map(move |value| (ty.clone(), value)))
        .boxed()
}

/// A type and two values of it, NULL among them and equal ones often.
pub fn typed_pair() -> BoxedStrategy<(ScalarType, Row, Row)> {
    any_type()
        .prop_flat_map(|ty| {
            let pair = (nullable_datum(&ty), nullable_datum(&ty), 0..8u8);
            pair.prop_map(move |(a, b, same)| {
                let b = if same == 0 { a.clone() } else { b };
                (ty.clone(), a, b)
            })
        })
        .boxed()
}

/// Up to six types and a row of them.
pub fn typed_row() -> BoxedStrategy<(Vec<ScalarType>, Row)> {
    vec(any_type(), 0..6)
        .prop_flat_map(|types| row(&types).prop_map(move |row| (types.clone(), row)))
        .boxed()
}

/// A row of these types, NULLs included.
pub fn row(types: &[ScalarType]) -> BoxedStrategy<Row> {
    let columns: Vec<_> = types.iter().map(nullable_datum).collect();
    columns
        .prop_map(|columns| Row::pack(columns.iter().flat_map(Row::iter)))
        .boxed()
}

/// A value of the type, or NULL.
pub fn nullable_datum(ty: &ScalarType) -> BoxedStrategy<Row> {
    prop_oneof![1 => Just(one(Datum::Null)), 6 => datum(ty)].boxed()
}

/// A value of the type, as a row of one column.
pub fn datum(ty: &ScalarType) -> BoxedStrategy<Row> {
    match ty {
        ScalarType::Bool => any::<bool>().prop_map(|v| one(Datum::Bool(v))).boxed(),
        ScalarType::Int16 => int().prop_map(|v| one(Datum::Int16(v as i16))).boxed(),
        ScalarType::Int32 => int().prop_map(|v| one(Datum::Int32(v as i32))).boxed(),
        ScalarType::Int64 => int().prop_map(|v| one(Datum::Int64(v))).boxed(),
        ScalarType::Oid
        | ScalarType::RegClass
        | ScalarType::RegType
        | ScalarType::RegProc
        | ScalarType::RegNamespace => int().prop_map(|v| one(Datum::Oid(v as u32))).boxed(),
        ScalarType::Float32 => float().prop_map(|v| one(Datum::Float32(v as f32))).boxed(),
        ScalarType::Float64 => float().prop_map(|v| one(Datum::Float64(v))).boxed(),
        ScalarType::Numeric => numeric(true).prop_map(|v| one(Datum::Numeric(&v))).boxed(),
        ScalarType::BpChar => string().prop_map(|v| one(Datum::BpChar(&v))).boxed(),
        ScalarType::Name => string()
            .prop_map(|v| one(Datum::Text(text::truncate_name(&v))))
            .boxed(),
        ScalarType::InternalChar => "[ -~]?".prop_map(|v| one(Datum::Text(&v))).boxed(),
        ScalarType::Bytea => bytes().prop_map(|v| one(Datum::Bytea(&v))).boxed(),
        ScalarType::Date => date().prop_map(|v| one(Datum::Date(v))).boxed(),
        ScalarType::Time => {
            let micros = prop_oneof![Just(0), Just(86_400_000_000), 0..86_400_000_000i64];
            micros.prop_map(|v| one(Datum::Time(v))).boxed()
        }
        ScalarType::Timestamp => timestamp().prop_map(|v| one(Datum::Timestamp(v))).boxed(),
        ScalarType::TimestampTz => timestamp().prop_map(|v| one(Datum::TimestampTz(v))).boxed(),
        ScalarType::Interval => interval().prop_map(|v| one(Datum::Interval(v))).boxed(),
        ScalarType::Uuid => {
            let uuid = prop_oneof![any::<[u8; 16]>(), Just([0; 16]), Just([0xff; 16])];
            uuid.prop_map(|v| one(Datum::Uuid(v))).boxed()
        }
        ScalarType::Jsonb => jsonb()
            .prop_map(|v| one(Datum::Jsonb(Json::from_packed(&v))))
            .boxed(),
        ScalarType::Array(element) => array(element),
        ScalarType::Record(fields) => {
            let types: Vec<_> = fields.iter().map(|(_, ty)| ty.clone()).collect();
            row(&types)
                .prop_map(|v| one(Datum::Record(v.as_ref())))
                .boxed()
        }
        ScalarType::Void => Just(one(Datum::Null)).boxed(),
        ScalarType::Text | ScalarType::Varchar | ScalarType::Unknown => {
            string().prop_map(|v| one(Datum::Text(&v))).boxed()
        }
    }
}

fn one(datum: Datum<'_>) -> Row {
    Row::pack([datum])
}

/// Integers whose low halves are edges as well.
fn int() -> BoxedStrategy<i64> {
    let edges = vec![0, 1, -1, 127, 128, -128, -129, 32767, 32768, -32768, -32769];
    let wide = vec![
        i64::MAX,
        i64::MIN,
        i32::MAX.into(),
        i32::MIN.into(),
        1 << 31,
        0xffff_ffff,
    ];
    prop_oneof![
        -3..4i64,
        select(edges),
        select(wide),
        any::<i64>(),
        any::<i32>().prop_map(i64::from)
    ]
    .boxed()
}

fn float() -> BoxedStrategy<f64> {
    let edges = vec![
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        f64::MIN,
        1e15,
        1e16,
        123456789.125,
        0.1,
        1e-5,
    ];
    let halves = (-100..100i32).prop_map(|v| f64::from(v) / 4.0);
    // SQL has one NaN: payloads do not survive a text form.
    let any = any::<u64>()
        .prop_map(f64::from_bits)
        .prop_map(|v| if v.is_nan() { f64::NAN } else { v });
    prop_oneof![select(edges), halves, any].boxed()
}

/// Packed numerics.
fn numeric(special: bool) -> BoxedStrategy<Vec<u8>> {
    let edges = select(vec![
        "0",
        "0.0",
        "0.000",
        "1",
        "1.0",
        "1.00",
        "-1.5",
        "10",
        "100",
        "9999",
        "10000",
        "0.0001",
        "0.00001",
        "-0.99999999999999999999",
        "99999999999999999999999999999999999999999999999999.5",
    ]);
    let edges = edges.prop_map(str::to_string);
    let scaled = (int(), 0..7u32).prop_map(|(v, scale)| {
        let digits = format!("{:0>8}", v.unsigned_abs());
        let (integer, fraction) = digits.split_at(digits.len() - scale as usize);
        format!("{}{integer}.{fraction}", if v < 0 { "-" } else { "" })
    });
    let long = "-?[1-9][0-9]{0,60}(\\.[0-9]{0,40})?";
    let infinite = if special {
        vec!["NaN", "Infinity", "-Infinity"]
    } else {
        vec!["7"]
    };
    let infinite = select(infinite).prop_map(str::to_string);
    prop_oneof![3 => edges, 3 => scaled, 2 => long, 1 => infinite]
        .prop_map(|literal| {
            let mut packed = Vec::new();
            Numeric::parse(&literal)
                .expect("a numeric literal")
                .to_bytes(&mut packed);
            packed
        })
        .boxed()
}

/// Strings without NUL, which no SQL text holds.
pub fn string() -> BoxedStrategy<String> {
    let any = vec(any::<char>().prop_filter("no NUL", |c| *c != '\0'), 0..8)
        .prop_map(|chars| chars.into_iter().collect());
    let edges = select(vec![
        "", " ", "a", "a ", "null", "NULL", "\\", "\"", "é", "日本", "\u{1}", "\t",
    ]);
    prop_oneof![
        3 => "[ab ]{0,4}",
        2 => edges.prop_map(str::to_string),
        2 => any,
        1 => "[a-c,{}()\"\\\\ ]{0,10}",
        1 => "[aé]{60,70}",
        1 => "[x]{300,400}",
    ]
    .boxed()
}

fn bytes() -> BoxedStrategy<Vec<u8>> {
    let zeros = vec(select(vec![0u8, 1, 255, b'\\', b'a']), 0..5);
    prop_oneof![zeros, vec(any::<u8>(), 0..20), vec(any::<u8>(), 120..140)].boxed()
}

fn date() -> BoxedStrategy<i32> {
    let edges = vec![
        datetime::DATE_MIN,
        datetime::DATE_MAX,
        datetime::DATE_INFINITY,
        datetime::DATE_NEG_INFINITY,
        0,
        -1,
    ];
    prop_oneof![
        select(edges),
        -40_000..40_000i32,
        datetime::DATE_MIN..=datetime::DATE_MAX
    ]
    .boxed()
}

fn timestamp() -> BoxedStrategy<i64> {
    let edges = vec![
        datetime::TIMESTAMP_MIN,
        datetime::TIMESTAMP_END - 1,
        datetime::TIMESTAMP_INFINITY,
        datetime::TIMESTAMP_NEG_INFINITY,
        0,
        -1,
        1_000_000,
    ];
    let recent = (-2_000_000_000..2_000_000_000i64).prop_map(|seconds| seconds * 1_000_000);
    prop_oneof![
        select(edges),
        recent,
        -2_000_000_000_000_000..2_000_000_000_000_000i64,
        datetime::TIMESTAMP_MIN..datetime::TIMESTAMP_END,
    ]
    .boxed()
}

fn interval() -> BoxedStrategy<Interval> {
    const DAY: i64 = 86_400_000_000;
    let edges = select(vec![
        Interval {
            months: 1,
            days: 0,
            micros: 0,
        },
        Interval {
            months: 0,
            days: 30,
            micros: 0,
        },
        Interval {
            months: 0,
            days: 0,
            micros: 30 * DAY,
        },
        Interval {
            months: 0,
            days: 1,
            micros: 0,
        },
        Interval {
            months: 0,
            days: 0,
            micros: DAY,
        },
        Interval {
            months: 1,
            days: -1,
            micros: 1,
        },
        Interval {
            months: -13,
            days: 1,
            micros: -1,
        },
        Interval {
            months: 0,
            days: 0,
            micros: 0,
        },
        Interval {
            months: i32::MAX,
            days: i32::MAX,
            micros: 1 << 60,
        },
    ]);
    let small = (-14..14i32, -40..40i32, -3 * DAY..3 * DAY);
    let wide = (any::<i32>(), any::<i32>(), -(1i64 << 60)..1 << 60);
    let build = |(months, days, micros)| Interval {
        months,
        days,
        micros,
    };
    prop_oneof![edges, small.prop_map(build), wide.prop_map(build)].boxed()
}

/// Packed jsonb values.
pub fn jsonb() -> BoxedStrategy<Vec<u8>> {
    let leaf = prop_oneof![
        Just(json::null()),
        any::<bool>().prop_map(json::boolean),
        numeric(false).prop_map(|n| json::number(&n)),
        string().prop_map(|s| json::string(&s)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let elements = vec(inner.clone(), 0..4).prop_map(|elements| {
            let mut builder = json::ArrayBuilder::new();
            elements
                .iter()
                .for_each(|e| builder.push(Json::from_packed(e)));
            builder.finish().expect("a small array")
        });
        let key = prop_oneof!["[ab]{0,2}", string()];
        let members = vec((key, inner), 0..4).prop_map(|members| {
            let mut builder = json::ObjectBuilder::new();
            members
                .iter()
                .for_each(|(k, v)| builder.push(k, Json::from_packed(v)));
            builder.finish().expect("a small object")
        });
        prop_oneof![elements, members]
    })
    .boxed()
}

fn array(element: &ScalarType) -> BoxedStrategy<Row> {
    let element = nullable_datum(element);
    let lower = prop_oneof![4 => Just(1), 1 => -2..3i32, 1 => Just(i32::MIN)];
    let shape = vec((1..3u32, lower), 0..4);
    let flat = vec(element.clone(), 0..5).prop_map(|elements| {
        let shape = vec![Dimension {
            length: elements.len() as u32,
            lower: 1,
        }];
        (shape, elements)
    });
    let nested = shape.prop_flat_map(move |shape| {
        let shape: Vec<_> = shape
            .into_iter()
            .map(|(length, lower)| Dimension { length, lower })
            .collect();
        let count: u32 = shape.iter().map(|d| d.length).product();
        let count = if shape.is_empty() { 0 } else { count as usize };
        vec(element.clone(), count).prop_map(move |elements| (shape.clone(), elements))
    });
    prop_oneof![2 => flat, 1 => nested]
        .prop_map(|(shape, elements)| {
            let packed = crate::array::build(&shape, elements.iter().map(Row::first));
            one(Datum::Array(Array::from_packed(&packed)))
        })
        .boxed()
}
