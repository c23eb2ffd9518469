//! A query's changes from any time of the log on: what SUBSCRIBE, sinks and `everview.changes` all follow.
//!
//! Where memory shows the time, the dataflow reads what is arranged there; else it is derived from the log, and follows
//! the commits from there like any other; once it is near the present, it goes on in memory where that is possible, so
//! that nothing is maintained twice for long. Either way no commit is skipped and none repeated.

use crate::coordinator::Shared;
use crate::error::Error;
use crate::outcome::ClientNotice;
use crate::planning::{QueryContext, Settle};
use crate::read::Interrupt;
use crate::subscribe::{Bounds, Subscription};
use crate::travel::{self, Derivation};
use everview_catalog::Catalog;
use everview_dataflow::{DataflowDesc, DataflowId, Export, SubscribeReceiver};
use everview_expr::RelExpr;
use everview_optimize::physical::DataflowPlan;
use everview_repr::{GlobalId, RelationDesc, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// A query whose changes are wanted.
#[derive(Clone)]
pub(crate) struct Feed {
    /// Over relations of the context's catalog.
    pub expr: RelExpr,
    /// Its columns.
    pub desc: RelationDesc,
    /// The relations that it names.
    pub reads: BTreeSet<GlobalId>,
}

/// Starts to follow a query's changes; with what there is to be told about it.
///
/// Errors: 22023 for a time before the log began; 55000 for a view that is not maintained.
pub(crate) async fn follow(
    shared: &Arc<Shared>,
    context: &QueryContext<'_>,
    feed: Feed,
    bounds: Bounds,
    interrupt: &impl Interrupt,
) -> Result<(Subscription, Option<ClientNotice>), Error> {
    let Feed { expr, desc, reads } = feed;
    let as_of = bounds.as_of;
    let id = shared.next_dataflow();
    let (sink, receiver) = everview_dataflow::subscription(as_of);
    let dataflow = |plan: DataflowPlan| DataflowDesc {
        id,
        name: format!("subscribe {}", id.0),
        plan,
        as_of,
        until: bounds.up_to,
        export: Export::Subscribe(sink),
    };
    let current = context.catalog.is(&context.state.catalog);
    if current && travel::in_memory(shared, context.catalog, &reads, as_of)? {
        let optimized = context.optimize(expr)?;
        let plan = context.physical(&optimized.expr, desc.clone())?;
        shared.compute.install(dataflow(plan));
        let subscription = Subscription::new(shared.clone(), id, receiver, &desc, bounds);
        return Ok((subscription, None));
    }
    let history = travel::history(shared, interrupt).await?;
    let up_to = bounds.up_to.map_or(shared.now(), |up_to| up_to.previous());
    let mut settled = expr.clone();
    Settle::new(context.params, context.environment).relation(&mut settled);
    let derivation = Derivation::new(context, history, expr, desc.clone(), (as_of, up_to))?;
    let notice = derivation.notice(as_of);
    derivation.install(shared, dataflow);
    let mut subscription = Subscription::new(shared.clone(), id, receiver, &desc, bounds);
    let feed = Feed {
        expr: settled,
        desc,
        reads,
    };
    subscription.follow_in_memory(Remembered {
        feed,
        catalog: context.catalog.clone(),
    });
    Ok((subscription, Some(notice)))
}

/// How a query that is derived from the log may go on in memory.
pub(crate) struct Remembered {
    feed: Feed,
    /// The definitions by which it is derived.
    catalog: Catalog,
}

impl Remembered {
    /// The same query in memory from a time on, if memory shows that time and will for a while, and nothing that the query
    /// reads is defined otherwise by now.
    pub fn from(
        &self,
        shared: &Shared,
        at: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Option<(DataflowId, SubscribeReceiver)>, Error> {
        // Half of what is kept is time enough for the workers to get there.
        let near = shared.now().0.saturating_sub(shared.options.history / 2);
        if at.0 < near || at <= travel::oldest(shared) {
            return Ok(None);
        }
        let state = shared.catalog();
        let Feed { expr, desc, reads } = &self.feed;
        if !travel::same(&self.catalog, &state.catalog, reads)
            || !travel::in_memory(shared, &state.catalog, reads, at)?
        {
            return Ok(None);
        }
        let context = QueryContext {
            shared,
            state: &state,
            catalog: &state.catalog,
            transaction: None,
            environment: None,
            params: None,
        };
        let optimized = context.optimize(expr.clone())?;
        let plan = context.physical(&optimized.expr, desc.clone())?;
        let id = shared.next_dataflow();
        let (sink, receiver) = everview_dataflow::subscription(at);
        shared.compute.install(DataflowDesc {
            id,
            name: format!("subscribe {}", id.0),
            plan,
            as_of: at,
            until,
            export: Export::Subscribe(sink),
        });
        Ok(Some((id, receiver)))
    }
}
