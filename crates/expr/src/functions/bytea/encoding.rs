//! Hashes, and binary as text in base64, hex and escape format.

use crate::functions::Declarations;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{Bytes, OwnedBytes, eval};
use everview_repr::{EvalError, SqlState};
use md5::{Digest, Md5};
use sha2::{Sha224, Sha256, Sha384, Sha512};

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

fn bad(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn unknown(format: &str) -> EvalError {
    bad(format!("unrecognized encoding: \"{format}\""))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with a newline after every 76 characters, as MIME has it.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    let mut line = 0;
    for chunk in bytes.chunks(3) {
        if line == 76 {
            out.push('\n');
            line = 0;
        }
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = BASE64[(group >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
        line += 4;
    }
    out
}

fn from_base64(text: &str) -> Result<Vec<u8>, EvalError> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut digits, mut end) = (0u32, 0, 0);
    for c in text.chars() {
        let value = match c {
            ' ' | '\t' | '\n' | '\r' => continue,
            '=' => {
                if end == 0 {
                    end = match digits {
                        2 => 1,
                        3 => 2,
                        _ => return Err(bad("unexpected \"=\" while decoding base64 sequence")),
                    };
                }
                0
            }
            c if c.is_ascii() => match BASE64.iter().position(|b| char::from(*b) == c) {
                Some(value) if end == 0 => value as u32,
                _ => return Err(invalid_symbol(c)),
            },
            c => return Err(invalid_symbol(c)),
        };
        group = group << 6 | value;
        digits += 1;
        if digits == 4 {
            out.push((group >> 16) as u8);
            if end == 0 || end > 1 {
                out.push((group >> 8) as u8);
            }
            if end == 0 {
                out.push(group as u8);
            }
            (group, digits) = (0, 0);
        }
    }
    if digits != 0 {
        return Err(bad("invalid base64 end sequence")
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

fn invalid_symbol(c: char) -> EvalError {
    bad(format!(
        "invalid symbol \"{c}\" found while decoding base64 sequence"
    ))
}

fn from_hex(text: &str) -> Result<Vec<u8>, EvalError> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for c in text
        .chars()
        .filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r'))
    {
        let digit = c
            .to_digit(16)
            .ok_or_else(|| bad(format!("invalid hexadecimal digit: \"{c}\"")))?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => out.push((high << 4 | digit) as u8),
        }
    }
    match high {
        None => Ok(out),
        Some(_) => Err(bad("invalid hexadecimal data: odd number of digits")),
    }
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            0 | 128.. => out.push_str(&format!("\\{b:03o}")),
            b => out.push(char::from(b)),
        }
    }
    out
}

fn from_escape(text: &str) -> Result<Vec<u8>, EvalError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(out),
            [b'\\', b'\\', rest @ ..] => {
                out.push(b'\\');
                rest
            }
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                rest @ ..,
            ] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => {
                let message = "invalid input syntax for type bytea";
                return Err(EvalError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    message,
                ));
            }
            [b, rest @ ..] => {
                out.push(*b);
                rest
            }
        };
    }
}

fn encode(bytes: &[u8], format: &str) -> Result<String, EvalError> {
    match format.to_ascii_lowercase().as_str() {
        "base64" => Ok(base64(bytes)),
        "hex" => Ok(hex(bytes)),
        "escape" => Ok(escape(bytes)),
        _ => Err(unknown(format)),
    }
}

fn decode(text: &str, format: &str) -> Result<OwnedBytes, EvalError> {
    let decoded = match format.to_ascii_lowercase().as_str() {
        "base64" => from_base64(text),
        "hex" => from_hex(text),
        "escape" => from_escape(text),
        _ => Err(unknown(format)),
    };
    decoded.map(OwnedBytes)
}

fn hash<D: Digest>(bytes: &[u8]) -> OwnedBytes {
    OwnedBytes(D::digest(bytes).to_vec())
}

pub(super) fn declare(out: &mut Declarations) {
    let mut push = |name, signature, doc, eval| {
        out.push(FunctionDesc::new(name, signature, doc, eval).infallible());
    };
    push(
        "md5",
        "text -> text",
        "MD5, in hexadecimal.",
        eval!(|s: &str| hex(Md5::digest(s.as_bytes()))),
    );
    push(
        "md5",
        "bytea -> text",
        "MD5, in hexadecimal.",
        eval!(|s: Bytes<'_>| hex(Md5::digest(s.0))),
    );
    push(
        "sha224",
        "bytea -> bytea",
        "SHA-224.",
        eval!(|s: Bytes<'_>| hash::<Sha224>(s.0)),
    );
    push(
        "sha256",
        "bytea -> bytea",
        "SHA-256.",
        eval!(|s: Bytes<'_>| hash::<Sha256>(s.0)),
    );
    push(
        "sha384",
        "bytea -> bytea",
        "SHA-384.",
        eval!(|s: Bytes<'_>| hash::<Sha384>(s.0)),
    );
    push(
        "sha512",
        "bytea -> bytea",
        "SHA-512.",
        eval!(|s: Bytes<'_>| hash::<Sha512>(s.0)),
    );
    let doc = "Binary as text in base64, hex or escape format.";
    let eval: Eval = eval!(|s: Bytes<'_>, format: &str| encode(s.0, format));
    out.push(FunctionDesc::new(
        "encode",
        "bytea, text -> text",
        doc,
        eval,
    ));
    let doc = "Binary from text in base64, hex or escape format.";
    let eval: Eval = eval!(|s: &str, format: &str| decode(s, format));
    out.push(FunctionDesc::new(
        "decode",
        "text, text -> bytea",
        doc,
        eval,
    ));
}
