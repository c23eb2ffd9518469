//! Where parentheses are needed: `isSimpleNode` of `ruleutils.c`.

use super::expr::number;
use crate::scalar::operator::symbol;
use sqlparser::ast::*;

/// What an expression is part of, for parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent<'e> {
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

/// What an expression is, for parentheses.
pub(super) enum Shape {
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
pub(super) fn shape(expr: &Expr) -> Shape {
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
pub(super) fn is_simple(shape: &Shape, parent: Parent<'_>) -> bool {
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
