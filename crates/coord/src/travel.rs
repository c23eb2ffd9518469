//! Reading the past: what memory still shows, and what is derived from the log.
//!
//! Memory shows the recent past (`Options::history`). Any older time, and any relation that was defined otherwise then, is
//! derived: views are inlined down to their tables, and a dataflow reads these from the log by its index
//! ([`crate::history`]). All who read the past at one time share that index; it goes with the last of them.
//!
//! **Invariant.** What is derived as of t is a function of the log up to t, definitions included.

use crate::clock;
use crate::coordinator::Shared;
use crate::error::Error;
use crate::history::{Cost, History};
use crate::outcome::ClientNotice;
use crate::planning::QueryContext;
use crate::read::{Interrupt, usable};
use crate::verify::aside;
use everview_catalog::catalog::Change;
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_dataflow::DataflowDesc;
use everview_expr::RelExpr;
use everview_optimize::physical::DataflowPlan;
use everview_repr::text::{Formatting, format_with};
use everview_repr::{Datum, GlobalId, RelationDesc, ScalarType, SqlState, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A query over what the log holds.
pub(crate) struct Derivation {
    pub plan: DataflowPlan,
    pub history: Arc<History>,
    /// What it reads.
    pub cost: Cost,
}

impl Derivation {
    /// Plans a query over the tables of a context's catalog as the log has them.
    ///
    /// Errors: 22023 for a time before the log began.
    pub fn new(
        context: &QueryContext<'_>,
        history: Arc<History>,
        expr: RelExpr,
        desc: RelationDesc,
        (as_of, up_to): (Timestamp, Timestamp),
    ) -> Result<Derivation, Error> {
        check_begun(&history, as_of, context.shared.now())?;
        let plan = context.over_tables(expr, desc)?;
        let tables = plan.sources.keys().copied().collect();
        let cost = history.cost(&tables, up_to);
        Ok(Derivation {
            plan,
            history,
            cost,
        })
    }

    /// Starts its dataflow.
    pub fn install(self, shared: &Shared, desc: impl FnOnce(DataflowPlan) -> DataflowDesc) {
        shared.compute.install_over(desc(self.plan), self.history);
    }

    /// Says what it costs.
    pub fn notice(&self, as_of: Timestamp) -> ClientNotice {
        let (cost, log) = (self.cost, self.history.size());
        ClientNotice {
            severity: "NOTICE",
            code: SqlState::SUCCESSFUL_COMPLETION,
            message: format!(
                "AS OF {} is derived from the log: {} and {} bytes of it are read",
                shown(as_of),
                counted(cost.commits, "commit"),
                cost.bytes
            ),
            detail: Some(format!(
                "They are found by an index of the whole log, {} and {} bytes, which readers of the past share.",
                counted(log.commits, "commit"),
                log.bytes
            )),
        }
    }
}

fn counted(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// The log's index: the one that others use, or one that is made now, which takes as long as reading the log does.
pub(crate) async fn history(
    shared: &Arc<Shared>,
    interrupt: &impl Interrupt,
) -> Result<Arc<History>, Error> {
    let past = &shared.tables.past;
    let _reading = interrupt.guard(past.reading.clone().lock_owned()).await?;
    if let Some(history) = past.history() {
        return Ok(history);
    }
    let history = Arc::new(History::of(shared.log.reader()));
    let up_to = past.follow(&history);
    let read = history.clone();
    aside(interrupt, move |stop| read.read(up_to, stop)).await?;
    Ok(history)
}

/// The oldest time that memory shows of whatever was there then.
pub(crate) fn oldest(shared: &Shared) -> Timestamp {
    let kept = Timestamp(shared.now().0.saturating_sub(shared.options.history));
    kept.max(shared.tables.store().since())
}

/// Whether memory shows relations of the committed catalog as of a time.
///
/// Errors: 55000 for a view that is not maintained, with the reason.
pub(crate) fn in_memory(
    shared: &Shared,
    catalog: &Catalog,
    reads: &BTreeSet<GlobalId>,
    as_of: Timestamp,
) -> Result<bool, Error> {
    let mut shown = as_of >= oldest(shared);
    let mut pending: Vec<GlobalId> = reads.iter().copied().collect();
    while let Some(id) = pending.pop() {
        let Some(object) = catalog.get(id) else {
            continue;
        };
        match &object.kind {
            ObjectKind::View(view) => pending.extend(view.depends_on.iter().copied()),
            ObjectKind::MaterializedView(_) => {
                shared.index_reader(id)?;
                shown &= usable(shared, catalog, id, as_of).is_some();
            }
            _ => {}
        }
    }
    Ok(shown)
}

/// Relations, and all that they are made of.
fn closure(catalog: &Catalog, reads: &BTreeSet<GlobalId>) -> BTreeSet<GlobalId> {
    let mut seen = BTreeSet::new();
    let mut pending: Vec<GlobalId> = reads.iter().copied().collect();
    while let Some(id) = pending.pop() {
        if seen.insert(id)
            && let Some(object) = catalog.get(id)
            && !matches!(object.kind, ObjectKind::Table(_))
        {
            pending.extend(object.depends_on());
        }
    }
    seen
}

/// The catalog without what constraints say of the rows of these relations: what it says now need not have been so when
/// older rows were there, nor for rows to come.
pub(crate) fn loosened(catalog: &Catalog, reads: &BTreeSet<GlobalId>) -> Catalog {
    let mut changes = Vec::new();
    for old in closure(catalog, reads)
        .into_iter()
        .filter_map(|id| catalog.get(id))
    {
        let mut new = Object::clone(old);
        match &mut new.kind {
            ObjectKind::Table(table) => {
                table.constraints.clear();
                table.columns.iter_mut().for_each(|c| c.ty.nullable = true);
            }
            ObjectKind::View(view) | ObjectKind::MaterializedView(view) => {
                view.desc.keys.clear();
                view.desc
                    .columns
                    .iter_mut()
                    .for_each(|c| c.ty.nullable = true);
            }
            _ => continue,
        }
        changes.push(Change {
            old: Some(old.clone()),
            new: Some(Arc::new(new)),
        });
    }
    catalog.apply(&changes)
}

/// Whether relations, and all that they are made of, are in two catalogs the same.
pub(crate) fn same(a: &Catalog, b: &Catalog, reads: &BTreeSet<GlobalId>) -> bool {
    for id in closure(a, reads) {
        let (Some(then), Some(now)) = (a.get(id), b.get(id)) else {
            return false;
        };
        let as_now = |o: &Object| (o.schema, o.name.clone()) == (now.schema, now.name.clone());
        if !Arc::ptr_eq(then, now) && (then.kind != now.kind || !as_now(then)) {
            return false;
        }
    }
    true
}

/// 22023 for a time before the log began.
pub(crate) fn check_begun(history: &History, at: Timestamp, now: Timestamp) -> Result<(), Error> {
    match history.beginning() {
        Some(first) if at >= first => Ok(()),
        first => {
            let first = first.unwrap_or(now);
            let message = format!("AS OF {at} is before the log began, at {}", shown(first));
            Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message).with_hint(range(first, now)))
        }
    }
}

/// 22023 for a time after the newest commit.
pub(crate) fn in_the_future(at: Timestamp, now: Timestamp) -> Error {
    let message = format!("AS OF {at} is in the future: the newest timestamp is {now}");
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
        .with_hint(format!("Times up to {} can be read.", shown(now)))
}

fn range(first: Timestamp, now: Timestamp) -> String {
    format!("Times from {} to {} can be read.", shown(first), shown(now))
}

/// A timestamp with the time of day that it stands for.
pub(crate) fn shown(at: Timestamp) -> String {
    let mut text = String::new();
    let value = Datum::TimestampTz(clock::to_timestamptz(at.0));
    format_with(
        &ScalarType::TimestampTz,
        value,
        &Formatting::default(),
        &mut text,
    );
    format!("{at} ({text})")
}
