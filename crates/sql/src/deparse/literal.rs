//! Literals, and the types that they and casts name.

use super::shape::{Parent, is_simple, shape};
use super::{Printer, Unknown, expr::place};
use everview_repr::{Datum, Row, RowArena, ScalarType, Typmod, text};
use sqlparser::ast::*;

impl Printer<'_> {
    pub(super) fn value(&mut self, value: &Value, place: Option<usize>) -> Result<(), Unknown> {
        let noted = place.and_then(|p| self.notes.literals.get(&p)).cloned();
        if let Some((row, ty)) = noted {
            self.push(&constant(&row, &ty));
            return Ok(());
        }
        match value {
            Value::Number(digits, _) => match digits.parse::<i64>() {
                Ok(v) if i32::try_from(v).is_err() => self.push(&format!("'{v}'::bigint")),
                _ => self.push(digits),
            },
            Value::Boolean(v) => self.push(if *v { "true" } else { "false" }),
            Value::Null => self.push("NULL"),
            // A literal that nothing gave a type.
            other => match crate::scalar::literal::string(other) {
                Some(text) => self.push(&everview_expr::quote_literal(text)),
                None => return Err(Unknown),
            },
        }
        Ok(())
    }

    /// A literal with an explicit type.
    pub(super) fn typed_literal(
        &mut self,
        place: Option<usize>,
        ty: &DataType,
    ) -> Result<(), Unknown> {
        let noted = place.and_then(|p| self.notes.literals.get(&p)).cloned();
        let (row, scalar) = noted.ok_or(Unknown)?;
        let (_, typmod) = crate::types::resolve(ty).map_err(|_| Unknown)?;
        if typmod == Typmod::NONE {
            self.push(&constant(&row, &scalar));
        } else {
            let mut value = String::new();
            text::format(&scalar, row.first(), &mut value);
            let value = everview_expr::quote_literal(&value);
            self.push(&format!("{value}::{}", scalar.sql_name_with(typmod)));
        }
        Ok(())
    }

    pub(super) fn cast(&mut self, expr: &Expr, ty: &DataType) -> Result<(), Unknown> {
        let (scalar, typmod) = crate::types::resolve(ty).map_err(|_| Unknown)?;
        if let Some(place) = place(expr)
            && self.notes.literals.contains_key(&place)
        {
            return self.typed_literal(Some(place), ty);
        }
        self.grouped(|p| {
            let parens = p.pretty && !is_simple(&shape(expr), Parent::Cast);
            if parens {
                p.push("(");
            }
            p.bare(expr)?;
            if parens {
                p.push(")");
            }
            Ok(())
        })?;
        self.push(&format!("::{}", scalar.sql_name_with(typmod)));
        Ok(())
    }

    /// `interval '1 day'` and `interval '1' day`.
    pub(super) fn interval(&mut self, interval: &Interval) -> Result<(), Unknown> {
        let Expr::Value(value) = &*interval.value else {
            return Err(Unknown);
        };
        let written = crate::scalar::literal::string(&value.value).ok_or(Unknown)?;
        let written = match (&interval.leading_field, &interval.last_field) {
            (None, _) => written.to_string(),
            (Some(field), None) if written.parse::<f64>().is_ok() => format!("{written} {field}"),
            _ => return Err(Unknown),
        };
        if interval.leading_precision.is_some() || interval.fractional_seconds_precision.is_some() {
            return Err(Unknown);
        }
        let arena = RowArena::new();
        let parsed = text::parse(&ScalarType::Interval, &written, &arena).map_err(|_| Unknown)?;
        self.push(&constant(&Row::pack([parsed]), &ScalarType::Interval));
        Ok(())
    }
}

/// A type without a modifier: `bpchar`, as `character` would mean `character(1)`.
pub(super) fn type_name(ty: &ScalarType) -> String {
    ty.sql_name_with(Typmod::NONE)
}

/// A constant as `get_const_expr` writes it: bare where the parser would give it the same type, else with its type.
fn constant(row: &Row, ty: &ScalarType) -> String {
    let name = type_name(ty);
    let value = row.first();
    let mut out = String::new();
    text::format(ty, value, &mut out);
    match value {
        Datum::Null => format!("NULL::{name}"),
        Datum::Bool(v) => v.to_string(),
        Datum::Int32(v) if v >= 0 => out,
        Datum::Numeric(_) if !out.starts_with('-') && out.contains('.') => out,
        _ => format!("{}::{name}", everview_expr::quote_literal(&out)),
    }
}
