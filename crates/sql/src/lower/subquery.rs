//! Subqueries in scalar position, and as tests in a WHERE clause.

use super::{Lowering, Scope, bool_or, free};
use crate::hir::{ColumnRef, HirRel, HirScalar};
use everview_expr::{AggregateExpr, RelExpr, ScalarExpr, aggregate};
use everview_repr::{Datum, ScalarType};

/// A conjunct that keeps the rows for which a subquery has a row, or has none.
pub(super) struct Test {
    input: HirRel,
    /// Over the subquery's row; it must be true.
    predicate: Option<HirScalar>,
    negated: bool,
}

impl Test {
    /// Recognises [NOT] EXISTS and [NOT] ANY; gives anything else back.
    ///
    /// A row stays under NOT ANY only if the predicate is false for every row of the subquery: neither true nor
    /// NULL.
    pub(super) fn of(predicate: HirScalar) -> Result<Test, HirScalar> {
        match predicate {
            HirScalar::Exists(input) => Ok(Test {
                input: *input,
                predicate: None,
                negated: false,
            }),
            HirScalar::Any { input, predicate } => Ok(Test {
                input: *input,
                predicate: Some(*predicate),
                negated: false,
            }),
            HirScalar::Not(inner) => match *inner {
                HirScalar::Exists(input) => Ok(Test {
                    input: *input,
                    predicate: None,
                    negated: true,
                }),
                HirScalar::Any { input, predicate } => {
                    let unknown = HirScalar::IsNull(predicate.clone());
                    let predicate = HirScalar::Or(vec![*predicate, unknown]);
                    Ok(Test {
                        input: *input,
                        predicate: Some(predicate),
                        negated: true,
                    })
                }
                HirScalar::Not(twice) => Test::of(*twice),
                other => Err(HirScalar::Not(Box::new(other))),
            },
            other => Err(other),
        }
    }
}

impl Lowering {
    /// The rows of `outer` that pass the test. `scope` is that of the subquery.
    pub(super) fn test(&mut self, test: Test, outer: RelExpr, scope: &Scope) -> RelExpr {
        let Test {
            input,
            predicate,
            negated,
        } = test;
        if !negated
            && let Some(predicate) = &predicate
            && let Some((inner, column)) = simple_membership(&input, predicate)
        {
            return self.semijoin_column(outer, input, inner, column, scope);
        }
        let mut columns = free::free_columns(&input);
        let mut locals = free::local_ids(&input);
        if let Some(predicate) = &predicate {
            columns.extend(free::free_columns_of_scalar(predicate));
            locals.extend(free::local_ids_of_scalar(predicate));
        }
        let arity = outer.arity();
        let matching = |this: &mut Self, keys: RelExpr, scope: &Scope| {
            let width = keys.arity();
            let rows = this.apply(input, keys, scope);
            let rows = this.filter(rows, predicate.into_iter().collect(), width, scope);
            rows.project((0..width).collect()).distinct()
        };
        let kept = self.branch_with(outer, &columns, &locals, scope, |this, keys, scope| {
            if !negated {
                return matching(this, keys, scope);
            }
            let id = this.fresh();
            keys.let_in(id, |keys| {
                keys.clone().union(matching(this, keys, scope).negate())
            })
        });
        kept.project((0..arity).collect())
    }

    /// `outer.column IN (SELECT inner FROM input)` for an uncorrelated input: no set of outer rows is needed.
    fn semijoin_column(
        &mut self,
        outer: RelExpr,
        input: HirRel,
        inner: usize,
        column: ColumnRef,
        scope: &Scope,
    ) -> RelExpr {
        let arity = outer.arity();
        let rows = self.apply(input, RelExpr::unit(), &Scope::default());
        let values = rows
            .project(vec![inner])
            .filter(vec![not_null(0)])
            .distinct();
        let at = scope.positions[&column];
        outer
            .join_on(values, &[(at, 0)])
            .project((0..arity).collect())
    }

    /// Appends whether the subquery has a row.
    pub(super) fn exists_column(&mut self, sub: HirRel, outer: RelExpr, scope: &Scope) -> RelExpr {
        let (columns, locals) = (free::free_columns(&sub), free::local_ids(&sub));
        self.branch_with(outer, &columns, &locals, scope, |this, keys, scope| {
            let width = keys.arity();
            let id = this.fresh();
            keys.let_in(id, |keys| {
                let rows = this.apply(sub, keys.clone(), scope);
                let present = rows.project((0..width).collect()).distinct();
                let present = present.map(vec![ScalarExpr::literal_true()]);
                let absent = (Datum::Bool(false), ScalarType::Bool.not_null());
                this.with_default(present, keys, vec![absent])
            })
        })
    }

    /// Appends the subquery's one value.
    pub(super) fn scalar_column(&mut self, sub: HirRel, outer: RelExpr, scope: &Scope) -> RelExpr {
        let cardinality = Cardinality::of(&sub);
        let (columns, locals) = (free::free_columns(&sub), free::local_ids(&sub));
        self.branch_with(outer, &columns, &locals, scope, |this, keys, scope| {
            let width = keys.arity();
            let id = this.fresh();
            keys.let_in(id, |keys| {
                let mut rows = this.apply(sub, keys.clone(), scope);
                let ty = rows.ty();
                let value = ty.columns[width].clone();
                match cardinality {
                    Cardinality::One => return rows,
                    Cardinality::AtMostOne => {}
                    Cardinality::Many if ty.keys.iter().any(|k| k.iter().all(|c| *c < width)) => {}
                    Cardinality::Many => rows = single_value(rows, width),
                }
                this.with_default(rows, keys, vec![(Datum::Null, value.with_nullable(true))])
            })
        })
    }

    /// Appends the three-valued answer of ANY.
    pub(super) fn any_column(
        &mut self,
        input: HirRel,
        predicate: HirScalar,
        outer: RelExpr,
        scope: &Scope,
    ) -> RelExpr {
        let mut columns = free::free_columns(&input);
        columns.extend(free::free_columns_of_scalar(&predicate));
        let mut locals = free::local_ids(&input);
        locals.extend(free::local_ids_of_scalar(&predicate));
        self.branch_with(outer, &columns, &locals, scope, |this, keys, scope| {
            let width = keys.arity();
            let id = this.fresh();
            keys.let_in(id, |keys| {
                let rows = this.apply(input, keys.clone(), scope);
                let rows = this.map_in(rows, vec![predicate], width, scope);
                let answer = ScalarExpr::Column(rows.arity() - 1);
                let unknown = ScalarExpr::IsNull(Box::new(answer.clone()));
                let reduced = RelExpr::Reduce {
                    input: Box::new(rows),
                    group_key: (0..width).map(ScalarExpr::Column).collect(),
                    aggregates: vec![bool_or(answer), bool_or(unknown)],
                };
                let (some, unknown) = (ScalarExpr::Column(width), ScalarExpr::Column(width + 1));
                // OR of "true for some" and "NULL if NULL for some", in three values.
                let null = ScalarExpr::If {
                    condition: Box::new(unknown),
                    then: Box::new(ScalarExpr::literal_null(ScalarType::Bool)),
                    els: Box::new(ScalarExpr::literal(Datum::Bool(false), ScalarType::Bool)),
                };
                let some = ScalarExpr::Coalesce(vec![
                    some,
                    ScalarExpr::literal(Datum::Bool(false), ScalarType::Bool),
                ]);
                let both = reduced.map(vec![ScalarExpr::Or(vec![some, null])]);
                let answers = both.project((0..width).chain([width + 2]).collect());
                let none = (Datum::Bool(false), ScalarType::Bool.nullable());
                this.with_default(answers, keys, vec![none])
            })
        })
    }
}

/// How many rows a relation can have for one outer row, as far as its shape tells.
#[derive(Clone, Copy, PartialEq)]
enum Cardinality {
    One,
    AtMostOne,
    Many,
}

impl Cardinality {
    fn of(rel: &HirRel) -> Cardinality {
        match rel {
            HirRel::Constant { rows, .. } => match rows.as_slice() {
                [] => Cardinality::AtMostOne,
                [(_, 1)] => Cardinality::One,
                _ => Cardinality::Many,
            },
            HirRel::Reduce { group_key, .. } if group_key.is_empty() => Cardinality::One,
            HirRel::TopK {
                input,
                group_key,
                limit: Some(0 | 1),
                offset,
                ..
            } if group_key.is_empty() => match Cardinality::of(input) {
                Cardinality::One if *offset == 0 && rel_limit(rel) == 1 => Cardinality::One,
                _ => Cardinality::AtMostOne,
            },
            HirRel::Project { input, .. } | HirRel::Map { input, .. } => Cardinality::of(input),
            HirRel::Filter { input, .. } => match Cardinality::of(input) {
                Cardinality::Many => Cardinality::Many,
                _ => Cardinality::AtMostOne,
            },
            HirRel::Let { body, .. } => Cardinality::of(body),
            _ => Cardinality::Many,
        }
    }
}

fn rel_limit(rel: &HirRel) -> u64 {
    match rel {
        HirRel::TopK {
            limit: Some(limit), ..
        } => *limit,
        _ => u64::MAX,
    }
}

/// One row for each key, with the value of its one row, or error 21000.
fn single_value(rows: RelExpr, width: usize) -> RelExpr {
    let value = rows.ty().columns[width].clone();
    let aggregate = AggregateExpr {
        func: aggregate::single_value(),
        args: vec![ScalarExpr::Column(width)],
        arg_types: vec![value.scalar.clone()],
        result: value,
        distinct: false,
        filter: None,
        order_by: vec![],
    };
    RelExpr::Reduce {
        input: Box::new(rows),
        group_key: (0..width).map(ScalarExpr::Column).collect(),
        aggregates: vec![aggregate],
    }
}

fn not_null(column: usize) -> ScalarExpr {
    ScalarExpr::Not(Box::new(ScalarExpr::IsNull(Box::new(ScalarExpr::Column(
        column,
    )))))
}

/// The inner and outer column of `inner = outer`, where nothing else ties the subquery to the rows around it.
fn simple_membership(input: &HirRel, predicate: &HirScalar) -> Option<(usize, ColumnRef)> {
    if !free::free_columns(input).is_empty() || !free::local_ids(input).is_empty() {
        return None;
    }
    let HirScalar::Call { func, args, types } = predicate else {
        return None;
    };
    let same_type = types.args.first() == types.args.get(1);
    if everview_expr::registry::get(*func).name != "=" || !same_type {
        return None;
    }
    match args.as_slice() {
        [HirScalar::Column(a), HirScalar::Column(b)] => match (a.level, b.level) {
            (0, level) if level > 0 => Some((a.column, *b)),
            (level, 0) if level > 0 => Some((b.column, *a)),
            _ => None,
        },
        _ => None,
    }
}
