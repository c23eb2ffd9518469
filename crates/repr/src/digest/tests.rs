use super::*;
use crate::datum::Datum;
use crate::row::Row;
use crate::testing;
use proptest::collection::vec;
use proptest::prelude::*;

fn collection() -> impl Strategy<Value = Vec<(Row, i64)>> {
    vec(
        (testing::typed_row().prop_map(|(_, row)| row), -3..4i64),
        0..20,
    )
}

fn digest(rows: &[(Row, i64)]) -> Digest {
    let key = DigestKey::default();
    let mut digest = Digest::EMPTY;
    rows.iter()
        .for_each(|(row, diff)| digest.update(&key, row.as_ref(), *diff));
    digest
}

proptest! {
    #[test]
    fn order_does_not_matter(mut rows in collection(), seed in any::<u64>()) {
        let before = digest(&rows);
        let n = rows.len().max(1);
        for i in 0..rows.len() {
            rows.swap(i, (seed as usize).wrapping_mul(i + 1) % n);
        }
        prop_assert_eq!(digest(&rows), before);
    }

    #[test]
    fn digests_of_parts_add_up(a in collection(), b in collection()) {
        let mut sum = digest(&a);
        sum.merge(&digest(&b));
        let whole: Vec<_> = a.iter().chain(&b).cloned().collect();
        prop_assert_eq!(sum, digest(&whole));
        prop_assert_eq!(digest(&whole).difference(&digest(&a)), digest(&b));
    }

    #[test]
    fn taking_everything_away_leaves_the_empty_digest(rows in collection()) {
        let negated = rows.iter().map(|(row, diff)| (row.clone(), -diff));
        let both: Vec<_> = rows.iter().cloned().chain(negated).collect();
        prop_assert!(digest(&both).is_empty());
    }

    #[test]
    fn a_multiplicity_is_as_many_single_rows((_, row) in testing::typed_row(), n in -6..7i64) {
        let singles = vec![(row.clone(), n.signum()); n.unsigned_abs() as usize];
        prop_assert_eq!(digest(&[(row, n)]), digest(&singles));
    }

    #[test]
    fn batches_hash_as_single_rows_do(rows in vec(testing::typed_row(), 0..70)) {
        let key = DigestKey::from_secret(b"a secret");
        let mut batch = Vec::new();
        key.hash_many(rows.iter().map(|(_, row)| row.as_ref()), &mut batch);
        let singles: Vec<_> = rows.iter().map(|(_, row)| key.hash(row.as_ref())).collect();
        prop_assert_eq!(&batch, &singles);
        let mut digest = Digest::EMPTY;
        digest.update_many(&key, rows.iter().map(|(_, row)| (row.as_ref(), 2)));
        let mut expected = Digest::EMPTY;
        singles.iter().for_each(|hash| expected.update_hash(*hash, 2));
        prop_assert_eq!(digest, expected);
    }

    #[test]
    fn text_and_bytes_give_the_digest_back(rows in collection()) {
        let digest = digest(&rows);
        prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        prop_assert_eq!(Digest::from_bytes(digest.to_bytes()), digest);
    }
}

#[test]
fn multiplicities_at_the_end_of_their_range_are_exact() {
    let row = Row::pack([Datum::Int32(7)]);
    let mut rows = vec![
        (row.clone(), i64::MIN),
        (row.clone(), i64::MAX),
        (row.clone(), 1),
    ];
    assert!(digest(&rows).is_empty());
    rows.pop();
    assert_eq!(digest(&rows), digest(&[(row, -1)]));
}

#[test]
fn rows_of_every_length_have_their_own_hash() {
    let key = DigestKey::default();
    let text = "x".repeat(200);
    let rows: Vec<Row> = (0..200)
        .map(|n| Row::pack([Datum::Text(&text[..n])]))
        .collect();
    let mut hashes = Vec::new();
    key.hash_many(rows.iter().map(Row::as_ref), &mut hashes);
    for (i, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..i].contains(hash), "length {i}");
        assert_eq!(*hash, key.hash(rows[i].as_ref()));
    }
}

#[test]
fn digests_under_different_keys_differ() {
    let row = Row::pack([Datum::Bool(true)]);
    let with = |key: DigestKey| {
        let mut digest = Digest::EMPTY;
        digest.update(&key, row.as_ref(), 1);
        digest
    };
    assert_ne!(
        with(DigestKey::default()),
        with(DigestKey::from_secret(b""))
    );
}

/// Checkpoints in existing logs hold such digests: this value never changes.
#[test]
fn the_digest_of_a_known_collection_is_pinned() {
    let long = "long ".repeat(30);
    let rows = [
        (Row::pack([]), 1),
        (
            Row::pack([Datum::Int64(42), Datum::Text("abc"), Datum::Null]),
            3,
        ),
        (Row::pack([Datum::Text(&long)]), -2),
    ];
    let pinned = "d9ad998dc7c91b5ca28c60d97858e61a5c0a4d286ac40c5cf93e6d26c4c6a1ab";
    assert_eq!(digest(&rows).to_string(), pinned);
}

#[test]
fn a_text_that_is_no_digest_is_refused() {
    for text in ["", "00", &"g".repeat(64), &"é".repeat(32), &"0".repeat(65)] {
        assert!(text.parse::<Digest>().is_err(), "{text}");
    }
}
