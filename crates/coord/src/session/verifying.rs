//! VERIFY.

use super::Session;
use super::run::Params;
use crate::error::Error;
use crate::outcome::{ClientNotice, Outcome};
use crate::planning::QueryContext;
use crate::verify::{self, Contents};
use everview_catalog::{Object, ObjectKind};
use everview_dataflow::TableReader;
use everview_expr::{Id, RelExpr, RelationType};
use everview_optimize::physical::DataflowPlan;
use everview_repr::{Datum, GlobalId, RelationDesc, Row, SqlState, Timestamp};
use everview_sql::plan::VerifyPlan;
use std::sync::Arc;

/// Contents, or why there are none: a view may hold an error, and derived again it must hold the same.
type Found = Result<Contents, Error>;

impl Session {
    /// Compares what is shown with what the log says, object by object. XX001 if they differ anywhere.
    pub(super) async fn verify(
        &mut self,
        plan: &VerifyPlan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        let as_of = match &plan.as_of {
            None => self.transaction()?.snapshot,
            Some(expr) => self.as_of(expr, params)?,
        };
        if !self.transaction()?.written().is_empty() {
            return Err(Error::unsupported(
                "VERIFY in a transaction that has written",
            ));
        }
        let state = Arc::clone(&self.shared.catalog());
        let wanted = |object: &&Arc<Object>| {
            let kind = matches!(
                object.kind,
                ObjectKind::Table(_) | ObjectKind::MaterializedView(_)
            );
            match plan.object {
                Some(id) => object.id == id,
                None => kind && object.created <= as_of,
            }
        };
        let objects: Vec<_> = state.catalog.objects().filter(wanted).cloned().collect();
        let history = verify::history(&self.shared, self).await?;
        let mut rows = Vec::with_capacity(objects.len());
        let mut broken = Vec::new();
        for object in &objects {
            let name = state.catalog.full_name(object.id);
            let (kind, shown, derived) = match &object.kind {
                ObjectKind::Table(_) => {
                    let store: Arc<dyn TableReader> = self.shared.tables.clone();
                    let log: Arc<dyn TableReader> = history.clone();
                    let shown = verify::table(store, object.id, as_of, self).await;
                    let derived = verify::table(log, object.id, as_of, self).await;
                    ("table", shown, derived)
                }
                _ => {
                    let plan = self.plan_over_tables(object.id)?;
                    let workers = self.shared.compute.workers();
                    let derived = verify::derive(&history, plan, as_of, workers, self).await;
                    let derived = derived.map(|rows| Contents::of(&rows));
                    (
                        "materialized view",
                        self.shown(object.id, as_of).await,
                        derived,
                    )
                }
            };
            self.check_interrupt()?;
            match compare(&shown, &derived) {
                Ok(result) => rows.push(result_row(&name, kind, as_of, &shown, &result)),
                Err(difference) => broken.push(format!("{kind} {name}: {difference}")),
            }
        }
        self.notice(ClientNotice {
            severity: "NOTICE",
            code: SqlState::SUCCESSFUL_COMPLETION,
            message: format!("{} commits were read from the log", history.size().commits),
            detail: None,
        });
        if !broken.is_empty() {
            let message = format!(
                "verification failed for {} of {} objects as of {as_of}",
                broken.len(),
                objects.len()
            );
            return Err(Error::new(SqlState::DATA_CORRUPTED, message)
                .with_detail(broken.join("\n"))
                .with_hint(
                    "The log is the truth: stop the server, remove the folder \"store\" in its data folder, and start it.",
                ));
        }
        let tag = format!("VERIFY {}", rows.len());
        Ok(Outcome::Rows {
            desc: Arc::new(VerifyPlan::desc()),
            rows,
            tag,
        })
    }

    /// What readers of a view are shown.
    async fn shown(&mut self, view: GlobalId, as_of: Timestamp) -> Found {
        let desc = self
            .shared
            .catalog()
            .catalog
            .get(view)
            .and_then(|o| o.desc());
        let desc = desc.ok_or_else(|| Error::internal("a view without columns"))?;
        let expr = get(view, &desc);
        let rows = self.read_as_of(&expr, None, None, as_of, None).await?;
        Ok(Contents::of(&rows))
    }

    /// The plan of a view over tables alone.
    fn plan_over_tables(&self, view: GlobalId) -> Result<DataflowPlan, Error> {
        let state = self.shared.catalog();
        let context = QueryContext {
            shared: &self.shared,
            state: &state,
            catalog: &state.catalog,
            transaction: None,
            environment: None,
            params: None,
        };
        let desc = state.catalog.get(view).and_then(|o| o.desc());
        let desc = desc.ok_or_else(|| Error::internal("a view without columns"))?;
        context.over_tables(get(view, &desc), desc)
    }
}

fn get(view: GlobalId, desc: &RelationDesc) -> RelExpr {
    RelExpr::Get {
        id: Id::Global(view),
        ty: RelationType::new(desc.types()),
    }
}

/// What is to be said of contents that are the same; else how they differ.
fn compare(shown: &Found, derived: &Found) -> Result<String, String> {
    match (shown, derived) {
        (Ok(shown), Ok(derived)) if shown == derived => Ok("verified".to_string()),
        (Ok(shown), Ok(derived)) => Err(format!(
            "{} rows with digest {} are shown, {} rows with digest {} are derived from the log",
            shown.rows, shown.digest, derived.rows, derived.digest
        )),
        (Err(shown), Err(derived))
            if (shown.code, &shown.message) == (derived.code, &derived.message) =>
        {
            Ok(format!("verified: {}", shown.message))
        }
        (Err(shown), _) => Err(format!("what is shown cannot be read: {}", shown.message)),
        (Ok(_), Err(derived)) => Err(format!("it cannot be derived: {}", derived.message)),
    }
}

fn result_row(name: &str, kind: &str, as_of: Timestamp, shown: &Found, result: &str) -> Row {
    let digest = shown.as_ref().ok().map(|c| c.digest.to_string());
    Row::pack([
        Datum::Text(name),
        Datum::Text(kind),
        Datum::Int64(as_of.0 as i64),
        shown.as_ref().map_or(Datum::Null, |c| Datum::Int64(c.rows)),
        digest.as_deref().map_or(Datum::Null, Datum::Text),
        Datum::Text(result),
    ])
}
