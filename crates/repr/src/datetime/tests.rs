use super::*;

#[test]
fn a_timestamp_reads_back_as_it_prints() {
    let zone = Zone::utc();
    let context = InputContext {
        zone: &zone,
        now: None,
    };
    let ts = parse_timestamp("2013-01-01 05:00:00.25", &context).unwrap();
    assert_eq!(format_timestamp(ts), "2013-01-01 05:00:00.25");
}
