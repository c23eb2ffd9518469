//! COPY's stream from the client's encoding to text.
//!
//! Pieces may be cut anywhere, within a character too: what is given on is valid UTF-8 without NUL, in order, and
//! comes out the same however it was cut. It knows no lines.

use crate::error::Error;
use everview_repr::SqlState;
use everview_sql::plan::CopyEncoding;

/// Takes bytes, gives text.
#[derive(Debug)]
pub(super) struct Decoder {
    encoding: CopyEncoding,
    /// The start of a character whose end has not come.
    cut: Vec<u8>,
}

/// Receives text; says whether more is wanted.
pub(super) type Take<'t> = dyn FnMut(&str) -> Result<bool, Error> + 't;

impl Decoder {
    pub fn new(encoding: CopyEncoding) -> Decoder {
        let cut = Vec::new();
        Decoder { encoding, cut }
    }

    /// Takes a piece.
    ///
    /// Errors: 22021 for what the encoding does not have, after the text before it was given on.
    pub fn feed(&mut self, bytes: &[u8], take: &mut Take<'_>) -> Result<(), Error> {
        match self.encoding {
            CopyEncoding::Latin1 => latin1(bytes, take),
            CopyEncoding::Utf8 if self.cut.is_empty() => self.utf8(bytes, take),
            CopyEncoding::Utf8 => {
                let mut all = std::mem::take(&mut self.cut);
                all.extend_from_slice(bytes);
                self.utf8(&all, take)
            }
        }
    }

    /// The stream has ended.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.cut.is_empty() {
            true => Ok(()),
            false => Err(invalid("UTF8", &self.cut)),
        }
    }

    fn utf8(&mut self, bytes: &[u8], take: &mut Take<'_>) -> Result<(), Error> {
        let (text, rest) = valid_prefix(bytes);
        let more = take(text)?;
        match rest.first() {
            None => Ok(()),
            Some(_) if !more => Ok(()),
            Some(first) if rest.len() < length(*first) => {
                self.cut = rest.to_vec();
                Ok(())
            }
            Some(_) => Err(invalid("UTF8", rest)),
        }
    }
}

fn latin1(bytes: &[u8], take: &mut Take<'_>) -> Result<(), Error> {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    let text: String = bytes[..end].iter().map(|b| char::from(*b)).collect();
    let more = take(&text)?;
    match bytes.get(end) {
        Some(_) if more => Err(invalid("LATIN1", &bytes[end..=end])),
        _ => Ok(()),
    }
}

/// The text up to the first byte that is none, and what follows.
fn valid_prefix(bytes: &[u8]) -> (&str, &[u8]) {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    let end = match std::str::from_utf8(&bytes[..end]) {
        Ok(text) => return (text, &bytes[end..]),
        Err(error) => error.valid_up_to(),
    };
    let text = std::str::from_utf8(&bytes[..end]).expect("the valid part is valid");
    (text, &bytes[end..])
}

/// Text of bytes that escapes have made.
pub(super) fn checked(bytes: &[u8]) -> Result<&str, Error> {
    match valid_prefix(bytes) {
        (text, []) => Ok(text),
        (_, rest) => Err(invalid("UTF8", rest)),
    }
}

/// How many bytes a character has, by its first.
fn length(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    }
}

/// The error for bytes that begin with no character.
fn invalid(encoding: &str, bytes: &[u8]) -> Error {
    let length = bytes.first().map_or(1, |first| length(*first));
    let shown: Vec<String> = bytes
        .iter()
        .take(length)
        .map(|b| format!("0x{b:02x}"))
        .collect();
    let message = format!(
        "invalid byte sequence for encoding \"{encoding}\": {}",
        shown.join(" ")
    );
    Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
}

/// A line in the client's encoding.
///
/// Errors: 22P05 for a character that the encoding does not have.
pub(super) fn encode(encoding: CopyEncoding, line: &mut Vec<u8>) -> Result<(), Error> {
    if encoding == CopyEncoding::Utf8 || line.is_ascii() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(line);
    let mut out = Vec::with_capacity(text.len());
    for character in text.chars() {
        out.push(u8::try_from(u32::from(character)).map_err(|_| {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).bytes();
            let shown: Vec<String> = bytes.map(|b| format!("0x{b:02x}")).collect();
            let message = format!(
                "character with byte sequence {} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
                shown.join(" ")
            );
            Error::new(SqlState::UNTRANSLATABLE_CHARACTER, message)
        })?);
    }
    *line = out;
    Ok(())
}
