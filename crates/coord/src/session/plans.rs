//! Statements and what was planned for them.
//!
//! A plan is kept with its statement and used again while catalog, search path and time zone are what they were; its
//! parameters, and what it asks of the session, are put in when it runs. A transaction that has changed the catalog
//! plans for itself.

use super::Session;
use super::run::Params;
use crate::coordinator::CatalogState;
use crate::environment::SessionEnvironment;
use crate::error::Error;
use crate::planning::QueryContext;
use crate::read::{Answer, Query};
use crate::transaction::Transaction;
use everview_catalog::Catalog;
use everview_expr::{Environment, RelExpr};
use everview_repr::{RelationDesc, ScalarType, Timestamp};
use everview_sql::plan::Plan;
use everview_sql::{ChangesCall, Parsed, PlanContext};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};

/// The most texts of statements that a session remembers, and the longest.
const MOST_TEXTS: usize = 64;
const LONGEST_TEXT: usize = 4096;

/// A statement as a client sent it, and its plan once there is one.
#[derive(Debug)]
pub struct Statement {
    pub(crate) parsed: Parsed,
    planned: Mutex<Option<Arc<Planned>>>,
}

/// A planned statement.
#[derive(Debug)]
pub(crate) struct Planned {
    pub plan: Plan,
    /// The type of each parameter.
    pub params: Vec<ScalarType>,
    /// Calls of everview.changes that are to be filled in.
    pub changes: Vec<ChangesCall>,
    /// What the client declared of them.
    declared: Vec<Option<ScalarType>>,
    /// The version of the catalog, the search path and the time zone that it holds for.
    version: u64,
    search_path: String,
    time_zone: String,
    desc: OnceLock<Arc<RelationDesc>>,
    /// The query in it, compiled, and for what.
    query: Mutex<Option<(Arc<CatalogState>, Arc<Query>)>>,
}

impl Planned {
    /// The columns of a query's rows, shared.
    pub fn desc(&self, desc: &RelationDesc) -> Arc<RelationDesc> {
        self.desc.get_or_init(|| Arc::new(desc.clone())).clone()
    }

    /// The same with another plan, in which nothing is to be filled in.
    pub fn with_plan(&self, plan: Plan) -> Planned {
        Planned {
            plan,
            params: self.params.clone(),
            changes: Vec::new(),
            declared: self.declared.clone(),
            version: self.version,
            search_path: self.search_path.clone(),
            time_zone: self.time_zone.clone(),
            desc: OnceLock::new(),
            query: Mutex::new(None),
        }
    }
}

impl Statement {
    fn new(parsed: Parsed) -> Arc<Statement> {
        Arc::new(Statement {
            parsed,
            planned: Mutex::new(None),
        })
    }

    /// Its text.
    pub fn sql(&self) -> &str {
        &self.parsed.sql
    }

    /// Whether it ends a transaction: all that a failed one accepts.
    pub fn ends_transaction(&self) -> bool {
        self.parsed.ends_transaction()
    }
}

impl Session {
    /// The statements of a query string.
    pub fn parse(&self, sql: &str) -> Result<Vec<Arc<Statement>>, Error> {
        if sql.len() > LONGEST_TEXT {
            return Ok(everview_sql::parse(sql)?
                .into_iter()
                .map(Statement::new)
                .collect());
        }
        let mut texts = self.texts.lock();
        if let Some(statements) = texts.get(sql) {
            return Ok(statements.clone());
        }
        let statements: Vec<_> = everview_sql::parse(sql)?
            .into_iter()
            .map(Statement::new)
            .collect();
        if texts.len() == MOST_TEXTS {
            texts.clear();
        }
        texts.insert(sql.to_string(), statements.clone());
        Ok(statements)
    }

    /// The plan of a statement with these parameters, the kept one if it still holds.
    pub(super) fn planned(
        &self,
        statement: &Statement,
        declared: &[Option<ScalarType>],
    ) -> Result<Arc<Planned>, Error> {
        let state = self.shared.catalog();
        let transaction = self.transaction.as_ref();
        let catalog = transaction.map_or(&state.catalog, |t| &t.catalog);
        let kept = transaction.is_none_or(|t| t.catalog_changes.is_empty());
        let (search_path, time_zone) =
            (self.settings.search_path_text(), self.settings.time_zone());
        let fits = |planned: &&Arc<Planned>| {
            let same = |(a, b): (&ScalarType, &Option<ScalarType>)| Some(a) == b.as_ref();
            let params = planned.declared == declared
                || planned.params.len() == declared.len()
                    && planned.params.iter().zip(declared).all(same);
            params
                && planned.version == catalog.version()
                && planned.time_zone == time_zone
                && planned.search_path == search_path
        };
        if kept && let Some(planned) = statement.planned.lock().as_ref().filter(fits) {
            return Ok(planned.clone());
        }
        let planned = self.plan_in(statement, declared, catalog)?;
        if kept {
            *statement.planned.lock() = Some(planned.clone());
        }
        Ok(planned)
    }

    /// The plan of a statement with the names of a catalog.
    pub(super) fn plan_in(
        &self,
        statement: &Statement,
        declared: &[Option<ScalarType>],
        catalog: &Catalog,
    ) -> Result<Arc<Planned>, Error> {
        let time_zone = self.settings.time_zone();
        let context = PlanContext {
            catalog,
            search_path: &self.settings.search_path(&self.entry.user),
            time_zone,
            params: declared,
            environment: None,
        };
        let everview_sql::Planned {
            plan,
            param_types,
            changes,
        } = everview_sql::plan(&statement.parsed, &context)?;
        Ok(Arc::new(Planned {
            plan,
            params: param_types,
            changes,
            declared: declared.to_vec(),
            version: catalog.version(),
            time_zone: time_zone.to_string(),
            search_path: self.settings.search_path_text().to_string(),
            desc: OnceLock::new(),
            query: Mutex::new(None),
        }))
    }

    /// A query compiled for the transaction under way.
    pub(super) fn compiled_at(
        &self,
        expr: &RelExpr,
        params: Params<'_>,
        as_of: Timestamp,
    ) -> Result<Arc<Query>, Error> {
        let state = Arc::clone(&self.shared.catalog());
        let transaction = self.transaction.as_ref();
        let catalog = transaction.map_or(&state.catalog, |t| &t.catalog);
        let environment = || self.environment(catalog);
        let context = QueryContext {
            shared: &self.shared,
            state: &state,
            catalog,
            transaction,
            environment: Some(&environment),
            params,
        };
        self.compiled(None, expr, &context, &state, as_of)
    }

    /// What a transaction reads by unique keys of a table that it has written.
    pub(super) fn by_own_keys(
        &self,
        planned: Option<&Planned>,
        expr: &RelExpr,
        context: &QueryContext<'_>,
        state: &Arc<CatalogState>,
        as_of: Timestamp,
    ) -> Result<Option<(Answer, Arc<Query>)>, Error> {
        let writing = |t: &&Transaction| t.catalog_changes.is_empty() && !t.written().is_empty();
        let Some(transaction) = context.transaction.filter(writing) else {
            return Ok(None);
        };
        // As if nothing were written, so that it can be kept.
        let stored = QueryContext {
            transaction: None,
            ..*context
        };
        let query = self.compiled(planned, expr, &stored, state, as_of)?;
        let answer = stored.read_own(&query, &transaction.writes, as_of)?;
        Ok(answer.map(|answer| (answer, query)))
    }

    /// The compiled query of a statement, the kept one if it still holds.
    pub(super) fn compiled(
        &self,
        planned: Option<&Planned>,
        expr: &RelExpr,
        context: &QueryContext<'_>,
        state: &Arc<CatalogState>,
        as_of: Timestamp,
    ) -> Result<Arc<Query>, Error> {
        let transaction = context.transaction;
        let planned = planned.filter(|_| transaction.is_none_or(|t| t.catalog_changes.is_empty()));
        if let Some(planned) = planned
            && let Some((then, query)) = &*planned.query.lock()
            && Arc::ptr_eq(then, state)
            && query.shows(&self.shared, context.catalog, as_of)
            && transaction.is_none_or(|t| !query.reads_any_of(&t.writes))
        {
            return Ok(query.clone());
        }
        let query = Arc::new(context.compile(expr.clone(), as_of)?);
        if let Some(planned) = planned
            && query.reusable
        {
            *planned.query.lock() = Some((state.clone(), query.clone()));
        }
        Ok(query)
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
            owed_sleep: self.owed_sleep.clone(),
        })
    }
}
