//! Messages cut from a byte stream.
//!
//! Invariant: memory for a message grows with the bytes that have arrived, never with the length it claims.

use bytes::{Buf, Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message with a client's text or values, as in Postgres.
const LONGEST: usize = 1 << 30;

/// The longest of the others.
const LONGEST_SMALL: usize = 30_000;

/// Bytes read ahead while a statement runs.
const READ_AHEAD: usize = 1 << 16;

/// A message: its type and what follows the length.
#[derive(Debug)]
pub(crate) struct Frame {
    pub tag: u8,
    pub body: Bytes,
}

/// A stream that is not of the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("invalid frontend message type {0}")]
    Type(u8),
    #[error("invalid message length")]
    Length,
}

/// What has been read and not yet handled.
#[derive(Debug)]
pub(crate) struct Input<R> {
    source: R,
    buffer: BytesMut,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Input<R> {
    pub fn new(source: R) -> Input<R> {
        Input {
            source,
            buffer: BytesMut::with_capacity(8 << 10),
            ended: false,
        }
    }

    /// The next message if it is there whole.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(length) = self.announced()? else {
            return Ok(None);
        };
        if self.buffer.len() < length {
            return Ok(None);
        }
        let tag = self.buffer[0];
        let mut body = self.buffer.split_to(length);
        body.advance(5);
        Ok(Some(Frame {
            tag,
            body: body.freeze(),
        }))
    }

    /// Whole length of the message under way, with type and length word; `None` until they are there.
    fn announced(&self) -> Result<Option<usize>, FrameError> {
        let [tag, a, b, c, d, ..] = self.buffer[..] else {
            return Ok(None);
        };
        let longest = match tag {
            b'Q' | b'P' | b'B' | b'd' | b'F' => LONGEST,
            b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' | b'p' => LONGEST_SMALL,
            other => return Err(FrameError::Type(other)),
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length < 4 || length > longest {
            return Err(FrameError::Length);
        }
        Ok(Some(length + 1))
    }

    /// The type of the message that comes next, if anything of it has arrived.
    pub fn upcoming(&self) -> Option<u8> {
        self.buffer.first().copied()
    }

    /// Reads more; false at the end of the stream. Cancel-safe.
    pub async fn fill(&mut self) -> io::Result<bool> {
        let missing = match self.announced() {
            Ok(Some(length)) => length.saturating_sub(self.buffer.len()),
            _ => 0,
        };
        // Messages under way share the buffer: what is left of it is used before another is allocated.
        if self.buffer.capacity() - self.buffer.len() < missing.max(1 << 10) {
            let room = missing.clamp(8 << 10, self.buffer.len().max(1 << 16));
            self.buffer.reserve(room);
        }
        let n = self.source.read_buf(&mut self.buffer).await?;
        self.ended = n == 0;
        Ok(n > 0)
    }

    /// Reads ahead while a statement runs; returns only when the client has gone without a further word.
    pub async fn vanished(&mut self) {
        loop {
            if self.ended || self.buffer.len() >= READ_AHEAD {
                return std::future::pending().await;
            }
            match self.fill().await {
                Ok(true) => {}
                Ok(false) if !self.buffer.is_empty() => {}
                Ok(false) | Err(_) => return,
            }
        }
    }

    /// A length word and what it counts, as a connection starts; `None` at the end of the stream.
    pub async fn startup_packet(&mut self, longest: usize) -> io::Result<Option<Bytes>> {
        while self.buffer.len() < 4 {
            if !self.fill().await? {
                return Ok(None);
            }
        }
        let word = [
            self.buffer[0],
            self.buffer[1],
            self.buffer[2],
            self.buffer[3],
        ];
        let length = u32::from_be_bytes(word) as usize;
        if length < 8 || length > longest {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "invalid length of startup packet",
            ));
        }
        while self.buffer.len() < length {
            if !self.fill().await? {
                return Ok(None);
            }
        }
        let mut packet = self.buffer.split_to(length);
        packet.advance(4);
        Ok(Some(packet.freeze()))
    }

    /// Whether bytes wait that nobody has asked for.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Forgets what comes in, for a short while, so that a closing connection does not lose its last words.
    pub async fn drain(&mut self) {
        for _ in 0..1024 {
            self.buffer.clear();
            if !matches!(self.fill().await, Ok(true)) {
                return;
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/frame.rs"]
mod tests;
