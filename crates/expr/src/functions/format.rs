//! `format`: arguments put into a template (manual, section 9.4.1).

use super::{Declarations, context};
use crate::limit::{MAX_BYTES, requested, within};
use crate::registry::FunctionDesc;
use crate::scalar::CallTypes;
use crate::value::mismatch;
use everview_repr::{Datum, EvalError, RowArena, SqlState};

/// One specifier: `%[position$][-][width]type`.
#[derive(Default)]
struct Specifier {
    position: Option<usize>,
    left: bool,
    width: Width,
}

#[derive(Default)]
enum Width {
    #[default]
    None,
    Given(i64),
    /// From an argument: the next, or the one at a position.
    Argument(Option<usize>),
}

fn bad(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn unterminated() -> EvalError {
    bad("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".")
}

/// Digits at the front, if any.
fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<i64>, EvalError> {
    let mut value: Option<i64> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let next = value.unwrap_or(0) * 10 + i64::from(digit);
        if next > i64::from(i32::MAX) {
            let message = "number is out of range";
            return Err(EvalError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                message,
            ));
        }
        value = Some(next);
    }
    if chars.peek().is_none() {
        Err(unterminated())
    } else {
        Ok(value)
    }
}

fn position(value: i64) -> Result<usize, EvalError> {
    if value == 0 {
        return Err(bad(
            "format specifies argument 0, but arguments are numbered from 1",
        ));
    }
    Ok(value as usize)
}

fn specifier(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Specifier, EvalError> {
    let mut out = Specifier::default();
    if let Some(value) = number(chars)? {
        if chars.next_if_eq(&'$').is_none() {
            out.width = Width::Given(value);
            return Ok(out);
        }
        out.position = Some(position(value)?);
    }
    while chars.next_if_eq(&'-').is_some() {
        out.left = true;
    }
    if chars.next_if_eq(&'*').is_some() {
        out.width = match number(chars)? {
            Some(value) if chars.next_if_eq(&'$').is_some() => {
                Width::Argument(Some(position(value)?))
            }
            Some(_) => return Err(bad("width argument position must be ended by \"$\"")),
            None => Width::Argument(None),
        };
    } else if let Some(value) = number(chars)? {
        out.width = Width::Given(value);
    }
    Ok(out)
}

struct Arguments<'t, 'a> {
    types: &'t CallTypes,
    args: &'t [Datum<'a>],
    next: usize,
}

impl<'a> Arguments<'_, 'a> {
    /// The argument at a position (the template is at 0), or the next one.
    fn take(&mut self, position: Option<usize>) -> Result<(Datum<'a>, usize), EvalError> {
        let at = position.unwrap_or(self.next);
        self.next = at + 1;
        let datum = self.args.get(at).copied();
        Ok((
            datum.ok_or_else(|| bad("too few arguments for format()"))?,
            at,
        ))
    }

    fn width(&mut self, width: &Width) -> Result<i64, EvalError> {
        let position = match width {
            Width::None => return Ok(0),
            Width::Given(value) => return Ok(*value),
            Width::Argument(position) => *position,
        };
        let (datum, at) = self.take(position)?;
        Ok(match datum {
            Datum::Null => 0,
            Datum::Int16(v) => v.into(),
            Datum::Int32(v) => v.into(),
            datum => {
                let text = context::to_text(self.types, &self.types.args[at], datum)?;
                let parsed = text.trim().parse::<i32>();
                parsed
                    .map_err(|_| EvalError::invalid_input("integer", &text))?
                    .into()
            }
        })
    }

    fn convert(&mut self, kind: char, position: Option<usize>) -> Result<String, EvalError> {
        let (datum, at) = self.take(position)?;
        if datum.is_null() {
            return match kind {
                's' => Ok(String::new()),
                'L' => Ok("NULL".to_string()),
                _ => Err(EvalError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                )),
            };
        }
        let ty = self.types.args.get(at).ok_or_else(mismatch)?;
        let text = context::to_text(self.types, ty, datum)?;
        Ok(match kind {
            'I' => super::quote_ident(&text),
            'L' => super::quote_literal(&text),
            _ => text,
        })
    }
}

fn format<'a>(
    types: &CallTypes,
    args: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let Some(template) = args.first() else {
        return Err(mismatch());
    };
    let Some(template) = template.as_str() else {
        return Ok(Datum::Null);
    };
    let mut arguments = Arguments {
        types,
        args,
        next: 1,
    };
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let specifier = specifier(&mut chars)?;
        let kind = chars.next().ok_or_else(unterminated)?;
        if !matches!(kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{kind}\"");
            return Err(bad(message).with_hint("For a single \"%\" use \"%%\"."));
        }
        let width = arguments.width(&specifier.width)?;
        let text = arguments.convert(kind, specifier.position)?;
        push_padded(&mut out, &text, width, specifier.left)?;
    }
    Ok(Datum::Text(arena.string(out)))
}

/// A negative width means left as well.
fn push_padded(out: &mut String, text: &str, width: i64, left: bool) -> Result<(), EvalError> {
    let padding = (width.unsigned_abs() as usize).saturating_sub(text.chars().count());
    if padding > MAX_BYTES {
        return Err(requested());
    }
    if left || width < 0 {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', padding));
    } else {
        out.extend(std::iter::repeat_n(' ', padding));
        out.push_str(text);
    }
    within(out.len())
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "Arguments put into a template: %s as text, %I as an identifier, %L as a literal.";
    out.push(FunctionDesc::new("format", "text, variadic any -> text", doc, format).lenient());
    out.push(FunctionDesc::new("format", "text -> text", doc, format).lenient());
}
