//! Statements AS OF a time: planned with the names and definitions of that time, and read in memory or from the log.

use super::Session;
use super::plans::{Planned, Statement};
use super::run::Params;
use super::time::as_timestamp;
use crate::changefeed::{self, Feed};
use crate::error::Error;
use crate::history::History;
use crate::planning::QueryContext;
use crate::read;
use crate::subscribe::Bounds;
use crate::travel::{self, Derivation};
use everview_catalog::catalog::{self, CATALOG_COLLECTION, Change};
use everview_catalog::{Catalog, ObjectKind};
use everview_expr::{Id, RelExpr, RelationType, ScalarExpr};
use everview_repr::{Datum, Diff, GlobalId, Row, ScalarType, SqlState, Timestamp};
use everview_sql::plan::{CopyPlan, Plan, SelectPlan};
use everview_sql::{ChangesCall, PlanContext};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a session keeps the log's index when it has no more questions about the past.
const KEPT: Duration = Duration::from_secs(60);

/// The time that the statement under way is about.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub as_of: Timestamp,
    /// The definitions of that time: the committed catalog where they are the same as now.
    pub catalog: Catalog,
}

impl Session {
    /// The plan of a statement: of one AS OF a time, with the definitions of that time; rows of `everview.changes` are in
    /// it.
    pub(super) async fn planned_in_time(
        &mut self,
        statement: &Statement,
        declared: &[Option<ScalarType>],
        params: Params<'_>,
    ) -> Result<Arc<Planned>, Error> {
        self.past = None;
        let parsed = &statement.parsed;
        let time = match parsed.reader() {
            Some(reader) => self.acknowledged(reader)?,
            None if parsed.is_as_of() => self.time_of(statement, declared, params)?,
            None => None,
        };
        // What is rare is boxed, so that all other statements do not carry its state.
        let planned = match time {
            Some(at) => Box::pin(self.planned_as_of(statement, declared, at)).await?,
            None => self.planned(statement, declared)?,
        };
        if planned.changes.is_empty() {
            if time.is_none() {
                self.history.take_if(|(used, _)| used.elapsed() > KEPT);
            }
            return Ok(planned);
        }
        Box::pin(self.with_changes(planned, params)).await
    }

    /// The time of a statement's AS OF; none while that is still to come with the parameters.
    fn time_of(
        &self,
        statement: &Statement,
        declared: &[Option<ScalarType>],
        params: Params<'_>,
    ) -> Result<Option<Timestamp>, Error> {
        let state = self.shared.catalog();
        let context = PlanContext {
            catalog: &state.catalog,
            search_path: &self.settings.search_path(&self.entry.user),
            time_zone: self.settings.time_zone(),
            params: declared,
            environment: None,
        };
        let Some(expr) = everview_sql::plan_as_of(&statement.parsed, &context)? else {
            return Ok(None);
        };
        if params.is_none() && has_parameter(&expr) {
            return Ok(None);
        }
        self.time(&expr, params).map(Some)
    }

    /// The timestamp that an expression means.
    pub(super) fn time(&self, expr: &ScalarExpr, params: Params<'_>) -> Result<Timestamp, Error> {
        self.constant(expr, params, |datum| {
            as_timestamp(datum, &self.input_formatting())
        })
    }

    async fn planned_as_of(
        &mut self,
        statement: &Statement,
        declared: &[Option<ScalarType>],
        at: Timestamp,
    ) -> Result<Arc<Planned>, Error> {
        self.reach(at).await?;
        let current = self.shared.catalog().catalog.clone();
        let then = self.catalog_as_of(&current, at).await?;
        if then.is(&current) {
            self.past = Some(Past {
                as_of: at,
                catalog: current,
            });
            return self.planned(statement, declared);
        }
        let planned = self.plan_in(statement, declared, &then);
        let planned =
            planned.map_err(|error| self.not_there_yet(error, statement, declared, at))?;
        // What is as it was is read as it is now.
        let named = reads(&planned.plan);
        let now = self.planned(statement, declared).ok();
        let now =
            now.filter(|now| reads(&now.plan) == named && travel::same(&then, &current, &named));
        let (catalog, planned) = match now {
            Some(now) => (current, now),
            // It goes on with rows of which no more is known than now.
            None if follows(&planned.plan) => {
                let then = travel::loosened(&then, &named);
                let planned = self.plan_in(statement, declared, &then)?;
                (then, planned)
            }
            None => (then, planned),
        };
        self.past = Some(Past { as_of: at, catalog });
        Ok(planned)
    }

    /// Sees to it that no later commit can be at or before a time.
    ///
    /// Errors: 22023 for a time that the clock has not reached.
    async fn reach(&mut self, at: Timestamp) -> Result<(), Error> {
        let now = self.shared.now();
        if at <= now {
            return Ok(());
        }
        if at.0 > crate::clock::wall_clock() {
            return Err(travel::in_the_future(at, now));
        }
        // Nothing was committed since: an empty commit, later than that, settles that nothing will have been.
        let empty = self.new_transaction(false);
        self.send_commit(empty, None).await?;
        match self.shared.now() {
            now if at > now => Err(travel::in_the_future(at, now)),
            _ => Ok(()),
        }
    }

    /// The catalog as of a time, that the commits have reached.
    async fn catalog_as_of(&mut self, current: &Catalog, at: Timestamp) -> Result<Catalog, Error> {
        if at >= self.shared.tables.past.defined() {
            return Ok(current.clone());
        }
        if at >= travel::oldest(&self.shared)
            && let Ok(rows) = self.shared.tables.system_rows(CATALOG_COLLECTION, at)
        {
            let objects = rows.iter().map(catalog::from_row);
            let objects = objects.collect::<Result<Vec<_>, _>>();
            let objects = objects.map_err(|e| Error::internal(e.to_string()))?;
            let changes = objects.into_iter().map(|object| Change {
                old: None,
                new: Some(Arc::new(object)),
            });
            return Ok(Catalog::new().apply(&changes.collect::<Vec<_>>()));
        }
        let history = self.history().await?;
        travel::check_begun(&history, at, self.shared.now())?;
        Ok(history.catalog(at))
    }

    /// The log's index. The session keeps it for a while, so that the next one need not read the log again.
    pub(super) async fn history(&mut self) -> Result<Arc<History>, Error> {
        let history = match &self.history {
            Some((_, history)) => history.clone(),
            None => travel::history(&self.shared, self).await?,
        };
        self.history = Some((Instant::now(), history.clone()));
        Ok(history)
    }

    /// An error of planning as of a time; when it is that something was not there yet, since when it is.
    fn not_there_yet(
        &self,
        error: Error,
        statement: &Statement,
        declared: &[Option<ScalarType>],
        at: Timestamp,
    ) -> Error {
        if error.code != SqlState::UNDEFINED_TABLE {
            return error;
        }
        let state = self.shared.catalog();
        let now = self.plan_in(statement, declared, &state.catalog);
        let named = now.map(|planned| reads(&planned.plan)).unwrap_or_default();
        let later = named.iter().filter_map(|id| state.catalog.get(*id));
        let later = later.filter(|object| object.created > at).map(|object| {
            let name = state.catalog.full_name(object.id);
            format!("{name} was created at {}.", travel::shown(object.created))
        });
        let later: Vec<_> = later.collect();
        let message = format!("{} as of {}", error.message, travel::shown(at));
        let error = Error { message, ..error };
        match later.is_empty() {
            true => error,
            false => error.with_hint(later.join(" ")),
        }
    }

    /// The rows of a query AS OF a time that memory does not show, or not as it was then.
    pub(super) async fn select_past(
        &mut self,
        plan: &SelectPlan,
        params: Params<'_>,
        past: &Past,
    ) -> Result<Vec<(Row, Diff)>, Error> {
        let history = self.history().await?;
        let derivation = {
            let state = Arc::clone(&self.shared.catalog());
            let environment = || self.environment(&past.catalog);
            let context = QueryContext {
                shared: &self.shared,
                state: &state,
                catalog: &past.catalog,
                transaction: None,
                environment: Some(&environment),
                params,
            };
            let columns = plan.expr.ty().columns.into_iter();
            let desc =
                everview_repr::RelationDesc::new(columns.map(|ty| ("?column?".to_string(), ty)));
            let times = (past.as_of, past.as_of);
            Derivation::new(&context, history, plan.expr.clone(), desc, times)?
        };
        self.notice(derivation.notice(past.as_of));
        let rows = read::derive(&self.shared, derivation, past.as_of, self).await?;
        self.settings
            .tell("everview.last_read_timestamp", past.as_of.0.to_string());
        Ok(rows)
    }

    /// Whether memory shows what a query reads as of a past time.
    pub(super) fn remembers(&self, past: &Past, reads: &BTreeSet<GlobalId>) -> Result<bool, Error> {
        let current = past.catalog.is(&self.shared.catalog().catalog);
        Ok(current && travel::in_memory(&self.shared, &past.catalog, reads, past.as_of)?)
    }

    /// The plan with rows in it for its calls of `everview.changes`.
    async fn with_changes(
        &mut self,
        planned: Arc<Planned>,
        params: Params<'_>,
    ) -> Result<Arc<Planned>, Error> {
        if params.is_none() && !planned.params.is_empty() {
            return Ok(planned);
        }
        let mut filled = BTreeMap::new();
        for call in &planned.changes {
            filled.insert(call.id, self.changes(call, params).await?);
        }
        let mut plan = planned.plan.clone();
        for expr in plan.relations_mut() {
            expr.visit_mut_post(&mut |e| {
                if let RelExpr::Get {
                    id: Id::Global(id),
                    ty,
                } = e
                    && let Some(rows) = filled.get(id)
                {
                    *e = RelExpr::Constant {
                        rows: Ok(rows.iter().map(|row| (row.clone(), 1)).collect()),
                        ty: ty.clone(),
                    };
                }
            });
        }
        Ok(Arc::new(planned.with_plan(plan)))
    }

    /// The rows of `everview.changes`: a relation's changes after one time and up to another. What a relation holds from
    /// the commit on that creates it are changes of that commit.
    async fn changes(&mut self, call: &ChangesCall, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let now = self.shared.now();
        let from = self.time(&call.from, params)?;
        let to = match &call.to {
            None => now,
            Some(expr) => self.constant(expr, params, |datum| match datum {
                Datum::Null => Ok(now),
                datum => as_timestamp(datum, &self.input_formatting()),
            })?,
        };
        self.reach(to).await?;
        let state = Arc::clone(&self.shared.catalog());
        let catalog = match &self.past {
            Some(past) => past.catalog.clone(),
            None => state.catalog.clone(),
        };
        let object = catalog.get(call.relation);
        let object = object
            .ok_or_else(|| Error::internal("changes of nothing"))?
            .clone();
        if matches!(object.kind, ObjectKind::SystemTable(_)) || object.id.is_system() {
            return Err(Error::unsupported("everview.changes of a system table"));
        }
        if from >= to {
            return Ok(Vec::new());
        }
        let bounds = Bounds {
            as_of: from.max(object.created),
            up_to: Some(to.next()),
            snapshot: from < object.created,
            progress: false,
        };
        if bounds.as_of > to {
            return Ok(Vec::new());
        }
        let reads = BTreeSet::from([call.relation]);
        let then = self.catalog_as_of(&catalog, bounds.as_of).await?;
        let catalog = match travel::same(&then, &catalog, &reads) {
            true => catalog,
            false => travel::loosened(&catalog, &reads),
        };
        let feed = Feed {
            expr: RelExpr::Get {
                id: Id::Global(call.relation),
                ty: RelationType::new(call.desc.types()),
            },
            desc: call.desc.clone(),
            reads,
        };
        let (mut subscription, notice) = {
            let context = QueryContext {
                shared: &self.shared,
                state: &state,
                catalog: &catalog,
                transaction: None,
                environment: None,
                params: None,
            };
            changefeed::follow(&self.shared, &context, feed, bounds, self).await?
        };
        if notice.is_some() {
            self.history = self
                .shared
                .tables
                .past
                .history()
                .map(|h| (Instant::now(), h));
        }
        self.notices.extend(notice);
        let mut rows = Vec::new();
        while let Some(batch) = self.guard_next(&mut subscription).await? {
            for (row, time, diff) in batch.updates {
                let time = Datum::Int64(crate::producers::micros(time));
                let head = [time, Datum::Int64(diff)].into_iter();
                rows.push(Row::pack(head.chain(row.iter())));
            }
        }
        Ok(rows)
    }

    async fn guard_next(
        &self,
        subscription: &mut crate::subscribe::Subscription,
    ) -> Result<Option<everview_dataflow::SubscribeBatch>, Error> {
        use crate::read::Interrupt;
        self.guard(subscription.next_changes()).await?
    }
}

/// Whether a statement goes on with what comes after its time.
fn follows(plan: &Plan) -> bool {
    match plan {
        Plan::Subscribe(_) | Plan::Copy(CopyPlan::Subscribe { .. }) => true,
        Plan::Declare { query, .. } => follows(query),
        _ => false,
    }
}

fn has_parameter(expr: &ScalarExpr) -> bool {
    let mut found = false;
    expr.visit(&mut |e| found |= matches!(e, ScalarExpr::Parameter(..)));
    found
}

/// The relations that a statement AS OF a time names.
fn reads(plan: &Plan) -> BTreeSet<GlobalId> {
    match plan {
        Plan::Select(select) => select.depends_on.clone(),
        Plan::Subscribe(subscribe) => subscribe.depends_on.clone(),
        Plan::Declare { query, .. } => reads(query),
        Plan::Copy(CopyPlan::To { select, .. }) => select.depends_on.clone(),
        Plan::Copy(CopyPlan::Subscribe { subscribe, .. }) => subscribe.depends_on.clone(),
        _ => BTreeSet::new(),
    }
}
