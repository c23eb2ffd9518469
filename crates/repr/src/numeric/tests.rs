//! PostgreSQL's answers, and laws over generated values against big integers.

use num_bigint::BigInt;
use proptest::prelude::*;

use super::{Numeric, NumericMoments, NumericSum, push_key};
use crate::error::EvalError;

fn n(text: &str) -> Result<Numeric, EvalError> {
    Numeric::parse(text)
}

fn text<T: ToString>(result: Result<T, EvalError>) -> Result<String, EvalError> {
    result.map(|v| v.to_string())
}

fn answer(args: &[&str]) -> Result<String, EvalError> {
    let a = n(args[1])?;
    let b = || n(args[2]);
    match args[0] {
        "n.parse" => Ok(a.to_string()),
        "n.add" => text(a.add(&b()?)),
        "n.sub" => text(a.sub(&b()?)),
        "n.mul" => text(a.mul(&b()?)),
        "n.div" => text(a.div(&b()?)),
        "n.divt" => text(a.div_trunc(&b()?)),
        "n.rem" => text(a.rem(&b()?)),
        "n.gcd" => text(a.gcd(&b()?)),
        "n.lcm" => text(a.lcm(&b()?)),
        "n.pow" => text(a.power(&b()?)),
        "n.log" => text(Numeric::log(&a, &b()?)),
        "n.cmp" => Ok((a.cmp(&b()?) as i32).to_string()),
        "n.sqrt" => text(a.sqrt()),
        "n.exp" => text(a.exp()),
        "n.ln" => text(a.ln()),
        "n.log10" => text(a.log10()),
        "n.ceil" => text(a.ceil()),
        "n.floor" => text(a.floor()),
        "n.neg" => Ok(a.neg().to_string()),
        "n.sign" => Ok(a.sign().to_string()),
        "n.round" => text(a.round(args[2].parse().unwrap())),
        "n.trunc" => text(a.trunc(args[2].parse().unwrap())),
        "n.typmod" => text(a.with_typmod(args[2].parse().unwrap(), args[3].parse().unwrap())),
        "n.i2" => text(a.to_i16()),
        "n.i4" => text(a.to_i32()),
        "n.i8" => text(a.to_i64()),
        "n.f8" => a.to_f64().map(crate::float::format64),
        "n.f4" => a.to_f32().map(crate::float::format32),
        "n.minscale" => Ok(a.min_scale().map_or("NULL".to_owned(), |v| v.to_string())),
        "n.trim" => Ok(a.trim_scale().to_string()),
        "n.fact" => text(Numeric::factorial(args[1].parse().unwrap())),
        "n.wb" => text(Numeric::width_bucket(
            &a,
            &b()?,
            &n(args[3])?,
            args[4].parse().unwrap(),
        )),
        other => panic!("no operation {other}"),
    }
}

#[test]
fn answers_are_those_of_postgres() {
    crate::oracle::check(include_str!("postgres_15.tsv"), answer);
}

fn key(value: &Numeric) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode_key(&mut out);
    out
}

/// Coefficients of all sizes at scales that often coincide, and the special values.
fn numerics() -> impl Strategy<Value = Numeric> {
    let small = (any::<i128>(), 0u32..128, 0u32..24)
        .prop_map(|(c, shift, scale)| Numeric::new(c >> shift, scale).unwrap());
    let round = (-2000i128..2000, 0u32..5, 0u32..30)
        .prop_map(|(c, zeros, scale)| Numeric::new(c * 10i128.pow(zeros), scale).unwrap());
    let big =
        ("[1-9][0-9]{30,90}", 0u32..60, any::<bool>()).prop_map(|(digits, scale, negative)| {
            let value = Numeric::from_parts(digits.parse().unwrap(), scale).unwrap();
            if negative { value.neg() } else { value }
        });
    prop_oneof![
        4 => small,
        6 => round,
        2 => big,
        1 => prop::sample::select(vec![Numeric::NAN, Numeric::INFINITY, Numeric::NEG_INFINITY]),
    ]
}

/// The coefficient at scale 100, beyond every generated scale.
fn coefficient(value: &Numeric) -> Option<BigInt> {
    Some(value.finite()?.coefficient_at(100))
}

proptest! {
    #[test]
    fn text_and_bytes_keep_identity(value in numerics()) {
        let again = n(&value.to_string()).unwrap();
        prop_assert_eq!(again.to_string(), value.to_string());
        let mut bytes = Vec::new();
        value.to_bytes(&mut bytes);
        let decoded = Numeric::from_bytes(&bytes).unwrap();
        prop_assert_eq!(decoded.to_string(), value.to_string());
        bytes.push(0);
        prop_assert!(Numeric::from_bytes(&bytes).is_none());
        prop_assert_eq!(Numeric::read_bytes(&bytes).unwrap().1, bytes.len() - 1);
    }

    #[test]
    fn keys_order_and_equal_as_values_do(a in numerics(), b in numerics()) {
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        let mut packed = Vec::new();
        a.to_bytes(&mut packed);
        let mut pushed = Vec::new();
        push_key(&mut pushed, &packed);
        prop_assert_eq!(&pushed, &key(&a));
        pushed.extend([0, 255, 1]);
        prop_assert_eq!(Numeric::key_len(&pushed), Some(key(&a).len()));
        prop_assert_eq!(Numeric::decode_key(&pushed), Some((a, pushed.len() - 3)));
    }

    #[test]
    fn order_is_that_of_coefficients(a in numerics(), b in numerics()) {
        if let (Some(x), Some(y)) = (coefficient(&a), coefficient(&b)) {
            prop_assert_eq!(a.cmp(&b), x.cmp(&y));
        }
    }

    #[test]
    fn arithmetic_is_that_of_big_integers(a in numerics(), b in numerics()) {
        let (Some(x), Some(y)) = (coefficient(&a), coefficient(&b)) else { return Ok(()) };
        prop_assert_eq!(coefficient(&a.add(&b).unwrap()), Some(&x + &y));
        prop_assert_eq!(coefficient(&a.sub(&b).unwrap()), Some(&x - &y));
        let product = a.mul(&b).unwrap();
        prop_assert_eq!(product.finite().unwrap().coefficient_at(200), &x * &y);
        if !b.is_zero() {
            let (quotient, remainder) = (a.div_trunc(&b).unwrap(), a.rem(&b).unwrap());
            prop_assert_eq!(quotient.mul(&b).unwrap().add(&remainder).unwrap(), a.clone());
            // The rounded quotient is within half a unit of its last digit.
            let divided = a.div(&b).unwrap();
            let unit = Numeric::from_parts(1.into(), divided.scale().unwrap()).unwrap();
            let error = divided.mul(&b).unwrap().sub(&a).unwrap().abs();
            let bound = unit.mul(&b.abs()).unwrap();
            prop_assert!(error.add(&error).unwrap() <= bound);
        }
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Some((value, used)) = Numeric::read_bytes(&bytes) {
            let mut again = Vec::new();
            value.to_bytes(&mut again);
            prop_assert_eq!(&again[..], &bytes[..used]);
        }
        let _any = (Numeric::decode_key(&bytes), Numeric::key_len(&bytes));
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "[-+ 0-9.eEinfaINFA]{0,12}") {
        let _any = n(&text);
    }

    #[test]
    fn square_roots_are_nearest(value in numerics()) {
        let value = value.abs();
        let Some(x) = coefficient(&value) else { return Ok(()) };
        let root = value.sqrt().unwrap();
        let scale = root.scale().unwrap();
        let r = root.finite().unwrap().coefficient().into_owned();
        // (2 r - 1)^2 <= 4 x <= (2 r + 1)^2, at the root's scale.
        let target = x * 4 * super::pow10(2 * scale) / super::pow10(100);
        prop_assert!((&r * 2 + 1) * (&r * 2 + 1) >= target);
        prop_assert!(r == BigInt::ZERO || (&r * 2 - 1) * (&r * 2 - 1) <= target + 1);
    }

    #[test]
    fn sums_do_not_depend_on_order_and_retract_to_zero(
        values in prop::collection::vec((numerics(), -3i64..4), 0..12),
        seed in any::<u64>(),
    ) {
        let mut forward = NumericSum::new();
        values.iter().for_each(|(v, times)| forward.add(v, *times));
        let mut shuffled = values.clone();
        let length = shuffled.len().max(1);
        shuffled.rotate_left(seed as usize % length);
        shuffled.reverse();
        let mut backward = NumericSum::new();
        for (v, times) in &shuffled {
            backward.merge(&NumericSum::of(v, *times));
        }
        prop_assert_eq!(text(forward.value()), text(backward.value()));
        backward.multiply(-1);
        forward.merge(&backward);
        prop_assert!(forward.is_zero());
    }
}

#[test]
fn a_sum_shows_the_largest_scale_that_is_still_in() {
    let mut sum = NumericSum::new();
    sum.add(&n("1.5").unwrap(), 1);
    sum.add(&n("2.250").unwrap(), 1);
    assert_eq!(text(sum.value()), Ok("3.750".to_owned()));
    sum.sub(&n("2.250").unwrap(), 1);
    assert_eq!(text(sum.value()), Ok("1.5".to_owned()));
}

/// Expected values from `select variance(x), stddev_pop(x) from (values (1.5),(2.25),(4)) t(x)`.
#[test]
fn variance_has_the_scale_of_postgres() {
    let mut moments = NumericMoments::default();
    for value in ["1.5", "2.25", "4", "7"] {
        moments.add(&n(value).unwrap(), 1);
    }
    moments.add(&n("7").unwrap(), -1);
    assert_eq!(
        text(moments.variance(true).unwrap()),
        Ok("1.6458333333333333".to_owned())
    );
    assert_eq!(
        text(moments.stddev(false).unwrap()),
        Ok("1.04748375749804455964".to_owned())
    );
}
