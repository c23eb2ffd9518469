//! Joins: the order of inputs, the keys of look-ups, and what is left of each row on the way.
//!
//! A path starts at one input and takes in the others one by one, each through an arrangement by the expressions
//! that the equivalences tie to the columns so far. A linear join is one path; a delta join is one for each
//! input. Columns that nothing needs any more are dropped, and conditions are checked as soon as their columns
//! are there.

use super::{Indexes, LoweringError, lower as lower_expr};
use crate::physical::{
    Arrangement, DeltaPath, DeltaStage, JoinInput, JoinPlan, JoinSource, LinearStage, Plan,
};
use everview_expr::{CallTypes, Id, MapFilterProject, RelExpr, ScalarExpr};
use everview_repr::{ColumnType, ScalarType, Typmod};
use std::collections::BTreeSet;

/// Joins of more inputs than this are linear: the number of arrangements of a delta join grows with it.
const MOST_DELTA_INPUTS: usize = 8;

/// The plan of a join with everything that is applied to its rows.
pub(super) fn lower(
    inputs: &[RelExpr],
    equivalences: &[Vec<ScalarExpr>],
    mfp: MapFilterProject,
    indexes: &Indexes,
) -> Result<Plan, LoweringError> {
    if let Some((inputs, equivalences)) = filter_inputs(inputs, equivalences) {
        return lower(&inputs, &equivalences, mfp, indexes);
    }
    let shape = Shape::new(inputs, equivalences, mfp, indexes);
    if inputs.len() == 1 {
        let initial = shape.only_input();
        let input = Box::new(lower_expr(&inputs[0], indexes)?);
        return Ok(Plan::Mfp {
            input,
            mfp: initial,
        });
    }
    let delta =
        (3..=MOST_DELTA_INPUTS).contains(&inputs.len()) && shape.connected() && shape.separable();
    let mut covered = Vec::new();
    let mut arranged: Vec<Vec<Arrangement>> = vec![vec![]; inputs.len()];
    let plan = if delta {
        let mut paths = Vec::new();
        for source in 0..inputs.len() {
            let path = shape.path(source);
            let stages = path.stages.into_iter().map(|stage| {
                let arrangement = Arrangement::new(stage.input_key, &shape.types[stage.input]);
                DeltaStage {
                    input: stage.input,
                    arrangement: place(&mut arranged[stage.input], arrangement),
                    key: stage.stream_key,
                    closure: stage.closure,
                }
            });
            paths.push(DeltaPath {
                source,
                initial: path.initial,
                stages: stages.collect(),
            });
        }
        JoinPlan::Delta { paths }
    } else {
        let path = shape.path(shape.best_source());
        let source = path.source;
        if path.initial.predicates.is_empty() {
            covered = shape.first_keys(&path);
        }
        let mut width = path.initial_types.clone();
        let mut stages = Vec::new();
        for stage in path.stages {
            let arrangement = Arrangement::new(stage.input_key, &shape.types[stage.input]);
            stages.push(LinearStage {
                input: stage.input,
                arrangement: place(&mut arranged[stage.input], arrangement),
                stream: Arrangement::new(stage.stream_key, &width),
                closure: stage.closure,
            });
            width = stage.types_after;
        }
        JoinPlan::Linear {
            source,
            initial: path.initial,
            stages,
        }
    };
    let inputs = inputs.iter().zip(arranged).enumerate();
    let inputs = inputs.map(|(at, (input, arrangements))| {
        let mut compared = shape.own_members(at);
        compared.retain(|e| !covered.contains(e));
        compared.iter_mut().for_each(|e| {
            e.permute(|c| c - shape.starts[at]);
        });
        compared.retain(|e| !arrangements.iter().any(|a| a.key.contains(e)));
        Ok(JoinInput {
            source: source_of(input, &arrangements, indexes)?,
            arrangements,
            compared,
        })
    });
    Ok(Plan::Join {
        inputs: inputs.collect::<Result<_, _>>()?,
        plan,
    })
}

/// Takes what equivalences say about one input alone to that input, as a filter: one member of each class is left
/// to compare with other inputs. `None` where they say nothing of the kind.
fn filter_inputs(
    inputs: &[RelExpr],
    equivalences: &[Vec<ScalarExpr>],
) -> Option<(Vec<RelExpr>, Vec<Vec<ScalarExpr>>)> {
    let mut filtered = inputs.to_vec();
    let mut classes = equivalences.to_vec();
    let mut found = false;
    let mut start = 0;
    for (input, filtered) in inputs.iter().zip(&mut filtered) {
        let types = input.ty().columns;
        let range = start..start + types.len();
        start = range.end;
        let own = |e: &ScalarExpr| {
            let columns = e.columns();
            !columns.is_empty() && columns.iter().all(|c| range.contains(c))
        };
        let local = |e: &ScalarExpr| {
            let mut e = e.clone();
            e.permute(|c| c - range.start);
            e
        };
        let mut predicates = Vec::new();
        for (class, left) in equivalences.iter().zip(&mut classes) {
            let constant = class.iter().find(|e| e.columns().is_empty());
            let mut members = class.iter().filter(|e| own(e));
            let Some(first) = members.next() else {
                continue;
            };
            let anchor = constant.unwrap_or(first);
            for member in constant.map(|_| first).into_iter().chain(members) {
                if anchor != member {
                    predicates.push(same_key(local(anchor), local(member), &types));
                    left.retain(|e| e == first || e != member);
                }
            }
            // Its members are equal to it already.
            left.retain(|e| Some(e) != constant);
        }
        if !predicates.is_empty() {
            found = true;
            *filtered = filtered.clone().filter(predicates);
        }
    }
    classes.retain(|class| class.len() > 1);
    found.then_some((filtered, classes))
}

/// An imported index serves an input if it has every arrangement that the join needs of it.
fn source_of(
    input: &RelExpr,
    needed: &[Arrangement],
    indexes: &Indexes,
) -> Result<JoinSource, LoweringError> {
    if let RelExpr::Get {
        id: Id::Global(id), ..
    } = input
        && let Some(available) = indexes.get(id)
        && !needed.is_empty()
        && needed.iter().all(|n| available.iter().any(|(_, a)| a == n))
    {
        return Ok(JoinSource::Arranged(Id::Global(*id)));
    }
    Ok(JoinSource::Plan(lower_expr(input, indexes)?))
}

/// The position of an arrangement among those of an input, added if new.
fn place(arranged: &mut Vec<Arrangement>, arrangement: Arrangement) -> usize {
    arranged
        .iter()
        .position(|a| *a == arrangement)
        .unwrap_or_else(|| {
            arranged.push(arrangement);
            arranged.len() - 1
        })
}

/// A path through the inputs.
struct Path {
    source: usize,
    initial: MapFilterProject,
    initial_types: Vec<ColumnType>,
    stages: Vec<Stage>,
}

struct Stage {
    input: usize,
    /// Over the input's own columns.
    input_key: Vec<ScalarExpr>,
    /// Over the columns so far.
    stream_key: Vec<ScalarExpr>,
    closure: MapFilterProject,
    types_after: Vec<ColumnType>,
}

/// The join with its columns numbered over all inputs.
struct Shape<'a> {
    types: Vec<Vec<ColumnType>>,
    all_types: Vec<ColumnType>,
    keys: Vec<Vec<Vec<usize>>>,
    starts: Vec<usize>,
    equivalences: &'a [Vec<ScalarExpr>],
    /// Conditions over columns of several inputs that cannot fail: checked as early as can be.
    early: Vec<ScalarExpr>,
    mfp: MapFilterProject,
    /// Key columns of the arrangements that are there already, by input.
    arranged: Vec<Vec<Vec<ScalarExpr>>>,
}

impl<'a> Shape<'a> {
    fn new(
        inputs: &[RelExpr],
        equivalences: &'a [Vec<ScalarExpr>],
        mut mfp: MapFilterProject,
        indexes: &Indexes,
    ) -> Shape<'a> {
        let relations: Vec<_> = inputs.iter().map(RelExpr::ty).collect();
        let mut starts = Vec::new();
        let mut total = 0;
        for relation in &relations {
            starts.push(total);
            total += relation.arity();
        }
        let is_early = |p: &ScalarExpr| !p.can_fail() && p.columns().iter().all(|c| *c < total);
        let (early, late): (Vec<_>, Vec<_>) = std::mem::take(&mut mfp.predicates)
            .into_iter()
            .partition(|(_, p)| is_early(p));
        mfp.predicates = late;
        let arranged = inputs.iter().map(|input| match input {
            RelExpr::Get {
                id: Id::Global(id), ..
            } => {
                let available = indexes.get(id).map(Vec::as_slice).unwrap_or_default();
                available.iter().map(|(_, a)| a.key.clone()).collect()
            }
            _ => vec![],
        });
        Shape {
            all_types: relations
                .iter()
                .flat_map(|r| r.columns.iter().cloned())
                .collect(),
            keys: relations.iter().map(|r| r.keys.clone()).collect(),
            arranged: arranged.collect(),
            types: relations.into_iter().map(|r| r.columns).collect(),
            starts,
            equivalences,
            early: early.into_iter().map(|(_, p)| p).collect(),
            mfp,
        }
    }

    fn columns_of(&self, input: usize) -> std::ops::Range<usize> {
        self.starts[input]..self.starts[input] + self.types[input].len()
    }

    fn within(&self, expr: &ScalarExpr, have: &BTreeSet<usize>) -> bool {
        // Asked very often: without collecting the columns.
        let mut all = true;
        expr.visit(&mut |e| {
            if let ScalarExpr::Column(c) = e {
                all = all && have.contains(c);
            }
        });
        all
    }

    /// The pairs (so far, of the input) that a look-up into the input can use.
    fn key_pairs(&self, have: &BTreeSet<usize>, input: usize) -> Vec<(ScalarExpr, ScalarExpr)> {
        let own: BTreeSet<usize> = self.columns_of(input).collect();
        let pair = |class: &Vec<ScalarExpr>| {
            let mine = class
                .iter()
                .find(|e| !e.columns().is_empty() && self.within(e, &own))?;
            let theirs = class.iter().find(|e| self.within(e, have))?;
            Some((theirs.clone(), mine.clone()))
        };
        let mut pairs: Vec<_> = self.equivalences.iter().filter_map(pair).collect();
        // In the order of an arrangement that is there already, if one fits.
        let start = self.starts[input];
        let local = |e: &ScalarExpr| {
            let mut e = e.clone();
            e.permute(|c| c - start);
            e
        };
        let fits = |key: &&Vec<ScalarExpr>| {
            key.len() == pairs.len() && pairs.iter().all(|(_, e)| key.contains(&local(e)))
        };
        if let Some(key) = self.arranged[input].iter().find(fits) {
            pairs.sort_by_key(|(_, e)| key.iter().position(|k| *k == local(e)));
        }
        pairs
    }

    /// Whether every input can be reached from the first through equivalences.
    fn connected(&self) -> bool {
        let mut have: BTreeSet<usize> = self.columns_of(0).collect();
        let mut left: Vec<usize> = (1..self.types.len()).collect();
        while !left.is_empty() {
            let Some(at) = left
                .iter()
                .position(|i| !self.key_pairs(&have, *i).is_empty())
            else {
                return false;
            };
            let input = left.remove(at);
            have.extend(self.columns_of(input));
        }
        true
    }

    /// Whether every equivalence compares expressions over one input each, so that whether a key fails depends on
    /// its own row, and not on the order of look-ups.
    fn separable(&self) -> bool {
        let inputs: Vec<BTreeSet<usize>> = (0..self.types.len())
            .map(|i| self.columns_of(i).collect())
            .collect();
        let mut members = self.equivalences.iter().flatten();
        members.all(|e| inputs.iter().any(|own| self.within(e, own)))
    }

    /// What the equivalences compare of one input alone.
    fn own_members(&self, input: usize) -> Vec<ScalarExpr> {
        let own: BTreeSet<usize> = self.columns_of(input).collect();
        let members = self.equivalences.iter().flatten();
        members
            .filter(|e| !e.columns().is_empty() && self.within(e, &own))
            .cloned()
            .collect()
    }

    /// The key by which a path's source is arranged for its first look-up.
    fn first_keys(&self, path: &Path) -> Vec<ScalarExpr> {
        let have = self.columns_of(path.source).collect();
        let first = path.stages.first();
        let pairs = first.map(|stage| self.key_pairs(&have, stage.input));
        pairs.into_iter().flatten().map(|(e, _)| e).collect()
    }

    /// Linear joins start where the first look-up is best, the earliest input among equals.
    fn best_source(&self) -> usize {
        let score = |source: usize| {
            let have = self.columns_of(source).collect();
            (0..self.types.len())
                .filter(|i| *i != source)
                .map(|i| self.score(&have, i))
                .max()
        };
        (0..self.types.len())
            .rev()
            .max_by_key(|i| score(*i))
            .unwrap_or(0)
    }

    /// How good a look-up is: into a unique key, then by more key columns, then one that is arranged already.
    fn score(&self, have: &BTreeSet<usize>, input: usize) -> (bool, usize, bool) {
        let pairs = self.key_pairs(have, input);
        let columns: BTreeSet<usize> = pairs
            .iter()
            .filter_map(|(_, e)| match e {
                ScalarExpr::Column(c) => Some(c - self.starts[input]),
                _ => None,
            })
            .collect();
        let unique = self.keys[input]
            .iter()
            .any(|k| k.iter().all(|c| columns.contains(c)));
        let arranged = self.arranged[input].iter().any(|k| k.len() == pairs.len());
        (unique && !pairs.is_empty(), pairs.len(), arranged)
    }

    fn order_from(&self, source: usize) -> Vec<usize> {
        let mut have: BTreeSet<usize> = self.columns_of(source).collect();
        let mut left: Vec<usize> = (0..self.types.len()).filter(|i| *i != source).collect();
        let mut order = Vec::new();
        while !left.is_empty() {
            let best = (0..left.len())
                .rev()
                .max_by_key(|at| self.score(&have, left[*at]))
                .expect("some input is left");
            let input = left.remove(best);
            have.extend(self.columns_of(input));
            order.push(input);
        }
        order
    }

    /// Columns that stages after these inputs, or the end, still read.
    fn needed(&self, have: &BTreeSet<usize>, pending: &[ScalarExpr]) -> BTreeSet<usize> {
        let complete = have.len() == self.all_types.len();
        let mut needed: BTreeSet<usize> = BTreeSet::new();
        let total = self.all_types.len();
        for e in self
            .mfp
            .expressions
            .iter()
            .chain(self.mfp.predicates.iter().map(|(_, p)| p))
        {
            needed.extend(e.columns().into_iter().filter(|c| *c < total));
        }
        needed.extend(self.mfp.projection.iter().filter(|c| **c < total));
        if !complete {
            needed.extend(
                self.equivalences
                    .iter()
                    .flatten()
                    .flat_map(ScalarExpr::columns),
            );
            needed.extend(pending.iter().flat_map(ScalarExpr::columns));
        }
        needed.intersection(have).copied().collect()
    }

    /// The conditions that the columns so far decide and that were not decided before.
    fn conditions(
        &self,
        before: &BTreeSet<usize>,
        have: &BTreeSet<usize>,
        used: &[(ScalarExpr, ScalarExpr)],
    ) -> Vec<ScalarExpr> {
        let mut out = Vec::new();
        for class in self.equivalences {
            let inside: Vec<_> = class.iter().filter(|e| self.within(e, have)).collect();
            // At the beginning constants are new too: two of them that differ leave nothing.
            let fresh = |e: &&&ScalarExpr| before.is_empty() || !self.within(e, before);
            let by_lookup = |e: &ScalarExpr| used.iter().any(|(_, mine)| mine == e);
            // Everything new must be equal to one anchor: an old member, or the first new one.
            let old = inside.iter().find(|e| self.within(e, before));
            let looked_up = inside.iter().find(|e| by_lookup(e));
            let anchor = looked_up.or(old).or(inside.first()).copied();
            for e in inside.iter().filter(fresh) {
                if let Some(anchor) = anchor
                    && *e != anchor
                {
                    out.push(same_key(anchor.clone(), (*e).clone(), &self.all_types));
                }
            }
        }
        let early = self
            .early
            .iter()
            .filter(|p| self.within(p, have) && !self.within(p, before));
        out.extend(early.cloned());
        out
    }

    fn only_input(&self) -> MapFilterProject {
        let have: BTreeSet<usize> = (0..self.all_types.len()).collect();
        let layout: Vec<usize> = have.iter().copied().collect();
        let conditions = self.conditions(&BTreeSet::new(), &have, &[]);
        let constant = self
            .early
            .iter()
            .filter(|p| p.columns().is_empty())
            .cloned();
        let mfp = MapFilterProject::identity(layout.len())
            .filter(conditions)
            .filter(constant);
        then(mfp, &self.mfp, &layout)
    }

    fn path(&self, source: usize) -> Path {
        let order = self.order_from(source);
        let mut have: BTreeSet<usize> = self.columns_of(source).collect();
        let full: Vec<usize> = have.iter().copied().collect();
        let mut layout: Vec<usize> = self.needed(&have, &self.early).into_iter().collect();
        let constant = self
            .early
            .iter()
            .filter(|p| p.columns().is_empty())
            .cloned();
        let mut conditions = self.conditions(&BTreeSet::new(), &have, &[]);
        conditions.extend(constant);
        let conditions = conditions.into_iter().map(|c| over(c, &full));
        let initial = MapFilterProject::identity(full.len())
            .filter(conditions)
            .project(layout.iter().map(|c| position(&full, *c)));
        let initial_types = layout.iter().map(|c| self.all_types[*c].clone()).collect();
        let mut stages = Vec::new();
        for (at, &input) in order.iter().enumerate() {
            let pairs = self.key_pairs(&have, input);
            let before = have.clone();
            have.extend(self.columns_of(input));
            let wide: Vec<usize> = layout
                .iter()
                .copied()
                .chain(self.columns_of(input))
                .collect();
            let conditions = self.conditions(&before, &have, &pairs);
            let conditions = conditions.into_iter().map(|c| over(c, &wide));
            let checked = MapFilterProject::identity(wide.len()).filter(conditions);
            let stream_key = pairs
                .iter()
                .map(|(e, _)| over(e.clone(), &layout))
                .collect();
            let start = self.starts[input];
            let input_key = pairs.iter().map(|(_, e)| {
                let mut e = e.clone();
                e.permute(|c| c - start);
                e
            });
            let input_key = input_key.collect();
            layout = self.needed(&have, &self.early).into_iter().collect();
            let closure = if at + 1 == order.len() {
                then(checked, &self.mfp, &wide)
            } else {
                checked.project(layout.iter().map(|c| position(&wide, *c)))
            };
            let types_after = layout.iter().map(|c| self.all_types[*c].clone()).collect();
            stages.push(Stage {
                input,
                input_key,
                stream_key,
                closure,
                types_after,
            });
        }
        Path {
            source,
            initial,
            initial_types,
            stages,
        }
    }
}

fn position(layout: &[usize], column: usize) -> usize {
    layout
        .iter()
        .position(|c| *c == column)
        .expect("a needed column is kept")
}

/// An expression over all inputs' columns, over the columns of a layout.
fn over(mut expr: ScalarExpr, layout: &[usize]) -> ScalarExpr {
    expr.permute(|c| position(layout, c));
    expr
}

/// `mfp`, which is over all inputs' columns, after `before`, whose output columns are those of the layout.
fn then(before: MapFilterProject, mfp: &MapFilterProject, layout: &[usize]) -> MapFilterProject {
    let to = |c: usize| {
        if c < mfp.input_arity {
            position(layout, c)
        } else {
            layout.len() + c - mfp.input_arity
        }
    };
    let moved = |e: &ScalarExpr| {
        let mut e = e.clone();
        e.permute(to);
        e
    };
    before
        .map(mfp.expressions.iter().map(moved).collect::<Vec<_>>())
        .filter(
            mfp.predicates
                .iter()
                .map(|(_, p)| moved(p))
                .collect::<Vec<_>>(),
        )
        .project(mfp.projection.iter().map(|c| to(*c)).collect::<Vec<_>>())
}

/// Equality of keys as a predicate: NULL equals NULL.
fn same_key(a: ScalarExpr, b: ScalarExpr, types: &[ColumnType]) -> ScalarExpr {
    let ty = a.ty(types).scalar;
    let func = everview_expr::registry::by_name("is_not_distinct")[0];
    let types = CallTypes {
        args: vec![ty.clone(), ty],
        result: ScalarType::Bool,
        typmod: Typmod::NONE,
        time_zone: "UTC".into(),
        environment: None,
    };
    ScalarExpr::Call {
        func,
        args: vec![a, b],
        types: types.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everview_repr::Datum;

    #[test]
    fn constants_that_differ_leave_nothing_of_a_join() {
        let constant = |n| ScalarExpr::literal(Datum::Int32(n), ScalarType::Int32);
        let column = ColumnType {
            scalar: ScalarType::Int32,
            typmod: Typmod::NONE,
            nullable: false,
        };
        let input = RelExpr::Get {
            id: Id::Global(everview_repr::GlobalId(1)),
            ty: everview_expr::RelationType {
                columns: vec![column],
                keys: vec![],
                append_only: false,
            },
        };
        let inputs = [input.clone(), input];
        let classes = [vec![constant(1), constant(-1)]];
        let plan = lower(
            &inputs,
            &classes,
            MapFilterProject::identity(2),
            &Indexes::new(),
        );
        let Ok(Plan::Join {
            plan: JoinPlan::Linear { initial, .. },
            ..
        }) = plan
        else {
            panic!("a linear join")
        };
        assert_eq!(initial.predicates.len(), 1);
    }
}
