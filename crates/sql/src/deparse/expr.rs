//! Expressions: operators, casts and literals with the types that planning gave them.

use super::{Printer, Unknown};
use crate::names::{self, quote};
use crate::scalar::operator::symbol;
use everview_repr::{Datum, Row, RowArena, ScalarType, Typmod, text};
use sqlparser::ast::*;

/// What an expression is part of, for parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent<'e> {
    /// An operator, and whether this is its first operand.
    Operator(&'e str, bool),
    And,
    Or,
    Not,
    Cast,
    /// IS NULL and the like.
    Test,
    /// What brackets its parts: a call, an array, CASE.
    Bracket,
}

/// What an expression is, for parentheses: `isSimpleNode` of `ruleutils.c`.
enum Shape {
    Atom,
    Operator(String),
    And,
    Or,
    Not,
    Test,
    /// A comparison with ANY or ALL of an array.
    Quantified,
}

/// Whether an expression is a call in the plain form: a name with arguments in parentheses.
pub(super) fn is_plain_call(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(f) if f.over.is_none())
}

fn shape(expr: &Expr) -> Shape {
    match expr {
        Expr::Nested(inner) => shape(inner),
        Expr::BinaryOp { op, .. } => match op {
            BinaryOperator::And => Shape::And,
            BinaryOperator::Or => Shape::Or,
            op => Shape::Operator(symbol(op).unwrap_or_default()),
        },
        Expr::UnaryOp { op, expr } => match op {
            UnaryOperator::Not => Shape::Not,
            UnaryOperator::Minus if number(expr).is_some() => Shape::Atom,
            op => Shape::Operator(op.to_string()),
        },
        Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } => {
            Shape::Operator("~~".into())
        }
        Expr::Between { negated: false, .. } => Shape::And,
        Expr::Between { negated: true, .. } => Shape::Or,
        Expr::In {
            target, negated, ..
        } => match target {
            InTarget::List(list) if list.len() == 1 => Shape::Operator("=".into()),
            InTarget::List(_) => Shape::Quantified,
            _ if *negated => Shape::Not,
            _ => Shape::Test,
        },
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => match **right {
            Expr::Subquery(_) => Shape::Test,
            _ => Shape::Quantified,
        },
        Expr::Exists { negated: true, .. } => Shape::Not,
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::Exists { .. }
        | Expr::Subquery(_) => Shape::Test,
        _ => Shape::Atom,
    }
}

/// Whether precedence makes parentheses needless.
fn is_simple(shape: &Shape, parent: Parent<'_>) -> bool {
    let level = |op: &str| match op {
        "+" | "-" => Some(1),
        "*" | "/" | "%" => Some(2),
        _ => None,
    };
    let brackets = matches!(parent, Parent::Bracket);
    match shape {
        Shape::Atom => true,
        Shape::Operator(op) => match parent {
            Parent::Operator(above, first) => match (level(op), level(above)) {
                (Some(own), Some(above)) => own > above || (own == above && first),
                _ => false,
            },
            Parent::And | Parent::Or | Parent::Not => true,
            _ => brackets,
        },
        Shape::Test => brackets || matches!(parent, Parent::And | Parent::Or | Parent::Not),
        Shape::And => brackets || matches!(parent, Parent::And | Parent::Or),
        Shape::Or => brackets || parent == Parent::Or,
        Shape::Not => brackets || matches!(parent, Parent::And | Parent::Or),
        Shape::Quantified => false,
    }
}

fn number(expr: &Expr) -> Option<&str> {
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
fn place(expr: &Expr) -> Option<usize> {
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
    fn part(&mut self, expr: &Expr, parent: Parent<'_>, implicit: bool) -> Result<(), Unknown> {
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
    fn grouped(
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

    fn bare(&mut self, expr: &Expr) -> Result<(), Unknown> {
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

    fn value(&mut self, value: &Value, place: Option<usize>) -> Result<(), Unknown> {
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
    fn typed_literal(&mut self, place: Option<usize>, ty: &DataType) -> Result<(), Unknown> {
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

    fn cast(&mut self, expr: &Expr, ty: &DataType) -> Result<(), Unknown> {
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

    /// `interval '1 day'` and `interval '1' day`.
    fn interval(&mut self, interval: &Interval) -> Result<(), Unknown> {
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

    fn call(&mut self, name: &str, args: &[Box<Expr>]) -> Result<(), Unknown> {
        self.push(&format!("{name}("));
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.part(arg, Parent::Bracket, true)?;
        }
        self.push(")");
        Ok(())
    }

    fn substring(
        &mut self,
        expr: &Expr,
        from: Option<&Expr>,
        length: Option<&Expr>,
        plain: bool,
    ) -> Result<(), Unknown> {
        self.push(if plain { "substring(" } else { "SUBSTRING(" });
        self.part(expr, Parent::Test, true)?;
        let words = if plain {
            [", ", ", "]
        } else {
            [" FROM ", " FOR "]
        };
        for (word, part) in words.into_iter().zip([from, length]) {
            if let Some(part) = part {
                self.push(word);
                self.part(part, Parent::Test, true)?;
            }
        }
        self.push(")");
        Ok(())
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        els: Option<&Expr>,
    ) -> Result<(), Unknown> {
        let base = self.level;
        self.line(base, "CASE");
        self.level = base + 4;
        if let Some(operand) = operand {
            self.push(" ");
            self.expr(operand, true)?;
        }
        for CaseWhen { condition, result } in conditions {
            self.line(base + 4, "WHEN ");
            self.expr(condition, operand.is_some())?;
            self.push(" THEN ");
            self.expr(result, true)?;
        }
        self.line(base + 4, "ELSE ");
        match els {
            Some(els) => self.expr(els, true)?,
            None => self.push("NULL"),
        }
        self.level = base;
        self.line(base, "END");
        Ok(())
    }

    fn function(&mut self, function: &Function) -> Result<(), Unknown> {
        let name = names::Name::new(&function.name).map_err(|_| Unknown)?.name;
        if !function.within_group.is_empty() {
            return Err(Unknown);
        }
        let standard = ["coalesce", "nullif", "greatest", "least"].contains(&name.as_str());
        self.push(&match standard {
            true => name.to_uppercase(),
            false => quote(&name),
        });
        let list = match &function.args {
            // CURRENT_DATE and the like.
            FunctionArguments::None => {
                self.out.truncate(self.out.len() - name.len());
                self.push(&name.to_uppercase());
                return Ok(());
            }
            FunctionArguments::Subquery(_) => return Err(Unknown),
            FunctionArguments::List(list) => list,
        };
        self.push("(");
        if matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)) {
            self.push("DISTINCT ");
        }
        for (i, arg) in list.args.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => {
                    self.part(e, Parent::Bracket, true)?;
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => self.push("*"),
                _ => return Err(Unknown),
            }
        }
        for clause in &list.clauses {
            let FunctionArgumentClause::OrderBy(items) = clause else {
                return Err(Unknown);
            };
            self.push(" ORDER BY ");
            self.order_items(items, &[], false)?;
        }
        self.push(")");
        if let Some(filter) = &function.filter {
            self.push(" FILTER (WHERE ");
            self.expr(filter, false)?;
            self.push(")");
        }
        match &function.over {
            None => Ok(()),
            Some(WindowType::WindowSpec(spec)) => self.window(spec),
            Some(WindowType::NamedWindow(_)) => Err(Unknown),
        }
    }

    fn window(&mut self, spec: &WindowSpec) -> Result<(), Unknown> {
        if spec.window_name.is_some() {
            return Err(Unknown);
        }
        self.push(" OVER (");
        let mut space = "";
        if !spec.partition_by.is_empty() {
            self.push("PARTITION BY ");
            for (i, expr) in spec.partition_by.iter().enumerate() {
                if i > 0 {
                    self.push(", ");
                }
                self.by(expr)?;
            }
            space = " ";
        }
        if !spec.order_by.is_empty() {
            self.push(&format!("{space}ORDER BY "));
            self.order_items(&spec.order_by, &[], false)?;
            space = " ";
        }
        if let Some(frame) = &spec.window_frame {
            let units = frame.units.to_string();
            let start = frame.start_bound.to_string();
            self.push(&match &frame.end_bound {
                Some(end) => format!("{space}{units} BETWEEN {start} AND {end}"),
                None => format!("{space}{units} {start}"),
            });
        }
        self.push(")");
        Ok(())
    }
}

/// A type without a modifier: `bpchar`, as `character` would mean `character(1)`.
fn type_name(ty: &ScalarType) -> String {
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
