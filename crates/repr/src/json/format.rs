//! Text forms of jsonb: Postgres's output and its indented form.

use super::{Json, Value};
use crate::numeric::Numeric;
use std::fmt::{Formatter, Write};

impl std::fmt::Display for Json<'_> {
    /// As `jsonb_out`: `{"a": 1, "b": [1, 2]}`.
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write_json(f, *self)
    }
}

impl Json<'_> {
    /// As `jsonb_pretty`: one member or element a line, four spaces a level.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = write_pretty(&mut out, *self, 0);
        out
    }
}

fn write_json(out: &mut impl Write, value: Json<'_>) -> std::fmt::Result {
    match value.value() {
        Value::Array(array) => {
            out.write_char('[')?;
            for (i, element) in array.iter().enumerate() {
                if i > 0 {
                    out.write_str(", ")?;
                }
                write_json(out, element)?;
            }
            out.write_char(']')
        }
        Value::Object(object) => {
            out.write_char('{')?;
            for (i, (key, value)) in object.iter().enumerate() {
                if i > 0 {
                    out.write_str(", ")?;
                }
                write_string(out, key)?;
                out.write_str(": ")?;
                write_json(out, value)?;
            }
            out.write_char('}')
        }
        scalar => write_scalar(out, scalar),
    }
}

fn write_scalar(out: &mut impl Write, value: Value<'_>) -> std::fmt::Result {
    match value {
        Value::Boolean(true) => out.write_str("true"),
        Value::Boolean(false) => out.write_str("false"),
        Value::String(s) => write_string(out, s),
        Value::Number(n) => match Numeric::from_bytes(n) {
            Some(n) => write!(out, "{n}"),
            None => out.write_str("null"),
        },
        _ => out.write_str("null"),
    }
}

/// A string in quotes, with what JSON requires escaped and nothing else.
pub(super) fn write_string(out: &mut impl Write, s: &str) -> std::fmt::Result {
    out.write_char('"')?;
    let mut from = 0;
    for (at, byte) in s.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.write_str(&s[from..at])?;
        from = at + 1;
        match byte {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            0x08 => out.write_str("\\b")?,
            0x0c => out.write_str("\\f")?,
            other => write!(out, "\\u{other:04x}")?,
        }
    }
    out.write_str(&s[from..])?;
    out.write_char('"')
}

fn write_pretty(out: &mut String, value: Json<'_>, level: usize) -> std::fmt::Result {
    let line = |out: &mut String, level: usize| {
        out.push('\n');
        (0..level).for_each(|_| out.push_str("    "));
    };
    match value.value() {
        Value::Array(array) => {
            out.push('[');
            for (i, element) in array.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                write_pretty(out, element, level + 1)?;
            }
            line(out, level);
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (i, (key, value)) in object.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                write_string(out, key)?;
                out.push_str(": ");
                write_pretty(out, value, level + 1)?;
            }
            line(out, level);
            out.push('}');
        }
        scalar => write_scalar(out, scalar)?,
    }
    Ok(())
}
