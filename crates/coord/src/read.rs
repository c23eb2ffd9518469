//! The read path: a query's rows at one timestamp.
//!
//! A query is compiled once (`QueryContext::compile`): to constant rows, to ways of reading one relation by its
//! indexes, and to a dataflow for everything else. Reading takes the first that serves: indexes on this thread,
//! asking neither the sequencer nor a worker; else a short-lived dataflow. All give the rows as of one acknowledged
//! timestamp.
//!
//! * `access`: which index, and which of its keys; `span`: the keys with their values; `walk`: reading them.
//! * `scan`: some rows of a table; `finish`: the outermost ORDER BY, LIMIT and OFFSET.

use crate::commits;
use crate::coordinator::Shared;
use crate::error::Error;
use crate::planning::settle::{self, Settle};
use crate::planning::{Optimized, QueryContext, base_tables};
use crate::transaction::TableWrites;
use crate::travel::Derivation;
use access::Access;
use everview_catalog::Catalog;
use everview_dataflow::{DataflowDesc, Direction, Export, ReadError, TableReader};
use everview_expr::{Id, RelExpr};
use everview_optimize::lowering::{self, Indexes};
use everview_optimize::physical::{DataflowPlan, Plan};
use everview_repr::{
    ColumnType, Diff, GlobalId, Packer, RelationDesc, Row, RowArena, SqlState, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) mod access;
pub(crate) mod finish;
mod scan;
mod span;
mod walk;

pub(crate) use finish::Finish;
pub use scan::RowStream;
pub(crate) use walk::usable;

/// What a read depends on: for conflict checks at COMMIT.
#[derive(Debug)]
pub(crate) enum Served {
    /// Nothing stored.
    Constant,
    /// These keys of one table's unique constraint.
    Keys(GlobalId, Vec<Vec<u8>>),
    /// Any row of the tables behind the query.
    Tables,
}

/// A query's rows with multiplicities, none zero or negative, in no order. Values may be errors.
#[derive(Debug)]
pub(crate) struct Answer {
    pub rows: Vec<(Row, Diff)>,
    pub served: Served,
}

/// A query, ready to be read at any time for which its indexes are there.
#[derive(Debug)]
pub(crate) struct Query {
    /// The tables that it reads in the end.
    pub tables: BTreeSet<GlobalId>,
    /// Ways to read its one relation, the most selective first.
    pub accesses: Vec<Access>,
    /// Types of the one relation's columns.
    types: Vec<ColumnType>,
    plan: DataflowPlan,
    /// Parameters, or functions that ask the session, are still to be put in.
    open: bool,
    /// It holds nothing of the transaction, session or moment in which it was compiled.
    pub reusable: bool,
}

impl Query {
    /// Whether it reads the log, of which an index must be at hand.
    pub fn reads_log(&self) -> bool {
        self.plan.sources.keys().any(|id| commits::is(*id))
    }

    /// The scan that it is, if it is one of a table and there is nothing left to put in.
    pub fn scan(&self) -> Option<scan::Scan> {
        scan::of(&self.plan).filter(|_| !self.open)
    }

    /// Whether a transaction has written what it reads.
    pub fn reads_any_of(&self, writes: &BTreeMap<GlobalId, TableWrites>) -> bool {
        writes
            .iter()
            .any(|(id, w)| !w.is_empty() && self.tables.contains(id))
    }

    /// Whether all indexes that it may read in a dataflow show a time.
    pub fn shows(&self, shared: &Shared, catalog: &Catalog, as_of: Timestamp) -> bool {
        let mut imports = self.plan.imports.iter();
        imports.all(|(relation, indexes)| {
            let mut ids = indexes.iter().map(|(id, _)| id);
            ids.all(|id| id == relation || usable(shared, catalog, *id, as_of).is_some())
        })
    }

    /// How it would be read at a time, as EXPLAIN shows it.
    pub fn explain(
        &self,
        context: &QueryContext<'_>,
        as_of: Timestamp,
        finish: &Finish<'_>,
        names: &dyn Fn(GlobalId) -> String,
    ) -> String {
        let plan = everview_optimize::explain::physical(&self.plan, &names);
        let readable =
            |a: &&Access| walk::open(context.shared, context.catalog, a, as_of).is_some();
        let Some(access) = self.accesses.iter().find(readable) else {
            return plan;
        };
        let mut text = access::describe(access, names);
        if let (Some(_), Some(direction)) =
            (finish.limit, access.serves(finish.order_by, &self.types))
        {
            let direction = match direction {
                Direction::Forward => "forward",
                Direction::Backward => "backward",
            };
            text += &format!(", {direction} until the limit");
        }
        let get = plan.lines().next().unwrap_or_default();
        format!("{text}\n  {get}\n")
    }
}

/// How a read ends early.
pub(crate) trait Interrupt {
    /// Waits for a future unless the session is cancelled or runs out of time.
    fn guard<T>(
        &self,
        future: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Result<T, Error>> + Send;
}

impl QueryContext<'_> {
    /// Compiles a query. Parameters and the session are left open unless something of this moment is in it anyway.
    ///
    /// Indexes that do not show `as_of` are left out, and then it is not reusable.
    pub fn compile(&self, expr: RelExpr, as_of: Timestamp) -> Result<Query, Error> {
        let columns = expr.ty().columns.into_iter();
        let desc = RelationDesc::new(columns.map(|ty| ("?column?".to_string(), ty)));
        let (mut expr, own) = self.resolve(expr)?;
        if own {
            Settle::new(self.params, self.environment).relation(&mut expr);
        }
        let Optimized { expr, reads } = self.optimize_resolved(expr)?;
        let (indexes, all) = self.readable(&expr, as_of);
        let mut plan = self.physical_over(&expr, desc, &indexes)?;
        let (mut accesses, mut types) = (Vec::new(), Vec::new());
        if let Plan::Get {
            id: Id::Global(id),
            mfp,
        } = &plan.plan
            && let Some(desc) = self.catalog.get(*id).and_then(|o| o.desc())
        {
            let table = self.shared.tables.get(*id);
            let unique = table.as_ref().map_or(&[][..], |t| t.unique.as_slice());
            let arranged = indexes.get(id).map_or(&[][..], Vec::as_slice);
            accesses = access::choose(*id, &desc, unique, arranged, mfp);
            types = desc.types();
        }
        Ok(Query {
            tables: reads
                .iter()
                .flat_map(|id| base_tables(self.catalog, *id))
                .collect(),
            accesses,
            types,
            open: !own && settle::is_open(&mut plan.plan),
            plan,
            reusable: !own && all,
        })
    }

    /// The indexes of what a query reads, without those that do not show a time; and whether those are all.
    fn readable(&self, expr: &RelExpr, as_of: Timestamp) -> (Indexes, bool) {
        let mut all = true;
        let mut indexes = Indexes::new();
        for relation in lowering::global_reads(expr) {
            let available = self.state.indexes.get(&relation).into_iter().flatten();
            let usable = available.filter(|(id, _)| {
                let usable =
                    *id == relation || usable(self.shared, self.catalog, *id, as_of).is_some();
                all &= usable;
                usable
            });
            let usable: Vec<_> = usable.cloned().collect();
            if !usable.is_empty() {
                indexes.insert(relation, usable);
            }
        }
        (indexes, all)
    }

    /// The rows of a query over a table that a transaction has written, if it asks for whole unique keys: the rest of
    /// the table is not looked at, so that what others write there is no conflict.
    pub fn read_own(
        &self,
        query: &Query,
        writes: &BTreeMap<GlobalId, TableWrites>,
        as_of: Timestamp,
    ) -> Result<Option<Answer>, Error> {
        let settle = Settle::new(self.params, self.environment);
        for access in &query.accesses {
            let Some(own) = writes.get(&access.relation) else {
                continue;
            };
            let mut access = access.clone();
            access.for_each_scalar(&mut |e| settle.one(e));
            if let Some((rows, served)) = access.find(self.shared, as_of, Some(own))? {
                return Ok(Some(Answer { rows, served }));
            }
        }
        Ok(None)
    }

    /// Reads a query as of a timestamp. `finish` is what will be asked of the answer: no more is read than it needs.
    pub async fn read(
        &self,
        query: &Query,
        as_of: Timestamp,
        finish: Option<&Finish<'_>>,
        interrupt: &impl Interrupt,
    ) -> Result<Answer, Error> {
        let settle = query
            .open
            .then(|| Settle::new(self.params, self.environment));
        for access in &query.accesses {
            let Some(source) = walk::open(self.shared, self.catalog, access, as_of) else {
                continue;
            };
            let settled = settle.as_ref().map(|settle| {
                let mut access = access.clone();
                access.for_each_scalar(&mut |e| settle.one(e));
                access
            });
            let access = settled.as_ref().unwrap_or(access);
            let finish = finish.map(|finish| (finish, query.types.as_slice()));
            let found = access
                .read(self.shared, source, as_of, finish, interrupt)
                .await?;
            if let Some((rows, served)) = found {
                return Ok(Answer { rows, served });
            }
        }
        let mut plan = query.plan.clone();
        if let Some(settle) = &settle {
            settle.plan(&mut plan.plan);
        }
        if let Some(rows) = constant(&plan.plan) {
            let (rows, served) = (rows?, Served::Constant);
            return Ok(Answer { rows, served });
        }
        if query.reads_log()
            && let (Some(finish), Some(history)) = (finish, self.shared.tables.past.history())
            && let Some(rows) = commits::newest(&history, &plan.plan, as_of, finish)
        {
            let (rows, served) = (rows?, Served::Constant);
            return Ok(Answer { rows, served });
        }
        if let Some((scan, rows)) = finish.and_then(|finish| scan::limited(&plan, finish)) {
            let tables = self.shared.tables.clone();
            let rows = scan.read(tables, as_of, rows, interrupt).await?;
            let served = Served::Tables;
            return Ok(Answer { rows, served });
        }
        // One that is suspended says why, before a worker misses it.
        for (index, _) in plan.imports.values().flatten() {
            self.shared.index_reader(*index)?;
        }
        let rows = run(self.shared, plan, as_of, interrupt).await?;
        let served = Served::Tables;
        Ok(Answer { rows, served })
    }
}

/// The rows of a plan that reads nothing and needs no dataflow.
fn constant(plan: &Plan) -> Option<Result<Vec<(Row, Diff)>, Error>> {
    match plan {
        Plan::Constant { rows } => Some(rows.clone().map_err(Error::from)),
        Plan::Mfp { input, mfp } => {
            let rows = match constant(input)? {
                Ok(rows) => rows,
                Err(error) => return Some(Err(error)),
            };
            let arena = RowArena::new();
            let mut packer = Packer::default();
            let mut out = Vec::with_capacity(rows.len());
            for (row, diff) in &rows {
                match mfp.evaluate(&mut row.unpack(), &arena, &mut packer) {
                    Ok(row) => out.extend(row.map(|row| (row, *diff))),
                    Err(error) => return Some(Err(error.into())),
                }
            }
            Some(Ok(out))
        }
        Plan::Union {
            inputs,
            consolidate: false,
        } => {
            let parts: Option<Vec<_>> = inputs.iter().map(constant).collect();
            let parts: Result<Vec<_>, _> = parts?.into_iter().collect();
            Some(parts.map(|parts| parts.into_iter().flatten().collect()))
        }
        _ => None,
    }
}

/// The rows of a query that is derived from the log.
pub(crate) async fn derive(
    shared: &Shared,
    derivation: Derivation,
    as_of: Timestamp,
    interrupt: &impl Interrupt,
) -> Result<Vec<(Row, Diff)>, Error> {
    let Derivation { plan, history, .. } = derivation;
    run_over(shared, plan, Some(history), as_of, interrupt).await
}

/// The rows of a short-lived dataflow.
async fn run(
    shared: &Shared,
    plan: DataflowPlan,
    as_of: Timestamp,
    interrupt: &impl Interrupt,
) -> Result<Vec<(Row, Diff)>, Error> {
    run_over(shared, plan, None, as_of, interrupt).await
}

async fn run_over(
    shared: &Shared,
    plan: DataflowPlan,
    tables: Option<Arc<dyn TableReader>>,
    as_of: Timestamp,
    interrupt: &impl Interrupt,
) -> Result<Vec<(Row, Diff)>, Error> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let id = shared.next_dataflow();
    let desc = DataflowDesc {
        id,
        name: format!("query {}", id.0),
        plan,
        as_of,
        until: Some(as_of.next()),
        export: Export::Peek(sender),
    };
    match tables {
        Some(tables) => shared.compute.install_over(desc, tables),
        None => shared.compute.install(desc),
    }
    let dropped = DropDataflow { shared, id };
    let result = interrupt.guard(receiver).await;
    drop(dropped);
    let found = result?.map_err(|_| Error::shutting_down())??;
    Ok(found.sum()?)
}

/// Ends a dataflow when it is not waited for any more.
pub(crate) struct DropDataflow<'s> {
    pub shared: &'s Shared,
    pub id: everview_dataflow::DataflowId,
}

impl Drop for DropDataflow<'_> {
    fn drop(&mut self) {
        self.shared.compute.drop_dataflow(self.id);
    }
}

/// Why an index gave no answer.
fn unreadable(error: ReadError) -> Error {
    let message = match error {
        ReadError::Dropped => "the relation was dropped or suspended while it was read".to_string(),
        other => other.to_string(),
    };
    Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}
