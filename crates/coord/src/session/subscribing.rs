//! SUBSCRIBE: starts a dataflow whose changes a reader takes.

use super::Session;
use super::run::Params;
use super::time::as_timestamp;
use crate::error::Error;
use crate::planning::QueryContext;
use crate::subscribe::{Bounds, Subscription};
use crate::transaction::Transaction;
use everview_dataflow::{DataflowDesc, Export};
use everview_sql::plan::SubscribePlan;

impl Session {
    pub(super) fn subscribe(
        &mut self,
        plan: SubscribePlan,
        params: Params<'_>,
    ) -> Result<Subscription, Error> {
        let as_of = match &plan.as_of {
            None => self.transaction()?.snapshot,
            Some(expr) => self.as_of(expr, params)?,
        };
        let up_to = plan.up_to.as_ref();
        let up_to = up_to
            .map(|expr| self.constant(expr, params, |d| as_timestamp(d, &self.input_formatting())))
            .transpose()?;
        let bounds = Bounds {
            as_of,
            up_to,
            snapshot: plan.snapshot,
            progress: plan.progress,
        };
        let state = self.shared.catalog();
        let transaction = self.transaction.as_ref();
        if transaction.is_some_and(Transaction::has_writes) {
            return Err(Error::unsupported(
                "SUBSCRIBE in a transaction that has written",
            ));
        }
        let environment = || self.environment(&state.catalog);
        let context = QueryContext {
            shared: &self.shared,
            state: &state,
            catalog: &state.catalog,
            transaction: None,
            environment: Some(&environment),
            params,
        };
        let optimized = context.optimize(plan.expr)?;
        let physical = context.physical(&optimized.expr, plan.desc.clone())?;
        let id = self.shared.next_dataflow();
        let (sink, receiver) = everview_dataflow::subscription(as_of);
        self.shared.compute.install(DataflowDesc {
            id,
            name: format!("subscribe {}", id.0),
            plan: physical,
            as_of,
            until: up_to,
            export: Export::Subscribe(sink),
        });
        Ok(Subscription::new(
            self.shared.clone(),
            id,
            receiver,
            &plan.desc,
            bounds,
        ))
    }
}
