//! Messages to a client, gathered and written in large pieces.
//!
//! Invariant: the buffer holds whole messages whenever it is written.

use everview_coord::outcome::{ClientNotice, TransactionStatus};
use everview_coord::{Error, StatementDesc};
use everview_repr::{RelationDesc, ScalarType, SqlState};
use std::io;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Bytes gathered before they are written without being asked.
pub(crate) const GATHERED: usize = 64 << 10;

/// What is on its way to the client.
#[derive(Debug)]
pub(crate) struct Output<W> {
    target: W,
    pub(crate) buffer: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> Output<W> {
    pub fn new(target: W) -> Output<W> {
        Output {
            target,
            buffer: Vec::with_capacity(4 << 10),
        }
    }

    /// Writes everything gathered.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.target.write_all(&self.buffer).await?;
        self.buffer.clear();
        self.buffer.shrink_to(4 * GATHERED);
        self.target.flush().await
    }

    /// Ends the stream to the client.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.target.shutdown().await
    }

    /// Forgets what was gathered.
    pub fn discard(&mut self) {
        self.buffer.clear();
    }

    /// A message: `body` appends what follows the length.
    pub fn message(&mut self, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
        self.buffer.push(tag);
        let at = self.buffer.len();
        self.buffer.extend([0; 4]);
        body(&mut self.buffer);
        let length = (self.buffer.len() - at) as u32;
        self.buffer[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// A message without a body.
    pub fn bare(&mut self, tag: u8) {
        self.message(tag, |_| {});
    }

    pub fn byte(&mut self, byte: u8) {
        self.buffer.push(byte);
    }

    pub fn authentication_ok(&mut self) {
        self.message(b'R', |b| b.extend(0u32.to_be_bytes()));
    }

    /// A step of authentication by SASL: its number and what the server says in it.
    pub fn authentication_sasl(&mut self, step: u32, data: &[u8]) {
        self.message(b'R', |b| {
            b.extend(step.to_be_bytes());
            b.extend(data);
        });
    }

    pub fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |b| {
            push_string(b, name);
            push_string(b, value);
        });
    }

    pub fn backend_key(&mut self, pid: i32, secret: i32) {
        self.message(b'K', |b| {
            b.extend(pid.to_be_bytes());
            b.extend(secret.to_be_bytes());
        });
    }

    /// Offers version 3.0 and names the options that are not known.
    pub fn negotiate_version(&mut self, unknown: &[String]) {
        self.message(b'v', |b| {
            b.extend(0x0003_0000u32.to_be_bytes());
            b.extend((unknown.len() as u32).to_be_bytes());
            unknown.iter().for_each(|name| push_string(b, name));
        });
    }

    pub fn ready(&mut self, status: TransactionStatus) {
        let status = match status {
            TransactionStatus::Idle => b'I',
            TransactionStatus::Active => b'T',
            TransactionStatus::Failed => b'E',
        };
        self.message(b'Z', |b| b.push(status));
    }

    pub fn complete(&mut self, tag: &str) {
        self.message(b'C', |b| push_string(b, tag));
    }

    pub fn parameters(&mut self, desc: &StatementDesc) {
        self.message(b't', |b| {
            b.extend((desc.params.len() as u16).to_be_bytes());
            desc.params
                .iter()
                .for_each(|ty| b.extend(type_oid(ty).to_be_bytes()));
        });
    }

    /// RowDescription with the formats in which values will come; none means text.
    pub fn row_description(&mut self, desc: &RelationDesc, formats: &[i16]) {
        self.message(b'T', |b| {
            b.extend((desc.columns.len() as u16).to_be_bytes());
            for (i, column) in desc.columns.iter().enumerate() {
                let (table, number) = column.origin.map_or((0, 0), |(id, n)| (id.0, n));
                push_string(b, &column.name);
                b.extend(table.to_be_bytes());
                b.extend(number.to_be_bytes());
                b.extend(type_oid(&column.ty.scalar).to_be_bytes());
                b.extend(column.ty.scalar.length().to_be_bytes());
                b.extend(column.ty.typmod.0.to_be_bytes());
                b.extend(format_of(formats, i).to_be_bytes());
            }
        });
    }

    /// CopyInResponse (`G`) or CopyOutResponse (`H`): text in so many columns.
    pub fn copy_response(&mut self, tag: u8, columns: usize) {
        self.message(tag, |b| {
            b.push(0);
            b.extend((columns as u16).to_be_bytes());
            (0..columns).for_each(|_| b.extend([0, 0]));
        });
    }

    pub fn copy_data(&mut self, line: &[u8]) {
        self.message(b'd', |b| b.extend_from_slice(line));
    }

    pub fn error(&mut self, error: &Error) {
        let severity = if error.fatal { "FATAL" } else { "ERROR" };
        self.message(b'E', |b| {
            push_head(b, severity, error.code, &error.message);
            push_field(b, b'D', error.detail.as_deref());
            push_field(b, b'H', error.hint.as_deref());
            push_field(b, b'P', error.position.map(|p| p.to_string()).as_deref());
            push_field(b, b'W', error.context.as_deref());
            push_field(b, b's', error.object.schema.as_deref());
            push_field(b, b't', error.object.table.as_deref());
            push_field(b, b'c', error.object.column.as_deref());
            push_field(b, b'n', error.object.constraint.as_deref());
            b.push(0);
        });
    }

    pub fn notice(&mut self, notice: &ClientNotice) {
        self.message(b'N', |b| {
            push_head(b, notice.severity, notice.code, &notice.message);
            push_field(b, b'D', notice.detail.as_deref());
            b.push(0);
        });
    }
}

/// The format of a column: all formats, the only one, or text.
pub(crate) fn format_of(formats: &[i16], column: usize) -> i16 {
    match formats {
        [] => 0,
        [one] => *one,
        many => many.get(column).copied().unwrap_or(0),
    }
}

/// The oid as clients know it: what has no type yet is text.
fn type_oid(ty: &ScalarType) -> u32 {
    match ty {
        ScalarType::Unknown => ScalarType::Text.oid(),
        ty => ty.oid(),
    }
}

fn push_head(b: &mut Vec<u8>, severity: &str, code: SqlState, message: &str) {
    push_field(b, b'S', Some(severity));
    push_field(b, b'V', Some(severity));
    push_field(b, b'C', Some(code.as_str()));
    push_field(b, b'M', Some(message));
}

fn push_field(b: &mut Vec<u8>, field: u8, value: Option<&str>) {
    if let Some(value) = value {
        b.push(field);
        push_string(b, value);
    }
}

/// A string with its NUL; a NUL inside would end it early and is left out.
fn push_string(b: &mut Vec<u8>, text: &str) {
    b.extend(text.bytes().filter(|byte| *byte != 0));
    b.push(0);
}
