//! CREATE SECRET, CREATE CONNECTION, CREATE SINK.

use super::Session;
use super::run::Params;
use crate::ddl;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::planning::QueryContext;
use crate::read::Interrupt;
use everview_catalog::ObjectKind;
use everview_catalog::outside::{Password, Sink};
use everview_repr::SqlState;
use everview_sql::plan::{CreateOutsidePlan, NewPassword, Outside};
use std::pin::Pin;

impl Session {
    /// Errors: 55000 if a secret's key cannot be had; those of a sink's target.
    pub(super) async fn create_outside(
        &mut self,
        plan: CreateOutsidePlan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        let CreateOutsidePlan {
            schema,
            name,
            if_not_exists,
            what,
        } = plan;
        let tag = format!("CREATE {}", what.kind());
        let catalog = self.transaction()?.catalog.clone();
        if catalog.in_schema(schema, &name).is_some() {
            return self.exists(if_not_exists, "relation", &name, &tag);
        }
        let secrets = &self.shared.secrets;
        let kind = match what {
            Outside::Secret(text) => ObjectKind::Secret(secrets.seal(&text)?),
            Outside::Connection(mut connection, password) => {
                connection.password = match password {
                    None => None,
                    Some(NewPassword::Secret(id)) => Some(Password::Secret(id)),
                    Some(NewPassword::Text(text)) => Some(Password::Own(secrets.seal(&text)?)),
                };
                ObjectKind::Connection(connection)
            }
            Outside::Sink { sink, enforced } => {
                if enforced {
                    self.check_key(&sink, params)?;
                }
                ObjectKind::Sink(sink)
            }
        };
        let object = ddl::object(catalog.next_id(), Some(schema), name, kind);
        if let ObjectKind::Sink(sink) = &object.kind {
            let shared = self.shared.clone();
            let desc = shared.sink_desc(&catalog, &object, sink)?;
            let check: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> =
                Box::pin(async move { shared.sinks.check(&desc).await });
            self.guard(check).await??;
        }
        self.transaction()?.change_catalog(ddl::created(object));
        Ok(Outcome::Done(tag))
    }

    /// Refuses a key that two rows might have.
    fn check_key(&self, sink: &Sink, params: Params<'_>) -> Result<(), Error> {
        let Some(key) = &sink.key else {
            return Ok(());
        };
        let state = self.shared.catalog();
        let catalog = self
            .transaction
            .as_ref()
            .map_or(&state.catalog, |t| &t.catalog);
        let object = catalog.get(sink.from);
        let object = object.ok_or_else(|| Error::internal("a sink of nothing"))?;
        let mut known = object.desc().map(|d| d.keys).unwrap_or_default();
        if let Some(view) = ddl::view_of(object) {
            let context = QueryContext {
                shared: &self.shared,
                state: &state,
                catalog,
                transaction: None,
                environment: None,
                params,
            };
            let expr = self
                .shared
                .views
                .get(&state.catalog, catalog, object.id, view)?;
            known.extend(context.optimize((*expr).clone())?.expr.ty().keys);
        }
        if known
            .iter()
            .any(|unique| unique.iter().all(|c| key.contains(c)))
        {
            return Ok(());
        }
        let names: Vec<_> = key
            .iter()
            .map(|c| sink.columns.columns[*c].name.as_str())
            .collect();
        let message = format!(
            "nothing says that no two rows of \"{}\" have the same ({})",
            object.name,
            names.join(", ")
        );
        Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, message).with_hint(
            "Make it the key of GROUP BY, DISTINCT ON or a primary key; or say KEY (...) NOT ENFORCED if you know better.",
        ))
    }
}
