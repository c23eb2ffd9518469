//! Text form of records: `(1,"b c",)`.

use super::Formatting;
use crate::datum::Datum;
use crate::error::{EvalError, SqlState};
use crate::numeric::is_space;
use crate::row::{self, RowRef};
use crate::types::ScalarType;

fn malformed(text: &str, detail: &str) -> EvalError {
    let message = format!("malformed record literal: \"{text}\"");
    EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, message).with_detail(detail)
}

/// The packed fields of a text.
pub(super) fn parse(
    fields: &[(String, ScalarType)],
    text: &str,
    formatting: &Formatting,
) -> Result<Vec<u8>, EvalError> {
    let start = text.trim_start_matches(is_space);
    let mut rest = start
        .strip_prefix('(')
        .ok_or_else(|| malformed(text, "Missing left parenthesis."))?;
    let mut out = Vec::new();
    for (i, (_, ty)) in fields.iter().enumerate() {
        if i > 0 {
            rest = rest
                .strip_prefix(',')
                .ok_or_else(|| malformed(text, "Too few columns."))?;
        }
        match field(&mut rest, text)? {
            Some(item) => super::parse_into_with(ty, &item, formatting, &mut out)?,
            None => row::push_datum(&mut out, Datum::Null),
        }
    }
    rest = rest
        .strip_prefix(')')
        .ok_or_else(|| malformed(text, "Too many columns."))?;
    if rest.chars().all(is_space) {
        Ok(out)
    } else {
        Err(malformed(text, "Junk after right parenthesis."))
    }
}

/// The text of one field, up to its delimiter; `None` for NULL, which is nothing at all.
fn field(rest: &mut &str, text: &str) -> Result<Option<String>, EvalError> {
    if rest.starts_with([',', ')']) {
        return Ok(None);
    }
    let end = || malformed(text, "Unexpected end of input.");
    let mut out = String::new();
    let mut quoted = false;
    let mut chars = rest.chars();
    loop {
        let before = chars.as_str();
        match chars.next().ok_or_else(end)? {
            ',' | ')' if !quoted => {
                *rest = before;
                return Ok(Some(out));
            }
            '\\' => out.push(chars.next().ok_or_else(end)?),
            '"' if quoted && chars.as_str().starts_with('"') => {
                chars.next();
                out.push('"');
            }
            '"' => quoted = !quoted,
            c => out.push(c),
        }
    }
}

/// Appends a record's text form.
pub(super) fn write(
    ty: &ScalarType,
    record: RowRef<'_>,
    formatting: &Formatting,
    out: &mut String,
) -> std::fmt::Result {
    let fields: &[(String, ScalarType)] = match ty {
        ScalarType::Record(fields) => fields,
        _ => &[],
    };
    let mut item = String::new();
    out.push('(');
    for (i, datum) in record.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if datum.is_null() {
            continue;
        }
        item.clear();
        let field = fields.get(i).map_or(&ScalarType::Text, |(_, ty)| ty);
        super::write(field, datum, formatting, &mut item)?;
        push_item(out, &item);
    }
    out.push(')');
    Ok(())
}

fn push_item(out: &mut String, item: &str) {
    let special = |c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || is_space(c);
    if !item.is_empty() && !item.contains(special) {
        out.push_str(item);
        return;
    }
    out.push('"');
    for c in item.chars() {
        if matches!(c, '"' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('"');
}
