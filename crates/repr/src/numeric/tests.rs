use super::Numeric;

fn n(text: &str) -> Numeric {
    Numeric::parse(text).unwrap()
}

#[test]
fn equal_values_of_different_scale_have_one_key() {
    let key = |t: &str| {
        let mut out = Vec::new();
        n(t).encode_key(&mut out);
        out
    };
    assert_eq!(key("1.0"), key("1.00"));
    assert_eq!(n("1.0"), n("1.00"));
}
