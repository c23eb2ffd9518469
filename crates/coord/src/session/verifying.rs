//! VERIFY.

use super::Session;
use super::run::Params;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::outcome::{ClientNotice, Outcome};
use crate::planning::QueryContext;
use crate::verify;
use everview_catalog::{Object, ObjectKind};
use everview_dataflow::{Contents, TableReader};
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
            let (kind, shown, derived, checkpoints) = match &object.kind {
                ObjectKind::Table(_) => {
                    let store: Arc<dyn TableReader> = self.shared.tables.clone();
                    let log: Arc<dyn TableReader> = history.clone();
                    let shown = verify::table(store, object.id, as_of, self).await;
                    let derived = verify::table(log, object.id, as_of, self).await;
                    ("table", shown, derived, None)
                }
                _ => {
                    let written = history.checkpoints(object, as_of);
                    let mut times: Vec<_> = written.iter().map(|c| c.at).collect();
                    times.extend((times.last() != Some(&as_of)).then_some(as_of));
                    let plan = self.plan_of(object.id, false)?;
                    let workers = self.shared.compute.workers();
                    let derived = verify::derive(&history, plan, &times, workers, self).await;
                    let differs = derived.as_ref().map_or(Ok(()), |d| differs(&written, d));
                    if let Err(difference) = differs {
                        broken.push(format!("materialized view {name}: {difference}"));
                    }
                    let last = derived.map(|times| times.last().copied().unwrap_or_default());
                    let shown = self.shown(object.id, as_of).await;
                    ("materialized view", shown, last, Some(written.len()))
                }
            };
            self.check_interrupt()?;
            match compare(&shown, &derived) {
                Ok(result) => {
                    let row = result_row(&name, kind, as_of, &shown, checkpoints, &result);
                    rows.push(row);
                }
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
                "verification found {} differences in {} objects as of {as_of}",
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
        // One that is suspended says why.
        self.shared.index_reader(view)?;
        let plan = self.plan_of(view, true)?;
        verify::shown(&self.shared, plan, as_of, self).await
    }

    /// The plan of a view: that of what is shown of it, or that over tables alone.
    fn plan_of(&self, view: GlobalId, shown: bool) -> Result<DataflowPlan, Error> {
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
        match shown {
            true => context.physical_over(&get(view, &desc), desc, &state.indexes),
            false => context.over_tables(get(view, &desc), desc),
        }
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

/// How what was derived differs from checkpoints, which are of the first times that it was derived for.
fn differs(written: &[Checkpoint], derived: &[Contents]) -> Result<(), String> {
    let mut pairs = written.iter().zip(derived);
    let Some(first) = pairs.position(|(written, derived)| written.contents != *derived) else {
        return Ok(());
    };
    let Checkpoint { at, contents, .. } = &written[first];
    let since = match first.checked_sub(1) {
        Some(before) => format!("after {}", written[before].at),
        None => "since it was created".to_string(),
    };
    Err(format!(
        "it went wrong {since} and not after {at}: then it had {} rows with digest {}, and {} rows with digest {} are derived from the log",
        contents.rows, contents.digest, derived[first].rows, derived[first].digest
    ))
}

fn result_row(
    name: &str,
    kind: &str,
    as_of: Timestamp,
    shown: &Found,
    checkpoints: Option<usize>,
    result: &str,
) -> Row {
    let digest = shown.as_ref().ok().map(|c| c.digest.to_string());
    Row::pack([
        Datum::Text(name),
        Datum::Text(kind),
        Datum::Int64(as_of.0 as i64),
        shown.as_ref().map_or(Datum::Null, |c| Datum::Int64(c.rows)),
        digest.as_deref().map_or(Datum::Null, Datum::Text),
        checkpoints.map_or(Datum::Null, |n| Datum::Int64(n as i64)),
        Datum::Text(result),
    ])
}
