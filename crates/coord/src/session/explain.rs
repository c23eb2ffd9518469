//! EXPLAIN.

use super::Session;
use super::run::Params;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::planning::QueryContext;
use everview_repr::{Datum, GlobalId, RelationDesc, Row, ScalarType};
use std::sync::Arc;

impl Session {
    pub(super) fn explain(
        &mut self,
        plan: everview_sql::plan::ExplainPlan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        use everview_sql::plan::ExplainStage;
        let state = self.shared.catalog();
        let transaction = self.transaction.as_ref();
        let catalog = transaction.map_or(&state.catalog, |t| &t.catalog);
        let environment = || self.environment(catalog);
        let context = QueryContext {
            shared: &self.shared,
            state: &state,
            catalog,
            transaction,
            environment: if plan.maintained {
                None
            } else {
                Some(&environment)
            },
            params,
        };
        let name = |id: GlobalId| catalog.full_name(id);
        let text = match plan.stage {
            ExplainStage::Raw => plan.raw,
            ExplainStage::Decorrelated => {
                everview_optimize::explain::relation(&plan.select.expr, &name)
            }
            ExplainStage::Optimized => {
                let optimized = context.optimize(plan.select.expr)?;
                everview_optimize::explain::relation(&optimized.expr, &name)
            }
            ExplainStage::Physical if !plan.maintained => {
                let as_of = transaction.map_or_else(|| self.shared.now(), |t| t.snapshot);
                let query = context.compile(plan.select.expr.clone(), as_of)?;
                let finish = self.finish(&plan.select, params)?;
                query.explain(&context, as_of, &finish, &name)
            }
            ExplainStage::Physical => {
                let optimized = context.optimize(plan.select.expr)?;
                let physical = context.physical(&optimized.expr, plan.select.desc)?;
                everview_optimize::explain::physical(&physical, &name)
            }
            ExplainStage::Timing => return Err(Error::unsupported("EXPLAIN (TIMING)")),
        };
        let desc = RelationDesc::new([("QUERY PLAN", ScalarType::Text.not_null())]);
        let rows: Vec<Row> = text
            .lines()
            .map(|line| Row::pack([Datum::Text(line)]))
            .collect();
        Ok(Outcome::Rows {
            desc: Arc::new(desc),
            rows,
            tag: "EXPLAIN".to_string(),
        })
    }
}
