//! Rows in COPY's text and CSV formats.

use everview_repr::text::{Formatting, format_with};
use everview_repr::{RelationDesc, Row};
use everview_sql::plan::{CopyHeader, CopyOptions};

/// The header line, if the options ask for one.
pub(super) fn header(desc: &RelationDesc, options: &CopyOptions) -> Option<Vec<u8>> {
    if options.header == CopyHeader::None {
        return None;
    }
    let mut line = Vec::new();
    for (i, name) in desc.names().enumerate() {
        if i > 0 {
            line.push(options.delimiter);
        }
        if options.csv {
            push_csv(&mut line, name, false, options, desc.arity() == 1)
        } else {
            push_text(&mut line, name, options)
        }
    }
    line.push(b'\n');
    Some(line)
}

/// Appends a row's line with its newline.
pub(super) fn push_row(
    line: &mut Vec<u8>,
    desc: &RelationDesc,
    row: &Row,
    options: &CopyOptions,
    formatting: &Formatting,
) {
    let mut text = String::new();
    for (i, (column, datum)) in desc.columns.iter().zip(row.iter()).enumerate() {
        if i > 0 {
            line.push(options.delimiter);
        }
        if datum.is_null() {
            line.extend_from_slice(options.null.as_bytes());
            continue;
        }
        text.clear();
        format_with(&column.ty.scalar, datum, formatting, &mut text);
        if options.csv {
            let force = options.force_quote.contains(&i);
            push_csv(line, &text, force, options, desc.arity() == 1);
        } else {
            push_text(line, &text, options);
        }
    }
    line.push(b'\n');
}

fn push_text(line: &mut Vec<u8>, text: &str, options: &CopyOptions) {
    for &byte in text.as_bytes() {
        let escaped = match byte {
            b'\\' => b'\\',
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            other if other == options.delimiter => other,
            other => {
                line.push(other);
                continue;
            }
        };
        line.extend_from_slice(&[b'\\', escaped]);
    }
}

fn push_csv(line: &mut Vec<u8>, text: &str, force: bool, options: &CopyOptions, alone: bool) {
    let special =
        |b: &u8| *b == options.delimiter || *b == options.quote || *b == b'\n' || *b == b'\r';
    let quote = force
        || text == options.null
        || (alone && text == "\\.")
        || text.as_bytes().iter().any(special);
    if !quote {
        line.extend_from_slice(text.as_bytes());
        return;
    }
    line.push(options.quote);
    for &byte in text.as_bytes() {
        if byte == options.quote || byte == options.escape {
            line.push(options.escape);
        }
        line.push(byte);
    }
    line.push(options.quote);
}
