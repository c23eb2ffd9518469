//! The way from bytes to fields: where the stream is cut makes no difference.

use super::decode::Decoder;
use super::fields::Fields;
use super::lines::Lines;
use everview_sql::plan::{CopyEncoding, CopyHeader, CopyOptions};
use proptest::prelude::*;

fn options(csv: bool) -> CopyOptions {
    CopyOptions {
        csv,
        encoding: CopyEncoding::Utf8,
        delimiter: if csv { b',' } else { b'\t' },
        null: if csv { "" } else { "\\N" }.to_string(),
        header: CopyHeader::None,
        quote: b'"',
        escape: b'"',
        force_quote: vec![],
        force_not_null: vec![],
        force_null: vec![],
    }
}

type Line = (u64, Vec<Option<String>>);

/// The records with their lines, and the error that ends them with the line it has come to.
fn read<'p>(
    options: &CopyOptions,
    pieces: impl Iterator<Item = &'p [u8]>,
) -> (Vec<Line>, Option<(u64, String)>) {
    let mut decoder = Decoder::new(options.encoding);
    let (mut lines, mut fields) = (Lines::new(options), Fields::new(options.clone()));
    let mut out = Vec::new();
    let mut take = |record: &str, line| {
        let record = fields.split(record)?;
        let owned = |i| record.get(i).unwrap_or(None).map(str::to_string);
        out.push((line, (0..record.len()).map(owned).collect()));
        Ok(())
    };
    let mut result = Ok(());
    for piece in pieces {
        if result.is_ok() && !lines.ended() {
            result = decoder.feed(piece, &mut |text| lines.feed(text, &mut take));
        }
    }
    if result.is_ok() && !lines.ended() {
        result = decoder.end().and_then(|()| lines.end(&mut take));
    }
    let error = result.err().map(|error| (lines.line(), error.message));
    (out, error)
}

fn whole(options: &CopyOptions, input: &[u8]) -> Vec<Vec<Option<String>>> {
    let (lines, error) = read(options, [input].into_iter());
    assert_eq!(error, None);
    lines.into_iter().map(|(_, fields)| fields).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_string())
}

/// Pieces of what matters to the formats.
fn piece() -> impl Strategy<Value = &'static [u8]> {
    let pieces: [&[u8]; 20] = [
        b"a",
        b"bc",
        b"\t",
        b",",
        b"\n",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"\"",
        b"\"\"",
        b"\\",
        b"\\.",
        b"\\.\n",
        b"\\N",
        b"\\x41",
        b"\\303\\244",
        "ä€😀".as_bytes(),
        b"\xe2\x82",
        b"\0",
    ];
    prop::sample::select(pieces.to_vec())
}

fn choices() -> impl Strategy<Value = CopyOptions> {
    (any::<bool>(), prop::sample::select(vec![b'"', b'\\', b'b'])).prop_map(|(csv, escape)| {
        CopyOptions {
            escape,
            ..options(csv)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn records_lines_and_errors_are_the_same_however_the_stream_is_cut(
        options in choices(),
        pieces in prop::collection::vec(piece(), 0..30),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let input = pieces.concat();
        let expected = read(&options, [input.as_slice()].into_iter());
        prop_assert_eq!(&read(&options, input.chunks(1)), &expected);
        let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|w| &input[w[0]..w[1]]);
        prop_assert_eq!(&read(&options, parts), &expected);
    }
}

#[test]
fn records_with_and_without_quotes_agree_on_what_is_null() {
    let options = CopyOptions {
        null: "NA".to_string(),
        force_not_null: vec![1],
        ..options(true)
    };
    let plain = whole(&options, b"NA,NA,,x,NA\n");
    assert_eq!(plain, [vec![None, some("NA"), some(""), some("x"), None]]);
    // The quotes of the fourth field send the record the long way.
    assert_eq!(whole(&options, b"NA,NA,,\"x\",NA\n"), plain);
}

#[test]
fn a_character_may_be_cut_by_the_end_of_a_piece() {
    let input = "😀\n".as_bytes();
    for cut in 0..input.len() {
        let (lines, error) = read(&options(false), [&input[..cut], &input[cut..]].into_iter());
        assert_eq!((lines, error), (vec![(1, vec![some("😀")])], None));
    }
}
