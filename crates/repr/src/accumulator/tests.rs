//! Exact sums against the xsum crate, and the law that insertion and retraction commute.

use proptest::prelude::*;
use xsum::{Xsum, XsumSmall};

use super::*;

/// Finite doubles of all magnitudes, of like magnitude, and halves of cancelling pairs.
fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        2 => any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |v| v.is_finite()),
        4 => -1e6f64..1e6,
        1 => prop::sample::select(vec![1e300, -1e300, 1e-300, 5e-324, -5e-324, 0.1, 0.2, -0.3, 0.0, -0.0]),
    ]
}

fn any_double() -> impl Strategy<Value = f64> {
    prop_oneof![
        12 => finite(),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]),
    ]
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

fn xsum_of(values: &[f64]) -> f64 {
    let mut oracle = XsumSmall::new();
    oracle.add_list(values);
    oracle.sum()
}

proptest! {
    #[test]
    fn sums_are_those_of_xsum(values in prop::collection::vec(finite(), 1..60)) {
        let mut sum = FloatSum::new();
        values.iter().for_each(|v| sum.add(*v, 1));
        let ours = sum.value(values.len() as i64);
        // xsum 0.1.6 misrounds negative sums (0 - 796538.5705765649 + 0, say): it gets the mirror image.
        let theirs = if ours < 0.0 {
            -xsum_of(&values.iter().map(|v| -v).collect::<Vec<_>>())
        } else {
            xsum_of(&values)
        };
        prop_assert!(ours == theirs, "{ours:e} and {theirs:e}");
    }

    #[test]
    fn retracted_values_leave_what_was_never_in(
        kept in prop::collection::vec(any_double(), 0..20),
        passing in prop::collection::vec((any_double(), 1i64..5), 0..20),
    ) {
        let mut plain = FloatSum::new();
        kept.iter().for_each(|v| plain.add(*v, 1));
        let mut mixed = FloatSum::new();
        passing.iter().for_each(|(v, times)| mixed.add(*v, *times));
        kept.iter().rev().for_each(|v| mixed.add(*v, 1));
        passing.iter().rev().for_each(|(v, times)| mixed.sub(*v, *times));
        let rows = kept.len() as i64;
        prop_assert!(same(plain.value(rows), mixed.value(rows)));
        prop_assert!(plain.value32(rows).to_bits() == mixed.value32(rows).to_bits() || plain.value32(rows).is_nan());
        kept.iter().for_each(|v| mixed.sub(*v, 1));
        prop_assert!(mixed.is_zero());
    }

    #[test]
    fn merging_and_multiplying_are_linear(
        left in prop::collection::vec((any_double(), -3i64..4), 0..12),
        right in prop::collection::vec((any_double(), -3i64..4), 0..12),
        factor in prop_oneof![-4i64..5, any::<i32>().prop_map(i64::from)],
    ) {
        let gather = |values: &[(f64, i64)], factor: i64| {
            let mut sum = FloatSum::new();
            values.iter().for_each(|(v, times)| sum.add(*v, times * factor));
            sum
        };
        let mut merged = gather(&left, 1);
        merged.merge(&gather(&right, 1));
        merged.multiply(factor);
        let mut other = gather(&right, factor);
        other.merge(&gather(&left, factor));
        prop_assert!(same(merged.value(0), other.value(0)));
        other.multiply(-1);
        merged.merge(&other);
        prop_assert!(merged.is_zero());
    }

    #[test]
    fn moments_do_not_depend_on_order_and_retract_to_zero(
        pairs in prop::collection::vec((any_double(), any_double()), 0..12),
    ) {
        let (mut forward, mut backward) = (FloatPairMoments::default(), FloatPairMoments::default());
        pairs.iter().for_each(|(y, x)| forward.add(*y, *x, 1));
        pairs.iter().rev().for_each(|(y, x)| backward.add(*y, *x, 1));
        let statistics = |m: &FloatPairMoments| {
            [m.regr_sxx(), m.regr_syy(), m.regr_sxy(), m.covariance(true), m.correlation(), m.regr_slope()]
                .map(|v| v.map(f64::to_bits))
        };
        prop_assert_eq!(statistics(&forward), statistics(&backward));
        backward.multiply(-1);
        forward.merge(&backward);
        prop_assert!(forward.is_zero());
    }
}

#[test]
fn a_sum_of_negative_zeros_alone_is_negative_zero() {
    let mut sum = FloatSum::of(-0.0, 2);
    assert!(sum.value(2).is_sign_negative());
    sum.add(0.0, 1);
    assert!(sum.value(3).is_sign_positive());
}

#[test]
fn the_sum_of_one_value_is_that_value() {
    for value in [f64::MIN_POSITIVE, -f64::MIN_POSITIVE, 5e-324, f64::MAX, 1.0] {
        assert_eq!(FloatSum::of(value, 1).value(1), value);
        let mut sum = FloatSum::of(value, 1);
        sum.add(1e300, 1);
        sum.sub(1e300, 1);
        assert_eq!(sum.value(1), value);
    }
}

#[test]
fn finite_values_beyond_the_range_are_an_overflow() {
    let sum = FloatSum::of(f64::MAX, 2);
    assert_eq!(
        sum.checked_value(2).unwrap_err().message(),
        "value out of range: overflow"
    );
    let infinite = FloatSum::of(f64::INFINITY, 1);
    assert_eq!(infinite.checked_value(1), Ok(f64::INFINITY));
}

/// Expected values from PostgreSQL 15 over (1,2), (2,4.5), (3,5), (5,11) as (x, y). Its running sums round at each
/// row; these are rounded once, so the last digits may be nearer the truth: the intercept is -27/70.
#[test]
fn regression_is_that_of_postgres_but_for_its_rounding() {
    let mut moments = FloatPairMoments::default();
    for (x, y) in [(1.0, 2.0), (2.0, 4.5), (3.0, 5.0), (5.0, 11.0)] {
        moments.add(y, x, 1);
    }
    let expected = [
        (moments.regr_slope(), 2.1857142857142855),
        (moments.regr_intercept(), -0.3857142857142861),
        (moments.regr_r2(), 0.95683629675046),
        (moments.correlation(), 0.9781800942313538),
        (moments.covariance(false), 4.78125),
        (moments.regr_sxx(), 8.75),
    ];
    for (ours, postgres) in expected {
        let ours = ours.unwrap();
        assert!(
            (ours - postgres).abs() <= 1e-14 * postgres.abs(),
            "{ours} and {postgres}"
        );
    }
    assert_eq!(moments.regr_intercept(), Some(-27.0 / 70.0));
}
