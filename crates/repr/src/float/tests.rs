use super::*;

#[test]
fn text_switches_to_exponents_where_postgres_does() {
    assert_eq!(format64(1e15), "1e+15");
    assert_eq!(format64(123456789012345.0), "123456789012345");
    assert_eq!(format64(0.0001), "0.0001");
    assert_eq!(format64(0.00001), "1e-05");
    assert_eq!(format32(1e6), "1e+06");
}
