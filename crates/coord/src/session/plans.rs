//! Statements to plans, and the session as stable functions see it.

use super::Session;
use crate::environment::SessionEnvironment;
use crate::error::Error;
use everview_expr::Environment;
use everview_repr::ScalarType;
use everview_sql::{Parsed, PlanContext, Planned};
use std::sync::Arc;

impl Session {
    pub(super) fn plan(
        &self,
        statement: &Parsed,
        params: &[Option<ScalarType>],
    ) -> Result<Planned, Error> {
        let state = self.shared.catalog();
        let catalog = self
            .transaction
            .as_ref()
            .map_or(&state.catalog, |t| &t.catalog);
        let search_path = self.settings.search_path(&self.entry.user);
        let context = PlanContext {
            catalog,
            search_path: &search_path,
            time_zone: self.settings.time_zone(),
            params,
            environment: Some(self.environment(catalog)),
        };
        Ok(everview_sql::plan(statement, &context)?)
    }

    pub(super) fn environment(&self, catalog: &everview_catalog::Catalog) -> Arc<dyn Environment> {
        let started = self
            .transaction
            .as_ref()
            .map_or(self.statement_start, |t| t.started);
        let snapshot = self
            .transaction
            .as_ref()
            .map_or_else(|| self.shared.now(), |t| t.snapshot);
        let settings = self
            .settings
            .all()
            .into_iter()
            .map(|(name, value, _)| (name, value));
        Arc::new(SessionEnvironment {
            shared: Arc::downgrade(&self.shared),
            catalog: catalog.clone(),
            user: self.entry.user.clone(),
            database: self.entry.database.clone(),
            pid: self.entry.pid,
            transaction_start: started,
            statement_start: self.statement_start,
            search_path: self.settings.search_path(&self.entry.user),
            settings: settings.collect(),
            read_timestamp: snapshot,
        })
    }
}
