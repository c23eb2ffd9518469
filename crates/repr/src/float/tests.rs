//! PostgreSQL's answers, and laws over all bit patterns.

use proptest::prelude::*;

use super::*;
use crate::numeric::Numeric;

fn answer(args: &[&str]) -> Result<String, EvalError> {
    match args[0] {
        "f8.parse" => parse64(args[1]).map(format64),
        "f4.parse" => parse32(args[1]).map(format32),
        "f8.num" => Ok(Numeric::from_f64(parse64(args[1])?)?.to_string()),
        "f4.num" => Ok(Numeric::from_f32(parse32(args[1])?)?.to_string()),
        other => panic!("no operation {other}"),
    }
}

#[test]
fn answers_are_those_of_postgres() {
    crate::oracle::check(include_str!("postgres_15.tsv"), answer);
}

fn key64(value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    push_key64(&mut out, value);
    out
}

fn key32(value: f32) -> Vec<u8> {
    let mut out = Vec::new();
    push_key32(&mut out, value);
    out
}

fn doubles() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => any::<u64>().prop_map(f64::from_bits),
        2 => any::<i64>().prop_map(|v| v as f64),
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

proptest! {
    #[test]
    fn doubles_read_back_as_they_print(value in doubles()) {
        let again = parse64(&format64(value)).unwrap();
        prop_assert!(again.to_bits() == value.to_bits() || value.is_nan() && again.is_nan());
    }

    #[test]
    fn reals_read_back_as_they_print(bits in any::<u32>()) {
        let value = f32::from_bits(bits);
        let again = parse32(&format32(value)).unwrap();
        prop_assert!(again.to_bits() == value.to_bits() || value.is_nan() && again.is_nan());
    }

    #[test]
    fn keys_order_and_equal_as_values_do(a in doubles(), b in doubles()) {
        prop_assert_eq!(key64(a).cmp(&key64(b)), cmp64(a, b));
        let (a, b) = (a as f32, b as f32);
        prop_assert_eq!(key32(a).cmp(&key32(b)), cmp32(a, b));
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "[-+ 0-9.eExXpPinfaINFA]{0,12}") {
        let _any = (parse64(&text), parse32(&text));
    }
}
