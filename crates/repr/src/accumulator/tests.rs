use super::*;

#[test]
fn retracting_everything_leaves_zero() {
    let mut sum = FloatSum::new();
    for v in [1e300, 1e-300, 3.5, -0.0, f64::NAN] {
        sum.add(v, 2);
    }
    for v in [f64::NAN, 3.5, -0.0, 1e-300, 1e300] {
        sum.sub(v, 2);
    }
    assert!(sum.is_zero());
}
