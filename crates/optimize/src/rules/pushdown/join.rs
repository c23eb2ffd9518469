//! Predicates over a join: to its inputs, into its equivalences, or to stay above.
//!
//! An equality one side of which can fail becomes a key only where the join would be a product without it. A key
//! is evaluated for each row of its input, as PostgreSQL evaluates a hash or merge key: no row is without an error
//! that the predicates on that input alone would not have left out, so these go below, and all other predicates
//! stay above.

use crate::rules::failing::{self, Bindings};
use crate::rules::fuse::merge;
use crate::rules::predicate::{
    compared, equality, filtered, implied, is_volatile, not_null, null_sources, transferred,
};
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::ColumnType;
use std::collections::BTreeSet;
use std::ops::Range;

/// The join of these inputs under these predicates.
pub(super) fn push(
    inputs: Vec<RelExpr>,
    mut equivalences: Vec<Vec<ScalarExpr>>,
    predicates: Vec<ScalarExpr>,
    bindings: &mut Bindings,
) -> RelExpr {
    let comparisons: Vec<ScalarExpr> = predicates
        .iter()
        .filter(|p| compared(p).is_some())
        .cloned()
        .collect();
    let mut sorting = Sorting::new(&inputs, bindings);
    for predicate in predicates {
        sorting.place(predicate, &mut equivalences);
    }
    merge(&mut equivalences);
    sorting.connect(&mut equivalences);
    merge(&mut equivalences);
    let known = inputs
        .iter()
        .zip(sorting.ranges.clone())
        .flat_map(|(input, range)| filtered(input, range.start))
        .chain(comparisons);
    for comparison in known.collect::<Vec<_>>() {
        for other in transferred(&comparison, &equivalences, &sorting.types) {
            if let Some(at) = sorting.owner(&other)
                && !sorting.fails(&other)
            {
                sorting.put_below(at, other);
            }
        }
    }
    let Sorting { below, above, .. } = sorting;
    let inputs = inputs.into_iter().zip(below).map(|(input, mut own)| {
        own.sort();
        own.dedup();
        super::push(input, own, bindings)
    });
    RelExpr::Join {
        inputs: inputs.collect(),
        equivalences,
    }
    .filter(above)
}

/// Predicates on their way.
struct Sorting {
    /// The inputs' columns among those of the join.
    ranges: Vec<Range<usize>>,
    types: Vec<ColumnType>,
    failing: Vec<bool>,
    /// For each input, over its own columns.
    below: Vec<Vec<ScalarExpr>>,
    above: Vec<ScalarExpr>,
}

impl Sorting {
    fn new(inputs: &[RelExpr], bindings: &Bindings) -> Sorting {
        let mut ranges = Vec::with_capacity(inputs.len());
        let mut types = Vec::new();
        for input in inputs {
            let start = types.len();
            types.extend(input.ty().columns);
            ranges.push(start..types.len());
        }
        let failing = inputs
            .iter()
            .flat_map(|i| failing::columns(i, bindings))
            .collect();
        Sorting {
            below: vec![vec![]; inputs.len()],
            ranges,
            types,
            failing,
            above: vec![],
        }
    }

    /// The one input that an expression reads.
    fn owner(&self, expr: &ScalarExpr) -> Option<usize> {
        let columns: BTreeSet<usize> = expr.columns();
        let first = columns.first()?;
        let at = self.ranges.iter().position(|range| range.contains(first))?;
        let own = &self.ranges[at];
        columns.iter().all(|c| own.contains(c)).then_some(at)
    }

    fn fails(&self, expr: &ScalarExpr) -> bool {
        failing::expression(expr, &self.failing)
    }

    fn put_below(&mut self, at: usize, mut predicate: ScalarExpr) {
        let start = self.ranges[at].start;
        predicate.permute(|c| c - start);
        self.below[at].push(predicate);
    }

    fn place(&mut self, predicate: ScalarExpr, equivalences: &mut Vec<Vec<ScalarExpr>>) {
        if is_volatile(&predicate) || self.fails(&predicate) {
            return self.above.push(predicate);
        }
        if let Some(at) = self.owner(&predicate) {
            return self.put_below(at, predicate);
        }
        if let Some((a, b)) = equality(&predicate)
            && self.owner(&a).is_some()
            && self.owner(&b).is_some()
        {
            return self.equate(a, b, equivalences);
        }
        for at in 0..self.ranges.len() {
            let own = |c: &ScalarExpr| self.owner(c) == Some(at) && !self.fails(c);
            if let Some(part) = implied(&predicate, own) {
                self.put_below(at, part);
            }
        }
        self.above.push(predicate);
    }

    /// SQL's equality is not true of NULL; the join's holds of it.
    fn equate(&mut self, a: ScalarExpr, b: ScalarExpr, equivalences: &mut Vec<Vec<ScalarExpr>>) {
        for side in [&a, &b] {
            let Some(at) = self.owner(side) else { continue };
            match null_sources(side) {
                Some(columns) => {
                    for column in columns {
                        if self.types[column].nullable && !self.failing[column] {
                            self.put_below(at, not_null(ScalarExpr::Column(column)));
                        } else if self.failing[column] {
                            self.put_below(at, not_null(side.clone()));
                        }
                    }
                }
                None if side.ty(&self.types).nullable => self.put_below(at, not_null(side.clone())),
                None => {}
            }
        }
        equivalences.push(vec![a, b]);
    }

    /// Makes keys of equalities that can fail, one by one, between inputs that nothing ties together yet.
    fn connect(&mut self, equivalences: &mut Vec<Vec<ScalarExpr>>) {
        let mut group: Vec<usize> = (0..self.ranges.len()).collect();
        for class in equivalences.iter() {
            let mut members = class.iter().filter_map(|e| self.owner(e));
            if let Some(first) = members.next() {
                members.for_each(|other| unite(&mut group, first, other));
            }
        }
        let mut kept = Vec::new();
        let mut keyed = BTreeSet::new();
        for predicate in std::mem::take(&mut self.above) {
            let sides = equality(&predicate).and_then(|(a, b)| {
                let (left, right) = (self.owner(&a)?, self.owner(&b)?);
                Some((a, left, b, right))
            });
            match sides {
                Some((a, left, b, right))
                    if group[left] != group[right] && !is_volatile(&predicate) =>
                {
                    unite(&mut group, left, right);
                    keyed.extend(self.fails(&a).then_some(left));
                    keyed.extend(self.fails(&b).then_some(right));
                    self.equate(a, b, equivalences);
                }
                _ => kept.push(predicate),
            }
        }
        for predicate in kept {
            match self.owner(&predicate).filter(|at| keyed.contains(at)) {
                Some(at) if !is_volatile(&predicate) => self.put_below(at, predicate),
                _ => self.above.push(predicate),
            }
        }
    }
}

fn unite(group: &mut [usize], a: usize, b: usize) {
    let (from, to) = (group[a], group[b]);
    group
        .iter_mut()
        .filter(|g| **g == from)
        .for_each(|g| *g = to);
}
