//! SUBSCRIBE: starts a dataflow whose changes a reader takes.

use super::Session;
use super::run::Params;
use crate::changefeed::{self, Feed};
use crate::error::Error;
use crate::planning::QueryContext;
use crate::subscribe::{Bounds, Subscription};
use crate::transaction::Transaction;
use everview_sql::plan::SubscribePlan;
use std::sync::Arc;

impl Session {
    pub(super) async fn subscribe(
        &mut self,
        plan: SubscribePlan,
        params: Params<'_>,
    ) -> Result<Subscription, Error> {
        let state = Arc::clone(&self.shared.catalog());
        let begun = plan.as_of.is_some() || plan.reader.is_some();
        let past = self.past.clone().filter(|_| begun);
        let (as_of, catalog) = match &past {
            None => (self.transaction()?.snapshot, &state.catalog),
            Some(past) => (past.as_of, &past.catalog),
        };
        let up_to = plan.up_to.as_ref();
        let up_to = up_to.map(|expr| self.time(expr, params)).transpose()?;
        let bounds = Bounds {
            as_of,
            up_to,
            // Who has acknowledged has the snapshot.
            snapshot: plan.snapshot && (plan.reader.is_none() || past.is_none()),
            progress: plan.progress,
        };
        let transaction = self.transaction.as_ref();
        if transaction.is_some_and(Transaction::has_writes) {
            return Err(Error::unsupported(
                "SUBSCRIBE in a transaction that has written",
            ));
        }
        let feed = Feed {
            expr: plan.expr,
            desc: plan.desc,
            reads: plan.depends_on,
        };
        let (subscription, notice) = {
            let environment = || self.environment(catalog);
            let context = QueryContext {
                shared: &self.shared,
                state: &state,
                catalog,
                transaction: None,
                environment: Some(&environment),
                params,
            };
            changefeed::follow(&self.shared, &context, feed, bounds, self).await?
        };
        self.notices.extend(notice);
        Ok(subscription)
    }
}
