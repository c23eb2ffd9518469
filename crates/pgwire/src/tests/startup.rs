use super::*;

#[test]
fn options_set_parameters_and_keep_escaped_blanks() {
    let settings = switches(r"-c search_path=a\ b --statement-timeout=5s -ctimezone=UTC").unwrap();
    let expected = [
        ("search_path", "a b"),
        ("statement_timeout", "5s"),
        ("timezone", "UTC"),
    ];
    assert_eq!(
        settings,
        expected.map(|(n, v)| (n.to_string(), v.to_string()))
    );
    assert!(switches("-x").is_err());
    assert!(switches("-c novalue").is_err());
}

#[test]
fn a_parameter_list_must_be_whole() {
    let read = pairs(b"user\0u\0database\0\0\0").unwrap();
    assert_eq!(read[1], ("database".to_string(), String::new()));
    assert!(pairs(b"").is_err());
    assert!(pairs(b"user\0").is_err());
    assert!(pairs(b"user\0u").is_err());
    assert!(pairs(b"user\0\0").is_err());
    assert!(pairs(b"user\0\xff\0\0").is_err());
    assert!(pairs(b"\0").unwrap().is_empty());
}
