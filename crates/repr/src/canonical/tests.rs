use super::*;
use crate::datum::Datum;
use crate::row::RowArena;
use crate::testing;
use crate::text::tests::named_type;
use crate::types::ScalarType;
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn encoded(datums: &[Datum<'_>]) -> String {
    let mut out = Vec::new();
    encode(Row::pack(datums.iter().copied()).as_ref(), &mut out);
    hex(&out)
}

/// Existing logs hold these bytes: a difference here needs a new version, not a new table.
#[test]
fn the_bytes_of_every_type_are_pinned() {
    let arena = RowArena::new();
    let mut found = String::new();
    let mut types = Vec::new();
    for line in include_str!("version_1.tsv").lines() {
        let mut fields = line.split('\t');
        let mut next = || fields.next().expect("three fields");
        let (name, text) = (next(), next());
        let (ty, _) = named_type(name);
        let datum = crate::text::parse(&ty, text, &arena).expect(line);
        found.push_str(&format!("{name}\t{text}\t{}\n", encoded(&[datum])));
        types.push(ty);
    }
    assert_eq!(found, include_str!("version_1.tsv"));
    for ty in ScalarType::all() {
        assert!(types.contains(&ty), "no pinned value of {ty:?}");
    }
}

#[test]
fn the_bytes_of_nulls_records_errors_and_rows_are_pinned() {
    let record = Row::pack([Datum::Int32(1), Datum::Null]);
    let arena = RowArena::new();
    let error = crate::EvalError::division_by_zero();
    assert_eq!(encoded(&[]), "");
    assert_eq!(encoded(&[Datum::Null]), "00");
    assert_eq!(encoded(&[Datum::Record(record.as_ref())]), "3a03090100");
    assert_eq!(
        encoded(&[arena.error(&error)]),
        "3b183232303132006469766973696f6e206279207a65726f0000"
    );
    assert_eq!(
        encoded(&[Datum::Bool(true), Datum::Text("ab"), Datum::Int64(300)]),
        "024261620e2c01"
    );
}

#[test]
fn another_version_is_refused_by_its_number() {
    assert_eq!(decode(2, &[0]), Err(CanonicalError::UnknownVersion(2)));
    assert_eq!(decode(VERSION, &[0]), Ok(Row::pack([Datum::Null])));
    assert!(matches!(
        check(VERSION, &[255]),
        Err(CanonicalError::Malformed(_))
    ));
}

proptest! {
    #[test]
    fn rows_come_back_from_their_canonical_bytes((_, row) in testing::typed_row()) {
        let mut out = Vec::new();
        encode(row.as_ref(), &mut out);
        prop_assert_eq!(bytes(row.as_ref()), &out[..]);
        prop_assert_eq!(check(VERSION, &out), Ok(row.as_ref()));
        prop_assert_eq!(decode(VERSION, &out), Ok(row));
    }
}
