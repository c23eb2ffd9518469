//! Outer joins: the inner join, and the rows of a side that it leaves out, with NULLs.

use super::{Lowering, Scope, free};
use crate::hir::{ColumnRef, HirRel, HirScalar, JoinKind};
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::ColumnType;

impl Lowering {
    pub(super) fn outer_join(
        &mut self,
        left: HirRel,
        right: HirRel,
        on: Vec<HirScalar>,
        kind: JoinKind,
        outer: RelExpr,
        scope: &Scope,
    ) -> RelExpr {
        let outer_arity = outer.arity();
        let (outer_id, left_id) = (self.fresh(), self.fresh());
        outer.let_in(outer_id, |outer| {
            let left = self.apply(left, outer.clone(), scope);
            left.let_in(left_id, |left| {
                let left_scope = scope.enter(outer_arity, left.arity() - outer_arity);
                // A right side that does not see the left one is computed once, for the outer rows.
                if free::free_columns(&right).iter().any(|c| c.level == 1) {
                    let both = self.branch(left.clone(), right, &left_scope);
                    let both = self.filter(both, on, outer_arity, scope);
                    return self.pad_left(left, both);
                }
                let right = self.apply(right, outer, &one_level_out(scope));
                let right_id = self.fresh();
                right.let_in(right_id, |right| {
                    self.uncorrelated(left, right, on, kind, outer_arity, scope)
                })
            })
        })
    }

    /// Both sides start with the outer columns.
    fn uncorrelated(
        &mut self,
        left: RelExpr,
        right: RelExpr,
        on: Vec<HirScalar>,
        kind: JoinKind,
        outer_arity: usize,
        scope: &Scope,
    ) -> RelExpr {
        let left_width = left.arity() - outer_arity;
        let pairs = equated_columns(&on, left_width);
        let shared: Vec<_> = (0..outer_arity).map(|c| (c, c)).collect();
        let left_arity = left.arity();
        let both = left.clone().join_on(right.clone(), &shared);
        let kept = (0..left_arity).chain(left_arity + outer_arity..left_arity + right.arity());
        let both = self.filter(both.project(kept.collect()), on, outer_arity, scope);
        let both_id = self.fresh();
        both.let_in(both_id, |both| {
            let mut parts = vec![both.clone()];
            let right_columns = right.ty().columns;
            let left_columns = left.ty().columns;
            if matches!(kind, JoinKind::Left | JoinKind::Full) {
                let unmatched = match &pairs {
                    Some(pairs) => {
                        let on: Vec<_> = shared
                            .iter()
                            .copied()
                            .chain(
                                pairs
                                    .iter()
                                    .map(|(l, r)| (outer_arity + l, outer_arity + r)),
                            )
                            .collect();
                        without_partner(left.clone(), right.clone(), &on)
                    }
                    None => {
                        let matched = both.clone().project((0..left_arity).collect());
                        self.minus(left.clone(), matched)
                    }
                };
                parts.push(unmatched.map_nulls(&right_columns[outer_arity..]));
            }
            if matches!(kind, JoinKind::Right | JoinKind::Full) {
                let unmatched = match &pairs {
                    Some(pairs) => {
                        let on: Vec<_> = shared
                            .iter()
                            .copied()
                            .chain(
                                pairs
                                    .iter()
                                    .map(|(l, r)| (outer_arity + r, outer_arity + l)),
                            )
                            .collect();
                        without_partner(right.clone(), left.clone(), &on)
                    }
                    None => {
                        let columns = (0..outer_arity).chain(left_arity..both.arity());
                        self.minus(right.clone(), both.clone().project(columns.collect()))
                    }
                };
                parts.push(null_left(
                    unmatched,
                    &left_columns[outer_arity..],
                    outer_arity,
                ));
            }
            RelExpr::Union { inputs: parts }
        })
    }

    /// Left rows, with their partners in `both` or with NULLs.
    fn pad_left(&mut self, left: RelExpr, both: RelExpr) -> RelExpr {
        let left_arity = left.arity();
        let added: Vec<ColumnType> = both.ty().columns.split_off(left_arity);
        let id = self.fresh();
        both.let_in(id, |both| {
            let matched = both.clone().project((0..left_arity).collect());
            let unmatched = self.minus(left, matched);
            both.union(unmatched.map_nulls(&added))
        })
    }

    /// The rows of `all` of which `some`, all of whose rows are among them, has none. A key tells them apart.
    fn minus(&mut self, all: RelExpr, some: RelExpr) -> RelExpr {
        let ty = all.ty();
        let arity = ty.arity();
        let never_null = |key: &&Vec<usize>| key.iter().all(|c| !ty.columns[*c].nullable);
        let key = ty.keys.iter().find(never_null).cloned();
        let key = key.unwrap_or_else(|| (0..arity).collect());
        let pairs: Vec<_> = key.iter().enumerate().map(|(at, c)| (*c, at)).collect();
        let matched = all
            .clone()
            .join_on(some.project(key).distinct(), &pairs)
            .project((0..arity).collect());
        all.union(matched.negate())
    }
}

/// The scope of a right side that does not see the left row: that row counts as a level all the same.
fn one_level_out(scope: &Scope) -> Scope {
    scope.enter(0, 0)
}

/// The column pairs, if the condition is nothing but equalities of a left with a right column.
fn equated_columns(on: &[HirScalar], left_width: usize) -> Option<Vec<(usize, usize)>> {
    let mut conjuncts = Vec::new();
    on.iter()
        .cloned()
        .for_each(|p| super::flatten_and(p, &mut conjuncts));
    let pair = |p: &HirScalar| {
        let HirScalar::Call { func, args, types } = p else {
            return None;
        };
        if types.args.first() != types.args.get(1) {
            return None;
        }
        let column = |s: &HirScalar| match s {
            HirScalar::Column(ColumnRef { level: 0, column }) => Some(*column),
            _ => None,
        };
        if everview_expr::registry::get(*func).name != "=" || args.len() != 2 {
            return None;
        }
        let (a, b) = (column(&args[0])?, column(&args[1])?);
        let (l, r) = (a.min(b), a.max(b));
        (l < left_width && r >= left_width).then(|| (l, r - left_width))
    };
    let pairs: Option<Vec<_>> = conjuncts.iter().map(pair).collect();
    pairs.filter(|p| !p.is_empty())
}

/// The rows of `all` whose columns, none NULL, are equal to the paired columns of no row of `other`.
fn without_partner(all: RelExpr, other: RelExpr, pairs: &[(usize, usize)]) -> RelExpr {
    let arity = all.arity();
    let keys = other
        .project(pairs.iter().map(|(_, o)| *o).collect())
        .distinct();
    let on: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(at, (a, _))| (*a, at))
        .collect();
    // SQL's equality is never true of NULL: such rows have no partner.
    let comparable = pairs.iter().map(|(a, _)| {
        let null = ScalarExpr::IsNull(Box::new(ScalarExpr::Column(*a)));
        ScalarExpr::Not(Box::new(null))
    });
    let candidates = all.clone().filter(comparable.collect());
    let matched = candidates.join_on(keys, &on).project((0..arity).collect());
    all.union(matched.negate())
}

/// Puts NULLs for the left columns between the outer and the right ones.
fn null_left(right: RelExpr, left: &[ColumnType], outer_arity: usize) -> RelExpr {
    let arity = right.arity();
    let nulls = arity..arity + left.len();
    let order = (0..outer_arity).chain(nulls).chain(outer_arity..arity);
    right.map_nulls(left).project(order.collect())
}
