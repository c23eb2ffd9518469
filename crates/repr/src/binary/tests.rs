use super::*;
use crate::testing;
use crate::text::tests::{named_type, unescape};
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Each line of the table was written by PostgreSQL 15: type, text, and its send function's bytes.
#[test]
fn binary_forms_are_those_of_postgres() {
    let arena = RowArena::new();
    for line in include_str!("postgres_15.tsv").lines() {
        let mut fields = line.splitn(3, '\t').map(unescape);
        let mut next = || fields.next().expect("three fields");
        let (name, text, expected) = (next(), next(), next());
        let (ty, _) = named_type(&name);
        let datum = crate::text::parse(&ty, &text, &arena).expect("a value");
        let mut bytes = Vec::new();
        to_binary(&ty, datum, &mut bytes);
        assert_eq!(hex(&bytes), expected, "{name} {text}");
        assert_eq!(from_binary(&ty, &bytes, &arena), Ok(datum), "{name} {text}");
    }
}

#[test]
fn a_record_carries_its_types() {
    let ty = ScalarType::Record(vec![
        ("a".into(), ScalarType::Int32),
        ("b".into(), ScalarType::Text),
        ("c".into(), ScalarType::Text),
    ]);
    let arena = RowArena::new();
    let datum = crate::text::parse(&ty, "(1,x,)", &arena).expect("a record");
    let mut bytes = Vec::new();
    to_binary(&ty, datum, &mut bytes);
    let expected = "0000000300000017000000040000000100000019000000017800000019ffffffff";
    assert_eq!(hex(&bytes), expected);
}

#[test]
fn malformed_bytes_are_refused_with_22p03() {
    let arena = RowArena::new();
    let cases: [(ScalarType, &[u8]); 12] = [
        (ScalarType::Int32, &[1, 2, 3]),
        (ScalarType::Int32, &[1, 2, 3, 4, 5]),
        (ScalarType::Bool, &[]),
        (ScalarType::Uuid, &[0; 15]),
        (ScalarType::Interval, &[0; 17]),
        (ScalarType::Numeric, &[0, 1, 0, 0, 0, 0, 0, 0]),
        (ScalarType::Numeric, &[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        (ScalarType::Numeric, &[0, 0, 0, 0, 0x12, 0, 0, 0]),
        (ScalarType::Jsonb, &[2, b'1']),
        (ScalarType::Jsonb, &[]),
        (
            ScalarType::Array(Box::new(ScalarType::Int32)),
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23],
        ),
        (ScalarType::Array(Box::new(ScalarType::Int32)), &[0xff; 12]),
    ];
    for (ty, bytes) in cases {
        let error = from_binary(&ty, bytes, &arena).expect_err("malformed");
        assert_eq!(
            error.code(),
            SqlState::INVALID_BINARY_REPRESENTATION,
            "{ty:?} {bytes:?}"
        );
    }
    let error = from_binary(&ScalarType::Text, b"a\xffb", &arena).expect_err("no UTF-8");
    assert_eq!(
        error.message(),
        "invalid byte sequence for encoding \"UTF8\": 0xff"
    );
    let error = from_binary(&ScalarType::Text, b"a\0b", &arena).expect_err("a NUL");
    assert_eq!(
        error.message(),
        "invalid byte sequence for encoding \"UTF8\": 0x00"
    );
}

/// An array that claims more elements than its bytes can hold is refused before anything is allocated for it.
#[test]
fn a_huge_claimed_array_is_refused_at_once() {
    let mut bytes = Vec::new();
    for word in [2u32, 0, 23, 0x7fff_0000, 1, 0x7fff_0000, 1] {
        bytes.extend(word.to_be_bytes());
    }
    let ty = ScalarType::Array(Box::new(ScalarType::Int32));
    assert!(from_binary(&ty, &bytes, &RowArena::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn values_come_back_from_their_binary_form((ty, row) in testing::typed_datum()) {
        let mut bytes = Vec::new();
        to_binary(&ty, row.first(), &mut bytes);
        let arena = RowArena::new();
        prop_assert_eq!(from_binary(&ty, &bytes, &arena), Ok(row.first()));
    }

    #[test]
    fn damaged_bytes_never_panic(
        (ty, row) in testing::typed_datum(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        to_binary(&ty, row.first(), &mut bytes);
        bytes.push(0);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let arena = RowArena::new();
        if let Ok(datum) = from_binary(&ty, &bytes, &arena) {
            let packed = crate::Row::pack([datum]);
            prop_assert!(crate::Row::from_bytes(packed.bytes()).is_ok());
            let mut shown = String::new();
            crate::text::format(&ty, datum, &mut shown);
        }
    }
}
