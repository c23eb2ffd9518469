//! Rows as the lines of COPY's text format.

use super::fault;
use super::layout::Layout;
use crate::target::{TargetError, Update};
use bytes::Bytes;
use everview_repr::{Datum, Row, ScalarType, text};
use futures::SinkExt;
use std::pin::Pin;
use tokio_postgres::{Client, CopyInSink};

/// Bytes that go out together.
const PIECE: usize = 64 << 10;

/// A COPY under way. Dropped before its end, it fails.
pub(super) struct Lines {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    buffer: Vec<u8>,
    text: String,
}

impl Lines {
    pub async fn start(client: &Client, copy: &str) -> Result<Lines, TargetError> {
        Ok(Lines {
            sink: Box::pin(client.copy_in(copy).await.map_err(fault)?),
            buffer: Vec::with_capacity(PIECE + PIECE / 4),
            text: String::new(),
        })
    }

    /// A row, in upsert mode.
    pub async fn row(&mut self, layout: &Layout, row: &Row) -> Result<(), TargetError> {
        self.columns(layout, row);
        self.end().await
    }

    /// A row of the temporary table.
    pub async fn staged(
        &mut self,
        layout: &Layout,
        row: &Row,
        is_gone: bool,
    ) -> Result<(), TargetError> {
        self.field(&ScalarType::Bool, Datum::Bool(is_gone));
        self.columns(layout, row);
        self.end().await
    }

    /// A change, in append mode.
    pub async fn change(&mut self, layout: &Layout, update: &Update) -> Result<(), TargetError> {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for n in [signed(update.time.0), signed(update.position), update.diff] {
            self.field(&ScalarType::Int64, Datum::Int64(n));
        }
        self.columns(layout, &update.row);
        self.end().await
    }

    /// Ends it; gives how many lines there were.
    pub async fn finish(mut self) -> Result<u64, TargetError> {
        self.flush().await?;
        self.sink.as_mut().finish().await.map_err(fault)
    }

    fn columns(&mut self, layout: &Layout, row: &Row) {
        for (ty, datum) in layout.types().zip(row.iter()) {
            self.field(ty, datum);
        }
    }

    fn field(&mut self, ty: &ScalarType, datum: Datum<'_>) {
        if datum.is_null() {
            self.buffer.extend_from_slice(b"\\N\t");
            return;
        }
        self.text.clear();
        text::format(ty, datum, &mut self.text);
        push(&mut self.buffer, &self.text);
        self.buffer.push(b'\t');
    }

    async fn end(&mut self) -> Result<(), TargetError> {
        // A line has a column at least, and a tab after it.
        self.buffer.pop();
        self.buffer.push(b'\n');
        match self.buffer.len() >= PIECE {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), TargetError> {
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        self.sink.send(piece).await.map_err(fault)
    }
}

/// A field's text, with what COPY would take for its own escaped.
fn push(line: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            other => line.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_copy_takes_for_its_own_is_escaped() {
        let mut line = Vec::new();
        push(&mut line, "a\tb\\N\r\nä");
        assert_eq!(line, "a\\tb\\\\N\\r\\nä".as_bytes());
    }
}
