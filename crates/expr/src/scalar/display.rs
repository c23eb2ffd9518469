//! Scalar expressions as plans print them: `#0` is a column, operators stand between their operands, and an
//! operand that is not atomic is in parentheses.

use super::ScalarExpr;
use crate::registry::{self, CAST, TYPMOD, TYPMOD_ASSIGNMENT};
use everview_repr::{ColumnType, Datum, text};
use std::fmt::{Display, Formatter, Result};

impl Display for ScalarExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            ScalarExpr::Column(column) => write!(f, "#{column}"),
            ScalarExpr::Literal(row, ty) => literal(row.first(), ty, f),
            ScalarExpr::Parameter(number, _) => write!(f, "${number}"),
            ScalarExpr::Call { func, args, types } => {
                let name = registry::get(*func).name;
                let symbol = !name.starts_with(|c: char| c.is_alphabetic() || c == '_');
                match args.as_slice() {
                    [arg] if name == CAST => {
                        write!(f, "{}::{}", Operand(arg), types.result.sql_name())
                    }
                    [arg, ..] if name == TYPMOD || name == TYPMOD_ASSIGNMENT => {
                        write!(
                            f,
                            "{}::{}",
                            Operand(arg),
                            types.result.sql_name_with(types.typmod)
                        )
                    }
                    [arg] if symbol => write!(f, "{name} {}", Operand(arg)),
                    [a, b] if symbol => write!(f, "{} {name} {}", Operand(a), Operand(b)),
                    args => {
                        write!(f, "{name}(")?;
                        separated(args, ", ", f)?;
                        f.write_str(")")
                    }
                }
            }
            ScalarExpr::And(args) if args.is_empty() => f.write_str("true"),
            ScalarExpr::Or(args) if args.is_empty() => f.write_str("false"),
            ScalarExpr::And(args) => operands(args, " AND ", f),
            ScalarExpr::Or(args) => operands(args, " OR ", f),
            ScalarExpr::If {
                condition,
                then,
                els,
            } => {
                write!(f, "CASE WHEN {condition} THEN {then} ELSE {els} END")
            }
            ScalarExpr::Coalesce(args) => {
                f.write_str("coalesce(")?;
                separated(args, ", ", f)?;
                f.write_str(")")
            }
            ScalarExpr::IsNull(arg) => write!(f, "{} IS NULL", Operand(arg)),
            ScalarExpr::Not(arg) => match &**arg {
                ScalarExpr::IsNull(inner) => write!(f, "{} IS NOT NULL", Operand(inner)),
                arg => write!(f, "NOT {}", Operand(arg)),
            },
        }
    }
}

/// An expression within another one.
struct Operand<'e>(&'e ScalarExpr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let atomic = match self.0 {
            ScalarExpr::Column(_)
            | ScalarExpr::Literal(..)
            | ScalarExpr::Parameter(..)
            | ScalarExpr::If { .. }
            | ScalarExpr::Coalesce(_) => true,
            ScalarExpr::Call { func, .. } => {
                let name = registry::get(*func).name;
                name == CAST || name.starts_with(|c: char| c.is_alphabetic())
            }
            ScalarExpr::And(args) | ScalarExpr::Or(args) => args.is_empty(),
            ScalarExpr::IsNull(_) | ScalarExpr::Not(_) => false,
        };
        if atomic {
            write!(f, "{}", self.0)
        } else {
            write!(f, "({})", self.0)
        }
    }
}

fn separated(args: &[ScalarExpr], by: &str, f: &mut Formatter<'_>) -> Result {
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            f.write_str(by)?;
        }
        write!(f, "{arg}")?;
    }
    Ok(())
}

fn operands(args: &[ScalarExpr], by: &str, f: &mut Formatter<'_>) -> Result {
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            f.write_str(by)?;
        }
        write!(f, "{}", Operand(arg))?;
    }
    Ok(())
}

/// Numbers and booleans bare, everything else quoted.
fn literal(datum: Datum<'_>, ty: &ColumnType, f: &mut Formatter<'_>) -> Result {
    match datum {
        Datum::Null => f.write_str("NULL"),
        Datum::Error(error) => write!(f, "error({})", error.to_error()),
        Datum::Bool(value) => write!(f, "{value}"),
        datum => {
            let mut out = String::new();
            text::format(&ty.scalar, datum, &mut out);
            let number = out.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                && matches!(
                    datum,
                    Datum::Int16(_) | Datum::Int32(_) | Datum::Int64(_) | Datum::Numeric(_)
                );
            if number {
                f.write_str(&out)
            } else {
                f.write_str(&crate::quote_literal(&out))
            }
        }
    }
}
