use super::encoding::{push_block, tag};
use super::*;
use crate::testing;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_packed_row_gives_back_its_datums((_, row) in testing::typed_row()) {
        let datums = row.unpack();
        let again = Row::pack(datums.iter().copied());
        prop_assert_eq!(&again, &row);
        prop_assert_eq!(again.unpack(), datums.clone());
        let mut packer = Packer::default();
        datums.iter().for_each(|d| packer.push(*d));
        prop_assert_eq!(packer.finish(), row);
    }

    #[test]
    fn packed_bytes_are_accepted((_, row) in testing::typed_row()) {
        prop_assert_eq!(Row::from_bytes(row.bytes()), Ok(row.clone()));
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_are_a_row(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(row) = Row::from_bytes(&bytes) {
            let again = Row::pack(row.iter());
            prop_assert_eq!(again.bytes(), &bytes[..]);
        }
    }

    #[test]
    fn damaged_rows_are_refused_or_are_another_row(
        (_, row) in testing::typed_row(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = row.bytes().to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        for bytes in [&bytes[..], &row.bytes()[..cut.index(row.bytes().len() + 1)]] {
            if let Ok(row) = Row::from_bytes(bytes) {
                let again = Row::pack(row.iter());
                prop_assert_eq!(again.bytes(), bytes);
                // Whatever is accepted can be shown.
                let _ = format!("{row:?}");
                let _ = crate::key::encode(row.iter());
            }
        }
    }
}

#[test]
fn a_form_that_is_not_the_shortest_is_refused() {
    let malformed = [
        // integer 5 in two bytes
        vec![10, 5, 0],
        // smallint 0 in one byte
        vec![5, 0],
        // a short text under the long tag
        vec![53, 1, b'a'],
        // a length in two bytes
        vec![55, 0x81, 0x00, 7],
    ];
    for bytes in malformed {
        assert!(Row::from_bytes(&bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn deep_nesting_of_bytes_is_an_error_and_no_overflow() {
    let mut bytes = Vec::new();
    for _ in 0..20_000 {
        let mut outer = Vec::new();
        push_block(&mut outer, tag::RECORD, &bytes);
        bytes = outer;
    }
    assert_eq!(
        Row::from_bytes(&bytes),
        Err(DecodeError::Malformed("nesting"))
    );
}

#[test]
fn small_rows_need_no_allocation() {
    let row = Row::pack([
        Datum::Int64(1),
        Datum::Int64(1 << 40),
        Datum::Text("symbol"),
    ]);
    assert_eq!(row.heap_bytes(), 0);
    assert_eq!(std::mem::size_of::<Row>(), 32);
}

#[test]
fn an_arena_keeps_what_it_was_given_until_cleared() {
    let mut arena = RowArena::new();
    let kept: Vec<&str> = (0..1000).map(|i| arena.string(i.to_string())).collect();
    assert!(kept.iter().enumerate().all(|(i, s)| *s == i.to_string()));
    arena.bytes(vec![0; 4 << 20]);
    arena.clear();
    assert_eq!(arena.copy(b"again"), b"again");
}

/// Figures for the eye: `cargo test --release -p everview-repr -- --ignored --nocapture throughput`.
#[test]
#[ignore = "prints throughput"]
fn throughput() {
    let rows: Vec<[i64; 4]> = (0..1_000_000).map(|i| [i, i * 7919, -i, 3]).collect();
    let measure = |name: &str, work: &mut dyn FnMut() -> usize| {
        let start = std::time::Instant::now();
        let datums = work();
        let rate = datums as f64 / start.elapsed().as_secs_f64() / 1e6;
        println!("{name}: {rate:.0} M datums/s");
    };
    measure("Row::pack, dropped", &mut || {
        let pack = |r: &[i64; 4]| Row::pack(r.iter().map(|v| Datum::Int64(*v)));
        let bytes: usize = rows.iter().map(|r| pack(r).bytes().len()).sum();
        assert!(bytes > 0);
        rows.len() * 4
    });
    let mut packed = Vec::new();
    measure("Row::pack, kept", &mut || {
        packed = rows
            .iter()
            .map(|r| Row::pack(r.iter().map(|v| Datum::Int64(*v))))
            .collect();
        rows.len() * 4
    });
    let mut packer = Packer::default();
    measure("Packer", &mut || {
        let mut bytes = 0;
        for r in &rows {
            r.iter().for_each(|v| packer.push(Datum::Int64(*v)));
            bytes += packer.current().bytes().len();
            packer.clear();
        }
        assert!(bytes > 0);
        rows.len() * 4
    });
    measure("Row::iter", &mut || {
        let mut sum = 0i64;
        for row in &packed {
            for datum in row.iter() {
                if let Datum::Int64(v) = datum {
                    sum = sum.wrapping_add(v);
                }
            }
        }
        assert_ne!(sum, 1);
        rows.len() * 4
    });
    measure("Row::from_bytes", &mut || {
        packed
            .iter()
            .filter(|r| RowRef::from_bytes(r.bytes()).is_ok())
            .count()
            * 4
    });
    measure("key::push", &mut || {
        let mut out = Vec::new();
        for r in &rows {
            out.clear();
            r.iter()
                .for_each(|v| crate::key::push(&mut out, Datum::Int64(*v)));
        }
        rows.len() * 4
    });
    let (key, mut hashes) = (crate::digest::DigestKey::default(), Vec::new());
    measure("DigestKey::hash_many (rows)", &mut || {
        for batch in packed.chunks(1024) {
            hashes.clear();
            key.hash_many(batch.iter().map(Row::as_ref), &mut hashes);
        }
        packed.len()
    });
    let mut digest = crate::digest::Digest::EMPTY;
    measure("Digest::update_many (rows)", &mut || {
        digest.update_many(&key, packed.iter().map(|r| (r.as_ref(), 1)));
        packed.len()
    });
    measure("text::parse_into (integers)", &mut || {
        let mut out = Vec::new();
        for i in 0..1000 {
            let text = (i * 12_345).to_string();
            for _ in 0..1000 {
                out.clear();
                crate::text::parse_into(&crate::ScalarType::Int64, &text, &mut out)
                    .expect("a number");
            }
        }
        1_000_000
    });
    measure("text::format (integers)", &mut || {
        let mut out = String::new();
        for row in &packed {
            out.clear();
            row.iter()
                .for_each(|d| crate::text::format(&crate::ScalarType::Int64, d, &mut out));
        }
        rows.len() * 4
    });
}
