//! Reading a number by a template.

use super::parse::{Node, Template};
use everview_repr::numeric::Numeric;
use everview_repr::{EvalError, SqlState};

/// The number in a text. Digit places take digits, other parts pass over a character each; signs count wherever the
/// text has them before the digits, and at the end where the template has `S`, `MI`, `PL`, `SG` or `PR`. An empty
/// template gives NULL.
pub(super) fn read(text: &str, template: &str) -> Result<Option<Numeric>, EvalError> {
    if template.is_empty() {
        return Ok(None);
    }
    let template = Template::parse(template)?;
    if template.roman {
        let message = "\"RN\" not supported for input";
        return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let mut rest = text.trim_start();
    let mut digits = String::new();
    let mut negative = false;
    let mut point = false;
    for node in &template.nodes {
        match node {
            Node::Digit(_) | Node::Point => {
                rest = rest.trim_start();
                if digits.is_empty() {
                    rest = sign(rest, &mut negative);
                }
                match rest.as_bytes().first() {
                    Some(b @ b'0'..=b'9') if *node != Node::Point => digits.push(char::from(*b)),
                    Some(b'.') if template.decimal && !point => {
                        point = true;
                        digits.push('.');
                    }
                    _ => continue,
                }
                rest = &rest[1..];
            }
            Node::Group => rest = rest.strip_prefix(',').unwrap_or(rest),
            Node::Minus | Node::Plus | Node::Sign => rest = sign(rest, &mut negative),
            Node::Silent | Node::Ordinal(_) | Node::Roman(_) => {}
            Node::Currency | Node::Literal(_) => {
                // Digits and signs are never passed over.
                if let Some(c) = rest.chars().next()
                    && !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
                {
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
    }
    if template.anchor != super::parse::Anchor::None {
        sign(rest.trim_start(), &mut negative);
    }
    let sign = if negative { "-" } else { "" };
    let value = Numeric::parse(&format!("{sign}{digits}")).map_err(|_| {
        EvalError::invalid_input("numeric", if digits.is_empty() { " " } else { text })
    })?;
    if template.multi == 0 {
        return Ok(Some(value));
    }
    value
        .div(&Numeric::parse(&format!("1e{}", template.multi))?)
        .map(Some)
}

/// Takes a sign off the front.
fn sign<'t>(text: &'t str, negative: &mut bool) -> &'t str {
    match text.as_bytes().first() {
        Some(b'-' | b'<') => {
            *negative = true;
            &text[1..]
        }
        Some(b'+') => &text[1..],
        _ => text,
    }
}
