//! Aggregates: what a group's rows come to.
//!
//! An aggregate's plan is its kind: accumulable ones live in the diff of an arrangement, extrema seek in an
//! ordered one, and the rest read the whole group. None depends on the order of arrival: a result is a function
//! of the multiset of argument rows, and [`AggregateExpr::eval_group`] is its from-scratch definition.
//!
//! An error of an argument or filter is data: the aggregate's value is then the least present error by its packed
//! bytes, and is healed when the row goes.

#[cfg(test)]
mod tests;

pub use crate::aggregates::accumulator::Accumulator;

use crate::aggregates::whole::Whole;
use crate::aggregates::{self, Operation};
use crate::registry::ParamType;
use crate::scalar::ScalarExpr;
use everview_repr::datum::ErrorRef;
use everview_repr::{ColumnType, Datum, EvalError, Row, RowArena, ScalarType, key};

/// An aggregate in [`aggregates`], by its position there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AggregateFunc(pub u32);

/// How an aggregate is maintained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AggregateKind {
    /// By an [`Accumulator`]: insertion and deletion commute.
    Accumulable,
    /// The least non-NULL argument by SQL's order; of equal ones the least identity.
    Min,
    /// The greatest non-NULL argument by SQL's order; of equal ones the least identity.
    Max,
    /// From all rows of the group, in the order of [`AggregateExpr::sort_key`].
    WholeGroup,
}

/// An aggregate's declaration.
pub struct AggregateDesc {
    /// Its SQL name.
    pub name: &'static str,
    /// Parameters; none for `count(*)`.
    pub params: Vec<ParamType>,
    /// The result.
    pub returns: ParamType,
    /// How it is maintained. With DISTINCT, of equal argument rows the one of the least identity goes in.
    pub kind: AggregateKind,
    /// The result over no rows is not NULL.
    pub never_null: bool,
    /// One line for the SQL reference.
    pub doc: &'static str,
    /// How it computes.
    pub(crate) operation: Operation,
}

/// All aggregates, in a fixed order.
pub fn aggregates() -> &'static [AggregateDesc] {
    static AGGREGATES: std::sync::LazyLock<Vec<AggregateDesc>> =
        std::sync::LazyLock::new(aggregates::declare);
    &AGGREGATES
}

/// The declaration of an aggregate.
pub fn get(func: AggregateFunc) -> &'static AggregateDesc {
    &aggregates()[func.0 as usize]
}

impl AggregateDesc {
    /// Whether only plans call it, and no SQL.
    pub fn is_internal(&self) -> bool {
        self.operation == Operation::Whole(Whole::SingleValue)
    }
}

/// The candidates of a name that SQL can call, in a fixed order.
pub fn by_name(name: &str) -> Vec<AggregateFunc> {
    let matches = aggregates()
        .iter()
        .enumerate()
        .filter(|(_, f)| f.name == name && !f.is_internal());
    matches.map(|(i, _)| AggregateFunc(i as u32)).collect()
}

/// The aggregate of a scalar subquery's rows: the one value, or error 21000.
pub fn single_value() -> AggregateFunc {
    let at = aggregates().iter().position(AggregateDesc::is_internal);
    AggregateFunc(at.expect("it is declared") as u32)
}

/// How an ordered aggregate or window sorts by an expression.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OrderExpr {
    /// What to sort by.
    pub expr: ScalarExpr,
    /// Largest first.
    pub descending: bool,
    /// NULL after every value.
    pub nulls_last: bool,
}

impl OrderExpr {
    /// Appends the row's sort key: bytes that compare as the rows sort.
    pub fn push_key<'a>(&'a self, out: &mut Vec<u8>, datums: &[Datum<'a>], arena: &'a RowArena) {
        key::push_ordered(
            out,
            self.expr.eval(datums, arena),
            self.descending,
            self.nulls_last,
        );
    }
}

/// A call of an aggregate in a [`crate::RelExpr::Reduce`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AggregateExpr {
    /// The aggregate.
    pub func: AggregateFunc,
    /// Its arguments over the input row; none for `count(*)`.
    pub args: Vec<ScalarExpr>,
    /// Types of the arguments.
    pub arg_types: Vec<ScalarType>,
    /// The result.
    pub result: ColumnType,
    /// Equal argument rows count once.
    pub distinct: bool,
    /// Only rows for which this is true; an error makes the aggregate's value that error.
    pub filter: Option<ScalarExpr>,
    /// For whole-group aggregates.
    pub order_by: Vec<OrderExpr>,
}

/// An input row as an aggregate sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AggregateInput<'a> {
    /// The filter is not true for it.
    Skipped,
    /// Its arguments, none of which is an error.
    Args(Vec<Datum<'a>>),
    /// The filter's error, else the first error among the arguments and what the aggregate sorts by.
    Failed(ErrorRef<'a>),
}

impl AggregateExpr {
    /// How it is maintained.
    pub fn kind(&self) -> AggregateKind {
        get(self.func).kind
    }

    /// Filter and arguments over an input row.
    pub fn input<'a>(&'a self, datums: &[Datum<'a>], arena: &'a RowArena) -> AggregateInput<'a> {
        match self
            .filter
            .as_ref()
            .map(|filter| filter.eval(datums, arena))
        {
            None | Some(Datum::Bool(true)) => {}
            Some(Datum::Error(error)) => return AggregateInput::Failed(error),
            Some(_) => return AggregateInput::Skipped,
        }
        let mut args = Vec::with_capacity(self.args.len());
        for arg in &self.args {
            match arg.eval(datums, arena) {
                Datum::Error(error) => return AggregateInput::Failed(error),
                value => args.push(value),
            }
        }
        for order in &self.order_by {
            if let Datum::Error(error) = order.expr.eval(datums, arena) {
                return AggregateInput::Failed(error);
            }
        }
        AggregateInput::Args(args)
    }

    /// Adds an input row `diff` times to the state of this accumulable aggregate.
    pub fn accumulate<'a>(
        &'a self,
        into: &mut Accumulator,
        datums: &[Datum<'a>],
        diff: i64,
        arena: &'a RowArena,
    ) {
        match self.input(datums, arena) {
            AggregateInput::Skipped => {}
            AggregateInput::Args(args) => into.add(self.func, &args, diff),
            AggregateInput::Failed(error) => into.add_error(error, diff),
        }
    }

    /// Appends the key by which a whole-group aggregate reads its rows: its ORDER BY, then its arguments by SQL's
    /// order, ascending with NULL last. Rows of equal keys follow by the packed bytes of their arguments; rows
    /// that are equal in those too cannot be told apart.
    pub fn sort_key<'a>(
        &'a self,
        out: &mut Vec<u8>,
        datums: &[Datum<'a>],
        args: &[Datum<'a>],
        arena: &'a RowArena,
    ) {
        self.order_by
            .iter()
            .for_each(|order| order.push_key(out, datums, arena));
        args.iter().for_each(|arg| key::push(out, *arg));
    }

    /// The result over no rows: 0 for counts, else NULL.
    pub fn default_value(&self) -> Datum<'static> {
        if get(self.func).never_null {
            Datum::Int64(0)
        } else {
            Datum::Null
        }
    }

    /// The result over all rows of a group, given as argument rows (already filtered, and distinct where
    /// asked) in the aggregate's order, each with its positive multiplicity. For every kind: it is the
    /// from-scratch definition, and what whole-group rendering runs.
    pub fn eval_group<'a>(
        &self,
        rows: &mut dyn Iterator<Item = (Vec<Datum<'a>>, u64)>,
        arena: &'a RowArena,
    ) -> Datum<'a> {
        let operation = get(self.func).operation;
        if let Operation::Accumulate(_) = operation {
            let mut state = Accumulator::default();
            rows.for_each(|(args, n)| {
                state.add(self.func, &args, i64::try_from(n).unwrap_or(i64::MAX))
            });
            return state.finish(self.func, arena);
        }
        let rows: Vec<_> = rows.filter(|(_, n)| *n > 0).collect();
        let errors = rows.iter().filter_map(|(args, _)| first_error(args));
        if let Some(least) = errors.min() {
            return Datum::Error(least);
        }
        match operation {
            Operation::Whole(whole) => to_datum(whole.eval(&self.arg_types, &rows, arena), arena),
            operation => {
                let values = rows.iter().filter_map(|(args, _)| args.first().copied());
                extremum(values, operation == Operation::Max).unwrap_or(Datum::Null)
            }
        }
    }

    /// The result from scratch over input rows in any order, with filter, DISTINCT and ORDER BY.
    pub fn eval_rows<'a>(
        &'a self,
        rows: &mut dyn Iterator<Item = (&[Datum<'a>], u64)>,
        arena: &'a RowArena,
    ) -> Datum<'a> {
        let mut least_error = None;
        let mut group = Vec::new();
        for (datums, n) in rows.filter(|(_, n)| *n > 0) {
            match self.input(datums, arena) {
                AggregateInput::Skipped => {}
                AggregateInput::Failed(error) => {
                    least_error =
                        Some(least_error.map_or(error, |least: ErrorRef<'a>| least.min(error)));
                }
                AggregateInput::Args(args) => {
                    let mut sort_key = Vec::new();
                    self.sort_key(&mut sort_key, datums, &args, arena);
                    group.push((sort_key, Row::pack(args.iter().copied()), args, n));
                }
            }
        }
        if let Some(error) = least_error {
            return Datum::Error(error);
        }
        group.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        if self.distinct {
            keep_distinct(&mut group);
        }
        self.eval_group(
            &mut group.into_iter().map(|(_, _, args, n)| (args, n)),
            arena,
        )
    }
}

/// Of rows with equal arguments keeps the one of the least identity, once.
fn keep_distinct(group: &mut Vec<(Vec<u8>, Row, Vec<Datum<'_>>, u64)>) {
    let mut least = std::collections::BTreeMap::new();
    for (_, identity, args, _) in group.iter() {
        let args_key = key::encode(args.iter().copied());
        let kept = least.entry(args_key).or_insert_with(|| identity.clone());
        if identity < kept {
            *kept = identity.clone();
        }
    }
    group.retain_mut(|(_, identity, args, n)| {
        *n = 1;
        let args_key = key::encode(args.iter().copied());
        // Taken out once met, so that repetitions of the same row go.
        match least.get(&args_key) {
            Some(kept) if kept == identity => least.remove(&args_key).is_some(),
            _ => false,
        }
    });
}

fn first_error<'a>(args: &[Datum<'a>]) -> Option<ErrorRef<'a>> {
    args.iter().find_map(|d| match d {
        Datum::Error(error) => Some(*error),
        _ => None,
    })
}

/// The least or greatest value that is not NULL; of equal ones the least identity.
pub(crate) fn extremum<'a>(
    values: impl Iterator<Item = Datum<'a>>,
    max: bool,
) -> Option<Datum<'a>> {
    let mut best: Option<(Vec<u8>, Datum<'a>)> = None;
    for value in values.filter(|v| !v.is_null()) {
        let mut sort_key = Vec::new();
        key::push_ordered(&mut sort_key, value, max, true);
        let better = best.as_ref().is_none_or(|(best_key, best)| {
            sort_key
                .cmp(best_key)
                .then_with(|| Row::pack([value]).cmp(&Row::pack([*best])))
                .is_lt()
        });
        if better {
            best = Some((sort_key, value));
        }
    }
    best.map(|(_, value)| value)
}

fn to_datum<'a>(result: Result<Option<Datum<'a>>, EvalError>, arena: &'a RowArena) -> Datum<'a> {
    match result {
        Ok(value) => value.unwrap_or(Datum::Null),
        Err(error) => arena.error(&error),
    }
}
