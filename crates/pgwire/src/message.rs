//! A client's messages, checked.
//!
//! Invariant: decoding never panics and accepts no trailing bytes.

use bytes::{Buf, Bytes};
use everview_coord::Error;
use everview_repr::SqlState;

/// What a client says once a session is open.
#[derive(Debug)]
pub(crate) enum Message {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    Execute {
        portal: String,
        most: usize,
    },
    Close(Target),
    Flush,
    Sync,
    Terminate,
    CopyData(Bytes),
    CopyDone,
    CopyFail(String),
}

/// A statement or portal by name.
#[derive(Debug)]
pub(crate) enum Target {
    Statement(String),
    Portal(String),
}

/// A portal to be made of a statement.
#[derive(Debug)]
pub(crate) struct Bind {
    pub portal: String,
    pub statement: String,
    pub param_formats: Vec<i16>,
    /// `None` is NULL.
    pub params: Vec<Option<Bytes>>,
    pub result_formats: Vec<i16>,
}

impl Message {
    /// The message of a frame. Errors: 08P01 for a malformed one, 22021 for text that is not UTF-8.
    pub fn decode(tag: u8, body: Bytes) -> Result<Message, Error> {
        let mut reader = Reader(body);
        let message = match tag {
            b'Q' => Message::Query(reader.string()?),
            b'P' => {
                let (name, sql) = (reader.string()?, reader.string()?);
                let n = reader.count()?;
                let types = (0..n).map(|_| reader.u32()).collect::<Result<_, _>>()?;
                Message::Parse { name, sql, types }
            }
            b'B' => Message::Bind(reader.bind()?),
            b'D' => Message::Describe(reader.target()?),
            b'C' => Message::Close(reader.target()?),
            b'E' => {
                let portal = reader.string()?;
                let most = reader.u32()? as i32;
                Message::Execute {
                    portal,
                    most: usize::try_from(most).unwrap_or(0),
                }
            }
            b'H' => Message::Flush,
            b'S' => Message::Sync,
            b'X' => Message::Terminate,
            b'd' => return Ok(Message::CopyData(reader.0)),
            b'c' => Message::CopyDone,
            b'f' => Message::CopyFail(reader.string()?),
            other => return Err(malformed(format!("invalid frontend message type {other}"))),
        };
        if reader.0.has_remaining() {
            return Err(malformed("invalid message format"));
        }
        Ok(message)
    }
}

/// A protocol violation.
pub(crate) fn malformed(message: impl Into<String>) -> Error {
    Error::new(SqlState::new("08P01"), message)
}

/// Text of the client's encoding, UTF-8 without NUL.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    let invalid = |at: usize| {
        let shown: Vec<_> = bytes[at..]
            .iter()
            .take(3)
            .map(|b| format!("0x{b:02x}"))
            .collect();
        let message = format!(
            "invalid byte sequence for encoding \"UTF8\": {}",
            shown.join(" ")
        );
        Error::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
    };
    let text = std::str::from_utf8(bytes).map_err(|e| invalid(e.valid_up_to()))?;
    match text.find('\0') {
        Some(_) => Err(Error::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        )),
        None => Ok(text),
    }
}

struct Reader(Bytes);

impl Reader {
    fn short() -> Error {
        malformed("insufficient data left in message")
    }

    fn string(&mut self) -> Result<String, Error> {
        let end = self.0.iter().position(|b| *b == 0);
        let end = end.ok_or_else(|| malformed("invalid string in message"))?;
        let text = utf8(&self.0[..end])?.to_string();
        self.0.advance(end + 1);
        Ok(text)
    }

    fn u8(&mut self) -> Result<u8, Error> {
        self.0.try_get_u8().map_err(|_| Self::short())
    }

    fn i16(&mut self) -> Result<i16, Error> {
        self.0.try_get_i16().map_err(|_| Self::short())
    }

    fn u32(&mut self) -> Result<u32, Error> {
        self.0.try_get_u32().map_err(|_| Self::short())
    }

    /// Counts are unsigned, as Postgres reads them.
    fn count(&mut self) -> Result<usize, Error> {
        Ok(usize::from(self.i16()? as u16))
    }

    fn formats(&mut self) -> Result<Vec<i16>, Error> {
        let n = self.count()?;
        (0..n)
            .map(|_| match self.i16()? {
                format @ (0 | 1) => Ok(format),
                other => Err(malformed(format!("unsupported format code: {other}"))),
            })
            .collect()
    }

    fn bind(&mut self) -> Result<Bind, Error> {
        let (portal, statement) = (self.string()?, self.string()?);
        let param_formats = self.formats()?;
        let n = self.count()?;
        let params = (0..n)
            .map(|_| self.value())
            .collect::<Result<Vec<_>, _>>()?;
        if param_formats.len() > 1 && param_formats.len() != n {
            let message = format!(
                "bind message has {} parameter formats but {n} parameters",
                param_formats.len()
            );
            return Err(malformed(message));
        }
        let result_formats = self.formats()?;
        Ok(Bind {
            portal,
            statement,
            param_formats,
            params,
            result_formats,
        })
    }

    fn value(&mut self) -> Result<Option<Bytes>, Error> {
        let length = self.u32()? as i32;
        if length == -1 {
            return Ok(None);
        }
        match usize::try_from(length) {
            Ok(n) if n <= self.0.len() => Ok(Some(self.0.split_to(n))),
            _ => Err(Self::short()),
        }
    }

    fn target(&mut self) -> Result<Target, Error> {
        let kind = self.u8()?;
        let name = self.string()?;
        match kind {
            b'S' => Ok(Target::Statement(name)),
            b'P' => Ok(Target::Portal(name)),
            other => Err(malformed(format!("invalid message subtype {other}"))),
        }
    }
}

#[cfg(test)]
#[path = "tests/message.rs"]
mod tests;
