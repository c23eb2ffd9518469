use super::*;

#[test]
fn a_month_and_thirty_days_have_one_key() {
    let key = |i: Interval| {
        let mut out = Vec::new();
        push_key(&mut out, i);
        out
    };
    assert_eq!(key(Interval::new(1, 0, 0)), key(Interval::new(0, 30, 0)));
}
