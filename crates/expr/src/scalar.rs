//! Scalar expressions.
//!
//! Evaluation never fails as such: an error is the datum [`Datum::Error`], and a strict call over an error
//! argument is that error. Of several errors the first in argument order counts, so that results do not depend
//! on evaluation order across workers. `And` and `Or` are symmetric: a decisive operand beats an error.

use crate::environment::Environment;
use everview_repr::{ColumnType, Datum, EvalError, Row, RowArena, ScalarType, SqlState, Typmod};
use std::sync::Arc;

mod display;

/// A function in the registry, by its position there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Func(pub u32);

/// A scalar expression over the columns of one row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ScalarExpr {
    /// The column at this position.
    Column(usize),
    /// A constant: a row of one datum, which may be an error.
    Literal(Row, ColumnType),
    /// A statement's parameter, counted from 1, until execution replaces it by a literal.
    Parameter(usize, ScalarType),
    /// A call of a registered function: operators and casts are functions too.
    Call {
        /// The function.
        func: Func,
        /// Its arguments, already coerced to the resolved signature.
        args: Vec<ScalarExpr>,
        /// What the call was resolved to.
        types: Arc<CallTypes>,
    },
    /// Three-valued conjunction; empty is true.
    And(Vec<ScalarExpr>),
    /// Three-valued disjunction; empty is false.
    Or(Vec<ScalarExpr>),
    /// `CASE WHEN condition THEN then ELSE els END`; only the branch taken is evaluated.
    If {
        /// A boolean; NULL counts as false.
        condition: Box<ScalarExpr>,
        /// The value when true.
        then: Box<ScalarExpr>,
        /// The value otherwise.
        els: Box<ScalarExpr>,
    },
    /// The first argument that is not NULL; later ones are not evaluated.
    Coalesce(Vec<ScalarExpr>),
    /// Whether the operand is NULL; an error stays an error.
    IsNull(Box<ScalarExpr>),
    /// Three-valued negation.
    Not(Box<ScalarExpr>),
}

/// The types that a call was resolved to, and the settings and environment that it captured.
#[derive(Clone, Debug)]
pub struct CallTypes {
    /// Types of the arguments.
    pub args: Vec<ScalarType>,
    /// Type of the result.
    pub result: ScalarType,
    /// For casts and length coercions: the target's modifier.
    pub typmod: Typmod,
    /// The session's time zone when the call was planned.
    pub time_zone: Arc<str>,
    /// Session and catalog, for stable functions of a one-off query.
    pub environment: Option<Arc<dyn Environment>>,
}

impl CallTypes {
    fn identity(&self) -> (&[ScalarType], &ScalarType, Typmod, &str) {
        (&self.args, &self.result, self.typmod, &self.time_zone)
    }
}

/// Equality leaves the environment out: within one plan there is one.
impl PartialEq for CallTypes {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}
impl Eq for CallTypes {}
impl PartialOrd for CallTypes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for CallTypes {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity().cmp(&other.identity())
    }
}
impl std::hash::Hash for CallTypes {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl ScalarExpr {
    /// A literal.
    pub fn literal(datum: Datum<'_>, scalar: ScalarType) -> ScalarExpr {
        let nullable = datum.is_null();
        let ty = ColumnType {
            scalar,
            typmod: Typmod::NONE,
            nullable,
        };
        ScalarExpr::Literal(Row::pack([datum]), ty)
    }

    /// `true`.
    pub fn literal_true() -> ScalarExpr {
        ScalarExpr::literal(Datum::Bool(true), ScalarType::Bool)
    }

    /// NULL of a type.
    pub fn literal_null(scalar: ScalarType) -> ScalarExpr {
        ScalarExpr::literal(Datum::Null, scalar)
    }

    /// Whether this is a literal, and which datum.
    pub fn as_literal(&self) -> Option<Datum<'_>> {
        match self {
            ScalarExpr::Literal(row, _) => Some(row.first()),
            _ => None,
        }
    }

    /// The expression's type over an input of these columns.
    ///
    /// Nullability is conservative: a strict call is not null when no argument is and the function never
    /// gives NULL for such arguments.
    pub fn ty(&self, columns: &[ColumnType]) -> ColumnType {
        match self {
            ScalarExpr::Column(i) => columns[*i].clone(),
            ScalarExpr::Literal(_, ty) => ty.clone(),
            ScalarExpr::Parameter(_, scalar) => scalar.clone().nullable(),
            ScalarExpr::Call { func, args, types } => {
                let desc = crate::registry::get(*func);
                let nullable = !(desc.strict && desc.never_null)
                    || args.iter().any(|a| a.ty(columns).nullable);
                ColumnType {
                    scalar: types.result.clone(),
                    typmod: types.typmod,
                    nullable,
                }
            }
            ScalarExpr::And(args) | ScalarExpr::Or(args) => ScalarType::Bool
                .nullable()
                .with_nullable(args.iter().any(|a| a.ty(columns).nullable)),
            ScalarExpr::If { then, els, .. } => {
                let (then, els) = (then.ty(columns), els.ty(columns));
                let typmod = if then.typmod == els.typmod {
                    then.typmod
                } else {
                    Typmod::NONE
                };
                ColumnType {
                    typmod,
                    nullable: then.nullable || els.nullable,
                    ..then
                }
            }
            ScalarExpr::Coalesce(args) => {
                let types: Vec<_> = args.iter().map(|a| a.ty(columns)).collect();
                let mut ty = types[0].clone();
                ty.nullable = types.iter().all(|t| t.nullable);
                if types.iter().any(|t| t.typmod != ty.typmod) {
                    ty.typmod = Typmod::NONE;
                }
                ty
            }
            ScalarExpr::IsNull(_) => ScalarType::Bool.not_null(),
            ScalarExpr::Not(arg) => ScalarType::Bool
                .nullable()
                .with_nullable(arg.ty(columns).nullable),
        }
    }

    /// Evaluates over a row's datums. Borrowed results live in the row or the arena.
    pub fn eval<'a>(&'a self, datums: &[Datum<'a>], arena: &'a RowArena) -> Datum<'a> {
        match self {
            ScalarExpr::Column(i) => datums[*i],
            ScalarExpr::Literal(row, _) => row.first(),
            ScalarExpr::Parameter(n, _) => arena.error(&EvalError::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter ${n}"),
            )),
            ScalarExpr::Call { func, args, types } => {
                let args: smallvec::SmallVec<[Datum<'a>; 4]> =
                    args.iter().map(|a| a.eval(datums, arena)).collect();
                crate::registry::call(*func, types, &args, arena)
            }
            ScalarExpr::And(args) => eval_connective(args, false, datums, arena),
            ScalarExpr::Or(args) => eval_connective(args, true, datums, arena),
            ScalarExpr::If {
                condition,
                then,
                els,
            } => match condition.eval(datums, arena) {
                Datum::Bool(true) => then.eval(datums, arena),
                error @ Datum::Error(_) => error,
                _ => els.eval(datums, arena),
            },
            ScalarExpr::Coalesce(args) => args
                .iter()
                .map(|a| a.eval(datums, arena))
                .find(|d| !d.is_null())
                .unwrap_or(Datum::Null),
            ScalarExpr::IsNull(arg) => match arg.eval(datums, arena) {
                error @ Datum::Error(_) => error,
                value => Datum::Bool(value.is_null()),
            },
            ScalarExpr::Not(arg) => match arg.eval(datums, arena) {
                Datum::Bool(v) => Datum::Bool(!v),
                other => other,
            },
        }
    }

    /// Calls `f` on each direct operand.
    pub fn for_each_child<'s>(&'s self, mut f: impl FnMut(&'s ScalarExpr)) {
        match self {
            ScalarExpr::Column(_) | ScalarExpr::Literal(..) | ScalarExpr::Parameter(..) => {}
            ScalarExpr::Call { args, .. }
            | ScalarExpr::And(args)
            | ScalarExpr::Or(args)
            | ScalarExpr::Coalesce(args) => args.iter().for_each(f),
            ScalarExpr::If {
                condition,
                then,
                els,
            } => {
                f(condition);
                f(then);
                f(els);
            }
            ScalarExpr::IsNull(arg) | ScalarExpr::Not(arg) => f(arg),
        }
    }

    /// Calls `f` on each direct operand, mutably.
    pub fn for_each_child_mut(&mut self, mut f: impl FnMut(&mut ScalarExpr)) {
        match self {
            ScalarExpr::Column(_) | ScalarExpr::Literal(..) | ScalarExpr::Parameter(..) => {}
            ScalarExpr::Call { args, .. }
            | ScalarExpr::And(args)
            | ScalarExpr::Or(args)
            | ScalarExpr::Coalesce(args) => args.iter_mut().for_each(f),
            ScalarExpr::If {
                condition,
                then,
                els,
            } => {
                f(condition);
                f(then);
                f(els);
            }
            ScalarExpr::IsNull(arg) | ScalarExpr::Not(arg) => f(arg),
        }
    }

    /// Calls `f` on this expression and everything below, parents first.
    pub fn visit<'s>(&'s self, f: &mut impl FnMut(&'s ScalarExpr)) {
        f(self);
        self.for_each_child(|c| c.visit(f));
    }

    /// Calls `f` on this expression and everything below, children first.
    pub fn visit_mut_post(&mut self, f: &mut impl FnMut(&mut ScalarExpr)) {
        self.for_each_child_mut(|c| c.visit_mut_post(f));
        f(self);
    }

    /// The columns it reads.
    pub fn columns(&self) -> std::collections::BTreeSet<usize> {
        let mut out = std::collections::BTreeSet::new();
        self.visit(&mut |e| {
            if let ScalarExpr::Column(i) = e {
                out.insert(*i);
            }
        });
        out
    }

    /// Replaces every column position.
    pub fn permute(&mut self, mut to: impl FnMut(usize) -> usize) {
        self.visit_mut_post(&mut |e| {
            if let ScalarExpr::Column(i) = e {
                *i = to(*i);
            }
        });
    }

    /// Whether evaluation can give an error for some row without error columns.
    pub fn can_fail(&self) -> bool {
        let mut fallible = false;
        self.visit(&mut |e| match e {
            ScalarExpr::Call { func, args, .. } => {
                let desc = crate::registry::get(*func);
                fallible |= !desc.infallible
                    && !desc.total_if.is_some_and(|total| {
                        let given: smallvec::SmallVec<[Option<Datum<'_>>; 4]> =
                            args.iter().map(ScalarExpr::as_literal).collect();
                        total(&given)
                    });
            }
            ScalarExpr::Literal(row, _) => fallible |= matches!(row.first(), Datum::Error(_)),
            _ => {}
        });
        fallible
    }
}

/// AND (`decisive` false) and OR (`decisive` true): decisive, else the least error, else NULL, else the rest. The
/// order of operands does not show.
fn eval_connective<'a>(
    args: &'a [ScalarExpr],
    decisive: bool,
    datums: &[Datum<'a>],
    arena: &'a RowArena,
) -> Datum<'a> {
    let mut error: Option<everview_repr::datum::ErrorRef<'a>> = None;
    let mut null = false;
    for arg in args {
        match arg.eval(datums, arena) {
            Datum::Bool(v) if v == decisive => return Datum::Bool(decisive),
            Datum::Bool(_) => {}
            Datum::Error(e) => error = Some(error.map_or(e, |least| least.min(e))),
            _ => null = true,
        }
    }
    match error {
        Some(e) => Datum::Error(e),
        None if null => Datum::Null,
        None => Datum::Bool(!decisive),
    }
}
