//! The read path: a query's rows at one timestamp.
//!
//! Three ways, the first that serves: constants; one look-up by a key that a table or an arrangement has, on this
//! thread; a short-lived dataflow. All give the rows as of one acknowledged timestamp.

use crate::coordinator::Shared;
use crate::error::Error;
use crate::planning::{Optimized, QueryContext};
use crate::table::StoredTable;
use everview_dataflow::{DataflowDesc, Export};
use everview_expr::{Id, MapFilterProject, RelExpr, ScalarExpr, registry};
use everview_optimize::physical::Plan;
use everview_repr::{
    ColumnOrder, Datum, Diff, GlobalId, Packer, RelationDesc, Row, RowArena, ScalarType, SqlState,
    Timestamp, key,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most bytes of a result that is held for a client.
pub(crate) const MOST_RESULT_BYTES: usize = 1 << 30;

/// What a read depends on: for conflict checks at COMMIT.
#[derive(Debug)]
pub(crate) enum Served {
    /// Nothing stored.
    Constant,
    /// These keys of one table's unique constraint.
    Keys(GlobalId, Vec<Vec<u8>>),
    /// All of these relations.
    Relations(BTreeSet<GlobalId>),
}

/// A query's rows with multiplicities, none zero or negative, in no order.
#[derive(Debug)]
pub(crate) struct Answer {
    pub rows: Vec<(Row, Diff)>,
    pub served: Served,
}

/// How a read ends early.
pub(crate) trait Interrupt {
    /// Waits for a future unless the session is cancelled or runs out of time.
    fn guard<T>(
        &self,
        future: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Result<T, Error>> + Send;
}

/// Reads a query as of a timestamp.
pub(crate) async fn read(
    context: &QueryContext<'_>,
    expr: RelExpr,
    desc: &RelationDesc,
    as_of: Timestamp,
    interrupt: &impl Interrupt,
) -> Result<Answer, Error> {
    let Optimized { expr, reads } = context.optimize(expr)?;
    if let RelExpr::Constant { rows, .. } = &expr {
        let rows = rows.clone().map_err(Error::from)?;
        return checked(Answer {
            rows,
            served: Served::Constant,
        });
    }
    let plan = context.physical(&expr, desc.clone())?;
    if let Plan::Get {
        id: Id::Global(id),
        mfp,
    } = &plan.plan
        && let Some(lookup) = find_lookup(context.shared, *id, mfp)
    {
        return checked(lookup.answer(context.shared, as_of)?);
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let id = context.shared.next_dataflow();
    let name = format!("query {}", id.0);
    let until = Some(as_of.next());
    let export = Export::Peek(sender);
    context.shared.compute.install(DataflowDesc {
        id,
        name,
        plan,
        as_of,
        until,
        export,
    });
    let dropped = DropDataflow {
        shared: context.shared,
        id,
    };
    let result = interrupt.guard(receiver).await;
    drop(dropped);
    let rows = result?
        .map_err(|_| Error::shutting_down())?
        .map_err(Error::from)?;
    checked(Answer {
        rows,
        served: Served::Relations(reads),
    })
}

struct DropDataflow<'s> {
    shared: &'s Shared,
    id: everview_dataflow::DataflowId,
}

impl Drop for DropDataflow<'_> {
    fn drop(&mut self) {
        self.shared.compute.drop_dataflow(self.id);
    }
}

/// An error value in a row fails the read; the least one, so that every run fails alike.
fn checked(answer: Answer) -> Result<Answer, Error> {
    let errors = answer
        .rows
        .iter()
        .flat_map(|(row, _)| row.iter())
        .filter_map(|d| match d {
            Datum::Error(error) => Some(error),
            _ => None,
        });
    match errors.min() {
        Some(error) => Err(error.to_error().into()),
        None => Ok(answer),
    }
}

/// A read by a whole unique key of a table.
struct Lookup<'m> {
    table: Arc<StoredTable>,
    unique: usize,
    key: Vec<u8>,
    mfp: &'m MapFilterProject,
}

/// The look-up that answers a filtered read of a table, if its predicates fix a unique key.
fn find_lookup<'m>(shared: &Shared, id: GlobalId, mfp: &'m MapFilterProject) -> Option<Lookup<'m>> {
    let table = shared.tables.get(id)?;
    let mut fixed = BTreeMap::new();
    for (column, datum) in fixed_columns(mfp) {
        let ty = &table.desc.columns.get(column)?.ty.scalar;
        fixed.extend(as_stored(ty, datum).map(|datum| (column, datum)));
    }
    let unique = table
        .unique
        .iter()
        .position(|u| u.columns.iter().all(|c| fixed.contains_key(c)))?;
    let datums = table.unique[unique].columns.iter().map(|c| fixed[c]);
    let key = key::encode(datums).0;
    Some(Lookup {
        table,
        unique,
        key,
        mfp,
    })
}

/// A literal as a value of the column's own type, whose keys are its own; `None` where it has no equal there or its
/// type differs, as a comparison across types allows: then the filter finds the rows.
fn as_stored<'d>(ty: &ScalarType, datum: Datum<'d>) -> Option<Datum<'d>> {
    use ScalarType as T;
    let integer = match datum {
        Datum::Int16(v) => Some(i64::from(v)),
        Datum::Int32(v) => Some(i64::from(v)),
        Datum::Int64(v) => Some(v),
        _ => None,
    };
    match (ty, integer) {
        (T::Int16, Some(v)) => return i16::try_from(v).ok().map(Datum::Int16),
        (T::Int32, Some(v)) => return i32::try_from(v).ok().map(Datum::Int32),
        (T::Int64, Some(v)) => return Some(Datum::Int64(v)),
        _ => {}
    }
    let same = matches!(
        (ty, &datum),
        (T::Bool, Datum::Bool(_))
            | (T::Float32, Datum::Float32(_))
            | (T::Float64, Datum::Float64(_))
            | (T::Numeric, Datum::Numeric(_))
            | (
                T::Text | T::Varchar | T::Name | T::InternalChar,
                Datum::Text(_)
            )
            | (T::BpChar, Datum::BpChar(_))
            | (T::Bytea, Datum::Bytea(_))
            | (T::Date, Datum::Date(_))
            | (T::Time, Datum::Time(_))
            | (T::Timestamp, Datum::Timestamp(_))
            | (T::TimestampTz, Datum::TimestampTz(_))
            | (T::Interval, Datum::Interval(_))
            | (T::Uuid, Datum::Uuid(_))
            | (T::Oid, Datum::Oid(_))
    );
    same.then_some(datum)
}

/// Input columns that a conjunct equates with a literal that is not NULL.
fn fixed_columns(mfp: &MapFilterProject) -> BTreeMap<usize, Datum<'_>> {
    let mut fixed = BTreeMap::new();
    for (_, predicate) in &mfp.predicates {
        if let ScalarExpr::Call { func, args, .. } = predicate
            && registry::get(*func).name == "="
            && let [a, b] = args.as_slice()
        {
            let (column, literal) = match (a, b) {
                (ScalarExpr::Column(c), e) | (e, ScalarExpr::Column(c)) => (*c, e.as_literal()),
                _ => continue,
            };
            if let Some(datum) = literal
                && !matches!(datum, Datum::Null | Datum::Error(_))
                && column < mfp.input_arity
            {
                fixed.insert(column, datum);
            }
        }
    }
    fixed
}

impl Lookup<'_> {
    fn answer(self, shared: &Shared, as_of: Timestamp) -> Result<Answer, Error> {
        let unique = &self.table.unique[self.unique];
        let found = shared.tables.find(&self.table, unique, &self.key, as_of)?;
        let mut rows = Vec::new();
        if let Some(row) = &found {
            let arena = RowArena::new();
            let mut packer = Packer::default();
            let mut datums = row.unpack();
            if let Some(row) = self.mfp.evaluate(&mut datums, &arena, &mut packer)? {
                rows.push((row, 1));
            }
        }
        Ok(Answer {
            rows,
            served: Served::Keys(unique.constraint, vec![self.key]),
        })
    }
}

/// Sorts, cuts and projects a result: what the outermost ORDER BY, LIMIT and OFFSET ask.
pub(crate) fn finish(
    rows: Vec<(Row, Diff)>,
    order_by: &[ColumnOrder],
    limit: Option<u64>,
    offset: u64,
    project: &[usize],
) -> Result<Vec<Row>, Error> {
    let mut sorted: Vec<(Vec<u8>, Row, u64)> = rows
        .into_iter()
        .map(|(row, diff)| {
            let mut sort_key = Vec::new();
            if !order_by.is_empty() {
                key::push_order_by(&mut sort_key, &row.unpack(), order_by);
            }
            (sort_key, row, diff.unsigned_abs())
        })
        .collect();
    // Ties by identity, so that the same rows come in the same order every time.
    sorted.sort_unstable();
    let identity = sorted
        .first()
        .is_none_or(|(_, row, _)| project.iter().copied().eq(0..row.iter().count()));
    let mut out = Vec::new();
    let (mut skip, mut left) = (offset, limit.unwrap_or(u64::MAX));
    let mut bytes = 0usize;
    for (_, row, count) in sorted {
        let skipped = skip.min(count);
        skip -= skipped;
        let taken = (count - skipped).min(left);
        left -= taken;
        if taken == 0 {
            continue;
        }
        let row = if identity {
            row
        } else {
            let datums = row.unpack();
            Row::pack(project.iter().map(|c| datums[*c]))
        };
        bytes += usize::try_from(taken)
            .unwrap_or(usize::MAX)
            .saturating_mul(row.bytes().len() + 16);
        if bytes > MOST_RESULT_BYTES {
            return Err(too_large());
        }
        for _ in 1..taken {
            out.push(row.clone());
        }
        out.push(row);
    }
    Ok(out)
}

fn too_large() -> Error {
    let message = format!("the result is larger than {} MiB", MOST_RESULT_BYTES >> 20);
    Error::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
        .with_hint("Ask for fewer rows with LIMIT or a filter, or use COPY ... TO STDOUT.")
}
