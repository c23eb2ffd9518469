//! Expressions: operators, tests and columns, with the casts that planning put in.

use super::literal::type_name;
use super::shape::{Parent, is_simple, shape};
use super::{Printer, Unknown};
use crate::names::{self, quote};
use crate::scalar::operator::symbol;
use sqlparser::ast::*;

/// Whether an expression is a call in the plain form: a name with arguments in parentheses.
pub(super) fn is_plain_call(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(f) if f.over.is_none())
}

pub(super) fn number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        Expr::Nested(inner) => number(inner),
        _ => None,
    }
}

/// Where an expression is noted: columns, literals and calls.
pub(super) fn place(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Identifier(ident) => names::at(ident),
        Expr::CompoundIdentifier(parts) => names::at(parts.first()?),
        Expr::Value(value) => names::start(value.span),
        Expr::Function(function) => names::Name::new(&function.name).ok()?.position,
        Expr::Nested(inner) => place(inner),
        _ => None,
    }
}

impl Printer<'_> {
    /// An expression that stands alone; `implicit` shows what it is implicitly cast to.
    pub(super) fn expr(&mut self, expr: &Expr, implicit: bool) -> Result<(), Unknown> {
        let cast = match place(expr) {
            Some(place) if implicit => self.notes.casts.get(&place).cloned(),
            _ => None,
        };
        let Some(ty) = cast else {
            return self.bare(expr);
        };
        if !self.pretty {
            self.push("(");
        }
        self.bare(expr)?;
        if !self.pretty {
            self.push(")");
        }
        self.push(&format!("::{}", type_name(&ty)));
        Ok(())
    }

    /// An expression as part of another.
    pub(super) fn part(
        &mut self,
        expr: &Expr,
        parent: Parent<'_>,
        implicit: bool,
    ) -> Result<(), Unknown> {
        let parens = self.pretty && !is_simple(&shape(expr), parent);
        if parens {
            self.push("(");
        }
        self.expr(expr, implicit)?;
        if parens {
            self.push(")");
        }
        Ok(())
    }

    /// What `inside` prints, in parentheses unless only the needed ones are wanted.
    pub(super) fn grouped(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<(), Unknown>,
    ) -> Result<(), Unknown> {
        if self.pretty {
            return inside(self);
        }
        self.push("(");
        inside(self)?;
        self.push(")");
        Ok(())
    }

    fn binary(&mut self, a: &Expr, op: &str, b: &Expr) -> Result<(), Unknown> {
        self.grouped(|p| {
            p.part(a, Parent::Operator(op, true), true)?;
            p.push(&format!(" {op} "));
            p.part(b, Parent::Operator(op, false), true)
        })
    }

    fn connected(
        &mut self,
        parts: &[&Expr],
        word: &str,
        parent: Parent<'_>,
    ) -> Result<(), Unknown> {
        self.grouped(|p| {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    p.push(word);
                }
                p.part(part, parent, false)?;
            }
            Ok(())
        })
    }

    fn test(&mut self, expr: &Expr, words: &str) -> Result<(), Unknown> {
        self.grouped(|p| {
            p.part(expr, Parent::Test, true)?;
            p.push(words);
            Ok(())
        })
    }

    fn list(&mut self, exprs: &[Expr], implicit: bool) -> Result<(), Unknown> {
        for (i, expr) in exprs.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.part(expr, Parent::Bracket, implicit)?;
        }
        Ok(())
    }

    pub(super) fn bare(&mut self, expr: &Expr) -> Result<(), Unknown> {
        match expr {
            Expr::Nested(inner) => self.bare(inner),
            Expr::Identifier(ident) => self.column(ident),
            Expr::CompoundIdentifier(parts) => {
                let from = parts.len().saturating_sub(2);
                let parts: Vec<_> = parts[from..]
                    .iter()
                    .map(|p| quote(&names::fold(p)))
                    .collect();
                self.push(&parts.join("."));
                Ok(())
            }
            Expr::Value(value) => self.value(&value.value, names::start(value.span)),
            Expr::TypedString(string) => {
                let place = names::start(string.value.span);
                self.typed_literal(place, &string.data_type)
            }
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::And | BinaryOperator::Or => {
                    let (word, parent) = match op {
                        BinaryOperator::And => (" AND ", Parent::And),
                        _ => (" OR ", Parent::Or),
                    };
                    let parts = crate::scalar::operands(left, op, right);
                    self.connected(&parts, word, parent)
                }
                op => {
                    let symbol = symbol(op).map_err(|_| Unknown)?;
                    self.binary(left, &symbol, right)
                }
            },
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::IsNull(e) => self.test(e, " IS NULL"),
            Expr::IsNotNull(e) => self.test(e, " IS NOT NULL"),
            Expr::IsTrue(e) => self.test(e, " IS TRUE"),
            Expr::IsNotTrue(e) => self.test(e, " IS NOT TRUE"),
            Expr::IsFalse(e) => self.test(e, " IS FALSE"),
            Expr::IsNotFalse(e) => self.test(e, " IS NOT FALSE"),
            Expr::IsUnknown(e) => self.test(e, " IS UNKNOWN"),
            Expr::IsNotUnknown(e) => self.test(e, " IS NOT UNKNOWN"),
            Expr::IsDistinctFrom(a, b) => self.binary(a, "IS DISTINCT FROM", b),
            Expr::IsNotDistinctFrom(a, b) => self.grouped(|p| {
                p.push("NOT ");
                let pretty = std::mem::replace(&mut p.pretty, false);
                let printed = p.binary(a, "IS DISTINCT FROM", b);
                p.pretty = pretty;
                printed
            }),
            Expr::In {
                expr,
                target,
                negated,
                ..
            } => self.in_target(expr, target, *negated),
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => self.grouped(|p| {
                let (word, from, to) = match negated {
                    false => (" AND ", ">=", "<="),
                    true => (" OR ", "<", ">"),
                };
                p.binary(expr, from, low)?;
                p.push(word);
                p.binary(expr, to, high)
            }),
            Expr::Like {
                negated,
                expr,
                pattern,
                escape_char: None,
                any: false,
            } => self.binary(expr, if *negated { "!~~" } else { "~~" }, pattern),
            Expr::ILike {
                negated,
                expr,
                pattern,
                escape_char: None,
                any: false,
            } => self.binary(expr, if *negated { "!~~*" } else { "~~*" }, pattern),
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => self.quantified(left, compare_op, "ANY", right),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => self.quantified(left, compare_op, "ALL", right),
            Expr::Cast {
                expr, data_type, ..
            } => self.cast(expr, data_type),
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => {
                self.push("(");
                self.part(timestamp, Parent::Test, true)?;
                self.push(" AT TIME ZONE ");
                self.part(time_zone, Parent::Test, true)?;
                self.push(")");
                Ok(())
            }
            Expr::Extract { field, expr, .. } => {
                let field = field.to_string().to_lowercase();
                self.push(&format!("EXTRACT({field} FROM "));
                self.expr(expr, true)?;
                self.push(")");
                Ok(())
            }
            Expr::Ceil { expr, .. } => self.call("ceil", std::slice::from_ref(expr)),
            Expr::Floor { expr, .. } => self.call("floor", std::slice::from_ref(expr)),
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                special,
                ..
            } => self.substring(
                expr,
                substring_from.as_deref(),
                substring_for.as_deref(),
                *special,
            ),
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref()),
            Expr::Function(function) => self.function(function),
            Expr::Exists { subquery, negated } => self.not(*negated, |p| {
                p.push("(EXISTS ");
                p.subquery(subquery)?;
                p.push(")");
                Ok(())
            }),
            Expr::Subquery(query) => self.subquery(query),
            Expr::Interval(interval) => self.interval(interval),
            Expr::CompoundFieldAccess { root, access_chain } => self.subscripts(root, access_chain),
            Expr::Array(array) => {
                self.push("ARRAY[");
                self.list(&array.elem, true)?;
                self.push("]");
                Ok(())
            }
            _ => Err(Unknown),
        }
    }

    fn column(&mut self, ident: &Ident) -> Result<(), Unknown> {
        let name = names::fold(ident);
        let stored = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
        if let Some(column) = stored.and_then(|n| self.columns.get(n.checked_sub(1)?)) {
            let name = quote(&column.name);
            self.push(&name);
            return Ok(());
        }
        let table = names::at(ident)
            .and_then(|at| self.notes.tables.get(&at))
            .cloned();
        if let Some(table) = table {
            self.push(&format!("{}.", quote(&table)));
        }
        self.push(&quote(&name));
        Ok(())
    }

    fn unary(&mut self, op: UnaryOperator, expr: &Expr) -> Result<(), Unknown> {
        match op {
            UnaryOperator::Not => self.grouped(|p| {
                p.push("NOT ");
                p.part(expr, Parent::Not, false)
            }),
            UnaryOperator::Minus if number(expr).is_some() => {
                let digits = number(expr).unwrap_or_default();
                let ty = match digits.parse::<i64>() {
                    Ok(v) if v <= 1 << 31 => "integer",
                    Ok(_) => "bigint",
                    Err(_) => "numeric",
                };
                self.push(&format!("'-{digits}'::{ty}"));
                Ok(())
            }
            op => {
                let symbol = op.to_string();
                self.grouped(|p| {
                    p.push(&format!("{symbol} "));
                    p.part(expr, Parent::Operator(&symbol, false), true)
                })
            }
        }
    }

    fn in_target(&mut self, expr: &Expr, target: &InTarget, negated: bool) -> Result<(), Unknown> {
        match target {
            InTarget::List(list) if list.len() == 1 => {
                self.binary(expr, if negated { "<>" } else { "=" }, &list[0])
            }
            InTarget::List(list) => self.grouped(|p| {
                p.part(expr, Parent::Test, true)?;
                p.push(if negated {
                    " <> ALL (ARRAY["
                } else {
                    " = ANY (ARRAY["
                });
                p.list(list, true)?;
                p.push("])");
                Ok(())
            }),
            InTarget::Subquery(query) => self.not(negated, |p| {
                p.push("(");
                p.part(expr, Parent::Test, true)?;
                p.push(" IN ");
                p.subquery(query)?;
                p.push(")");
                Ok(())
            }),
            _ => Err(Unknown),
        }
    }

    fn quantified(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        word: &str,
        right: &Expr,
    ) -> Result<(), Unknown> {
        let symbol = symbol(op).map_err(|_| Unknown)?;
        let query = matches!(right, Expr::Subquery(_));
        if query && self.pretty {
            self.push("(");
        }
        self.grouped(|p| {
            p.part(left, Parent::Test, true)?;
            p.push(&format!(" {symbol} {word} "));
            match right {
                Expr::Subquery(query) => p.subquery(query),
                right => {
                    p.push("(");
                    p.expr(right, true)?;
                    p.push(")");
                    Ok(())
                }
            }
        })?;
        if query && self.pretty {
            self.push(")");
        }
        Ok(())
    }

    fn subquery(&mut self, query: &Query) -> Result<(), Unknown> {
        self.push("(");
        self.query(query, None)?;
        self.push(")");
        Ok(())
    }

    /// What `inside` prints, or its negation. Tests of subqueries bring parentheses of their own.
    fn not(
        &mut self,
        negated: bool,
        inside: impl FnOnce(&mut Self) -> Result<(), Unknown>,
    ) -> Result<(), Unknown> {
        if !negated {
            return inside(self);
        }
        self.grouped(|p| {
            p.push("NOT ");
            inside(p)
        })
    }

    /// `array[1]`.
    fn subscripts(&mut self, root: &Expr, chain: &[AccessExpr]) -> Result<(), Unknown> {
        let bare = matches!(root, Expr::Identifier(_));
        if !bare {
            self.push("(");
        }
        self.bare(root)?;
        if !bare {
            self.push(")");
        }
        for access in chain {
            let AccessExpr::Subscript(Subscript::Index { index }) = access else {
                return Err(Unknown);
            };
            self.push("[");
            self.expr(index, false)?;
            self.push("]");
        }
        Ok(())
    }
}
