//! What no bytes may do to the decoders of rows and values: one function for the fuzzer and for `cargo test`.
//!
//! Whatever comes, it is refused or is a value; a value that was accepted is written and read again as itself.

use everview_repr::{Datum, Row, RowArena, RowRef, ScalarType, binary, canonical, key, text};

/// Takes any bytes as a row, and as a value of the type that the first byte names, in each of its forms.
pub fn run(data: &[u8]) {
    row(data);
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let types = ScalarType::all();
    let ty = &types[usize::from(*first) % types.len()];
    as_key(ty, rest);
    as_binary(ty, rest);
    if let Ok(text) = std::str::from_utf8(rest) {
        as_text(ty, text);
    }
}

fn row(data: &[u8]) {
    let Ok(row) = canonical::decode(canonical::VERSION, data) else {
        return;
    };
    assert_eq!(canonical::bytes(row.as_ref()), data);
    assert_eq!(Row::pack(row.iter()).bytes(), data);
    let _ = format!("{row:?}");
    let _ = key::encode(row.iter());
}

fn as_key(ty: &ScalarType, data: &[u8]) {
    if ty.key_loses_identity() {
        return;
    }
    let arena = RowArena::new();
    let mut rest = data;
    if let Some(datum) = key::decode(&mut rest, ty, &arena) {
        let mut again = Vec::new();
        key::push(&mut again, datum);
        let other = RowArena::new();
        let read = key::decode(&mut again.as_slice(), ty, &other);
        assert_eq!(read, Some(datum), "{ty:?}");
    }
}

fn as_binary(ty: &ScalarType, data: &[u8]) {
    let arena = RowArena::new();
    let Ok(datum) = binary::from_binary(ty, data, &arena) else {
        return;
    };
    well_formed(ty, datum);
    let mut sent = Vec::new();
    binary::to_binary(ty, datum, &mut sent);
    let read = binary::from_binary(ty, &sent, &arena).map(packed);
    assert_eq!(read, Ok(packed(datum)), "{ty:?} {datum:?}");
}

fn as_text(ty: &ScalarType, given: &str) {
    let arena = RowArena::new();
    let Ok(datum) = text::parse(ty, given, &arena) else {
        return;
    };
    well_formed(ty, datum);
    let mut shown = String::new();
    text::format(ty, datum, &mut shown);
    let read = text::parse(ty, &shown, &arena).map(packed);
    assert_eq!(read, Ok(packed(datum)), "{ty:?} {given:?} {shown:?}");
}

/// What a decoder gives is a value that rows, keys and output take.
fn well_formed(ty: &ScalarType, datum: Datum<'_>) {
    let bytes = packed(datum);
    assert!(
        RowRef::from_bytes(&bytes).is_ok(),
        "{ty:?} {datum:?} is no row"
    );
    let _ = key::encode([datum]);
    let mut out = String::new();
    text::format(ty, datum, &mut out);
    binary::to_binary(ty, datum, &mut Vec::new());
}

fn packed(datum: Datum<'_>) -> Vec<u8> {
    Row::pack([datum]).bytes().to_vec()
}
