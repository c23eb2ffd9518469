//! Literals, typed literals, intervals, parameters, arrays and rows.

use crate::error::{At, PlanError};
use crate::hir::HirScalar;
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::typed::Typed;
use crate::types;
use everview_repr::{Datum, RowArena, ScalarType, SqlState, Typmod, text};
use sqlparser::ast::{DateTimeField, Expr, Interval, TypedString, Value};

impl Planner<'_> {
    pub(super) fn literal(
        &mut self,
        value: &Value,
        position: Option<usize>,
    ) -> Result<Typed, PlanError> {
        match value {
            Value::Number(digits, _) => number(digits, position),
            Value::Null => Ok(Typed::literal(Datum::Null, ScalarType::Unknown, position)),
            Value::Boolean(v) => Ok(Typed::literal(Datum::Bool(*v), ScalarType::Bool, position)),
            Value::Placeholder(name) => self.placeholder(name, position),
            _ => match string(value) {
                Some(text) => Ok(Typed::literal(
                    Datum::Text(text),
                    ScalarType::Unknown,
                    position,
                )),
                None => Err(PlanError::unsupported(format!("the literal {value}")).at(position)),
            },
        }
    }

    fn placeholder(&mut self, name: &str, position: Option<usize>) -> Result<Typed, PlanError> {
        let n = name.strip_prefix('$').and_then(|d| d.parse::<usize>().ok());
        let Some(n) = n.filter(|n| (1..=65535).contains(n)) else {
            let message = format!("there is no parameter {name}");
            return Err(PlanError::new(SqlState::UNDEFINED_PARAMETER, message).at(position));
        };
        if self.maintained.is_some() {
            let message = format!("there is no parameter ${n}");
            return Err(PlanError::new(SqlState::UNDEFINED_PARAMETER, message).at(position));
        }
        let scalar = self.parameter(n);
        let ty = scalar.clone().nullable();
        Ok(Typed {
            expr: HirScalar::Parameter(n, scalar),
            ty,
            position,
        })
    }

    /// `date '2024-01-01'`.
    pub(super) fn typed_string(
        &mut self,
        string: &TypedString,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let TypedString {
            data_type,
            value,
            uses_odbc_syntax,
        } = string;
        let position = names::start(value.span);
        if *uses_odbc_syntax {
            return Err(PlanError::syntax("syntax error at or near \"{\"").at(position));
        }
        let (to, typmod) = types::resolve(data_type).at(types::position(data_type))?;
        let value = self.literal(&value.value, position)?;
        let _ = cx;
        self.explicit_cast(value, &to, typmod)
    }

    /// `interval '1 day'`, `interval '1' day`, `interval '1-2' year to month`.
    pub(super) fn interval(
        &mut self,
        interval: &Interval,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let Interval {
            value,
            leading_field,
            leading_precision,
            last_field,
            fractional_seconds_precision,
        } = interval;
        let value = self.expr(value, cx)?;
        let position = value.position;
        let HirScalar::Literal(row, _) = &value.expr else {
            return Err(PlanError::syntax("syntax error at or near \"interval\"").at(position));
        };
        let Datum::Text(text) = row.first() else {
            return Err(PlanError::syntax("syntax error at or near \"interval\"").at(position));
        };
        let text = text.to_string();
        let precision = fractional_seconds_precision.or(*leading_precision);
        let typmod = precision.map_or(Typmod::NONE, |p| Typmod::precision(p.min(6) as u8));
        let Some(leading) = leading_field else {
            let value = self.parse_literal(&text, &ScalarType::Interval, position)?;
            return self.explicit_cast(value, &ScalarType::Interval, typmod);
        };
        let (text, field) = qualified_interval(&text, leading, last_field.as_ref()).at(position)?;
        let value = self.parse_literal(&text, &ScalarType::Interval, position)?;
        // The fields below the last one named are cut.
        let value = match field {
            "second" => value,
            field => {
                let field = Typed::literal(Datum::Text(field), ScalarType::Text, position);
                let mut cut = self.call_function("date_trunc", vec![field, value], position)?;
                crate::functions::fold_constant(&mut cut).at(position)?;
                cut
            }
        };
        self.explicit_cast(value, &ScalarType::Interval, typmod)
    }

    /// `ARRAY[...]`.
    pub(super) fn array(
        &mut self,
        elements: &[Expr],
        position: Option<usize>,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        self.array_of(elements, None, position, cx)
    }

    /// The same with the element type that the context asks for.
    pub(super) fn array_of(
        &mut self,
        elements: &[Expr],
        element: Option<&ScalarType>,
        position: Option<usize>,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let mut values = Vec::new();
        for e in elements {
            values.push(match e {
                Expr::Array(inner) => {
                    self.nested(|p| p.array_of(&inner.elem, element, None, cx))?
                }
                e => self.expr(e, cx)?,
            });
        }
        if values.is_empty() && element.is_none() {
            return Err(PlanError::new(
                SqlState::INDETERMINATE_DATATYPE,
                "cannot determine type of empty array",
            )
            .with_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
            .at(position));
        }
        let nested = values
            .iter()
            .any(|v| matches!(v.scalar(), ScalarType::Array(_)));
        let values = match element {
            Some(element) => {
                let to = if nested {
                    ScalarType::Array(Box::new(element.clone()))
                } else {
                    element.clone()
                };
                let mut cast = Vec::new();
                for v in values {
                    cast.push(self.explicit_cast(v, &to, Typmod::NONE)?);
                }
                cast
            }
            None => self.in_common_type(values, "ARRAY")?,
        };
        let element = match (values.first(), element) {
            (Some(v), _) => v.scalar().clone(),
            (None, Some(element)) => element.clone(),
            (None, None) => ScalarType::Text,
        };
        self.make_array(values, element, position)
    }

    /// `ROW(...)` and `(a, b)`.
    pub(super) fn row(
        &mut self,
        items: &[Expr],
        position: Option<usize>,
        cx: &ExprContext<'_>,
    ) -> Result<Typed, PlanError> {
        let mut values = Vec::new();
        for item in items {
            let value = self.expr(item, cx)?;
            values.push(self.resolve_unknown(value)?);
        }
        let names = (1..=values.len()).map(|i| format!("f{i}")).collect();
        self.make_record(values, names, position)
    }
}

/// A number: integer, bigint or numeric, whichever holds it first.
fn number(digits: &str, position: Option<usize>) -> Result<Typed, PlanError> {
    let plain = digits.replace('_', "");
    let radix = |prefix: [&str; 2], radix| {
        let rest = plain
            .strip_prefix(prefix[0])
            .or_else(|| plain.strip_prefix(prefix[1]))?;
        i64::from_str_radix(rest, radix).ok()
    };
    let integer = plain
        .parse::<i64>()
        .ok()
        .or_else(|| radix(["0x", "0X"], 16))
        .or_else(|| radix(["0o", "0O"], 8))
        .or_else(|| radix(["0b", "0B"], 2));
    if let Some(v) = integer {
        return Ok(match i32::try_from(v) {
            Ok(v) => Typed::literal(Datum::Int32(v), ScalarType::Int32, position),
            Err(_) => Typed::literal(Datum::Int64(v), ScalarType::Int64, position),
        });
    }
    let arena = RowArena::new();
    let datum = text::parse(&ScalarType::Numeric, &plain, &arena).at(position)?;
    Ok(Typed::literal(datum, ScalarType::Numeric, position))
}

/// The string of a string literal of any kind.
pub(crate) fn string(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(s)
        | Value::EscapedStringLiteral(s)
        | Value::UnicodeStringLiteral(s)
        | Value::NationalStringLiteral(s) => Some(s),
        Value::DollarQuotedString(s) => Some(&s.value),
        _ => None,
    }
}

/// The text with the unit of its bare number spelled out, and the least field that is kept.
fn qualified_interval(
    text: &str,
    leading: &DateTimeField,
    last: Option<&DateTimeField>,
) -> Result<(String, &'static str), PlanError> {
    let name = |field: &DateTimeField| match field {
        DateTimeField::Year | DateTimeField::Years => Ok("year"),
        DateTimeField::Month | DateTimeField::Months => Ok("month"),
        DateTimeField::Day | DateTimeField::Days => Ok("day"),
        DateTimeField::Hour | DateTimeField::Hours => Ok("hour"),
        DateTimeField::Minute | DateTimeField::Minutes => Ok("minute"),
        DateTimeField::Second | DateTimeField::Seconds => Ok("second"),
        other => Err(PlanError::syntax(format!(
            "syntax error at or near \"{}\"",
            other.to_string().to_lowercase()
        ))),
    };
    let leading = name(leading)?;
    let last = last.map(name).transpose()?.unwrap_or(leading);
    let trimmed = text.trim();
    let bare = !trimmed.is_empty()
        && trimmed
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.".contains(c));
    let dashed = trimmed.trim_start_matches(['+', '-']).contains('-');
    if bare && !dashed {
        return Ok((format!("{trimmed} {last}"), last));
    }
    // `M:S` with a last field of seconds and a leading one of minutes counts from minutes.
    if leading == "minute" && last == "second" && trimmed.matches(':').count() == 1 {
        return Ok((format!("0:{trimmed}"), last));
    }
    Ok((text.to_string(), last))
}
